// Child processes of a test: started by fork, watched, never left behind.
//
// Start here: fork_and_run() for a child that ends by itself; Child for one to stop, kill or await.
// Threads:    a Child belongs to one thread; the process dies with the thread that started it.
// Processes:  the child shares the memory that the test mapped shared, and nothing else.
// Death:      the destructor kills and reaps; the kernel kills the child when the test dies.
// Blocking:   wait() blocks until the child ends; the watchdog kills a hung one and fails the test.
// Lifetime:   the body runs in the child and returns there; it may capture by reference.
// Units:      watchdogs in milliseconds; they are alarms, never part of what is tested.
// Source:     fork(2), pidfd_open(2), prctl(2) PR_SET_PDEATHSIG.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>

namespace stoa::kit {

inline constexpr std::chrono::milliseconds kWatchdog{30'000};

struct Ending {
    bool exited = false;  // returned or called exit; else a signal ended it
    int status = -1;      // the exit status, when exited; 1 when an EXPECT failed in the child
    int signal = 0;       // the signal that ended it, when not exited
    bool hung = false;    // the watchdog killed it (the test has failed already)

    [[nodiscard]] bool ok() const noexcept { return exited && status == 0; }
};

class Child {
public:
    explicit Child(const std::function<void()>& body);
    Child(Child&& other) noexcept;
    Child& operator=(Child&&) = delete;
    ~Child();

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    // Stops it as SIGSTOP does, and returns when it stands still.
    void stop() const;
    void resume() const;
    // Returns when the child has stopped itself; false when it ended or hung instead.
    [[nodiscard]] bool wait_stopped(std::chrono::milliseconds watchdog = kWatchdog) const;
    void send_signal(int signal) const;
    // SIGKILL; it is a zombie when this returns, until wait() reaps it.
    void kill() const;
    // Reaps it. Call once.
    Ending wait(std::chrono::milliseconds watchdog = kWatchdog);
    // SIGKILL, then reap.
    Ending kill_and_wait();

private:
    pid_t pid_ = -1;  // -1: reaped or moved from
};

Ending fork_and_run(const std::function<void()>& body,
                    std::chrono::milliseconds watchdog = kWatchdog);

}  // namespace stoa::kit
