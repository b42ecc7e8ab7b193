#include "tests/model/heap_model.hpp"

namespace stoa::model {
namespace {

std::size_t at(int who) {
    return static_cast<std::size_t>(who);
}
bool has(const HeapWordState& word, int block) {
    return (word.bits >> block & 1) != 0;
}
bool ends(const HeapSection& my) {
    return my.pc == HeapPc::idle && my.rounds == 0 && my.owner == OwnerState::none;
}

}  // namespace

HeapState HeapModel::initial() const {
    HeapState state;
    for (int i = 0; i < config_.sections; ++i) {
        state.sections[at(i)].rounds = static_cast<std::uint8_t>(config_.rounds);
    }
    return state;
}

void HeapModel::next_turn(HeapState& state) const {
    if (!broken(HeapMutant::turn_stays)) ++state.word.turn;
}

void HeapModel::begin_step(HeapSection& my, bool sets, std::uint8_t block) {
    my.sets = sets;
    my.target = block;
    my.pc = HeapPc::strip;
}

void HeapModel::moves(const HeapState& state, Moves<HeapState>& out) const {
    for (int who = 0; who < config_.sections; ++who) {
        const HeapSection& my = state.sections[at(who)];
        if (my.frozen) continue;
        if (my.pc == HeapPc::strip && my.sets && !my.undoes) {
            for (std::uint8_t block = 0; block < kHeapBlocks; ++block) {  // any that is free
                const bool full = state.word.bits == (1U << kHeapBlocks) - 1;
                if (has(state.word, block) && (!full || block != 0)) continue;
                HeapState& next = out.draft(state);
                next.sections[at(who)].target = block;
                const char* fault = nullptr;
                step(next, who, fault);
                out.take_progress(who, "steps", fault);
            }
        } else if (!ends(my)) {
            HeapState& next = out.draft(state);
            const char* fault = nullptr;
            step(next, who, fault);
            out.take_progress(who, "steps", fault);
        }
        const bool busy = my.pc != HeapPc::idle;
        if (busy && state.crashes < config_.crashes) {
            HeapState& next = out.draft(state);
            HeapSection& heir = next.sections[at(who)];
            ++next.crashes;
            heir.seen = {};
            heir.helped = {};
            heir.undoes = heir.tagged = heir.sets = false;
            heir.target = 0;
            heir.epoch = 0;
            heir.pc = HeapPc::settle_word;
            out.take_environment(who, "dies; its heir comes");
        }
        if (busy && state.freezes < config_.freezes) {
            HeapState& next = out.draft(state);
            ++next.freezes;
            next.sections[at(who)].frozen = true;
            out.take_environment(who, "stops for ever");
        }
    }
    if (state.retire != RetirePc::idle || state.retires < config_.retires) {
        HeapState& next = out.draft(state);
        step_retire(next);
        out.take_progress(9, "retires");
    }
    if (state.retire != RetirePc::idle && state.crashes < config_.crashes) {
        HeapState& next = out.draft(state);
        ++next.crashes;
        ++next.epoch;  // who inherits the slab
        next.retire = next.word.open ? RetirePc::load : RetirePc::reopen;
        next.retire_seen = {};
        next.retire_helped = {};
        out.take_environment(9, "dies; another one inherits the slab");
    }
}

void HeapModel::step(HeapState& state, int who, const char*& fault) const {
    switch (state.sections[at(who)].pc) {
        case HeapPc::help_look:
        case HeapPc::help_again:
        case HeapPc::help_cas: step_help(state, who); break;
        case HeapPc::cas: step_cas(state, who, fault); break;
        case HeapPc::idle:
        case HeapPc::look:
        case HeapPc::strip:
        case HeapPc::intend:
        case HeapPc::load:
        case HeapPc::second:
        case HeapPc::done:
        case HeapPc::append:
        case HeapPc::decide: step_take(state, who, fault); break;
        default: step_end(state, who); break;
    }
}

void HeapModel::step_load(HeapState& state, int who) const {
    HeapSection& my = state.sections[at(who)];
    const auto me = static_cast<std::uint8_t>(who + 1);
    my.seen = state.word;
    my.pc = my.seen.tag != 0 && my.seen.tag != me ? HeapPc::help_look : HeapPc::cas;
    if (my.sets && (!my.seen.open || has(my.seen, my.target))) {
        const bool full = !my.seen.open || my.seen.bits == (1U << kHeapBlocks) - 1;
        my.pc = HeapPc::strip;
        if (full) {
            my.owner = OwnerState::closed;
            my.pc = HeapPc::finish;
        }
        my.seen = {};
    }
}

// Takes a block, or (sets false) gives one back.
void HeapModel::step_take(HeapState& state, int who, const char*& fault) const {
    HeapSection& my = state.sections[at(who)];
    const auto me = static_cast<std::uint8_t>(who + 1);
    switch (my.pc) {
        case HeapPc::idle:
            my.owner = OwnerState::open;
            my.pc = HeapPc::look;
            break;
        case HeapPc::look:  // A1
            my.epoch = state.epoch;
            if (state.claimed) {  // it finds no block, and ends without
                my.owner = OwnerState::closed;
                my.pc = HeapPc::finish;
            } else {
                begin_step(my, true, 0);
            }
            break;
        case HeapPc::strip:  // T1
            if (state.word.tag == me && !broken(HeapMutant::own_tag_stays)) {
                state.word.tag = 0;
                next_turn(state);
            }
            my.pc = HeapPc::intend;
            break;
        case HeapPc::intend:  // T2
            my.pending = {.done = broken(HeapMutant::done_before_the_tag),
                          .sets = my.sets,
                          .block = my.target,
                          .step = number_after(my.pending)};
            my.pc = HeapPc::load;
            break;
        case HeapPc::load: step_load(state, who); break;
        case HeapPc::second:  // A4
            if (state.epoch != my.epoch && !broken(HeapMutant::no_second_look)) {
                my.undoes = true;
                begin_step(my, false, my.target);
                break;
            }
            my.pc = HeapPc::append;
            if (state.epoch != my.epoch && state.kind != my.epoch / 4) {
                fault = "a block of a slab that has another class by now";
            }
            break;
        case HeapPc::done:  // T4
            my.pending.done = true;
            if (my.undoes) {
                my.undoes = false;
                my.pc = HeapPc::look;
            } else {
                my.pc = my.sets ? HeapPc::second : HeapPc::uncount;
            }
            break;
        case HeapPc::append:
            my.counted = true;
            my.frees = false;
            my.block = my.target;
            my.pc = HeapPc::decide;
            break;
        case HeapPc::decide:  // one word: the data hold the block from now on
            my.owner = OwnerState::closed;
            my.data = static_cast<std::uint8_t>(my.block + 1);
            my.pc = HeapPc::finish;
            break;
        default: break;
    }
}

void HeapModel::step_help(HeapState& state, int who) const {
    HeapSection& my = state.sections[at(who)];
    HeapPending& theirs = state.sections[at(my.seen.tag - 1)].pending;
    if (my.pc == HeapPc::help_look) {
        my.helped = theirs;
        const bool needs = !theirs.done;
        my.pc = needs ? HeapPc::help_again : HeapPc::cas;
        if (broken(HeapMutant::tag_not_confirmed)) my.pc = HeapPc::cas;
        if (needs && broken(HeapMutant::confirmed_without_second_look)) my.pc = HeapPc::help_cas;
    } else if (my.pc == HeapPc::help_again) {
        my.pc = state.word == my.seen ? HeapPc::help_cas : HeapPc::cas;
    } else {
        if (theirs == my.helped) theirs.done = true;
        my.pc = HeapPc::cas;
    }
    if (my.pc == HeapPc::cas) my.helped = {};
}

void HeapModel::step_cas(HeapState& state, int who, const char*& fault) const {
    HeapSection& my = state.sections[at(who)];
    const auto me = static_cast<std::uint8_t>(who + 1);
    if (state.word != my.seen) {
        my.seen = {};
        my.pc = HeapPc::load;
        return;
    }
    std::uint8_t& holder = state.holder[my.target];
    if (my.sets) {
        if (holder != 0) fault = "a block is given twice";
        holder = me;
    } else {
        if (holder != me) fault = "a block that is another's is given back";
        holder = 0;
    }
    state.word.bits = static_cast<std::uint8_t>(state.word.bits ^ 1U << my.target);
    state.word.tag = me;
    next_turn(state);
    my.seen = {};
    my.pc = HeapPc::done;
}

// E2
void HeapModel::settle(HeapState& state, int who) const {
    HeapSection& my = state.sections[at(who)];
    const auto me = static_cast<std::uint8_t>(who + 1);
    HeapPending pending = my.pending;
    bool tagged = my.tagged;
    if (broken(HeapMutant::heir_looks_at_pending_first)) {
        pending = my.helped;
        tagged = state.word.tag == me;
        my.helped = {};
    }
    const bool done = tagged || pending.done;
    if (!my.counted && pending.sets == done) {
        my.counted = true;
        my.frees = false;
        my.block = pending.block;
    }
    my.tagged = false;
    my.pc = HeapPc::finish;
}

void HeapModel::release(HeapSection& my) const {
    my.pending = {.none = true, .done = true, .step = number_after(my.pending)};
    my.owner = OwnerState::none;
    my.target = my.epoch = 0;
    my.sets = false;
    my.pc = HeapPc::idle;
    my.block = 0;
    my.frees = false;
    if (my.data != 0) {  // another section gives it back
        my.owner = OwnerState::open;
        my.pc = HeapPc::log_free;
    } else if (my.rounds != 0) {
        --my.rounds;
    }
}

// What its owner's word decided, or its heir finds.
void HeapModel::step_end(HeapState& state, int who) const {
    HeapSection& my = state.sections[at(who)];
    const auto me = static_cast<std::uint8_t>(who + 1);
    switch (my.pc) {
        case HeapPc::settle_word:  // E1
            my.tagged = state.word.tag == me;
            my.pc = HeapPc::settle_pending;
            if (broken(HeapMutant::heir_looks_at_pending_first)) {
                my.helped = my.pending;
                my.tagged = false;
            }
            break;
        case HeapPc::settle_pending: settle(state, who); break;
        case HeapPc::log_free:
            my.counted = true;
            my.frees = true;
            my.block = static_cast<std::uint8_t>(my.data - 1);
            my.pc = HeapPc::decide_free;
            break;
        case HeapPc::decide_free:
            my.owner = OwnerState::closed;
            my.data = 0;
            my.pc = HeapPc::finish;
            break;
        case HeapPc::finish: {
            const bool undoes = my.counted && (my.frees ? my.owner == OwnerState::closed
                                                        : my.owner == OwnerState::open);
            my.pc = my.counted ? HeapPc::uncount : HeapPc::release;
            if (!undoes) break;
            const bool begun = !my.pending.none && !my.pending.sets && my.pending.block == my.block;
            if (begun && !broken(HeapMutant::undone_from_the_start)) {
                my.pc = HeapPc::resume;
            } else {
                begin_step(my, false, my.block);
            }
            break;
        }
        case HeapPc::resume:  // E1
            my.tagged = state.word.tag == me;
            my.pc = HeapPc::resume_pending;
            break;
        case HeapPc::resume_pending:  // E2
            my.sets = false;
            my.target = my.block;
            my.pc = my.tagged || my.pending.done ? HeapPc::done : HeapPc::load;
            my.tagged = false;
            break;
        case HeapPc::uncount:
            my.counted = false;
            my.pc = HeapPc::release;
            break;
        case HeapPc::release: release(my); break;
        default: break;
    }
}

void HeapModel::step_retire(HeapState& state) const {
    switch (state.retire) {
        case RetirePc::idle:  // R1
            state.claimed = true;
            ++state.epoch;
            ++state.retires;
            state.retire = RetirePc::load;
            break;
        case RetirePc::load:
            state.retire_seen = state.word;
            if (state.word.bits != 0 && !broken(HeapMutant::retired_unseen)) {
                state.claimed = false;  // R3: the same class again
                ++state.epoch;
                state.retire = RetirePc::idle;
                state.retire_seen = {};
            } else {
                const bool helps = state.word.tag != 0 && !broken(HeapMutant::tag_lost_in_retiring);
                state.retire = helps ? RetirePc::help_look : RetirePc::close;
            }
            break;
        case RetirePc::help_look:
            state.retire_helped = state.sections[at(state.retire_seen.tag - 1)].pending;
            state.retire = state.retire_helped.done ? RetirePc::close : RetirePc::help_again;
            break;
        case RetirePc::help_again:
            state.retire = state.word == state.retire_seen ? RetirePc::help_cas : RetirePc::close;
            break;
        case RetirePc::help_cas: {
            HeapPending& theirs = state.sections[at(state.retire_seen.tag - 1)].pending;
            if (theirs == state.retire_helped) theirs.done = true;
            state.retire = RetirePc::close;
            break;
        }
        case RetirePc::close:  // R2
            state.retire = RetirePc::load;
            if (state.word == state.retire_seen) {
                state.word = {.turn = state.word.turn, .open = false};
                next_turn(state);
                state.retire = RetirePc::reopen;
            }
            state.retire_seen = {};
            state.retire_helped = {};
            break;
        case RetirePc::reopen:  // R4, and open_slab for another class
            state.word.open = true;
            next_turn(state);
            state.claimed = false;
            ++state.epoch;
            ++state.kind;
            state.retire = RetirePc::idle;
            break;
    }
}

Ending HeapModel::ending(const HeapState& state) const {
    bool rests = state.retire == RetirePc::idle && state.retires == config_.retires;
    for (int i = 0; i < config_.sections; ++i) {
        const HeapSection& my = state.sections[at(i)];
        if (my.data != 0 && state.holder[at(my.data - 1)] != i + 1) {
            return {.fault = "the data hold a block that is not theirs"};
        }
        rests = rests && (my.frozen || ends(my));
    }
    for (int block = 0; block < kHeapBlocks; ++block) {
        const int holder = state.holder[at(block)];
        if (holder != 0 && !has(state.word, block)) return {.fault = "a held block is free"};
        if (!rests || !has(state.word, block)) continue;
        if (holder == 0) return {.fault = "a block is nobody's, and taken"};
        if (!state.sections[at(holder - 1)].frozen) return {.fault = "a block is lost"};
    }
    return {.is_clean = rests};
}

std::string HeapModel::text(const HeapState& state) const {
    std::string out = "bits " + std::to_string(state.word.bits) + " tag " +
                      std::to_string(state.word.tag) + " turn " + std::to_string(state.word.turn) +
                      (state.word.open ? " open" : " closed") + " slab " +
                      std::to_string(state.epoch) + (state.claimed ? " claimed |" : " |");
    for (int i = 0; i < config_.sections; ++i) {
        const HeapSection& my = state.sections[at(i)];
        out += " " + std::to_string(i + 1) + ": pc " + std::to_string(static_cast<int>(my.pc)) +
               " pending " + std::to_string(my.pending.step) + (my.pending.sets ? "+" : "-") +
               std::to_string(my.pending.block) + (my.pending.done ? " done" : "") + " data " +
               std::to_string(my.data) + (my.counted ? " counted;" : ";");
    }
    return out;
}

}  // namespace stoa::model
