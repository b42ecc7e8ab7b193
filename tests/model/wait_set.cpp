// The set, its owner's other calls, and the loop of others that watches its descriptor.
#include "tests/model/wait_model.hpp"

namespace stoa::model {
namespace {

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

constexpr std::uint8_t bit(int source) {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(source));
}

constexpr void put(std::uint8_t& bits, int source, bool on) {
    bits = static_cast<std::uint8_t>(on ? bits | bit(source) : bits & ~bit(source));
}

constexpr bool has(std::uint8_t bits, int source) {
    return (bits & bit(source)) != 0;
}

constexpr int kSet = 9;  // in traces

constexpr const char* kPcNames[] = {"waits",
                                    "takes the summary",
                                    "takes a slot",
                                    "looks",
                                    "arms",
                                    "sets the watch word",
                                    "makes the barrier",
                                    "looks again",
                                    "reports",
                                    "takes a message",
                                    "drains the pipe",
                                    "makes the epoch odd",
                                    "looks at the summary",
                                    "wakes up",
                                    "makes the epoch even",
                                    "looks at its tick",
                                    "own call: marks",
                                    "own call: looks",
                                    "own call: falls asleep",
                                    "own call: asleep",
                                    "own call: is awake",
                                    "own call: takes"};

}  // namespace

void WaitModel::set_moves(const State& state, Moves<State>& out) const {
    const WaitSetState& set = state.set;
    if (set.life != WaitLife::running) return;
    set_ends(state, out);
    if (set.pc == SetPc::idle) return idle_moves(state, out);
    if (set.pc == SetPc::asleep) return asleep_moves(state, out);
    if (set.pc == SetPc::take) return take_moves(state, out);
    if (set.pc == SetPc::own_asleep) {
        out.draft(state).set.pc = SetPc::own_awake;
        out.take_progress(kSet, "own call: has no time left");
        return;
    }
    State& next = out.draft(state);
    step_set(next);
    out.take_progress(kSet, kPcNames[static_cast<std::size_t>(set.pc)]);
    if (set.pc != SetPc::own_take || !config_.leaves) return;
    State& left = out.draft(state);  // it was of another type, or there was another one
    left.set.pc = SetPc::idle;
    left.set.at = 0;
    left.set.slept = false;
    out.take_environment(kSet, "own call: leaves it");
}

void WaitModel::set_ends(const State& state, Moves<State>& out) const {
    if (state.set_freezes < config_.set_freezes) {
        State& next = out.draft(state);
        next.set.life = WaitLife::stopped;
        ++next.set_freezes;
        out.take_environment(kSet, "STOPS FOR EVER");
    }
    if (state.rebirths >= config_.rebirths) return;
    State& next = out.draft(state);
    next.set = {};
    ++next.rebirths;
    for (WaitSource& source : next.sources) {
        if (source.watch == Known::now) source.watch = Known::old;
        source.slot = false;
        source.summary = false;
    }
    for (WaitPeer& peer : next.peers) {
        if (peer.watch == Known::now) peer.watch = Known::old;
        if (peer.cached == Known::now) peer.cached = Known::old;
        peer.on_board = false;
        peer.epoch = false;
    }
    out.take_environment(kSet, "ENDS, another begins");
}

// The watch word is there before anything is armed; what is added is pending, so it will be armed.
void WaitModel::add(State& state, int source) const {
    put(state.set.added, source, true);
    put(state.set.pending, source, true);
    if (!broken(WaitMutant::watched_after_arming)) state.sources[at(source)].watch = Known::now;
    if (state.set.exported && !broken(WaitMutant::add_without_byte)) state.set.pipe = true;
}

