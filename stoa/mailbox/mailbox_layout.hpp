// Memory image of a mailbox, the content of its region, format v4. docs/formats/mailbox.md holds
// these tables; a test compares.
//
// MailboxLayout
//   offset bytes field             writer        rule
//        0     8 magic             creator       set before the name is published
//        8     4 version           creator       readers refuse a version they do not know
//       12     4 sharing           creator       Sharing
//       16     4 acknowledged      creator       0 or 1
//       20     4 capacity_kind     creator       0 zero, 1 bounded, 2 unbounded
//       24     4 capacity          creator       messages, when bounded
//       28     4 max_bytes         creator       largest message
//       32     8 reserve_bytes     creator       as asked for
//       40     8 fingerprint       creator       of the type; 0: bytes
//       48     4 type_size         creator       bytes; 0: of any length
//       52     4 type_alignment    creator       16, 32 or 64
//       56     4 pool_count        creator       0: lanes carry it; else a pool ring per station
//       60     4 lane_count        creator       0, 2 for a pair, else how many doors there are
//       64     8 pools_offset      creator       of pool ring 0, multiple of 64
//       72     8 pool_stride       creator       from one pool ring to the next
//       80     8 extras_offset     creator       of the extras of pool ring 0, page-aligned
//       88     8 lanes_offset      creator       of lane 0, page-aligned
//       96     8 lane_stride       creator       bytes from one lane to the next, page-aligned
//      104     8 created_ns        creator       wall clock, display
//      112     4 loan_quota        creator       1 .. 64
//      116     4 overflow          creator       Overflow
//      120     4 priorities        creator       1 .. 32
//      124     4 flags             creator       1 receipts, 2 keep_expired, 4 one_way, 8 by_turns
//      128     8 ageing_ns         creator       0: none
//      136     8 time_to_live_ns   creator       0: for ever
//      144     4 dead_letter_after creator       0: never
//      148     4 dead_letter_quota creator       messages
//      152     8 quota_bytes       creator       of an unbounded mailbox
//      160     4 station_count     creator       1 .. 64
//      164     4 segment_count     creator       0: one ring per station; else how many may exist
//      192     4 lanes_open        anyone (CAS)  doors 0 .. lanes_open - 1 may be ready; only grows
//      196     4 stations_open     anyone (CAS)  stations 0 .. stations_open - 1 may be in use
//      200     8 left_sent         anyone (add)  messages sent by those who left; for display
//      208     8 left_received     anyone (add)  messages received by those who left; for display
//      216     8 orphans           anyone (or)   bit s: station s may hold messages of nobody
//      224    16 unused            -             0
//      240     8 gone_redelivered  anyone (add)  handed over, or in segments given back; display
//      248     8 gone_expired      anyone (add)  of segments that were given back; for display
//      256     8 gone_withdrawn    anyone (add)  the same
//      320  1024 type_text         creator       canonical text of the type, zero-terminated
//     1344     - stations          -             station_count of MailboxStation
//        -     - doors             -             lane_count of LaneDoor
//        -  8192 keys              anyone (CAS)  key_affine: 1024 words, seat | station << 16: who
//                                                gets the keys that hash there
//        -     - used              anyone (or)   unbounded: one bit per segment, 1: not FREE
//        -     - segments          -             unbounded: segment_count of MailboxSegment
//
// MailboxStation, a receiver and what leads to it; without routing there is one, a pair has two
//        0     8 seat              anyone (CAS)  who receives: index + 1 | incarnation << 32;
//                                                bit 15: who only hands its lanes over; bit 14: a
//                                                subscriber that skips
//        8     4 ready             anyone        1: the memory of its pool ring is there
//       16     8 last              anyone (CAS)  unbounded: the segment that is sent to, slot |
//                                                position << 16; never repeats; 0: none yet;
//                                                bit 63: nothing is put behind it any more
//       24     8 dropped           anyone (add)  unbounded: messages that a subscriber that skips
//                                                did not get; only grows
//       64   128 bells             anyone        PoolBells
//
// MailboxSegment, of an unbounded mailbox: a piece of its memory that holds a pool ring, or nothing
//        0     8 word              anyone (CAS)  SegmentWord
//        8     8 position          its maker     place in the queue of its station, from 1
//
// LaneDoor, one per lane
//        0     8 sender          anyone (CAS)  who sends on it: index + 1 | incarnation << 32
//        8     4 ready           its sender    1: the lane behind it is complete
//       12     4 station         anyone (CAS)  to which it leads: station + 1 | turn << 8; 0: to
//                                              none; bit 7: it was handed over by one that went
//       16     8 end             anyone (CAS)  of a closed mailbox: what lies behind that position
//                                              of the lane does not count, position | 1; 0: not
//                                              said yet
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"
#include "stoa/channel/pool_engine.hpp"

