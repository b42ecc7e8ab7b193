// stoa-bench: every option of the kit on the command line; `stoa bench` is the same for users.
#include <getopt.h>

#include <charconv>
#include <cstring>
#include <iostream>
#include <sstream>

#include "bench/kit/run.hpp"
#include "bench/kit/workloads.hpp"
#include "bench/subjects.hpp"

namespace {

using stoa::bench::Options;

constexpr const char* kHelp =
    R"(usage: stoa-bench [OPTION ...] [WORKLOAD ...]
Measures stoa, the limits of this machine and rivals, in turn, in the same run.
  --subjects A,B   only these            --modes A,B      only these
  --bytes N,M      only these sizes      --rounds N       default 7
  --seconds S      for all together      --quick          3 rounds of 0.02 s
  --json           one array of objects  --verify         look at every message
  --first          run before other programs on a busy machine (root only)
  --beside NAME    print the ratios of NAME to each other subject
  --list           what there is to measure
example: stoa-bench round_trip one_way --bytes 8,64 --subjects line,ring,pipe
)";

std::vector<std::string> split(const char* text) {
    std::vector<std::string> parts;
    std::istringstream stream{text};
    for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
    return parts;
}

template <typename T>
T number(const std::string& text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc{} && end == text.data() + text.size() && value > 0) return value;
    std::cerr << "stoa-bench: " << text << " is not a number above 0\n";
    std::exit(2);
}

int list() {
    for (const auto& question : stoa::bench::questions()) {
        std::cout << name(question.workload) << ": " << question.asks << '\n';
    }
    const auto subjects = stoa::bench::all_subjects();
    std::cout << "subjects:";
    for (const auto& subject : subjects.list) std::cout << ' ' << subject.name;
    std::cout << '\n';
    for (const auto& left_out : subjects.left_out) {
        std::cout << left_out.name << " left out: " << left_out.why << '\n';
    }
    return 0;
}

}  // namespace

int main(int count, char** values) {
    enum {
        kSubjects = 1,
        kModes,
        kBytes,
        kRounds,
        kSeconds,
        kQuick,
        kJson,
        kVerify,
        kFirst,
        kBeside,
        kList,
        kHelpOption
    };
    const option known[] = {{"subjects", 1, nullptr, kSubjects},
                            {"modes", 1, nullptr, kModes},
                            {"bytes", 1, nullptr, kBytes},
                            {"rounds", 1, nullptr, kRounds},
                            {"seconds", 1, nullptr, kSeconds},
                            {"quick", 0, nullptr, kQuick},
                            {"json", 0, nullptr, kJson},
                            {"verify", 0, nullptr, kVerify},
                            {"first", 0, nullptr, kFirst},
                            {"beside", 1, nullptr, kBeside},
                            {"list", 0, nullptr, kList},
                            {"help", 0, nullptr, kHelpOption},
                            {nullptr, 0, nullptr, 0}};
    Options options;
    for (int choice = 0; (choice = getopt_long(count, values, "", known, nullptr)) != -1;) {
        switch (choice) {
            case kSubjects: options.subjects = split(optarg); break;
            case kModes: options.modes = split(optarg); break;
            case kBytes:
                for (const std::string& text : split(optarg)) {
                    options.bytes.push_back(number<std::size_t>(text));
                }
                break;
            case kRounds: options.rounds = number<unsigned>(optarg); break;
            case kSeconds: options.seconds = number<double>(optarg); break;
            case kQuick: options.quick = true; break;
            case kJson: options.json = true; break;
            case kVerify: options.verify = true; break;
            case kFirst: options.first = true; break;
            case kBeside: options.beside = optarg; break;
            case kList: return list();
            case kHelpOption: std::cout << kHelp; return 0;
            default: std::cerr << kHelp; return 2;
        }
    }
    for (; optind < count; ++optind) options.workloads.emplace_back(values[optind]);
    return stoa::bench::run_bench(options, stoa::bench::all_subjects(), std::cout, std::cerr);
}
