#include "stoa/sync/mutex.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "stoa/sync/bell.hpp"
#include "stoa/sync/sync_test_kit.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

struct Guards {
    Mutex lock;
    std::uint64_t a;
    std::uint64_t b;  // equal to a, unless somebody is in between
    Atomic<std::uint64_t> says;
};

class SharedMutex : public SharedObject<Guards> {
protected:
    kit::Child dead_holder() {
        kit::Child child = this->child([this] {
            shared().lock.hold().value();
            shared().says.store(1);
            for (;;) ::pause();
        });
        EXPECT_TRUE(kit::wait_until([&] { return shared().says.load() == 1; }));
        return child;
    }
    void wait_for_sleepers(int count) {
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
    }
};

TEST(Mutex, OfThreadsInPrivateMemoryLetsOneInAtATime) {
    Mutex lock;
    std::uint64_t count = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 50'000; ++n) {
                const std::lock_guard guard{lock};
                ++count;
            }
        });
    }
    threads.clear();
    EXPECT_EQ(count, 150'000U);
    EXPECT_EQ(lock.holder(), 0U);
}

TEST(Mutex, WorksWithTheStandardsGuards) {
    Mutex one;
    Mutex two;
    {
        const std::scoped_lock both{one, two};
        EXPECT_FALSE(one.try_lock());
    }
    std::unique_lock<Mutex> later{one, std::defer_lock};
    EXPECT_TRUE(later.try_lock());
    EXPECT_FALSE(one.try_lock_for(1ms));
    EXPECT_EQ(one.hold(Deadline::immediately()).error().code, Errc::in_use);
    EXPECT_EQ(one.hold(Deadline::after(1ms)).error().code, Errc::timed_out);
}

TEST(Mutex, UnlockOfWhatNobodyHeldIsRefusedInWords) {
    Mutex mutex;
    EXPECT_DEATH(mutex.unlock(), "programmer mistake: unlock of a lock .* does not hold; lock it");
}

TEST_F(SharedMutex, LetsOneProcessInAtATime) {
    std::vector<kit::Child> children;
    for (int i = 0; i < 3; ++i) {
        children.push_back(child([this] {
            for (int n = 0; n < 20'000; ++n) {
                const std::lock_guard guard{shared().lock};
                if (shared().a != shared().b) _exit(1);
                ++shared().a;
                ++shared().b;
            }
        }));
    }
    for (kit::Child& one : children) EXPECT_TRUE(one.wait().ok());
    EXPECT_EQ(shared().a, 60'000U);
}

TEST_F(SharedMutex, ADeadHoldersHeirIsToldOnce) {
    kit::Child dead = dead_holder();
    EXPECT_EQ(shared().lock.hold(Deadline::immediately()).error().code, Errc::in_use);
    dead.kill();
    EXPECT_EQ(shared().lock.hold().value(), Held::owner_died);
    shared().lock.repaired();
    shared().lock.unlock();
    EXPECT_EQ(shared().lock.hold().value(), Held::clean);
    shared().lock.unlock();
}

TEST_F(SharedMutex, UnmendedItIsPoisoned) {
    kit::Child dead = dead_holder();
    dead.kill();
    EXPECT_EQ(shared().lock.hold().value(), Held::owner_died);
    shared().lock.unlock();
    EXPECT_TRUE(shared().lock.is_poisoned());
    EXPECT_EQ(shared().lock.hold().error().code, Errc::poisoned);
    EXPECT_THROW(shared().lock.lock(), std::system_error);
}

TEST_F(SharedMutex, AnHeirThatDiesBeforeItMendedLeavesItToTheNext) {
    kit::Child dead = dead_holder();
    dead.kill();
    kit::Child heir = child([this] {
        if (shared().lock.hold().value() != Held::owner_died) _exit(1);
        ::kill(::getpid(), SIGKILL);
    });
    EXPECT_EQ(heir.wait().signal, SIGKILL);
    EXPECT_EQ(shared().lock.hold().value(), Held::owner_died);
    shared().lock.repaired();
    shared().lock.unlock();
}

TEST_F(SharedMutex, LockThrowsAfterADeathAndPoisons) {
    kit::Child dead = dead_holder();
    dead.kill();
    try {
        shared().lock.lock();
        FAIL();
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), std::errc::owner_dead);
    }
    EXPECT_TRUE(shared().lock.is_poisoned());
}

TEST_F(SharedMutex, AStoppedHolderIsNotADeadOne) {
    kit::Child holder = dead_holder();
    holder.stop();
    EXPECT_EQ(shared().lock.hold(Deadline::after(250ms)).error().code, Errc::timed_out);
    holder.resume();
}