namespace stoa {

inline constexpr std::uint64_t kMailboxMagic = magic_of("STOAMBX1");
inline constexpr std::uint32_t kMailboxVersion = 4;
inline constexpr std::uint32_t kTypeTextBytes = 1024;
inline constexpr std::uint32_t kMaxStations = 64;
inline constexpr std::uint32_t kKeyBuckets = 1024;
inline constexpr std::uint64_t kHandingOver = 1U << 15U;  // in a seat
inline constexpr std::uint64_t kLatest = 1U << 14U;       // in a seat
inline constexpr std::uint32_t kHandedOver = 1U << 7U;    // in a door's station

// To which station a door leads, counted from 1; 0: to none.
[[nodiscard]] constexpr std::uint32_t leads_to(std::uint32_t door_word) noexcept {
    return door_word & 0x7fU;
}

struct MailboxLayout {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t sharing;
    std::uint32_t acknowledged;
    std::uint32_t capacity_kind;
    std::uint32_t capacity;
    std::uint32_t max_bytes;
    std::uint64_t reserve_bytes;
    std::uint64_t fingerprint;
    std::uint32_t type_size;
    std::uint32_t type_alignment;
    std::uint32_t pool_count;
    std::uint32_t lane_count;
    std::uint64_t pools_offset;
    std::uint64_t pool_stride;
    std::uint64_t extras_offset;
    std::uint64_t lanes_offset;
    std::uint64_t lane_stride;
    std::uint64_t created_ns;
    std::uint32_t loan_quota;
    std::uint32_t overflow;
    std::uint32_t priorities;
    std::uint32_t flags;
    std::uint64_t ageing_ns;
    std::uint64_t time_to_live_ns;
    std::uint32_t dead_letter_after;
    std::uint32_t dead_letter_quota;
    std::uint64_t quota_bytes;
    std::uint32_t station_count;
    std::uint32_t segment_count;
    alignas(kCacheLine) Atomic<std::uint32_t> lanes_open;
    Atomic<std::uint32_t> stations_open;
    Atomic<std::uint64_t> left_sent;
    Atomic<std::uint64_t> left_received;
    Atomic<std::uint64_t> orphans;
    Atomic<std::uint64_t> unused[2];
    Atomic<std::uint64_t> gone_redelivered;
    Atomic<std::uint64_t> gone_expired;
    Atomic<std::uint64_t> gone_withdrawn;
    alignas(kCacheLine) char type_text[kTypeTextBytes];
};
static_assert(offsetof(MailboxLayout, magic) == 0);
static_assert(offsetof(MailboxLayout, version) == 8);
static_assert(offsetof(MailboxLayout, sharing) == 12);
static_assert(offsetof(MailboxLayout, acknowledged) == 16);
static_assert(offsetof(MailboxLayout, capacity_kind) == 20);
static_assert(offsetof(MailboxLayout, capacity) == 24);
static_assert(offsetof(MailboxLayout, max_bytes) == 28);
static_assert(offsetof(MailboxLayout, reserve_bytes) == 32);
static_assert(offsetof(MailboxLayout, fingerprint) == 40);
static_assert(offsetof(MailboxLayout, type_size) == 48);
static_assert(offsetof(MailboxLayout, type_alignment) == 52);
static_assert(offsetof(MailboxLayout, pool_count) == 56);
static_assert(offsetof(MailboxLayout, lane_count) == 60);
static_assert(offsetof(MailboxLayout, pools_offset) == 64);
static_assert(offsetof(MailboxLayout, pool_stride) == 72);
static_assert(offsetof(MailboxLayout, extras_offset) == 80);
static_assert(offsetof(MailboxLayout, lanes_offset) == 88);
static_assert(offsetof(MailboxLayout, lane_stride) == 96);
static_assert(offsetof(MailboxLayout, created_ns) == 104);
static_assert(offsetof(MailboxLayout, loan_quota) == 112);
static_assert(offsetof(MailboxLayout, overflow) == 116);
static_assert(offsetof(MailboxLayout, priorities) == 120);
static_assert(offsetof(MailboxLayout, flags) == 124);
static_assert(offsetof(MailboxLayout, ageing_ns) == 128);
static_assert(offsetof(MailboxLayout, time_to_live_ns) == 136);
static_assert(offsetof(MailboxLayout, dead_letter_after) == 144);
static_assert(offsetof(MailboxLayout, dead_letter_quota) == 148);
static_assert(offsetof(MailboxLayout, quota_bytes) == 152);
static_assert(offsetof(MailboxLayout, station_count) == 160);
static_assert(offsetof(MailboxLayout, segment_count) == 164);
static_assert(offsetof(MailboxLayout, lanes_open) == 192);
static_assert(offsetof(MailboxLayout, stations_open) == 196);
static_assert(offsetof(MailboxLayout, left_sent) == 200);
static_assert(offsetof(MailboxLayout, left_received) == 208);
static_assert(offsetof(MailboxLayout, orphans) == 216);
static_assert(offsetof(MailboxLayout, unused) == 224);
static_assert(offsetof(MailboxLayout, gone_redelivered) == 240);
static_assert(offsetof(MailboxLayout, gone_expired) == 248);
static_assert(offsetof(MailboxLayout, gone_withdrawn) == 256);
static_assert(offsetof(MailboxLayout, type_text) == 320);
static_assert(sizeof(MailboxLayout) == 1344 && std::is_standard_layout_v<MailboxLayout>);

struct MailboxStation {
    Atomic<std::uint64_t> seat;
    Atomic<std::uint32_t> ready;
    alignas(8) Atomic<std::uint64_t> last;
    Atomic<std::uint64_t> dropped;
    alignas(kCacheLine) PoolBells bells;
};
static_assert(offsetof(MailboxStation, seat) == 0 && offsetof(MailboxStation, ready) == 8);
static_assert(offsetof(MailboxStation, last) == 16 && offsetof(MailboxStation, dropped) == 24);
static_assert(offsetof(MailboxStation, bells) == 64 && sizeof(MailboxStation) == 192);
static_assert(std::is_standard_layout_v<MailboxStation>);

struct MailboxSegment {
    Atomic<std::uint64_t> word;
    Atomic<std::uint64_t> position;
};
static_assert(offsetof(MailboxSegment, word) == 0 && offsetof(MailboxSegment, position) == 8);
static_assert(sizeof(MailboxSegment) == 16 && std::is_standard_layout_v<MailboxSegment>);

struct LaneDoor {
    alignas(kCacheLine) Atomic<std::uint64_t> sender;
    Atomic<std::uint32_t> ready;
    Atomic<std::uint32_t> station;
    Atomic<std::uint64_t> end;

    // The position in its lane behind which nothing counts.
    [[nodiscard]] std::uint64_t end_position() const noexcept {
        const std::uint64_t said = end.load(kSeqCst);
        return said == 0 ? UINT64_MAX : said & ~std::uint64_t{1};
    }
};
static_assert(offsetof(LaneDoor, sender) == 0 && offsetof(LaneDoor, ready) == 8);
static_assert(offsetof(LaneDoor, station) == 12 && offsetof(LaneDoor, end) == 16);
static_assert(sizeof(LaneDoor) == 64 && std::is_standard_layout_v<LaneDoor>);

[[nodiscard]] constexpr std::uint64_t station_offset(std::uint32_t station) noexcept {
    return sizeof(MailboxLayout) + station * sizeof(MailboxStation);
}
[[nodiscard]] constexpr std::uint64_t door_offset(std::uint32_t stations,
                                                  std::uint32_t lane) noexcept {
    return station_offset(stations) + lane * sizeof(LaneDoor);
}

}  // namespace stoa
