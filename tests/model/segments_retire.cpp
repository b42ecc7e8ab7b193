#include "stoa/base/check.hpp"
#include "tests/model/segments_steps.hpp"

// Who looks whether a segment may go, and who recovers a dead one.
namespace stoa::model {
namespace {

using Pc = SegmentsPc;

constexpr std::uint8_t byte(int value) {
    return static_cast<std::uint8_t>(value);
}

}  // namespace

// ---- Retire -------------------------------------------------------------------------------------

void SegmentsStep::begin_retire(RetireFor why, const PieceRef& at) {
    my_.retire_for = why;
    my_.at = at;
    my_.needed = false;
    my_.whose = my_.pin = 0;
    my_.pc = Pc::y_last;
    if (broken(SegmentsMutant::last_may_leave)) begin_hold(HoldFor::retire, at);
}

// R2, a word at a time.
void SegmentsStep::look_at_pin() {
    const SegmentsPerson& other = state_.people[my_.whose];
    if (other.pins[my_.pin] == pin_of(my_.at.slot, my_.at.generation)) {
        my_.needed = true;
        my_.whose = my_.pin = 0;
        my_.pc = Pc::y_decide;
        return;
    }
    ++my_.pin;
    next_pin();
}

void SegmentsStep::next_pin() {
    const SegmentsModel model{config_};
    for (; my_.whose < people(); ++my_.whose, my_.pin = 0) {
        const SegmentsPerson& other = state_.people[my_.whose];
        for (; my_.pin < kPinKinds; ++my_.pin) {
            const auto which = static_cast<PiecePin>(my_.pin);
            if (my_.whose == me_ && which == PiecePin::sweep) continue;
            if (!model.uses(other.role, which)) continue;
            my_.pc = Pc::y_pin;
            return;
        }
    }
    my_.whose = my_.pin = 0;
    my_.pc = broken(SegmentsMutant::ring_before_pins) ? Pc::y_decide : Pc::y_slot_again;
}

void SegmentsStep::retire_ring() {
    touch();
    const Piece& piece = here();
    switch (my_.pc) {
        case Pc::y_slot:
            my_.pc = piece.slot == PieceSlot::sealed ? Pc::y_chunk : Pc::y_let_go;
            break;
        case Pc::y_chunk:
            my_.pc = piece.chunk == PieceChunk::free ? Pc::y_leave : Pc::y_let_go;
            break;
        case Pc::y_slot_again:
            my_.needed = piece.slot != PieceSlot::sealed;
            my_.pc = my_.needed ? Pc::y_decide : Pc::y_chunk_again;
            break;
        default:
            my_.needed = piece.chunk != PieceChunk::free;
            my_.pc = Pc::y_decide;
            if (broken(SegmentsMutant::ring_before_pins) && !my_.needed) next_pin();
            break;
    }
}

void SegmentsStep::retire_step() {
    Piece& piece = here();
    switch (my_.pc) {
        case Pc::y_last:
            if (leads_to(state_.last, my_.at.slot)) {
                retired(false);
            } else {
                begin_hold(HoldFor::retire, my_.at);
            }
            break;
        case Pc::y_leave:  // R1
            my_.pc = Pc::y_let_go;
            if (piece.word != word_of(PieceState::live)) break;
            piece.word = word_of(PieceState::leaving);
            if (broken(SegmentsMutant::used_cleared_early)) piece.used = false;
            my_.pc = Pc::y_slot_again;
            if (!broken(SegmentsMutant::ring_before_pins)) next_pin();
            break;
        case Pc::y_pin: look_at_pin(); break;
        case Pc::y_decide: {  // R4
            const bool needed = my_.needed;
            my_.needed = false;
            my_.pc = Pc::y_let_go;
            if (piece.word != word_of(PieceState::leaving)) break;
            piece.word = word_of(needed ? PieceState::live : PieceState::giving_back);
            if (needed) break;
            my_.give_for = GiveFor::retire;
            my_.pc = Pc::b_punch;
            break;
        }
        case Pc::y_let_go: {
            pin(PiecePin::sweep) = kNoPin;
            const bool done = my_.needed;
            my_.needed = false;
            retired(done);
            break;
        }
        default: retire_ring(); break;
    }
}

void SegmentsStep::retired(bool done) {
    const RetireFor why = my_.retire_for;
    if (my_.role != SegmentsRole::sweeper) my_.retire_for = {};
    if (my_.role == SegmentsRole::sweeper) {
        if (my_.at.position != 0) my_.bound = my_.at.position;
        const int slot = first_behind(my_.bound);
        if (slot < 0) {
            rest();
        } else {
            begin_retire(RetireFor::look, my_.known[static_cast<std::size_t>(slot)]);
        }
        return;
    }
    if (why == RetireFor::give_up) {
        free_done();
        return;
    }
    my_.pc = Pc::v_there;
    if (!done) return;
    my_.known[my_.at.slot] = {.slot = my_.at.slot};
    my_.at = {};
    my_.needed = true;
    leave_next();
}

// ---- Recover ------------------------------------------------------------------------------------

void SegmentsStep::begin_recovery(int dead) {
    my_.dead = byte(dead);
    my_.bound = 0;
    begin_list(ListFor::sweep);
}

void SegmentsStep::begin_look() {
    my_.bound = 0;
    begin_list(ListFor::look);
}

void SegmentsStep::recover_next() {
    if (my_.at.position != 0) my_.bound = my_.at.position;
    const int slot = first_behind(my_.bound);
    if (slot < 0) {
        my_.at = {};
        my_.bound = 0;
        my_.pc = Pc::w_let_go;
    } else {
        begin_hold(HoldFor::sweep, my_.known[static_cast<std::size_t>(slot)]);
    }
}

void SegmentsStep::recover_ring() {
    Piece& piece = here();
    touch();
    switch (my_.pc) {
        case Pc::w_slot:
            if (piece.slot == PieceSlot::taken && piece.taker == my_.dead) {
                piece.slot = PieceSlot::redeliver;
                piece.taker = 0;
                piece.again = true;
            }
            my_.pc = Pc::w_list;
            break;
        case Pc::w_list: {
            const bool held =
                piece.chunk == PieceChunk::loaned || piece.chunk == PieceChunk::borrowed;
            my_.pc = held && piece.owner == my_.dead ? Pc::w_scan : Pc::w_raise;
            my_.bits = byte(static_cast<int>(piece.chunk));
            break;
        }
        case Pc::w_scan: {
            const bool queued = piece.slot != PieceSlot::empty && piece.slot != PieceSlot::sealed;
            my_.pc = queued ? Pc::w_raise : Pc::w_bring_back;
            break;
        }
        case Pc::w_bring_back: {
            my_.pc = Pc::w_raise;
            if (piece.chunk != static_cast<PieceChunk>(my_.bits) || piece.owner != my_.dead) break;
            const bool again = config_.ack && piece.chunk == PieceChunk::borrowed;
            piece.chunk = again ? PieceChunk::redeliver : PieceChunk::free;
            piece.owner = 0;
            if (!again) piece.content = 0;
            break;
        }
        case Pc::w_raise:
            piece.flag = true;
            piece.flag_turn = byte((piece.flag_turn + 1) & 3);
            my_.bits = 0;
            recover_next();
            break;
        default: STOA_CHECK(false); break;
    }
}

void SegmentsStep::entry_next() {
    my_.at = {};
    my_.seen = {};
    my_.needed = false;
    my_.pc = ++my_.index == config_.segments ? Pc::c_pins : Pc::c_word;
}

void SegmentsStep::recover_step() {
    switch (my_.pc) {
        case Pc::w_let_go:
            pin(PiecePin::sweep) = kNoPin;
            my_.index = 0;
            my_.pc = Pc::c_word;
            break;
        case Pc::c_word: {
            my_.seen = state_.pieces[my_.index].word;
            my_.at = {.slot = my_.index, .generation = my_.seen.generation, .position = 0};
            const PieceState now = my_.seen.state;
            const bool owned = now == PieceState::making || now == PieceState::leaving ||
                               now == PieceState::giving_back;
            if (!owned || my_.seen.who != my_.dead) {
                entry_next();
            } else if (now == PieceState::making && !broken(SegmentsMutant::recover_ignores_link)) {
                my_.pc = Pc::c_last;
            } else {
                my_.needed = now == PieceState::leaving;
                my_.pc = Pc::c_take;
            }
            break;
        }
        case Pc::c_last:
            my_.needed = leads_to(state_.last, my_.at.slot);
            my_.pc = Pc::c_take;
            break;
        case Pc::c_take: {
            Piece& piece = here();
            const bool stays = my_.needed;
            if (piece.word != my_.seen) {
                entry_next();
                break;
            }
            piece.word = word_of(stays ? PieceState::live : PieceState::giving_back);
            my_.seen = {};
            my_.needed = false;
            if (stays) {
                entry_next();
            } else {
                my_.give_for = GiveFor::recover;
                my_.pc = Pc::b_punch;
            }
            break;
        }
        case Pc::c_pins: {
            SegmentsPerson& dead = state_.people[my_.dead];
            if (dead.life == SegmentsLife::dead) {
                dead = {.life = SegmentsLife::recovered, .role = dead.role};
            }
            rest();
            break;
        }
        default: recover_ring(); break;
    }
}

}  // namespace stoa::model
