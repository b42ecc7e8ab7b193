#include "stoa/base/check.hpp"
#include "tests/model/routes_steps.hpp"

// The doors of lanes: taken by a sender, handed over by an heir, let go when they are drained.
namespace stoa::model {
// ---- A sender -----------------------------------------------------------------------------------

// It leads to where this sender wants to send, or nowhere: it was let go.
bool RoutesStep::leads_here(const Label& label) const {
    return label.station == my_.station || label.station == kNowhere;
}

void RoutesStep::next_door() {
    my_.label = {};
    ++my_.index;
    my_.pc = Pc::s_door_take;
}

void RoutesStep::give_door_up() {
    state_.doors[my_.index].sender = 0;
    next_door();
}

// One access, but for the mutant that looks whether it is drained before it takes it.
void RoutesStep::take_door() {
    Door& door = state_.doors[my_.index];
    bool fits = true;
    if (my_.pc == Pc::s_door_take) {
        const bool looks =
            broken(RoutesMutant::drained_before_claim) && door.label.handed_over && door.ready;
        fits = !door.ready || (leads_here(door.label) && (!looks || door.messages == 0));
        if (fits && looks) {
            my_.pc = Pc::s_door_claim;
            return;
        }
    }
    if (!fits || door.sender != 0) {
        next_door();
        return;
    }
    door.sender = byte(me_ + 1);
    my_.pc = config_.marks ? Pc::s_door_read : Pc::s_door_turn;
    if (!door.ready) my_.pc = Pc::s_door_label;
}

// An orphaned door that leads there, or a new one.
void RoutesStep::door_step() {
    if (my_.index == kDoors) {  // no free place: the send fails
        sent();
        return;
    }
    Door& door = state_.doors[my_.index];
    switch (my_.pc) {
        case Pc::s_door_take:
        case Pc::s_door_claim: take_door(); break;
        case Pc::s_door_label:
            door.label = {my_.station, byte(door.label.turn + 1)};
            my_.pc = Pc::s_door_ready;
            break;
        case Pc::s_door_ready:
            door.ready = true;
            my_.pc = Pc::s_door_open;
            break;
        case Pc::s_door_open:
            if (state_.lanes_open <= my_.index) state_.lanes_open = byte(my_.index + 1);
            my_.pc = Pc::s_door_look;
            break;
        case Pc::s_door_read: {
            const bool looks = !broken(RoutesMutant::taken_undrained) &&
                               !broken(RoutesMutant::drained_before_claim);
            my_.label = door.label;
            my_.pc = door.label.handed_over && looks ? Pc::s_door_drained : Pc::s_door_turn;
            if (!leads_here(door.label)) give_door_up();  // handed over meanwhile
            break;
        }
        case Pc::s_door_drained:  // what lies there is marked as delivered again, ours is not
            my_.pc = Pc::s_door_turn;
            if (door.messages != 0) give_door_up();
            break;
        case Pc::s_door_turn:
            if (config_.marks ? door.label == my_.label : leads_here(door.label)) {
                door.label = {my_.station, byte(door.label.turn + 1)};
                my_.label = {};
                my_.pc = Pc::s_door_open;
            } else {
                give_door_up();
            }
            break;
        case Pc::s_door_look:
            if (door.label.station != my_.station) {  // handed over meanwhile
                give_door_up();
                my_.index = 0;
                break;
            }
            lane() = {true, true, my_.index, door.label};
            my_.index = 0;
            my_.pc = Pc::s_lane_put;
            break;
        default: STOA_CHECK(false); break;
    }
}

// All at the end, one after the other.
void RoutesStep::close_step() {
    Door& door = state_.doors[my_.index];
    if (door.sender == me_ + 1) door.sender = 0;
    if (++my_.index < kDoors) return;
    my_.index = 0;
    my_.lanes = {};
    my_.pc = Pc::s_choose;
}

// ---- What was handed over -----------------------------------------------------------------------

// What comes there is marked, until it is drained and who sent there before has let go.
void RoutesStep::expect_handed_over() {
    const Door& door = state_.doors[my_.index];
    my_.marked = byte(my_.marked | bit(my_.index));
    my_.from[my_.index] = {door.sender, door.label};
}

void RoutesStep::forget_mark() {
    my_.marked = byte(my_.marked & ~bit(my_.index));
    my_.from[my_.index] = {};
}

// Of what a receiver got only that matters of which something earlier is still on its way.
void RoutesStep::forget_what_came_in_order() {
    int matters = 0;
    for (int s = 0; s < config_.senders; ++s) {
        bool is_late = false;
        for (int m = s * config_.messages; m < (s + 1) * config_.messages; ++m) {
            if (is_late) matters |= 1 << m;
            is_late = is_late || (state_.delivered >> m & 1) == 0;
        }
    }
    for (RoutesPerson& person : state_.people) {
        person.received = byte(person.received & matters);
    }
}

// A lane keeps the order of each sender.
bool RoutesStep::take_of_lane(std::size_t door, int message) {
    std::uint8_t& messages = state_.doors[door].messages;
    const int first = message / config_.messages * config_.messages;
    const int of_sender = bit(config_.messages) - 1;
    const int earlier = ((1 << message) - 1) & of_sender << first;
    if ((messages & earlier) != 0 || !take_of(messages, message)) return false;
    if (!config_.marks) return true;
    const int later = of_sender << first & ~earlier & ~(1 << message);
    const bool is_marked = (my_.marked >> door & 1) != 0;
    if (!is_marked && (my_.received & later) != 0) {
        fault_ = "a sender's messages came out of order, unmarked";
    }
    if (!is_marked) my_.received = byte(my_.received | bit(message));
    forget_what_came_in_order();
    return true;
}

// allowed: function_length: one switch, a step of the algorithm per case
void RoutesStep::mark_step() {
    if (my_.pc == Pc::m_inherit && my_.index == state_.lanes_open) {
        start();
        return;
    }
    Door& door = state_.doors[my_.index];
    switch (my_.pc) {
        case Pc::m_inherit: {  // what the forerunner took over, and had not read
            const bool is_ours = door.label.station == my_.station && door.label.handed_over;
            if (is_ours && !broken(RoutesMutant::marks_not_inherited)) expect_handed_over();
            ++my_.index;
            break;
        }
        case Pc::m_sender: {
            const HandedFrom& from = my_.from[my_.index];
            my_.is_last = from.sender == 0 || from.sender != door.sender ||
                          from.label != door.label || broken(RoutesMutant::unmarked_early) ||
                          broken(RoutesMutant::let_go_with_sender);
            my_.pc = Pc::m_empty;
            break;
        }
        case Pc::m_empty: {
            const bool drained = door.messages == 0 || broken(RoutesMutant::let_go_undrained);
            const bool is_over = my_.is_last && drained;
            my_.is_last = false;
            if (is_over) {
                forget_mark();
                my_.pc = Pc::m_read;
                if (!config_.lets_go) start();
            } else {
                start();
            }
            break;
        }
        case Pc::m_read:
            my_.label = door.label;
            my_.pc = Pc::m_nobody;
            if (door.label.station != my_.station || !door.label.handed_over) start();
            break;
        case Pc::m_nobody:
            my_.pc = Pc::m_drained;
            if (door.sender != 0 && !broken(RoutesMutant::let_go_with_sender)) start();
            break;
        case Pc::m_drained:
            my_.pc = Pc::m_let_go;
            if (door.messages != 0 && !broken(RoutesMutant::let_go_undrained)) start();
            break;
        default:
            if (door.label == my_.label) {
                door.label = {kNowhere, byte(door.label.turn + 1)};
                const bool reads_on = broken(RoutesMutant::let_go_reads_on);
                if (!reads_on) my_.attached = byte(my_.attached & ~bit(my_.index));
            }
            start();
            break;
    }
}

// ---- An heir of lanes ---------------------------------------------------------------------------

void RoutesStep::next_door_of_heir() {
    my_.label = {};
    ++my_.index;
    my_.pc = Pc::a_read_door;
}

void RoutesStep::adopt_step() {
    const bool releases_first = broken(RoutesMutant::seat_released_first);
    switch (my_.pc) {
        case Pc::a_hold:
            if (broken(RoutesMutant::adopts_without_seat)) {
                my_.pc = Pc::a_read_door;
            } else if (seat(my_.heir_of).holder == 0) {
                seat(my_.heir_of) = {byte(me_ + 1), !broken(RoutesMutant::seat_not_marked)};
                my_.pc = releases_first ? Pc::a_release : Pc::a_read_door;
            } else {
                next_orphan();
            }
            break;
        case Pc::a_read_door:
            if (my_.index == state_.lanes_open) {
                my_.index = 0;
                my_.pc = Pc::a_clear;
                break;
            }
            my_.label = state_.doors[my_.index].label;
            my_.pc = Pc::a_change_door;
            if (my_.label.station != my_.heir_of) next_door_of_heir();
            break;
        case Pc::a_change_door: {
            Label& label = state_.doors[my_.index].label;
            if (label != my_.label) {
                next_door_of_heir();
                break;
            }
            my_.adopted = true;
            label = {my_.station, byte(label.turn + 1)};
            if (!config_.marks) {
                next_door_of_heir();
                break;
            }
            label.handed_over = !broken(RoutesMutant::handed_over_unsaid);
            my_.label = {};
            my_.pc = Pc::a_expect;
            break;
        }
        case Pc::a_expect:  // behind the change: who comes later to this door knows where it leads
            if (!broken(RoutesMutant::adopted_unmarked)) expect_handed_over();
            next_door_of_heir();
            break;
        case Pc::a_clear:
            state_.orphans = byte(state_.orphans & ~(1 << my_.heir_of));
            my_.pc = releases_first ? Pc::a_again : Pc::a_release;
            break;
        case Pc::a_release:
            if (seat(my_.heir_of).holder == me_ + 1) seat(my_.heir_of) = {};
            my_.pc = releases_first ? Pc::a_read_door : Pc::a_again;
            break;
        case Pc::a_again: {
            bool leads_there = false;
            for (std::size_t i = 0; i < state_.lanes_open; ++i) {
                leads_there = leads_there || state_.doors[i].label.station == my_.heir_of;
            }
            if (leads_there && seat(my_.heir_of).holder == 0) {
                my_.pc = Pc::a_set;
            } else {
                next_orphan();
            }
            break;
        }
        default:
            state_.orphans = byte(state_.orphans | bit(my_.heir_of));
            next_orphan();
            break;
    }
}

}  // namespace stoa::model
