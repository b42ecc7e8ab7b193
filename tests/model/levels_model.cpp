#include "tests/model/levels_model.hpp"

#include "tests/model/levels_steps.hpp"

namespace stoa::model {
namespace {

using Pc = LevelsPc;

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

constexpr const char* kPcNames[] = {
    "asks whether it is closed",
    "counts",
    "moves a head on",
    "counts again",
    "reads the tail",
    "reads the slot",
    "publishes",
    "passes the tail",
    "helps: adopts",
    "helps: empties the slot",
    "advances the tail",
    "sets the level",
    "rings",
    "sets the bit of space",
    "sleeps for space",
    "asleep",
    "reads the flag",
    "scans the slots",
    "scans the chunks",
    "lowers the flag",
    "reads the levels",
    "reads the head",
    "reads the slot",
    "takes",
    "passes the head",
    "adopts",
    "empties the slot",
    "advances the head",
    "lowers the level",
    "looks again at the level",
    "looks at a level",
    "asks whether it is closed",
    "looks where to seal",
    "helps: adopts",
    "helps: empties the slot",
    "seals",
    "ends: looks at a slot",
    "ends, helps: adopts",
    "ends, helps: empties the slot",
    "ends: looks at a chunk",
    "ends: raises",
    "sets the bit of messages",
    "looks again: flag",
    "looks again: level",
    "looks again: closed",
    "sleeps",
    "asleep",
    "rings for space",
    "passes the wake on",
    "has a lease",
    "raises",
    "rings",
};

bool is_live(const LevelsPerson& person) {
    return person.life == LevelsLife::running;
}

}  // namespace

const char* name_of(Pc pc) {
    return kPcNames[static_cast<std::size_t>(pc)];
}

LevelsState LevelsModel::initial() const {
    LevelsState state{};
    for (int i = 0; i < people(); ++i) {
        LevelsPerson& my = state.people[at(i)];
        my.sends = i < config_.senders;
        my.pc = my.sends ? Pc::s_idle : Pc::r_flag;
        if (!my.sends) continue;
        my.next = static_cast<std::uint8_t>(i * config_.messages);
        my.end = static_cast<std::uint8_t>((i + 1) * config_.messages);
    }
    return state;
}

// ---- What can happen next -----------------------------------------------------------------------

void LevelsModel::moves(const LevelsState& state, Moves<LevelsState>& out) const {
    for (int who = 0; who < people(); ++who) {
        const LevelsPerson& my = state.people[at(who)];
        if (!is_live(my)) continue;
        environment_moves(state, who, out);
        if (my.sends && my.pc == Pc::s_idle && my.next == my.end) continue;
        if (my.pc == Pc::s_ring || my.pc == Pc::r_pass_on || my.pc == Pc::r_nack_ring) {
            ring_moves(state, who, out);
        } else if (my.pc == Pc::r_have) {
            LevelsStep step(config_, out.draft(state), who);
            step.ack();
            out.take_progress(who, "acks");
            if (state.nacks == config_.nacks) continue;
            LevelsStep(config_, out.draft(state), who).nack();
            out.take_progress(who, "gives it back");
        } else if (my.pc == Pc::r_asleep && my.ending) {
            LevelsStep(config_, out.draft(state), who).wake(who);
            out.take_progress(who, "has slept a slice");
        } else if (my.pc != Pc::r_asleep && my.pc != Pc::s_asleep) {
            LevelsStep step(config_, out.draft(state), who);
            const char* fault = step.run();
            out.take_progress(who, name_of(my.pc), fault);
        }
    }
    recovery_moves(state, out);
    if (config_.closes && !state.closed) {
        LevelsState& next = out.draft(state);
        next.closed = true;
        next.close_rings = true;
        out.take_environment(people(), "CLOSES");
    }
    if (state.close_rings) {
        LevelsState& next = out.draft(state);
        next.close_rings = false;
        if (config_.mutant != LevelsMutant::close_wakes_nobody) {
            LevelsStep(config_, next, 0).ring_all();
        }
        out.take_progress(people(), "rings all");
    }
}

// Whom futex_wake(1) wakes is the kernel's choice; a stopped one can be it too.
void LevelsModel::ring_moves(const LevelsState& state, int who, Moves<LevelsState>& out) const {
    const Pc pc = state.people[at(who)].pc;
    const bool rings = LevelsStep(config_, out.draft(state), who).would_ring();
    bool has_sleeper = false;
    for (int i = 0; rings && state.message_bit && i < people(); ++i) {
        const LevelsPerson& sleeper = state.people[at(i)];
        const bool exists = is_live(sleeper) || sleeper.life == LevelsLife::stopped;
        if (!exists || sleeper.pc != Pc::r_asleep) continue;
        has_sleeper = true;
        LevelsStep step(config_, out.draft(state), who);
        step.ring_messages(i);
        step.after_ring();
        out.take_progress(who, name_of(pc));
    }
    if (has_sleeper) return;
    LevelsStep step(config_, out.draft(state), who);
    if (rings) step.ring_messages(LevelsStep::kNoOne);
    step.after_ring();
    out.take_progress(who, name_of(pc));
}

// Another receiver must be left, or have learned the end and gone.
bool LevelsModel::can_lose(const LevelsState& state, int who) const {
    if (state.people[at(who)].sends) return true;
    for (int i = config_.senders; i < people(); ++i) {
        const LevelsLife life = state.people[at(i)].life;
        if (i != who && (life == LevelsLife::running || life == LevelsLife::ended)) return true;
    }
    return false;
}

void LevelsModel::environment_moves(const LevelsState& state, int who,
                                    Moves<LevelsState>& out) const {
    const LevelsPerson& my = state.people[at(who)];
    const bool is_at_rest = my.sends && my.pc == Pc::s_idle && my.next == my.end;
    if (is_at_rest || !can_lose(state, who)) return;
    if (state.crashes < config_.crashes) {
        LevelsState& next = out.draft(state);
        next.people[at(who)] = {.life = LevelsLife::dead, .sends = my.sends};
        ++next.crashes;
        out.take_environment(who, "DIES");
    }
    if (state.freezes < config_.freezes) {
        LevelsState& next = out.draft(state);
        next.people[at(who)].life = LevelsLife::stopped;
        ++next.freezes;
        out.take_environment(who, "STOPS FOR EVER");
    }
}

// recover(d), whoever does it; pool_model proves that it may be several, who die and stop as well.
void LevelsModel::recovery_moves(const LevelsState& state, Moves<LevelsState>& out) const {
    const int dead = state.recovered;
    if (state.recovery == 0) {
        for (int i = 0; i < people(); ++i) {
            if (state.people[at(i)].life != LevelsLife::dead) continue;
            LevelsState& next = out.draft(state);
            next.recovered = static_cast<std::uint8_t>(i);
            next.recovery = 1;
            for (auto& level : next.slots) {
                for (QueueSlot& slot : level) {
                    if (slot.kind != QueueKind::taken || slot.who != i) continue;
                    slot.kind = QueueKind::redeliver;
                    slot.who = 0;
                }
            }
            out.take_progress(people(), "recovers the slots");
        }
        return;
    }
    LevelsState& next = out.draft(state);
    ++next.recovery;
    if (state.recovery == 1) {
        for (int m = 0; m < all_messages(); ++m) {
            Lease& lease = next.leases[at(m)];
            bool is_in_slot = false;
            for (const auto& level : state.slots) {
                for (const QueueSlot& slot : level) {
                    const bool holds =
                        slot.kind != QueueKind::empty && slot.kind != QueueKind::sealed;
                    is_in_slot = is_in_slot || (holds && slot.message == m);
                }
            }
            if (lease.state != LeaseState::borrowed || lease.who != dead || is_in_slot) continue;
            lease = {LeaseState::redeliver, 0};
        }
        out.take_progress(people(), "recovers the chunks");
    } else if (state.recovery == 2) {
        LevelsStep(config_, next, 0).raise();
        out.take_progress(people(), "raises the flag");
    } else {
        next.recovery = 0;
        next.recovered = 0;
        next.people[at(dead)].life = LevelsLife::recovered;
        LevelsStep(config_, next, 0).ring_all();
        out.take_progress(people(), "wakes all");
    }
}

// ---- What is a clean end ------------------------------------------------------------------------

// A wake in the hands of a stopped process: only a slice gets past it.
bool LevelsModel::holds_a_wake(const LevelsState& state) const {
    for (int i = 0; i < people(); ++i) {
        const LevelsPerson& my = state.people[at(i)];
        if (my.life != LevelsLife::stopped) continue;
        const bool has_sent = my.pc >= Pc::s_advance_tail && my.pc <= Pc::s_ring;
        const bool has_taken = my.pc >= Pc::r_adopt && my.pc <= Pc::r_advance_head;
        const bool is_woken = (my.slept || my.rung) && my.pc != Pc::r_asleep;
        if (has_sent || has_taken || is_woken || my.pc == Pc::r_ring_space) return true;
        if (my.pc == Pc::r_nack_raise || my.pc == Pc::r_nack_ring) return true;
    }
    return false;
}

bool LevelsModel::is_held_up(const LevelsState& state, int message) const {
    const Lease& lease = state.leases[at(message)];
    const auto is_stopped = [&](int who) {
        return state.people[at(who)].life == LevelsLife::stopped;
    };
    if (lease.state == LeaseState::borrowed && is_stopped(lease.who)) return true;
    for (const auto& level : state.slots) {
        for (const QueueSlot& slot : level) {
            if (slot.kind != QueueKind::taken || slot.message != message) continue;
            if (is_stopped(slot.who)) return true;
        }
    }
    return false;
}

Ending LevelsModel::ending(const LevelsState& state) const {
    if (state.recovery != 0 || state.close_rings) return {};
    const bool excused = holds_a_wake(state);
    bool waits_for_leases = false;
    for (int m = 0; m < all_messages(); ++m) {
        const LeaseState lease = state.leases[at(m)].state;
        const bool held_up = is_held_up(state, m);
        waits_for_leases = waits_for_leases || held_up;
        if (lease == LeaseState::unsent || lease == LeaseState::done || held_up) continue;
        if (!excused) return {};
    }
    for (int i = 0; i < people(); ++i) {
        const LevelsPerson& my = state.people[at(i)];
        if (my.life == LevelsLife::dead) return {};
        if (!is_live(my)) continue;
        if (my.sends) {
            const bool is_done = my.pc == Pc::s_idle && my.next == my.end;
            if (!is_done && !(my.pc == Pc::s_asleep && excused)) return {};
        } else if (my.pc != Pc::r_asleep) {
            return {};
        } else if (state.closed && !(config_.ack && waits_for_leases) && !excused) {
            return {};  // it is to learn the end
        }
    }
    return {.is_clean = true};
}

std::string LevelsModel::text(const LevelsState& state) const {
    std::string out;
    static constexpr const char* kKinds[] = {"EMPTY", "FULL", "TAKEN", "REDELIVER", "SEALED"};
    for (int l = 0; l < config_.levels; ++l) {
        out += " level " + std::to_string(l) + ":";
        for (int i = 0; i < config_.slots; ++i) {
            const QueueSlot& slot = state.slots[at(l)][at(i)];
            out += std::string(" ") + kKinds[static_cast<std::size_t>(slot.kind)] + "(" +
                   std::to_string(slot.lap) + " message " + std::to_string(slot.message) + " by " +
                   std::to_string(slot.who) + ")";
        }
        out += " head " + std::to_string(state.head[at(l)]) + " tail " +
               std::to_string(state.tail[at(l)]);
    }
    out += " hint " + std::to_string(state.levels) + (state.flag_up ? " flag up" : " flag down") +
           (state.closed ? " CLOSED |" : " |");
    static constexpr const char* kLives[] = {"", "stopped: ", "dead", "recovered", "ended"};
    for (int i = 0; i < people(); ++i) {
        const LevelsPerson& my = state.people[at(i)];
        out += " " + std::to_string(i) + ":" + kLives[static_cast<std::size_t>(my.life)];
        if (is_live(my) || my.life == LevelsLife::stopped) out += name_of(my.pc);
        out += ";";
    }
    return out;
}

}  // namespace stoa::model
