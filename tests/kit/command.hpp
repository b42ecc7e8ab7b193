// Runs a program as its users do: arguments, standard input, what it printed, how it ended.
//
// Start here: run({"/path/to/program", "argument"}, {.input = "text"}); Command to talk meanwhile.
// Threads:    a Command belongs to one thread.
// Processes:  the program is a child; its input and output are files, so nobody waits for a reader.
// Death:      as Child: killed and reaped by the destructor, killed by the kernel with the test.
// Blocking:   wait() until it ends; the watchdog kills a hung one and fails the test.
// Lifetime:   output can be read while it runs and after it ended.
// Units:      none.
// Source:     memfd_create(2), execv(3).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/kit/process.hpp"

namespace stoa::kit {

// Where an unprivileged user may run `program`: for root, whose folders others cannot enter, a copy
// below the folder for temporary files, which ends with this process; else where it is.
[[nodiscard]] const std::string& reachable(const std::string& program);

struct CommandSetup {
    std::string input{};  // of its standard input
    // Runs in the child just before the program starts: close or replace descriptors, set limits,
    // become another user.
    std::function<void()> in_child{};
};

struct Finished {
    int status = -1;  // the exit status; -1: a signal ended it
    int signal = 0;
    std::string out;
    std::string err;
};

// A file in memory that vanishes with its last descriptor.
class MemoryFile {
public:
    explicit MemoryFile(const std::string& content = {});
    MemoryFile(MemoryFile&& other) noexcept;
    MemoryFile& operator=(MemoryFile&&) = delete;
    ~MemoryFile();

    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
    [[nodiscard]] std::string content() const;

private:
    int descriptor_;
};

class Command {
public:
    explicit Command(std::vector<std::string> arguments, CommandSetup setup = {});

    [[nodiscard]] const Child& child() const noexcept { return child_; }
    [[nodiscard]] std::string out() const { return out_.content(); }
    [[nodiscard]] std::string err() const { return err_.content(); }
    // Reaps it. Call once.
    Finished wait(std::chrono::milliseconds watchdog = kWatchdog);
    Finished kill_and_wait();

private:
    MemoryFile in_;
    MemoryFile out_;
    MemoryFile err_;
    Child child_;
};

Finished run(std::vector<std::string> arguments, CommandSetup setup = {});

// For in_child: give up root; nothing when the test is not root.
inline constexpr unsigned kNobody = 65534;
void become_nobody();

}  // namespace stoa::kit
