#include "tests/model/shared_model.hpp"

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
                                    "looks for readers",
                                    "sets emptied",
                                    "looks for readers again",
                                    "falls asleep on emptied",
                                    "asleep on emptied",
                                    "is in",
                                    "changes",
                                    "mends",
                                    "gives back",
                                    "looks to give back",
                                    "gives back slowly",
                                    "wakes one",
                                    "looks for a writer",
                                    "announces itself",
                                    "looks for a writer again",
                                    "leaves",
                                    "sets opened",
                                    "falls asleep on opened",
                                    "asleep on opened",
                                    "looks whether the writer is gone",
                                    "inherits from the writer",
                                    "reads",
                                    "looks for dead readers",
                                    "drops a reader",
                                    "rings emptied",
                                    "wakes one of emptied",
                                    "looks for sleepers of opened",
                                    "looks for a writer that rings",
                                    "rings opened",
                                    "wakes all of opened"};

const char* name_of(SharedPc pc) {
    return kPcNames[static_cast<std::size_t>(pc)];
}

bool is_alone(SharedPc pc) {
    return pc == SharedPc::changing || pc == SharedPc::whole;
}

bool is_asleep(SharedPc pc) {
    return pc == SharedPc::asleep || pc == SharedPc::asleep_emptied ||
           pc == SharedPc::asleep_opened;
}

}  // namespace

SharedState SharedModel::initial() const {
    SharedState state{};
    for (int i = 0; i < count(); ++i) {
        state.sharers[at(i)].rounds = static_cast<std::uint8_t>(config_.rounds);
    }
    return state;
}

bool SharedModel::is_gone(const SharedState& state, int holder, int incarnation) const {
    const Sharer& who = state.sharers[at(holder - 1)];
    return who.life == SharedLife::dead || who.incarnation != incarnation;
}

void SharedModel::moves(const SharedState& state, Moves<SharedState>& out) const {
    // A wake that a dead or stopped one had in its hands is what slices are for; and deaths are
    // found by them.
    const bool has_slices = state.crashes > 0 || state.freezes > 0;
    for (int who = 0; who < count(); ++who) {
        const Sharer& my = state.sharers[at(who)];
        if (my.life == SharedLife::running) {
            const bool rests = my.pc == SharedPc::idle && my.rounds == 0;
            if (my.pc == SharedPc::wake || my.pc == SharedPc::wake_emptied ||
                my.pc == SharedPc::wake_opened) {
                wake_moves(state, who, out);
            } else if (is_asleep(my.pc)) {
                if (has_slices) {
                    SharedState& next = out.draft(state);
                    Sharer& woken = next.sharers[at(who)];
                    woken.at = 0;
                    woken.pc = my.pc == SharedPc::asleep           ? SharedPc::look
                               : my.pc == SharedPc::asleep_emptied ? SharedPc::drop_look
                                                                   : SharedPc::due;
                    woken.after = SharedAfter::set_emptied;
                    if (my.pc != SharedPc::asleep_emptied) woken.after = SharedAfter::done;
                    out.take_progress(who, "its slice is over");
                }
            } else if (!rests) {
                SharedState& next = out.draft(state);
                const char* fault = nullptr;
                step(next, who, fault);
                out.take_progress(who, name_of(my.pc), fault);
                if (my.pc == SharedPc::changing && my.told && config_.forgetful) {
                    SharedState& lazy = out.draft(state);
                    lazy.sharers[at(who)].pc = SharedPc::give;
                    out.take_progress(who, "does not mend");
                }
            }
        }
        environment_moves(state, who, out);
    }
}

