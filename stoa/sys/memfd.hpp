// Memory that is a file without a name anywhere.
#pragma once

#include <cstdint>

#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"
#include "stoa/sys/mapping.hpp"
#include "stoa/sys/process.hpp"

namespace stoa::sys {

// An empty memfd, closed on exec, that can be sealed; `label` shows in /proc/PID/maps.
// Errors: limit_reached, os. Source: memfd_create(2).
[[nodiscard]] Result<Fd> make_memory(const char* label) noexcept;

// From now on nobody can make it longer or shorter, or add a seal. Source: fcntl(2), F_ADD_SEALS.
[[nodiscard]] Result<void> seal_size(const Fd& memory) noexcept;

// Opens the sealed memory that `owner`, a process of the same user, has open under this number,
// without its help. What is under the number now is believed only as far as the caller checks it.
// Errors: not_found: the owner is dead, or has no such memory (any more); not_supported, with the
// reason: another user's or another pid namespace's process, or one that may not be looked into;
// limit_reached. Source: proc(5), /proc/PID/fd
[[nodiscard]] Result<Fd> open_memory_of(const Identity& owner, int number, Access access) noexcept;

// Opens, for reading and writing, the pipe that `owner` has under this number, if it is the one
// of that inode. Errors: as open_memory_of
[[nodiscard]] Result<Fd> open_pipe_of(const Identity& owner, int number,
                                      std::uint64_t inode) noexcept;
// Which file a descriptor leads to, among those of its kind; 0: it is not open.
[[nodiscard]] std::uint64_t inode_of(const Fd& file) noexcept;

// A second descriptor of the same open file. Errors: limit_reached.
[[nodiscard]] Result<Fd> duplicate(const Fd& file) noexcept;
// Of a descriptor that the caller has. Errors: not_found
[[nodiscard]] Result<Fd> duplicate_number(int number) noexcept;

}  // namespace stoa::sys
