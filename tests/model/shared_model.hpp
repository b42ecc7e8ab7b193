// The lock for readers and writers as a model for the explorer, as stoa/sync/shared_mutex.cpp and
// holder_word.cpp do it: the writer's word, a place for each reading process, the bells `emptied`
// and `opened`; who dies in it, who inherits, who sleeps and is woken.
//
// Sleeps are endless while nobody died or stopped with a wake in its hands. A process has one
// thread here: two threads of one process would share a place and its count.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kMaxSharers = 4;
inline constexpr int kMaxReaderPlaces = 2;

enum class SharedMutant : std::uint8_t {
    none,
    reader_looks_no_more,
    writer_looks_no_more,
    leaves_without_ring,
    gives_without_ring,
    place_without_ring,
    heir_enters_at_once,
    heir_of_entering_told,
    writer_in_forgotten,
    stopped_reader_dropped,
    dropped_by_store,
    readers_sleep_unseen,
    writer_sleeps_unseen,
    unmended_not_poisoned,
};

struct SharedConfig {
    int writers = 1;
    int readers = 2;
    int places = 2;
    int rounds = 2;  // each
    int crashes = 0;
    int freezes = 0;
    int newcomers = 0;       // that take the place of a dead one in the table
    bool forgetful = false;  // an heir may give it back unmended
    bool deadlines = false;  // a waiter's deadline may pass
    SharedMutant mutant = SharedMutant::none;
};

enum class SharedPc : std::uint8_t {
    idle,
    // to write: the word
    fast,     // CAS free -> mine, entering
    look,     // load
    take,     // CAS what was seen, free -> mine, entering
    inherit,  // CAS what was seen, a dead one's -> mine
    mark,     // CAS what was seen -> with waiters
    sleep,    // the kernel compares the word
    asleep,
    // to write: the readers
    scan,  // load of one place
    set_emptied,
    scan_again,
    sleep_emptied,
    asleep_emptied,
    clear,  // the word without entering: it is in
    // held alone
    changing,
    whole,
    give,  // CAS mine -> free
    give_look,
    give_slowly,
    wake,
    // to read
    try_in,    // load of the word
    announce,  // CAS of one place, empty -> mine
    check,     // load of the word
    leave,     // CAS of the place, mine -> empty
    set_opened,
    sleep_opened,
    asleep_opened,
    due,   // load of the word: is who holds it gone
    heir,  // CAS what was seen, a dead one's -> mine alone, or free
    reading,
    // both
    drop_look,
    drop,  // CAS of what was seen of a gone reader's place -> empty
    ring_emptied,
    wake_emptied,
    opened_bit,
    opened_word,
    ring_opened,
    wake_opened,
};

enum class SharedLife : std::uint8_t { running, stopped, dead };

// What comes after the bells were rung.
enum class SharedAfter : std::uint8_t { done, blocked, try_in, set_emptied };

struct SharedWord {
    std::uint8_t holder = 0;  // process + 1
    std::uint8_t incarnation = 0;
    bool waiters = false;
    bool inconsistent = false;
    bool poisoned = false;
    bool entering = false;

    friend bool operator==(const SharedWord&, const SharedWord&) = default;
};

struct PlaceOfReader {
    std::uint8_t holder = 0;
    std::uint8_t incarnation = 0;

    friend bool operator==(const PlaceOfReader&, const PlaceOfReader&) = default;
};

struct Sharer {
    SharedLife life = SharedLife::running;
    SharedPc pc = SharedPc::idle;
    SharedAfter after = SharedAfter::done;
    std::uint8_t rounds = 0;
    std::uint8_t incarnation = 0;
    std::uint8_t at = 0;   // the place that it looks at
    bool slept = false;    // on the word
    bool armed = false;    // it set the bit of `opened`
    bool rung = false;     // the bell that it is about to sleep on changed
    bool told = false;     // that the last holder died
    bool poisons = false;  // what its unlock is about to store
    bool in_vain = false;  // its deadline passed
    SharedWord seen{};
    PlaceOfReader seen_place{};
};

