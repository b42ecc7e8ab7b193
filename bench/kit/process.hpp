// Runs one measurement: forks the roles of a case, gives the start, watches over them, collects.
#pragma once

#include <string>
#include <vector>

#include "bench/kit/case.hpp"
#include "bench/kit/subject.hpp"

namespace stoa::bench {

struct Timing {
    double seconds = 0.05;   // measured, after a tenth of it to warm up
    double patience = 10.0;  // longest wait for the ready and, after the end, for the exit
    bool first = false;      // run before other programs, but for the cases about sharing a cpu
};

// What one measurement of one subject gave. Latencies are of round trips; a flow has none.
struct Sample {
    double p50_us = 0;
    double p99_us = 0;
    double p999_us = 0;
    double max_us = 0;
    double rate = 0;  // messages or round trips a second, all processes together
    // Part of the time in which a process was ready to run but had no cpu. Where there are no more
    // processes than cpus and all of them spin, other programs took it, and the figures suffer.
    double disturbed = 0;
    std::string failure{};  // empty, or what went wrong
};

// Never throws: a subject that hangs, dies, loses or spoils a message gives a Sample that says so.
// Unavailable passes through. Leaves no process behind.
[[nodiscard]] Sample measure(const Subject& subject, const Case& c, const std::vector<int>& cpus,
                             const Timing& timing);

}  // namespace stoa::bench
