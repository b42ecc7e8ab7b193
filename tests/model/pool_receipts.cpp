// What a sender that asked learns of its message, and how it takes it back. In pool_receipt.cpp of
// the library the same steps; a receipt's own hints are left out.
#include <algorithm>

#include "tests/model/pool_steps.hpp"

namespace stoa::model {

// ---- The words ----------------------------------------------------------------------------------

// CAS PENDING of this tag to an outcome. Reading it first and giving up is the same access.
bool PoolStep::resolve(const ReceiptRef& ref, Outcome outcome) {
    if (ref.tag == 0) return false;  // nobody waits
    ReceiptWords& words = state_.receipts[ref.receipt];
    const bool is_right = words.outcome_tag == ref.tag || broken(Mutant::tag_ignored);
    const bool is_open = words.outcome == Outcome::pending || broken(Mutant::outcome_stored);
    if (!is_right || !is_open) return false;
    words.outcome = outcome;
    if (words.message != kUnwritten) note_told(words.message, outcome);
    return true;
}

// The receipt's word goes to FREE; only its owner does that.
void PoolStep::close_ticket() {
    ReceiptWords& words = state_.receipts[my_.ticket.ref.receipt];
    words.is_loaned = false;
    words.message = kUnwritten;
    my_.ticket = {};
    finish();
}

// A store: nobody else changes the word of a chunk that is lent to a live owner.
void PoolStep::free_chunk(int chunk) {
    HeaderWord next;
    next.epoch = byte(state_.headers[at(chunk)].epoch + 1);
    state_.headers[at(chunk)] = next;
    state_.payloads[at(chunk)] = kUnwritten;
    state_.notes[at(chunk)] = {};
}

// ---- Asking -------------------------------------------------------------------------------------

void PoolStep::ask_claim_receipt() {
    for (int i = 0; i < config_.receipts; ++i) {
        ReceiptWords& words = state_.receipts[at(i)];
        if (words.is_loaned) continue;
        words.is_loaned = true;
        words.owner = me_;
        ++words.tag;
        my_.ticket = {.is_open = true,
                      .was_sent = false,
                      .ref = {byte(i), words.tag},
                      .chunk = my_.chunk,
                      .position = 0,
                      .message = my_.next_message};
        my_.pc = Pc::ask_store_pending;
        return;
    }
    finish();  // as many are open as there may be
}

void PoolStep::ask_store_pending() {
    ReceiptWords& words = state_.receipts[my_.ticket.ref.receipt];
    words.outcome = Outcome::pending;
    words.outcome_tag = my_.ticket.ref.tag;
    words.message = my_.ticket.message;
    my_.pc = Pc::ask_write_note;
}

void PoolStep::ask_write_note() {
    state_.notes[my_.chunk] = my_.ticket.ref;
    my_.pc = Pc::send_read_tail;
}

// ---- settle: what the words say of my message, and what a stopped receiver left undone ----------

bool PoolStep::begin_settle() {
    if (!my_.ticket.was_sent) return false;
    my_.pc = Pc::settle_read_outcome;
    return true;
}

// Ended: an ended receipt never changes, so giving it back may be the same step.
void PoolStep::settle_read_outcome() {
    if (state_.receipts[my_.ticket.ref.receipt].outcome != Outcome::pending) {
        close_ticket();
        return;
    }
    my_.pc = broken(Mutant::settle_without_slot) ? Pc::settle_read_header : Pc::settle_read_slot;
}

void PoolStep::settle_read_slot() {
    my_.slot = ticket_slot();
    my_.position = my_.ticket.position;
    my_.chunk = my_.ticket.chunk;
    if (!still_holds_ticket(my_.slot)) {
        my_.pc = Pc::settle_read_header;
    } else if (my_.slot.kind == SlotKind::taken) {
        my_.pc = Pc::help_read_header;  // a receiver stopped, or is at it
    } else {
        finish();  // it waits
    }
}

// The help may have come too late: its taker died, and a recoverer put it back before.
void PoolStep::settle_look_again() {
    if (still_holds_ticket(ticket_slot()) && !broken(Mutant::settle_looks_once)) {
        finish();
        return;
    }
    my_.pc = Pc::settle_read_header;
}

void PoolStep::settle_read_header() {
    my_.header = state_.headers[my_.ticket.chunk];
    my_.pc = Pc::settle_read_note;
}

void PoolStep::settle_read_note() {
    my_.ref = state_.notes[my_.ticket.chunk];
    my_.pc = Pc::settle_reread_header;
}

// The same word as before: the note was of that very message.
void PoolStep::settle_reread_header() {
    const bool is_same = state_.headers[my_.ticket.chunk] == my_.header;
    if (!is_same) {
        finish();
        return;
    }
    my_.found = my_.ref == my_.ticket.ref ? outcome_of(my_.header) : Outcome::none;
    my_.pc = Pc::settle_resolve;
    if (my_.found == Outcome::pending) finish();
    if (my_.found == Outcome::none) my_.pc = Pc::settle_told_again;
}

Outcome PoolStep::outcome_of(const HeaderWord& header) const {
    switch (header.state) {
        case ChunkState::borrowed: return tells_at_take() ? Outcome::taken : Outcome::pending;
        case ChunkState::done: return Outcome::acked;
        case ChunkState::dead_letter:  // its word says why it became one
            return header.owner != 0 ? Outcome::receiver_died : Outcome::dead_letter;
        case ChunkState::free: return Outcome::none;
        case ChunkState::loaned:
        case ChunkState::redeliver: return Outcome::pending;
    }
    return Outcome::pending;
}

// The chunk is another message's, or nobody's: then it was told before the chunk was freed.
void PoolStep::settle_told_again() {
    if (state_.receipts[my_.ticket.ref.receipt].outcome == Outcome::pending) {
        fault_ = "a message is gone and its sender was not told";
    }
    finish();
}

void PoolStep::settle_resolve() {
    resolve(my_.ticket.ref, my_.found);
    finish();
}

// ---- withdraw: a take by the sender -------------------------------------------------------------

bool PoolStep::begin_withdraw() {
    if (!config_.withdraw || !my_.ticket.was_sent) return false;
    my_.pc = Pc::withdraw_read_slot;
    return true;
}

void PoolStep::withdraw_read_slot() {
    my_.slot = ticket_slot();
    my_.position = my_.ticket.position;
    const bool holds = still_holds_ticket(my_.slot);
    const bool waits = my_.slot.kind == SlotKind::full ||
                       (my_.slot.kind == SlotKind::redeliver && my_.slot.takes < config_.max_takes);
    if (holds && waits) {
        my_.pc = Pc::withdraw_take;
        if (broken(Mutant::withdrawn_told_first)) resolve(my_.ticket.ref, Outcome::withdrawn);
    } else if (holds || broken(Mutant::withdraw_from_slot_only)) {
        finish();  // somebody is at it
    } else {
        my_.pc = Pc::withdraw_read_header;
    }
}

// W1. CAS FULL or REDELIVER to TAKEN(me).
void PoolStep::withdraw_take() {
    SlotWord taken = my_.slot;
    if (taken.kind == SlotKind::redeliver) ++taken.takes;
    taken.kind = SlotKind::taken;
    taken.who = me_;
    bool is_mine = swap_slot(slot_of(my_.position), my_.slot, taken);
    if (broken(Mutant::withdraw_stores)) {
        slot_at(my_.position) = taken;
        is_mine = true;
    }
    my_.slot = taken;
    my_.chunk = my_.ticket.chunk;
    my_.pc = is_mine ? Pc::adopt_read_header : Pc::idle;
}

void PoolStep::withdraw_resolve() {
    resolve(my_.ticket.ref, Outcome::withdrawn);
    my_.pc = Pc::withdraw_free;
}

void PoolStep::withdraw_free() {
    if (config_.ack) note_settled(my_.ticket.chunk, Fate::taken_back);
    free_chunk(my_.ticket.chunk);
    finish();
}

// Acknowledged: it was given back and lies in no slot. The note says whether it still is mine.
void PoolStep::withdraw_read_header() {
    my_.header = state_.headers[my_.ticket.chunk];
    my_.pc = my_.header.state == ChunkState::redeliver ? Pc::withdraw_read_note : Pc::idle;
}

void PoolStep::withdraw_read_note() {
    const bool is_mine = state_.notes[my_.ticket.chunk] == my_.ticket.ref;
    my_.pc = is_mine ? Pc::withdraw_read_outcome : Pc::idle;
}

// Its receipt ended with the take: it is not to be withdrawn after that.
void PoolStep::withdraw_read_outcome() {
    const Outcome told = state_.receipts[my_.ticket.ref.receipt].outcome;
    const bool is_open = told == Outcome::pending || broken(Mutant::withdraw_after_end);
    my_.pc = is_open ? Pc::withdraw_claim_header : Pc::idle;
}

// CAS the header that was read: so the note was of this message.
void PoolStep::withdraw_claim_header() {
    HeaderWord next = my_.header;
    next.state = ChunkState::borrowed;
    next.owner = me_;
    finish();
    if (!swap_header(my_.ticket.chunk, my_.header, next)) return;
    note_delivery(my_.ticket.chunk, me_);
    my_.pc = Pc::withdraw_resolve;
}

// ---- A receiver tells ---------------------------------------------------------------------------

// Taken: the message is delivered and told; only then is it the user's to give back.
void PoolStep::tell_read_note() {
    my_.ref = state_.notes[my_.chunk];
    my_.pc = Pc::tell_resolve;
}

void PoolStep::tell_resolve() {
    resolve(my_.ref, Outcome::taken);
    finish();
}

// The ack of a message whose sender asked goes through DONE, so that a death in between is an ack.
void PoolStep::finish_read_note() {
    my_.ref = state_.notes[my_.chunk];
    my_.pc = Pc::finish_done;
}

void PoolStep::finish_done() {
    note_settled(my_.chunk, Fate::acked);
    if (broken(Mutant::ack_without_done)) {
        free_chunk(my_.chunk);
        my_.pc = Pc::finish_resolve;
        return;
    }
    HeaderWord& word = state_.headers[my_.chunk];
    word.epoch = byte(word.epoch + 1);
    word.state = ChunkState::done;
    my_.pc = broken(Mutant::told_after_free) ? Pc::finish_free : Pc::finish_resolve;
}

void PoolStep::finish_resolve() {
    resolve(my_.ref, Outcome::acked);
    const bool is_free = broken(Mutant::ack_without_done) || broken(Mutant::told_after_free);
    my_.pc = is_free ? Pc::idle : Pc::finish_free;
}

void PoolStep::finish_free() {
    free_chunk(my_.chunk);
    my_.pc = broken(Mutant::told_after_free) ? Pc::finish_resolve : Pc::idle;
}

// ---- A recoverer tells, before it frees ---------------------------------------------------------

void PoolStep::sweep_tell_read_note() {
    my_.ref = state_.notes[my_.index];
    my_.pc = broken(Mutant::recover_tells_unread) ? Pc::sweep_tell_resolve
                                                  : Pc::sweep_tell_reread_header;
}

// Changed meanwhile: another one has brought it back.
void PoolStep::sweep_tell_reread_header() {
    const bool is_same = state_.headers[my_.index] == my_.listed[my_.index];
    my_.pc = is_same ? Pc::sweep_tell_resolve : Pc::sweep_free_header;
}

void PoolStep::sweep_tell_resolve() {
    const bool was_acked = my_.listed[my_.index].state == ChunkState::done;
    resolve(my_.ref, was_acked ? Outcome::acked : Outcome::receiver_died);
    my_.pc = Pc::sweep_free_header;
}

// Receipts that the dead one owned go FREE by CAS of the word that was read.
void PoolStep::sweep_receipt() {
    if (my_.index == config_.receipts) {
        my_.index = 0;
        my_.pc = Pc::sweep_raise;
        return;
    }
    ReceiptWords& words = state_.receipts[my_.index++];
    if (!words.is_loaned || words.owner != my_.victim.index) return;
    words.is_loaned = false;
    words.message = kUnwritten;
}

}  // namespace stoa::model
