// Where the stream of one lane or log ends when its mailbox is closed.
//
// Start here: StreamEnd::is_closed, includes; ends_at.
// Threads:    safe.
// Processes:  the sender of a stream, and who reads it.
// Death:      of either: nothing to repair; a sender that died before it said anything said
//             nothing of its last message.
// Blocking:   never.
// Lifetime:   borrows both words.
// Units:      positions in ring bytes, multiples of 16.
// Source:     own; the two sides meet as Dekker's do, the reader's barrier being for both.
//
// A sender publishes, then looks whether it is closed; a reader sees that it is closed, sends a
// barrier to all publishers, then looks for a last time. So a message that the reader does not see
// has a sender that sees the close. Whoever of the two first says in `place` where the stream ends
// decides whether that message counts: a send says ok and is received, or says closed and is not.
#pragma once

#include <cstdint>

#include "stoa/base/atomic.hpp"
#include "stoa/shm/region_layout.hpp"

namespace stoa {

inline const Atomic<std::uint64_t> kNeverCloses{kRegionLive};

struct StreamEnd {
    const Atomic<std::uint64_t>* state = &kNeverCloses;  // of the region that the stream is part of
    Atomic<std::uint64_t>* place = nullptr;  // in shared memory: position | 1; 0: not said yet

    // After a publish and the fence that the publisher needs, if any.
    [[nodiscard]] bool is_closed() const noexcept { return state->load(kRelaxed) == kRegionClosed; }

    // The sender, who saw that it is closed: whether what it sent, up to `position`, counts.
    [[nodiscard]] bool includes(std::uint64_t position) const noexcept {
        std::uint64_t said = 0;
        return place->compare_exchange_strong(said, position | 1U, kSeqCst) ||
               position <= (said & ~std::uint64_t{1});
    }
    // The reader, who found nothing more at `position`. False: its sender counts on more.
    [[nodiscard]] bool ends_at(std::uint64_t position) const noexcept {
        std::uint64_t said = 0;
        return place->compare_exchange_strong(said, position | 1U, kSeqCst) ||
               position >= (said & ~std::uint64_t{1});
    }
    // Whether somebody said already that nothing behind `position` counts.
    [[nodiscard]] bool is_over(std::uint64_t position) const noexcept {
        const std::uint64_t said = place->load(kSeqCst);
        return said != 0 && position >= (said & ~std::uint64_t{1});
    }
};

}  // namespace stoa
