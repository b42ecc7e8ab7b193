// Who holds which lock of a region, who waits for it since when, and who wait for each other.
//
// Start here: lock_table(participants, memory).
// Threads:    safe.
// Processes:  reads what the participants of the region wrote; changes nothing.
// Death:      holders that are gone are told as such; the waits of the dead are left out.
// Blocking:   never; a probe for each participant.
// Lifetime:   values.
// Units:      steady clock in nanoseconds; offsets from the start of the memory.
// Source:     Coffman, Elphick, Shoshani 1971 for cycles; Chandy, Misra, Haas 1983 for waits that
//             any one of several can end.
//
// It is a picture for people: while it is taken the locks are locked and unlocked. Of a process one
// wait is known, so a cycle is a deadlock if its processes wait with the thread that would unlock.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stoa/life/participants.hpp"
#include "stoa/sync/lock_wait.hpp"

namespace stoa {

struct LockUser {
    std::uint32_t index = 0;  // its place
    std::uint32_t pid = 0;
    std::string name{};
    std::uint64_t since_ns = 0;      // of a waiter: since when it waits; of a lock's only holder:
                                     // since when at the latest it holds it; 0: not known
    LockKind kind = LockKind::none;  // of a waiter: what it waits for
    bool is_gone = false;            // of a holder: it is dead, or left; who waits will inherit
};

struct LockState {
    std::uint64_t offset = 0;
    LockShape lock{};
    std::uint64_t held_since_ns = 0;  // as the one tells who saw its holder first
    std::vector<LockUser> holders{};
    std::vector<LockUser> waiters{};  // the longest first
};

struct LockTable {
    std::vector<LockState> locks{};               // that somebody waits for
    std::vector<std::vector<LockUser>> cycles{};  // each waits for the next, the last for the first
};

[[nodiscard]] LockTable lock_table(const Participants& participants,
                                   std::span<const std::byte> memory);

// Who holds the lock at that offset. Empty also where no such lock can be.
[[nodiscard]] std::vector<LockUser> holders_of_lock(const Participants& participants,
                                                    std::span<const std::byte> memory,
                                                    std::uint64_t offset, LockShape lock);

}  // namespace stoa
