// stoa bench
#if STOA_HAS_BENCH

#include <iostream>

#include "bench/kit/run.hpp"
#include "bench/subjects.hpp"
#include "cli/command/command.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/stop.hpp"

namespace stoa::cli {
namespace {

Exit run(const bench::Options& options) {
    if (!can_print()) return Exit::failed;
    default_signals();  // it forks subjects that end with their parent
    const int status = bench::run_bench(options, bench::all_subjects(), std::cout, std::cerr);
    if (!std::cout.flush()) {
        complain("bench: standard output could not be written; nothing of this run is kept");
        return Exit::failed;
    }
    return static_cast<Exit>(status);
}

}  // namespace

void add_bench(CLI::App& app, Chosen& chosen) {
    const auto options = std::make_shared<bench::Options>();
    CLI::App* verb = app.add_subcommand(
        "bench", "Measure stoa beside the limits of this machine and its rivals");
    verb->add_option(
            "WORKLOAD", options->workloads,
            "round_trip, one_way, many_to_many, broadcast, waiting, loan, policies, answered, "
            "mailboxes; none: all")
        ->type_name("");
    verb->add_option("--subjects", options->subjects, "Only these")->delimiter(',');
    verb->add_option("--bytes", options->bytes, "Only messages of these sizes")->delimiter(',');
    verb->add_option("--seconds", options->seconds, "About how long, for everything together");
    verb->add_flag("--quick", options->quick, "Three short rounds");
    verb->add_flag("--json", options->json, "Print JSON");
    example(*verb, "stoa bench round_trip --bytes 8,64");
    verb->callback([&chosen, options] { chosen.run = [options] { return run(*options); }; });
}

}  // namespace stoa::cli

#endif
