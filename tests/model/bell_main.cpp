// bell_model: explores the bell. See README.md in this folder.
#include <array>
#include <cstdio>
#include <string_view>

#include "tests/model/bell_model.hpp"

namespace {

using namespace stoa::model;

struct Search {
    std::string_view name;
    BellConfig config;
};

constexpr std::array kSuite{
    Search{"one sender, two receivers", {.senders = 1, .messages = 3}},
    Search{"two senders", {}},
    Search{"two senders, three receivers", {.receivers = 3}},
    Search{"deadlines", {.deadlines = true}},
    Search{"a death", {.crashes = 1}},
    Search{"two deaths, deadlines", {.senders = 1, .crashes = 2, .deadlines = true}},
    Search{"a stop, a death", {.crashes = 1, .freezes = 1}},
    Search{"three receivers, a stop, a death, deadlines",
           {.senders = 1, .receivers = 3, .crashes = 1, .freezes = 1, .deadlines = true}},
    Search{"two kinds of receivers, every ring wakes all", {.kinds = 2, .wakes_all = true}},
};

struct MutantRow {
    BellMutant mutant;
    std::string_view name;
    std::string_view rule;  // that it breaks
    BellConfig config;
};

constexpr std::array kMutants{
    MutantRow{BellMutant::no_wake, "no_wake", "who clears the bit wakes one", {}},
    MutantRow{
        BellMutant::no_recheck, "no_recheck", "a sleeper looks again after it set the bit", {}},
    MutantRow{BellMutant::bit_not_set_again,
              "bit_not_set_again",
              "a woken sleeper sets the bit again before it returns",
              {}},
    MutantRow{BellMutant::bit_left_clear_on_time_out,
              "bit_left_clear_on_time_out",
              "also when it returns because its deadline passed",
              {.deadlines = true}},
    MutantRow{BellMutant::cleared_after_wake,
              "cleared_after_wake",
              "the bit is cleared before the wake",
              {}},
    MutantRow{BellMutant::no_pass_on,
              "no_pass_on",
              "a woken sleeper passes the wake on when there is more",
              {}},
    MutantRow{BellMutant::no_sequence, "no_sequence", "a ring counts up", {.crashes = 1}},
    MutantRow{BellMutant::recovery_without_wake,
              "recovery_without_wake",
              "a recovery wakes all",
              {.crashes = 1}},
    MutantRow{BellMutant::recovery_without_bump,
              "recovery_without_bump",
              "a recovery counts up",
              {.crashes = 1}},
    MutantRow{BellMutant::one_bell_for_two_kinds,
              "one_bell_for_two_kinds",
              "sleepers of one bell wait for the same, or every ring wakes all",
              {.kinds = 2}},
};

Report search(const BellConfig& config) {
    const BellModel model(config);
    return Explorer<BellModel>(model).run(50'000'000);
}

bool run(std::string_view name, const BellConfig& config) {
    const Report report = search(config);
    const bool holds = report.verdict == Verdict::holds;
    std::printf("%-48.*s %9zu states %9zu edges %7zu final %5zu stuck %5.1f s\n",
                static_cast<int>(name.size()), name.data(), report.states, report.edges,
                report.final, report.stuck, report.seconds);
    if (holds) return true;
    for (const std::string& line : report.trace) std::printf("    %s\n", line.c_str());
    return false;
}

// Caught means: it strands a message, and the same search without it does not.
bool is_caught(const MutantRow& row, bool with_trace) {
    BellConfig config = row.config;
    config.mutant = row.mutant;
    const Report report = search(config);
    const bool is_caught = report.verdict == Verdict::stuck;
    std::printf("mutant %-30.*s %s after %zu states (%.*s)\n", static_cast<int>(row.name.size()),
                row.name.data(), is_caught ? "caught" : "SURVIVED", report.states,
                static_cast<int>(row.rule.size()), row.rule.data());
    for (const std::string& line : report.trace) {
        if (with_trace) std::printf("    %s\n", line.c_str());
    }
    return is_caught;
}

}  // namespace

int main(int argc, char** argv) {
    const bool with_trace = argc == 2 && std::string_view(argv[1]) == "--trace";
    if (argc > 1 && !with_trace) {
        std::fputs("usage: bell_model [--trace]   (--trace: how each mutant strands)\n", stderr);
        return 2;
    }
    int passed = 0;
    int failed = 0;
    for (const Search& entry : kSuite) ++(run(entry.name, entry.config) ? passed : failed);
    for (const MutantRow& row : kMutants) ++(is_caught(row, with_trace) ? passed : failed);
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
