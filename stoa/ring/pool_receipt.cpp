#include "stoa/ring/pool_receipt.hpp"

#include <bit>
#include <cstring>

#include "stoa/base/crash_point.hpp"
#include "stoa/ring/pool.hpp"

// Receipts, withdrawal and dead letters.
//
// A receipt is a word that its sender owns; the message's note names it. It goes from PENDING to
// one outcome by one CAS, which fails when it has ended or is lent anew (the tag differs).
//   plain, rendezvous   R3 the message is delivered    O1 outcome = taken      R4 chunk = FREE
//   acknowledged        A1 chunk = DONE(me): acked     O1 outcome = acked      A2 chunk = FREE
//   withdrawn           W1 slot FULL -> TAKEN(sender)  W2 as a take            O1, R4
// Death: between the first step and O1 the chunk still names the dead one and its note the receipt:
// recover() does O1 (DONE: acked; else receiver_died) before it frees the chunk. A receiver that
// stopped there leaves the same: the waiting sender reads the chunk word and does O1 for it.
// A note is read, then the chunk word again: unchanged, the note is of that very message, for only
// a later lender writes it.
namespace stoa {

std::string_view name(Outcome outcome) noexcept {
    switch (outcome) {
        case Outcome::none: return "none";
        case Outcome::pending: return "pending";
        case Outcome::taken: return "taken";
        case Outcome::acked: return "acked";
        case Outcome::expired: return "expired";
        case Outcome::withdrawn: return "withdrawn";
        case Outcome::receiver_died: return "receiver_died";
        case Outcome::mailbox_destroyed: return "mailbox_destroyed";
        case Outcome::dropped: return "dropped";
        case Outcome::dead_letter: return "dead_letter";
    }
    return "unknown";
}

std::string_view name(Cause cause) noexcept {
    switch (cause) {
        case Cause::none: return "none";
        case Cause::receiver_died: return "receiver_died";
        case Cause::returned: return "returned";
        case Cause::expired: return "expired";
    }
    return "unknown";
}

namespace {

// What a dead letter's receipt says. Its cause is in its word: a late recoverer may still write
// over the note, which is for display.
constexpr Outcome outcome_when_buried(ChunkWord letter) noexcept {
    switch (static_cast<Cause>(letter.takes)) {
        case Cause::receiver_died: return Outcome::receiver_died;
        case Cause::expired: return Outcome::expired;
        case Cause::returned:
        case Cause::none: break;
    }
    return Outcome::dead_letter;
}

template <std::size_t kWords>
void store_text(Atomic<std::uint64_t> (&words)[kWords], std::string_view text) noexcept {
    char copy[kWords * 8]{};
    text.copy(copy, sizeof copy - 1);
    for (std::size_t i = 0; i < kWords; ++i) {
        std::uint64_t word = 0;
        std::memcpy(&word, copy + i * 8, 8);
        words[i].store(word, kRelaxed);
    }
}

}  // namespace

void PoolRing::open_extras() noexcept {
    for (std::uint32_t i = 0; i < geometry_.receipt_count; ++i) set_receipt_hint(i);
    layout_->extras.store(1, kSeqCst);
}

void PoolRing::set_receipt_hint(std::uint32_t index) noexcept {
    receipt_hints_[index / 64].fetch_or(1ULL << index % 64, kSeqCst);
}

bool PoolRing::claim_receipt(std::uint32_t me, ReceiptRef& ref) noexcept {
    const std::uint32_t words = (geometry_.receipt_count + 63) / 64;
    for (std::uint32_t n = 0; n < words; ++n) {
        const std::uint32_t w = (me + n) % words;
        std::uint64_t bits = receipt_hints_[w].load(kSeqCst);
        for (; bits != 0; bits &= bits - 1) {
            const auto picked = static_cast<std::uint32_t>(std::countr_zero(bits));
            const std::uint64_t bit = 1ULL << picked;
            const std::uint32_t index = w * 64 + picked;
            if ((receipt_hints_[w].fetch_and(~bit, kSeqCst) & bit) == 0) continue;
            STOA_CRASH_POINT("pool.receipt.hint_taken");
            if (index >= geometry_.receipt_count) continue;
            PoolReceipt& found = receipts_[index];
            std::uint64_t seen = found.word.load(kSeqCst);
            const ChunkWord now = unpack_chunk(seen);
            if (now.state != ChunkState::free) continue;
            const ChunkWord mine{
                .epoch = (now.epoch + 1) & kEpochMask, .owner = me, .state = ChunkState::loaned};
            if (!found.word.compare_exchange_strong(seen, pack(mine), kSeqCst)) continue;
            STOA_CRASH_POINT("pool.receipt.claimed");
            ref = {.index = index, .tag = mine.epoch};
            found.outcome.store(OutcomeWord{.outcome = Outcome::pending, .tag = mine.epoch}.word(),
                                kSeqCst);
            return true;
        }
    }
    return false;
}

void PoolRing::free_receipt(const ReceiptRef& ref) noexcept {
    PoolReceipt& mine = receipts_[ref.index];
    const ChunkWord now = unpack_chunk(mine.word.load(kRelaxed));
    if (now.state != ChunkState::loaned || now.epoch != ref.tag) return;
    // A store, as R4: nobody else changes the word of what is lent to a live owner.
    mine.word.store(pack({.epoch = now.epoch + 1}), kSeqCst);
    STOA_CRASH_POINT("pool.receipt.freed");
    set_receipt_hint(ref.index);
}

void PoolRing::recover_receipts(std::uint32_t dead) noexcept {
    for (std::uint32_t i = 0; i < geometry_.receipt_count; ++i) {
        std::uint64_t seen = receipts_[i].word.load(kSeqCst);
        const ChunkWord now = unpack_chunk(seen);
        if (now.state == ChunkState::loaned) {
            if (now.owner != dead) continue;
            if (!receipts_[i].word.compare_exchange_strong(seen, pack({.epoch = now.epoch + 1}),
                                                           kSeqCst)) {
                continue;
            }
        }
        set_receipt_hint(i);
    }
}

bool PoolRing::resolve(const ReceiptRef& ref, Outcome outcome, std::uint32_t pid) noexcept {
    if (ref.index >= geometry_.receipt_count) return false;
    Atomic<std::uint64_t>& word = receipts_[ref.index].outcome;
    std::uint64_t seen = word.load(kSeqCst);
    for (;;) {
        const OutcomeWord now = OutcomeWord::of(seen);
        if (now.outcome != Outcome::pending || now.tag != ref.tag) return false;
        const OutcomeWord ended{
            .outcome = outcome, .sleeping = now.sleeping, .pid = pid, .tag = ref.tag};
        if (word.compare_exchange_strong(seen, ended.word(), kSeqCst)) {  // O1
            STOA_CRASH_POINT("pool.receipt.resolved");
            return now.sleeping;
        }
    }
}

// A chunk that is about to be freed for the dead one that held it, if its word still is `seen`.
void PoolRing::tell_before_freeing(std::uint32_t index, std::uint64_t seen,
                                   const PoolDead& dead) noexcept {
    if (!has_extras() || (chunk(index).flags.load(kRelaxed) & PoolChunk::kNoted) == 0) return;
    const ChunkState state = unpack_chunk(seen).state;
    if (state == ChunkState::loaned) return;  // never sent, and its sender is dead
    const std::uint64_t word = note(index).receipt.load(kSeqCst);
    if (chunk(index).word.load(kSeqCst) != seen) return;
    ReceiptRef ref;
    if (!ReceiptRef::of(word, ref)) return;
    if (unpack_chunk(seen).dropping()) {
        const bool expired = is_overdue(index, dead.now_ns);
        static_cast<void>(resolve(ref, expired ? Outcome::expired : Outcome::dropped, 0));
        return;
    }
    static_cast<void>(resolve(
        ref, state == ChunkState::done ? Outcome::acked : Outcome::receiver_died, dead.pid));
}

void PoolRing::note_death(std::uint32_t index, const PoolDead& dead) noexcept {
    if (has_extras()) note_return(index, Cause::receiver_died, dead.pid, dead.name, {});
}

void PoolRing::note_return(std::uint32_t index, Cause cause, std::uint32_t pid,
                           std::string_view name, std::string_view error) noexcept {
    PoolNote& history = note(index);
    history.last_pid.store(pid, kRelaxed);
    history.cause.store(static_cast<std::uint32_t>(cause), kRelaxed);
    store_text(history.last_name, name);
    store_text(history.error, error);
}

void PoolRing::name_taker(const ReceiptRef& ref, std::string_view name) noexcept {
    PoolReceipt& told = receipts_[ref.index];
    store_text(told.name, name);
    told.named.store(ref.tag, kRelease);
}

bool PoolRing::finish(const PoolLoan& loan, const ReceiptRef& ref, std::uint32_t pid,
                      bool& wake) noexcept {
    Atomic<std::uint64_t>& word = chunk(loan.chunk).word;
    if (word.load(kRelaxed) != loan.word) return false;
    ChunkWord now = unpack_chunk(loan.word);
    now.state = ChunkState::done;
    ++now.epoch;
    word.store(pack(now), kSeqCst);  // A1
    STOA_CRASH_POINT("pool.finish.acked");
    wake = resolve(ref, Outcome::acked, pid);
    word.store(pack({.epoch = now.epoch + 1}), kSeqCst);  // A2
    STOA_CRASH_POINT("pool.finish.freed");
    set_hint(loan.chunk);
    return true;
}

// What the words say of a message of mine that is in no slot any more.
Outcome PoolRing::outcome_in_chunk(const PoolTicket& ticket, std::uint64_t now_ns,
                                   std::uint64_t& word) const noexcept {
    word = chunk(ticket.chunk).word.load(kSeqCst);
    const std::uint64_t note_word = note(ticket.chunk).receipt.load(kSeqCst);
    if (chunk(ticket.chunk).word.load(kSeqCst) != word) return Outcome::pending;  // look again
    if (note_word != ticket.ref.word()) return Outcome::none;  // the chunk is another message's
    const ChunkWord now = unpack_chunk(word);
    switch (now.state) {
        case ChunkState::borrowed:
            if (now.dropping()) {
                const bool overdue = ticket.expires_ns != 0 && now_ns >= ticket.expires_ns;
                return overdue ? Outcome::expired : Outcome::dropped;
            }
            return geometry_.acknowledged && !ticket.ref.at_take ? Outcome::pending
                                                                 : Outcome::taken;
        case ChunkState::done: return Outcome::acked;
        case ChunkState::dead_letter: return outcome_when_buried(now);
        case ChunkState::free: return Outcome::none;
        case ChunkState::loaned:
        case ChunkState::redeliver: return Outcome::pending;
    }
    return Outcome::pending;
}

OutcomeWord PoolRing::settle(const PoolTicket& ticket,
                             std::uint32_t (*pid_of)(void*, std::uint32_t), void* context,
                             std::uint64_t now_ns) noexcept {
    const auto told = [&] {
        return OutcomeWord::of(receipts_[ticket.ref.index].outcome.load(kSeqCst));
    };
    OutcomeWord now = told();
    if (now.outcome != Outcome::pending) return now;
    const std::uint32_t index = first_slot(ticket.level) + ticket.at.index;
    const std::uint64_t seen = slot(index).load(kSeqCst);
    const auto lies_in = [&](const Slot& there) {
        return there.kind != SlotKind::empty && there.lap == ticket.at.lap &&
               there.chunk == ticket.chunk;
    };
    const Slot there = codec_.unpack(seen);
    if (lies_in(there)) {
        if (there.kind != SlotKind::taken) return now;  // it waits
        static_cast<void>(help_taken(index, seen));     // a receiver stopped, or is at it
        // Still there: its taker died, and a recoverer put it back before we could help. The chunk
        // may name the dead one all the same.
        if (lies_in(codec_.unpack(slot(index).load(kSeqCst)))) return now;
    }
    std::uint64_t word = 0;
    const Outcome found = outcome_in_chunk(ticket, now_ns, word);
    if (found == Outcome::pending) return told();
    if (found == Outcome::none) {
        // Done with and freed: then it was told first. Else the memory is damaged.
        now = told();
        if (now.outcome == Outcome::pending) {
            static_cast<void>(resolve(ticket.ref, Outcome::receiver_died, 0));
        }
        return told();
    }
    std::uint32_t pid = 0;
    if (found == Outcome::taken || found == Outcome::acked) {
        pid = pid_of(context, unpack_chunk(word).owner);
        // He may have left, and his index be another's.
        if (chunk(ticket.chunk).word.load(kSeqCst) != word) return told();
    } else if (found == Outcome::receiver_died) {
        pid = note(ticket.chunk).last_pid.load(kRelaxed);
    }
    static_cast<void>(resolve(ticket.ref, found, pid));
    return told();
}

// W1 and W2 of a message that lies in its slot.
bool PoolRing::take_back_slot(std::uint32_t me, const PoolTicket& ticket, PoolLoan& loan) noexcept {
    const std::uint32_t index = first_slot(ticket.level) + ticket.at.index;
    std::uint64_t seen = slot(index).load(kSeqCst);
    Slot there = codec_.unpack(seen);
    const bool waits = there.kind == SlotKind::full || there.kind == SlotKind::redeliver;
    if (!waits || there.lap != ticket.at.lap || there.chunk != ticket.chunk) return false;
    if (there.takes >= kMaxTakes) {  // nobody may take it any more
        bury(index, seen);
        return false;
    }
    there.takes += there.kind == SlotKind::redeliver ? 1 : 0;
    there.kind = SlotKind::taken;
    there.who = me;
    const std::uint64_t taken = codec_.pack(there);
    if (!slot(index).compare_exchange_strong(seen, taken, kSeqCst)) return false;  // W1
    STOA_CRASH_POINT("pool.withdraw.taken");
    return finish_take(me, index, taken, loan) == PoolStatus::ok;  // W2
}

// W1 of a message that came back from a receiver: the CAS tells that the note read before is its,
// and that its receipt, if it ends with the take, had not ended.
bool PoolRing::take_back_chunk(std::uint32_t me, const PoolTicket& ticket,
                               PoolLoan& loan) noexcept {
    Atomic<std::uint64_t>& word = chunk(ticket.chunk).word;
    std::uint64_t seen = word.load(kSeqCst);
    const ChunkWord now = unpack_chunk(seen);
    if (now.state != ChunkState::redeliver) return false;
    if (note(ticket.chunk).receipt.load(kSeqCst) != ticket.ref.word()) return false;
    const std::uint64_t told = receipts_[ticket.ref.index].outcome.load(kSeqCst);
    if (OutcomeWord::of(told).outcome != Outcome::pending) return false;
    const std::uint64_t mine = pack({.epoch = now.epoch + 1,
                                     .owner = me,
                                     .takes = now.takes,
                                     .count = now.count,
                                     .state = ChunkState::borrowed});
    if (!word.compare_exchange_strong(seen, mine, kSeqCst)) return false;
    STOA_CRASH_POINT("pool.withdraw.claimed");
    loan = {.chunk = ticket.chunk, .word = mine};
    return true;
}

bool PoolRing::withdraw(std::uint32_t me, const PoolTicket& ticket, Outcome outcome,
                        PoolLoan* keep) noexcept {
    PoolLoan loan;
    if (!take_back_slot(me, ticket, loan) && !take_back_chunk(me, ticket, loan)) return false;
    static_cast<void>(resolve(ticket.ref, outcome, 0));
    // A sender that gets its message back to try again, or to say that it was not sent.
    const bool unmet = outcome == Outcome::withdrawn && keep != nullptr;
    if (unmet) {
        layout_->unmet.fetch_add(1, kRelaxed);
    } else if (outcome == Outcome::withdrawn) {
        layout_->withdrawn.fetch_add(1, kRelaxed);
    }
    if (keep == nullptr) return release(loan);
    ChunkWord lent = unpack_chunk(loan.word);
    lent = {.epoch = lent.epoch + 1, .owner = me, .state = ChunkState::loaned};
    *keep = {.chunk = loan.chunk, .word = pack(lent)};
    chunk(loan.chunk).word.store(keep->word, kSeqCst);
    return true;
}

// --- dead letters -------------------------------------------------------------------------------

std::uint64_t PoolRing::dead_letters() const noexcept {
    std::uint64_t count = 0;
    for (std::uint32_t i = 0; i < geometry_.chunk_count; ++i) {
        const ChunkState state = unpack_chunk(chunk(i).word.load(kSeqCst)).state;
        count += state == ChunkState::dead_letter ? 1 : 0;
    }
    return count;
}

bool PoolRing::bury_loan(const PoolLoan& loan) noexcept {
    Atomic<std::uint64_t>& word = chunk(loan.chunk).word;
    if (word.load(kRelaxed) != loan.word) return false;
    if (dead_letters() >= geometry_.dead_letter_quota) return false;
    ChunkWord now = unpack_chunk(loan.word);
    now = {.epoch = now.epoch + 1,
           .takes = static_cast<std::uint32_t>(Cause::expired),
           .count = now.count,
           .state = ChunkState::dead_letter};
    word.store(pack(now), kSeqCst);
    STOA_CRASH_POINT("pool.bury_loan.done");
    return true;
}

// Before a dead letter goes anywhere else: its sender, who may look later, learns that it was one.
void PoolRing::tell_of_burial(std::uint32_t index, std::uint64_t seen) noexcept {
    if (!has_extras() || (chunk(index).flags.load(kRelaxed) & PoolChunk::kNoted) == 0) return;
    const std::uint64_t word = note(index).receipt.load(kSeqCst);
    const std::uint32_t pid = note(index).last_pid.load(kRelaxed);
    if (chunk(index).word.load(kSeqCst) != seen) return;
    const Outcome outcome = outcome_when_buried(unpack_chunk(seen));
    ReceiptRef ref;
    if (!ReceiptRef::of(word, ref)) return;
    static_cast<void>(resolve(ref, outcome, outcome == Outcome::receiver_died ? pid : 0));
}

PoolStatus PoolRing::take_dead_letter(std::uint32_t me, PoolLoan& loan) noexcept {
    for (std::uint32_t i = 0; i < geometry_.chunk_count; ++i) {
        std::uint64_t seen = chunk(i).word.load(kSeqCst);
        const ChunkWord now = unpack_chunk(seen);
        if (now.state != ChunkState::dead_letter) continue;
        tell_of_burial(i, seen);
        const std::uint64_t mine = pack({.epoch = now.epoch + 1,
                                         .owner = me,
                                         .count = now.count,
                                         .state = ChunkState::borrowed});
        if (!chunk(i).word.compare_exchange_strong(seen, mine, kSeqCst)) continue;
        STOA_CRASH_POINT("pool.dead_letter.claimed");
        fill(loan, i, mine);
        return PoolStatus::ok;
    }
    return PoolStatus::empty;
}

std::uint64_t PoolRing::redrive(std::uint64_t most) noexcept {
    std::uint64_t done = 0;
    for (std::uint32_t i = 0; i < geometry_.chunk_count && done < most; ++i) {
        std::uint64_t seen = chunk(i).word.load(kSeqCst);
        const ChunkWord now = unpack_chunk(seen);
        if (now.state != ChunkState::dead_letter) continue;
        tell_of_burial(i, seen);
        const std::uint64_t again =
            pack({.epoch = now.epoch + 1, .takes = kRedriven, .state = ChunkState::redeliver});
        if (!chunk(i).word.compare_exchange_strong(seen, again, kSeqCst)) continue;
        STOA_CRASH_POINT("pool.redrive.marked");
        ++done;
    }
    if (done > 0) raise();
    return done;
}

}  // namespace stoa
