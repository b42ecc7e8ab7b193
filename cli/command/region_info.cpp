// stoa region info
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "cli/command/region.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/shown.hpp"
#include "cli/units.hpp"

namespace stoa::cli {
namespace {

std::chrono::nanoseconds age_of(const ObjectInfo& object) {
    const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    return std::max(now - std::chrono::nanoseconds{static_cast<std::int64_t>(object.made_ns)},
                    std::chrono::nanoseconds{0});
}

std::string objects_text(const RegionFacts& facts) {
    if (facts.objects.empty()) return "no objects\n";
    std::size_t width = 6;
    for (const ObjectInfo& object : facts.objects) {
        width = std::max(width, shown(object.name).size());
    }
    std::string text =
        fmt::format("\n{:<{}} {:>10} {:>10} {}\n", "OBJECT", width, "BYTES", "AGE", "TYPE");
    for (const ObjectInfo& object : facts.objects) {
        text += fmt::format("{:<{}} {:>10} {:>10} {}\n", shown(object.name), width, object.bytes,
                            human_seconds(age_of(object)), shown(object.type));
    }
    return text;
}

std::string attached_text(const RegionFacts& facts) {
    if (facts.participants.empty()) return "\nnobody has it attached\n";
    std::string text = fmt::format("\n{:>8} {:<15} {}\n", "PID", "PROCESS", "LIFE");
    for (const Participant& seen : facts.participants) {
        text += fmt::format("{:>8} {:<15} {}\n", seen.identity.pid, shown(name_of(seen)),
                            is_stopped(seen) ? "stopped" : name_of(seen.life));
    }
    return text;
}

std::string text_of(const RegionFacts& facts) {
    if (facts.plain) {
        return fmt::format("address    {}\nkind       plain bytes\nsize       {}\n", facts.address,
                           human_bytes(facts.bytes));
    }
    const RegionUse& use = facts.use;
    std::string text = fmt::format(
        "address    {}\nkind       objects\nowner      {}\nmode       {:04o}\n"
        "size       {} for objects, {} of it in use, grows to {}\nmemory     {} in all\n",
        facts.address, name_of(facts.owner), facts.mode & 07777U, human_bytes(use.bytes),
        human_bytes(use.in_use), human_bytes(use.max_bytes), human_bytes(use.all_bytes));
    if (use.leaked_blocks > 0) {
        text += fmt::format(
            "unreached  {}, {}: lost by processes that died, or in the hands of one that lives\n",
            counted(use.leaked_blocks, "block", "blocks"), human_bytes(use.leaked_bytes));
    }
    return text + objects_text(facts) + attached_text(facts);
}

Exit info(const std::string& address, bool json) {
    const Result<RegionFacts> facts = look_at_region(address);
    if (!facts) return complain("region info " + address, facts.error());
    return json ? print_json(json_of(*facts)) : print(text_of(*facts));
}

}  // namespace

Json json_of(const RegionFacts& facts) {
    Json json{{"address", facts.address}, {"kind", facts.plain ? "plain" : "objects"}};
    if (facts.plain) {
        json["bytes"] = facts.bytes;
        return json;
    }
    json["owner"] = name_of(facts.owner);
    json["mode"] = fmt::format("{:04o}", facts.mode & 07777U);
    json["bytes"] = facts.use.bytes;
    json["bytes_in_use"] = facts.use.in_use;
    json["max_bytes"] = facts.use.max_bytes;
    json["memory_bytes"] = facts.use.all_bytes;
    json["unreached_blocks"] = facts.use.leaked_blocks;
    json["unreached_bytes"] = facts.use.leaked_bytes;
    json["objects"] = Json::array();
    for (const ObjectInfo& object : facts.objects) {
        json["objects"].push_back(
            {{"name", shown(object.name)},
             {"type", shown(object.type)},
             {"bytes", object.bytes},
             {"age_s", std::chrono::duration<double>(age_of(object)).count()}});
    }
    json["attached"] = Json::array();
    for (const Participant& seen : facts.participants) {
        json["attached"].push_back({{"pid", seen.identity.pid},
                                    {"process", shown(name_of(seen))},
                                    {"life", is_stopped(seen) ? "stopped" : name_of(seen.life)}});
    }
    return json;
}

void add_region_info(CLI::App& region, Chosen& chosen) {
    const auto address = std::make_shared<std::string>();
    const auto json = std::make_shared<bool>(false);
    CLI::App* verb = region.add_subcommand(
        "info", "Show one region, its objects and who has it attached, without taking part in it");
    add_address(*verb, *address);
    verb->add_flag("--json", *json, "Print JSON");
    example(*verb, "stoa region info stats --json");
    verb->callback([&chosen, address, json] {
        chosen.run = [address, json] { return info(*address, *json); };
    });
}

}  // namespace stoa::cli
