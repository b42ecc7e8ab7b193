// Puts the results into the order of the input, each exactly once, and writes them out.
//
// Start here: Collector::take() for each message of the result mailbox.
// Threads:    one.
// Processes:  the head.
// Death:      parts of an attempt whose worker died are dropped when the next attempt begins; a
//             result that comes twice is dropped the second time.
// Blocking:   while the reader of standard output does not take what is written.
// Lifetime:   borrows window, board and figures.
// Units:      bytes, tasks from 0.
// Source:     README.md of this folder: why each result is written exactly once.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "cli/farm/board.hpp"
#include "cli/farm/held_result.hpp"
#include "cli/farm/messages.hpp"
#include "cli/farm/options.hpp"
#include "cli/farm/window.hpp"
#include "cli/output.hpp"

namespace stoa::cli::farm {

class Collector {
public:
    struct Surroundings {
        Window& window;
        Board& board;
        Figures& figures;
        const sys::Fd& spool;
        std::function<void(const std::string&)> say;  // a sentence for the user
    };

    Collector(const Surroundings& around, Output output, std::uint64_t window_tasks)
        : around_{around}, output_{std::move(output)}, slots_(window_tasks) {}

    // True: everything is written. An Exit other than done: it cannot go on.
    struct Taken {
        bool finished = false;
        Exit exit = Exit::done;
    };
    [[nodiscard]] Taken take(Bytes message);
    // Writes what is pending; call it when no message is waiting.
    [[nodiscard]] Exit flush();

private:
    struct Slot {
        std::uint64_t attempt = 0;
        std::uint32_t parts = 0;
        bool complete = false;
        PartHeader end{};            // when complete
        std::uint32_t failures = 0;  // when complete
        HeldResult held;
    };

    [[nodiscard]] Slot& slot(std::uint64_t task) { return slots_[task % slots_.size()]; }
    [[nodiscard]] Exit take_part(const PartHeader& part, Bytes bytes);
    [[nodiscard]] Exit write(Bytes bytes);
    [[nodiscard]] Exit write_complete();
    [[nodiscard]] Exit write_held(const HeldResult& held);
    void leave(const Slot& done);

    Surroundings around_;
    Output output_;
    std::vector<Slot> slots_;
    HeldBudget budget_;
    std::uint64_t next_ = 0;  // the oldest task that is not written
    std::optional<std::uint64_t> total_;
};

}  // namespace stoa::cli::farm