void SharedModel::wake_moves(const SharedState& state, int who, Moves<SharedState>& out) const {
    const Sharer& my = state.sharers[at(who)];
    const SharedPc sleeps = my.pc == SharedPc::wake           ? SharedPc::asleep
                            : my.pc == SharedPc::wake_emptied ? SharedPc::asleep_emptied
                                                              : SharedPc::asleep_opened;
    const SharedPc awake = my.pc == SharedPc::wake           ? SharedPc::look
                           : my.pc == SharedPc::wake_emptied ? SharedPc::set_emptied
                                                             : SharedPc::try_in;
    const auto goes_on = [&](Sharer& waker) {
        if (my.pc == SharedPc::wake) {
            waker.pc = SharedPc::ring_opened;
        } else if (my.pc == SharedPc::wake_emptied) {
            waker.pc = SharedPc::opened_bit;
        } else {
            go_on(waker, waker.after);
        }
    };
    const bool all = my.pc == SharedPc::wake_opened || (my.pc == SharedPc::wake && my.poisons);
    bool has_sleeper = false;
    for (int i = 0; i < count() && !all; ++i) {
        const Sharer& sleeper = state.sharers[at(i)];
        if (sleeper.pc != sleeps || sleeper.life == SharedLife::dead) continue;
        has_sleeper = true;
        SharedState& next = out.draft(state);
        next.sharers[at(i)].pc = awake;
        goes_on(next.sharers[at(who)]);
        out.take_progress(who, name_of(my.pc));
    }
    if (has_sleeper) return;
    SharedState& next = out.draft(state);
    for (Sharer& sleeper : next.sharers) {
        if (!all || sleeper.pc != sleeps) continue;
        sleeper.pc = awake;
        sleeper.armed = false;
    }
    goes_on(next.sharers[at(who)]);
    out.take_progress(who, name_of(my.pc));
}

void SharedModel::environment_moves(const SharedState& state, int who,
                                    Moves<SharedState>& out) const {
    const Sharer& my = state.sharers[at(who)];
    if (my.life == SharedLife::running && my.pc != SharedPc::idle) {
        if (state.crashes < config_.crashes) {
            SharedState& next = out.draft(state);
            next.sharers[at(who)] = {.life = SharedLife::dead, .incarnation = my.incarnation};
            const SharedWord& word = state.word;
            const bool holds = word.holder == who + 1 && word.incarnation == my.incarnation;
            if (holds && !word.entering) next.harmed = true;
            ++next.crashes;
            out.take_environment(who, "DIES");
        }
        if (state.freezes < config_.freezes) {
            SharedState& next = out.draft(state);
            next.sharers[at(who)].life = SharedLife::stopped;
            ++next.freezes;
            out.take_environment(who, "STOPS");
        }
        const bool is_awake = my.pc == SharedPc::look || my.pc == SharedPc::sleep;
        if (config_.deadlines && is_awake && !my.in_vain) {
            SharedState& next = out.draft(state);
            next.sharers[at(who)].in_vain = true;
            out.take_environment(who, "has no time left");
        }
        if (config_.deadlines && is_asleep(my.pc) && !my.in_vain) {
            SharedState& next = out.draft(state);
            Sharer& late = next.sharers[at(who)];
            late.in_vain = true;
            late.at = 0;
            late.pc = my.pc == SharedPc::asleep           ? SharedPc::look
                      : my.pc == SharedPc::asleep_emptied ? SharedPc::drop_look
                                                          : SharedPc::due;
            late.after =
                my.pc == SharedPc::asleep_emptied ? SharedAfter::set_emptied : SharedAfter::done;
            out.take_environment(who, "has no time left");
        }
    }
    if (my.life == SharedLife::dead && state.newcomers < config_.newcomers) {
        SharedState& next = out.draft(state);
        next.sharers[at(who)] = {.rounds = 1,
                                 .incarnation = static_cast<std::uint8_t>(my.incarnation + 1)};
        ++next.newcomers;
        out.take_environment(who, "another one has its place");
    }
    if (my.life == SharedLife::stopped) {
        SharedState& next = out.draft(state);
        next.sharers[at(who)].life = SharedLife::running;
        out.take_progress(who, "goes on");
    }
}

void SharedModel::returns(Sharer& my) const {
    my = {.life = my.life,
          .rounds = static_cast<std::uint8_t>(my.rounds - 1),
          .incarnation = my.incarnation};
}

