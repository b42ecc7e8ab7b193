// Turns the input into tasks and sends them to the workers, as far as the window allows.
#pragma once

#include <string>

#include "cli/farm/board.hpp"
#include "cli/farm/cutter.hpp"
#include "cli/farm/options.hpp"
#include "cli/farm/window.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"

namespace stoa::cli::farm {

class Feeder {
public:
    struct Surroundings {
        Window& window;
        Board& board;
        Figures& figures;
        const sys::Fd& spool;
    };

    Feeder(const Surroundings& around, RawMailbox tasks, std::uint64_t inline_bytes)
        : around_{around}, tasks_{std::move(tasks)}, inline_bytes_{inline_bytes} {}

    // Sends everything the cutter gives. Errors: os (reading), out_of_space (the spool), those of
    // sending
    [[nodiscard]] Result<void> feed(Cutter& cutter);
    [[nodiscard]] std::uint64_t tasks() const noexcept { return next_task_; }

private:
    [[nodiscard]] Result<void> send_inline(Bytes bytes);
    [[nodiscard]] Result<void> spool_piece(const Cutter::Piece& piece);
    [[nodiscard]] Result<void> send_spooled();
    void enter(const TaskExtent& extent);

    Surroundings around_;
    RawMailbox tasks_;
    std::uint64_t inline_bytes_;
    std::uint64_t next_task_ = 0;
    std::uint64_t spool_begin_ = 0;  // of the task that is being spooled
    std::uint64_t spool_end_ = 0;
};

}  // namespace stoa::cli::farm
