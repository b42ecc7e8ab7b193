// The newest value of one writer: any number of readers copy it, and write nothing.
//
// Start here: latest_write(), latest_copy(). The typed object is stoa/shm/latest.hpp.
// Threads:    one writer at a time; any number of readers.
// Processes:  the same; readers may have mapped it read-only.
// Death:      of the writer, or when it stops, at any instruction: readers read the value before.
//             Its heir goes on with the next number, in the slot that may be half-written. A reader
//             leaves no trace.
// Blocking:   never. A write is wait-free. A read begins again when the writer published three
//             values or more while it copied one, at most kLatestTries times.
// Lifetime:   borrows the mapping.
// Units:      values are numbered from 1 on; times are steady nanoseconds.
// Source:     the non-blocking write protocol of Kopetz and Reisinger 1993, with its ring of
//             buffers and one word in place of one per buffer; the orders after Boehm 2012, "Can
//             seqlocks get along with programming language memory models?".
//
// Order. Value n lies in slot n % 4, and `newest` says n. The writer, for n:
//   W1 release each word of slot n % 4      W2 release newest = n
// and the reader:
//   R1 acquire newest, n  <- W2             the words of value n are there
//   R2 acquire each word  <- W1             of n, or of a later one in the same slot
//   R3 load newest, m: begins again if m > n + 2
// A word that is not of value n is of n + 4 or later. Its W1 comes after the W2 of n + 3 in the
// writer's order, or its heir read that; so R2 has seen it, and R3 reads n + 3 or more.
//
// Why no read is wait-free: with four slots a reader that is held up between two of its loads may
// find its slot written again, and one that writes nothing cannot make the writer spare it. Four
// slots make it begin again only when three values were published during one copy; not once while
// a copy is quicker than three writes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "stoa/base/crash_point.hpp"
#include "stoa/ring/latest_layout.hpp"

namespace stoa {

inline constexpr int kLatestTries = 64;  // a reader's, before it says so

// What a copy found.
enum class LatestRead : std::uint8_t {
    ok,
    none,       // nothing was ever written, or nothing newer
    overtaken,  // kLatestTries times in a row
};

struct LatestStamp {
    std::uint64_t number = 0;
    std::uint64_t written_ns = 0;
};

namespace detail {

#if defined(__SANITIZE_THREAD__)  // g++
#define STOA_LATEST_IN_WORDS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)  // clang
#define STOA_LATEST_IN_WORDS 1
#endif
#endif

#if defined(__x86_64__) && !STOA_LATEST_IN_WORDS
// Two words at a time. To the machine, which keeps the order of all loads and of all stores, they
// are no different from single ones; the C++ standard knows nothing of it, so ThreadSanitizer and
// other machines take the words.
struct LatestPair {
    using Vector [[gnu::vector_size(16), gnu::may_alias]] = long long;

    static void load(const Atomic<std::uint64_t>* from, std::byte* to) noexcept {
        Vector pair;
        asm volatile("movdqu %1, %0" : "=x"(pair) : "m"(*reinterpret_cast<const Vector*>(from)));
        std::memcpy(to, &pair, 16);
    }
    static void store(Atomic<std::uint64_t>* to, const std::byte* from) noexcept {
        Vector pair;
        std::memcpy(&pair, from, 16);
        asm volatile("movdqu %1, %0" : "=m"(*reinterpret_cast<Vector*>(to)) : "x"(pair));
    }
};
#else
struct LatestPair {
    static void load(const Atomic<std::uint64_t>* from, std::byte* to) noexcept {
        for (std::size_t i = 0; i < 2; ++i) {
            const std::uint64_t word = from[i].load(kAcquire);  // R2 <- W1
            std::memcpy(to + i * 8, &word, 8);
        }
    }
    static void store(Atomic<std::uint64_t>* to, const std::byte* from) noexcept {
        for (std::size_t i = 0; i < 2; ++i) {
            std::uint64_t word = 0;
            std::memcpy(&word, from + i * 8, 8);
            to[i].store(word, kRelease);  // W1
        }
    }
};
#endif

inline void latest_store(Atomic<std::uint64_t>* words, const std::byte* from,
                         std::size_t bytes) noexcept {
    std::size_t at = 0;
    std::atomic_signal_fence(kSeqCst);  // for the compiler, where the pairs are no atomics
    for (; at + 16 <= bytes; at += 16) {
        LatestPair::store(words + at / 8, from + at);
        STOA_CRASH_POINT("latest.write.word");
    }
    for (; at < bytes; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, from + at, bytes - at < 8 ? bytes - at : 8);
        words[at / 8].store(word, kRelease);  // W1
    }
    std::atomic_signal_fence(kSeqCst);
}

inline void latest_load(const Atomic<std::uint64_t>* words, std::byte* to,
                        std::size_t bytes) noexcept {
    std::size_t at = 0;
    std::atomic_signal_fence(kSeqCst);
    for (; at + 16 <= bytes; at += 16) {
        LatestPair::load(words + at / 8, to + at);
        STOA_CRASH_POINT("latest.read.word");
    }
    for (; at < bytes; at += 8) {
        const std::uint64_t word = words[at / 8].load(kAcquire);  // R2 <- W1
        std::memcpy(to + at, &word, bytes - at < 8 ? bytes - at : 8);
    }
    std::atomic_signal_fence(kSeqCst);
}

}  // namespace detail

// `slots`: what follows the layout. Returns the number of the value.
// Precondition: the caller is the one writer.
inline std::uint64_t latest_write(LatestLayout& layout, Atomic<std::uint64_t>* slots,
                                  const std::byte* value, std::size_t bytes,
                                  std::uint64_t now_ns) noexcept {
    // acquire: of the first value it is the last W2 of a dead predecessor.
    const std::uint64_t number = layout.newest.load(kAcquire) + 1;
    const std::uint64_t slot = number % kLatestSlots;
    layout.written[slot].store(now_ns, kRelease);  // W1
    detail::latest_store(slots + slot * latest_step_words(bytes), value, bytes);
    STOA_CRASH_POINT("latest.write.before_publish");
    layout.newest.store(number, kRelease);  // W2
    return number;
}

// The newest value, if its number is above `since`. What is in `to` counts only when it says ok.
[[nodiscard]] inline LatestRead latest_copy(const LatestLayout& layout,
                                            const Atomic<std::uint64_t>* slots, std::byte* to,
                                            std::size_t bytes, std::uint64_t since,
                                            LatestStamp& stamp) noexcept {
    for (int i = 0; i < kLatestTries; ++i) {
        const std::uint64_t number = layout.newest.load(kAcquire);  // R1 <- W2
        if (number <= since) return LatestRead::none;
        const std::uint64_t slot = number % kLatestSlots;
        detail::latest_load(slots + slot * latest_step_words(bytes), to, bytes);
        stamp = {.number = number, .written_ns = layout.written[slot].load(kAcquire)};  // R2 <- W1
        STOA_CRASH_POINT("latest.read.copied");
        if (layout.newest.load(kRelaxed) - number < kLatestSlots - 1) [[likely]]  // R3
            return LatestRead::ok;
    }
    return LatestRead::overtaken;
}

}  // namespace stoa
