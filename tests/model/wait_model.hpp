// How a wait set sleeps and is woken, as a model for the explorer: sources of shared memory with
// their marks, those who publish and ring, and one set with its board.
//
//   ringer  R1 publish              R2 look at the mark       R3 find the board by the watch word
//           R4 slot bit             R5 summary bit            R6 read the epoch; odd:
//           R7 byte into the pipe   R8 CAS the epoch to even  R9 clear the mark   R10 wake one
//   set     S1 take the summary, then its slots     S2 look at what is pending; not ready: arm it
//           S3 a barrier, look at the armed again   S4 ready: report   none: S5 drain the pipe
//           S6 the next odd epoch   S7 look at the summary again       S8 sleep on the pipe
//
// Four kinds of sources, by what their mark is: `bell`, a counted word with a sleep bit; `lane`, an
// epoch that its one sender remembers privately; `room`, the same for who waits until two places
// are free, rung until the ringer may note it; `fused`, a bit that publishing itself takes away
// (locks, receipts). Of epochs, sequences and turns only equality is kept. What senders of lanes
// and rooms publish lies in their store buffer until it is flushed, by the set's barrier at the
// latest.
//
// While nobody died or stopped there are no ticks, no slices and no notices of deaths: the set must
// never sleep while something is ready and nobody is on the way to tell it.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kMaxWaitSources = 2;
inline constexpr int kMaxWaitPeers = 4;

enum class SourceKind : std::uint8_t { bell, lane, room, fused };

// Each breaks one rule; wait_main.cpp names the rule and the search that catches it.
enum class WaitMutant : std::uint8_t {
    none,
    mark_cleared_before_ring,
    summary_before_slot,
    summary_skipped,
    epoch_swapped_before_byte,
    epoch_stored,
    cache_without_turn,
    told_instead_of_woken,
    noted_when_taken,
    noted_when_told,
    epoch_left_even,
    epoch_not_new,
    no_look_at_summary,
    drain_after_look,
    slots_taken_first,
    no_look_after_arming,
    no_barrier,
    arm_without_count,
    dropped_unarmed,
    reported_is_forgotten,
    watched_after_arming,
    report_without_byte,
    export_without_byte,
    add_without_byte,
    touch_without_byte,
    no_touch,
    own_mark_left,
    timed_out_made_even,
    disarm_clears_bell,
    no_tick,
    tick_does_not_roll,
    tick_recovers_nothing,
    no_notices,
};

struct WaitConfig {
    int sources = 1;
    std::array<SourceKind, kMaxWaitSources> kinds{};
    int senders = 2;
    std::array<std::uint8_t, kMaxWaitPeers> targets{};  // a lane and a room have one sender each
    int messages = 2;                                   // of each sender
    int receivers = 0;       // others who receive from source 0, a bell, and sleep on it
    int rounds = 1;          // how often each of them does
    bool marked = false;     // somebody else had marked the bells before
    bool exports = false;    // the set's fd is handed to the loop of others
    bool times_out = false;  // waits with deadlines
    bool own_calls = false;  // the set's owner also blocks in calls of watched handles
    bool changes = false;    // entries are removed and added again
    bool leaves = false;     // what was reported is not taken at once
    int rebirths = 0;        // the set ends, another one has its descriptors and slots
    int crashes = 0;
    int freezes = 0;
    int set_freezes = 0;
    bool heirs = false;  // after a death another sender comes
    bool tick = false;
    bool notices = false;  // deaths are told
    WaitMutant mutant = WaitMutant::none;
};

enum class PeerPc : std::uint8_t {
    idle,
    look_at_mark,  // R2
    check_mark,    // of a lane: still the same, and not taken yet
    watch,         // R3
    board,
    slot,        // R4
    summary,     // R5
    epoch,       // R6
    byte,        // R7
    swap_epoch,  // R8
    clear_mark,  // R9
    wake,        // R10
    mark,        // a receiver beside the set
    look_again,
    sleep,
    asleep,
    woken,
    retake,
    taken,
    pass_on,
};

