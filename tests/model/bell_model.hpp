// The bell as a model for the explorer: how receivers sleep until a sender or a recovery says that
// something changed. Sleeps are endless here, so no slice can hide a wake that was lost.
//
//   sleeper  B1 set the bit      B2 look again        B3 futex_wait on what B1 left
//   ringer   A1 change something A2 read the bit      A3 clear it and count up   A4 wake one
// A woken sleeper sets the bit again before it returns, for others may sleep, and passes the wake
// on when there is more than it took. A receiver may return and never call again, or its deadline
// may pass while it sleeps: both are what healthy programs do.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kMaxRingers = 2;
inline constexpr int kMaxSleepers = 3;
inline constexpr int kMaxKinds = 2;

// Each breaks one rule; bell_main.cpp names the rule and the search that catches it.
enum class BellMutant : std::uint8_t {
    none,
    no_wake,
    no_recheck,
    bit_not_set_again,
    bit_left_clear_on_time_out,
    cleared_after_wake,
    no_pass_on,
    no_sequence,
    recovery_without_wake,
    recovery_without_bump,
    one_bell_for_two_kinds,
};

struct BellConfig {
    int senders = 2;
    int receivers = 2;
    int messages = 2;  // of each sender
    int crashes = 0;
    int freezes = 0;
    bool deadlines = false;  // a receiver's deadline may pass
    int kinds = 1;           // receiver i waits for messages of kind i % kinds
    bool wakes_all = false;  // a ring wakes every sleeper
    BellMutant mutant = BellMutant::none;
};

enum class BellPc : std::uint8_t {
    idle,
    publish,  // A1; a receiver does not
    ring_read,
    ring_clear,
    ring_wake,
    take,
    taken,
    set_bit,
    look_again,
    sleep,
    asleep,
    woken_look,
    set_again,
    last_set,
    last_take,
    pass_look,
};

enum class BellLife : std::uint8_t { running, stopped, dead, recovered, left };

struct Process {
    BellLife life = BellLife::running;
    BellPc pc = BellPc::idle;
    bool is_receiver = false;
    bool slept = false;
    bool timed_out = false;
    bool held = false;  // dead: it died between taking a message and returning it
    std::uint8_t kind = 0;
    std::uint8_t unsent = 0;
    std::uint8_t seen = 1;  // the sequence that was read; only equality matters
};

enum class RecoveryPc : std::uint8_t { idle, bump, wake };

struct BellState {
    std::array<std::uint8_t, kMaxKinds> available{};
    bool bit = false;
    std::uint8_t sequence = 1;
    RecoveryPc recovery = RecoveryPc::idle;
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
    std::array<Process, kMaxRingers + kMaxSleepers> processes;
};

class BellModel {
public:
    using State = BellState;

    explicit BellModel(const BellConfig& config) : config_(config) {}

    [[nodiscard]] BellState initial() const;
    void moves(const BellState& state, Moves<BellState>& out) const;
    [[nodiscard]] Ending ending(const BellState& state) const;
    [[nodiscard]] std::string text(const BellState& state) const;

    template <typename Bits>
    void visit(BellState& state, Bits& bits) const {
        bits(state.available[0], 3);
        if (config_.kinds > 1) bits(state.available[1], 3);
        bits(state.bit, 1);
        bits(state.recovery, 2);
        bits(state.crashes, 2);
        bits(state.freezes, 2);
        for (int i = 0; i < count(); ++i) {
            Process& my = state.processes[static_cast<std::size_t>(i)];
            bits(my.life, 3);
            bits(my.is_receiver, 1);
            bits(my.kind, 1);
            bits(my.held, 1);
            bits(my.unsent, 3);
            if (my.life != BellLife::running && my.life != BellLife::stopped) continue;
            bits(my.pc, 4);
            bits(my.slept, 1);
            bits(my.timed_out, 1);
            const bool remembers = my.pc == BellPc::ring_clear || my.pc == BellPc::look_again ||
                                   my.pc == BellPc::sleep;
            if (!remembers) continue;
            bool is_fresh = my.seen == state.sequence;
            bits(is_fresh, 1);
            if constexpr (Bits::kReads) my.seen = is_fresh ? state.sequence : std::uint8_t{0};
        }
    }

private:
    [[nodiscard]] int count() const noexcept { return config_.senders + config_.receivers; }
    [[nodiscard]] bool broken(BellMutant mutant) const noexcept { return config_.mutant == mutant; }
    [[nodiscard]] bool can_lose(const BellState& state, int who) const;
    [[nodiscard]] bool holds_a_wake(const BellState& state) const;

    void process_moves(const BellState& state, int who, Moves<BellState>& out) const;
    void environment_moves(const BellState& state, int who, Moves<BellState>& out) const;
    void recovery_moves(const BellState& state, Moves<BellState>& out) const;
    void wake_moves(const BellState& state, int who, Moves<BellState>& out) const;
    void step(BellState& state, Process& my) const;
    void step_ring(BellState& state, Process& my) const;
    void step_wait(BellState& state, Process& my) const;
    void take(BellState& state, Process& my, BellPc when_empty) const;
    void return_from(Process& my) const;

    const BellConfig& config_;
};

}  // namespace stoa::model
