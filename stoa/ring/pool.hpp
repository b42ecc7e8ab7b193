// Pool ring: a bounded queue of messages from any endpoint to any endpoint, whole after any death.
//
// Start here: claim(), publish(), take(), release(); recover() after a death. The bytes are in
//             pool_layout.hpp.
// Threads:    each endpoint index is used by one thread at a time; indices run concurrently.
// Processes:  any number, mapped at different addresses.
// Death:      at any instruction: a message is delivered exactly once or was not sent; what the
//             dead one held comes back by recover(), which anyone may run, also several at once.
// Blocking:   never, no system calls; a stopped endpoint stops nobody. To wait: channel/.
// Lifetime:   borrows the mapping, which must outlive it, and frees nothing.
// Units:      bytes; endpoint indices below kMaxEndpoints.
// Source:     own algorithm, checked by tests/model; slot laps after Vyukov's bounded MPMC queue.
#pragma once

#include <cstdint>
#include <span>

#include "stoa/base/error.hpp"
#include "stoa/ring/pool_geometry.hpp"
#include "stoa/ring/pool_words.hpp"

namespace stoa {

inline constexpr std::uint32_t kNoChunk = UINT32_MAX;

// A chunk that is lent to this endpoint, with the word that proves it.
struct PoolLoan {
    std::uint32_t chunk = kNoChunk;
    std::uint32_t length = 0;      // bytes of the message; receiving side only
    std::uint32_t deliveries = 0;  // earlier deliveries of it that ended without ack
    bool redelivered = false;      // order is not promised for this one
    std::uint64_t word = 0;
};

// One byte, hot path. `empty`, `full` (queue), `no_memory` (no chunk), `corrupt` (reopen is no
// help).
enum class PoolStatus : std::uint8_t { ok, empty, full, no_memory, corrupt };

struct PoolCounts {  // a look at moving things: each figure is right for some moment of the call
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t redelivered = 0;
    std::uint64_t depth = 0;   // messages that wait
    std::uint64_t leased = 0;  // chunks lent to receivers
    std::uint64_t loaned = 0;  // chunks lent to senders, not yet sent
    std::uint64_t dead_letters = 0;
    std::uint64_t queued_bytes = 0;
    std::uint64_t free_chunks = 0;
};

class PoolRing {
public:
    // Writes the image of an empty ring into zeroed memory.
    static Result<void> create(std::span<std::byte> memory, const PoolGeometry& geometry) noexcept;

    // Errors: bad_layout, wrong_version
    [[nodiscard]] static Result<PoolRing> attach(std::span<std::byte> memory) noexcept;

    [[nodiscard]] const PoolGeometry& geometry() const noexcept { return geometry_; }

    // Lends `me` a chunk for `bytes`: of the smallest class that has one. ok, no_memory.
    PoolStatus claim(std::uint32_t me, std::uint32_t bytes, PoolLoan& loan) noexcept;

    // The chunk's memory: all of it on the sending side, the message on the receiving side.
    [[nodiscard]] std::span<std::byte> room(const PoolLoan& loan) noexcept;

    // Sends the first `length` bytes of a claimed chunk. ok: it happened; full: the loan stays.
    PoolStatus publish(const PoolLoan& loan, std::uint32_t length) noexcept;

    // Takes the oldest message, or one to be delivered again. ok, empty, corrupt.
    PoolStatus take(std::uint32_t me, PoolLoan& loan) noexcept;

    // Gives a chunk back: an abandoned claim, a message that was read, an ack. False: not this
    // endpoint's loan any more (a second release), nothing was changed.
    bool release(const PoolLoan& loan) noexcept;

    // Acknowledged mode: the message is delivered again, marked. False: not this endpoint's lease.
    bool nack(const PoolLoan& loan) noexcept;

    // Brings back what endpoint `dead` held. The caller has proven its death and announced the
    // sweep (life/participants.hpp), so that its index is not reused meanwhile.
    void recover(std::uint32_t dead) noexcept;

    [[nodiscard]] bool seems_empty() const noexcept;  // a hint for waiting: take() decides
    [[nodiscard]] PoolCounts counts() const noexcept;

private:
    PoolRing() = default;

    enum class Adopt : std::uint8_t { done, slot_changed, corrupt };

    [[nodiscard]] Atomic<std::uint64_t>& slot(std::uint32_t index) const noexcept {
        return slots_[index];
    }
    // publish() and take() are lock-free: a turn without success means that another endpoint got
    // on. So many in a row happen only in memory that was scribbled over.
    [[nodiscard]] std::uint64_t most_turns() const noexcept {
        return 2ULL * geometry_.slot_count + (1U << 20U);
    }
    [[nodiscard]] const PoolClass& class_of(std::uint32_t chunk) const noexcept;
    [[nodiscard]] PoolChunk& chunk(std::uint32_t chunk) const noexcept;
    [[nodiscard]] Position next(Position position) const noexcept;
    [[nodiscard]] bool claim_in(const PoolClass& c, std::uint32_t me, PoolLoan& loan) noexcept;
    [[nodiscard]] bool claim_hint(const PoolClass& c, std::uint32_t word, std::uint64_t& bits,
                                  std::uint32_t me, PoolLoan& loan) noexcept;
    void set_hint(std::uint32_t chunk) noexcept;
    [[nodiscard]] Adopt adopt_for(std::uint32_t index, std::uint64_t seen) noexcept;
    [[nodiscard]] bool help_taken(std::uint32_t index, std::uint64_t seen) noexcept;
    PoolStatus finish_take(std::uint32_t me, std::uint32_t index, std::uint64_t taken,
                           PoolLoan& loan) noexcept;
    [[nodiscard]] PoolStatus take_redelivery(std::uint32_t me, PoolLoan& loan) noexcept;
    [[nodiscard]] PoolStatus take_marked_slot(std::uint32_t me, PoolLoan& loan) noexcept;
    [[nodiscard]] bool take_marked_chunk(std::uint32_t me, PoolLoan& loan) noexcept;
    void fill(PoolLoan& loan, std::uint32_t chunk, std::uint64_t word) const noexcept;
    bool settle_slot(std::uint32_t index, std::uint64_t seen) noexcept;
    void bury(std::uint32_t index, std::uint64_t seen) noexcept;
    void raise() noexcept;
    void recover_slots(std::uint32_t dead) noexcept;
    void recover_chunks(std::uint32_t dead) noexcept;
    void bring_back(std::uint32_t chunk, std::uint64_t seen) noexcept;

    PoolGeometry geometry_{};  // private copy, checked once: the shared one is never read again
    SlotCodec codec_{};
    PoolLayout* layout_ = nullptr;
    std::byte* base_ = nullptr;
    Atomic<std::uint64_t>* hints_ = nullptr;
    Atomic<std::uint64_t>* slots_ = nullptr;
    std::uint32_t hint_cursor_[kPoolMaxClasses]{};  // where this handle found a chunk last
    std::uint32_t chunk_cursor_ = 0;                // where it found a redelivery last
    std::uint32_t slot_cursor_ = 0;
};

}  // namespace stoa
