// The memory of an unbounded mailbox as a model for the explorer: the directory of segments with
// their pins, the chain of one station, growing, shrinking, and who recovers both. One access of
// shared memory at a time: stoa/mailbox/segments.cpp and queue.cpp.
//
// Of each segment's ring only what the chain needs: one slot and one chunk, which lap, and one
// priority. pool_model proves the rings, so adoption is one access here. Nobody sleeps: a receiver
// may always look again. Positions and generations are exact.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kMaxPieces = 3;      // entries of the directory
inline constexpr int kPiecePeople = 4;    // senders, then receivers, then sweepers
inline constexpr int kPieceMessages = 4;  // of each of two senders
inline constexpr std::uint8_t kNoPin = 0;
inline constexpr std::uint8_t kPieceEnded = 1 << 5;  // in `last`

// Each breaks one rule; segments_main.cpp names the rule and the search that catches it.
enum class SegmentsMutant : std::uint8_t {
    none,
    pin_after_look,
    no_second_look,
    ring_before_pins,
    leaving_not_rescued,
    leaving_unnamed,
    freer_without_pin,
    last_not_helped,
    last_may_leave,
    recover_ignores_link,
    unlinked_kept,
    used_late,
    used_cleared_early,
    used_cleared_late,
    pass_without_seal,
    seal_by_store,
    no_generation,
    list_unbounded,
    empty_unchecked,
    end_unmarked,
    end_by_store,
    end_not_masked,
};

struct SegmentsConfig {
    int segments = 2;
    int senders = 1;
    int receivers = 1;
    int sweepers = 1;
    int messages = 2;   // of each sender
    int fewer = 0;      // so many less of the second one
    int positions = 4;  // the last one has this at most: then a send is refused
    int crashes = 0;
    int freezes = 0;
    int loans = 0;  // that senders reserve and abandon after the next send
    int nacks = 0;
    int no_space = 0;    // how often the file system is full
    bool begun = true;   // the first segment is there
    bool keeps = false;  // receivers may keep a message while they receive the next
    bool ack = false;
    bool closes = false;
    SegmentsMutant mutant = SegmentsMutant::none;
};

enum class PieceState : std::uint8_t { free, making, live, leaving, giving_back };
enum class PieceMemory : std::uint8_t { absent, raw, ready };
enum class PieceSlot : std::uint8_t { empty, full, taken, redeliver, sealed };
enum class PieceChunk : std::uint8_t { free, loaned, borrowed, redeliver };

struct PieceWord {
    PieceState state = PieceState::free;
    std::uint8_t who = 0;
    std::uint8_t generation = 0;
    friend bool operator==(const PieceWord&, const PieceWord&) = default;
};

struct Piece {  // an entry of the directory, and the ring behind it
    PieceWord word;
    std::uint8_t position = 0;
    bool used = false;
    PieceMemory memory = PieceMemory::absent;
    PieceSlot slot = PieceSlot::empty;
    std::uint8_t taker = 0;
    std::uint8_t message = 0;
    bool again = false;  // the message was taken before
    PieceChunk chunk = PieceChunk::free;
    std::uint8_t owner = 0;
    std::uint8_t content = 0;  // the message in the chunk
    bool flag = false;
    std::uint8_t flag_turn = 0;
};

// One that somebody knows; position 0: none.
struct PieceRef {
    std::uint8_t slot = 0;
    std::uint8_t generation = 0;
    std::uint8_t position = 0;
    friend bool operator==(const PieceRef&, const PieceRef&) = default;
};

struct PieceLoan {
    bool is_held = false;
    bool again = false;
    std::uint8_t slot = 0;
    std::uint8_t generation = 0;
    std::uint8_t message = 0;
};

enum class PiecePin : std::uint8_t { in, out, hand, sweep };
inline constexpr int kPinKinds = 4;

// What the shared parts were called for.
enum class HoldFor : std::uint8_t { send, take, back, end, give_up, retire, sweep };
enum class LastFor : std::uint8_t { send, refresh, list };
enum class ListFor : std::uint8_t { refresh, sweep, look };
enum class RetireFor : std::uint8_t { leave_behind, give_up, look };
enum class GiveFor : std::uint8_t { grow, retire, recover };

