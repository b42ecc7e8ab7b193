// From the samples of a group to rows: medians, bests, ratios within the same round, goals.
//
// Start here: rows_of().
// Threads:    none.
// Processes:  none.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   values.
// Units:      microseconds, or messages a second.
// Source:     a ratio is the median of the ratios of each round, so a machine that becomes slower
//             in the middle of a run changes it little.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/kit/goals.hpp"
#include "bench/kit/process.hpp"

namespace stoa::bench {

// All rounds of one subject in one case.
struct Cell {
    Case c;
    std::string subject;
    Kind kind{};
    const Subject* from = nullptr;
    std::vector<Sample> rounds{};
    std::string failure{};  // the first one; the cell has no rows then
};

struct Row {
    Workload workload{};
    std::string subject;
    Kind kind{};
    Mode mode{};
    std::size_t bytes = 0;
    Metric metric{};
    double median = 0;
    double best = 0;
    double disturbed = 0;  // median of the rounds, where it says something
    double line_us = 0;    // what a cache line took there and back, just before; 0: not known
    std::string limit{};   // what ratio_to_limit compares with
    std::optional<double> ratio_to_limit{};
    std::string best_rival{};
    std::optional<double> ratio_to_best_rival{};
    std::string goal{};                // empty: none
    std::optional<bool> meets_goal{};  // nothing when it could not be compared
};

// True when a process that had no cpu for a while can only have lost it to another program.
[[nodiscard]] bool knows_disturbance(const Case& c) noexcept;

[[nodiscard]] double value_of(const Sample& sample, Metric metric) noexcept;
[[nodiscard]] double median_of(std::vector<double> values);
[[nodiscard]] double median_of(const Cell& cell, Metric metric);
[[nodiscard]] std::vector<Metric> metrics_of(const Case& c);  // the one that counts comes first

// Median of the ratios in each round; nothing when a round is missing.
[[nodiscard]] std::optional<double> ratio_of(const Cell& cell, const Cell& to, Metric metric);

[[nodiscard]] std::vector<Row> rows_of(const std::vector<Cell>& group);

}  // namespace stoa::bench
