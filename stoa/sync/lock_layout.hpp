// Memory image of a lock, format v1. docs/formats/lock.md holds these tables; a test compares. It
// is part of other objects and has no magic word of its own.
//
// MutexLayout, all zero: free
//   offset bytes field      writer        rule
//        0     8 word       anyone (CAS)  LockWord
//
// LockWord
//      bit    0 waiters                   somebody sleeps on the low half
//      bit    1 inconsistent              its last holder died; what it guards is to be repaired
//      bit    2 poisoned                  it was given back without; nobody gets it any more
//      bit 8-23 index                     of the holder in the region's table, + 1; 0: free;
//                                         65535: memory of one process
//     bit 32-55 incarnation               of the holder
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/life/membership.hpp"

namespace stoa {

struct LockWord {
    static constexpr std::uint64_t kWaiters = 1;
    static constexpr std::uint64_t kInconsistent = 2;
    static constexpr std::uint64_t kPoisoned = 4;

    [[nodiscard]] static constexpr Holder holder(std::uint64_t word) noexcept {
        return word & kHolderMask;
    }
};

struct MutexLayout {
    Atomic<std::uint64_t> word;
};
static_assert(offsetof(MutexLayout, word) == 0);
static_assert(sizeof(MutexLayout) == 8 && std::is_standard_layout_v<MutexLayout>);
static_assert(std::is_trivially_destructible_v<MutexLayout>);

}  // namespace stoa
