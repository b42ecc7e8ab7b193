// The heap as a model for the explorer, as stoa/shm/heap_small.cpp, heap_slabs.cpp and
// heap_sections.cpp do it: one BlockWord with two blocks, its slab's word, sections that take a
// block and give it back in steps that an heir can tell, helpers, and one who retires the slab and
// opens it again for another class.
//
// A section's owner (a Guarded) decides by one word. Whoever dies is followed by an heir, which may
// die too. A ghost knows whose each block is: no block is anybody's twice, none is lost in the end.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kHeapBlocks = 2;
inline constexpr int kMaxSections = 3;

enum class HeapMutant : std::uint8_t {
    none,
    tag_not_confirmed,
    confirmed_without_second_look,
    own_tag_stays,
    heir_looks_at_pending_first,
    no_second_look,
    turn_stays,
    retired_unseen,
    tag_lost_in_retiring,
    undone_from_the_start,
    done_before_the_tag,
    steps_not_counted,
};

struct HeapConfig {
    int sections = 2;
    int rounds = 1;  // each takes a block and gives it back, in a section each
    int retires = 0;
    int crashes = 0;
    int freezes = 0;  // for ever
    HeapMutant mutant = HeapMutant::none;
};

enum class HeapPc : std::uint8_t {
    idle,
    look,    // A1
    strip,   // T1
    intend,  // T2
    load,
    help_look,   // H1
    help_again,  // H2
    help_cas,    // H3
    cas,         // T3
    second,      // A4
    done,        // T4
    append,
    decide,
    log_free,
    decide_free,
    settle_word,     // E1
    settle_pending,  // E2
    finish,          // looks at the entry, if one is left
    resume,          // E1 of a step that a dead one may have taken
    resume_pending,  // E2
    uncount,
    release,
};

struct HeapWordState {
    std::uint8_t bits = 0;
    std::uint8_t tag = 0;  // section + 1
    std::uint8_t turn = 0;
    bool open = true;

    friend bool operator==(const HeapWordState&, const HeapWordState&) = default;
};

struct HeapPending {
    bool none = false;
    bool done = false;
    bool sets = false;
    std::uint8_t block = 0;
    std::uint8_t step = 0;  // modulo 32

    friend bool operator==(const HeapPending&, const HeapPending&) = default;
};

enum class OwnerState : std::uint8_t { none, open, closed };

struct HeapSection {
    // in shared memory
    HeapPending pending{.none = true, .done = true};
    OwnerState owner = OwnerState::none;
    bool counted = false;  // the log has its entry
    bool frees = false;    // the entry
    std::uint8_t block = 0;
    std::uint8_t data = 0;  // what the guarded data hold: block + 1
    // its holder's own
    HeapPc pc = HeapPc::idle;
    bool frozen = false;
    bool sets = false;    // the step that it takes now
    bool undoes = false;  // what it took in a slab that was retired
    bool tagged = false;
    std::uint8_t target = 0;
    std::uint8_t rounds = 0;
    std::uint8_t epoch = 0;  // of the slab, at A1
    HeapWordState seen{};
    HeapPending helped{};
};

enum class RetirePc : std::uint8_t { idle, load, help_look, help_again, help_cas, close, reopen };

struct HeapState {
    HeapWordState word{};
    bool claimed = false;
    std::uint8_t epoch = 0;
    std::uint8_t kind = 0;                           // class of the slab
    std::array<std::uint8_t, kHeapBlocks> holder{};  // ghost: section + 1
    std::array<HeapSection, kMaxSections> sections{};
    RetirePc retire = RetirePc::idle;
    HeapWordState retire_seen{};
    HeapPending retire_helped{};
    std::uint8_t retires = 0;
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
};

class HeapModel {
public:
    using State = HeapState;

    explicit HeapModel(const HeapConfig& config) : config_(config) {}

    [[nodiscard]] HeapState initial() const;
    void moves(const HeapState& state, Moves<HeapState>& out) const;
    [[nodiscard]] Ending ending(const HeapState& state) const;
    [[nodiscard]] std::string text(const HeapState& state) const;

    template <typename Bits>
    void visit(HeapState& state, Bits& bits) const {
        visit_word(state.word, bits);
        bits(state.claimed, 1);
        bits(state.epoch, 4);
        bits(state.kind, 2);
        for (std::uint8_t& holder : state.holder) bits(holder, 2);
        bits(state.retire, 3);
        visit_word(state.retire_seen, bits);
        visit_pending(state.retire_helped, bits);
        bits(state.retires, 2);
        bits(state.crashes, 2);
        bits(state.freezes, 1);
        for (int i = 0; i < config_.sections; ++i) {
            HeapSection& my = state.sections[static_cast<std::size_t>(i)];
            visit_pending(my.pending, bits);
            bits(my.owner, 2);
            bits(my.counted, 1);
            bits(my.frees, 1);
            bits(my.block, 1);
            bits(my.data, 2);
            bits(my.pc, 5);
            bits(my.frozen, 1);
            bits(my.sets, 1);
            bits(my.undoes, 1);
            bits(my.tagged, 1);
            bits(my.target, 1);
            bits(my.rounds, 2);
            bits(my.epoch, 4);
            visit_word(my.seen, bits);
            visit_pending(my.helped, bits);
        }
    }

private:
    template <typename Bits>
    static void visit_word(HeapWordState& word, Bits& bits) {
        bits(word.bits, 2);
        bits(word.tag, 2);
        bits(word.turn, 5);
        bits(word.open, 1);
    }
    template <typename Bits>
    static void visit_pending(HeapPending& pending, Bits& bits) {
        bits(pending.none, 1);
        bits(pending.done, 1);
        bits(pending.sets, 1);
        bits(pending.block, 1);
        bits(pending.step, 5);
    }
    [[nodiscard]] bool broken(HeapMutant mutant) const noexcept { return config_.mutant == mutant; }
    void next_turn(HeapState& state) const;
    void step(HeapState& state, int who, const char*& fault) const;
    void step_take(HeapState& state, int who, const char*& fault) const;
    void step_load(HeapState& state, int who) const;
    void settle(HeapState& state, int who) const;
    void release(HeapSection& my) const;
    void step_help(HeapState& state, int who) const;
    void step_cas(HeapState& state, int who, const char*& fault) const;
    void step_end(HeapState& state, int who) const;
    void step_retire(HeapState& state) const;
    [[nodiscard]] std::uint8_t number_after(const HeapPending& pending) const {
        if (broken(HeapMutant::steps_not_counted)) return pending.step;
        return static_cast<std::uint8_t>((pending.step + 1) & 31);
    }
    static void begin_step(HeapSection& my, bool sets, std::uint8_t block);

    const HeapConfig& config_;
};

}  // namespace stoa::model
