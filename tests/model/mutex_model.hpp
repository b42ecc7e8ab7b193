// The mutex as a model for the explorer, as stoa/sync/holder_word.cpp does it: one word with its
// holder, the bits waiters, inconsistent and poisoned; who sleeps, who wakes, who inherits from the
// dead. And `once`, which is the same word.
//
// Sleeps are endless while nobody died or stopped with a wake in its hands, so no slice can hide a
// wake that was lost. A place that a dead one had may be taken by another process: the word names
// an incarnation too.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kMaxLockers = 4;

enum class MutexMutant : std::uint8_t {
    none,
    no_wake,
    woken_forgets_others,
    unlock_ignores_waiters,
    sleeps_unseen,
    inherits_by_store,
    heir_not_told,
    heirs_heir_not_told,
    unmended_not_poisoned,
    incarnation_ignored,
    stopped_is_dead,
    late_one_forgets_others,
    done_wakes_one,
    done_trusts_the_bit,
    thrown_not_told,
};

struct MutexConfig {
    int lockers = 3;
    int rounds = 2;  // each
    int crashes = 0;
    int freezes = 0;
    int newcomers = 0;       // that take the place of a dead one
    bool forgetful = false;  // an heir may give it back unmended
    bool deadlines = false;  // a waiter's deadline may pass
    bool once = false;       // as once.cpp: poisoned means done; who runs it may throw
    MutexMutant mutant = MutexMutant::none;
};

enum class MutexPc : std::uint8_t {
    idle,
    fast,     // CAS free -> mine
    look,     // load
    take,     // CAS what was seen, free -> mine
    inherit,  // CAS what was seen, a dead one's -> mine
    mark,     // CAS what was seen -> with waiters
    sleep,    // the kernel compares the word
    asleep,
    changing,  // it holds it: what is guarded is torn
    whole,     // it holds it: and is not any more
    give,      // CAS mine -> free
    give_look,
    give_slowly,  // CAS what was seen -> free, or poisoned
    wake,
};

enum class MutexLife : std::uint8_t { running, stopped, dead };

struct MutexWordState {
    std::uint8_t holder = 0;  // process + 1
    std::uint8_t incarnation = 0;
    bool waiters = false;
    bool inconsistent = false;
    bool poisoned = false;

    friend bool operator==(const MutexWordState&, const MutexWordState&) = default;
};

struct Locker {
    MutexLife life = MutexLife::running;
    MutexPc pc = MutexPc::idle;
    std::uint8_t rounds = 0;
    std::uint8_t incarnation = 0;
    bool slept = false;
    bool told = false;     // that the last holder died
    bool poisons = false;  // what its unlock is about to store
    bool in_vain = false;  // its deadline passed
    MutexWordState seen{};
};

struct MutexState {
    MutexWordState word{};
    bool torn = false;
    bool done = false;  // of a once
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
    std::uint8_t newcomers = 0;
    std::array<Locker, kMaxLockers> lockers;
};

class MutexModel {
public:
    using State = MutexState;

    explicit MutexModel(const MutexConfig& config) : config_(config) {}

    [[nodiscard]] MutexState initial() const;
    void moves(const MutexState& state, Moves<MutexState>& out) const;
    [[nodiscard]] Ending ending(const MutexState& state) const;
    [[nodiscard]] std::string text(const MutexState& state) const;

    template <typename Bits>
    void visit(MutexState& state, Bits& bits) const {
        visit_word(state.word, bits);
        bits(state.torn, 1);
        bits(state.done, 1);
        bits(state.crashes, 2);
        bits(state.freezes, 2);
        bits(state.newcomers, 2);
        for (int i = 0; i < config_.lockers; ++i) {
            Locker& my = state.lockers[static_cast<std::size_t>(i)];
            bits(my.life, 2);
            bits(my.pc, 4);
            bits(my.rounds, 3);
            bits(my.incarnation, 2);
            bits(my.slept, 1);
            bits(my.told, 1);
            bits(my.poisons, 1);
            bits(my.in_vain, 1);
            visit_word(my.seen, bits);
        }
    }

private:
    template <typename Bits>
    static void visit_word(MutexWordState& word, Bits& bits) {
        bits(word.holder, 3);
        bits(word.incarnation, 2);
        bits(word.waiters, 1);
        bits(word.inconsistent, 1);
        bits(word.poisoned, 1);
    }
    [[nodiscard]] bool broken(MutexMutant mutant) const noexcept {
        return config_.mutant == mutant;
    }
    [[nodiscard]] bool is_gone(const MutexState& state, const MutexWordState& word) const;
    [[nodiscard]] static bool wakes_may_be_lost(const MutexState& state);
    void step(MutexState& state, int who, const char*& fault) const;
    void step_look(MutexState& state, Locker& my) const;
    void step_take(MutexState& state, int who, const char*& fault) const;
    void step_wait(MutexState& state, Locker& my) const;
    void step_give(MutexState& state, int who, const char*& fault) const;
    void got(MutexState& state, Locker& my, bool told, const char*& fault) const;
    void returns(Locker& my) const;
    void wake_moves(const MutexState& state, int who, Moves<MutexState>& out) const;
    void environment_moves(const MutexState& state, int who, Moves<MutexState>& out) const;

    const MutexConfig& config_;
};

}  // namespace stoa::model
