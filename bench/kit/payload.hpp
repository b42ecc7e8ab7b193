// Payloads that every subject writes and reads in full, and whose sum tells a wrong or lost one.
//
// Word k of a message with seed s is s + k * kStep, so its sum is known without a look at the
// words, and checking a message costs the reader nothing but the reading. Sizes are multiples of 8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace stoa::bench {

inline constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15U;

namespace detail {

template <std::size_t kWords>
[[gnu::always_inline]] inline void fill_words(std::byte* at, std::uint64_t seed) noexcept {
    std::uint64_t words[kWords];
    for (std::size_t k = 0; k < kWords; ++k) words[k] = seed + k * kStep;
    std::memcpy(at, words, sizeof words);
}

template <std::size_t kWords>
[[gnu::always_inline]] inline std::uint64_t sum_words(const std::byte* at) noexcept {
    std::uint64_t words[kWords];
    std::memcpy(words, at, sizeof words);
    std::uint64_t sum = 0;
    for (std::size_t k = 0; k < kWords; ++k) sum += words[k];
    return sum;
}

// Never inlined, never cloned for a size: every subject runs the same code on large payloads. Whose
// payload it is, is checked by its sum; ThreadSanitizer would take a hundred times as long.
#if defined(__clang__)
#define STOA_BENCH_SAME_FOR_ALL __attribute__((noinline, no_sanitize("thread")))
#else
#define STOA_BENCH_SAME_FOR_ALL __attribute__((noipa, no_sanitize("thread")))
#endif

STOA_BENCH_SAME_FOR_ALL inline void fill_long(std::byte* at, std::size_t bytes,
                                              std::uint64_t seed) noexcept {
    for (std::size_t done = 0; done + 8 <= bytes; done += 8, seed += kStep) {
        std::memcpy(at + done, &seed, sizeof seed);
    }
}

[[nodiscard]] STOA_BENCH_SAME_FOR_ALL inline std::uint64_t sum_long(const std::byte* at,
                                                                    std::size_t bytes) noexcept {
    std::uint64_t sum = 0;
    for (std::size_t done = 0; done + 8 <= bytes; done += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at + done, sizeof word);
        sum += word;
    }
    return sum;
}

}  // namespace detail

[[nodiscard]] inline std::uint64_t first_word(const std::byte* at) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
}

[[gnu::always_inline]] inline void fill_payload(std::byte* at, std::size_t bytes,
                                                std::uint64_t seed) noexcept {
    switch (bytes) {
        case 8: return detail::fill_words<1>(at, seed);
        case 16: return detail::fill_words<2>(at, seed);
        case 32: return detail::fill_words<4>(at, seed);
        case 48: return detail::fill_words<6>(at, seed);
        case 64: return detail::fill_words<8>(at, seed);
        default: return detail::fill_long(at, bytes, seed);
    }
}

[[nodiscard, gnu::always_inline]] inline std::uint64_t sum_payload(const std::byte* at,
                                                                   std::size_t bytes) noexcept {
    switch (bytes) {
        case 8: return detail::sum_words<1>(at);
        case 16: return detail::sum_words<2>(at);
        case 32: return detail::sum_words<4>(at);
        case 48: return detail::sum_words<6>(at);
        case 64: return detail::sum_words<8>(at);
        default: return detail::sum_long(at, bytes);
    }
}

// The same for a size that the compiler knows.
template <std::size_t kBytes>
[[gnu::always_inline]] inline void fill_payload(std::byte* at, std::uint64_t seed) noexcept {
    if constexpr (kBytes <= 64) {
        detail::fill_words<kBytes / 8>(at, seed);
    } else {
        detail::fill_long(at, kBytes, seed);
    }
}

// The sum of one message.
[[nodiscard]] constexpr std::uint64_t expected_sum(std::size_t bytes, std::uint64_t seed) noexcept {
    const std::uint64_t words = bytes / 8;
    return words * seed + kStep * (words * (words - 1) / 2);
}

// The sum of `count` messages with the seeds base, base + 1, ...
[[nodiscard]] constexpr std::uint64_t expected_total(std::size_t bytes, std::uint64_t base,
                                                     std::uint64_t count) noexcept {
    const std::uint64_t pairs = count % 2 == 0 ? count / 2 * (count - 1) : (count - 1) / 2 * count;
    return count * expected_sum(bytes, base) + bytes / 8 * pairs;
}

}  // namespace stoa::bench
