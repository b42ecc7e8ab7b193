// The log as a model for the explorer: a writer with heirs, subscribers of both modes who join,
// leave, die and are dropped, and sweepers. Each step is one access of shared memory.
//
// Records are all of one place, so a record's position is its sequence. A payload is written in two
// steps and a place holds what was written there last, so what is read too early, too late or
// beside the writer is seen. The ring leaves one place free behind the last record.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kMaxPlaces = 4;
inline constexpr int kMaxReaders = 3;
inline constexpr int kMaxSweepers = 2;

// Each breaks one rule; log_main.cpp names the rule and the search that catches it.
enum class LogMutant : std::uint8_t {
    none,
    no_join_check,
    join_check_first,
    floor_behind_scan,
    grant_ignores_floor,
    next_not_cleared,
    published_first,
    copy_not_validated,
    latest_trusts_not_ready,
    drop_by_store,
    drop_leaves_state,
    bound_ignores_taken,
    leave_ends_another,
    leave_frees_another,
};

struct LogConfig {
    std::string_view modes = "rl";  // of the subscribers: reliable or latest
    int places = 3;
    int messages = 4;
    int bound = 0;  // 0: none
    int writer_crashes = 0;
    int reader_crashes = 0;
    int attaches = 0;  // of newcomers to a cursor that is free again
    int sweepers = 1;
    int sweeper_crashes = 0;  // they stop for ever, which is no better for the others
    bool leaves = false;
    bool overtakes = false;  // newcomers drop who is still leaving
    LogMutant mutant = LogMutant::none;
};

enum class WriterPc : std::uint8_t {
    idle,
    move_floor,
    scan_state,
    scan_hold,
    scan_taken,
    late_floor,
    grant,
    write,
    write_more,
    clear,
    publish,
};

enum class ReaderPc : std::uint8_t {
    claim_seat,
    drop_look,
    drop_check,
    drop_end,
    drop_free,
    read_floor,
    store_hold,
    store_taken,
    store_state,
    check_floor,
    undo,
    look,
    kept_before,
    read,
    kept_after,
    take,
    lent,
    release,
    end_state,
    free_seat,
};

enum class SweeperPc : std::uint8_t { idle, check_seat, end_state, free_seat };

enum class LogLife : std::uint8_t { running, dead, left };

struct LogPlaceState {
    std::uint8_t payload = 0;  // the record that was written here last; kTorn: half of it
    bool is_ready = false;
};

struct LogCursorState {
    std::uint8_t seat = 0;  // tenant, from 1 on
    std::uint8_t generation = 0;
    bool is_active = false;
    std::uint8_t hold = 0;
    std::uint8_t taken = 0;
};

struct LogWriterState {
    LogLife life = LogLife::running;
    WriterPc pc = WriterPc::idle;
    std::uint8_t tail = 0;
    std::uint8_t room_end = 0;
    std::uint8_t granted = 0;
    std::uint8_t floor = 0;  // what it stored, or is to store
    std::uint8_t index = 0;  // of the cursor it looks at
    std::uint8_t hold = 0;   // the lowest that it saw
    std::uint8_t taken = 0;
};

struct LogReaderState {
    LogLife life = LogLife::running;
    ReaderPc pc = ReaderPc::claim_seat;
    std::uint8_t tenant = 1;
    std::uint8_t head = 0;
    std::uint8_t due = 0;
    std::uint8_t seen = 0;  // payload, or the floor
    bool is_ready = false;
    bool is_joined = false;
    std::uint8_t generation = 0;  // its own when it leaves; of the one that it drops
    std::uint8_t dropped = 0;     // tenant
    bool was_active = false;
};

// One that leaves while another has come to its seat.
struct LogLeaverState {
    ReaderPc pc = ReaderPc::claim_seat;  // end_state or free_seat; else there is none
    std::uint8_t tenant = 0;
    std::uint8_t generation = 0;
};

struct LogSweeperState {
    bool is_dead = false;
    SweeperPc pc = SweeperPc::idle;
    std::uint8_t index = 0;
    std::uint8_t tenant = 0;
    std::uint8_t generation = 0;
    bool was_active = false;
};

struct LogModelState {
    std::uint8_t floor = 0;
    std::array<LogPlaceState, kMaxPlaces> places{};
    std::array<LogCursorState, kMaxReaders> cursors{};
    LogWriterState writer{};
    std::array<LogReaderState, kMaxReaders> readers{};
    std::array<LogLeaverState, kMaxReaders> leavers{};
    std::array<LogSweeperState, kMaxSweepers> sweepers{};
    std::uint8_t writer_crashes = 0;
    std::uint8_t reader_crashes = 0;
    std::uint8_t sweeper_crashes = 0;
    std::uint8_t attaches = 0;
};

