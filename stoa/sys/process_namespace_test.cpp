// Identities across namespaces, reused pids, and kernels that refuse what probe would like to use.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <initializer_list>
#include <vector>

#include "stoa/sys/process.hpp"
#include "stoa/sys/process_test_peer.hpp"
#include "tests/kit/namespaces.hpp"
#include "tests/kit/process.hpp"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace stoa::sys {
namespace {

INSTANTIATE_TEST_SUITE_P(, Probe, testing::Values(&probe, &probe_by_start_ticks), way_name);

// A fork child that gets this very pid; the pid must be free.
class ForkedAs {
public:
    explicit ForkedAs(pid_t pid) {
        clone_args arguments{};
        arguments.exit_signal = SIGCHLD;
        arguments.set_tid = reinterpret_cast<std::uintptr_t>(&pid);
        arguments.set_tid_size = 1;
        pid_ = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
        kit::must(pid_ >= 0, "clone3 with set_tid");
        if (pid_ == 0) {
            post_.write();
            pause_forever();
        }
        identity_ = post_.read();
    }
    ForkedAs(const ForkedAs&) = delete;
    ForkedAs& operator=(const ForkedAs&) = delete;
    ~ForkedAs() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    [[nodiscard]] const Identity& identity() const { return identity_; }

private:
    Post post_;
    pid_t pid_ = -1;
    Identity identity_;
};

// Runs the body as pid 1 of a new pid namespace, with its own /proc.
void in_new_pid_namespace(const std::function<void()>& body) {
    EXPECT_TRUE(kit::fork_and_run([&] {
                    kit::enter_namespaces(CLONE_NEWPID | CLONE_NEWNS);
                    kit::Init init{[&] {
                        kit::mount_proc();
                        body();
                    }};
                    EXPECT_TRUE(init.wait());
                }).ok());
}

TEST_P(Probe, NewProcessWithTheSamePidIsNotTakenForTheDeadOne) {
    in_new_pid_namespace([] {
        constexpr pid_t kPid = 300;
        Identity first;
        {
            const ForkedAs process{kPid};
            first = process.identity();
            EXPECT_EQ(life(first), Life::alive);
        }
        EXPECT_EQ(life(first), Life::dead);
        for (bool same_tick = true; same_tick;) {  // start ticks tell apart what is 10 ms apart
            const ForkedAs process{kPid};
            EXPECT_EQ(process.identity().pid, first.pid);
            same_tick = process.identity().start_ticks == first.start_ticks;
            EXPECT_EQ(life(process.identity()), Life::alive);
            if (by_handles() || !same_tick) {
                EXPECT_EQ(life(first), Life::dead);
            }
        }
    });
}

TEST_P(Probe, AncestorNamespaceIsUnknownFromInside) {
    const Identity outside = self().value();
    Peer dead_outside;
    dead_outside.child().kill_and_wait();
    in_new_pid_namespace([&] {
        EXPECT_NE(self()->pid_namespace, outside.pid_namespace);
        EXPECT_FALSE(comparable(self().value(), outside));
        EXPECT_EQ(life(outside), Life::unknown);
        EXPECT_EQ(life(dead_outside.identity()), Life::unknown);
    });
}

TEST_P(Probe, ProcessInADescendantNamespaceIsNeverDeadWhileItLives) {
    Post post;
    kit::Child child{[&] {
        kit::enter_namespaces(CLONE_NEWPID | CLONE_NEWNS);
        kit::Init init{[&] {
            kit::mount_proc();
            post.write();
            pause_forever();
        }};
        pause_forever();
    }};
    const Identity inside = post.read();
    EXPECT_EQ(inside.pid, 1U);
    // A handle reaches down into it; pids do not.
    EXPECT_EQ(life(inside), by_handles() ? Life::alive : Life::unknown);
    child.kill_and_wait();
    EXPECT_TRUE(kit::wait_until([&] { return life(inside) != Life::alive; }));
}

TEST_P(Probe, ProcessInASiblingNamespaceIsUnknown) {
    Post post;
    const kit::Child child{[&] {
        kit::enter_namespaces(CLONE_NEWPID | CLONE_NEWNS);
        kit::Init init{[&] {
            kit::mount_proc();
            post.write();
            pause_forever();
        }};
        pause_forever();
    }};
    const Identity sibling = post.read();
    in_new_pid_namespace([&] { EXPECT_EQ(life(sibling), Life::unknown); });
}

// unshare without a new mount: /proc still shows the outer namespace, where our pids are others.
TEST_P(Probe, ProcThatShowsAnotherNamespaceProvesNothing) {
    EXPECT_TRUE(kit::fork_and_run([] {
                    kit::enter_namespaces(CLONE_NEWPID);
                    kit::Init init{[] {
                        Peer peer;  // pid 2 or so here; /proc/2 is another process, or none
                        EXPECT_NE(life(peer.identity()), Life::dead);
                        EXPECT_NE(
                            probe_claim(peer.identity().pid, start_ticks_low(peer.identity())),
                            Life::dead);
                        peer.child().kill();
                        EXPECT_EQ(life(peer.identity()), Life::dead);
                        peer.child().wait();
                        EXPECT_EQ(life(peer.identity()), Life::dead);
                    }};
                    EXPECT_TRUE(init.wait());
                }).ok());
}

TEST_P(Probe, OtherTimeNamespaceShiftsStartTicksAndProvesNothing) {
    const Peer outside;
    Peer zombie;
    zombie.child().kill();
    EXPECT_TRUE(kit::fork_and_run([&] {
                    kit::enter_namespaces(CLONE_NEWTIME);
                    kit::write_text("/proc/self/timens_offsets", "boottime 1000 0");
                    EXPECT_TRUE(kit::fork_and_run([&] {
                                    EXPECT_FALSE(comparable(self().value(), outside.identity()));
                                    EXPECT_EQ(life(outside.identity()),
                                              by_handles() ? Life::alive : Life::unknown);
                                    EXPECT_EQ(life(zombie.identity()), Life::dead);
                                    const Peer inside;
                                    EXPECT_EQ(life(inside.identity()), Life::alive);
                                }).ok());
                }).ok());
}

TEST_P(Probe, WithoutProcTheLivingAreNotDead) {
    const Peer living;
    const Peer zombie;
    zombie.child().kill();
    EXPECT_TRUE(kit::fork_and_run([&] {
                    ASSERT_TRUE(self());
                    kit::enter_namespaces(CLONE_NEWNS);
                    kit::mount_tmpfs("/proc", 4096);
                    EXPECT_EQ(life(living.identity()), by_handles() ? Life::alive : Life::unknown);
                    EXPECT_EQ(life(zombie.identity()), Life::dead);
                    EXPECT_TRUE(kit::fork_and_run([&] {
                                    EXPECT_EQ(self().error().code, Errc::not_supported);
                                    EXPECT_EQ(life(living.identity()), Life::unknown);
                                }).ok());
                }).ok());
}

// Makes these system calls fail with EPERM in this process, as container runtimes do.
void forbid(std::initializer_list<unsigned> calls) {
    std::vector<sock_filter> program;
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    for (const unsigned call : calls) {
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                            .filter = program.data()};
    ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

class Refused : public testing::TestWithParam<bool> {};  // true: self() was known before
INSTANTIATE_TEST_SUITE_P(, Refused, testing::Bool());

void expect_all_lives_told(const std::function<void()>& restrict_me, bool know_before) {
    const Peer living;
    const Peer stopped;
    stopped.child().stop();
    const Peer leaderless{[] {
        std::thread{pause_forever}.detach();
        ::syscall(SYS_exit, 0);
    }};
    ASSERT_TRUE(kit::wait_until([&] { return state_of(leaderless.identity().pid) == 'Z'; }));
    const Peer zombie;
    zombie.child().kill();
    Peer reaped;
    reaped.child().kill_and_wait();
    Identity reused = living.identity();
    reused.pidfs_id = reaped.identity().pidfs_id;
    reused.start_ticks -= 1;
    EXPECT_TRUE(kit::fork_and_run([&] {
                    if (know_before) {
                        ASSERT_TRUE(self());
                    }
                    restrict_me();
                    EXPECT_EQ(probe(living.identity()), Life::alive);
                    EXPECT_EQ(probe(stopped.identity()), Life::alive);
                    EXPECT_EQ(probe(leaderless.identity()), Life::alive);
                    EXPECT_EQ(probe(zombie.identity()), Life::dead);
                    EXPECT_EQ(probe(reaped.identity()), Life::dead);
                    EXPECT_EQ(probe(reused), Life::dead);
                }).ok());
}

TEST_P(Refused, ProbeWorksWithoutHandles) {
    expect_all_lives_told([] { forbid({SYS_open_by_handle_at, SYS_name_to_handle_at}); },
                          GetParam());
}

TEST_P(Refused, ProbeWorksWithoutHandlesAndPidfds) {
    expect_all_lives_told(
        [] { forbid({SYS_open_by_handle_at, SYS_name_to_handle_at, SYS_pidfd_open}); }, GetParam());
}

}  // namespace
}  // namespace stoa::sys
