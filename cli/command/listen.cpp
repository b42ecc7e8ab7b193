// stoa listen NAME
#include <fmt/format.h>
#include <unistd.h>

#include <limits>

#include "cli/command/command.hpp"
#include "cli/command/facts.hpp"
#include "cli/command/joining.hpp"
#include "cli/framing.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/shown.hpp"
#include "cli/stop.hpp"
#include "cli/units.hpp"
#include "stoa/link/process.hpp"
#include "stoa/wait/wait_set.hpp"

namespace stoa::cli {
namespace {

constexpr std::chrono::milliseconds kSlice{100};
constexpr std::uint64_t kOutputTag = 1;
constexpr std::uint64_t kLinksTag = 2;

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
    Listening(const Options& options, Process me, WaitSet set)
        : options_{options}, me_{std::move(me)}, set_{std::move(set)}, out_{Output::standard()} {}

    Exit run() {
        if (const Result<WaitId> id = set_.add(me_.readable(), kLinksTag); !id) {
            return complain(what(), id.error());
        }
        // Its reader's end; a file has none, and cannot be waited for.
        static_cast<void>(set_.add(FdReady{STDOUT_FILENO, 0}, kOutputTag));
        const std::uint64_t wanted =
            options_.count == 0 ? std::numeric_limits<std::uint64_t>::max() : options_.count;
        Exit ended = Exit::done;
        while (ended == Exit::done && received_ < wanted) ended = step();
        const bool is_over = ended == Exit::timed_out && options_.count == 0;
        return is_over ? Exit::done : ended;
    }

private:
    [[nodiscard]] std::string what() const { return "listen as " + options_.name; }

    Exit step() {
        const Deadline deadline =
            options_.timeout ? Deadline::after(*options_.timeout) : Deadline::never();
        for (;;) {
            if (stop_requested()) return Exit::stopped;
            if (out_.reader_gone()) return Exit::broken_pipe;
            const Result<Received<Bytes>> message = me_.try_receive<Bytes>();
            if (message) return show(*message);
            const Errc code = message.error().code;
            if (code != Errc::timed_out && code != Errc::empty) {
                return complain(what(), message.error());
            }
            if (deadline.passed()) return nothing_came();
            if (Result<void> waited = wait(deadline.left(kSlice)); !waited) {
                return complain(what(), waited.error());
            }
        }
    }

    // Ends also when the reader does: what is sent after that is not taken.
    Result<void> wait(std::chrono::nanoseconds longest) {
        const Result<std::span<const Ready>> ready = set_.wait_for(longest);
        if (!ready && ready.error().code != Errc::timed_out) return std::unexpected(ready.error());
        for (const Ready& one : ready ? *ready : std::span<const Ready>{}) {
            if (one.tag != kOutputTag || out_.reader_gone()) continue;
            static_cast<void>(set_.remove(one.id));  // shut down, and yet it can be written to
            break;
        }
        return {};
    }

    Exit nothing_came() const {
        if (options_.count == 0) return Exit::timed_out;  // an end that was asked for
        complain(fmt::format("{}: no message came within {} ({} of {} received)", what(),
                             human_seconds(*options_.timeout), received_, options_.count));
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
            const Result<sys::Credentials> who = message.credentials();
            json["pid"] = who ? Json(who->pid) : Json(nullptr);
            json["uid"] = who ? Json(who->uid) : Json(nullptr);
            json["gid"] = who ? Json(who->gid) : Json(nullptr);
            out_.append(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
        } else {
            out_.append(fmt::format("{}: {}\n", shown(message.from()), shown(message.text())));
        }
        const Written written = out_.flush();
        if (written == Written::broken_pipe) {
            complain(
                fmt::format("{}: a message of {} was received and not printed: its reader is "
                            "gone",
                            what(), shown(message.from())));
        }
        return out_.exit_of(written);
    }

    const Options& options_;
    Process me_;
    WaitSet set_;
    Output out_;
    std::uint64_t received_ = 0;
};

Exit listen(const Options& options) {
    if (!can_print()) return Exit::failed;
    if (Output::standard().reader_gone()) return Exit::broken_pipe;
    catch_stop_signals();
    const std::string what = "listen as " + options.name;
    Result<WaitSet> set = WaitSet::create();
    if (!set) return complain(what, set.error());
    Result<Process> me = Process::join(options.name, options.join);
    if (!me) return not_joined(what, options.name, me.error());
    return Listening{options, std::move(*me), std::move(*set)}.run();
}

void add_options(CLI::App& verb, Options& options) {
    verb.add_option("NAME,--name", options.name, "The name to join under")
        ->required()
        ->type_name("");
    verb.add_option("--count", options.count, "End after so many messages [no end]")
        ->check(whole_number(1, UINT64_MAX));
    add_time(verb, "--timeout", options.timeout,
             "The longest wait for the next message; then status 0, with --count 3");
    CLI::Option* json = verb.add_flag(
        "--json", options.json,
        "A JSON object for each message, on a line: who sent it, the kernel's word on "
        "its pid, uid and gid (null where there are no sockets); what is no UTF-8 is replaced");
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
        "listen", "listen NAME: Join under a name and print what others tell it");
    add_options(*verb, *options);
    verb->footer(
        "One process at a time has a name; whoever had it and died loses it at once. Each message "
        "is\nprinted behind the name of its sender, with control characters spelled out (\\x1b). "
        "When "
        "nobody\nreads the output any more it takes no further message, gives the name back and "
        "ends by SIGPIPE\n(in a shell: exit status 141).\n"
        "Example:\n  stoa listen alice --count 1 & stoa tell alice hello");
    verb->callback([&chosen, options] {
        for (const std::string& text : options->attributes) {
            const std::size_t equals = text.find('=');
            if (equals == 0 || equals == std::string::npos) {
                throw CLI::ValidationError("--attribute", text + " is not KEY=TEXT");
            }
            const std::string key = text.substr(0, equals);
            if (!options->join.attributes.emplace(key, text.substr(equals + 1)).second) {
                throw CLI::ValidationError("--attribute", key + " is given twice");
            }
        }
        chosen.run = [options] { return listen(*options); };
    });
}

}  // namespace stoa::cli
