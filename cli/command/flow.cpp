#include "cli/command/flow.hpp"

namespace stoa::cli {

void add_flow_options(CLI::App& verb, FlowOptions& options, const std::string& timeout_help,
                      const std::string& no_wait_help) {
    add_name(verb, options.name);
    CLI::Option* null =
        verb.add_flag("--null", options.null, "A zero byte ends a message, in place of a newline");
    verb.add_flag("--length-prefixed", options.length_prefixed,
                  "Binary: 4 bytes of length, little-endian, before each message")
        ->excludes(null);
    CLI::Option* timeout = add_seconds(verb, "--timeout", options.timeout, timeout_help);
    verb.add_flag("--no-wait", options.no_wait, no_wait_help)->excludes(timeout);
}

}  // namespace stoa::cli
