// Condition: waiting, with a lock given back meanwhile, until another process says that what the
// lock guards has changed.
//
// Start here: wait(lock, predicate), notify_one(), notify_all(). Notify while the lock is held: a
//             death between the change and the notification is then told to one who waits.
// Threads:    safe. All who wait at a time use the same lock.
// Processes:  lies in a region, or in memory of one process; all zero: nobody waits.
// Death:      of one who waits: a notification that it had not taken goes to another one who waited
//             before, within 100 ms; what it leaves costs at most a wake-up for nothing. Of one who
//             notifies: whoever it had let go goes on within 100 ms. Of one who holds the lock: one
//             who waits gets the lock within 200 ms, with owner_died: 100 ms to notice, and as long
//             to inherit.
// Blocking:   wait and the timed forms; the deadline does not bound getting the lock back.
// Lifetime:   the memory must stay mapped.
// Units:      8 bytes.
// Source:     Hoare 1974, Lampson and Redell 1980 (a wait may end for nothing); tickets instead of
//             glibc's groups (Riegel 2016), whose counts hang when who is counted dies.
//
// Order: who comes counts itself in before it gives the lock back. notify_one turns one that waits
// into a grant; who was there before takes it when it has the lock again, so one that dies on the
// way leaves it to another. Who comes while something is granted is late: its turn is the next one.
// Who waits and lives is always counted; a dead one's share is too much, never too little, and
// costs at most a wake-up for nothing. Who is late for a slice, while nobody takes what is granted,
// lets all go, which clears what the dead left; so does notify_all.
#pragma once

#include <concepts>
#include <cstdint>
#include <mutex>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/base/type_info.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/sync/condition_layout.hpp"
#include "stoa/sync/mutex.hpp"

namespace stoa {

namespace detail {

// How a condition gives a lock back and takes it again: one of ours, std::unique_lock of one, or
// the access to a Guarded.
template <typename Lock>
struct Waitable {
    static constexpr bool kIsAccess = requires { requires Lock::kIsAccess; };

    static void give(Lock& lock) noexcept {
        if constexpr (kIsAccess) {
            lock.give();
        } else {
            lock.unlock();
        }
    }
    [[nodiscard]] static Result<Held> take(Lock& lock) noexcept {
        if constexpr (kIsAccess) {
            return lock.take(Deadline::never());
        } else {
            return lock.hold(Deadline::never());
        }
    }
    // Whether its holder is dead, so that nobody will notify before somebody has taken it.
    [[nodiscard]] static bool is_lost(const Lock& lock) noexcept {
        if constexpr (kIsAccess) {
            return Waitable<Mutex>::is_lost(lock.mutex());
        } else if constexpr (requires { lock.is_poisoned(), lock.holder(); }) {
            return lock.is_poisoned() || here(&lock).is_gone(lock.holder());
        } else {
            return false;
        }
    }
};

template <typename Lock>
struct Waitable<std::unique_lock<Lock>> {
    static void give(std::unique_lock<Lock>& lock) noexcept { Waitable<Lock>::give(*lock.mutex()); }
    [[nodiscard]] static Result<Held> take(std::unique_lock<Lock>& lock) noexcept {
        const Result<Held> held = Waitable<Lock>::take(*lock.mutex());
        if (!held) static_cast<void>(lock.release());  // nothing to give back
        return held;
    }
    [[nodiscard]] static bool is_lost(const std::unique_lock<Lock>& lock) noexcept {
        return Waitable<Lock>::is_lost(*lock.mutex());
    }
};

}  // namespace detail

class Condition {
public:
    constexpr Condition() noexcept = default;
    Condition(const Condition&) = delete;
    Condition& operator=(const Condition&) = delete;

