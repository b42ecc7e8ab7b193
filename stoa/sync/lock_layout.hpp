// Memory images of locks, format v1. docs/formats/lock.md holds these tables; a test compares. They
// are part of other objects: each has no magic word of its own.
//
// MutexLayout, all zero: free
//   offset bytes field      writer        rule
//        0     8 word       anyone (CAS)  LockWord
//
// PermitsLayout, of a semaphore; all zero: every permit is free. Its permits follow, 8 bytes each:
// a LockWord without the bits 29 to 31
//        0     4 bell       anyone        who waits for a permit sleeps here
//        4     4 unused     -             0
//
// SignalSemaphoreLayout, all zero: nothing is posted
//        0     4 posted     anyone (CAS)  posts that nobody took
//        4     4 bell       anyone        who waits for one sleeps here
//
// EventLayout, all zero: not set, resets by hand
//        0     4 word       anyone (CAS)  EventWord
//        4     4 bell       anyone        who waits sleeps here
//
// EventWord
//      bit    0 set
//      bit    1 automatic                 a wait that ends resets it
//      bit 2-31 turn                      how often it was set by hand
//
// LockWord
//      bit 0-12 index                     of the holder in the region's table, + 1; 0: free;
//                                         8191: memory of one process
//      bit   29 waiters                   somebody sleeps on the low half
//      bit   30 inconsistent              its last holder died; what it guards is to be repaired
//      bit   31 poisoned                  it was given back without; nobody gets it any more
//     bit 32-55 incarnation               of the holder
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/life/membership.hpp"

namespace stoa {

struct LockWord {
    static constexpr std::uint64_t kWaiters = std::uint64_t{1} << 29U;
    static constexpr std::uint64_t kInconsistent = std::uint64_t{1} << 30U;
    static constexpr std::uint64_t kPoisoned = std::uint64_t{1} << 31U;

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

struct PermitsLayout {
    Atomic<std::uint32_t> bell;
    std::uint32_t unused;
};
static_assert(offsetof(PermitsLayout, bell) == 0 && offsetof(PermitsLayout, unused) == 4);
static_assert(sizeof(PermitsLayout) == 8 && std::is_standard_layout_v<PermitsLayout>);

struct SignalSemaphoreLayout {
    Atomic<std::uint32_t> posted;
    Atomic<std::uint32_t> bell;
};
static_assert(offsetof(SignalSemaphoreLayout, posted) == 0);
static_assert(offsetof(SignalSemaphoreLayout, bell) == 4);
static_assert(sizeof(SignalSemaphoreLayout) == 8);
static_assert(std::is_standard_layout_v<SignalSemaphoreLayout>);

struct EventWord {
    static constexpr std::uint32_t kSet = 1;
    static constexpr std::uint32_t kAutomatic = 2;
    static constexpr std::uint32_t kTurn = 4;  // one more
};

struct EventLayout {
    Atomic<std::uint32_t> word;
    Atomic<std::uint32_t> bell;
};
static_assert(offsetof(EventLayout, word) == 0 && offsetof(EventLayout, bell) == 4);
static_assert(sizeof(EventLayout) == 8 && std::is_standard_layout_v<EventLayout>);

}  // namespace stoa
