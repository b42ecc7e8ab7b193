// The kernel's mutex with priority inheritance: who holds it runs as urgently as whoever waits.
//
// Start here: pi_lock(word, timeout), pi_unlock(word), this_thread_id().
// Threads:    safe; the word names a thread.
// Processes:  the word may lie in any shared mapping; all must be in one pid namespace.
// Death:      of who holds it, with waiters: the kernel hands it to one; without: the word keeps
//             naming nobody's id, which pi_lock tells as owner_gone; or that of another thread that
//             got the same id, which is why the caller must know of something better, and slice.
// Blocking:   pi_lock, at most `timeout`. pi_unlock never.
// Lifetime:   the word must stay mapped during the call.
// Units:      nanoseconds, relative, CLOCK_MONOTONIC.
// Source:     futex(2), FUTEX_LOCK_PI; kernel/futex/pi.c.
#pragma once

#include <chrono>
#include <cstdint>

#include "stoa/base/atomic.hpp"

namespace stoa::sys {

struct PiWord {
    static constexpr std::uint32_t kThread = 0x3fff'ffffU;  // 0: free
};

enum class PiLock : std::uint8_t {
    locked,
    timed_out,
    again,       // something changed, or a signal came: try again
    owner_gone,  // it names a thread that does not exist
    is_mine,     // it names this thread
    unusable,    // the kernel's waiters and the word do not agree; that passes when they gave up
    not_supported,
};

// The kernel sets the word to this thread, or to its holder with a bit that sends unlock here.
[[nodiscard]] PiLock pi_lock(Atomic<std::uint32_t>& word,
                             std::chrono::nanoseconds timeout) noexcept;
// False: the kernel did not, for the word names another thread or its waiters do not agree.
[[nodiscard]] bool pi_unlock(Atomic<std::uint32_t>& word) noexcept;

// The kernel's number of the calling thread; remembered, also right after fork.
[[nodiscard]] std::uint32_t this_thread_id() noexcept;

}  // namespace stoa::sys
