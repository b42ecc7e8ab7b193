// The algorithm of routes_model.hpp, one access of shared memory at a time.
#pragma once

#include "tests/model/routes_model.hpp"

namespace stoa::model {

using Pc = RoutesPc;

constexpr std::uint8_t byte(int value) {
    return static_cast<std::uint8_t>(value);
}
constexpr std::uint8_t bit(int index) {
    return byte(1 << index);
}

class RoutesStep {
public:
    RoutesStep(const RoutesConfig& config, RoutesState& state, int me)
        : config_(config),
          state_(state),
          my_(state.people[static_cast<std::size_t>(me)]),
          me_(static_cast<std::uint8_t>(me)) {}

    // Makes the access at `pc`. Choices are the stations that may be chosen, or the messages that
    // may be taken; false: not that one.
    [[nodiscard]] bool run(int choice);
    [[nodiscard]] const char* fault() const noexcept { return fault_; }

    void join();
    void leave();
    void ring(int station);
    void ring_all();
    [[nodiscard]] static int choices(const RoutesPerson& my);
    [[nodiscard]] static const char* name_of(RoutesPc pc);

private:
    [[nodiscard]] bool send_step(int choice);
    [[nodiscard]] bool has_receiver();
    [[nodiscard]] bool choose(int station);
    void lane_step();
    void door_step();
    void check_step();
    void mark_step();
    void sent();
    [[nodiscard]] bool receive_step(int choice);
    void look_step();
    [[nodiscard]] bool heir_step(int choice);
    void adopt_step();
    void wait_step();
    void come_and_go_step();

    [[nodiscard]] bool take_of(std::uint8_t& messages, int choice);
    [[nodiscard]] bool take_of_lane(std::size_t door, int message);
    [[nodiscard]] bool leads_here(const Label& label) const;
    void take_door();
    void next_door();
    void close_step();
    void give_door_up();
    void expect_handed_over();
    void forget_mark();
    void forget_what_came_in_order();
    void start();
    void looked();
    void next_orphan();
    void next_door_of_heir();
    [[nodiscard]] bool has_own() const;
    [[nodiscard]] static bool receives(const Seat& seat) noexcept {
        return seat.holder != 0 && !seat.hands_over;
    }
    [[nodiscard]] Seat& seat(int station) {
        return state_.seats[static_cast<std::size_t>(station)];
    }
    [[nodiscard]] OpenLane& lane() { return my_.lanes[my_.station]; }
    [[nodiscard]] bool reads(std::size_t door) const noexcept {
        return (my_.attached >> door & 1) != 0;
    }
    [[nodiscard]] bool broken(RoutesMutant mutant) const noexcept {
        return config_.mutant == mutant;
    }

    const RoutesConfig& config_;
    RoutesState& state_;
    RoutesPerson& my_;
    std::uint8_t me_;
    const char* fault_ = nullptr;
};

}  // namespace stoa::model
