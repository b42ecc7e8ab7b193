// How the ends of a limit wait for a word: spinning, sleeping in the kernel, or first this, then
// that.
//
// Start here: WaitRules lists what can be chosen; Waiter does it.
// Threads:    one waiter and one publisher per WaitWord.
// Processes:  the word may lie in shared memory.
// Death:      not handled: a limit is what is possible without safety.
// Blocking:   wait() until the predicate holds.
// Lifetime:   the word outlives its users.
// Units:      pauses of the cpu.
// Source:     futex(2); Dekker's test of two flags.
#pragma once

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/kit/board.hpp"
#include "bench/kit/case.hpp"
#include "stoa/base/atomic.hpp"

namespace stoa::bench {

struct WaitRules {
    bool sleeps = false;     // false: pauses and yields for ever
    unsigned pauses = 400;   // before the first yield or sleep
    unsigned yields = 0;     // before the sleep; ~0U: no end
    bool asks_core = false;  // no pauses when the publisher last ran on this cpu
};

inline constexpr WaitRules kSpin{.pauses = ~0U};
inline constexpr WaitRules kPark{.sleeps = true, .pauses = 0};
inline constexpr WaitRules kSpinThenYield{.pauses = 100, .yields = ~0U};
inline constexpr WaitRules kSpinThenPark{.sleeps = true};
inline constexpr WaitRules kAskCoreThenPark{.sleeps = true, .asks_core = true};
inline constexpr WaitRules kAskCoreYieldThenPark{.sleeps = true, .yields = 1, .asks_core = true};

struct WaitWord {
    alignas(kTwoLines) Atomic<std::uint32_t> value{0};
    Atomic<std::uint32_t> publisher_cpu{0};
    alignas(kTwoLines) Atomic<std::uint32_t> asleep{0};
};

template <WaitRules kRules>
class Waiter {
public:
    // W1 release, or part of the one order of all seq_cst operations: either the waiter sees the
    // new value after its `asleep`, or we see `asleep` after our value.
    static void publish(WaitWord& word, std::uint32_t value) noexcept {
        if constexpr (kRules.asks_core) {
            word.publisher_cpu.store(static_cast<std::uint32_t>(sched_getcpu()), kRelaxed);
        }
        if constexpr (!kRules.sleeps) {
            word.value.store(value, kRelease);
        } else {
            word.value.exchange(value, kSeqCst);
            if (word.asleep.load(kSeqCst) == 0) return;
            // The waiter clears `asleep` itself. A waker that did it, and was stopped in between,
            // would wipe out the mark of the next sleep, whose wake-up then never comes.
            syscall(SYS_futex, &word.value, FUTEX_WAKE, 1, nullptr, nullptr, 0);
        }
    }

    template <class Ready>
    static std::uint32_t wait(WaitWord& word, Ready ready) noexcept {
        unsigned pauses = kRules.pauses;
        unsigned yields = kRules.yields;
        if constexpr (kRules.asks_core) {
            const auto here = static_cast<std::uint32_t>(sched_getcpu());
            if (word.publisher_cpu.load(kRelaxed) == here) {
                pauses = 0;
            } else if (kRules.yields != 0) {
                yields = 1;
            }
        }
        for (;;) {
            const std::uint32_t value = word.value.load(kAcquire);  // <- W1
            if (ready(value)) return value;
            if (pauses > 0) {
                pauses -= pauses != ~0U;
                cpu_pause();
            } else if (yields > 0) {
                yields -= yields != ~0U;
                sched_yield();
            } else if constexpr (kRules.sleeps) {
                return sleep(word, ready);
            }
        }
    }

private:
    template <class Ready>
    static std::uint32_t sleep(WaitWord& word, Ready ready) noexcept {
        for (;;) {
            word.asleep.store(1, kSeqCst);
            const std::uint32_t value = word.value.load(kSeqCst);
            if (ready(value)) {
                word.asleep.store(0, kRelaxed);
                return value;
            }
            syscall(SYS_futex, &word.value, FUTEX_WAIT, value, nullptr, nullptr, 0);
        }
    }
};

}  // namespace stoa::bench
