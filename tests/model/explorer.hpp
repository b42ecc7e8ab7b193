// Explicit-state exploration: every reachable state of a model, breadth first, each state once.
//
// A model is a class with
//   State                                        a plain value
//   State initial() const
//   void visit(State&, Bits&) const              names every field and its width (packing.hpp)
//   void moves(const State&, Moves<State>&) const    what can happen next
//   Ending ending(const State&) const            is this a clean end; does it show damage
//   std::string text(const State&) const         for traces
// A move is *progress* when a live process makes it, and *environment* when it is a crash, a freeze
// or an arrival. Two things are proved: no move and no end is a fault, and from every state a clean
// end can be reached by progress moves alone. States are kept exactly: packed, never hashed down.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "stoa/base/check.hpp"
#include "tests/model/packing.hpp"

namespace stoa::model {

struct Ending {
    bool is_clean = false;
    const char* fault = nullptr;
};

// Collects what can happen next in one state. A move is drafted, edited in place and then taken; a
// draft that is not taken is overwritten by the next. `who` and `what` are the words of a trace.
template <typename State>
class Moves {
public:
    struct Move {
        State next;
        const char* fault;  // nullptr, or the rule that this very move breaks
        const char* what;
        int who;
        bool is_progress;
    };

    [[nodiscard]] State& draft(const State& from) {
        if (size_ == moves_.size()) moves_.emplace_back();
        moves_[size_].next = from;
        return moves_[size_].next;
    }
    void take_progress(int who, const char* what, const char* fault = nullptr) {
        take(who, what, fault, true);
    }
    void take_environment(int who, const char* what) { take(who, what, nullptr, false); }

    [[nodiscard]] std::span<const Move> all() const noexcept { return {moves_.data(), size_}; }
    void clear() noexcept { size_ = 0; }

private:
    void take(int who, const char* what, const char* fault, bool is_progress) {
        Move& move = moves_[size_++];
        move.fault = fault;
        move.what = what;
        move.who = who;
        move.is_progress = is_progress;
    }
    std::vector<Move> moves_;
    std::size_t size_ = 0;
};

// Grows without moving what it holds: a vector would need three times the memory while it grows.
template <typename T>
class Blocks {
public:
    void push_back(const T& value) {
        if (size_ % kBlock == 0) blocks_.push_back(std::make_unique_for_overwrite<T[]>(kBlock));
        blocks_.back()[size_++ % kBlock] = value;
    }
    [[nodiscard]] T& operator[](std::size_t i) { return blocks_[i / kBlock][i % kBlock]; }
    [[nodiscard]] const T& operator[](std::size_t i) const {
        return blocks_[i / kBlock][i % kBlock];
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    static constexpr std::size_t kBlock = std::size_t{1} << 16;
    std::vector<std::unique_ptr<T[]>> blocks_;
    std::size_t size_ = 0;
};

// A set of packed states, each numbered in order of arrival.
class StateSet {
public:
    struct Inserted {
        std::uint32_t number;
        bool is_new;
    };

    [[nodiscard]] std::size_t size() const noexcept { return states_.size(); }
    [[nodiscard]] const Packed& operator[](std::uint32_t number) const { return states_[number]; }

    void prefetch(std::uint64_t hash) const noexcept {
        __builtin_prefetch(&table_[hash & (table_.size() - 1)]);
    }

    Inserted insert(const Packed& state, std::uint64_t hash) {
        if ((size() + 1) * 3 > table_.size() * 2) grow();
        std::size_t place = hash & (table_.size() - 1);
        for (; table_[place] != 0; place = (place + 1) & (table_.size() - 1)) {
            if ((table_[place] ^ hash) >> 32 != 0) continue;
            const auto number = static_cast<std::uint32_t>(table_[place]) - 1;
            if (states_[number] == state) return {number, false};
        }
        STOA_CHECK(size() < std::numeric_limits<std::uint32_t>::max() - 1);
        const auto number = static_cast<std::uint32_t>(size());
        table_[place] = entry_of(hash, number);
        states_.push_back(state);
        return {number, true};
    }

private:
    // {upper half of the hash, number + 1}; 0 is an empty place.
    static std::uint64_t entry_of(std::uint64_t hash, std::uint32_t number) noexcept {
        return (hash >> 32 << 32) | (number + 1);
    }

    void grow() {
        std::vector<std::uint64_t> wider(table_.size() * 2);
        for (std::uint32_t number = 0; number < size(); ++number) {
            const std::uint64_t hash = hash_of(states_[number]);
            std::size_t place = hash & (wider.size() - 1);
            while (wider[place] != 0) place = (place + 1) & (wider.size() - 1);
            wider[place] = entry_of(hash, number);
        }
        table_.swap(wider);
    }

    std::vector<std::uint64_t> table_ = std::vector<std::uint64_t>(1 << 16);
    Blocks<Packed> states_;
};

enum class Verdict : std::uint8_t { holds, fault, stuck, limit };

struct Report {
    Verdict verdict = Verdict::holds;
    std::string reason;  // of a fault
    std::size_t states = 0;
    std::size_t edges = 0;  // progress moves only: those along which an end must be reachable
    std::size_t final = 0;
    std::size_t stuck = 0;
    double seconds = 0;
    std::vector<std::string> trace;  // of a fault or of the first stuck state
};

template <typename Model>
class Explorer {
public:
    using State = typename Model::State;

    explicit Explorer(const Model& model) : model_(model) {}

    // From now on every state must make the same moves before and after it was packed.
    void check_packing() noexcept { checks_packing_ = true; }

