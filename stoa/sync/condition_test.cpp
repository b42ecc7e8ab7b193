#include "stoa/sync/condition.hpp"

#include <unistd.h>

#include <csignal>
#include <random>
#include <thread>
#include <vector>

#include "stoa/sync/bell.hpp"
#include "stoa/sync/guarded.hpp"
#include "stoa/sync/sync_test_kit.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

struct Shared {
    ConditionLayout* layout() { return reinterpret_cast<ConditionLayout*>(&changed); }
    std::uint32_t waiting() {
        const ConditionWord word = unpack_condition(layout()->word.load());
        return word.waiting + word.late;
    }

    Mutex lock;
    Condition changed;
    std::uint64_t items;
    Atomic<std::uint32_t> says;
    Atomic<std::uint32_t> gone_on;
    Guarded<std::uint64_t> guarded;
};

class SharedCondition : public SharedObject<Shared> {
protected:
    ~SharedCondition() override { g_wait_slice = kWaitSlice; }

    // It waits once, without a predicate, and then goes on.
    kit::Child waiter() {
        const std::uint32_t before = shared().waiting();
        kit::Child child = this->child([this] {
            shared().lock.hold().value();
            if (!shared().changed.wait(shared().lock)) _exit(1);
            shared().gone_on.fetch_add(1);
            shared().lock.unlock();
        });
        EXPECT_TRUE(kit::wait_until([&] { return shared().waiting() == before + 1; }));
        return child;
    }
    void wait_until_asleep() {
        EXPECT_TRUE(kit::wait_until(
            [&] { return (shared().layout()->word.load() & ConditionWord::kAsleep) != 0; }));
    }
    bool nobody_is_left() { return unpack_condition(shared().layout()->word.load()).has_nobody(); }
};

TEST(Condition, WorksWithMutexUniqueLockAndAccess) {
    Mutex lock;
    Condition changed;
    lock.hold().value();
    EXPECT_EQ(changed.wait_for(lock, 1ms).error().code, Errc::timed_out);
    EXPECT_EQ(lock.holder(), kHolderPrivate);
    EXPECT_EQ(changed.wait(lock, [] { return true; }).value(), Held::clean);
    lock.unlock();
    std::unique_lock<Mutex> guard{lock};
    EXPECT_EQ(changed.wait_for(guard, 1ms, [] { return false; }).error().code, Errc::timed_out);
    EXPECT_TRUE(guard.owns_lock());
    Guarded<int> number{0};
    std::jthread other{[&] {
        auto access = number.lock().value();
        *access = 7;
        changed.notify_one();
    }};
    auto access = number.lock().value();
    EXPECT_EQ(changed.wait(access, [&] { return *access == 7; }).value(), Held::clean);
    EXPECT_FALSE(access.owner_died());
}

TEST(Condition, NotifyingWithNobodyThereLeavesNothing) {
    Mutex lock;
    Condition changed;
    changed.notify_one();
    changed.notify_all();
    lock.hold().value();
    EXPECT_EQ(changed.wait_for(lock, 1ms).error().code, Errc::timed_out);
    lock.unlock();
}

TEST_F(SharedCondition, NotifyOneLetsOneGoOn) {
    g_wait_slice = 1ms;  // each looks again and again, and only one may find something
    std::vector<kit::Child> waiters;
    for (int i = 0; i < 3; ++i) waiters.push_back(waiter());
    for (std::uint32_t i = 1; i <= 3; ++i) {
        shared().changed.notify_one();
        ASSERT_TRUE(kit::wait_until([&] { return shared().gone_on.load() == i; }));
        EXPECT_EQ(shared().waiting(), 3 - i);
    }
    for (kit::Child& one : waiters) EXPECT_TRUE(one.wait().ok());
    EXPECT_TRUE(nobody_is_left());
}

TEST_F(SharedCondition, NotifyAllLetsAllGoOn) {
    g_wait_slice = 24h;
    std::vector<kit::Child> waiters;
    for (int i = 0; i < 3; ++i) waiters.push_back(waiter());
    shared().changed.notify_all();
    for (kit::Child& one : waiters) EXPECT_TRUE(one.wait().ok());
    EXPECT_TRUE(nobody_is_left());
}

// Which came after the notification, and takes the lock first.
TEST_F(SharedCondition, ALaterOneTakesNobodysNotification) {
    g_wait_slice = 24h;
    kit::Child first = waiter();
    shared().lock.hold().value();
    shared().changed.notify_one();
    EXPECT_EQ(shared().changed.wait_for(shared().lock, 5ms).error().code, Errc::timed_out);
    shared().lock.unlock();
    EXPECT_TRUE(first.wait().ok());
    EXPECT_TRUE(nobody_is_left());
}

TEST_F(SharedCondition, WhatADeadOneDidNotTakeGoesToAnother) {
    g_wait_slice = 5ms;
    kit::Child first = waiter();
    kit::Child second = waiter();
    first.stop();
    shared().lock.hold().value();
    shared().changed.notify_one();
    first.kill();
    shared().lock.unlock();
    EXPECT_TRUE(second.wait().ok());
}

TEST_F(SharedCondition, TheDeadAreInNobodysWay) {
    g_wait_slice = 24h;
    for (int i = 0; i < 20; ++i) {
        kit::Child dead = waiter();
        dead.kill_and_wait();
        if (i % 4 != 0) continue;
        kit::Child living = waiter();
        while (shared().gone_on.load() * 4 <= static_cast<std::uint32_t>(i)) {
            shared().changed.notify_one();
            std::this_thread::yield();
        }
        EXPECT_TRUE(living.wait().ok());
    }
}

