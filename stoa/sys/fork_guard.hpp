// Knows in one load whether this process is still the one that made a handle.
//
// Start here: own_generation() when a handle is made, current_generation() at each use.
// Threads:    safe.
// Processes:  the kernel zeroes the word in every fork child, whichever way it was forked (no
//             handler runs, none can be forgotten). A vfork child shares its parent's memory and
//             is not told apart: it may only exec.
// Death:      not applicable.
// Blocking:   never; signal-safe.
// Lifetime:   the process.
// Units:      generations: 0 in a fresh child; else larger than in every ancestor.
// Source:     madvise(2), MADV_WIPEONFORK.
#pragma once

#include <cstddef>
#include <cstdint>

#include "stoa/base/atomic.hpp"

namespace stoa::sys {

namespace detail {

// What a process knows about itself and a forked child must find out anew. It fills pages of its
// own, for all common page sizes.
inline constexpr std::size_t kWipedBytes = std::size_t{64} << 10;
struct alignas(kWipedBytes) WipedOnFork {
    Atomic<std::uint64_t> generation;
    Atomic<std::uint32_t> barrier_registered;  // membarrier.cpp
    Atomic<std::uint32_t> self_known;          // process.cpp: 1 when the words below are set
    Atomic<std::uint64_t> self_words[5];       // process.cpp: an Identity
    Atomic<std::uint64_t> self_proof;          // process.cpp: how deaths are proven here
    Atomic<std::uint64_t> memberships;         // life/membership.cpp: grows with each change
};
static_assert(sizeof(WipedOnFork) == kWipedBytes);
extern constinit WipedOnFork g_wiped_on_fork;

}  // namespace detail

// 0 in a fork child until own_generation() is called there: never equal to an inherited one.
[[nodiscard]] inline std::uint64_t current_generation() noexcept {
    // relaxed: the word says who we are, it publishes nothing.
    return detail::g_wiped_on_fork.generation.load(kRelaxed);
}

// This process's generation, never 0, from now on also current_generation().
[[nodiscard]] std::uint64_t own_generation() noexcept;

}  // namespace stoa::sys
