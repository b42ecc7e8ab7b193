#include "bench/kit/process.hpp"

#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <numeric>

#include "bench/kit/placement.hpp"

namespace stoa::bench {

namespace {

struct Child {
    Role role;
    pid_t pid = -1;
    int pidfd = -1;
    bool gone = false;
    int status = 0;
};

void busy_loop(const Role& role, Board& board) {
    await_start(role, board);
    std::uint64_t x = 1;
    while (board.closed.load(kRelaxed) == 0) {
        for (int i = 0; i < 1024; ++i) x = x * 6364136223846793005U + 1442695040888963407U;
        asm volatile("" : : "r"(x));
    }
}

[[noreturn]] void child_main(Session* session, const Case& c, const Role& role, Board& board,
                             pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(4);
    signal(SIGPIPE, SIG_IGN);
    try {
        if (role.part == Part::busy) {
            busy_loop(role, board);
        } else {
            session->run(c, role, board);
        }
    } catch (const std::exception& error) {
        auto& text = board.roles[role.board].error;
        std::snprintf(text.data(), text.size(), "%s", error.what());
        _exit(3);
    }
    _exit(0);
}

// Only root may; a failure shows as a disturbed figure.
void go_first() noexcept {
    const sched_param lowest{.sched_priority = 1};
    sched_setscheduler(0, SCHED_RR, &lowest);
}

// Not where processes share a cpu on purpose, and one that spins could keep it from the others.
bool may_go_first(const Case& c) {
    return c.mode != Mode::one_core && c.mode != Mode::four_pairs && c.mode != Mode::beside_busy;
}

const char* name(Doing doing) {
    switch (doing) {
        case Doing::starts: return "starting";
        case Doing::awaits_start: return "waiting for the start";
        case Doing::works: return "in its loop";
        case Doing::has_left: return "out of its loop";
        case Doing::awaits_senders: return "waiting until all senders are out of their loops";
        case Doing::awaits_arrival: return "waiting until all that was sent was received";
        case Doing::awaits_receivers: return "waiting until all receivers are out of their loops";
    }
    return "?";
}

std::string line_of(pid_t pid, const char* file) {
    std::array<char, 256> text{};
    std::FILE* from = std::fopen(("/proc/" + std::to_string(pid) + "/" + file).c_str(), "re");
    if (from == nullptr) return "";
    const std::size_t length = std::fread(text.data(), 1, text.size() - 1, from);
    std::fclose(from);
    return std::string{text.data(), std::min(length, std::strcspn(text.data(), "\n"))};
}

// What the kernel says: its state, and the system call that it is in, with its arguments: of a
// futex the address, the operation, and the value that it waits to change.
std::string kernel_says(pid_t pid) {
    const std::string stat = line_of(pid, "stat");
    const std::size_t name_end = stat.rfind(')');
    const std::string call = line_of(pid, "syscall");
    const char state = name_end + 2 < stat.size() ? stat[name_end + 2] : '?';
    return std::string{"state "} + state + (call.empty() ? "" : ", system call " + call);
}

std::string state_of(const Child& child, const Case& c, const Board& board) {
    const RoleBoard& said = board.roles[child.role.board];
    std::string text =
        std::string{name(child.role.part)} + " " + std::to_string(child.role.index) + " (";
    const bool sends = child.role.part == Part::sender;
    if (c.is_flow()) {
        text += std::to_string(said.messages.load()) + (sends ? " sent, " : " received, ");
    }
    return text + name(said.doing.load()) + ", " + kernel_says(child.pid) + ")";
}

// The children of one measurement; none of them outlives it.
class Children {
public:
    Children() = default;
    Children(const Children&) = delete;
    Children& operator=(const Children&) = delete;
    ~Children() {
        end_all();
        for (Child& child : list_) {
            if (child.pidfd >= 0) close(child.pidfd);
        }
    }

