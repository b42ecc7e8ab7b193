// stoa domain create PATH, info [PATH]
#include <fmt/format.h>
#include <grp.h>

#include <cerrno>
#include <charconv>

#include "cli/command/command.hpp"
#include "cli/command/facts.hpp"
#include "cli/command/rights.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/shown.hpp"
#include "stoa/shm/domain.hpp"
#include "stoa/sys/file.hpp"
#include "stoa/sys/rights.hpp"

namespace stoa::cli {
namespace {

struct Options {
    std::string path;
    std::string group;
    SeparateRights rights;
    bool json = false;
};

// By its name, as the system knows it, or by its number.
std::optional<std::uint32_t> find_group(const std::string& text) {
    if (const struct group* const found = ::getgrnam(text.c_str())) return found->gr_gid;
    std::uint32_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    const bool number = error == std::errc{} && end == text.data() + text.size() && !text.empty();
    return number ? std::optional{id} : std::nullopt;
}

Exit tell(const Domain& domain, std::string_view verb, bool json) {
    const Result<sys::FileInfo> folder = sys::info(domain.folder());
    if (!folder) return complain("domain " + domain.path(), folder.error());
    const Result<std::vector<std::string>> names = mailbox_names(domain.path());
    const std::string owner = sys::user_name(folder->owner);
    const std::string group = sys::group_name(folder->group);
    if (json) {
        Json told{{"path", domain.path()},
                  {"shared", domain.shared()},
                  {"owner", owner},
                  {"group", domain.shared() ? Json(group) : Json(nullptr)},
                  {"mode", fmt::format("{:04o}", folder->mode)},
                  {"object_mode", domain.shared() ? "0660" : "0600"}};
        if (names) told["mailboxes"] = names->size();
        return print_json(told);
    }
    std::string text = fmt::format("{:<10} {}\nowner      {}\n", verb, domain.path(), owner);
    text += domain.shared() ? fmt::format(
                                  "for        group {}: its members may send to and receive from "
                                  "everything in it\n",
                                  group)
                            : std::string{"for        its owner alone\n"};
    text += fmt::format("mode       {:04o}\n", folder->mode);
    if (names) text += fmt::format("mailboxes  {}\n", names->size());
    return print(text);
}

Exit refuse_to_create(const std::string& what, const std::string& path, const Error& error) {
    if (error.code == Errc::exists) {
        complain(fmt::format(
            "{}: exists: something has this path; `stoa domain info {}` shows whether it "
            "is a folder for names, else choose another path",
            what, shown(path)));
        return exit_for(error.code);
    }
    if (error.code == Errc::unsafe_folder && error.os_errno == ENOENT) {
        complain(what +
                 ": unsafe_folder: the folder in which it should be is missing; make that first "
                 "(mkdir)");
        return exit_for(error.code);
    }
    return complain(what, error);
}

Exit create(const Options& options) {
    const std::string what = "domain create " + options.path;
    if (!can_print()) return Exit::failed;
    if (options.rights.any()) return refuse_separate_rights(what);
    std::optional<std::uint32_t> group;
    if (!options.group.empty()) {
        group = find_group(options.group);
        if (!group) {
            complain(what + ": there is no group " + shown(options.group));
            return Exit::usage;
        }
    }
    const Result<Domain> made = Domain::create(options.path, group);
    if (!made) return refuse_to_create(what, options.path, made.error());
    return tell(*made, "created", options.json);
}

Exit info(const Options& options) {
    const Result<Domain> domain = Domain::find(options.path);
    const std::string what = options.path.empty() ? "domain info" : "domain info " + options.path;
    if (!domain && domain.error().code == Errc::not_found) {
        complain(
            fmt::format("{}: not_found: there is no such folder; `stoa domain create {}` makes it",
                        what, options.path.empty() ? "PATH" : shown(options.path)));
        return Exit::no_such_name;
    }
    if (!domain) return complain(what, domain.error());
    return tell(*domain, "domain", options.json);
}

void add_create(CLI::App& domain, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = domain.add_subcommand(
        "create", "Make a folder for names: for you alone, or for the members of a group");
    verb->add_option("PATH", options->path, "The folder; its parent must exist")
        ->required()
        ->type_name("");
    verb->add_option("--group", options->group,
                     "Its members share all that is in it; you must be one")
        ->type_name("GROUP");
    add_separate_rights(*verb, options->rights);
    verb->add_flag("--json", options->json, "Print JSON");
    example(*verb, "stoa domain create /dev/shm/vision --group video");
    verb->callback([&chosen, options] {
        chosen.names_its_folder = true;
        chosen.run = [options] { return create(*options); };
    });
}

void add_info(CLI::App& domain, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = domain.add_subcommand("info", "Show where names live and who may use them");
    verb->add_option("PATH", options->path, "The folder (else --domain, $STOA_DOMAIN, else yours)")
        ->type_name("");
    verb->add_flag("--json", options->json, "Print JSON");
    example(*verb, "stoa domain info --json");
    verb->callback([&chosen, options] {
        chosen.names_its_folder = !options->path.empty();
        chosen.run = [options] { return info(*options); };
    });
}

}  // namespace

void add_domain_verbs(CLI::App& app, Chosen& chosen) {
    CLI::App* domain = app.add_subcommand("domain", "Make and show folders of names");
    domain->require_subcommand(1);
    example(*domain, "stoa domain create /dev/shm/vision --group video");
    add_create(*domain, chosen);
    add_info(*domain, chosen);
}

}  // namespace stoa::cli
