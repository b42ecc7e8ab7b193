// The queues of a pool ring by priority as a model for the explorer: the hint which of them are
// worth a look, the capacity of all together, the sleep of senders and receivers, and the end of a
// stream. Sleeps are endless here, so no slice can hide a wake that was lost.
//
// What pool_model proves is one access here: adoption with its reading and re-reading, recovery's
// scans, and a look at a queue's head and at the slot that it names. A message keeps its chunk.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kMaxLevels = 2;
inline constexpr int kLevelSlots = 2;   // of each level, at most
inline constexpr int kLevelPeople = 4;  // senders, then receivers
inline constexpr int kLevelMessages = 6;

// Each breaks one rule; levels_main.cpp names the rule and the search that catches it.
enum class LevelsMutant : std::uint8_t {
    none,
    counts_by_hint,
    heads_left_behind,
    missed_not_looked,
    no_look_after_bit,
    no_ring,
    space_not_rung,
    end_without_seal,
    seal_by_store,
    seal_first_level_only,
    end_without_help,
    end_ignores_marked,
    end_ignores_leases,
    close_not_awaited,
    close_wakes_nobody,
};

struct LevelsConfig {
    int levels = 2;
    int slots = 1;  // of each level: also the capacity of all together
    int senders = 1;
    int receivers = 2;
    int messages = 2;  // of each sender
    int crashes = 0;
    int freezes = 0;
    int nacks = 0;
    bool ack = false;
    bool closes = false;  // somebody may close the mailbox
    LevelsMutant mutant = LevelsMutant::none;
};

enum class QueueKind : std::uint8_t { empty, full, taken, redeliver, sealed };

struct QueueSlot {
    QueueKind kind = QueueKind::empty;
    std::uint8_t lap = 0;
    std::uint8_t who = 0;
    std::uint8_t message = 0;
    friend bool operator==(const QueueSlot&, const QueueSlot&) = default;
};

enum class LeaseState : std::uint8_t { unsent, in_slot, borrowed, redeliver, done };

struct Lease {  // the chunk word of a message
    LeaseState state = LeaseState::unsent;
    std::uint8_t who = 0;
    friend bool operator==(const Lease&, const Lease&) = default;
};

enum class LevelsPc : std::uint8_t {
    // send
    s_idle,
    s_count,
    s_move_head,
    s_count_again,
    s_read_tail,
    s_read_slot,
    s_publish,
    s_pass_tail,
    s_help_adopt,
    s_help_empty,
    s_advance_tail,
    s_set_level,
    s_ring,
    s_arm,
    s_sleep,
    s_asleep,
    // receive
    r_flag,
    r_scan_slots,
    r_scan_chunks,
    r_lower_flag,
    r_levels,
    r_head,
    r_slot,
    r_take,
    r_pass_head,
    r_adopt,
    r_empty,
    r_advance_head,
    r_lower,
    r_look_lowered,
    r_look_missed,
    r_closed,
    r_seal_look,
    r_seal_help_adopt,
    r_seal_help_empty,
    r_seal,
    r_end_slot,
    r_end_help_adopt,
    r_end_help_empty,
    r_end_chunk,
    r_end_raise,
    r_arm,
    r_again_flag,
    r_again_level,
    r_again_closed,
    r_sleep,
    r_asleep,
    r_ring_space,
    r_pass_on,
    r_have,
    r_nack_raise,
    r_nack_ring,
};

enum class LevelsLife : std::uint8_t { running, stopped, dead, recovered, ended };

struct LevelsPerson {
    LevelsLife life = LevelsLife::running;
    LevelsPc pc = LevelsPc::s_idle;
    bool sends = false;
    std::uint8_t next = 0;  // sender: its next message, and the one after its last
    std::uint8_t end = 0;
    bool slept = false;
    bool rung = false;       // its bell rang since it armed it
    bool flag_same = false;  // the flag is of the generation that it read
    bool armed = false;      // a sender that found no room and looks again
    bool ending = false;     // a receiver that saw the mailbox closed
    bool drained = false;    // ... and every queue sealed
    bool marked = false;     // found something to be delivered again
    bool by_flag = false;    // it takes what a death put back
    std::uint8_t level = 0;
    std::uint8_t position = 0;
    std::uint8_t index = 0;
    std::uint8_t count = 0;
    std::uint8_t mask = 0;    // of levels: what was found so far
    std::uint8_t sealed = 0;  // of levels
    QueueSlot slot{};
};

