#include "stoa/sync/event.hpp"

#include "stoa/life/membership.hpp"
#include "stoa/sync/bell.hpp"

namespace stoa {

void Event::set() noexcept {
    std::uint32_t seen = layout_.word.load(kSeqCst);
    std::uint32_t next = 0;
    do {
        const bool by_hand = (seen & EventWord::kAutomatic) == 0;
        next = (by_hand ? seen + EventWord::kTurn : seen) | EventWord::kSet;
    } while (!layout_.word.compare_exchange_weak(seen, next, kSeqCst));
    (next & EventWord::kAutomatic) != 0 ? ring_bell(layout_.bell) : ring_bell_of_many(layout_.bell);
}

// `since`: the word when the wait began.
bool Event::take(std::uint32_t since) noexcept {
    std::uint32_t seen = layout_.word.load(kSeqCst);
    if ((seen & EventWord::kAutomatic) == 0)
        return (seen & EventWord::kSet) != 0 || seen / EventWord::kTurn != since / EventWord::kTurn;
    return (seen & EventWord::kSet) != 0 &&
           layout_.word.compare_exchange_strong(seen, EventWord::kAutomatic, kSeqCst);
}

Result<void> Event::wait(Deadline deadline) noexcept {
    if (here(this).me == 0) return fail(Errc::forked, "wait");
    const std::uint32_t since = layout_.word.load(kSeqCst);
    return take_on_bell(
        layout_.bell, deadline, "wait", [&] { return take(since); }, [&] { return is_set(); });
}

}  // namespace stoa
