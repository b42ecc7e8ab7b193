// One wait for many descriptors; a pipe of one descriptor, for ringing; a clock as a descriptor.
//
// Start here: Epoll::create, add, wait; make_bell_pipe(); make_timer(), set_timer().
// Threads:    safe, as the kernel's objects are.
// Processes:  a forked child shares the objects behind the descriptors: it must not use them.
// Death:      the kernel closes them.
// Blocking:   Epoll::wait, until its deadline. All others never: a bell pipe is nonblocking.
// Lifetime:   a descriptor that is closed everywhere leaves an Epoll by itself.
// Units:      a timer is set to nanoseconds of CLOCK_MONOTONIC.
// Source:     epoll(7), pipe(7), timerfd_create(2).
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <span>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"

namespace stoa::sys {

class Epoll {
public:
    // Errors: limit_reached
    [[nodiscard]] static Result<Epoll> create() noexcept;

    // Level-triggered. Errors: exists; not_supported: a file of a disk or a folder (it is always
    // ready); bad_argument: no open descriptor, or an epoll inside itself or nested too deep;
    // limit_reached: fs.epoll.max_user_watches
    Result<void> add(int descriptor, std::uint32_t events, std::uint64_t data) const noexcept;
    // Errors: not_found: it is not in it (any more), bad_argument
    Result<void> modify(int descriptor, std::uint32_t events, std::uint64_t data) const noexcept;
    // Nothing when it is not in it.
    void remove(int descriptor) const noexcept;

    // How many of `ready` are filled: 0 when the deadline passed or a signal came.
    [[nodiscard]] Result<std::size_t> wait(std::span<epoll_event> ready,
                                           Deadline deadline) const noexcept;

    [[nodiscard]] const Fd& fd() const noexcept { return fd_; }

private:
    explicit Epoll(Fd fd) noexcept : fd_{std::move(fd)} {}

    Fd fd_;
};

// A pipe held by one descriptor, open for both reading and writing: readable while it holds a byte.
// Errors: limit_reached; not_supported: /proc is not mounted
[[nodiscard]] Result<Fd> make_bell_pipe() noexcept;
// One byte; nothing when it is full: then it is readable anyway.
void ring_pipe(const Fd& pipe) noexcept;
// Takes all bytes out.
void drain_pipe(const Fd& pipe) noexcept;

// Readable from the time it is set to. Errors: limit_reached
[[nodiscard]] Result<Fd> make_timer() noexcept;
// Never: it is not readable any more.
void set_timer(const Fd& timer, Deadline when) noexcept;

// How many descriptors this process may have open.
[[nodiscard]] std::uint64_t descriptor_limit() noexcept;

}  // namespace stoa::sys
