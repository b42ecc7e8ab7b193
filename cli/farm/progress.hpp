// The line on a terminal that shows how far a farm is, and sentences that do not mix with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "cli/farm/options.hpp"

namespace stoa::cli::farm {

class Progress {
public:
    // Shows nothing unless stderr is a terminal.
    Progress(const Figures& figures, bool quiet);

    [[nodiscard]] bool shows() const noexcept { return shows_; }
    void draw(std::uint64_t redelivered);
    // Takes the line away, until it is drawn again.
    void hide();
    // A complaint, alone on its line.
    void say(const std::string& text);
    [[nodiscard]] double seconds() const;

private:
    [[nodiscard]] std::string line(std::uint64_t redelivered) const;
    void hide_locked();

    const Figures& figures_;
    bool shows_;
    std::optional<std::uint64_t> input_bytes_;  // when stdin is a file
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    std::mutex mutex_;
    bool drawn_ = false;
};

}  // namespace stoa::cli::farm
