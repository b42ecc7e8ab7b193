// Memory image of one log, format v2. docs/formats/log.md holds these tables; a test compares.
//
// LogLayout
//   offset bytes field                    writer      rule
//        0     8 header.magic             creator     set before the log is published
//        8     4 header.version           creator     readers refuse a version they do not know
//       12     4 header.data_offset       creator     20480; where the ring begins
//       16     8 header.ring_bytes        creator     power of two, 128 .. 2^32; never changes
//       24     8 header.max_record_bytes  creator     the ring can hold it; never changes
//       32     8 header.max_waiting       creator     most messages that wait for a reliable
//                                                     subscriber, 1 .. 2^32; 0: the ring decides
//       40     4 header.subscribers       creator     cursors in use, 1 .. 64
//     4096     8 writer.floor             writer      the oldest record that is kept; only grows
//     4104     8 writer.recent            writer      a record not far from the end; only grows
//     4224     4 writer.mark              writer      LaneMark: asleep on rung
//     8192     4 bell.rung                subscriber  grows when the writer is to be woken
//    12288  8192 cursors                  subscriber  64 of LogCursor
//    20480 ring_bytes ring                writer      records; position p lies at p % ring_bytes
//
// LogCursor, one per subscriber
//        0     8 seat                     subscriber  its holder: index + 1 | incarnation << 32;
//                                                     0: free. CAS, also by a sweeper
//        8     8 state                    subscriber  LogState. Ended by CAS by a sweeper, too
//       64     8 hold                     subscriber  a position; reliable: what lies before may be
//                                                     overwritten
//       72     8 taken                    subscriber  sequence of the next message to deliver
//       80     8 missed                   subscriber  messages that it skipped, for display
//
// LogHead, at each record's position (a multiple of 16); the payload follows it
//        0     8 sequence                 writer      of the next record at or behind it
//        8     8 ready                    writer      LaneWord; 0 while it is not published
//
// LogState
//      bit  0-1 mode                          0 idle, 1 reliable, 2 latest
//      bit 2-63 generation                    grows with every subscription
//
// Positions count ring bytes and sequences count records since the log was made; neither wraps.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"
#include "stoa/ring/lane_layout.hpp"

namespace stoa {

inline constexpr std::uint64_t kLogMagic = magic_of("STOALOG1");
inline constexpr std::uint32_t kLogVersion = 2;
inline constexpr std::uint32_t kLogMaxSubscribers = 64;
inline constexpr std::uint64_t kLogMaxWaiting = std::uint64_t{1} << 32U;
inline constexpr std::uint64_t kLogHeadBytes = 16;

struct LogCursor {
    alignas(2 * kCacheLine) Atomic<std::uint64_t> seat;
    Atomic<std::uint64_t> state;
    alignas(kCacheLine) Atomic<std::uint64_t> hold;
    Atomic<std::uint64_t> taken;
    Atomic<std::uint64_t> missed;
};
static_assert(offsetof(LogCursor, seat) == 0 && offsetof(LogCursor, state) == 8);
static_assert(offsetof(LogCursor, hold) == 64 && offsetof(LogCursor, taken) == 72);
static_assert(offsetof(LogCursor, missed) == 80 && sizeof(LogCursor) == 128);

struct LogHeaderPage {
    alignas(kPage) Atomic<std::uint64_t> magic;
    Atomic<std::uint32_t> version;
    Atomic<std::uint32_t> data_offset;
    Atomic<std::uint64_t> ring_bytes;
    Atomic<std::uint64_t> max_record_bytes;
    Atomic<std::uint64_t> max_waiting;
    Atomic<std::uint32_t> subscribers;
};
struct LogWriterPage {
    alignas(kPage) Atomic<std::uint64_t> floor;
    Atomic<std::uint64_t> recent;
    alignas(2 * kCacheLine) Atomic<std::uint32_t> mark;
};
struct LogBellPage {
    alignas(kPage) Atomic<std::uint32_t> rung;
};
struct LogLayout {  // the ring follows at sizeof(LogLayout)
    LogHeaderPage header;
    LogWriterPage writer;
    LogBellPage bell;
    LogCursor cursors[kLogMaxSubscribers];
};
static_assert(offsetof(LogLayout, header) == 0 && offsetof(LogLayout, writer) == 4096);
static_assert(offsetof(LogLayout, bell) == 8192 && offsetof(LogLayout, cursors) == 12288);
static_assert(sizeof(LogLayout) == 20480);
static_assert(offsetof(LogHeaderPage, magic) == 0 && offsetof(LogHeaderPage, version) == 8);
static_assert(offsetof(LogHeaderPage, data_offset) == 12);
static_assert(offsetof(LogHeaderPage, ring_bytes) == 16);
static_assert(offsetof(LogHeaderPage, max_record_bytes) == 24);
static_assert(offsetof(LogHeaderPage, max_waiting) == 32);
static_assert(offsetof(LogHeaderPage, subscribers) == 40);
static_assert(offsetof(LogWriterPage, floor) == 0 && offsetof(LogWriterPage, recent) == 8);
static_assert(offsetof(LogWriterPage, mark) == 128 && offsetof(LogBellPage, rung) == 0);
static_assert(std::is_standard_layout_v<LogLayout>);
static_assert(std::is_trivially_destructible_v<LogLayout>);

struct LogHead {
    Atomic<std::uint64_t> sequence;
    Atomic<std::uint64_t> ready;
};
static_assert(offsetof(LogHead, sequence) == 0 && offsetof(LogHead, ready) == 8);
static_assert(sizeof(LogHead) == kLogHeadBytes);

// The head at a position. The one cast into the ring; `mask` is our own copy of ring_bytes - 1.
[[nodiscard]] inline LogHead* log_head(std::byte* ring, std::uint64_t mask,
                                       std::uint64_t position) noexcept {
    return reinterpret_cast<LogHead*>(ring + (position & mask));
}

enum class LogMode : std::uint8_t { idle = 0, reliable = 1, latest = 2 };

struct LogState {
    [[nodiscard]] static constexpr std::uint64_t make(LogMode mode,
                                                      std::uint64_t generation) noexcept {
        return generation << 2U | static_cast<std::uint64_t>(mode);
    }
    [[nodiscard]] static constexpr LogMode mode(std::uint64_t state) noexcept {
        return static_cast<LogMode>(state & 3U);
    }
    [[nodiscard]] static constexpr std::uint64_t generation(std::uint64_t state) noexcept {
        return state >> 2U;
    }
    [[nodiscard]] static constexpr std::uint64_t ended(std::uint64_t state) noexcept {
        return make(LogMode::idle, generation(state));
    }
};

// The places of a lane, but that the sequence takes the room of a payload inside the head.
[[nodiscard]] constexpr std::uint64_t log_stride(std::uint64_t bytes) noexcept {
    return lane_stride(std::max(bytes, kLaneInlineBytes + 1));
}
[[nodiscard]] constexpr std::uint64_t log_pad(std::uint64_t offset, std::uint64_t bytes,
                                              std::uint64_t alignment,
                                              std::uint64_t ring_bytes) noexcept {
    return lane_pad(offset, std::max(bytes, kLaneInlineBytes + 1), alignment, ring_bytes);
}

struct LogGeometry {
    std::uint64_t ring_bytes = 0;
    std::uint64_t max_record_bytes = 0;
    std::uint64_t max_waiting = 0;  // 0: as many as the ring holds
    std::uint32_t subscribers = 1;

