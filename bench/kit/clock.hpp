// The clock of the hot loops: the time stamp counter where there is one, else CLOCK_MONOTONIC.
#pragma once

#include <cstdint>
#include <ctime>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace stoa::bench {

[[nodiscard]] inline std::uint64_t monotonic_ns() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(now.tv_nsec);
}

// Not ordered against the loads around it: an interval may be off by some ns, the sum of many is
// not.
[[nodiscard]] inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
    return __rdtsc();
#else
    return monotonic_ns();
#endif
}

// Measured against CLOCK_MONOTONIC at the first call, which takes 20 ms; call it before a fork.
[[nodiscard]] double ticks_per_ns() noexcept;

// The step in which ticks() grows: 1 on most machines, 26 (10 ns) on some; what two calls in a row
// differ by where they cost more than a step.
[[nodiscard]] double ticks_step() noexcept;

void sleep_us(unsigned microseconds) noexcept;

}  // namespace stoa::bench
