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
#include <span>
#include <string>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/base/type_info.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sync/lock_layout.hpp"

namespace stoa {

namespace detail {

// The permits of a semaphore, wherever they lie.
struct Permits {
    std::span<Atomic<Holder>> holders;
    Atomic<std::uint32_t>* bell;

    // Errors: in_use (immediately), timed_out
    [[nodiscard]] Result<void> acquire(const Here& at, Deadline deadline) const noexcept;

private:
    [[nodiscard]] bool take(const Here& at, bool from_the_dead) const noexcept;
};

[[nodiscard]] std::uint32_t count_free(std::span<const Atomic<Holder>> holders) noexcept;

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
        for (Atomic<Holder>& one : holders_) {
            Holder nobody = 0;
            if (one.load(kRelaxed) == 0 && one.compare_exchange_strong(nobody, at.me, kSeqCst)) {
                return {};
            }
        }
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
    Result<void> release() noexcept {
        const Here at = here(this);
        for (Atomic<Holder>& one : holders_) {
            Holder mine = at.me;
            if (mine == 0 || one.load(kRelaxed) != mine) continue;
            if (!one.compare_exchange_strong(mine, 0, kSeqCst)) continue;
            ring_bell(layout_.bell);
            return {};
        }
        return fail(Errc::not_owner, "release");
    }

    [[nodiscard]] static constexpr std::uint32_t max() noexcept { return kPermits; }
    // How many nobody holds; those of the dead count as held until somebody needs them.
    [[nodiscard]] std::uint32_t free() const noexcept { return detail::count_free(holders_); }

private:
    friend struct WaitWords;  // stoa/wait/object_wait.hpp
    detail::Permits permits() noexcept { return {holders_, &layout_.bell}; }

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
    friend struct WaitWords;  // stoa/wait/object_wait.hpp
    [[nodiscard]] bool take() noexcept;

    SignalSemaphoreLayout layout_{};
};

template <std::uint32_t kPermits>
struct Layout<Semaphore<kPermits>> {
    static void append(std::string& text) { text += "stoa.semaphore 1"; }  // its size says the rest
};
template <>
struct Layout<SignalSemaphore> {
    static constexpr std::string_view name = "stoa.signal_semaphore 1";
};

}  // namespace stoa
