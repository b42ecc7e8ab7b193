// stoa region ls
#include <fmt/format.h>

#include <algorithm>

#include "cli/command/region.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/units.hpp"

namespace stoa::cli {
namespace {

struct Row {
    std::string address;
    Result<RegionFacts> facts;
};

std::string text_of(const std::vector<Row>& rows) {
    std::size_t width = 7;
    for (const Row& row : rows) width = std::max(width, row.address.size());
    std::string text =
        fmt::format("{:<{}} {:<8} {:>10} {:>10} {:>10} {:>8} {:>9} {}\n", "ADDRESS", width, "KIND",
                    "SIZE", "IN USE", "MOST", "OBJECTS", "ATTACHED", "OWNER");
    for (const Row& row : rows) {
        if (!row.facts) continue;
        const RegionFacts& facts = *row.facts;
        if (facts.plain) {
            text += fmt::format("{:<{}} {:<8} {:>10}\n", row.address, width, "plain",
                                human_bytes(facts.bytes));
            continue;
        }
        text += fmt::format("{:<{}} {:<8} {:>10} {:>10} {:>10} {:>8} {:>9} {}\n", row.address,
                            width, "objects", human_bytes(facts.use.bytes),
                            human_bytes(facts.use.in_use), human_bytes(facts.use.max_bytes),
                            facts.objects.size(), facts.participants.size(), name_of(facts.owner));
    }
    return text;
}

Exit list(bool all, bool json) {
    const Result<std::vector<std::string>> addresses = region_addresses(all);
    if (!addresses) return complain("region ls", addresses.error());
    std::vector<Row> rows;
    for (const std::string& address : *addresses) {
        Result<RegionFacts> facts = look_at_region(address);
        if (!facts && facts.error().code == Errc::not_found) continue;  // it went meanwhile
        rows.push_back({address, std::move(facts)});
    }
    if (json) {
        Json array = Json::array();
        for (const Row& row : rows) {
            array.push_back(
                row.facts ? json_of(*row.facts)
                          : Json{{"address", row.address}, {"error", describe(row.facts.error())}});
        }
        return print_json(array);
    }
    if (rows.empty()) return print("no regions\n");
    if (const Exit printed = print(text_of(rows)); printed != Exit::done) return printed;
    Exit ended = Exit::done;
    for (const Row& row : rows) {
        if (row.facts) continue;
        complain("region ls: " + row.address, row.facts.error());
        ended = Exit::failed;
    }
    return ended;
}

}  // namespace

void add_region_ls(CLI::App& region, Chosen& chosen) {
    const auto all = std::make_shared<bool>(false);
    const auto json = std::make_shared<bool>(false);
    CLI::App* verb = region.add_subcommand(
        "ls", "List the regions of the domain, and ours among POSIX and SysV shared memory");
    verb->add_flag("--all", *all, "Also plain bytes, whichever program of yours made them");
    verb->add_flag("--json", *json, "Print JSON");
    example(*verb, "stoa region ls --all");
    verb->callback(
        [&chosen, all, json] { chosen.run = [all, json] { return list(*all, *json); }; });
}

}  // namespace stoa::cli
