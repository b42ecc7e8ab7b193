#include "tests/model/routes_model.hpp"

#include "tests/model/routes_steps.hpp"

namespace stoa::model {
namespace {

using Pc = RoutesPc;
using Life = RoutesLife;

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

bool has_sent_all(const RoutesPerson& person) {
    return person.sends && person.next == person.end && person.pc != Pc::s_close;
}
bool is_live(const RoutesPerson& person) {
    return person.life == Life::running;
}

}  // namespace

RoutesState RoutesModel::initial() const {
    RoutesState state{};
    const int vacant = config_.vacant ? 1 : 0;
    for (int i = 0; i < config_.people(); ++i) {
        RoutesPerson& my = state.people[at(i)];
        my.sends = i < config_.senders;
        if (i >= config_.senders + config_.receivers) continue;
        my.life = Life::running;
        if (my.sends) {
            my.next = byte(i * config_.messages);
            my.end = byte((i + 1) * config_.messages - i * config_.fewer);
            continue;
        }
        my.station = byte(i - config_.senders + vacant);
        my.pc = config_.lanes ? Pc::r_attach_bell : Pc::r_own;
        state.seats[my.station] = {byte(i + 1), false};
    }
    state.stations_open = byte(config_.receivers + vacant);
    if (config_.taken_over) begin_taken_over(state);
    if (!config_.vacant) return state;
    state.orphans = 1;
    RoutesPerson& sender = state.people[0];
    sender.pc = config_.lanes ? Pc::s_lane_put : Pc::s_ring_put;
    if (!config_.lanes) return state;
    if (config_.first_door) {
        sender.pc = Pc::s_door_take;
        return state;
    }
    Door& door = state.doors[0];
    door.sender = 1;
    door.ready = true;
    door.label = {0, 1};
    state.lanes_open = 1;
    sender.lanes[0] = {true, false, 0, door.label};
    return state;
}

// From station 1, of which nobody receives any more, to the receiver of station 0.
void RoutesModel::begin_taken_over(RoutesState& state) const {
    state.stations_open = byte(config_.receivers + 1);
    state.lanes_open = 1;
    Door& door = state.doors[0];
    door = {.sender = 1, .ready = true, .mark = false, .label = {0, 2, true}, .messages = 0};
    RoutesPerson& heir = state.people[at(config_.senders)];
    heir.attached = heir.marked = 1;
    heir.from[0] = {1, door.label};
    RoutesPerson& sender = state.people[0];
    sender.pc = Pc::s_lane_put;
    sender.station = 1;
    sender.lanes[1] = {true, false, 0, {1, 1}};
}

// ---- What can happen next -----------------------------------------------------------------------

void RoutesModel::moves(const RoutesState& state, Moves<RoutesState>& out) const {
    for (int who = 0; who < config_.people(); ++who) {
        const RoutesPerson& my = state.people[at(who)];
        if (my.life == Life::absent) {
            RoutesStep(config_, out.draft(state), who).join();
            out.take_environment(who, "COMES");
        }
        if (!is_live(my) || has_sent_all(my)) continue;
        environment_moves(state, who, out);
        person_moves(state, who, out);
    }
    recovery_moves(state, out);
}

void RoutesModel::person_moves(const RoutesState& state, int who, Moves<RoutesState>& out) const {
    const RoutesPerson& my = state.people[at(who)];
    if (my.pc == Pc::w_asleep) {
        if (state.freezes == 0) return;
        RoutesState& next = out.draft(state);
        next.people[at(who)].rung = true;
        next.people[at(who)].pc = Pc::w_sleep;
        out.take_progress(who, "has slept a slice");
        return;
    }
    for (int choice = 0; choice < RoutesStep::choices(my); ++choice) {
        RoutesState& next = out.draft(state);
        RoutesStep step(config_, next, who);
        if (!step.run(choice)) continue;
        const char* fault = step.fault() != nullptr ? step.fault() : two_readers(next);
        out.take_progress(who, RoutesStep::name_of(my.pc), fault);
    }
}

// A lane has one cursor: who attached it reads on from there until he goes.
const char* RoutesModel::two_readers(const RoutesState& state) const {
    int read = 0;
    for (const RoutesPerson& person : state.people) {
        if (person.life != Life::running && person.life != Life::stopped) continue;
        if ((read & person.attached) != 0) return "two receivers read one lane";
        read |= person.attached;
    }
    return nullptr;
}

// The last receiver may go as well: then the messages wait for the next.
void RoutesModel::environment_moves(const RoutesState& state, int who,
                                    Moves<RoutesState>& out) const {
    const RoutesPerson& my = state.people[at(who)];
    const bool may_leave = my.pc == Pc::r_own || my.pc == Pc::w_asleep;
    if (!my.sends && may_leave && state.leaves < config_.leaves) {
        RoutesState& next = out.draft(state);
        ++next.leaves;
        RoutesStep(config_, next, who).leave();
        out.take_environment(who, "LEAVES");
    }
    if (state.crashes < config_.crashes) {
        RoutesState& next = out.draft(state);
        next.people[at(who)] = RoutesPerson{};
        next.people[at(who)].life = Life::dead;
        next.people[at(who)].sends = my.sends;
        ++next.crashes;
        out.take_environment(who, "DIES");
    }
    if (state.freezes < config_.freezes) {
        RoutesState& next = out.draft(state);
        next.people[at(who)].life = Life::stopped;
        ++next.freezes;
        out.take_environment(who, "STOPS FOR EVER");
    }
}

// Seats and doors of the dead are given up, then each free seat gets its bit, then all are woken.
void RoutesModel::recovery_moves(const RoutesState& state, Moves<RoutesState>& out) const {
    const int who = config_.people();
    if (state.recovery == 0) {
        for (int i = 0; i < who; ++i) {
            if (state.people[at(i)].life != Life::dead) continue;
            RoutesState& next = out.draft(state);
            next.recovered = byte(i);
            next.recovery = 1;
            out.take_progress(who, "recovers");
        }
        return;
    }
    RoutesState& next = out.draft(state);
    next.recovery = byte(state.recovery + 1);
    const int holder = state.recovered + 1;
    if (state.recovery == 1) {
        for (Seat& seat : next.seats) {
            const bool keeps = seat.hands_over && config_.mutant == RoutesMutant::mark_not_swept;
            if (seat.holder == holder && !keeps) seat = {};
        }
        for (Door& door : next.doors) {
            if (door.sender == holder) door.sender = 0;
        }
        out.take_progress(who, "gives up seats and doors");
        return;
    }
    const bool tells = config_.mutant != RoutesMutant::recovery_tells_nobody;
    if (state.recovery == 2) {
        for (int i = 0; tells && i < state.stations_open; ++i) {
            if (state.seats[at(i)].holder == 0) next.orphans = byte(next.orphans | 1 << i);
        }
        out.take_progress(who, "sets the bits of free seats");
        return;
    }
    next.recovery = 0;
    next.recovered = 0;
    next.people[at(state.recovered)].life = Life::recovered;
    if (tells) RoutesStep(config_, next, 0).ring_all();
    out.take_progress(who, "wakes all");
}

// ---- What is a clean end ------------------------------------------------------------------------

// What lies with one that stopped is his; so is, in lanes, what an heir that stopped was handing
// over.
bool RoutesModel::is_held_up(const RoutesState& state, int message) const {
    const auto holds_up = [&](int station) {
        if (station == kNowhere) return false;
        const int holder = state.seats[at(station)].holder;
        return holder != 0 && state.people[at(holder - 1)].life == Life::stopped;
    };
    for (int i = 0; i < kStations; ++i) {
        if ((state.rings[at(i)] >> message & 1) != 0) return holds_up(i);
    }
    for (const Door& door : state.doors) {
        if ((door.messages >> message & 1) != 0) return holds_up(door.label.station);
    }
    return false;
}

// A message counts when its send returned. With a receiver that is left none may wait for nobody.
Ending RoutesModel::ending(const RoutesState& state) const {
    if (state.recovery != 0) return {};
    bool has_receiver = false;
    for (int i = 0; i < config_.people(); ++i) {
        const RoutesPerson& my = state.people[at(i)];
        if (my.life == Life::dead) return {};
        if (!is_live(my)) continue;
        if (my.sends ? !has_sent_all(my) : my.pc != Pc::w_asleep) return {};
        has_receiver = has_receiver || !my.sends;
    }
    for (int m = 0; has_receiver && m < config_.senders * config_.messages; ++m) {
        const bool waits = (state.completed >> m & 1) != 0 && (state.delivered >> m & 1) == 0;
        if (waits && !is_held_up(state, m)) return {};
    }
    return {.is_clean = true};
}

std::string RoutesModel::text(const RoutesState& state) const {
    std::string out;
    const auto number = [](int value) { return std::to_string(value); };
    for (int i = 0; i < config_.stations(); ++i) {
        const Seat& seat = state.seats[at(i)];
        out += " seat " + (seat.holder == 0 ? "-" : number(seat.holder - 1)) +
               (seat.hands_over ? "!" : "") + " ring " + number(state.rings[at(i)]);
    }
    for (int i = 0; i < state.lanes_open; ++i) {
        const Door& door = state.doors[at(i)];
        out += " door to " + number(door.label.station) + (door.label.handed_over ? "!" : "") +
               " of " + number(door.sender - 1) + " messages " + number(door.messages);
    }
    out += " orphans " + number(state.orphans) + " delivered " + number(state.delivered) + " |";
    static constexpr const char* kLives[] = {
        "absent", "", "stopped: ", "dead", "recovered", "left"};
    for (int i = 0; i < config_.people(); ++i) {
        const RoutesPerson& my = state.people[at(i)];
        out += " " + number(i) + ":" + kLives[static_cast<std::size_t>(my.life)];
        if (is_live(my) || my.life == Life::stopped) out += RoutesStep::name_of(my.pc);
        if (my.attached != 0) out += " reads " + number(my.attached);
        if (my.marked != 0) out += " marks " + number(my.marked);
        out += ";";
    }
    return out;
}

}  // namespace stoa::model
