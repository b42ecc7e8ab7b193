// What the words of a ring say about the messages in it, read while nobody writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>

#include "stoa/ring/lane_layout.hpp"
#include "stoa/ring/pool_geometry.hpp"

namespace stoa::crash {

// Messages that somebody must get, by their numbers (ledger.hpp).
struct WaitingMessages {
    std::set<std::uint64_t> numbers;
    std::set<std::uint64_t> delivered_before;  // of these: leased, so a delivery is to be counted
    std::set<std::uint64_t> letters;           // dead ones, which are among `numbers` as well
};

// In a slot of any priority, a dead letter, marked for redelivery, or (acknowledged) leased.
[[nodiscard]] WaitingMessages waiting_in_pool(std::span<std::byte> memory,
                                              const PoolGeometry& geometry);

// Published behind `delivered`.
// What lies at `end` and behind it does not count.
[[nodiscard]] WaitingMessages waiting_in_lane(std::span<std::byte> memory,
                                              std::uint64_t end = UINT64_MAX);

}  // namespace stoa::crash
