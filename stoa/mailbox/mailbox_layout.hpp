// Memory image of a mailbox, the content of its region, format v1. docs/formats/mailbox.md holds
// these tables; a test compares.
//
// MailboxLayout
//   offset bytes field           writer        rule
//        0     8 magic           creator       set before the name is published
//        8     4 version         creator       readers refuse a version they do not know
//       12     4 sharing         creator       Sharing
//       16     4 acknowledged    creator       0 or 1
//       20     4 capacity        creator       messages
//       24     4 max_bytes       creator       largest message
//       28     4 loan_quota      creator       1 .. 64
//       32     8 reserve_bytes   creator       as asked for; display
//       40     8 fingerprint     creator       of the type; 0: bytes
//       48     4 type_size       creator       bytes
//       52     4 type_alignment  creator       16, 32 or 64
//       56     4 pool_count      creator       0: lanes carry it; 1; 2: one ring per direction of a
//                                              pair
//       60     4 lane_count      creator       0, 2 for a pair, else how many senders may have one
//       64    16 pool_offset     creator       of each pool ring, page-aligned
//       80     8 lanes_offset    creator       of lane 0, page-aligned
//       88     8 lane_stride     creator       bytes from one lane to the next, page-aligned
//       96     8 created_ns      creator       wall clock, display
//      104     4 lanes_open      anyone (CAS)  doors 0 .. lanes_open - 1 may be ready; only grows
//      108     4 reserved        creator       0
//      112     8 left_sent       anyone (add)  messages sent by those who left; for display
//      120     8 left_received   anyone (add)  messages received by those who left; for display
//      128    16 seats           anyone (CAS)  holder of a role: index + 1 | incarnation << 32
//      192   256 bells           anyone        PoolBells of each ring; lanes use bells[0].messages
//      448  1024 type_text       creator       canonical text of the type, zero-terminated
//     4096     - doors           -             lane_count of LaneDoor
//
// LaneDoor, one per lane
//        0     8 sender          anyone (CAS)  who sends on it: index + 1 | incarnation << 32
//        8     4 ready           its sender    1: the lane behind it is complete
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"
#include "stoa/channel/pool_engine.hpp"

namespace stoa {

inline constexpr std::uint64_t kMailboxMagic = magic_of("STOAMBX1");
inline constexpr std::uint32_t kMailboxVersion = 1;
inline constexpr std::uint32_t kTypeTextBytes = 1024;
inline constexpr std::uint64_t kDoorsOffset = kPage;

struct MailboxLayout {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t sharing;
    std::uint32_t acknowledged;
    std::uint32_t capacity;
    std::uint32_t max_bytes;
    std::uint32_t loan_quota;
    std::uint64_t reserve_bytes;
    std::uint64_t fingerprint;
    std::uint32_t type_size;
    std::uint32_t type_alignment;
    std::uint32_t pool_count;
    std::uint32_t lane_count;
    std::uint64_t pool_offset[2];
    std::uint64_t lanes_offset;
    std::uint64_t lane_stride;
    std::uint64_t created_ns;
    Atomic<std::uint32_t> lanes_open;
    std::uint32_t reserved;
    Atomic<std::uint64_t> left_sent;
    Atomic<std::uint64_t> left_received;
    alignas(kCacheLine) Atomic<std::uint64_t> seats[2];
    alignas(kCacheLine) PoolBells bells[2];
    char type_text[kTypeTextBytes];
};
static_assert(offsetof(MailboxLayout, magic) == 0 && offsetof(MailboxLayout, version) == 8);
static_assert(offsetof(MailboxLayout, sharing) == 12);
static_assert(offsetof(MailboxLayout, acknowledged) == 16);
static_assert(offsetof(MailboxLayout, capacity) == 20 && offsetof(MailboxLayout, max_bytes) == 24);
static_assert(offsetof(MailboxLayout, loan_quota) == 28);
static_assert(offsetof(MailboxLayout, reserve_bytes) == 32);
static_assert(offsetof(MailboxLayout, fingerprint) == 40);
static_assert(offsetof(MailboxLayout, type_size) == 48);
static_assert(offsetof(MailboxLayout, type_alignment) == 52);
static_assert(offsetof(MailboxLayout, pool_count) == 56);
static_assert(offsetof(MailboxLayout, lane_count) == 60);
static_assert(offsetof(MailboxLayout, pool_offset) == 64);
static_assert(offsetof(MailboxLayout, lanes_offset) == 80);
static_assert(offsetof(MailboxLayout, lane_stride) == 88);
static_assert(offsetof(MailboxLayout, created_ns) == 96);
static_assert(offsetof(MailboxLayout, lanes_open) == 104);
static_assert(offsetof(MailboxLayout, reserved) == 108);
static_assert(offsetof(MailboxLayout, left_sent) == 112);
static_assert(offsetof(MailboxLayout, left_received) == 120);
static_assert(offsetof(MailboxLayout, seats) == 128 && offsetof(MailboxLayout, bells) == 192);
static_assert(offsetof(MailboxLayout, type_text) == 448);
static_assert(sizeof(MailboxLayout) == 1472 && std::is_standard_layout_v<MailboxLayout>);
static_assert(sizeof(MailboxLayout) <= kDoorsOffset);

struct LaneDoor {
    alignas(kCacheLine) Atomic<std::uint64_t> sender;
    Atomic<std::uint32_t> ready;
};
static_assert(offsetof(LaneDoor, sender) == 0 && offsetof(LaneDoor, ready) == 8);
static_assert(sizeof(LaneDoor) == 64 && std::is_standard_layout_v<LaneDoor>);

}  // namespace stoa
