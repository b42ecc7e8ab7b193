#include "tests/model/routes_steps.hpp"

#include "stoa/base/check.hpp"

namespace stoa::model {
namespace {

constexpr const char* kPcNames[] = {
    "chooses a station",
    "sends to the ring",
    "rings",
    "looks at its lane's door",
    "gives the door up",
    "takes a door",
    "claims it",
    "labels the door",
    "makes the door ready",
    "opens the door",
    "reads where its door leads",
    "looks whether it is drained",
    "gives the door a new turn",
    "looks where the door leads",
    "sends on the lane",
    "reads the mark",
    "rings the lane's receiver",
    "reads the seat again",
    "sets the orphan bit",
    "wakes all",
    "gives its doors up",
    "reads its bell",
    "attaches a lane",
    "takes of its own",
    "inherits marks",
    "reads the sender of a marked lane",
    "looks whether a marked lane is empty",
    "lets go: reads the door",
    "lets go: reads the sender",
    "lets go: looks whether it is drained",
    "lets go",
    "reads the orphan bits",
    "looks at a seat",
    "looks at nobody's ring",
    "looks at a door",
    "looks at the seat that it leads to",
    "heir: reads the seat",
    "heir: takes",
    "heir: clears the bit",
    "heir: looks again",
    "heir: holds the seat",
    "heir: reads a door",
    "heir: changes a door",
    "heir: reads who sends there",
    "heir: clears the bit",
    "heir: releases the seat",
    "heir: looks again",
    "heir: sets the bit",
    "says that it sleeps",
    "looks again",
    "sleeps",
    "asleep",
    "takes a seat",
    "opens the station",
    "gives up its seat",
    "sets the bits of free seats",
    "wakes all",
};

}  // namespace

const char* RoutesStep::name_of(Pc pc) {
    return kPcNames[static_cast<std::size_t>(pc)];
}

int RoutesStep::choices(const RoutesPerson& my) {
    switch (my.pc) {
        case Pc::s_choose: return kStations;
        case Pc::r_own: return kNoMessage + 1 + kDoors;
        case Pc::h_take: return kNoMessage + 1;
        default: return 1;
    }
}

bool RoutesStep::run(int choice) {
    if (my_.sends) return send_step(choice);
    if (my_.pc <= Pc::r_own) return receive_step(choice);
    if (my_.pc <= Pc::m_let_go) {
        mark_step();
    } else if (my_.pc <= Pc::r_look_door_seat) {
        look_step();
    } else if (my_.pc <= Pc::h_again) {
        return heir_step(choice);
    } else if (my_.pc <= Pc::a_set) {
        adopt_step();
    } else if (my_.pc <= Pc::w_asleep) {
        wait_step();
    } else {
        come_and_go_step();
    }
    return true;
}

// ---- Bells --------------------------------------------------------------------------------------

void RoutesStep::ring(int station) {
    for (RoutesPerson& person : state_.people) {
        const bool exists =
            person.life == RoutesLife::running || person.life == RoutesLife::stopped;
        if (!exists || person.sends || person.pc == Pc::j_seat || person.station != station) {
            continue;
        }
        person.rung = true;
        if (person.pc == Pc::w_asleep) person.pc = Pc::w_sleep;
    }
}

// Whoever opens a further station meanwhile looks before it sleeps.
void RoutesStep::ring_all() {
    for (int i = 0; i < state_.stations_open; ++i) ring(i);
}

// ---- Send ---------------------------------------------------------------------------------------

bool RoutesStep::send_step(int choice) {
    switch (my_.pc) {
        case Pc::s_choose: return choose(choice);
        case Pc::s_ring_put:
            state_.rings[my_.station] = byte(state_.rings[my_.station] | bit(my_.next));
            my_.pc = Pc::s_ring_bell;
            return true;
        case Pc::s_ring_bell:
            ring(my_.station);
            my_.pc = Pc::s_seat_again;
            return true;
        case Pc::s_seat_again:
        case Pc::s_orphan:
        case Pc::s_wake_all: check_step(); return true;
        case Pc::s_close: close_step(); return true;
        case Pc::s_lane_check:
        case Pc::s_lane_drop:
        case Pc::s_lane_put:
        case Pc::s_lane_mark:
        case Pc::s_lane_bell: lane_step(); return true;
        default: door_step(); return true;
    }
}

bool RoutesStep::has_receiver() {
    for (int i = 0; i < state_.stations_open; ++i) {
        if (receives(seat(i))) return true;
    }
    return false;
}

// Any station where somebody receives; without any, station 0 keeps the message.
bool RoutesStep::choose(int station) {
    const bool is_there = station < state_.stations_open && receives(seat(station));
    if (has_receiver() ? !is_there : station != 0) return false;
    my_.station = byte(station);
    my_.pc = config_.lanes ? Pc::s_lane_check : Pc::s_ring_put;
    return true;
}

void RoutesStep::sent() {
    ++my_.next;
    my_.index = 0;
    my_.station = 0;
    my_.pc = config_.lets_go && my_.next == my_.end ? Pc::s_close : Pc::s_choose;
}

// T3.
void RoutesStep::check_step() {
    const auto done = [&] {
        state_.completed = byte(state_.completed | bit(my_.next));
        sent();
    };
    switch (my_.pc) {
        case Pc::s_seat_again:
            if (receives(seat(my_.station)) || broken(RoutesMutant::seat_read_once)) {
                done();  // the same, or another one, who reads what is there
            } else {
                my_.pc = Pc::s_orphan;
            }
            break;
        case Pc::s_orphan:
            state_.orphans = byte(state_.orphans | bit(my_.station));
            my_.pc = Pc::s_wake_all;
            break;
        default:
            if (has_receiver() && !broken(RoutesMutant::bit_without_wake)) ring_all();
            done();
            break;
    }
}

void RoutesStep::lane_step() {
    switch (my_.pc) {
        case Pc::s_lane_check:
            my_.index = 0;
            if (!lane().is_open) {
                my_.pc = Pc::s_door_take;
                break;
            }
            my_.pc =
                state_.doors[lane().door].label == lane().label ? Pc::s_lane_put : Pc::s_lane_drop;
            break;
        case Pc::s_lane_drop:
            state_.doors[lane().door].sender = 0;
            lane() = {};
            my_.pc = Pc::s_door_take;
            break;
        case Pc::s_lane_put: {
            Door& door = state_.doors[lane().door];
            door.messages = byte(door.messages | bit(my_.next));
            my_.pc = Pc::s_lane_mark;
            break;
        }
        case Pc::s_lane_mark: {
            const bool rings_first = lane().is_first && !broken(RoutesMutant::first_not_rung);
            const bool wakes = state_.doors[lane().door].mark || rings_first;
            lane().is_first = false;
            my_.pc = wakes ? Pc::s_lane_bell : Pc::s_seat_again;
            break;
        }
        default: {  // the bell of the station to which the door leads by now
            const bool is_old = broken(RoutesMutant::bell_remembered);
            ring(is_old ? my_.station : state_.doors[lane().door].label.station);
            my_.pc = Pc::s_seat_again;
            break;
        }
    }
}

// ---- Receive ------------------------------------------------------------------------------------

void RoutesStep::start() {
    my_.heir_of = 0;
    my_.index = 0;
    my_.mask = 0;
    my_.label = {};
    my_.adopted = false;
    my_.last_look = false;
    my_.pc = config_.lanes ? Pc::r_attach_bell : Pc::r_own;
}

bool RoutesStep::take_of(std::uint8_t& messages, int choice) {
    if (choice == kNoMessage) return messages == 0;
    if ((messages >> choice & 1) == 0) return false;
    messages = byte(messages & ~(1 << choice));
    if ((state_.delivered >> choice & 1) != 0) fault_ = "a message was delivered twice";
    state_.delivered = byte(state_.delivered | bit(choice));
    return true;
}

bool RoutesStep::has_own() const {
    if (!config_.lanes) return state_.rings[my_.station] != 0;
    for (std::size_t i = 0; i < kDoors; ++i) {
        if (reads(i) && state_.doors[i].messages != 0) return true;
    }
    return false;
}

bool RoutesStep::receive_step(int choice) {
    switch (my_.pc) {
        case Pc::r_attach_bell:
            my_.rung = false;
            my_.pc = Pc::r_attach_door;
            return true;
        case Pc::r_attach_door: {
            if (my_.index == state_.lanes_open) {
                my_.index = 0;
                my_.pc = Pc::r_own;
                return true;
            }
            const Door& door = state_.doors[my_.index];
            const bool is_mine = door.ready && door.label.station == my_.station;
            if (is_mine) my_.attached = byte(my_.attached | bit(my_.index));
            ++my_.index;
            return true;
        }
        default: break;  // r_own
    }
    if (choice > kNoMessage) {
        const int door = choice - kNoMessage - 1;
        if ((my_.marked >> door & 1) == 0) return false;
        my_.index = byte(door);
        my_.pc = Pc::m_sender;
        return true;
    }
    if (!config_.lanes) {
        if (!take_of(state_.rings[my_.station], choice)) return false;
    } else {
        bool is_there = choice == kNoMessage && !has_own();
        for (std::size_t i = 0; choice != kNoMessage && i < kDoors; ++i) {
            is_there = is_there || (reads(i) && take_of_lane(i, choice));
        }
        if (!is_there) return false;
    }
    start();
    if (choice == kNoMessage) my_.pc = Pc::r_bits;
    return true;
}

// Whose stations may hold messages of nobody: by their bits, or because it is seen.
void RoutesStep::look_step() {
    switch (my_.pc) {
        case Pc::r_bits:
            my_.mask = state_.orphans;
            my_.index = 0;
            my_.pc = Pc::r_look_seat;
            break;
        case Pc::r_look_seat: {  // who holds a seat reads what is there, or hands it over
            const bool counts = seat(my_.index).holder == 0;
            if (!counts) my_.mask = byte(my_.mask & ~(1 << my_.index));
            const bool looks =
                !config_.lanes && counts && !broken(RoutesMutant::rings_not_looked_at);
            my_.pc = Pc::r_look_ring;
            if (!looks) looked();
            break;
        }
        case Pc::r_look_ring:
            if (state_.rings[my_.index] != 0) my_.mask = byte(my_.mask | bit(my_.index));
            looked();
            break;
        case Pc::r_look_door:
            if (my_.index == state_.lanes_open) {
                my_.index = 0;
                next_orphan();
                break;
            }
            my_.label = state_.doors[my_.index].label;
            my_.pc = Pc::r_look_door_seat;
            break;
        case Pc::r_look_door_seat:
            if (my_.label.station != kNowhere && seat(my_.label.station).holder == 0) {
                my_.mask = byte(my_.mask | bit(my_.label.station));
            }
            my_.label = {};
            ++my_.index;
            my_.pc = Pc::r_look_door;
            break;
        default: STOA_CHECK(false); break;
    }
}

void RoutesStep::looked() {
    my_.pc = Pc::r_look_seat;
    if (++my_.index < config_.stations()) return;
    my_.index = 0;
    if (config_.lanes && !broken(RoutesMutant::doors_not_looked_at)) {
        my_.pc = Pc::r_look_door;
    } else {
        next_orphan();
    }
}

// The lowest station of the mask, or the sleep.
void RoutesStep::next_orphan() {
    if (my_.mask == 0) {
        const bool again = my_.adopted;
        const bool was_last = my_.last_look;
        start();
        if (!again) my_.pc = was_last ? Pc::w_again_own : Pc::w_arm;
        return;
    }
    if (my_.last_look) {  // there is something: it does not sleep
        start();
        return;
    }
    my_.heir_of = 0;
    while ((my_.mask >> my_.heir_of & 1) == 0) ++my_.heir_of;
    my_.mask = byte(my_.mask & ~(1 << my_.heir_of));
    my_.pc = config_.lanes ? Pc::a_hold : Pc::h_seat;
}

// ---- An heir of a ring --------------------------------------------------------------------------

bool RoutesStep::heir_step(int choice) {
    switch (my_.pc) {
        case Pc::h_seat: my_.pc = seat(my_.heir_of).holder == 0 ? Pc::h_take : Pc::h_clear; break;
        case Pc::h_take:  // H2
            if (!take_of(state_.rings[my_.heir_of], choice)) return false;
            if (choice == kNoMessage) {
                my_.pc = Pc::h_clear;
            } else {
                start();
            }
            break;
        case Pc::h_clear:  // H3
            state_.orphans = byte(state_.orphans & ~(1 << my_.heir_of));
            my_.pc = Pc::h_again;
            break;
        default:  // H4
            if (seat(my_.heir_of).holder == 0 && state_.rings[my_.heir_of] != 0) {
                state_.orphans = byte(state_.orphans | bit(my_.heir_of));
            }
            next_orphan();
            break;
    }
    return true;
}

// ---- Sleep --------------------------------------------------------------------------------------

// Rings: the bell is armed, then all is looked at once more. Lanes: they are marked; the bell was
// read before the lanes were attached and all was looked at.
void RoutesStep::wait_step() {
    switch (my_.pc) {
        case Pc::w_arm:
            if (broken(RoutesMutant::bell_read_late)) my_.rung = false;
            if (!config_.lanes) {
                my_.rung = false;
                my_.last_look = true;
                my_.pc = Pc::r_bits;
                break;
            }
            for (std::size_t i = 0; i < kDoors; ++i) {
                if (reads(i)) state_.doors[i].mark = true;
            }
            my_.pc = Pc::w_again_own;
            break;
        case Pc::w_again_own:
            my_.pc = Pc::w_sleep;
            if (has_own()) my_.rung = true;  // it does not sleep
            break;
        default:  // the kernel compares
            my_.pc = Pc::w_asleep;
            if (!my_.rung) break;
            my_.rung = false;
            for (std::size_t i = 0; i < kDoors; ++i) {
                if (reads(i)) state_.doors[i].mark = false;
            }
            start();
            break;
    }
}

// ---- Come and go --------------------------------------------------------------------------------

void RoutesStep::join() {
    my_.life = RoutesLife::running;
    my_.pc = Pc::j_seat;
}

void RoutesStep::leave() {
    start();
    my_.pc = Pc::l_seat;
}

void RoutesStep::come_and_go_step() {
    switch (my_.pc) {
        case Pc::j_seat:
            if (my_.index == config_.stations()) {  // no free place
                my_ = RoutesPerson{};
                my_.life = RoutesLife::left;
            } else if (seat(my_.index).holder == 0) {
                seat(my_.index) = {byte(me_ + 1), false};
                my_.station = my_.index;
                my_.index = 0;
                my_.pc = Pc::j_open;
            } else {
                ++my_.index;
            }
            break;
        case Pc::j_open:
            if (state_.stations_open <= my_.station) {
                state_.stations_open = byte(my_.station + 1);
            }
            start();
            if (config_.lanes && config_.marks) my_.pc = Pc::m_inherit;
            break;
        case Pc::l_seat:  // G1
            seat(my_.station) = {};
            my_.attached = my_.marked = my_.received = 0;
            my_.from = {};
            my_.pc = Pc::l_orphans;
            break;
        case Pc::l_orphans:  // G2
            if (my_.index < state_.stations_open && !broken(RoutesMutant::leave_tells_nobody)) {
                if (seat(my_.index).holder == 0) {
                    state_.orphans = byte(state_.orphans | bit(my_.index));
                }
                ++my_.index;
            } else {
                my_.index = 0;
                my_.pc = Pc::l_wake;
            }
            break;
        default:
            if (!broken(RoutesMutant::leave_tells_nobody)) ring_all();
            my_ = RoutesPerson{};
            my_.life = RoutesLife::left;
            break;
    }
}

}  // namespace stoa::model
