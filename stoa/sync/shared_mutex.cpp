#include "stoa/sync/shared_mutex.hpp"

#include <algorithm>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/futex.hpp"

namespace stoa::detail {

bool SharedWords::nobody_reads() const noexcept {
    return std::ranges::all_of(
        places, [](const ReaderPlace& place) { return place.word.load(kSeqCst) == 0; });
}

// The writer waits for the last reader; readers wait for a place, unless for a writer as well, who
// rings for them himself.
void SharedWords::place_emptied() const noexcept {
    ring_bell(layout->emptied);
    if ((layout->opened.load(kSeqCst) & 1U) != 0 &&
        LockWord::holder(layout->word.load(kSeqCst)) == 0) {
        ring_bell_of_many(layout->opened);
    }
}

void SharedWords::drop_the_gone(const Here& at) const noexcept {
    bool has_dropped = false;
    for (ReaderPlace& place : places) {
        std::uint64_t seen = place.word.load(kSeqCst);
        if (seen == 0 || !at.is_gone(ReaderWord::holder(seen))) continue;
        STOA_CRASH_POINT("shared_mutex.drop");
        has_dropped = place.word.compare_exchange_strong(seen, 0, kSeqCst) || has_dropped;
    }
    if (has_dropped) place_emptied();
}

// --- to write -----------------------------------------------------------------------------------

Result<Held> SharedWords::hold(const Here& at, Deadline deadline) const noexcept {
    const Result<Held> held =
        hold_word(layout->word, at, deadline, shape(LockKind::writer), kEntering);
    // Where a writer was in, no reader is.
    if (!held || *held == Held::owner_died) return held;
    return enter(at, deadline);
}

Result<Held> SharedWords::enter(const Here& at, Deadline deadline) const noexcept {
    STOA_CRASH_POINT("shared_mutex.entering");
    bool slept = false;
    const auto ready = [&] { return nobody_reads(); };
    const auto look = [&](bool due) {
        if (due) drop_the_gone(at);
        return true;
    };
    Waited waited = Waited::timed_out;
    if (!deadline.is_immediate()) {
        LockWait waits;
        waits.tell(at, layout, shape(LockKind::writer));
        waited = wait_on_bell(layout->emptied, deadline, Waiting::adaptive, slept, ready, look);
    }
    if (waited == Waited::timed_out) {
        drop_the_gone(at);
        if (!nobody_reads()) {
            unlock(at);
            return fail(deadline.is_immediate() ? Errc::in_use : Errc::timed_out, "lock");
        }
    }
    layout->word.fetch_and(~kEntering, kSeqCst);
    return Held::clean;
}

void SharedWords::unlock(const Here& at) const noexcept {
    if (at.me == 0) return;
    give_word(layout->word, at);
    ring_bell_of_many(layout->opened);
}

// --- to read ------------------------------------------------------------------------------------

// R1. Null: all places are taken, or changing.
Atomic<std::uint64_t>* SharedWords::announce(const Here& at) const noexcept {
    const std::size_t first = holder_index(at.me) % places.size();
    for (std::size_t i = 0; i < places.size(); ++i) {
        Atomic<std::uint64_t>& place = places[(first + i) % places.size()].word;
        std::uint64_t seen = place.load(kSeqCst);
        while (const std::uint64_t mine = ReaderWord::with_one_more(seen, at.me)) {
            if (place.compare_exchange_strong(seen, mine, kSeqCst)) return &place;
        }
    }
    return nullptr;
}

// False: this place is not ours.
bool SharedWords::leave(Atomic<std::uint64_t>& place, Holder me) const noexcept {
    std::uint64_t seen = place.load(kSeqCst);
    while (ReaderWord::holder(seen) == me) {
        if (!place.compare_exchange_strong(seen, ReaderWord::with_one_less(seen), kSeqCst)) {
            continue;
        }
        STOA_CRASH_POINT("shared_mutex.left");
        place_emptied();
        return true;
    }
    return false;
}

void SharedWords::withdraw(const Here& at, Atomic<std::uint64_t>& place) const noexcept {
    STOA_CHECK(leave(place, at.me));
}

SharedWords::Got SharedWords::try_in(const Here& at) const noexcept {
    const std::uint64_t writer = layout->word.load(kSeqCst);
    if ((writer & LockWord::kPoisoned) != 0) return Got::poisoned;
    if (writer != 0) return Got::blocked;
    Atomic<std::uint64_t>* const place = announce(at);
    if (place == nullptr) return Got::blocked;
    STOA_CRASH_POINT("shared_mutex.announced");
    if (layout->word.load(kSeqCst) == 0) return Got::in;  // R2
    withdraw(at, *place);
    return Got::blocked;
}

bool SharedWords::has_place(Holder me) const noexcept {
    return std::ranges::any_of(places, [me](const ReaderPlace& place) {
        return ReaderWord::with_one_more(place.word.load(kSeqCst), me) != 0;
    });
}

bool SharedWords::left_by_the_gone(const Here& at, std::uint64_t seen) const noexcept {
    if (LockWord::holder(seen) == 0 || !at.is_gone(LockWord::holder(seen))) return false;
    if ((seen & kEntering) == 0) return true;
    STOA_CRASH_POINT("shared_mutex.writer_died");
    if (layout->word.compare_exchange_strong(seen, 0, kSeqCst)) {
        if ((seen & LockWord::kWaiters) != 0) wake(low_half(layout->word), 1);
        ring_bell_of_many(layout->opened);
    }
    return false;
}

// What stands in its way may be dead.
SharedWords::Got SharedWords::try_in_for_the_dead(const Here& at) const noexcept {
    std::uint64_t seen = layout->word.load(kSeqCst);
    if (LockWord::holder(seen) == 0) {
        drop_the_gone(at);
    } else if (left_by_the_gone(at, seen)) {
        const std::uint64_t mine = (seen & ~kHolderMask) | at.me | LockWord::kInconsistent;
        STOA_CRASH_POINT("shared_mutex.heir");
        if (layout->word.compare_exchange_strong(seen, mine, kSeqCst)) return Got::alone;
    }
    return try_in(at);
}

Result<Held> SharedWords::hold_shared(const Here& at, Deadline deadline) const noexcept {
    Got got = Got::blocked;
    const auto ready = [&] { return (got = try_in(at)) != Got::blocked; };
    const auto look = [&](bool due) {
        return !due || (got = try_in_for_the_dead(at)) == Got::blocked;
    };
    bool slept = false;
    if (!deadline.is_immediate() && !ready()) {
        LockWait waits;
        waits.tell(at, layout, shape(LockKind::reader));
        wait_on_bell(layout->opened, deadline, Waiting::adaptive, slept, ready, look);
    }
    if (got == Got::blocked) got = try_in_for_the_dead(at);
    switch (got) {
        case Got::in: return Held::clean;
        case Got::alone: return Held::owner_died;
        case Got::poisoned: return fail(Errc::poisoned, "lock");
        case Got::blocked: break;
    }
    return fail(deadline.is_immediate() ? Errc::in_use : Errc::timed_out, "lock");
}

void SharedWords::unlock_shared(const Here& at) const noexcept {
    if (at.me == 0) return;
    // A writer died, and left it to us alone: no place that names us is one of a reader who is in.
    if (is_in(layout->word.load(kSeqCst), at.me)) return unlock(at);
    const std::size_t first = holder_index(at.me) % places.size();
    bool has_left = false;
    for (std::size_t i = 0; i < places.size() && !has_left; ++i) {
        has_left = leave(places[(first + i) % places.size()].word, at.me);
    }
    STOA_REQUIRE(has_left,
                 "unlock_shared of a SharedMutex that this process does not read; lock_shared it "
                 "first, or let a std::shared_lock keep it");
}

}  // namespace stoa::detail
