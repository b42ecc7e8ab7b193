// How a verb joins the command: one file per verb, one function that describes it to the parser.
//
//   void add_gc(CLI::App& app, Chosen& chosen) {
//       auto options = std::make_shared<Options>();          // lives as long as the parser
//       CLI::App* verb = app.add_subcommand("gc", "Cleans up after dead processes");
//       verb->add_flag("--dry-run", options->dry_run, "Only tell");
//       example(*verb, "stoa gc --dry-run");
//       verb->callback([&chosen, options] { chosen.run = [options] { return gc(*options); }; });
//   }
// and a line in main.cpp. The verb runs after all arguments were parsed; it returns its Exit.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/exit.hpp"
#include "stoa/mailbox/options.hpp"

namespace stoa::cli {

struct Chosen {
    std::function<Exit()> run;
    // All arguments behind the first "--", untouched by the parser (it takes [a,b], {} and ++
    // apart). A verb that wants them says so.
    std::vector<std::string> verbatim;
    bool takes_verbatim = false;
    // Its argument is the folder: --domain would be a second one.
    bool names_its_folder = false;
};

// Options with units: sizes, and times (a number alone is seconds). Their values are checked
// while the arguments are parsed.
CLI::Option* add_bytes(CLI::App& verb, const std::string& name, std::uint64_t& bytes,
                       const std::string& help);
CLI::Option* add_time(CLI::App& verb, const std::string& name,
                      std::optional<std::chrono::nanoseconds>& time, const std::string& help);
// A whole number in decimal digits; the parser alone would read 010 as eight.
CLI::Validator whole_number(std::uint64_t least, std::uint64_t most);
CLI::Option* add_name(CLI::App& verb, std::string& name);  // the mailbox, required
// zero, unbounded, or how many messages; throws CLI::ValidationError.
Capacity parse_capacity(const std::string& text, std::uint64_t quota_bytes);
// Permissions in octal; throws CLI::ValidationError.
std::uint32_t parse_mode(const std::string& text);
// The words that the parser of a verb NAME [MESSAGE ...] left over, then what stood behind "--";
// throws CLI::ParseError for one that looks like an option.
std::vector<std::string> take_messages(const CLI::App& verb, Chosen& chosen);
void example(CLI::App& verb, const std::string& text);
// A verb whose description begins with its name and arguments, as in "send NAME [MESSAGE ...]: ",
// has these as its usage.
std::shared_ptr<CLI::FormatterBase> help_format();

void add_bench(CLI::App& app, Chosen& chosen);
void add_chat(CLI::App& app, Chosen& chosen);
void add_domain_verbs(CLI::App& app, Chosen& chosen);
void add_farm(CLI::App& app, Chosen& chosen);
void add_gc(CLI::App& app, Chosen& chosen);
void add_listen(CLI::App& app, Chosen& chosen);
void add_locks(CLI::App& app, Chosen& chosen);
void add_mailbox(CLI::App& app, Chosen& chosen);
void add_mailbox_close(CLI::App& mailbox, Chosen& chosen);
void add_mailbox_create(CLI::App& mailbox, Chosen& chosen);
void add_mailbox_info(CLI::App& mailbox, Chosen& chosen);
void add_mailbox_ls(CLI::App& mailbox, Chosen& chosen);
void add_mailbox_peek(CLI::App& mailbox, Chosen& chosen);
void add_mailbox_redrive(CLI::App& mailbox, Chosen& chosen);
void add_mailbox_rm(CLI::App& mailbox, Chosen& chosen);
void add_mailbox_watch(CLI::App& mailbox, Chosen& chosen);
void add_ps(CLI::App& app, Chosen& chosen);
void add_recv(CLI::App& app, Chosen& chosen);
void add_region(CLI::App& app, Chosen& chosen);
void add_region_create(CLI::App& region, Chosen& chosen);
void add_region_dump(CLI::App& region, Chosen& chosen);
void add_region_info(CLI::App& region, Chosen& chosen);
void add_region_ls(CLI::App& region, Chosen& chosen);
void add_region_rm(CLI::App& region, Chosen& chosen);
void add_send(CLI::App& app, Chosen& chosen);
void add_tell(CLI::App& app, Chosen& chosen);

}  // namespace stoa::cli
