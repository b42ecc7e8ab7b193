#include "stoa/sync/barrier.hpp"

#include <unistd.h>

#include <csignal>
#include <thread>
#include <vector>

#include "stoa/sync/bell.hpp"
#include "stoa/sync/latch.hpp"
#include "stoa/sync/sync_test_kit.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kMost = 4;

struct Shared {
    Barrier<kMost> three{3};
    Barrier<kMost> open;
    Barrier<kMost> each[3];
    Latch<kMost> latch{2};
    Latch<kMost> joined;
    CountLatch count{3};
    Atomic<std::uint32_t> says;
    Atomic<std::uint32_t> arrived[kMost];
};

class SharedBarrier : public SharedObject<Shared> {
protected:
    ~SharedBarrier() override { g_wait_slice = kWaitSlice; }
    void expect_said(std::uint32_t what) {
        EXPECT_TRUE(kit::wait_until([&] { return shared().says.load() == what; }));
    }
    // It does that, says so, and stays.
    kit::Child member(const std::function<void()>& does) {
        const std::uint32_t before = shared().says.load();
        kit::Child one = child([this, does] {
            does();
            shared().says.fetch_add(1);
            for (;;) ::pause();
        });
        expect_said(before + 1);
        return one;
    }
};

TEST(Barrier, CountsTheMembershipsOfOneProcess) {
    Barrier<4> barrier{2};
    EXPECT_EQ(barrier.arrive().value(), 0U);
    EXPECT_EQ(barrier.try_wait(0).error().code, Errc::empty);
    EXPECT_EQ(barrier.wait_for(0, 1ms).error().code, Errc::timed_out);
    EXPECT_EQ(barrier.arrive_and_wait().value().phase, 0U);
    EXPECT_EQ(barrier.phase(), 1U);
    EXPECT_EQ(barrier.arrive_and_drop().value(), 1U);
    EXPECT_EQ(barrier.arrive_and_wait().value().phase, 1U);
    EXPECT_EQ(barrier.arrive_and_wait().value().phase, 2U);  // alone by now
    EXPECT_EQ(barrier.arrive_and_wait().value().gone, 0U);
}

TEST(Barrier, IsOfThoseWhoJoin) {
    Barrier<2> barrier;
    EXPECT_EQ(barrier.arrive().error().code, Errc::not_owner);
    EXPECT_TRUE(barrier.join());
    EXPECT_TRUE(barrier.arrive_and_wait());
    EXPECT_TRUE(barrier.join());
    EXPECT_EQ(barrier.join().error().code, Errc::no_free_place);
    EXPECT_EQ(barrier.arrive().value(), 1U);
    EXPECT_EQ(barrier.try_wait(1).error().code, Errc::empty);
    EXPECT_EQ(barrier.arrive_and_drop().value(), 1U);
    EXPECT_TRUE(barrier.try_wait(1));
    EXPECT_TRUE(barrier.join());
}

TEST_F(SharedBarrier, NobodyGoesOnBeforeAllHaveArrived) {
    g_wait_slice = 24h;
    constexpr std::uint32_t kPhases = 2'000;
    std::vector<kit::Child> children;
    for (std::uint32_t me = 0; me < 3; ++me) {
        children.push_back(child([this, me] {
            for (std::uint32_t phase = 0; phase < kPhases; ++phase) {
                shared().arrived[me].store(phase + 1);
                if (shared().three.arrive_and_wait().value().phase != phase) ::_exit(1);
                for (std::uint32_t i = 0; i < 3; ++i) {
                    if (shared().arrived[i].load() <= phase) ::_exit(2);
                }
            }
        }));
    }
    for (kit::Child& one : children) EXPECT_EQ(one.wait().status, 0);
    EXPECT_EQ(shared().three.phase(), kPhases);
}

TEST_F(SharedBarrier, OneThatDiesBeforeItArrivesIsNotWaitedFor) {
    g_wait_slice = 5ms;
    kit::Child dead = member([this] { shared().three.join().value(); });
    kit::Child other = child([this] {
        g_wait_slice = 5ms;
        if (shared().three.arrive_and_wait().value().gone != 1) ::_exit(1);
    });
    EXPECT_EQ(shared().three.arrive_and_wait_for(20ms).error().code, Errc::timed_out);
    dead.stop();
    EXPECT_EQ(shared().three.wait_for(0, 20ms).error().code, Errc::timed_out);
    dead.kill();
    EXPECT_EQ(shared().three.wait(0).value().gone, 1U);
    EXPECT_EQ(other.wait().status, 0);
}