// Its place may be somebody else's by then.
TEST_F(SharedMutex, AHolderWhosePlaceWasSweptIsGone) {
    kit::Child dead = dead_holder();
    dead.kill_and_wait();
    EXPECT_EQ(table_->sweep_all(index_, [](void*, std::uint32_t) {}, nullptr), 1U);
    kit::Child next = child([] { ::pause(); });
    EXPECT_TRUE(kit::wait_until([&] {
        int live = 0;
        table_->for_each([&](const Participant&) { ++live; });
        return live == 2;
    }));
    EXPECT_EQ(shared().lock.hold().value(), Held::owner_died);
}

TEST_F(SharedMutex, AHolderThatLeftIsGone) {
    kit::Child left = child([this] {
        shared().lock.hold().value();
        leave();
        shared().says.store(1);
        for (;;) ::pause();
    });
    EXPECT_TRUE(kit::wait_until([&] { return shared().says.load() == 1; }));
    EXPECT_EQ(shared().lock.hold().value(), Held::owner_died);
}

TEST_F(SharedMutex, AForkedChildHoldsNothing) {
    shared().lock.hold().value();
    const kit::Ending ending = kit::fork_and_run([this] {
        if (shared().lock.hold().error().code != Errc::forked) _exit(1);
        shared().lock.unlock();  // as a guard does that it inherited
    });
    EXPECT_TRUE(ending.ok());
    EXPECT_EQ(shared().lock.holder(), here(&shared()).me);
    shared().lock.unlock();
}

TEST_F(SharedMutex, NoWakeUpIsLostWithInfiniteSlices) {
    g_wait_slice = 24h;
    std::vector<kit::Child> children;
    for (int i = 0; i < 3; ++i) {
        children.push_back(child([this] {
            for (int n = 0; n < 5'000; ++n) {
                shared().lock.hold().value();
                if (n % 64 == 0) std::this_thread::yield();
                shared().lock.unlock();
            }
        }));
    }
    for (kit::Child& one : children) EXPECT_TRUE(one.wait().ok());
    g_wait_slice = kWaitSlice;
}

// Also the second one, of whom the unlocker of the first knows nothing.
TEST_F(SharedMutex, OfTwoThatSleepTheFirstWakesTheSecond) {
    g_wait_slice = 24h;
    shared().lock.hold().value();
    std::vector<kit::Child> children;
    for (int i = 0; i < 2; ++i) {
        children.push_back(child([this] {
            shared().lock.hold().value();
            shared().lock.unlock();
        }));
    }
    wait_for_sleepers(2);
    shared().lock.unlock();
    for (kit::Child& one : children) EXPECT_TRUE(one.wait().ok());
    g_wait_slice = kWaitSlice;
}

// The wake that it got was for the other one as well.
TEST_F(SharedMutex, AWokenOneThatHasNoTimeLeftLeavesTheOtherNotAsleep) {
    g_wait_slice = 24h;
    shared().lock.hold().value();
    const auto late_from = std::chrono::steady_clock::now() + 1s;
    kit::Child late = child([this, late_from] {
        kit::stop_self_at("mutex.woken");
        const Result<Held> held = shared().lock.hold(Deadline::at(late_from));
        _exit(!held && held.error().code == Errc::timed_out ? 0 : 1);
    });
    wait_for_sleepers(1);
    kit::Child other = child([this] {
        shared().lock.hold().value();
        shared().lock.unlock();
    });
    wait_for_sleepers(2);
    shared().lock.unlock();
    ASSERT_TRUE(late.wait_stopped());
    shared().lock.hold().value();  // free, and nothing in it tells of the other one
    EXPECT_TRUE(kit::wait_until([&] { return std::chrono::steady_clock::now() > late_from; }));
    late.resume();
    EXPECT_TRUE(late.wait().ok());
    shared().lock.unlock();
    EXPECT_TRUE(other.wait().ok());
    g_wait_slice = kWaitSlice;
}

// Who dies between taking its word out and waking costs the sleepers a slice, not more.
TEST_F(SharedMutex, AnUnlockerThatDiesBeforeItWakesStrandsNobody) {
    kit::Child unlocker = child([this] {
        kit::kill_self_at("mutex.unlocked");
        shared().lock.hold().value();
        shared().says.store(1);
        (void)kit::wait_until([&] { return shared().says.load() == 2; });
        shared().lock.unlock();
    });
    ASSERT_TRUE(kit::wait_until([&] { return shared().says.load() == 1; }));
    kit::Child waiter = child([this] {
        kit::call_at("mutex.before_sleep", [] {});
        shared().says.store(2);
        if (shared().lock.hold().value() != Held::clean) _exit(1);
        shared().lock.unlock();
    });
    EXPECT_EQ(waiter.wait().status, 0);
    (void)unlocker.wait();
}

}  // namespace
}  // namespace stoa
