#include "cli/output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>

#include "cli/say.hpp"
#include "cli/stop.hpp"
#include "stoa/base/deadline.hpp"

namespace stoa::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kGrace = 500ms;  // after a stop signal, for what is already ours to write
constexpr auto kPoll = 50ms;

Error write_error(int error) noexcept {
    return {.code = Errc::os, .os_errno = error, .step = "write"};
}

}  // namespace

Output Output::standard() {
    return Output{STDOUT_FILENO};
}

bool Output::usable() const noexcept {
    const int flags = ::fcntl(descriptor_, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

bool Output::reader_gone() const noexcept {
    pollfd look{descriptor_, 0, 0};
    return ::poll(&look, 1, 0) == 1 && (look.revents & POLLERR) != 0;
}

void Output::append(std::span<const std::byte> bytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

Written Output::write_some() noexcept {
    const ssize_t count = ::write(descriptor_, buffer_.data() + begin_, pending());
    if (count >= 0) {
        begin_ += static_cast<std::size_t>(count);
        written_ += static_cast<std::uint64_t>(count);
        return Written::ok;
    }
    if (errno == EINTR) return Written::ok;
    if (errno == EAGAIN) {  // somebody made it non-blocking
        pollfd wait{descriptor_, POLLOUT, 0};
        (void)::poll(&wait, 1, static_cast<int>(kPoll / 1ms));
        return Written::ok;
    }
    if (errno == EPIPE) return Written::broken_pipe;
    error_ = errno;
    return Written::failed;
}

Written Output::flush() noexcept {
    Deadline grace = Deadline::never();
    while (pending() > 0) {
        if (const Written result = write_some(); result != Written::ok) return result;
        if (pending() == 0 || !stop_requested()) continue;
        if (grace.is_never()) grace = Deadline::after(kGrace);
        if (grace.passed()) return Written::stopped;
    }
    buffer_.clear();
    begin_ = 0;
    return Written::ok;
}

Exit Output::exit_of(Written result) const {
    switch (result) {
        case Written::ok: return Exit::done;
        case Written::broken_pipe: return Exit::broken_pipe;
        case Written::stopped: return Exit::stopped;
        case Written::failed: complain("standard output", write_error(error_)); break;
    }
    return Exit::failed;
}

Exit print(std::string_view text) {
    Output out = Output::standard();
    out.append(text);
    return out.exit_of(out.flush());
}

bool can_print() {
    if (Output::standard().usable()) return true;
    complain("standard output is closed, so nothing was done; open it or send it to /dev/null");
    return false;
}

void hold_standard_descriptors() noexcept {
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
        // The lowest free number, which is this one. The wrong direction, so that its use fails.
        const int access = descriptor == STDOUT_FILENO ? O_RDONLY : O_WRONLY;
        (void)::open("/dev/null", access);
    }
}

}  // namespace stoa::cli
