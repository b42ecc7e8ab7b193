// Sleeps until a descriptor is ready, for descriptors that somebody made non-blocking.
#pragma once

#include <poll.h>

namespace stoa::cli::farm {

// What is ready of `events`, and POLLERR, POLLHUP; 0: a signal or the timeout came first.
inline short wait_for(int descriptor, short events, int timeout_ms = -1) noexcept {
    pollfd look{descriptor, events, 0};
    return ::poll(&look, 1, timeout_ms) == 1 ? look.revents : short{0};
}

}  // namespace stoa::cli::farm
