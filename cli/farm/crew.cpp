#include "cli/farm/crew.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "stoa/sys/errno.hpp"

namespace stoa::cli::farm {

Result<void> Crew::fill() {
    while (living_.size() < size_) {
        living_.reserve(size_);
        const auto serial = static_cast<std::uint32_t>(started_.size());
        started_.push_back(-1);
        const pid_t pid = ::fork();
        if (pid == 0) {
            body_(serial);
            ::_exit(1);
        }
        if (pid < 0) {
            started_.pop_back();
            return sys::fail_errno("fork (a worker)");
        }
        started_.back() = pid;
        living_.push_back(pid);
    }
    return {};
}

bool Crew::reap() {
    bool all_well = true;
    std::erase_if(living_, [&](pid_t pid) {
        int status = 0;
        if (::waitpid(pid, &status, WNOHANG) != pid) return false;
        if (WIFSIGNALED(status)) {
            killed_.push_back(pid);
        } else {
            all_well = false;
        }
        return true;
    });
    return all_well;
}

void Crew::dismiss() noexcept {
    for (const pid_t pid : living_) (void)::kill(pid, SIGKILL);
    for (const pid_t pid : living_) {
        while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    living_.clear();
}

}  // namespace stoa::cli::farm
