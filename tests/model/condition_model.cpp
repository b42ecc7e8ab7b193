#include "tests/model/condition_model.hpp"

namespace stoa::model {
namespace {

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

constexpr const char* kPcNames[] = {"calls",
                                    "takes the lock",
                                    "counts itself in",
                                    "gives the lock back",
                                    "looks",
                                    "marks",
                                    "falls asleep",
                                    "asleep",
                                    "passes on",
                                    "takes it again",
                                    "takes what is for it",
                                    "takes it without the lock",
                                    "goes on",
                                    "notifies",
                                    "wakes too early",
                                    "wakes one",
                                    "wakes all",
                                    "was late for a slice",
                                    "wakes all and looks"};

const char* name_of(ConditionPc pc) {
    return kPcNames[static_cast<std::size_t>(pc)];
}

constexpr int kTurns = 16;  // of `notified`

bool is_late(const ConditionWordState& word, const ConditionPeer& my) {
    return (my.turn - word.turn + kTurns) % kTurns == 1;
}

bool is_let_go(const ConditionWordState& word, const ConditionPeer& my) {
    return !is_late(word, my) && (word.turn - my.turn + kTurns) % kTurns > word.joined;
}

std::uint8_t turn_after(const ConditionWordState& word, int turns) {
    return static_cast<std::uint8_t>((word.turn + turns) % kTurns);
}

bool has_nobody(const ConditionWordState& word) {
    return word.waiting + word.granted + word.late == 0;
}

bool is_inside(ConditionPc pc) {  // counted in, and nothing taken yet
    return (pc > ConditionPc::enter && pc <= ConditionPc::take) || pc == ConditionPc::suspect ||
           pc == ConditionPc::suspects;
}

}  // namespace

bool ConditionModel::may_take(const ConditionWordState& word, const ConditionPeer& my) const {
    return word.granted != 0 && (!is_late(word, my) || broken(ConditionMutant::later_ones_take_it));
}

bool ConditionModel::is_ready(const ConditionWordState& word, const ConditionPeer& my) const {
    return is_let_go(word, my) || may_take(word, my);
}

bool ConditionModel::can_lock(const State& state) const {
    return state.lock == 0 || state.peers[at(state.lock - 1)].life == ConditionLife::dead;
}

ConditionState ConditionModel::initial() const {
    State state{};
    for (int i = 0; i < peers(); ++i) {
        state.peers[at(i)].rounds = static_cast<std::uint8_t>(waits(i) ? config_.rounds : 1);
    }
    return state;
}

void ConditionModel::moves(const State& state, Moves<State>& out) const {
    for (int who = 0; who < peers(); ++who) {
        const ConditionPeer& my = state.peers[at(who)];
        if (my.life == ConditionLife::running) {
            const bool rests = my.pc == ConditionPc::idle && my.rounds == 0;
            const bool locks = my.pc == ConditionPc::lock || my.pc == ConditionPc::relock;
            if (my.pc == ConditionPc::asleep) {
                slice_moves(state, who, out);
            } else if (my.pc == ConditionPc::wake_one || my.pc == ConditionPc::early_wake) {
                wake_moves(state, who, out);
            } else if (!rests && (!locks || can_lock(state))) {
                State& next = out.draft(state);
                const char* fault = nullptr;
                step(next, who, fault);
                out.take_progress(who, name_of(my.pc), fault);
            }
        }
        environment_moves(state, who, out);
    }
}

// A wake that a dead or stopped one had in its hands is what slices are for.
void ConditionModel::slice_moves(const State& state, int who, Moves<State>& out) const {
    if (state.crashes == 0 && state.freezes == 0) return;
    State& next = out.draft(state);
    const bool is_lost = state.lock != 0 && can_lock(state);
    const bool takes = is_lost && !broken(ConditionMutant::dead_holder_not_looked_for);
    next.peers[at(who)].pc = takes ? ConditionPc::relock : ConditionPc::look;
    out.take_progress(who, "its slice is over");
    const bool in_vain = state.word.granted != 0 && is_late(state.word, state.peers[at(who)]);
    if (!in_vain || broken(ConditionMutant::late_not_let_go)) return;
    State& free = out.draft(state);
    free.peers[at(who)].pc = ConditionPc::suspect;
    out.take_progress(who, "its slice is over");
}

// Any sleeper: the kernel's order is not relied upon.
void ConditionModel::wake_moves(const State& state, int who, Moves<State>& out) const {
    const bool is_early = state.peers[at(who)].pc == ConditionPc::early_wake;
    bool has_sleeper = false;
    for (int i = 0; i < config_.waiters; ++i) {
        const ConditionPeer& sleeper = state.peers[at(i)];
        if (sleeper.pc != ConditionPc::asleep || sleeper.life == ConditionLife::dead) continue;
        if (broken(ConditionMutant::no_wake)) break;
        has_sleeper = true;
        State& next = out.draft(state);
        next.peers[at(i)].pc = ConditionPc::woken;
        if (is_early) {
            next.peers[at(who)].pc = ConditionPc::notify;
            next.peers[at(who)].took = true;
        } else {
            done(next.peers[at(who)]);
        }
        out.take_progress(who, name_of(ConditionPc::wake_one));
    }
    if (has_sleeper) return;
    State& next = out.draft(state);
    ConditionPeer& my = next.peers[at(who)];
    if (is_early) {
        my.pc = ConditionPc::notify;
        my.took = true;
    } else {
        done(my);
    }
    out.take_progress(who, "finds nobody asleep");
}

void ConditionModel::environment_moves(const State& state, int who, Moves<State>& out) const {
    const ConditionPeer& my = state.peers[at(who)];
    if (my.life == ConditionLife::running && my.pc != ConditionPc::idle) {
        if (state.crashes < config_.crashes) {
            State& next = out.draft(state);
            next.peers[at(who)] = {.life = ConditionLife::dead};
            ++next.crashes;
            out.take_environment(who, "DIES");
        }
        if (state.freezes < config_.freezes) {
            State& next = out.draft(state);
            next.peers[at(who)].life = ConditionLife::stopped;
            ++next.freezes;
            out.take_environment(who, "STOPS");
        }
        if (config_.deadlines && my.pc == ConditionPc::asleep) {
            State& next = out.draft(state);
            next.peers[at(who)].in_vain = true;
            next.peers[at(who)].pc = ConditionPc::look;
            out.take_environment(who, "has no time left");
        }
    }
    if (my.life == ConditionLife::stopped) {
        State& next = out.draft(state);
        next.peers[at(who)].life = ConditionLife::running;
        out.take_progress(who, "goes on");
    }
}

void ConditionModel::done(ConditionPeer& my) {
    my = {.life = my.life, .rounds = static_cast<std::uint8_t>(my.rounds - 1)};
}

void ConditionModel::step(State& state, int who, const char*& fault) const {
    ConditionPeer& my = state.peers[at(who)];
    switch (my.pc) {
        case ConditionPc::idle:
            if (waits(who)) {
                my.pc = ConditionPc::lock;
            } else {
                const bool early = broken(ConditionMutant::wakes_before_grant) && !is_of_all(who);
                my.pc = early ? ConditionPc::early_wake : ConditionPc::notify;
            }
            break;
        case ConditionPc::take:
        case ConditionPc::early_take: step_take(state, my, fault); break;
        case ConditionPc::leave:
            state.lock = 0;
            done(my);
            break;
        case ConditionPc::notify:
        case ConditionPc::wake_all:
        case ConditionPc::suspect:
        case ConditionPc::suspects: step_notify(state, who); break;
        default: step_wait(state, who); break;
    }
}

void ConditionModel::step_wait(State& state, int who) const {
    ConditionPeer& my = state.peers[at(who)];
    switch (my.pc) {
        case ConditionPc::lock:
        case ConditionPc::relock:
            my.told = my.pc == ConditionPc::relock && state.lock != 0;
            state.lock = static_cast<std::uint8_t>(who + 1);
            my.pc = my.pc == ConditionPc::lock ? ConditionPc::enter : ConditionPc::take;
            break;
        case ConditionPc::enter:
            ++(state.word.granted != 0 ? state.word.late : state.word.waiting);
            my.turn = turn_after(state.word, state.word.granted != 0 ? 1 : 0);
            my.began = state.made;
            my.pc = ConditionPc::give;
            break;
        case ConditionPc::give:
            state.lock = 0;
            my.pc = ConditionPc::look;
            break;
        case ConditionPc::look:
            if (is_ready(state.word, my)) {
                const bool early = broken(ConditionMutant::taken_without_lock);
                my.pc = early ? ConditionPc::early_take : ConditionPc::relock;
            } else if (my.in_vain) {
                my.pc = ConditionPc::relock;
            } else {
                my.seen = state.word;
                my.pc = ConditionPc::mark;
            }
            break;
        case ConditionPc::mark:
            if (state.word != my.seen && !broken(ConditionMutant::sleeps_without_look)) {
                my.seen = {};
                my.pc = ConditionPc::look;
                break;
            }
            state.word.asleep = true;
            my.seen = state.word;
            my.pc = ConditionPc::sleep;
            break;
        case ConditionPc::sleep: {
            const bool any = state.word.granted != 0;
            const bool same = state.word.turn == my.seen.turn && any == (my.seen.granted != 0) &&
                              state.word.asleep == my.seen.asleep;
            my.seen = {};
            my.pc = same ? ConditionPc::asleep : ConditionPc::look;
            break;
        }
        case ConditionPc::woken: {
            const bool is_anothers =
                !my.passed_on && state.word.granted != 0 && is_late(state.word, my);
            my.pc = ConditionPc::look;
            if (!is_anothers || broken(ConditionMutant::no_pass_on)) break;
            my.passed_on = true;
            for (ConditionPeer& sleeper : state.peers) {
                if (sleeper.pc == ConditionPc::asleep) sleeper.pc = ConditionPc::woken;
            }
            break;
        }
        default: break;
    }
}

void ConditionModel::join_late(ConditionWordState& word) const {
    if (word.late == 0 || broken(ConditionMutant::late_never_join)) return;
    word.turn = turn_after(word, 1);
    ++word.joined;
    word.waiting = static_cast<std::uint8_t>(word.waiting + word.late);
    word.late = 0;
}

// One RMW, as Condition::take does it.
void ConditionModel::take_grant(State& state, ConditionPeer& my, bool leaves, bool& took) const {
    ConditionWordState& word = state.word;
    took = is_let_go(word, my);
    if (took && !broken(ConditionMutant::let_go_pays_again)) return;
    const bool forgets = leaves && broken(ConditionMutant::timed_out_leaves_grant);
    took = took || (may_take(word, my) && !forgets);
    if (!took && !leaves) return;
    if (took && word.granted != 0) {
        --word.granted;
        if (word.granted == 0) join_late(word);
    } else if (is_late(word, my)) {
        --word.late;
    } else if (word.waiting != 0) {
        --word.waiting;
    }
    if (has_nobody(word)) {
        word.joined = 0;
        word.asleep = false;
    }
}

void ConditionModel::wait_returns(State& state, const ConditionPeer& my) const {
    state.from[state.returned] = my.began;
    state.to[state.returned] = state.made;
    ++state.returned;
}

void ConditionModel::step_take(State& state, ConditionPeer& my, const char*& fault) const {
    if (my.pc == ConditionPc::early_take) {
        take_grant(state, my, false, my.took);
        my.pc = my.took ? ConditionPc::relock : ConditionPc::look;
        return;
    }
    bool took = my.took;
    const bool leaves = my.told || my.in_vain;
    if (!took) take_grant(state, my, leaves, took);
    if (took) wait_returns(state, my);
    if (took && state.crashes == 0 && state.freezes == 0 && !has_one_each(state)) {
        fault = "a wait ends for nothing";
    }
    if (took || leaves) {
        my = {.life = my.life, .pc = ConditionPc::leave, .rounds = my.rounds};
    } else {
        my.pc = ConditionPc::give;
    }
}

void ConditionModel::step_notify(State& state, int who) const {
    ConditionPeer& my = state.peers[at(who)];
    ConditionWordState& word = state.word;
    if (my.pc == ConditionPc::wake_all || my.pc == ConditionPc::suspects) {
        for (ConditionPeer& sleeper : state.peers) {
            if (sleeper.pc == ConditionPc::asleep) sleeper.pc = ConditionPc::woken;
        }
        if (my.pc == ConditionPc::wake_all) return done(my);
        my.pc = ConditionPc::look;
        return;
    }
    if (my.pc == ConditionPc::notify) {
        if (is_of_all(who)) state.all = static_cast<std::uint8_t>(state.all | 1U << state.made);
        ++state.made;
        if (word.waiting + word.late == 0) return done(my);
    }
    const bool suspects = my.pc == ConditionPc::suspect;
    const bool somebody_slept = word.asleep;
    if (suspects || is_of_all(who)) {
        if (suspects) my.pc = ConditionPc::look;
        if (has_nobody(word)) return suspects ? void() : done(my);
        word = {.turn = turn_after(word, 2)};
        if (suspects) {
            my.pc = ConditionPc::suspects;
        } else if (somebody_slept) {
            my.pc = ConditionPc::wake_all;
        } else {
            done(my);
        }
        return;
    }
    const bool is_next_turn = word.waiting == 0;
    if (is_next_turn) {
        word = {.turn = turn_after(word, 1),
                .waiting = static_cast<std::uint8_t>(word.late - 1),
                .granted = 1,
                .asleep = word.asleep};
    } else {
        --word.waiting;
        ++word.granted;
    }
    if (broken(ConditionMutant::wake_forgets_sleepers)) word.asleep = false;
    if (!somebody_slept || my.took) return done(my);
    const bool all = is_next_turn && !broken(ConditionMutant::next_turn_wakes_one);
    my.pc = all ? ConditionPc::wake_all : ConditionPc::wake_one;
}

// Whether each wait that returned was notified: by one of all, or by one that no other wait needs.
bool ConditionModel::has_one_each(const State& state) const {
    std::array<bool, 8> used{};
    // In the order in which they returned, each takes the first that was made after it came: those
    // who came later can use only later ones.
    for (int i = 0; i < state.returned; ++i) {
        bool has_one = false;
        for (int n = state.from[at(i)] + 1; n <= state.to[at(i)] && !has_one; ++n) {
            has_one = (state.all >> (n - 1) & 1) != 0;
        }
        for (int n = state.from[at(i)] + 1; n <= state.to[at(i)] && !has_one; ++n) {
            has_one = !used[at(n)];
            used[at(n)] = true;
        }
        if (!has_one) return false;
    }
    return true;
}

// Whether each notification made since it came is another one's.
bool ConditionModel::sleeps_rightly(const State& state, const ConditionPeer& my) const {
    if ((state.all >> my.began) != 0) return false;
    std::array<bool, kMaxWaits> used{};
    // Each goes to the wait that returned first of those that may have it: no other choice does
    // better, for what is left is asked by later ones.
    for (int n = my.began + 1; n <= state.made; ++n) {
        int best = -1;
        int best_to = 99;
        for (int i = 0; i < state.returned; ++i) {
            int to = state.to[at(i)];
            for (int k = state.from[at(i)]; k < to; ++k) {
                if ((state.all >> k & 1) != 0) to = k + 1;  // nothing more was for it
            }
            const bool fits = !used[at(i)] && state.from[at(i)] < n && n <= to;
            if (fits && to < best_to) {
                best = i;
                best_to = to;
            }
        }
        if (best < 0) return false;
        used[at(best)] = true;
    }
    return true;
}

Ending ConditionModel::ending(const State& state) const {
    const ConditionWordState& word = state.word;
    bool rests = state.lock == 0 || can_lock(state);
    const int counted = word.waiting + word.granted + word.late;
    int inside = 0;
    bool sleepers = false;
    for (int i = 0; i < peers(); ++i) {
        const ConditionPeer& my = state.peers[at(i)];
        if (my.life == ConditionLife::dead) continue;
        if (is_inside(my.pc) && !is_let_go(state.word, my) && !my.took) ++inside;
        const bool is_idle = my.pc == ConditionPc::idle && my.rounds == 0;
        const bool is_asleep = my.pc == ConditionPc::asleep;
        sleepers = sleepers || is_asleep;
        const bool running = my.life == ConditionLife::running;
        rests = rests && running && (is_idle || (is_asleep && sleeps_rightly(state, my)));
    }
    if (counted < inside) {
        return {.fault = "one that waits is not counted"};
    }
    if (sleepers && state.lock != 0) rests = false;  // a dead one has it: they must be told
    const bool has_left = counted > inside;
    if (rests && has_left && state.crashes == 0) return {.fault = "somebody is counted for ever"};
    return {.is_clean = rests};
}

std::string ConditionModel::text(const State& state) const {
    const ConditionWordState& word = state.word;
    std::string out = "turn " + std::to_string(word.turn) + " joined " +
                      std::to_string(word.joined) + " waiting " + std::to_string(word.waiting) +
                      " granted " + std::to_string(word.granted) + " late " +
                      std::to_string(word.late) + (word.asleep ? " asleep" : "") + " lock " +
                      std::to_string(state.lock) + " |";
    static constexpr const char* kLives[] = {"", "stopped: ", "dead: "};
    for (int i = 0; i < peers(); ++i) {
        const ConditionPeer& my = state.peers[at(i)];
        out += " " + std::to_string(i + 1) + ": " + kLives[static_cast<std::size_t>(my.life)] +
               name_of(my.pc) + ";";
    }
    return out;
}

}  // namespace stoa::model