    void start(Session* session, const Case& c, const Role& role, Board& board, bool first) {
        std::fflush(nullptr);
        const pid_t parent = getpid();
        const pid_t pid = fork();
        if (pid == 0 && first) go_first();
        if (pid == 0) child_main(session, c, role, board, parent);
        if (pid < 0) throw Unavailable{"fork failed"};
        const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
        list_.push_back({role, pid, pidfd});
    }

    // True when every child but the busy loops has exited well. Sleeps in the kernel, so that
    // watching costs the children nothing.
    [[nodiscard]] bool await_exits(std::uint64_t until_ns) {
        for (;;) {
            std::vector<pollfd> waits;
            for (const Child& child : list_) {
                if (!child.gone && child.role.part != Part::busy) {
                    waits.push_back({child.pidfd, POLLIN, 0});
                }
            }
            if (waits.empty()) return true;
            const std::uint64_t now = monotonic_ns();
            if (now >= until_ns) return false;
            poll(waits.data(), waits.size(), static_cast<int>((until_ns - now) / 1'000'000 + 1));
            reap();
            if (failed() != nullptr) return false;
        }
    }

    void reap() {
        for (Child& child : list_) {
            if (child.gone || waitpid(child.pid, &child.status, WNOHANG) != child.pid) continue;
            child.gone = true;
        }
    }

    [[nodiscard]] const Child* failed() const noexcept {
        const auto bad = [](const Child& child) { return child.gone && child.status != 0; };
        const auto found = std::ranges::find_if(list_, bad);
        return found == list_.end() ? nullptr : &*found;
    }

    [[nodiscard]] std::string still_running(const Case& c, const Board& board) const {
        std::string text;
        for (const Child& child : list_) {
            if (child.gone || child.role.part == Part::busy) continue;
            text += (text.empty() ? "" : ", ") + state_of(child, c, board);
        }
        return text;
    }

