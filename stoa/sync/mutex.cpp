#include "stoa/sync/mutex.hpp"

#include <algorithm>
#include <system_error>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/futex.hpp"

namespace stoa {

// Errors: in_use, timed_out, poisoned
Result<Held> Mutex::hold_slowly(const Here& at, Deadline deadline) noexcept {
    Atomic<std::uint64_t>& word = layout_.word;
    std::uint64_t slept = 0;  // kWaiters once we were among the sleepers: others may still be
    int spins = kAdaptiveSpins;
    Deadline slice = Deadline::after(g_wait_slice);
    for (;;) {
        std::uint64_t seen = word.load(kRelaxed);
        if ((seen & LockWord::kPoisoned) != 0) return fail(Errc::poisoned, "lock");
        if (LockWord::holder(seen) == 0) {
            if (word.compare_exchange_strong(seen, at.me | slept, kAcquire, kRelaxed)) {
                return Held::clean;
            }
            continue;
        }
        if (!deadline.is_immediate() && spins-- > 0) {
            cpu_pause();
            continue;
        }
        if (deadline.passed() || slice.passed()) {
            if (at.is_gone(LockWord::holder(seen))) {
                STOA_CRASH_POINT("mutex.owner_died");
                const std::uint64_t mine = (seen & ~kHolderMask) | at.me | slept;
                if (word.compare_exchange_strong(seen, mine | LockWord::kInconsistent, kAcquire,
                                                 kRelaxed)) {
                    return Held::owner_died;
                }
                continue;
            }
            if (deadline.is_immediate()) return fail(Errc::in_use, "lock");
            if (deadline.passed()) return fail(Errc::timed_out, "lock");
            slice = Deadline::after(g_wait_slice);
        }
        const std::uint64_t asleep = seen | LockWord::kWaiters;
        if (seen != asleep && !word.compare_exchange_strong(seen, asleep, kRelaxed, kRelaxed)) {
            continue;
        }
        STOA_CRASH_POINT("mutex.before_sleep");
        slept = LockWord::kWaiters;
        (void)sys::futex_wait(low_half(word), static_cast<std::uint32_t>(asleep),
                              deadline.left(slice.left(g_wait_slice)));
    }
}

// It has waiters, or is inconsistent.
void Mutex::unlock_slowly(std::uint64_t seen) noexcept {
    Atomic<std::uint64_t>& word = layout_.word;
    const Holder me = here(this).me;
    for (;;) {
        STOA_CHECK(LockWord::holder(seen) == me);
        const bool poisons = (seen & LockWord::kInconsistent) != 0;
        if (!word.compare_exchange_strong(seen, poisons ? LockWord::kPoisoned : 0, kRelease,
                                          kRelaxed)) {
            continue;
        }
        STOA_CRASH_POINT("mutex.unlocked");
        if ((seen & LockWord::kWaiters) != 0) {
            sys::futex_wake(low_half(word), poisons ? kWakeAll : 1);
        }
        return;
    }
}

bool Mutex::hold_or_throw(Deadline deadline) {
    const Result<Held> held = hold(deadline);
    if (held && *held == Held::clean) return true;
    if (held) {
        unlock();  // inconsistent: it is poisoned by this
        throw std::system_error{std::make_error_code(std::errc::owner_dead), "stoa::Mutex"};
    }
    switch (held.error().code) {
        case Errc::in_use:
        case Errc::timed_out: return false;
        case Errc::poisoned:
            throw std::system_error{std::make_error_code(std::errc::state_not_recoverable),
                                    "stoa::Mutex"};
        default:
            throw std::system_error{std::make_error_code(std::errc::operation_not_permitted),
                                    "stoa::Mutex (a forked child)"};
    }
}

}  // namespace stoa
