// Files without a name, for what is too big to be held in memory: nothing is ever left on the disk.
#pragma once

#include <cstdint>
#include <span>

#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"

namespace stoa::cli::farm {

// In $TMPDIR, else /tmp; memory where that file system has no unnamed files. Errors: limit_reached,
// os
[[nodiscard]] Result<sys::Fd> make_scratch();

// Errors: out_of_space, os
[[nodiscard]] Result<void> write_at(const sys::Fd& file, std::span<const std::byte> bytes,
                                    std::uint64_t offset) noexcept;
// Fills all of `room`. Errors: os
[[nodiscard]] Result<void> read_at(const sys::Fd& file, std::span<std::byte> room,
                                   std::uint64_t offset) noexcept;
// Gives the space back where the file system can do that.
void discard(const sys::Fd& file, std::uint64_t offset, std::uint64_t bytes) noexcept;

}  // namespace stoa::cli::farm
