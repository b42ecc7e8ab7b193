#include "tests/crash/judge.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <utility>

#include "stoa/base/check.hpp"

namespace stoa::crash {
namespace {

using Board = std::array<char, 4096>;

// Where a judge writes its text; one for all judges.
Board& board() {
    static void* const page =
        ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    STOA_CHECK(page != MAP_FAILED);
    return *static_cast<Board*>(page);
}

void write_down(const std::string& text) {
    std::snprintf(board().data(), board().size(), "%s", text.c_str());
}

std::string text_of(const Act& act) {
    try {
        return act();
    } catch (const std::exception& error) {
        return std::string{"exception: "} + error.what();
    }
}

}  // namespace

Judge::Judge(std::vector<Act> acts, std::chrono::milliseconds watchdog)
    : acts_{std::move(acts)}, watchdog_{watchdog} {
    write_down("the judge said nothing");
    const pid_t engine = ::getpid();
    pid_ = ::fork();
    STOA_CHECK(pid_ >= 0);
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != engine) ::_exit(1);
        run_acts();
    }
}

Judge::~Judge() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

void Judge::run_acts() const {
    for (std::size_t k = 0; k < acts_.size(); ++k) {
        write_down(text_of(acts_[k]));
        if (k + 1 < acts_.size()) std::raise(SIGSTOP);
    }
    ::_exit(0);
}

std::string Judge::next() {
    if (pid_ < 0) return "the judge is gone";
    if (done_++ > 0) ::kill(pid_, SIGCONT);
    const auto alarm = std::chrono::steady_clock::now() + watchdog_;
    int status = 0;
    while (::waitpid(pid_, &status, WUNTRACED) < 0) {
        STOA_CHECK(errno == EINTR);
        if (std::chrono::steady_clock::now() >= alarm) return "a survivor hangs";
    }
    if (WIFSTOPPED(status)) return board().data();
    pid_ = -1;
    if (WIFSIGNALED(status)) return "a survivor died of signal " + std::to_string(WTERMSIG(status));
    if (WEXITSTATUS(status) != 0) {
        return "a survivor exited with status " + std::to_string(WEXITSTATUS(status));
    }
    return board().data();
}

}  // namespace stoa::crash
