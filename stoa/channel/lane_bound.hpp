// How many messages of one lane wait: what makes `bounded(n)` exact where a lane carries it.
//
// A lane knows bytes, not messages. Its sender remembers, privately, where each of its last n
// records ended; those behind `delivered` wait no more. An heir counts what its predecessor left.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stoa/ring/lane.hpp"

namespace stoa {

class LaneBound {
public:
    // `memory`: the lane's. A bound that the ring can never reach costs nothing.
    LaneBound(std::span<std::byte> memory, const LaneSender& sender, std::uint32_t capacity);

    // How many more may be sent now, at most `wanted`.
    [[nodiscard]] std::uint64_t free_places(const LaneSender& sender,
                                            std::uint64_t wanted) noexcept {
        return wanted <= free_ ? wanted : count_again(sender, wanted);
    }
    // What was delivered when free_places() last found none.
    [[nodiscard]] std::uint64_t delivered_seen() const noexcept { return delivered_seen_; }
    // A record was published and ends at `end`.
    void sent(std::uint64_t end) noexcept {
        if (!binds_) return;
        ends_[next_] = end;
        if (++next_ == capacity_) next_ = 0;
        --free_;
    }
    // `count` records of `bytes` each were published from `from` on.
    void sent_all(std::uint64_t from, std::uint64_t count, std::uint64_t bytes,
                  std::uint64_t ring_bytes) noexcept;

private:
    [[nodiscard]] std::uint64_t count_again(const LaneSender& sender,
                                            std::uint64_t wanted) noexcept;

    std::span<std::byte> memory_;
    bool binds_;
    std::uint64_t capacity_;
    std::uint64_t free_;  // places, as far as we know; without end when it does not bind
    std::vector<std::uint64_t> ends_;  // a ring: the last of them wait, oldest first
    std::uint64_t next_ = 0;
    std::uint64_t inherited_ = 0;  // the predecessor's records that wait
    std::uint64_t inherited_end_;
    std::uint64_t delivered_seen_ = 0;
};

}  // namespace stoa
