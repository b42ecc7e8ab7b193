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

// The sides of a litmus test must run at the same time, so on different cpus where there are two.
void pin_to_cpu(bool last) {
    cpu_set_t allowed;
    ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
    std::size_t chosen = CPU_SETSIZE;
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &allowed) && (last || chosen == CPU_SETSIZE)) chosen = cpu;
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(chosen, &one);
    ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
}

struct StoreBuffering {
    static constexpr std::uint32_t kLast = 500'000;
    alignas(kCacheLine) Atomic<std::uint32_t> a{0};
    alignas(kCacheLine) Atomic<std::uint32_t> b{0};
    alignas(kCacheLine) std::uint32_t fast_saw[kLast + 1] = {};  // b, by the value of a

    void run_fast_side() {
        while (b.load(kAcquire) == 0) cpu_pause();
        for (std::uint32_t n = 1; n <= kLast; ++n) {
            a.store(n, kRelaxed);
            std::atomic_signal_fence(kSeqCst);
            fast_saw[n] = b.load(kRelaxed);
            cpu_pause();
        }
    }
    // The last b for which `a` was still seen to hold n, by n.
    std::vector<std::uint32_t> run_slow_side() {
        std::vector<std::uint32_t> last_with(kLast + 1);
        std::uint32_t seen = 0;
        for (std::uint32_t m = 1; seen != kLast; ++m) {
            b.store(m, kRelaxed);
            EXPECT_TRUE(barrier_all());
            seen = a.load(kRelaxed);
            last_with[seen] = m;
        }
        return last_with;
    }
};

// Store buffering: each side stores its own word, then loads the other's. With plain code on both
// sides both may miss the other's store; with barrier_all on the slow side one of them sees it.
//   fast, for every n: a = n; (compiler barrier only); fast_saw[n] = b
//   slow, for every m: b = m; barrier_all; n = a       then a = n + 1 was not visible before the
// barrier, so the fast side's load after that store must find m: fast_saw[n + 1] >= m.
TEST(Membarrier, ReplacesTheFenceOfTheFastSide) {
    const Mapping mapping = map_anonymous_shared(sizeof(StoreBuffering)).value();
    StoreBuffering& litmus = *new (mapping.bytes().data()) StoreBuffering;
    kit::Child fast{[&] {
        pin_to_cpu(true);
        EXPECT_TRUE(register_global_expedited());
        litmus.run_fast_side();
    }};
    std::vector<std::uint32_t> last_with;
    std::jthread{[&] {  // a thread, because the pinning lasts as long as it
        pin_to_cpu(false);
        EXPECT_TRUE(register_global_expedited());
        last_with = litmus.run_slow_side();
    }}
        .join();
    EXPECT_TRUE(fast.wait().ok());
    int both_missed = 0;
    for (std::uint32_t n = 0; n < StoreBuffering::kLast; ++n) {
        if (litmus.fast_saw[n + 1] < last_with[n]) ++both_missed;
    }
    EXPECT_EQ(both_missed, 0);
}

}  // namespace
}  // namespace stoa::sys