    [[nodiscard]] Report run(std::size_t state_limit) {
        const auto start = std::chrono::steady_clock::now();
        search(state_limit);
        report_.states = states_.size();
        report_.edges = successors_.size();
        if (report_.verdict == Verdict::holds) judge_ends();
        const auto spent = std::chrono::steady_clock::now() - start;
        report_.seconds = std::chrono::duration<double>(spent).count();
        return std::move(report_);
    }

private:
    [[nodiscard]] State unpacked(std::uint32_t number) const {
        State state{};
        BitReader reader(states_[number]);
        model_.visit(state, reader);
        return state;
    }

    [[nodiscard]] Packed packed(const State& state) const {
        Packed out;
        BitWriter writer(out);
        State copy = state;  // visit takes a reader's mutable state and a writer's alike
        model_.visit(copy, writer);
        return out;
    }

    void search(std::size_t state_limit) {
        insert(model_.initial(), 0);
        Moves<State> moves;
        for (std::uint32_t number = 0; number < states_.size(); ++number) {
            const State state = unpacked(number);
            const Ending ending = model_.ending(state);
            if (ending.fault != nullptr) return fail(ending.fault, number, {});
            is_final_.push_back(ending.is_clean);
            report_.final += ending.is_clean;
            moves.clear();
            model_.moves(state, moves);
            if (!expand(number, moves)) return;
            if (states_.size() > state_limit) {
                report_.verdict = Verdict::limit;
                return;
            }
        }
    }

    bool expand(std::uint32_t number, const Moves<State>& moves) {
        batch_.clear();
        for (const auto& move : moves.all()) {
            if (move.fault != nullptr) {
                fail(move.fault, number, line(move, move.next));
                return false;
            }
            if (checks_packing_) check_same_moves(move.next);
            Hashed& next = batch_.emplace_back();
            next.state = packed(move.next);
            next.hash = hash_of(next.state);
            states_.prefetch(next.hash);
        }
        std::uint8_t degree = 0;
        for (std::size_t i = 0; i < batch_.size(); ++i) {
            const auto [to, is_new] = states_.insert(batch_[i].state, batch_[i].hash);
            if (is_new) parents_.push_back(number);
            if (!moves.all()[i].is_progress || to == number) continue;
            successors_.push_back(to);
            ++degree;
        }
        degrees_.push_back(degree);
        return true;
    }

    void check_same_moves(const State& state) const {
        const Packed packed_state = packed(state);
        State again{};
        BitReader reader(packed_state);
        model_.visit(again, reader);
        Moves<State> before;
        Moves<State> after;
        model_.moves(state, before);
        model_.moves(again, after);
        STOA_CHECK(before.all().size() == after.all().size());
        for (std::size_t i = 0; i < before.all().size(); ++i) {
            const auto& one = before.all()[i];
            const auto& other = after.all()[i];
            STOA_CHECK(one.fault == other.fault && one.who == other.who && one.what == other.what);
            STOA_CHECK(one.fault != nullptr || packed(one.next) == packed(other.next));
        }
        const Ending ending = model_.ending(state);
        const Ending same = model_.ending(again);
        STOA_CHECK(ending.is_clean == same.is_clean && ending.fault == same.fault);
    }

    void insert(const State& state, std::uint32_t parent) {
        const Packed first = packed(state);
        if (states_.insert(first, hash_of(first)).is_new) parents_.push_back(parent);
    }

    // Backward reachability. Breadth first numbers most moves upwards, so passes from the last
    // state to the first settle nearly all in one go; they are repeated until nothing changes.
    void judge_ends() {
        bool has_changed = true;
        while (has_changed) {
            has_changed = false;
            std::size_t edge = successors_.size();
            for (std::size_t number = states_.size(); number-- > 0;) {
                bool reaches = is_final_[number];
                for (int i = 0; i < degrees_[number]; ++i) {
                    reaches = is_final_[successors_[--edge]] || reaches;
                }
                has_changed = has_changed || (reaches && !is_final_[number]);
                is_final_[number] = reaches;
            }
        }
        for (std::uint32_t number = 0; number < states_.size(); ++number) {
            if (is_final_[number]) continue;
            if (report_.stuck++ == 0) fail("no clean end can be reached", number, {});
        }
        if (report_.stuck != 0) report_.verdict = Verdict::stuck;
    }

    void fail(const char* reason, std::uint32_t number, std::string last_line) {
        report_.verdict = Verdict::fault;
        report_.reason = reason;
        std::vector<std::uint32_t> path{number};
        while (path.back() != 0) path.push_back(parents_[path.back()]);
        report_.trace.push_back("start: " + model_.text(unpacked(0)));
        for (std::size_t i = path.size() - 1; i-- > 0;) {
            report_.trace.push_back(line_between(path[i + 1], path[i]));
        }
        if (!last_line.empty()) report_.trace.push_back(std::move(last_line));
    }

    [[nodiscard]] std::string line_between(std::uint32_t from, std::uint32_t to) const {
        Moves<State> moves;
        model_.moves(unpacked(from), moves);
        for (const auto& move : moves.all()) {
            if (packed(move.next) == states_[to]) return line(move, unpacked(to));
        }
        return "?";
    }

    [[nodiscard]] std::string line(const typename Moves<State>::Move& move,
                                   const State& after) const {
        return std::to_string(move.who) + " " + move.what + ": " + model_.text(after);
    }

    struct Hashed {
        Packed state;
        std::uint64_t hash;
    };

    const Model& model_;
    StateSet states_;
    Blocks<std::uint32_t> parents_;     // by state: the state that it was first reached from
    Blocks<std::uint32_t> successors_;  // of all states in order, progress moves only
    Blocks<std::uint8_t> degrees_;      // by state: how many of successors_ are its own
    Blocks<std::uint8_t> is_final_;     // by state; judge_ends widens it to "reaches an end"
    std::vector<Hashed> batch_;
    bool checks_packing_ = false;
    Report report_;
};

}  // namespace stoa::model
