// stoa mailbox rm NAME
#include "cli/command/command.hpp"
#include "cli/say.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"

namespace stoa::cli {

void add_mailbox_rm(CLI::App& mailbox, Chosen& chosen) {
    const auto name = std::make_shared<std::string>();
    CLI::App* verb = mailbox.add_subcommand(
        "rm", "Destroy a mailbox; whoever waits at it is told, what lies in it is lost");
    add_name(*verb, *name);
    example(*verb, "stoa mailbox rm logs");
    verb->callback([&chosen, name] {
        chosen.run = [name] {
            const Result<void> gone = RawMailbox::destroy(*name);
            return gone ? Exit::done : complain("mailbox rm " + *name, gone.error());
        };
    });
}

}  // namespace stoa::cli