void SharedModel::go_on(Sharer& my, SharedAfter after) const {
    my.after = SharedAfter::done;
    switch (after) {
        case SharedAfter::done: returns(my); break;
        case SharedAfter::blocked: blocked(my); break;
        case SharedAfter::try_in: my.pc = SharedPc::try_in; break;
        case SharedAfter::set_emptied:
            my.at = 0;
            my.pc = SharedPc::set_emptied;
            break;
    }
}

// A reader that may not go in.
void SharedModel::blocked(Sharer& my) const {
    my.at = 0;
    my.seen = {};
    if (my.in_vain) return returns(my);
    my.pc = my.armed ? SharedPc::sleep_opened : SharedPc::set_opened;
}

void SharedModel::got_alone(SharedState& state, Sharer& my, bool told, const char*& fault) const {
    for (const Sharer& other : state.sharers) {
        if (&other == &my || other.life == SharedLife::dead) continue;
        if (is_alone(other.pc)) fault = "two write at once";
        if (other.pc == SharedPc::reading) fault = "one writes beside a reader";
    }
    if (state.torn && !told) fault = "torn, and its new holder is not told";
    if (told && !state.harmed) fault = "told of a death that did no harm";
    my.told = told;
    my.seen = {};
    my.at = 0;
    my.armed = false;
    my.pc = SharedPc::changing;
    state.torn = true;
}

void SharedModel::got_in(SharedState& state, Sharer& my, const char*& fault) const {
    for (const Sharer& other : state.sharers) {
        if (other.life != SharedLife::dead && is_alone(other.pc)) fault = "one reads what is torn";
    }
    if (state.torn) fault = "one reads what a dead writer left";
    my.armed = false;
    my.pc = SharedPc::reading;
}

void SharedModel::step(SharedState& state, int who, const char*& fault) const {
    Sharer& my = state.sharers[at(who)];
    switch (my.pc) {
        case SharedPc::idle:
            my.pc = who < config_.writers ? SharedPc::fast : SharedPc::try_in;
            break;
        case SharedPc::fast:
        case SharedPc::take:
        case SharedPc::inherit: step_take(state, who, fault); break;
        case SharedPc::look:
        case SharedPc::mark:
        case SharedPc::sleep: step_wait(state, my); break;
        case SharedPc::scan:
        case SharedPc::set_emptied:
        case SharedPc::scan_again:
        case SharedPc::sleep_emptied:
        case SharedPc::clear: step_enter(state, my, fault); break;
        case SharedPc::changing:
            state.torn = false;
            my.pc = SharedPc::whole;
            break;
        case SharedPc::whole:  // repaired(), if it was told
            if (my.told) {
                state.word.inconsistent = false;
                state.harmed = false;
            }
            my.pc = SharedPc::give;
            break;
        case SharedPc::give:
        case SharedPc::give_look:
        case SharedPc::give_slowly: step_give(state, who, fault); break;
        case SharedPc::due:
        case SharedPc::heir: step_heir(state, who, fault); break;
        case SharedPc::drop_look:
        case SharedPc::drop: step_drop(state, my); break;
        case SharedPc::ring_emptied:
        case SharedPc::opened_bit:
        case SharedPc::opened_word:
        case SharedPc::ring_opened: step_ring(state, my); break;
        default: step_read(state, who, fault); break;
    }
}

// --- the writer's word --------------------------------------------------------------------------

void SharedModel::step_wait(SharedState& state, Sharer& my) const {
    if (my.pc == SharedPc::look) {
        my.seen = state.word;
        if (my.seen.poisoned) {
            returns(my);
        } else if (my.seen.holder == 0) {
            my.pc = SharedPc::take;
        } else if (is_gone(state, my.seen.holder, my.seen.incarnation)) {
            my.pc = SharedPc::inherit;
        } else if (my.in_vain && (!my.slept || my.seen.waiters)) {
            returns(my);
        } else {
            my.pc = SharedPc::mark;
        }
        return;
    }
    if (my.pc == SharedPc::mark) {
        my.pc = state.word == my.seen ? SharedPc::sleep : SharedPc::look;
        if (my.pc == SharedPc::look) return;
        state.word.waiters = true;
        my.seen.waiters = true;
        if (my.in_vain) returns(my);
        return;
    }
    SharedWord now = state.word;  // the kernel compares the low half: all but the incarnation
    now.incarnation = my.seen.incarnation;
    my.slept = true;
    my.pc = now == my.seen ? SharedPc::asleep : SharedPc::look;
    my.seen = {};
}

