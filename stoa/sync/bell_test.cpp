#include "stoa/sync/bell.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace stoa {
namespace {

using namespace std::chrono_literals;

class InfiniteSlices {  // a lost wake-up hangs here instead of being found by the next look
public:
    InfiniteSlices() { g_wait_slice = 24h; }
    ~InfiniteSlices() { g_wait_slice = kWaitSlice; }
};

TEST(Bell, NoWakeUpIsLostWithInfiniteSlices) {
    const InfiniteSlices infinite;
    Atomic<std::uint32_t> bell{0};
    Atomic<std::uint64_t> tokens{0};
    std::atomic<std::uint64_t> taken{0};
    constexpr std::uint64_t kTokens = 40'000;
    const auto take = [&] {
        std::uint64_t have = tokens.load(kSeqCst);
        while (have > 0 && !tokens.compare_exchange_weak(have, have - 1, kSeqCst)) {
        }
        return have > 0;
    };
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            while (taken.load() < kTokens) {
                bool slept = false;
                const auto ready = [&] {
                    return tokens.load(kSeqCst) > 0 || taken.load() >= kTokens;
                };
                wait_on_bell(bell, Deadline::never(), Waiting::park, slept, ready,
                             [](bool) { return true; });
                if (take() && taken.fetch_add(1) + 1 == kTokens) ring_bell_for_all(bell);
                if (slept && tokens.load(kSeqCst) > 0) ring_bell(bell);
            }
        });
    }
    for (std::uint64_t i = 0; i < kTokens; ++i) {
        tokens.fetch_add(1, kSeqCst);
        ring_bell(bell);
        if (i % 16 == 0) std::this_thread::yield();
    }
    threads.clear();
    EXPECT_EQ(taken.load(), kTokens);
}

TEST(Bell, ARingBetweenTheFirstLookAndTheSleepBitIsSeen) {
    const InfiniteSlices infinite;
    Atomic<std::uint32_t> bell{0};
    bool rung = false;
    const auto ready = [&] {
        if (rung) return true;
        rung = true;  // somebody changes it right after this look, and sees nobody asleep
        ring_bell(bell);
        return false;
    };
    bool slept = false;
    EXPECT_EQ(wait_on_bell(bell, Deadline::after(20s), Waiting::park, slept, ready,
                           [](bool) { return true; }),
              Waited::ready);
    EXPECT_FALSE(slept);
}

TEST(Bell, TheDeadlineEndsTheWait) {
    Atomic<std::uint32_t> bell{0};
    bool slept = false;
    EXPECT_EQ(wait_on_bell(
                  bell, Deadline::after(5ms), Waiting::park, slept, [] { return false; },
                  [](bool) { return true; }),
              Waited::timed_out);
    EXPECT_TRUE(slept);
}

TEST(Bell, ALookAroundCanEndTheWait) {
    Atomic<std::uint32_t> bell{0};
    bool slept = false;
    EXPECT_EQ(wait_on_bell(
                  bell, Deadline::never(), Waiting::adaptive, slept, [] { return false; },
                  [](bool due) { return !due; }),
              Waited::stopped);
}

TEST(Bell, ARingThatBringsNothingLetsTheSleeperLookWhetherToGoOn) {
    const InfiniteSlices infinite;
    Atomic<std::uint32_t> bell{0};
    Atomic<std::uint32_t> gone{0};
    std::jthread ringer{[&] {
        while ((bell.load(kSeqCst) & 1U) == 0) std::this_thread::yield();
        gone.store(1, kSeqCst);
        ring_bell_for_all(bell);
    }};
    bool slept = false;
    EXPECT_EQ(wait_on_bell(
                  bell, Deadline::after(20s), Waiting::park, slept, [] { return false; },
                  [&](bool) { return gone.load(kSeqCst) == 0; }),
              Waited::stopped);
}

}  // namespace
}  // namespace stoa
