// Memory image of the newest value of one writer, format v1. docs/formats/latest.md holds this
// table; a test compares. It is part of other objects: it has no magic word of its own.
//
// LatestLayout, all zero: no value yet
//   offset bytes field      writer        rule
//        0     8 newest     the writer    how many values are published; the newest lies in slot
//                                         newest % 4
//        8     8 writer     anyone (CAS)  Holder of who writes; 0: nobody
//       16     4 bell       anyone        who waits for a newer value sleeps here
//       20     4 unused     -             0
//       24    32 written    the writer    of each slot: when, steady ns
//       56     8 unused_2   -             0
//       64     - slots      the writer    4 values, each in whole words of 8 bytes; the step from
//                                         one to the next is latest_step_words()
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"

namespace stoa {

inline constexpr std::uint64_t kLatestSlots = 4;

struct LatestLayout {
    alignas(kCacheLine) Atomic<std::uint64_t> newest;
    Atomic<std::uint64_t> writer;
    Atomic<std::uint32_t> bell;
    std::uint32_t unused;
    Atomic<std::uint64_t> written[kLatestSlots];
    std::uint64_t unused_2;
};
static_assert(offsetof(LatestLayout, newest) == 0 && offsetof(LatestLayout, writer) == 8);
static_assert(offsetof(LatestLayout, bell) == 16 && offsetof(LatestLayout, unused) == 20);
static_assert(offsetof(LatestLayout, written) == 24 && offsetof(LatestLayout, unused_2) == 56);
static_assert(sizeof(LatestLayout) == 64 && std::is_standard_layout_v<LatestLayout>);
static_assert(std::is_trivially_destructible_v<LatestLayout>);

[[nodiscard]] constexpr std::size_t latest_words(std::size_t value_bytes) noexcept {
    return (value_bytes + 7) / 8;
}
// No value of at most a cache line straddles two.
[[nodiscard]] constexpr std::size_t latest_step_words(std::size_t value_bytes) noexcept {
    const std::size_t words = latest_words(value_bytes);
    return words <= 8 ? std::bit_ceil(words) : (words + 7) / 8 * 8;
}

}  // namespace stoa
