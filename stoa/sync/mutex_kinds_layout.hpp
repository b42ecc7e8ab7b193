// Memory images of kinds of mutex, format v1. docs/formats/mutex_kinds.md holds these tables; a
// test compares. They are part of other objects: each has no magic word of its own. All zero: free,
// not done.
//
// RecursiveMutexLayout
//   offset bytes field      writer        rule
//        0     8 word       anyone (CAS)  LockWord
//        8     8 thread     its holder    HoldingThread; 0 before it is given back
//       16     4 depth      its holder    how many times the thread holds it
//       20     4 unused     -             0
//
// OnceLayout
//        0     8 word       anyone (CAS)  LockWord of who runs it; bit 31 says that it was done
//
// PriorityMutexLayout
//        0     8 word       anyone (CAS)  LockWord: who holds it; the truth
//        8     4 gate       kernel, anyone  the kernel's word of a futex with priority inheritance:
//                                         the thread that comes next, or holds it
//       12     4 unused     -             0
//
// HoldingThread
//      bit 0-12 index                     of the holder, as in a LockWord
//     bit 13-36 incarnation               of the holder
//     bit 37-63 thread                    number of the thread in its process, from 1 on
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/sync/lock_layout.hpp"

namespace stoa {

struct RecursiveMutexLayout {
    Atomic<std::uint64_t> word;
    Atomic<std::uint64_t> thread;
    Atomic<std::uint32_t> depth;
    std::uint32_t unused;
};
static_assert(offsetof(RecursiveMutexLayout, word) == 0);
static_assert(offsetof(RecursiveMutexLayout, thread) == 8);
static_assert(offsetof(RecursiveMutexLayout, depth) == 16);
static_assert(offsetof(RecursiveMutexLayout, unused) == 20);
static_assert(sizeof(RecursiveMutexLayout) == 24);
static_assert(std::is_standard_layout_v<RecursiveMutexLayout>);

struct OnceLayout {
    Atomic<std::uint64_t> word;
};
static_assert(offsetof(OnceLayout, word) == 0);
static_assert(sizeof(OnceLayout) == 8 && std::is_standard_layout_v<OnceLayout>);

struct PriorityMutexLayout {
    Atomic<std::uint64_t> word;
    Atomic<std::uint32_t> gate;
    std::uint32_t unused;
};
static_assert(offsetof(PriorityMutexLayout, word) == 0 && offsetof(PriorityMutexLayout, gate) == 8);
static_assert(offsetof(PriorityMutexLayout, unused) == 12 && sizeof(PriorityMutexLayout) == 16);
static_assert(std::is_standard_layout_v<PriorityMutexLayout>);

// A word that no other thread writes, whatever the dead left there.
[[nodiscard]] constexpr std::uint64_t holding_thread(Holder holder, std::uint64_t thread) noexcept {
    return (holder & 0x1fffU) | (holder >> 32U & 0xffffffU) << 13U | thread << 37U;
}

}  // namespace stoa