void SharedModel::step_take(SharedState& state, int who, const char*& fault) const {
    Sharer& my = state.sharers[at(who)];
    const SharedWord seen = my.seen;
    const SharedPc how = my.pc;
    if (state.word != seen) {
        my.seen = {};
        my.pc = SharedPc::look;
        return;
    }
    const bool from_one_in = how == SharedPc::inherit && !seen.entering;
    state.word = {.holder = static_cast<std::uint8_t>(who + 1), .incarnation = my.incarnation};
    state.word.waiters = how != SharedPc::fast && (seen.waiters || my.slept);
    my.seen = {};
    const bool tells = how == SharedPc::inherit && broken(SharedMutant::heir_of_entering_told);
    if (from_one_in || tells) {
        state.word.inconsistent = true;
        return got_alone(state, my, true, fault);
    }
    state.word.entering = true;
    const bool enters = how == SharedPc::inherit && broken(SharedMutant::heir_enters_at_once);
    my.at = 0;
    my.pc = enters || broken(SharedMutant::writer_looks_no_more) ? SharedPc::clear : SharedPc::scan;
}

// --- the readers, as the writer sees them -------------------------------------------------------

void SharedModel::step_enter(SharedState& state, Sharer& my, const char*& fault) const {
    const bool is_empty = state.places[my.at].holder == 0;
    const bool is_last = my.at + 1 == config_.places;
    switch (my.pc) {
        case SharedPc::scan:
        case SharedPc::scan_again:
            if (is_empty && !is_last) {
                ++my.at;
            } else if (is_empty) {
                my.pc = SharedPc::clear;
            } else if (my.in_vain) {
                my.pc = SharedPc::give;
            } else {
                const bool is_first = my.pc == SharedPc::scan;
                my.pc = is_first ? SharedPc::set_emptied : SharedPc::sleep_emptied;
            }
            if (my.pc == SharedPc::scan || my.pc == SharedPc::scan_again) return;
            my.at = 0;
            return;
        case SharedPc::set_emptied:
            state.emptied = true;
            my.rung = false;
            my.pc = broken(SharedMutant::writer_sleeps_unseen) ? SharedPc::sleep_emptied
                                                               : SharedPc::scan_again;
            return;
        case SharedPc::sleep_emptied:
            my.pc = my.rung ? SharedPc::set_emptied : SharedPc::asleep_emptied;
            my.rung = false;
            return;
        default: break;
    }
    state.word.entering = false;
    my.rung = false;
    got_alone(state, my, false, fault);
}

void SharedModel::step_give(SharedState& state, int who, const char*& fault) const {
    Sharer& my = state.sharers[at(who)];
    const auto me = static_cast<std::uint8_t>(who + 1);
    my.after = SharedAfter::done;
    my.rung = false;
    if (my.pc == SharedPc::give) {
        const SharedWord mine{.holder = me, .incarnation = my.incarnation};
        if (state.word != mine) {
            my.pc = SharedPc::give_look;
            return;
        }
        state.word = {};
        my.pc = SharedPc::ring_opened;
        if (broken(SharedMutant::gives_without_ring)) returns(my);
        return;
    }
    if (my.pc == SharedPc::give_look) {
        my.seen = state.word;
        my.pc = SharedPc::give_slowly;
        const bool is_mine = my.seen.holder == me && my.seen.incarnation == my.incarnation;
        if (!is_mine) fault = "it is taken from one that lives";
        return;
    }
    if (state.word != my.seen) {
        my.pc = SharedPc::give_look;
        return;
    }
    my.poisons = my.seen.inconsistent && !broken(SharedMutant::unmended_not_poisoned);
    state.word = {.poisoned = my.poisons};
    my.pc = my.seen.waiters ? SharedPc::wake : SharedPc::ring_opened;
    my.seen = {};
}

