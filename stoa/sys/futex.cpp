#include "stoa/sys/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "stoa/sys/errno.hpp"

namespace stoa::sys {

FutexWait futex_wait(const Atomic<std::uint32_t>& word, std::uint32_t expected,
                     std::chrono::nanoseconds timeout) noexcept {
    constexpr std::int64_t kNsPerSecond = 1'000'000'000;
    const std::int64_t timeout_ns = std::max<std::int64_t>(timeout.count(), 0);
    const timespec wait{.tv_sec = timeout_ns / kNsPerSecond, .tv_nsec = timeout_ns % kNsPerSecond};
    const KeepErrno keep;
    const long result = ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, &wait, nullptr, 0);
    const int os_errno = result == 0 ? 0 : errno;
    switch (os_errno) {
        case 0: return FutexWait::woken;
        case EAGAIN: return FutexWait::changed;
        case ETIMEDOUT: return FutexWait::timed_out;
        case EINTR: return FutexWait::interrupted;
        default: return FutexWait::broken;
    }
}

int futex_wake(const Atomic<std::uint32_t>& word, int count) noexcept {
    if (count <= 0) return 0;  // the kernel wakes one for a count of 0
    const KeepErrno keep;
    const long woken = ::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
    return woken > 0 ? static_cast<int>(woken) : 0;
}

}  // namespace stoa::sys
