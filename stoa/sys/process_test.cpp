#include "stoa/sys/process.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <thread>
#include <vector>

#include "stoa/sys/process_test_peer.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa::sys {
namespace {

INSTANTIATE_TEST_SUITE_P(, Probe, testing::Values(&probe, &probe_by_start_ticks), way_name);

TEST_P(Probe, CallerItselfIsAlive) {
    EXPECT_EQ(life(self().value()), Life::alive);
}

TEST_P(Probe, RunningProcessIsAlive) {
    const Peer peer;
    EXPECT_EQ(life(peer.identity()), Life::alive);
}

TEST_P(Probe, ParentIsAliveForItsChild) {
    const Identity parent = self().value();
    EXPECT_TRUE(kit::fork_and_run([&] { EXPECT_EQ(life(parent), Life::alive); }).ok());
}

TEST_P(Probe, StoppedProcessIsAlive) {
    const Peer peer;
    peer.child().stop();
    EXPECT_EQ(life(peer.identity()), Life::alive);
    peer.child().resume();
    EXPECT_EQ(life(peer.identity()), Life::alive);
}

TEST_P(Probe, PtraceStoppedProcessIsAlive) {
    const Peer peer;
    const pid_t pid = peer.child().pid();
    ASSERT_EQ(::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr), 0);
    ASSERT_EQ(::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, __WALL), pid);
    ASSERT_TRUE(WIFSTOPPED(status));
    EXPECT_EQ(life(peer.identity()), Life::alive);
    ASSERT_EQ(::ptrace(PTRACE_DETACH, pid, nullptr, nullptr), 0);
}

// A vfork parent sleeps uninterruptibly; its child here waits until this test closes the pipe.
TEST_P(Probe, ProcessThatWaitsInVforkIsAlive) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const Peer peer{[&] {
        ::close(ends[1]);
        const auto wait_for_test = [](void* end) {
            char byte = 0;
            return static_cast<int>(::read(*static_cast<int*>(end), &byte, 1));
        };
        alignas(16) static char stack[64 << 10];
        (void)::clone(wait_for_test, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, ends);
        pause_forever();
    }};
    ::close(ends[0]);
    EXPECT_TRUE(kit::wait_until([&] { return state_of(peer.identity().pid) == 'D'; }));
    EXPECT_EQ(life(peer.identity()), Life::alive);
    ::close(ends[1]);
}

TEST_P(Probe, ZombieIsDead) {
    const Peer peer;
    peer.child().kill();
    ASSERT_EQ(state_of(peer.identity().pid), 'Z');
    EXPECT_EQ(life(peer.identity()), Life::dead);
}

TEST_P(Probe, ReapedProcessIsDead) {
    Peer peer;
    peer.child().kill_and_wait();
    EXPECT_EQ(life(peer.identity()), Life::dead);
}

TEST_P(Probe, ProcessThatExitedIsDead) {
    Peer peer{[] {}};
    EXPECT_TRUE(peer.child().wait().ok());
    EXPECT_EQ(life(peer.identity()), Life::dead);
}

TEST_P(Probe, ProcessThatReplacedItsProgramIsAlive) {
    const Peer peer{[] { ::execl("/bin/sleep", "sleep", "1000", nullptr); }};
    EXPECT_TRUE(kit::wait_until([&] { return process_name(peer.identity().pid) == "sleep"; }));
    EXPECT_EQ(life(peer.identity()), Life::alive);
    peer.child().kill();
    EXPECT_EQ(life(peer.identity()), Life::dead);
}

TEST_P(Probe, ProcessWithoutItsLeaderThreadIsAliveUntilTheLastThreadEnds) {
    const Peer peer{[] {
        std::thread{pause_forever}.detach();
        ::syscall(SYS_exit, 0);  // the leader thread only
    }};
    ASSERT_TRUE(kit::wait_until([&] { return state_of(peer.identity().pid) == 'Z'; }));
    EXPECT_EQ(life(peer.identity()), Life::alive);
    ASSERT_EQ(::kill(peer.child().pid(), SIGKILL), 0);
    EXPECT_TRUE(kit::wait_until([&] { return life(peer.identity()) == Life::dead; }));
}

