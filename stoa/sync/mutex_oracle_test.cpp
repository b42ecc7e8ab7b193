// Differential: Mutex beside a robust process-shared mutex of pthread, on the same random schedule
// of locks, tries, unlocks and deaths of holders. Each step is done on both, by the same process.
#include <gtest/gtest.h>

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <optional>
#include <random>
#include <thread>

#include "stoa/sync/bell.hpp"
#include "stoa/sync/mutex.hpp"
#include "stoa/sync/sync_test_kit.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

enum class Step : std::uint32_t { none, lock, try_lock, timed_lock, unlock, mend_and_unlock };
enum class Verdict : std::uint32_t { none, got, owner_died, busy, poisoned, other };

constexpr std::size_t kActors = 3;

struct Both {
    Mutex ours;
    pthread_mutex_t theirs;
    struct Order {
        Atomic<Step> step;
        Atomic<Verdict> ours;
        Atomic<Verdict> theirs;
        Atomic<std::uint32_t> is_done;
    };
    std::array<Order, kActors> orders;
};

Verdict verdict_of(const Result<Held>& held) {
    if (held) return *held == Held::clean ? Verdict::got : Verdict::owner_died;
    switch (held.error().code) {
        case Errc::in_use:
        case Errc::timed_out: return Verdict::busy;
        case Errc::poisoned: return Verdict::poisoned;
        default: return Verdict::other;
    }
}

Verdict verdict_of(int os_errno) {
    switch (os_errno) {
        case 0: return Verdict::got;
        case EOWNERDEAD: return Verdict::owner_died;
        case EBUSY:
        case ETIMEDOUT: return Verdict::busy;
        case ENOTRECOVERABLE: return Verdict::poisoned;
        default: return Verdict::other;
    }
}

int lock_theirs(pthread_mutex_t& lock, Step step) {
    if (step == Step::lock) return ::pthread_mutex_lock(&lock);
    if (step == Step::try_lock) return ::pthread_mutex_trylock(&lock);
    timespec until{};
    ::clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100'000;
    if (until.tv_nsec >= 1'000'000'000) until = {.tv_sec = until.tv_sec + 1, .tv_nsec = 0};
    return ::pthread_mutex_timedlock(&lock, &until);
}

class MutexOracle : public SharedObject<Both> {
protected:
    void make_locks() {
        new (&shared().ours) Mutex;
        pthread_mutexattr_t how{};
        ::pthread_mutexattr_init(&how);
        // allowed: banned: it is what ours stands beside
        ::pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
        ::pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
        ASSERT_EQ(::pthread_mutex_init(&shared().theirs, &how), 0);
        ::pthread_mutexattr_destroy(&how);
    }
    kit::Child actor(std::size_t number) {
        return child([this, number] {
            Both::Order& my = shared().orders[number];
            for (;;) {
                const Step step = my.step.load();
                if (step == Step::none) {
                    std::this_thread::yield();
                    continue;
                }
                my.step = Step::none;
                obey(my, step);
                my.is_done = 1;
            }
        });
    }
    void obey(Both::Order& my, Step step) {
        Mutex& ours = shared().ours;
        pthread_mutex_t& theirs = shared().theirs;
        if (step == Step::unlock || step == Step::mend_and_unlock) {
            if (step == Step::mend_and_unlock) {
                ours.repaired();
                (void)::pthread_mutex_consistent(&theirs);
            }
            ours.unlock();
            my.theirs = verdict_of(::pthread_mutex_unlock(&theirs));
            my.ours = Verdict::got;
            return;
        }
        const Deadline until = step == Step::lock       ? Deadline::never()
                               : step == Step::try_lock ? Deadline::immediately()
                                                        : Deadline::after(100us);
        my.ours = verdict_of(ours.hold(until));
        my.theirs = verdict_of(lock_theirs(theirs, step));
    }
    // Both verdicts; equal, or the test fails.
    Verdict order(std::size_t number, Step step) {
        Both::Order& its = shared().orders[number];
        its.is_done = 0;
        its.step = step;
        EXPECT_TRUE(kit::wait_until([&] { return its.is_done.load() == 1; }));
        EXPECT_EQ(its.ours.load(), its.theirs.load());
        return its.ours.load();
    }
};

TEST_F(MutexOracle, TheSameScheduleHasTheSameVerdicts) {
    g_wait_slice = 1ms;
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const auto below = [&](std::uint64_t n) { return static_cast<std::size_t>(random() % n); };
    make_locks();
    std::array<std::optional<kit::Child>, kActors> actors;
    for (std::size_t i = 0; i < kActors; ++i) actors[i].emplace(actor(i));
    std::size_t holder = kActors;  // nobody that lives
    int deaths = 0;
    int told = 0;
    int poisoned = 0;
    for (int i = 0; i < 4'000 && !HasFailure(); ++i) {
        const std::size_t who = below(kActors);
        if (below(16) == 0) {
            actors[who]->kill_and_wait();
            if (below(2) == 0) table_->sweep_all(index_, [](void*, std::uint32_t) {}, nullptr);
            actors[who].emplace(actor(who));
            deaths += who == holder ? 1 : 0;
            if (who == holder) holder = kActors;
            continue;
        }
        if (who == holder && below(2) == 0) {
            order(who, below(4) == 0 ? Step::unlock : Step::mend_and_unlock);
            holder = kActors;
            continue;
        }
        const Step kinds[] = {Step::try_lock, Step::timed_lock, Step::lock};
        // Who waits without end waits for nobody that lives.
        const Verdict verdict = order(who, kinds[below(holder == kActors ? 3 : 2)]);
        EXPECT_NE(verdict, Verdict::other);
        if (verdict == Verdict::got || verdict == Verdict::owner_died) {
            EXPECT_EQ(holder, kActors);
            holder = who;
        }
        told += verdict == Verdict::owner_died ? 1 : 0;
        if (verdict != Verdict::poisoned) continue;
        ++poisoned;
        make_locks();
    }
    EXPECT_GT(deaths, 20);
    EXPECT_GT(told, 20);
    EXPECT_GT(poisoned, 2);
    g_wait_slice = kWaitSlice;
}

}  // namespace
}  // namespace stoa
