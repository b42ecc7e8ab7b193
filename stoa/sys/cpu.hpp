// The cpu that the calling thread runs on, for one load.
//
// Start here: current_cpu().
// Threads:    safe; the answer may be old by the time it is used: a hint.
// Processes:  cpu numbers are the machine's, the same for all.
// Death:      not applicable.
// Blocking:   never; signal-safe.
// Lifetime:   not applicable.
// Units:      none.
// Source:     rseq(2): the kernel keeps the number in the thread's own memory.
#pragma once

#include <sched.h>
#include <sys/rseq.h>

#include <cstddef>
#include <cstdint>

namespace stoa::sys {

namespace detail {
inline const std::byte* thread_pointer() noexcept {
#if defined(__x86_64__)
    const std::byte* pointer = nullptr;
    asm("movq %%fs:0, %0" : "=r"(pointer));
    return pointer;
#else
    return static_cast<const std::byte*>(__builtin_thread_pointer());
#endif
}
}  // namespace detail

[[nodiscard]] inline std::uint32_t current_cpu() noexcept {
    const std::byte* const area = detail::thread_pointer() + __rseq_offset;
    // The kernel writes it whenever this thread moves, hence an atomic load; negative where rseq is
    // not registered for this thread.
    const std::uint32_t* const cpu_id =
        reinterpret_cast<const std::uint32_t*>(area + offsetof(struct rseq, cpu_id));
    const std::uint32_t cpu = __atomic_load_n(cpu_id, __ATOMIC_RELAXED);
    if (static_cast<std::int32_t>(cpu) >= 0) [[likely]]
        return cpu;
    const int slow = ::sched_getcpu();
    return slow < 0 ? 0 : static_cast<std::uint32_t>(slow);
}

}  // namespace stoa::sys
