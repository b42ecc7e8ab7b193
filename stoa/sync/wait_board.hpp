// Wait board: how whoever wakes others in a region also tells the wait sets that watch it.
//
// Start here: WaitBoard for the set; ring_watchers() for whoever changed something,
//             ring_for_newcomer() for whoever joins.
// Threads:    a board serves one thread; any number ring it.
// Processes:  ringers open board and bell of another process by /proc/PID/fd/N, once, and keep the
//             two in a cache of their process: of 64 boards. Where that cannot be (another user,
//             another pid namespace, no descriptor left) nothing is rung: a set's tick finds it.
// Death:      of a ringer at any instruction: what it was to tell is found by the next one who
//             rings that slot, or by the set's tick; no other slot's ring is lost. Of the owner:
//             nothing is left, ringers drop what they have of it.
// Blocking:   never.
// Lifetime:   the board is gone with its set; nothing on disk names it.
// Units:      slots.
// Source:     the sleep bit of Drepper 2011 with an epoch in its place; see the order below.
//
// Order (seq_cst: each side writes one word, then reads the other's):
//   set     B1 sleeping = odd               B2 look at the summary      B3 wait for the pipe
//   ringer  A1 slot's bit, summary's bit    A2 read sleeping: odd       A3 a byte into the pipe
//           A4 CAS sleeping one up, so that further ringers write nothing
// If A2 finds it even, B1 comes later, so B2 sees A1. A ringer that stands still before A4 leaves
// it odd: the others write their byte. One that goes on late writes a byte too many.
#pragma once

#include <bit>
#include <cstdint>

#include "stoa/base/error.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/sync/wait_board_layout.hpp"
#include "stoa/sys/close_on_fork.hpp"
#include "stoa/sys/fork_guard.hpp"
#include "stoa/sys/mapping.hpp"

namespace stoa {

class WaitBoard {
public:
    // `bell`: a bell pipe, which must outlive it. Takes one descriptor. Errors: limit_reached
    [[nodiscard]] static Result<WaitBoard> create(const sys::Fd& bell);
    WaitBoard(WaitBoard&&) noexcept = default;
    WaitBoard& operator=(WaitBoard&&) = delete;
    ~WaitBoard();

    // What a participant's record says for it to be told in `slot`.
    [[nodiscard]] WatchWord word(std::uint32_t slot) const noexcept {
        return {.slot = slot,
                .board = static_cast<std::uint32_t>(memory_.fd().get()),
                .turn = layout_->turn};
    }
    // B1. From now on ringers write into the bell.
    void sleep() noexcept;
    // No more. They may be about to.
    void wake() noexcept;
    // B2. Of the first `slots`, rounded up to 2048.
    [[nodiscard]] bool anything_rung(std::size_t slots) const noexcept {
        for (std::size_t s = 0; s * 4096 < 2 * slots; ++s) {
            if (layout_->summary[s].load(kSeqCst) != 0) return true;
        }
        return false;
    }
    // Calls visit(slot, came) for each that was rung since it was asked last; came: somebody
    // takes part there who did not, else something changed.
    template <typename Visit>
    void take_rung(std::size_t slots, Visit&& visit) {
        for (std::uint32_t s = 0; std::size_t{s} * 4096 < 2 * slots; ++s) {
            if (layout_->summary[s].load(kRelaxed) == 0) continue;
            for (auto words = layout_->summary[s].exchange(0, kSeqCst); words != 0;
                 words &= words - 1) {
                const std::uint32_t w =
                    s * 64 + static_cast<std::uint32_t>(std::countr_zero(words));
                for (auto bits = layout_->slots[w].exchange(0, kSeqCst); bits != 0;
                     bits &= bits - 1) {
                    const auto bit = w * 64 + static_cast<std::uint32_t>(std::countr_zero(bits));
                    visit(bit / 2, bit % 2 != 0);
                }
            }
        }
    }

private:
    WaitBoard() = default;
    // A forked child has no part in its parent's.
    [[nodiscard]] bool is_own() const noexcept { return sys::current_generation() == generation_; }

    sys::ForkFd memory_;
    sys::Mapping mapping_;
    WaitBoardLayout* layout_ = nullptr;
    std::uint64_t generation_ = 0;
};

// Tells every set that watches the region in which `word` lies; no system call where nobody does,
// and none to a set that is awake. After what changed was written by a seq_cst write, or with the
// barrier that the sleepers of `word` rely on.
void ring_watchers(const void* word) noexcept;

// Tells every set of other processes that watches this region that the caller has joined it: after
// its record is LIVE, before it writes anything else there. Two more words and two more sides:
//   newcomer  record LIVE               read the flag, then the watch words
//   set       flag, then watch word     read the records
// One of the two sees the other (all seq_cst). A newcomer that dies or stops before it has rung has
// done nothing there that anybody could wait for.
void ring_for_newcomer(const Participants& participants) noexcept;

}  // namespace stoa
