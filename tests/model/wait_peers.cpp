// Those who publish and ring, and those who receive beside the set.
#include "tests/model/wait_model.hpp"

namespace stoa::model {
namespace {

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

constexpr const char* kPcNames[] = {"begins",
                                    "looks at the mark",
                                    "looks again at the mark",
                                    "reads the watch word",
                                    "finds the board",
                                    "sets the slot",
                                    "sets the summary",
                                    "reads the epoch",
                                    "writes a byte",
                                    "swaps the epoch",
                                    "clears the mark",
                                    "wakes",
                                    "marks",
                                    "looks again",
                                    "falls asleep",
                                    "asleep",
                                    "was woken",
                                    "takes, woken",
                                    "took one",
                                    "looks for more"};

}  // namespace

void WaitModel::peer_moves(const State& state, int who, Moves<State>& out) const {
    const WaitPeer& my = state.peers[at(who)];
    if (my.life == WaitLife::running) {
        const bool rests = my.pc == PeerPc::idle && my.left == 0;
        if (my.buffered > 0) {
            State& next = out.draft(state);
            flush(next, who);
            out.take_progress(who, "its store is seen");
        }
        if (my.pc == PeerPc::asleep) {
            if (state.crashes > 0 || state.freezes > 0) {
                out.draft(state).peers[at(who)].pc = PeerPc::woken;
                out.take_progress(who, "its slice is over");
            }
        } else if (my.pc == PeerPc::wake) {
            wake_moves(state, who, out);
        } else if (!rests) {
            State& next = out.draft(state);
            step_peer(next, who);
            out.take_progress(who, kPcNames[static_cast<std::size_t>(my.pc)]);
        }
        if (!rests || my.buffered > 0) peer_ends(state, who, out);
    }
}

void WaitModel::peer_ends(const State& state, int who, Moves<State>& out) const {
    const WaitPeer& my = state.peers[at(who)];
    if (state.crashes < config_.crashes) {
        State& next = out.draft(state);
        flush(next, who);
        WaitPeer& dead = next.peers[at(who)];
        WaitSource& source = next.sources[at(target(who))];
        if (my.pc == PeerPc::taken) ++source.held;
        source.has_unnoticed = true;
        if (config_.heirs && is_sender(who)) {
            dead = {.left = my.left};
        } else {
            dead = {.life = WaitLife::dead, .pc = my.pc};
        }
        ++next.crashes;
        out.take_environment(who, "DIES");
    }
    if (state.freezes < config_.freezes) {
        State& next = out.draft(state);
        flush(next, who);
        next.peers[at(who)].life = WaitLife::stopped;
        ++next.freezes;
        out.take_environment(who, "STOPS FOR EVER");
    }
}

// R10: the kernel wakes one sleeper of its choice; of a fused word all.
void WaitModel::wake_moves(const State& state, int who, Moves<State>& out) const {
    const int source = target(who);
    const bool skips = broken(WaitMutant::told_instead_of_woken) && state.peers[at(who)].told;
    bool has_sleeper = false;
    for (int i = config_.senders; i < peers() && source == 0 && !skips; ++i) {
        const WaitPeer& sleeper = state.peers[at(i)];
        if (sleeper.pc != PeerPc::asleep || sleeper.life == WaitLife::dead) continue;
        has_sleeper = true;
        State& next = out.draft(state);
        next.peers[at(i)].pc = PeerPc::woken;
        after_wake(next, who, true);
        out.take_progress(who, "wakes a receiver");
    }
    if (state.set.pc == SetPc::own_asleep && state.set.at == source && !skips) {
        has_sleeper = true;
        State& next = out.draft(state);
        next.set.pc = SetPc::own_awake;
        after_wake(next, who, true);
        out.take_progress(who, "wakes the set's owner");
    }
    if (has_sleeper) return;
    State& next = out.draft(state);
    after_wake(next, who, false);
    out.take_progress(who, "wakes nobody");
}

void WaitModel::step_peer(State& state, int who) const {
    const PeerPc pc = state.peers[at(who)].pc;
    if (pc == PeerPc::idle && is_sender(who)) return step_publish(state, who);
    if (pc == PeerPc::look_at_mark || pc == PeerPc::check_mark || pc == PeerPc::clear_mark) {
        return step_mark(state, who);
    }
    if (pc == PeerPc::watch || pc == PeerPc::board) return step_board(state, who);
    if (pc >= PeerPc::slot && pc <= PeerPc::swap_epoch) return step_ring(state, who);
    step_receiver(state, who);
}

// R1
void WaitModel::step_publish(State& state, int who) const {
    WaitPeer& my = state.peers[at(who)];
    WaitSource& source = state.sources[at(target(who))];
    --my.left;
    my.pc = PeerPc::look_at_mark;
    if (is_stored_late(target(who))) {
        ++my.buffered;
        return;
    }
    ++source.available;
    value_changes(state, target(who));
    if (kind(target(who)) != SourceKind::fused) return;
    const bool was_marked = source.marked;
    source.marked = false;
    if (was_marked) {
        my.pc = PeerPc::watch;
    } else {
        peer_done(my, true);
    }
}

// R2 and R9
void WaitModel::step_mark(State& state, int who) const {
    WaitPeer& my = state.peers[at(who)];
    const int source_at = target(who);
    WaitSource& source = state.sources[at(source_at)];
    const bool clears_first = broken(WaitMutant::mark_cleared_before_ring);
    if (my.pc == PeerPc::clear_mark) {
        if (!my.seen || !source.marked) {
            my.pc = PeerPc::look_at_mark;
            my.seen = false;
            return;
        }
        source.marked = false;
        mark_changes(state, source_at);
        my.pc = clears_first ? PeerPc::watch : PeerPc::wake;
        return;
    }
    const bool is_bell = kind(source_at) == SourceKind::bell;
    if (my.pc == PeerPc::look_at_mark) {
        if (!is_bell && my.woken) return peer_done(my, is_sender(who));
        if (!source.marked) {
            my.woken = kind(source_at) == SourceKind::lane;
            return peer_done(my, is_sender(who));
        }
        my.seen = true;
        my.saw_armed = source.is_armed;
        my.pc = is_bell && clears_first ? PeerPc::clear_mark : PeerPc::watch;
        if (kind(source_at) == SourceKind::lane) my.pc = PeerPc::check_mark;
        return;
    }
    // What was taken meanwhile needs no ring, and the mark is for what comes next.
    if (my.seen && source.available + my.buffered == 0) {
        my.woken = broken(WaitMutant::noted_when_taken);
        return peer_done(my, true);
    }
    my.woken = my.seen;
    if (!my.seen) return peer_done(my, true);
    my.pc = PeerPc::watch;
}

// R3: the words of the cache are kept with the turn of the set that they belong to.
void WaitModel::step_board(State& state, int who) const {
    WaitPeer& my = state.peers[at(who)];
    if (my.pc == PeerPc::watch) {
        my.watch = state.sources[at(target(who))].watch;
        my.told = false;
        if (my.watch == Known::none) return after_ring(state, who);
        my.pc = PeerPc::board;
        return;
    }
    const bool any_turn = broken(WaitMutant::cache_without_turn) && my.cached != Known::none;
    const bool is_cached = my.cached == my.watch || any_turn;
    if (!is_cached) {
        // Opened through /proc: it is the board of the set that is, and its turn is compared.
        if (my.watch != Known::now) {
            my.watch = Known::none;
            return after_ring(state, who);
        }
        my.cached = Known::now;
    }
    my.on_board = my.cached == Known::now;
    my.watch = Known::none;
    my.pc = broken(WaitMutant::summary_before_slot) ? PeerPc::summary : PeerPc::slot;
}

// R4 to R8, on the board that was found: rings on the board of a set that is gone do nothing.
void WaitModel::step_ring(State& state, int who) const {
    WaitPeer& my = state.peers[at(who)];
    WaitSource& source = state.sources[at(target(who))];
    const bool swapped = broken(WaitMutant::summary_before_slot);
    const bool swaps_first = broken(WaitMutant::epoch_swapped_before_byte);
    switch (my.pc) {
        case PeerPc::slot: {
            const bool was_set = source.slot && my.on_board;
            if (my.on_board) source.slot = true;
            my.told = true;
            flush(state, who);
            my.pc = swapped ? PeerPc::epoch : PeerPc::summary;
            if (was_set && broken(WaitMutant::summary_skipped)) after_ring(state, who);
            break;
        }
        case PeerPc::summary:
            if (my.on_board) source.summary = true;
            my.pc = swapped ? PeerPc::slot : PeerPc::epoch;
            break;
        case PeerPc::epoch:
            my.epoch = my.on_board && state.set.odd;
            if (!my.epoch) return after_ring(state, who);
            my.pc = swaps_first ? PeerPc::swap_epoch : PeerPc::byte;
            break;
        case PeerPc::byte:
            if (my.on_board) state.set.pipe = true;
            my.pc = PeerPc::swap_epoch;
            if (swaps_first) after_ring(state, who);
            break;
        default:  // swap_epoch
            if (my.on_board && (my.epoch || broken(WaitMutant::epoch_stored))) {
                state.set.odd = false;
                epoch_changes(state);
            }
            my.epoch = false;
            my.pc = PeerPc::byte;
            if (!swaps_first) after_ring(state, who);
            break;
    }
}

void WaitModel::after_ring(State& state, int who) const {
    WaitPeer& my = state.peers[at(who)];
    my.on_board = false;
    my.epoch = false;
    const bool clears =
        kind(target(who)) == SourceKind::bell && !broken(WaitMutant::mark_cleared_before_ring);
    my.pc = clears ? PeerPc::clear_mark : PeerPc::wake;
}

void WaitModel::after_wake(State& state, int who, bool woke) const {
    WaitPeer& my = state.peers[at(who)];
    if (kind(target(who)) == SourceKind::room) {
        // A sleeper may still be on its way to sleep; a set finds its bit, however late it looks.
        const bool noted = woke || my.saw_armed || (my.told && broken(WaitMutant::noted_when_told));
        my.woken = noted && my.seen;
    }
    peer_done(my, is_sender(who));
}

void WaitModel::peer_done(WaitPeer& my, bool is_sender) const {
    const std::uint8_t left = is_sender ? my.left : static_cast<std::uint8_t>(my.left - 1);
    my = {.life = my.life,
          .left = left,
          .buffered = my.buffered,
          .woken = my.woken,
          .cached = my.cached};
}

void WaitModel::step_receiver(State& state, int who) const {
    WaitPeer& my = state.peers[at(who)];
    WaitSource& source = state.sources[0];
    switch (my.pc) {
        case PeerPc::idle:
        case PeerPc::retake:
            my.pc = source.available > 0 ? PeerPc::taken : PeerPc::mark;
            if (source.available > 0) --source.available;
            break;
        case PeerPc::mark:
            set_bit(state, 0);
            my.seen = true;
            my.pc = PeerPc::look_again;
            break;
        case PeerPc::look_again:
            my.pc = source.available > 0 ? PeerPc::retake : PeerPc::sleep;
            break;
        case PeerPc::sleep:
            my.slept = true;
            my.pc = my.seen && source.marked ? PeerPc::asleep : PeerPc::woken;
            my.seen = false;
            break;
        case PeerPc::woken:
            set_bit(state, 0);
            my.pc = PeerPc::retake;
            break;
        case PeerPc::taken:
            my.pc = PeerPc::pass_on;
            if (!my.slept) peer_done(my, false);
            break;
        default:  // pass_on
            my.pc = PeerPc::look_at_mark;
            if (source.available == 0) peer_done(my, false);
            break;
    }
}

}  // namespace stoa::model
