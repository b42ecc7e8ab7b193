// What the standard asks of locks, made of hold() and hold_shared().
//
// Start here: class Mutex : public TimedLockable<Mutex>.
// Threads:    as the lock.
// Processes:  as the lock; no bytes of its own.
// Death:      after the death of a holder: the lock is poisoned, and the call throws
//             std::system_error(owner_dead); of a poisoned lock std::system_error(
//             state_not_recoverable). hold() and hold_shared() tell it without an exception.
// Blocking:   lock, lock_shared and the timed forms.
// Lifetime:   a part of its lock.
// Units:      not applicable.
// Source:     ISO C++23 thread.req.lockable, thread.req.lockable.shared.timed; CRTP.
#pragma once

#include <chrono>

#include "stoa/base/deadline.hpp"
#include "stoa/sync/holder_word.hpp"

namespace stoa {

template <typename Lock>
class TimedLockable {
public:
    void lock() { hold_or_throw(Deadline::never()); }
    [[nodiscard]] bool try_lock() { return hold_or_throw(Deadline::immediately()); }
    template <typename Rep, typename Period>
    [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& wait) {
        return hold_or_throw(Deadline::after(wait));
    }
    [[nodiscard]] bool try_lock_until(Deadline::Clock::time_point when) {
        return hold_or_throw(Deadline::at(when));
    }

private:
    friend Lock;
    constexpr TimedLockable() noexcept = default;

    bool hold_or_throw(Deadline deadline) {
        Lock& self = static_cast<Lock&>(*this);
        const auto give = [](void* lock) { static_cast<Lock*>(lock)->unlock(); };
        return detail::held_or_thrown(self.hold(deadline), give, &self, Lock::kName);
    }
};

template <typename Lock>
class SharedTimedLockable {
public:
    void lock_shared() { share_or_throw(Deadline::never()); }
    [[nodiscard]] bool try_lock_shared() { return share_or_throw(Deadline::immediately()); }
    template <typename Rep, typename Period>
    [[nodiscard]] bool try_lock_shared_for(const std::chrono::duration<Rep, Period>& wait) {
        return share_or_throw(Deadline::after(wait));
    }
    [[nodiscard]] bool try_lock_shared_until(Deadline::Clock::time_point when) {
        return share_or_throw(Deadline::at(when));
    }

private:
    friend Lock;
    constexpr SharedTimedLockable() noexcept = default;

    bool share_or_throw(Deadline deadline) {
        Lock& self = static_cast<Lock&>(*this);
        const auto give = [](void* lock) { static_cast<Lock*>(lock)->unlock_shared(); };
        return detail::held_or_thrown(self.hold_shared(deadline), give, &self, Lock::kName);
    }
};

}  // namespace stoa
