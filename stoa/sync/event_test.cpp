#include "stoa/sync/event.hpp"

#include <thread>
#include <vector>

#include "stoa/sync/bell.hpp"
#include "stoa/sync/sync_test_kit.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

struct Shared {
    Event by_hand;
    Event alone{Reset::automatic};
    Atomic<std::uint32_t> waiting;
};

class SharedEvent : public SharedObject<Shared> {};

TEST(Event, StaysSetUntilItIsReset) {
    Event event;
    EXPECT_EQ(event.try_wait().error().code, Errc::empty);
    event.set();
    EXPECT_TRUE(event.wait());
    EXPECT_TRUE(event.wait());
    event.reset();
    EXPECT_FALSE(event.is_set());
    EXPECT_EQ(event.wait_for(1ms).error().code, Errc::timed_out);
}

TEST(Event, ThatResetsByItselfLetsOneGoOn) {
    Event event{Reset::automatic};
    event.set();
    event.set();
    EXPECT_TRUE(event.wait());
    EXPECT_EQ(event.try_wait().error().code, Errc::empty);
}

TEST_F(SharedEvent, LetsAllGoOn) {
    g_wait_slice = 24h;
    std::vector<kit::Child> children;
    for (int i = 0; i < 3; ++i) {
        children.push_back(child([this] { shared().by_hand.wait().value(); }));
    }
    shared().by_hand.set();
    for (kit::Child& one : children) EXPECT_TRUE(one.wait().ok());
    g_wait_slice = kWaitSlice;
}

// Whoever waited when it was set goes on, whatever happened since.
TEST_F(SharedEvent, IsNotMissedWhenItIsResetAtOnce) {
    g_wait_slice = 24h;
    kit::Child waiter = child([this] {
        for (int i = 0; i < 200; ++i) {
            shared().waiting.store(static_cast<std::uint32_t>(i + 1));
            shared().by_hand.wait().value();
        }
    });
    for (std::uint32_t i = 0; i < 200; ++i) {
        ASSERT_TRUE(kit::wait_until([&] { return shared().waiting.load() > i; }));
        while (shared().waiting.load() == i + 1) {  // it may not have begun to wait yet
            shared().by_hand.set();
            shared().by_hand.reset();
            std::this_thread::yield();
            if (i == 199) break;
        }
    }
    shared().by_hand.set();
    EXPECT_TRUE(waiter.wait().ok());
    g_wait_slice = kWaitSlice;
}

TEST_F(SharedEvent, EachSetThatWasTakenIsTakenByOne) {
    g_wait_slice = 24h;
    kit::Child other = child([this] {
        for (int i = 0; i < 2'000; ++i) {
            shared().alone.wait().value();
            shared().by_hand.set();
        }
    });
    for (int i = 0; i < 2'000; ++i) {
        shared().by_hand.reset();
        shared().alone.set();
        ASSERT_TRUE(shared().by_hand.wait());
    }
    EXPECT_TRUE(other.wait().ok());
    g_wait_slice = kWaitSlice;
}

}  // namespace
}  // namespace stoa
