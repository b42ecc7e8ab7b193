// stoa tell NAME [MESSAGE ...]
#include <fmt/format.h>
#include <unistd.h>

#include "cli/command/command.hpp"
#include "cli/command/flow.hpp"
#include "cli/command/joining.hpp"
#include "cli/framing.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/stop.hpp"
#include "cli/units.hpp"
#include "stoa/link/admin.hpp"
#include "stoa/link/process.hpp"

namespace stoa::cli {
namespace {

constexpr std::chrono::milliseconds kSlice{100};

struct Options {
    std::string name;
    std::vector<std::string> messages;
    std::string as;
    std::string capacity = "1024";
    std::uint64_t quota_bytes = std::uint64_t{1} << 30U;
    std::uint64_t max_bytes = 64 * 1024;
    bool wait_for_join = false;
    bool no_wait = false;
    bool null = false;
    std::optional<std::chrono::nanoseconds> timeout;
    JoinOptions join{};

    [[nodiscard]] Deadline deadline() const noexcept {
        if (no_wait) return Deadline::immediately();
        return timeout ? Deadline::after(*timeout) : Deadline::never();
    }
};

class Telling {
public:
    Telling(const Options& options, Process me) : options_{options}, me_{std::move(me)} {}

    Exit arguments() {
        for (const std::string& message : options_.messages) {
            ++number_;
            const Exit sent = send(std::as_bytes(std::span{message}));
            if (sent != Exit::done) return sent;
        }
        return Exit::done;
    }

    Exit standard_input() {
        const auto most = static_cast<std::uint32_t>(options_.max_bytes);
        FrameReader reader{options_.null ? Framing::null : Framing::lines, most};
        for (;;) {
            std::span<const std::byte> message;
            const Frame frame = reader.next(message);
            number_ = reader.number();
            Exit ended = Exit::done;
            switch (frame) {
                case Frame::message: ended = send(message); break;
                case Frame::need_more: ended = read_more(reader, "tell " + options_.name); break;
                case Frame::cut_off:
                case Frame::end: return Exit::done;
                case Frame::too_big: return too_big();
            }
            if (ended != Exit::done) return ended;
        }
    }

private:
    [[nodiscard]] std::string what() const {
        return fmt::format("tell {}: message {}", options_.name, number_);
    }

    Exit send(std::span<const std::byte> message) {
        const Deadline deadline = options_.deadline();
        const TalkOptions talk{.wait_for_join = options_.wait_for_join};
        for (;;) {
            const Deadline slice =
                options_.no_wait ? deadline : Deadline::after(deadline.left(kSlice));
            const Result<void> sent = me_.send_with(options_.name, Payload{message}, slice, talk);
            if (sent) return stop_requested() ? Exit::stopped : Exit::done;
            const Errc code = sent.error().code;
            if (code != Errc::timed_out && code != Errc::full) return refused(sent.error());
            if (stop_requested()) return Exit::stopped;
            if (deadline.passed()) return late();
        }
    }

    Exit late() {
        const bool is_there = find_process(options_.name).has_value();
        const std::string why = is_there
                                    ? options_.name + " does not take it (it is busy or stopped)"
                                    : "nobody joined as " + options_.name;
        complain(fmt::format("{} was not sent: {}{}", what(), why,
                             options_.timeout
                                 ? " within " + human_seconds(*options_.timeout) + "; wait longer"
                                 : "; send without --no-wait"));
        return Exit::timed_out;
    }

    Exit refused(const Error& error) {
        if (error.code == Errc::too_big) return too_big();
        if (error.code == Errc::not_found) {
            complain(
                fmt::format("tell {}: nobody has that name; start `stoa listen {}`, or tell "
                            "it with --wait-for-join",
                            options_.name, options_.name));
            return Exit::no_such_name;
        }
        const bool left = error.code == Errc::closed || error.code == Errc::gone;
        if (error.code == Errc::peer_died || left) return ended(left ? "left" : "died");
        return complain(what(), error);
    }

    // Who had the name; another process may have it by now.
    Exit ended(std::string_view how) const {
        const std::string before =
            number_ < 2 ? ""
                        : fmt::format("; what it had not read of the {} before is lost with it",
                                      counted(number_ - 1, "message", "messages"));
        complain(
            fmt::format("{} was not sent: {} {}{}; start `stoa listen {}` (or look for it with "
                        "`stoa ps`), then tell it from there on",
                        what(), options_.name, how, before, options_.name));
        return Exit::failed;
    }

