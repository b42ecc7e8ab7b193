#include "tests/crash/crash_main.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "tests/crash/engine.hpp"

namespace stoa::crash {
namespace {

constexpr const char* kUsage =
    "usage: %s [--scenario NAME] [--budget SECONDS] [--singles | --full] [--part K/N]\n"
    "          [--seed N] [--report FILE] [--unreached FILE] [--replay NAME:MODE:POINT[:POINT]] "
    "[--list]\n"
    "  Kills, stalls and double-kills every scenario at every instruction.\n"
    "  --scenario NAME  only those whose name begins with NAME\n"
    "  --budget S       seconds for all together (default 60), spread evenly; what does not fit "
    "is\n"
    "                   left out, but never a point where shared memory changes\n"
    "  --singles        a kill and a stall at every instruction (of long loops that change "
    "nothing at\n"
    "                   their ends), whatever it takes; the budget is for the pairs\n"
    "  --full           the same, and every pair that differs from others in what the dead or the\n"
    "                   stopped one had changed or seen, whatever it takes (an hour or two)\n"
    "  --part K/N       every Nth scenario, from the Kth on: N processes share the work\n"
    "  --report FILE    the table as markdown;  --unreached FILE  instructions nobody executed\n"
    "  example: %s --scenario pool. --budget 20 --report crash.md\n";

struct Request {
    Options options;
    std::string scenario;
    std::string replay;
    std::string report;
    std::string unreached;
    std::size_t part = 1;
    std::size_t parts = 1;
    bool list = false;
};

struct Replay {
    std::string scenario;
    Mode mode = Mode::none;
    Point victim{};
    Point recoverer{};
};

// "2/3": the second of three.
bool parse_part(const std::string& text, Request& request) {
    char* after = nullptr;
    request.part = std::strtoul(text.c_str(), &after, 10);
    if (*after != '/') return false;
    request.parts = std::strtoul(after + 1, &after, 10);
    return *after == '\0' && request.part >= 1 && request.part <= request.parts;
}

std::optional<Request> parse(int argc, char** argv) {
    Request request;
    request.options.seed =
        static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) %
        1'000'000;
    for (int k = 1; k < argc; ++k) {
        const std::string_view flag{argv[k]};
        bool* const set = flag == "--full"      ? &request.options.full
                          : flag == "--singles" ? &request.options.singles
                          : flag == "--list"    ? &request.list
                                                : nullptr;
        if (set != nullptr) {
            *set = true;
            continue;
        }
        if (k + 1 == argc) return std::nullopt;
        const char* value = argv[++k];
        if (flag == "--scenario") {
            request.scenario = value;
        } else if (flag == "--budget") {
            request.options.budget_s = std::strtod(value, nullptr);
        } else if (flag == "--seed") {
            request.options.seed = std::strtoull(value, nullptr, 10);
        } else if (flag == "--report") {
            request.report = value;
        } else if (flag == "--part") {
            if (!parse_part(value, request)) return std::nullopt;
        } else if (flag == "--unreached") {
            request.unreached = value;
        } else if (flag == "--replay") {
            request.replay = value;
        } else {
            return std::nullopt;
        }
    }
    return request;
}

std::optional<Point> parse_point(const std::string& text) {
    char* after = nullptr;
    const unsigned long at = std::strtoul(text.c_str(), &after, 10);
    const bool asleep = std::strcmp(after, "z") == 0;
    if (after == text.c_str() || (*after != '\0' && !asleep)) return std::nullopt;
    return Point{static_cast<std::uint32_t>(at), asleep};
}

std::optional<Replay> parse_replay(std::string text) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at != std::string::npos; text.erase(0, at + 1)) {
        at = text.find(':');
        parts.push_back(text.substr(0, at));
        if (at == std::string::npos) break;
    }
    if (parts.size() < 3) return std::nullopt;
    Replay replay{.scenario = parts[0]};
    for (const Mode mode : {Mode::kill, Mode::stall, Mode::kill_kill, Mode::kill_stall}) {
        if (parts[1] == mode_name(mode)) replay.mode = mode;
    }
    const bool pair = replay.mode == Mode::kill_kill || replay.mode == Mode::kill_stall;
    if (replay.mode == Mode::none || parts.size() != (pair ? 4U : 3U)) return std::nullopt;
    const auto victim = parse_point(parts[2]);
    const auto recoverer = parse_point(pair ? parts[3] : "0");
    if (!victim || !recoverer) return std::nullopt;
    replay.victim = *victim;
    replay.recoverer = *recoverer;
    return replay;
}

