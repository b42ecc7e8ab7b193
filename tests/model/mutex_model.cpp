#include "tests/model/mutex_model.hpp"

namespace stoa::model {
namespace {

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

constexpr const char* kPcNames[] = {"calls",
                                    "takes it free",
                                    "looks",
                                    "takes what it saw",
                                    "inherits",
                                    "marks",
                                    "falls asleep",
                                    "asleep",
                                    "changes",
                                    "mends",
                                    "gives back",
                                    "looks to give back",
                                    "gives back slowly",
                                    "wakes one"};

const char* name_of(MutexPc pc) {
    return kPcNames[static_cast<std::size_t>(pc)];
}

}  // namespace

MutexState MutexModel::initial() const {
    MutexState state{};
    for (int i = 0; i < config_.lockers; ++i) {
        state.lockers[at(i)].rounds = static_cast<std::uint8_t>(config_.rounds);
    }
    return state;
}

// The kernel's word, and the table's: another one may have its place by now.
bool MutexModel::is_gone(const MutexState& state, const MutexWordState& word) const {
    const Locker& holder = state.lockers[at(word.holder - 1)];
    if (holder.life == MutexLife::dead) return true;
    if (broken(MutexMutant::stopped_is_dead) && holder.life == MutexLife::stopped) return true;
    return holder.incarnation != word.incarnation && !broken(MutexMutant::incarnation_ignored);
}

// A wake that a dead or stopped one had in its hands is what slices are for.
bool MutexModel::wakes_may_be_lost(const MutexState& state) {
    return state.crashes > 0 || state.freezes > 0;
}

void MutexModel::moves(const MutexState& state, Moves<MutexState>& out) const {
    for (int who = 0; who < config_.lockers; ++who) {
        const Locker& my = state.lockers[at(who)];
        if (my.life == MutexLife::running) {
            const bool rests = my.pc == MutexPc::idle && my.rounds == 0;
            if (my.pc == MutexPc::wake) {
                wake_moves(state, who, out);
            } else if (my.pc == MutexPc::asleep) {
                if (wakes_may_be_lost(state)) {
                    MutexState& next = out.draft(state);
                    next.lockers[at(who)].pc = MutexPc::look;
                    out.take_progress(who, "its slice is over");
                }
            } else if (!rests) {
                MutexState& next = out.draft(state);
                const char* fault = nullptr;
                step(next, who, fault);
                out.take_progress(who, name_of(my.pc), fault);
                if (my.pc == MutexPc::changing && config_.once) {
                    MutexState& thrown = out.draft(state);
                    thrown.lockers[at(who)].pc = MutexPc::give_look;
                    out.take_progress(who, "throws");
                }
                if (my.pc == MutexPc::changing && my.told && config_.forgetful) {
                    MutexState& lazy = out.draft(state);
                    lazy.lockers[at(who)].pc = MutexPc::give;
                    out.take_progress(who, "does not mend");
                }
            }
        }
        environment_moves(state, who, out);
    }
}

void MutexModel::wake_moves(const MutexState& state, int who, Moves<MutexState>& out) const {
    bool has_sleeper = false;
    const bool all =
        state.lockers[at(who)].poisons && !(config_.once && broken(MutexMutant::done_wakes_one));
    for (int i = 0; i < config_.lockers && !all; ++i) {
        const Locker& sleeper = state.lockers[at(i)];
        if (sleeper.pc != MutexPc::asleep || sleeper.life == MutexLife::dead) continue;
        if (broken(MutexMutant::no_wake)) break;
        has_sleeper = true;
        MutexState& next = out.draft(state);
        next.lockers[at(i)].pc = MutexPc::look;
        returns(next.lockers[at(who)]);
        out.take_progress(who, name_of(MutexPc::wake));
    }
    if (has_sleeper) return;
    MutexState& next = out.draft(state);
    for (Locker& sleeper : next.lockers) {
        if (all && sleeper.pc == MutexPc::asleep) sleeper.pc = MutexPc::look;
    }
    returns(next.lockers[at(who)]);
    out.take_progress(who, name_of(MutexPc::wake));
}

void MutexModel::environment_moves(const MutexState& state, int who, Moves<MutexState>& out) const {
    const Locker& my = state.lockers[at(who)];
    if (my.life == MutexLife::running && my.pc != MutexPc::idle) {
        if (state.crashes < config_.crashes) {
            MutexState& next = out.draft(state);
            next.lockers[at(who)] = {.life = MutexLife::dead, .incarnation = my.incarnation};
            ++next.crashes;
            out.take_environment(who, "DIES");
        }
        if (state.freezes < config_.freezes) {
            MutexState& next = out.draft(state);
            next.lockers[at(who)].life = MutexLife::stopped;
            ++next.freezes;
            out.take_environment(who, "STOPS");
        }
        const bool may_give_up =
            my.pc == MutexPc::asleep || my.pc == MutexPc::look || my.pc == MutexPc::sleep;
        if (config_.deadlines && may_give_up && !my.in_vain) {
            MutexState& next = out.draft(state);
            next.lockers[at(who)].in_vain = true;
            if (my.pc == MutexPc::asleep) next.lockers[at(who)].pc = MutexPc::look;
            out.take_environment(who, "has no time left");
        }
    }
    if (my.life == MutexLife::dead && state.newcomers < config_.newcomers) {
        MutexState& next = out.draft(state);
        Locker& newcomer = next.lockers[at(who)];
        newcomer = {.rounds = 1, .incarnation = static_cast<std::uint8_t>(my.incarnation + 1)};
        ++next.newcomers;
        out.take_environment(who, "another one has its place");
    }
    // Who was stopped goes on some time: nobody may have taken it for dead meanwhile.
    if (my.life == MutexLife::stopped) {
        MutexState& next = out.draft(state);
        next.lockers[at(who)].life = MutexLife::running;
        out.take_progress(who, "goes on");
    }
}

void MutexModel::returns(Locker& my) const {
    my = {.life = my.life,
          .rounds = static_cast<std::uint8_t>(my.rounds - 1),
          .incarnation = my.incarnation};
}

void MutexModel::got(MutexState& state, Locker& my, bool told, const char*& fault) const {
    for (const Locker& other : state.lockers) {
        const bool holds = other.pc == MutexPc::changing || other.pc == MutexPc::whole;
        if (&other != &my && holds && other.life != MutexLife::dead) fault = "two hold it at once";
    }
    if (state.torn && !told) fault = "torn, and its new holder is not told";
    if (state.done) fault = "it is done twice";
    my.told = told;
    my.seen = {};
    my.pc = MutexPc::changing;
    state.torn = true;
}

// After a look at the word.
void MutexModel::step_look(MutexState& state, Locker& my) const {
    my.seen = state.word;
    if (my.seen.poisoned) {
        returns(my);
    } else if (my.seen.holder == 0) {
        my.pc = MutexPc::take;
    } else if (is_gone(state, my.seen)) {
        my.pc = MutexPc::inherit;
    } else if (my.in_vain &&
               (!my.slept || my.seen.waiters || broken(MutexMutant::late_one_forgets_others))) {
        returns(my);
    } else {
        my.pc = MutexPc::mark;
    }
}

void MutexModel::step(MutexState& state, int who, const char*& fault) const {
    Locker& my = state.lockers[at(who)];
    switch (my.pc) {
        case MutexPc::idle: my.pc = MutexPc::fast; break;
        case MutexPc::look: step_look(state, my); break;
        case MutexPc::fast:
        case MutexPc::take:
        case MutexPc::inherit: step_take(state, who, fault); break;
        case MutexPc::mark:
        case MutexPc::sleep: step_wait(state, my); break;
        case MutexPc::changing:
            state.torn = false;
            my.pc = MutexPc::whole;
            break;
        case MutexPc::whole:  // repaired(), if it was told
            if (my.told && !config_.once) state.word.inconsistent = false;
            my.pc = config_.once ? MutexPc::give_look : MutexPc::give;
            my.poisons = config_.once;  // it is done
            break;
        case MutexPc::give:
        case MutexPc::give_look:
        case MutexPc::give_slowly: step_give(state, who, fault); break;
        case MutexPc::asleep:
        case MutexPc::wake: break;
    }
}

void MutexModel::step_take(MutexState& state, int who, const char*& fault) const {
    Locker& my = state.lockers[at(who)];
    const MutexWordState seen = my.seen;
    const MutexPc how = my.pc;
    const bool stores = how == MutexPc::inherit && broken(MutexMutant::inherits_by_store);
    if (state.word != seen && !stores) {
        my.pc = MutexPc::look;
        return;
    }
    const bool others_sleep = my.slept && !broken(MutexMutant::woken_forgets_others);
    state.word = {.holder = static_cast<std::uint8_t>(who + 1), .incarnation = my.incarnation};
    state.word.waiters = how != MutexPc::fast && (seen.waiters || others_sleep);
    const bool thrown = seen.holder == 0 && seen.inconsistent;
    const bool told = thrown || (how == MutexPc::inherit && !broken(MutexMutant::heir_not_told) &&
                                 !(broken(MutexMutant::heirs_heir_not_told) && seen.inconsistent));
    state.word.inconsistent = told;
    got(state, my, told, fault);
}

void MutexModel::step_wait(MutexState& state, Locker& my) const {
    if (my.pc == MutexPc::mark) {
        my.pc = state.word == my.seen ? MutexPc::sleep : MutexPc::look;
        if (my.pc == MutexPc::look) return;
        state.word.waiters = true;
        my.seen.waiters = true;
        if (my.in_vain) returns(my);
        return;
    }
    MutexWordState now = state.word;  // the kernel compares the low half: all but the incarnation
    now.incarnation = my.seen.incarnation;
    const bool sleeps = now == my.seen || broken(MutexMutant::sleeps_unseen);
    my.slept = true;
    my.pc = sleeps ? MutexPc::asleep : MutexPc::look;
    my.seen = {};
}

void MutexModel::step_give(MutexState& state, int who, const char*& fault) const {
    Locker& my = state.lockers[at(who)];
    const auto me = static_cast<std::uint8_t>(who + 1);
    const MutexWordState mine{.holder = me, .incarnation = my.incarnation};
    if (my.pc == MutexPc::give) {
        const bool ignores =
            broken(MutexMutant::unlock_ignores_waiters) && !state.word.inconsistent;
        if (state.word != mine && !ignores) {
            my.pc = MutexPc::give_look;
            return;
        }
        state.word = {};
        returns(my);
        return;
    }
    if (my.pc == MutexPc::give_look) {
        my.seen = state.word;
        my.pc = MutexPc::give_slowly;
        const bool is_mine = my.seen.holder == me && my.seen.incarnation == my.incarnation;
        if (!is_mine) fault = "it is taken from one that lives";
        return;
    }
    if (state.word != my.seen) {
        my.pc = MutexPc::give_look;
        return;
    }
    if (config_.once) {
        state.word = {.inconsistent = !my.poisons && !broken(MutexMutant::thrown_not_told),
                      .poisoned = my.poisons};
        state.done = my.poisons;
    } else {
        my.poisons = my.seen.inconsistent && !broken(MutexMutant::unmended_not_poisoned);
        state.word = {.poisoned = my.poisons};
    }
    const bool wakes = my.seen.waiters ||
                       (config_.once && my.poisons && !broken(MutexMutant::done_trusts_the_bit));
    if (!wakes) return returns(my);
    my.pc = MutexPc::wake;
    my.seen = {};
}

Ending MutexModel::ending(const MutexState& state) const {
    bool rests = true;
    for (int i = 0; i < config_.lockers; ++i) {
        const Locker& my = state.lockers[at(i)];
        if (my.life == MutexLife::dead) continue;
        rests = rests && my.life == MutexLife::running && my.pc == MutexPc::idle && my.rounds == 0;
    }
    if (rests && state.word.poisoned && !config_.forgetful && !config_.once) {
        return {.fault = "poisoned, and everybody mended"};
    }
    return {.is_clean = rests};
}

std::string MutexModel::text(const MutexState& state) const {
    std::string out =
        "word " + std::to_string(state.word.holder) + "." + std::to_string(state.word.incarnation);
    if (state.word.waiters) out += " waiters";
    if (state.word.inconsistent) out += " inconsistent";
    if (state.word.poisoned) out += " poisoned";
    out += state.torn ? " torn |" : " whole |";
    static constexpr const char* kLives[] = {"", "stopped: ", "dead: "};
    for (int i = 0; i < config_.lockers; ++i) {
        const Locker& my = state.lockers[at(i)];
        out += " " + std::to_string(i + 1) + ": " + kLives[static_cast<std::size_t>(my.life)] +
               name_of(my.pc) + ";";
    }
    return out;
}

}  // namespace stoa::model
