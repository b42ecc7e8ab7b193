// What becomes of a message whose sender asked: the words, and what a sender holds.
//
// Start here: Outcome; PoolTicket is what PoolRing::publish leaves with a sender that asked.
// Threads:    values.
// Processes:  the words lie in shared memory (pool_layout.hpp, PoolReceipt and PoolNote).
// Death:      of the receiver: who recovers it says so; of the sender: its receipt is freed.
// Blocking:   never.
// Lifetime:   values.
// Units:      none.
// Source:     own: a receipt is a chunk without payload, owned by its sender, so that recover()
//             brings it back like any other; its tag is the epoch in which it was lent.
#pragma once

#include <cstdint>
#include <string_view>

#include "stoa/ring/pool_words.hpp"

namespace stoa {

// The numbers are part of the format. From `pending` a word goes to one other, once.
enum class Outcome : std::uint8_t {
    none = 0,
    pending = 1,
    taken = 2,              // plain mode, rendezvous: a receiver has it
    acked = 3,              // acknowledged mode: a receiver is done with it
    expired = 4,            // its time to live was over before anybody took it
    withdrawn = 5,          // its sender took it back
    receiver_died = 6,      // its receiver died with it, and nobody gets it any more
    mailbox_destroyed = 7,  // found by the sender, never written
    dropped = 8,            // it had to make room (drop_oldest)
    dead_letter = 9,        // given back too often: kept among the dead letters
};

// Why a message was given back, in its note. The numbers are part of the format.
enum class Cause : std::uint32_t { none = 0, receiver_died = 1, returned = 2, expired = 3 };

// As they are written here ("receiver_died"); of a value that has no name: "unknown".
[[nodiscard]] std::string_view name(Outcome outcome) noexcept;
[[nodiscard]] std::string_view name(Cause cause) noexcept;

struct OutcomeWord {
    Outcome outcome = Outcome::none;
    bool sleeping = false;  // the sender sleeps on the low half of this word
    std::uint32_t pid = 0;  // of who took or acked it
    std::uint64_t tag = 0;  // epoch in which the receipt was lent

    [[nodiscard]] constexpr std::uint64_t word() const noexcept {
        return static_cast<std::uint64_t>(outcome) | std::uint64_t{sleeping} << 4U |
               std::uint64_t{pid & 0x3fffffU} << 5U | tag << 27U;
    }
    [[nodiscard]] static constexpr OutcomeWord of(std::uint64_t word) noexcept {
        return {.outcome = static_cast<Outcome>(word & 15U),
                .sleeping = (word >> 4U & 1U) != 0,
                .pid = static_cast<std::uint32_t>(word >> 5U) & 0x3fffffU,
                .tag = word >> 27U & kEpochMask};
    }
};

// In a message's note: which receipt waits for it. Never repeats, as the tag does not.
struct ReceiptRef {
    std::uint32_t index = 0;
    std::uint64_t tag = 0;
    bool at_take = false;  // a rendezvous: it ends when the message is taken, acked or not

    [[nodiscard]] constexpr std::uint64_t word() const noexcept {
        return (std::uint64_t{index} + 1) | tag << 23U | std::uint64_t{at_take} << 63U;
    }
    // False: nobody waits.
    [[nodiscard]] static constexpr bool of(std::uint64_t word, ReceiptRef& ref) noexcept {
        const auto index = static_cast<std::uint32_t>(word & 0x7fffffU);
        ref = {.index = index - 1, .tag = word >> 23U & kEpochMask, .at_take = word >> 63U != 0};
        return index != 0;
    }
};

// A sent message, as its sender remembers it.
struct PoolTicket {
    ReceiptRef ref;
    std::uint32_t chunk = 0;
    std::uint32_t level = 0;
    std::uint32_t station = 0;  // as in PoolLoan
    Position at;
    std::uint64_t expires_ns = 0;  // steady clock; 0: never
};

}  // namespace stoa
