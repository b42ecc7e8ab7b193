// The tables of searches: what is explored by default, in full, and which search catches which
// mutant.
#pragma once

#include <span>
#include <string_view>

#include "tests/model/pool_config.hpp"

namespace stoa::model {

struct PoolSearch {
    std::string_view name;
    PoolConfig config;  // expected: no fault, no stuck state, explored to the end
};

std::span<const PoolSearch> default_suite();
std::span<const PoolSearch> full_suite();  // beyond the default suite

struct PoolMutant {
    Mutant mutant;
    std::string_view name;
    std::string_view rule;  // that it breaks
    PoolConfig config;      // the cheapest search found that catches it
};

std::span<const PoolMutant> mutants();
const PoolMutant* find_mutant(std::string_view name);

}  // namespace stoa::model
