// stoa mailbox close|redrive|peek NAME
#include <fmt/format.h>

#include "cli/command/command.hpp"
#include "cli/command/facts.hpp"
#include "cli/framing.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/units.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"

namespace stoa::cli {
namespace {

// Opens it to look or to manage: neither sends nor receives.
Exit with_mailbox(const std::string& verb, const std::string& name,
                  const std::function<Result<Exit>(RawMailbox&)>& act) {
    Result<RawMailbox> mailbox = RawMailbox::open(name, {.role = Role::none});
    if (!mailbox) return complain(fmt::format("mailbox {} {}", verb, name), mailbox.error());
    const Result<Exit> done = act(*mailbox);
    return done ? *done : complain(fmt::format("mailbox {} {}", verb, name), done.error());
}

Result<Exit> close(RawMailbox& mailbox) {
    if (Result<void> closed = mailbox.close(); !closed) {
        return std::unexpected(closed.error());
    }
    return Exit::done;
}

Result<Exit> redrive(RawMailbox& mailbox, std::uint64_t most, bool json) {
    const Result<std::uint64_t> count = mailbox.redrive(most);
    if (!count) return std::unexpected(count.error());
    if (json) return print_json({{"redriven", *count}});
    return print(fmt::format("{} again\n", counted(*count, "dead letter goes", "dead letters go")));
}

void append_line(std::string& text, std::string_view message, bool json) {
    if (json) {
        text += Json{{"message", message}, {"bytes", message.size()}}.dump(
            -1, ' ', false, Json::error_handler_t::replace);
    } else {
        text += message;
    }
    text += '\n';
}

Result<Exit> peek(RawMailbox& mailbox, std::uint64_t count, bool json) {
    std::vector<std::byte> bytes(mailbox.plan().max_bytes);
    std::string text;
    for (std::uint64_t i = 0; i < count; ++i) {
        const Result<std::size_t> length = mailbox.peek(bytes, i);
        if (!length && length.error().code == Errc::empty) break;
        if (!length) return std::unexpected(length.error());
        append_line(text, {reinterpret_cast<const char*>(bytes.data()), *length}, json);
    }
    return print(text);
}

}  // namespace

void add_mailbox_close(CLI::App& mailbox, Chosen& chosen) {
    const auto name = std::make_shared<std::string>();
    CLI::App* verb = mailbox.add_subcommand(
        "close", "Say that nothing more will come: recv --follow ends when all is received");
    add_name(*verb, *name);
    example(*verb, "stoa mailbox close logs");
    verb->callback(
        [&chosen, name] { chosen.run = [name] { return with_mailbox("close", *name, close); }; });
}

void add_mailbox_redrive(CLI::App& mailbox, Chosen& chosen) {
    const auto name = std::make_shared<std::string>();
    const auto count = std::make_shared<std::uint64_t>(UINT64_MAX);
    const auto json = std::make_shared<bool>(false);
    CLI::App* verb = mailbox.add_subcommand(
        "redrive", "Deliver dead letters again; `stoa recv NAME.dead` takes them instead");
    add_name(*verb, *name);
    verb->add_option("--count", *count, "At most so many [all]")
        ->check(whole_number(1, UINT64_MAX));
    verb->add_flag("--json", *json, "Print JSON");
    example(*verb, "stoa mailbox redrive jobs");
    verb->callback([&chosen, name, count, json] {
        chosen.run = [name, count, json] {
            return with_mailbox("redrive", *name,
                                [&](RawMailbox& it) { return redrive(it, *count, *json); });
        };
    });
}

void add_mailbox_peek(CLI::App& mailbox, Chosen& chosen) {
    const auto name = std::make_shared<std::string>();
    const auto count = std::make_shared<std::uint64_t>(1);
    const auto json = std::make_shared<bool>(false);
    CLI::App* verb = mailbox.add_subcommand(
        "peek", "Print the messages that would be received next, and leave them there");
    add_name(*verb, *name);
    verb->add_option("--count", *count, "How many, at most [1]")->check(whole_number(1, 1U << 20U));
    verb->add_flag("--json", *json, "A JSON object for each message, on a line");
    example(*verb, "stoa mailbox peek jobs --count 3");
    verb->callback([&chosen, name, count, json] {
        chosen.run = [name, count, json] {
            return with_mailbox("peek", *name,
                                [&](RawMailbox& it) { return peek(it, *count, *json); });
        };
    });
}

}  // namespace stoa::cli
