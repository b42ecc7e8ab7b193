// A point on the steady clock until which a call may wait.
//
// Start here: Deadline::after(1s), Deadline::never(), Deadline::immediately().
// Threads:    values; safe everywhere.
// Processes:  CLOCK_MONOTONIC is one clock for all processes of a machine.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   value.
// Units:      nanoseconds of CLOCK_MONOTONIC.
// Source:     clock_gettime(2); std::chrono::steady_clock is CLOCK_MONOTONIC in libstdc++.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

namespace stoa {

class Deadline {
public:
    using Clock = std::chrono::steady_clock;

    [[nodiscard]] static constexpr Deadline never() noexcept { return Deadline{kNever}; }
    [[nodiscard]] static constexpr Deadline immediately() noexcept { return Deadline{0}; }
    [[nodiscard]] static Deadline after(std::chrono::nanoseconds wait) noexcept {
        const std::int64_t now_ns = Clock::now().time_since_epoch().count();
        if (wait.count() > kNever - now_ns) return never();
        return Deadline{now_ns + std::max<std::int64_t>(wait.count(), 0)};
    }
    [[nodiscard]] static Deadline at(Clock::time_point when) noexcept {
        return Deadline{std::chrono::nanoseconds{when.time_since_epoch()}.count()};
    }

    [[nodiscard]] constexpr bool is_never() const noexcept { return at_ns_ == kNever; }
    [[nodiscard]] constexpr bool is_immediate() const noexcept { return at_ns_ <= 0; }
    // True for immediately() without a look at the clock.
    [[nodiscard]] bool passed() const noexcept {
        if (is_never()) return false;
        return at_ns_ <= 0 || Clock::now().time_since_epoch().count() >= at_ns_;
    }
    // Time left, at least 0; `cap` when that is sooner.
    [[nodiscard]] std::chrono::nanoseconds left(std::chrono::nanoseconds cap) const noexcept {
        if (is_never()) return cap;
        const std::int64_t left_ns = at_ns_ - Clock::now().time_since_epoch().count();
        if (left_ns <= 0) return std::chrono::nanoseconds{0};
        return left_ns < cap.count() ? std::chrono::nanoseconds{left_ns} : cap;
    }

    // When it passes, on its clock; at least 0. Precondition: it is not never().
    [[nodiscard]] constexpr std::chrono::nanoseconds since_boot() const noexcept {
        return std::chrono::nanoseconds{std::max<std::int64_t>(at_ns_, 0)};
    }

    [[nodiscard]] constexpr Deadline sooner_of(Deadline other) const noexcept {
        return other.at_ns_ < at_ns_ ? other : *this;
    }
    // This one, or the one `wait` from now if that comes first.
    [[nodiscard]] Deadline sooner(std::chrono::nanoseconds wait) const noexcept {
        return sooner_of(after(wait));
    }

private:
    static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
    constexpr explicit Deadline(std::int64_t at_ns) noexcept : at_ns_{at_ns} {}

    std::int64_t at_ns_;
};

}  // namespace stoa