// Between two waits.
void WaitModel::idle_moves(const State& state, Moves<State>& out) const {
    const WaitSetState& set = state.set;
    for (int i = 0; i < config_.sources; ++i) {
        if (!has(set.added, i)) {
            State& next = out.draft(state);
            add(next, i);
            out.take_progress(kSet, "adds");
            continue;
        }
        if (config_.changes) {
            State& next = out.draft(state);
            put(next.set.added, i, false);
            put(next.set.pending, i, false);
            next.sources[at(i)].watch = Known::none;
            if (kind(i) != SourceKind::bell || broken(WaitMutant::disarm_clears_bell)) {
                next.sources[at(i)].marked = false;
                next.sources[at(i)].is_armed = false;
                mark_changes(next, i);
            }
            out.take_environment(kSet, "removes");
        }
        if (config_.own_calls) {
            State& next = out.draft(state);
            next.set.pc = SetPc::own_mark;
            next.set.at = static_cast<std::uint8_t>(i);
            out.take_environment(kSet, "calls by itself");
        }
    }
    if (config_.exports && !set.exported) {
        State& next = out.draft(state);
        next.set.exported = true;
        if (!broken(WaitMutant::export_without_byte)) next.set.pipe = true;
        out.take_environment(kSet, "exports its descriptor");
    }
    if (set.exported) {
        State& next = out.draft(state);
        next.set.pc = SetPc::asleep;
        next.set.in_other_loop = true;
        out.take_progress(kSet, "returns to the other loop");
    }
    State& next = out.draft(state);
    next.set.pc = SetPc::take_summary;
    if (set.exported) {
        out.take_environment(kSet, kPcNames[0]);
    } else {
        out.take_progress(kSet, kPcNames[0]);
    }
}

bool WaitModel::has_notice(const State& state) const {
    if (!config_.notices || broken(WaitMutant::no_notices)) return false;
    for (const WaitSource& source : state.sources) {
        if (source.has_unnoticed) return true;
    }
    return false;
}

// S8: asleep in the set's own wait, or the other loop in its.
void WaitModel::asleep_moves(const State& state, Moves<State>& out) const {
    if (state.set.pipe) {
        State& next = out.draft(state);
        next.set.pc = SetPc::make_even;
        out.take_progress(kSet, "wakes up");
    }
    if (config_.tick && !broken(WaitMutant::no_tick)) {
        State& next = out.draft(state);
        next.set.pc = SetPc::tick;
        next.set.at = next.set.tick_at;
        out.take_progress(kSet, "its tick is due");
    }
    if (has_notice(state)) {
        State& next = out.draft(state);
        for (int i = 0; i < config_.sources; ++i) {
            if (!next.sources[at(i)].has_unnoticed) continue;
            next.sources[at(i)].has_unnoticed = false;
            recover(next, i);
            put(next.set.pending, i, true);
        }
        next.set.pc = SetPc::make_even;
        out.take_progress(kSet, "is told of a death");
    }
    // The set's own wait ends, or another event of the other loop is handled.
    if (config_.times_out) {
        State& next = out.draft(state);
        next.set.pc = SetPc::idle;
        next.set.in_other_loop = false;
        if (broken(WaitMutant::timed_out_made_even) && !state.set.in_other_loop) {
            next.set.odd = false;
            epoch_changes(next);
        }
        out.take_environment(kSet, "has no time left");
    }
}

// The owner takes what was reported, or leaves it for the next time.
void WaitModel::take_moves(const State& state, Moves<State>& out) const {
    const int source = state.set.at;
    State& next = out.draft(state);
    if (is_ready(state, source)) {
        WaitSource& from = next.sources[at(source)];
        from.available = static_cast<std::uint8_t>(from.available - needed(source));
        value_changes(next, source);
    }
    next_take(next, source + 1);
    out.take_progress(kSet, "takes a message");
    if (!config_.leaves) return;
    State& left = out.draft(state);
    next_take(left, source + 1);
    out.take_environment(kSet, "leaves it");
}

void WaitModel::next_take(State& state, int from) const {
    WaitSetState& set = state.set;
    while (from < config_.sources && !has(set.reported, from)) ++from;
    set.at = static_cast<std::uint8_t>(from < config_.sources ? from : 0);
    if (from < config_.sources) {
        set.pc = SetPc::take;
        return;
    }
    set.pc = SetPc::idle;
    set.reported = 0;
    set.in_other_loop = false;
}

void WaitModel::step_set(State& state) const {
    switch (state.set.pc) {
        case SetPc::take_summary:
        case SetPc::take_slots: step_collect(state); break;
        case SetPc::look:
        case SetPc::arm:
        case SetPc::watch_late:
        case SetPc::barrier:
        case SetPc::look_again:
        case SetPc::report: step_look(state); break;
        case SetPc::own_mark:
        case SetPc::own_look:
        case SetPc::own_sleep:
        case SetPc::own_awake:
        case SetPc::own_take: step_own(state); break;
        default: step_sleep(state); break;
    }
}

