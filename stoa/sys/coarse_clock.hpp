// The steady clock of the last timer tick: some milliseconds old, for a few nanoseconds.
//
// Start here: coarse_now().
// Threads:    safe.
// Processes:  the same clock for all.
// Death:      not applicable.
// Blocking:   never; signal-safe.
// Lifetime:   not applicable.
// Units:      nanoseconds since boot, in steps of one tick (1 to 10 ms).
// Source:     clock_gettime(2), CLOCK_MONOTONIC_COARSE.
#pragma once

#include <chrono>
#include <ctime>

namespace stoa::sys {

[[nodiscard]] inline std::chrono::nanoseconds coarse_now() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

}  // namespace stoa::sys