enum class SegmentsPc : std::uint8_t {
    // send
    s_idle,
    s_is_last,
    s_closed,
    s_claim,
    s_slot,
    s_publish,
    s_tail,
    s_unclaim,
    s_unhint,
    s_refused,
    // grow
    g_last,
    g_read,
    g_claim,
    g_used,
    g_position,
    g_reserve,
    g_create,
    g_link,
    g_live,
    g_none,
    // give back
    b_punch,
    b_unuse,
    b_free,
    // which one is the last
    l_read,
    l_word,
    l_again,
    l_help,
    // hold
    h_pin,
    h_look,
    h_rescue,
    h_undo,
    // refresh, list
    f_is_last,
    f_there,
    i_bits,
    i_word,
    i_position,
    i_again,
    // receive
    r_idle,
    t_flag,
    t_is_last,
    t_slot,
    t_take,
    t_adopt,
    t_empty,
    t_head,
    q_look,
    q_seal,
    q_adopt,
    q_empty,
    a_flag,
    a_slot,
    a_take,
    a_chunk,
    a_claim,
    a_lower,
    a_let_go,
    v_there,
    z_is_last,
    e_chunk,
    e_raise,
    e_let_go,
    e_last,
    // give up what it holds
    x_have,
    x_free,
    x_hint,
    x_let_go,
    // retire
    y_last,
    y_slot,
    y_chunk,
    y_leave,
    y_pin,
    y_slot_again,
    y_chunk_again,
    y_decide,
    y_let_go,
    // recover
    w_idle,
    w_slot,
    w_list,
    w_scan,
    w_bring_back,
    w_raise,
    w_let_go,
    c_word,
    c_last,
    c_take,
    c_pins,
};

enum class SegmentsRole : std::uint8_t { sender, receiver, sweeper };
enum class SegmentsLife : std::uint8_t { running, stopped, dead, recovered, ended };

struct SegmentsPerson {
    SegmentsLife life = SegmentsLife::running;
    SegmentsRole role = SegmentsRole::sender;
    SegmentsPc pc = SegmentsPc::s_idle;
    std::array<std::uint8_t, kPinKinds> pins{};  // kNoPin, or the segment it names
    std::uint8_t next = 0;                       // sender: its next message, and the one after
    std::uint8_t end = 0;
    PieceRef out{};
    std::array<PieceRef, kMaxPieces> known{};  // by slot; also a sweeper's list
    std::uint8_t passed = 0;
    std::uint8_t left = 0;
    PieceLoan loan{};
    PieceLoan kept{};
    std::array<std::uint8_t, 2> received{};  // from each sender: the newest, and 1
    // of the call under way
    PieceRef at{};
    PieceWord seen{};
    std::uint8_t last = 0;  // as it was read
    std::uint8_t bits = 0;
    std::uint8_t index = 0;
    std::uint8_t bound = 0;  // positions behind it were not there yet
    std::uint8_t whose = 0;  // pins: of whom
    std::uint8_t pin = 0;
    std::uint8_t dead = 0;
    std::uint8_t turn = 0;  // of the flag
    HoldFor hold_for{};
    LastFor last_for{};
    ListFor list_for{};
    RetireFor retire_for{};
    GiveFor give_for{};
    bool needed = false;
    bool is_last = false;
    bool single = false;
    bool ending = false;     // it saw the mailbox closed
    bool finishing = false;  // it asks whether all is drained
    bool waited = false;     // something waited all the time of this receive
    bool listed = false;
    bool reserves = false;  // a sender that only reserves
};

struct SegmentsState {
    std::array<Piece, kMaxPieces> pieces;
    std::uint8_t last = 0;  // kPieceEnded | position << 2 | slot; position 0: none
    // 0 unsent, 1 sent, 2 delivered (acked), 3 refused
    std::array<std::uint8_t, 2 * kPieceMessages> messages{};
    bool closed = false;
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
    std::uint8_t loans = 0;
    std::uint8_t nacks = 0;
    std::uint8_t no_space = 0;
    std::array<SegmentsPerson, kPiecePeople> people;
};