// A thread that execs takes over the pid of the leader, which dies in that moment.
TEST_P(Probe, ProcessIsNeverDeadWhileAnotherThreadThanTheLeaderExecs) {
    for (int round = 0; round < 30; ++round) {
        const Peer peer{[] {
            std::thread{[] { ::execl("/bin/sleep", "sleep", "1000", nullptr); }}.detach();
            if (::getpid() % 2 == 0) ::syscall(SYS_exit, 0);  // half of them as a zombie leader
            pause_forever();
        }};
        int deaths = 0;
        EXPECT_TRUE(kit::wait_until([&] {
            for (int i = 0; i < 100; ++i) deaths += life(peer.identity()) == Life::dead ? 1 : 0;
            return process_name(peer.identity().pid) == "sleep";
        }));
        EXPECT_EQ(deaths, 0);
    }
}

TEST_P(Probe, NeverDeadWhileAliveAndAlwaysDeadAfterwardsUnderRandomKills) {
    for (int round = 0; round < 30; ++round) {
        Peer peer;
        EXPECT_NE(life(peer.identity()), Life::dead);
        ASSERT_EQ(::kill(peer.child().pid(), SIGKILL), 0);
        EXPECT_TRUE(kit::wait_until([&] { return life(peer.identity()) == Life::dead; }));
        peer.child().kill_and_wait();
        EXPECT_EQ(life(peer.identity()), Life::dead);
    }
}

TEST_P(Probe, StrangeNamesDoNotConfuseIt) {
    const Peer peer{[] {
        ::prctl(PR_SET_NAME, "a) Z 1 (\n\x1b[");
        pause_forever();
    }};
    EXPECT_TRUE(kit::wait_until([&] { return process_name(peer.identity().pid).size() == 11; }));
    EXPECT_EQ(life(peer.identity()), Life::alive);
}

// The pid of a live process under the identity of an earlier one: what pid reuse looks like. The
// real thing, with the kernel handing out the same pid again, is in process_namespace_test.cpp.
TEST_P(Probe, EarlierOwnerOfAPidIsDead) {
    Peer earlier;
    earlier.child().kill_and_wait();
    const Peer later;
    Identity identity = later.identity();
    identity.start_ticks -= 1;
    identity.pidfs_id = earlier.identity().pidfs_id;
    EXPECT_EQ(life(identity), Life::dead);
}

TEST_P(Probe, ProcessOfAnotherBootIsDead) {
    const Peer peer;
    Identity identity = peer.identity();
    identity.boot_id ^= 1;
    EXPECT_EQ(life(identity), Life::dead);
    identity.pid_namespace ^= 1;  // a container may show a boot id of its own: no proof
    EXPECT_EQ(life(identity), Life::unknown);
}

TEST_P(Probe, OtherPidNamespaceIsNeverCalledDead) {
    Peer peer;
    peer.child().kill_and_wait();
    Identity identity = peer.identity();
    identity.pid_namespace ^= 1;
    EXPECT_EQ(life(identity), Life::unknown);
}

TEST_P(Probe, NumbersThatAreNoPidAreUnknownAndSignalNobody) {
    Identity identity = self().value();
    for (const std::uint32_t pid : {0U, 0x8000'0000U, 0xffff'ffffU}) {
        identity.pid = pid;
        identity.pidfs_id = 0;
        EXPECT_EQ(life(identity), Life::unknown) << pid;
    }
    EXPECT_EQ(life(Identity{}), Life::unknown);
}

TEST_P(Probe, WithoutADescriptorLeftTheLivingAreNotDeadAndTheReapedAre) {
    const Peer living;
    const Peer zombie;
    zombie.child().kill();
    Peer reaped;
    reaped.child().kill_and_wait();
    EXPECT_TRUE(kit::fork_and_run([&] {
                    ASSERT_TRUE(self());
                    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
                    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
                    EXPECT_EQ(life(living.identity()), Life::unknown);
                    EXPECT_EQ(life(zombie.identity()), Life::unknown);
                    EXPECT_EQ(life(reaped.identity()), Life::dead);
                }).ok());
    EXPECT_TRUE(kit::fork_and_run([&] {  // and before it has learnt who it is
                    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
                    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
                    EXPECT_EQ(self().error().code, Errc::limit_reached);
                    EXPECT_EQ(life(living.identity()), Life::unknown);
                    EXPECT_EQ(life(reaped.identity()), Life::unknown);
                })
                    .ok());
}

