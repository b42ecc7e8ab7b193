// Memory image of one pool ring, format v1. docs/formats/pool.md holds these tables; a test
// compares.
//
// PoolLayout
//   offset bytes field         writer        rule
//        0     8 magic         creator       set before the name is published
//        8     4 version       creator       readers refuse a version they do not know
//       12     4 slot_count    creator       1 .. 2^20; never changes
//       16     4 chunk_count   creator       sum of the classes' counts, at most 2^22
//       20     4 class_count   creator       1 .. 8
//       24     4 acknowledged  creator       1: a delivery is a lease until it is acked
//       28     4 reserved      creator       0
//       32     8 hints_offset  creator       from the start of the layout, multiple of 64
//       40     8 slots_offset  creator       from the start of the layout, multiple of 64
//       48     8 total_bytes   creator       of the whole image
//       64   256 classes       creator       8 of PoolClass, sorted by payload_bytes
//      320     8 tail          anyone (CAS)  hint: position of the next send
//      384     8 head          anyone (CAS)  hint: position of the next receive
//      448     8 flag          anyone (CAS)  {generation 63 bits, up 1 bit}: messages wait off the
//                                            queue
//      456     8 redelivered   anyone (add)  hint: deliveries with the mark `redelivered`
//      512     - hints         anyone        one bit per chunk: 1 says that it may be FREE
//        -     - slots         anyone (CAS)  slot_count slot words, see pool_words.hpp
//        -     - chunks        anyone        chunk_count of PoolChunk, each with its payload
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
//       12     4 reserved  creator           0
//       16     - payload   its lender        at most payload_bytes of its class
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"

namespace stoa {

inline constexpr std::uint64_t kPoolMagic = magic_of("STOAPOL1");
inline constexpr std::uint32_t kPoolVersion = 1;
inline constexpr std::uint32_t kPoolMaxClasses = 8;
inline constexpr std::uint32_t kPoolMaxSlots = 1U << 20U;
inline constexpr std::uint32_t kPoolMaxChunks = 1U << 22U;

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
    Atomic<std::uint64_t> word;
    Atomic<std::uint32_t> length;
    std::uint32_t reserved;
};
static_assert(offsetof(PoolChunk, word) == 0 && offsetof(PoolChunk, length) == 8);
static_assert(offsetof(PoolChunk, reserved) == 12 && sizeof(PoolChunk) == 16);
static_assert(std::is_standard_layout_v<PoolChunk>);

struct PoolLayout {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t slot_count;
    std::uint32_t chunk_count;
    std::uint32_t class_count;
    std::uint32_t acknowledged;
    std::uint32_t reserved;
    std::uint64_t hints_offset;
    std::uint64_t slots_offset;
    std::uint64_t total_bytes;
    alignas(kCacheLine) PoolClass classes[kPoolMaxClasses];
    alignas(kCacheLine) Atomic<std::uint64_t> tail;
    alignas(kCacheLine) Atomic<std::uint64_t> head;
    alignas(kCacheLine) Atomic<std::uint64_t> flag;
    Atomic<std::uint64_t> redelivered;
};
static_assert(offsetof(PoolLayout, magic) == 0 && offsetof(PoolLayout, version) == 8);
static_assert(offsetof(PoolLayout, slot_count) == 12 && offsetof(PoolLayout, chunk_count) == 16);
static_assert(offsetof(PoolLayout, class_count) == 20 && offsetof(PoolLayout, acknowledged) == 24);
static_assert(offsetof(PoolLayout, reserved) == 28);
static_assert(offsetof(PoolLayout, hints_offset) == 32 && offsetof(PoolLayout, slots_offset) == 40);
static_assert(offsetof(PoolLayout, total_bytes) == 48 && offsetof(PoolLayout, classes) == 64);
static_assert(offsetof(PoolLayout, tail) == 320 && offsetof(PoolLayout, head) == 384);
static_assert(offsetof(PoolLayout, flag) == 448 && offsetof(PoolLayout, redelivered) == 456);
static_assert(sizeof(PoolLayout) == 512 && std::is_standard_layout_v<PoolLayout>);

}  // namespace stoa
