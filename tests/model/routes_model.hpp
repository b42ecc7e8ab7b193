// Routed mailboxes as a model for the explorer: who gets the messages of a receiver that went. Two
// kinds: a pool ring for each station, from which anyone may take, and lanes, of which each has one
// receiver and is handed over with its door. Sleeps are endless here, but where somebody stopped
// for ever sleepers look again after a slice.
//
// What other models prove is one access here: a ring or a lane is a set of messages, to send and to
// take are one access each; a bell is rung with its wake.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kStations = 3;
inline constexpr int kDoors = 3;
inline constexpr int kRoutesPeople = 5;  // senders, receivers, newcomers
inline constexpr int kNoMessage = 4;     // of four at most
inline constexpr int kNowhere = 3;       // where a door leads before it has a label

// Each breaks one rule; routes_main.cpp names the rule and the search that catches it.
enum class RoutesMutant : std::uint8_t {
    none,
    seat_read_once,
    bit_without_wake,
    leave_tells_nobody,
    recovery_tells_nobody,
    rings_not_looked_at,
    doors_not_looked_at,
    adopts_without_seat,
    seat_released_first,
    mark_not_swept,
    bell_remembered,
    first_not_rung,
    seat_not_marked,
    bell_read_late,
    adopted_unmarked,
    handed_over_unsaid,
    marks_not_inherited,
    unmarked_early,
    let_go_undrained,
    let_go_with_sender,
    let_go_reads_on,
    // In no table: they need two senders, and without them that search is too wide to be finished.
    drained_before_claim,
    taken_undrained,
};

struct RoutesConfig {
    bool lanes = false;
    int senders = 1;
    int receivers = 2;
    int joins = 0;     // receivers that come later
    int messages = 2;  // of each sender
    int fewer = 0;     // so many less of the second one
    int crashes = 0;
    int freezes = 0;
    int leaves = 0;
    // A receiver left just now: its station is free, and a sender is under way in its lane.
    bool vacant = false;
    bool marks = false;    // what is handed over is marked as delivered again
    bool lets_go = false;  // ... and its lane let go when it is drained; senders go, too
    // A receiver took a lane over just now, and its sender, under way in it, does not know yet.
    bool taken_over = false;
    bool first_door = false;  // ... that sender opens its first lane there only now
    RoutesMutant mutant = RoutesMutant::none;

    [[nodiscard]] int people() const noexcept { return senders + receivers + joins; }
    [[nodiscard]] int stations() const noexcept {
        return receivers + joins + ((vacant || taken_over) && joins == 0 ? 1 : 0);
    }
};

struct Seat {
    std::uint8_t holder = 0;  // person + 1; 0: nobody
    bool hands_over = false;
    friend bool operator==(const Seat&, const Seat&) = default;
};

// To which station a door leads; with each change another turn.
struct Label {
    std::uint8_t station = kNowhere;
    std::uint8_t turn = 0;
    bool handed_over = false;  // by one that went
    friend bool operator==(const Label&, const Label&) = default;
};

struct Door {
    std::uint8_t sender = 0;  // person + 1
    bool ready = false;
    bool mark = false;  // its receiver sleeps
    Label label{};
    std::uint8_t messages = 0;  // set
};

enum class RoutesPc : std::uint8_t {
    // send
    s_choose,
    s_ring_put,
    s_ring_bell,
    s_lane_check,
    s_lane_drop,
    s_door_take,
    s_door_claim,
    s_door_label,
    s_door_ready,
    s_door_open,
    s_door_read,
    s_door_drained,
    s_door_turn,
    s_door_look,
    s_lane_put,
    s_lane_mark,
    s_lane_bell,
    s_seat_again,
    s_orphan,
    s_wake_all,
    s_close,
    // receive
    r_attach_bell,
    r_attach_door,
    r_own,
    // of lanes that were handed over
    m_inherit,
    m_sender,
    m_empty,
    m_read,
    m_nobody,
    m_drained,
    m_let_go,
    r_bits,
    r_look_seat,
    r_look_ring,
    r_look_door,
    r_look_door_seat,
    // an heir, of a ring
    h_seat,
    h_take,
    h_clear,
    h_again,
    // an heir, of lanes
    a_hold,
    a_read_door,
    a_change_door,
    a_expect,
    a_clear,
    a_release,
    a_again,
    a_set,
    // sleep
    w_arm,
    w_again_own,
    w_sleep,
    w_asleep,
    // come and go
    j_seat,
    j_open,
    l_seat,
    l_orphans,
    l_wake,
};

enum class RoutesLife : std::uint8_t { absent, running, stopped, dead, recovered, left };

struct OpenLane {
    bool is_open = false;
    bool is_first = false;
    std::uint8_t door = 0;
    Label label{};
};

// Who sent on a lane when it was handed over, and may not know it yet.
struct HandedFrom {
    std::uint8_t sender = 0;  // person + 1
    Label label{};
};

struct RoutesPerson {
    RoutesLife life = RoutesLife::absent;
    bool sends = false;
    RoutesPc pc = RoutesPc::s_choose;
    std::uint8_t next = 0;
    std::uint8_t end = 0;
    std::uint8_t station = 0;  // receiver: its own; sender: where it sends to
    std::uint8_t heir_of = 0;  // the station that is taken over
    std::uint8_t index = 0;    // of a scan
    std::uint8_t mask = 0;     // of stations: nobody's
    Label label{};             // as it was read
    bool rung = false;         // its bell rang since it read it
    bool adopted = false;
    bool last_look = false;     // before it sleeps
    std::uint8_t attached = 0;  // set of lanes
    std::uint8_t marked = 0;    // set of lanes: what comes there is marked as delivered again
    std::uint8_t received = 0;  // set of messages that came without a mark
    bool is_last = false;       // its sender had let go before the look
    std::array<HandedFrom, kDoors> from{};
    std::array<OpenLane, kStations> lanes{};
};

