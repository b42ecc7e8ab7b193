// Pool ring: a bounded queue of messages from any endpoint to any endpoint, whole after any death.
//
// Start here: claim(), publish(), take(), release(); recover() after a death. The bytes are in
//             pool_layout.hpp. Receipts: claim_receipt(), settle(), withdraw().
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
#include <string_view>

#include "stoa/base/error.hpp"
#include "stoa/ring/pool_geometry.hpp"
#include "stoa/ring/pool_receipt.hpp"
#include "stoa/ring/pool_words.hpp"

namespace stoa {

inline constexpr std::uint32_t kNoChunk = UINT32_MAX;

// A chunk that is lent to this endpoint, with the word that proves it.
struct PoolLoan {
    std::uint32_t chunk = kNoChunk;
    std::uint32_t length = 0;      // bytes of the message; receiving side only
    std::uint32_t deliveries = 0;  // earlier deliveries of it that ended without ack
    bool redelivered = false;      // order is not promised for this one
    bool noted = false;            // its note holds a receipt or a time to live
    bool redriven = false;         // it was a dead letter: its time to live counts no more
    std::uint16_t station = 0;     // whose ring it is; the caller's, where there are several
    std::uint64_t word = 0;
};

// One byte, hot path. `empty`, `full` (queue), `no_memory` (no chunk), `sealed` (nothing is sent
// here any more; taking: and nothing is left), `corrupt` (reopen is no help).
enum class PoolStatus : std::uint8_t { ok, empty, full, no_memory, sealed, corrupt };

// Of who drops what waits for another: only while that word is so. Asked between the look at a
// message and the CAS that takes it, so that what came after a change of the word is not taken.
struct OnlyWhile {
    const Atomic<std::uint64_t>* word = nullptr;  // null: always
    std::uint64_t value = 0;

    [[nodiscard]] bool holds() const noexcept {
        return word == nullptr || word->load(kSeqCst) == value;
    }
};

// How a message is sent, beside its bytes.
struct PoolSend {
    std::uint32_t length = 0;
    std::uint32_t level = 0;  // priority, below level_count
    bool noted = false;       // its note was filled in
};

// Where a message lies, for who only looks: in a slot, or in its chunk alone.
inline constexpr std::uint32_t kNoSlot = UINT32_MAX;
struct PoolGlimpse {
    std::uint32_t chunk = kNoChunk;
    std::uint32_t slot = kNoSlot;
    std::uint64_t seen = 0;  // the word that says so
    bool redriven = false;
};
struct PoolWalk {  // through the queue of one priority
    std::uint32_t level = 0;
    Position at{};
    std::uint32_t looked = 0;
};

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
    std::uint64_t dropped_oldest = 0;
    std::uint64_t dropped_newest = 0;
    std::uint64_t expired = 0;
    std::uint64_t withdrawn = 0;
};

// What recover() needs to know of a dead endpoint beside its index.
struct PoolDead {
    std::uint32_t index = 0;
    std::uint32_t pid = 0;
    std::string_view name{};
    std::uint64_t now_ns = 0;  // steady clock, after its death: what is overdue by now has expired
};

class PoolRing {
public:
    // Writes the image of an empty ring into zeroed memory.
    static Result<void> create(std::span<std::byte> memory, const PoolGeometry& geometry) noexcept;

    // `extras`: where notes and receipts are to lie, extra_bytes; may be not reserved yet. Errors:
    // bad_layout, wrong_version
    [[nodiscard]] static Result<PoolRing> attach(std::span<std::byte> memory,
                                                 std::span<std::byte> extras = {}) noexcept;

    // The caller has reserved the memory of the extras: notes and receipts may be used. Any number
    // of times, by several at once.
    void open_extras() noexcept;
    [[nodiscard]] bool has_extras() const noexcept {
        return notes_ != nullptr && layout_->extras.load(kSeqCst) != 0;
    }

    [[nodiscard]] const PoolGeometry& geometry() const noexcept { return geometry_; }

    // Lends `me` a chunk for `bytes`: of the smallest class that has one. ok, no_memory.
    PoolStatus claim(std::uint32_t me, std::uint32_t bytes, PoolLoan& loan) noexcept;
    // What the hints say; a claim takes away the ones that are wrong.
    [[nodiscard]] bool seems_to_have_chunk(std::uint64_t bytes) const noexcept;

    // The chunk's memory: all of it on the sending side, the message on the receiving side.
    [[nodiscard]] std::span<std::byte> room(const PoolLoan& loan) noexcept;

