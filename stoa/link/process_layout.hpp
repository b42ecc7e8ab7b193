// Memory image of a process name, the content of its region, format v1. docs/formats/process.md
// holds these tables; a test compares.
//
// ProcessLayout
//   offset bytes field       writer        rule
//        0     8 magic       creator       set before the name is published
//        8     4 version     creator       readers refuse a version they do not know
//       12     4 knock_count creator       1024
//       16     8 salt        creator       random; makes a join id of an owner
//       64     8 owner       anyone (CAS)  who has the name: a Holder; 0: nobody; all ones: the
//                                          name is being removed, and its region with it
//       72     4 bell        anyone        on which the owner sleeps
//       76     4 knocked     anyone (add)  knocks so far
//       80     4 owners      anyone        bell of those who wait for a change of the owner
//       84     4 unused      -             0
//       88     8 turn        its owner     of the cards, the newest is card[turn % 2]
//      128  4096 card        its owner     two of ProcessCard
//     4224  8192 knock       anyone (CAS)  join ids of peers that made a link; 0: free
//
// ProcessCard, what an owner tells of itself
//        0     8 join_id     its owner     of which owner it is; of another one: it tells nothing
//        8     8 joined_ns   its owner     wall clock; display
//       16     8 bytes       its owner     of the text, at most 2024
//       24  2024 text        its owner     attributes: key, zero, value, zero; 253 words
//
// owner: nobody's or a dead one's -CAS by a joiner-> its own -CAS by itself-> nobody's;
//        nobody's or a dead one's -CAS by anyone-> REMOVED, for good
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"
#include "stoa/life/participants_layout.hpp"

namespace stoa {

inline constexpr std::uint64_t kProcessMagic = magic_of("STOAPRO1");
inline constexpr std::uint32_t kProcessVersion = 1;
inline constexpr std::uint32_t kKnockCount = 1024;
inline constexpr std::uint32_t kCardWords = 253;
inline constexpr Holder kNameRemoved = ~Holder{0};

struct ProcessCard {
    Atomic<std::uint64_t> join_id;
    Atomic<std::uint64_t> joined_ns;
    Atomic<std::uint64_t> bytes;
    Atomic<std::uint64_t> text[kCardWords];
};
static_assert(offsetof(ProcessCard, join_id) == 0 && offsetof(ProcessCard, joined_ns) == 8);
static_assert(offsetof(ProcessCard, bytes) == 16 && offsetof(ProcessCard, text) == 24);
static_assert(sizeof(ProcessCard) == 2048 && std::is_standard_layout_v<ProcessCard>);

struct ProcessLayout {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t knock_count;
    std::uint64_t salt;
    alignas(kCacheLine) Atomic<std::uint64_t> owner;
    Atomic<std::uint32_t> bell;
    Atomic<std::uint32_t> knocked;
    Atomic<std::uint32_t> owners;
    std::uint32_t unused;
    Atomic<std::uint64_t> turn;
    alignas(kCacheLine) ProcessCard card[2];
    Atomic<std::uint64_t> knock[kKnockCount];
};
static_assert(offsetof(ProcessLayout, magic) == 0 && offsetof(ProcessLayout, version) == 8);
static_assert(offsetof(ProcessLayout, knock_count) == 12 && offsetof(ProcessLayout, salt) == 16);
static_assert(offsetof(ProcessLayout, owner) == 64 && offsetof(ProcessLayout, bell) == 72);
static_assert(offsetof(ProcessLayout, knocked) == 76 && offsetof(ProcessLayout, owners) == 80);
static_assert(offsetof(ProcessLayout, unused) == 84 && offsetof(ProcessLayout, turn) == 88);
static_assert(offsetof(ProcessLayout, card) == 128 && offsetof(ProcessLayout, knock) == 4224);
static_assert(sizeof(ProcessLayout) == 12416 && std::is_standard_layout_v<ProcessLayout>);

// Who joined, for good: no other join anywhere has the same number. Never 0. It is a function of
// the owner word, so that taking a name is one CAS.
[[nodiscard]] constexpr std::uint64_t join_id_of(std::uint64_t salt, Holder owner) noexcept {
    std::uint64_t x = salt + (owner & kHolderMask) * 0x9e3779b97f4a7c15ULL;  // splitmix64
    x = (x ^ x >> 30U) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27U) * 0x94d049bb133111ebULL;
    x ^= x >> 31U;
    return x != 0 ? x : 1;
}

}  // namespace stoa
