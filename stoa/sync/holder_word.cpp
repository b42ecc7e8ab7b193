#include "stoa/sync/holder_word.hpp"

#include <system_error>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/futex.hpp"

namespace stoa::detail {
namespace {

// The word of one that inherits what it saw.
std::uint64_t heirs_word(std::uint64_t seen, Holder me, std::uint64_t entering) noexcept {
    const std::uint64_t mine = (seen & ~kHolderMask) | me;
    return (seen & entering) != 0 ? mine : mine | LockWord::kInconsistent;
}

Held told(std::uint64_t mine) noexcept {
    return (mine & LockWord::kInconsistent) != 0 ? Held::owner_died : Held::clean;
}

}  // namespace

Result<Held> hold_word(Atomic<std::uint64_t>& word, const Here& at, Deadline deadline,
                       LockShape lock, std::uint64_t entering) noexcept {
    LockWait waits;
    std::uint64_t slept = 0;  // kWaiters once we were among the sleepers: others may still be
    int spins = kAdaptiveSpins;
    Deadline slice = Deadline::after(g_wait_slice);
    for (;;) {
        std::uint64_t seen = word.load(kRelaxed);
        if ((seen & LockWord::kPoisoned) != 0) return fail(Errc::poisoned, "lock");
        if (LockWord::holder(seen) == 0) {
            // One that failed in it, and lives, may have left it inconsistent.
            const std::uint64_t mine = (seen & LockWord::kInconsistent) | at.me | entering;
            if (word.compare_exchange_strong(seen, mine | slept, kSeqCst, kRelaxed)) {
                return told(mine);
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
                const std::uint64_t mine = heirs_word(seen, at.me, entering);
                if (word.compare_exchange_strong(seen, mine | slept, kSeqCst, kRelaxed)) {
                    return told(mine);
                }
                continue;
            }
            if (deadline.is_immediate()) return fail(Errc::in_use, "lock");
            if (deadline.passed()) {
                // The wake that came to us may have been for one whom no bit tells of now.
                const std::uint64_t others = seen | slept;
                if (seen != others &&
                    !word.compare_exchange_strong(seen, others, kRelaxed, kRelaxed)) {
                    continue;
                }
                return fail(Errc::timed_out, "lock");
            }
            slice = Deadline::after(g_wait_slice);
        }
        const std::uint64_t asleep = seen | LockWord::kWaiters;
        if (seen != asleep && !word.compare_exchange_strong(seen, asleep, kRelaxed, kRelaxed)) {
            continue;
        }
        waits.tell(at, &word, lock, LockWord::holder(seen));
        STOA_CRASH_POINT("mutex.before_sleep");
        slept = LockWord::kWaiters;
        (void)sys::futex_wait(low_half(word), static_cast<std::uint32_t>(asleep),
                              deadline.left(slice.left(g_wait_slice)));
        STOA_CRASH_POINT("mutex.woken");
    }
}

void give_word(Atomic<std::uint64_t>& word, const Here& at) noexcept {
    std::uint64_t seen = word.load(kRelaxed);
    while (at.me != 0) {
        STOA_REQUIRE(LockWord::holder(seen) == at.me,
                     "unlock of a lock that this process does not hold; lock it first, or let a "
                     "std::unique_lock keep it");
        const bool poisons = (seen & LockWord::kInconsistent) != 0;
        const std::uint64_t free = poisons ? LockWord::kPoisoned : 0;
        if (!word.compare_exchange_strong(seen, free, kSeqCst, kRelaxed)) continue;
        STOA_CRASH_POINT("mutex.unlocked");
        if ((seen & LockWord::kWaiters) != 0) {
            wake(low_half(word), poisons ? kWakeAll : 1);
        }
        return;
    }
}

bool held_or_thrown(const Result<Held>& held, void (*give)(void*), void* lock, const char* what) {
    if (held && *held == Held::clean) return true;
    if (held) {
        give(lock);  // inconsistent: it is poisoned by this
        throw std::system_error{std::make_error_code(std::errc::owner_dead), what};
    }
    switch (held.error().code) {
        case Errc::in_use:
        case Errc::timed_out: return false;
        case Errc::poisoned:
            throw std::system_error{std::make_error_code(std::errc::state_not_recoverable), what};
        case Errc::not_supported:
            throw std::system_error{std::make_error_code(std::errc::not_supported), what};
        default:
            throw std::system_error{std::make_error_code(std::errc::operation_not_permitted), what};
    }
}

}  // namespace stoa::detail