    // Sends a claimed chunk. ok: it happened, `at` is where; full, sealed: the loan stays. With
    // several levels the capacity is that of all together; senders of several levels in the same
    // moment may exceed it by one each.
    PoolStatus publish(const PoolLoan& loan, const PoolSend& how, Position* at = nullptr) noexcept;

    // Takes the oldest message of the highest priority, or one to be delivered again. ok, empty,
    // sealed, corrupt. `now_ns` (steady clock) is looked at only where messages age.
    PoolStatus take(std::uint32_t me, PoolLoan& loan, std::uint64_t now_ns = 0) noexcept;
    // Takes the oldest message of the lowest priority that is not above `level`: one to drop, which
    // its receipt says from now on. ok, empty (also: not `still` so), corrupt.
    PoolStatus take_lowest(std::uint32_t me, std::uint32_t level, PoolLoan& loan,
                           const OnlyWhile& still = {}) noexcept;

    // To make room: takes a message whose time to live is over by `now_ns`, which its receipt says
    // from now on. The one that would come next of some priority; or any, also behind others and
    // among those to be delivered again, where `from`, 0 at first, says how far it looked. ok,
    // empty, corrupt.
    PoolStatus take_overdue_head(std::uint32_t me, std::uint64_t now_ns, PoolLoan& loan) noexcept;
    PoolStatus take_overdue(std::uint32_t me, std::uint64_t now_ns, std::uint32_t& from,
                            PoolLoan& loan) noexcept;

    // Gives a chunk back: an abandoned claim, a message that was read, an ack. False: not this
    // endpoint's loan any more (a second release), nothing was changed.
    bool release(const PoolLoan& loan) noexcept;

    // Acknowledged mode: the message is delivered again, marked, or becomes a dead letter. False:
    // not this endpoint's lease.
    bool nack(const PoolLoan& loan) noexcept;
    // Acknowledged mode, a message with a receipt: release() that tells the sender. `wake`: it
    // sleeps on the receipt of `ref`.
    bool finish(const PoolLoan& loan, const ReceiptRef& ref, std::uint32_t pid,
                bool& wake) noexcept;
    // Keeps a message that this endpoint took as a dead letter, if the quota allows; else frees it.
    bool bury_loan(const PoolLoan& loan) noexcept;

    // Nothing is sent any more once what waits is taken: seals each queue that is empty. True: all
    // are sealed now.
    bool seal() noexcept;

    // --- one of several rings behind each other: who takes chooses ring and priority ---
    // The oldest message of one priority. ok, empty, sealed, corrupt.
    PoolStatus take_in(std::uint32_t me, std::uint32_t level, PoolLoan& loan) noexcept {
        return take_level(me, level, loan);
    }
    // A message that is to be delivered again. ok, empty, corrupt.
    PoolStatus take_back(std::uint32_t me, PoolLoan& loan) noexcept {
        return flag_is_up() ? take_redelivery(me, loan) : PoolStatus::empty;
    }
    // True: nothing is sent with this priority any more, and nothing waits.
    [[nodiscard]] bool seal(std::uint32_t level) noexcept { return seal_level(level); }
    // Not empty, and yet nothing to take: one that a dead receiver had begun to take lies a lap
    // behind where the next would come. It comes by the flag.
    [[nodiscard]] bool is_blocked(std::uint32_t level) const noexcept;
    // The priority that the next message of `level` has by now.
    [[nodiscard]] std::uint64_t rank(std::uint32_t level, std::uint64_t now_ns) const noexcept;
    // Sealed, and nobody holds a chunk or a receipt of it: whoever can still reach it may only
    // claim a chunk and give it back.
    [[nodiscard]] bool is_done_with() const noexcept;

    // Brings back what endpoint `dead` held. The caller has proven its death and announced the
    // sweep (life/participants.hpp), so that its index is not reused meanwhile.
    void recover(const PoolDead& dead) noexcept;

