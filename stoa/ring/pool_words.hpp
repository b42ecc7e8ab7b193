// The two kinds of words that are the truth of a pool ring, packed and unpacked.
//
// Slot word, from the low bit: kind 2, takes 8, who 12, chunk `chunk_bits`, lap the rest (at most
// 32). Its chunk and lap share what is left, split when the ring is created, so that a ring of a
// million slots fits as well as a ring of one. Chunk word: state 3, count 8, takes 8, owner 12,
// epoch 33. All zero is an EMPTY slot of lap 0 and a FREE chunk of epoch 0. An EMPTY slot whose
// takes are not 0 is SEALED: nothing is ever sent there or behind it.
#pragma once

#include <cstdint>

#include "stoa/base/size.hpp"

namespace stoa {

inline constexpr std::uint32_t kMaxEndpoints = 1U << 12U;
inline constexpr std::uint32_t kMaxTakes = 126;  // the take after this one makes a dead letter
inline constexpr std::uint32_t kDropping = 128;  // added to the takes of one that drops the message
inline constexpr std::uint32_t kRedriven = 255;  // in a chunk word: it was a dead letter

enum class SlotKind : std::uint8_t { empty = 0, full = 1, taken = 2, redeliver = 3 };

struct Slot {
    std::uint32_t lap = 0;  // modulo 2^lap_bits
    std::uint32_t chunk = 0;
    std::uint32_t who = 0;  // endpoint that takes the message; TAKEN only
    std::uint32_t takes =
        0;  // how often this lap's message was taken before: (lap, takes) never repeats
    SlotKind kind = SlotKind::empty;

    // TAKEN: not to be received, but to make room.
    [[nodiscard]] constexpr bool dropping() const noexcept { return (takes & kDropping) != 0; }
    [[nodiscard]] constexpr bool open() const noexcept {  // may be sent to
        return kind == SlotKind::empty && takes == 0;
    }
};

class SlotCodec {
public:
    SlotCodec() = default;
    explicit constexpr SlotCodec(std::uint32_t chunk_count) noexcept
        : chunk_bits_{bits_for(chunk_count)} {
        const unsigned left = 64 - kFixedBits - chunk_bits_;
        lap_mask_ = static_cast<std::uint32_t>((1ULL << (left < 32 ? left : 32U)) - 1);
    }
    [[nodiscard]] constexpr std::uint64_t pack(Slot slot) const noexcept {
        return static_cast<std::uint64_t>(slot.kind) | std::uint64_t{slot.takes} << 2U |
               std::uint64_t{slot.who} << 10U | std::uint64_t{slot.chunk} << kFixedBits |
               std::uint64_t{slot.lap & lap_mask_} << (kFixedBits + chunk_bits_);
    }
    [[nodiscard]] constexpr Slot unpack(std::uint64_t word) const noexcept {
        return {.lap = static_cast<std::uint32_t>(word >> (kFixedBits + chunk_bits_)),
                .chunk = static_cast<std::uint32_t>(word >> kFixedBits) & ((1U << chunk_bits_) - 1),
                .who = static_cast<std::uint32_t>(word >> 10U) & 0xfffU,
                .takes = static_cast<std::uint32_t>(word >> 2U) & 0xffU,
                .kind = static_cast<SlotKind>(word & 3U)};
    }
    // How many laps `lap` is ahead of `other` (negative: behind), both modulo 2^lap_bits.
    [[nodiscard]] constexpr std::int32_t ahead(std::uint32_t lap,
                                               std::uint32_t other) const noexcept {
        const std::uint32_t difference = (lap - other) & lap_mask_;
        return static_cast<std::int32_t>(difference <= lap_mask_ / 2 ? difference
                                                                     : difference | ~lap_mask_);
    }
    [[nodiscard]] constexpr std::uint32_t next_lap(std::uint32_t lap) const noexcept {
        return (lap + 1) & lap_mask_;
    }
    [[nodiscard]] constexpr std::uint32_t lap_mask() const noexcept { return lap_mask_; }

private:
    static constexpr unsigned kFixedBits = 22;
    unsigned chunk_bits_ = 1;
    std::uint32_t lap_mask_ = 0xffffffff;
};

enum class ChunkState : std::uint8_t {
    free = 0,         // nobody's
    loaned = 1,       // lent to the endpoint that fills it, or sent by it and not yet adopted
    borrowed = 2,     // lent to the endpoint that received it (a lease in acknowledged mode)
    redeliver = 3,    // acknowledged mode: in no slot, to be delivered again
    dead_letter = 4,  // taken too often, or expired; kept for whoever asks for dead letters
    done = 5,         // acked by its owner, who is telling the sender and then frees it
};

inline constexpr std::uint64_t kEpochMask = (1ULL << 33U) - 1;

struct ChunkWord {
    std::uint64_t epoch = 0;  // every transition makes a new one; 33 bits
    std::uint32_t owner = 0;
    std::uint32_t takes = 0;  // of the slot word that it was adopted for, or kRedriven; of a dead
                              // letter: its Cause
    std::uint32_t count = 0;  // deliveries that ended without ack; stays at 255
    ChunkState state = ChunkState::free;

    [[nodiscard]] constexpr bool dropping() const noexcept {
        return state == ChunkState::borrowed && takes >= kDropping && takes != kRedriven;
    }

    friend constexpr bool operator==(const ChunkWord&, const ChunkWord&) = default;
};

[[nodiscard]] constexpr std::uint64_t pack(ChunkWord word) noexcept {
    return static_cast<std::uint64_t>(word.state) | std::uint64_t{word.count} << 3U |
           std::uint64_t{word.takes} << 11U | std::uint64_t{word.owner} << 19U | word.epoch << 31U;
}

[[nodiscard]] constexpr ChunkWord unpack_chunk(std::uint64_t word) noexcept {
    return {.epoch = word >> 31U,
            .owner = static_cast<std::uint32_t>(word >> 19U) & 0xfffU,
            .takes = static_cast<std::uint32_t>(word >> 11U) & 0xffU,
            .count = static_cast<std::uint32_t>(word >> 3U) & 0xffU,
            .state = static_cast<ChunkState>(word & 7U)};
}

// A place in the order of messages: how often the ring went round, and the slot.
struct Position {
    std::uint32_t lap = 0;
    std::uint32_t index = 0;

    [[nodiscard]] static constexpr Position of(std::uint64_t word) noexcept {
        return {static_cast<std::uint32_t>(word >> 32U), static_cast<std::uint32_t>(word)};
    }
    [[nodiscard]] constexpr std::uint64_t word() const noexcept {
        return std::uint64_t{lap} << 32U | index;
    }
};

}  // namespace stoa
