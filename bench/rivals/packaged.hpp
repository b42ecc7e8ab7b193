// One function per packaged rival; a file is compiled when CMake has found its package.
#pragma once

#include <sched.h>

#include "bench/kit/subject.hpp"

namespace stoa::bench {

void add_boost_spsc(Subjects& subjects);
void add_boost_mq(Subjects& subjects);
void add_boost_segment(Subjects& subjects);
void add_atomic_queue(Subjects& subjects);
void add_zeromq(Subjects& subjects);
void add_nng(Subjects& subjects);
void add_iceoryx(Subjects& subjects);

// Libraries that sleep in the kernel: everything but the cases of those who spin.
[[nodiscard]] inline bool sleeps_in(const Case& c) {
    return c.is_flow() || c.waiting() != Waiting::spin;
}
// Queues that spin: two processes, or a flow.
[[nodiscard]] inline bool spins_in(const Case& c) {
    return c.is_flow() || c.mode == Mode::spin;
}
[[nodiscard]] inline bool is_first(const Role& role) {
    return role.part == Part::client || role.part == Part::sender;
}

// Four processes on two cpus: who waits gives way after a while.
[[nodiscard]] inline bool gives_way(const Case& c) {
    return c.workload == Workload::many_to_many;
}
inline void pause_or_yield(unsigned tries, bool yields) noexcept {
    if (yields && tries > 100) {
        sched_yield();
    } else {
        cpu_pause();
    }
}

// The element of a queue with a fixed type.
template <std::size_t kBytes>
struct Element {
    alignas(8) std::byte bytes[kBytes];
};

}  // namespace stoa::bench
