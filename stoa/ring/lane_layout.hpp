// Memory image of one lane, format v1. docs/formats/lane.md holds these tables; a test compares.
//
// LaneLayout
//   offset bytes field                    writer    rule
//        0     8 header.magic             creator   set before the lane is published
//        8     4 header.version           creator   readers refuse a version they do not know
//       12     4 header.data_offset       creator   12288; where the ring begins
//       16     8 header.ring_bytes        creator   power of two, 128 .. 2^32; never changes
//       24     8 header.max_record_bytes  creator   the ring can hold it; never changes
//     4096     8 receiver.delivered       receiver  position of the next record to deliver; only
//                                                   grows
//     4224     8 receiver.freed           receiver  what lies before may be overwritten
//     4232     4 receiver.cpu             receiver  where it ran when it stored freed
//     4352     4 receiver.mark            receiver  LaneMark: asleep on the ready word at
//                                                   delivered
//     8192     4 sender.mark              sender    LaneMark: asleep on the low half of freed,
//                                                   or of delivered
//    12288 ring_bytes ring                sender    records; position p lies at p % ring_bytes
//
// LaneHead, at each record's position (a multiple of 16); a payload of more than 8 bytes follows it
//        0     8 inline_payload           sender    the payload, if it has at most 8 bytes
//        8     8 ready                    sender    LaneWord; 0 while the record is not published
//
// LaneWord
//      bit  0-1 kind                          1 record, 2 pad, 3 end of stream; 0 only in word 0
//      bit 2-15 cpu                           where the sender ran, a hint; 16383 unknown
//     bit 16-63 bytes                         record: its payload; pad: its stride; end: 0
//
// LaneMark: an epoch that only grows
//      bit    0 asleep
//      bit    1 for_place                     the sender sleeps on delivered
//     bit  2-31 epoch
//
// What each side writes lies on pages of its own, so a peer's pages can be mapped read-only.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"
#include "stoa/base/size.hpp"

namespace stoa {

inline constexpr std::uint64_t kLaneMagic = magic_of("STOALAN1");
inline constexpr std::uint32_t kLaneVersion = 1;
inline constexpr std::uint64_t kLaneMinRingBytes = 128;
inline constexpr std::uint64_t kLaneMaxRingBytes = std::uint64_t{1} << 32U;
inline constexpr std::uint32_t kLaneUnknownCpu = 0x3fff;

struct LaneHeaderPage {
    alignas(kPage) Atomic<std::uint64_t> magic;
    Atomic<std::uint32_t> version;
    Atomic<std::uint32_t> data_offset;
    Atomic<std::uint64_t> ring_bytes;
    Atomic<std::uint64_t> max_record_bytes;
};
struct LaneReceiverPage {
    alignas(kPage) Atomic<std::uint64_t> delivered;  // polled by nobody
    alignas(2 * kCacheLine) Atomic<std::uint64_t> freed;
    Atomic<std::uint32_t> cpu;
    alignas(2 * kCacheLine) Atomic<std::uint32_t> mark;
};
struct LaneSenderPage {
    alignas(kPage) Atomic<std::uint32_t> mark;
};
struct LaneLayout {  // the ring follows at sizeof(LaneLayout)
    LaneHeaderPage header;
    LaneReceiverPage receiver;
    LaneSenderPage sender;
};
static_assert(offsetof(LaneLayout, header) == 0 && offsetof(LaneLayout, receiver) == 4096);
static_assert(offsetof(LaneLayout, sender) == 8192 && sizeof(LaneLayout) == 12288);
static_assert(offsetof(LaneHeaderPage, magic) == 0 && offsetof(LaneHeaderPage, version) == 8);
static_assert(offsetof(LaneHeaderPage, data_offset) == 12);
static_assert(offsetof(LaneHeaderPage, ring_bytes) == 16);
static_assert(offsetof(LaneHeaderPage, max_record_bytes) == 24);
static_assert(offsetof(LaneReceiverPage, delivered) == 0 && offsetof(LaneReceiverPage, cpu) == 136);
static_assert(offsetof(LaneReceiverPage, freed) == 128 && offsetof(LaneReceiverPage, mark) == 256);
static_assert(offsetof(LaneSenderPage, mark) == 0);
static_assert(std::is_standard_layout_v<LaneLayout>);
static_assert(std::is_trivially_destructible_v<LaneLayout>);

struct LaneHead {
    std::byte inline_payload[8];
    Atomic<std::uint64_t> ready;
};
inline constexpr std::uint64_t kLaneInlineBytes = 8;
inline constexpr std::uint64_t kLaneHeadBytes = 16;
static_assert(offsetof(LaneHead, inline_payload) == 0);
static_assert(offsetof(LaneHead, ready) == 8 && sizeof(LaneHead) == kLaneHeadBytes);
static_assert(std::endian::native == std::endian::little);  // the kind lies in the low half

// The head at a position. The one cast into the ring; `mask` is our own copy of ring_bytes - 1.
[[nodiscard]] inline LaneHead* lane_head(std::byte* ring, std::uint64_t mask,
                                         std::uint64_t position) noexcept {
    return reinterpret_cast<LaneHead*>(ring + (position & mask));
}

enum class LaneKind : std::uint8_t { not_ready = 0, record = 1, pad = 2, end = 3 };

// A ready word, taken apart. Reading one is total: every 64-bit value has a kind and a length.
struct LaneWord {
    static constexpr std::uint64_t kCpuMask = std::uint64_t{kLaneUnknownCpu} << 2U;

