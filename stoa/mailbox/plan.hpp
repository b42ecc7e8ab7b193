// From a user's options to the sizes and offsets of a mailbox, and back from an existing image.
#pragma once

#include <span>
#include <string>

#include "stoa/base/error.hpp"
#include "stoa/base/type_info.hpp"
#include "stoa/mailbox/mailbox_layout.hpp"
#include "stoa/mailbox/options.hpp"
#include "stoa/ring/lane_layout.hpp"
#include "stoa/ring/log_layout.hpp"
#include "stoa/ring/pool_geometry.hpp"

namespace stoa {

// The constant facts of one mailbox: a checked, private copy of its layout.
struct MailboxPlan {
    Sharing sharing = Sharing::any;
    Capacity capacity;
    bool acknowledged = false;
    Overflow overflow = Overflow::block;
    std::uint32_t priorities = 1;
    std::uint64_t ageing_ns = 0;
    std::uint64_t time_to_live_ns = 0;
    bool receipts = false;
    std::uint32_t dead_letter_after = 0;
    std::uint32_t dead_letter_quota = 0;
    bool keep_expired = false;
    bool one_way = false;
    bool by_turns = false;
    std::uint32_t max_bytes = 0;
    std::uint32_t loan_quota = 0;
    std::uint64_t reserve_bytes = 0;
    std::uint64_t fingerprint = 0;
    std::uint32_t type_size = 0;
    std::uint32_t type_alignment = 16;
    std::string type_text;
    std::uint64_t created_ns = 0;
    // Derived:
    std::uint32_t station_count = 1;
    std::uint32_t pool_count = 0;  // a ring per station, or none: lanes carry it
    std::uint32_t lane_count = 0;
    std::uint64_t keys_offset = 0;    // key_affine only
    std::uint32_t segment_count = 0;  // unbounded only, with the next two
    std::uint64_t used_offset = 0;
    std::uint64_t segments_offset = 0;
    std::uint64_t pools_offset = 0;
    std::uint64_t pool_stride = 0;
    std::uint64_t extras_offset = 0;
    std::uint64_t lanes_offset = 0;
    std::uint64_t lane_stride = 0;
    PoolGeometry pool;                 // when pool_count > 0
    LaneGeometry lane;                 // when lane_count > 0 and not logged()
    LogGeometry log;                   // when logged()
    std::uint64_t content_bytes = 0;   // address space
    std::uint64_t reserved_bytes = 0;  // backed by memory when it is created

    // Errors: bad_argument, with the option that is out of range as its step
    [[nodiscard]] static Result<MailboxPlan> make(const MailboxOptions& options,
                                                  const TypeInfo& type);
    // Errors: bad_layout, wrong_version
    [[nodiscard]] static Result<MailboxPlan> read(std::span<std::byte> content);

    // Writes ring `i` into zeroed memory that is backed, with its extras where they are needed from
    // the start. Several may be at it: all write the same.
    Result<void> write_ring(std::span<std::byte> content, std::uint32_t i) const;

    // Writes the image into zeroed memory whose first reserved_bytes are backed.
    Result<void> write(std::span<std::byte> content) const;

    // A log of each sender carries it: then lane_count and lane_stride are those of the logs.
    [[nodiscard]] bool logged() const noexcept {
        return sharing == Sharing::broadcast && lane_count > 0;
    }
    [[nodiscard]] bool keeps_letters() const noexcept {
        return keep_expired || dead_letter_after > 0;
    }
    [[nodiscard]] bool is_bytes() const noexcept { return type_size == 0; }
    [[nodiscard]] bool grows() const noexcept { return segment_count > 0; }
    // The memory of one segment of an unbounded mailbox.
    [[nodiscard]] std::uint64_t segment_bytes() const noexcept {
        return pool.total_bytes + (extras_at_once() ? pool.extra_bytes : 0);
    }
    // Each receiver has a queue of its own, and a sender chooses among them.
    [[nodiscard]] bool routed() const noexcept { return sharing >= Sharing::round_robin; }
    // Copies go to all subscribers or to none: what is claimed must find a slot.
    [[nodiscard]] bool slot_per_chunk() const noexcept { return sharing == Sharing::broadcast; }
    // Notes and receipts are needed from the start, so their memory is taken at once.
    [[nodiscard]] bool extras_at_once() const noexcept;
    [[nodiscard]] std::uint64_t pool_offset(std::uint32_t i) const noexcept {
        return pools_offset + i * pool_stride;
    }
    [[nodiscard]] std::span<std::byte> pool_of(std::span<std::byte> content,
                                               std::uint32_t i) const noexcept {
        return content.subspan(pool_offset(i), pool.total_bytes);
    }
    [[nodiscard]] std::span<std::byte> extras_of(std::span<std::byte> content,
                                                 std::uint32_t i) const noexcept {
        return content.subspan(extras_offset + i * pool.extra_bytes, pool.extra_bytes);
    }
    [[nodiscard]] std::uint64_t door_offset(std::uint32_t i) const noexcept {
        return stoa::door_offset(station_count, i);
    }

private:
    Result<void> write_pools(std::span<std::byte> content) const;
    Result<void> write_lanes(std::span<std::byte> content, MailboxLayout& layout) const;
};

}  // namespace stoa
