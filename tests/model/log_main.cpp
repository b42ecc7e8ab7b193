// log_model: explores the log. See README.md in this folder.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/model/log_model.hpp"

namespace {

using namespace stoa::model;

struct Search {
    std::string_view name;
    LogConfig config;
    bool is_long = false;
};

constexpr std::array kSuite{
    Search{"one reliable, one latest", {}},
    Search{"a bound of two, four places", {.modes = "rr", .places = 4, .messages = 6, .bound = 2}},
    Search{"heirs of the writer", {.modes = "rl", .bound = 2, .writer_crashes = 2}},
    Search{"two die, a sweeper too, one comes",
           {.modes = "r", .reader_crashes = 2, .attaches = 2, .sweepers = 2, .sweeper_crashes = 1}},
    Search{"they leave and come", {.modes = "rl", .attaches = 1, .leaves = true}},
    Search{"a newcomer drops who is leaving, a death",
           {.modes = "r",
            .messages = 3,
            .reader_crashes = 1,
            .attaches = 1,
            .leaves = true,
            .overtakes = true}},
    Search{"two reliable, one latest", {.modes = "rrl"}, true},
    Search{"newcomers drop who is leaving, beside another",
           {.modes = "rl", .messages = 3, .attaches = 2, .leaves = true, .overtakes = true},
           true},
    Search{"the same with a bound of one", {.modes = "rrl", .bound = 1}, true},
    Search{"one of two dies, another comes",
           {.modes = "rl", .reader_crashes = 1, .attaches = 1, .sweepers = 2},
           true},
    Search{"they leave and come twice", {.modes = "rl", .attaches = 2, .leaves = true}, true},
};

struct MutantRow {
    LogMutant mutant;
    std::string_view name;
    std::string_view rule;  // that it breaks
    LogConfig config;
};

constexpr LogConfig kOvertaken{.modes = "r", .attaches = 1, .leaves = true, .overtakes = true};

constexpr std::array kMutants{
    MutantRow{LogMutant::no_join_check,
              "no_join_check",
              "who joins looks at the floor after it stored its cursor",
              {}},
    MutantRow{LogMutant::join_check_first, "join_check_first", "and not before it", {}},
    MutantRow{LogMutant::floor_behind_scan,
              "floor_behind_scan",
              "the writer stores the floor before it looks at the cursors",
              {}},
    MutantRow{LogMutant::grant_ignores_floor,
              "grant_ignores_floor",
              "what is granted ends at the floor, whoever may be seen further on",
              {.modes = "rr"}},
    MutantRow{LogMutant::next_not_cleared,
              "next_not_cleared",
              "the place behind a record is not-ready before that is published",
              {}},
    MutantRow{LogMutant::published_first,
              "published_first",
              "a record is published when it is written",
              {}},
    MutantRow{LogMutant::copy_not_validated,
              "copy_not_validated",
              "a copy counts when the floor has not passed it",
              {.modes = "l"}},
    MutantRow{LogMutant::latest_trusts_not_ready,
              "latest_trusts_not_ready",
              "one that was overtaken does not wait where it stood",
              {.modes = "l", .messages = 5}},
    MutantRow{LogMutant::drop_by_store,
              "drop_by_store",
              "a sweeper ends only the subscription that it read",
              {.modes = "r", .messages = 4, .reader_crashes = 1, .attaches = 1, .sweepers = 2}},
    MutantRow{LogMutant::drop_leaves_state,
              "drop_leaves_state",
              "a drop ends the subscription before it frees the seat",
              {.modes = "r", .reader_crashes = 1}},
    MutantRow{LogMutant::leave_ends_another, "leave_ends_another",
              "who leaves ends the subscription that it made and no other", kOvertaken},
    MutantRow{LogMutant::leave_frees_another, "leave_frees_another",
              "and frees the seat that it holds and no other", kOvertaken},
    MutantRow{LogMutant::bound_ignores_taken,
              "bound_ignores_taken",
              "the bound counts what the slowest has not taken",
              {.modes = "rr", .bound = 1}},
};

Report search(const LogConfig& config) {
    const LogModel model(config);
    return Explorer<LogModel>(model).run(60'000'000);
}

bool run(const Search& entry, std::size_t& states) {
    const Report report = search(entry.config);
    states += report.states;
    const bool holds = report.verdict == Verdict::holds;
    std::printf("%-48.*s %9zu states %9zu edges %7zu final %5zu stuck %5.1f s%s\n",
                static_cast<int>(entry.name.size()), entry.name.data(), report.states, report.edges,
                report.final, report.stuck, report.seconds,
                report.verdict == Verdict::limit ? " LIMIT" : "");
    std::fflush(stdout);
    if (holds) return true;
    std::printf("    %s\n", report.reason.c_str());
    for (const std::string& line : report.trace) std::printf("    %s\n", line.c_str());
    return false;
}

// Caught means: it shows damage or strands somebody, and the same search without it does not.
bool is_caught(const MutantRow& row, bool with_trace) {
    LogConfig config = row.config;
    const bool holds_without = search(config).verdict == Verdict::holds;
    config.mutant = row.mutant;
    const Report report = search(config);
    const bool fails = report.verdict == Verdict::stuck || report.verdict == Verdict::fault;
    const bool is_caught = fails && holds_without;
    std::printf("mutant %-24.*s %s after %zu states: %s (%.*s)\n",
                static_cast<int>(row.name.size()), row.name.data(),
                is_caught ? "caught" : "SURVIVED", report.states, report.reason.c_str(),
                static_cast<int>(row.rule.size()), row.rule.data());
    for (const std::string& line : report.trace) {
        if (with_trace) std::printf("    %s\n", line.c_str());
    }
    return is_caught;
}

}  // namespace

int main(int argc, char** argv) {
    const bool with_trace = argc == 2 && std::string_view(argv[1]) == "--trace";
    const bool is_full = argc == 2 && std::string_view(argv[1]) == "--full";
    if (argc > 1 && !with_trace && !is_full) {
        std::fputs("usage: log_model [--full | --trace]   (--trace: how each mutant fails)\n",
                   stderr);
        return 2;
    }
    int passed = 0;
    int failed = 0;
    std::size_t states = 0;
    for (const Search& entry : kSuite) {
        if (!entry.is_long || is_full) ++(run(entry, states) ? passed : failed);
    }
    for (const MutantRow& row : kMutants) ++(is_caught(row, with_trace) ? passed : failed);
    std::printf("%zu states without mutants\n%d passed, %d failed\n", states, passed, failed);
    return failed == 0 ? 0 : 1;
}
