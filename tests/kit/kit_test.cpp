#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "stoa/base/crash_point.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/leaks.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa::kit {
namespace {

using namespace std::chrono_literals;

TEST(Kit, AChildThatReturnsHasExitedWithZero) {
    EXPECT_TRUE(fork_and_run([] {}).ok());
    EXPECT_EQ(fork_and_run([] { ::_exit(7); }).status, 7);
}

TEST(Kit, AFailedExpectationInTheChildReachesTheParent) {
    const Ending ending = fork_and_run([] {
        if (std::freopen("/dev/null", "w", stdout) == nullptr) ::_exit(9);
        EXPECT_EQ(1, 2);
    });
    EXPECT_EQ(ending.status, 1);
}

TEST(Kit, AnEndingNamesTheSignal) {
    const Ending ending = fork_and_run([] { ::raise(SIGKILL); });
    EXPECT_FALSE(ending.exited);
    EXPECT_EQ(ending.signal, SIGKILL);
}

TEST(Kit, TheWatchdogKillsAHungChildAndFailsTheTest) {
    static Ending ending;
    EXPECT_NONFATAL_FAILURE(ending = fork_and_run(
                                [] {
                                    for (;;) ::pause();
                                },
                                20ms),
                            "hung");
    EXPECT_TRUE(ending.hung);
    EXPECT_EQ(ending.signal, SIGKILL);
}

TEST(Kit, AChildSharesARegionWithTheTest) {
    const TempRegion region{64};
    auto* word = reinterpret_cast<std::atomic<int>*>(region.bytes().data());
    EXPECT_TRUE(fork_and_run([&] { word->store(5); }).ok());
    EXPECT_EQ(word->load(), 5);
}

TEST(Kit, AStoppedChildStandsStillUntilItIsResumed) {
    const TempRegion region{64};
    auto* word = reinterpret_cast<std::atomic<int>*>(region.bytes().data());
    Child child{[&] {
        ::raise(SIGSTOP);
        word->store(1);
    }};
    ASSERT_TRUE(child.wait_stopped());
    EXPECT_EQ(word->load(), 0);
    child.resume();
    EXPECT_TRUE(child.wait().ok());
    EXPECT_EQ(word->load(), 1);
}

TEST(Kit, AKilledChildStaysAZombieUntilItIsReaped) {
    Child child{[] {
        for (;;) ::pause();
    }};
    child.kill();
    EXPECT_EQ(::kill(child.pid(), 0), 0);
    EXPECT_EQ(child.wait().signal, SIGKILL);
}

#if STOA_CRASH_POINTS
TEST(Kit, AProcessDiesAtTheNamedCrashPointAndNotBefore) {
    const TempRegion region{64};
    auto* word = reinterpret_cast<std::atomic<int>*>(region.bytes().data());
    const Ending ending = fork_and_run([&] {
        kill_self_at("kit.second", 2);
        for (int round = 1; round <= 3; ++round) {
            STOA_CRASH_POINT("kit.first");
            word->store(round);
            STOA_CRASH_POINT("kit.second");
        }
    });
    EXPECT_EQ(ending.signal, SIGKILL);
    EXPECT_EQ(word->load(), 2);
}

TEST(Kit, AProcessStopsAtTheNamedCrashPointAndGoesOnWhenResumed) {
    Child child{[] {
        stop_self_at("kit.here");
        STOA_CRASH_POINT("kit.here");
        ::_exit(crash_points_passed());
    }};
    ASSERT_TRUE(child.wait_stopped());
    child.resume();
    EXPECT_EQ(child.wait().status, 1);
}
#endif

TEST(Kit, ADomainIsPrivateEmptyAndRemoved) {
    std::string path;
    {
        const TempDomain domain;
        path = domain.path();
        EXPECT_STREQ(std::getenv("STOA_DOMAIN"), path.c_str());
        EXPECT_TRUE(domain.entries().empty());
        std::ofstream{path + "/a"} << "x";
        EXPECT_EQ(domain.entries(), std::vector<std::string>{"a"});
    }
    EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST(Kit, ALeakIsNamed) {
    const TempDomain domain;
    const LeakCheck check{&domain};
    EXPECT_EQ(check.leaks(), "");
    std::ofstream{domain.path() + "/forgotten"} << "x";
    EXPECT_EQ(check.leaks(), "in the domain: forgotten\n");
    domain.clear();
    {
        const Child child{[] {
            for (;;) ::pause();
        }};
        child.kill();
        EXPECT_EQ(check.leaks(), "a child process is left\n");
    }
    EXPECT_EQ(check.leaks(), "");
}

TEST(Kit, WaitingEndsWithTheConditionOrWithTheWatchdog) {
    int looks = 0;
    EXPECT_TRUE(wait_until([&] { return ++looks == 3; }));
    EXPECT_FALSE(wait_until([] { return false; }, 1ms));
}

}  // namespace
}  // namespace stoa::kit
