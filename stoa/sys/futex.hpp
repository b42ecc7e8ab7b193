// Sleeping on a 32-bit word of shared memory until somebody wakes it.
//
// Start here: futex_wait(word, expected, timeout), futex_wake(word, count).
// Threads:    safe.
// Processes:  the word may lie in any shared mapping, read-only ones included; not process-private.
// Death:      a sleeper that dies is no longer a sleeper; a waker that dies before futex_wake woke
//             nobody, which is why waits are sliced.
// Blocking:   futex_wait, at most `timeout`. futex_wake never. Both are signal-safe.
// Lifetime:   the word must stay mapped during the call.
// Units:      nanoseconds, relative, CLOCK_MONOTONIC.
// Source:     futex(2); Drepper, "Futexes are tricky" 2011.
#pragma once

#include <chrono>
#include <cstdint>

#include "stoa/base/atomic.hpp"

namespace stoa::sys {

enum class FutexWait : std::uint8_t {
    woken,        // by a futex_wake, or for no reason: look at the word again
    changed,      // the word did not hold `expected`; did not sleep
    timed_out,    //
    interrupted,  // a signal handler ran
    broken,       // the word is not in usable memory (its file was truncated); do not wait again
};

// Sleeps while the word holds `expected`. The comparison and falling asleep are one step.
[[nodiscard]] FutexWait futex_wait(const Atomic<std::uint32_t>& word, std::uint32_t expected,
                                   std::chrono::nanoseconds timeout) noexcept;

// Wakes at most `count` sleepers; returns how many.
int futex_wake(const Atomic<std::uint32_t>& word, int count) noexcept;

}  // namespace stoa::sys