constexpr std::uint8_t last_of(const PieceRef& ref) noexcept {
    if (ref.position == 0) return 0;
    return static_cast<std::uint8_t>(ref.position << 2 | ref.slot);
}

// Where `last` leads.
constexpr std::uint8_t last_place(std::uint8_t last) noexcept {
    return static_cast<std::uint8_t>(last & (kPieceEnded - 1));
}
constexpr int last_position(std::uint8_t last) noexcept {
    return last_place(last) >> 2;
}
constexpr int last_slot(std::uint8_t last) noexcept {
    return last & 3;
}
constexpr bool leads_to(std::uint8_t last, int slot) noexcept {
    return last_position(last) != 0 && last_slot(last) == slot;
}

constexpr std::uint8_t pin_of(std::uint8_t slot, std::uint8_t generation) noexcept {
    return static_cast<std::uint8_t>(1 + (slot << 4 | generation));
}

class SegmentsModel {
public:
    using State = SegmentsState;

    explicit SegmentsModel(const SegmentsConfig& config) : config_(config) {}

    [[nodiscard]] SegmentsState initial() const;
    void moves(const SegmentsState& state, Moves<SegmentsState>& out) const;
    [[nodiscard]] Ending ending(const SegmentsState& state) const;
    [[nodiscard]] std::string text(const SegmentsState& state) const;

    template <typename Bits>
    void visit(SegmentsState& state, Bits& bits) const {
        for (std::size_t i = 0; i < static_cast<std::size_t>(config_.segments); ++i) {
            visit_piece(state.pieces[i], bits);
        }
        bits(state.last, 6);
        for (std::size_t s = 0; s < static_cast<std::size_t>(config_.senders); ++s) {
            for (std::size_t m = 0; m < static_cast<std::size_t>(config_.messages); ++m) {
                bits(state.messages[s * kPieceMessages + m], 2);
            }
        }
        bits(state.closed, 1);
        bits(state.crashes, 2);
        bits(state.freezes, 2);
        bits(state.loans, 1);
        bits(state.nacks, 1);
        bits(state.no_space, 1);
        for (std::size_t i = 0; i < static_cast<std::size_t>(people()); ++i) {
            SegmentsPerson& my = state.people[i];
            bits(my.life, 3);
            bits(my.role, 2);
            if (my.life == SegmentsLife::recovered || my.life == SegmentsLife::ended) continue;
            visit_pins(my, bits);
            if (my.life == SegmentsLife::dead) continue;
            visit_person(my, bits);
        }
    }

private:
    static constexpr unsigned kGenerationBits = 4;
    static constexpr unsigned kPositionBits = 3;

    template <typename Bits>
    void visit_piece(Piece& piece, Bits& bits) const {
        visit_word(piece.word, bits);
        bits(piece.position, kPositionBits);
        bits(piece.used, 1);
        bits(piece.memory, 2);
        bits(piece.slot, 3);
        bits(piece.taker, 2);
        bits(piece.message, 3);
        bits(piece.again, 1);
        bits(piece.chunk, 2);
        bits(piece.owner, 2);
        bits(piece.content, 3);
        bits(piece.flag, 1);
        bits(piece.flag_turn, 2);
    }

    template <typename Bits>
    void visit_word(PieceWord& word, Bits& bits) const {
        bits(word.state, 3);
        bits(word.who, 2);
        bits(word.generation, kGenerationBits);
    }

    template <typename Bits>
    void visit_ref(PieceRef& ref, Bits& bits) const {
        bits(ref.slot, 2);
        bits(ref.generation, kGenerationBits);
        bits(ref.position, kPositionBits);
    }

    template <typename Bits>
    void visit_loan(PieceLoan& loan, Bits& bits) const {
        bits(loan.is_held, 1);
        bits(loan.again, 1);
        bits(loan.slot, 2);
        bits(loan.generation, kGenerationBits);
        bits(loan.message, 3);
    }

