#include "bench/kit/clock.hpp"

#include <algorithm>
#include <array>

namespace stoa::bench {

namespace {

double calibrate() noexcept {
#if defined(__x86_64__)
    const std::uint64_t start_ns = monotonic_ns();
    const std::uint64_t start = ticks();
    sleep_us(20'000);
    const std::uint64_t end_ns = monotonic_ns();
    return static_cast<double>(ticks() - start) / static_cast<double>(end_ns - start_ns);
#else
    return 1.0;
#endif
}

double most_frequent_step() noexcept {
    std::array<unsigned, 256> seen{};
    for (int i = 0; i < 20'000; ++i) {
        const std::uint64_t before = ticks();
        const std::uint64_t step = ticks() - before;
        if (step > 0 && step < seen.size()) ++seen[step];
    }
    const auto most = std::ranges::max_element(seen);
    return *most == 0 ? 1.0 : static_cast<double>(most - seen.begin());
}

}  // namespace

double ticks_per_ns() noexcept {
    static const double ratio = calibrate();
    return ratio;
}

double ticks_step() noexcept {
    static const double step = most_frequent_step();
    return step;
}

void sleep_us(unsigned microseconds) noexcept {
    const timespec wait{microseconds / 1'000'000,
                        static_cast<long>(microseconds % 1'000'000) * 1000};
    nanosleep(&wait, nullptr);
}

}  // namespace stoa::bench
