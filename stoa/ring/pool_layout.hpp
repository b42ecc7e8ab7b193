// Memory image of one pool ring, format v2. docs/formats/pool.md holds these tables; a test
// compares.
//
// PoolLayout
//   offset bytes field              writer        rule
//        0     8 magic              creator       set before the name is published
//        8     4 version            creator       readers refuse a version they do not know
//       12     4 slot_count         creator       of each level; 1 .. 2^20; never changes
//       16     4 chunk_count        creator       sum of the classes' counts, at most 2^22
//       20     4 class_count        creator       1 .. 8
//       24     4 acknowledged       creator       1: a delivery is a lease until it is acked
//       28     4 level_count        creator       1 .. 32 priorities, a queue for each
//       32     8 hints_offset       creator       from the start of the layout, multiple of 64
//       40     8 slots_offset       creator       from the start of the layout, multiple of 64
//       48     8 total_bytes        creator       of the image without its extras
//       56     4 receipt_count      creator       1 .. 4096; in the extras
//       60     4 dead_letter_after  creator       deliveries without ack; 0: never; at most 255
//       64   256 classes            creator       8 of PoolClass, sorted by payload_bytes
//      320     8 ageing_ns          creator       a message gains a priority per so long a wait; 0:
//                                                 never
//      328     8 extra_bytes        creator       of the extras
//      336     4 dead_letter_quota  creator       so many may be kept; beyond it they are delivered
//      340     4 extras             anyone        1: the memory of the extras is there
//      384     8 flag               anyone (CAS)  {generation 63 bits, up 1 bit}: messages wait off
//                                                 the queue
//      392     8 redelivered        anyone (add)  hint: deliveries with the mark `redelivered`
//      448     8 levels             anyone (or)   hint: bit l says that level l may hold messages
//      456     8 dropped_oldest     anyone (add)  for display
//      464     8 dropped_newest     anyone (add)  for display
//      472     8 expired            anyone (add)  for display
//      480     8 withdrawn          anyone (add)  for display
//      488     8 unmet              anyone (add)  a rendezvous taken back by its sender; display
//      512     - queues             -             level_count of PoolQueue, lowest priority first
//        -     - hints              anyone        one bit per chunk: 1 says that it may be FREE
//        -     - slots              anyone (CAS)  level_count times slot_count slot words, see
//                                                 pool_words.hpp
//        -     - chunks             anyone        chunk_count of PoolChunk, each with its payload
//
// PoolQueue
//        0     8 tail         anyone (CAS)  hint: position of the next send
//       64     8 head         anyone (CAS)  hint: position of the next receive
//
// PoolClass
//        0     8 first_offset   creator      from the start of the layout; 48 or 0 modulo 64
//        8     4 stride         creator      bytes from one chunk to the next, multiple of 64
//       12     4 payload_bytes  creator      largest message of the class
//       16     4 first_chunk    creator      its chunks are first_chunk .. first_chunk + count - 1
//       20     4 count          creator      at least 1
//       24     4 first_hint     creator      its hints begin at this 64-bit word
//       28     4 reserved       creator      0
//
// PoolChunk
//        0     8 word      anyone (CAS)      chunk word, see pool_words.hpp; its owner may store
//        8     4 length    its lender        bytes of the payload, written before it is published
//       12     4 flags     its lender        bit 0: its note holds a receipt or a time to live
//       16     - payload   its lender        at most payload_bytes of its class
//
// The extras: chunk_count of PoolNote, receipt hints, receipt_count of PoolReceipt. Their memory is
// reserved when somebody needs it first.
//
// PoolNote, one per chunk
//        0     8 receipt     its lender        ReceiptRef of who wants to know, or 0
//        8     8 expires_ns  its lender        steady clock; 0: never
//       16     8 sent_ns     its lender        steady clock; only where messages age
//       24     4 last_pid    who gave it back  the last receiver that did not ack; display
//       28     4 cause       who gave it back  Cause; display
//       32    32 last_name   who gave it back  display
//       64    64 error       who gave it back  what it said; display
//
// PoolReceipt
//        0     8 word     anyone (CAS)    chunk word: FREE, or LOANED to the sender that waits
//        8     8 outcome  anyone (CAS)    OutcomeWord
//       16     8 named    who took it     tag of the receipt whose taker `name` names
//       24    40 name     who took it     display
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"

namespace stoa {

inline constexpr std::uint64_t kPoolMagic = magic_of("STOAPOL1");
inline constexpr std::uint32_t kPoolVersion = 2;
inline constexpr std::uint32_t kPoolMaxClasses = 8;
inline constexpr std::uint32_t kPoolMaxSlots = 1U << 20U;
inline constexpr std::uint32_t kPoolMaxChunks = 1U << 22U;
inline constexpr std::uint32_t kPoolMaxLevels = 32;
inline constexpr std::uint32_t kPoolMaxReceipts = 4096;

// Chunks of one size. Chunk i of the class has its header at first_offset + i * stride.
struct PoolClass {
    std::uint64_t first_offset;
    std::uint32_t stride;
    std::uint32_t payload_bytes;
    std::uint32_t first_chunk;
    std::uint32_t count;
    std::uint32_t first_hint;
    std::uint32_t reserved;
};
static_assert(offsetof(PoolClass, first_offset) == 0 && offsetof(PoolClass, stride) == 8);
static_assert(offsetof(PoolClass, payload_bytes) == 12 && offsetof(PoolClass, first_chunk) == 16);
static_assert(offsetof(PoolClass, count) == 20 && offsetof(PoolClass, first_hint) == 24);
static_assert(offsetof(PoolClass, reserved) == 28 && sizeof(PoolClass) == 32);
static_assert(alignof(PoolClass) == 8 && std::is_standard_layout_v<PoolClass>);

struct PoolChunk {  // the payload follows
    static constexpr std::uint32_t kNoted = 1;

