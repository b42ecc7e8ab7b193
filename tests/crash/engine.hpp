// Kills, stalls and double-kills every scenario at every instruction, and counts what went wrong.
//
// Start here: Engine::run(scenario) for all runs of one scenario, Engine::replay() for one run.
// Threads:    none: engine, tracee and judge take turns on one CPU.
// Processes:  three at most are alive: engine, one tracee, one judge or waker.
// Death:      nothing outlives the engine.
// Blocking:   every run ends at the watchdog.
// Lifetime:   borrows the scenarios for a call.
// Units:      seconds for budgets, milliseconds for the watchdog.
// Source:     section "Kill at every instruction" of docs/proof.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "tests/crash/coverage.hpp"
#include "tests/crash/world.hpp"

namespace stoa::crash {

struct Options {
    double budget_s = 60;  // of one Engine::run; what changes shared state is always run
    // A kill and a stall at every instruction, but for inner turns of loops that change nothing;
    // the budget is for the pairs.
    bool singles = false;
    // The same, and every pair that can differ from another one, whatever it takes: a recoverer is
    // killed wherever something changes, and stopped before whatever it does in memory that others
    // see; each of its instructions once at least.
    bool full = false;
    std::uint64_t seed = 1;
    std::chrono::milliseconds watchdog{10'000};
    std::FILE* log = stdout;  // nullptr: silent
    unsigned log_limit = 5;   // violations printed per scenario
};

struct Violation {
    std::string scenario;
    Mode mode{};
    Point victim;
    Point recoverer;
    std::uintptr_t address = 0;  // the instruction before which the last one was stopped
    std::string what;

    [[nodiscard]] std::string replay() const;  // "name:kill_kill:12:40"
};

struct Tally {
    std::string scenario;
    std::uint32_t instructions = 0;
    std::uint32_t telling_points = 0;
    std::uint64_t kills = 0;
    std::uint64_t stalls = 0;
    std::uint64_t kill_kills = 0;
    std::uint64_t kill_stalls = 0;
    std::uint64_t post_crash_states = 0;
    std::uint64_t drifted = 0;   // runs that did not pass the instruction that was recorded
    std::uint64_t left_out = 0;  // runs for which the budget did not suffice
    std::uint64_t alike = 0;     // runs left out since nobody can tell them from one that ran
    std::vector<Violation> violations;
    double seconds = 0;
    double budget_used_s = 0;  // of these, what counts against the budget
};

[[nodiscard]] const char* mode_name(Mode mode);

class Engine {
public:
    explicit Engine(Options options);

    void set_budget(double seconds) noexcept { options_.budget_s = seconds; }

    Tally run(Scenario& scenario);
    // One run again.
    Tally replay(Scenario& scenario, Mode mode, Point victim, Point recoverer);

    [[nodiscard]] const Coverage& coverage() const noexcept { return coverage_; }
    [[nodiscard]] const Symbols& symbols() const noexcept { return symbols_; }

private:
    [[nodiscard]] const Accesses* accesses() const noexcept {
        return accesses_ ? &*accesses_ : nullptr;
    }
    struct PostCrash;
    class Run;

    Options options_;
    Coverage coverage_;
    Symbols symbols_;
    std::optional<Accesses> accesses_;                      // when full
    std::unordered_set<std::uintptr_t> recoverers_killed_;  // before these instructions
    std::unordered_set<std::uintptr_t> recoverers_stopped_;
};

}  // namespace stoa::crash
