// pool_model: explores the pool ring's algorithm. See README.md in this folder.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <system_error>

#include "tests/model/explorer.hpp"
#include "tests/model/pool_model.hpp"
#include "tests/model/pool_suites.hpp"

namespace {

using namespace stoa::model;

constexpr const char* kUsage =
    "usage: pool_model --suite default|full|mutants|mutants_of_today\n"
    "       pool_model [--OPTION VALUE ...] [--mutant NAME] [--limit STATES] [--trace]\n"
    "       pool_model --list-mutants\n"
    "options: slots chunks senders receivers messages quota crashes freezes attaches\n"
    "         attach-role newcomers spare heirs detaches all-sweep abandon ack nack k\n"
    "         max-takes drain hints receipts withdraw at-take alone; without a suite one search\n"
    "--check-packing 1: also prove that a packed state forgets nothing that matters (slow)\n";

struct Tally {
    int passed = 0;
    int failed = 0;
    std::size_t states = 0;
    double seconds = 0;

    void count(bool is_good) { ++(is_good ? passed : failed); }
    void add(const Report& report) {
        states += report.states;
        seconds += report.seconds;
    }
};

void print(std::string_view name, const Report& report) {
    std::printf("%-44.*s %10zu states %10zu edges %8zu final %6zu stuck %7.1f s\n",
                static_cast<int>(name.size()), name.data(), report.states, report.edges,
                report.final, report.stuck, report.seconds);
}

void print_failure(const PoolConfig& config, const Report& report, bool with_trace) {
    std::printf("    pool_model %s: %s\n", text_of(config).c_str(),
                report.verdict == Verdict::limit ? "state limit" : report.reason.c_str());
    if (!with_trace) return;
    for (const std::string& line : report.trace) std::printf("      %s\n", line.c_str());
}

Report search(const PoolConfig& config, std::size_t limit, bool checks_packing = false) {
    const PoolModel model(config);
    Explorer<PoolModel> explorer(model);
    if (checks_packing) explorer.check_packing();
    return explorer.run(limit);
}

void run_suite(std::span<const PoolSearch> suite, std::size_t limit, Tally& tally) {
    for (const PoolSearch& entry : suite) {
        const Report report = search(entry.config, limit);
        const bool holds = report.verdict == Verdict::holds;
        print(entry.name, report);
        if (!holds) print_failure(entry.config, report, true);
        tally.count(holds);
        tally.add(report);
        std::fflush(stdout);
    }
}

// Caught means: the search fails with the mutant and holds without it.
// With several days each mutant has its turn on one of them.
void run_mutants(std::size_t limit, std::size_t days, Tally& tally) {
    std::map<std::string, bool> holds_without;
    const auto now = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
    auto day = static_cast<std::size_t>(now.time_since_epoch().count());
    for (const PoolMutant& entry : mutants()) {
        if (day++ % days != 0) continue;
        PoolConfig config = entry.config;
        const std::string text = text_of(config);
        if (!holds_without.contains(text)) {
            const Report control = search(config, limit);
            holds_without[text] = control.verdict == Verdict::holds;
            tally.add(control);
        }
        config.mutant = entry.mutant;
        const Report report = search(config, limit);
        const bool fails = report.verdict == Verdict::fault || report.verdict == Verdict::stuck;
        const bool is_caught = fails && holds_without[text];
        std::printf("%-26.*s %s after %zu states, %.1f s: %s\n",
                    static_cast<int>(entry.name.size()), entry.name.data(),
                    is_caught ? "caught" : "SURVIVED", report.states, report.seconds,
                    is_caught ? report.reason.c_str() : text_of(config).c_str());
        tally.count(is_caught);
        tally.add(report);
        std::fflush(stdout);
    }
}

int run_named_suite(std::string_view suite, std::size_t limit) {
    Tally tally;
    if (suite == "default" || suite == "full") run_suite(default_suite(), limit, tally);
    if (suite == "full") run_suite(full_suite(), limit, tally);
    if (suite == "mutants") run_mutants(limit, 1, tally);
    if (suite == "mutants_of_today") run_mutants(limit, 3, tally);
    std::printf("%zu states, %.1f s\n", tally.states, tally.seconds);
    std::printf("%d passed, %d failed\n", tally.passed, tally.failed);
    return tally.failed == 0 && tally.passed != 0 ? 0 : 1;
}

struct Options {
    PoolConfig config;
    std::string suite;
    std::size_t limit = 200'000'000;
    int checks_packing = 0;
    bool with_trace = false;
};

int run_one(const Options& options) {
    const Report report = search(options.config, options.limit, options.checks_packing != 0);
    print(text_of(options.config), report);
    if (report.verdict == Verdict::holds) return 0;
    print_failure(options.config, report, options.with_trace);
    return 1;
}

int list_mutants() {
    for (const PoolMutant& entry : mutants()) {
        std::printf("%-26.*s breaks: %.*s\n", static_cast<int>(entry.name.size()),
                    entry.name.data(), static_cast<int>(entry.rule.size()), entry.rule.data());
    }
    return 0;
}

int refuse(std::string_view what) {
    std::fprintf(stderr, "pool_model: %.*s\n%s", static_cast<int>(what.size()), what.data(),
                 kUsage);
    return 2;
}

template <typename Number>
bool parse(std::string_view text, Number& number) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && stop == text.data() + text.size();
}

bool set(Options& options, std::string_view name, std::string_view value) {
    if (name == "limit") return parse(value, options.limit);
    if (name == "check-packing") return parse(value, options.checks_packing);
    if (name != "suite") return set_option(options.config, name, value);
    options.suite = value;
    return value == "default" || value == "full" || value == "mutants" ||
           value == "mutants_of_today";
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string_view option = argv[i];
        if (option == "--list-mutants") return list_mutants();
        if (option == "--trace") {
            options.with_trace = true;
            continue;
        }
        if (!option.starts_with("--") || i + 1 == argc) return refuse(option);
        if (!set(options, option.substr(2), argv[++i])) return refuse(option);
    }
    if (!options.suite.empty()) return run_named_suite(options.suite, options.limit);
    const char* refusal = refusal_of(options.config);
    return refusal != nullptr ? refuse(refusal) : run_one(options);
}
