// receive, dead letters, and the end of a loan.
#include <bit>

#include "tests/model/pool_steps.hpp"

namespace stoa::model {

// ---- First what a death put back: only while the flag is up -------------------------------------

bool PoolStep::begin_receive() {
    if (std::popcount(my_.held) >= config_.quota) return false;
    my_.flag = state_.flag;
    my_.index = 0;
    my_.pc = state_.flag.up ? Pc::receive_scan_slot : Pc::receive_read_head;
    return true;
}

void PoolStep::receive_scan_slot() {
    if (my_.index == config_.slots) {
        my_.index = 0;
        const bool scans_headers = config_.ack && !broken(Mutant::headers_not_scanned);
        my_.pc = scans_headers ? Pc::receive_scan_header : Pc::receive_lower_flag;
        return;
    }
    my_.slot = state_.slots[my_.index];
    if (my_.slot.kind != SlotKind::redeliver) {
        ++my_.index;
    } else if (my_.slot.takes == config_.max_takes && !broken(Mutant::takes_wrap)) {
        my_.pc = Pc::bury_read_header;
    } else {
        my_.pc = Pc::receive_claim_slot;
    }
}

// CAS REDELIVER(t) to TAKEN(me, t + 1).
void PoolStep::receive_claim_slot() {
    SlotWord taken = my_.slot;
    taken.kind = SlotKind::taken;
    taken.who = me_;
    taken.takes = byte((taken.takes + 1) % (config_.max_takes + 1));
    if (broken(Mutant::no_takes)) taken.takes = 0;
    if (!swap_slot(my_.index, my_.slot, taken)) {
        ++my_.index;  // another one has it; if that one dies there will be a new raise
        my_.pc = Pc::receive_scan_slot;
        return;
    }
    my_.slot = taken;
    my_.position = byte(taken.lap * config_.slots + my_.index);
    my_.pc = Pc::adopt_read_header;
}

void PoolStep::receive_scan_header() {
    if (my_.index == config_.chunks) {
        my_.pc = Pc::receive_lower_flag;
        return;
    }
    my_.header = state_.headers[my_.index];
    if (my_.header.state == ChunkState::redeliver) {
        my_.pc = Pc::receive_claim_header;
    } else {
        ++my_.index;
    }
}

// Claim in place: CAS the header to BORROWED(me) is the delivery.
void PoolStep::receive_claim_header() {
    HeaderWord next = my_.header;
    next.state = ChunkState::borrowed;
    next.owner = me_;
    if (!swap_header(my_.index, my_.header, next)) {
        ++my_.index;
        my_.pc = Pc::receive_scan_header;
        return;
    }
    note_delivery(my_.index, me_);
    my_.held = byte(my_.held | 1 << my_.index);
    my_.chunk = my_.index;
    my_.pc = tells_at_take() && !broken(Mutant::told_after_free) ? Pc::tell_read_note : Pc::idle;
}

// Nothing found: CAS the generation that was read to down.
void PoolStep::receive_lower_flag() {
    if (state_.flag == my_.flag || broken(Mutant::flag_stored_down)) state_.flag.up = false;
    my_.pc = Pc::receive_read_head;
}

// ---- Then the head ------------------------------------------------------------------------------

void PoolStep::receive_read_head() {
    my_.position = state_.head;
    my_.pc = Pc::receive_read_slot;
}

void PoolStep::receive_read_slot() {
    my_.slot = slot_at(my_.position);
    const int lap = lap_of(my_.position);
    if (my_.slot.lap == lap && my_.slot.kind == SlotKind::full) {
        my_.pc = Pc::receive_take;
    } else if (my_.slot.lap > lap || (my_.slot.lap == lap && my_.slot.kind != SlotKind::empty)) {
        my_.pc = Pc::receive_pass_head;  // the head is behind: someone took this one
    } else {
        finish();  // empty
    }
}

// CAS FULL to TAKEN(me, takes 0).
void PoolStep::receive_take() {
    SlotWord taken = my_.slot;
    taken.kind = SlotKind::taken;
    taken.who = me_;
    taken.takes = 0;
    const bool is_mine = swap_slot(slot_of(my_.position), my_.slot, taken);
    my_.slot = taken;
    my_.pc = !is_mine                             ? Pc::receive_read_head
             : broken(Mutant::empty_before_adopt) ? Pc::empty_slot
                                                  : Pc::adopt_read_header;
}

void PoolStep::receive_pass_head() {
    if (state_.head == my_.position) ++state_.head;
    my_.pc = Pc::receive_read_head;
}

void PoolStep::adopt_read_header() {
    my_.header = state_.headers[my_.slot.chunk];
    my_.pc = Pc::adopt_reread_slot;
    if (broken(Mutant::no_slot_reread) || broken(Mutant::empty_before_adopt)) {
        my_.pc = Pc::adopt_header;
    }
}

// The slot changed: a helper has done it all, the message is mine.
void PoolStep::adopt_reread_slot() {
    const bool is_same = slot_at(my_.position) == my_.slot;
    my_.pc = is_same               ? Pc::adopt_header
             : my_.ticket.was_sent ? Pc::withdraw_resolve
                                   : Pc::receive_advance_head;
}

void PoolStep::adopt_header() {
    if (!adopt(my_.slot)) {
        my_.pc = Pc::adopt_read_header;
        return;
    }
    my_.pc = broken(Mutant::empty_before_adopt) ? Pc::receive_advance_head : Pc::empty_slot;
}

// CAS TAKEN to EMPTY(lap + 1): the message is delivered.
void PoolStep::empty_slot() {
    SlotWord next;
    next.lap = byte(my_.slot.lap + 1);
    if (swap_slot(slot_of(my_.position), my_.slot, next)) note_delivery(my_.slot.chunk, me_);
    my_.pc = my_.ticket.was_sent                  ? Pc::withdraw_resolve
             : broken(Mutant::empty_before_adopt) ? Pc::adopt_read_header
                                                  : Pc::receive_advance_head;
}

void PoolStep::receive_advance_head() {
    if (state_.head == my_.position) ++state_.head;
    my_.held = byte(my_.held | 1 << my_.slot.chunk);
    my_.chunk = my_.slot.chunk;
    my_.pc = tells_at_take() && !broken(Mutant::told_after_free) ? Pc::tell_read_note : Pc::idle;
}

// ---- A message whose takes would wrap is a dead letter ------------------------------------------

void PoolStep::bury_read_header() {
    my_.header = state_.headers[my_.slot.chunk];
    my_.pc = broken(Mutant::bury_without_reread) ? Pc::bury_header : Pc::bury_reread_slot;
}

void PoolStep::bury_reread_slot() {
    const bool is_same = state_.slots[my_.index] == my_.slot;
    my_.pc = is_same ? Pc::bury_header : Pc::receive_scan_slot;
}

// CAS the header to DEAD_LETTER; another who buries it may have done so.
void PoolStep::bury_header() {
    HeaderWord letter = my_.header;
    letter.state = ChunkState::dead_letter;
    letter.owner = 0;
    letter.takes = 0;
    const bool is_done = my_.header.state == ChunkState::dead_letter ||
                         swap_header(my_.slot.chunk, my_.header, letter);
    my_.pc = is_done ? Pc::bury_empty_slot : Pc::bury_read_header;
    if (is_done || !broken(Mutant::bury_gives_up)) return;
    ++my_.index;
    my_.pc = Pc::receive_scan_slot;
}

void PoolStep::bury_empty_slot() {
    SlotWord next;
    next.lap = byte(my_.slot.lap + 1);
    if (swap_slot(my_.index, my_.slot, next)) note_settled(my_.slot.chunk);
    my_.pc = Pc::receive_scan_slot;
}

// Who reads the dead letters frees their chunks. A letter may still be named by the slot that it
// was buried from: that slot must be empty first, or it would name a chunk of someone else's.
bool PoolStep::begin_drain(int chunk) {
    my_.header = state_.headers[at(chunk)];
    if (my_.header.state != ChunkState::dead_letter) return false;
    my_.chunk = byte(chunk);
    my_.index = 0;
    my_.pc = broken(Mutant::drain_without_scan) ? Pc::drain_free_header : Pc::drain_scan_slot;
    return true;
}

void PoolStep::drain_scan_slot() {
    if (my_.index == config_.slots) {
        my_.pc = Pc::drain_free_header;
        return;
    }
    const SlotWord word = state_.slots[my_.index++];
    if (word.kind != SlotKind::empty && word.chunk == my_.chunk) finish();
}

// CAS DEAD_LETTER to FREE.
void PoolStep::drain_free_header() {
    HeaderWord next;
    next.state = ChunkState::free;
    finish();
    if (!swap_header(my_.chunk, my_.header, next)) return;
    state_.payloads[at(my_.chunk)] = kUnwritten;
    if (config_.hints) my_.pc = Pc::give_hint;
}

// ---- The end of a loan --------------------------------------------------------------------------

// Abandon, release and ack: CAS my header to FREE, then give its hint.
bool PoolStep::end_loan(int chunk) {
    const HeaderWord seen = state_.headers[at(chunk)];
    const bool receives = my_.role == Role::receiver;
    if (seen.state != (receives ? ChunkState::borrowed : ChunkState::loaned) || seen.owner != me_) {
        fault_ = "a loan ended that was no longer its holder's";
        return true;
    }
    if (receives && config_.ack && config_.receipts > 0 && !config_.at_take) {
        my_.held = byte(my_.held & ~(1 << chunk));
        my_.chunk = byte(chunk);
        my_.pc = Pc::finish_read_note;
        return true;
    }
    if (receives && config_.ack) note_settled(chunk, Fate::acked);
    const bool tells_late = receives && tells_at_take() && broken(Mutant::told_after_free);
    my_.ref = state_.notes[at(chunk)];
    HeaderWord next;
    next.state = ChunkState::free;
    swap_header(chunk, seen, next);
    state_.payloads[at(chunk)] = kUnwritten;
    my_.held = byte(my_.held & ~(1 << chunk));
    my_.chunk = byte(chunk);
    my_.pc = config_.hints ? Pc::give_hint : tells_late ? Pc::tell_resolve : Pc::idle;
    return true;
}

void PoolStep::give_hint() {
    state_.hints = byte(state_.hints | 1 << my_.chunk);
    finish();
}

// Nack: the same redelivery CAS, then a raise.
bool PoolStep::nack(int chunk) {
    const HeaderWord seen = state_.headers[at(chunk)];
    if (seen.state != ChunkState::borrowed || seen.owner != me_) {
        fault_ = "a lease was nacked that was no longer its holder's";
        return true;
    }
    my_.pc = Pc::nack_raise;
    if (broken(Mutant::nack_raises_first)) {
        raise();
        return true;
    }
    put_back(chunk, seen);
    my_.held = byte(my_.held & ~(1 << chunk));
    return true;
}

void PoolStep::nack_raise() {
    finish();
    if (broken(Mutant::nack_raises_first)) {
        const int chunk = std::countr_zero(my_.held);
        put_back(chunk, state_.headers[at(chunk)]);
        my_.held = 0;
    } else if (!broken(Mutant::nack_without_raise)) {
        raise();
    }
}

}  // namespace stoa::model
