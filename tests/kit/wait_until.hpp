// Waits for a condition by looking again and again, with a watchdog instead of a fixed sleep.
#pragma once

#include <chrono>
#include <concepts>
#include <thread>

namespace stoa::kit {

// True as soon as `condition` holds; false when it does not before the watchdog. The pause only
// leaves the core to others: nothing depends on how long it is.
template <std::predicate Condition>
[[nodiscard]] bool wait_until(Condition&& condition,
                              std::chrono::milliseconds watchdog = std::chrono::seconds{30}) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point alarm = Clock::now() + watchdog;
    while (!condition()) {
        if (Clock::now() >= alarm) return condition();
        std::this_thread::sleep_for(std::chrono::microseconds{100});
    }
    return true;
}

}  // namespace stoa::kit
