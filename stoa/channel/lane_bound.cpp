#include "stoa/channel/lane_bound.hpp"

#include <algorithm>

namespace stoa {

LaneBound::LaneBound(std::span<std::byte> memory, const LaneSender& sender, std::uint32_t capacity)
    : memory_{memory},
      binds_{capacity < sender.geometry().ring_bytes / kLaneHeadBytes},
      capacity_{capacity},
      free_{binds_ ? capacity : UINT64_MAX},
      ends_(binds_ ? capacity : 0),
      inherited_end_{sender.position()} {
    if (!binds_) return;
    const Result<LaneCounts> left = count_lane(memory);
    inherited_ = left ? left->depth : 0;
    free_ = capacity_ - std::min(inherited_, capacity_);
}

std::uint64_t LaneBound::count_again(const LaneSender& sender, std::uint64_t wanted) noexcept {
    const std::uint64_t delivered = sender.delivered();
    delivered_seen_ = delivered;
    std::uint64_t used = capacity_ - std::min(free_ + inherited_, capacity_);
    while (used > 0) {
        const std::uint64_t oldest = next_ >= used ? next_ - used : next_ + capacity_ - used;
        if (ends_[oldest] > delivered) break;
        --used;
    }
    if (inherited_ > 0) {  // all that waits, less our own, which a delivery cannot have overtaken
        const Result<LaneCounts> left = count_lane(memory_);
        const std::uint64_t depth = left ? left->depth : inherited_ + used;
        inherited_ = delivered >= inherited_end_ ? 0 : depth - std::min(depth, used);
    }
    free_ = capacity_ - std::min(used + inherited_, capacity_);
    return std::min(wanted, free_);
}

void LaneBound::sent_all(std::uint64_t from, std::uint64_t count, std::uint64_t bytes,
                         std::uint64_t ring_bytes) noexcept {
    if (!binds_) return;
    for (std::uint64_t i = 0; i < count; ++i) {
        while (const std::uint64_t pad = lane_pad(from & (ring_bytes - 1), bytes, 16, ring_bytes)) {
            from += pad;
        }
        from += lane_stride(bytes);
        sent(from);
    }
}

}  // namespace stoa
