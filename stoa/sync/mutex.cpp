#include "stoa/sync/mutex.hpp"

namespace stoa {

Result<Held> Mutex::hold_slowly(const Here& at, Deadline deadline) noexcept {
    return detail::hold_word(layout_.word, at, deadline, {LockKind::mutex});
}

void Mutex::unlock_slowly() noexcept {
    detail::give_word(layout_.word, here(this));
}

}  // namespace stoa
