// How the help of every verb looks.
#include "cli/command/command.hpp"

namespace stoa::cli {
namespace {

// "NAME [MESSAGE ...]" of a description such as "send NAME [MESSAGE ...]: send the arguments".
struct Description {
    explicit Description(const CLI::App& verb) : text{verb.get_description()} {
        const std::string name = verb.get_name() + " ";
        const std::size_t colon = text.find(": ");
        if (!text.starts_with(name) || colon == std::string::npos) return;
        usage = text.substr(name.size(), colon - name.size());
        text = text.substr(colon + 2);
    }
    std::string usage;
    std::string text;
};

class Help : public CLI::Formatter {
public:
    std::string make_usage(const CLI::App* app, std::string name) const override {
        const Description description{*app};
        if (description.usage.empty()) return CLI::Formatter::make_usage(app, std::move(name));
        return "Usage: " + name + " [OPTIONS] " + description.usage + "\n";
    }
    std::string make_description(const CLI::App* app) const override {
        return Description{*app}.text + "\n";
    }
    std::string make_subcommand(const CLI::App* verb) const override {
        std::ostringstream out;
        CLI::detail::format_help(out, verb->get_name(), Description{*verb}.text,
                                 get_column_width());
        return out.str();
    }
    // What kind of value; ranges and defaults are said in the text.
    std::string make_option_opts(const CLI::Option* option) const override {
        if (option->get_type_size() == 0 || option->get_positional()) return "";
        const std::string kind = option->get_type_name();
        if (kind.empty()) return "";
        return kind == "UINT" || kind == "INT" ? " N" : " " + kind;
    }
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> help_format() {
    return std::make_shared<Help>();
}

}  // namespace stoa::cli
