#include "stoa/sys/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <iterator>

#include "stoa/sys/errno.hpp"

namespace stoa::sys {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

FutexWait outcome_of(int os_errno) noexcept {
    switch (os_errno) {
        case 0: return FutexWait::woken;
        case EAGAIN: return FutexWait::changed;
        case ETIMEDOUT: return FutexWait::timed_out;
        case EINTR: return FutexWait::interrupted;
        default: return FutexWait::broken;
    }
}

std::int64_t steady_ns_after(std::chrono::nanoseconds wait) noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const std::int64_t now_ns = std::int64_t{now.tv_sec} * kNsPerSecond + now.tv_nsec;
    return now_ns + std::clamp<std::int64_t>(wait.count(), 0, INT64_MAX - now_ns);
}

}  // namespace

FutexWait futex_wait(const Atomic<std::uint32_t>& word, std::uint32_t expected,
                     std::chrono::nanoseconds timeout) noexcept {
    const std::int64_t timeout_ns = std::max<std::int64_t>(timeout.count(), 0);
    const timespec wait{.tv_sec = timeout_ns / kNsPerSecond, .tv_nsec = timeout_ns % kNsPerSecond};
    const KeepErrno keep;
    const long result = ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, &wait, nullptr, 0);
    return outcome_of(result == 0 ? 0 : errno);
}

FutexWait futex_wait_either(const Atomic<std::uint32_t>& word, std::uint32_t expected,
                            const Atomic<std::uint32_t>& other, std::uint32_t other_expected,
                            std::chrono::nanoseconds timeout) noexcept {
    static Atomic<std::uint32_t> is_missing{0};
    if (is_missing.load(kRelaxed) != 0) return futex_wait(word, expected, timeout);
    // The one time here that is absolute.
    const std::int64_t until_ns = steady_ns_after(timeout);
    const timespec until{.tv_sec = until_ns / kNsPerSecond, .tv_nsec = until_ns % kNsPerSecond};
    const auto one = [](const Atomic<std::uint32_t>& at, std::uint32_t value) {
        return futex_waitv{.val = value,
                           .uaddr = reinterpret_cast<std::uintptr_t>(&at),
                           .flags = FUTEX_32,
                           .__reserved = 0};
    };
    futex_waitv words[] = {one(word, expected), one(other, other_expected)};
    const KeepErrno keep;
    const long result =
        ::syscall(SYS_futex_waitv, words, std::size(words), 0, &until, CLOCK_MONOTONIC);
    const int os_errno = result >= 0 ? 0 : errno;
    if (os_errno == ENOSYS || os_errno == EPERM) {
        is_missing.store(1, kRelaxed);
        return futex_wait(word, expected, timeout);
    }
    return outcome_of(os_errno);
}

int futex_wake(const Atomic<std::uint32_t>& word, int count) noexcept {
    if (count <= 0) return 0;  // the kernel wakes one for a count of 0
    const KeepErrno keep;
    const long woken = ::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
    return woken > 0 ? static_cast<int>(woken) : 0;
}

}  // namespace stoa::sys
