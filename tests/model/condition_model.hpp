// The condition as a model for the explorer, as stoa/sync/condition.cpp does it: one word with who
// waits, what is granted, and how often it was notified; a lock that is given back and taken again.
//
// A loop of load and CAS that computes everything from what it saw is one step. What is remembered
// beside it judges: who sleeps at the end must sleep rightly, that is each notification of one that
// came after it has gone to another wait that had begun before the notification and returned after;
// and unless somebody died or stopped no wait ends for nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kMaxConditionPeers = 5;
inline constexpr int kMaxWaits = 6;

enum class ConditionMutant : std::uint8_t {
    none,
    no_wake,
    later_ones_take_it,
    no_pass_on,
    taken_without_lock,
    timed_out_leaves_grant,
    sleeps_without_look,
    wake_forgets_sleepers,
    let_go_pays_again,
    wakes_before_grant,
    dead_holder_not_looked_for,
    late_not_let_go,
    next_turn_wakes_one,
    late_never_join,
};

struct ConditionConfig {
    int waiters = 2;
    int rounds = 1;  // waits of each
    int ones = 2;    // processes that notify one, once
    int alls = 0;    // processes that notify all, once
    int crashes = 0;
    int freezes = 0;
    bool deadlines = false;
    ConditionMutant mutant = ConditionMutant::none;
};

enum class ConditionPc : std::uint8_t {
    idle,
    lock,
    enter,
    give,
    look,
    mark,
    sleep,
    asleep,
    woken,
    relock,
    take,
    early_take,  // a mutant's
    leave,       // gives the lock back for good
    notify,
    early_wake,  // a mutant's
    wake_one,
    wake_all,
    suspect,  // it was late for a slice: lets all go, wakes them, and looks
    suspects,
};

enum class ConditionLife : std::uint8_t { running, stopped, dead };

struct ConditionWordState {
    std::uint8_t turn = 0;
    std::uint8_t joined = 0;
    std::uint8_t waiting = 0;
    std::uint8_t granted = 0;
    std::uint8_t late = 0;
    bool asleep = false;

    friend bool operator==(const ConditionWordState&, const ConditionWordState&) = default;
};

struct ConditionPeer {
    ConditionLife life = ConditionLife::running;
    ConditionPc pc = ConditionPc::idle;
    std::uint8_t rounds = 0;
    std::uint8_t turn = 0;   // its ticket
    std::uint8_t began = 0;  // how many notifications had been made: for the judge
    bool passed_on = false;
    bool in_vain = false;  // its deadline passed
    bool told = false;     // that the last holder of the lock died
    bool took = false;     // a mutant's, before it has the lock
    ConditionWordState seen{};
};

struct ConditionState {
    ConditionWordState word{};
    std::uint8_t lock = 0;  // peer + 1
    std::uint8_t made = 0;  // notifications
    std::uint8_t all = 0;   // which of them were of all: bit n - 1
    std::uint8_t returned = 0;
    std::array<std::uint8_t, kMaxWaits> from{};  // of each wait that returned
    std::array<std::uint8_t, kMaxWaits> to{};
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
    std::array<ConditionPeer, kMaxConditionPeers> peers;
};

class ConditionModel {
public:
    using State = ConditionState;

    explicit ConditionModel(const ConditionConfig& config) : config_(config) {}

    [[nodiscard]] State initial() const;
    void moves(const State& state, Moves<State>& out) const;
    [[nodiscard]] Ending ending(const State& state) const;
    [[nodiscard]] std::string text(const State& state) const;

    template <typename Bits>
    void visit(State& state, Bits& bits) const {
        visit_word(state.word, bits);
        bits(state.lock, 3);
        bits(state.made, 3);
        bits(state.all, 5);
        bits(state.returned, 3);
        for (int i = 0; i < kMaxWaits; ++i) {
            bits(state.from[static_cast<std::size_t>(i)], 3);
            bits(state.to[static_cast<std::size_t>(i)], 3);
        }
        bits(state.crashes, 2);
        bits(state.freezes, 2);
        for (int i = 0; i < peers(); ++i) {
            ConditionPeer& my = state.peers[static_cast<std::size_t>(i)];
            bits(my.life, 2);
            bits(my.pc, 5);
            bits(my.rounds, 2);
            bits(my.turn, 4);
            bits(my.began, 3);
            bits(my.passed_on, 1);
            bits(my.in_vain, 1);
            bits(my.told, 1);
            bits(my.took, 1);
            visit_word(my.seen, bits);
        }
    }

private:
    template <typename Bits>
    static void visit_word(ConditionWordState& word, Bits& bits) {
        bits(word.turn, 4);
        bits(word.joined, 3);
        bits(word.waiting, 3);
        bits(word.granted, 3);
        bits(word.late, 3);
        bits(word.asleep, 1);
    }
    [[nodiscard]] int peers() const { return config_.waiters + config_.ones + config_.alls; }
    [[nodiscard]] bool broken(ConditionMutant mutant) const { return config_.mutant == mutant; }
    [[nodiscard]] bool waits(int who) const { return who < config_.waiters; }
    [[nodiscard]] bool is_of_all(int who) const { return who >= config_.waiters + config_.ones; }
    [[nodiscard]] bool may_take(const ConditionWordState& word, const ConditionPeer& my) const;
    void join_late(ConditionWordState& word) const;
    [[nodiscard]] bool is_ready(const ConditionWordState& word, const ConditionPeer& my) const;
    [[nodiscard]] bool can_lock(const State& state) const;
    [[nodiscard]] bool has_one_each(const State& state) const;
    [[nodiscard]] bool sleeps_rightly(const State& state, const ConditionPeer& my) const;

    void environment_moves(const State& state, int who, Moves<State>& out) const;
    void slice_moves(const State& state, int who, Moves<State>& out) const;
    void wake_moves(const State& state, int who, Moves<State>& out) const;
    void step(State& state, int who, const char*& fault) const;
    void step_wait(State& state, int who) const;
    void step_take(State& state, ConditionPeer& my, const char*& fault) const;
    void step_notify(State& state, int who) const;
    void take_grant(State& state, ConditionPeer& my, bool leaves, bool& took) const;
    void wait_returns(State& state, const ConditionPeer& my) const;
    static void done(ConditionPeer& my);

    ConditionConfig config_;
};

}  // namespace stoa::model
