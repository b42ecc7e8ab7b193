#include "cli/command/flow.hpp"

#include <unistd.h>

#include <cerrno>
#include <span>

#include "cli/say.hpp"

namespace stoa::cli {

void add_flow_options(CLI::App& verb, FlowOptions& options, const std::string& timeout_help,
                      const std::string& no_wait_help) {
    add_name(verb, options.name);
    CLI::Option* null =
        verb.add_flag("--null", options.null, "A zero byte ends a message, in place of a newline");
    verb.add_flag("--length-prefixed", options.length_prefixed,
                  "Binary: 4 bytes of length, little-endian, before each message")
        ->excludes(null);
    CLI::Option* timeout = add_time(verb, "--timeout", options.timeout, timeout_help);
    verb.add_flag("--no-wait", options.no_wait, no_wait_help)->excludes(timeout);
}

Exit read_more(FrameReader& reader, const std::string& what) {
    if (stop_requested()) return Exit::stopped;
    const std::span<std::byte> room = reader.room();
    const ssize_t count = ::read(STDIN_FILENO, room.data(), room.size());
    if (count > 0) {
        reader.filled(static_cast<std::size_t>(count));
    } else if (count == 0) {
        reader.finish();
    } else if (errno != EINTR) {
        return complain(what + ": standard input",
                        {.code = Errc::os, .os_errno = errno, .step = "read"});
    }
    return Exit::done;
}

}  // namespace stoa::cli
