// A state as one cache line of bits. A model names its fields once, in `visit`; a writer packs what
// is visited and a reader, visiting in the same order, unpacks it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "stoa/base/check.hpp"

namespace stoa::model {

inline constexpr std::size_t kPackedWords = 8;
using Packed = std::array<std::uint64_t, kPackedWords>;

class BitWriter {
public:
    static constexpr bool kReads = false;

    explicit BitWriter(Packed& out) noexcept : out_(out) { out_.fill(0); }

    template <typename Field>
    void operator()(const Field& field, unsigned width) {
        const auto value = static_cast<std::uint64_t>(field);
        // A field that outgrew its width would silently merge states: that would be no proof.
        STOA_CHECK(value >> width == 0 && used_ + width <= kPackedWords * 64);
        out_[used_ / 64] |= value << used_ % 64;
        if (used_ % 64 + width > 64) out_[used_ / 64 + 1] |= value >> (64 - used_ % 64);
        used_ += width;
    }

private:
    Packed& out_;
    unsigned used_ = 0;
};

class BitReader {
public:
    static constexpr bool kReads = true;

    explicit BitReader(const Packed& in) noexcept : in_(in) {}

    template <typename Field>
    void operator()(Field& field, unsigned width) {
        std::uint64_t value = in_[used_ / 64] >> used_ % 64;
        if (used_ % 64 + width > 64) value |= in_[used_ / 64 + 1] << (64 - used_ % 64);
        field = static_cast<Field>(value & ((std::uint64_t{1} << width) - 1));
        used_ += width;
    }

private:
    const Packed& in_;
    unsigned used_ = 0;
};

constexpr std::uint64_t hash_of(const Packed& packed) noexcept {
    std::uint64_t hash = 0x2545f4914f6cdd1d;
    for (const std::uint64_t word : packed) {
        hash = (hash ^ word) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 32;
    }
    return hash;
}

}  // namespace stoa::model
