// The newest value as a model for the explorer, as stoa/ring/latest.hpp and stoa/shm/latest.cpp do
// it, with the memory orders that they name: writers who claim, publish, die, stop and have heirs;
// readers who are held up between any two loads.
//
// Memory orders. A store waits in its writer until it is seen; it may overtake any other one that
// waits there, but a release store comes after all that its writer issued before it. A reader's
// loads of a slot are done in any order; each of them before what follows an acquire. A writer that
// dies has its stores seen: the kernel's word that it is dead comes after them.
//
// Sleeps are endless while nobody died or stopped with a wake in its hands.
//
// A value has two words; each word holds the number of the value that it is a part of.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kMaxLatestWriters = 3;
inline constexpr int kMaxLatestReaders = 2;
inline constexpr int kLatestModelSlots = 4;
inline constexpr int kLatestModelWords = 2;
inline constexpr int kPending = kLatestModelWords + 1;  // stores of one value

enum class LatestMutant : std::uint8_t {
    none,
    publishes_early,   // W2 is not a release
    words_overtake,    // W1 is not a release: a word may be seen before the W2 before it
    reads_late,        // R1 is not an acquire: words may be read before it
    checks_early,      // R2 is not an acquire: R3 may come before it
    no_check,          // R3 is left out
    checks_one_more,   // R3 accepts n + 3
    three_slots,       // as if there were one slot less than R3 thinks
    heir_starts_over,  // an heir begins with number 1
    heir_skips,        // an heir leaves the number out that the dead one was writing
    claims_from_stopped,
    claims_by_store,
    no_barrier,  // who set the sleep bit looks again without a barrier for the writers
    no_look,     // who set the sleep bit does not look again
    no_wake,
};

struct LatestConfig {
    int writers = 2;
    int readers = 2;
    int values = 5;  // of all writers together
    int reads = 2;   // of each reader
    int crashes = 0;
    int freezes = 0;
    bool sleeps = false;  // readers sleep until there is a newer one than the last
    LatestMutant mutant = LatestMutant::none;
};

enum class LatestLife : std::uint8_t { running, stopped, dead };
enum class WriterPc : std::uint8_t { look, claim, load, write, publish, ring, leave, done };
enum class ReaderPc : std::uint8_t { idle, copy, check, done, mark, barrier, look, asleep };

struct Store {
    std::uint8_t what = 0;  // 0: none; 1: newest; else slot * words + word + 2
    std::uint8_t number = 0;

    friend bool operator==(const Store&, const Store&) = default;
};

struct LatestWriter {
    LatestLife life = LatestLife::running;
    WriterPc pc = WriterPc::look;
    std::uint8_t seen = 0;                  // in the word of who writes
    std::uint8_t number = 0;                // of its value
    std::uint8_t word = 0;                  // that is next
    std::array<Store, kPending> pending{};  // oldest first
};

struct LatestReader {
    ReaderPc pc = ReaderPc::idle;
    std::uint8_t reads = 0;    // still to come
    std::uint8_t number = 0;   // of the value; asleep: the bell that it saw
    std::uint8_t checked = 0;  // what R3 read, where it came early
    std::uint8_t last = 0;
    std::array<std::uint8_t, kLatestModelWords> got{};  // kNotYet
};

struct LatestState {
    std::uint8_t writer = 0;  // index + 1
    std::uint8_t newest = 0;
    std::uint8_t bell = 0;      // bit 0: somebody sleeps; else how often it was rung
    std::uint8_t returned = 0;  // the last number that a write returned
    std::array<std::uint8_t, kLatestModelSlots * kLatestModelWords> words{};
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
    std::array<LatestWriter, kMaxLatestWriters> writers;
    std::array<LatestReader, kMaxLatestReaders> readers;
};

class LatestModel {
public:
    using State = LatestState;
    static constexpr std::uint8_t kNotYet = 15;

    explicit LatestModel(const LatestConfig& config) : config_(config) {}

    [[nodiscard]] LatestState initial() const;
    void moves(const LatestState& state, Moves<LatestState>& out) const;
    [[nodiscard]] Ending ending(const LatestState& state) const;
    [[nodiscard]] std::string text(const LatestState& state) const;

    template <typename Bits>
    void visit(LatestState& state, Bits& bits) const {
        bits(state.writer, 2);
        bits(state.newest, 4);
        bits(state.bell, 4);
        bits(state.returned, 4);
        for (std::uint8_t& word : state.words) bits(word, 4);
        bits(state.crashes, 2);
        bits(state.freezes, 2);
        for (int i = 0; i < config_.writers; ++i) {
            LatestWriter& my = state.writers[static_cast<std::size_t>(i)];
            bits(my.life, 2);
            bits(my.pc, 4);
            bits(my.seen, 2);
            bits(my.number, 4);
            bits(my.word, 2);
            for (Store& store : my.pending) {
                bits(store.what, 4);
                bits(store.number, 4);
            }
        }
        for (int i = 0; i < config_.readers; ++i) {
            LatestReader& my = state.readers[static_cast<std::size_t>(i)];
            bits(my.pc, 3);
            bits(my.reads, 2);
            bits(my.number, 4);
            bits(my.checked, 4);
            bits(my.last, 4);
            for (std::uint8_t& word : my.got) bits(word, 4);
        }
    }

private:
    [[nodiscard]] bool broken(LatestMutant mutant) const noexcept {
        return config_.mutant == mutant;
    }
    [[nodiscard]] std::uint8_t word_at(std::uint8_t number, int word) const noexcept;
    [[nodiscard]] bool may_be_seen(const LatestWriter& my, std::size_t which) const noexcept;
    static void see(LatestState& state, LatestWriter& my, std::size_t which);
    static void issue(LatestWriter& my, Store store);
    static void drain(LatestState& state, LatestWriter& my);
    void writer_moves(const LatestState& state, int who, Moves<LatestState>& out) const;
    void writer_step(LatestState& state, int who, const char*& fault) const;
    void reader_moves(const LatestState& state, int who, Moves<LatestState>& out) const;
    void sleeper_moves(const LatestState& state, int who, Moves<LatestState>& out) const;
    void judge(LatestReader& my, std::uint8_t newest, const char*& fault) const;
    void environment_moves(const LatestState& state, int who, Moves<LatestState>& out) const;

    const LatestConfig& config_;
};

}  // namespace stoa::model
