#include "tests/model/segments_steps.hpp"

#include "stoa/base/check.hpp"

// Sending, growing, giving back, pins and lists; receiving and recovery: segments_receive.cpp.
namespace stoa::model {
namespace {

using Pc = SegmentsPc;

constexpr std::uint8_t byte(int value) {
    return static_cast<std::uint8_t>(value);
}

}  // namespace

const char* SegmentsStep::run() {
    const Pc pc = my_.pc;
    if (pc <= Pc::s_refused) {
        send_step();
    } else if (pc <= Pc::g_none) {
        grow_step();
    } else if (pc <= Pc::b_free) {
        give_step();
    } else if (pc <= Pc::l_help) {
        last_step();
    } else if (pc <= Pc::h_undo) {
        hold_step();
    } else if (pc <= Pc::f_there) {
        refresh_step();
    } else if (pc <= Pc::i_again) {
        list_step();
    } else if (pc <= Pc::t_head) {
        take_step();
    } else if (pc <= Pc::q_empty) {
        seal_step();
    } else if (pc <= Pc::a_let_go) {
        back_step();
    } else if (pc <= Pc::e_last) {
        end_step();
    } else if (pc <= Pc::x_let_go) {
        free_step();
    } else if (pc <= Pc::y_let_go) {
        retire_step();
    } else {
        recover_step();
    }
    note_emptiness();
    return fault_;
}

// ---- Shared -------------------------------------------------------------------------------------

// Every access of a segment's memory passes here.
void SegmentsStep::touch() {
    const Piece& piece = here();
    if (piece.memory != PieceMemory::ready) fault_ = "memory was touched that is not there";
    if (piece.word.generation != my_.at.generation) fault_ = "another segment was touched";
}

// For the rule that nobody says `empty` while something waited all the time.
void SegmentsStep::note_emptiness() {
    for (int i = 0; i < config_.segments; ++i) {
        const PieceSlot slot = state_.pieces[static_cast<std::size_t>(i)].slot;
        if (slot == PieceSlot::full) return;
    }
    for (SegmentsPerson& person : state_.people) person.waited = false;
}

void SegmentsStep::rest() {
    my_.at = {};
    my_.seen = {};
    my_.last = my_.bits = my_.index = my_.bound = my_.whose = my_.pin = my_.turn = 0;
    my_.hold_for = {};
    my_.last_for = {};
    my_.list_for = {};
    my_.retire_for = {};
    my_.give_for = {};
    my_.needed = my_.is_last = my_.single = my_.ending = my_.finishing = my_.waited = false;
    switch (my_.role) {
        case SegmentsRole::sender:
            my_.pc = Pc::s_idle;
            my_.reserves = false;
            break;
        case SegmentsRole::receiver: my_.pc = Pc::r_idle; break;
        case SegmentsRole::sweeper:
            my_.pc = Pc::w_idle;
            my_.known = {};
            for (int i = 0; i < kMaxPieces; ++i)
                my_.known[static_cast<std::size_t>(i)].slot = byte(i);
            my_.listed = false;
            my_.dead = 0;
            break;
    }
}

bool SegmentsStep::is_there(const PieceWord& word, std::uint8_t generation) const {
    return word.generation == generation &&
           (word.state == PieceState::live || word.state == PieceState::leaving);
}

bool SegmentsStep::is_last(const PieceRef& ref) const {
    const bool masks = !broken(SegmentsMutant::end_not_masked);
    return (masks ? last_place(state_.last) : state_.last) == last_of(ref);
}

bool SegmentsStep::is_held(std::uint8_t slot, std::uint8_t generation) const {
    const std::uint8_t wanted = pin_of(slot, generation);
    return my_.pins[static_cast<std::size_t>(PiecePin::in)] == wanted ||
           my_.pins[static_cast<std::size_t>(PiecePin::out)] == wanted;
}

PieceWord SegmentsStep::word_of(PieceState state) const {
    const bool named = state != PieceState::live && state != PieceState::free &&
                       !(state == PieceState::leaving && broken(SegmentsMutant::leaving_unnamed));
    return {.state = state, .who = named ? me_ : byte(0), .generation = my_.at.generation};
}

// ---- Send ---------------------------------------------------------------------------------------

void SegmentsStep::begin_send() {
    if (state_.closed) {  // told at the door
        state_.messages[my_.next++] = 3;
        return;
    }
    my_.pc = Pc::s_is_last;
}

void SegmentsStep::begin_reserve() {
    ++state_.loans;
    my_.reserves = true;
    my_.pc = Pc::s_is_last;
}

void SegmentsStep::claim() {
    touch();
    Piece& piece = here();
    if (piece.chunk != PieceChunk::free) {
        my_.pc = Pc::s_refused;
        return;
    }
    piece.chunk = PieceChunk::loaned;
    piece.owner = me_;
    my_.pc = Pc::s_slot;
    if (!my_.reserves) return;
    my_.loan = {.is_held = true, .slot = my_.at.slot, .generation = my_.at.generation};
    rest();
}

void SegmentsStep::publish() {
    touch();
    Piece& piece = here();
    my_.pc = Pc::s_tail;
    if (piece.slot != PieceSlot::empty) {
        my_.pc = Pc::s_slot;
        return;
    }
    piece.slot = PieceSlot::full;
    piece.message = my_.next;
    piece.again = false;
    piece.content = my_.next;
    state_.messages[my_.next] = 1;
    ++my_.next;
}

void SegmentsStep::send_step() {
    switch (my_.pc) {
        case Pc::s_is_last:
            if (my_.out.position != 0 && is_last(my_.out)) {
                begin_hold(HoldFor::send, my_.out);
            } else {
                begin_last(LastFor::send);
            }
            break;
        case Pc::s_closed:  // it is a new one: was it put there after the end?
            if (state_.closed) {
                my_.out = {};
                if (!my_.reserves) state_.messages[my_.next++] = 3;
                rest();
            } else {
                begin_hold(HoldFor::send, my_.out);
            }
            break;
        case Pc::s_claim: claim(); break;
        case Pc::s_slot:
            touch();
            my_.pc = here().slot == PieceSlot::empty ? Pc::s_publish : Pc::s_unclaim;
            break;
        case Pc::s_publish: publish(); break;
        case Pc::s_tail:
            touch();
            rest();
            break;
        case Pc::s_unclaim:
            touch();
            here().chunk = PieceChunk::free;
            here().owner = 0;
            my_.pc = Pc::s_unhint;
            break;
        case Pc::s_unhint:
            touch();
            my_.pc = Pc::s_refused;
            break;
        case Pc::s_refused:
            my_.pc = Pc::g_last;
            if (!state_.closed) break;
            if (!my_.reserves) state_.messages[my_.next++] = 3;
            rest();
            break;
        default: STOA_CHECK(false); break;
    }
}

// ---- Grow ---------------------------------------------------------------------------------------

void SegmentsStep::claim_entry() {
    Piece& piece = state_.pieces[my_.index];
    if (piece.word != my_.seen) {
        my_.seen = {};
        my_.pc = ++my_.index == config_.segments ? Pc::g_none : Pc::g_read;
        return;
    }
    const int generation = my_.seen.generation + (broken(SegmentsMutant::no_generation) ? 0 : 1);
    my_.at = {.slot = my_.index, .generation = byte(generation), .position = 0};
    my_.seen = {};
    my_.index = 0;
    piece.word = word_of(PieceState::making);
    my_.pc = broken(SegmentsMutant::used_late) ? Pc::g_position : Pc::g_used;
}

void SegmentsStep::no_space() {
    ++state_.no_space;
    here().memory = PieceMemory::raw;  // a part of it
    my_.needed = false;
    my_.pc = Pc::g_live;
}

// M3: here `needed` says that it became part of the chain.
void SegmentsStep::link() {
    my_.needed = state_.last == last_of(my_.out);
    if (my_.needed) {
        const PieceRef linked{.slot = my_.at.slot,
                              .generation = my_.at.generation,
                              .position = byte(my_.out.position + 1)};
        state_.last = last_of(linked);
        for (const SegmentsPerson& other : state_.people) {
            const bool was_told =
                other.role == SegmentsRole::receiver && other.life == SegmentsLife::ended;
            if (was_told) fault_ = "a segment was put behind the end";
        }
    }
    my_.pc = Pc::g_live;
}

// allowed: function_length: one switch, a step of the algorithm per case
void SegmentsStep::grow_step() {
    switch (my_.pc) {
        case Pc::g_last:
            my_.at = {};
            my_.pc = state_.last == last_of(my_.out) ? Pc::g_read : Pc::s_is_last;
            // With one chunk each, two senders could refuse each other for ever: the search ends.
            if (my_.pc == Pc::g_read && my_.out.position == config_.positions) my_.pc = Pc::g_none;
            break;
        case Pc::g_read:
            my_.seen = state_.pieces[my_.index].word;
            my_.pc = Pc::g_claim;
            if (my_.seen.state == PieceState::free) break;
            my_.seen = {};
            my_.pc = ++my_.index == config_.segments ? Pc::g_none : Pc::g_read;
            break;
        case Pc::g_claim: claim_entry(); break;
        case Pc::g_used:
            here().used = true;
            my_.pc = Pc::g_position;
            if (broken(SegmentsMutant::used_late)) rest(), my_.pc = Pc::s_is_last;
            break;
        case Pc::g_position:
            here().position = byte(my_.out.position + 1);
            my_.pc = Pc::g_reserve;
            break;
        case Pc::g_reserve:
            if (here().memory != PieceMemory::absent) fault_ = "memory is made where some is";
            here().memory = PieceMemory::raw;
            my_.pc = Pc::g_create;
            break;
        case Pc::g_create:
            if (here().memory != PieceMemory::raw) fault_ = "a ring is made in no memory";
            here().memory = PieceMemory::ready;
            my_.pc = Pc::g_link;
            break;
        case Pc::g_link: link(); break;
        case Pc::g_live: {
            const bool linked = my_.needed;
            my_.needed = false;
            const bool is_mine = here().word == word_of(PieceState::making);
            if (is_mine && linked) here().word = word_of(PieceState::live);
            if (is_mine && !linked && !broken(SegmentsMutant::unlinked_kept)) {
                here().word = word_of(PieceState::giving_back);
                my_.give_for = GiveFor::grow;
                my_.pc = Pc::b_punch;
                break;
            }
            my_.at = broken(SegmentsMutant::used_late) ? my_.at : PieceRef{};
            my_.pc = broken(SegmentsMutant::used_late) ? Pc::g_used : Pc::s_is_last;
            break;
        }
        case Pc::g_none:
            my_.index = 0;
            my_.pc = Pc::s_is_last;
            if (state_.last != last_of(my_.out)) break;
            if (!my_.reserves) state_.messages[my_.next++] = 3;  // quota_reached
            rest();
            break;
        default: STOA_CHECK(false); break;
    }
}

// ---- Give back ----------------------------------------------------------------------------------

void SegmentsStep::give_step() {
    Piece& piece = here();
    const bool late = broken(SegmentsMutant::used_cleared_late);
    switch (my_.pc) {
        case Pc::b_punch:
            if (piece.word != word_of(PieceState::giving_back)) {
                fault_ = "a late one gave memory back";
            } else if (piece.slot == PieceSlot::full || piece.slot == PieceSlot::taken ||
                       piece.slot == PieceSlot::redeliver || piece.chunk != PieceChunk::free) {
                fault_ = "memory was given back with something in it";
            } else if (leads_to(state_.last, my_.at.slot)) {
                fault_ = "the last one was given back";
            }
            piece.memory = PieceMemory::absent;
            piece.slot = PieceSlot::empty;
            piece.taker = piece.message = piece.content = 0;
            piece.again = piece.flag = false;
            piece.flag_turn = 0;
            my_.pc = late ? Pc::b_free : Pc::b_unuse;
            break;
        case Pc::b_unuse:
            piece.used = false;
            my_.pc = Pc::b_free;
            if (late) gave();
            break;
        case Pc::b_free:
            if (piece.word == word_of(PieceState::giving_back)) {
                piece.word = word_of(PieceState::free);
                piece.position = 0;  // nobody reads it of a free one
            }
            my_.pc = Pc::b_unuse;
            if (!late) gave();
            break;
        default: STOA_CHECK(false); break;
    }
}

void SegmentsStep::gave() {
    const GiveFor why = my_.give_for;
    my_.give_for = {};
    switch (why) {
        case GiveFor::grow:
            my_.at = {};
            my_.pc = Pc::s_is_last;
            if (state_.no_space == 0) break;
            if (!my_.reserves) state_.messages[my_.next++] = 3;  // out_of_space, perhaps
            rest();
            break;
        case GiveFor::retire:
            my_.needed = true;
            my_.pc = Pc::y_let_go;
            break;
        case GiveFor::recover: entry_next(); break;
    }
}

// ---- Which one is the last ----------------------------------------------------------------------

void SegmentsStep::begin_last(LastFor why) {
    my_.last_for = why;
    my_.pc = Pc::l_read;
}

void SegmentsStep::last_step() {
    const auto slot = static_cast<std::size_t>(last_slot(my_.last));
    const PieceRef found{.slot = byte(last_slot(my_.last)),
                         .generation = my_.seen.generation,
                         .position = byte(last_position(my_.last))};
    switch (my_.pc) {
        case Pc::l_read:
            my_.last = state_.last;
            my_.pc = Pc::l_word;
            if (last_place(my_.last) == 0) found_last({});
            break;
        case Pc::l_word:
            my_.seen = state_.pieces[slot].word;
            my_.pc = Pc::l_again;
            break;
        case Pc::l_again:
            if (state_.last != my_.last) {
                my_.last = state_.last;
                my_.pc = Pc::l_word;
            } else if (my_.seen.state == PieceState::making &&
                       !broken(SegmentsMutant::last_not_helped) &&
                       !(broken(SegmentsMutant::recover_ignores_link) &&
                         my_.last_for == LastFor::list)) {
                my_.pc = Pc::l_help;
            } else {
                found_last(found);
            }
            break;
        case Pc::l_help: {
            PieceWord& word = state_.pieces[slot].word;
            if (word == my_.seen) {
                word = {.state = PieceState::live, .generation = my_.seen.generation};
            }
            found_last(found);
            break;
        }
        default: STOA_CHECK(false); break;
    }
}

void SegmentsStep::found_last(const PieceRef& found) {
    const LastFor why = my_.last_for;
    my_.last_for = {};
    my_.seen = {};
    my_.last = 0;
    switch (why) {
        case LastFor::send:
            my_.out = found;
            if (found.position == 0) {
                my_.pc = Pc::g_last;  // the first one
            } else {
                my_.pc = Pc::s_closed;
            }
            break;
        case LastFor::refresh: {
            const int slot = newest();
            const int newest_position =
                slot < 0 ? 0 : my_.known[static_cast<std::size_t>(slot)].position;
            my_.bound = byte(newest_position);
            if (found.position > newest_position) {
                begin_list(ListFor::refresh);
            } else {
                my_.bound = 0;
                my_.finishing ? end_next() : begin_take();
            }
            break;
        }
        case LastFor::list:
            // `at.position`: the newest that was there before the list began
            my_.at = {};
            my_.at.position = found.position;
            my_.pc = Pc::i_bits;
            break;
    }
}

// ---- Hold ---------------------------------------------------------------------------------------

PiecePin SegmentsStep::pin_for() const {
    switch (my_.hold_for) {
        case HoldFor::send: return PiecePin::out;
        case HoldFor::take: return PiecePin::in;
        case HoldFor::back:
        case HoldFor::end:
        case HoldFor::give_up: return PiecePin::hand;
        case HoldFor::retire:
        case HoldFor::sweep: return PiecePin::sweep;
    }
    return PiecePin::in;
}

void SegmentsStep::begin_hold(HoldFor why, const PieceRef& at) {
    my_.hold_for = why;
    my_.at = at;
    my_.pc = broken(SegmentsMutant::pin_after_look) ? Pc::h_look : Pc::h_pin;
    if (pin(pin_for()) == pin_of(at.slot, at.generation)) held();
}

void SegmentsStep::hold_step() {
    const bool late = broken(SegmentsMutant::pin_after_look);
    switch (my_.pc) {
        case Pc::h_pin:
            pin(pin_for()) = pin_of(my_.at.slot, my_.at.generation);
            my_.pc = Pc::h_look;
            if (late || broken(SegmentsMutant::no_second_look)) held();
            break;
        case Pc::h_look: {
            my_.seen = here().word;
            const bool same = my_.seen.generation == my_.at.generation;
            const bool unhelped =
                broken(SegmentsMutant::last_not_helped) && my_.seen.state == PieceState::making;
            const bool lives = my_.seen.state == PieceState::live || unhelped ||
                               (my_.seen.state == PieceState::leaving &&
                                broken(SegmentsMutant::leaving_not_rescued));
            my_.pc = Pc::h_undo;
            if (same && lives) {
                my_.pc = Pc::h_pin;
                if (!late) held();
            } else if (same && my_.seen.state == PieceState::leaving) {
                my_.pc = Pc::h_rescue;
            } else if (late) {
                not_held();
            }
            break;
        }
        case Pc::h_rescue:
            my_.pc = Pc::h_look;
            if (here().word != my_.seen) break;
            here().word = word_of(PieceState::live);
            held();
            break;
        case Pc::h_undo:
            pin(pin_for()) = kNoPin;
            not_held();
            break;
        default: STOA_CHECK(false); break;
    }
}

void SegmentsStep::held() {
    const HoldFor why = my_.hold_for;
    my_.hold_for = {};
    my_.seen = {};
    switch (why) {
        case HoldFor::send: my_.pc = Pc::s_claim; break;
        case HoldFor::take: my_.pc = my_.single ? Pc::t_flag : Pc::t_is_last; break;
        case HoldFor::back: my_.pc = Pc::a_flag; break;
        case HoldFor::end: my_.pc = Pc::q_look; break;
        case HoldFor::give_up: my_.pc = Pc::x_free; break;
        case HoldFor::retire: my_.pc = Pc::y_slot; break;
        case HoldFor::sweep: my_.pc = Pc::w_slot; break;
    }
}

void SegmentsStep::not_held() {
    const HoldFor why = my_.hold_for;
    my_.hold_for = {};
    my_.seen = {};
    switch (why) {
        case HoldFor::send:
            my_.out = {};
            my_.at = {};
            my_.pc = Pc::s_is_last;
            break;
        case HoldFor::take:  // it was sealed and empty
            my_.bound = my_.at.position;
            take_next();
            break;
        case HoldFor::back: back_next(); break;
        case HoldFor::end: end_next(); break;
        case HoldFor::give_up: fault_ = "a segment went that a message was lent from"; break;
        case HoldFor::retire: retired(false); break;
        case HoldFor::sweep: recover_next(); break;
    }
}

// ---- Lists --------------------------------------------------------------------------------------

int SegmentsStep::newest() const {
    int slot = -1;
    for (int i = 0; i < config_.segments; ++i) {
        const PieceRef& ref = my_.known[static_cast<std::size_t>(i)];
        if (ref.position == 0) continue;
        if (slot < 0 || ref.position > my_.known[static_cast<std::size_t>(slot)].position) slot = i;
    }
    return slot;
}

int SegmentsStep::first_behind(int position) const {
    int slot = -1;
    for (int i = 0; i < config_.segments; ++i) {
        const PieceRef& ref = my_.known[static_cast<std::size_t>(i)];
        if (ref.position <= position) continue;
        if (slot < 0 || ref.position < my_.known[static_cast<std::size_t>(slot)].position) slot = i;
    }
    return slot;
}

int SegmentsStep::known_count() const {
    int count = 0;
    for (const PieceRef& ref : my_.known) count += ref.position != 0 ? 1 : 0;
    return count;
}

void SegmentsStep::begin_list(ListFor why) {
    my_.list_for = why;
    begin_last(LastFor::list);
}

// Behind `bound`, up to `at.position`.
void SegmentsStep::list_step() {
    const Piece& piece = state_.pieces[my_.index];
    switch (my_.pc) {
        case Pc::i_bits:
            my_.bits = 0;
            for (int i = 0; i < config_.segments; ++i) {
                if (state_.pieces[static_cast<std::size_t>(i)].used) {
                    my_.bits = byte(my_.bits | 1 << i);
                }
            }
            my_.index = 0;
            list_begin();
            break;
        case Pc::i_word:
            my_.seen = piece.word;
            my_.pc = Pc::i_position;
            break;
        case Pc::i_position:
            my_.last = piece.position;
            my_.pc = Pc::i_again;
            break;
        case Pc::i_again: {
            const bool same = piece.word.generation == my_.seen.generation;
            const bool in_time =
                my_.last <= my_.at.position || broken(SegmentsMutant::list_unbounded);
            if (same && is_there(my_.seen, my_.seen.generation) && my_.last > my_.bound &&
                in_time) {
                my_.known[my_.index] = {
                    .slot = my_.index, .generation = my_.seen.generation, .position = my_.last};
            }
            list_next();
            break;
        }
        default: STOA_CHECK(false); break;
    }
}

void SegmentsStep::list_next() {
    my_.seen = {};
    my_.last = 0;
    ++my_.index;
    list_begin();
}

void SegmentsStep::list_begin() {
    while (my_.index < config_.segments && (my_.bits & 1 << my_.index) == 0) ++my_.index;
    my_.pc = Pc::i_word;
    if (my_.index < config_.segments) return;
    const ListFor why = my_.list_for;
    my_.list_for = {};
    my_.bits = my_.index = my_.bound = 0;
    my_.at = {};
    switch (why) {
        case ListFor::refresh: my_.finishing ? end_next() : begin_take(); break;
        case ListFor::sweep: recover_next(); break;
        case ListFor::look: retired(false); break;
    }
}

void SegmentsStep::begin_refresh() {
    my_.at = {};
    my_.index = 0;
    my_.pc = Pc::f_is_last;
    if (newest() < 0) begin_last(LastFor::refresh);
}

void SegmentsStep::refresh_step() {
    if (my_.pc == Pc::f_is_last) {
        const PieceRef& newest_known = my_.known[static_cast<std::size_t>(newest())];
        if (is_last(newest_known)) {
            my_.finishing ? end_next() : begin_take();
            return;
        }
        my_.index = byte(first_behind(0));
        my_.pc = Pc::f_there;
        return;
    }
    // f_there: those that went are forgotten
    const PieceRef ref = my_.known[my_.index];
    if (!is_there(state_.pieces[my_.index].word, ref.generation)) {
        my_.known[my_.index] = {.slot = my_.index};
    }
    const int next = first_behind(ref.position);
    my_.index = byte(next < 0 ? 0 : next);
    if (next < 0) begin_last(LastFor::refresh);
}

}  // namespace stoa::model
