// Memory image of a wait board, format v2. docs/formats/wait_board.md holds this table; a test
// compares. It is a memfd of its own, of exactly this size, that nothing on disk names.
//
// WaitBoardLayout
//   offset bytes field       writer   rule
//        0     8 magic       owner    set before a watch word names the board
//        8     4 version     owner    ringers refuse a version they do not know
//       12     4 turn        owner    as the watch words that name it, 1 .. 2^24 - 1
//       16    40 owner       owner    sys::Identity of the process whose set waits, in five words
//       56     4 bell        owner    descriptor of its pipe in the owner's process
//       60     4 unused      -        0
//       64     8 bell_inode  owner    of that pipe
//      128     8 sleeping    both     odd: it sleeps, or is about to; stored by the owner. Ringers
//                                     CAS an odd one one up, once they have written their byte
//      192   256 summary     both     a bit for each word of slots; ringers set, the owner clears
//      448 16384 slots       both     two bits for each slot: something changed there; somebody
//                                     came, who takes part in it from now on; as summary
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"

namespace stoa {

inline constexpr std::uint64_t kWaitBoardMagic = magic_of("STOAWBD1");
inline constexpr std::uint32_t kWaitBoardVersion = 2;
inline constexpr std::uint32_t kWaitSlots = 1U << 16U;
inline constexpr std::uint32_t kWaitSlotWords = 2 * kWaitSlots / 64;
inline constexpr std::uint32_t kWaitSummaryWords = kWaitSlotWords / 64;

struct WaitBoardLayout {
    Atomic<std::uint64_t> magic;
    std::uint32_t version;
    std::uint32_t turn;
    std::uint64_t owner[5];
    std::uint32_t bell;
    std::uint32_t unused;
    std::uint64_t bell_inode;
    alignas(2 * kCacheLine) Atomic<std::uint64_t> sleeping;
    alignas(kCacheLine) Atomic<std::uint64_t> summary[kWaitSummaryWords];
    Atomic<std::uint64_t> slots[kWaitSlotWords];
};
static_assert(offsetof(WaitBoardLayout, magic) == 0 && offsetof(WaitBoardLayout, version) == 8);
static_assert(offsetof(WaitBoardLayout, turn) == 12 && offsetof(WaitBoardLayout, owner) == 16);
static_assert(offsetof(WaitBoardLayout, bell) == 56 && offsetof(WaitBoardLayout, unused) == 60);
static_assert(offsetof(WaitBoardLayout, bell_inode) == 64);
static_assert(offsetof(WaitBoardLayout, sleeping) == 128);
static_assert(offsetof(WaitBoardLayout, summary) == 192 && offsetof(WaitBoardLayout, slots) == 448);
static_assert(std::is_standard_layout_v<WaitBoardLayout>);

// Of the file: whole pages.
inline constexpr std::uint64_t kWaitBoardBytes = 20480;
static_assert(sizeof(WaitBoardLayout) <= kWaitBoardBytes);

}  // namespace stoa