// S1: first the summary, for a ringer sets it last.
void WaitModel::step_collect(State& state) const {
    WaitSetState& set = state.set;
    const bool slots_first = broken(WaitMutant::slots_taken_first);
    if (set.pc == SetPc::take_summary) {
        for (int i = 0; i < config_.sources; ++i) {
            put(set.summary, i, state.sources[at(i)].summary || slots_first);
            if (!slots_first) state.sources[at(i)].summary = false;
        }
        set.pc = SetPc::take_slots;
        set.at = 0;
        if (set.summary == 0) next_look(state, 0);
        return;
    }
    int source = set.at;
    while (!has(set.summary, source)) ++source;
    WaitSource& from = state.sources[at(source)];
    if (from.slot && has(set.added, source)) put(set.pending, source, true);
    from.slot = false;
    put(set.summary, source, false);
    if (set.summary != 0) return;
    if (slots_first) {
        for (WaitSource& all : state.sources) all.summary = false;
    }
    next_look(state, 0);
}

void WaitModel::next_look(State& state, int from) const {
    WaitSetState& set = state.set;
    while (from < config_.sources && !has(set.pending, from)) ++from;
    set.at = static_cast<std::uint8_t>(from < config_.sources ? from : 0);
    if (from < config_.sources) {
        set.pc = SetPc::look;
    } else if (set.armed != 0) {
        set.pc = SetPc::barrier;
    } else {
        looked(state);
    }
}

void WaitModel::next_look_again(State& state, int from) const {
    WaitSetState& set = state.set;
    while (from < config_.sources && !has(set.armed, from)) ++from;
    set.at = static_cast<std::uint8_t>(from < config_.sources ? from : 0);
    set.pc = SetPc::look_again;
    if (from >= config_.sources) looked(state);
}

void WaitModel::looked(State& state) const {
    WaitSetState& set = state.set;
    set.armed = 0;
    set.pc = set.reported != 0 ? SetPc::report : SetPc::drain;
    if (set.reported == 0 && broken(WaitMutant::drain_after_look)) set.pc = SetPc::make_odd;
}

void WaitModel::arm(State& state, int source) const {
    WaitSource& to = state.sources[at(source)];
    if (kind(source) == SourceKind::bell && broken(WaitMutant::arm_without_count)) {
        return set_bit(state, source);
    }
    to.marked = true;
    to.is_armed = kind(source) == SourceKind::room;
    mark_changes(state, source);
}

// S2 to S4
void WaitModel::step_look(State& state) const {
    WaitSetState& set = state.set;
    const int source = set.at;
    switch (set.pc) {
        case SetPc::look:
            if (is_ready(state, source)) {
                put(set.reported, source, true);
                next_look(state, source + 1);
            } else if (broken(WaitMutant::dropped_unarmed) && state.sources[at(source)].marked) {
                put(set.pending, source, false);
                next_look(state, source + 1);
            } else {
                set.pc = SetPc::arm;
            }
            break;
        case SetPc::arm:
            arm(state, source);
            put(set.armed, source, true);
            next_look(state, source + 1);
            break;
        case SetPc::barrier:
            for (int i = 0; i < peers() && !broken(WaitMutant::no_barrier); ++i) flush(state, i);
            next_look_again(state, 0);
            break;
        case SetPc::look_again:
            if (is_ready(state, source) && !broken(WaitMutant::no_look_after_arming)) {
                put(set.reported, source, true);
            } else {
                put(set.pending, source, false);
            }
            if (broken(WaitMutant::watched_after_arming)) {
                set.pc = SetPc::watch_late;
            } else {
                next_look_again(state, source + 1);
            }
            break;
        case SetPc::watch_late:
            state.sources[at(source)].watch = Known::now;
            next_look_again(state, source + 1);
            break;
        default:  // report
            if (set.exported && !broken(WaitMutant::report_without_byte)) set.pipe = true;
            if (broken(WaitMutant::reported_is_forgotten)) {
                set.pending = static_cast<std::uint8_t>(set.pending & ~set.reported);
            }
            next_take(state, 0);
            break;
    }
}