    Exit too_big() {
        complain(
            fmt::format("{} is too big; a link that is made with a larger --max-bytes takes "
                        "it (both of a pair use one link, of who wrote first)",
                        what()));
        return Exit::failed;
    }

    const Options& options_;
    Process me_;
    std::uint64_t number_ = 0;
};

Exit tell(const Options& options) {
    catch_stop_signals();
    const std::string as = options.as.empty() ? fmt::format("tell-{}", ::getpid()) : options.as;
    Result<Process> me = Process::join(as, options.join);
    if (!me) return not_joined("tell " + options.name + " as " + as, as, me.error());
    Telling telling{options, std::move(*me)};
    return options.messages.empty() ? telling.standard_input() : telling.arguments();
}

void take_messages(const CLI::App& verb, Chosen& chosen, Options& options) {
    options.messages = take_messages(verb, chosen);
    if (!options.messages.empty() && options.null) {
        throw CLI::ParseError("--null is for standard input; here the messages are arguments",
                              CLI::ExitCodes::ExcludesError);
    }
}

void add_options(CLI::App& verb, Options& options) {
    verb.add_option("NAME", options.name, "The process, as it joined")->required()->type_name("");
    verb.add_option("--as", options.as, "The name of the sender [tell-PID]")->type_name("NAME");
    verb.add_flag("--wait-for-join", options.wait_for_join,
                  "Where nobody has the name: wait until somebody joins");
    CLI::Option* timeout =
        add_time(verb, "--timeout", options.timeout, "The longest wait, for each message");
    verb.add_flag("--no-wait", options.no_wait, "Do not wait for room (exit status 3)")
        ->excludes(timeout);
    verb.add_flag("--null", options.null, "Input: a zero byte ends a message, not a newline");
    verb.add_option("--capacity", options.capacity,
                    "Of a new link, each way: a number of messages, zero (a send ends when the "
                    "other has it), or unbounded [1024]")
        ->type_name("N");
    add_bytes(verb, "--quota", options.quota_bytes, "Of an unbounded link [1GiB]");
    add_bytes(verb, "--max-bytes", options.max_bytes, "The largest message of a new link [64KiB]");
}

}  // namespace

void add_tell(CLI::App& app, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = app.add_subcommand(
        "tell",
        "tell NAME [MESSAGE ...]: Send the arguments, else standard input, a message per "
        "line, to one process");
    add_options(*verb, *options);
    verb->allow_extras();
    verb->footer(
        "Direct communication: sender and receiver name each other, and one link is between them. "
        "A\nmessage waits there until NAME receives it, also when the sender has ended; it is "
        "delivered to\nthe very process that has the name now, or to nobody.\n"
        "The messages of one tell arrive in their order. Each tell is a sender of its own, also "
        "under the\nsame --as: what several of them send may arrive in any order. So let one tell "
        "send what must stay\nin order: several MESSAGEs, or lines of standard input.\n"
        "Example:\n  stoa listen alice & stoa tell alice hello\n"
        "  stoa tell alice --as build 'step 1' 'step 2' 'step 3'\n"
        "  df -h | stoa tell alice --as disks --wait-for-join --timeout 10");
    verb->callback([&chosen, verb, options] {
        chosen.takes_verbatim = true;
        take_messages(*verb, chosen, *options);
        if (options->as == options->name) {
            throw CLI::ValidationError(
                "--as", "that is NAME itself, and a process does not send to itself");
        }
        options->join.links.capacity = parse_capacity(options->capacity, options->quota_bytes);
        if (options->max_bytes < 1 || options->max_bytes > std::uint64_t{1} << 29U) {
            throw CLI::ValidationError("--max-bytes", "it is 1 byte to 512MiB");
        }
        options->join.links.max_bytes = static_cast<std::uint32_t>(options->max_bytes);
        options->join.links.reserve_bytes =
            std::max<std::uint64_t>(options->join.links.reserve_bytes, 2 * options->max_bytes);
        chosen.run = [options] { return tell(*options); };
    });
}

}  // namespace stoa::cli