    template <typename Bits>
    void visit_pins(SegmentsPerson& my, Bits& bits) const {
        for (int k = 0; k < kPinKinds; ++k) {
            if (uses(my.role, static_cast<PiecePin>(k))) {
                bits(my.pins[static_cast<std::size_t>(k)], 6);
            }
        }
    }

    template <typename Bits>
    void visit_person(SegmentsPerson& my, Bits& bits) const {
        bits(my.pc, 7);
        if (my.role == SegmentsRole::sender) {
            bits(my.next, 3);
            bits(my.end, 4);
            visit_ref(my.out, bits);
            bits(my.reserves, 1);
        } else {
            for (std::size_t i = 0; i < static_cast<std::size_t>(config_.segments); ++i) {
                bits(my.known[i].generation, kGenerationBits);
                bits(my.known[i].position, kPositionBits);
                if (Bits::kReads) my.known[i].slot = static_cast<std::uint8_t>(i);
            }
        }
        if (my.role == SegmentsRole::sender ? config_.loans > 0
                                            : my.role == SegmentsRole::receiver) {
            visit_loan(my.loan, bits);
        }
        if (my.role == SegmentsRole::receiver) {
            bits(my.passed, kPositionBits);
            bits(my.left, kPositionBits);
            if (config_.keeps) visit_loan(my.kept, bits);
            for (int s = 0; s < config_.senders; ++s) {
                bits(my.received[static_cast<std::size_t>(s)], 3);
            }
            bits(my.turn, 2);
            bits(my.is_last, 1);
            bits(my.single, 1);
            bits(my.ending, 1);
            bits(my.finishing, 1);
            bits(my.waited, 1);
        }
        if (my.role == SegmentsRole::sweeper) {
            bits(my.dead, 2);
            bits(my.listed, 1);
        }
        visit_call(my, bits);
    }

    template <typename Bits>
    void visit_call(SegmentsPerson& my, Bits& bits) const {
        if (my.pc == SegmentsPc::s_idle || my.pc == SegmentsPc::r_idle ||
            my.pc == SegmentsPc::w_idle || my.pc == SegmentsPc::x_have) {
            return;
        }
        visit_ref(my.at, bits);
        visit_word(my.seen, bits);
        bits(my.last, 6);
        bits(my.bits, 3);
        bits(my.index, 2);
        bits(my.bound, kPositionBits);
        bits(my.whose, 3);
        bits(my.pin, 2);
        bits(my.hold_for, 3);
        bits(my.last_for, 2);
        bits(my.list_for, 2);
        bits(my.retire_for, 2);
        bits(my.give_for, 2);
        bits(my.needed, 1);
    }

    [[nodiscard]] bool uses(SegmentsRole role, PiecePin pin) const noexcept {
        switch (pin) {
            case PiecePin::in: return role == SegmentsRole::receiver;
            case PiecePin::out: return role == SegmentsRole::sender;
            case PiecePin::hand:
                return role == SegmentsRole::receiver ||
                       (role == SegmentsRole::sender && config_.loans > 0);
            case PiecePin::sweep: return role != SegmentsRole::sender || config_.loans > 0;
        }
        return false;
    }
    [[nodiscard]] int people() const noexcept {
        return config_.senders + config_.receivers + config_.sweepers;
    }
    [[nodiscard]] bool can_lose(const SegmentsState& state, int who) const;
    [[nodiscard]] bool has_work(const SegmentsState& state, int who) const;
    [[nodiscard]] bool is_held_up(const SegmentsState& state, int slot) const;
    void environment_moves(const SegmentsState& state, int who, Moves<SegmentsState>& out) const;
    void choices(const SegmentsState& state, int who, Moves<SegmentsState>& out) const;
    void sweep_choices(const SegmentsState& state, int who, Moves<SegmentsState>& out) const;

    friend class SegmentsStep;

    const SegmentsConfig& config_;
};

const char* name_of(SegmentsPc pc);

}  // namespace stoa::model
