// How every verb ends: the exit statuses of the command.
#pragma once

#include "stoa/base/error.hpp"

namespace stoa::cli {

enum class Exit : int {
    done = 0,
    failed = 1,
    usage = 2,
    timed_out = 3,
    no_such_name = 4,
    stopped = 130,      // Ctrl-C or SIGTERM: main() ends by that very signal
    broken_pipe = 141,  // nobody reads our output any more: main() ends by SIGPIPE, quietly
};

[[nodiscard]] constexpr Exit exit_for(Errc code) noexcept {
    switch (code) {
        case Errc::timed_out:
        case Errc::empty:
        case Errc::quota_reached:
        case Errc::full: return Exit::timed_out;
        case Errc::not_found: return Exit::no_such_name;
        case Errc::bad_name:
        case Errc::bad_argument: return Exit::usage;
        default: return Exit::failed;
    }
}

}  // namespace stoa::cli
