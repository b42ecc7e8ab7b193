// send, and the help that a sender gives to a receiver that stopped in the middle of a take.
#include <bit>

#include "tests/model/pool_steps.hpp"

namespace stoa::model {

// ---- loan: a FREE header becomes LOANED(me) -----------------------------------------------------

// Without the bitmap the search for a FREE chunk is one access: the hint is no part of the proof.
bool PoolStep::begin_loan() {
    if (my_.ticket.is_open) return false;  // it waits for its receipt first
    const int loans = std::popcount(my_.held);
    if (loans >= config_.quota || my_.next_message + loans >= my_.end_message) return false;
    for (int chunk = 0; chunk < config_.chunks; ++chunk) {
        if (config_.hints ? (state_.hints >> chunk & 1) == 0
                          : state_.headers[at(chunk)].state != ChunkState::free) {
            continue;
        }
        my_.chunk = byte(chunk);
        if (config_.hints) {
            if (!broken(Mutant::hint_cleared_late)) take_hint(chunk);
            my_.pc = Pc::loan_header;
        } else {
            loan_header();
        }
        return true;
    }
    return false;
}

void PoolStep::loan_header() {
    const HeaderWord seen = state_.headers[at(my_.chunk)];
    my_.pc = broken(Mutant::hint_cleared_late) ? Pc::loan_clear_hint : Pc::idle;
    if (seen.state != ChunkState::free) return;  // the hint was stale
    HeaderWord next = seen;
    next.state = ChunkState::loaned;
    next.owner = me_;
    swap_header(my_.chunk, seen, next);
    state_.payloads[at(my_.chunk)] = kUnwritten;
    my_.held = byte(my_.held | 1 << my_.chunk);
}

void PoolStep::loan_clear_hint() {
    take_hint(my_.chunk);
    finish();
}

void PoolStep::take_hint(int chunk) {
    state_.hints = byte(state_.hints & ~(1 << chunk));
}

// ---- commit: fill, then CAS the slot at the tail from EMPTY to FULL -----------------------------

bool PoolStep::begin_commit(int chunk) {
    if ((my_.held >> chunk & 1) == 0) return false;
    my_.chunk = byte(chunk);
    if (!broken(Mutant::publish_before_fill)) state_.payloads[at(chunk)] = my_.next_message;
    my_.pc = config_.receipts > 0 ? Pc::ask_claim_receipt : Pc::send_read_tail;
    return true;
}

void PoolStep::send_read_tail() {
    my_.position = state_.tail;
    my_.pc = Pc::send_read_slot;
}

void PoolStep::send_read_slot() {
    const SlotWord word = slot_at(my_.position);
    const int lap = lap_of(my_.position);
    my_.slot = word;
    if (word.lap == lap && word.kind == SlotKind::empty) {
        my_.pc = Pc::send_publish;
    } else if (word.lap >= lap) {
        my_.pc = Pc::send_pass_tail;  // the tail is behind: someone published here
    } else if (word.kind == SlotKind::taken && !broken(Mutant::no_help)) {
        my_.pc = Pc::help_read_header;  // last lap's receiver is slow, stopped or dead
    } else {
        my_.pc = config_.abandon ? Pc::idle : Pc::send_read_tail;  // full
    }
}

// CAS EMPTY(lap) to FULL(lap, chunk): the send happened.
void PoolStep::send_publish() {
    SlotWord full = my_.slot;
    full.kind = SlotKind::full;
    full.takes = 0;
    full.chunk = my_.chunk;
    if (!swap_slot(slot_of(my_.position), my_.slot, full)) {
        my_.pc = Pc::send_read_tail;
        return;
    }
    state_.stories[my_.next_message].was_sent = true;
    my_.held = byte(my_.held & ~(1 << my_.chunk));
    ++my_.next_message;
    my_.ticket.was_sent = my_.ticket.is_open;
    if (my_.ticket.is_open) my_.ticket.position = my_.position;
    my_.pc = Pc::send_advance_tail;
}

void PoolStep::send_pass_tail() {
    if (state_.tail == my_.position) ++state_.tail;
    my_.pc = Pc::send_read_tail;
}

void PoolStep::send_advance_tail() {
    if (state_.tail == my_.position) ++state_.tail;
    if (broken(Mutant::publish_before_fill)) {
        state_.payloads[at(my_.chunk)] = byte(my_.next_message - 1);
    }
    finish();
}

// ---- help: perform the adopt and the slot CAS of last lap's TAKEN(k) in k's name ----------------

void PoolStep::help_read_header() {
    my_.header = state_.headers[my_.slot.chunk];
    my_.pc = broken(Mutant::no_slot_reread)       ? Pc::help_adopt
             : broken(Mutant::help_without_adopt) ? Pc::help_empty_slot
                                                  : Pc::help_reread_slot;
}

// The slot still says TAKEN(k): so the header that was read is of this very take, not of a later
// use.
void PoolStep::help_reread_slot() {
    my_.pc = Pc::help_adopt;
    if (slot_at(my_.position) != my_.slot) after_help();
}

void PoolStep::help_adopt() {
    my_.pc = adopt(my_.slot) ? Pc::help_empty_slot : Pc::help_read_header;
}

void PoolStep::help_empty_slot() {
    SlotWord next;
    next.lap = byte(my_.slot.lap + 1);
    if (swap_slot(slot_of(my_.position), my_.slot, next)) {
        note_delivery(my_.slot.chunk, my_.slot.who);
    }
    after_help();
}

}  // namespace stoa::model
