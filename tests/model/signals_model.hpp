// Semaphores and events as a model for the explorer, as stoa/sync/semaphore.cpp and event.cpp do
// them: what is there to take, and the bell that those sleep on who find nothing.
//
// Sleeps are endless while nobody died or stopped. Whoever sleeps at the end must find nothing that
// it could take.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kMaxSignalPeers = 5;
inline constexpr int kMaxPermits = 2;

enum class SignalKind : std::uint8_t { posts, permits, event_alone, event_by_hand };

enum class SignalMutant : std::uint8_t {
    none,
    no_wake,
    woken_marks_nothing,
    no_pass_on,
    sleeper_does_not_look_again,
    by_hand_wakes_one,
    turn_ignored,
    rings_before_change,
    inherits_by_store,
    stopped_is_dead,
    dead_keep_permits,
    taken_by_load,
};

struct SignalConfig {
    SignalKind kind = SignalKind::posts;
    int waiters = 3;
    int rounds = 1;
    int posters = 1;
    int posts = 3;        // of each poster
    int permits = 1;      // of a semaphore whose holders give back
    bool resets = false;  // a poster resets what it set
    int crashes = 0;
    int freezes = 0;
    bool deadlines = false;
    SignalMutant mutant = SignalMutant::none;
};

enum class SignalPc : std::uint8_t {
    idle,
    since,  // reads the turn of an event
    take,
    mark,
    again,
    sleep,
    asleep,
    woken,
    retake,
    inherit_look,
    inherit,  // CAS of a dead one's permit
    more,     // is there more than it took
    holds,    // a permit
    change,   // posts, sets, gives back
    ring_look,
    ring_clear,
    ring_wake,
    reset,
};

enum class SignalLife : std::uint8_t { running, stopped, dead };

struct SignalPeer {
    SignalLife life = SignalLife::running;
    SignalPc pc = SignalPc::idle;
    std::uint8_t rounds = 0;
    std::uint8_t since = 0;
    std::uint8_t bell = 0;
    std::uint8_t permit = 0;  // that it holds, or inherits, + 1
    std::uint8_t seen = 0;    // the holder that it inherits from
    bool slept = false;
    bool in_vain = false;
    bool done = false;   // it rings to pass a wake on, and has what it waited for
    bool early = false;  // a mutant's
    bool ready = false;  // a mutant's: it saw something
};

struct SignalState {
    std::uint8_t there = 0;  // posts, or whether it is set
    std::uint8_t turn = 0;
    std::uint8_t bell = 0;
    std::array<std::uint8_t, kMaxPermits> holders{};  // peer + 1
    std::uint8_t made = 0;
    std::uint8_t taken = 0;
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
    std::array<SignalPeer, kMaxSignalPeers> peers;
};

class SignalModel {
public:
    using State = SignalState;

    explicit SignalModel(const SignalConfig& config) : config_(config) {}

    [[nodiscard]] State initial() const;
    void moves(const State& state, Moves<State>& out) const;
    [[nodiscard]] Ending ending(const State& state) const;
    [[nodiscard]] std::string text(const State& state) const;

    template <typename Bits>
    void visit(State& state, Bits& bits) const {
        bits(state.there, 4);
        bits(state.turn, 4);
        bits(state.bell, 6);
        for (std::uint8_t& holder : state.holders) bits(holder, 3);
        bits(state.made, 4);
        bits(state.taken, 4);
        bits(state.crashes, 2);
        bits(state.freezes, 2);
        for (int i = 0; i < peers(); ++i) {
            SignalPeer& my = state.peers[static_cast<std::size_t>(i)];
            bits(my.life, 2);
            bits(my.pc, 5);
            bits(my.rounds, 3);
            bits(my.since, 4);
            bits(my.bell, 6);
            bits(my.permit, 2);
            bits(my.seen, 3);
            bits(my.slept, 1);
            bits(my.in_vain, 1);
            bits(my.done, 1);
            bits(my.early, 1);
            bits(my.ready, 1);
        }
    }

private:
    [[nodiscard]] bool broken(SignalMutant mutant) const { return config_.mutant == mutant; }
    [[nodiscard]] bool is(SignalKind kind) const { return config_.kind == kind; }
    [[nodiscard]] int peers() const { return config_.waiters + config_.posters; }
    [[nodiscard]] bool is_there(const State& state, const SignalPeer& my) const;
    [[nodiscard]] bool is_gone(const State& state, std::uint8_t holder) const;
    [[nodiscard]] bool take(State& state, int who) const;

    void environment_moves(const State& state, int who, Moves<State>& out) const;
    void wake_moves(const State& state, int who, Moves<State>& out) const;
    void step(State& state, int who, const char*& fault) const;
    void step_wait(State& state, int who) const;
    void step_take(State& state, int who) const;
    void step_inherit(State& state, int who, const char*& fault) const;
    void step_ring(State& state, int who) const;
    void has_it(State& state, int who) const;
    void rang(SignalPeer& my, int who) const;
    void done(SignalPeer& my) const;

    SignalConfig config_;
};

}  // namespace stoa::model
