// How one message is sent, beside its bytes, and what a full mailbox does.
//
// Start here: SendOptions{.priority = 3}; Overflow is chosen when a mailbox is created.
// Threads:    values.
// Processes:  the numbers of Overflow are part of the format.
// Death:      nothing here outlives a call.
// Blocking:   never.
// Lifetime:   values.
// Units:      times on the steady clock, from the moment of the send.
// Source:     priorities as in mq_overview(7): the highest first.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>

#include "stoa/base/error.hpp"

namespace stoa {

// What a full mailbox does to a send. The numbers are part of the format.
enum class Overflow : std::uint32_t {
    block = 0,        // the send waits
    reject = 1,       // it says `full` at once
    drop_oldest = 2,  // the oldest message of the lowest priority makes room, and is counted
    drop_newest = 3,  // the new message is not sent, and counted; the send says ok
};

struct SendOptions {
    std::uint32_t priority = 0;                // below the mailbox's priorities; higher goes first
    std::chrono::nanoseconds time_to_live{0};  // not delivered after that; 0: the mailbox's own
    std::uint64_t key = 0;  // Sharing::key_affine: equal keys, one receiver; refused elsewhere

    // Nothing is asked for but order: a lane can do it.
    [[nodiscard]] constexpr bool fits_lane() const noexcept {
        return priority == 0 && time_to_live.count() == 0;
    }
    [[nodiscard]] constexpr bool is_plain() const noexcept { return fits_lane() && key == 0; }
};

// Of a mailbox with so many priorities.
[[nodiscard]] inline std::unexpected<Error> no_such_priority(std::uint32_t priorities) noexcept {
    return fail(Errc::bad_argument, step_text("priority (it has 0 to %u)", priorities - 1));
}

}  // namespace stoa