TEST_F(SharedBarrier, OneThatDiesAfterItArrivedIsMissedInTheNextPhase) {
    g_wait_slice = 5ms;
    kit::Child dead = member([this] { shared().three.arrive().value(); });
    dead.kill();
    kit::Child other = child([this] {
        g_wait_slice = 5ms;
        if (shared().three.arrive_and_wait().value().gone != 0) ::_exit(1);
        if (shared().three.arrive_and_wait().value().gone != 1) ::_exit(2);
    });
    EXPECT_EQ(shared().three.arrive_and_wait().value().gone, 0U);
    EXPECT_EQ(shared().three.arrive_and_wait().value().gone, 1U);
    EXPECT_EQ(other.wait().status, 0);
    // Its place may be joined again.
    EXPECT_TRUE(shared().three.join());
}

TEST_F(SharedBarrier, OneThatLeavesTheRegionIsGone) {
    kit::Child left = member([this] {
        shared().open.join().value();
        leave();
    });
    EXPECT_TRUE(shared().open.join());
    EXPECT_EQ(shared().open.arrive_and_wait().value().gone, 1U);
}

TEST_F(SharedBarrier, OneThatDiesBetweenItsArrivalAndTheEndOfThePhaseHoldsNobody) {
    static constexpr const char* kPoints[] = {"gathering.arrived", "gathering.before_end",
                                              "gathering.ended"};
    for (std::size_t at = 0; at < 3; ++at) {
        shared().says.store(0);
        kit::Child dead = child([this, at] {
            shared().each[at].join().value();
            shared().says.store(1);
            (void)kit::wait_until([&] { return shared().says.load() == 2; });
            kit::kill_self_at(kPoints[at]);
            shared().each[at].arrive().value();
        });
        expect_said(1);
        kit::Child waiter = child([this, at] {
            g_wait_slice = 5ms;
            shared().each[at].join().value();
            const std::uint32_t phase = shared().each[at].arrive().value();
            shared().says.store(2);
            if (!shared().each[at].wait_for(phase, 20s)) ::_exit(1);
        });
        EXPECT_EQ(waiter.wait().status, 0);
        EXPECT_EQ(dead.wait().signal, SIGKILL);
    }
}

TEST_F(SharedBarrier, AForkedChildIsToldSo) {
    shared().open.join().value();
    const kit::Ending ending = kit::fork_and_run([this] {
        if (shared().open.arrive().error().code != Errc::forked) ::_exit(1);
        if (shared().open.join().error().code != Errc::forked) ::_exit(2);
        if (shared().open.wait(0).error().code != Errc::forked) ::_exit(3);
        if (shared().count.wait().error().code != Errc::forked) ::_exit(4);
    });
    EXPECT_EQ(ending.status, 0);
}

TEST_F(SharedBarrier, ALatchOpensOnceAndStaysOpen) {
    EXPECT_EQ(shared().latch.try_wait().error().code, Errc::empty);
    EXPECT_TRUE(shared().latch.count_down());
    kit::Child other = child([this] {
        if (!shared().latch.count_down()) ::_exit(1);
    });
    EXPECT_EQ(shared().latch.wait().value().gone, 0U);
    EXPECT_TRUE(other.wait().ok());
    EXPECT_TRUE(shared().latch.is_open());
    EXPECT_TRUE(shared().latch.count_down());
    EXPECT_TRUE(shared().latch.try_wait());
}

TEST_F(SharedBarrier, ALatchDoesNotWaitForTheDeadWhoJoined) {
    g_wait_slice = 5ms;
    kit::Child dead = member([this] { shared().joined.join().value(); });
    EXPECT_EQ(shared().joined.wait_for(20ms).error().code, Errc::timed_out);
    dead.kill();
    EXPECT_EQ(shared().joined.wait().value().gone, 1U);
}

TEST_F(SharedBarrier, ACountLatchIsCountedDownByAnybody) {
    g_wait_slice = 24h;
    std::vector<kit::Child> waiters;
    for (int i = 0; i < 2; ++i) {
        waiters.push_back(child([this] { shared().count.wait().value(); }));
    }
    shared().count.count_down(2);
    EXPECT_EQ(shared().count.try_wait().error().code, Errc::empty);
    shared().count.count_down(7);
    for (kit::Child& one : waiters) EXPECT_TRUE(one.wait().ok());
    EXPECT_TRUE(shared().count.is_open());
}

}  // namespace
}  // namespace stoa
