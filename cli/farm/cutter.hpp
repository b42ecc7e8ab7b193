// Cuts a stream at its line ends into tasks, piece by piece, with one buffer however long it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "stoa/base/error.hpp"

namespace stoa::cli::farm {

struct CutRules {
    std::uint64_t block_bytes = 64 * 1024;  // as many whole lines as fit; at least one
    std::uint64_t lines = 0;                // not 0: this many lines in place of a block
};

class Cutter {
public:
    // Most tasks are one piece. One that is bigger than the buffer comes in several.
    struct Piece {
        std::span<const std::byte> bytes;  // until the next call
        bool ends_task = false;
    };

    Cutter(int descriptor, const CutRules& rules);

    // Blocks until there is enough to cut, or the stream ends; nullopt then. Errors: os
    [[nodiscard]] Result<std::optional<Piece>> next();

private:
    [[nodiscard]] Result<std::optional<Piece>> next_block();
    [[nodiscard]] Result<std::optional<Piece>> next_long_line();
    [[nodiscard]] Result<std::optional<Piece>> next_lines();
    // Reads once, behind what is held, which moves to the front when there is no room behind it.
    // Precondition: the buffer is not full.
    [[nodiscard]] Result<void> read_more();
    [[nodiscard]] Piece take(std::size_t bytes, bool ends_task) noexcept;
    [[nodiscard]] std::size_t held() const noexcept { return end_ - begin_; }
    [[nodiscard]] const std::byte* data() const noexcept { return buffer_.get() + begin_; }

    int descriptor_;
    CutRules rules_;
    std::size_t size_;
    std::unique_ptr<std::byte[]> buffer_;  // not touched before it is needed
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t counted_ = 0;       // bytes of what is held in which line ends were counted
    std::uint64_t lines_seen_ = 0;  // of the task that is being cut
    bool inside_task_ = false;      // a piece of it was given out
    bool at_end_ = false;
};

}  // namespace stoa::cli::farm