    void end_all() noexcept {
        for (Child& child : list_) {
            if (child.gone) continue;
            kill(child.pid, SIGKILL);
            waitpid(child.pid, &child.status, 0);
            child.gone = true;
            child.status = 0;
        }
    }

private:
    std::vector<Child> list_;
};

std::string death_of(const Child& child, const Board& board) {
    const std::string who =
        std::string{name(child.role.part)} + " " + std::to_string(child.role.index);
    if (WIFSIGNALED(child.status)) {
        return who + " died of signal " + std::to_string(WTERMSIG(child.status));
    }
    const char* text = board.roles[child.role.board].error.data();
    return who + " failed: " +
           (*text != 0 ? std::string{text} : "status " + std::to_string(WEXITSTATUS(child.status)));
}

std::string hang_of(const Children& children, const Case& c, const Board& board) {
    std::string text = "hung, was killed: " + children.still_running(c, board);
    if (!c.is_flow() || board.ended.load() != 0) return text;
    std::uint64_t sent = 0;
    for (unsigned i = 0; i < c.senders(); ++i) sent += board.roles[i].messages.load();
    return text + "; " + std::to_string(sent) + " sent, " +
           std::to_string(received_so_far(c, board)) + " received";
}

std::string wrong_payloads(const Case& c, const std::vector<Role>& roles, const Board& board) {
    std::uint64_t wrong = 0;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    for (const Role& role : roles) {
        const RoleBoard& said = board.roles[role.board];
        wrong += said.wrong;
        if (role.part == Part::sender) sent += said.sum;
        if (role.part == Part::receiver) received += said.sum;
    }
    if (wrong != 0) return std::to_string(wrong) + " messages arrived wrong";
    if (c.is_flow() && sent * c.copies() != received)
        return "the sum of what arrived is not what was sent";
    return "";
}

Sample collect(const Case& c, const std::vector<Role>& roles, const Board& board, double seconds) {
    Sample sample;
    sample.failure = wrong_payloads(c, roles, board);
    Histogram all;
    const double ticks_us = ticks_per_ns() * 1000;
    const double step = ticks_step();
    for (const Role& role : roles) {
        const RoleBoard& said = board.roles[role.board];
        sample.disturbed = std::max(sample.disturbed, static_cast<double>(said.waited_ns) * 1e-9);
        if (role.part != Part::client && role.part != Part::receiver) continue;
        all.merge(said.latency);
        if (said.measured_ticks == 0) continue;
        sample.rate += static_cast<double>(said.measured) * ticks_us * 1e6 /
                       (static_cast<double>(said.measured_ticks) * c.copies());
    }
    sample.disturbed /= seconds;
    sample.p50_us = all.percentile(0.5, step) / ticks_us;
    sample.p99_us = all.percentile(0.99, step) / ticks_us;
    sample.p999_us = all.percentile(0.999, step) / ticks_us;
    sample.max_us = static_cast<double>(all.max()) / ticks_us;
    return sample;
}

[[nodiscard]] bool await_ready(const std::vector<Role>& roles, const Board& board,
                               Children& children, double patience) {
    const std::uint64_t until = monotonic_ns() + static_cast<std::uint64_t>(patience * 1e9);
    for (;;) {
        const auto ready = [&](const Role& role) {
            return board.roles[role.board].ready.load() != 0;
        };
        if (std::ranges::all_of(roles, ready)) return true;
        children.reap();
        if (children.failed() != nullptr || monotonic_ns() >= until) return false;
        sleep_us(100);
    }
}

void give_start(Board& board, const Timing& timing) {
    const double rate = ticks_per_ns() * 1e9;
    const std::uint64_t now = ticks();
    board.from = now + static_cast<std::uint64_t>(rate * (0.001 + timing.seconds * 0.1));
    board.until = board.from + static_cast<std::uint64_t>(rate * timing.seconds);
    board.go.store(1, kRelease);
}

std::vector<std::unique_ptr<Session>> make_sessions(const Subject& subject, const Case& c) {
    static unsigned made = 0;
    std::vector<std::unique_ptr<Session>> sessions;
    for (unsigned pair = 0; pair < c.pairs(); ++pair) {
        Case own = c;
        own.id = "stoa-bench-" + std::to_string(getpid()) + "-" + std::to_string(++made);
        sessions.push_back(subject.make(own));
    }
    return sessions;
}

}  // namespace

std::uint64_t waited_for_cpu_ns() noexcept {
    unsigned long long ran = 0;
    unsigned long long waited = 0;
    std::FILE* file = std::fopen("/proc/thread-self/schedstat", "re");
    if (file == nullptr) return 0;
    const int read = std::fscanf(file, "%llu %llu", &ran, &waited);
    std::fclose(file);
    return read == 2 ? waited : 0;
}

void await_start(const Role& role, Board& board) {
    pin_to(role.cpu);
    board.roles[role.board].doing.store(Doing::awaits_start, kRelaxed);
    board.roles[role.board].ready.store(1, kRelease);
    while (board.go.load(kAcquire) == 0) sleep_us(50);
    board.roles[role.board].doing.store(Doing::works, kRelaxed);
}

Sample measure(const Subject& subject, const Case& c, const std::vector<int>& cpus,
               const Timing& timing) {
    const double calibrated = ticks_per_ns();  // before the fork
    static_cast<void>(calibrated);
    const std::vector<Role> roles = place(c, cpus);
    const Shared<Board> board;
    auto sessions = make_sessions(subject, c);
    Children children;
    for (const Role& role : roles) {
        const bool in_pair = role.part == Part::client || role.part == Part::server;
        children.start(sessions[in_pair ? role.index : 0].get(), c, role, *board,
                       timing.first && may_go_first(c));
    }
    Sample failed;
    bool fine = await_ready(roles, *board, children, timing.patience);
    if (fine) {
        give_start(*board, timing);
        const double limit = timing.seconds * 1.1 + timing.patience;
        fine = children.await_exits(monotonic_ns() + static_cast<std::uint64_t>(limit * 1e9));
    }
    if (!fine) {
        const Child* bad = children.failed();
        failed.failure = bad != nullptr ? death_of(*bad, *board) : hang_of(children, c, *board);
        return failed;
    }
    board->closed.store(1, kRelease);
    return collect(c, roles, *board, timing.seconds * 1.1);
}

}  // namespace stoa::bench
