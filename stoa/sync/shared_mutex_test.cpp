#include "stoa/sync/shared_mutex.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <mutex>
#include <shared_mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "stoa/sync/sync_test_kit.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

struct Page {
    SharedMutex<2> lock;
    Atomic<std::uint64_t> a;
    Atomic<std::uint64_t> b;  // equal to a, unless a writer is in between
    Atomic<std::uint64_t> says;
};

class SharedMutexes : public SharedObject<Page> {
protected:
    SharedMutex<2>& lock() { return shared().lock; }
    [[nodiscard]] bool said(std::uint64_t what) {
        return kit::wait_until([&] { return shared().says.load() == what; });
    }
    // A child that does that, says so, and stays.
    kit::Child staying(const std::function<void()>& first) {
        kit::Child child = this->child([this, first] {
            first();
            shared().says.fetch_add(1);
            for (;;) ::pause();
        });
        return child;
    }
    kit::Child reader() {
        return staying([this] { (void)lock().hold_shared().value(); });
    }
    kit::Child writer() {
        return staying([this] { (void)lock().hold().value(); });
    }
    void write() {
        shared().a.fetch_add(1);
        shared().b.fetch_add(1);
    }
};

TEST(SharedMutex, OfThreadsInPrivateMemoryLetsWritersInAlone) {
    SharedMutex<> lock;
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 20'000; ++n) {
                const std::lock_guard guard{lock};
                ++a;
                ++b;
            }
        });
        threads.emplace_back([&] {
            for (int n = 0; n < 20'000; ++n) {
                const std::shared_lock guard{lock};
                if (a != b) ADD_FAILURE() << "torn";
            }
        });
    }
    threads.clear();
    EXPECT_EQ(a, 40'000U);
    EXPECT_EQ(lock.writer(), 0U);
    EXPECT_EQ(lock.readers(), 0U);
}

TEST(SharedMutex, WorksWithTheStandardsGuards) {
    SharedMutex<> lock;
    {
        const std::shared_lock one{lock};
        const std::shared_lock two{lock, std::try_to_lock};
        EXPECT_TRUE(two.owns_lock());
        EXPECT_EQ(lock.readers(), 2U);
        EXPECT_FALSE(lock.try_lock());
        EXPECT_FALSE(lock.try_lock_for(1ms));
        EXPECT_TRUE(lock.try_lock_shared());  // whoever gave up to write is no longer waited for
        lock.unlock_shared();
    }
    const std::unique_lock alone{lock};
    EXPECT_FALSE(lock.try_lock_shared());
    EXPECT_FALSE(lock.try_lock_shared_for(1ms));
    EXPECT_EQ(lock.hold_shared(Deadline::immediately()).error().code, Errc::in_use);
    EXPECT_EQ(lock.hold_shared(Deadline::after(1ms)).error().code, Errc::timed_out);
    EXPECT_EQ(lock.hold(Deadline::immediately()).error().code, Errc::in_use);
}

