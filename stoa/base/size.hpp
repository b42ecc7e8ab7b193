// Sizes that cannot overflow without being noticed.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>

namespace stoa {

[[nodiscard]] constexpr std::optional<std::uint64_t> checked_add(std::uint64_t a,
                                                                 std::uint64_t b) noexcept {
    std::uint64_t sum = 0;
    if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
    return sum;
}

[[nodiscard]] constexpr std::optional<std::uint64_t> checked_mul(std::uint64_t a,
                                                                 std::uint64_t b) noexcept {
    std::uint64_t product = 0;
    if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
    return product;
}

// Rounds up to a multiple of `alignment`, a power of two; the caller has checked for overflow.
[[nodiscard]] constexpr std::uint64_t align_up(std::uint64_t value,
                                               std::uint64_t alignment) noexcept {
    return (value + alignment - 1) & ~(alignment - 1);
}

// Bits needed to write every value below `count`; at least 1.
[[nodiscard]] constexpr unsigned bits_for(std::uint64_t count) noexcept {
    return count <= 2 ? 1U : static_cast<unsigned>(std::bit_width(count - 1));
}

}  // namespace stoa
