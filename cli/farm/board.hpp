// What all processes of a farm know about the tasks in the window: one word each, in shared memory.
//
// The word {task, failures} of a task lies in row task % rows; the head writes it before it sends
// the task, and the window keeps two living tasks out of one row. A word that names another task,
// or says `done`, tells a worker that its task came again although the result had arrived: the
// worker before it died after it had sent that and before it could ack.
#pragma once

#include <cstdint>
#include <span>

#include "cli/farm/options.hpp"
#include "stoa/base/atomic.hpp"
#include "stoa/sys/mapping.hpp"

namespace stoa::cli::farm {

class Board {
public:
    [[nodiscard]] static Result<Board> create(std::uint64_t rows) {
        Result<sys::Mapping> memory = sys::map_anonymous_shared(rows * sizeof(Row));
        if (!memory) return std::unexpected(memory.error());
        return Board{std::move(*memory), rows};
    }

    // The head: before the task is sent, and when its result is complete.
    void open(std::uint64_t task) noexcept { row(task).store(word(task, 0), kSeqCst); }
    // Returns how often COMMAND failed on it.
    std::uint32_t close(std::uint64_t task) noexcept {
        return static_cast<std::uint32_t>(row(task).exchange(word(task, kDone), kSeqCst) & kDone);
    }

    [[nodiscard]] bool wanted(std::uint64_t task) const noexcept {
        const std::uint64_t now = row(task).load(kSeqCst);
        return now >> kBits == task && (now & kDone) != kDone;
    }
    // The worker that has the task: COMMAND failed once more. How often by now; one store decides,
    // so a worker that dies before it has counted nothing.
    std::uint32_t count_failure(std::uint64_t task) noexcept {
        std::uint64_t now = row(task).load(kSeqCst);
        while (now >> kBits == task && (now & kDone) < kDone - 1) {
            if (row(task).compare_exchange_weak(now, now + 1, kSeqCst)) {
                return static_cast<std::uint32_t>((now & kDone) + 1);
            }
        }
        return static_cast<std::uint32_t>(now & kDone);
    }

private:
    using Row = Atomic<std::uint64_t>;
    static constexpr unsigned kBits = 16;
    static constexpr std::uint64_t kDone = 0xffff;
    static_assert(kMaxRetries < kDone - 1);

    Board(sys::Mapping memory, std::uint64_t rows) : memory_{std::move(memory)}, rows_{rows} {}
    [[nodiscard]] static std::uint64_t word(std::uint64_t task, std::uint64_t count) noexcept {
        return task << kBits | count;
    }
    [[nodiscard]] Row& row(std::uint64_t task) const noexcept {
        return *(reinterpret_cast<Row*>(memory_.bytes().data()) + task % rows_);
    }

    sys::Mapping memory_;  // zeroed: row 0 names task 0, which the head opens first
    std::uint64_t rows_;
};

}  // namespace stoa::cli::farm
