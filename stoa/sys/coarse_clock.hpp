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
#include <cstdint>
#include <ctime>

namespace stoa::sys {

[[nodiscard]] inline std::chrono::nanoseconds coarse_now() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

// CLOCK_MONOTONIC, the steady clock: the same for all processes of a time namespace.
[[nodiscard]] inline std::uint64_t steady_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace stoa::sys
