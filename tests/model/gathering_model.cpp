#include "tests/model/gathering_model.hpp"

namespace stoa::model {
namespace {

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

constexpr const char* kPcNames[] = {"calls",           "takes a place",  "is expected",
                                    "reads the phase", "arrives",        "begins to look",
                                    "looks",           "ends the phase", "looks who sleeps",
                                    "clears the bell", "wakes",          "looks whether it is over",
                                    "marks",           "looks again",    "falls asleep",
                                    "asleep",          "marks again"};

const char* name_of(GatheringPc pc) {
    return kPcNames[static_cast<std::size_t>(pc)];
}

constexpr int kTurns = 16;

std::uint8_t after(int phase) {
    return static_cast<std::uint8_t>((phase + 1) % kTurns);
}

}  // namespace

GatheringState GatheringModel::initial() const {
    State state{};
    state.expected = static_cast<std::uint8_t>(config_.members - config_.joiners);
    for (int i = 0; i < config_.members; ++i) {
        state.peers[at(i)].rounds = static_cast<std::uint8_t>(config_.rounds);
        if (i < state.expected) state.places[at(i)].kind = PlaceKind::member;
    }
    return state;
}

bool GatheringModel::is_gone(const State& state, int who) const {
    const GatheringLife life = state.peers[at(who)].life;
    return life == GatheringLife::dead ||
           (life == GatheringLife::stopped && broken(GatheringMutant::stopped_is_dead));
}

void GatheringModel::moves(const State& state, Moves<State>& out) const {
    for (int who = 0; who < config_.members; ++who) {
        const GatheringPeer& my = state.peers[at(who)];
        const bool rests = my.pc == GatheringPc::idle && my.rounds == 0;
        const bool slices = state.crashes > 0 || state.freezes > 0;
        if (my.life == GatheringLife::running && my.pc == GatheringPc::asleep) {
            if (slices) {
                State& next = out.draft(state);
                next.peers[at(who)].looks = !broken(GatheringMutant::dead_stay_expected);
                next.peers[at(who)].pc = GatheringPc::begin;
                out.take_progress(who, "its slice is over");
            }
        } else if (my.life == GatheringLife::running && my.pc == GatheringPc::ring_wake &&
                   broken(GatheringMutant::wakes_one)) {
            State& next = out.draft(state);
            for (GatheringPeer& one : next.peers) {
                if (one.pc != GatheringPc::asleep) continue;
                one.pc = GatheringPc::woken;
                break;
            }
            looked(next.peers[at(who)]);
            out.take_progress(who, "wakes one");
        } else if (my.life == GatheringLife::running && !rests) {
            State& next = out.draft(state);
            const char* fault = nullptr;
            step(next, who, fault);
            out.take_progress(who, name_of(my.pc), fault);
        }
        environment_moves(state, who, out);
    }
}

void GatheringModel::environment_moves(const State& state, int who, Moves<State>& out) const {
    const GatheringPeer& my = state.peers[at(who)];
    const bool is_done = my.pc == GatheringPc::idle && my.rounds == 0;
    if (my.life == GatheringLife::running && !is_done) {
        if (state.crashes < config_.crashes) {
            State& next = out.draft(state);
            next.peers[at(who)] = {.life = GatheringLife::dead};
            ++next.crashes;
            out.take_environment(who, "DIES");
        }
        if (state.freezes < config_.freezes) {
            State& next = out.draft(state);
            next.peers[at(who)].life = GatheringLife::stopped;
            ++next.freezes;
            out.take_environment(who, "STOPS");
        }
    }
    if (my.life == GatheringLife::stopped) {
        State& next = out.draft(state);
        next.peers[at(who)].life = GatheringLife::running;
        out.take_progress(who, "goes on");
    }
}

// After a look at the places: back to where it came from.
void GatheringModel::looked(GatheringPeer& my) const {
    my.pc = GatheringPc::wait;
    my.looks = false;
    my.index = 0;
    my.seen = 0;
}

void GatheringModel::step(State& state, int who, const char*& fault) const {
    switch (state.peers[at(who)].pc) {
        case GatheringPc::idle:
        case GatheringPc::name:
        case GatheringPc::expect:
        case GatheringPc::read:
        case GatheringPc::arrive: step_arrive(state, who); break;
        case GatheringPc::begin:
        case GatheringPc::look: step_look(state, who); break;
        case GatheringPc::end: step_end(state, who, fault); break;
        case GatheringPc::ring_look:
        case GatheringPc::ring_clear:
        case GatheringPc::ring_wake: step_ring(state, who); break;
        default: step_sleep(state, who); break;
    }
}

void GatheringModel::step_arrive(State& state, int who) const {
    GatheringPeer& my = state.peers[at(who)];
    GatheringPlace& place = state.places[at(who)];
    const bool early = broken(GatheringMutant::expected_before_named);
    switch (my.pc) {
        case GatheringPc::idle:
            my.pc = GatheringPc::read;
            if (place.kind == PlaceKind::vacant) {
                my.pc = early ? GatheringPc::expect : GatheringPc::name;
            }
            break;
        case GatheringPc::name:
            place = {.kind = PlaceKind::member, .arrived = state.phase};
            my.pc = early ? GatheringPc::read : GatheringPc::expect;
            break;
        case GatheringPc::expect:
            if (state.expected < who + 1) state.expected = static_cast<std::uint8_t>(who + 1);
            my.came_in = state.phase;
            my.pc = early ? GatheringPc::name : GatheringPc::read;
            break;
        case GatheringPc::read:
            my.phase = state.phase;
            my.pc = GatheringPc::arrive;
            break;
        default: {  // arrive
            const bool drops = config_.drops && my.rounds == 1;
            if (drops) {
                place = {.kind = PlaceKind::dropped};
            } else {
                place.arrived = after(my.phase);
            }
            const bool forgets = broken(GatheringMutant::last_one_does_not_look) ||
                                 (drops && broken(GatheringMutant::drop_does_not_look));
            my.pc = forgets ? GatheringPc::wait : GatheringPc::begin;
            break;
        }
    }
}

void GatheringModel::step_look(State& state, int who) const {
    GatheringPeer& my = state.peers[at(who)];
    if (my.pc == GatheringPc::begin) {
        my.seen = state.phase;
        my.index = 0;
        my.pc = GatheringPc::look;
        return;
    }
    GatheringPlace& place = state.places[at(my.index)];
    const bool stays = broken(GatheringMutant::arrival_stays) && place.arrived != 0;
    bool has_come = place.kind == PlaceKind::dropped || place.kind == PlaceKind::gone ||
                    (place.kind == PlaceKind::member && (place.arrived == after(my.seen) || stays));
    if (!has_come && my.looks && place.kind == PlaceKind::member && is_gone(state, my.index)) {
        place = {.kind = PlaceKind::gone};
        has_come = true;
    }
    if (!has_come) return looked(my);
    ++my.index;
    if (my.index == state.expected) my.pc = GatheringPc::end;
}

void GatheringModel::step_end(State& state, int who, const char*& fault) const {
    GatheringPeer& my = state.peers[at(who)];
    const bool stores = broken(GatheringMutant::ends_by_store);
    // The word holds `expected` too: one that came meanwhile makes it look again.
    if ((state.phase != my.seen || my.index != state.expected) && !stores) {
        my.pc = GatheringPc::begin;
        my.index = 0;
        my.seen = 0;
        return;
    }
    for (int i = 0; i < state.expected; ++i) {
        const GatheringPlace& place = state.places[at(i)];
        const GatheringPeer& other = state.peers[at(i)];
        const bool counts = place.kind == PlaceKind::member && other.life != GatheringLife::dead &&
                            place.arrived != after(my.seen);
        const bool was_there = i < config_.members - config_.joiners;
        if (counts && was_there) fault = "a phase ends without one that lives";
        if (place.kind == PlaceKind::gone && other.life != GatheringLife::dead) {
            fault = "one that lives is called gone";
        }
    }
    state.phase = after(my.seen);
    my.pc = GatheringPc::ring_look;
}

void GatheringModel::step_ring(State& state, int who) const {
    GatheringPeer& my = state.peers[at(who)];
    const bool is_marked = (state.bell & 1U) != 0;
    if (my.pc != GatheringPc::ring_wake) {
        if (!is_marked) return looked(my);
        const bool looks_only = my.pc == GatheringPc::ring_look;
        my.pc = looks_only ? GatheringPc::ring_clear : GatheringPc::ring_wake;
        if (!looks_only) state.bell = static_cast<std::uint8_t>((state.bell + 2U) & 0x1eU);
        return;
    }
    for (GatheringPeer& one : state.peers) {
        if (one.pc == GatheringPc::asleep && !broken(GatheringMutant::no_wake)) {
            one.pc = GatheringPc::woken;
        }
    }
    looked(my);
}

void GatheringModel::step_sleep(State& state, int who) const {
    GatheringPeer& my = state.peers[at(who)];
    switch (my.pc) {
        case GatheringPc::wait:
        case GatheringPc::again:
            if (state.phase != my.phase) {
                my = {.life = my.life,
                      .rounds = static_cast<std::uint8_t>(my.rounds - 1),
                      .came_in = my.came_in};
            } else if (my.pc == GatheringPc::wait) {
                my.pc = GatheringPc::mark;
            } else {
                my.pc = GatheringPc::sleep;
            }
            break;
        case GatheringPc::mark:
            state.bell = static_cast<std::uint8_t>(state.bell | 1U);
            my.bell = state.bell;
            my.pc = broken(GatheringMutant::sleeper_does_not_look_again) ? GatheringPc::sleep
                                                                         : GatheringPc::again;
            break;
        case GatheringPc::sleep:
            my.pc = state.bell == my.bell ? GatheringPc::asleep : GatheringPc::woken;
            my.bell = 0;
            break;
        default:  // woken
            state.bell = static_cast<std::uint8_t>(state.bell | 1U);
            my.pc = GatheringPc::wait;
            break;
    }
}

Ending GatheringModel::ending(const State& state) const {
    bool rests = true;
    for (int i = 0; i < config_.members; ++i) {
        const GatheringPeer& my = state.peers[at(i)];
        if (my.life == GatheringLife::dead) continue;
        rests = rests && my.life == GatheringLife::running && my.pc == GatheringPc::idle &&
                my.rounds == 0;
    }
    return {.is_clean = rests};
}

std::string GatheringModel::text(const State& state) const {
    std::string out = "phase " + std::to_string(state.phase) + " expected " +
                      std::to_string(state.expected) + " bell " + std::to_string(state.bell) + " |";
    static constexpr const char* kLives[] = {"", "stopped: ", "dead: "};
    for (int i = 0; i < config_.members; ++i) {
        const GatheringPeer& my = state.peers[at(i)];
        out += " " + std::to_string(i + 1) + ": " + kLives[static_cast<std::size_t>(my.life)] +
               name_of(my.pc) + ";";
    }
    return out;
}

}  // namespace stoa::model