struct SharedState {
    SharedWord word{};
    std::array<PlaceOfReader, kMaxReaderPlaces> places{};
    bool emptied = false;  // somebody sleeps
    bool opened = false;
    bool torn = false;
    bool harmed = false;  // one died that was in alone, and nobody mended since
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
    std::uint8_t newcomers = 0;
    std::array<Sharer, kMaxSharers> sharers;
};

class SharedModel {
public:
    using State = SharedState;

    explicit SharedModel(const SharedConfig& config) : config_(config) {}

    [[nodiscard]] SharedState initial() const;
    void moves(const SharedState& state, Moves<SharedState>& out) const;
    [[nodiscard]] Ending ending(const SharedState& state) const;
    [[nodiscard]] std::string text(const SharedState& state) const;

    template <typename Bits>
    void visit(SharedState& state, Bits& bits) const {
        visit_word(state.word, bits);
        for (PlaceOfReader& place : state.places) visit_place(place, bits);
        bits(state.emptied, 1);
        bits(state.opened, 1);
        bits(state.torn, 1);
        bits(state.harmed, 1);
        bits(state.crashes, 2);
        bits(state.freezes, 2);
        bits(state.newcomers, 2);
        for (int i = 0; i < count(); ++i) {
            Sharer& my = state.sharers[static_cast<std::size_t>(i)];
            bits(my.life, 2);
            bits(my.pc, 6);
            bits(my.after, 2);
            bits(my.rounds, 3);
            bits(my.incarnation, 2);
            bits(my.at, 2);
            bits(my.slept, 1);
            bits(my.armed, 1);
            bits(my.rung, 1);
            bits(my.told, 1);
            bits(my.poisons, 1);
            bits(my.in_vain, 1);
            visit_word(my.seen, bits);
            visit_place(my.seen_place, bits);
        }
    }

private:
    template <typename Bits>
    static void visit_word(SharedWord& word, Bits& bits) {
        bits(word.holder, 3);
        bits(word.incarnation, 2);
        bits(word.waiters, 1);
        bits(word.inconsistent, 1);
        bits(word.poisoned, 1);
        bits(word.entering, 1);
    }
    template <typename Bits>
    static void visit_place(PlaceOfReader& place, Bits& bits) {
        bits(place.holder, 3);
        bits(place.incarnation, 2);
    }
    [[nodiscard]] bool broken(SharedMutant mutant) const noexcept {
        return config_.mutant == mutant;
    }
    [[nodiscard]] int count() const noexcept { return config_.writers + config_.readers; }
    [[nodiscard]] bool is_gone(const SharedState& state, int holder, int incarnation) const;
    void step(SharedState& state, int who, const char*& fault) const;
    void step_take(SharedState& state, int who, const char*& fault) const;
    void step_wait(SharedState& state, Sharer& my) const;
    void step_enter(SharedState& state, Sharer& my, const char*& fault) const;
    void step_give(SharedState& state, int who, const char*& fault) const;
    void step_read(SharedState& state, int who, const char*& fault) const;
    void step_heir(SharedState& state, int who, const char*& fault) const;
    void step_drop(SharedState& state, Sharer& my) const;
    void step_ring(SharedState& state, Sharer& my) const;
    void got_alone(SharedState& state, Sharer& my, bool told, const char*& fault) const;
    void got_in(SharedState& state, Sharer& my, const char*& fault) const;
    void blocked(Sharer& my) const;
    void go_on(Sharer& my, SharedAfter after) const;
    void returns(Sharer& my) const;
    void wake_moves(const SharedState& state, int who, Moves<SharedState>& out) const;
    void environment_moves(const SharedState& state, int who, Moves<SharedState>& out) const;

    const SharedConfig& config_;
};

}  // namespace stoa::model