struct RoutesState {
    std::array<Seat, kStations> seats;
    std::array<std::uint8_t, kStations> rings{};  // sets of messages
    std::array<Door, kDoors> doors;
    std::uint8_t stations_open = 0;
    std::uint8_t lanes_open = 0;
    std::uint8_t orphans = 0;
    std::uint8_t completed = 0;  // sets of messages: whose send returned, that were delivered
    std::uint8_t delivered = 0;
    std::uint8_t recovery = 0;  // how far
    std::uint8_t recovered = 0;
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
    std::uint8_t leaves = 0;
    std::array<RoutesPerson, kRoutesPeople> people;
};

class RoutesModel {
public:
    using State = RoutesState;

    explicit RoutesModel(const RoutesConfig& config) : config_(config) {}

    [[nodiscard]] RoutesState initial() const;
    void moves(const RoutesState& state, Moves<RoutesState>& out) const;
    [[nodiscard]] Ending ending(const RoutesState& state) const;
    [[nodiscard]] std::string text(const RoutesState& state) const;

    template <typename Bits>
    void visit(RoutesState& state, Bits& bits) const {
        for (Seat& seat : state.seats) {
            bits(seat.holder, 3);
            bits(seat.hands_over, 1);
        }
        for (Door& door : state.doors) {
            if (!config_.lanes) break;
            bits(door.sender, 3);
            bits(door.ready, 1);
            bits(door.mark, 1);
            bits(door.label.station, 2);
            if (config_.marks) bits(door.label.handed_over, 1);
            if constexpr (Bits::kReads) door.label.turn = 1;
            bits(door.messages, 4);
        }
        for (std::uint8_t& ring : state.rings) {
            if (!config_.lanes) bits(ring, 4);
        }
        bits(state.stations_open, 2);
        bits(state.lanes_open, 2);
        bits(state.orphans, 3);
        bits(state.completed, 4);
        bits(state.delivered, 4);
        bits(state.recovery, 2);
        bits(state.recovered, 3);
        bits(state.crashes, 2);
        bits(state.freezes, 2);
        bits(state.leaves, 2);
        for (std::size_t i = 0; i < static_cast<std::size_t>(config_.people()); ++i) {
            visit_person(state, state.people[i], bits);
        }
    }

private:
    // A turn never comes again, so of a remembered label matters whether it is the door's still.
    template <typename Bits>
    static void visit_label(Label& label, const Label& current, Bits& bits) {
        bool is_fresh = label == current;
        bits(label.station, 2);
        bits(is_fresh, 1);
        if constexpr (!Bits::kReads) return;
        label.turn = is_fresh ? current.turn : std::uint8_t{0};
        label.handed_over = is_fresh && current.handed_over;
    }
    template <typename Bits>
    void visit_person(RoutesState& state, RoutesPerson& my, Bits& bits) const {
        bits(my.life, 3);
        bits(my.sends, 1);
        if (my.life != RoutesLife::running && my.life != RoutesLife::stopped) return;
        bits(my.pc, 6);
        bits(my.station, 2);
        bits(my.index, 2);
        if (my.sends) {
            bits(my.next, 3);
            bits(my.end, 3);
            if (my.pc == RoutesPc::s_door_drained || my.pc == RoutesPc::s_door_turn) {
                visit_label(my.label, state.doors[my.index].label, bits);
            }
            for (OpenLane& lane : my.lanes) {
                bits(lane.is_open, 1);
                if (!lane.is_open) continue;
                bits(lane.is_first, 1);
                bits(lane.door, 2);
                visit_label(lane.label, state.doors[lane.door].label, bits);
            }
            return;
        }
        bits(my.heir_of, 2);
        bits(my.mask, 3);
        bits(my.rung, 1);
        bits(my.last_look, 1);
        if (!config_.lanes) return;
        if (has_read_door(my.pc)) {
            visit_label(my.label, state.doors[my.index].label, bits);
        }
        bits(my.adopted, 1);
        bits(my.attached, kDoors);
        if (!config_.marks) return;
        bits(my.marked, kDoors);
        bits(my.received, 4);
        bits(my.is_last, 1);
        for (std::size_t i = 0; i < kDoors; ++i) {
            if ((my.marked >> i & 1) == 0) continue;
            bits(my.from[i].sender, 3);
            visit_label(my.from[i].label, state.doors[i].label, bits);
        }
    }

    [[nodiscard]] static bool has_read_door(RoutesPc pc) noexcept {
        return pc == RoutesPc::r_look_door_seat || pc == RoutesPc::a_change_door ||
               pc == RoutesPc::m_nobody || pc == RoutesPc::m_drained || pc == RoutesPc::m_let_go;
    }
    void begin_taken_over(RoutesState& state) const;
    [[nodiscard]] const char* two_readers(const RoutesState& state) const;
    [[nodiscard]] bool is_held_up(const RoutesState& state, int message) const;
    void person_moves(const RoutesState& state, int who, Moves<RoutesState>& out) const;
    void environment_moves(const RoutesState& state, int who, Moves<RoutesState>& out) const;
    void recovery_moves(const RoutesState& state, Moves<RoutesState>& out) const;

    const RoutesConfig& config_;
};

}  // namespace stoa::model
