// Barriers and latches as a model for the explorer, as stoa/sync/gathering.cpp does them: a word
// for each member, the word of the phase, and the bell that those who wait sleep on. Each access is
// a step, so that who looks at all places sees them at different times.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kMaxMembers = 4;

enum class GatheringMutant : std::uint8_t {
    none,
    last_one_does_not_look,
    no_wake,
    wakes_one,
    sleeper_does_not_look_again,
    dead_stay_expected,
    stopped_is_dead,
    ends_by_store,
    arrival_stays,
    expected_before_named,
    drop_does_not_look,
};

struct GatheringConfig {
    int members = 3;
    int joiners = 0;  // the last so many come while the others are at it
    int rounds = 2;
    int crashes = 0;
    int freezes = 0;
    bool drops = false;  // who has done its rounds drops out, in its last arrival
    GatheringMutant mutant = GatheringMutant::none;
};

enum class GatheringPc : std::uint8_t {
    idle,
    name,    // writes itself into its place
    expect,  // its place counts
    read,    // the phase that it arrives in
    arrive,
    begin,  // to look at all places: reads the phase
    look,   // at place `index`
    end,    // CAS of the phase
    ring_look,
    ring_clear,
    ring_wake,
    wait,   // is the phase over
    mark,   // sets the bell's bit
    again,  // looks again
    sleep,
    asleep,
    woken,  // sets the bit again
};

enum class GatheringLife : std::uint8_t { running, stopped, dead };
enum class PlaceKind : std::uint8_t { vacant, member, dropped, gone };

struct GatheringPlace {
    PlaceKind kind = PlaceKind::vacant;
    std::uint8_t arrived = 0;  // the phase after the one it arrived in
};

struct GatheringPeer {
    GatheringLife life = GatheringLife::running;
    GatheringPc pc = GatheringPc::idle;
    std::uint8_t rounds = 0;
    std::uint8_t phase = 0;  // that it has arrived in
    std::uint8_t seen = 0;   // phase, while it looks at the places
    std::uint8_t index = 0;
    std::uint8_t bell = 0;
    std::uint8_t came_in = 0;  // for the judge: the phase in which it began to count
    bool has_arrived = false;  // of this round
    bool looks = false;        // at who is dead
};

struct GatheringState {
    std::uint8_t phase = 0;
    std::uint8_t expected = 0;
    std::uint8_t bell = 0;  // bit 0: somebody sleeps
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
    std::array<GatheringPlace, kMaxMembers> places;
    std::array<GatheringPeer, kMaxMembers> peers;
};

class GatheringModel {
public:
    using State = GatheringState;

    explicit GatheringModel(const GatheringConfig& config) : config_(config) {}

    [[nodiscard]] State initial() const;
    void moves(const State& state, Moves<State>& out) const;
    [[nodiscard]] Ending ending(const State& state) const;
    [[nodiscard]] std::string text(const State& state) const;

    template <typename Bits>
    void visit(State& state, Bits& bits) const {
        bits(state.phase, 4);
        bits(state.expected, 3);
        bits(state.bell, 5);
        bits(state.crashes, 2);
        bits(state.freezes, 2);
        for (int i = 0; i < config_.members; ++i) {
            GatheringPlace& place = state.places[static_cast<std::size_t>(i)];
            bits(place.kind, 2);
            bits(place.arrived, 4);
            GatheringPeer& my = state.peers[static_cast<std::size_t>(i)];
            bits(my.life, 2);
            bits(my.pc, 5);
            bits(my.rounds, 2);
            bits(my.phase, 4);
            bits(my.seen, 4);
            bits(my.index, 3);
            bits(my.bell, 5);
            bits(my.came_in, 4);
            bits(my.has_arrived, 1);
            bits(my.looks, 1);
        }
    }

private:
    [[nodiscard]] bool broken(GatheringMutant mutant) const { return config_.mutant == mutant; }
    [[nodiscard]] bool is_gone(const State& state, int who) const;
    void environment_moves(const State& state, int who, Moves<State>& out) const;
    void step(State& state, int who, const char*& fault) const;
    void step_arrive(State& state, int who) const;
    void step_look(State& state, int who) const;
    void step_end(State& state, int who, const char*& fault) const;
    void step_ring(State& state, int who) const;
    void step_sleep(State& state, int who) const;
    void looked(GatheringPeer& my) const;

    GatheringConfig config_;
};

}  // namespace stoa::model
