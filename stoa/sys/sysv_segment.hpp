// SysV shared memory: segments with a key, seen by ipcs(1) and by every other program.
//
// Start here: make_segment, find_segment, attach_segment.
// Threads:    safe; nothing is kept between calls.
// Processes:  make_segment decides races for a key: one makes it, the others get `exists`.
// Death:      a segment stays until somebody removes it, whoever dies; removed it lives on until
//             the last process detaches, and no new one finds it by its key.
// Blocking:   never.
// Lifetime:   a Mapping detaches in its destructor (munmap(2) of all of it, as shmdt(2) does).
// Units:      bytes.
// Source:     shmget(2), shmop(2), shmctl(2), proc_sysvipc_shm(5).
#pragma once

#include <cstdint>
#include <vector>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/sys/mapping.hpp"

namespace stoa::sys {

// A key of nobody: the segment is found by its id alone.
inline constexpr std::int32_t kPrivateKey = 0;

struct SegmentInfo {
    std::int32_t id = 0;
    std::int32_t key = 0;
    std::uint64_t bytes = 0;     // as asked for; the mapping is whole pages
    std::uint64_t attached = 0;  // mappings of it, in all processes
    std::uint32_t creator = 0;   // process id; 0: of another pid namespace
    std::uint32_t last = 0;      // the same of who attached or detached last; 0: nobody did
    std::uint32_t user = 0;
    std::uint32_t mode = 0;
    bool removed = false;
};

// A new segment, all zero; its id. Errors: exists; limit_reached: kernel.shmmni, shmmax or shmall;
// out_of_space: no memory; denied
[[nodiscard]] Result<std::int32_t> make_segment(std::int32_t key, std::uint64_t bytes,
                                                std::uint32_t mode) noexcept;
// The id of a key. Errors: not_found, denied
[[nodiscard]] Result<std::int32_t> find_segment(std::int32_t key) noexcept;
// Errors: not_found (removed), denied, limit_reached
[[nodiscard]] Result<Mapping> attach_segment(std::int32_t id, Access access) noexcept;
// Errors: not_found, denied
[[nodiscard]] Result<SegmentInfo> segment_info(std::int32_t id) noexcept;
[[nodiscard]] Result<void> set_segment_mode(std::int32_t id, std::uint32_t mode) noexcept;
// Errors: not_found, denied
[[nodiscard]] Result<void> remove_segment(std::int32_t id) noexcept;
// Whether it belongs to the calling user.
[[nodiscard]] bool is_own(const SegmentInfo& info) noexcept;
// Looks at it until its mode lacks these bits, or its creator has left it, or the deadline passes.
// Errors: not_found, denied
[[nodiscard]] Result<SegmentInfo> await_segment(std::int32_t id, std::uint32_t mode_bits,
                                                Deadline deadline) noexcept;
// Whether its creator may still be at it. Not so if it attached it, as the last one, and is
// attached no more, or is proven to be dead. Who got its pid later counts as well.
[[nodiscard]] bool creator_may_be_at_it(const SegmentInfo& info) noexcept;
// Every one that the kernel shows. Errors: not_supported: /proc is not mounted
[[nodiscard]] Result<std::vector<SegmentInfo>> list_segments();

}  // namespace stoa::sys