TEST_P(Probe, LeavesNoDescriptorOpenAndKeepsErrno) {
    const auto open_files = [] {
        return std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, {});
    };
    const Peer living;
    Peer reaped;
    reaped.child().kill_and_wait();
    const auto before = open_files();
    errno = EDOM;
    for (const Peer* peer : {&living, static_cast<const Peer*>(&reaped)}) {
        (void)life(peer->identity());
        (void)probe_claim(peer->identity().pid, start_ticks_low(peer->identity()));
    }
    EXPECT_EQ(errno, EDOM);
    EXPECT_EQ(open_files(), before);
}

TEST(Self, IsTheSameEachTimeAndInAllThreads) {
    EXPECT_TRUE(kit::fork_and_run([] {
                    std::vector<Identity> seen(8);
                    {
                        std::vector<std::jthread> threads;
                        for (Identity& who : seen) {
                            threads.emplace_back([&who] { who = self().value(); });
                        }
                    }
                    for (const Identity& who : seen) EXPECT_EQ(who, self().value());
                    EXPECT_EQ(self()->pid, static_cast<std::uint32_t>(::getpid()));
                }).ok());
}

TEST(Self, OfAForkedChildIsTheChild) {
    const Identity parent = self().value();
    const Peer peer;
    EXPECT_NE(peer.identity(), parent);
    EXPECT_EQ(peer.identity().pid, static_cast<std::uint32_t>(peer.child().pid()));
    EXPECT_EQ(peer.identity().pid_namespace, parent.pid_namespace);
    EXPECT_EQ(peer.identity().boot_id, parent.boot_id);
    EXPECT_NE(peer.identity().pidfs_id, parent.pidfs_id);
    EXPECT_TRUE(comparable(peer.identity(), parent));
}

TEST(Self, EnvironmentSwitchTurnsHandlesOff) {
    const Peer living;
    const Peer zombie;
    zombie.child().kill();
    const auto look = [&] {
        ASSERT_TRUE(self());
        if (std::getenv("STOA_NO_PIDFS_HANDLES") != nullptr) {
            EXPECT_FALSE(uses_pidfs_handles());
        }
        EXPECT_NE(self()->pidfs_id, 0U);  // others may use the handle
        EXPECT_EQ(probe(living.identity()), Life::alive);
        EXPECT_EQ(probe(zombie.identity()), Life::dead);
    };
    EXPECT_TRUE(kit::fork_and_run([&] {
                    ::setenv("STOA_NO_PIDFS_HANDLES", "1", 1);
                    look();
                }).ok());
    EXPECT_TRUE(kit::fork_and_run([&] {
                    ::unsetenv("STOA_NO_PIDFS_HANDLES");
                    look();
                }).ok());
}

TEST(ProbeClaim, JudgesByPidAndTheLowBitsOfTheStart) {
    Peer peer;
    const std::uint32_t pid = peer.identity().pid;
    const std::uint16_t start = start_ticks_low(peer.identity());
    EXPECT_EQ(probe_claim(pid, start), Life::alive);
    EXPECT_EQ(probe_claim(pid, static_cast<std::uint16_t>(start + 1)), Life::dead);
    peer.child().stop();
    EXPECT_EQ(probe_claim(pid, start), Life::alive);
    peer.child().kill();
    EXPECT_EQ(probe_claim(pid, start), Life::dead);
    peer.child().wait();
    EXPECT_EQ(probe_claim(pid, start), Life::dead);
    EXPECT_EQ(probe_claim(0, start), Life::unknown);
    EXPECT_EQ(probe_claim(0xffff'ffff, start), Life::unknown);
}

// A pid that now is a mere thread of another process: its former owner is gone.
TEST(ProbeClaim, PidThatIsAThreadOfAnotherProcessIsDead) {
    const Peer peer{[] {
        std::thread{pause_forever}.detach();
        pause_forever();
    }};
    std::uint32_t thread = 0;
    ASSERT_TRUE(kit::wait_until([&] {
        thread = second_thread_of(peer.identity().pid);
        return thread != 0;
    }));
    const auto start = static_cast<std::uint16_t>(start_ticks_low(peer.identity()) - 1000);
    EXPECT_EQ(probe_claim(thread, start), Life::dead);
}

TEST(ProcessName, ShowsWhatTheKernelKnowsWithoutControlBytes) {
    const Peer peer{[] {
        ::prctl(PR_SET_NAME, "bell\a\x1b[31m");
        pause_forever();
    }};
    EXPECT_TRUE(kit::wait_until([&] { return process_name(peer.identity().pid) == "bell??[31m"; }));
    EXPECT_EQ(process_name(0x7fff'ffff), "");
}

}  // namespace
}  // namespace stoa::sys
