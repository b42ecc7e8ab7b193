#include "stoa/sys/futex_pi.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "stoa/sys/errno.hpp"
#include "stoa/sys/fork_guard.hpp"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

namespace stoa::sys {
namespace {

timespec from_now(clockid_t clock, std::chrono::nanoseconds wait) noexcept {
    constexpr std::int64_t kNsPerSecond = 1'000'000'000;
    timespec now{};
    ::clock_gettime(clock, &now);
    const std::int64_t wait_ns = std::clamp<std::int64_t>(wait.count(), 0, kNsPerSecond << 31U);
    const std::int64_t at_ns = now.tv_nsec + wait_ns % kNsPerSecond;
    return {.tv_sec = now.tv_sec + wait_ns / kNsPerSecond + at_ns / kNsPerSecond,
            .tv_nsec = at_ns % kNsPerSecond};
}

PiLock told_by(int os_errno) noexcept {
    switch (os_errno) {
        case 0: return PiLock::locked;
        case ETIMEDOUT: return PiLock::timed_out;
        case EAGAIN:
        case EINTR: return PiLock::again;
        case ESRCH: return PiLock::owner_gone;
        case EDEADLK: return PiLock::is_mine;
        case ENOSYS: return PiLock::not_supported;
        default: return PiLock::unusable;
    }
}

}  // namespace

PiLock pi_lock(Atomic<std::uint32_t>& word, std::chrono::nanoseconds timeout) noexcept {
    const KeepErrno keep;
    // Linux 5.14; before it only the wall clock can end such a wait.
    const timespec at = from_now(CLOCK_MONOTONIC, timeout);
    if (::syscall(SYS_futex, &word, FUTEX_LOCK_PI2, 0, &at, nullptr, 0) == 0) return PiLock::locked;
    if (errno != ENOSYS) return told_by(errno);
    const timespec wall = from_now(CLOCK_REALTIME, timeout);
    const bool locked = ::syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, &wall, nullptr, 0) == 0;
    return told_by(locked ? 0 : errno);
}

bool pi_unlock(Atomic<std::uint32_t>& word) noexcept {
    const KeepErrno keep;
    return ::syscall(SYS_futex, &word, FUTEX_UNLOCK_PI, 0, nullptr, nullptr, 0) == 0;
}

std::uint32_t this_thread_id() noexcept {
    static constinit thread_local std::uint64_t generation = 0;
    static constinit thread_local std::uint32_t id = 0;
    if (generation != current_generation() || id == 0) {
        generation = own_generation();
        id = static_cast<std::uint32_t>(::syscall(SYS_gettid));
    }
    return id;
}

}  // namespace stoa::sys
