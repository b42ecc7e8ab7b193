// One run of COMMAND: the task goes into its stdin while its stdout is read.
//
// Start here: CommandRun{host, input}, read() until 0, then finish().
// Threads:    one, and the process must have only that one: COMMAND dies with the thread that
//             started it.
// Processes:  starts one; its stderr is ours.
// Death:      COMMAND is killed by the kernel when its worker dies (PR_SET_PDEATHSIG; it does not
//             bind set-user-id programs). It leads a process group, so that the head can kill what
//             it started as well (groups.hpp); when the head is killed too, that goes on.
// Blocking:   read() until there is output or its end; finish() until COMMAND ended.
// Lifetime:   the destructor kills and reaps a COMMAND that was not finished.
// Units:      bytes.
// Source:     vfork(2), prctl(2), poll(2), sendfile(2).
#pragma once

#include <csignal>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cli/farm/groups.hpp"
#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"
#include "stoa/sys/mapping.hpp"

namespace stoa::cli::farm {

// What is executed, made once: nothing may allocate between fork and exec.
class Program {
public:
    // Looks `words[0]` up in PATH as a shell would. Errors: not_found, denied
    [[nodiscard]] static Result<Program> find(std::vector<std::string> words);

    [[nodiscard]] const char* path() const noexcept { return path_.c_str(); }
    [[nodiscard]] char* const* arguments() const noexcept { return pointers_.data(); }

private:
    Program(std::string path, std::vector<std::string> words);

    std::string path_;
    std::vector<std::string> words_;
    std::vector<char*> pointers_;
};

// Where a task's bytes lie.
struct Input {
    std::span<const std::byte> memory{};  // these, else
    const sys::Fd* file = nullptr;        // this part of a file
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;  // still to be fed, wherever they lie
};

struct Ended {
    int status = 0;       // of waitpid
    int start_errno = 0;  // not 0: it could not be started, `status` means nothing
    [[nodiscard]] bool ok() const noexcept { return status == 0 && start_errno == 0; }
};

// The worker that runs it, as far as COMMAND is concerned.
struct Host {
    const Program& program;
    const sigset_t& mask;      // of signals, for COMMAND
    const sys::Mapping& note;  // shared: where the child leaves the reason when it cannot start
    Groups& groups;
    std::uint32_t place;
    std::uint32_t serial;
};

class CommandRun {
public:
    // A failure to start is told by finish().
    CommandRun(const Host& host, const Input& input);
    CommandRun(const CommandRun&) = delete;
    CommandRun& operator=(const CommandRun&) = delete;
    ~CommandRun();

    // Output; 0: all of it was read. Errors: os
    [[nodiscard]] Result<std::size_t> read(std::span<std::byte> room);
    // After read() said 0: feeds what is left for who still reads, and waits for the end.
    [[nodiscard]] Result<Ended> finish();

private:
    [[nodiscard]] int start();
    [[nodiscard]] int& note() const noexcept;
    [[nodiscard]] bool feeding() const noexcept { return to_.valid(); }
    void feed() noexcept;
    void reap() noexcept;

    const Host& host_;
    Input input_;
    sys::Fd to_;    // its stdin; not valid: all was fed, or it reads no more
    sys::Fd from_;  // its stdout
    pid_t pid_ = -1;
    Ended ended_{};
};

}  // namespace stoa::cli::farm
