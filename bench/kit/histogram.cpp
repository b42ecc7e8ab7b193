#include "bench/kit/histogram.hpp"

#include <algorithm>

namespace stoa::bench {

void Histogram::merge(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
}

double Histogram::low_edge(std::size_t index) noexcept {
    if (index < kLinear) return static_cast<double>(index);
    const std::size_t shift = index / kLinear - 1;
    return static_cast<double>((kLinear + index % kLinear) << shift);
}

// Each bucket is spread evenly over its own width, or over a step of the clock when that is wider.
double Histogram::count_below(double value, double step) const noexcept {
    double below = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
        if (buckets_[i] == 0) continue;
        const double width = std::max(low_edge(i + 1) - low_edge(i), step);
        const double low = (low_edge(i) + low_edge(i + 1) - width) / 2;
        below += buckets_[i] * std::clamp((value - low) / width, 0.0, 1.0);
    }
    return below;
}

double Histogram::percentile(double share, double step) const noexcept {
    if (count_ == 0) return 0;
    double low = 0;
    double high = static_cast<double>(max_) + step;
    for (int i = 0; i < 60 && high - low > 0.01; ++i) {
        const double middle = (low + high) / 2;
        (count_below(middle, step) < share * static_cast<double>(count_) ? low : high) = middle;
    }
    return std::min(high, static_cast<double>(max_));
}

}  // namespace stoa::bench
