// stoa mailbox watch NAME
#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "cli/command/command.hpp"
#include "cli/command/facts.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/shown.hpp"
#include "cli/stop.hpp"
#include "cli/units.hpp"
#include "stoa/mailbox/attachment.hpp"
#include "stoa/sys/coarse_clock.hpp"

namespace stoa::cli {
namespace {

struct Options {
    std::string name;
    std::optional<std::chrono::nanoseconds> every;
    std::uint64_t count = 0;  // 0: until Ctrl-C
    bool json = false;
};

// What changes, and since when the oldest message has been seen waiting.
class Watch {
public:
    explicit Watch(const MailboxFacts& first) : before_{first}, at_ns_{sys::steady_ns()} {
        note_oldest(first);
    }

    std::string look(const MailboxFacts& now, bool json) {
        const std::uint64_t now_ns = sys::steady_ns();
        const double seconds = std::max(static_cast<double>(now_ns - at_ns_) / 1e9, 1e-6);
        const auto rate = [&](std::uint64_t is, std::uint64_t was) {
            return static_cast<double>(is > was ? is - was : 0) / seconds;
        };
        const double sent = rate(now.sent, before_.sent);
        const double received = rate(now.received, before_.received);
        before_ = now;
        at_ns_ = now_ns;
        note_oldest(now);
        const double oldest = now.depth == 0 ? 0 : static_cast<double>(now_ns - oldest_ns_) / 1e9;
        return json ? as_json(now, sent, received, oldest) : as_text(now, sent, received, oldest);
    }

private:
    // The message at the head when the last look found none that was received meanwhile is at
    // least as old as that look.
    void note_oldest(const MailboxFacts& now) {
        const std::uint64_t gone = now.received + now.dropped_oldest + now.expired + now.withdrawn;
        if (now.depth == 0 || gone >= sent_by_then_) {
            oldest_ns_ = at_ns_;
            sent_by_then_ = now.sent;
        }
    }

    static std::string waiting(const MailboxFacts& now) {
        std::string text;
        for (const Participant& seen : now.participants) {
            if (seen.waits == WaitsFor::nothing) continue;
            text += fmt::format("{}{} ({}) for {}", text.empty() ? "" : ", ", shown(name_of(seen)),
                                seen.identity.pid, name_of(seen.waits));
        }
        if (text.empty()) text = "nobody";
        for (const Participant& seen : now.participants) {
            if (!is_stopped(seen)) continue;
            text += fmt::format("  stopped: {} ({})", shown(name_of(seen)), seen.identity.pid);
        }
        return text;
    }
    static std::string as_text(const MailboxFacts& now, double sent, double received,
                               double oldest) {
        return fmt::format(
            "depth {}  sent {:.0f}/s  received {:.0f}/s  dropped {}  expired {}  oldest >= {:.1f} s"
            "  leased {}  waiting: {}\n",
            now.depth, sent, received, now.dropped_oldest + now.dropped_newest, now.expired, oldest,
            now.leased, waiting(now));
    }
    static std::string as_json(const MailboxFacts& now, double sent, double received,
                               double oldest) {
        Json json{{"depth", now.depth},
                  {"sent_per_second", sent},
                  {"received_per_second", received},
                  {"dropped_oldest", now.dropped_oldest},
                  {"dropped_newest", now.dropped_newest},
                  {"expired", now.expired},
                  {"oldest_at_least_seconds", oldest},
                  {"leased", now.leased},
                  {"closed", now.closed}};
        json["waiting"] = Json::array();
        for (const Participant& seen : now.participants) {
            if (seen.waits != WaitsFor::nothing) json["waiting"].push_back(json_of(seen));
        }
        return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }

    MailboxFacts before_;
    std::uint64_t at_ns_;
    std::uint64_t oldest_ns_ = 0;
    std::uint64_t sent_by_then_ = 0;
};

Exit refused(const std::string& name, const Error& error) {
    if (error.code != Errc::not_found || !name.ends_with(kDeadSuffix)) {
        return complain("mailbox watch " + name, error);
    }
    complain(
        fmt::format("mailbox watch {0}: dead letters are no mailbox of their own; "
                    "`stoa mailbox info {0}` counts them, `stoa recv {0} --follow` takes "
                    "them as they come",
                    name));
    return Exit::usage;
}

Exit watch(const Options& options) {
    if (!can_print()) return Exit::failed;
    catch_stop_signals();
    const std::chrono::nanoseconds every = options.every.value_or(std::chrono::seconds{1});
    std::optional<Watch> watch;
    for (std::uint64_t line = 0; options.count == 0 || line < options.count;) {
        if (Output::standard().reader_gone()) return Exit::broken_pipe;
        const Result<MailboxFacts> now = look_at_mailbox(options.name);
        if (!now) return refused(options.name, now.error());
        if (watch) {
            if (const Exit printed = print(watch->look(*now, options.json));
                printed != Exit::done) {
                return printed;
            }
            ++line;
            if (line == options.count) break;
        } else {
            watch.emplace(*now);
        }
        const Deadline next = Deadline::after(every);
        while (!next.passed() && !stop_requested()) {
            std::this_thread::sleep_for(next.left(std::chrono::milliseconds{50}));
        }
        if (stop_requested()) return Exit::stopped;
    }
    return Exit::done;
}

}  // namespace

void add_mailbox_watch(CLI::App& mailbox, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = mailbox.add_subcommand(
        "watch", "A line each second: depth, rates, drops, the oldest message, who waits for what");
    add_name(*verb, options->name);
    add_time(*verb, "--every", options->every, "Between two lines [1]");
    verb->add_option("--count", options->count, "So many lines [until Ctrl-C]")
        ->check(whole_number(1, UINT64_MAX));
    verb->add_flag("--json", options->json, "A JSON object per line");
    example(*verb, "stoa mailbox watch jobs --every 0.5");
    verb->callback([&chosen, options] { chosen.run = [options] { return watch(*options); }; });
}

}  // namespace stoa::cli
