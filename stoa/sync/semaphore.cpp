#include "stoa/sync/semaphore.hpp"

#include "stoa/base/crash_point.hpp"

namespace stoa {
namespace {

bool goes_on(bool /*due*/) noexcept {
    return true;
}

}  // namespace

namespace detail {

// A free one, else one whose holder is gone: the CAS hands it to exactly one.
bool Permits::take(const Here& at, bool from_the_dead) const noexcept {
    for (std::uint32_t i = 0; i < count; ++i) {
        Holder nobody = 0;
        if (holders[i].load(kRelaxed) == 0 &&
            holders[i].compare_exchange_strong(nobody, at.me, kSeqCst)) {
            return true;
        }
    }
    for (std::uint32_t i = 0; i < count && from_the_dead; ++i) {
        Holder holder = holders[i].load(kSeqCst);
        if (holder != 0 && !at.is_gone(holder)) continue;
        STOA_CRASH_POINT("semaphore.inherit");
        if (holders[i].compare_exchange_strong(holder, at.me, kSeqCst)) return true;
    }
    return false;
}

Result<void> Permits::acquire(const Here& at, Deadline deadline) const noexcept {
    if (take(at, deadline.is_immediate())) return {};
    if (deadline.is_immediate()) return fail(Errc::in_use, "acquire");
    bool slept = false;
    bool is_due = false;
    const auto ready = [&] {
        const bool looks_at_the_dead = is_due;
        is_due = false;
        return take(at, looks_at_the_dead);
    };
    const auto look = [&](bool due) {
        is_due = due;
        return !due || !ready();
    };
    const Waited waited = wait_on_bell(*bell, deadline, Waiting::adaptive, slept, ready, look);
    if (waited == Waited::timed_out && !take(at, true)) return fail(Errc::timed_out, "acquire");
    if (slept && free() > 0) ring_bell(*bell);  // there is more than we took
    return {};
}

Result<void> Permits::release(const Here& at) const noexcept {
    for (std::uint32_t i = 0; i < count && at.me != 0; ++i) {
        Holder mine = at.me;
        if (holders[i].load(kRelaxed) != mine ||
            !holders[i].compare_exchange_strong(mine, 0, kSeqCst)) {
            continue;
        }
        STOA_CRASH_POINT("semaphore.released");
        ring_bell(*bell);
        return {};
    }
    return fail(Errc::not_owner, "release");
}

std::uint32_t Permits::free() const noexcept {
    std::uint32_t found = 0;
    for (std::uint32_t i = 0; i < count; ++i) found += holders[i].load(kSeqCst) == 0 ? 1U : 0U;
    return found;
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
    if (take()) return {};
    if (deadline.is_immediate()) return fail(Errc::empty, "wait");
    bool slept = false;
    const Waited waited = wait_on_bell(
        layout_.bell, deadline, Waiting::adaptive, slept, [&] { return take(); }, goes_on);
    if (waited == Waited::timed_out) return fail(Errc::timed_out, "wait");
    if (slept && posted() > 0) ring_bell(layout_.bell);  // there is more than we took
    return {};
}

}  // namespace stoa
