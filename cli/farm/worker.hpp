// A worker of a farm: takes a task, runs COMMAND on it, sends back what it prints.
#pragma once

#include <cstdint>

#include "cli/farm/board.hpp"
#include "cli/farm/command_run.hpp"

namespace stoa::cli::farm {

struct WorkerOrders {
    const sys::Fd& tasks;  // the mailboxes
    const sys::Fd& results;
    const sys::Fd& spool;
    const Program& program;
    Board& board;
    Groups& groups;
    sigset_t mask;          // of COMMAND: the one our user started us with
    std::uint32_t place;    // in the crew
    std::uint32_t serial;   // of this worker, never the same for two
    std::uint32_t retries;  // of a COMMAND that fails
    std::uint32_t deaths;   // with one task, until it is given up; 0: never
    pid_t head;
};

// In a fresh child of the head; it ends by being killed, or when it cannot work.
[[noreturn]] void work(const WorkerOrders& orders) noexcept;

}  // namespace stoa::cli::farm
