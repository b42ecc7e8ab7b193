// The workers of a farm, kept at their number.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "stoa/base/error.hpp"

namespace stoa::cli::farm {

class Crew {
public:
    // `body` is what a worker does; it gets a serial number and does not return.
    Crew(std::uint32_t size, std::function<void(std::uint32_t serial)> body)
        : size_{size}, body_{std::move(body)} {}
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;
    ~Crew() { dismiss(); }

    // Starts those that are missing. Errors: limit_reached, os; those that were
    // started stay.
    [[nodiscard]] Result<void> fill();
    // Reaps the dead. False: one ended by itself, having said why; the farm
    // cannot work.
    [[nodiscard]] bool reap();
    // SIGKILL: a worker holds nothing that its death does not give back.
    void dismiss() noexcept;

    [[nodiscard]] bool complete() const noexcept { return living_.size() == size_; }
    [[nodiscard]] bool empty() const noexcept { return living_.empty(); }
    [[nodiscard]] const std::vector<pid_t>& started() const noexcept { return started_; }
    [[nodiscard]] const std::vector<pid_t>& killed() const noexcept { return killed_; }

private:
    std::uint32_t size_;
    std::function<void(std::uint32_t)> body_;
    std::vector<pid_t> living_;
    std::vector<pid_t> started_;  // all that ever were
    std::vector<pid_t> killed_;   // by a signal that was not ours
};

}  // namespace stoa::cli::farm