    // --- receipts and notes; only after has_extras() ---
    [[nodiscard]] PoolNote& note(std::uint32_t chunk) const noexcept { return notes_[chunk]; }
    // False: as many are open as there may be.
    bool claim_receipt(std::uint32_t me, ReceiptRef& ref) noexcept;
    void free_receipt(const ReceiptRef& ref) noexcept;
    [[nodiscard]] PoolReceipt& receipt(std::uint32_t index) const noexcept {
        return receipts_[index];
    }
    // Ends the receipt unless it has ended, or is another's by now. True: its sender sleeps on it.
    bool resolve(const ReceiptRef& ref, Outcome outcome, std::uint32_t pid) noexcept;
    // Says who took it, for display; after resolve(taken or acked).
    void name_taker(const ReceiptRef& ref, std::string_view name) noexcept;
    // The history of a message that is given back; before nack() or bury_loan().
    void note_return(std::uint32_t chunk, Cause cause, std::uint32_t pid, std::string_view name,
                     std::string_view error) noexcept;
    // Looks what became of a message of mine, and finishes what a stopped receiver left undone.
    // `pid_of` tells the process of an endpoint index. `now_ns` counts where it has a time to live.
    OutcomeWord settle(const PoolTicket& ticket, std::uint32_t (*pid_of)(void*, std::uint32_t),
                       void* context, std::uint64_t now_ns = 0) noexcept;
    // Takes it back if nobody has it, and ends its receipt with `outcome`. True: done, its chunk is
    // free, or lent to its sender again as `keep`.
    bool withdraw(std::uint32_t me, const PoolTicket& ticket, Outcome outcome,
                  PoolLoan* keep = nullptr) noexcept;

    // --- dead letters ---
    // Takes a dead letter, as take() takes a message. ok, empty.
    PoolStatus take_dead_letter(std::uint32_t me, PoolLoan& loan) noexcept;
    // Delivers dead letters again, at most `most`; how many.
    std::uint64_t redrive(std::uint64_t most) noexcept;
    [[nodiscard]] std::uint64_t dead_letters() const noexcept;

    void count_dropped_newest() noexcept { layout_->dropped_newest.fetch_add(1, kRelaxed); }
    void count_dropped_oldest() noexcept { layout_->dropped_oldest.fetch_add(1, kRelaxed); }
    [[nodiscard]] std::uint64_t counts_dropped_oldest() const noexcept {
        return layout_->dropped_oldest.load(kRelaxed);
    }
    void count_expired() noexcept { layout_->expired.fetch_add(1, kRelaxed); }

    // Whether a receiver may find something: unlike !seems_empty(), not the end of a stream.
    [[nodiscard]] bool has_messages() const noexcept {
        return flag_is_up() || levels_with_messages() != 0;
    }
    [[nodiscard]] bool flag_is_up() const noexcept {  // something may have to be delivered again
        return (layout_->flag.load(kSeqCst) & 1U) != 0;
    }
    [[nodiscard]] bool seems_empty() const noexcept;  // a hint for waiting: take() decides
    // The same from fewer words, for who spins. Before it sleeps it asks seems_empty().
    [[nodiscard]] bool seems_empty_at_a_glance() const noexcept {
        if (geometry_.level_count == 1) return seems_empty();
        return ((layout_->flag.load(kSeqCst) & 1U) | layout_->levels.load(kSeqCst)) == 0;
    }
    [[nodiscard]] std::uint64_t depth() const noexcept;  // of the queues, cheaply; a hint
    // Whether so many wait, in all levels together.
    [[nodiscard]] bool holds(std::uint64_t messages) noexcept;
    // Of a ring that is sealed: whether a message may still come back from another receiver. What
    // one has begun to take is his from now on.
    [[nodiscard]] bool may_come_back(std::uint32_t me) noexcept;
    [[nodiscard]] PoolCounts counts() const noexcept;
    // --- looking without taking; false: there is no further one ---
    // What is to be delivered again, from `from` on, 0 at first; then what waits in one priority,
    // in its order; and the dead letters.
    [[nodiscard]] bool look_at_marked(std::uint32_t& from, PoolGlimpse& found) const noexcept;
    [[nodiscard]] bool look_at_level(PoolWalk& walk, PoolGlimpse& found) const noexcept;
    [[nodiscard]] bool look_at_letter(std::uint32_t& from, PoolGlimpse& found) const noexcept;
    // When it was sent, where messages age (else 0); whether no receiver would get it any more.
    [[nodiscard]] std::uint64_t sent_at(const PoolGlimpse& what) const noexcept;
    [[nodiscard]] bool will_expire(const PoolGlimpse& what, std::uint64_t now_ns) const noexcept;
    // Its bytes, and its whole length. Errors: empty (it is taken by now)
    [[nodiscard]] Result<std::uint32_t> copy(const PoolGlimpse& what,
                                             std::span<std::byte> to) const noexcept;

private:
    PoolRing() = default;

    enum class Adopt : std::uint8_t { done, slot_changed, corrupt };

