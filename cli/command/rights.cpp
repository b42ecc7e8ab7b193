#include "cli/command/rights.hpp"

#include "cli/say.hpp"

namespace stoa::cli {

void add_separate_rights(CLI::App& verb, SeparateRights& rights) {
    verb.add_option("--allow-send", rights.send, "Who may send: not supported yet, it says why")
        ->type_name("WHO");
    verb.add_option("--allow-receive", rights.receive,
                    "Who may receive: not supported yet, it says why")
        ->type_name("WHO");
}

Exit refuse_separate_rights(const std::string& what) {
    return complain(what, Error{.code = Errc::not_supported,
                                .step = "separate rights to send and to receive need the guarded "
                                        "tier, which is not built: whoever can open a mailbox now "
                                        "can write all of its memory; give both rights to one "
                                        "user, or to a group with `stoa domain create --group`"});
}

}  // namespace stoa::cli
