#include "stoa/sync/priority_mutex.hpp"

#include <ctime>

#include "stoa/base/crash_point.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/futex_pi.hpp"

namespace stoa {
namespace {

std::uint32_t thread_in(std::uint32_t gate) noexcept {
    return gate & sys::PiWord::kThread;
}

// Until the waiters whom the kernel got wrong have given up: they sleep a slice at most.
void pause_shortly() noexcept {
    const timespec millisecond{.tv_sec = 0, .tv_nsec = 1'000'000};
    ::nanosleep(&millisecond, nullptr);
}

}  // namespace

PriorityMutex::Gate PriorityMutex::pass_gate(const Here& at, Deadline deadline,
                                             std::uint32_t& stale) noexcept {
    Atomic<std::uint32_t>& gate = layout_.gate;
    const std::uint32_t me = sys::this_thread_id();
    std::uint32_t idle = 0;  // whom the gate named when nobody held the word
    Deadline slice = Deadline::after(g_wait_slice);
    LockWait waits;
    for (;;) {
        std::uint32_t seen = 0;
        if (gate.compare_exchange_strong(seen, me, kSeqCst)) return Gate::passed;
        if (deadline.is_immediate()) return Gate::gone_past;
        waits.tell(at, &layout_, {LockKind::priority_mutex});
        STOA_CRASH_POINT("priority_mutex.before_sleep");
        switch (sys::pi_lock(gate, deadline.left(slice.left(g_wait_slice)))) {
            case sys::PiLock::locked: return Gate::passed;
            case sys::PiLock::is_mine: return Gate::gone_past;
            case sys::PiLock::not_supported: return Gate::not_supported;
            case sys::PiLock::owner_gone: open_gate(thread_in(seen)); break;
            case sys::PiLock::unusable: pause_shortly(); break;
            case sys::PiLock::timed_out:
            case sys::PiLock::again: break;
        }
        const bool has_ended = deadline.passed();
        if (!has_ended && !slice.passed()) continue;
        slice = Deadline::after(g_wait_slice);
        const Holder holder = this->holder();
        if (holder != 0 && at.is_gone(holder)) return Gate::gone_past;
        const std::uint32_t now = holder == 0 ? thread_in(gate.load(kSeqCst)) : 0;
        if (now != 0 && now == idle) {
            stale = now;
            return Gate::gone_past;
        }
        if (has_ended) return holder == 0 ? Gate::gone_past : Gate::timed_out;
        idle = now;
    }
}

// If it still names that thread. Whoever is wronged by it finds out when it leaves the gate.
void PriorityMutex::open_gate(std::uint32_t thread) noexcept {
    std::uint32_t seen = layout_.gate.load(kSeqCst);
    if (thread != 0 && thread_in(seen) == thread) {
        layout_.gate.compare_exchange_strong(seen, 0, kSeqCst);
    }
}

// What the kernel refuses is opened by hand; its waiters come back by themselves.
void PriorityMutex::leave_gate() noexcept {
    const std::uint32_t me = sys::this_thread_id();
    std::uint32_t seen = me;
    if (layout_.gate.compare_exchange_strong(seen, 0, kSeqCst)) return;
    if (thread_in(seen) != me || sys::pi_unlock(layout_.gate)) return;
    open_gate(me);
}

Result<Held> PriorityMutex::hold(Deadline deadline) noexcept {
    const Here at = here(this);
    if (at.me == 0) return fail(Errc::forked, "lock");
    if (at.participants != nullptr && at.participants->is_mixed()) {
        return fail(Errc::not_supported, "lock with priority inheritance across pid namespaces");
    }
    if (is_poisoned()) return fail(Errc::poisoned, "lock");
    std::uint32_t nobody = 0;
    if (layout_.gate.compare_exchange_strong(nobody, sys::this_thread_id(), kSeqCst)) {
        STOA_CRASH_POINT("priority_mutex.passed");
        if (detail::take_free(layout_.word, at.me)) return Held::clean;
        leave_gate();
    }
    const std::uint32_t before = thread_in(layout_.gate.load(kSeqCst));
    std::uint32_t stale = 0;
    const Gate way = pass_gate(at, deadline, stale);
    if (way == Gate::timed_out) return fail(Errc::timed_out, "lock");
    if (way == Gate::not_supported) return fail(Errc::not_supported, "FUTEX_LOCK_PI");
    STOA_CRASH_POINT("priority_mutex.passed");
    const Result<Held> held =
        detail::hold_word(layout_.word, at, deadline, {LockKind::priority_mutex});
    if (way == Gate::passed) {
        if (!held) leave_gate();
        return held;
    }
    if (held) open_gate(*held == Held::owner_died ? before : stale);
    return held;
}

void PriorityMutex::unlock() noexcept {
    const Here at = here(this);
    if (at.me == 0) return;
    detail::give_word(layout_.word, at);
    STOA_CRASH_POINT("priority_mutex.given");
    leave_gate();
}

}  // namespace stoa
