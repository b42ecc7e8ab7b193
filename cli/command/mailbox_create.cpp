// stoa mailbox create NAME
#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "cli/command/command.hpp"
#include "cli/command/facts.hpp"
#include "cli/command/rights.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/stop.hpp"
#include "cli/units.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "stoa/sys/file.hpp"

namespace stoa::cli {
namespace {

struct Options {
    std::string name;
    MailboxOptions mailbox{.role = Role::none};
    std::uint64_t max_bytes = 64 * 1024;
    SeparateRights rights;
    bool json = false;
};

Exit tell(const Options& options, const RawMailbox& made) {
    const MailboxPlan& plan = made.plan();
    const std::uint64_t memory_bytes = made.attachment().region().allocated_bytes();
    const bool ends = options.mailbox.owner == Owner::process;
    const Result<sys::FileInfo> file = sys::info(made.file());
    if (!file) return complain("mailbox create " + options.name, file.error());
    if (options.json) {
        return print_json(Json{{"name", options.name},
                               {"sharing", name_of(plan.sharing)},
                               {"acknowledged", plan.acknowledged},
                               {"capacity", plan.capacity},
                               {"max_bytes", plan.max_bytes},
                               {"loan_quota", plan.loan_quota},
                               {"owner", name_of(options.mailbox.owner)},
                               {"mode", fmt::format("{:04o}", file->mode)},
                               {"reserve", reserve_json(plan, memory_bytes)}});
    }
    return print(
        fmt::format("created    {}\nsharing    {}{}\ncapacity   {}\n{}{}", options.name,
                    name_of(plan.sharing), plan.acknowledged ? ", acknowledged" : "",
                    capacity_text(plan), reserve_text(plan, memory_bytes),
                    ends ? "owner      this command: end it (Ctrl-C) to end the mailbox\n" : ""));
}

// The mailbox is there as long as this process. Meanwhile what the dead held is brought back.
Exit stay(const Options& options, RawMailbox& made) {
    constexpr std::chrono::milliseconds kSlice{100};
    while (!stop_requested()) {
        if (const Result<void> looked = made.attachment().look_around(); !looked) {
            return complain("mailbox create " + options.name, looked.error());
        }
        std::this_thread::sleep_for(kSlice);
    }
    return Exit::done;
}

Exit create(const Options& options) {
    if (!can_print()) return Exit::failed;
    if (options.rights.any()) return refuse_separate_rights("mailbox create " + options.name);
    const bool ends = options.mailbox.owner == Owner::process;
    if (ends) catch_stop_signals();
    Result<RawMailbox> made = RawMailbox::create(options.name, options.mailbox);
    if (!made) return complain("mailbox create " + options.name, made.error());
    const Exit told = tell(options, *made);
    return ends && told == Exit::done ? stay(options, *made) : told;
}

std::uint32_t parse_mode(const std::string& text) {
    const bool octal = !text.empty() && text.size() <= 4 &&
                       text.find_first_not_of("01234567") == std::string::npos;
    const unsigned long mode = octal ? std::stoul(text, nullptr, 8) : 0;
    if (!octal || mode > 0777 || (mode & 0600) != 0600) {
        throw CLI::ValidationError("--mode", text +
                                                 " is not an octal mode such as 0600 or 0660 "
                                                 "that lets its owner read and write");
    }
    return static_cast<std::uint32_t>(mode);
}

Sharing parse_sharing(const std::string& text) {
    for (const Sharing sharing : {Sharing::any, Sharing::single_receiver, Sharing::pair}) {
        if (text == name_of(sharing)) return sharing;
    }
    throw CLI::ValidationError("--sharing", text + " is not any, single_receiver or pair");
}

Owner parse_owner(const std::string& text) {
    for (const Owner owner : {Owner::system, Owner::process}) {
        if (text == name_of(owner)) return owner;
    }
    throw CLI::ValidationError("--owner", text + " is not system or process");
}

void check_max_bytes(Options& options) {
    if (options.max_bytes < 1 || options.max_bytes > 1U << 30U) {
        throw CLI::ValidationError("--max-bytes", "it must be 1 to 1GiB");
    }
    options.mailbox.max_bytes = static_cast<std::uint32_t>(options.max_bytes);
}

void add_options(CLI::App& verb, const std::shared_ptr<Options>& options) {
    MailboxOptions& mailbox = options->mailbox;
    add_name(verb, options->name);
    verb.add_option("--capacity", mailbox.capacity.messages,
                    "How many messages may wait, 1 to 1048576 [1024]")
        ->check(whole_number(1, 1U << 20U));
    add_bytes(verb, "--max-bytes", options->max_bytes, "The largest message, at most 1GiB [64KiB]");
    add_bytes(verb, "--reserve", mailbox.reserve_bytes,
              "Memory for payloads, as far as capacity and size can use it [1MiB]");
    verb.add_option_function<std::string>(
            "--sharing",
            [options](const std::string& text) { options->mailbox.sharing = parse_sharing(text); },
            "Who gets a message when several receive: any, single_receiver or pair [any]")
        ->type_name("WHO");
    verb.add_flag("--ack", mailbox.acknowledged,
                  "Acknowledged: a message that its receiver did not finish is delivered again");
    verb.add_option_function<std::string>(
            "--mode",
            [options](const std::string& text) { options->mailbox.mode = parse_mode(text); },
            "Permissions of its file [0600, in a shared domain 0660]")
        ->type_name("OCTAL");
    verb.add_option_function<std::string>(
            "--owner",
            [options](const std::string& text) { options->mailbox.owner = parse_owner(text); },
            "system: it stays until it is removed; process: it ends with this command, which stays "
            "until a signal [system]")
        ->type_name("WHO");
    add_separate_rights(verb, options->rights);
    verb.add_flag("--json", options->json, "Print JSON");
}

}  // namespace

void add_mailbox_create(CLI::App& mailbox, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = mailbox.add_subcommand("create", "Create a mailbox and reserve its memory");
    add_options(*verb, options);
    example(*verb, "stoa mailbox create jobs --capacity 64 --max-bytes 1MiB --reserve 8MiB --ack");
    verb->callback([&chosen, options] {
        check_max_bytes(*options);
        chosen.run = [options] { return create(*options); };
    });
}

}  // namespace stoa::cli
