// stoa gc
#include <fmt/format.h>

#include "cli/command/command.hpp"
#include "cli/command/facts.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/units.hpp"

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

std::string text_of(const Collected& one, bool dry_run) {
    switch (one.what) {
        case Collected::What::finished_removal:
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

Exit gc(const Options& options) {
    const Result<std::vector<Collected>> all = collect_garbage(options.dry_run);
    if (!all) return complain("gc", all.error());
    if (options.json) {
        Json array = Json::array();
        for (const Collected& one : *all) array.push_back(json_of(one));
        return print_json(Json{{"dry_run", options.dry_run}, {"mailboxes", array}});
    }
    std::string text;
    for (const Collected& one : *all) {
        text += fmt::format("{}: {}\n", one.name, text_of(one, options.dry_run));
    }
    return print(text.empty() ? "nothing to do\n" : text);
}

}  // namespace

void add_gc(CLI::App& app, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = app.add_subcommand(
        "gc", "Clean up after dead processes in all mailboxes; what lives is never touched");
    verb->add_flag("--dry-run", options->dry_run, "Change nothing, only tell");
    verb->add_flag("--json", options->json, "Print JSON");
    example(*verb, "stoa gc --dry-run");
    verb->callback([&chosen, options] { chosen.run = [options] { return gc(*options); }; });
}

}  // namespace stoa::cli
