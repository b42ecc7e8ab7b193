// Shows rows: as a table for people, as JSON for programs, or beside one subject as ratios.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "bench/kit/placement.hpp"
#include "bench/kit/results.hpp"

namespace stoa::bench {

// One block per case, best first.
void print_table(std::ostream& out, const std::vector<Row>& rows);

// One line per case and subject: how many times better (> 1) or worse `beside` is.
void print_beside(std::ostream& out, const std::vector<Row>& rows, const std::string& beside);

// One array of objects, each with the machine and the commit.
void print_json(std::ostream& out, const std::vector<Row>& rows, const Machine& machine);

[[nodiscard]] std::string show(double value, Metric metric);  // "0.374 us", "12.9 M/s"

}  // namespace stoa::bench