// --- to read ------------------------------------------------------------------------------------

void SharedModel::step_read(SharedState& state, int who, const char*& fault) const {
    Sharer& my = state.sharers[at(who)];
    const PlaceOfReader mine{.holder = static_cast<std::uint8_t>(who + 1),
                             .incarnation = my.incarnation};
    switch (my.pc) {
        case SharedPc::try_in:
            if (state.word.poisoned) {
                returns(my);
            } else if (state.word.holder != 0) {
                blocked(my);
            } else {
                my.at = 0;
                my.pc = SharedPc::announce;
            }
            return;
        case SharedPc::announce:
            if (state.places[my.at].holder == 0) {
                state.places[my.at] = mine;
                my.pc = SharedPc::check;
                if (broken(SharedMutant::reader_looks_no_more)) got_in(state, my, fault);
            } else if (my.at + 1 < config_.places) {
                ++my.at;
            } else {
                blocked(my);
            }
            return;
        case SharedPc::check:
            if (state.word == SharedWord{}) return got_in(state, my, fault);
            my.after = SharedAfter::blocked;
            my.pc = SharedPc::leave;
            return;
        case SharedPc::reading:
            my.after = SharedAfter::done;
            my.pc = SharedPc::leave;
            return;
        case SharedPc::leave:
            if (state.places[my.at] != mine) {
                fault = "its place was taken from one that lives";
                return;
            }
            state.places[my.at] = {};
            my.at = 0;
            my.pc = SharedPc::ring_emptied;
            if (broken(SharedMutant::leaves_without_ring)) my.pc = SharedPc::opened_bit;
            return;
        case SharedPc::set_opened:
            state.opened = true;
            my.armed = true;
            my.rung = false;
            my.pc = broken(SharedMutant::readers_sleep_unseen) ? SharedPc::sleep_opened
                                                               : SharedPc::try_in;
            return;
        case SharedPc::sleep_opened:
            my.pc = my.rung ? SharedPc::try_in : SharedPc::asleep_opened;
            my.armed = !my.rung;
            my.rung = false;
            return;
        default: return;
    }
}

void SharedModel::step_heir(SharedState& state, int who, const char*& fault) const {
    Sharer& my = state.sharers[at(who)];
    my.armed = false;
    if (my.pc == SharedPc::due) {
        my.seen = state.word;
        if (my.seen.holder == 0) {
            my.seen = {};
            my.after = SharedAfter::try_in;
            my.pc = SharedPc::drop_look;
        } else if (is_gone(state, my.seen.holder, my.seen.incarnation)) {
            my.pc = SharedPc::heir;
        } else {
            my.seen = {};
            my.pc = SharedPc::try_in;
        }
        return;
    }
    const SharedWord seen = my.seen;
    my.seen = {};
    my.pc = SharedPc::try_in;
    if (state.word != seen) return;
    if (!seen.entering && !broken(SharedMutant::writer_in_forgotten)) {
        state.word.holder = static_cast<std::uint8_t>(who + 1);
        state.word.incarnation = my.incarnation;
        state.word.inconsistent = true;
        return got_alone(state, my, true, fault);
    }
    state.word = {};
    my.after = SharedAfter::try_in;
    my.pc = seen.waiters ? SharedPc::wake : SharedPc::ring_opened;
}

// --- both ---------------------------------------------------------------------------------------

