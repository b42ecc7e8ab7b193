#include "tests/model/signals_model.hpp"

namespace stoa::model {
namespace {

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

constexpr const char* kPcNames[] = {
    "calls",           "reads the turn", "takes",       "marks",        "looks again",
    "falls asleep",    "asleep",         "marks again", "takes, woken", "looks for the dead",
    "inherits",        "looks for more", "holds it",    "changes it",   "looks who sleeps",
    "clears the bell", "wakes",          "resets it"};

const char* name_of(SignalPc pc) {
    return kPcNames[static_cast<std::size_t>(pc)];
}

}  // namespace

SignalState SignalModel::initial() const {
    State state{};
    for (int i = 0; i < peers(); ++i) {
        const bool waits = i < config_.waiters;
        state.peers[at(i)].rounds =
            static_cast<std::uint8_t>(waits ? config_.rounds : config_.posts);
    }
    for (int i = config_.permits; i < kMaxPermits; ++i) state.holders[at(i)] = 7;  // no permit
    return state;
}

bool SignalModel::is_there(const State& state, const SignalPeer& my) const {
    if (is(SignalKind::permits)) {
        for (const std::uint8_t holder : state.holders) {
            if (holder == 0) return true;
        }
        return false;
    }
    const bool was_set = is(SignalKind::event_by_hand) && state.turn != my.since &&
                         !broken(SignalMutant::turn_ignored);
    return state.there != 0 || was_set;
}

bool SignalModel::is_gone(const State& state, std::uint8_t holder) const {
    if (holder == 0 || holder > peers()) return false;
    const SignalLife life = state.peers[at(holder - 1)].life;
    return life == SignalLife::dead ||
           (life == SignalLife::stopped && broken(SignalMutant::stopped_is_dead));
}

void SignalModel::moves(const State& state, Moves<State>& out) const {
    for (int who = 0; who < peers(); ++who) {
        const SignalPeer& my = state.peers[at(who)];
        const bool rests = my.pc == SignalPc::idle && my.rounds == 0;
        if (my.life == SignalLife::running && my.pc == SignalPc::asleep) {
            if (state.crashes > 0 || state.freezes > 0) {
                State& next = out.draft(state);
                const bool looks =
                    is(SignalKind::permits) && !broken(SignalMutant::dead_keep_permits);
                next.peers[at(who)].pc = looks ? SignalPc::inherit_look : SignalPc::woken;
                out.take_progress(who, "its slice is over");
            }
        } else if (my.life == SignalLife::running && my.pc == SignalPc::ring_wake) {
            wake_moves(state, who, out);
        } else if (my.life == SignalLife::running && !rests) {
            State& next = out.draft(state);
            const char* fault = nullptr;
            step(next, who, fault);
            out.take_progress(who, name_of(my.pc), fault);
        }
        environment_moves(state, who, out);
    }
}

void SignalModel::wake_moves(const State& state, int who, Moves<State>& out) const {
    const bool all = is(SignalKind::event_by_hand) && !broken(SignalMutant::by_hand_wakes_one);
    bool has_sleeper = false;
    for (int i = 0; i < peers() && !all && !broken(SignalMutant::no_wake); ++i) {
        const SignalPeer& sleeper = state.peers[at(i)];
        if (sleeper.pc != SignalPc::asleep || sleeper.life == SignalLife::dead) continue;
        has_sleeper = true;
        State& next = out.draft(state);
        next.peers[at(i)].pc = SignalPc::woken;
        rang(next.peers[at(who)], who);
        out.take_progress(who, "wakes one");
    }
    if (has_sleeper) return;
    State& next = out.draft(state);
    for (SignalPeer& sleeper : next.peers) {
        if (all && sleeper.pc == SignalPc::asleep && !broken(SignalMutant::no_wake)) {
            sleeper.pc = SignalPc::woken;
        }
    }
    rang(next.peers[at(who)], who);
    out.take_progress(who, "wakes");
}

void SignalModel::environment_moves(const State& state, int who, Moves<State>& out) const {
    const SignalPeer& my = state.peers[at(who)];
    if (my.life == SignalLife::running && my.pc != SignalPc::idle) {
        if (state.crashes < config_.crashes) {
            State& next = out.draft(state);
            next.peers[at(who)] = {.life = SignalLife::dead};
            ++next.crashes;
            out.take_environment(who, "DIES");
        }
        if (state.freezes < config_.freezes) {
            State& next = out.draft(state);
            next.peers[at(who)].life = SignalLife::stopped;
            ++next.freezes;
            out.take_environment(who, "STOPS");
        }
        if (config_.deadlines && my.pc == SignalPc::asleep) {
            State& next = out.draft(state);
            next.peers[at(who)].in_vain = true;
            next.peers[at(who)].pc = SignalPc::woken;
            out.take_environment(who, "has no time left");
        }
    }
    if (my.life == SignalLife::stopped) {
        State& next = out.draft(state);
        next.peers[at(who)].life = SignalLife::running;
        out.take_progress(who, "goes on");
    }
}

void SignalModel::done(SignalPeer& my) const {
    my = {.life = my.life, .rounds = static_cast<std::uint8_t>(my.rounds - 1)};
}

// After a ring: of a change, or of a wake that was passed on.
void SignalModel::rang(SignalPeer& my, int who) const {
    if (my.early) {
        my.pc = SignalPc::change;
        my.early = false;
        my.ready = true;
        return;
    }
    if (my.done && is(SignalKind::permits)) {
        my.pc = SignalPc::holds;
        my.done = false;
        return;
    }
    const bool resets = who >= config_.waiters && config_.resets;
    if (resets) {
        my.pc = SignalPc::reset;
        return;
    }
    done(my);
}

void SignalModel::step(State& state, int who, const char*& fault) const {
    SignalPeer& my = state.peers[at(who)];
    switch (my.pc) {
        case SignalPc::take:
        case SignalPc::again:
        case SignalPc::retake: step_take(state, who); break;
        case SignalPc::inherit_look:
        case SignalPc::inherit: step_inherit(state, who, fault); break;
        case SignalPc::change:
        case SignalPc::ring_look:
        case SignalPc::ring_clear: step_ring(state, who); break;
        default: step_wait(state, who); break;
    }
}

bool SignalModel::take(State& state, int who) const {
    SignalPeer& my = state.peers[at(who)];
    if (!is_there(state, my)) return false;
    if (is(SignalKind::permits)) {
        for (int i = 0; i < kMaxPermits; ++i) {
            if (state.holders[at(i)] != 0) continue;
            state.holders[at(i)] = static_cast<std::uint8_t>(who + 1);
            my.permit = static_cast<std::uint8_t>(i + 1);
            break;
        }
    } else if (!is(SignalKind::event_by_hand)) {
        if (!my.ready) --state.there;
        ++state.taken;
    }
    return true;
}

void SignalModel::has_it(State& state, int who) const {
    SignalPeer& my = state.peers[at(who)];
    static_cast<void>(state);
    // Who waits for an event by hand woke with all the others.
    const bool passes = my.slept && !is(SignalKind::event_by_hand);
    my.in_vain = false;
    if (passes && !broken(SignalMutant::no_pass_on)) {
        my.pc = SignalPc::more;
    } else if (is(SignalKind::permits)) {
        my.pc = SignalPc::holds;
    } else {
        done(my);
    }
}

void SignalModel::step_take(State& state, int who) const {
    SignalPeer& my = state.peers[at(who)];
    // A mutant's: the look and the taking are two steps.
    if (broken(SignalMutant::taken_by_load) && is(SignalKind::posts)) {
        if (!my.ready && is_there(state, my)) {
            my.ready = true;
            return;
        }
        if (my.ready) {
            my.ready = false;
            if (state.there > 0) --state.there;
            ++state.taken;
            return has_it(state, who);
        }
    } else if (take(state, who)) {
        return has_it(state, who);
    }
    if (my.pc == SignalPc::take) {
        my.pc = SignalPc::mark;
    } else if (my.pc == SignalPc::again) {
        my.pc = SignalPc::sleep;
    } else if (my.in_vain) {
        done(my);
    } else {
        my.pc = SignalPc::mark;
    }
}

void SignalModel::step_wait(State& state, int who) const {
    SignalPeer& my = state.peers[at(who)];
    switch (my.pc) {
        case SignalPc::idle: {
            const bool waits = who < config_.waiters;
            const bool early = broken(SignalMutant::rings_before_change) && !waits;
            my.pc = waits ? SignalPc::since : (early ? SignalPc::ring_look : SignalPc::change);
            my.early = early;
            break;
        }
        case SignalPc::since:
            my.since = state.turn;
            my.pc = SignalPc::take;
            break;
        case SignalPc::mark:
            state.bell = static_cast<std::uint8_t>(state.bell | 1U);
            my.bell = state.bell;
            my.pc = broken(SignalMutant::sleeper_does_not_look_again) ? SignalPc::sleep
                                                                      : SignalPc::again;
            break;
        case SignalPc::sleep:
            my.slept = true;
            my.pc = state.bell == my.bell ? SignalPc::asleep : SignalPc::woken;
            my.bell = 0;
            break;
        case SignalPc::woken:
            if (!broken(SignalMutant::woken_marks_nothing)) {
                state.bell = static_cast<std::uint8_t>(state.bell | 1U);
            }
            my.pc = SignalPc::retake;
            break;
        case SignalPc::more:
            if (is_there(state, my)) {
                my.done = true;
                my.pc = SignalPc::ring_look;
            } else if (is(SignalKind::permits)) {
                my.pc = SignalPc::holds;
            } else {
                done(my);
            }
            break;
        case SignalPc::holds: my.pc = SignalPc::change; break;
        default:  // reset
            state.there = 0;
            done(my);
            break;
    }
}

// A slice is over: somebody may have died with a permit.
void SignalModel::step_inherit(State& state, int who, const char*& fault) const {
    SignalPeer& my = state.peers[at(who)];
    if (my.pc == SignalPc::inherit_look) {
        my.pc = SignalPc::woken;
        for (int i = 0; i < config_.permits; ++i) {
            if (!is_gone(state, state.holders[at(i)])) continue;
            my.permit = static_cast<std::uint8_t>(i + 1);
            my.seen = state.holders[at(i)];
            my.pc = SignalPc::inherit;
        }
        return;
    }
    std::uint8_t& holder = state.holders[at(my.permit - 1)];
    const bool same = holder == my.seen || broken(SignalMutant::inherits_by_store);
    my.seen = 0;
    if (!same) {
        my.permit = 0;
        my.pc = SignalPc::woken;
        return;
    }
    const bool lives = holder != 0 && !is_gone(state, holder);
    if (lives) fault = "two have one permit";
    holder = static_cast<std::uint8_t>(who + 1);
    has_it(state, who);
}

void SignalModel::step_ring(State& state, int who) const {
    SignalPeer& my = state.peers[at(who)];
    switch (my.pc) {
        case SignalPc::change:
            if (is(SignalKind::permits)) {
                state.holders[at(my.permit - 1)] = 0;
                my.permit = 0;
            } else if (is(SignalKind::posts)) {
                ++state.there;
                ++state.made;
            } else {
                state.there = 1;
                if (is(SignalKind::event_by_hand)) ++state.turn;
            }
            my.done = false;
            if (my.ready) return rang(my, who);
            my.pc = SignalPc::ring_look;
            break;
        case SignalPc::ring_look:
        default:  // ring_clear
            if ((state.bell & 1U) == 0) return rang(my, who);
            if (my.pc == SignalPc::ring_look) {
                my.pc = SignalPc::ring_clear;
            } else {
                state.bell = static_cast<std::uint8_t>((state.bell + 2U) & 0x3eU);
                my.pc = SignalPc::ring_wake;
            }
            break;
    }
}

Ending SignalModel::ending(const State& state) const {
    bool rests = true;
    for (int i = 0; i < peers(); ++i) {
        const SignalPeer& my = state.peers[at(i)];
        if (my.life == SignalLife::dead) continue;
        bool sleeps_rightly = my.pc == SignalPc::asleep && !is_there(state, my);
        if (is(SignalKind::event_by_hand) && state.turn != my.since) sleeps_rightly = false;
        for (const std::uint8_t holder : state.holders) {
            if (is_gone(state, holder)) sleeps_rightly = false;  // it must inherit
        }
        const bool is_idle = my.pc == SignalPc::idle && my.rounds == 0;
        rests = rests && my.life == SignalLife::running && (is_idle || sleeps_rightly);
    }
    if (is(SignalKind::posts) && state.there + state.taken != state.made) {
        return {.fault = "a post is lost, or was taken twice"};
    }
    for (const std::uint8_t holder : state.holders) {
        const bool by_nobody = holder != 0 && holder <= peers() &&
                               state.peers[at(holder - 1)].pc == SignalPc::idle &&
                               state.peers[at(holder - 1)].life == SignalLife::running;
        if (by_nobody) return {.fault = "a permit is held by one that gave it back"};
    }
    return {.is_clean = rests};
}

std::string SignalModel::text(const State& state) const {
    std::string out = "there " + std::to_string(state.there) + " turn " +
                      std::to_string(state.turn) + " bell " + std::to_string(state.bell) + " |";
    static constexpr const char* kLives[] = {"", "stopped: ", "dead: "};
    for (int i = 0; i < peers(); ++i) {
        const SignalPeer& my = state.peers[at(i)];
        out += " " + std::to_string(i + 1) + ": " + kLives[static_cast<std::size_t>(my.life)] +
               name_of(my.pc) + ";";
    }
    return out;
}

}  // namespace stoa::model
