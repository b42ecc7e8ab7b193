#include "stoa/sync/once.hpp"

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/futex.hpp"

namespace stoa {

Result<Held> Once::begin(Deadline deadline) noexcept {
    const Here at = here(this);
    if (at.me == 0) return fail(Errc::forked, "once");
    return detail::hold_word(layout_.word, at, deadline, {LockKind::once});
}

// All go on when it is done; when it is not, one who is told so.
void Once::end(bool is_done) noexcept {
    const Here at = here(this);
    std::uint64_t seen = layout_.word.load(kRelaxed);
    while (at.me != 0) {  // 0: the function forked, and this is the child
        STOA_CHECK(LockWord::holder(seen) == at.me);
        const std::uint64_t next = is_done ? kDone : LockWord::kInconsistent;
        if (!layout_.word.compare_exchange_strong(seen, next, kSeqCst, kRelaxed)) continue;
        STOA_CRASH_POINT("once.ended");
        // The bit tells of nobody who slept when one threw: of those only one was woken, and that
        // one leaves when it is done.
        if (is_done || (seen & LockWord::kWaiters) != 0) {
            sys::futex_wake(low_half(layout_.word), is_done ? kWakeAll : 1);
        }
        return;
    }
}

}  // namespace stoa
