// What a user chooses for a farm, and what it tells afterwards.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/farm/cutter.hpp"
#include "stoa/base/atomic.hpp"

namespace stoa::cli::farm {

inline constexpr std::uint32_t kMaxRetries = 10'000;
inline constexpr std::uint32_t kMaxDeaths = 255;  // further than that no message counts

struct Options {
    std::uint32_t workers = 0;  // 0: one for each processor
    CutRules cut;
    std::uint32_t retries = 2;
    std::uint32_t deaths = 20;  // of workers with one task; 0: it comes again for ever
    std::uint64_t window = 0;   // 0: 16 for each worker, at least 64
    bool quiet = false;
    std::string report;  // a file for the facts; empty: none
    std::vector<std::string> command;
};

// Figures that several threads of the head write and its progress bar reads.
struct Figures {
    Atomic<std::uint64_t> tasks_cut{0};
    Atomic<std::uint64_t> tasks_done{0};  // with the failed ones
    Atomic<std::uint64_t> tasks_failed{0};
    Atomic<std::uint64_t> tasks_deadly{0};  // of the failed ones: too many workers died with it
    Atomic<std::uint64_t> failures{0};      // of COMMAND, also those that a retry made good
    Atomic<std::uint64_t> bytes_cut{0};
    Atomic<std::uint64_t> bytes_done{0};  // of input
    Atomic<std::uint64_t> bytes_out{0};
    Atomic<std::uint64_t> bytes_spilled{0};  // results that were held in files
    Atomic<bool> input_ended{false};
};

}  // namespace stoa::cli::farm