TEST_F(SharedMutexes, ProcessesReadTogetherAndWriteAlone) {
    std::vector<kit::Child> children;
    for (int i = 0; i < 4; ++i) {
        children.push_back(child([this, i] {
            for (int n = 0; n < 5'000; ++n) {
                if (i == 0) {
                    const std::lock_guard guard{lock()};
                    write();
                } else {
                    const std::shared_lock guard{lock()};
                    if (shared().a.load() != shared().b.load()) _exit(1);
                }
            }
        }));
    }
    for (kit::Child& one : children) EXPECT_TRUE(one.wait().ok());
    EXPECT_EQ(shared().a.load(), 5'000U);
    EXPECT_EQ(lock().readers(), 0U);
}

TEST_F(SharedMutexes, ADeadReaderDropsOut) {
    kit::Child dead = reader();
    ASSERT_TRUE(said(1));
    const Result<Held> early = lock().hold(Deadline::immediately());
    ASSERT_FALSE(early.has_value());
    EXPECT_EQ(early.error().code, Errc::in_use);
    dead.kill();
    EXPECT_EQ(lock().hold().value(), Held::clean);
    lock().unlock();
    EXPECT_EQ(lock().readers(), 0U);
}

TEST_F(SharedMutexes, AStoppedReaderIsNotADeadOne) {
    kit::Child stopped = reader();
    ASSERT_TRUE(said(1));
    stopped.stop();
    const Result<Held> held = lock().hold(Deadline::after(250ms));
    ASSERT_FALSE(held.has_value());
    EXPECT_EQ(held.error().code, Errc::timed_out);
    EXPECT_EQ(lock().hold_shared().value(), Held::clean);
    lock().unlock_shared();
    stopped.resume();
}

TEST_F(SharedMutexes, TheNextWriterAfterADeadOneIsToldOnce) {
    kit::Child dead = writer();
    ASSERT_TRUE(said(1));
    dead.kill();
    EXPECT_EQ(lock().hold().value(), Held::owner_died);
    lock().repaired();
    lock().unlock();
    EXPECT_EQ(lock().hold().value(), Held::clean);
    lock().unlock();
}

TEST_F(SharedMutexes, AReaderAfterADeadWriterGetsItAloneToMend) {
    kit::Child dead = writer();
    ASSERT_TRUE(said(1));
    dead.kill();
    EXPECT_EQ(lock().hold_shared().value(), Held::owner_died);
    EXPECT_EQ(lock().hold_shared(Deadline::immediately()).error().code, Errc::in_use);
    lock().repaired();
    lock().unlock_shared();
    EXPECT_EQ(lock().hold_shared().value(), Held::clean);
    lock().unlock_shared();
}

TEST_F(SharedMutexes, UnmendedItIsPoisonedForReadersAndWriters) {
    kit::Child dead = writer();
    ASSERT_TRUE(said(1));
    dead.kill();
    EXPECT_THROW(lock().lock_shared(), std::system_error);
    EXPECT_TRUE(lock().is_poisoned());
    EXPECT_EQ(lock().hold().error().code, Errc::poisoned);
    EXPECT_EQ(lock().hold_shared().error().code, Errc::poisoned);
    EXPECT_THROW(lock().lock(), std::system_error);
}

TEST_F(SharedMutexes, AWriterThatDiesWhileItWaitsForReadersChangedNothing) {
    EXPECT_EQ(lock().hold_shared().value(), Held::clean);
    kit::Child dead = child([this] {
        kit::kill_self_at("shared_mutex.entering");
        (void)lock().hold();
    });
    EXPECT_EQ(dead.wait().signal, SIGKILL);
    EXPECT_NE(lock().writer(), 0U);
    EXPECT_EQ(lock().hold_shared().value(), Held::clean);
    lock().unlock_shared();
    lock().unlock_shared();
    EXPECT_EQ(lock().hold().value(), Held::clean);
    lock().unlock();
}

TEST_F(SharedMutexes, AWaitingWriterKeepsNewReadersOut) {
    EXPECT_EQ(lock().hold_shared().value(), Held::clean);
    kit::Child waits = child([this] {
        (void)lock().hold().value();
        lock().unlock();
    });
    EXPECT_TRUE(kit::wait_until([&] { return lock().writer() != 0; }));
    EXPECT_EQ(lock().hold_shared(Deadline::immediately()).error().code, Errc::in_use);
    lock().unlock_shared();
    EXPECT_TRUE(waits.wait().ok());
}

TEST_F(SharedMutexes, OneProcessMoreThanThereArePlacesWaitsForOne) {
    kit::Child one = reader();
    kit::Child two = reader();
    ASSERT_TRUE(said(2));
    EXPECT_EQ(lock().hold_shared(Deadline::after(1ms)).error().code, Errc::timed_out);
    one.kill();
    EXPECT_EQ(lock().hold_shared().value(), Held::clean);
    lock().unlock_shared();
}

TEST_F(SharedMutexes, AForkedChildHoldsNothing) {
    EXPECT_EQ(lock().hold_shared().value(), Held::clean);
    const kit::Ending ending = kit::fork_and_run([this] {
        if (lock().hold().error().code != Errc::forked) _exit(1);
        if (lock().hold_shared().error().code != Errc::forked) _exit(2);
        lock().unlock_shared();
        lock().unlock();
    });
    EXPECT_TRUE(ending.ok());
    EXPECT_EQ(lock().readers(), 1U);
    lock().unlock_shared();
}

TEST_F(SharedMutexes, NoWakeUpIsLostWithInfiniteSlices) {
    g_wait_slice = 24h;
    std::vector<kit::Child> children;
    for (int i = 0; i < 4; ++i) {  // more than there are places
        children.push_back(child([this, i] {
            for (int n = 0; n < 3'000; ++n) {
                const bool writes = (n + i) % 4 == 0;
                (void)(writes ? lock().hold() : lock().hold_shared()).value();
                if (n % 16 == 0) std::this_thread::yield();
                writes ? lock().unlock() : lock().unlock_shared();
            }
        }));
    }
    for (kit::Child& one : children) EXPECT_TRUE(one.wait().ok());
    g_wait_slice = kWaitSlice;
}

}  // namespace
}  // namespace stoa
