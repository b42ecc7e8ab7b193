// Memory image of a heap, format v1. docs/formats/heap.md holds these tables; a test compares.
//
// HeapHeader
//   offset bytes field      writer        rule
//        0     8 magic      creator       STOAHEP1, stored last
//        8     4 version    creator       readers refuse a version they do not know
//       12     4 slab_shift creator       a slab has 1 << slab_shift bytes: 12 .. 16
//       16     4 slabs      creator       that there is address space for
//       20     4 sections   creator       records of sections: 1 .. 4096
//       24     4 reserved   anyone (CAS)  slabs that are backed by memory; only grows, after that
//       28     4 unused     -             0
//       32    32 unused_too -             0
// Behind it: the section records, a SlabWord for each slab, a row of hints for each class (a bit
// for each slab that may have a free block; never the truth), from the next page on the
// BlockWords, slab bytes / 512 for each slab, and from the next page on the slabs.
//
// SectionRecord
//   offset bytes field      writer        rule
//        0     8 word       anyone (CAS)  SectionWord
//        8     8 pending    see below     PendingWord: the step that its holder takes now
//       16     8 count      its holder    entries of the log
//       24     8 unused     -             0
//       32    96 log        its holder    12 LogEntry; the last names a chunk of 64 more, and so on
//
// SharedControl, of an object that several processes hold; a block of a class of its own
//   offset bytes field      writer        rule
//        0     8 word       anyone (CAS)  SharedWord
//        8     8 object     word's holder  distance from here to the object; 1: none
//       16     8 section    word's holder  a SectionOwner: of its constructor and its destructor
//       24     8 more       anyone (CAS)  distance from here to 64 more holders; 1: none
//       32    96 holders    anyone (CAS)  12 of {Holder, how many handles it has in bits 13 to 31}
//
// SlabWord; its epoch makes that it does not repeat
//      bit  0-2 state                     free, small, claimed, large, tail
//      bit  3-8 class                     small: index of its class + 1; claimed: of what it was or
//                                         is to be, 0: large
//      bit 9-45 value                     large: slabs of the run; tail: number of the run's head;
//                                         claimed: holder, index 13 bits and incarnation 24 bits
//      bit46-63 epoch
//
// BlockWord, for 32 blocks of a small slab; all zero: out of service
//      bit 0-31 taken                     a bit for each block; set for ever where no block is
//      bit32-44 tag                       record + 1 of the section whose step was the last one
//                                         that a section took here
//      bit   45 open                      the slab is in service; else nothing else is set
//      bit46-63 turn                      counts what opens, closes and tags it
//
// SectionWord
//      bit  0-2 state                     free, taken, active, committing, rolling_back
//      bit 3-39 holder                    index 13 bits and incarnation 24 bits
//      bit40-63 epoch                     counts its uses
//
// SharedWord
//      bit  0-2 state                     free, making, live, dying, freeing, freed
//      bit 3-39 holder                    who makes or ends it: index 13 bits, incarnation 24 bits
//      bit40-63 generation                counts its uses
//
// PendingWord: the step of a section on one block. Whoever overwrites a tag that it put confirms it
// here first, so its holder's heir always knows whether it was taken.
//      bit    0 done
//      bit    1 sets                      1: the block is to be taken, 0: given back
//      bit  2-3 kind                      small, chunk, large, none
//      bit 4-45 where                     as in LogEntry
//      bit46-63 step                      counts the steps that were named here
//
// LogEntry
//      bit    0 frees                     1: to be given back when the section ends well, 0: taken
//                                         in it
//      bit  2-3 kind                      small, chunk (of the log itself), large
//      bit 4-45 where                     small, chunk: BlockWord * 32 + bit; large: number of the
//                                         slab
//      bit46-63 epoch                     large: of the slab's word
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"
#include "stoa/life/participants_layout.hpp"

