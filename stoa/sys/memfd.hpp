// Memory that is a file without a name anywhere.
#pragma once

#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"

namespace stoa::sys {

// An empty memfd, closed on exec, that can be sealed; `label` shows in /proc/PID/maps.
// Errors: limit_reached, os. Source: memfd_create(2).
[[nodiscard]] Result<Fd> make_memory(const char* label) noexcept;

// A second descriptor of the same open file. Errors: limit_reached.
[[nodiscard]] Result<Fd> duplicate(const Fd& file) noexcept;

}  // namespace stoa::sys
