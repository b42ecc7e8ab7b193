// stoa farm
#include "cli/command/command.hpp"
#include "cli/farm/head.hpp"
#include "cli/say.hpp"

namespace stoa::cli {
namespace {

constexpr std::uint64_t kMaxBlock = 1U << 30U;

Exit farm_on(farm::Options& options, const std::vector<std::string>& command) {
    if (command.empty()) {
        complain("farm: no COMMAND; write it behind --, as in: stoa farm -- wc -w");
        return Exit::usage;
    }
    if (options.cut.block_bytes < 1 || options.cut.block_bytes > kMaxBlock) {
        complain("farm: --block must be 1 byte to 1 GiB");
        return Exit::usage;
    }
    options.command = command;
    return farm::run(options);
}

}  // namespace

void add_farm(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<farm::Options>();
    CLI::App* verb = app.add_subcommand(
        "farm",
        "farm -- COMMAND [ARGUMENT ...]: Cut standard input at line ends into tasks, run COMMAND "
        "on each in worker processes, print the results in order");
    verb->add_option("--workers", options->workers, "Worker processes, 1 to 1024 [one a processor]")
        ->check(whole_number(1, 1024));
    CLI::Option* block = add_bytes(*verb, "--block", options->cut.block_bytes,
                                   "Whole lines up to this size make a task, at most 1GiB [64KiB]");
    verb->add_option("--lines", options->cut.lines, "This many lines make a task")
        ->check(whole_number(1, std::uint64_t{1} << 40U))
        ->excludes(block);
    verb->add_option("--retries", options->retries,
                     "How often a COMMAND that failed is run again, at most 10000 [2]")
        ->check(whole_number(0, farm::kMaxRetries));
    verb->add_option("--deaths", options->deaths,
                     "With so many workers dead a task has failed, at most 255; 0: never [20]")
        ->check(whole_number(0, farm::kMaxDeaths));
    verb->add_option("--window", options->window,
                     "Tasks that may be ahead of the oldest missing result, at most 100000 "
                     "[16 a worker, at least 64]")
        ->check(whole_number(1, 100'000));
    verb->add_flag("--quiet", options->quiet, "No progress bar");
    verb->add_option("--report", options->report, "Write the facts of the run into FILE, as JSON")
        ->type_name("FILE");
    example(*verb, "cat *.txt | stoa farm --workers 2 -- wc -w");
    verb->callback([&chosen, options] {
        chosen.takes_verbatim = true;
        chosen.run = [&chosen, options] { return farm_on(*options, chosen.verbatim); };
    });
}

}  // namespace stoa::cli