class LogModel {
public:
    using State = LogModelState;

    explicit LogModel(const LogConfig& config) : config_(config) {}

    [[nodiscard]] State initial() const;
    void moves(const State& state, Moves<State>& out) const;
    [[nodiscard]] Ending ending(const State& state) const;
    [[nodiscard]] std::string text(const State& state) const;

    template <typename Bits>
    void visit(State& state, Bits& bits) const {
        bits(state.floor, 4);
        for (int i = 0; i < config_.places; ++i) {
            bits(state.places[at(i)].payload, 4);
            bits(state.places[at(i)].is_ready, 1);
        }
        bits(state.writer_crashes, 2);
        bits(state.reader_crashes, 2);
        bits(state.sweeper_crashes, 2);
        bits(state.attaches, 2);
        LogWriterState& writer = state.writer;
        bits(writer.life, 2);
        if (writer.life == LogLife::running) {
            bits(writer.pc, 4);
            bits(writer.tail, 4);
            bits(writer.room_end, 4);
            bits(writer.granted, 4);
            bits(writer.floor, 4);
            bits(writer.index, 2);
            bits(writer.hold, 4);
            bits(writer.taken, 4);
        }
        for (int i = 0; i < count(); ++i) {
            LogCursorState& cursor = state.cursors[at(i)];
            bits(cursor.seat, 2);
            bits(cursor.generation, 2);
            bits(cursor.is_active, 1);
            bits(cursor.hold, 4);
            bits(cursor.taken, 4);
            LogReaderState& my = state.readers[at(i)];
            bits(my.life, 2);
            bits(my.tenant, 2);
            if (my.life != LogLife::running) continue;
            bits(my.pc, 5);
            bits(my.head, 4);
            bits(my.due, 4);
            bits(my.seen, 4);
            bits(my.is_ready, 1);
            bits(my.is_joined, 1);
            if (config_.overtakes || my.pc == ReaderPc::end_state) bits(my.generation, 2);
            if (!config_.overtakes) continue;
            bits(my.dropped, 2);
            bits(my.was_active, 1);
        }
        for (LogLeaverState& leaver : state.leavers) {
            if (!config_.overtakes) break;
            bits(leaver.pc, 5);
            bits(leaver.tenant, 2);
            bits(leaver.generation, 2);
        }
        for (int i = 0; i < config_.sweepers; ++i) {
            LogSweeperState& sweeper = state.sweepers[at(i)];
            bits(sweeper.is_dead, 1);
            if (sweeper.is_dead) continue;
            bits(sweeper.pc, 2);
            if (sweeper.pc == SweeperPc::idle) continue;
            bits(sweeper.index, 2);
            bits(sweeper.tenant, 2);
            bits(sweeper.generation, 2);
            bits(sweeper.was_active, 1);
        }
    }

private:
    static constexpr std::size_t at(int index) noexcept { return static_cast<std::size_t>(index); }
    [[nodiscard]] int count() const noexcept { return static_cast<int>(config_.modes.size()); }
    [[nodiscard]] bool broken(LogMutant mutant) const noexcept { return config_.mutant == mutant; }
    [[nodiscard]] bool is_reliable(int who) const noexcept { return config_.modes[at(who)] == 'r'; }
    [[nodiscard]] LogPlaceState& place(State& state, int position) const {
        return state.places[at(position % config_.places)];
    }

    // What is wrong about the step that was made, or nullptr.
    const char* step_writer(State& state) const;
    void step_scan(State& state) const;
    const char* step_write(State& state) const;
    void next_cursor(State& state, WriterPc again, WriterPc done) const;
    void grant(State& state) const;
    const char* step_reader(State& state, int who) const;
    void step_join(State& state, int who) const;
    void step_drop(State& state, int who) const;
    bool step_leave(LogCursorState& cursor, ReaderPc& pc, int tenant, int generation) const;
    const char* step_look(State& state, int who) const;
    const char* step_take(State& state, int who) const;
    void step_sweeper(State& state, int who) const;
    void environment(const State& state, Moves<State>& out) const;
    [[nodiscard]] bool reader_can_step(const State& state, int who) const;
    [[nodiscard]] static bool leaves(const LogLeaverState& leaver) noexcept {
        return leaver.pc == ReaderPc::end_state || leaver.pc == ReaderPc::free_seat;
    }
    [[nodiscard]] bool is_dead_tenant(const State& state, int index) const;
    const char* over_bound(const State& state) const;
    void adopt(State& state) const;

    const LogConfig& config_;
};

}  // namespace stoa::model
