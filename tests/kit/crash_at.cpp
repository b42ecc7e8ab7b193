#include "tests/kit/crash_at.hpp"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "stoa/base/crash_point.hpp"

namespace stoa::kit {
namespace {

struct Plan {
    std::string_view point;
    void (*action)() = nullptr;
    std::atomic<int> left{0};
    std::atomic<int> passed{0};
};
constinit Plan g_plan;

[[maybe_unused]] void at_point(const char* point) noexcept {
    g_plan.passed.fetch_add(1, std::memory_order_relaxed);
    if (g_plan.point != point) return;
    if (g_plan.left.fetch_sub(1, std::memory_order_relaxed) == 1) g_plan.action();
}

}  // namespace

void call_at(const char* point, void (*action)(), int nth) noexcept {
#if STOA_CRASH_POINTS
    g_plan.point = point;
    g_plan.action = action;
    g_plan.left = nth;
    g_plan.passed = 0;
    g_crash_hook = &at_point;
#else
    (void)action;
    (void)nth;
    std::fprintf(stderr, "%s: build with STOA_CRASH_POINTS=ON to crash here\n", point);
    std::abort();
#endif
}

void kill_self_at(const char* point, int nth) noexcept {
    call_at(point, [] { std::raise(SIGKILL); }, nth);
}

void stop_self_at(const char* point, int nth) noexcept {
    call_at(point, [] { std::raise(SIGSTOP); }, nth);
}

int crash_points_passed() noexcept {
    return g_plan.passed;
}

}  // namespace stoa::kit
