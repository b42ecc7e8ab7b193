#include "stoa/sync/once.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "stoa/sync/bell.hpp"
#include "stoa/sync/sync_test_kit.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

struct Things {
    Once once;
    Atomic<std::uint64_t> made;
    Atomic<std::uint64_t> says;
};

class Onces : public SharedObject<Things> {};

TEST(Once, OneOfManyThreadsDoesIt) {
    Once once;
    int made = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            EXPECT_TRUE(once.call([&](int by) { made += by; }, 1).has_value());
            EXPECT_EQ(made, 1);
        });
    }
    threads.clear();
    EXPECT_EQ(made, 1);
    EXPECT_TRUE(once.is_done());
}

TEST(Once, AnExceptionLeavesItToTheNextOneWhoIsTold) {
    Once once;
    EXPECT_THROW(static_cast<void>(once.call([] { throw std::runtime_error{"no"}; })),
                 std::runtime_error);
    EXPECT_FALSE(once.is_done());
    EXPECT_EQ(once.runner(), 0U);
    Held told = Held::clean;
    EXPECT_TRUE(once.call([&](Held held) { told = held; }).value());
    EXPECT_EQ(told, Held::owner_died);
    EXPECT_FALSE(once.call([&](Held) { told = Held::clean; }).value());
    EXPECT_EQ(told, Held::owner_died);
}

TEST_F(Onces, OneOfManyProcessesDoesItAndTheOthersWait) {
    g_wait_slice = 24h;
    std::vector<kit::Child> children;
    for (int i = 0; i < 4; ++i) {
        children.push_back(child([this] {
            const auto make = [this] {
                std::this_thread::yield();
                shared().made.fetch_add(1);
            };
            if (!shared().once.call(make) || shared().made.load() != 1) _exit(1);
        }));
    }
    for (kit::Child& one : children) EXPECT_TRUE(one.wait().ok());
    g_wait_slice = kWaitSlice;
}

TEST_F(Onces, ADeathLeavesItToTheNextOneWhoIsTold) {
    kit::Child dead = child([this] {
        (void)shared().once.call([this] {
            shared().says.store(1);
            for (;;) ::pause();
        });
    });
    ASSERT_TRUE(kit::wait_until([&] { return shared().says.load() == 1; }));
    const auto nothing = [] {};
    EXPECT_EQ(shared().once.call_until(Deadline::immediately(), nothing).error().code,
              Errc::in_use);
    EXPECT_EQ(shared().once.call_until(Deadline::after(1ms), nothing).error().code,
              Errc::timed_out);
    dead.kill();
    Held told = Held::clean;
    EXPECT_TRUE(shared().once.call([&](Held held) { told = held; }).value());
    EXPECT_EQ(told, Held::owner_died);
    EXPECT_TRUE(shared().once.is_done());
}

// One throws, and one of the two who wait is woken; a third one does it meanwhile.
TEST_F(Onces, WhoSleptWhenOneThrewIsWokenWhenItIsDone) {
    g_wait_slice = 24h;
    std::vector<kit::Child> children;
    const auto wait_for_sleepers = [&](int count) {
        EXPECT_TRUE(kit::wait_until([&] {
            int waiting = 0;
            table_->for_each([&](const Participant& seen) {
                if (seen.waits != WaitsFor::lock) return;
                std::ifstream file{"/proc/" + std::to_string(seen.identity.pid) + "/stat"};
                const std::string text{std::istreambuf_iterator<char>{file}, {}};
                waiting += text.find(") S ") != std::string::npos ? 1 : 0;
            });
            return waiting == count;
        }));
    };
    const auto nothing = [] {};
    try {
        (void)shared().once.call([&] {
            children.push_back(child([this, nothing] {
                kit::stop_self_at("mutex.woken");
                _exit(shared().once.call(nothing).has_value() ? 0 : 1);
            }));
            wait_for_sleepers(1);
            children.push_back(
                child([this, nothing] { _exit(shared().once.call(nothing).has_value() ? 0 : 1); }));
            wait_for_sleepers(2);
            throw std::runtime_error{"no"};
        });
        FAIL();
    } catch (const std::runtime_error&) {
    }
    ASSERT_TRUE(children[0].wait_stopped());
    EXPECT_TRUE(shared().once.call(nothing).value());
    EXPECT_TRUE(children[1].wait().ok());
    children[0].resume();
    EXPECT_TRUE(children[0].wait().ok());
    g_wait_slice = kWaitSlice;
}

TEST_F(Onces, AForkedChildIsToldSo) {
    const kit::Ending ending = kit::fork_and_run([this] {
        if (shared().once.call([] {}).error().code != Errc::forked) _exit(1);
    });
    EXPECT_TRUE(ending.ok());
    EXPECT_FALSE(shared().once.is_done());
}

}  // namespace
}  // namespace stoa