enum class SetPc : std::uint8_t {
    idle,
    take_summary,  // S1
    take_slots,
    look,  // S2
    arm,
    watch_late,  // a mutant's
    barrier,     // S3
    look_again,
    report,  // S4
    take,
    drain,            // S5
    make_odd,         // S6
    look_at_summary,  // S7
    asleep,           // S8
    make_even,
    tick,
    own_mark,
    own_look,
    own_sleep,
    own_asleep,
    own_awake,
    own_take,
};

enum class WaitLife : std::uint8_t { running, stopped, dead };

// Equal to what it is now, or to what it was before; `none`: nothing.
enum class Known : std::uint8_t { none, old, now };

struct WaitSource {
    std::uint8_t available = 0;
    std::uint8_t held = 0;  // taken by a dead receiver
    bool marked = false;    // the bell's bit; an epoch that says asleep or armed
    bool is_armed = false;  // a room's mark: by a set
    Known watch = Known::none;
    bool slot = false;  // on the board of the set that is
    bool summary = false;
    bool has_unnoticed = false;  // somebody died here
};

struct WaitPeer {
    WaitLife life = WaitLife::running;
    PeerPc pc = PeerPc::idle;
    std::uint8_t left = 0;      // messages to send; rounds to receive
    std::uint8_t buffered = 0;  // published, but not visible yet
    bool seen = false;          // the mark's word is still as we saw it
    bool saw_armed = false;
    bool woken = false;  // we noted the very epoch that is there now
    Known watch = Known::none;
    Known cached = Known::none;
    bool on_board = false;  // the board that we ring is that of the set that is
    bool epoch = false;     // the epoch is still as we read it
    bool told = false;
    bool slept = false;
};

struct WaitSetState {
    WaitLife life = WaitLife::running;
    SetPc pc = SetPc::idle;
    std::uint8_t at = 0;     // of which source
    std::uint8_t added = 0;  // sets of sources, as bits
    std::uint8_t pending = 0;
    std::uint8_t armed = 0;  // in this look
    std::uint8_t reported = 0;
    std::uint8_t summary = 0;  // taken
    std::uint8_t tick_at = 0;
    bool odd = false;   // the epoch on the board
    bool pipe = false;  // it is readable
    bool exported = false;
    bool in_other_loop = false;
    bool seen = false;  // an own call's
    bool slept = false;
};

struct WaitState {
    std::array<WaitSource, kMaxWaitSources> sources;
    std::array<WaitPeer, kMaxWaitPeers> peers;
    WaitSetState set;
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
    std::uint8_t set_freezes = 0;
    std::uint8_t rebirths = 0;
};

class WaitModel {
public:
    using State = WaitState;

    explicit WaitModel(const WaitConfig& config) : config_(config) {}

    [[nodiscard]] State initial() const;
    void moves(const State& state, Moves<State>& out) const;
    [[nodiscard]] Ending ending(const State& state) const;
    [[nodiscard]] std::string text(const State& state) const;

    template <typename Bits>
    void visit(State& state, Bits& bits) const {
        for (int i = 0; i < config_.sources; ++i) {
            visit_source(state.sources[static_cast<std::size_t>(i)], bits);
        }
        for (int i = 0; i < peers(); ++i) {
            visit_peer(state.peers[static_cast<std::size_t>(i)], bits);
        }
        visit_set(state.set, bits);
        bits(state.crashes, 2);
        bits(state.freezes, 2);
        bits(state.set_freezes, 1);
        bits(state.rebirths, 2);
    }

private:
    template <typename Bits>
    static void visit_source(WaitSource& source, Bits& bits) {
        bits(source.available, 4);
        bits(source.held, 2);
        bits(source.marked, 1);
        bits(source.is_armed, 1);
        bits(source.watch, 2);
        bits(source.slot, 1);
        bits(source.summary, 1);
        bits(source.has_unnoticed, 1);
    }
    template <typename Bits>
    static void visit_peer(WaitPeer& my, Bits& bits) {
        bits(my.life, 2);
        bits(my.pc, 5);
        bits(my.left, 3);
        bits(my.buffered, 3);
        bits(my.seen, 1);
        bits(my.saw_armed, 1);
        bits(my.woken, 1);
        bits(my.watch, 2);
        bits(my.cached, 2);
        bits(my.on_board, 1);
        bits(my.epoch, 1);
        bits(my.told, 1);
        bits(my.slept, 1);
    }
    template <typename Bits>
    static void visit_set(WaitSetState& set, Bits& bits) {
        bits(set.life, 2);
        bits(set.pc, 5);
        bits(set.at, 2);
        bits(set.added, 2);
        bits(set.pending, 2);
        bits(set.armed, 2);
        bits(set.reported, 2);
        bits(set.summary, 2);
        bits(set.tick_at, 1);
        bits(set.odd, 1);
        bits(set.pipe, 1);
        bits(set.exported, 1);
        bits(set.in_other_loop, 1);
        bits(set.seen, 1);
        bits(set.slept, 1);
    }

