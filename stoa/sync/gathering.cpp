#include "stoa/sync/gathering.hpp"

#include <algorithm>

#include "stoa/base/crash_point.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sync/latch.hpp"

namespace stoa {
namespace detail {

Result<void> Gathering::join(const Here& at) const noexcept {
    if (at.me == 0) return fail(Errc::forked, "join");
    return take_place(at) ? Result<void>{} : fail(Errc::no_free_place, "join");
}

// One that somebody is expected at, else one that was given up, else one more, else a dead one's.
bool Gathering::take_place(const Here& at) const noexcept {
    enum class Kind : std::uint8_t { expected, given_up, one_more, dead };
    const auto fits = [&](Kind kind, std::size_t index, std::uint64_t word) {
        switch (kind) {
            case Kind::expected: return word == 0 && index < now().expected;
            case Kind::given_up: return MemberWord::is_nobodys(word);
            case Kind::one_more: return word == 0;
            case Kind::dead: return at.is_gone(word & kHolderMask);
        }
        return false;
    };
    for (const Kind kind : {Kind::expected, Kind::given_up, Kind::one_more, Kind::dead}) {
        for (std::size_t i = 0; i < places.size(); ++i) {
            std::uint64_t seen = places[i].load(kSeqCst);
            if (!fits(kind, i, seen)) continue;
            const std::uint64_t mine = MemberWord::of(at.me, now().phase);
            if (!places[i].compare_exchange_strong(seen, mine, kSeqCst)) continue;
            STOA_CRASH_POINT("gathering.joined");
            expect(i + 1);
            return true;
        }
    }
    return false;
}

void Gathering::expect(std::size_t places_used) const noexcept {
    std::uint64_t seen = layout->word.load(kSeqCst);
    for (;;) {
        GatheringWord word = unpack_gathering(seen);
        if (word.expected >= places_used) return;
        word.expected = static_cast<std::uint32_t>(places_used);
        if (layout->word.compare_exchange_weak(seen, pack(word), kSeqCst)) return;
    }
}

Result<std::uint32_t> Gathering::arrive(const Here& at, bool drops) const noexcept {
    if (at.me == 0) return fail(Errc::forked, "arrive");
    // The phase does not end before a place has arrived that we find not to have: what follows
    // arrives in the very phase that was looked at.
    for (const bool takes_new : {false, true}) {
        const GatheringWord word = now();
        const std::size_t count = std::min<std::size_t>(word.expected, places.size());
        for (std::size_t i = 0; i < count; ++i) {
            std::uint64_t seen = places[i].load(kSeqCst);
            const bool is_mine = (seen & kHolderMask) == at.me && !MemberWord::is_nobodys(seen) &&
                                 !MemberWord::has_arrived(seen, word.phase);
            if (takes_new ? seen != 0 : !is_mine) continue;
            const std::uint64_t next =
                drops ? MemberWord::kDropped : MemberWord::arrived(at.me, word.phase);
            if (!places[i].compare_exchange_strong(seen, next, kSeqCst)) continue;
            STOA_CRASH_POINT("gathering.arrived");
            end_phase(at, false);
            return word.phase;
        }
    }
    return fail(Errc::not_owner, "arrive");
}

bool Gathering::has_come(const Here& at, std::size_t index, std::uint32_t phase,
                         bool looks) const noexcept {
    std::uint64_t seen = places[index].load(kSeqCst);
    if (MemberWord::is_nobodys(seen) || MemberWord::has_arrived(seen, phase)) return seen != 0;
    if (!looks || seen == 0 || !at.is_gone(seen & kHolderMask)) return false;
    STOA_CRASH_POINT("gathering.gone");
    return places[index].compare_exchange_strong(seen, MemberWord::kGone, kSeqCst);
}

void Gathering::end_phase(const Here& at, bool looks) const noexcept {
    std::uint64_t seen = layout->word.load(kSeqCst);
    GatheringWord word;
    do {
        word = unpack_gathering(seen);
        const std::size_t count = std::min<std::size_t>(word.expected, places.size());
        for (std::size_t i = 0; i < count; ++i) {
            if (!has_come(at, i, word.phase, looks)) return;
        }
        if (count == 0) return;
        word.gone = static_cast<std::uint32_t>(
            std::ranges::count_if(places.first(count), [](const Atomic<std::uint64_t>& place) {
                return (place.load(kSeqCst) & MemberWord::kGone) != 0;
            }));
        ++word.phase;
        STOA_CRASH_POINT("gathering.before_end");
    } while (!layout->word.compare_exchange_strong(seen, pack(word), kSeqCst));
    STOA_CRASH_POINT("gathering.ended");
    ring_bell_of_many(layout->bell);
}

Result<Passed> Gathering::wait(const Here& at, std::uint32_t phase,
                               Deadline deadline) const noexcept {
    if (at.me == 0) return fail(Errc::forked, "wait");
    GatheringWord seen;
    const auto is_over = [&] {
        seen = now();
        return seen.phase != phase;
    };
    const auto look = [&](bool due) {
        if (due) end_phase(at, true);
        return true;
    };
    bool slept = false;
    const bool is_over_now = deadline.is_immediate()
                                 ? is_over()
                                 : wait_on_bell(layout->bell, deadline, Waiting::adaptive, slept,
                                                is_over, look) == Waited::ready;
    if (!is_over_now) {  // those who wait shortly or never look for the dead as well
        end_phase(at, true);
        if (!is_over())
            return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "wait");
    }
    return Passed{.phase = phase, .gone = seen.gone};
}

}  // namespace detail

void CountLatch::count_down(std::uint32_t by) noexcept {
    std::uint32_t left = layout_.left.load(kSeqCst);
    while (!layout_.left.compare_exchange_weak(left, left - std::min(left, by), kSeqCst)) {
    }
    if (left != 0 && left <= by) ring_bell_of_many(layout_.bell);
}

Result<void> CountLatch::wait(Deadline deadline) noexcept {
    if (here(this).me == 0) return fail(Errc::forked, "wait");
    const auto is_over = [this] { return is_open(); };
    return take_on_bell(layout_.bell, deadline, "wait", is_over, [] { return false; });
}

}  // namespace stoa
