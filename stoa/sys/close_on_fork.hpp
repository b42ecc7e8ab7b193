// A descriptor that forked children do not keep.
//
// Start here: NoFork while it is made, then ForkFd{std::move(fd)}.
// Threads:    a ForkFd is a value, one thread at a time; fork waits while another holds a NoFork.
//             Not for signal handlers, and fork(3) in one may hang (call _Fork there).
// Processes:  a handler closes the child's copy before fork returns there; the child's copy of the
//             ForkFd then closes nothing. clone(2) and vfork(2) run no handlers: such a child keeps
//             it until it ends or calls exec.
// Death:      the kernel closes it.
// Blocking:   NoFork waits for another one's, some system calls long.
// Lifetime:   closed by the destructor; a moved-from ForkFd is not valid().
// Units:      none.
// Source:     pthread_atfork(3).
#pragma once

#include <cstdint>
#include <utility>

#include "stoa/sys/fd.hpp"

namespace stoa::sys {

// No fork(3) of this process begins while one lives: what is opened meanwhile can be registered
// before a child inherits it. Not to be nested.
class [[nodiscard]] NoFork {
public:
    NoFork() noexcept;
    NoFork(const NoFork&) = delete;
    NoFork& operator=(const NoFork&) = delete;
    ~NoFork();
};

class [[nodiscard]] ForkFd {
public:
    ForkFd() noexcept = default;
    // An ordinary descriptor, until it is registered.
    explicit ForkFd(Fd fd) noexcept : fd_{std::move(fd)} {}
    ForkFd(ForkFd&& other) noexcept
        : fd_{std::move(other.fd_)}, ticket_{std::exchange(other.ticket_, 0)} {}
    ForkFd& operator=(ForkFd&& other) noexcept;
    ForkFd(const ForkFd&) = delete;
    ForkFd& operator=(const ForkFd&) = delete;
    ~ForkFd() { close_now(); }

    [[nodiscard]] const Fd& fd() const noexcept { return fd_; }
    [[nodiscard]] bool valid() const noexcept { return fd_.valid(); }

    // From now on a forked child has no copy of it.
    void close_on_fork(const NoFork& /*held*/);

private:
    void close_now() noexcept;

    Fd fd_;
    std::uint64_t ticket_ = 0;  // 0: not registered
};

}  // namespace stoa::sys
