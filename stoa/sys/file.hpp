// Files of a folder that is ours alone, or our group's: made without a name, published last.
//
// Start here: create_folder, make_unnamed, reserve, publish; open_existing.
// Threads:    safe; nothing is kept between calls.
// Processes:  publish decides races: exactly one caller gets a name, the others `exists`.
// Death:      a file without a name vanishes with its last descriptor: a death before publish
//             leaves nothing, a death after it leaves the complete file.
// Blocking:   as long as the file system takes; never for a peer (a fifo is refused, not awaited).
// Lifetime:   an Fd returned here belongs to the caller.
// Units:      bytes.
// Source:     open(2) on O_TMPFILE, linkat(2), fallocate(2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"
#include "stoa/sys/mapping.hpp"

namespace stoa::sys {

// A folder that is private (0700, ours) or shared (2770 of a group of ours, whoever owns it). What
// lies in a shared one belongs to its group, mode 0660. Errors of rights name who has them.
// Errors: not_found; unsafe_folder: any other folder, or none, or a symbolic link; denied;
// limit_reached
[[nodiscard]] Result<Fd> open_folder(const char* path) noexcept;

// Any folder, whoever it belongs to. Errors: not_found, denied, limit_reached
[[nodiscard]] Result<Fd> open_any_folder(const char* path) noexcept;

// Makes the folder (mode 0700) unless it is there, then open_folder. Parents must exist.
[[nodiscard]] Result<Fd> create_folder(const char* path) noexcept;

// The same, refusing one that is there. Errors: exists
[[nodiscard]] Result<Fd> create_private_folder(const char* path) noexcept;

// Makes a folder that a group shares. Errors: exists; not_found: its parent; denied: also when the
// caller is no member of the group
[[nodiscard]] Result<Fd> create_shared_folder(const char* path, std::uint32_t group) noexcept;

// A new file in no folder, open for reading and writing; `mode` is exact, the umask is not applied.
// In a shared folder the group may read and write it.
// Errors: not_supported: this file system has no O_TMPFILE; denied; limit_reached; out_of_space
[[nodiscard]] Result<Fd> make_unnamed(const Fd& folder, std::uint32_t mode) noexcept;

// Allocates the range, so that touching it can never be SIGBUS, and grows the file to its end.
// Errors: out_of_space (what was allocated before the failure stays); limit_reached: RLIMIT_FSIZE;
// not_supported
[[nodiscard]] Result<void> reserve(const Fd& file, std::uint64_t offset,
                                   std::uint64_t bytes) noexcept;

// Grows or shrinks without allocating. Errors: limit_reached, denied
[[nodiscard]] Result<void> set_size(const Fd& file, std::uint64_t bytes) noexcept;

// Gives whole pages back; they read as zero, and the size stays. Errors: not_supported
[[nodiscard]] Result<void> punch_hole(const Fd& file, std::uint64_t offset,
                                      std::uint64_t bytes) noexcept;

// Reads all of `to` from an offset; what lies behind the end reads as zero. Errors: of read(2)
[[nodiscard]] Result<void> read_at(const Fd& file, std::uint64_t offset,
                                   std::span<std::byte> to) noexcept;

// Gives an unnamed file its name, at once and for all to see.
// Errors: exists; bad_name; out_of_space; not_supported: /proc is not mounted; not_found: the
// folder was removed
[[nodiscard]] Result<void> publish(const Fd& file, const Fd& folder, const char* name) noexcept;

// Errors: not_found; denied: no permission, or the file is another user's (in a shared folder:
// another group's); bad_layout: a symbolic link or not a regular file; limit_reached
[[nodiscard]] Result<Fd> open_existing(const Fd& folder, const char* name, Access access) noexcept;

// Errors: not_found, denied
[[nodiscard]] Result<void> unlink(const Fd& folder, const char* name) noexcept;

// All names but "." and "..", in no order. Allocates. Errors: denied, limit_reached
[[nodiscard]] Result<std::vector<std::string>> list(const Fd& folder);

struct FileInfo {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;            // with device: which file this is, while it is open
    std::uint64_t bytes = 0;            // the size
    std::uint64_t allocated_bytes = 0;  // what it takes from the file system
    std::uint32_t owner = 0;            // user id
    std::uint32_t group = 0;            // group id
    std::uint32_t mode = 0;             // permission bits
    std::uint32_t links = 0;            // 0: it has no name (any more)
};
[[nodiscard]] Result<FileInfo> info(const Fd& file) noexcept;
[[nodiscard]] constexpr bool is_shared_folder(std::uint32_t mode) noexcept {
    return (mode & 07777U) == 02770U;
}

}  // namespace stoa::sys
