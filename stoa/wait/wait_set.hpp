// Wait set: one wait for mailboxes, links, locks, descriptors, signals, deaths and timers.
//
// Start here: WaitSet::create(), add(Signal{SIGTERM}, tag), wait().
// Threads:    a set, and the handles whose things are in it, serve one thread at a time.
// Processes:  a set belongs to the process that made it: a forked child's copy says `forked`.
// Death:      of the one who waits: nothing is left behind. Of whoever would have woken it: told by
//             its pidfd, and by looks at states, some 60 to 100 every 100 ms. Who is stopped before
//             he wakes it is found by those alone: among ten thousand things in 10 to 17 s.
// Blocking:   wait until something is ready; try_wait never; wait_for and wait_until until then.
// Lifetime:   what is in a set stays in it until it is removed or closed, or is a timer that has
//             fired once. Descriptors are borrowed, and removed by the user before they are closed.
// Units:      nanoseconds of CLOCK_MONOTONIC.
// Source:     epoll(7); level-triggered: readiness is state, notifications are hints to look at it.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <memory>
#include <span>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/wait/waitable.hpp"

namespace stoa {

// One thing in a set. Never the id of another one before 4095 others had its place.
struct WaitId {
    std::uint32_t value = 0;  // 0: nothing

    friend auto operator<=>(const WaitId&, const WaitId&) = default;
};

struct Ready {
    WaitId id{};
    std::uint64_t tag = 0;     // as it was added
    std::uint32_t events = 0;  // of a descriptor: EPOLLIN, ...
    std::uint64_t count = 0;   // of a timer: how often it fired since it was last reported
    SignalInfo signal{};       // of a signal; each queued one is reported by itself
};

class [[nodiscard]] WaitSet {
public:
    // Needs 3 descriptors, one more while signals are in it, one more with the first thing of
    // shared memory, one for each process that takes part in those (at most 256), and one for each
    // death.
    // Errors: limit_reached: no descriptor is left; not_supported: /proc is not mounted
    [[nodiscard]] static Result<WaitSet> create();
    WaitSet(WaitSet&&) noexcept;
    WaitSet& operator=(WaitSet&&) noexcept;
    ~WaitSet();

    // What is ready already is reported by the next wait. The same descriptor may be added several
    // times. Signals are blocked in the calling thread until the last entry for them leaves.
    // Errors: limit_reached: descriptors, or a million entries; bad_argument: no open descriptor,
    // edge-triggered events, no such signal, a period of 0; forked; in_use: a thing that is in a
    // set already; not_supported: the death of a process out of sight; those of the thing
    Result<WaitId> add(const Waitable& what, std::uint64_t tag = 0);
    // Errors: not_found: it left the set already; forked
    Result<void> remove(WaitId id);

    // What is ready, at least one; valid until the next call. Descriptors: at most 256 at a time,
    // by turns. Keep the result in a variable before you loop over it: to g++ 12 the span in
    // `for (... : set.wait().value())` is a temporary that is gone.
    // Errors: timed_out; try_wait: empty; forked; bad_argument: the set is empty, and this wait
    // would never end
    Result<std::span<const Ready>> wait() { return wait_with(Deadline::never()); }
    Result<std::span<const Ready>> try_wait() { return wait_with(Deadline::immediately()); }
    Result<std::span<const Ready>> wait_for(std::chrono::nanoseconds wait) {
        return wait_with(Deadline::after(wait));
    }
    Result<std::span<const Ready>> wait_until(Deadline::Clock::time_point when) {
        return wait_with(Deadline::at(when));
    }
    Result<std::span<const Ready>> wait_with(Deadline deadline);

    // A descriptor for other loops (epoll, poll, Qt, glib, asyncio): readable while something is
    // ready, or may be; then call try_wait(). It belongs to the set. Errors: forked
    Result<int> fd();

    // How many things are in it.
    [[nodiscard]] std::size_t size() const noexcept;

private:
    explicit WaitSet(std::unique_ptr<WaitSetState> state) noexcept;

    std::unique_ptr<WaitSetState> state_;
};

}  // namespace stoa