    // Slots are numbered over all levels: those of level l begin at l * slot_count.
    [[nodiscard]] Atomic<std::uint64_t>& slot(std::uint32_t index) const noexcept {
        return slots_[index];
    }
    [[nodiscard]] std::uint32_t first_slot(std::uint32_t level) const noexcept {
        return level * geometry_.slot_count;
    }
    [[nodiscard]] std::uint32_t all_slots() const noexcept { return slots_in_all_; }
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
    PoolStatus publish_at(const PoolLoan& loan, const PoolSend& how, Position* at) noexcept;
    // `drops`: it is dropped, only while that holds; null: it is received.
    PoolStatus take_level(std::uint32_t me, std::uint32_t level, PoolLoan& loan,
                          const OnlyWhile* drops = nullptr) noexcept;
    [[nodiscard]] PoolStatus take_in_the_way(std::uint32_t me, std::uint32_t level, PoolLoan& loan,
                                             const OnlyWhile& still) noexcept;
    PoolStatus take_ranked(std::uint32_t me, PoolLoan& loan, std::uint64_t now_ns) noexcept;
    [[nodiscard]] bool level_seems_empty(std::uint32_t level) const noexcept;
    [[nodiscard]] std::uint64_t levels_with_messages() const noexcept;
    [[nodiscard]] bool all_sealed() const noexcept;
    [[nodiscard]] std::uint64_t all_levels() const noexcept {
        return (1ULL << geometry_.level_count) - 1;
    }
    [[nodiscard]] std::uint32_t best_level(std::uint64_t levels,
                                           std::uint64_t now_ns) const noexcept;
    [[nodiscard]] std::uint64_t sum_of(Atomic<std::uint64_t> PoolQueue::* end) const noexcept;
    [[nodiscard]] std::int64_t between(std::uint64_t from, std::uint64_t to) const noexcept;
    void move_head_on(std::uint32_t level) noexcept;
    void lower(std::uint32_t level) noexcept;
    [[nodiscard]] bool seal_level(std::uint32_t level) noexcept;
    [[nodiscard]] Outcome outcome_in_chunk(const PoolTicket& ticket, std::uint64_t now_ns,
                                           std::uint64_t& word) const noexcept;
    [[nodiscard]] bool look_at_chunk(std::uint32_t index, ChunkState state,
                                     PoolGlimpse& found) const noexcept;
    [[nodiscard]] bool is_overdue(std::uint32_t chunk, std::uint64_t now_ns) const noexcept;
    PoolStatus take_overdue_slot(std::uint32_t me, std::uint32_t index, std::uint64_t now_ns,
                                 PoolLoan& loan) noexcept;
    [[nodiscard]] bool take_overdue_chunk(std::uint32_t me, std::uint32_t index,
                                          std::uint64_t now_ns, PoolLoan& loan) noexcept;
    void tell_of_burial(std::uint32_t chunk, std::uint64_t seen) noexcept;
    [[nodiscard]] bool take_back_slot(std::uint32_t me, const PoolTicket& ticket,
                                      PoolLoan& loan) noexcept;
    [[nodiscard]] bool take_back_chunk(std::uint32_t me, const PoolTicket& ticket,
                                       PoolLoan& loan) noexcept;
    void note_death(std::uint32_t chunk, const PoolDead& dead) noexcept;
    void tell_before_freeing(std::uint32_t chunk, std::uint64_t seen,
                             const PoolDead& dead) noexcept;
    void recover_receipts(std::uint32_t dead) noexcept;
    void set_receipt_hint(std::uint32_t index) noexcept;
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
    void recover_chunks(const PoolDead& dead) noexcept;
    void bring_back(std::uint32_t chunk, std::uint64_t seen, const PoolDead* dead) noexcept;

    PoolGeometry geometry_{};  // private copy, checked once: the shared one is never read again
    SlotCodec codec_{};
    PoolLayout* layout_ = nullptr;
    std::byte* base_ = nullptr;
    Atomic<std::uint64_t>* hints_ = nullptr;
    Atomic<std::uint64_t>* slots_ = nullptr;
    PoolQueue* queues_ = nullptr;
    PoolNote* notes_ = nullptr;  // of the extras, with the next two
    Atomic<std::uint64_t>* receipt_hints_ = nullptr;
    PoolReceipt* receipts_ = nullptr;
    std::uint32_t slots_in_all_ = 0;
    std::uint32_t hint_cursor_[kPoolMaxClasses]{};  // where this handle found a chunk last
    std::uint32_t chunk_cursor_ = 0;                // where it found a redelivery last
    std::uint32_t slot_cursor_ = 0;
    std::uint32_t takes_by_hint_ = 0;  // since every level was looked at
    std::uint64_t heads_seen_ = 0;     // sum of the heads of all levels, at an earlier look
};

}  // namespace stoa
