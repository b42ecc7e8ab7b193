// The cases of each workload, in the order in which they are measured, and what they ask.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "bench/kit/case.hpp"

namespace stoa::bench {

struct Question {
    Workload workload{};
    std::string_view asks;
    std::string_view leaves_out;  // what is not measured
    std::string_view expect;
};

[[nodiscard]] const std::vector<Question>& questions();
[[nodiscard]] std::optional<Workload> workload_named(std::string_view text);

// Cases of one group differ in their mode only and take turns within each round.
[[nodiscard]] std::vector<std::vector<Case>> groups_of(Workload workload);

}  // namespace stoa::bench
