// A file descriptor that closes itself.
//
// Start here: Fd; get() lends the number, release() gives it away.
// Threads:    a value; one thread at a time.
// Processes:  the number means nothing elsewhere; a forked child owns a copy of its own.
// Death:      the kernel closes it.
// Blocking:   never, except where close(2) of a remote file does.
// Lifetime:   closed by the destructor; a moved-from Fd is not valid().
// Units:      none.
// Source:     close(2): never retried, on Linux the number is free even after EINTR.
#pragma once

#include <unistd.h>

#include <utility>

#include "stoa/sys/errno.hpp"

namespace stoa::sys {

class [[nodiscard]] Fd {
public:
    Fd() noexcept = default;
    explicit Fd(int number) noexcept : number_{number} {}
    Fd(Fd&& other) noexcept : number_{other.release()} {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            close_now();
            number_ = other.release();
        }
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { close_now(); }

    [[nodiscard]] int get() const noexcept { return number_; }
    [[nodiscard]] bool valid() const noexcept { return number_ >= 0; }
    // The caller closes it.
    [[nodiscard]] int release() noexcept { return std::exchange(number_, -1); }

private:
    void close_now() noexcept {
        if (number_ < 0) return;
        const KeepErrno keep;  // an earlier error may still have to be reported
        (void)::close(number_);
    }

    int number_ = -1;
};

}  // namespace stoa::sys
