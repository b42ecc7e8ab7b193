#include "stoa/sync/bell.hpp"

#include "stoa/base/crash_point.hpp"

namespace stoa {

constinit std::chrono::nanoseconds g_wait_slice = kWaitSlice;

void ring_bell_slowly(Atomic<std::uint32_t>& bell, int wake_count) noexcept {
    std::uint32_t seen = bell.load(kSeqCst);
    do {
        if ((seen & 1U) == 0) return;  // another ringer wakes one; that one passes it on
    } while (!bell.compare_exchange_weak(seen, (seen + 2) & ~1U, kSeqCst));  // A3
    STOA_CRASH_POINT("bell.ring.cleared");
    sys::futex_wake(bell, wake_count);  // A4
}

void ring_bell_for_all(Atomic<std::uint32_t>& bell) noexcept {
    bell.fetch_add(2, kSeqCst);
    sys::futex_wake(bell, kWakeAll);
}

void sleep_on_bell(Atomic<std::uint32_t>& bell, std::uint32_t seen,
                   std::chrono::nanoseconds longest) noexcept {
    STOA_CRASH_POINT("bell.sleep.before");
    static_cast<void>(sys::futex_wait(bell, seen, longest));
}

}  // namespace stoa
