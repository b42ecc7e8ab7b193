// Bell: how a process sleeps until another one says that something changed.
//
// Start here: wait_on_bell() for the sleeper, ring_bell() for whoever changed something.
// Threads:    any number of sleepers and ringers on one bell.
// Processes:  the word lies in shared memory.
// Death:      a woken sleeper that dies or stops takes its wake with it; every sleep is sliced, so
//             the others look again after at most 100 ms; a recovery wakes all.
// Blocking:   wait_on_bell, until its deadline. ring_bell never.
// Lifetime:   borrows the word.
// Units:      the word: bit 0 somebody sleeps, the rest a sequence number.
// Source:     the sleep bit of Drepper 2011, "Futexes are tricky"; see the order below.
//
// Order (seq_cst: each side writes one word, then reads the other's):
//   sleeper  B1 set the bit      B2 look again        B3 futex_wait on what B1 left
//   ringer   A1 change something A2 read the bit      A3 clear it and count up   A4 wake one
// If A2 misses the bit, B1 came after A1, so B2 sees the change. A woken sleeper sets the bit
// again, for there may be others, and passes the wake on when more is there than it takes.
// A wait set does B1 and B2 by arm_bell(); it is told before A3, for whoever stops between the two
// would have taken the mark with him. Arming counts up, so that A3 of one who told before it fails.
#pragma once

#include <chrono>
#include <cstdint>

#include "stoa/base/atomic.hpp"
#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/sys/futex.hpp"

namespace stoa {

// How a call waits. adaptive spins about as long as a wake-up takes and then sleeps.
enum class Waiting : std::uint8_t { adaptive, spin, park };

// The longest sleep between two looks at those one waits for. Tests make it infinite, so that no
// lost wake-up can hide behind it.
extern constinit std::chrono::nanoseconds g_wait_slice;
inline constexpr std::chrono::milliseconds kWaitSlice{100};

inline constexpr int kWakeAll = 0x7fffffff;
inline constexpr int kAdaptiveSpins = 400;  // about 7 us, longer than waking an idle core

// Whoever has to wake those who sleep on a word of shared memory calls this: it wakes as many as
// `count`, and tells the wait sets that watch the region. How many slept.
int wake(const Atomic<std::uint32_t>& word, int count) noexcept;

void ring_bell_slowly(Atomic<std::uint32_t>& bell, int wake_count) noexcept;

// A1 has happened (by a seq_cst write). Wakes one sleeper if there is one.
inline void ring_bell(Atomic<std::uint32_t>& bell) noexcept {
    if ((bell.load(kSeqCst) & 1U) != 0) [[unlikely]]
        ring_bell_slowly(bell, 1);
}

// As ring_bell, for a bell whose sleepers wait for different things: one of them alone might be one
// that cannot go on. Wakes all that sleep.
inline void ring_bell_of_many(Atomic<std::uint32_t>& bell) noexcept {
    if ((bell.load(kSeqCst) & 1U) != 0) [[unlikely]]
        ring_bell_slowly(bell, kWakeAll);
}

// B1 of one who does not sleep here but is told by its watch word; look again afterwards. What the
// bell said before.
std::uint32_t arm_bell(Atomic<std::uint32_t>& bell) noexcept;
[[nodiscard]] constexpr std::uint32_t armed_bell(std::uint32_t before) noexcept {
    return (before & 1U) != 0 ? before + 2 : before | 1U;
}

// Wakes every sleeper: after a recovery, a close, a destroy.
void ring_bell_for_all(Atomic<std::uint32_t>& bell) noexcept;

enum class Waited : std::uint8_t { ready, timed_out, stopped };

// One sleep, of at most `longest`.
void sleep_on_bell(Atomic<std::uint32_t>& bell, std::uint32_t seen,
                   std::chrono::nanoseconds longest) noexcept;

// Waits until ready() is true. look(due) may end the wait by returning false: it is called after
// every sleep, and `due` once in a slice, when it is time to look at the others.
// `slept` tells whether it went to sleep (then the caller passes the wake on, see ring_bell).
template <typename Ready, typename Look>
Waited wait_on_bell(Atomic<std::uint32_t>& bell, Deadline deadline, Waiting waiting, bool& slept,
                    Ready&& ready, Look&& look) {
    slept = false;
    if (ready()) return Waited::ready;
    if (waiting == Waiting::adaptive) {
        for (int i = 0; i < kAdaptiveSpins; ++i) {
            cpu_pause();
            if (ready()) return Waited::ready;
        }
    }
    Deadline slice = Deadline::after(g_wait_slice);
    for (;;) {
        if (waiting == Waiting::spin) {
            for (int i = 0; i < kAdaptiveSpins; ++i) {
                cpu_pause();
                if (ready()) return Waited::ready;
            }
        } else {
            const std::uint32_t seen = bell.fetch_or(1, kSeqCst) | 1U;  // B1
            if (ready()) return Waited::ready;                          // B2
            slept = true;
            sleep_on_bell(bell, seen, deadline.left(slice.left(g_wait_slice)));  // B3
            // Others may still sleep, also when this one gives up without being ready.
            bell.fetch_or(1, kSeqCst);
            if (!look(false)) return Waited::stopped;  // before it takes what is ready
            if (ready()) return Waited::ready;
        }
        if (deadline.passed()) return Waited::timed_out;
        if (slice.passed()) {
            if (!look(true)) return Waited::stopped;
            slice = Deadline::after(g_wait_slice);
        }
    }
}

// Waits until take() has taken what it is there for, all sleepers of the bell being after the same;
// `more()`: there is some left, so the wake is passed on. Errors: empty (immediately), timed_out
template <typename Take, typename More>
Result<void> take_on_bell(Atomic<std::uint32_t>& bell, Deadline deadline, const char* step,
                          Take&& take, More&& more) {
    if (deadline.is_immediate()) return take() ? Result<void>{} : fail(Errc::empty, step);
    bool slept = false;
    const auto goes_on = [](bool /*due*/) { return true; };
    const Waited waited = wait_on_bell(bell, deadline, Waiting::adaptive, slept, take, goes_on);
    if (waited == Waited::timed_out) return fail(Errc::timed_out, step);
    if (slept && more()) ring_bell(bell);
    return {};
}

}  // namespace stoa
