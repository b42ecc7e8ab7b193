// stoa mailbox create|rm|ls|info|watch|peek|close|redrive
#include "cli/command/command.hpp"

namespace stoa::cli {

void add_mailbox(CLI::App& app, Chosen& chosen) {
    CLI::App* mailbox = app.add_subcommand("mailbox", "Create, remove, list and look at mailboxes");
    mailbox->require_subcommand(1);
    example(*mailbox, "stoa mailbox create logs && stoa mailbox info logs");
    add_mailbox_create(*mailbox, chosen);
    add_mailbox_rm(*mailbox, chosen);
    add_mailbox_ls(*mailbox, chosen);
    add_mailbox_info(*mailbox, chosen);
    add_mailbox_watch(*mailbox, chosen);
    add_mailbox_peek(*mailbox, chosen);
    add_mailbox_close(*mailbox, chosen);
    add_mailbox_redrive(*mailbox, chosen);
}

}  // namespace stoa::cli
