#include "stoa/sync/recursive_mutex.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <mutex>
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
    RecursiveMutex lock;
    Atomic<std::uint64_t> a;
    Atomic<std::uint64_t> says;
};

class RecursiveMutexes : public SharedObject<Guards> {
protected:
    RecursiveMutex& lock() { return shared().lock; }
    // A child that holds it twice, and dies.
    void leave_a_dead_holder() {
        kit::Child child = this->child([this] {
            lock().hold().value();
            lock().hold().value();
            ::kill(::getpid(), SIGKILL);
        });
        EXPECT_EQ(child.wait().signal, SIGKILL);
    }
};

TEST(RecursiveMutex, IsHeldByOneThreadAsOftenAsItLikes) {
    RecursiveMutex lock;
    std::uint64_t count = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 20'000; ++n) {
                const std::lock_guard outer{lock};
                const std::lock_guard inner{lock};
                ++count;
            }
        });
    }
    threads.clear();
    EXPECT_EQ(count, 60'000U);
    EXPECT_EQ(lock.holder(), 0U);
}

TEST(RecursiveMutex, IsFreeOnlyAfterTheLastUnlock) {
    RecursiveMutex lock;
    lock.lock();
    EXPECT_TRUE(lock.try_lock());
    EXPECT_TRUE(lock.try_lock_for(1ms));
    const auto another_gets_it = [&] {
        bool got = false;
        std::jthread{[&] {
            got = lock.try_lock();
            if (got) lock.unlock();
        }}.join();
        return got;
    };
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(another_gets_it());
        lock.unlock();
    }
    EXPECT_TRUE(another_gets_it());
}

TEST_F(RecursiveMutexes, ADeadHoldersHeirHoldsItOnce) {
    leave_a_dead_holder();
    EXPECT_EQ(lock().hold().value(), Held::owner_died);
    EXPECT_EQ(lock().hold().value(), Held::owner_died);  // not mended yet
    lock().repaired();
    EXPECT_EQ(lock().hold().value(), Held::clean);
    for (int i = 0; i < 3; ++i) {
        EXPECT_NE(lock().holder(), 0U);
        lock().unlock();
    }
    EXPECT_EQ(lock().holder(), 0U);
    EXPECT_EQ(lock().hold().value(), Held::clean);
    lock().unlock();
}

TEST_F(RecursiveMutexes, UnmendedItIsPoisonedByTheLastUnlock) {
    leave_a_dead_holder();
    EXPECT_EQ(lock().hold().value(), Held::owner_died);
    EXPECT_THROW(lock().lock(), std::system_error);
    EXPECT_FALSE(lock().is_poisoned());
    lock().unlock();
    EXPECT_TRUE(lock().is_poisoned());
    EXPECT_EQ(lock().hold().error().code, Errc::poisoned);
}

// Who died between taking the word and saying which thread it was, or before it gave the word back.
TEST_F(RecursiveMutexes, WhatADeadHolderLeftBesideTheWordIsNobodys) {
    for (const char* const point : {"recursive_mutex.held", "recursive_mutex.leaving"}) {
        kit::Child child = this->child([this, point] {
            kit::kill_self_at(point);
            (void)lock().hold();
            lock().unlock();
        });
        EXPECT_EQ(child.wait().signal, SIGKILL);
        EXPECT_EQ(lock().hold().value(), Held::owner_died);
        lock().repaired();
        lock().unlock();
        EXPECT_EQ(lock().holder(), 0U);
    }
}

TEST_F(RecursiveMutexes, AnotherProcessWaits) {
    lock().hold().value();
    kit::Child child = this->child([this] {
        if (lock().hold(Deadline::immediately()).error().code != Errc::in_use) _exit(1);
        shared().says.store(1);
        if (lock().hold().value() != Held::clean) _exit(2);
        lock().unlock();
    });
    EXPECT_TRUE(kit::wait_until([&] { return shared().says.load() == 1; }));
    lock().unlock();
    EXPECT_TRUE(child.wait().ok());
}

TEST_F(RecursiveMutexes, AForkedChildHoldsNothing) {
    lock().hold().value();
    const kit::Ending ending = kit::fork_and_run([this] {
        if (lock().hold().error().code != Errc::forked) _exit(1);
        lock().unlock();
    });
    EXPECT_TRUE(ending.ok());
    EXPECT_EQ(lock().holder(), here(&shared()).me);
    lock().unlock();
}

}  // namespace
}  // namespace stoa
