#include "stoa/base/check.hpp"
#include "tests/model/segments_steps.hpp"

// Receiving; retiring and recovery: segments_retire.cpp.
namespace stoa::model {
namespace {

using Pc = SegmentsPc;

constexpr std::uint8_t byte(int value) {
    return static_cast<std::uint8_t>(value);
}

}  // namespace

// ---- Take ---------------------------------------------------------------------------------------

void SegmentsStep::begin_receive() {
    my_.ending = state_.closed;
    my_.waited = true;
    begin_refresh();
    note_emptiness();
}

void SegmentsStep::begin_take() {
    my_.index = my_.bound = 0;
    my_.single = known_count() == 1;
    if (my_.single) {
        begin_hold(HoldFor::take, my_.known[static_cast<std::size_t>(newest())]);
        return;
    }
    my_.bound = my_.passed;
    take_next();
}

// The next one behind `bound`.
void SegmentsStep::take_next() {
    my_.at = {};
    if (my_.single) {  // its only one went: it looks again at all
        my_.single = false;
        my_.bound = my_.passed;
    }
    const int slot = first_behind(my_.bound);
    if (slot >= 0) {
        begin_hold(HoldFor::take, my_.known[static_cast<std::size_t>(slot)]);
        return;
    }
    my_.bound = 0;
    back_next();
}

void SegmentsStep::deliver(const Piece& piece) {
    std::uint8_t& message = state_.messages[piece.message];
    if (message == 2) fault_ = "a message was delivered twice";
    if (!config_.ack) message = 2;
}

// The message is this receiver's.
void SegmentsStep::took() {
    const auto message = my_.loan.message;
    my_.loan.slot = my_.at.slot;
    my_.loan.generation = my_.at.generation;
    const auto sender = static_cast<std::size_t>(message / kPieceMessages);
    const auto number = byte(message % kPieceMessages + 1);
    if (!my_.loan.again) {
        if (number <= my_.received[sender]) fault_ = "a sender's messages came out of order";
        my_.received[sender] = number;
    }
    my_.loan.is_held = true;
    my_.needed = false;
    after_take();
}

// allowed: function_length: one switch, a step of the algorithm per case
void SegmentsStep::take_step() {
    Piece& piece = here();
    touch();
    switch (my_.pc) {
        case Pc::t_flag:
            my_.turn = piece.flag_turn;
            my_.pc = piece.flag ? Pc::a_slot : Pc::t_slot;
            break;
        case Pc::t_is_last:
            my_.is_last = is_last(my_.at);
            my_.pc = Pc::t_slot;
            break;
        case Pc::t_slot:
            if (piece.slot == PieceSlot::full) {
                my_.loan.message = piece.message;
                my_.pc = Pc::t_take;
            } else if (my_.single) {
                my_.single = false;
                after_take();
            } else if (my_.is_last) {
                my_.is_last = false;
                my_.bound = 0;
                my_.at = {};
                back_next();
            } else if (broken(SegmentsMutant::pass_without_seal)) {
                sealed();
            } else {
                my_.pc = Pc::q_look;
            }
            break;
        case Pc::t_take:
            my_.pc = Pc::t_slot;
            if (piece.slot != PieceSlot::full || piece.message != my_.loan.message) {
                my_.loan = {};
                break;
            }
            my_.loan.again = piece.again;
            piece.slot = PieceSlot::taken;
            piece.taker = me_;
            my_.pc = Pc::t_adopt;
            break;
        case Pc::t_adopt:
            if (piece.slot == PieceSlot::taken && piece.message == my_.loan.message) {
                piece.chunk = PieceChunk::borrowed;
                piece.owner = me_;
            }
            my_.pc = Pc::t_empty;
            break;
        case Pc::t_empty:
            if (piece.slot == PieceSlot::taken && piece.message == my_.loan.message) {
                deliver(piece);
                piece.slot = PieceSlot::empty;
                piece.taker = piece.message = 0;
                piece.again = false;
            }
            my_.pc = Pc::t_head;
            break;
        case Pc::t_head: took(); break;
        default: STOA_CHECK(false); break;
    }
}

// ---- Seal ---------------------------------------------------------------------------------------

void SegmentsStep::sealed() {
    if (my_.finishing) {
        my_.pc = Pc::e_chunk;
        return;
    }
    my_.passed = my_.at.position;
    my_.bound = my_.at.position;
    take_next();
}

void SegmentsStep::seal_step() {
    Piece& piece = here();
    touch();
    switch (my_.pc) {
        case Pc::q_look:
            if (piece.slot == PieceSlot::empty) {
                my_.pc = Pc::q_seal;
            } else if (piece.slot == PieceSlot::taken) {
                my_.loan.message = piece.message;
                my_.pc = Pc::q_adopt;
            } else if (piece.slot == PieceSlot::sealed) {
                sealed();
            } else if (my_.finishing) {
                goes_on();
            } else if (piece.slot == PieceSlot::full) {
                my_.pc = Pc::t_slot;
            } else {  // what is to come again lies in the way
                my_.bound = 0;
                my_.at = {};
                back_next();
            }
            break;
        case Pc::q_seal:
            if (piece.slot != PieceSlot::empty && !broken(SegmentsMutant::seal_by_store)) {
                my_.pc = Pc::q_look;
                break;
            }
            piece.slot = PieceSlot::sealed;
            piece.message = 0;
            sealed();
            break;
        case Pc::q_adopt:
            if (piece.slot == PieceSlot::taken && piece.message == my_.loan.message) {
                piece.chunk = PieceChunk::borrowed;
                piece.owner = piece.taker;
            }
            my_.pc = Pc::q_empty;
            break;
        case Pc::q_empty:
            if (piece.slot == PieceSlot::taken && piece.message == my_.loan.message) {
                deliver(piece);
                piece.slot = PieceSlot::empty;
                piece.taker = piece.message = 0;
                piece.again = false;
            }
            my_.loan = {};
            my_.pc = Pc::q_look;
            break;
        default: STOA_CHECK(false); break;
    }
}

// ---- What is to be delivered again --------------------------------------------------------------

// In the next known one; `bound` is the last looked at.
void SegmentsStep::back_next() {
    my_.turn = 0;
    if (my_.at.position != 0) my_.bound = my_.at.position;
    const int slot = first_behind(my_.bound);
    my_.at = {};
    if (slot < 0) {
        my_.bound = 0;
        my_.pc = Pc::a_let_go;
        return;
    }
    const PieceRef& ref = my_.known[static_cast<std::size_t>(slot)];
    if (is_held(ref.slot, ref.generation)) {
        my_.at = ref;
        my_.pc = Pc::a_flag;
    } else {
        begin_hold(HoldFor::back, ref);
    }
}

void SegmentsStep::back_step() {
    if (my_.pc == Pc::a_let_go) {
        pin(PiecePin::hand) = kNoPin;
        after_take();
        return;
    }
    Piece& piece = here();
    touch();
    switch (my_.pc) {
        case Pc::a_flag:
            my_.turn = piece.flag_turn;
            my_.pc = Pc::a_slot;
            if (!piece.flag) back_next();
            break;
        case Pc::a_slot:
            my_.pc = config_.ack ? Pc::a_chunk : Pc::a_lower;
            if (piece.slot == PieceSlot::redeliver) my_.pc = Pc::a_take;
            break;
        case Pc::a_take:
            my_.pc = Pc::a_slot;
            if (piece.slot != PieceSlot::redeliver) break;
            piece.slot = PieceSlot::taken;
            piece.taker = me_;
            piece.again = true;
            my_.loan.message = piece.message;
            my_.loan.again = true;
            my_.pc = Pc::t_adopt;
            break;
        case Pc::a_chunk:
            my_.pc = piece.chunk == PieceChunk::redeliver ? Pc::a_claim : Pc::a_lower;
            break;
        case Pc::a_claim:
            my_.pc = Pc::a_chunk;
            if (piece.chunk != PieceChunk::redeliver) break;
            piece.chunk = PieceChunk::borrowed;
            my_.loan.message = piece.content;
            piece.owner = me_;
            my_.loan.again = true;
            took();
            break;
        case Pc::a_lower:
            if (piece.flag_turn == my_.turn) piece.flag = false;
            if (my_.single) {
                my_.turn = 0;
                my_.pc = Pc::t_slot;
            } else {
                back_next();
            }
            break;
        default: STOA_CHECK(false); break;
    }
}

// ---- After the look -----------------------------------------------------------------------------

// take_now() is over; by the hand pin, if it was used, comes a_let_go first.
void SegmentsStep::after_take() {
    my_.single = my_.is_last = false;
    my_.bound = my_.turn = 0;
    my_.at = {};
    if (pin(PiecePin::hand) != kNoPin) {
        my_.pc = Pc::a_let_go;
        return;
    }
    my_.pc = Pc::z_is_last;
    if (my_.loan.is_held || broken(SegmentsMutant::empty_unchecked)) leave_behind();
}

void SegmentsStep::leave_behind() {
    if (!my_.loan.is_held && my_.waited)
        fault_ = "it said empty, and something waited all the time";
    my_.index = 0;
    my_.needed = my_.passed != my_.left;
    my_.left = my_.passed;
    leave_next();
}

// Those up to `left`, each once: `bound` is the last one that was looked at.
void SegmentsStep::leave_next() {
    const int slot = my_.needed ? first_behind(my_.bound) : -1;
    if (slot >= 0 && my_.known[static_cast<std::size_t>(slot)].position <= my_.left) {
        my_.bound = my_.known[static_cast<std::size_t>(slot)].position;
        begin_retire(RetireFor::leave_behind, my_.known[static_cast<std::size_t>(slot)]);
        return;
    }
    my_.bound = 0;
    if (my_.loan.is_held) {
        const PieceLoan loan = my_.loan;
        rest();
        my_.loan = loan;
        my_.pc = Pc::x_have;
        return;
    }
    const bool ending = my_.ending;
    rest();
    if (!ending) return;
    my_.ending = my_.finishing = true;
    begin_refresh();
}

// ---- The end of the stream ----------------------------------------------------------------------

void SegmentsStep::end_next() {
    if (my_.at.position != 0) my_.bound = my_.at.position;
    const int slot = first_behind(my_.bound);
    my_.at = {};
    if (slot < 0) {
        my_.bound = 0;
        my_.pc = Pc::e_let_go;
        my_.needed = true;
        return;
    }
    const PieceRef& ref = my_.known[static_cast<std::size_t>(slot)];
    if (is_held(ref.slot, ref.generation)) {
        my_.at = ref;
        my_.pc = Pc::q_look;
    } else {
        begin_hold(HoldFor::end, ref);
    }
}

void SegmentsStep::goes_on() {
    my_.needed = false;
    my_.at = {};
    my_.bound = 0;
    my_.pc = Pc::e_let_go;
}

// Nothing is put behind the newest that was drained: a CAS.
void SegmentsStep::mark_the_end() {
    const int slot = newest();
    const PieceRef last = slot < 0 ? PieceRef{} : my_.known[static_cast<std::size_t>(slot)];
    const bool same = last_place(state_.last) == last_of(last);
    const bool ended = same || broken(SegmentsMutant::end_by_store);
    if (ended && !broken(SegmentsMutant::end_unmarked)) {
        state_.last = byte(last_of(last) | kPieceEnded);
    }
    const bool gone = ended && !my_.kept.is_held;
    rest();
    if (!gone) return;
    my_.pins = {};
    my_.life = SegmentsLife::ended;
}

void SegmentsStep::end_step() {
    switch (my_.pc) {
        case Pc::v_there:
            if (!is_there(here().word, my_.at.generation)) {
                my_.known[my_.at.slot] = {.slot = my_.at.slot};
            }
            my_.at = {};
            my_.needed = true;
            leave_next();
            break;
        case Pc::z_is_last: {
            const int slot = newest();
            const bool same =
                is_last(slot < 0 ? PieceRef{} : my_.known[static_cast<std::size_t>(slot)]);
            same ? leave_behind() : begin_refresh();
            break;
        }
        case Pc::e_chunk: {
            touch();
            const Piece& piece = here();
            const bool lent =
                config_.ack && piece.chunk == PieceChunk::borrowed && piece.owner != me_;
            if (config_.ack && piece.chunk == PieceChunk::redeliver) {
                my_.pc = Pc::e_raise;
            } else if (lent) {
                goes_on();
            } else {
                end_next();
            }
            break;
        }
        case Pc::e_raise:
            touch();
            here().flag = true;
            here().flag_turn = byte((here().flag_turn + 1) & 3);
            goes_on();
            break;
        case Pc::e_let_go:
            pin(PiecePin::hand) = kNoPin;
            my_.pc = Pc::e_last;
            if (!my_.needed) rest();
            break;
        case Pc::e_last: mark_the_end(); break;
        default: STOA_CHECK(false); break;
    }
}

// ---- Give up what it holds ----------------------------------------------------------------------

void SegmentsStep::keep() {
    my_.kept = my_.loan;
    my_.loan = {};
    rest();
}

void SegmentsStep::give_up_kept() {
    my_.loan = my_.kept;
    my_.kept = {};
    begin_free();
}

const char* SegmentsStep::ack_or_release() {
    begin_free();
    return fault_;
}

void SegmentsStep::begin_nack() {
    ++state_.nacks;
    my_.whose = 1;  // it goes back
    begin_free();
}

void SegmentsStep::give_up_loan() {
    begin_free();
}

void SegmentsStep::begin_free() {
    const PieceRef ref{.slot = my_.loan.slot, .generation = my_.loan.generation, .position = 0};
    if (is_held(ref.slot, ref.generation) || broken(SegmentsMutant::freer_without_pin)) {
        my_.at = ref;
        my_.pc = Pc::x_free;
    } else {
        begin_hold(HoldFor::give_up, ref);
    }
}

void SegmentsStep::free_step() {
    switch (my_.pc) {
        case Pc::x_free: {
            touch();
            Piece& piece = here();
            const bool sends = my_.role == SegmentsRole::sender;
            const PieceChunk wanted = sends ? PieceChunk::loaned : PieceChunk::borrowed;
            if (piece.chunk != wanted || piece.owner != me_)
                fault_ = "a chunk was not its holder's";
            const bool back = my_.whose == 1;
            if (!sends && config_.ack && !back) state_.messages[my_.loan.message] = 2;
            piece.chunk = back ? PieceChunk::redeliver : PieceChunk::free;
            piece.owner = 0;
            if (!back) piece.content = 0;
            my_.pc = Pc::x_hint;
            break;
        }
        case Pc::x_hint:  // or the flag
            touch();
            if (my_.whose == 1) {
                here().flag = true;
                here().flag_turn = byte((here().flag_turn + 1) & 3);
            }
            my_.whose = 0;
            my_.pc = Pc::x_let_go;
            if (is_held(my_.at.slot, my_.at.generation)) free_done();
            break;
        case Pc::x_let_go:
            pin(PiecePin::hand) = kNoPin;
            begin_retire(RetireFor::give_up, my_.at);
            break;
        default: STOA_CHECK(false); break;
    }
}

void SegmentsStep::free_done() {
    my_.loan = {};
    rest();
}

}  // namespace stoa::model
