// Memory image of a participant table, format v4. docs/formats/participants.md holds these tables;
// a test compares.
//
// ParticipantTable
//   offset bytes field       writer        rule
//        0     8 magic       creator       set before the name is published
//        8     4 version     creator       readers refuse a version they do not know
//       12     4 max_places  creator       1 .. 4096; records beyond `places` are not reserved yet
//       16     4 places      anyone (CAS)  usable records; only grows, after their memory is
//                                          reserved
//       20     4 flags       joiner        bits that stay: 1 mixed: processes of several pid or
//                                          time namespaces joined; 2 watched: a record has had a
//                                          watch
//       24    40 creator     creator       sys::Identity of the creator in five words
//       64     - records     -             max_places of ParticipantRecord
//
// ParticipantRecord
//        0     8 word      see below       {state 2, incarnation 24, pid 22, start ticks 16}
//        8     8 sweeping  its holder      whom it recovers: index + 1 | incarnation << 32; or 0
//       16    40 identity  its holder      sys::Identity in five words, complete before LIVE
//       56     4 role      its holder      what the endpoint does: bits of Role
//       60     4 seat      its holder      which lane or side it uses; meaning in mailbox/
//       64     8 sent      its holder      messages, for display
//       72     8 received  its holder      messages, for display
//       80     8 waits     its holder      WaitsFor 3, since when 61 (steady ns); for display
//       88    40 name      its holder      of the process, zero-terminated; for display
//      128    32 pins      its holder      parts of the memory that nobody may give back while they
//                                          stand here; meaning in mailbox/
//      160     8 waits_on  its holder    which lock of the memory it waits for; meaning in sync/;
//                                          for display
//      168     8 held_since its holder   when it first saw who holds that now (steady ns); for
//                                          display
//      176     8 watch     its holder    WatchWord: whom of its process to tell when anything here
//                                          wakes somebody; 0: nobody
//      184     8 unused    -             0
//
// word: FREE(n) -CAS by a joiner-> CLAIMED(n + 1) -store by it-> LIVE(n + 1)
//       -CAS by itself, or by a sweeper that has proven its death-> FREE(n + 1)
//
// WatchWord
//      bit  0-19 slot                    of the wait board
//      bit 20-39 board                   descriptor of its memory in the holder's process
//      bit 40-63 turn                    of the board, not 0: a number used again is not believed
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"

namespace stoa {

inline constexpr std::uint64_t kParticipantsMagic = magic_of("STOAPAR1");
inline constexpr std::uint32_t kParticipantsVersion = 4;
inline constexpr std::uint32_t kPinCount = 4;
inline constexpr std::uint32_t kMaxPlaces = 4096;  // an endpoint index has 12 bits in a slot word

struct ParticipantRecord {
    Atomic<std::uint64_t> word;
    Atomic<std::uint64_t> sweeping;
    Atomic<std::uint64_t> identity[5];
    Atomic<std::uint32_t> role;
    Atomic<std::uint32_t> seat;
    alignas(kCacheLine) Atomic<std::uint64_t> sent;
    Atomic<std::uint64_t> received;
    Atomic<std::uint64_t> waits;
    Atomic<std::uint64_t> name[5];
    alignas(kCacheLine) Atomic<std::uint64_t> pins[kPinCount];
    Atomic<std::uint64_t> waits_on;
    Atomic<std::uint64_t> held_since;
    Atomic<std::uint64_t> watch;
    std::uint64_t unused;
};
static_assert(offsetof(ParticipantRecord, word) == 0 && offsetof(ParticipantRecord, sweeping) == 8);
static_assert(offsetof(ParticipantRecord, identity) == 16);
static_assert(offsetof(ParticipantRecord, role) == 56 && offsetof(ParticipantRecord, seat) == 60);
static_assert(offsetof(ParticipantRecord, sent) == 64);
static_assert(offsetof(ParticipantRecord, received) == 72);
static_assert(offsetof(ParticipantRecord, waits) == 80 && offsetof(ParticipantRecord, name) == 88);
static_assert(offsetof(ParticipantRecord, pins) == 128);
static_assert(offsetof(ParticipantRecord, waits_on) == 160);
static_assert(offsetof(ParticipantRecord, held_since) == 168);
static_assert(offsetof(ParticipantRecord, watch) == 176);
static_assert(offsetof(ParticipantRecord, unused) == 184 && sizeof(ParticipantRecord) == 192);
static_assert(std::is_standard_layout_v<ParticipantRecord>);

struct ParticipantTable {  // the records follow
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t max_places;
    Atomic<std::uint32_t> places;
    Atomic<std::uint32_t> flags;
    std::uint64_t creator[5];
};
static_assert(offsetof(ParticipantTable, magic) == 0 && offsetof(ParticipantTable, version) == 8);
static_assert(offsetof(ParticipantTable, max_places) == 12);
static_assert(offsetof(ParticipantTable, places) == 16 && offsetof(ParticipantTable, flags) == 20);
static_assert(offsetof(ParticipantTable, creator) == 24);
static_assert(sizeof(ParticipantTable) == 64 && std::is_standard_layout_v<ParticipantTable>);

// Of ParticipantTable::flags.
inline constexpr std::uint32_t kTableMixed = 1;
inline constexpr std::uint32_t kTableWatched = 2;

// Where a wait set of some process is to be told, see stoa/sync/wait_board.hpp.
struct WatchWord {
    std::uint32_t slot = 0;
    std::uint32_t board = 0;  // a descriptor
    std::uint32_t turn = 0;   // 0: nobody watches

