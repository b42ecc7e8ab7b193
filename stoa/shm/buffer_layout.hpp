// Memory image of a buffer, an object of a region, format v1. docs/formats/buffer.md holds this
// table; a test compares.
//
// BufferLayout
//   offset bytes field          writer   rule
//        0     8 magic          creator  set before the object is found
//        8     4 version        creator  readers refuse a version they do not know
//       12     4 capacity       creator  messages of the first ring, 1 .. 2^20
//       16     4 message_bytes  creator  of each message
//       20     4 message_align  creator  16, 32 or 64
//       24     8 quota_bytes    creator  of all rings; 0: bounded, there is one ring
//       32     4 first          anyone   hint: no message comes to the rings before this one
//       40     8 again          anyone   {generation 63 bits, up 1 bit}: of several rings: messages
//                                        are to be taken again somewhere
//       64   128 bells          anyone   PoolBells; `letters` is not used
//      192   128 rings          anyone   16 words: how far behind the word a pool ring begins
//                                        (pool_layout.hpp), in the heap of the region; 0: none yet
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"
#include "stoa/sync/pool_bells.hpp"

namespace stoa {

inline constexpr std::uint64_t kBufferMagic = magic_of("STOABUF1");
inline constexpr std::uint32_t kBufferVersion = 1;
inline constexpr std::uint32_t kBufferRings = 16;

struct BufferLayout {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t capacity;
    std::uint32_t message_bytes;
    std::uint32_t message_align;
    std::uint64_t quota_bytes;
    Atomic<std::uint32_t> first;
    alignas(8) Atomic<std::uint64_t> again;
    alignas(kCacheLine) PoolBells bells;
    Atomic<std::uint64_t> rings[kBufferRings];
};
static_assert(offsetof(BufferLayout, magic) == 0 && offsetof(BufferLayout, version) == 8);
static_assert(offsetof(BufferLayout, capacity) == 12);
static_assert(offsetof(BufferLayout, message_bytes) == 16);
static_assert(offsetof(BufferLayout, message_align) == 20);
static_assert(offsetof(BufferLayout, quota_bytes) == 24 && offsetof(BufferLayout, first) == 32);
static_assert(offsetof(BufferLayout, again) == 40 && offsetof(BufferLayout, bells) == 64);
static_assert(offsetof(BufferLayout, rings) == 192 && sizeof(BufferLayout) == 320);
static_assert(std::is_standard_layout_v<BufferLayout>);

}  // namespace stoa
