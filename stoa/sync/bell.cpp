#include "stoa/sync/bell.hpp"

#include "stoa/base/crash_point.hpp"
#include "stoa/sync/wait_board.hpp"

namespace stoa {

constinit std::chrono::nanoseconds g_wait_slice = kWaitSlice;

int wake(const Atomic<std::uint32_t>& word, int count) noexcept {
    const int woken = sys::futex_wake(word, count);
    STOA_CRASH_POINT("wake.woken");
    ring_watchers(&word);
    return woken;
}

void ring_bell_slowly(Atomic<std::uint32_t>& bell, int wake_count) noexcept {
    std::uint32_t seen = bell.load(kSeqCst);
    do {
        if ((seen & 1U) == 0) return;  // another ringer wakes one; that one passes it on
        ring_watchers(&bell);
        STOA_CRASH_POINT("bell.ring.told");
    } while (!bell.compare_exchange_strong(seen, (seen + 2) & ~1U, kSeqCst));  // A3
    STOA_CRASH_POINT("bell.ring.cleared");
    sys::futex_wake(bell, wake_count);  // A4
}

void ring_bell_for_all(Atomic<std::uint32_t>& bell) noexcept {
    bell.fetch_add(2, kSeqCst);
    wake(bell, kWakeAll);
}

std::uint32_t arm_bell(Atomic<std::uint32_t>& bell) noexcept {
    std::uint32_t seen = bell.load(kRelaxed);
    while (!bell.compare_exchange_weak(seen, armed_bell(seen), kSeqCst)) {
    }
    STOA_CRASH_POINT("bell.armed");
    return seen;
}

void sleep_on_bell(Atomic<std::uint32_t>& bell, std::uint32_t seen,
                   std::chrono::nanoseconds longest) noexcept {
    STOA_CRASH_POINT("bell.sleep.before");
    static_cast<void>(sys::futex_wait(bell, seen, longest));
}

}  // namespace stoa
