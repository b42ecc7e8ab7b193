#include "cli/command/command.hpp"

#include <fmt/format.h>

#include <charconv>

#include "cli/units.hpp"

namespace stoa::cli {

CLI::Option* add_bytes(CLI::App& verb, const std::string& name, std::uint64_t& bytes,
                       const std::string& help) {
    const auto take = [&bytes, name](const std::string& text) {
        const std::optional<std::uint64_t> parsed = parse_bytes(text);
        if (!parsed) {
            throw CLI::ValidationError(name, text + " is not a size such as 4096, 64K or 1MiB");
        }
        bytes = *parsed;
    };
    return verb.add_option_function<std::string>(name, take, help)->type_name("BYTES");
}

CLI::Option* add_time(CLI::App& verb, const std::string& name,
                      std::optional<std::chrono::nanoseconds>& time, const std::string& help) {
    const auto take = [&time, name](const std::string& text) {
        time = parse_time(text);
        if (!time) {
            throw CLI::ValidationError(
                name, text + " is not a number of seconds such as 2 or 0.5, nor 500ms, 3m or 1h");
        }
    };
    return verb.add_option_function<std::string>(name, take, help)->type_name("TIME");
}

CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
    const auto check = [least, most](const std::string& text) -> std::string {
        std::uint64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto [after, error] = std::from_chars(text.data(), end, value);
        const bool plain = error == std::errc{} && after == end && !text.empty() &&
                           (text.front() != '0' || text.size() == 1);
        if (plain && value >= least && value <= most) return {};
        if (most == UINT64_MAX) {
            return fmt::format("{} is not a whole number of at least {}", text, least);
        }
        return fmt::format("{} is not a whole number from {} to {}", text, least, most);
    };
    return CLI::Validator{check, ""};
}

CLI::Option* add_name(CLI::App& verb, std::string& name) {
    return verb.add_option("NAME", name, "The mailbox")->required()->type_name("");
}

std::vector<std::string> take_messages(const CLI::App& verb, Chosen& chosen) {
    std::vector<std::string> messages;
    for (const std::string& word : verb.remaining()) {
        if (word.size() > 1 && word[0] == '-' && (word[1] < '0' || word[1] > '9')) {
            throw CLI::ParseError("unknown option " + word +
                                      "; a message that begins with - goes behind -- (stoa " +
                                      verb.get_name() + " NAME -- " + word + ")",
                                  CLI::ExitCodes::ExtrasError);
        }
        messages.push_back(word);
    }
    for (std::string& word : chosen.verbatim) messages.push_back(std::move(word));
    return messages;
}

void example(CLI::App& verb, const std::string& text) {
    verb.footer("Example:\n  " + text);
}

std::uint32_t parse_mode(const std::string& text) {
    const bool octal = !text.empty() && text.size() <= 4 &&
                       text.find_first_not_of("01234567") == std::string::npos;
    const unsigned long mode = octal ? std::stoul(text, nullptr, 8) : 0;
    if (!octal || mode > 0777 || (mode & 0600) != 0600) {
        throw CLI::ValidationError("--mode", text +
                                                 " is not an octal mode such as 0600 or 0660 "
                                                 "that lets its owner read and write");
    }
    return static_cast<std::uint32_t>(mode);
}

}  // namespace stoa::cli
