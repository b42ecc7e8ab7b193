// The command line of a program that runs scenarios, and what it prints.
//
// Start here: crash_main() from main().
// Threads:    one.
// Processes:  see engine.hpp.
// Death:      see engine.hpp.
// Blocking:   as long as the budget, and longer when the telling points need it.
// Lifetime:   owns the scenarios.
// Units:      seconds.
// Source:     none.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/crash/scenario.hpp"

namespace stoa::crash {

struct Suite {
    std::vector<std::unique_ptr<Scenario>> scenarios;
    // Names of functions whose instructions are to be covered begin with one of these.
    std::vector<std::string> covered;
    // Functions into which such code was inlined; they count when they were executed at all.
    std::vector<std::string> covered_when_entered;
};

// 0: no violation. 1: violations. 2: wrong usage.
int crash_main(int argc, char** argv, const Suite& suite);

}  // namespace stoa::crash
