// PlainRegion: shared memory as other programs make it: bytes, and nothing of ours in them.
//
// Start here: PlainRegion::create, open; bytes().
// Threads:    safe, but for moving and destroying the handle.
// Processes:  any program that uses shm_open(3), shmget(2), mmap(2) of a file or a memfd. There is
//             no table of who has it, so nothing of ours that asks who somebody is works in it: no
//             lock, no object, no mailbox. Use a Region among stoa's own processes.
// Death:      a name leads to all of it or to nothing; what a dead process half wrote stays.
// Blocking:   only the file system.
// Lifetime:   detaches in its destructor; bytes() are valid until then. A file that another program
//             truncates is SIGBUS where it is missing.
// Units:      bytes.
// Source:     shm_overview(7), sysvipc(7), memfd_create(2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"
#include "stoa/sys/mapping.hpp"

namespace stoa {

struct PlainRegionOptions {
    std::string_view domain{};  // of shm:
    std::uint32_t mode = 0600;
    bool prefault = false;
    bool huge_pages = false;
};

class PlainRegion {
public:
    // All zero, all backed by memory. Addresses as of Region (stoa/shm/address.hpp).
    // Errors: bad_name, bad_argument, exists, out_of_space, limit_reached, denied, not_supported
    [[nodiscard]] static Result<PlainRegion> create(std::string_view address, std::uint64_t bytes,
                                                    const PlainRegionOptions& options = {});
    // Errors: bad_name, not_found, denied, bad_layout (nothing is in it)
    [[nodiscard]] static Result<PlainRegion> open(std::string_view address,
                                                  sys::Access access = sys::Access::read_write,
                                                  std::string_view domain = {});
    // Errors: both; wrong_size: it is there and smaller
    [[nodiscard]] static Result<PlainRegion> open_or_create(std::string_view address,
                                                            std::uint64_t bytes,
                                                            const PlainRegionOptions& options = {});
    // Takes the name away; whoever has it keeps it. Errors: not_found, denied, not_supported
    static Result<void> destroy(std::string_view address, std::string_view domain = {});

    // Writing into what was opened read-only is SIGSEGV.
    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return mapping_.bytes(); }
    // What was written into file: is on the disk when it returns.
    Result<void> flush() { return sys::flush(mapping_.bytes()); }
    // For passing it on; -1: a SysV segment.
    [[nodiscard]] int descriptor() const noexcept { return file_.valid() ? file_.get() : -1; }
    // The id that ipcs shows; -1: not sysv:.
    [[nodiscard]] std::int32_t segment() const noexcept { return segment_; }

private:
    PlainRegion(sys::Fd file, sys::Mapping mapping, std::int32_t segment) noexcept
        : file_{std::move(file)}, mapping_{std::move(mapping)}, segment_{segment} {}
    static Result<PlainRegion> attach(sys::Fd file, sys::Access access);
    static Result<PlainRegion> attach_segment(std::int32_t id, sys::Access access);

    sys::Fd file_;
    sys::Mapping mapping_;
    std::int32_t segment_;
};

}  // namespace stoa
