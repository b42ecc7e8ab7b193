// stoa ps [NAME ...]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "cli/command/command.hpp"
#include "cli/command/facts.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/shown.hpp"
#include "stoa/link/admin.hpp"

namespace stoa::cli {
namespace {

double seconds_since(std::uint64_t joined_ns) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto passed = now - std::chrono::nanoseconds{joined_ns};
    return std::max(0.0, std::chrono::duration<double>(passed).count());
}

// "41s", "3m 05s", "2h 07m", "12d 4h".
std::string text_of_time(double seconds) {
    const auto whole = static_cast<std::uint64_t>(seconds);
    if (whole < 60) return fmt::format("{}s", whole);
    if (whole < 3600) return fmt::format("{}m {:02}s", whole / 60, whole % 60);
    if (whole < 86400) return fmt::format("{}h {:02}m", whole / 3600, whole / 60 % 60);
    return fmt::format("{}d {}h", whole / 86400, whole / 3600 % 24);
}

// Whether it runs: one that is stopped is not dead, and keeps its name.
std::string_view state_of(const ProcessInfo& seen) {
    return is_stopped(seen.identity, seen.life) ? "stopped" : name_of(seen.life);
}

std::string text_of(const Attributes& attributes) {
    std::string text;
    for (const auto& [key, value] : attributes) {
        text += fmt::format("{}{}={}", text.empty() ? "" : " ", shown(key), shown(value));
    }
    return text;
}

Json json_of(const ProcessInfo& seen) {
    Json attributes = Json::object();
    for (const auto& [key, value] : seen.attributes) attributes[key] = value;
    return {{"name", seen.name},
            {"pid", seen.identity.pid},
            {"state", state_of(seen)},
            {"join_id", fmt::format("{:016x}", seen.join_id)},
            {"uptime_seconds", seconds_since(seen.joined_ns)},
            {"links", seen.links},
            {"queued", seen.queued},
            {"attributes", std::move(attributes)}};
}

std::string text_of(const std::vector<ProcessInfo>& all) {
    std::size_t width = 4;
    for (const ProcessInfo& seen : all) width = std::max(width, seen.name.size());
    std::string text = fmt::format("{:<{}} {:>8} {:<8} {:>8} {:>6} {:>7} {}\n", "NAME", width,
                                   "PID", "STATE", "UPTIME", "LINKS", "QUEUED", "ATTRIBUTES");
    for (const ProcessInfo& seen : all) {
        std::string line = fmt::format("{:<{}} {:>8} {:<8} {:>8} {:>6} {:>7} {}", seen.name, width,
                                       seen.identity.pid, state_of(seen),
                                       text_of_time(seconds_since(seen.joined_ns)), seen.links,
                                       seen.queued, text_of(seen.attributes));
        line.resize(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

struct Options {
    std::vector<std::string> names;
    bool json = false;
};

// Keeps those alone; says which of them nobody has.
Exit select(std::vector<ProcessInfo>& all, const std::vector<std::string>& names) {
    Exit ended = Exit::done;
    for (const std::string& name : names) {
        if (std::ranges::find(all, name, &ProcessInfo::name) != all.end()) continue;
        const Result<void> good = check_process_name(name);
        if (good) complain(fmt::format("ps: nobody has the name {}", name));
        ended = good ? Exit::no_such_name : complain("ps " + name, good.error());
    }
    std::erase_if(all, [&](const ProcessInfo& seen) {
        return std::ranges::find(names, seen.name) == names.end();
    });
    return ended;
}

Exit show(const std::vector<ProcessInfo>& all, const Options& options) {
    if (options.json) {
        Json array = Json::array();
        for (const ProcessInfo& seen : all) array.push_back(json_of(seen));
        return print_json(array);
    }
    if (all.empty() && !options.names.empty()) return Exit::done;
    return print(all.empty() ? "nobody has joined\n" : text_of(all));
}

Exit list(const Options& options) {
    Result<std::vector<ProcessInfo>> all = list_processes();
    if (!all) return complain("ps", all.error());
    const Exit ended = options.names.empty() ? Exit::done : select(*all, options.names);
    const Exit shown = show(*all, options);
    return shown == Exit::done ? ended : shown;
}

}  // namespace

void add_ps(CLI::App& app, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = app.add_subcommand(
        "ps",
        "ps [NAME ...]: List who has joined under a name: process, links, messages that wait for "
        "it");
    verb->add_option("NAME", options->names, "These alone; exit status 4 where nobody has one")
        ->type_name("");
    verb->add_flag("--json", options->json, "Print JSON");
    verb->footer(
        "A name belongs to a process that joined (stoa listen, stoa chat, Process::join); when "
        "that\nends in any way, the name is free at once. QUEUED counts messages that others sent "
        "and it has\nnot received. A process that is only stopped (Ctrl-Z) keeps its name. What "
        "only dead processes\nused is removed on the way.\n"
        "Example:\n  stoa listen alice & stoa ps");
    verb->callback([&chosen, options] { chosen.run = [options] { return list(*options); }; });
}

}  // namespace stoa::cli