std::string row_of(const Tally& tally) {
    std::array<char, 512> row{};
    std::snprintf(row.data(), row.size(),
                  "| %-28s | %6u | %5u | %6lu | %6lu | %5lu | %7lu | %7lu | %8lu | %8lu | %5lu | "
                  "%4zu | %7.1f |\n",
                  tally.scenario.c_str(), tally.instructions, tally.telling_points, tally.kills,
                  tally.stalls, tally.post_crash_states, tally.kill_kills, tally.kill_stalls,
                  tally.alike, tally.left_out, tally.drifted, tally.violations.size(),
                  tally.seconds);
    return row.data();
}

constexpr const char* kHead =
    "| scenario | instructions | telling | kills | stalls | post-crash states | kill+kill | "
    "kill+stall | alike | left out | drifted | violations | seconds |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";

void add(Tally& sum, const Tally& one) {
    sum.instructions += one.instructions;
    sum.telling_points += one.telling_points;
    sum.kills += one.kills;
    sum.stalls += one.stalls;
    sum.kill_kills += one.kill_kills;
    sum.kill_stalls += one.kill_stalls;
    sum.post_crash_states += one.post_crash_states;
    sum.drifted += one.drifted;
    sum.left_out += one.left_out;
    sum.alike += one.alike;
    sum.violations.insert(sum.violations.end(), one.violations.begin(), one.violations.end());
    sum.seconds += one.seconds;
}

// The table of functions; writes every unreached instruction to `file` when it is open.
std::string coverage_text(const Engine& engine, const Suite& suite, std::FILE* file) {
    const auto rows =
        engine.coverage().functions(engine.symbols(), suite.covered, suite.covered_when_entered);
    std::string text =
        "\n| function | instructions | executed | not executed |\n|---|---|---|---|\n";
    std::size_t all = 0;
    std::size_t missed = 0;
    for (const FunctionCoverage& row : rows) {
        all += row.instructions;
        missed += row.unreached.size();
        text += "| `" + row.name + "` | " + std::to_string(row.instructions) + " | " +
                std::to_string(row.instructions - row.unreached.size()) + " | " +
                std::to_string(row.unreached.size()) + " |\n";
        if (file == nullptr || row.unreached.empty()) continue;
        std::fprintf(file, "%s\n", row.name.c_str());
        const std::vector<std::string> lines = source_lines(row.unreached);
        for (std::size_t k = 0; k < lines.size(); ++k) {
            std::fprintf(file, "    0x%lx %s\n", row.unreached[k], lines[k].c_str());
        }
    }
    text += "| all | " + std::to_string(all) + " | " + std::to_string(all - missed) + " | " +
            std::to_string(missed) + " |\n";
    return text;
}

const char* how_much(const Options& options) {
    if (options.full) return "full";
    return options.singles ? "a kill and a stall at every instruction, pairs within a budget"
                           : "within a budget";
}