    friend bool operator==(const WatchWord&, const WatchWord&) = default;
};
inline constexpr std::uint32_t kWatchSlotEnd = 1U << 20U;
inline constexpr std::uint32_t kWatchBoardEnd = 1U << 20U;
inline constexpr std::uint32_t kWatchTurnEnd = 1U << 24U;

[[nodiscard]] constexpr std::uint64_t pack(const WatchWord& w) noexcept {
    return std::uint64_t{w.slot & (kWatchSlotEnd - 1)} |
           std::uint64_t{w.board & (kWatchBoardEnd - 1)} << 20U | std::uint64_t{w.turn} << 40U;
}
[[nodiscard]] constexpr WatchWord unpack_watch(std::uint64_t word) noexcept {
    return {.slot = static_cast<std::uint32_t>(word) & (kWatchSlotEnd - 1),
            .board = static_cast<std::uint32_t>(word >> 20U) & (kWatchBoardEnd - 1),
            .turn = static_cast<std::uint32_t>(word >> 40U)};
}

enum class WaitsFor : std::uint8_t {
    nothing = 0,
    message = 1,
    room = 2,
    receipt = 3,
    turn = 4,
    lock = 5,
};

[[nodiscard]] constexpr std::uint64_t waits_word(WaitsFor what, std::uint64_t since_ns) noexcept {
    return static_cast<std::uint64_t>(what) | since_ns << 3U;
}
[[nodiscard]] constexpr WaitsFor waits_for(std::uint64_t word) noexcept {
    return static_cast<WaitsFor>(word & 7U);
}

enum class PlaceState : std::uint8_t { free = 0, claimed = 1, live = 2 };

// A participant as one word, wherever another one must see who holds something: its place + 1 in
// the low 13 bits, its incarnation from bit 32 on. The bits between are left to whoever keeps the
// word. 0: nobody.
using Holder = std::uint64_t;

inline constexpr Holder kHolderMask = 0x00ffffff'00001fffU;

[[nodiscard]] constexpr Holder holder_of(std::uint32_t index, std::uint32_t incarnation) noexcept {
    return (Holder{index} + 1) | Holder{incarnation} << 32U;
}
// Of nobody: no such place.
[[nodiscard]] constexpr std::uint32_t holder_index(Holder holder) noexcept {
    return (static_cast<std::uint32_t>(holder) & 0x1fffU) - 1;
}

struct PlaceWord {
    std::uint32_t incarnation = 0;  // modulo 2^24
    std::uint32_t pid = 0;
    std::uint16_t start_ticks_low = 0;
    PlaceState state = PlaceState::free;
};
[[nodiscard]] constexpr std::uint64_t pack(PlaceWord w) noexcept {
    return static_cast<std::uint64_t>(w.state) | std::uint64_t{w.incarnation & 0xffffffU} << 2U |
           std::uint64_t{w.pid & 0x3fffffU} << 26U | std::uint64_t{w.start_ticks_low} << 48U;
}
[[nodiscard]] constexpr PlaceWord unpack_place(std::uint64_t word) noexcept {
    return {.incarnation = static_cast<std::uint32_t>(word >> 2U) & 0xffffffU,
            .pid = static_cast<std::uint32_t>(word >> 26U) & 0x3fffffU,
            .start_ticks_low = static_cast<std::uint16_t>(word >> 48U),
            .state = static_cast<PlaceState>(word & 3U)};
}

}  // namespace stoa
