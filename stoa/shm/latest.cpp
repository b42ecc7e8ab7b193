#include "stoa/shm/latest.hpp"

#include <algorithm>

#include "stoa/base/crash_point.hpp"
#include "stoa/sys/futex.hpp"
#include "stoa/sys/membarrier.hpp"

namespace stoa::detail {
namespace {

// Each time somebody else came in between; nobody does so often.
constexpr int kClaimTries = 64;
// Where no barrier can be sent to the writer it may miss the sleep bit: sleep briefly.
constexpr std::chrono::milliseconds kSleepWithoutBarrier{1};

// A dead one's last value counts. Errors: peer_died
Result<void> look_for_its_writer(const LatestLayout& layout, std::uint64_t since) noexcept {
    if (!latest_writer_gone(layout, here(&layout))) return {};
    if (layout.newest.load(kAcquire) > since) return {};
    return fail(Errc::peer_died, "wait for a newer value");
}

Error held_by(const Here& at, Holder holder) noexcept {
    Participant seen;
    const std::uint32_t index = holder_index(holder);
    const bool known = at.participants != nullptr && index < at.participants->places() &&
                       at.participants->look(index, seen);
    if (!known) return {.code = Errc::in_use, .step = "claim_writer (it has a writer)"};
    return {.code = Errc::in_use,
            .step = step_text("claim_writer (process %u writes it)", seen.identity.pid)};
}

}  // namespace

Result<LatestClaim> claim_latest(LatestLayout& layout) noexcept {
    const Here at = here(&layout);
    if (at.me == 0) return fail(Errc::forked, "claim_writer");
    std::uint64_t seen = layout.writer.load(kAcquire);
    for (int i = 0; i < kClaimTries; ++i) {
        if (seen != 0 && !at.is_gone(seen)) break;
        STOA_CRASH_POINT("latest.claim.free");
        // acquire: what the last writer published.
        if (layout.writer.compare_exchange_strong(seen, at.me, kAcqRel, kAcquire))
            return LatestClaim{.me = at.me, .fences = !sys::register_global_expedited()};
    }
    return std::unexpected(held_by(at, seen));
}

void give_latest_back(LatestLayout& layout, Holder me) noexcept {
    if (here(&layout).me != me) return;  // a forked child: it is its parent's
    layout.writer.compare_exchange_strong(me, 0, kRelease, kRelaxed);
}

Error no_latest_writer(const LatestLayout& layout) noexcept {
    const bool forked = here(&layout).me == 0;
    return {.code = forked ? Errc::forked : Errc::not_owner, .step = "write"};
}

bool latest_writer_gone(const LatestLayout& layout, const Here& at) noexcept {
    const Holder writer = layout.writer.load(kAcquire);
    // Whoever claims it first makes it another word: then it is not gone.
    return writer != 0 && at.is_gone(writer) && layout.writer.load(kAcquire) == writer;
}

// Order (as a bell, but for A2: the writer does not fence):
//   sleeper  B1 set the bit          B2 a barrier for all, look again   B3 futex_wait
//   writer   A1 publish (W2)         A2 read the bit                    A3, A4 clear it, wake all
// Either A2 comes after the barrier, and sees the bit, or W2 came before it, and B2 sees the value.
// All are woken, so none sets the bit for another one.
Result<void> wait_for_latest(LatestLayout& layout, std::uint64_t since,
                             Deadline deadline) noexcept {
    const auto ready = [&] { return layout.newest.load(kAcquire) > since; };
    if (ready()) return {};
    if (deadline.is_immediate()) return fail(Errc::empty, "wait for a newer value");
    for (int i = 0; i < kAdaptiveSpins; ++i) {
        cpu_pause();
        if (ready()) return {};
    }
    Deadline slice = Deadline::after(g_wait_slice);
    for (;;) {
        STOA_CRASH_POINT("latest.wait.before_mark");
        const std::uint32_t seen = layout.bell.fetch_or(1, kSeqCst) | 1U;  // B1
        std::chrono::nanoseconds longest = deadline.left(slice.left(g_wait_slice));
        if (!sys::barrier_all()) {
            full_fence();
            longest = std::min<std::chrono::nanoseconds>(longest, kSleepWithoutBarrier);
        }
        if (ready()) return {};                     // B2
        sleep_on_bell(layout.bell, seen, longest);  // B3
        if (ready()) return {};
        if (deadline.passed()) return fail(Errc::timed_out, "wait for a newer value");
        if (slice.passed()) {
            if (Result<void> looked = look_for_its_writer(layout, since); !looked) return looked;
            slice = Deadline::after(g_wait_slice);
        }
    }
}

Result<void> poll_for_latest(const LatestLayout& layout, std::uint64_t since, Deadline deadline,
                             std::chrono::nanoseconds every) noexcept {
    const auto ready = [&] { return layout.newest.load(kAcquire) > since; };
    if (ready()) return {};
    if (deadline.is_immediate()) return fail(Errc::empty, "wait for a newer value");
    Deadline slice = Deadline::after(g_wait_slice);
    for (;;) {
        const std::chrono::nanoseconds longest = deadline.left(slice.left(every));
        const std::uint64_t seen = layout.newest.load(kAcquire);
        if (seen > since) return {};
        // Nobody wakes it.
        static_cast<void>(
            sys::futex_wait(low_half(layout.newest), static_cast<std::uint32_t>(seen), longest));
        if (ready()) return {};
        if (deadline.passed()) return fail(Errc::timed_out, "wait for a newer value");
        if (slice.passed()) {
            if (Result<void> looked = look_for_its_writer(layout, since); !looked) return looked;
            slice = Deadline::after(g_wait_slice);
        }
    }
}

}  // namespace stoa::detail