// S5 to S8, and what a tick finds.
void WaitModel::step_sleep(State& state) const {
    WaitSetState& set = state.set;
    const bool drains_late = broken(WaitMutant::drain_after_look);
    switch (set.pc) {
        case SetPc::drain:
            set.pipe = false;
            set.pc = drains_late ? SetPc::asleep : SetPc::make_odd;
            break;
        case SetPc::make_odd:
            if (!broken(WaitMutant::epoch_left_even)) set.odd = true;
            if (!broken(WaitMutant::epoch_not_new)) epoch_changes(state);
            set.pc = SetPc::look_at_summary;
            break;
        case SetPc::look_at_summary: {
            bool is_rung = false;
            for (const WaitSource& source : state.sources) is_rung = is_rung || source.summary;
            if (broken(WaitMutant::no_look_at_summary)) is_rung = false;
            set.pc = is_rung ? SetPc::make_even : (drains_late ? SetPc::drain : SetPc::asleep);
            break;
        }
        case SetPc::make_even:
            set.odd = false;
            if (!broken(WaitMutant::epoch_not_new)) epoch_changes(state);
            set.pc = SetPc::take_summary;
            break;
        default: {  // tick
            const int source = set.at;
            if (!broken(WaitMutant::tick_recovers_nothing)) recover(state, source);
            const bool is_found = has(set.added, source) && is_ready(state, source);
            if (is_found) put(set.pending, source, true);
            set.pc = is_found ? SetPc::make_even : SetPc::asleep;
            set.at = 0;
            if (!broken(WaitMutant::tick_does_not_roll)) {
                set.tick_at = static_cast<std::uint8_t>((source + 1) % config_.sources);
            }
            break;
        }
    }
}

// The marks are not as the set left them: it must look, and so must the loop of others.
void WaitModel::touch(State& state, int source) const {
    if (broken(WaitMutant::no_touch) || !has(state.set.added, source)) return;
    put(state.set.pending, source, true);
    if (state.set.exported && !broken(WaitMutant::touch_without_byte)) state.set.pipe = true;
}

void WaitModel::step_own(State& state) const {
    WaitSetState& set = state.set;
    const int source = set.at;
    WaitSource& from = state.sources[at(source)];
    const bool is_late = is_stored_late(source);
    switch (set.pc) {
        case SetPc::own_mark:
            if (is_late) {
                from.marked = true;
                from.is_armed = false;
                mark_changes(state, source);
            } else {
                set_bit(state, source);
                set.seen = true;
            }
            set.pc = SetPc::own_look;
            break;
        case SetPc::own_look:
            // Of a lane and a room: with the barrier before it.
            for (int i = 0; i < peers() && is_late; ++i) flush(state, i);
            if (is_late) set.seen = true;
            set.pc = is_ready(state, source) ? SetPc::own_awake : SetPc::own_sleep;
            break;
        case SetPc::own_sleep:
            set.pc = set.seen ? SetPc::own_asleep : SetPc::own_awake;
            set.slept = set.seen;
            break;
        case SetPc::own_awake:
            if (is_late) {
                // A mutant's mark stays: who answers to it rings. But who looked at the one before
                // and found this one does not.
                if (!broken(WaitMutant::own_mark_left)) {
                    from.marked = false;
                    from.is_armed = false;
                    mark_changes(state, source);
                    touch(state, source);
                }
            } else {
                set_bit(state, source);
            }
            set.seen = false;
            set.pc = SetPc::own_take;
            break;
        default: {  // own_take
            if (is_ready(state, source)) {
                from.available = static_cast<std::uint8_t>(from.available - needed(source));
                value_changes(state, source);
            }
            // More is there: the wake is passed on, to the set itself too.
            const bool passes =
                set.slept && kind(source) == SourceKind::bell && from.available > 0 && from.marked;
            if (passes) {
                touch(state, source);
                from.marked = false;
                mark_changes(state, source);
                for (int i = config_.senders; i < peers(); ++i) {
                    if (state.peers[at(i)].pc != PeerPc::asleep) continue;
                    state.peers[at(i)].pc = PeerPc::woken;
                    break;
                }
            }
            set.slept = false;
            set.at = 0;
            set.pc = SetPc::idle;
            break;
        }
    }
}

}  // namespace stoa::model