    // The ring alone, as a lane's: its sizes follow the same rules.
    [[nodiscard]] constexpr LaneGeometry ring() const noexcept {
        return {ring_bytes, std::max(max_record_bytes, kLaneInlineBytes + 1)};
    }
    // A ring that holds `records` of the largest size.
    [[nodiscard]] static constexpr LogGeometry holding(std::uint64_t records,
                                                       std::uint64_t max_record_bytes) noexcept {
        const LaneGeometry ring =
            LaneGeometry::holding(records, std::max(max_record_bytes, kLaneInlineBytes + 1));
        return {.ring_bytes = ring.ring_bytes, .max_record_bytes = max_record_bytes};
    }
    [[nodiscard]] constexpr bool valid() const noexcept {
        return max_record_bytes < ring_bytes && ring().valid() && max_waiting <= kLogMaxWaiting &&
               subscribers >= 1 && subscribers <= kLogMaxSubscribers;
    }
    [[nodiscard]] constexpr std::uint64_t bytes_needed() const noexcept {
        return sizeof(LogLayout) + ring_bytes;
    }
};

// What a ready word takes of the ring; 0: no writer writes such a word there.
[[nodiscard]] constexpr std::uint64_t log_stride_of(std::uint64_t word, std::uint64_t offset,
                                                    std::uint64_t ring_bytes,
                                                    std::uint64_t max_record_bytes) noexcept {
    const std::uint64_t bytes = LaneWord::bytes(word);
    std::uint64_t stride = 0;
    if (LaneWord::kind(word) == LaneKind::record && bytes <= max_record_bytes) {
        stride = log_stride(bytes);
    } else if (LaneWord::kind(word) == LaneKind::pad && bytes % kLogHeadBytes == 0) {
        stride = bytes;
    }
    return stride <= ring_bytes - offset ? stride : 0;
}

// Payloads go in and out as words, each relaxed: a copying reader may look while the writer is
// already overwriting, finds out afterwards, and forgets what it read. `to` and `from` in the ring
// are multiples of 8; the last word may reach into what fills up the stride.
inline void log_copy_in(std::byte* to, const std::byte* from, std::uint64_t bytes) noexcept {
    std::uint64_t word = 0;
    std::uint64_t at = 0;
    for (; at + 8 <= bytes; at += 8) {
        __builtin_memcpy(&word, from + at, 8);
        reinterpret_cast<Atomic<std::uint64_t>*>(to + at)->store(word, kRelaxed);
    }
    if (at == bytes) return;
    word = 0;
    __builtin_memcpy(&word, from + at, bytes - at);
    reinterpret_cast<Atomic<std::uint64_t>*>(to + at)->store(word, kRelaxed);
}
inline void log_copy_out(std::byte* to, const std::byte* from, std::uint64_t bytes) noexcept {
    std::uint64_t at = 0;
    for (; at + 8 <= bytes; at += 8) {
        const std::uint64_t word =
            reinterpret_cast<const Atomic<std::uint64_t>*>(from + at)->load(kRelaxed);
        __builtin_memcpy(to + at, &word, 8);
    }
    if (at == bytes) return;
    const std::uint64_t word =
        reinterpret_cast<const Atomic<std::uint64_t>*>(from + at)->load(kRelaxed);
    __builtin_memcpy(to + at, &word, bytes - at);
}

// No load (store) behind it is done before a load (store) in front of it. On x86 the processor
// promises that already; g++ rejects std::atomic_thread_fence under ThreadSanitizer.
inline void log_load_fence() noexcept {
#if defined(__x86_64__)
    std::atomic_signal_fence(kAcquire);
#else
    std::atomic_thread_fence(kAcquire);  // allowed: banned: not on x86
#endif
}
inline void log_store_fence() noexcept {
#if defined(__x86_64__)
    std::atomic_signal_fence(kRelease);
#else
    std::atomic_thread_fence(kRelease);  // allowed: banned: not on x86
#endif
}

}  // namespace stoa