    Atomic<std::uint64_t> word;
    Atomic<std::uint32_t> length;
    Atomic<std::uint32_t> flags;
};
static_assert(offsetof(PoolChunk, word) == 0 && offsetof(PoolChunk, length) == 8);
static_assert(offsetof(PoolChunk, flags) == 12 && sizeof(PoolChunk) == 16);
static_assert(std::is_standard_layout_v<PoolChunk>);

struct PoolQueue {
    alignas(kCacheLine) Atomic<std::uint64_t> tail;
    alignas(kCacheLine) Atomic<std::uint64_t> head;
};
static_assert(offsetof(PoolQueue, tail) == 0 && offsetof(PoolQueue, head) == 64);
static_assert(sizeof(PoolQueue) == 128 && std::is_standard_layout_v<PoolQueue>);

struct PoolNote {
    Atomic<std::uint64_t> receipt;
    Atomic<std::uint64_t> expires_ns;
    Atomic<std::uint64_t> sent_ns;
    Atomic<std::uint32_t> last_pid;
    Atomic<std::uint32_t> cause;
    Atomic<std::uint64_t> last_name[4];
    Atomic<std::uint64_t> error[8];
};
static_assert(offsetof(PoolNote, receipt) == 0 && offsetof(PoolNote, expires_ns) == 8);
static_assert(offsetof(PoolNote, sent_ns) == 16 && offsetof(PoolNote, last_pid) == 24);
static_assert(offsetof(PoolNote, cause) == 28 && offsetof(PoolNote, last_name) == 32);
static_assert(offsetof(PoolNote, error) == 64 && sizeof(PoolNote) == 128);
static_assert(std::is_standard_layout_v<PoolNote>);

struct PoolReceipt {
    Atomic<std::uint64_t> word;
    Atomic<std::uint64_t> outcome;
    Atomic<std::uint64_t> named;
    Atomic<std::uint64_t> name[5];
};
static_assert(offsetof(PoolReceipt, word) == 0 && offsetof(PoolReceipt, outcome) == 8);
static_assert(offsetof(PoolReceipt, named) == 16 && offsetof(PoolReceipt, name) == 24);
static_assert(sizeof(PoolReceipt) == 64 && std::is_standard_layout_v<PoolReceipt>);

struct PoolLayout {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t slot_count;
    std::uint32_t chunk_count;
    std::uint32_t class_count;
    std::uint32_t acknowledged;
    std::uint32_t level_count;
    std::uint64_t hints_offset;
    std::uint64_t slots_offset;
    std::uint64_t total_bytes;
    std::uint32_t receipt_count;
    std::uint32_t dead_letter_after;
    alignas(kCacheLine) PoolClass classes[kPoolMaxClasses];
    alignas(kCacheLine) std::uint64_t ageing_ns;
    std::uint64_t extra_bytes;
    std::uint32_t dead_letter_quota;
    Atomic<std::uint32_t> extras;
    alignas(kCacheLine) Atomic<std::uint64_t> flag;
    Atomic<std::uint64_t> redelivered;
    alignas(kCacheLine) Atomic<std::uint64_t> levels;
    Atomic<std::uint64_t> dropped_oldest;
    Atomic<std::uint64_t> dropped_newest;
    Atomic<std::uint64_t> expired;
    Atomic<std::uint64_t> withdrawn;
    Atomic<std::uint64_t> unmet;
};
static_assert(offsetof(PoolLayout, magic) == 0 && offsetof(PoolLayout, version) == 8);
static_assert(offsetof(PoolLayout, slot_count) == 12 && offsetof(PoolLayout, chunk_count) == 16);
static_assert(offsetof(PoolLayout, class_count) == 20 && offsetof(PoolLayout, acknowledged) == 24);
static_assert(offsetof(PoolLayout, level_count) == 28);
static_assert(offsetof(PoolLayout, hints_offset) == 32 && offsetof(PoolLayout, slots_offset) == 40);
static_assert(offsetof(PoolLayout, total_bytes) == 48 && offsetof(PoolLayout, classes) == 64);
static_assert(offsetof(PoolLayout, receipt_count) == 56);
static_assert(offsetof(PoolLayout, dead_letter_after) == 60);
static_assert(offsetof(PoolLayout, ageing_ns) == 320 && offsetof(PoolLayout, extra_bytes) == 328);
static_assert(offsetof(PoolLayout, dead_letter_quota) == 336);
static_assert(offsetof(PoolLayout, extras) == 340);
static_assert(offsetof(PoolLayout, flag) == 384 && offsetof(PoolLayout, redelivered) == 392);
static_assert(offsetof(PoolLayout, levels) == 448 && offsetof(PoolLayout, dropped_oldest) == 456);
static_assert(offsetof(PoolLayout, dropped_newest) == 464);
static_assert(offsetof(PoolLayout, expired) == 472 && offsetof(PoolLayout, withdrawn) == 480);
static_assert(offsetof(PoolLayout, unmet) == 488);
static_assert(sizeof(PoolLayout) == 512 && std::is_standard_layout_v<PoolLayout>);

}  // namespace stoa
