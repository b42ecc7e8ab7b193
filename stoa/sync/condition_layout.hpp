// Memory image of a condition, format v1. docs/formats/condition.md holds these tables; a test
// compares. It is part of other objects: it has no magic word of its own.
//
// ConditionLayout, all zero: nobody waits
//   offset bytes field      writer        rule
//        0     8 word       anyone (CAS)  ConditionWord
//
// ConditionWord
//      bit    0 asleep                    somebody may sleep on the low half
//      bit    1 any                       granted is not 0
//     bit  2-31 turn                      the ticket of who comes while nothing is granted; modulo
//                                         2^30
//     bit 32-41 joined                    how many turns before this one wait with it; earlier ones
//                                         were let go
//     bit 42-50 waiting                   how many of them are promised nothing; 511: or more
//     bit 51-56 granted                   notifications of one that none of them took yet
//     bit 57-63 late                      how many came since the first of these was granted: their
//                                         ticket is the next turn; 127: or more
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"

namespace stoa {

struct ConditionWord {
    static constexpr std::uint64_t kAsleep = 1;
    static constexpr std::uint32_t kTurnMask = 0x3fffffff;
    static constexpr std::uint32_t kMostJoined = 0x3ff;
    static constexpr std::uint32_t kMostWaiting = 0x1ff;
    static constexpr std::uint32_t kMostGranted = 0x3f;
    static constexpr std::uint32_t kMostLate = 0x7f;
    static constexpr std::uint64_t kUnpromisedMask =  // of waiting and late
        std::uint64_t{kMostWaiting} << 42U | std::uint64_t{kMostLate} << 57U;

    bool asleep = false;
    std::uint32_t turn = 0;
    std::uint32_t joined = 0;
    std::uint32_t waiting = 0;
    std::uint32_t granted = 0;
    std::uint32_t late = 0;

    [[nodiscard]] bool has_nobody() const noexcept { return (waiting | granted | late) == 0; }
};

[[nodiscard]] constexpr std::uint64_t pack(const ConditionWord& w) noexcept {
    const std::uint32_t low = (w.asleep ? 1U : 0U) | (w.granted != 0 ? 2U : 0U) | w.turn << 2U;
    return low | std::uint64_t{w.joined} << 32U | std::uint64_t{w.waiting} << 42U |
           std::uint64_t{w.granted} << 51U | std::uint64_t{w.late} << 57U;
}
[[nodiscard]] constexpr ConditionWord unpack_condition(std::uint64_t word) noexcept {
    const auto high = static_cast<std::uint32_t>(word >> 32U);
    return {.asleep = (word & ConditionWord::kAsleep) != 0,
            .turn = static_cast<std::uint32_t>(word) >> 2U,
            .joined = high & ConditionWord::kMostJoined,
            .waiting = high >> 10U & ConditionWord::kMostWaiting,
            .granted = high >> 19U & ConditionWord::kMostGranted,
            .late = high >> 25U};
}

struct ConditionLayout {
    Atomic<std::uint64_t> word;
};
static_assert(offsetof(ConditionLayout, word) == 0);
static_assert(sizeof(ConditionLayout) == 8 && std::is_standard_layout_v<ConditionLayout>);
static_assert(std::is_trivially_destructible_v<ConditionLayout>);

}  // namespace stoa
