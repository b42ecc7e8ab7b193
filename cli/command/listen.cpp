// stoa listen --name NAME
#include <fmt/format.h>

#include <limits>

#include "cli/command/command.hpp"
#include "cli/command/facts.hpp"
#include "cli/framing.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/shown.hpp"
#include "cli/stop.hpp"
#include "cli/units.hpp"
#include "stoa/link/process.hpp"

namespace stoa::cli {
namespace {

constexpr std::chrono::milliseconds kSlice{100};

struct Options {
    std::string name;
    std::uint64_t count = 0;  // 0: no end
    bool json = false;
    bool plain = false;
    bool null = false;
    std::optional<std::chrono::nanoseconds> timeout;
    std::vector<std::string> attributes;
    JoinOptions join{};
};

class Listening {
public:
    Listening(const Options& options, Process me)
        : options_{options}, me_{std::move(me)}, out_{Output::standard()} {}

    Exit run() {
        const std::uint64_t wanted =
            options_.count == 0 ? std::numeric_limits<std::uint64_t>::max() : options_.count;
        Exit ended = Exit::done;
        while (ended == Exit::done && received_ < wanted) ended = step();
        const bool is_over = ended == Exit::timed_out && options_.count == 0;
        return is_over ? Exit::done : ended;
    }

private:
    Exit step() {
        const Deadline deadline =
            options_.timeout ? Deadline::after(*options_.timeout) : Deadline::never();
        for (;;) {
            if (stop_requested()) return Exit::stopped;
            if (out_.reader_gone()) return Exit::broken_pipe;
            Result<Received<Bytes>> message =
                me_.receive_with<Bytes>(Deadline::after(deadline.left(kSlice)));
            if (message) return show(*message);
            const Errc code = message.error().code;
            if (code != Errc::timed_out && code != Errc::empty) {
                return complain("listen as " + options_.name, message.error());
            }
            if (!deadline.passed()) continue;
            return nothing_came();
        }
    }

    Exit nothing_came() const {
        if (options_.count == 0) return Exit::timed_out;  // an end that was asked for
        complain(fmt::format("listen as {}: no message came within {} ({} of {} received)",
                             options_.name, human_seconds(*options_.timeout), received_,
                             options_.count));
        return Exit::timed_out;
    }

    Exit show(const Received<Bytes>& message) {
        ++received_;
        if (options_.plain) {
            append_frame(options_.null ? Framing::null : Framing::lines, message.value(),
                         [&](std::span<const std::byte> piece) { out_.append(piece); });
        } else if (options_.json) {
            Json json{{"from", message.from()},
                      {"message", std::string{message.text()}},
                      {"bytes", message.text().size()},
                      {"call", message.is_call()}};
            if (const Result<sys::Credentials> who = message.credentials()) {
                json["pid"] = who->pid;
                json["uid"] = who->uid;
            }
            out_.append(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
        } else {
            out_.append(fmt::format("{}: {}\n", shown(message.from()), shown(message.text())));
        }
        return out_.exit_of(out_.flush());
    }

    const Options& options_;
    Process me_;
    Output out_;
    std::uint64_t received_ = 0;
};

Exit listen(const Options& options) {
    if (!can_print()) return Exit::failed;
    if (Output::standard().reader_gone()) return Exit::broken_pipe;
    catch_stop_signals();
    Result<Process> me = Process::join(options.name, options.join);
    if (!me) return complain("listen as " + options.name, me.error());
    return Listening{options, std::move(*me)}.run();
}

void add_options(CLI::App& verb, Options& options) {
    verb.add_option("--name", options.name, "The name to join under")
        ->required()
        ->type_name("NAME");
    verb.add_option("--count", options.count, "End after so many messages [no end]")
        ->check(whole_number(1, UINT64_MAX));
    add_seconds(verb, "--timeout", options.timeout,
                "The longest wait for the next message; then status 0, with --count 3");
    CLI::Option* json = verb.add_flag(
        "--json", options.json,
        "A JSON object for each message, on a line: who sent it, the kernel's word on "
        "its pid and uid; what is no UTF-8 is replaced");
    CLI::Option* plain =
        verb.add_flag("--plain", options.plain, "The messages alone, byte for byte, a line each");
    plain->excludes(json);
    verb.add_flag("--null", options.null, "With --plain: a zero byte behind each, not a newline")
        ->needs(plain);
    verb.add_option("--attribute", options.attributes,
                    "What others can read of this process (stoa ps); may be repeated")
        ->type_name("KEY=TEXT")
        ->expected(1)
        ->take_all();
}

}  // namespace

void add_listen(CLI::App& app, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = app.add_subcommand(
        "listen", "listen --name NAME: Join under a name and print what others tell it");
    add_options(*verb, *options);
    verb->footer(
        "One process at a time has a name; whoever had it and died loses it at once. Each message "
        "is\nprinted behind the name of its sender, with control characters spelled out (\\x1b).\n"
        "Example:\n  stoa listen --name alice --count 1 & stoa tell alice hello");
    verb->callback([&chosen, options] {
        for (const std::string& text : options->attributes) {
            const std::size_t equals = text.find('=');
            if (equals == 0 || equals == std::string::npos) {
                throw CLI::ValidationError("--attribute", text + " is not KEY=TEXT");
            }
            options->join.attributes[text.substr(0, equals)] = text.substr(equals + 1);
        }
        chosen.run = [options] { return listen(*options); };
    });
}

}  // namespace stoa::cli
