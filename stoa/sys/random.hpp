// Random numbers from the kernel.
//
// Start here: random_word().
// Threads:    safe.
// Processes:  no two get the same by plan, forked ones included.
// Death:      not applicable.
// Blocking:   only before the machine has gathered its first randomness, at boot.
// Lifetime:   not applicable.
// Units:      64 bits.
// Source:     getrandom(2).
#pragma once

#include <cstdint>

#include "stoa/base/error.hpp"

namespace stoa::sys {

// Errors: not_supported: seccomp forbids it
[[nodiscard]] Result<std::uint64_t> random_word() noexcept;

}  // namespace stoa::sys
