// stoa recv NAME
#include <fmt/format.h>
#include <sched.h>

#include <deque>
#include <limits>

#include "cli/command/facts.hpp"
#include "cli/command/flow.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/units.hpp"

namespace stoa::cli {
namespace {

struct Options : FlowOptions {
    std::uint64_t count = 0;  // 0: not given
    bool follow = false;
    bool stand_by = false;
    bool latest = false;
    bool from_oldest = false;
    bool json = false;

    [[nodiscard]] std::uint64_t wanted() const noexcept {
        if (count > 0) return count;
        return follow ? std::numeric_limits<std::uint64_t>::max() : 1;
    }
};

// A message with what is known of it beside its bytes.
Json json_of(const RawMessage& message) {
    const MessageHistory history = message.history();
    Json json{{"message", std::string{message.text()}},
              {"bytes", message.bytes().size()},
              {"redelivered", message.redelivered()},
              {"missed", message.missed()},
              {"deliveries", history.deliveries}};
    if (history.cause == Cause::none) return json;
    json["cause"] = stoa::name(history.cause);
    if (history.last_pid != 0) {
        json["last_receiver"] = {{"pid", history.last_pid}, {"name", history.last_name}};
    }
    if (!history.error.empty()) json["last_error"] = history.error;
    return json;
}

// Messages go through one buffer to standard output. In acknowledged mode each is held until its
// last byte was written, then acked; what could not be written goes back.
class Receiving {
public:
    Receiving(const Options& options, RawMailbox mailbox)
        : options_{options}, mailbox_{std::move(mailbox)}, out_{Output::standard()} {}

    Exit run() {
        Exit ended = Exit::done;
        while (ended == Exit::done && received_ < options_.wanted()) ended = step();
        const Exit flushed = flush();
        if (flushed != Exit::done) return flushed;
        return ended == Exit::timed_out && options_.follow ? Exit::done : ended;
    }

private:
    static constexpr std::chrono::microseconds kMoment{50};
    static constexpr std::size_t kBufferBytes = std::size_t{4} << 10U;  // lost if we are killed

    struct Held {
        RawMessage message;
        std::uint64_t end;  // of its frame, in bytes of output
    };

    Exit step() {
        if (stop_requested()) return Exit::stopped;
        Result<RawMessage> message = linger();
        if (!message && message.error().code == Errc::empty) {
            if (const Exit flushed = flush(); flushed != Exit::done) return flushed;
            if (options_.no_wait) return nothing_came();
            message = wait();
        }
        if (!message) return refused(message.error());
        append(*message);
        ++received_;
        if (mailbox_.plan().acknowledged) held_.push_back({std::move(*message), out_.appended()});
        const bool quota = held_.size() >= mailbox_.plan().loan_quota;
        return quota || out_.pending() >= kBufferBytes ? flush() : Exit::done;
    }

    void append(const RawMessage& message) {
        const auto to_output = [&](std::span<const std::byte> piece) { out_.append(piece); };
        if (!options_.json) return append_frame(options_.framing(), message.bytes(), to_output);
        const std::string line =
            json_of(message).dump(-1, ' ', false, Json::error_handler_t::replace);
        append_frame(options_.framing(), std::as_bytes(std::span{line}), to_output);
    }

    // Before a small write, a moment for the sender to come up with more: a write for each message
    // would cost more than everything else.
    Result<RawMessage> linger() {
        Result<RawMessage> message = mailbox_.try_receive();
        if (message || message.error().code != Errc::empty || out_.pending() == 0) return message;
        const Deadline moment = Deadline::after(kMoment);
        while (!message && message.error().code == Errc::empty && !moment.passed()) {
            ::sched_yield();
            message = mailbox_.try_receive();
        }
        return message;
    }

    Result<RawMessage> wait() {
        return in_slices(
            mailbox_, options_.deadline(),
            [&](Deadline slice) { return mailbox_.receive_with(slice); },
            [&] { return !stop_requested() && !out_.reader_gone(); });
    }

    Exit refused(const Error& error) {
        if (error.code == Errc::end_of_stream) return stream_ended();
        if (error.code != Errc::timed_out) return complain("recv " + options_.name, error);
        if (stop_requested()) return Exit::stopped;
        if (out_.reader_gone()) return Exit::broken_pipe;
        return nothing_came();
    }

