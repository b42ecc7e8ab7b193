// Mapped memory that unmaps itself.
//
// Start here: map_shared(fd, bytes, Access), map_anonymous_shared(bytes).
// Threads:    a value; the bytes follow the rules of what lies in them.
// Processes:  shared with everyone who maps the same file; addresses differ.
// Death:      the kernel unmaps.
// Blocking:   never; a page's first touch may allocate it.
// Lifetime:   the bytes are valid until the Mapping is destroyed, whatever becomes of fd or name.
// Units:      bytes; the kernel rounds the range up to whole pages.
// Source:     mmap(2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"

namespace stoa::sys {

enum class Access : std::uint8_t { read_only, read_write };

class [[nodiscard]] Mapping {
public:
    Mapping() noexcept = default;
    Mapping(Mapping&& other) noexcept;
    Mapping& operator=(Mapping&& other) noexcept;
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping();

    // Writing into a read_only mapping is SIGSEGV.
    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
    // Of a SysV segment, all of it as it was attached.
    [[nodiscard]] static Mapping of_segment(std::span<std::byte> bytes) noexcept {
        return Mapping{bytes};
    }
    [[nodiscard]] bool valid() const noexcept { return !bytes_.empty(); }

private:
    friend Result<Mapping> map_shared(const Fd& file, std::uint64_t bytes, Access access) noexcept;
    friend Result<Mapping> map_anonymous_shared(std::uint64_t bytes) noexcept;
    explicit Mapping(std::span<std::byte> bytes) noexcept : bytes_{bytes} {}

    std::span<std::byte> bytes_;
};

// Maps the file from its first byte on. `bytes` may exceed the file's present size: what lies
// behind the end is SIGBUS when touched, until the file has grown. Errors: limit_reached  no
// address space or too many mappings
//         denied         the descriptor does not allow the access
//         bad_argument   0 bytes
[[nodiscard]] Result<Mapping> map_shared(const Fd& file, std::uint64_t bytes,
                                         Access access) noexcept;

// Zeroed memory without a name, shared with processes forked from now on.
// Errors: limit_reached, bad_argument
[[nodiscard]] Result<Mapping> map_anonymous_shared(std::uint64_t bytes) noexcept;

// What is written in it is on the disk. Errors: those of msync(2)
[[nodiscard]] Result<void> flush(std::span<std::byte> memory) noexcept;
// Makes every page that is backed present. Errors: not_supported, limit_reached
[[nodiscard]] Result<void> populate(std::span<std::byte> memory) noexcept;
// Errors: not_supported
[[nodiscard]] Result<void> want_huge_pages(std::span<std::byte> memory) noexcept;

}  // namespace stoa::sys
