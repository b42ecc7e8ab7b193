// How big a pool ring is: from what a user asks to the sizes and offsets of its memory.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "stoa/base/error.hpp"
#include "stoa/ring/pool_layout.hpp"

namespace stoa {

struct PoolDemand {
    std::uint32_t capacity = 1024;          // messages
    std::uint32_t max_bytes = 64 * 1024;    // largest message
    std::uint64_t reserve_bytes = 1 << 20;  // payload memory to share out among size classes
    std::uint32_t loans = 128;         // chunks beyond the queued ones: the sum of all loan quotas
    std::uint32_t payload_align = 16;  // 16, 32 or 64
    bool acknowledged = false;
    std::uint32_t levels = 1;             // priorities, 1 to 32
    std::uint64_t ageing_ns = 0;          // 0: a waiting message gains no priority
    std::uint32_t dead_letter_after = 0;  // deliveries without ack, at most 255; 0: never
    std::uint32_t dead_letter_quota = 0;  // so many are kept, in chunks beside all others
    std::uint32_t receipts = 64;          // how many may be open at a time, 1 to 4096
    // As many slots as chunks: who has a chunk finds a slot, and only chunks run out. The caller
    // sees to the capacity.
    bool slot_per_chunk = false;
};

struct PoolGeometry {
    std::uint32_t slot_count = 0;
    std::uint32_t chunk_count = 0;
    std::uint32_t class_count = 0;
    bool acknowledged = false;
    std::uint32_t level_count = 1;
    std::uint64_t ageing_ns = 0;
    std::uint32_t dead_letter_after = 0;
    std::uint32_t dead_letter_quota = 0;
    std::uint32_t receipt_count = 0;
    std::uint64_t hints_offset = 0;
    std::uint64_t slots_offset = 0;
    std::uint64_t total_bytes = 0;  // without the extras, in whole pages
    std::uint64_t used_bytes = 0;   // of these; what it needs where it shares its last page
    std::uint64_t extra_bytes = 0;  // notes and receipts: memory that few need, reserved at need
    std::array<PoolClass, kPoolMaxClasses> classes{};

    // When capacity + loans messages of max_bytes fit into the reserve, one class holds them all
    // and "full" always means `capacity` messages. Else the reserve is shared out among classes
    // that grow four-fold; the smallest has a chunk for each of them, if need be beyond the
    // reserve. Then "full" may also mean that no chunk is big enough. Errors:
    // bad_argument  capacity, max_bytes, alignment or reserve out of range
    [[nodiscard]] static Result<PoolGeometry> plan(const PoolDemand& demand) noexcept;

    // Reads the geometry of an existing image from a private copy and checks every number.
    // Errors: bad_layout, wrong_version
    [[nodiscard]] static Result<PoolGeometry> read(std::span<std::byte> memory) noexcept;

    [[nodiscard]] std::uint64_t payload_bytes() const noexcept;  // of all chunks together
    // Whether a message may wait in its chunk alone, in no slot, to be delivered again.
    [[nodiscard]] bool redelivers_chunks() const noexcept {
        return acknowledged || dead_letter_quota > 0;
    }
    [[nodiscard]] std::uint64_t receipt_hints_offset() const noexcept;  // in the extras
    [[nodiscard]] std::uint64_t receipts_offset() const noexcept;       // in the extras
};

}  // namespace stoa
