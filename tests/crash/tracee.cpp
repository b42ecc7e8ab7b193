#include "tests/crash/tracee.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "stoa/base/check.hpp"
#include "tests/crash/arena.hpp"

namespace stoa::crash {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kInt3 = 0xcc;
// What one pass over a breakpoint costs, in single steps (measured).
constexpr std::uint32_t kPassCost = 3;

// Stops the calling process; inline, so that hardly an instruction lies between it and the
// operation.
[[gnu::always_inline]] inline void stand_still(long pid) {
    long result = SYS_tgkill;
    asm volatile("syscall"
                 : "+a"(result)
                 : "D"(pid), "S"(pid), "d"(static_cast<long>(SIGSTOP))
                 : "rcx", "r11", "memory");
}

[[noreturn]] void run_tracee(const Work& work, pid_t engine) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != engine) ::_exit(1);
    const long pid = ::getpid();
    allocate_from_arena();
    if (work.begin) work.begin();
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
        std::perror("this system does not let a process be traced (ptrace)");
        ::_exit(1);
    }
    stand_still(pid);
    work.operation();
    stand_still(pid);
    if (work.end) work.end();
    ::_exit(0);
}

// The state letter of /proc/PID/stat, '?' when it cannot be read.
char state_of(pid_t pid) {
    std::array<char, 32> path{};
    std::snprintf(path.data(), path.size(), "/proc/%d/stat", pid);
    const int fd = ::open(path.data(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return '?';
    std::array<char, 256> text{};
    const ssize_t got = ::read(fd, text.data(), text.size() - 1);
    ::close(fd);
    const std::string_view all{text.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
    const std::size_t paren = all.rfind(')');
    return paren == std::string_view::npos || paren + 2 >= all.size() ? '?' : all[paren + 2];
}

void* as_address(std::uint64_t value) {
    return reinterpret_cast<void*>(value);
}

}  // namespace

Route::Route(std::span<const std::uintptr_t> addresses) : addresses_{addresses} {
    hits_.reserve(addresses.size());
    anchor_.reserve(addresses.size());
    std::unordered_map<std::uintptr_t, std::uint32_t> passed;
    std::uint32_t best = 0;
    std::int64_t best_cost = 0;  // without the steps from it: hits * kPassCost - index
    for (std::uint32_t i = 0; i < addresses.size(); ++i) {
        hits_.push_back(++passed[addresses[i]]);
        const std::int64_t cost = std::int64_t{hits_[i]} * kPassCost - i;
        if (cost < best_cost) {
            best_cost = cost;
            best = i;
        }
        anchor_.push_back(best);
    }
}

Route::Leg Route::to(std::uint32_t instruction) const {
    const std::uint32_t anchor = anchor_[instruction];
    if (anchor == 0) return {.steps = instruction};
    return {addresses_[anchor], hits_[anchor], instruction - anchor};
}

void start_watchdog_ticks() {
    struct sigaction action{};
    action.sa_handler = [](int) {};  // only to end a waitpid with EINTR
    ::sigaction(SIGALRM, &action, nullptr);
    const timeval tick{0, 200'000};
    const itimerval timer{tick, tick};
    ::setitimer(ITIMER_REAL, &timer, nullptr);
}

Tracee Tracee::start(const Work& work, std::chrono::milliseconds watchdog) {
    Tracee tracee;
    tracee.work_ = &work;
    tracee.alarm_ = Clock::now() + watchdog;
    const pid_t engine = ::getpid();
    tracee.pid_ = ::fork();
    STOA_CHECK(tracee.pid_ >= 0);
    if (tracee.pid_ == 0) run_tracee(work, engine);
    if (tracee.wait() == Stop::finished) tracee.stop_ = Stop::stepped;  // the first marker
    return tracee;
}

Tracee::Tracee(Tracee&& other) noexcept
    : work_{other.work_},
      pid_{std::exchange(other.pid_, -1)},
      status_{other.status_},
      stop_{other.stop_},
      alarm_{other.alarm_} {}

Tracee::~Tracee() {
    kill();
    reap();
}

bool Tracee::out_of_time() const {
    return Clock::now() >= alarm_;
}

std::uintptr_t Tracee::address() const {
    return static_cast<std::uintptr_t>(
        ::ptrace(PTRACE_PEEKUSER, pid_, as_address(offsetof(user_regs_struct, rip)), nullptr));
}

user_regs_struct Tracee::registers() const {
    user_regs_struct registers{};
    ::ptrace(PTRACE_GETREGS, pid_, nullptr, &registers);
    return registers;
}

std::string Tracee::how() const {
    if (WIFSTOPPED(status_)) return "signal " + std::to_string(WSTOPSIG(status_));
    if (WIFSIGNALED(status_)) return "died of signal " + std::to_string(WTERMSIG(status_));
    if (WIFEXITED(status_) && WEXITSTATUS(status_) != 0) {
        return "exited with status " + std::to_string(WEXITSTATUS(status_));
    }
    return {};
}

Stop Tracee::note(int status) {
    status_ = status;
    if (!WIFSTOPPED(status)) {
        pid_ = -1;  // reaped
        return stop_ = Stop::ended;
    }
    if (WSTOPSIG(status) == SIGTRAP) return stop_ = Stop::stepped;
    return stop_ = WSTOPSIG(status) == SIGSTOP ? Stop::finished : Stop::crashed;
}

Stop Tracee::wait() {
    int status = 0;
    while (::waitpid(pid_, &status, __WALL) < 0) {
        STOA_CHECK(errno == EINTR);
        if (out_of_time()) return stop_ = Stop::hung;
    }
    return note(status);
}

Stop Tracee::wait_for_sleep() {
    int status = 0;
    for (int looks = 0, sleeping = 0; sleeping < 2; ++looks) {
        if (::waitpid(pid_, &status, __WALL | WNOHANG) == pid_) return note(status);
        if (out_of_time()) return stop_ = Stop::hung;
        ::sched_yield();
        if (looks >= 8) sleeping = state_of(pid_) == 'S' ? sleeping + 1 : 0;
    }
    return stop_ = Stop::asleep;
}

Stop Tracee::wake_up() {
    while (stop_ == Stop::asleep) {
        work_->wake();
        wait_for_sleep();
    }
    return stop_;
}

Stop Tracee::resume(int request) {
    ::ptrace(static_cast<__ptrace_request>(request), pid_, nullptr, nullptr);
    return work_->sleeps ? wait_for_sleep() : wait();
}

Stop Tracee::step() {
    return resume(PTRACE_SINGLESTEP);
}

// Runs to the `hits`th time that the instruction at `at` is reached, and stands before it.
Stop Tracee::pass_breakpoint(std::uintptr_t at, std::uint32_t hits) {
    std::uint64_t original = 0;
    std::memcpy(&original, as_address(at), sizeof original);  // the same code as here
    const std::uint64_t broken = (original & ~std::uint64_t{0xff}) | kInt3;
    for (std::uint32_t hit = 1;; ++hit) {
        ::ptrace(PTRACE_POKETEXT, pid_, as_address(at), as_address(broken));
        resume(PTRACE_CONT);
        const Stop stop = wake_up();
        if (stop == Stop::ended || stop == Stop::hung) return stop;
        ::ptrace(PTRACE_POKETEXT, pid_, as_address(at), as_address(original));
        if (stop != Stop::stepped) return stop;
        ::ptrace(PTRACE_POKEUSER, pid_, as_address(offsetof(user_regs_struct, rip)),
                 as_address(at));
        if (hit == hits) return stop;
        step();
        if (wake_up() != Stop::stepped) return stop_;
    }
}

Stop Tracee::run_to(const Route& route, std::uint32_t instruction) {
    const Route::Leg leg = route.to(instruction);
    if (leg.breakpoint != 0 && pass_breakpoint(leg.breakpoint, leg.hits) != Stop::stepped) {
        return stop_;
    }
    for (std::uint32_t k = 0; k < leg.steps; ++k) {
        step();
        if (wake_up() != Stop::stepped) break;
    }
    return stop_;
}

Stop Tracee::run_to_end() {
    if (stop_ == Stop::asleep) wait_for_sleep();  // somebody may have woken it meanwhile
    wake_up();
    if (stop_ == Stop::stepped) resume(PTRACE_CONT);
    return wake_up();
}

void Tracee::kill() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT | __WALL) < 0 &&
           errno == EINTR) {
    }
}

void Tracee::reap() {
    if (pid_ < 0) return;
    int status = 0;
    while (::waitpid(pid_, &status, __WALL) < 0 && errno == EINTR) {
    }
    pid_ = -1;
}

Stop Tracee::finish() {
    if (stop_ != Stop::finished) return stop_;
    ::ptrace(PTRACE_CONT, pid_, nullptr, nullptr);
    return wait();
}

}  // namespace stoa::crash
