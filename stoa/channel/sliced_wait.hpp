// How the engines that sleep on data wait: spin, then sleep in slices, and look around after each.
//
// Start here: wait_in_slices().
// Threads:    safe.
// Processes:  nothing shared.
// Death:      a slice is the longest time in which the death of a peer goes unnoticed.
// Blocking:   wait_in_slices, until its deadline.
// Lifetime:   not applicable.
// Units:      pauses of a spin loop; nanoseconds.
// Source:     speed of spinning and parking: docs/performance.md; membarrier(2).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>

#include "stoa/channel/pool_engine.hpp"
#include "stoa/channel/wait_mark.hpp"
#include "stoa/ring/lane_layout.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/cpu.hpp"
#include "stoa/sys/membarrier.hpp"

namespace stoa {

// Where no barrier can be sent to the publishers, one of them may miss the mark: sleep briefly.
inline constexpr std::chrono::milliseconds kSleepWithoutBarrier{1};

template <typename Ready>
bool spin(std::uint32_t pauses, Ready& ready) {
    for (std::uint32_t i = 0; i < pauses; ++i) {
        cpu_pause();
        if (ready()) return true;
    }
    return false;
}

inline void back_off(std::uint32_t pauses) noexcept {
    for (std::uint32_t i = 0; i < pauses; ++i) cpu_pause();
}

// Spins, then sleeps, until ready(). `sleep` marks, looks again and sleeps for at most what it is
// told; meanwhile others are told that it waits for `what`.
template <typename Ready, typename Sleep>
Result<void> wait_in_slices(Deadline deadline, Waiting waiting, std::uint32_t pauses,
                            const LookAround& around, WaitsFor what, Ready&& ready, Sleep&& sleep) {
    if (spin(pauses, ready)) return {};  // before the first look at the clock
    Deadline slice = Deadline::after(g_wait_slice);
    for (;;) {
        if (waiting != Waiting::spin) {
            {
                const WaitMark mark{around.waits, what};
                sleep(deadline.left(slice.left(g_wait_slice)));
            }
            if (Result<void> good = around.check(around.context); !good) return good;
        }
        if (ready() || (waiting == Waiting::spin && spin(kAdaptiveSpins, ready))) return {};
        if (deadline.passed()) return fail(Errc::timed_out, "wait");
        if (slice.passed()) {
            if (Result<void> looked = around.look(around.context); !looked) return looked;
            slice = Deadline::after(g_wait_slice);
        }
    }
}

// A spin is of no use when the peer cannot run meanwhile: it last ran on this core.
inline std::uint32_t pauses_for(Waiting waiting, std::uint32_t peer_cpu,
                                std::uint64_t bytes) noexcept {
    if (waiting == Waiting::spin) return kAdaptiveSpins;
    if (waiting == Waiting::park || peer_cpu == sys::current_cpu()) return 0;
    return lane_spin_pauses(bytes);
}

// The barrier between a sleeper's mark and its second look, and how long it may sleep then.
inline std::chrono::nanoseconds sleep_limit(std::chrono::nanoseconds wanted) noexcept {
    if (sys::barrier_all()) return wanted;
    full_fence();
    return std::min<std::chrono::nanoseconds>(wanted, kSleepWithoutBarrier);
}

// So that what was published before is seen, and who publishes later sees what we saw.
inline void reach_all_publishers() noexcept {
    if (sys::barrier_all()) return;
    full_fence();
    std::this_thread::sleep_for(kSleepWithoutBarrier);  // no store lies in a buffer for so long
}

}  // namespace stoa