    [[nodiscard]] static constexpr std::uint64_t cpu_bits(std::uint32_t cpu) noexcept {
        return std::uint64_t{std::min(cpu, kLaneUnknownCpu)} << 2U;
    }
    [[nodiscard]] static constexpr std::uint64_t make(LaneKind kind, std::uint64_t bytes,
                                                      std::uint64_t cpu = kCpuMask) noexcept {
        return bytes << 16U | cpu | static_cast<std::uint64_t>(kind);
    }
    [[nodiscard]] static constexpr LaneKind kind(std::uint64_t word) noexcept {
        return static_cast<LaneKind>(word & 3U);
    }
    [[nodiscard]] static constexpr std::uint64_t bytes(std::uint64_t word) noexcept {
        return word >> 16U;
    }
    [[nodiscard]] static constexpr std::uint32_t cpu(std::uint64_t word) noexcept {
        return static_cast<std::uint32_t>(word >> 2U) & kLaneUnknownCpu;
    }
};

// Ring bytes that a record of `bytes` takes, its head included. Big ones end on a line, so that
// the next big one needs no pad.
[[nodiscard]] constexpr std::uint64_t lane_stride(std::uint64_t bytes) noexcept {
    if (bytes <= kLaneInlineBytes) return 16;
    if (bytes <= 16) return 32;
    if (bytes <= 48) return 64;
    return align_up(bytes + kLaneHeadBytes, bytes >= 256 ? kCacheLine : 16);
}

// Where the payload begins, seen from its head.
[[nodiscard]] constexpr std::uint64_t lane_payload_offset(std::uint64_t bytes) noexcept {
    return bytes <= kLaneInlineBytes ? 0 : kLaneHeadBytes;
}

// Bytes to skip before a record may stand at `offset`; 0: it may. Asked again after each pad.
//   up to 48 bytes: head and payload lie in one line;   256 and more: the payload begins a line;
//   alignments of 32 and 64 hold from 9 bytes on;       no record goes over the end of the ring.
[[nodiscard]] constexpr std::uint64_t lane_pad(std::uint64_t offset, std::uint64_t bytes,
                                               std::uint64_t alignment,
                                               std::uint64_t ring_bytes) noexcept {
    if (bytes <= kLaneInlineBytes) return 0;
    const std::uint64_t stride = lane_stride(bytes);
    const std::uint64_t in_line = offset % kCacheLine;
    std::uint64_t pad = 0;
    if (bytes >= 256 || alignment > 32) {
        pad = (48 - offset) % kCacheLine;
    } else if (alignment > 16) {
        pad = (16 - offset) % (bytes <= 48 ? kCacheLine : 32);
    } else if (bytes <= 48 && in_line + stride > kCacheLine) {
        pad = kCacheLine - in_line;
    }
    return offset + pad + stride > ring_bytes ? ring_bytes - offset : pad;
}

// A side's mark: whether it sleeps, and where. Never repeats, also not over a death.
struct LaneMark {
    static constexpr std::uint32_t kAsleep = 1;
    static constexpr std::uint32_t kForPlace = 2;

    [[nodiscard]] static constexpr std::uint32_t next(std::uint32_t mark,
                                                      std::uint32_t state) noexcept {
        return ((mark | 3U) + 1) | state;
    }
    [[nodiscard]] static constexpr bool asleep(std::uint32_t mark) noexcept {
        return (mark & kAsleep) != 0;
    }
};

// Pauses to spin before going to sleep, when the last record had so many bytes.
[[nodiscard]] constexpr std::uint32_t lane_spin_pauses(std::uint64_t last_bytes) noexcept {
    return static_cast<std::uint32_t>(400 + std::min<std::uint64_t>(last_bytes / 64, 2000));
}

struct LaneGeometry {
    std::uint64_t ring_bytes = 0;
    std::uint64_t max_record_bytes = 0;

    // A ring that holds `records` of the largest size, also beside a receiver that went away in
    // the middle and with every pad that they may need.
    [[nodiscard]] static constexpr LaneGeometry holding(std::uint64_t records,
                                                        std::uint64_t max_record_bytes) noexcept {
        constexpr std::uint64_t kTooMuch = kLaneMaxRingBytes;
        if (max_record_bytes > kTooMuch || records >= kTooMuch) return {};
        const auto payload = checked_mul(records + 1, lane_stride(max_record_bytes) + kCacheLine);
        if (!payload || *payload > kTooMuch / 8 * 7) return {};
        return {std::max(kLaneMinRingBytes, std::bit_ceil(*payload + *payload / 7 + kCacheLine)),
                max_record_bytes};
    }
    // Whether the ring can hold its largest record, wherever it falls.
    [[nodiscard]] constexpr bool valid() const noexcept {
        return std::has_single_bit(ring_bytes) && ring_bytes >= kLaneMinRingBytes &&
               ring_bytes <= kLaneMaxRingBytes && max_record_bytes < ring_bytes &&
               lane_stride(max_record_bytes) + kCacheLine <= ring_bytes;
    }
    [[nodiscard]] constexpr std::uint64_t bytes_needed() const noexcept {
        return sizeof(LaneLayout) + ring_bytes;
    }
    // The receiver returns space when so much has come together: rarely, for speed, but never so
    // late that the largest record does not fit although all was received.
    [[nodiscard]] constexpr std::uint64_t free_stride() const noexcept {
        const std::uint64_t spare =
            ring_bytes - kCacheLine - align_up(lane_stride(max_record_bytes), kCacheLine);
        return std::max<std::uint64_t>(std::min(ring_bytes / 8, spare), kLaneHeadBytes);
    }
};

}  // namespace stoa