    // Precondition of all: the caller holds `lock` (a Mutex or another lock of ours, a
    // std::unique_lock of one, or a Guarded's Access). When they return it holds it again, and
    // knows as from Mutex::hold whether its last holder died. Without a predicate a wait may end
    // for nothing. Errors: poisoned, forked: the lock is not held, a unique_lock owns nothing any
    // more and an Access leads nowhere; _for and _until: timed_out: it is held, and was clean.
    template <typename Lock>
    [[nodiscard]] Result<Held> wait(Lock& lock) noexcept {
        return wait_once(lock, Deadline::never());
    }
    template <typename Lock>
    [[nodiscard]] Result<Held> wait_for(Lock& lock, std::chrono::nanoseconds wait) noexcept {
        return wait_once(lock, Deadline::after(wait));
    }
    template <typename Lock>
    [[nodiscard]] Result<Held> wait_until(Lock& lock, Deadline::Clock::time_point when) noexcept {
        return wait_once(lock, Deadline::at(when));
    }
    // Until predicate() is true, which is asked with the lock held; not after owner_died, when what
    // the lock guards is to be mended first. timed_out: it was false at the end.
    template <typename Lock, std::predicate Predicate>
    [[nodiscard]] Result<Held> wait(Lock& lock, Predicate&& predicate) {
        return wait_while_not(lock, Deadline::never(), predicate);
    }
    template <typename Lock, std::predicate Predicate>
    [[nodiscard]] Result<Held> wait_for(Lock& lock, std::chrono::nanoseconds wait,
                                        Predicate&& predicate) {
        return wait_while_not(lock, Deadline::after(wait), predicate);
    }
    template <typename Lock, std::predicate Predicate>
    [[nodiscard]] Result<Held> wait_until(Lock& lock, Deadline::Clock::time_point when,
                                          Predicate&& predicate) {
        return wait_while_not(lock, Deadline::at(when), predicate);
    }

    // One who waits goes on, if there is one; no system call if nobody sleeps.
    void notify_one() noexcept {
        if (has_somebody()) notify_one_slowly();
    }
    void notify_all() noexcept {
        if (has_somebody()) let_all_go();
    }

private:
    struct Ticket {
        std::uint32_t turn;
        bool passed_on = false;  // a wake that was not meant for it
        bool suspects = false;   // at the end of its last slice it was late
        bool has_spun = false;
    };
    enum class Place : std::uint8_t { let_go, waits, late };

    [[nodiscard]] bool has_somebody() const noexcept {
        return (layout_.word.load(kSeqCst) & ConditionWord::kUnpromisedMask) != 0;
    }
    [[nodiscard]] static Place place_of(const ConditionWord& word, const Ticket& mine) noexcept;
    [[nodiscard]] static bool is_ready(const ConditionWord& word, const Ticket& mine) noexcept;
    enum class Woke : std::uint8_t { ready, due, timed_out };

    [[nodiscard]] Ticket enter() noexcept;
    // Until there is something to take; due: a slice is over.
    [[nodiscard]] Woke sleep(Ticket& mine, Deadline deadline) noexcept;
    void pass_on(Ticket& mine) noexcept;
    void suspect(Ticket& mine) noexcept;
    // True: it was let go, or took a grant. Else it goes on waiting, or not when it leaves.
    [[nodiscard]] bool take(const Ticket& mine, bool leaves) noexcept;
    void notify_one_slowly() noexcept;
    void let_all_go() noexcept;

    template <typename Lock>
    Result<Held> wait_once(Lock& lock, Deadline deadline) noexcept {
        using Of = detail::Waitable<Lock>;
        if (here(this).me == 0) return fail(Errc::forked, "wait");
        Ticket mine = enter();
        Of::give(lock);
        for (;;) {
            const Woke woke = sleep(mine, deadline);
            if (woke == Woke::due && !Of::is_lost(lock)) continue;
            const Result<Held> held = Of::take(lock);
            const bool is_clean = held && *held == Held::clean;
            if (take(mine, !is_clean || woke == Woke::timed_out) || !is_clean) return held;
            if (woke == Woke::timed_out) return fail(Errc::timed_out, "wait");
            Of::give(lock);
        }
    }
    template <typename Lock, typename Predicate>
    Result<Held> wait_while_not(Lock& lock, Deadline deadline, Predicate& predicate) {
        while (!predicate()) {
            const Result<Held> held = wait_once(lock, deadline);
            if (!held && held.error().code == Errc::timed_out && predicate()) break;
            if (!held || *held != Held::clean) return held;
        }
        return Held::clean;
    }

    ConditionLayout layout_{};
};

template <>
struct Layout<Condition> {
    static constexpr std::string_view name = "stoa.condition 1";
};

}  // namespace stoa
