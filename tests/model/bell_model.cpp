#include "tests/model/bell_model.hpp"

namespace stoa::model {
namespace {

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

constexpr const char* kPcNames[] = {
    "idle",          "publishes",    "reads the bit",      "clears the bit",       "wakes",
    "takes",         "has taken",    "sets the bit",       "looks again",          "sleeps",
    "asleep",        "looks, woken", "sets the bit again", "sets the bit at last", "takes at last",
    "looks for more"};

const char* name_of(BellPc pc) {
    return kPcNames[static_cast<std::size_t>(pc)];
}

bool is_live(const Process& process) {
    return process.life == BellLife::running;
}

void wake(Process& sleeper) {
    sleeper.pc = BellPc::woken_look;
}

}  // namespace

BellState BellModel::initial() const {
    BellState state{};
    for (int i = 0; i < count(); ++i) {
        Process& my = state.processes[at(i)];
        my.is_receiver = i >= config_.senders;
        const int place = my.is_receiver ? i - config_.senders : i;
        my.kind = static_cast<std::uint8_t>(place % config_.kinds);
        my.unsent = static_cast<std::uint8_t>(my.is_receiver ? 0 : config_.messages);
        if (my.is_receiver) my.pc = BellPc::take;
    }
    return state;
}

// ---- What can happen next -----------------------------------------------------------------------

void BellModel::moves(const BellState& state, Moves<BellState>& out) const {
    for (int who = 0; who < count(); ++who) {
        if (!is_live(state.processes[at(who)])) continue;
        process_moves(state, who, out);
        environment_moves(state, who, out);
    }
    recovery_moves(state, out);
}

void BellModel::process_moves(const BellState& state, int who, Moves<BellState>& out) const {
    const Process& my = state.processes[at(who)];
    if (my.pc == BellPc::ring_wake) return wake_moves(state, who, out);
    if (my.pc == BellPc::asleep) return;
    if (my.pc == BellPc::idle && !my.is_receiver && my.unsent == 0) return;
    BellState& next = out.draft(state);
    step(next, next.processes[at(who)]);
    out.take_progress(who, name_of(my.pc));
}

// A4: futex_wake(1). Which sleeper it is, is the kernel's choice; a stopped one can be it too.
void BellModel::wake_moves(const BellState& state, int who, Moves<BellState>& out) const {
    bool has_sleeper = false;
    const bool wakes = !broken(BellMutant::no_wake);
    for (int i = 0; wakes && !config_.wakes_all && i < count(); ++i) {
        const Process& sleeper = state.processes[at(i)];
        const bool exists = is_live(sleeper) || sleeper.life == BellLife::stopped;
        if (!exists || sleeper.pc != BellPc::asleep) continue;
        has_sleeper = true;
        BellState& next = out.draft(state);
        wake(next.processes[at(i)]);
        step_ring(next, next.processes[at(who)]);
        out.take_progress(who, name_of(BellPc::ring_wake));
    }
    if (has_sleeper) return;
    BellState& next = out.draft(state);
    for (Process& sleeper : next.processes) {
        if (wakes && sleeper.pc == BellPc::asleep) wake(sleeper);
    }
    step_ring(next, next.processes[at(who)]);
    out.take_progress(who, name_of(BellPc::ring_wake));
}

// Someone must be left to receive what each kind of receiver waits for.
bool BellModel::can_lose(const BellState& state, int who) const {
    const Process& my = state.processes[at(who)];
    if (!my.is_receiver) return true;
    for (int i = 0; i < count(); ++i) {
        const Process& other = state.processes[at(i)];
        if (i != who && is_live(other) && other.is_receiver && !other.timed_out &&
            other.kind == my.kind) {
            return true;
        }
    }
    return false;
}

void BellModel::environment_moves(const BellState& state, int who, Moves<BellState>& out) const {
    const Process& my = state.processes[at(who)];
    if (!can_lose(state, who)) return;
    if (my.is_receiver && my.pc == BellPc::idle) {
        BellState& next = out.draft(state);
        next.processes[at(who)].life = BellLife::left;
        out.take_environment(who, "never calls again");
    }
    const bool waits = my.pc >= BellPc::set_bit && my.pc <= BellPc::woken_look;
    if (config_.deadlines && waits && !my.timed_out) {
        BellState& next = out.draft(state);
        next.processes[at(who)].timed_out = true;
        if (my.pc == BellPc::asleep) wake(next.processes[at(who)]);
        out.take_environment(who, "has no time left");
    }
    if (state.crashes < config_.crashes) {
        BellState& next = out.draft(state);
        Process& dead = next.processes[at(who)];
        dead = {.life = BellLife::dead,
                .is_receiver = my.is_receiver,
                .held = my.pc == BellPc::taken,
                .kind = my.kind};
        ++next.crashes;
        out.take_environment(who, "DIES");
    }
    if (state.freezes < config_.freezes && my.pc != BellPc::idle) {
        BellState& next = out.draft(state);
        next.processes[at(who)].life = BellLife::stopped;
        ++next.freezes;
        out.take_environment(who, "STOPS FOR EVER");
    }
}

// Whoever finds a death brings back what the dead one had, counts up and wakes all.
void BellModel::recovery_moves(const BellState& state, Moves<BellState>& out) const {
    if (state.recovery != RecoveryPc::idle) {
        BellState& next = out.draft(state);
        if (state.recovery == RecoveryPc::bump) {
            if (!broken(BellMutant::recovery_without_bump)) ++next.sequence;
            next.recovery = RecoveryPc::wake;
            out.take_progress(count(), "counts up");
            return;
        }
        next.recovery = RecoveryPc::idle;
        for (Process& sleeper : next.processes) {
            const bool is_asleep = sleeper.pc == BellPc::asleep;
            if (is_asleep && !broken(BellMutant::recovery_without_wake)) wake(sleeper);
        }
        out.take_progress(count(), "wakes all");
        return;
    }
    for (int i = 0; i < count(); ++i) {
        if (state.processes[at(i)].life != BellLife::dead) continue;
        BellState& next = out.draft(state);
        Process& dead = next.processes[at(i)];
        dead.life = BellLife::recovered;
        if (dead.held) ++next.available[dead.kind];
        dead.held = false;
        next.recovery = RecoveryPc::bump;
        out.take_progress(count(), "recovers a dead one");
    }
}

// ---- The algorithm, one access of shared memory at a time ---------------------------------------

void BellModel::step(BellState& state, Process& my) const {
    switch (my.pc) {
        case BellPc::idle: my.pc = my.is_receiver ? BellPc::take : BellPc::publish; break;
        case BellPc::publish:  // A1
            ++state.available[my.kind];
            --my.unsent;
            my.kind = static_cast<std::uint8_t>((my.kind + 1) % config_.kinds);
            my.pc = BellPc::ring_read;
            break;
        case BellPc::ring_read:
        case BellPc::ring_clear:
        case BellPc::ring_wake: step_ring(state, my); break;
        case BellPc::take: take(state, my, BellPc::set_bit); break;
        case BellPc::last_take: take(state, my, BellPc::idle); break;
        case BellPc::taken:
            my.pc = my.slept && !broken(BellMutant::no_pass_on) ? BellPc::pass_look : BellPc::idle;
            return_from(my);
            break;
        case BellPc::pass_look:  // more than I took? then wake another one
            my.pc = state.available[my.kind] != 0 ? BellPc::ring_read : BellPc::idle;
            return_from(my);
            break;
        default: step_wait(state, my); break;
    }
}

void BellModel::take(BellState& state, Process& my, BellPc when_empty) const {
    if (state.available[my.kind] == 0) {
        my.pc = when_empty;
        return_from(my);
        return;
    }
    --state.available[my.kind];
    my.pc = BellPc::taken;
}

// A call is over: nothing of it is remembered, and who had no time left does not come again.
void BellModel::return_from(Process& my) const {
    if (my.pc != BellPc::idle) return;
    my.slept = false;
    if (my.timed_out) my = {.life = BellLife::left, .is_receiver = true, .kind = my.kind};
}

void BellModel::step_ring(BellState& state, Process& my) const {
    const bool clears_late = broken(BellMutant::cleared_after_wake);
    switch (my.pc) {
        case BellPc::ring_read:  // A2
            my.seen = state.sequence;
            my.pc = !state.bit    ? BellPc::idle
                    : clears_late ? BellPc::ring_wake
                                  : BellPc::ring_clear;
            break;
        case BellPc::ring_clear:  // A3, a CAS: lost, it reads again
            if (clears_late) {
                state.bit = false;
                my.pc = BellPc::idle;
                break;
            }
            if (!state.bit || my.seen != state.sequence) {
                my.pc = BellPc::ring_read;
                break;
            }
            state.bit = false;
            if (!broken(BellMutant::no_sequence)) ++state.sequence;
            my.pc = BellPc::ring_wake;
            break;
        default:  // A4, see wake_moves
            my.pc = clears_late ? BellPc::ring_clear : BellPc::idle;
            break;
    }
    return_from(my);
}

void BellModel::step_wait(BellState& state, Process& my) const {
    const bool is_ready = state.available[my.kind] != 0;
    switch (my.pc) {
        case BellPc::set_bit:  // B1
            state.bit = true;
            my.seen = state.sequence;
            my.pc = broken(BellMutant::no_recheck) ? BellPc::sleep : BellPc::look_again;
            break;
        case BellPc::look_again:  // B2
            my.pc = is_ready ? BellPc::take : BellPc::sleep;
            break;
        case BellPc::sleep: {  // B3: the kernel compares the word
            const bool sleeps = state.bit && my.seen == state.sequence && !my.timed_out;
            my.slept = true;
            my.pc = sleeps ? BellPc::asleep : BellPc::woken_look;
            break;
        }
        case BellPc::woken_look:
            if (is_ready) {
                my.pc = broken(BellMutant::bit_not_set_again) ? BellPc::take : BellPc::set_again;
            } else if (my.timed_out) {
                my.pc = broken(BellMutant::bit_left_clear_on_time_out) ? BellPc::last_take
                                                                       : BellPc::last_set;
            } else {
                my.pc = BellPc::set_bit;
            }
            break;
        case BellPc::set_again:
            state.bit = true;
            my.pc = BellPc::take;
            break;
        case BellPc::last_set:
            state.bit = true;
            my.pc = BellPc::last_take;
            break;
        default: STOA_CHECK(my.pc == BellPc::set_bit); break;
    }
}

// ---- What is a clean end ------------------------------------------------------------------------

// A wake in the hands of a stopped process: a sleeper that was woken and has not returned, or a
// ringer between the change and the wake. Only a slice gets past it; that is what slices are for.
bool BellModel::holds_a_wake(const BellState& state) const {
    for (int i = 0; i < count(); ++i) {
        const Process& my = state.processes[at(i)];
        if (my.life != BellLife::stopped) continue;
        const bool rings = my.pc >= BellPc::ring_read && my.pc <= BellPc::ring_wake;
        if (rings || (my.slept && my.pc != BellPc::asleep)) return true;
    }
    return false;
}

Ending BellModel::ending(const BellState& state) const {
    if (state.recovery != RecoveryPc::idle) return {};
    bool is_at_rest = true;
    for (int i = 0; i < count(); ++i) {
        const Process& my = state.processes[at(i)];
        if (my.life == BellLife::dead) return {};
        if (!is_live(my)) continue;
        const bool rests = my.is_receiver ? my.pc == BellPc::asleep || my.pc == BellPc::idle
                                          : my.pc == BellPc::idle && my.unsent == 0;
        is_at_rest = is_at_rest && rests;
    }
    const bool is_drained = state.available[0] == 0 && state.available[1] == 0;
    return {.is_clean = is_at_rest && (is_drained || holds_a_wake(state))};
}

std::string BellModel::text(const BellState& state) const {
    std::string out = "available " + std::to_string(state.available[0]);
    if (config_.kinds > 1) out += "+" + std::to_string(state.available[1]);
    out += state.bit ? " bit set |" : " bit clear |";
    static constexpr const char* kLives[] = {"", "stopped: ", "dead", "recovered", "left"};
    for (int i = 0; i < count(); ++i) {
        const Process& my = state.processes[at(i)];
        out += " " + std::to_string(i) + ":" + (my.is_receiver ? "receiver " : "sender ") +
               kLives[static_cast<std::size_t>(my.life)];
        if (is_live(my) || my.life == BellLife::stopped) out += name_of(my.pc);
        if (my.slept) out += " (slept)";
        out += ";";
    }
    return out;
}

}  // namespace stoa::model
