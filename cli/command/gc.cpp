// stoa gc
#include <fmt/format.h>

#include "cli/command/command.hpp"
#include "cli/command/facts.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/units.hpp"
#include "stoa/link/admin.hpp"

namespace stoa::cli {
namespace {

struct Options {
    bool dry_run = false;
    bool json = false;
};

std::string pids_of(const std::vector<Participant>& dead) {
    std::string pids;
    for (const Participant& seen : dead) {
        pids += fmt::format("{}{}", pids.empty() ? "" : ", ", seen.identity.pid);
    }
    return pids;
}

// What goes as a whole, being of use to the dead alone; empty: something else.
std::string_view whole_thing(std::string_view name) noexcept {
    if (name.ends_with(".process")) return "the name of a process that ended";
    if (name.ends_with(".link")) return "a link between processes that ended";
    if (name.ends_with(".pulse")) return "pulses for a process that ended";
    return {};
}

std::string text_of(const Collected& one, bool dry_run) {
    switch (one.what) {
        case Collected::What::finished_removal:
            if (const std::string_view what = whole_thing(one.name); !what.empty()) {
                return fmt::format("{}: {}", what, dry_run ? "gc would remove it" : "removed");
            }
            return dry_run ? "is half removed; gc would finish that" : "finished its removal";
        case Collected::What::swept:
            return fmt::format("{} {} (pid {})", dry_run ? "would sweep" : "swept",
                               counted(one.dead.size(), "dead participant", "dead participants"),
                               pids_of(one.dead));
        case Collected::What::left_alone: return "left alone: " + describe(one.error);
    }
    return {};
}

std::string_view name_of(Collected::What what) noexcept {
    switch (what) {
        case Collected::What::finished_removal: return "finished_removal";
        case Collected::What::swept: return "swept";
        case Collected::What::left_alone: return "left_alone";
    }
    return "unknown";
}

Json json_of(const Collected& one) {
    Json json{{"name", one.name}, {"what", name_of(one.what)}, {"dead", Json::array()}};
    for (const Participant& seen : one.dead) json["dead"].push_back(cli::json_of(seen));
    if (one.what == Collected::What::left_alone) json["error"] = describe(one.error);
    return json;
}

Json json_of(const std::vector<Collected>& all) {
    Json array = Json::array();
    for (const Collected& one : all) array.push_back(json_of(one));
    return array;
}

Exit gc(const Options& options) {
    const Result<std::vector<Collected>> mailboxes = collect_garbage(options.dry_run);
    if (!mailboxes) return complain("gc", mailboxes.error());
    const Result<std::vector<Collected>> regions = collect_region_garbage(options.dry_run);
    if (!regions) return complain("gc", regions.error());
    const Result<std::vector<Collected>> links = collect_link_garbage(options.dry_run);
    if (!links) return complain("gc", links.error());
    if (options.json) {
        return print_json(Json{{"dry_run", options.dry_run},
                               {"mailboxes", json_of(*mailboxes)},
                               {"regions", json_of(*regions)},
                               {"links", json_of(*links)}});
    }
    std::string text;
    for (const auto* all : {&*mailboxes, &*regions, &*links}) {
        for (const Collected& one : *all) {
            text += fmt::format("{}: {}\n", one.name, text_of(one, options.dry_run));
        }
    }
    return print(text.empty() ? "nothing to do\n" : text);
}

}  // namespace

void add_gc(CLI::App& app, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = app.add_subcommand(
        "gc",
        "Clean up after dead processes in all mailboxes, regions, names and links; what lives is "
        "never touched");
    verb->add_flag("--dry-run", options->dry_run, "Change nothing, only tell");
    verb->add_flag("--json", options->json, "Print JSON");
    example(*verb, "stoa gc --dry-run");
    verb->callback([&chosen, options] { chosen.run = [options] { return gc(*options); }; });
}

}  // namespace stoa::cli
