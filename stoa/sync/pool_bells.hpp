// The bells of a pool ring: who waits for its messages, and who for room in it.
//
// Start here: PoolEngine (stoa/channel/pool_engine.hpp) rings them and sleeps on them.
// Threads:    as stoa/sync/bell.hpp.
// Processes:  they lie in shared memory; part of the layouts that hold them.
// Death:      as stoa/sync/bell.hpp.
// Blocking:   never.
// Lifetime:   plain memory.
// Units:      bell words.
// Source:     stoa/sync/bell.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"

namespace stoa {

struct PoolBells {
    alignas(kCacheLine) Atomic<std::uint32_t> messages;  // receivers sleep here
    Atomic<std::uint32_t> letters;  // who waits for dead letters, see PoolEngine
    alignas(
        kCacheLine) Atomic<std::uint32_t> space;  // senders sleep here: for a slot, or for memory
};
static_assert(offsetof(PoolBells, messages) == 0 && offsetof(PoolBells, letters) == 4);
static_assert(offsetof(PoolBells, space) == 64 && sizeof(PoolBells) == 128);

}  // namespace stoa
