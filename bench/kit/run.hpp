// Runs a bench: chosen workloads, all subjects in turn within each round, and reports.
//
// Start here: run_bench(); subjects come from bench/subjects.hpp.
// Threads:    call it from a process with one thread: it forks.
// Processes:  none outlives the call.
// Death:      a subject that hangs or dies is named and left out of the rest of its case.
// Blocking:   for as long as the measuring takes; Options::seconds bounds it roughly.
// Lifetime:   nothing is kept.
// Units:      seconds.
// Source:     none.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "bench/kit/subject.hpp"

namespace stoa::bench {

struct Options {
    std::vector<std::string> workloads{};  // empty: all
    std::vector<std::string> subjects{};   // empty: all
    std::vector<std::string> modes{};      // empty: all
    std::vector<std::size_t> bytes{};      // empty: all
    unsigned rounds = 7;
    double seconds = 0;  // for everything together; 0: 0.05 for each measurement
    bool quick = false;  // three rounds of 0.02 s
    bool json = false;
    bool first = false;    // run before other programs on a busy machine; needs root
    bool verify = false;   // look at every message: for tests
    std::string beside{};  // print ratios of this subject to each other one in place of the table
};

// 0 done; 1 a subject failed; 2 a name in `options` is unknown, and `notes` says which.
// Results go to `out`, group by group; what was left out or failed to `notes`.
[[nodiscard]] int run_bench(const Options& options, const Subjects& subjects, std::ostream& out,
                            std::ostream& notes);

}  // namespace stoa::bench