// One died with what was granted to it; who came since is late.
TEST_F(SharedCondition, ALateOneGoesOnAfterASliceWhenTheOthersAreDead) {
    g_wait_slice = 20ms;
    shared().layout()->word.store(pack({.waiting = 1, .granted = 1}));
    kit::Child late = waiter();
    shared().changed.notify_one();  // for one of the two that are dead
    EXPECT_TRUE(late.wait().ok());
}

TEST_F(SharedCondition, ANotifierThatDiesBeforeItsWakeStrandsNobody) {
    g_wait_slice = 5ms;
    for (const char* point : {"condition.notified", "condition.all_let_go"}) {
        kit::Child one = waiter();
        wait_until_asleep();
        kit::Child dead = child([&] {
            kit::kill_self_at(point);
            point[10] == 'n' ? shared().changed.notify_one() : shared().changed.notify_all();
        });
        EXPECT_EQ(dead.wait().signal, SIGKILL);
        EXPECT_TRUE(one.wait().ok());
    }
}

TEST_F(SharedCondition, ANotifierThatDiesWithTheLockIsToldToOneWhoWaits) {
    kit::Child one = child([this] {
        g_wait_slice = 5ms;
        shared().lock.hold().value();
        const Result<Held> held = shared().changed.wait(shared().lock, [] { return false; });
        if (held != Result<Held>{Held::owner_died}) _exit(1);
        shared().lock.unlock();  // unrepaired
    });
    ASSERT_TRUE(kit::wait_until([&] { return shared().waiting() == 1; }));
    kit::Child dead = child([this] {
        shared().lock.hold().value();
        ++shared().items;
        ::kill(::getpid(), SIGKILL);
    });
    EXPECT_EQ(one.wait().status, 0);
    EXPECT_EQ(shared().lock.hold().error().code, Errc::poisoned);
    EXPECT_EQ(dead.wait().signal, SIGKILL);
}

TEST_F(SharedCondition, AWaiterLearnsThatTheLockWasPoisoned) {
    g_wait_slice = 5ms;
    kit::Child one = child([this] {
        std::unique_lock<Mutex> guard{shared().lock};
        shared().says.store(1);
        const Result<Held> held = shared().changed.wait(guard, [] { return false; });
        if (held || held.error().code != Errc::poisoned || guard.owns_lock()) _exit(1);
    });
    ASSERT_TRUE(kit::wait_until([&] { return shared().waiting() == 1; }));
    shared().lock.hold().value();  // as the heir of a dead one has it
    reinterpret_cast<MutexLayout*>(&shared().lock)->word.fetch_or(LockWord::kInconsistent);
    shared().lock.unlock();
    EXPECT_EQ(one.wait().status, 0);
    EXPECT_TRUE(nobody_is_left());
}

TEST_F(SharedCondition, AForkedChildIsToldSo) {
    shared().lock.hold().value();
    const kit::Ending ending = kit::fork_and_run([this] {
        if (shared().changed.wait(shared().lock).error().code != Errc::forked) _exit(1);
    });
    EXPECT_EQ(ending.status, 0);
    EXPECT_EQ(shared().waiting(), 0U);
    shared().lock.unlock();
}

TEST_F(SharedCondition, MoreThanItCanCountStillGoOn) {
    g_wait_slice = 24h;
    shared().layout()->word.store(pack({.waiting = ConditionWord::kMostWaiting}));
    kit::Child one = child([this] {
        shared().lock.hold().value();
        shared().says.store(1);
        if (!shared().changed.wait(shared().lock)) _exit(1);
        shared().lock.unlock();
    });
    ASSERT_TRUE(kit::wait_until([&] { return shared().says.load() == 1; }));
    shared().lock.hold().value();
    for (std::uint32_t i = 0; i <= ConditionWord::kMostWaiting; ++i) shared().changed.notify_one();
    shared().lock.unlock();
    EXPECT_TRUE(one.wait().ok());
    EXPECT_TRUE(nobody_is_left());
}

// Items go through it one by one, each of whose notifications is needed.
TEST_F(SharedCondition, NoNotificationIsLostWithInfiniteSlices) {
    g_wait_slice = 24h;
    constexpr std::uint64_t kItems = 3'000;
    std::vector<kit::Child> children;
    for (int i = 0; i < 3; ++i) {
        children.push_back(child([this] {
            for (std::uint64_t n = 0; n < kItems; ++n) {
                shared().lock.hold().value();
                const auto some = [&] { return shared().items > 0; };
                if (shared().changed.wait(shared().lock, some).value() != Held::clean) _exit(1);
                --shared().items;
                shared().lock.unlock();
            }
        }));
    }
    for (int i = 0; i < 2; ++i) {
        children.push_back(child([this, i] {
            for (std::uint64_t n = 0; n < kItems * 3 / 2; ++n) {
                shared().lock.hold().value();
                ++shared().items;
                if (i == 0) shared().changed.notify_one();
                shared().lock.unlock();
                if (i == 1) shared().changed.notify_one();
                if (n % 16 == 0) std::this_thread::yield();
            }
        }));
    }
    for (kit::Child& one : children) EXPECT_TRUE(one.wait().ok());
    EXPECT_EQ(shared().items, 0U);
    EXPECT_TRUE(nobody_is_left());
}

}  // namespace
}  // namespace stoa
