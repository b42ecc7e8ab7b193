#include "cli/farm/crew.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "stoa/sys/errno.hpp"

namespace stoa::cli::farm {
namespace {

// A child that ended and was not reaped; 0: none.
pid_t ended_child() noexcept {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | WNOHANG) != 0) return 0;
    return info.si_pid;
}

int reap_child(pid_t pid) noexcept {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

}  // namespace

Crew::Crew(std::uint32_t size, Groups& groups, Body body)
    : groups_{groups}, body_{std::move(body)}, living_(size, 0) {
    (void)::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

Result<void> Crew::start(std::uint32_t place) {
    const auto serial = static_cast<std::uint32_t>(started_.size());
    groups_.assign(place, serial);
    started_.push_back(-1);
    const pid_t pid = ::fork();
    if (pid == 0) {
        body_(place, serial);
        ::_exit(1);
    }
    if (pid < 0) {
        started_.pop_back();
        return sys::fail_errno("fork (a worker)");
    }
    started_.back() = pid;
    living_[place] = pid;
    return {};
}

Result<void> Crew::fill() {
    for (std::uint32_t place = 0; place < living_.size(); ++place) {
        if (living_[place] != 0) continue;
        if (Result<void> started = start(place); !started) return started;
    }
    return {};
}

bool Crew::reap() {
    bool all_well = true;
    while (const pid_t pid = ended_child()) {
        const auto worker = std::ranges::find(living_, pid);
        if (worker == living_.end()) {  // an orphan: the COMMAND of a dead worker, or left by one
            if (const auto place = groups_.place_of(pid)) groups_.end(*place);
            (void)reap_child(pid);
            continue;
        }
        groups_.end(static_cast<std::uint32_t>(worker - living_.begin()));
        *worker = 0;
        if (WIFSIGNALED(reap_child(pid))) {
            killed_.push_back(pid);
        } else {
            all_well = false;
        }
    }
    return all_well;
}

void Crew::dismiss() noexcept {
    for (const pid_t pid : living_) {
        if (pid != 0) (void)::kill(pid, SIGKILL);
    }
    for (std::uint32_t place = 0; place < living_.size(); ++place) {
        if (living_[place] != 0) (void)reap_child(living_[place]);
        groups_.end(place);
        living_[place] = 0;
    }
}

bool Crew::complete() const noexcept {
    return std::ranges::find(living_, 0) == living_.end();
}

bool Crew::empty() const noexcept {
    return std::ranges::all_of(living_, [](pid_t pid) { return pid == 0; });
}

}  // namespace stoa::cli::farm
