#include "stoa/sync/semaphore.hpp"

#include <algorithm>

#include "stoa/base/crash_point.hpp"
#include "stoa/sync/lock_wait.hpp"

namespace stoa {
namespace detail {

// A free one, else one whose holder is gone: the CAS hands it to exactly one.
bool Permits::take(const Here& at, bool from_the_dead) const noexcept {
    for (Atomic<Holder>& one : holders) {
        Holder nobody = 0;
        if (one.load(kRelaxed) == 0 && one.compare_exchange_strong(nobody, at.me, kSeqCst)) {
            return true;
        }
    }
    if (!from_the_dead) return false;
    for (Atomic<Holder>& one : holders) {
        Holder holder = one.load(kSeqCst);
        if (holder != 0 && !at.is_gone(holder)) continue;
        STOA_CRASH_POINT("semaphore.inherit");
        if (one.compare_exchange_strong(holder, at.me, kSeqCst)) return true;
    }
    return false;
}

Result<void> Permits::acquire(const Here& at, Deadline deadline) const noexcept {
    if (deadline.is_immediate()) {
        return take(at, true) ? Result<void>{} : fail(Errc::in_use, "acquire");
    }
    if (take(at, false)) return {};
    LockWait waits;
    waits.tell(at, bell, {LockKind::semaphore, static_cast<std::uint32_t>(holders.size())});
    bool slept = false;
    const auto ready = [&] { return take(at, false); };
    // Once in a slice; what a dead one held ends the wait as well.
    const auto look = [&](bool due) { return !due || !take(at, true); };
    const Waited waited = wait_on_bell(*bell, deadline, Waiting::adaptive, slept, ready, look);
    if (waited == Waited::timed_out && !take(at, true)) return fail(Errc::timed_out, "acquire");
    if (slept && count_free(holders) > 0) ring_bell(*bell);  // there is more than we took
    return {};
}

std::uint32_t count_free(std::span<const Atomic<Holder>> holders) noexcept {
    const auto is_free = [](const Atomic<Holder>& one) { return one.load(kSeqCst) == 0; };
    return static_cast<std::uint32_t>(std::ranges::count_if(holders, is_free));
}

}  // namespace detail

bool SignalSemaphore::take() noexcept {
    std::uint32_t have = layout_.posted.load(kSeqCst);
    while (have > 0 && !layout_.posted.compare_exchange_weak(have, have - 1, kSeqCst)) {
    }
    return have > 0;
}

Result<void> SignalSemaphore::wait(Deadline deadline) noexcept {
    if (here(this).me == 0) return fail(Errc::forked, "wait");
    return take_on_bell(
        layout_.bell, deadline, "wait", [&] { return take(); }, [&] { return posted() > 0; });
}

}  // namespace stoa