void SharedModel::step_drop(SharedState& state, Sharer& my) const {
    bool has_dropped = false;
    PlaceOfReader& place = state.places[my.at];
    if (my.pc == SharedPc::drop_look) {
        bool drops = place.holder != 0 && is_gone(state, place.holder, place.incarnation);
        if (place.holder != 0 && broken(SharedMutant::stopped_reader_dropped)) {
            drops = drops || state.sharers[at(place.holder - 1)].life == SharedLife::stopped;
        }
        if (drops) {
            my.seen_place = place;
            my.pc = SharedPc::drop;
            return;
        }
    } else {
        has_dropped = place == my.seen_place || broken(SharedMutant::dropped_by_store);
        if (has_dropped) place = {};
        my.seen_place = {};
    }
    // One ring for each, in place of one for all.
    if (has_dropped) {
        my.at = 0;
        my.pc = SharedPc::ring_emptied;
    } else if (my.at + 1 < config_.places) {
        ++my.at;
        my.pc = SharedPc::drop_look;
    } else {
        go_on(my, my.after);
        if (my.in_vain && my.pc == SharedPc::set_emptied) my.pc = SharedPc::scan;
    }
}

void SharedModel::step_ring(SharedState& state, Sharer& my) const {
    const auto change = [&](SharedPc one, SharedPc other) {
        for (Sharer& sleeper : state.sharers) {
            if (sleeper.life == SharedLife::dead) continue;
            if (sleeper.pc == one || sleeper.pc == other) sleeper.rung = true;
            // It armed the bell, and looks again in between.
            if (one == SharedPc::sleep_opened && sleeper.armed) sleeper.rung = true;
        }
    };
    switch (my.pc) {
        case SharedPc::ring_emptied:
            my.pc = state.emptied ? SharedPc::wake_emptied : SharedPc::opened_bit;
            if (!state.emptied) return;
            state.emptied = false;
            return change(SharedPc::sleep_emptied, SharedPc::scan_again);
        case SharedPc::opened_bit:
            if (!state.opened || broken(SharedMutant::place_without_ring)) {
                return go_on(my, my.after);
            }
            my.pc = SharedPc::opened_word;
            return;
        case SharedPc::opened_word:
            if (state.word.holder != 0) return go_on(my, my.after);
            my.pc = SharedPc::ring_opened;
            return;
        default: break;
    }
    if (!state.opened) return go_on(my, my.after);
    state.opened = false;
    my.pc = SharedPc::wake_opened;
    change(SharedPc::sleep_opened, SharedPc::sleep_opened);
}

Ending SharedModel::ending(const SharedState& state) const {
    bool rests = true;
    for (int i = 0; i < count(); ++i) {
        const Sharer& my = state.sharers[at(i)];
        if (my.life == SharedLife::dead) continue;
        rests =
            rests && my.life == SharedLife::running && my.pc == SharedPc::idle && my.rounds == 0;
    }
    if (!rests) return {};
    if (state.word.poisoned && !config_.forgetful) {
        return {.fault = "poisoned, and everybody mended"};
    }
    if (state.word.holder != 0 && !is_gone(state, state.word.holder, state.word.incarnation)) {
        return {.fault = "held by one that returned"};
    }
    for (const PlaceOfReader& place : state.places) {
        if (place.holder != 0 && !is_gone(state, place.holder, place.incarnation)) {
            return {.fault = "a place is left to one that returned"};
        }
    }
    return {.is_clean = true};
}

std::string SharedModel::text(const SharedState& state) const {
    std::string out =
        "word " + std::to_string(state.word.holder) + "." + std::to_string(state.word.incarnation);
    if (state.word.entering) out += " entering";
    if (state.word.waiters) out += " waiters";
    if (state.word.inconsistent) out += " inconsistent";
    if (state.word.poisoned) out += " poisoned";
    out += " places";
    for (int i = 0; i < config_.places; ++i) {
        out += " " + std::to_string(state.places[at(i)].holder);
    }
    out += state.emptied ? " emptied?" : "";
    out += state.opened ? " opened?" : "";
    out += state.torn ? " torn |" : " whole |";
    static constexpr const char* kLives[] = {"", "stopped: ", "dead: "};
    for (int i = 0; i < count(); ++i) {
        const Sharer& my = state.sharers[at(i)];
        out += " " + std::to_string(i + 1) + ": " + kLives[static_cast<std::size_t>(my.life)] +
               name_of(my.pc) + ";";
    }
    return out;
}

}  // namespace stoa::model
