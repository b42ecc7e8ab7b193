// Recovery of a dead participant by anyone, several at once; attach with reuse of indexes; detach.
#include <bit>

#include "tests/model/pool_steps.hpp"

namespace stoa::model {

// ---- recover(d) ---------------------------------------------------------------------------------

// Reads d's record; d is known to be dead.
bool PoolStep::begin_sweep(int victim) {
    const RecordWord record = state_.records[at(victim)];
    if (record.state == RecordState::free) return false;
    if (record.state == RecordState::claimed && broken(Mutant::claimed_not_swept)) return false;
    my_.victim = {byte(victim), record.incarnation};
    my_.pc = Pc::sweep_announce;
    return true;
}

void PoolStep::sweep_announce() {
    if (!broken(Mutant::no_announce)) state_.sweeping[me_] = my_.victim;
    my_.index = 0;
    my_.pc = broken(Mutant::no_recheck) ? Pc::sweep_read_slot : Pc::sweep_recheck;
    if (my_.victim.index == me_) my_.pc = Pc::sweep_read_slot;  // mutant detach_announced
}

// The announcement counts only if d's record still is that incarnation's, not given back.
void PoolStep::sweep_recheck() {
    const RecordWord record = state_.records[my_.victim.index];
    const bool is_given_back =
        record.state == RecordState::free && !broken(Mutant::recheck_incarnation_only);
    my_.index = 0;
    if (record.incarnation != my_.victim.incarnation || is_given_back) {
        my_.pc = Pc::sweep_clear_word;
    } else if (record.state == RecordState::claimed) {
        my_.pc = Pc::sweep_give_index_back;  // it owned nothing yet
    } else if (broken(Mutant::raise_only_before)) {
        my_.pc = Pc::sweep_raise_first;
    } else {
        my_.pc = broken(Mutant::headers_before_slots) ? Pc::sweep_list_header : Pc::sweep_read_slot;
    }
}

void PoolStep::sweep_raise_first() {
    raise();
    my_.pc = Pc::sweep_read_slot;
}

// (1) CAS each slot TAKEN by d to REDELIVER, same takes.
void PoolStep::sweep_read_slot() {
    if (my_.index == config_.slots) {
        my_.index = 0;
        my_.pc = broken(Mutant::headers_before_slots)   ? Pc::sweep_raise
                 : broken(Mutant::index_before_headers) ? Pc::sweep_give_index_back
                                                        : Pc::sweep_list_header;
        return;
    }
    my_.slot = state_.slots[my_.index];
    if (my_.slot.kind == SlotKind::taken && my_.slot.who == my_.victim.index) {
        my_.pc = Pc::sweep_redeliver_slot;
    } else {
        ++my_.index;
    }
}

void PoolStep::sweep_redeliver_slot() {
    SlotWord next = my_.slot;
    next.kind = SlotKind::redeliver;
    next.who = 0;
    if (swap_slot(my_.index, my_.slot, next)) {
        const int message = state_.payloads[my_.slot.chunk];
        if (message != kUnwritten) state_.stories[at(message)].was_put_back = true;
    }
    ++my_.index;
    my_.pc = Pc::sweep_read_slot;
}

// (2) Then list the headers owned by d ...
void PoolStep::sweep_list_header() {
    if (my_.index == config_.chunks) {
        my_.index = 0;
        my_.pc = Pc::sweep_scan_slot;
        return;
    }
    const HeaderWord seen = state_.headers[my_.index];
    const bool is_owned = seen.state == ChunkState::loaned || seen.state == ChunkState::borrowed ||
                          seen.state == ChunkState::done;
    if (is_owned && seen.owner == my_.victim.index) {
        my_.is_listed[my_.index] = true;
        my_.listed[my_.index] = seen;
    }
    if (config_.hints && seen.state == ChunkState::free && !broken(Mutant::hints_not_swept)) {
        my_.pc = Pc::sweep_hint_passed;
    } else {
        ++my_.index;
    }
}

// A death between taking a hint and the header would lose the hint: a sweep gives it again.
void PoolStep::sweep_hint_passed() {
    state_.hints = byte(state_.hints | 1 << my_.index);
    ++my_.index;
    my_.pc = Pc::sweep_list_header;
}

// ... then scan the slots once: what is in a slot is no one's loan, it is a message on its way.
void PoolStep::sweep_scan_slot() {
    if (my_.index == config_.slots) {
        my_.index = 0;
        my_.pc = Pc::sweep_settle_header;
        return;
    }
    const SlotWord word = state_.slots[my_.index++];
    if (word.kind == SlotKind::empty || !my_.is_listed[word.chunk]) return;
    const bool is_kept =
        broken(Mutant::no_slot_scan) && my_.listed[word.chunk].state == ChunkState::borrowed;
    if (!is_kept) my_.is_listed[word.chunk] = false;
}

// A listed chunk found in no slot goes FREE, or is redelivered, by CAS of the header that was read.
void PoolStep::sweep_settle_header() {
    while (my_.index < config_.chunks && !my_.is_listed[my_.index]) ++my_.index;
    if (my_.index == config_.chunks) {
        my_.index = 0;
        sweep_next_pass();
        return;
    }
    const HeaderWord& seen = my_.listed[my_.index];
    const bool is_lease = config_.ack && seen.state == ChunkState::borrowed;
    const bool tells = config_.receipts > 0 && seen.state != ChunkState::loaned && !is_lease;
    if (tells && !broken(Mutant::recover_tells_nothing)) {
        my_.pc = Pc::sweep_tell_read_note;
    } else {
        sweep_free_header();
    }
}

void PoolStep::sweep_free_header() {
    my_.is_listed[my_.index] = false;
    my_.pc = Pc::sweep_settle_header;
    settle_listed(my_.listed[my_.index]);
    if (my_.pc == Pc::sweep_settle_header) ++my_.index;
}

void PoolStep::settle_listed(HeaderWord seen) {
    if (broken(Mutant::settle_by_store)) seen = state_.headers[my_.index];
    const bool is_lease = seen.state == ChunkState::borrowed || broken(Mutant::loaned_redelivered);
    if (config_.ack && is_lease) {
        put_back(my_.index, seen, true);
        return;
    }
    HeaderWord next;
    next.state = ChunkState::free;
    if (!swap_header(my_.index, seen, next)) return;
    state_.payloads[my_.index] = kUnwritten;
    if (config_.hints) my_.pc = Pc::sweep_give_hint;
}

void PoolStep::sweep_give_hint() {
    state_.hints = byte(state_.hints | 1 << my_.index);
    ++my_.index;
    my_.pc = Pc::sweep_settle_header;
}

void PoolStep::sweep_next_pass() {
    my_.pc = broken(Mutant::headers_before_slots) ? Pc::sweep_read_slot
             : broken(Mutant::raise_only_before)  ? Pc::sweep_give_index_back
             : config_.receipts == 0 || broken(Mutant::receipts_not_swept) ? Pc::sweep_raise
                                                                           : Pc::sweep_receipt;
}

// (3) Raise the flag. (Bump and wake every bell: see bell_model.cpp.)
void PoolStep::sweep_raise() {
    if (!broken(Mutant::no_raise)) raise();
    my_.pc =
        broken(Mutant::index_before_headers) ? Pc::sweep_clear_word : Pc::sweep_give_index_back;
}

// (4) Give the index back: CAS the record to FREE(incarnation).
void PoolStep::sweep_give_index_back() {
    RecordWord& record = state_.records[my_.victim.index];
    if (record.incarnation == my_.victim.incarnation) record.state = RecordState::free;
    my_.index = 0;
    my_.pc = broken(Mutant::index_before_headers) ? Pc::sweep_list_header : Pc::sweep_clear_word;
    if (my_.victim.index != me_) return;
    if (broken(Mutant::detach_announced)) state_.late_clears = byte(state_.late_clears | 1 << me_);
    my_ = Participant{};
    my_.life = Life::gone;
}

void PoolStep::sweep_clear_word() {
    state_.sweeping[me_] = {};
    finish();
}

// ---- detach -------------------------------------------------------------------------------------

// Holding nothing: CAS the own record to FREE. Holding loans: sweep them first. That sweep is not
// announced: the record is LIVE until the sweep is over, so nobody can take the index, and a word
// that names it would have to be cleared after the index was given back: that may be its heir's.
bool PoolStep::begin_detach() {
    my_.victim = {me_, state_.records[me_].incarnation};
    my_.index = 0;
    const bool sweeps = my_.held != 0 && !broken(Mutant::detach_without_sweep);
    my_.held = 0;
    if (sweeps) {
        my_.pc = broken(Mutant::detach_announced) ? Pc::sweep_announce : Pc::sweep_read_slot;
    } else {
        sweep_give_index_back();
    }
    return true;
}

// ---- attach -------------------------------------------------------------------------------------

namespace {

bool is_named(const PoolState& state, int by, const Newcomer& my) {
    const SweepWord names{my.index, my.incarnation};
    const auto place = static_cast<std::size_t>(by);
    const Life life = state.participants[place].life;
    return state.sweeping[place] == names && (life == Life::running || life == Life::frozen);
}

// The table grows by CAS when it has no index to give.
bool grow_table(const PoolConfig& config, PoolState& state) {
    if (state.table == config.participants()) return false;
    for (std::size_t i = 0; i < state.table; ++i) {
        if (state.records[i].state != RecordState::free) continue;
        const Newcomer candidate{AttachPc::idle, static_cast<std::uint8_t>(i),
                                 state.records[i].incarnation, 0, 0};
        bool is_blocked = false;
        for (int by = 0; by < state.table; ++by) is_blocked |= is_named(state, by, candidate);
        if (!is_blocked) return false;
    }
    ++state.table;
    return true;
}

// CAS FREE(incarnation) to CLAIMED(incarnation + 1), which names the process.
void claim(const PoolConfig& config, PoolState& state, const Newcomer& my) {
    RecordWord& record = state.records[my.index];
    if (record != RecordWord{RecordState::free, my.incarnation}) return;
    record = {RecordState::claimed, static_cast<std::uint8_t>(my.incarnation + 1)};
    Participant& participant = state.participants[my.index];
    participant = Participant{};
    participant.life = Life::running;
    participant.role = config.attach_role;
    participant.pc = Pc::attach_clear_sweeping;
    if (config.attach_role == Role::sender) {
        const int first = config.senders * config.messages + state.attaches;
        participant.next_message = static_cast<std::uint8_t>(first);
        participant.end_message = static_cast<std::uint8_t>(first + 1);
    }
    ++state.attaches;
    state.newest[my.index] = {};
}

// The record must be read before the table's size, and both before the scan: who announced a sweep
// of this incarnation before the record went FREE is then seen, also in a record of a grown table.
bool read_record(const PoolState& state, Newcomer& my) {
    if (state.records[my.index].state != RecordState::free) return false;
    my.incarnation = state.records[my.index].incarnation;
    return true;
}

}  // namespace

bool step_newcomer(const PoolConfig& config, PoolState& state, int newcomer, int choice) {
    Newcomer& my = state.newcomers[static_cast<std::size_t>(newcomer)];
    const bool table_first = config.mutant == Mutant::table_read_first;
    switch (my.pc) {
        case AttachPc::idle:
            if (choice == state.table) return grow_table(config, state);
            my.index = static_cast<std::uint8_t>(choice);
            if (table_first) my.table = state.table;
            if (!table_first && !read_record(state, my)) return false;
            my.pc = AttachPc::read_second;
            return true;
        case AttachPc::read_second:
            my.pc = AttachPc::scan_sweeping;
            if (!table_first) my.table = state.table;
            if (table_first && !read_record(state, my)) my = Newcomer{};
            if (config.mutant == Mutant::no_hazard_scan) my.pc = AttachPc::claim;
            return true;
        case AttachPc::scan_sweeping:
            if (is_named(state, my.scanned, my)) {
                my = Newcomer{};  // a live participant may be sweeping this index: try another
            } else if (++my.scanned == my.table) {
                my.pc = AttachPc::claim;
            }
            return true;
        case AttachPc::claim: {
            const Newcomer done = my;
            my = Newcomer{};
            if (state.attaches < config.attaches) claim(config, state, done);
            return true;
        }
    }
    return false;
}

// Clear the word that the index's last holder may have left behind.
void PoolStep::attach_clear_sweeping() {
    if (!broken(Mutant::inherited_word_kept)) state_.sweeping[me_] = {};
    my_.pc = Pc::attach_publish;
}

// The identity is written: store LIVE(incarnation).
void PoolStep::attach_publish() {
    state_.records[me_].state = RecordState::live;
    finish();
}

}  // namespace stoa::model