namespace stoa {

inline constexpr std::uint64_t kHeapMagic = magic_of("STOAHEP1");
inline constexpr std::uint32_t kHeapVersion = 1;
inline constexpr std::uint32_t kMinSlabShift = 12;
inline constexpr std::uint32_t kMaxSlabShift = 16;
inline constexpr std::uint32_t kMaxHeapSections = 4096;
inline constexpr std::uint32_t kHeapClasses = 40;
inline constexpr std::uint32_t kSharedClass = kHeapClasses;  // of SharedControl alone
inline constexpr std::uint32_t kHeapRows = kHeapClasses + 1;
inline constexpr std::uint32_t kBlocksPerWord = 32;
inline constexpr std::uint32_t kLogEntries = 12;
inline constexpr std::uint32_t kChunkEntries = 64;

struct HeapHeader {
    Atomic<std::uint64_t> magic;
    std::uint32_t version;
    std::uint32_t slab_shift;
    std::uint32_t slabs;
    std::uint32_t sections;
    Atomic<std::uint32_t> reserved;
    std::uint32_t unused;
    std::uint64_t unused_too[4];
};
static_assert(offsetof(HeapHeader, magic) == 0 && offsetof(HeapHeader, version) == 8);
static_assert(offsetof(HeapHeader, slab_shift) == 12 && offsetof(HeapHeader, slabs) == 16);
static_assert(offsetof(HeapHeader, sections) == 20 && offsetof(HeapHeader, reserved) == 24);
static_assert(offsetof(HeapHeader, unused) == 28 && offsetof(HeapHeader, unused_too) == 32);
static_assert(sizeof(HeapHeader) == 64 && std::is_standard_layout_v<HeapHeader>);

struct SectionRecord {
    Atomic<std::uint64_t> word;
    Atomic<std::uint64_t> pending;
    Atomic<std::uint64_t> count;
    std::uint64_t unused;
    Atomic<std::uint64_t> log[kLogEntries];
};
static_assert(offsetof(SectionRecord, word) == 0 && offsetof(SectionRecord, pending) == 8);
static_assert(offsetof(SectionRecord, count) == 16 && offsetof(SectionRecord, unused) == 24);
static_assert(offsetof(SectionRecord, log) == 32);
static_assert(sizeof(SectionRecord) == 128 && std::is_standard_layout_v<SectionRecord>);

inline constexpr std::uint32_t kSharedHolders = 12;
inline constexpr std::uint32_t kMoreHolders = 64;

struct SharedControl {
    Atomic<std::uint64_t> word;
    Atomic<std::uint64_t> object;
    Atomic<std::uint64_t> section;
    Atomic<std::uint64_t> more;
    Atomic<std::uint64_t> holders[kSharedHolders];
};
static_assert(offsetof(SharedControl, word) == 0 && offsetof(SharedControl, object) == 8);
static_assert(offsetof(SharedControl, section) == 16 && offsetof(SharedControl, more) == 24);
static_assert(offsetof(SharedControl, holders) == 32);
static_assert(sizeof(SharedControl) == 128 && std::is_standard_layout_v<SharedControl>);

// A holder without the bits between: 37 bits.
[[nodiscard]] constexpr std::uint64_t short_holder(Holder holder) noexcept {
    return (holder & 0x1fffU) | (holder >> 32U & 0xffffffU) << 13U;
}
[[nodiscard]] constexpr Holder long_holder(std::uint64_t bits) noexcept {
    return (bits & 0x1fffU) | (bits >> 13U & 0xffffffU) << 32U;
}

enum class SlabState : std::uint8_t { free = 0, small = 1, claimed = 2, large = 3, tail = 4 };

struct SlabWord {
    SlabState state = SlabState::free;
    std::uint32_t kind = 0;   // class + 1
    std::uint64_t value = 0;  // 37 bits
    std::uint32_t epoch = 0;  // modulo 2^18

    [[nodiscard]] static constexpr SlabWord of(std::uint64_t word) noexcept {
        return {.state = static_cast<SlabState>(word & 7U),
                .kind = static_cast<std::uint32_t>(word >> 3U) & 63U,
                .value = word >> 9U & ((std::uint64_t{1} << 37U) - 1),
                .epoch = static_cast<std::uint32_t>(word >> 46U)};
    }
    [[nodiscard]] constexpr std::uint64_t pack() const noexcept {
        return static_cast<std::uint64_t>(state) | std::uint64_t{kind} << 3U | value << 9U |
               std::uint64_t{epoch} << 46U;
    }
    // The word that comes after this one.
    [[nodiscard]] constexpr std::uint64_t next(SlabState to, std::uint32_t new_kind = 0,
                                               std::uint64_t new_value = 0) const noexcept {
        return SlabWord{to, new_kind, new_value, epoch + 1}.pack();
    }
};

struct BlockWord {
    static constexpr std::uint64_t kOpen = std::uint64_t{1} << 45U;
    static constexpr std::uint64_t kTurn = std::uint64_t{1} << 46U;  // one more
    static constexpr std::uint64_t kTurns = ~(kTurn - 1);
    static constexpr std::uint64_t kTag = std::uint64_t{0x1fff} << 32U;

