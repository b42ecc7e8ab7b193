#include "tests/model/levels_steps.hpp"

#include "stoa/base/check.hpp"

namespace stoa::model {
namespace {

using Pc = LevelsPc;

constexpr std::uint8_t byte(int value) {
    return static_cast<std::uint8_t>(value);
}

}  // namespace

const char* LevelsStep::run() {
    if (my_.sends) {
        send_step();
    } else if (my_.pc <= Pc::r_lower_flag) {
        receive_step();
    } else if (my_.pc <= Pc::r_advance_head) {
        take_step();
    } else if (my_.pc <= Pc::r_closed) {
        look_step();
    } else if (my_.pc <= Pc::r_end_raise) {
        end_step();
    } else {
        wait_step();
    }
    return fault_;
}

// ---- Shared -------------------------------------------------------------------------------------

// A queue's head, and the slot that it names.
LevelsStep::Look LevelsStep::look(int level) const {
    const auto l = static_cast<std::size_t>(level);
    const int head = state_.head[l];
    const QueueSlot& slot = state_.slots[l][static_cast<std::size_t>(head % config_.slots)];
    const int lap = head / config_.slots;
    const bool is_sealed = slot.lap == lap && slot.kind == QueueKind::sealed;
    const bool is_empty =
        slot.lap < lap || (slot.lap == lap && (slot.kind == QueueKind::empty || is_sealed));
    return {is_empty, is_sealed};
}

int LevelsStep::depth(int level) const {
    const auto l = static_cast<std::size_t>(level);
    const int waiting = state_.tail[l] - state_.head[l];
    return waiting > 0 ? waiting : 0;
}

// The taker's chunk word, if its slot still says so.
void LevelsStep::adopt(Pc then, Pc else_then) {
    if (here() != my_.slot) {
        my_.pc = else_then;
        return;
    }
    state_.leases[my_.slot.message] = {LeaseState::borrowed, my_.slot.who};
    my_.pc = then;
}

bool LevelsStep::empty_slot() {
    if (here() != my_.slot) return false;
    here() = {.lap = byte(my_.slot.lap + 1)};
    delivered(my_.slot.message, my_.slot.who);
    return true;
}

void LevelsStep::delivered(std::uint8_t message, std::uint8_t who) {
    Lease& lease = state_.leases[message];
    if (lease.state == LeaseState::done) fault_ = "a message was delivered twice";
    if (!config_.ack) lease = {LeaseState::done, 0};
    if (config_.ack) lease = {LeaseState::borrowed, who};
}

void LevelsStep::raise() {
    state_.flag_up = true;
    for (LevelsPerson& person : state_.people) person.flag_same = false;
}

// The bell's word changed: whoever read it, and does not sleep yet, will not.
void LevelsStep::note_ring(LevelsPerson& person) {
    const bool waits = person.pc > Pc::r_arm && person.pc < Pc::r_asleep;
    if (person.sends ? person.armed : waits) person.rung = true;
}

void LevelsStep::wake(int who) {
    LevelsPerson& sleeper = state_.people[static_cast<std::size_t>(who)];
    if (sleeper.pc == Pc::r_asleep) sleeper.pc = Pc::r_sleep;
    if (sleeper.pc == Pc::s_asleep) sleeper.pc = Pc::s_sleep;
    note_ring(sleeper);
}

void LevelsStep::ring_messages(int woken) {
    if (!state_.message_bit) return;
    state_.message_bit = false;
    for (LevelsPerson& person : state_.people) {
        if (!person.sends && person.pc != Pc::r_asleep) note_ring(person);
    }
    if (woken != kNoOne) wake(woken);
}

void LevelsStep::ring_all() {
    state_.message_bit = false;
    state_.space_bit = false;
    for (int i = 0; i < config_.senders + config_.receivers; ++i) wake(i);
}

// ---- Send ---------------------------------------------------------------------------------------

void LevelsStep::start_send() {
    my_.index = 0;
    my_.count = 0;
    my_.mask = 0;
    my_.position = 0;
    my_.slot = {};
    my_.pc = config_.levels > 1 ? Pc::s_count : Pc::s_read_tail;
}

void LevelsStep::refused() {
    my_.next = my_.end;
    my_.armed = false;
    my_.rung = false;
    my_.slot = {};
    my_.position = 0;
    my_.level = 0;
    my_.pc = Pc::s_idle;
}

// The capacity is that of all levels together.
void LevelsStep::count(bool again) {
    if (!again && my_.index == 0) {
        my_.mask = broken(LevelsMutant::counts_by_hint) ? state_.levels : byte(3);
    }
    if (again || (my_.mask & bit(my_.index)) != 0) my_.count = byte(my_.count + depth(my_.index));
    if (++my_.index < config_.levels) return;
    const bool is_full = my_.count >= config_.slots;
    my_.index = 0;
    my_.count = 0;
    my_.mask = 0;
    if (!is_full) {
        my_.pc = Pc::s_read_tail;
    } else if (again || broken(LevelsMutant::heads_left_behind)) {
        no_room();
    } else {
        my_.pc = Pc::s_move_head;
    }
}

void LevelsStep::no_room() {
    my_.slot = {};
    my_.position = 0;
    my_.pc = my_.armed ? Pc::s_sleep : Pc::s_arm;
}

void LevelsStep::publish() {
    if (here() != my_.slot) {
        my_.pc = Pc::s_read_tail;
        return;
    }
    here().kind = QueueKind::full;
    here().message = my_.next;
    state_.leases[my_.next] = {LeaseState::in_slot, 0};
    ++my_.next;
    my_.pc = Pc::s_advance_tail;
    int waiting = 0;
    for (const auto& level : state_.slots) {
        for (const QueueSlot& slot : level) waiting += slot.kind == QueueKind::full;
    }
    if (waiting > config_.slots + config_.senders - 1) {
        fault_ = "more messages wait than the capacity and one for each other sender";
    }
}

// allowed: function_length: one switch, a step of the algorithm per case
void LevelsStep::send_step() {
    switch (my_.pc) {
        case Pc::s_idle:
            my_.level = byte((my_.next % config_.messages + me_) % config_.levels);
            start_send();
            if (state_.closed) refused();
            break;
        case Pc::s_count: count(false); break;
        case Pc::s_count_again: count(true); break;
        case Pc::s_move_head: {
            std::uint8_t& head = state_.head[my_.index];
            const auto slot = static_cast<std::size_t>(head % config_.slots);
            if (state_.slots[my_.index][slot].lap > head / config_.slots) {
                ++head;
            } else if (++my_.index == config_.levels) {
                my_.index = 0;
                my_.pc = Pc::s_count_again;
            }
            break;
        }
        case Pc::s_read_tail:
            my_.position = state_.tail[my_.level];
            my_.pc = Pc::s_read_slot;
            break;
        case Pc::s_read_slot:
            my_.slot = here();
            if (my_.slot.lap == lap() && my_.slot.kind == QueueKind::empty) {
                my_.pc = Pc::s_publish;
            } else if (my_.slot.lap == lap() && my_.slot.kind == QueueKind::sealed) {
                refused();
            } else if (my_.slot.lap >= lap()) {
                my_.pc = Pc::s_pass_tail;
            } else if (my_.slot.kind == QueueKind::taken) {
                my_.pc = Pc::s_help_adopt;
            } else if (state_.tail[my_.level] != my_.position) {
                my_.pc = Pc::s_read_tail;
            } else {
                no_room();
            }
            break;
        case Pc::s_publish: publish(); break;
        case Pc::s_pass_tail:
            if (state_.tail[my_.level] == my_.position) ++state_.tail[my_.level];
            my_.pc = Pc::s_read_tail;
            break;
        case Pc::s_help_adopt: adopt(Pc::s_help_empty, Pc::s_read_tail); break;
        case Pc::s_help_empty:
            empty_slot();
            my_.pc = Pc::s_read_tail;
            break;
        case Pc::s_advance_tail:
            if (state_.tail[my_.level] == my_.position) ++state_.tail[my_.level];
            my_.slot = {};
            my_.position = 0;
            my_.pc = config_.levels > 1 ? Pc::s_set_level : Pc::s_ring;
            break;
        case Pc::s_set_level:
            state_.levels = byte(state_.levels | bit(my_.level));
            my_.pc = Pc::s_ring;
            break;
        case Pc::s_arm:
            state_.space_bit = true;
            my_.rung = false;
            my_.armed = true;
            start_send();
            break;
        case Pc::s_sleep:  // the kernel compares; whoever returns from it sets the bit again
            if (my_.rung) {
                state_.space_bit = true;
                my_.rung = false;
                my_.armed = false;
                my_.pc = Pc::s_idle;
            } else {
                my_.pc = Pc::s_asleep;
            }
            break;
        default: STOA_CHECK(my_.pc == Pc::s_idle); break;
    }
}

// ---- Receive: what a death put back -------------------------------------------------------------

void LevelsStep::start_receive() {
    const bool slept = my_.slept;
    my_ = {.life = my_.life, .pc = Pc::r_flag, .slept = slept};
}

// A message is mine.
void LevelsStep::got() {
    const std::uint8_t message = my_.slot.message;
    start_receive();
    my_.slot.message = message;
    my_.pc = Pc::r_ring_space;
}

void LevelsStep::receive_step() {
    switch (my_.pc) {
        case Pc::r_flag:
            start_receive();
            my_.flag_same = state_.flag_up;
            my_.pc = state_.flag_up ? Pc::r_scan_slots : Pc::r_levels;
            break;
        case Pc::r_scan_slots: {
            if (my_.index == config_.levels * config_.slots) {
                my_.index = 0;
                my_.pc = config_.ack ? Pc::r_scan_chunks : Pc::r_lower_flag;
                break;
            }
            const int level = my_.index / config_.slots;
            QueueSlot& slot = state_.slots[static_cast<std::size_t>(level)]
                                          [static_cast<std::size_t>(my_.index % config_.slots)];
            if (slot.kind != QueueKind::redeliver) {
                ++my_.index;
                break;
            }
            slot.kind = QueueKind::taken;
            slot.who = me_;
            my_.slot = slot;
            my_.level = byte(level);
            my_.position = byte(slot.lap * config_.slots + my_.index % config_.slots);
            my_.by_flag = true;
            my_.pc = Pc::r_adopt;
            break;
        }
        case Pc::r_scan_chunks:
            if (my_.index == config_.senders * config_.messages) {
                my_.index = 0;
                my_.pc = Pc::r_lower_flag;
            } else if (state_.leases[my_.index].state == LeaseState::redeliver) {
                delivered(my_.index, me_);
                my_.slot.message = my_.index;
                got();
            } else {
                ++my_.index;
            }
            break;
        case Pc::r_lower_flag:
            if (my_.flag_same) state_.flag_up = false;
            my_.flag_same = false;
            my_.pc = Pc::r_levels;
            break;
        default: STOA_CHECK(false); break;
    }
}

// ---- Receive: from a queue ----------------------------------------------------------------------

void LevelsStep::take_step() {
    switch (my_.pc) {
        case Pc::r_levels:
            my_.index = 0;
            if (config_.levels > 1 && state_.levels == 0) {
                my_.pc = Pc::r_look_missed;
                if (broken(LevelsMutant::missed_not_looked)) found_nothing(false);
            } else {
                my_.level = config_.levels > 1 && (state_.levels & 2) != 0 ? byte(1) : byte(0);
                my_.pc = Pc::r_head;
            }
            break;
        case Pc::r_head:
            my_.position = state_.head[my_.level];
            my_.pc = Pc::r_slot;
            break;
        case Pc::r_slot: {
            my_.slot = here();
            const bool is_now = my_.slot.lap == lap();
            const bool is_empty =
                my_.slot.kind == QueueKind::empty || my_.slot.kind == QueueKind::sealed;
            if (is_now && my_.slot.kind == QueueKind::full) {
                my_.pc = Pc::r_take;
            } else if (my_.slot.lap > lap() || (is_now && !is_empty)) {
                my_.pc = Pc::r_pass_head;
            } else if (state_.head[my_.level] != my_.position) {
                my_.pc = Pc::r_head;
            } else if (config_.levels > 1) {
                my_.pc = Pc::r_lower;
            } else {
                found_nothing(is_now && my_.slot.kind == QueueKind::sealed);
            }
            break;
        }
        case Pc::r_take: {
            const bool is_mine = here() == my_.slot;
            my_.pc = is_mine ? Pc::r_adopt : Pc::r_head;
            if (!is_mine) break;
            my_.slot.kind = QueueKind::taken;
            my_.slot.who = me_;
            here() = my_.slot;
            break;
        }
        case Pc::r_pass_head:
            if (state_.head[my_.level] == my_.position) ++state_.head[my_.level];
            my_.pc = Pc::r_head;
            break;
        case Pc::r_adopt: adopt(Pc::r_empty, Pc::r_advance_head); break;
        case Pc::r_empty:
            empty_slot();
            my_.pc = Pc::r_advance_head;
            if (my_.by_flag) got();
            break;
        case Pc::r_advance_head:
            if (!my_.by_flag && state_.head[my_.level] == my_.position) ++state_.head[my_.level];
            got();
            break;
        default: STOA_CHECK(false); break;
    }
}

void LevelsStep::found_nothing(bool sealed) {
    start_receive();
    my_.drained = sealed;
    my_.pc = Pc::r_closed;
}

void LevelsStep::look_step() {
    switch (my_.pc) {
        case Pc::r_lower:
            state_.levels = byte(state_.levels & ~bit(my_.level));
            my_.slot = {};
            my_.position = 0;
            my_.pc = Pc::r_look_lowered;
            break;
        case Pc::r_look_lowered:
            if (!look(my_.level).is_empty) state_.levels = byte(state_.levels | bit(my_.level));
            my_.level = 0;
            my_.pc = Pc::r_levels;
            break;
        case Pc::r_look_missed: {  // the hint knows of none: the truth decides
            const Look seen = look(my_.index);
            if (!seen.is_empty) my_.mask = byte(my_.mask | bit(my_.index));
            if (seen.is_sealed) my_.sealed = byte(my_.sealed | bit(my_.index));
            if (++my_.index < config_.levels) break;
            my_.index = 0;
            if (my_.mask == 0) {
                found_nothing(my_.sealed == (1 << config_.levels) - 1);
                break;
            }
            state_.levels = byte(state_.levels | my_.mask);
            my_.mask = 0;
            my_.sealed = 0;
            my_.pc = Pc::r_levels;
            break;
        }
        case Pc::r_closed:
            my_.ending = state_.closed;
            if (my_.ending && broken(LevelsMutant::end_without_seal)) my_.drained = true;
            if (my_.drained) {
                begin_end();
            } else {
                my_.pc = my_.ending ? Pc::r_seal_look : Pc::r_arm;
            }
            break;
        default: STOA_CHECK(false); break;
    }
}

// ---- The end of a stream ------------------------------------------------------------------------

void LevelsStep::begin_end() {
    my_.drained = true;
    my_.index = 0;
    my_.mask = 0;
    my_.slot = {};
    my_.pc = broken(LevelsMutant::end_without_help) ? Pc::r_end_chunk : Pc::r_end_slot;
}

// Moves the head past what is settled, and looks at the slot where the next message would come.
void LevelsStep::seal_look() {
    my_.level = my_.index;
    std::uint8_t& head = state_.head[my_.level];
    my_.position = head;
    my_.slot = here();
    if (my_.slot.lap > lap()) {
        ++head;
    } else if (my_.slot.lap < lap() && my_.slot.kind == QueueKind::taken) {
        my_.pc = Pc::r_seal_help_adopt;
    } else if (my_.slot.lap == lap() && my_.slot.kind == QueueKind::empty) {
        my_.pc = Pc::r_seal;
    } else {
        if (my_.slot.kind != QueueKind::sealed) my_.mask = 1;  // a message waits, or is taken
        next_sealed();
    }
}

void LevelsStep::next_sealed() {
    my_.slot = {};
    my_.position = 0;
    my_.level = 0;
    my_.pc = Pc::r_seal_look;
    const int last = broken(LevelsMutant::seal_first_level_only) ? 1 : config_.levels;
    if (++my_.index < last) return;
    my_.index = 0;
    if (my_.mask == 0) {
        begin_end();
    } else {
        my_.mask = 0;
        my_.pc = Pc::r_arm;
    }
}

// What another one is taking is its own after this; what was put back comes by the flag.
void LevelsStep::end_scan() {
    if (my_.index == config_.levels * config_.slots) {
        my_.index = 0;
        end_chunks();
        return;
    }
    my_.level = byte(my_.index / config_.slots);
    my_.position = byte(my_.index % config_.slots);
    my_.slot = here();
    if (my_.slot.kind == QueueKind::taken) {
        my_.pc = Pc::r_end_help_adopt;
        return;
    }
    if (my_.slot.kind == QueueKind::redeliver) my_.marked = true;
    ++my_.index;
}

void LevelsStep::end_chunks() {
    my_.pc = Pc::r_end_chunk;
    my_.level = 0;
    my_.position = 0;
    my_.slot = {};
    const bool scans = config_.ack && !broken(LevelsMutant::end_ignores_leases);
    if (scans && my_.index < config_.senders * config_.messages) {
        const Lease lease = state_.leases[my_.index++];
        if (lease.state == LeaseState::borrowed && lease.who != me_) my_.mask = 1;
        const bool is_marked = lease.state == LeaseState::redeliver;
        if (is_marked && !broken(LevelsMutant::end_ignores_marked)) my_.marked = true;
        return;
    }
    my_.index = 0;
    if (my_.marked) {
        my_.pc = Pc::r_end_raise;
    } else if (my_.mask != 0) {
        my_.mask = 0;
        my_.pc = Pc::r_arm;
    } else {
        my_ = {.life = LevelsLife::ended};
    }
}

void LevelsStep::end_step() {
    switch (my_.pc) {
        case Pc::r_seal_look: seal_look(); break;
        case Pc::r_seal_help_adopt: adopt(Pc::r_seal_help_empty, Pc::r_seal_look); break;
        case Pc::r_seal_help_empty:
            empty_slot();
            my_.pc = Pc::r_seal_look;
            break;
        case Pc::r_seal:
            if (here() == my_.slot || broken(LevelsMutant::seal_by_store)) {
                here() = {.kind = QueueKind::sealed, .lap = my_.slot.lap};
                next_sealed();
            } else {
                my_.pc = Pc::r_seal_look;
            }
            break;
        case Pc::r_end_slot: end_scan(); break;
        case Pc::r_end_help_adopt: adopt(Pc::r_end_help_empty, Pc::r_end_slot); break;
        case Pc::r_end_help_empty:
            empty_slot();
            my_.pc = Pc::r_end_slot;
            break;
        case Pc::r_end_chunk: end_chunks(); break;
        case Pc::r_end_raise:
            raise();
            start_receive();
            break;
        default: STOA_CHECK(false); break;
    }
}

// ---- Sleep, and what comes after a message ------------------------------------------------------

void LevelsStep::wait_step() {
    switch (my_.pc) {
        case Pc::r_arm:
            state_.message_bit = true;
            my_.rung = false;
            my_.pc = broken(LevelsMutant::no_look_after_bit) ? Pc::r_sleep : Pc::r_again_flag;
            break;
        case Pc::r_again_flag:
            my_.pc = my_.drained ? Pc::r_sleep : Pc::r_again_level;
            if (state_.flag_up) start_receive();
            break;
        case Pc::r_again_level: {
            const Look seen = look(my_.index);
            if (!seen.is_empty) {
                start_receive();
                break;
            }
            if (seen.is_sealed) my_.sealed = byte(my_.sealed | bit(my_.index));
            if (++my_.index < config_.levels) break;
            my_.index = 0;
            const bool all_sealed = my_.sealed == (1 << config_.levels) - 1;
            my_.sealed = 0;
            my_.pc = Pc::r_again_closed;
            if (all_sealed) start_receive();
            break;
        }
        case Pc::r_again_closed: {
            const bool ends = state_.closed && !my_.ending;
            my_.pc = Pc::r_sleep;
            if (ends && !broken(LevelsMutant::close_not_awaited)) start_receive();
            break;
        }
        case Pc::r_sleep:  // the kernel compares; whoever returns from it sets the bit again
            my_.slept = true;
            if (my_.rung) {
                state_.message_bit = true;
                start_receive();
            } else {
                my_.pc = Pc::r_asleep;
            }
            break;
        case Pc::r_ring_space:
            if (state_.space_bit && !broken(LevelsMutant::space_not_rung)) {
                state_.space_bit = false;
                for (int i = 0; i < config_.senders; ++i) wake(i);
            }
            my_.pc = my_.slept ? Pc::r_pass_on : Pc::r_have;
            if (my_.pc == Pc::r_have && !config_.ack) start_receive();
            break;
        case Pc::r_nack_raise:
            raise();
            my_.pc = Pc::r_nack_ring;
            break;
        default: STOA_CHECK(false); break;
    }
}

bool LevelsStep::would_ring() const {
    if (my_.pc == Pc::s_ring) return !broken(LevelsMutant::no_ring);
    if (my_.pc == Pc::r_nack_ring) return true;
    bool has_more = state_.flag_up;  // r_pass_on
    for (int level = 0; level < config_.levels; ++level) has_more |= !look(level).is_empty;
    return has_more;
}

void LevelsStep::after_ring() {
    my_.slept = false;
    if (my_.pc == Pc::s_ring) {
        my_.armed = false;
        my_.rung = false;
        my_.level = 0;
        my_.pc = Pc::s_idle;
    } else if (my_.pc == Pc::r_pass_on && config_.ack) {
        my_.pc = Pc::r_have;
    } else {
        start_receive();
    }
}

void LevelsStep::ack() {
    Lease& lease = state_.leases[my_.slot.message];
    if (lease != Lease{LeaseState::borrowed, me_}) fault_ = "a lease was not its holder's";
    lease = {LeaseState::done, 0};
    start_receive();
}

void LevelsStep::nack() {
    state_.leases[my_.slot.message] = {LeaseState::redeliver, 0};
    ++state_.nacks;
    my_.pc = Pc::r_nack_raise;
}

}  // namespace stoa::model
