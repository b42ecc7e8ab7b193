// Mutex: one at a time, among threads and processes, and never held by the dead.
//
// Start here: hold() and unlock(); lock() and std::unique_lock where an exception tells of a death.
// Threads:    safe; who locked it unlocks it. It is not recursive.
// Processes:  lies in a region, or in memory of one process; all zero is a free one. Its address
//             tells who acts (stoa/life/membership.hpp).
// Death:      of the holder, or when it leaves the region: found within 100 ms by whoever waits.
//             Exactly one gets it, is told owner_died, mends the data, and says repaired(). Given
//             back without that it is poisoned: every later lock says so. A waiter that dies leaves
//             nothing behind, one that was just woken costs the others 100 ms.
// Blocking:   hold, lock and the timed forms. unlock never.
// Lifetime:   the memory must stay mapped.
// Units:      8 bytes.
// Source:     mutex2 of Drepper 2011, "Futexes are tricky", with a word that names its holder;
//             owner_died and poisoned as EOWNERDEAD and ENOTRECOVERABLE of POSIX.1-2017.
//
// Order: the holder is in the word before it has any effect, by the CAS that takes the lock; so is
// the heir, by the CAS that replaces a holder who is gone. A sleeper sets `waiters` by CAS in the
// word that it then sleeps on; who unlocks takes word and bit out by one CAS, then wakes one. Who
// was woken takes the lock with the bit set, for there may be others.
#pragma once

#include <chrono>
#include <cstdint>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/sync/lock_layout.hpp"

namespace stoa {

// How a lock was got.
enum class Held : std::uint8_t {
    clean,
    owner_died,  // its last holder died with it: what it guards may be half changed
};

class Mutex {
public:
    constexpr Mutex() noexcept = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    // Errors: poisoned, forked; timed_out, in_use (immediately: somebody holds it)
    [[nodiscard]] Result<Held> hold(Deadline deadline = Deadline::never()) noexcept {
        const Here at = here(this);
        if (Result<Held> held = take(at); held || at.me == 0) [[likely]]
            return at.me == 0 ? fail(Errc::forked, "lock") : held;
        return hold_slowly(at, deadline);
    }
    // After owner_died: what it guards is whole again.
    void repaired() noexcept { layout_.word.fetch_and(~LockWord::kInconsistent, kSeqCst); }
    // Precondition: this process holds it.
    void unlock() noexcept {
        std::uint64_t mine = here(this).me;
        // release: what the holder wrote goes to the next one.
        if (layout_.word.compare_exchange_strong(mine, 0, kRelease, kRelaxed)) [[likely]]
            return;
        unlock_slowly(mine);
    }

    // As the standard's TimedLockable. After a death: poisons it and throws
    // std::system_error(owner_dead); of a poisoned one std::system_error(state_not_recoverable).
    void lock() { hold_or_throw(Deadline::never()); }
    [[nodiscard]] bool try_lock() { return hold_or_throw(Deadline::immediately()); }
    template <typename Rep, typename Period>
    [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& wait) {
        return hold_or_throw(Deadline::after(wait));
    }
    [[nodiscard]] bool try_lock_until(Deadline::Clock::time_point when) {
        return hold_or_throw(Deadline::at(when));
    }

    [[nodiscard]] bool is_poisoned() const noexcept {
        return (layout_.word.load(kSeqCst) & LockWord::kPoisoned) != 0;
    }
    // Who holds it now; 0: nobody.
    [[nodiscard]] Holder holder() const noexcept {
        return LockWord::holder(layout_.word.load(kSeqCst));
    }

private:
    // in_use: it is not free at this moment.
    [[nodiscard]] Result<Held> take(const Here& at) noexcept {
        std::uint64_t free = 0;
        if (layout_.word.compare_exchange_strong(free, at.me, kAcquire, kRelaxed)) [[likely]]
            return Held::clean;
        return fail(Errc::in_use, "lock");
    }
    [[nodiscard]] Result<Held> hold_slowly(const Here& at, Deadline deadline) noexcept;
    void unlock_slowly(std::uint64_t seen) noexcept;
    bool hold_or_throw(Deadline deadline);

    MutexLayout layout_{};
};

}  // namespace stoa
