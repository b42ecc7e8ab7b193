// stoa: mailboxes of shared memory on the command line.
#include <csignal>
#include <cstdlib>
#include <exception>
#include <new>
#include <sstream>

#include "cli/command/command.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/stop.hpp"

namespace stoa::cli {
namespace {

using AddVerb = void (*)(CLI::App& app, Chosen& chosen);
constexpr AddVerb kVerbs[] = {
    add_mailbox, add_send,   add_recv,  add_tell, add_listen,       add_chat,
    add_ps,      add_region, add_locks, add_farm, add_domain_verbs, add_gc,
#if STOA_HAS_BENCH
    add_bench,
#endif
};

// The arguments in front of the first "--"; the others go to chosen.verbatim.
std::vector<std::string> cut_at_dashes(int count, char** values, Chosen& chosen) {
    std::vector<std::string> before;
    int i = 1;
    for (; i < count && std::string_view{values[i]} != "--"; ++i) before.emplace_back(values[i]);
    for (++i; i < count; ++i) chosen.verbatim.emplace_back(values[i]);
    return before;
}

Exit tell(const CLI::App& app, const CLI::ParseError& error) {
    std::ostringstream help;
    std::ostringstream wrong;
    const std::vector<std::string> words = app.remaining(true);
    if (error.get_name() == "RequiredError" && !words.empty()) {
        std::string verb = "stoa";
        for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
            at = at->get_subcommands().front();
            verb += " " + at->get_name();
        }
        complain("there is no verb '" + words.front() + "'; see `" + verb + " --help`");
        return Exit::usage;
    }
    if (app.exit(error, help, wrong) == 0) return print(help.str());
    std::string text = wrong.str();
    while (!text.empty() && text.back() == '\n') text.pop_back();
    complain(text);
    return Exit::usage;
}

// It may stand before the verb or behind it.
void add_domain(CLI::App& app, std::string& domain) {
    app.add_option("--domain", domain, "The folder of the names (else $STOA_DOMAIN, else yours)")
        ->type_name("FOLDER");
    for (CLI::App* verb : app.get_subcommands([](CLI::App*) { return true; })) {
        add_domain(*verb, domain);
    }
}

Exit run(int count, char** values) {
    Chosen chosen;
    CLI::App app{"Mailboxes and regions in shared memory that survive killed processes", "stoa"};
    app.set_version_flag("--version", "stoa " STOA_VERSION);
    app.require_subcommand(1);
    app.formatter(help_format());
    std::string domain;
    app.footer(
        "Exit status: 0 done, 1 failed, 2 wrong usage, 3 timed out, 4 no such name; Ctrl-C and a\n"
        "broken pipe end it by their signal (in a shell: 130, 141).\n"
        "Example:\n  stoa mailbox create logs && seq 5 | stoa send logs && stoa recv logs");
    for (const AddVerb add : kVerbs) add(app, chosen);
    add_domain(app, domain);
    std::vector<std::string> arguments = cut_at_dashes(count, values, chosen);
    const bool dashes = static_cast<int>(arguments.size()) + 1 < count;
    try {
        app.parse(std::vector<std::string>{arguments.rbegin(), arguments.rend()});
        if (dashes && !chosen.takes_verbatim) throw CLI::ExtrasError("stoa", {"--"});
    } catch (const CLI::ParseError& error) {
        return tell(app, error);
    }
    if (!domain.empty() && chosen.names_its_folder) {
        complain("--domain says nothing here, where the folder is the argument; leave one out");
        return Exit::usage;
    }
    if (!domain.empty()) ::setenv("STOA_DOMAIN", domain.c_str(), 1);
    return chosen.run();
}

Exit run_safely(int count, char** values) {
    try {
        return run(count, values);
    } catch (const std::bad_alloc&) {
        complain("no memory is left; raise the limit (ulimit -v) or ask for less");
    } catch (const std::exception& error) {
        complain(error.what());
    }
    return Exit::failed;
}

}  // namespace
}  // namespace stoa::cli

int main(int count, char** values) {
    using namespace stoa::cli;
    hold_standard_descriptors();
    catch_broken_pipes();
    const Exit ended = run_safely(count, values);
    if (ended == Exit::stopped) end_by_stop_signal();
    if (ended == Exit::broken_pipe) end_by(SIGPIPE);
    return static_cast<int>(ended);
}
