// Memory image of a blackboard's keys, format v1. docs/formats/blackboard.md holds this table; a
// test compares. It is part of other objects: it has no magic word of its own.
//
// A Blackboard<T, n> is n BlackboardKeys, then an index of 2 * bit_ceil(n) words of 4 bytes, then n
// Latest<T> (docs/formats/latest.md): cell i belongs to key i. All zero: no keys.
//
// An index word is 0, or number of a key + 1; it never changes again. A key is there when, and only
// when, an index word says so. It is looked for from the word hash & (words - 1) on, FNV-1a of its
// text without the zeros, its halves XORed, up to the first 0.
//
// BlackboardKey
//   offset bytes field      writer        rule
//        0     8 word       anyone (CAS)  KeyWord
//        8    56 text       its holder    zero-filled; complete before an index word names it
//
// KeyWord
//      bit 0-12 index                     of the place of who is adding the key, + 1; 8191:
//                                         memory of one process; 0: free
//      bit   31 named                     an index word names it; a hint, it follows that
//     bit 32-55 incarnation               of the place
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"

namespace stoa {

inline constexpr std::size_t kKeyBytes = 55;  // of a text

struct KeyWord {
    static constexpr std::uint64_t kNamed = std::uint64_t{1} << 31U;
};

struct BlackboardKey {
    alignas(kCacheLine) Atomic<std::uint64_t> word;
    char text[kKeyBytes + 1];
};
static_assert(offsetof(BlackboardKey, word) == 0 && offsetof(BlackboardKey, text) == 8);
static_assert(sizeof(BlackboardKey) == 64 && std::is_standard_layout_v<BlackboardKey>);
static_assert(std::is_trivially_destructible_v<BlackboardKey>);

[[nodiscard]] constexpr std::uint32_t blackboard_index_words(std::uint32_t keys) noexcept {
    return 2 * std::bit_ceil(keys);
}

}  // namespace stoa
