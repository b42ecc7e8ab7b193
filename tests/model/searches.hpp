// What the smaller models' programs share: run each search of a table, and each mutant with the
// search that catches it.
#pragma once

#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>

#include "tests/model/explorer.hpp"

namespace stoa::model {

template <typename Config>
struct NamedSearch {
    std::string_view name;
    Config config;
    bool is_default = true;  // else of the full suite only
};

template <typename Config, typename Mutant>
struct NamedMutant {
    Mutant mutant;
    std::string_view name;
    std::string_view rule;   // that it breaks
    Config config;           // the cheapest search found that catches it
    bool is_default = true;  // else only when mutants are asked for
};

struct Searched {
    int passed = 0;
    int failed = 0;
    std::size_t states = 0;
    double seconds = 0;
};

template <typename Model, typename Config>
Report search_one(const Config& config, bool checks_packing = false) {
    const Model model(config);
    Explorer<Model> explorer(model);
    if (checks_packing) explorer.check_packing();
    return explorer.run(200'000'000);
}

// The words of a trace are its moves; with `all` also the state after each.
inline void print_trace(const Report& report, bool all) {
    std::printf("    %s\n", report.reason.c_str());
    for (const std::string& line : report.trace) {
        const std::size_t end = all ? line.size() : line.find(':');
        std::printf("      %.*s\n", static_cast<int>(std::min(end, line.size())), line.data());
    }
}

template <typename Model, typename Config>
void run_searches(std::span<const NamedSearch<Config>> suite, bool full, Searched& tally,
                  bool checks_packing = false) {
    for (const NamedSearch<Config>& entry : suite) {
        if (!full && !entry.is_default) continue;
        const Report report = search_one<Model>(entry.config, checks_packing);
        std::printf("%-48.*s %10zu states %10zu edges %8zu final %6zu stuck %7.1f s\n",
                    static_cast<int>(entry.name.size()), entry.name.data(), report.states,
                    report.edges, report.final, report.stuck, report.seconds);
        std::fflush(stdout);
        const bool holds = report.verdict == Verdict::holds;
        if (!holds) print_trace(report, true);
        ++(holds ? tally.passed : tally.failed);
        tally.states += report.states;
        tally.seconds += report.seconds;
    }
}

// Caught means: the search fails with the mutant and holds without it.
template <typename Model, typename Config, typename Mutant>
void run_mutants(std::span<const NamedMutant<Config, Mutant>> rows, bool all, bool traces,
                 Searched& tally) {
    for (const NamedMutant<Config, Mutant>& row : rows) {
        if (!all && !row.is_default) continue;
        Config config = row.config;
        const Report control = search_one<Model>(config);
        config.mutant = row.mutant;
        const Report report = search_one<Model>(config);
        const bool fails = report.verdict == Verdict::fault || report.verdict == Verdict::stuck;
        const bool is_caught = fails && control.verdict == Verdict::holds;
        std::printf("mutant %-26.*s %s after %zu states (%.*s): %s\n",
                    static_cast<int>(row.name.size()), row.name.data(),
                    is_caught ? "caught" : "SURVIVED", report.states,
                    static_cast<int>(row.rule.size()), row.rule.data(),
                    fails ? report.reason.c_str() : "nothing happened");
        std::fflush(stdout);
        if (traces && fails) print_trace(report, false);
        ++(is_caught ? tally.passed : tally.failed);
        tally.states += control.states + report.states;
        tally.seconds += control.seconds + report.seconds;
    }
}

inline int conclude(const Searched& tally) {
    std::printf("%zu states, %.1f s\n%d passed, %d failed\n", tally.states, tally.seconds,
                tally.passed, tally.failed);
    return tally.failed == 0 && tally.passed != 0 ? 0 : 1;
}

// NAME [default|full|mutants|packing] [--trace]; without a word the default suite and the cheaper
// mutants.
template <typename Model, typename Config, typename Mutant>
int run_program(int argc, char** argv, std::span<const NamedSearch<Config>> suite,
                std::span<const NamedMutant<Config, Mutant>> rows) {
    std::string_view what;
    bool traces = false;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--trace") == 0) {
            traces = true;
        } else {
            what = argv[i];
        }
    }
    const bool is_known = what.empty() || what == "default" || what == "full" ||
                          what == "mutants" || what == "packing";
    if (!is_known) {
        std::fprintf(stderr, "usage: %s [default|full|mutants|packing] [--trace]\n", argv[0]);
        return 2;
    }
    Searched tally;
    if (what != "mutants") {
        run_searches<Model>(suite, what == "full", tally, what == "packing");
    }
    const bool asked = what == "mutants";
    if (what.empty() || asked) run_mutants<Model>(rows, asked, traces, tally);
    return conclude(tally);
}

}  // namespace stoa::model
