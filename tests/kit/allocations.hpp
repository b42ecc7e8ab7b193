// The largest piece of memory that operator new gave since it was last asked.
//
// Start here: forget_allocations(), then what is tested, then largest_allocation().
// Threads:    each knows its own.
// Processes:  each knows its own.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   a program that uses this has another operator new: malloc, and a note.
// Units:      bytes.
// Source:     replacement functions, ISO C++23 17.6.3.
#pragma once

#include <cstddef>

namespace stoa::kit {

void forget_allocations() noexcept;
[[nodiscard]] std::size_t largest_allocation() noexcept;

}  // namespace stoa::kit
