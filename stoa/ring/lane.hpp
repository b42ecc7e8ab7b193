// Lane: a first-in first-out ring of variable-size records between one sender and one receiver.
//
// Start here: create_lane() once, then LaneSender::attach and LaneReceiver::attach.
// Threads:    each side serves one thread at a time.
// Processes:  the sides may be in different processes, mapped at different addresses.
// Death:      either side, at any instruction, leaves nothing to repair; its heir attaches.
//             create_lane: nothing until the caller publishes the memory.
// Blocking:   never; no system calls. To wait, use a mailbox or a link.
// Lifetime:   the sides borrow the mapping, which must outlive them, and free nothing.
// Units:      bytes.
// Source:     see lane_sender.hpp and lane_receiver.hpp; the bytes are in lane_layout.hpp.
//
// A record's ready word lies beside its payload, so a hand-over moves one cache line. The place
// behind the last record always holds not-ready; that is all an heir needs to find its start.
#pragma once

#include "stoa/ring/lane_layout.hpp"
#include "stoa/ring/lane_receiver.hpp"
#include "stoa/ring/lane_sender.hpp"

namespace stoa {

// Writes an empty lane into memory of at least geometry.bytes_needed(), aligned to a page.
// Errors: bad_argument  the ring cannot hold the largest record, or is no power of two in range
//         wrong_size    the memory is too small or not aligned
[[nodiscard]] Result<void> create_lane(std::span<std::byte> memory,
                                       const LaneGeometry& geometry) noexcept;

struct LaneCounts {
    std::uint64_t depth = 0;          // records that wait
    std::uint64_t payload_bytes = 0;  // of those
};

// What waits in a lane, seen from outside while both sides go on; writes nothing. Right for some
// moment of the call; a lane that moves too fast for that gives its last guess. What lies at `end`
// and behind it does not count.
// Errors: bad_layout, wrong_version, corrupt
[[nodiscard]] Result<LaneCounts> count_lane(std::span<std::byte> memory,
                                            std::uint64_t end = UINT64_MAX) noexcept;

// Copies the record that waits `skip` places behind the next one, as far as it fits; its whole
// length. Its receiver may take it meanwhile. Errors: empty, bad_layout, wrong_version, corrupt
[[nodiscard]] Result<std::uint64_t> peek_lane(std::span<std::byte> memory, std::uint64_t skip,
                                              std::span<std::byte> to,
                                              std::uint64_t end = UINT64_MAX) noexcept;

}  // namespace stoa
