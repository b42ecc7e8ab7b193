// Counts of intervals in log-linear buckets: 128 per power of two, so a percentile is off by < 0.8
// %.
//
// Start here: add(), percentile(), max().
// Threads:    one writer.
// Processes:  a plain layout without pointers, so a child may fill one in shared memory.
// Death:      what was added before stays.
// Blocking:   never.
// Lifetime:   value, 20 KiB.
// Units:      whatever was added (the loops add ticks).
// Source:     HdrHistogram's bucket layout.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace stoa::bench {

class Histogram {
public:
    void add(std::uint64_t value) noexcept {
        ++buckets_[index_of(value)];
        ++count_;
        if (value > max_) max_ = value;
    }
    void merge(const Histogram& other) noexcept;
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
    // The value below which `share` (0..1) of all lie; 0 when empty. A value that was read from a
    // clock with steps of `step` stands for all values around it that the clock cannot tell apart.
    [[nodiscard]] double percentile(double share, double step = 1) const noexcept;

private:
    static constexpr unsigned kLinearBits = 7;
    static constexpr std::uint64_t kLinear = 1U << kLinearBits;
    static constexpr unsigned kPowers = 40 - kLinearBits;  // up to 2^40 ticks: some minutes
    static constexpr std::size_t kBuckets = kLinear * (kPowers + 1);

    static std::size_t index_of(std::uint64_t value) noexcept {
        if (value < kLinear) return value;
        const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kLinearBits;
        if (shift >= kPowers) return kBuckets - 1;
        return kLinear * (shift + 1) + ((value >> shift) - kLinear);
    }
    static double low_edge(std::size_t index) noexcept;
    [[nodiscard]] double count_below(double value, double step) const noexcept;

    std::array<std::uint32_t, kBuckets> buckets_{};
    std::uint64_t count_ = 0;
    std::uint64_t max_ = 0;
};

}  // namespace stoa::bench
