// Where errno ends: one table from the operating system's numbers to Errc.
#pragma once

#include <cerrno>

#include "stoa/base/error.hpp"

namespace stoa::sys {

// Restores errno at the end of a scope: for calls that are allowed in signal handlers, and for
// clean-up on the way out with an error.
class KeepErrno {
public:
    KeepErrno() noexcept = default;
    KeepErrno(const KeepErrno&) = delete;
    KeepErrno& operator=(const KeepErrno&) = delete;
    ~KeepErrno() { errno = saved_; }

private:
    int saved_ = errno;
};

// `step` is a string literal naming the call that failed. Signal-safe.
[[nodiscard]] Error error_from_errno(int os_errno, const char* step) noexcept;

// The same as a failed Result: `return fail_errno("openat");` reads errno itself.
[[nodiscard]] std::unexpected<Error> fail_errno(const char* step) noexcept;

}  // namespace stoa::sys
