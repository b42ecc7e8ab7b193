#include "tests/kit/process.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <utility>

#include "stoa/base/check.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa::kit {
namespace {

[[noreturn]] void run_as_child(const std::function<void()>& body, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);  // the parent died before the line above
    int status = 1;
    try {
        body();
        status = ::testing::Test::HasFailure() ? 1 : 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "the child threw: %s\n", error.what());
    }
    std::fflush(nullptr);
    ::_exit(status);
}

// True when the process has ended (it may still be a zombie).
bool ended_within(pid_t pid, std::chrono::milliseconds watchdog) {
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (pidfd < 0) return true;
    pollfd watch{pidfd, POLLIN, 0};
    int ready = 0;
    do {
        ready = ::poll(&watch, 1, static_cast<int>(watchdog.count()));
    } while (ready < 0 && errno == EINTR);
    ::close(pidfd);
    return ready > 0;
}

}  // namespace

Child::Child(const std::function<void()>& body) {
    std::fflush(nullptr);  // or the child would print it again
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    STOA_CHECK(pid_ >= 0);
    if (pid_ == 0) run_as_child(body, parent);
}

Child::Child(Child&& other) noexcept : pid_{std::exchange(other.pid_, -1)} {}

Child::~Child() {
    if (pid_ > 0) (void)kill_and_wait();
}

void Child::send_signal(int signal) const {
    ::kill(pid_, signal);
}

void Child::stop() const {
    send_signal(SIGSTOP);
    EXPECT_TRUE(wait_stopped());
}

void Child::resume() const {
    send_signal(SIGCONT);
}

bool Child::wait_stopped(std::chrono::milliseconds watchdog) const {
    siginfo_t info{};
    const bool seen = wait_until(
        [&] {
            info = {};
            ::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT);
            return info.si_pid == pid_;
        },
        watchdog);
    EXPECT_TRUE(seen) << "the child neither stopped nor ended before the watchdog";
    if (!seen || info.si_code != CLD_STOPPED) return false;
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WNOHANG);  // take the notice
    return true;
}

void Child::kill() const {
    send_signal(SIGKILL);
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) < 0 &&
           errno == EINTR) {
    }
}

Ending Child::wait(std::chrono::milliseconds watchdog) {
    Ending ending;
    if (!ended_within(pid_, watchdog)) {
        ending.hung = true;
        ADD_FAILURE() << "child " << pid_ << " hung for " << watchdog.count() << " ms; killed";
        kill();
    }
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    ending.exited = WIFEXITED(status);
    if (ending.exited) ending.status = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) ending.signal = WTERMSIG(status);
    return ending;
}

Ending Child::kill_and_wait() {
    kill();
    return wait();
}

Ending fork_and_run(const std::function<void()>& body, std::chrono::milliseconds watchdog) {
    return Child{body}.wait(watchdog);
}

}  // namespace stoa::kit