struct LevelsState {
    std::array<std::array<QueueSlot, kLevelSlots>, kMaxLevels> slots;
    std::array<std::uint8_t, kMaxLevels> head{};
    std::array<std::uint8_t, kMaxLevels> tail{};
    std::array<Lease, kLevelMessages> leases;
    std::uint8_t levels = 0;  // the hint
    bool flag_up = false;
    bool closed = false;
    bool close_rings = false;  // it is closed, and the bells are still to be rung
    bool message_bit = false;
    bool space_bit = false;
    std::uint8_t recovery = 0;   // how far: 0 none, 1 slots, 2 chunks, 3 raised
    std::uint8_t recovered = 0;  // who it is
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
    std::uint8_t nacks = 0;
    std::array<LevelsPerson, kLevelPeople> people;
};

class LevelsModel {
public:
    using State = LevelsState;

    explicit LevelsModel(const LevelsConfig& config) : config_(config) {}

    [[nodiscard]] LevelsState initial() const;
    void moves(const LevelsState& state, Moves<LevelsState>& out) const;
    [[nodiscard]] Ending ending(const LevelsState& state) const;
    [[nodiscard]] std::string text(const LevelsState& state) const;

    template <typename Bits>
    void visit(LevelsState& state, Bits& bits) const {
        const auto visit_slot = [&bits](QueueSlot& slot) {
            bits(slot.kind, 3);
            bits(slot.lap, 3);
            bits(slot.who, 2);
            bits(slot.message, 3);
        };
        for (std::size_t l = 0; l < static_cast<std::size_t>(config_.levels); ++l) {
            for (std::size_t i = 0; i < static_cast<std::size_t>(config_.slots); ++i) {
                visit_slot(state.slots[l][i]);
            }
            bits(state.head[l], 4);
            bits(state.tail[l], 4);
        }
        for (std::size_t m = 0; m < static_cast<std::size_t>(all_messages()); ++m) {
            bits(state.leases[m].state, 3);
            bits(state.leases[m].who, 2);
        }
        bits(state.levels, 2);
        bits(state.flag_up, 1);
        bits(state.closed, 1);
        bits(state.close_rings, 1);
        bits(state.message_bit, 1);
        bits(state.space_bit, 1);
        bits(state.recovery, 2);
        bits(state.recovered, 2);
        bits(state.crashes, 2);
        bits(state.freezes, 2);
        bits(state.nacks, 2);
        for (std::size_t i = 0; i < static_cast<std::size_t>(people()); ++i) {
            LevelsPerson& my = state.people[i];
            bits(my.life, 3);
            bits(my.sends, 1);
            if (my.life != LevelsLife::running && my.life != LevelsLife::stopped) continue;
            bits(my.pc, 6);
            bits(my.next, 3);
            bits(my.end, 3);
            for (bool* flag : {&my.slept, &my.rung, &my.flag_same, &my.armed, &my.ending,
                               &my.drained, &my.marked, &my.by_flag}) {
                bits(*flag, 1);
            }
            bits(my.level, 2);
            bits(my.position, 4);
            bits(my.index, 3);
            bits(my.count, 3);
            bits(my.mask, 2);
            bits(my.sealed, 2);
            visit_slot(my.slot);
        }
    }

private:
    [[nodiscard]] int people() const noexcept { return config_.senders + config_.receivers; }
    [[nodiscard]] int all_messages() const noexcept { return config_.senders * config_.messages; }
    [[nodiscard]] bool can_lose(const LevelsState& state, int who) const;
    [[nodiscard]] bool holds_a_wake(const LevelsState& state) const;
    [[nodiscard]] bool is_held_up(const LevelsState& state, int message) const;
    void environment_moves(const LevelsState& state, int who, Moves<LevelsState>& out) const;
    void recovery_moves(const LevelsState& state, Moves<LevelsState>& out) const;
    void ring_moves(const LevelsState& state, int who, Moves<LevelsState>& out) const;

    const LevelsConfig& config_;
};

const char* name_of(LevelsPc pc);

}  // namespace stoa::model
