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

#include <cstdint>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/base/type_info.hpp"
#include "stoa/sync/holder_word.hpp"
#include "stoa/sync/lock_layout.hpp"
#include "stoa/sync/lockable.hpp"

namespace stoa {

class Mutex : public TimedLockable<Mutex> {
public:
    static constexpr const char* kName = "stoa::Mutex";

    constexpr Mutex() noexcept = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    // Errors: poisoned, forked; timed_out, in_use (immediately: somebody holds it)
    [[nodiscard]] Result<Held> hold(Deadline deadline = Deadline::never()) noexcept {
        const Here at = here(this);
        if (at.me == 0) [[unlikely]]
            return fail(Errc::forked, "lock");
        if (detail::take_free(layout_.word, at.me)) [[likely]]
            return Held::clean;
        return hold_slowly(at, deadline);
    }
    // After owner_died: what it guards is whole again.
    void repaired() noexcept { layout_.word.fetch_and(~LockWord::kInconsistent, kSeqCst); }
    // Precondition: this process holds it. In a forked child it does nothing: the guards that it
    // inherited are its parent's.
    void unlock() noexcept {
        std::uint64_t mine = here(this).me;
        // release: what the holder wrote goes to the next one.
        if (layout_.word.compare_exchange_strong(mine, 0, kRelease, kRelaxed)) [[likely]]
            return;
        unlock_slowly();
    }

    [[nodiscard]] bool is_poisoned() const noexcept {
        return (layout_.word.load(kSeqCst) & LockWord::kPoisoned) != 0;
    }
    // Who holds it now; 0: nobody.
    [[nodiscard]] Holder holder() const noexcept {
        return LockWord::holder(layout_.word.load(kSeqCst));
    }

private:
    friend struct WaitWords;  // stoa/wait/object_wait.hpp
    [[nodiscard]] Result<Held> hold_slowly(const Here& at, Deadline deadline) noexcept;
    void unlock_slowly() noexcept;

    MutexLayout layout_{};
};

template <>
struct Layout<Mutex> {
    static constexpr std::string_view name = "stoa.mutex 1";
};

}  // namespace stoa
