// stoa send NAME [MESSAGE ...]
#include <fmt/format.h>

#include "cli/command/facts.hpp"
#include "cli/command/flow.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/shown.hpp"
#include "cli/units.hpp"

namespace stoa::cli {
namespace {

struct Options : FlowOptions {
    std::vector<std::string> messages;
    std::uint32_t priority = 0;
    std::optional<std::uint64_t> key;
    std::optional<std::chrono::nanoseconds> time_to_live;
    bool receipt = false;
    bool json = false;
    bool close = false;

    [[nodiscard]] SendOptions how() const {
        return {.priority = priority,
                .time_to_live = time_to_live.value_or(std::chrono::nanoseconds{0}),
                .key = key.value_or(0)};
    }
};

std::string text_of(const Answer& answer) {
    const std::string who = fmt::format(
        "{} (pid {})", answer.name.empty() ? "a process" : shown(answer.name), answer.pid);
    switch (answer.outcome) {
        case Outcome::taken: return "taken by " + who;
        case Outcome::acked: return "acked by " + who;
        case Outcome::expired: return "expired";
        case Outcome::withdrawn: return "withdrawn, nobody took it in time";
        case Outcome::receiver_died: return fmt::format("its receiver died (pid {})", answer.pid);
        case Outcome::mailbox_destroyed: return "the mailbox was destroyed";
        case Outcome::dropped: return "dropped, the mailbox was full";
        case Outcome::dead_letter: return "given back too often, a dead letter now";
        case Outcome::none:
        case Outcome::pending: break;
    }
    return "taken, and not acked yet";
}

// A line for each message, as recv --json has.
std::string json_of(const Answer& answer, std::uint64_t number) {
    Json json{{"number", number}, {"outcome", name(answer.outcome)}};
    if (answer.pid != 0) json["receiver"] = {{"pid", answer.pid}, {"name", answer.name}};
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

class Sending {
public:
    Sending(const Options& options, RawMailbox mailbox)
        : options_{options}, mailbox_{std::move(mailbox)}, how_{options.how()} {}

    Exit close() {
        const Result<void> closed = mailbox_.close();
        return closed ? Exit::done : complain("send " + options_.name, closed.error());
    }

    Exit arguments() {
        for (const std::string& message : options_.messages) {
            ++number_;
            const Exit sent = send(std::as_bytes(std::span{message}));
            if (sent != Exit::done) return sent;
        }
        return Exit::done;
    }

    Exit standard_input() {
        FrameReader reader{options_.framing(), mailbox_.plan().max_bytes};
        for (;;) {
            std::span<const std::byte> message;
            const Frame frame = reader.next(message);
            number_ = reader.number();
            Exit ended = Exit::done;
            switch (frame) {
                case Frame::message: ended = send(message); break;
                case Frame::need_more: ended = read_more(reader, "send " + options_.name); break;
                case Frame::end: return Exit::done;
                case Frame::too_big: return too_big(reader.claimed_bytes());
                case Frame::cut_off:
                    complain(what() + ": the input ends in the middle of it; check its framing");
                    return Exit::failed;
            }
            if (ended != Exit::done) return ended;
        }
    }

private:
    [[nodiscard]] std::string what() const {
        const bool lines = options_.messages.empty() && options_.framing() == Framing::lines;
        return fmt::format("send {}: {} {}", options_.name, lines ? "line" : "message", number_);
    }

    Exit send(std::span<const std::byte> message) {
        if (!fits_type(message)) return Exit::failed;
        if (options_.receipt) return send_and_tell(message);
        Result<void> sent = mailbox_.try_send(message, how_);
        if (!sent && sent.error().code == Errc::full && !options_.no_wait) sent = wait(message);
        if (sent) [[likely]]
            return stop_requested() ? Exit::stopped : Exit::done;
        return refused(message.size(), sent.error());
    }

    // A mailbox of a program's own type takes nothing of another size, unless the size varies.
    bool fits_type(std::span<const std::byte> message) const {
        const MailboxPlan& plan = mailbox_.plan();
        if (plan.type_size == 0 || message.size() == plan.type_size) return true;
        complain(fmt::format("{} has {} bytes, the mailbox holds values of {} bytes: {}", what(),
                             message.size(), plan.type_size, shown(plan.type_text)));
        return false;
    }

    Result<void> wait(std::span<const std::byte> message) {
        return in_slices(
            mailbox_, options_.deadline(),
            [&](Deadline slice) { return mailbox_.send_with(message, slice, how_); },
            [] { return !stop_requested(); });
    }

    // Sends one message and says what became of it, before the next.
    Exit send_and_tell(std::span<const std::byte> message) {
        Result<Receipt> receipt = in_slices(
            mailbox_, options_.deadline(),
            [&](Deadline slice) { return mailbox_.send_with_receipt(message, how_, slice); },
            [] { return !stop_requested(); });
        if (!receipt) return refused(message.size(), receipt.error());
        Result<Answer> answer = in_slices(
            mailbox_, options_.deadline(),
            [&](Deadline slice) { return receipt->wait_with(slice); },
            [] { return !stop_requested(); });
        if (!answer) {  // nobody waits for it any more: it goes back, unless it is on its way
            answer = receipt->withdraw();
            if (!answer) return complain(what(), answer.error());
        }
        const Exit printed =
            print(options_.json ? json_of(*answer, number_)
                                : fmt::format("{}: {}\n", what(), text_of(*answer)));
        if (printed != Exit::done) return printed;
        if (stop_requested()) return Exit::stopped;
        const bool arrived = answer->outcome == Outcome::taken || answer->outcome == Outcome::acked;
        return arrived ? Exit::done
               : answer->outcome == Outcome::withdrawn || answer->outcome == Outcome::pending
                   ? Exit::timed_out
                   : Exit::failed;
    }

    Exit refused(std::size_t bytes, const Error& error) {
        switch (error.code) {
            case Errc::too_big: return too_big(bytes);
            case Errc::timed_out:
                if (stop_requested()) return Exit::stopped;
                complain(fmt::format(
                    "{} was not sent: {} {}; {}, or wait longer", what(),
                    meets() ? "no receiver came within" : "the mailbox stayed full for",
                    human_seconds(*options_.timeout), meets() ? "start one" : "receive something"));
                return Exit::timed_out;
            case Errc::full:
                if (meets()) {
                    complain(what() + " was not sent: no receiver waits; start one" +
                             (options_.no_wait ? ", or send without --no-wait" : ""));
                    return Exit::timed_out;
                }
                complain(what() + " was not sent: the mailbox is full; receive something" +
                         (options_.no_wait ? ", or send without --no-wait" : ""));
                return Exit::timed_out;
            default: return complain(what(), error);
        }
    }

    // Capacity zero: it is never full, it lacks a receiver.
    [[nodiscard]] bool meets() const noexcept {
        return mailbox_.plan().capacity.kind == Capacity::Kind::zero;
    }

    Exit too_big(std::uint64_t bytes) {
        const std::uint32_t most = mailbox_.plan().max_bytes;
        complain(fmt::format(
            "{} is too big: it has {}{} bytes, the mailbox takes {}; create it with a larger "
            "--max-bytes{}",
            what(), bytes == 0 ? "more than " : "", bytes == 0 ? most : bytes, most,
            number_ > 1 ? " (what came before it is sent)" : ""));
        return Exit::failed;
    }

    const Options& options_;
    RawMailbox mailbox_;
    SendOptions how_;
    std::uint64_t number_ = 0;
};

Exit send(const Options& options) {
    catch_stop_signals();
    Result<RawMailbox> mailbox = RawMailbox::open(options.name, {.role = Role::sends});
    if (!mailbox) return complain("send " + options.name, mailbox.error());
    if (options.key && mailbox->plan().sharing != Sharing::key_affine) {
        const Error error{.code = Errc::bad_argument, .step = "--key (only key_affine goes by it)"};
        return complain("send " + options.name, error);
    }
    Sending sending{options, std::move(*mailbox)};
    const bool from_input = options.messages.empty();
    const Exit sent = from_input ? sending.standard_input() : sending.arguments();
    return sent == Exit::done && options.close ? sending.close() : sent;
}

void take_messages(const CLI::App& verb, Chosen& chosen, Options& options) {
    options.messages = take_messages(verb, chosen);
    if (!options.messages.empty() && (options.null || options.length_prefixed)) {
        throw CLI::ParseError(
            "--null and --length-prefixed are for standard input; here the "
            "messages are arguments",
            CLI::ExitCodes::ExcludesError);
    }
}

}  // namespace

void add_send(CLI::App& app, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = app.add_subcommand(
        "send",
        "send NAME [MESSAGE ...]: Send the arguments, else standard input, a message per line");
    add_flow_options(*verb, *options, "The longest wait for room, for each message",
                     "Do not wait while the mailbox is full (exit status 3)");
    verb->add_option("--priority", options->priority, "0 is the lowest; the highest goes first [0]")
        ->check(whole_number(0, 31));
    add_time(*verb, "--ttl", options->time_to_live,
             "Expires if nobody took it by then; 0: as the mailbox has it [0]");
    verb->add_option("--key", options->key, "key_affine: equal keys go to one receiver [0]")
        ->check(whole_number(0, UINT64_MAX));
    CLI::Option* receipt =
        verb->add_flag("--receipt", options->receipt,
                       "Wait until each message is taken (--ack: acked) and print by whom");
    verb->add_flag("--json", options->json, "Print a receipt as a JSON object, on a line")
        ->needs(receipt);
    verb->add_flag("--close", options->close,
                   "Close the mailbox behind the last message: its receivers end when it is empty");
    verb->allow_extras();
    example(*verb, "stoa send jobs one two \"and three\"\n  zcat log.gz | stoa send logs");
    verb->callback([&chosen, verb, options] {
        chosen.takes_verbatim = true;
        take_messages(*verb, chosen, *options);
        chosen.run = [options] { return send(*options); };
    });
}

}  // namespace stoa::cli
