// Memory images of a barrier and a latch, format v1. docs/formats/gathering.md holds these tables;
// a test compares. They are part of other objects: each has no magic word of its own.
//
// GatheringLayout, all zero: phase 0, nobody is expected. Its places follow, a MemberWord each
//   offset bytes field      writer        rule
//        0     8 word       anyone (CAS)  GatheringWord
//        8     4 bell       anyone        who waits for the end of the phase sleeps here
//       12     4 unused     -             0
//
// CountLatchLayout, all zero: open
//        0     4 left       anyone (CAS)  how often it must still be counted down
//        4     4 bell       anyone        who waits sleeps here
//
// GatheringWord
//      bit  0-31 phase                    how many phases are over
//      bit 32-47 gone                     at the end of the last one: places of the dead
//      bit 48-63 expected                 how many places count; only grows
//
// MemberWord; 0: nobody has come yet
//      bit  0-12 index                    of the member in the region's table, + 1
//      bit 13-31 arrived                  the phase after the one it arrived in last, modulo 2^19
//      bit 32-55 incarnation              of the member
//      bit    56 dropped                  nobody's any more, by its own will
//      bit    57 gone                     nobody's any more: its member died or left the region
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/life/membership.hpp"

namespace stoa {

struct GatheringWord {
    std::uint32_t phase = 0;
    std::uint32_t gone = 0;
    std::uint32_t expected = 0;
};
[[nodiscard]] constexpr std::uint64_t pack(const GatheringWord& w) noexcept {
    return w.phase | std::uint64_t{w.gone & 0xffffU} << 32U | std::uint64_t{w.expected} << 48U;
}
[[nodiscard]] constexpr GatheringWord unpack_gathering(std::uint64_t word) noexcept {
    return {.phase = static_cast<std::uint32_t>(word),
            .gone = static_cast<std::uint32_t>(word >> 32U) & 0xffffU,
            .expected = static_cast<std::uint32_t>(word >> 48U)};
}

struct MemberWord {
    static constexpr std::uint64_t kDropped = std::uint64_t{1} << 56U;
    static constexpr std::uint64_t kGone = std::uint64_t{1} << 57U;
    static constexpr std::uint32_t kPhaseMask = 0x7ffff;

    // Of one that has yet to arrive in `phase`.
    [[nodiscard]] static constexpr std::uint64_t of(Holder holder, std::uint32_t phase) noexcept {
        return holder | std::uint64_t{phase & kPhaseMask} << 13U;
    }
    [[nodiscard]] static constexpr std::uint64_t arrived(Holder holder,
                                                         std::uint32_t phase) noexcept {
        return of(holder, phase + 1);
    }
    [[nodiscard]] static constexpr bool has_arrived(std::uint64_t word,
                                                    std::uint32_t phase) noexcept {
        return (static_cast<std::uint32_t>(word) >> 13U) == ((phase + 1) & kPhaseMask);
    }
    [[nodiscard]] static constexpr bool is_nobodys(std::uint64_t word) noexcept {
        return (word & (kDropped | kGone)) != 0;
    }
};

struct GatheringLayout {
    Atomic<std::uint64_t> word;
    Atomic<std::uint32_t> bell;
    std::uint32_t unused;
};
static_assert(offsetof(GatheringLayout, word) == 0 && offsetof(GatheringLayout, bell) == 8);
static_assert(offsetof(GatheringLayout, unused) == 12 && sizeof(GatheringLayout) == 16);
static_assert(std::is_standard_layout_v<GatheringLayout>);

struct CountLatchLayout {
    Atomic<std::uint32_t> left;
    Atomic<std::uint32_t> bell;
};
static_assert(offsetof(CountLatchLayout, left) == 0 && offsetof(CountLatchLayout, bell) == 4);
static_assert(sizeof(CountLatchLayout) == 8 && std::is_standard_layout_v<CountLatchLayout>);

}  // namespace stoa
