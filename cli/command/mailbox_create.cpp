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
    std::string capacity = "1024";
    std::uint64_t quota_bytes = 1U << 30U;
    const CLI::Option* quota = nullptr;
    const CLI::Option* letter_quota = nullptr;
    std::optional<std::chrono::nanoseconds> ageing;
    std::optional<std::chrono::nanoseconds> time_to_live;
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
        MailboxFacts facts;
        facts.name = options.name;
        facts.plan = plan;
        facts.owner = options.mailbox.owner;
        facts.mode = file->mode;
        facts.memory_bytes = memory_bytes;
        return print_json(json_of_kind(facts));
    }
    return print(
        fmt::format("created    {}\nsharing    {}{}\ncapacity   {}\n{}{}{}", options.name,
                    name_of(plan.sharing), plan.acknowledged ? ", acknowledged" : "",
                    capacity_text(plan), policies_text(plan), reserve_text(plan, memory_bytes),
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

constexpr Sharing kSharings[] = {
    Sharing::any,          Sharing::single_receiver, Sharing::pair,     Sharing::round_robin,
    Sharing::least_loaded, Sharing::key_affine,      Sharing::broadcast};
constexpr Overflow kOverflows[] = {Overflow::block, Overflow::reject, Overflow::drop_oldest,
                                   Overflow::drop_newest};

// One of a list, by its name.
template <typename Word, std::size_t kCount>
Word parse_word(const std::string& option, const std::string& text, const Word (&all)[kCount]) {
    std::string known;
    for (std::size_t i = 0; i < kCount; ++i) {
        if (text == name_of(all[i])) return all[i];
        known += fmt::format("{}{}",
                             i == 0            ? ""
                             : i + 1 == kCount ? " or "
                                               : ", ",
                             name_of(all[i]));
    }
    throw CLI::ValidationError(option, text + " is not " + known);
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

void add_delivery_options(CLI::App& verb, const std::shared_ptr<Options>& options) {
    MailboxOptions& mailbox = options->mailbox;
    verb.add_option_function<std::string>(
            "--sharing",
            [options](const std::string& text) {
                options->mailbox.sharing = parse_word("--sharing", text, kSharings);
            },
            "Who gets a message: any, single_receiver, pair, round_robin, least_loaded, key_affine "
            "or broadcast (every subscriber) [any]")
        ->type_name("WHO");
    verb.add_flag("--one-way", mailbox.one_way, "A pair of which one sends and one receives");
    verb.add_flag("--by-turns", mailbox.by_turns,
                  "single_receiver: any number of them, one at a time receives");
    verb.add_flag("--ack", mailbox.acknowledged,
                  "Acknowledged: a message that its receiver did not finish is delivered again");
    verb.add_option("--dead-letter-after", mailbox.dead_letter_after,
                    "So many deliveries without ack make a dead letter, 1 to 255 [never]")
        ->check(whole_number(1, 255));
    options->letter_quota = verb.add_option("--dead-letter-quota", mailbox.dead_letter_quota,
                                            "So many dead letters are kept [64]")
                                ->check(whole_number(0, 1U << 20U));
    verb.add_option("--priorities", mailbox.priorities,
                    "How many priorities there are, 1 to 32; the highest goes first [1]")
        ->check(whole_number(1, 32));
    add_time(verb, "--ageing", options->ageing,
             "A waiting message gains a priority each time so long has passed; 0: never [never]");
    add_time(verb, "--ttl", options->time_to_live, "Messages expire after that; 0: never [never]");
    verb.add_flag("--keep-expired", mailbox.keep_expired, "Expired messages become dead letters");
    verb.add_flag("--receipts", mailbox.receipts,
                  "Receipts and times to live also for sharings that lanes would carry; broadcast: "
                  "times to live, it has no receipts");
}

void add_options(CLI::App& verb, const std::shared_ptr<Options>& options) {
    MailboxOptions& mailbox = options->mailbox;
    add_name(verb, options->name);
    verb.add_option("--capacity", options->capacity,
                    "How many messages may wait: 1 to 1048576, zero (a send returns when a "
                    "receiver has the message) or unbounded [1024]")
        ->type_name("N");
    options->quota = add_bytes(verb, "--quota", options->quota_bytes,
                               "All the memory that an unbounded mailbox may take [1GiB]");
    verb.add_option_function<std::string>(
            "--overflow",
            [options](const std::string& text) {
                options->mailbox.overflow = parse_word("--overflow", text, kOverflows);
            },
            "What a full mailbox does to a send: block, reject, drop_oldest or drop_newest [block]")
        ->type_name("WHAT");
    add_bytes(verb, "--max-bytes", options->max_bytes, "The largest message, at most 1GiB [64KiB]");
    add_bytes(verb, "--reserve", mailbox.reserve_bytes,
              "Payload memory, as far as capacity and size can use it [1MiB]");
    add_delivery_options(verb, options);
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

Capacity parse_capacity(const std::string& text, std::uint64_t quota_bytes) {
    if (text == "zero") return zero();
    if (text == "unbounded") return unbounded(quota_bytes);
    const bool digits = !text.empty() && text.size() <= 7 &&
                        text.find_first_not_of("0123456789") == std::string::npos &&
                        (text == "0" || text.front() != '0');
    const unsigned long messages = digits ? std::stoul(text) : 0;
    if (messages < 1 || messages > 1U << 20U) {
        throw CLI::ValidationError("--capacity",
                                   text + " is not 1 to 1048576, zero or unbounded" +
                                       (text == "0" ? ": none is the word zero" : ""));
    }
    return bounded(static_cast<std::uint32_t>(messages));
}

void add_mailbox_create(CLI::App& mailbox, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = mailbox.add_subcommand("create", "Create a mailbox and reserve its memory");
    add_options(*verb, options);
    example(*verb, "stoa mailbox create jobs --capacity 64 --max-bytes 1MiB --reserve 8MiB --ack");
    verb->callback([&chosen, options] {
        check_max_bytes(*options);
        options->mailbox.capacity = parse_capacity(options->capacity, options->quota_bytes);
        if (options->quota->count() > 0 && options->capacity != "unbounded") {
            throw CLI::ValidationError("--quota", "only --capacity unbounded has one");
        }
        const bool keeps = options->mailbox.dead_letter_after > 0 || options->mailbox.keep_expired;
        if (options->letter_quota->count() > 0 && !keeps) {
            throw CLI::ValidationError(
                "--dead-letter-quota",
                "no dead letters are kept: add --dead-letter-after or --keep-expired");
        }
        if (options->ageing) options->mailbox.ageing = *options->ageing;
        if (options->time_to_live) options->mailbox.time_to_live = *options->time_to_live;
        chosen.run = [options] { return create(*options); };
    });
}

}  // namespace stoa::cli
