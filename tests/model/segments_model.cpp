#include "tests/model/segments_model.hpp"

#include "tests/model/segments_steps.hpp"

namespace stoa::model {
namespace {

using Pc = SegmentsPc;
using Life = SegmentsLife;
using Role = SegmentsRole;

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

constexpr const char* kPcNames[] = {
    "is at rest",
    "sends: is it the last",
    "sends: is it closed",
    "claims a chunk",
    "reads the slot",
    "publishes",
    "advances the tail",
    "frees its chunk",
    "sets the hint",
    "was refused: is it closed",
    "grows: reads the last",
    "grows: reads an entry",
    "M1 claims an entry",
    "M1 sets the used bit",
    "M2 stores the position",
    "M2 reserves",
    "M2 makes the ring",
    "M3 links",
    "M4 makes it LIVE",
    "grows: none is free",
    "R5 punches",
    "R5 clears the used bit",
    "R5 frees the entry",
    "reads the last",
    "reads its word",
    "reads the last again",
    "M4 for its maker",
    "A1 pins",
    "A2 reads the word",
    "A2 keeps it",
    "lets the pin go",
    "refreshes: is it the last",
    "refreshes: is it there",
    "lists: reads the used bits",
    "lists: reads a word",
    "lists: reads a position",
    "lists: reads the word again",
    "is at rest",
    "reads the flag",
    "receives: is it the last",
    "reads the slot",
    "takes",
    "adopts",
    "empties the slot",
    "advances the head",
    "looks where to seal",
    "seals",
    "helps: adopts",
    "helps: empties the slot",
    "again: reads the flag",
    "again: reads the slot",
    "again: takes",
    "again: reads the chunk",
    "again: claims",
    "again: lowers the flag",
    "again: lets the pin go",
    "leaves behind: is it there",
    "found nothing: is it still the last",
    "ends: reads the chunk",
    "ends: raises",
    "ends: lets the pin go",
    "ends: marks the last",
    "has a message",
    "frees the chunk",
    "sets the hint or the flag",
    "lets the pin go",
    "retires: is it the last",
    "retires: reads the slot",
    "retires: reads the chunk",
    "R1 makes it LEAVING",
    "R2 reads a pin",
    "R3 reads the slot",
    "R3 reads the chunk",
    "R4 decides",
    "lets the pin go",
    "is at rest",
    "recovers the slot",
    "recovers: reads the chunk",
    "recovers: scans the slot",
    "brings the chunk back",
    "raises",
    "lets the pin go",
    "recovers: reads an entry",
    "recovers: reads the last",
    "recovers: takes the entry",
    "drops the pins of the dead",
};
static_assert(std::size(kPcNames) == static_cast<std::size_t>(Pc::c_pins) + 1);

bool is_at_rest(const SegmentsPerson& my) {
    return my.pc == Pc::s_idle || my.pc == Pc::r_idle || my.pc == Pc::w_idle;
}

}  // namespace

const char* name_of(Pc pc) {
    return kPcNames[static_cast<std::size_t>(pc)];
}

SegmentsState SegmentsModel::initial() const {
    SegmentsState state{};
    if (config_.begun) {
        state.pieces[0].word = {.state = PieceState::live, .who = 0, .generation = 1};
        state.pieces[0].position = 1;
        state.pieces[0].used = true;
        state.pieces[0].memory = PieceMemory::ready;
        state.last = last_of(PieceRef{.slot = 0, .generation = 1, .position = 1});
    }
    for (int i = 0; i < people(); ++i) {
        SegmentsPerson& my = state.people[at(i)];
        my.role = i < config_.senders                       ? Role::sender
                  : i < config_.senders + config_.receivers ? Role::receiver
                                                            : Role::sweeper;
        my.pc = my.role == Role::sender     ? Pc::s_idle
                : my.role == Role::receiver ? Pc::r_idle
                                            : Pc::w_idle;
        for (int k = 0; k < kMaxPieces; ++k) my.known[at(k)].slot = static_cast<std::uint8_t>(k);
        if (my.role != Role::sender) continue;
        my.next = static_cast<std::uint8_t>(i * kPieceMessages);
        my.end =
            static_cast<std::uint8_t>(i * kPieceMessages + config_.messages - i * config_.fewer);
    }
    return state;
}

// ---- What can happen next -----------------------------------------------------------------------

void SegmentsModel::moves(const SegmentsState& state, Moves<SegmentsState>& out) const {
    for (int who = 0; who < people(); ++who) {
        const SegmentsPerson& my = state.people[at(who)];
        if (my.life != Life::running) continue;
        environment_moves(state, who, out);
        if (is_at_rest(my) || my.pc == Pc::x_have) {
            choices(state, who, out);
            continue;
        }
        SegmentsStep step(config_, out.draft(state), who);
        const char* fault = step.run();
        out.take_progress(who, name_of(my.pc), fault);
        if (my.pc != Pc::g_reserve || state.no_space == config_.no_space) continue;
        SegmentsStep(config_, out.draft(state), who).no_space();
        out.take_environment(who, "M2 FINDS NO SPACE");
    }
    if (config_.closes && !state.closed) {
        out.draft(state).closed = true;
        out.take_environment(people(), "CLOSES");
    }
}

// Nobody sleeps here, but who would find nothing new need not look.
bool SegmentsModel::has_work(const SegmentsState& state, int who) const {
    const SegmentsPerson& my = state.people[at(who)];
    if (state.closed) return !my.kept.is_held;
    for (int i = 0; i < config_.segments; ++i) {
        const Piece& piece = state.pieces[at(i)];
        if (piece.slot == PieceSlot::full || piece.slot == PieceSlot::redeliver) return true;
        if (piece.chunk == PieceChunk::redeliver) return true;
        if (my.known[at(i)].position != 0 && last_slot(state.last) != i) return true;
        // What nobody sent to before it was left goes with the next receive.
        const bool is_left = piece.word.state == PieceState::live && last_slot(state.last) != i;
        if (is_left && piece.slot == PieceSlot::empty) return true;
    }
    return false;
}

void SegmentsModel::choices(const SegmentsState& state, int who, Moves<SegmentsState>& out) const {
    const SegmentsPerson& my = state.people[at(who)];
    if (my.role == Role::sweeper) {
        sweep_choices(state, who, out);
    } else if (my.role == Role::sender) {
        if (my.next != my.end) {
            SegmentsStep(config_, out.draft(state), who).begin_send();
            out.take_progress(who, "begins to send");
            const bool may = who == config_.senders - 1 && state.loans < config_.loans;
            if (may && !my.loan.is_held) {
                SegmentsStep(config_, out.draft(state), who).begin_reserve();
                out.take_progress(who, "begins to reserve");
            }
        }
        if (my.loan.is_held) {
            SegmentsStep(config_, out.draft(state), who).give_up_loan();
            out.take_progress(who, "abandons its loan");
        } else if (my.next == my.end) {
            out.draft(state).people[at(who)] = {.life = Life::ended, .role = my.role};
            out.take_progress(who, "leaves");
        }
    } else if (my.pc == Pc::x_have) {
        const char* fault = SegmentsStep(config_, out.draft(state), who).ack_or_release();
        out.take_progress(who, config_.ack ? "acks" : "has read it", fault);
        if (state.nacks < config_.nacks) {
            SegmentsStep(config_, out.draft(state), who).begin_nack();
            out.take_progress(who, "gives it back");
        }
        if (config_.keeps && !my.kept.is_held) {
            SegmentsStep(config_, out.draft(state), who).keep();
            out.take_progress(who, "keeps it");
        }
    } else {
        if (has_work(state, who)) {
            SegmentsStep(config_, out.draft(state), who).begin_receive();
            out.take_progress(who, "begins to receive");
        }
        if (my.kept.is_held) {
            SegmentsStep(config_, out.draft(state), who).give_up_kept();
            out.take_progress(who, "gives up what it kept");
        }
    }
}

void SegmentsModel::sweep_choices(const SegmentsState& state, int who,
                                  Moves<SegmentsState>& out) const {
    for (int d = 0; d < people(); ++d) {
        if (state.people[at(d)].life != Life::dead) continue;
        SegmentsStep(config_, out.draft(state), who).begin_recovery(d);
        out.take_progress(who, "begins to sweep");
    }
    for (int i = 0; i < config_.segments; ++i) {
        const PieceState now = state.pieces[at(i)].word.state;
        const bool is_last = leads_to(state.last, i);
        if (is_last || (now != PieceState::live && now != PieceState::leaving)) continue;
        if (state.pieces[at(i)].slot != PieceSlot::sealed) continue;
        SegmentsStep(config_, out.draft(state), who).begin_look();
        out.take_progress(who, "begins to look around");
        break;
    }
}

// Another receiver must be left, or have learned the end and gone; and a sweeper.
bool SegmentsModel::can_lose(const SegmentsState& state, int who) const {
    const Role role = state.people[at(who)].role;
    if (role == Role::sender) return true;
    for (int i = 0; i < people(); ++i) {
        const SegmentsPerson& other = state.people[at(i)];
        if (i == who || other.role != role) continue;
        if (other.life == Life::running || other.life == Life::ended) return true;
    }
    return false;
}

void SegmentsModel::environment_moves(const SegmentsState& state, int who,
                                      Moves<SegmentsState>& out) const {
    const SegmentsPerson& my = state.people[at(who)];
    const bool is_idle =
        is_at_rest(my) && (my.role == Role::sweeper ||
                           (my.role == Role::sender && my.next == my.end && !my.loan.is_held));
    if (is_idle || !can_lose(state, who)) return;
    if (state.crashes < config_.crashes) {
        SegmentsState& next = out.draft(state);
        next.people[at(who)] = {.life = Life::dead, .role = my.role, .pins = my.pins};
        ++next.crashes;
        out.take_environment(who, "DIES");
    }
    if (state.freezes < config_.freezes) {
        SegmentsState& next = out.draft(state);
        next.people[at(who)].life = Life::stopped;
        ++next.freezes;
        out.take_environment(who, "STOPS FOR EVER");
    }
}

// ---- What is a clean end ------------------------------------------------------------------------

// A stopped process has pinned it, makes it, looks at it or holds something of it.
bool SegmentsModel::is_held_up(const SegmentsState& state, int slot) const {
    const Piece& piece = state.pieces[at(slot)];
    const auto is_stopped = [&](int who) { return state.people[at(who)].life == Life::stopped; };
    const bool named = piece.word.state == PieceState::making ||
                       piece.word.state == PieceState::leaving ||
                       piece.word.state == PieceState::giving_back;
    if (named && is_stopped(piece.word.who)) return true;
    const bool held = piece.chunk == PieceChunk::loaned || piece.chunk == PieceChunk::borrowed;
    if (held && is_stopped(piece.owner)) return true;
    if (piece.slot == PieceSlot::taken && is_stopped(piece.taker)) return true;
    const std::uint8_t wanted = pin_of(static_cast<std::uint8_t>(slot), piece.word.generation);
    for (int i = 0; i < people(); ++i) {
        if (!is_stopped(i)) continue;
        for (const std::uint8_t pin : state.people[at(i)].pins) {
            if (pin == wanted) return true;
        }
    }
    return false;
}

Ending SegmentsModel::ending(const SegmentsState& state) const {
    for (int i = 0; i < people(); ++i) {
        const SegmentsPerson& my = state.people[at(i)];
        if (my.life == Life::dead) return {};
        if (my.life != Life::running) continue;
        if (my.role == Role::sender || !is_at_rest(my) || my.kept.is_held) return {};
        if (my.role == Role::receiver && state.closed) {
            bool waits = false;  // for the lease of a stopped one
            for (int k = 0; k < config_.segments; ++k) waits = waits || is_held_up(state, k);
            if (!waits) return {};
        }
    }
    for (int i = 0; i < config_.segments; ++i) {
        const Piece& piece = state.pieces[at(i)];
        const bool is_last = leads_to(state.last, i);
        const bool is_empty = piece.slot == PieceSlot::empty || piece.slot == PieceSlot::sealed;
        const bool held_up = is_held_up(state, i);
        if (is_last) {
            if (!is_empty && piece.slot != PieceSlot::taken) return {};
            if (!held_up && (!is_empty || piece.chunk != PieceChunk::free)) return {};
            continue;
        }
        const bool is_gone = piece.word.state == PieceState::free &&
                             piece.memory == PieceMemory::absent && !piece.used;
        // Two that look at the same time may both let it stay: then it goes with the next look.
        const bool may_stay = config_.sweepers == 0 && piece.slot == PieceSlot::sealed &&
                              piece.chunk == PieceChunk::free;
        if (!is_gone && !held_up && !may_stay) return {};
        if (piece.slot == PieceSlot::full || piece.slot == PieceSlot::redeliver) return {};
        if (piece.chunk == PieceChunk::redeliver) return {};
    }
    for (int m = 0; m < 2 * kPieceMessages; ++m) {
        if (state.messages[at(m)] != 1) continue;
        bool is_held = false;
        for (int i = 0; i < config_.segments; ++i) {
            const Piece& piece = state.pieces[at(i)];
            is_held = is_held || (is_held_up(state, i) && piece.content == m &&
                                  piece.chunk != PieceChunk::free);
        }
        if (!is_held) return {.is_clean = false, .fault = "a message was lost"};
    }
    return {.is_clean = true};
}

std::string SegmentsModel::text(const SegmentsState& state) const {
    static constexpr const char* kStates[] = {"FREE", "MAKING", "LIVE", "LEAVING", "GIVING_BACK"};
    static constexpr const char* kSlots[] = {"EMPTY", "FULL", "TAKEN", "REDELIVER", "SEALED"};
    static constexpr const char* kChunks[] = {"free", "loaned", "borrowed", "redeliver"};
    std::string out;
    for (int i = 0; i < config_.segments; ++i) {
        const Piece& piece = state.pieces[at(i)];
        out += " " + std::to_string(i) + ":" + kStates[static_cast<std::size_t>(piece.word.state)] +
               "(" + std::to_string(piece.word.who) + " g" + std::to_string(piece.word.generation) +
               " p" + std::to_string(piece.position) + (piece.used ? " used" : "") + ") " +
               kSlots[static_cast<std::size_t>(piece.slot)] + " m" + std::to_string(piece.message) +
               " " + kChunks[static_cast<std::size_t>(piece.chunk)] + "(" +
               std::to_string(piece.owner) + ")" +
               (piece.memory == PieceMemory::ready ? "" : " no memory") +
               (piece.flag ? " flag;" : ";");
    }
    out += " last " + std::to_string(last_slot(state.last)) + " p" +
           std::to_string(last_position(state.last)) +
           (last_place(state.last) == state.last ? "" : " ENDED") +
           (state.closed ? " CLOSED |" : " |");
    static constexpr const char* kLives[] = {"", "stopped: ", "dead", "recovered", "ended"};
    for (int i = 0; i < people(); ++i) {
        const SegmentsPerson& my = state.people[at(i)];
        out += " " + std::to_string(i) + ":" + kLives[static_cast<std::size_t>(my.life)];
        if (my.life == Life::running || my.life == Life::stopped) out += name_of(my.pc);
        for (const std::uint8_t pin : my.pins) {
            if (pin != kNoPin) out += " pin " + std::to_string((pin - 1) >> 4);
        }
        out += ";";
    }
    return out;
}

}  // namespace stoa::model
