// stoa mailbox ls
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "cli/command/command.hpp"
#include "cli/command/facts.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/shown.hpp"
#include "cli/units.hpp"
#include "stoa/shm/domain.hpp"

namespace stoa::cli {
namespace {

struct Row {
    std::string name;
    Result<MailboxFacts> facts;
};

// A list tidies up: what dead processes left behind is brought back first.
Result<MailboxFacts> look_and_sweep(const std::string& name) {
    Result<MailboxFacts> facts = look_at_mailbox(name);
    if (!facts || facts->count(sys::Life::dead) == 0) return facts;
    if (!sweep_mailbox(name)) return facts;  // not ours to change; it is shown as it is
    return look_at_mailbox(name);
}

Result<std::vector<Row>> all_rows() {
    const Result<std::vector<std::string>> names = mailbox_names();
    if (!names) return std::unexpected(names.error());
    std::vector<Row> rows;
    for (const std::string& name : *names) {
        Result<MailboxFacts> facts = look_and_sweep(name);
        if (!facts && facts.error().code == Errc::not_found) continue;  // it went meanwhile
        rows.push_back({name, std::move(facts)});
    }
    return rows;
}

std::string capacity_word(const MailboxPlan& plan) {
    const Json json = capacity_json(plan);
    if (json == "unbounded") return "no bound";
    return json.is_string() ? json.get<std::string>() : json.dump();
}

std::string text_of(const std::vector<Row>& rows) {
    std::size_t width = 4;
    for (const Row& row : rows) width = std::max(width, row.name.size());
    std::string text = fmt::format("{:<{}} {:>8} {:>8} {:>10} {:>10} {:>6} {:<15} {:<3} {:<7} {}\n",
                                   "NAME", width, "DEPTH", "CAPACITY", "BYTES", "MEMORY", "OPEN",
                                   "SHARING", "ACK", "OWNER", "STATE");
    for (const Row& row : rows) {
        if (!row.facts) continue;
        const MailboxFacts& facts = *row.facts;
        text += fmt::format("{:<{}} {:>8} {:>8} {:>10} {:>10} {:>6} {:<15} {:<3} {:<7} {}\n",
                            row.name, width, facts.depth, capacity_word(facts.plan),
                            human_bytes(facts.queued_bytes), human_bytes(facts.memory_bytes),
                            facts.participants.size(), name_of(facts.plan.sharing),
                            facts.plan.acknowledged ? "yes" : "no", name_of(facts.owner),
                            facts.closed ? "closed" : "open");
    }
    return text;
}

// A folder that somebody named and that is not there is no empty one.
bool folder_is_missing() {
    const char* const named = std::getenv("STOA_DOMAIN");
    if (named == nullptr || *named == '\0') return false;
    const Result<Domain> domain = Domain::find();
    if (domain || domain.error().code != Errc::not_found) return false;
    complain(fmt::format("mailbox ls: there is no folder {}; the first mailbox made in it makes it",
                         shown(named)));
    return true;
}

Exit print_rows(const std::vector<Row>& rows, bool json) {
    if (json) {
        Json array = Json::array();
        for (const Row& row : rows) {
            array.push_back(row.facts
                                ? json_of(*row.facts)
                                : Json{{"name", row.name}, {"error", describe(row.facts.error())}});
        }
        return print_json(array);
    }
    const bool any =
        std::ranges::any_of(rows, [](const Row& row) { return row.facts.has_value(); });
    if (any) return print(text_of(rows));
    return print(rows.empty() ? "no mailboxes\n" : "");
}

Exit list(bool json) {
    if (folder_is_missing()) return Exit::no_such_name;
    const Result<std::vector<Row>> rows = all_rows();
    if (!rows) return complain("mailbox ls", rows.error());
    if (const Exit printed = print_rows(*rows, json); printed != Exit::done) return printed;
    Exit ended = Exit::done;
    for (const Row& row : *rows) {
        if (row.facts) continue;
        complain("mailbox ls: " + row.name, row.facts.error());
        ended = Exit::failed;
    }
    return ended;
}

}  // namespace

void add_mailbox_ls(CLI::App& mailbox, Chosen& chosen) {
    const auto json = std::make_shared<bool>(false);
    CLI::App* verb = mailbox.add_subcommand(
        "ls", "List all mailboxes of the domain; cleans up after dead processes");
    verb->add_flag("--json", *json, "Print JSON");
    example(*verb, "stoa mailbox ls");
    verb->callback([&chosen, json] { chosen.run = [json] { return list(*json); }; });
}

}  // namespace stoa::cli
