// The cpu that the calling thread runs on, for one load; a rough clock for some nanoseconds.
//
// Start here: current_cpu(); processor_ticks().
// Threads:    safe; the answer may be old by the time it is used: a hint.
// Processes:  cpu numbers are the machine's, the same for all.
// Death:      not applicable.
// Blocking:   never; signal-safe.
// Lifetime:   not applicable.
// Units:      ticks of an unknown rate of 1 to 5 GHz; they may differ between cpus.
// Source:     rseq(2): the kernel keeps the number in the thread's own memory. RDTSC.
#pragma once

#include <sched.h>
#include <sys/rseq.h>

#include <cstddef>
#include <cstdint>
#include <ctime>

namespace stoa::sys {

namespace detail {
// The kernel writes it whenever this thread moves; negative where rseq is not registered for it.
inline std::uint32_t rseq_cpu_id() noexcept {
    std::uint32_t cpu = 0;
#if defined(__x86_64__)
    asm volatile("movl %%fs:%c2(%1), %0"
                 : "=r"(cpu)
                 : "r"(__rseq_offset), "i"(offsetof(struct rseq, cpu_id)));
#else
    const std::byte* const area =
        static_cast<const std::byte*>(__builtin_thread_pointer()) + __rseq_offset;
    cpu = __atomic_load_n(
        reinterpret_cast<const std::uint32_t*>(area + offsetof(struct rseq, cpu_id)),
        __ATOMIC_RELAXED);
#endif
    return cpu;
}
}  // namespace detail

[[nodiscard]] inline std::uint32_t current_cpu() noexcept {
    const std::uint32_t cpu = detail::rseq_cpu_id();
    if (static_cast<std::int32_t>(cpu) >= 0) [[likely]]
        return cpu;
    const int slow = ::sched_getcpu();
    return slow < 0 ? 0 : static_cast<std::uint32_t>(slow);
}

// For "not again so soon", never for a time that somebody is told.
[[nodiscard]] inline std::uint64_t processor_ticks() noexcept {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(now.tv_nsec);
#endif
}

}  // namespace stoa::sys