    [[nodiscard]] bool broken(WaitMutant mutant) const { return config_.mutant == mutant; }
    [[nodiscard]] int peers() const { return config_.senders + config_.receivers; }
    [[nodiscard]] bool is_sender(int who) const { return who < config_.senders; }
    [[nodiscard]] int target(int who) const {
        return is_sender(who) ? config_.targets[static_cast<std::size_t>(who)] : 0;
    }
    [[nodiscard]] SourceKind kind(int source) const {
        return config_.kinds[static_cast<std::size_t>(source)];
    }
    [[nodiscard]] bool is_stored_late(int source) const {
        return kind(source) == SourceKind::lane || kind(source) == SourceKind::room;
    }
    [[nodiscard]] int needed(int source) const { return kind(source) == SourceKind::room ? 2 : 1; }
    [[nodiscard]] bool is_ready(const State& state, int source) const;

    // Words that many know change for all of them.
    void mark_changes(State& state, int source) const;
    void value_changes(State& state, int source) const;
    void set_bit(State& state, int source) const;
    void flush(State& state, int who) const;
    void recover(State& state, int source) const;
    static void epoch_changes(State& state);

    // wait_peers.cpp
    void peer_moves(const State& state, int who, Moves<State>& out) const;
    void peer_ends(const State& state, int who, Moves<State>& out) const;
    void wake_moves(const State& state, int who, Moves<State>& out) const;
    void step_peer(State& state, int who) const;
    void step_publish(State& state, int who) const;
    void step_mark(State& state, int who) const;
    void step_ring(State& state, int who) const;
    void step_board(State& state, int who) const;
    void step_receiver(State& state, int who) const;
    void after_ring(State& state, int who) const;
    void after_wake(State& state, int who, bool woke) const;
    void peer_done(WaitPeer& my, bool is_sender) const;

    // wait_set.cpp
    void set_moves(const State& state, Moves<State>& out) const;
    void idle_moves(const State& state, Moves<State>& out) const;
    void asleep_moves(const State& state, Moves<State>& out) const;
    void take_moves(const State& state, Moves<State>& out) const;
    void set_ends(const State& state, Moves<State>& out) const;
    void step_set(State& state) const;
    void step_collect(State& state) const;
    void step_look(State& state) const;
    void step_sleep(State& state) const;
    void step_own(State& state) const;
    void add(State& state, int source) const;
    void arm(State& state, int source) const;
    void touch(State& state, int source) const;
    void next_look(State& state, int from) const;
    void next_look_again(State& state, int from) const;
    void next_take(State& state, int from) const;
    void looked(State& state) const;

    // What may keep the set asleep.
    [[nodiscard]] int excused(const State& state, int source) const;
    [[nodiscard]] bool is_on_the_way(const State& state, int source) const;
    [[nodiscard]] bool is_forgotten(const State& state, int source) const;
    [[nodiscard]] bool has_notice(const State& state) const;
    [[nodiscard]] bool peer_rests(const State& state, int who) const;

    WaitConfig config_;
};

}  // namespace stoa::model