    [[nodiscard]] static constexpr std::uint32_t taken(std::uint64_t word) noexcept {
        return static_cast<std::uint32_t>(word);
    }
    [[nodiscard]] static constexpr std::uint32_t tag(std::uint64_t word) noexcept {
        return static_cast<std::uint32_t>(word >> 32U) & 0x1fffU;
    }
    [[nodiscard]] static constexpr bool is_open(std::uint64_t word) noexcept {
        return (word & kOpen) != 0;
    }
    // The next turn of `word`, with this tag.
    [[nodiscard]] static constexpr std::uint64_t tagged(std::uint64_t word,
                                                        std::uint32_t tag) noexcept {
        return ((word & ~kTag) | std::uint64_t{tag} << 32U) + kTurn;
    }
};

enum class SectionState : std::uint8_t {
    free = 0,
    taken = 1,         // nothing is in its log, and perhaps nothing names it
    active = 2,        // its owner's word decides what becomes of it
    committing = 3,    // it ended well: what it gave back is being given back
    rolling_back = 4,  // it did not: what it took is being given back
};

struct SectionWord {
    SectionState state = SectionState::free;
    Holder holder = 0;
    std::uint32_t epoch = 0;  // modulo 2^24

    [[nodiscard]] static constexpr SectionWord of(std::uint64_t word) noexcept {
        return {.state = static_cast<SectionState>(word & 7U),
                .holder = long_holder(word >> 3U),
                .epoch = static_cast<std::uint32_t>(word >> 40U)};
    }
    [[nodiscard]] constexpr std::uint64_t pack() const noexcept {
        return static_cast<std::uint64_t>(state) | short_holder(holder) << 3U |
               std::uint64_t{epoch & 0xffffffU} << 40U;
    }
};

enum class SharedState : std::uint8_t {
    free = 0,
    making = 1,   // its constructor runs
    live = 2,     // until no holder is left
    dying = 3,    // its destructor runs
    freeing = 4,  // and has returned, or died
    freed = 5,    // its memory is free, or is about to be
};

struct SharedWord {
    SharedState state = SharedState::free;
    Holder holder = 0;
    std::uint32_t generation = 0;  // modulo 2^24

    [[nodiscard]] static constexpr SharedWord of(std::uint64_t word) noexcept {
        return {.state = static_cast<SharedState>(word & 7U),
                .holder = long_holder(word >> 3U),
                .generation = static_cast<std::uint32_t>(word >> 40U)};
    }
    [[nodiscard]] constexpr std::uint64_t pack() const noexcept {
        return static_cast<std::uint64_t>(state) | short_holder(holder) << 3U |
               std::uint64_t{generation & 0xffffffU} << 40U;
    }
};

enum class BlockKind : std::uint8_t { small = 0, chunk = 1, large = 2, none = 3 };

// Both LogEntry and PendingWord.
struct LogEntry {
    static constexpr std::uint64_t kDone = 1;   // of a PendingWord
    static constexpr std::uint64_t kSets = 2;   // of a PendingWord
    static constexpr std::uint64_t kFrees = 1;  // of a LogEntry
    static constexpr unsigned kTopShift = 46U;
    static constexpr std::uint64_t kTopMask = (std::uint64_t{1} << 18U) - 1;

    [[nodiscard]] static constexpr BlockKind kind(std::uint64_t entry) noexcept {
        return static_cast<BlockKind>(entry >> 2U & 3U);
    }
    [[nodiscard]] static constexpr std::uint64_t where(std::uint64_t entry) noexcept {
        return entry >> 4U & ((std::uint64_t{1} << 42U) - 1);
    }
    [[nodiscard]] static constexpr std::uint64_t top(std::uint64_t entry) noexcept {
        return entry >> kTopShift;
    }
    [[nodiscard]] static constexpr std::uint64_t pack(std::uint64_t flags, BlockKind kind,
                                                      std::uint64_t where,
                                                      std::uint64_t top) noexcept {
        return flags | static_cast<std::uint64_t>(kind) << 2U | where << 4U |
               (top & kTopMask) << kTopShift;
    }
};

}  // namespace stoa
