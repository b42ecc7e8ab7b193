// Semaphores: permits that their holder gives back, and posts that anybody makes.
//
// Start here: Semaphore::acquire and release; SignalSemaphore::post and wait.
// Threads:    safe. A permit belongs to the process that acquired it: any thread of it gives it
//             back.
// Processes:  lie in a region, or in memory of one process. All zero: a Semaphore of which every
//             permit is free, a SignalSemaphore with nothing posted.
// Death:      of a holder: each of its permits goes to exactly one other, found within 100 ms by
//             whoever waits. Who left the region holds nothing any more. A post has no holder: it
//             is taken or not. A waiter that dies just after it was woken costs the others 100 ms.
// Blocking:   acquire, wait and the timed forms. release and post never.
// Lifetime:   the memory must stay mapped.
// Units:      permits; a Semaphore has 8 bytes for each.
// Source:     Dijkstra 1965; the owner of each permit in a word of its own, for a count cannot say
//             whose share died.
#pragma once

#include <chrono>
#include <cstdint>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sync/lock_layout.hpp"

namespace stoa {

namespace detail {

// The permits of a semaphore, wherever they lie.
struct Permits {
    Atomic<Holder>* holders;
    std::uint32_t count;
    Atomic<std::uint32_t>* bell;

    // Errors: in_use (immediately), timed_out
    [[nodiscard]] Result<void> acquire(const Here& at, Deadline deadline) const noexcept;
    // Errors: not_owner
    [[nodiscard]] Result<void> release(const Here& at) const noexcept;
    [[nodiscard]] std::uint32_t free() const noexcept;

private:
    [[nodiscard]] bool take(const Here& at, bool from_the_dead) const noexcept;
};

}  // namespace detail

// At most kPermits at a time.
template <std::uint32_t kPermits>
    requires(kPermits >= 1)
class Semaphore {
public:
    constexpr Semaphore() noexcept = default;
    Semaphore(const Semaphore&) = delete;
    Semaphore& operator=(const Semaphore&) = delete;

    // Errors: forked; try_: in_use (all are held); _for and _until: timed_out
    Result<void> acquire(Deadline deadline = Deadline::never()) noexcept {
        const Here at = here(this);
        if (at.me == 0) return fail(Errc::forked, "acquire");
        return permits().acquire(at, deadline);
    }
    Result<void> try_acquire() noexcept { return acquire(Deadline::immediately()); }
    Result<void> acquire_for(std::chrono::nanoseconds wait) noexcept {
        return acquire(Deadline::after(wait));
    }
    Result<void> acquire_until(Deadline::Clock::time_point when) noexcept {
        return acquire(Deadline::at(when));
    }
    // Errors: not_owner (this process holds none)
    Result<void> release() noexcept { return permits().release(here(this)); }

    [[nodiscard]] static constexpr std::uint32_t max() noexcept { return kPermits; }
    // How many nobody holds; those of the dead count as held until somebody needs them.
    [[nodiscard]] std::uint32_t free() const noexcept {
        return const_cast<Semaphore*>(this)->permits().free();
    }

private:
    detail::Permits permits() noexcept { return {holders_, kPermits, &layout_.bell}; }

    PermitsLayout layout_{};
    Atomic<Holder> holders_[kPermits]{};
};

class SignalSemaphore {
public:
    constexpr SignalSemaphore() noexcept = default;
    SignalSemaphore(const SignalSemaphore&) = delete;
    SignalSemaphore& operator=(const SignalSemaphore&) = delete;

    // Precondition: fewer than 2^32 posts wait.
    void post(std::uint32_t count = 1) noexcept {
        layout_.posted.fetch_add(count, kSeqCst);
        count == 1 ? ring_bell(layout_.bell) : ring_bell_of_many(layout_.bell);
    }
    // Takes one post. Errors: forked; try_: empty; _for and _until: timed_out
    Result<void> wait(Deadline deadline = Deadline::never()) noexcept;
    Result<void> try_wait() noexcept { return wait(Deadline::immediately()); }
    Result<void> wait_for(std::chrono::nanoseconds wait) noexcept {
        return this->wait(Deadline::after(wait));
    }
    Result<void> wait_until(Deadline::Clock::time_point when) noexcept {
        return wait(Deadline::at(when));
    }
    [[nodiscard]] std::uint32_t posted() const noexcept { return layout_.posted.load(kSeqCst); }

private:
    [[nodiscard]] bool take() noexcept;

    SignalSemaphoreLayout layout_{};
};

}  // namespace stoa
