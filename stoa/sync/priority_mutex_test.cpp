#include "stoa/sync/priority_mutex.hpp"

#include <gtest/gtest.h>

#include <sched.h>
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
#include "tests/kit/namespaces.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

struct Guards {
    [[nodiscard]] PriorityMutexLayout& layout() {
        return reinterpret_cast<PriorityMutexLayout&>(lock);
    }

    PriorityMutex lock;
    std::uint64_t a;
    std::uint64_t b;  // equal to a, unless somebody is in between
    Atomic<std::uint64_t> says;
};

class PriorityMutexes : public SharedObject<Guards> {
protected:
    PriorityMutex& lock() { return shared().lock; }
    kit::Child holder() {
        kit::Child child = this->child([this] {
            lock().hold().value();
            shared().says.fetch_add(1);
            for (;;) ::pause();
        });
        EXPECT_TRUE(kit::wait_until([&] { return shared().says.load() == 1; }));
        return child;
    }
    // Waits until that many processes wait for the lock.
    void wait_for_waiters(int count) {
        EXPECT_TRUE(kit::wait_until([&] {
            int waiting = 0;
            table_->for_each([&](const Participant& seen) {
                waiting += seen.waits == WaitsFor::lock && seen.life != sys::Life::dead ? 1 : 0;
            });
            return waiting == count;
        }));
    }
    void works_again() {
        for (int i = 0; i < 2; ++i) {
            EXPECT_EQ(lock().hold().value(), Held::clean);
            lock().unlock();
        }
        EXPECT_EQ(lock().holder(), 0U);
        EXPECT_EQ(shared().layout().gate.load(), 0U);
    }
};

// As the kernel sees it: below 0 when it runs in real time.
int priority_of(pid_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
    std::string text{std::istreambuf_iterator<char>{file}, {}};
    std::size_t at = text.rfind(')') + 2;
    for (int field = 3; field < 18; ++field) at = text.find(' ', at) + 1;
    return std::stoi(text.substr(at));
}

TEST(PriorityMutex, OfThreadsInPrivateMemoryLetsOneInAtATime) {
    PriorityMutex lock;
    std::uint64_t count = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 3'000; ++n) {
                const std::lock_guard guard{lock};
                ++count;
            }
        });
    }
    threads.clear();
    EXPECT_EQ(count, 9'000U);
    EXPECT_EQ(lock.holder(), 0U);
    EXPECT_TRUE(lock.try_lock());
    EXPECT_FALSE(lock.try_lock());
    EXPECT_FALSE(lock.try_lock_for(1ms));
    lock.unlock();
}

