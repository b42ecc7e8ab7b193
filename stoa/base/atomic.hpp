// Atomic words that may lie in shared memory, and the one pause instruction.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

namespace stoa {

template <typename T>
using Atomic = std::atomic<T>;
static_assert(Atomic<std::uint32_t>::is_always_lock_free && sizeof(Atomic<std::uint32_t>) == 4);
static_assert(Atomic<std::uint64_t>::is_always_lock_free && sizeof(Atomic<std::uint64_t>) == 8);

inline constexpr auto kRelaxed = std::memory_order_relaxed;
inline constexpr auto kAcquire = std::memory_order_acquire;
inline constexpr auto kRelease = std::memory_order_release;
inline constexpr auto kAcqRel = std::memory_order_acq_rel;
inline constexpr auto kSeqCst = std::memory_order_seq_cst;

// Part of the formats, so never a compiler's guess (std::hardware_destructive_interference_size).
inline constexpr std::size_t kCacheLine = 64;
inline constexpr std::size_t kPage = 4096;

// No load after it is done before a store before it: what seq_cst fences give to the pattern
// "store mine, then load yours" on both sides. A locked instruction costs half of mfence, and g++
// rejects std::atomic_thread_fence under ThreadSanitizer.
// The half of a word that a futex can wait on: its low one.
[[nodiscard]] inline const Atomic<std::uint32_t>& low_half(
    const Atomic<std::uint64_t>& word) noexcept {
    static_assert(std::endian::native == std::endian::little);
    return reinterpret_cast<const Atomic<std::uint32_t>&>(word);
}

inline void full_fence() noexcept {
#if defined(__x86_64__)
    asm volatile("lock; orl $0, (%%rsp)" ::: "memory", "cc");
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);  // allowed: banned: not on x86
#endif
}

// Tells the core that this is a spin loop.
inline void cpu_pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield" ::: "memory");
#endif
}

}  // namespace stoa
