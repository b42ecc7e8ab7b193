// From a user's options to the sizes and offsets of a mailbox, and back from an existing image.
#pragma once

#include <span>
#include <string>

#include "stoa/base/error.hpp"
#include "stoa/channel/type_info.hpp"
#include "stoa/mailbox/mailbox_layout.hpp"
#include "stoa/mailbox/options.hpp"
#include "stoa/ring/lane_layout.hpp"
#include "stoa/ring/pool_geometry.hpp"

namespace stoa {

// The constant facts of one mailbox: a checked, private copy of its layout.
struct MailboxPlan {
    Sharing sharing = Sharing::any;
    bool acknowledged = false;
    std::uint32_t capacity = 0;
    std::uint32_t max_bytes = 0;
    std::uint32_t loan_quota = 0;
    std::uint64_t reserve_bytes = 0;
    std::uint64_t fingerprint = 0;
    std::uint32_t type_size = 0;
    std::uint32_t type_alignment = 16;
    std::string type_text;
    std::uint32_t pool_count = 0;
    std::uint32_t lane_count = 0;
    std::uint64_t pool_offset[2]{};
    std::uint64_t lanes_offset = 0;
    std::uint64_t lane_stride = 0;
    std::uint64_t created_ns = 0;
    PoolGeometry pool;                 // when pool_count > 0
    LaneGeometry lane;                 // when lane_count > 0
    std::uint64_t content_bytes = 0;   // address space
    std::uint64_t reserved_bytes = 0;  // backed by memory when it is created

    // Errors: bad_argument, with the option that is out of range as its step
    [[nodiscard]] static Result<MailboxPlan> make(const MailboxOptions& options,
                                                  const TypeInfo& type);
    // Errors: bad_layout, wrong_version
    [[nodiscard]] static Result<MailboxPlan> read(std::span<std::byte> content);

    // Writes the image into zeroed memory whose first reserved_bytes are backed.
    Result<void> write(std::span<std::byte> content) const;
};

}  // namespace stoa
