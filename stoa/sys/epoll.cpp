#include "stoa/sys/epoll.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "stoa/base/check.hpp"
#include "stoa/sys/errno.hpp"

namespace stoa::sys {
namespace {

Result<void> change(const Fd& epoll, int operation, int descriptor, std::uint32_t events,
                    std::uint64_t data) noexcept {
    epoll_event event{.events = events, .data = {.u64 = data}};
    if (::epoll_ctl(epoll.get(), operation, descriptor, &event) == 0) return {};
    switch (errno) {
        case EPERM: return fail(Errc::not_supported, "epoll_ctl (always ready)", errno);
        case EBADF:
        case EINVAL:
        case ELOOP: return fail(Errc::bad_argument, "epoll_ctl (no descriptor for it)", errno);
        case ENOSPC: return fail(Errc::limit_reached, "epoll_ctl (max_user_watches)", errno);
        default: return fail_errno("epoll_ctl");
    }
}

timespec to_timespec(std::chrono::nanoseconds time) noexcept {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
    return {.tv_sec = seconds.count(), .tv_nsec = (time - seconds).count()};
}

// Linux before 5.11 counts in milliseconds only: rounded up, so that no wait ends early.
int wait_in_milliseconds(const Fd& epoll, std::span<epoll_event> ready,
                         const timespec* timeout) noexcept {
    int milliseconds = -1;
    if (timeout != nullptr) {
        constexpr std::int64_t kMostSeconds = 1'000'000;
        const std::int64_t seconds = std::min<std::int64_t>(timeout->tv_sec, kMostSeconds);
        milliseconds = static_cast<int>(seconds * 1000 + (timeout->tv_nsec + 999'999) / 1'000'000);
    }
    return ::epoll_wait(epoll.get(), ready.data(), static_cast<int>(ready.size()), milliseconds);
}

}  // namespace

Result<Epoll> Epoll::create() noexcept {
    Fd fd{::epoll_create1(EPOLL_CLOEXEC)};
    if (!fd.valid()) return fail_errno("epoll_create1");
    return Epoll{std::move(fd)};
}

Result<void> Epoll::add(int descriptor, std::uint32_t events, std::uint64_t data) const noexcept {
    return change(fd_, EPOLL_CTL_ADD, descriptor, events, data);
}

Result<void> Epoll::modify(int descriptor, std::uint32_t events,
                           std::uint64_t data) const noexcept {
    return change(fd_, EPOLL_CTL_MOD, descriptor, events, data);
}

void Epoll::remove(int descriptor) const noexcept {
    const KeepErrno keep;
    (void)::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
}

Result<std::size_t> Epoll::wait(std::span<epoll_event> ready, Deadline deadline) const noexcept {
    timespec timeout{};
    const timespec* limit = nullptr;
    if (!deadline.is_never()) {
        if (!deadline.is_immediate())
            timeout = to_timespec(deadline.left(std::chrono::nanoseconds::max()));
        limit = &timeout;
    }
    int count =
        ::epoll_pwait2(fd_.get(), ready.data(), static_cast<int>(ready.size()), limit, nullptr);
    if (count < 0 && (errno == ENOSYS || errno == EPERM)) {
        count = wait_in_milliseconds(fd_, ready, limit);
    }
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EINTR) return std::size_t{0};
    return fail_errno("epoll_wait");
}

Result<Fd> make_bell_pipe() noexcept {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno("pipe2");
    const Fd reading{ends[0]};
    const Fd writing{ends[1]};
    std::array<char, 32> path{};
    (void)std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", reading.get());
    Fd both{::open(path.data(), O_RDWR | O_NONBLOCK | O_CLOEXEC)};
    if (both.valid()) return both;
    if (errno == ENOENT) return fail(Errc::not_supported, "bell pipe (/proc is needed)", errno);
    return fail_errno("open /proc/self/fd");
}

void ring_pipe(const Fd& pipe) noexcept {
    const KeepErrno keep;
    const char byte = 1;
    while (::write(pipe.get(), &byte, 1) < 0 && errno == EINTR) {
    }
}

void drain_pipe(const Fd& pipe) noexcept {
    const KeepErrno keep;
    std::array<char, 4096> bytes;
    for (;;) {
        const ssize_t count = ::read(pipe.get(), bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < static_cast<ssize_t>(bytes.size())) return;
    }
}

Result<Fd> make_timer() noexcept {
    Fd timer{::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)};
    if (!timer.valid()) return fail_errno("timerfd_create");
    return timer;
}

void set_timer(const Fd& timer, Deadline when) noexcept {
    const KeepErrno keep;
    itimerspec setting{};
    if (!when.is_never()) {
        setting.it_value = to_timespec(when.since_boot());
        // Zero would mean never.
        if (setting.it_value.tv_sec == 0 && setting.it_value.tv_nsec == 0)
            setting.it_value.tv_nsec = 1;
    }
    STOA_CHECK(::timerfd_settime(timer.get(), TFD_TIMER_ABSTIME, &setting, nullptr) == 0);
}

std::uint64_t descriptor_limit() noexcept {
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

}  // namespace stoa::sys
