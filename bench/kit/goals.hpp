// What stoa has to reach, as data: one line per workload, mode, sizes and metric.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bench/kit/case.hpp"

namespace stoa::bench {

enum class Metric : std::uint8_t { p50, p99, p999, max, rate };

[[nodiscard]] std::string_view name(Metric metric) noexcept;
[[nodiscard]] constexpr bool lower_is_better(Metric metric) noexcept {
    return metric != Metric::rate;
}

inline constexpr std::string_view kBestLimit = "*";    // whichever limit was best in this run
inline constexpr std::string_view kItself = "itself";  // the same subject in another mode

struct Goal {
    Workload workload{};
    Mode mode{};
    std::size_t min_bytes = 0;
    std::size_t max_bytes = 0;
    std::string_view subject;  // which of stoa's subjects has to reach it
    Metric metric{};
    std::string_view limit;  // what it is compared with; empty: nothing
    Mode limit_mode{};
    double to_limit = 0;  // at most this, or for a rate at least this
    double to_rival = 0;  // the same against the best rival; 0: no goal
    double absolute = 0;  // at most this many microseconds; 0: no goal

    [[nodiscard]] bool is_for(const Case& c) const noexcept {
        return c.workload == workload && c.mode == mode && c.bytes >= min_bytes &&
               c.bytes <= max_bytes;
    }
};

[[nodiscard]] const std::vector<Goal>& goals();
[[nodiscard]] std::string describe(const Goal& goal);  // "<= 1.10x line, <= 0.75x best rival"

}  // namespace stoa::bench
