#include "stoa/sync/semaphore.hpp"

#include <unistd.h>

#include <array>
#include <csignal>
#include <thread>
#include <vector>

#include "stoa/sync/sync_test_kit.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kPermits = 3;

struct Shared {
    Semaphore<kPermits> permits;
    SignalSemaphore posts;
    Atomic<std::uint32_t> inside;
    Atomic<std::uint32_t> says;
};

class SharedSemaphore : public SharedObject<Shared> {};

TEST(Semaphore, LetsNoMoreInThanItHasPermits) {
    Semaphore<2> permits;
    EXPECT_TRUE(permits.try_acquire());
    EXPECT_TRUE(permits.try_acquire());
    EXPECT_EQ(permits.try_acquire().error().code, Errc::in_use);
    EXPECT_EQ(permits.acquire_for(1ms).error().code, Errc::timed_out);
    EXPECT_TRUE(permits.release());
    EXPECT_EQ(permits.free(), 1U);
    EXPECT_TRUE(permits.acquire());
    EXPECT_TRUE(permits.release());
    EXPECT_TRUE(permits.release());
    EXPECT_EQ(permits.release().error().code, Errc::not_owner);
}

TEST_F(SharedSemaphore, ProcessesShareThePermits) {
    std::vector<kit::Child> children;
    for (int i = 0; i < 5; ++i) {
        children.push_back(child([this] {
            for (int n = 0; n < 3'000; ++n) {
                shared().permits.acquire().value();
                if (shared().inside.fetch_add(1) >= kPermits) _exit(1);
                shared().inside.fetch_sub(1);
                shared().permits.release().value();
            }
        }));
    }
    for (kit::Child& one : children) EXPECT_TRUE(one.wait().ok());
    EXPECT_EQ(shared().permits.free(), kPermits);
}

TEST_F(SharedSemaphore, TheDeadsPermitsReturnOnce) {
    kit::Child holder = child([this] {
        for (std::uint32_t i = 0; i < kPermits; ++i) shared().permits.acquire().value();
        shared().says.store(1);
        for (;;) ::pause();
    });
    ASSERT_TRUE(kit::wait_until([&] { return shared().says.load() == 1; }));
    EXPECT_EQ(shared().permits.try_acquire().error().code, Errc::in_use);
    holder.stop();
    EXPECT_EQ(shared().permits.acquire_for(150ms).error().code, Errc::timed_out);
    holder.kill();
    for (std::uint32_t i = 0; i < kPermits; ++i) EXPECT_TRUE(shared().permits.acquire());
    EXPECT_EQ(shared().permits.try_acquire().error().code, Errc::in_use);
    for (std::uint32_t i = 0; i < kPermits; ++i) EXPECT_TRUE(shared().permits.release());
}

TEST_F(SharedSemaphore, WhoWaitsGetsADeadOnesPermit) {
    kit::Child holder = child([this] {
        for (std::uint32_t i = 0; i < kPermits; ++i) shared().permits.acquire().value();
        shared().says.store(1);
        for (;;) ::pause();
    });
    ASSERT_TRUE(kit::wait_until([&] { return shared().says.load() == 1; }));
    kit::Child waiter = child([this] { shared().permits.acquire().value(); });
    holder.kill();
    EXPECT_TRUE(waiter.wait().ok());
}

TEST_F(SharedSemaphore, AForkedChildHoldsNothing) {
    shared().permits.acquire().value();
    const kit::Ending ending = kit::fork_and_run([this] {
        if (shared().permits.acquire().error().code != Errc::forked) _exit(1);
        if (shared().permits.release().error().code != Errc::not_owner) _exit(2);
        if (shared().posts.wait().error().code != Errc::forked) _exit(3);
    });
    EXPECT_EQ(ending.status, 0);
    shared().permits.release().value();
}

TEST(SignalSemaphore, EachPostIsTakenOnce) {
    SignalSemaphore posts;
    EXPECT_EQ(posts.try_wait().error().code, Errc::empty);
    EXPECT_EQ(posts.wait_for(1ms).error().code, Errc::timed_out);
    posts.post(2);
    EXPECT_TRUE(posts.wait());
    EXPECT_TRUE(posts.try_wait());
    EXPECT_EQ(posts.posted(), 0U);
}

TEST_F(SharedSemaphore, NoPostIsLostWithInfiniteSlices) {
    g_wait_slice = 24h;
    std::vector<kit::Child> waiters;
    for (int i = 0; i < 3; ++i) {
        waiters.push_back(child([this] {
            for (int n = 0; n < 4'000; ++n) shared().posts.wait().value();
        }));
    }
    for (int n = 0; n < 12'000; ++n) shared().posts.post();
    for (kit::Child& one : waiters) EXPECT_TRUE(one.wait().ok());
    EXPECT_EQ(shared().posts.posted(), 0U);
    g_wait_slice = kWaitSlice;
}

TEST_F(SharedSemaphore, NoPermitIsLostWithInfiniteSlices) {
    g_wait_slice = 24h;
    std::vector<kit::Child> children;
    for (int i = 0; i < 5; ++i) {
        children.push_back(child([this] {
            for (int n = 0; n < 2'000; ++n) {
                shared().permits.acquire().value();
                if (n % 16 == 0) std::this_thread::yield();
                shared().permits.release().value();
            }
        }));
    }
    for (kit::Child& one : children) EXPECT_TRUE(one.wait().ok());
    g_wait_slice = kWaitSlice;
}

}  // namespace
}  // namespace stoa