TEST_F(PriorityMutexes, LetsOneProcessInAtATime) {
    g_wait_slice = 24h;
    std::vector<kit::Child> children;
    for (int i = 0; i < 3; ++i) {
        children.push_back(child([this] {
            for (int n = 0; n < 3'000; ++n) {
                const std::lock_guard guard{lock()};
                if (shared().a != shared().b) _exit(1);
                ++shared().a;
                ++shared().b;
            }
        }));
    }
    for (kit::Child& one : children) EXPECT_TRUE(one.wait().ok());
    g_wait_slice = kWaitSlice;
    EXPECT_EQ(shared().a, 9'000U);
    works_again();
}

TEST_F(PriorityMutexes, ADeadHoldersHeirIsToldOnce) {
    kit::Child dead = holder();
    EXPECT_EQ(lock().hold(Deadline::immediately()).error().code, Errc::in_use);
    EXPECT_EQ(lock().hold(Deadline::after(1ms)).error().code, Errc::timed_out);
    dead.kill_and_wait();  // nobody has its thread's id any more
    EXPECT_EQ(lock().hold().value(), Held::owner_died);
    lock().repaired();
    lock().unlock();
    works_again();
}

TEST_F(PriorityMutexes, AZombiesHeirIsToldAsWell) {
    kit::Child dead = holder();
    dead.kill();
    EXPECT_EQ(lock().hold().value(), Held::owner_died);
    lock().repaired();
    lock().unlock();
    works_again();
}

TEST_F(PriorityMutexes, OfThoseWhoWaitInTheKernelOneInheritsAndAllGoOn) {
    kit::Child dead = holder();
    std::vector<kit::Child> waiters;
    for (int i = 0; i < 3; ++i) {
        waiters.push_back(child([this] {
            const Held held = lock().hold().value();
            if (held == Held::owner_died) lock().repaired();
            ++shared().a;
            lock().unlock();
            _exit(held == Held::owner_died ? 7 : 0);
        }));
    }
    wait_for_waiters(3);
    dead.kill();
    int told = 0;
    for (kit::Child& one : waiters) told += one.wait().status == 7 ? 1 : 0;
    EXPECT_EQ(told, 1);
    EXPECT_EQ(shared().a, 3U);
    works_again();
}

TEST_F(PriorityMutexes, AKilledWaiterHangsNobody) {
    lock().hold().value();
    kit::Child first = child([this] { (void)lock().hold(); });
    wait_for_waiters(1);
    kit::Child second = child([this] {
        if (lock().hold().value() != Held::clean) _exit(1);
        lock().unlock();
    });
    wait_for_waiters(2);
    first.kill();
    lock().unlock();
    EXPECT_TRUE(second.wait().ok());
    works_again();
}

// Between the gate and the word, and between the word and the gate.
TEST_F(PriorityMutexes, WhoDiesAtTheGateHangsNobody) {
    for (const char* const point : {"priority_mutex.passed", "priority_mutex.given"}) {
        kit::Child dead = child([this, point] {
            kit::kill_self_at(point);
            (void)lock().hold();
            lock().unlock();
        });
        EXPECT_EQ(dead.wait().signal, SIGKILL);
        works_again();
    }
}

TEST_F(PriorityMutexes, AGateThatNamesAnotherThreadIsGonePast) {
    kit::Child innocent = child([] {
        for (;;) ::pause();
    });
    shared().layout().gate.store(static_cast<std::uint32_t>(innocent.pid()));
    EXPECT_EQ(lock().hold().value(), Held::clean);
    lock().unlock();
    works_again();
    kit::Child dead = holder();
    dead.kill_and_wait();
    shared().layout().gate.store(static_cast<std::uint32_t>(innocent.pid()));
    EXPECT_EQ(lock().hold().value(), Held::owner_died);
    lock().repaired();
    lock().unlock();
    works_again();
}

TEST_F(PriorityMutexes, UnmendedItIsPoisoned) {
    kit::Child dead = holder();
    dead.kill();
    EXPECT_THROW(lock().lock(), std::system_error);
    EXPECT_TRUE(lock().is_poisoned());
    EXPECT_EQ(lock().hold().error().code, Errc::poisoned);
}

TEST_F(PriorityMutexes, AStoppedHolderIsNotADeadOne) {
    kit::Child stopped = holder();
    stopped.stop();
    EXPECT_EQ(lock().hold(Deadline::after(250ms)).error().code, Errc::timed_out);
    stopped.resume();
}

TEST_F(PriorityMutexes, ItsHolderRunsAsUrgentlyAsWhoWaitsForIt) {
    kit::Child held = holder();
    EXPECT_GE(priority_of(held.pid()), 0);
    kit::Child urgent = child([this] {
        const sched_param first{.sched_priority = 1};
        if (::sched_setscheduler(0, SCHED_FIFO, &first) != 0) _exit(77);
        (void)lock().hold();
    });
    bool is_lent = false;
    EXPECT_TRUE(kit::wait_until([&] {
        is_lent = priority_of(held.pid()) < 0;
        return is_lent ||
               std::ifstream{"/proc/" + std::to_string(urgent.pid()) + "/cmdline"}.peek() == EOF;
    }));
    if (!is_lent) {
        if (urgent.wait().status == 77) GTEST_SKIP() << "no right to real-time priorities";
        FAIL() << "the holder was lent no priority";
    }
}

TEST_F(PriorityMutexes, AcrossPidNamespacesItIsRefused) {
    kit::Child outside = child([this] {
        kit::enter_namespaces(CLONE_NEWPID);
        kit::Init inside{[this] {
            join();
            EXPECT_EQ(lock().hold().error().code, Errc::not_supported);
        }};
        EXPECT_TRUE(inside.wait());
    });
    EXPECT_TRUE(outside.wait().ok());
    EXPECT_EQ(lock().hold().error().code, Errc::not_supported);
}

TEST_F(PriorityMutexes, AForkedChildHoldsNothing) {
    lock().hold().value();
    const kit::Ending ending = kit::fork_and_run([this] {
        if (lock().hold().error().code != Errc::forked) _exit(1);
        lock().unlock();
    });
    EXPECT_TRUE(ending.ok());
    lock().unlock();
    works_again();
}

}  // namespace
}  // namespace stoa