    // Its senders are done: an end that --follow expects.
    Exit stream_ended() {
        if (options_.follow) return Exit::timed_out;
        complain(fmt::format("recv {}: the mailbox is closed and empty, nothing more will come",
                             options_.name));
        return Exit::failed;
    }

    Exit nothing_came() {
        if (options_.follow) return Exit::timed_out;  // an end that was asked for
        const std::string waited =
            options_.no_wait ? "no message is waiting"
                             : "no message came within " + human_seconds(*options_.timeout);
        const std::string so_far =
            options_.count > 1 ? fmt::format(" ({} of {} received)", received_, options_.count)
                               : "";
        complain(fmt::format("recv {}: {}{}", options_.name, waited, so_far));
        return Exit::timed_out;
    }

    Exit flush() {
        if (output_ended_) return *output_ended_;
        const Written result = out_.flush();
        while (!held_.empty() && held_.front().end <= out_.written()) {
            if (Result<void> acked = held_.front().message.ack(); !acked) {
                return complain("recv " + options_.name, acked.error());
            }
            held_.pop_front();
        }
        if (result == Written::ok) return Exit::done;
        const bool lost = !mailbox_.plan().acknowledged && out_.pending() > 0;
        held_.clear();  // not acked: they go back
        const Exit ended = out_.exit_of(result);
        output_ended_ = ended;
        if (lost && result != Written::broken_pipe) {
            complain(
                fmt::format("recv {}: {} received and not written; a mailbox made with --ack "
                            "would have kept them",
                            options_.name, counted(out_.pending(), "byte was", "bytes were")));
        }
        return ended;
    }

    const Options& options_;
    RawMailbox mailbox_;
    Output out_;
    std::deque<Held> held_;
    std::uint64_t received_ = 0;
    std::optional<Exit> output_ended_;  // nothing can be written any more
};

Exit receive(const Options& options) {
    if (!can_print()) return Exit::failed;
    if (Output::standard().reader_gone()) return Exit::broken_pipe;
    catch_stop_signals();
    Result<RawMailbox> mailbox =
        RawMailbox::open(options.name, {.role = Role::receives,
                                        .stand_by = options.stand_by,
                                        .latest = options.latest,
                                        .from_oldest = options.from_oldest});
    if (!mailbox && mailbox.error().code == Errc::in_use &&
        std::string_view{mailbox.error().step}.contains("stand by")) {
        complain(
            fmt::format("recv {}: {}: in_use: `recv {} --stand-by` waits until that is gone, "
                        "then receives",
                        options.name, mailbox.error().step, options.name));
        return exit_for(Errc::in_use);
    }
    if (!mailbox) return complain("recv " + options.name, mailbox.error());
    return Receiving{options, std::move(*mailbox)}.run();
}

}  // namespace

void add_recv(CLI::App& app, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = app.add_subcommand("recv", "Receive messages, a line each on standard output");
    add_flow_options(*verb, *options, "The longest wait for the next message",
                     "Take what is there; nothing there: exit status 3, with --follow 0");
    verb->add_option("--count", options->count, "How many messages [1; with --follow no end]")
        ->check(whole_number(1, UINT64_MAX));
    verb->add_flag(
        "--follow", options->follow,
        "Go on until Ctrl-C or --count; --timeout or --no-wait with nothing there: exit status 0");
    verb->add_flag("--stand-by", options->stand_by,
                   "single_receiver: wait until its receiver is gone, then take over");
    verb->add_flag("--latest", options->latest,
                   "broadcast: skip what comes too fast, instead of holding its senders back");
    verb->add_flag("--from-oldest", options->from_oldest,
                   "broadcast: begin with the oldest message that is kept, not from now");
    verb->add_flag(
            "--json", options->json,
            "A JSON object for each message, on a line (with --null before a zero byte): also how "
            "often it was delivered before, who gave it back and why, how many were missed; what "
            "is no UTF-8 is replaced")
        ->excludes(verb->get_option("--length-prefixed"));
    example(*verb, "stoa recv logs --follow | grep error");
    verb->callback([&chosen, options] { chosen.run = [options] { return receive(*options); }; });
}

}  // namespace stoa::cli
