#include "stoa/sys/fork_guard.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>
#include <vector>

#include "stoa/sys/cpu.hpp"
#include "stoa/sys/mapping.hpp"
#include "stoa/sys/membarrier.hpp"
#include "tests/kit/process.hpp"

namespace stoa::sys {
namespace {

TEST(ForkGuard, GenerationIsNotZeroAndStays) {
    const std::uint64_t mine = own_generation();
    EXPECT_NE(mine, 0U);
    EXPECT_EQ(own_generation(), mine);
    EXPECT_EQ(current_generation(), mine);
}

TEST(ForkGuard, ForkedChildSeesZeroUntilItArmsAGenerationOfItsOwn) {
    const std::uint64_t mine = own_generation();
    EXPECT_TRUE(kit::fork_and_run([&] {
                    EXPECT_EQ(current_generation(), 0U);
                    const std::uint64_t child = own_generation();
                    EXPECT_GT(child, mine);
                    EXPECT_EQ(current_generation(), child);
                }).ok());
    EXPECT_EQ(current_generation(), mine);
}

TEST(ForkGuard, EveryDescendantDiffersFromAllItsAncestors) {
    const std::uint64_t mine = own_generation();
    EXPECT_TRUE(kit::fork_and_run([&] {
                    const std::uint64_t child = own_generation();
                    EXPECT_TRUE(kit::fork_and_run([&] {
                                    EXPECT_EQ(current_generation(), 0U);
                                    EXPECT_GT(own_generation(), child);
                                    EXPECT_GT(child, mine);
                                }).ok());
                }).ok());
}

TEST(ForkGuard, GrandchildOfAChildThatNeverArmedDiffersToo) {
    const std::uint64_t mine = own_generation();
    EXPECT_TRUE(kit::fork_and_run([&] {
                    EXPECT_TRUE(kit::fork_and_run([&] {
                                    EXPECT_EQ(current_generation(), 0U);
                                    EXPECT_GT(own_generation(), mine);
                                }).ok());
                }).ok());
}

TEST(ForkGuard, RawCloneWhichRunsNoForkHandlersIsNoticed) {
    const std::uint64_t mine = own_generation();
    const long pid = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (pid == 0) {  // no handlers ran here: only system calls
        const bool noticed = current_generation() == 0 && own_generation() > mine;
        ::_exit(noticed ? 0 : 1);
    }
    ASSERT_GT(pid, 0);
    int status = -1;
    ASSERT_EQ(::waitpid(static_cast<pid_t>(pid), &status, 0), pid);
    EXPECT_EQ(status, 0);
}

TEST(ForkGuard, ThreadsThatArmTogetherAgree) {
    EXPECT_TRUE(kit::fork_and_run([&] {
                    std::vector<std::uint64_t> seen(8);
                    {
                        std::vector<std::jthread> threads;
                        for (std::uint64_t& value : seen) {
                            threads.emplace_back([&value] { value = own_generation(); });
                        }
                    }
                    for (const std::uint64_t value : seen) {
                        EXPECT_EQ(value, current_generation());
                        EXPECT_NE(value, 0U);
                    }
                }).ok());
}

TEST(CurrentCpu, AgreesWithTheKernelOnAPinnedThread) {
    cpu_set_t allowed;
    ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        std::jthread{[cpu] {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
            EXPECT_EQ(current_cpu(), cpu);
        }}.join();
    }
}

TEST(CurrentCpu, WorksInAForkedChild) {
    EXPECT_TRUE(kit::fork_and_run([] {
                    cpu_set_t allowed;
                    ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
                    EXPECT_TRUE(CPU_ISSET(current_cpu(), &allowed));
                }).ok());
}

TEST(Membarrier, RegistersInTheParentAndAgainInAForkedChild) {
    ASSERT_TRUE(register_global_expedited());
    EXPECT_TRUE(register_global_expedited());
    EXPECT_TRUE(kit::fork_and_run([] {
                    EXPECT_EQ(detail::g_wiped_on_fork.barrier_registered.load(kRelaxed), 0U);
                    EXPECT_TRUE(register_global_expedited());
                    EXPECT_TRUE(barrier_all());
                }).ok());
}

void spin_until(const Atomic<std::uint32_t>& word, std::uint32_t value) {
    for (int spins = 0; word.load(kAcquire) != value; ++spins) {
        if (spins > 1000) ::sched_yield();  // the other side may need this core
    }
}

// Store buffering: each side stores its own word, then loads the other's. With plain code on both
// sides both may miss the other's store; with barrier_all on the slow side one of them sees it.
//   fast: a = round; (compiler barrier only); read b     slow: b = round; barrier_all; read a
TEST(Membarrier, ReplacesTheFenceOfTheFastSide) {
    struct Words {
        alignas(kCacheLine) Atomic<std::uint32_t> a{0};
        alignas(kCacheLine) Atomic<std::uint32_t> b{0};
        alignas(kCacheLine) Atomic<std::uint32_t> start{0};
        alignas(kCacheLine) Atomic<std::uint32_t> done{0};
        Atomic<std::uint32_t> fast_saw{0};
    };
    constexpr std::uint32_t kRounds = 5'000;
    const Mapping mapping = map_anonymous_shared(kPage).value();
    Words& words = *new (mapping.bytes().data()) Words;
    ASSERT_TRUE(register_global_expedited());
    kit::Child fast{[&] {
        ASSERT_TRUE(register_global_expedited());
        for (std::uint32_t round = 1; round <= kRounds; ++round) {
            spin_until(words.start, round);
            words.a.store(round, kRelaxed);
            std::atomic_signal_fence(kSeqCst);
            words.fast_saw.store(words.b.load(kRelaxed), kRelaxed);
            words.done.store(round, kRelease);
        }
    }};
    std::uint32_t both_missed = 0;
    for (std::uint32_t round = 1; round <= kRounds; ++round) {
        words.start.store(round, kRelease);
        words.b.store(round, kRelaxed);
        ASSERT_TRUE(barrier_all());
        const bool slow_missed = words.a.load(kRelaxed) != round;
        spin_until(words.done, round);
        if (slow_missed && words.fast_saw.load(kRelaxed) != round) ++both_missed;
    }
    EXPECT_EQ(both_missed, 0U);
    EXPECT_TRUE(fast.wait().ok());
}

}  // namespace
}  // namespace stoa::sys
