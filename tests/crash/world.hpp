// One scenario's memory and processes: put back, started, brought to a point, judged.
//
// Start here: restore(), start(), go(), then judge().
// Threads:    one; one World at a time.
// Processes:  engine; everything else is forked from here.
// Death:      not applicable.
// Blocking:   bounded by the watchdog.
// Lifetime:   borrows the scenario.
// Units:      points count instructions.
// Source:     none.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/crash/judge.hpp"
#include "tests/crash/scenario.hpp"
#include "tests/crash/trace.hpp"
#include "tests/crash/tracee.hpp"

namespace stoa::crash {

// Before instruction `at`; or inside it, when it is a system call that sleeps.
struct Point {
    std::uint32_t at = 0;
    bool asleep = false;

    friend bool operator==(const Point&, const Point&) = default;
};

// What differs from the prepared memory, by page.
struct Snapshot {
    struct Page {
        std::byte* at = nullptr;
        std::vector<std::byte> bytes;
    };
    std::vector<Page> pages;
    std::vector<std::byte> outcomes;
};

class World {
public:
    World(Scenario& scenario, std::chrono::milliseconds watchdog);

    [[nodiscard]] Scenario& scenario() const noexcept { return scenario_; }

    void restore();  // the prepared state
    void restore(const Snapshot& snapshot);
    [[nodiscard]] Snapshot save() const;

    [[nodiscard]] Tracee start_victim() const;
    [[nodiscard]] Tracee start_recoverer(const Case& now);
    [[nodiscard]] Trace record(Tracee& tracee, const Accesses* accesses = nullptr) const;
    [[nodiscard]] std::unique_ptr<Judge> judge(std::vector<Act> acts) const;

private:
    [[nodiscard]] std::vector<std::span<const std::byte>> watched() const;

    Scenario& scenario_;
    std::chrono::milliseconds watchdog_;
    struct Area {
        std::span<std::byte> memory;
        std::vector<std::byte> prepared;
    };
    std::vector<Area> areas_;
    Work victim_;
    Work recoverer_;
    Case recoverer_case_;
};

}  // namespace stoa::crash
