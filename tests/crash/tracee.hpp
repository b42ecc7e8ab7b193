// A process that is run one instruction at a time, up to any instruction of its operation.
//
// Start here: Tracee::start, then step() or run_to(); then kill() or finish().
// Threads:    the thread that started it; ptrace knows no other.
// Processes:  the tracee has the code and addresses of the engine, which forked it.
// Death:      it dies with the engine.
// Blocking:   every wait ends at the watchdog, with Stop::hung.
// Lifetime:   the destructor kills and reaps.
// Units:      instructions; an iteration of a rep prefix counts as one.
// Source:     ptrace(2); int3 breakpoints as in every debugger.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace stoa::crash {

enum class Stop : std::uint8_t {
    stepped,   // stands before another instruction
    finished,  // the operation is complete; end() and exit are still to come
    asleep,    // it sleeps in the kernel
    crashed,   // a signal that the operation brought upon itself
    ended,     // the process is gone
    hung,      // the watchdog passed
};

struct Work {
    std::function<void()> begin;      // not traced
    std::function<void()> operation;  // traced
    std::function<void()> end;        // not traced
    bool sleeps = false;              // look for sleep in the kernel (slower)
    std::function<void()> wake;       // ends a sleep; called again while the sleep goes on
};

// The cheapest way to each instruction of a recorded run: a breakpoint at an earlier instruction
// that is passed few times, then single steps.
class Route {
public:
    explicit Route(std::span<const std::uintptr_t> addresses);

    struct Leg {
        std::uintptr_t breakpoint = 0;  // 0: none
        std::uint32_t hits = 0;         // how often it is passed before it counts
        std::uint32_t steps = 0;        // single steps from there
    };
    [[nodiscard]] Leg to(std::uint32_t instruction) const;

private:
    std::span<const std::uintptr_t> addresses_;
    std::vector<std::uint32_t> hits_;    // of addresses_[i] up to and with i
    std::vector<std::uint32_t> anchor_;  // best breakpoint for i
};

class Tracee {
public:
    // Forks, runs begin(), and stops before the operation. Stop::ended: begin() did not return.
    static Tracee start(const Work& work, std::chrono::milliseconds watchdog);
    Tracee(Tracee&& other) noexcept;
    Tracee& operator=(Tracee&&) = delete;
    ~Tracee();

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    [[nodiscard]] Stop stop() const noexcept { return stop_; }
    [[nodiscard]] std::uintptr_t address() const;
    [[nodiscard]] user_regs_struct registers() const;
    // "signal 11" and the like, for crashed and ended.
    [[nodiscard]] std::string how() const;

    // Executes one instruction.
    Stop step();
    // Wakes a tracee that is asleep, until it has finished its instruction.
    Stop wake_up();
    // Goes on until before `instruction`, counted from the start of the operation.
    Stop run_to(const Route& route, std::uint32_t instruction);
    // Runs on to the end of the operation.
    Stop run_to_end();

    // SIGKILL; a zombie is left until reap().
    void kill();
    void reap();
    // Lets it run end() and exit. Stop::ended with how() empty when it exited with 0.
    Stop finish();

private:
    Tracee() = default;
    Stop resume(int request);
    Stop wait();
    Stop wait_for_sleep();
    Stop note(int status);
    Stop pass_breakpoint(std::uintptr_t at, std::uint32_t hits);
    [[nodiscard]] bool out_of_time() const;

    const Work* work_ = nullptr;
    pid_t pid_ = -1;
    int status_ = 0;
    Stop stop_ = Stop::stepped;
    std::chrono::steady_clock::time_point alarm_;
};

// Makes blocking waits look at their watchdog now and then; call once in the engine.
void start_watchdog_ticks();

}  // namespace stoa::crash
