// Memory image of a lock for readers and writers, format v1. docs/formats/shared_mutex.md holds
// these tables; a test compares. It is part of other objects: it has no magic word of its own. All
// zero: free. Its ReaderPlaces follow.
//
// SharedMutexLayout
//   offset bytes field      writer        rule
//        0     8 word       anyone (CAS)  LockWord of the writer, with bit 13
//        8     4 emptied    anyone        a writer sleeps here until no reader is in
//       12     4 opened     anyone        readers sleep here until no writer is there
//       16    48 unused     -             0
//
// ReaderPlace, a cache line each, so that readers in different places do not disturb each other
//        0     8 word       anyone (CAS)  ReaderWord
//        8    56 unused     -             0
//
// ReaderWord
//      bit 0-12 index                     as in a LockWord; 0: nobody reads here
//      bit 13-28 count                    how many times this process is in
//     bit 32-55 incarnation               of the process
//
// LockWord
//      bit   13 entering                  the writer waits for readers to leave; it wrote nothing
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/sync/lock_layout.hpp"

namespace stoa {

inline constexpr std::uint64_t kEntering = std::uint64_t{1} << 13U;

struct ReaderWord {
    static constexpr std::uint64_t kOne = std::uint64_t{1} << 13U;
    static constexpr std::uint32_t kMaxCount = 0xffff;

    [[nodiscard]] static constexpr Holder holder(std::uint64_t word) noexcept {
        return word & kHolderMask;
    }
    [[nodiscard]] static constexpr std::uint32_t count(std::uint64_t word) noexcept {
        return static_cast<std::uint32_t>(word >> 13U) & kMaxCount;
    }
    // The word with one more reader of `me`; 0: this place has no room for it.
    [[nodiscard]] static constexpr std::uint64_t with_one_more(std::uint64_t word,
                                                               Holder me) noexcept {
        if (word == 0) return me | kOne;
        return holder(word) == me && count(word) < kMaxCount ? word + kOne : 0;
    }
    [[nodiscard]] static constexpr std::uint64_t with_one_less(std::uint64_t word) noexcept {
        return count(word) == 1 ? 0 : word - kOne;
    }
};

struct alignas(kCacheLine) SharedMutexLayout {
    Atomic<std::uint64_t> word;
    Atomic<std::uint32_t> emptied;
    Atomic<std::uint32_t> opened;
    std::uint64_t unused[6];
};
static_assert(offsetof(SharedMutexLayout, word) == 0);
static_assert(offsetof(SharedMutexLayout, emptied) == 8);
static_assert(offsetof(SharedMutexLayout, opened) == 12);
static_assert(offsetof(SharedMutexLayout, unused) == 16 && sizeof(SharedMutexLayout) == 64);
static_assert(std::is_standard_layout_v<SharedMutexLayout>);

struct alignas(kCacheLine) ReaderPlace {
    Atomic<std::uint64_t> word;
    std::uint64_t unused[7];
};
static_assert(offsetof(ReaderPlace, word) == 0 && offsetof(ReaderPlace, unused) == 8);
static_assert(sizeof(ReaderPlace) == 64 && std::is_standard_layout_v<ReaderPlace>);

}  // namespace stoa
