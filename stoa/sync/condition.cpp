#include "stoa/sync/condition.hpp"

#include <algorithm>

#include "stoa/base/crash_point.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/futex.hpp"

namespace stoa {
namespace {

using Word = ConditionWord;

// Of all who are there, the late included.
Word all_let_go(const Word& word) noexcept {
    return {.turn = (word.turn + 2) & Word::kTurnMask};
}

// The last grant is taken: who came meanwhile waits with the others.
Word late_joined(Word word) noexcept {
    const std::uint32_t waiting = word.waiting + word.late;
    if (word.late == Word::kMostLate || word.joined == Word::kMostJoined ||
        waiting >= Word::kMostWaiting) {
        return all_let_go(word);  // more than it can count
    }
    word.turn = (word.turn + 1) & Word::kTurnMask;
    ++word.joined;
    word.waiting = waiting;
    word.late = 0;
    return word;
}

void leave_one(std::uint32_t& count, std::uint32_t most) noexcept {
    if (count != 0 && count != most) --count;
}

// Where spinning was in vain several times in a row, on one core say, it is tried now and then.
constinit thread_local std::uint32_t t_spun_in_vain = 0;
constexpr std::uint32_t kGivesUpSpinning = 4;
constexpr std::uint32_t kTriesAgain = 32;

bool is_spinning_worthwhile() noexcept {
    return t_spun_in_vain < kGivesUpSpinning || t_spun_in_vain % kTriesAgain == 0;
}

}  // namespace

Condition::Place Condition::place_of(const Word& word, const Ticket& mine) noexcept {
    const std::uint32_t ago = (word.turn - mine.turn) & Word::kTurnMask;
    if (ago == Word::kTurnMask) return Place::late;
    return ago > word.joined ? Place::let_go : Place::waits;
}

bool Condition::is_ready(const Word& word, const Ticket& mine) noexcept {
    const Place place = place_of(word, mine);
    return place == Place::let_go || (place == Place::waits && word.granted != 0);
}

Condition::Ticket Condition::enter() noexcept {
    std::uint64_t seen = layout_.word.load(kRelaxed);
    for (;;) {
        Word word = unpack_condition(seen);
        const bool is_late = word.granted != 0;
        std::uint32_t& count = is_late ? word.late : word.waiting;
        count = std::min(count + 1, is_late ? Word::kMostLate : Word::kMostWaiting);
        if (layout_.word.compare_exchange_strong(seen, pack(word), kSeqCst)) {
            return {.turn = (word.turn + (is_late ? 1 : 0)) & Word::kTurnMask};
        }
    }
}

Condition::Woke Condition::sleep(Ticket& mine, Deadline deadline) noexcept {
    Atomic<std::uint64_t>& word = layout_.word;
    const auto is_time = [&](std::uint64_t seen) { return is_ready(unpack_condition(seen), mine); };
    if (!mine.has_spun && is_spinning_worthwhile()) {
        for (int i = 0; i < kAdaptiveSpins; ++i) {
            if (is_time(word.load(kAcquire))) {
                t_spun_in_vain = 0;
                return Woke::ready;
            }
            cpu_pause();
        }
    }
    if (!mine.has_spun) ++t_spun_in_vain;
    mine.has_spun = true;
    const auto longest = mine.suspects ? g_wait_slice / 16 : g_wait_slice;
    const Deadline slice = Deadline::after(longest);
    for (;;) {
        std::uint64_t seen = word.load(kSeqCst);
        if (is_time(seen)) return Woke::ready;
        if (deadline.passed()) return Woke::timed_out;
        if (slice.passed()) {
            suspect(mine);
            return Woke::due;
        }
        const std::uint64_t asleep = seen | Word::kAsleep;
        if (seen != asleep && !word.compare_exchange_strong(seen, asleep, kSeqCst)) continue;
        STOA_CRASH_POINT("condition.before_sleep");
        const auto how = sys::futex_wait(low_half(word), static_cast<std::uint32_t>(asleep),
                                         deadline.left(slice.left(longest)));
        if (how == sys::FutexWait::woken) pass_on(mine);
    }
}

// It came between a notification and its wake, which was meant for one that was there before. Once
// is enough: none of those sleeps again while something is granted.
void Condition::pass_on(Ticket& mine) noexcept {
    const Word seen = unpack_condition(layout_.word.load(kSeqCst));
    if (mine.passed_on || seen.granted == 0 || place_of(seen, mine) != Place::late) return;
    mine.passed_on = true;
    sys::futex_wake(low_half(layout_.word), kWakeAll);
}

// After a slice: who should take what is granted may be dead, and nothing gets to the late ones.
void Condition::suspect(Ticket& mine) noexcept {
    const Word seen = unpack_condition(layout_.word.load(kSeqCst));
    const bool is_late = place_of(seen, mine) == Place::late;
    if (is_late && mine.suspects) let_all_go();
    mine.suspects = is_late;
}

bool Condition::take(const Ticket& mine, bool leaves) noexcept {
    std::uint64_t seen = layout_.word.load(kSeqCst);
    for (;;) {
        Word word = unpack_condition(seen);
        const Place place = place_of(word, mine);
        if (place == Place::let_go) return true;  // its share went with all others
        const bool takes = place == Place::waits && word.granted != 0;
        if (takes) {
            --word.granted;
            if (word.granted == 0 && word.late != 0) word = late_joined(word);
        } else if (leaves) {
            place == Place::late ? leave_one(word.late, Word::kMostLate)
                                 : leave_one(word.waiting, Word::kMostWaiting);
        } else {
            return false;
        }
        if (word.has_nobody()) {
            word.joined = 0;
            word.asleep = false;
        }
        STOA_CRASH_POINT("condition.before_take");
        const std::uint64_t before = seen;
        if (!layout_.word.compare_exchange_strong(seen, pack(word), kSeqCst)) continue;
        const bool lets_all_go = takes && word.has_nobody() && unpack_condition(before).late != 0;
        if (lets_all_go) sys::futex_wake(low_half(layout_.word), kWakeAll);
        return takes;
    }
}

void Condition::notify_one_slowly() noexcept {
    std::uint64_t seen = layout_.word.load(kSeqCst);
    Word word;
    bool is_next_turn = false;
    do {
        word = unpack_condition(seen);
        if (word.waiting == 0 && word.late == 0) return;  // everybody has been notified
        is_next_turn = word.waiting == 0;
        if (is_next_turn) {  // so they are let go, and the late ones wait
            if (word.late == Word::kMostLate) return let_all_go();
            word = {.asleep = word.asleep,
                    .turn = (word.turn + 1) & Word::kTurnMask,
                    .waiting = word.late - 1,
                    .granted = 1};
        } else {
            if (word.granted == Word::kMostGranted) return let_all_go();
            leave_one(word.waiting, Word::kMostWaiting);
            ++word.granted;
        }
    } while (!layout_.word.compare_exchange_weak(seen, pack(word), kSeqCst));
    STOA_CRASH_POINT("condition.notified");
    // At the next turn some may still sleep who are let go.
    if (word.asleep) sys::futex_wake(low_half(layout_.word), is_next_turn ? kWakeAll : 1);
}

void Condition::let_all_go() noexcept {
    std::uint64_t seen = layout_.word.load(kSeqCst);
    do {
        if (unpack_condition(seen).has_nobody()) return;
    } while (!layout_.word.compare_exchange_weak(seen, pack(all_let_go(unpack_condition(seen))),
                                                 kSeqCst));
    STOA_CRASH_POINT("condition.all_let_go");
    if ((seen & Word::kAsleep) != 0) sys::futex_wake(low_half(layout_.word), kWakeAll);
}

}  // namespace stoa