void write_reports(const Request& request, const Suite& suite, const Engine& engine,
                   const std::string& table) {
    if (request.report.empty() && request.unreached.empty()) return;
    std::FILE* const unreached =
        request.unreached.empty() ? nullptr : std::fopen(request.unreached.c_str(), "w");
    const std::string coverage = coverage_text(engine, suite, unreached);
    if (unreached != nullptr) std::fclose(unreached);
    std::FILE* const report =
        request.report.empty() ? nullptr : std::fopen(request.report.c_str(), "w");
    if (report == nullptr) return;
    std::fprintf(report, "seed %lu, %s\n\n%s%s", request.options.seed, how_much(request.options),
                 table.c_str(), coverage.c_str());
    std::fclose(report);
}

int run_one_again(const Request& request, const Suite& suite) {
    const std::optional<Replay> replay = parse_replay(request.replay);
    for (const auto& scenario : suite.scenarios) {
        if (!replay || scenario->name() != replay->scenario) continue;
        const Tally tally = Engine{request.options}.replay(*scenario, replay->mode, replay->victim,
                                                           replay->recoverer);
        std::printf("%zu violations\n", tally.violations.size());
        return tally.violations.empty() ? 0 : 1;
    }
    std::fprintf(stderr, "nothing to replay is called %s\n", request.replay.c_str());
    return 2;
}

// Whether its day is another one: all have their turn within a few days.
bool rests_today(const Request& request, std::size_t index) {
    constexpr std::size_t kDays = 10;
    if (request.options.full || request.options.singles || !request.scenario.empty()) return false;
    const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
    const auto day = static_cast<std::size_t>(today.time_since_epoch().count());
    return (index + day) % kDays != 0;
}

int run_all(const Request& request, const Suite& suite) {
    std::vector<Scenario*> chosen;
    std::size_t named = 0;
    std::size_t resting = 0;
    for (std::size_t k = 0; k < suite.scenarios.size(); ++k) {
        const auto& scenario = suite.scenarios[k];
        if (!scenario->name().starts_with(request.scenario)) continue;
        if (rests_today(request, k)) {
            ++resting;
            continue;
        }
        if (++named % request.parts == request.part % request.parts) {
            chosen.push_back(scenario.get());
        }
    }
    if (chosen.empty()) {
        std::fprintf(stderr, "no scenario is called %s; see --list\n", request.scenario.c_str());
        return 2;
    }
    if (resting > 0) {
        std::printf(
            "%zu scenarios have another day; all of them: --singles, --full or --scenario NAME\n",
            resting);
    }
    std::printf("seed %lu\n%s", request.options.seed, kHead);
    Engine engine{request.options};
    Tally sum;
    sum.scenario = "all";
    std::string table = kHead;
    double used = 0;  // of the budget
    for (std::size_t k = 0; k < chosen.size(); ++k) {
        const double left = std::max(request.options.budget_s - used, 0.1);
        engine.set_budget(left / static_cast<double>(chosen.size() - k));
        const Tally tally = engine.run(*chosen[k]);
        used += tally.budget_used_s;
        add(sum, tally);
        table += row_of(tally);
        std::fputs(row_of(tally).c_str(), stdout);
        std::fflush(stdout);
    }
    table += row_of(sum);
    std::fputs(row_of(sum).c_str(), stdout);
    const std::uint64_t runs = sum.kills + sum.stalls + sum.kill_kills + sum.kill_stalls;
    std::printf("%lu runs, %.0f a second, %zu violations\n", runs,
                static_cast<double>(runs) / sum.seconds, sum.violations.size());
    write_reports(request, suite, engine, table);
    return sum.violations.empty() ? 0 : 1;
}

}  // namespace

int crash_main(int argc, char** argv, const Suite& suite) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);  // nothing is left for a forked process to print
    const std::optional<Request> request = parse(argc, argv);
    if (!request) {
        std::fprintf(stderr, kUsage, argv[0], argv[0]);
        return 2;
    }
    if (request->list) {
        for (const auto& scenario : suite.scenarios) std::puts(scenario->name().c_str());
        return 0;
    }
    return request->replay.empty() ? run_all(*request, suite) : run_one_again(*request, suite);
}

}  // namespace stoa::crash
