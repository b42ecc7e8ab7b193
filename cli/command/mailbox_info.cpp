// stoa mailbox info NAME
#include <fmt/format.h>

#include "cli/command/command.hpp"
#include "cli/command/facts.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/shown.hpp"
#include "cli/units.hpp"
#include "stoa/mailbox/attachment.hpp"

namespace stoa::cli {
namespace {

std::string participants_text(const MailboxFacts& facts) {
    if (facts.participants.empty()) return "nobody has it open\n";
    const bool queues = !facts.waiting.empty();  // WAITING: what waits for that one
    std::string text =
        fmt::format("\n{:>8} {:<15} {:<9} {:<8} {:<9} {:>12} {:>12}{}\n", "PID", "PROCESS", "ROLE",
                    "LIFE", "WAITS FOR", "SENT", "RECEIVED", queues ? "      WAITING" : "");
    for (const Participant& seen : facts.participants) {
        const std::optional<std::uint64_t> waiting = waiting_for(facts, seen);
        text +=
            fmt::format("{:>8} {:<15} {:<9} {:<8} {:<9} {:>12} {:>12}{}\n", seen.identity.pid,
                        shown(name_of(seen)), name_of(seen.role),
                        is_stopped(seen) ? "stopped" : name_of(seen.life), name_of(seen.waits),
                        seen.sent, seen.received, waiting ? fmt::format(" {:>12}", *waiting) : "");
    }
    return text;
}

std::string owner_text(const MailboxFacts& facts) {
    if (facts.owner == Owner::system) return "owner      system: it stays until it is removed\n";
    return fmt::format("owner      process {} ({}): it ends with its owner\n", facts.creator.pid,
                       shown(sys::process_name(facts.creator.pid)));
}

std::string text_of(const MailboxFacts& facts) {
    const MailboxPlan& plan = facts.plan;
    std::string text =
        fmt::format("name       {}\nsharing    {}{}\ntype       {}\ncapacity   {}\n", facts.name,
                    name_of(plan.sharing), plan.acknowledged ? ", acknowledged" : "",
                    shown(plan.type_text), capacity_text(plan));
    text += owner_text(facts);
    text += policies_text(plan) + reserve_text(plan, facts.memory_bytes);
    if (plan.grows()) {
        text += fmt::format("segments   {} of {}, each {}\n", facts.segments, plan.segment_count,
                            human_bytes(plan.segment_bytes()));
    }
    if (facts.closed) text += "closed     nothing more is sent\n";
    text += fmt::format("depth      {}, {}\n", counted(facts.depth, "message", "messages"),
                        human_bytes(facts.queued_bytes));
    text += fmt::format("sent       {}\nreceived   {}\nredelivered {}\n", facts.sent,
                        facts.received, facts.redelivered);
    text += fmt::format("leased     {}{}\n", facts.leased,
                        plan.lane_count > 0 ? " (a lane does not count them)" : "");
    const auto count = [&](const char* what, std::uint64_t number) {
        if (number > 0) text += fmt::format("{:<10} {}\n", what, number);
    };
    count("dropped", facts.dropped_oldest + facts.dropped_newest);
    count("expired", facts.expired);
    count("withdrawn", facts.withdrawn);
    count("dead letters", facts.dead_letters);
    return text + participants_text(facts);
}

// NAME.dead is no mailbox, and yet has a name: `recv` and `peek` take from it what NAME keeps.
Exit info_of_letters(const std::string& name, const MailboxFacts& of, bool json) {
    const std::uint32_t most = of.plan.pool_count > 0 ? of.plan.pool.dead_letter_quota : 0;
    if (most == 0) {
        const Error none{.code = Errc::not_found, .step = "that mailbox keeps no dead letters"};
        return complain("mailbox info " + name, none);
    }
    if (json) {
        return print_json({{"name", name},
                           {"dead_letters_of", of.name},
                           {"dead_letters", of.dead_letters},
                           {"dead_letter_quota", most}});
    }
    return print(
        fmt::format("name       {0}\nholds      the dead letters of {1}\n"
                    "depth      {2}, at most {3} in each of its rings\n"
                    "receive    stoa recv {0}\nagain      stoa mailbox redrive {1}\n",
                    name, of.name, counted(of.dead_letters, "dead letter", "dead letters"), most));
}

Exit info(const std::string& name, bool json) {
    const Result<MailboxFacts> facts = look_at_mailbox(name);
    if (!facts && facts.error().code == Errc::not_found && name.ends_with(kDeadSuffix)) {
        const std::string base = name.substr(0, name.size() - kDeadSuffix.size());
        if (const Result<MailboxFacts> of = look_at_mailbox(base); of) {
            return info_of_letters(name, *of, json);
        }
    }
    if (!facts) return complain("mailbox info " + name, facts.error());
    return json ? print_json(json_of(*facts)) : print(text_of(*facts));
}

}  // namespace

void add_mailbox_info(CLI::App& mailbox, Chosen& chosen) {
    const auto name = std::make_shared<std::string>();
    const auto json = std::make_shared<bool>(false);
    CLI::App* verb = mailbox.add_subcommand(
        "info", "Show one mailbox and who has it open, without taking part in it");
    add_name(*verb, *name);
    verb->add_flag("--json", *json, "Print JSON");
    example(*verb, "stoa mailbox info logs --json");
    verb->callback(
        [&chosen, name, json] { chosen.run = [name, json] { return info(*name, *json); }; });
}

}  // namespace stoa::cli
