// The workers of a farm, kept at their number.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "cli/farm/groups.hpp"
#include "stoa/base/error.hpp"

namespace stoa::cli::farm {

class Crew {
public:
    // `body` is what a worker does; it gets its place and a serial number and does not return. What
    // a dead worker's COMMAND started falls to this process, which reaps it.
    using Body = std::function<void(std::uint32_t place, std::uint32_t serial)>;
    Crew(std::uint32_t size, Groups& groups, Body body);
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;
    ~Crew() { dismiss(); }

    // Starts those that are missing. Errors: limit_reached, os; those that were started stay.
    [[nodiscard]] Result<void> fill();
    // Reaps the dead. False: one ended by itself, having said why; the farm cannot work.
    [[nodiscard]] bool reap();
    // SIGKILL: a worker holds nothing that its death does not give back.
    void dismiss() noexcept;

    [[nodiscard]] bool complete() const noexcept;
    [[nodiscard]] bool empty() const noexcept;
    [[nodiscard]] const std::vector<pid_t>& started() const noexcept { return started_; }
    [[nodiscard]] const std::vector<pid_t>& killed() const noexcept { return killed_; }

private:
    [[nodiscard]] Result<void> start(std::uint32_t place);

    Groups& groups_;
    Body body_;
    std::vector<pid_t> living_;   // by place; 0: nobody
    std::vector<pid_t> started_;  // all that ever were
    std::vector<pid_t> killed_;   // by a signal that was not ours
};

}  // namespace stoa::cli::farm
