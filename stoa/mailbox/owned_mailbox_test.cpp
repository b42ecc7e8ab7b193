// Owner process: the mailbox ends with the handle or the process that created it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "stoa/base/atomic.hpp"
#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "stoa/sys/memfd.hpp"
#include "tests/kit/command.hpp"
#include "tests/kit/leaks.hpp"
#include "tests/kit/namespaces.hpp"
#include "tests/kit/owned_names.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

Bytes bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text});
}

Errc code_of(const auto& result) {
    return result ? Errc{} : result.error().code;
}

// What processes of a test tell each other.
struct Board {
    Atomic<pid_t> child{0};
    Atomic<std::uint32_t> code{0};
};

class OwnedMailbox : public testing::Test {
protected:
    static MailboxOptions options(Role role = Role::both) {
        return {.max_bytes = 64, .reserve_bytes = 4096, .owner = Owner::process, .role = role};
    }
    static Result<RawMailbox> open(Role role = Role::both) {
        return RawMailbox::open("m", {.role = role});
    }
    [[noreturn]] static void pause_forever() {
        for (;;) ::pause();
    }
    // A process that creates "m" and does what follows; returns when "m" is there.
    static kit::Child owner(const std::function<void(RawMailbox&)>& then,
                            const MailboxOptions& how = options(Role::none)) {
        kit::Child made{[how, then] {
            RawMailbox box = RawMailbox::create("m", how).value();
            then(box);
        }};
        EXPECT_TRUE(kit::wait_until([] {
            const Result<MailboxFacts> facts = look_at_mailbox("m");
            return facts && !facts->participants.empty();
        }));
        return made;
    }
    static kit::Child idle_owner(const MailboxOptions& how = options(Role::none)) {
        return owner([](RawMailbox&) { pause_forever(); }, how);
    }
    void expect_nothing_left(const std::set<std::string>& names) {
        EXPECT_EQ(kit::still_held(names), std::set<std::string>{});
        EXPECT_TRUE(mailbox_names()->empty());
        EXPECT_EQ(leaks_.leaks(), "");
    }

    kit::TempDomain domain_;
    kit::LeakCheck leaks_{&domain_};
    kit::TempRegion memory_{sizeof(Board)};
    Board& board_ = *new (memory_.bytes().data()) Board;
};

class OwnedOfAny : public OwnedMailbox,
                   public testing::WithParamInterface<std::pair<Sharing, bool>> {
protected:
    static MailboxOptions kind(Role role) {
        MailboxOptions how = options(role);
        std::tie(how.sharing, how.acknowledged) = GetParam();
        return how;
    }
};

TEST_P(OwnedOfAny, EveryCallAfterTheOwnersDeathSaysSo) {
    kit::Child creator = idle_owner(kind(Role::none));
    RawMailbox out = open(Role::sends).value();
    RawMailbox in = open(Role::receives).value();
    ASSERT_TRUE(out.send(bytes_of("before")));
    ASSERT_TRUE(out.send(bytes_of("lost")));
    RawMessage held = in.receive().value();
    (void)creator.kill_and_wait();
    EXPECT_EQ(code_of(out.try_send(bytes_of("x"))), Errc::owner_gone);
    EXPECT_EQ(code_of(out.send(bytes_of("x"))), Errc::owner_gone);
    EXPECT_EQ(code_of(out.loan(8)), Errc::owner_gone);
    EXPECT_EQ(code_of(out.clone()), Errc::owner_gone);
    EXPECT_EQ(code_of(in.try_receive()), Errc::owner_gone);
    EXPECT_EQ(code_of(in.receive()), Errc::owner_gone);
    EXPECT_EQ(held.text(), "before");  // its memory lives as long as it is held
    EXPECT_TRUE(held.ack());
    EXPECT_EQ(code_of(open()), Errc::not_found);
}

TEST_P(OwnedOfAny, WaitingCallsEndWithTheOwner) {
    for (const bool orderly : {false, true}) {
        kit::Child creator = owner(
            [&](RawMailbox& box) {
                if (!orderly) pause_forever();
                EXPECT_TRUE(kit::wait_until([&] { return board_.code.load(kSeqCst) != 0; }));
                RawMailbox ends = std::move(box);
            },
            kind(Role::none));
        RawMailbox in = open(Role::receives).value();
        kit::Child sleeper{[&] {
            RawMailbox mine = open(Role::sends).value();
            while (mine.send_for(bytes_of("fill"), std::chrono::milliseconds{50})) {
            }
            board_.code.store(1, kSeqCst);
            EXPECT_EQ(code_of(mine.send(bytes_of("x"))), Errc::owner_gone);
        }};
        ASSERT_TRUE(kit::wait_until([&] { return board_.code.load(kSeqCst) == 1; }));
        if (!orderly) creator.kill();
        EXPECT_TRUE(sleeper.wait().ok());
        while (in.try_receive()) {
        }
        EXPECT_EQ(code_of(in.receive()), Errc::owner_gone);
        (void)creator.wait();
        board_.code.store(0, kSeqCst);
    }
}

INSTANTIATE_TEST_SUITE_P(Kinds, OwnedOfAny,
                         testing::Values(std::pair{Sharing::any, false},
                                         std::pair{Sharing::any, true},
                                         std::pair{Sharing::single_receiver, false},
                                         std::pair{Sharing::single_receiver, true},
                                         std::pair{Sharing::pair, false},
                                         std::pair{Sharing::pair, true}));

TEST_F(OwnedMailbox, EndsWithTheHandleThatCreatedItAlthoughCloneAndMessageStay) {
    std::optional<RawMailbox> creator = RawMailbox::create("m", options()).value();
    RawMailbox twin = creator->clone().value();
    RawMailbox peer = open().value();
    ASSERT_TRUE(peer.send(bytes_of("kept")));
    RawMessage message = creator->receive().value();
    RawLoan loan = creator->loan(8).value();
    const std::set<std::string> names = kit::owned_names_of(::getpid());
    RawMailbox moved = std::move(*creator);
    creator.reset();
    EXPECT_TRUE(twin.send(bytes_of("x")));  // a handle that moved is the same one
    creator.emplace(std::move(moved));
    creator.reset();
    for (RawMailbox* other : {&twin, &peer}) {
        EXPECT_EQ(code_of(other->send(bytes_of("x"))), Errc::owner_gone);
        EXPECT_EQ(code_of(other->try_receive()), Errc::owner_gone);
    }
    EXPECT_EQ(code_of(loan.commit(8)), Errc::owner_gone);
    EXPECT_EQ(message.text(), "kept");
    EXPECT_EQ(code_of(open()), Errc::not_found);
    expect_nothing_left(names);
    EXPECT_TRUE(RawMailbox::create("m", options()));
}

TEST_F(OwnedMailbox, NothingIsLeftWhenEverybodyIsKilledAtOnce) {
    kit::Child creator = idle_owner();
    const std::set<std::string> names = kit::owned_names_of(creator.pid());
    EXPECT_EQ(names.size(), 2U);
    std::vector<kit::Child> users;
    for (int i = 0; i < 3; ++i) {
        users.emplace_back([] {
            RawMailbox box = open().value();
            for (;;) {
                (void)box.try_send(bytes_of("x"));
                const Result<RawMessage> message = box.try_receive();
            }
        });
    }
    ASSERT_TRUE(kit::wait_until([] { return look_at_mailbox("m")->participants.size() == 4; }));
    for (kit::Child& user : users) user.kill();
    creator.kill();
    for (kit::Child& user : users) (void)user.wait();
    (void)creator.wait();
    expect_nothing_left(names);
}

TEST_F(OwnedMailbox, WorksWhileItsOwnerIsStopped) {
    kit::Child creator = idle_owner();
    creator.stop();
    RawMailbox box = open().value();
    ASSERT_TRUE(box.send(bytes_of("x")));
    EXPECT_TRUE(box.receive());
    EXPECT_EQ(code_of(box.receive_for(std::chrono::milliseconds{250})), Errc::timed_out);
    EXPECT_EQ(code_of(RawMailbox::create("m", options())), Errc::exists);
    EXPECT_EQ(look_at_mailbox("m")->owner, Owner::process);
    EXPECT_EQ(look_at_mailbox("m")->creator.pid, static_cast<std::uint32_t>(creator.pid()));
}

// A child of the owner, forked while it had the mailbox, outlives it.
class OwnersChild : public OwnedMailbox, public testing::WithParamInterface<bool> {
protected:
    OwnersChild() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
    ~OwnersChild() override {
        if (const pid_t child = board_.child.load(kSeqCst); child > 0) {
            ::kill(child, SIGKILL);
            ::waitpid(child, nullptr, 0);
        }
        ::prctl(PR_SET_CHILD_SUBREAPER, 0);
    }
};

TEST_P(OwnersChild, KeepsNeitherTheNameNorTheMailboxAlive) {
    kit::Child creator = owner([&](RawMailbox& box) {
        if (::fork() == 0) {  // what it inherited is closed when fork returns, so it tells itself
            board_.child.store(::getpid(), kSeqCst);
            if (GetParam()) ::execl("/bin/sleep", "sleep", "100", nullptr);
            if (code_of(box.try_send(bytes_of("x"))) != Errc::forked) ::_exit(1);
            pause_forever();
        }
        pause_forever();
    });
    ASSERT_TRUE(kit::wait_until([&] { return board_.child.load(kSeqCst) != 0; }));
    RawMailbox box = open().value();
    ASSERT_TRUE(box.send(bytes_of("x")));
    (void)creator.kill_and_wait();
    EXPECT_EQ(::kill(board_.child.load(kSeqCst), 0), 0);  // it lives
    EXPECT_EQ(code_of(box.try_receive()), Errc::owner_gone);
    EXPECT_EQ(code_of(open()), Errc::not_found);
    EXPECT_TRUE(mailbox_names()->empty());
    EXPECT_TRUE(RawMailbox::create("m", options()));
}

INSTANTIATE_TEST_SUITE_P(Runs, OwnersChild, testing::Values(false, true), [](const auto& which) {
    return which.param ? "AfterExec" : "OnlyForked";
});

TEST_F(OwnedMailbox, AForkedChildThatDropsItsCopyEndsNothing) {
    RawMailbox box = RawMailbox::create("m", options()).value();
    EXPECT_TRUE(kit::fork_and_run([&] {
                    {
                        const RawMailbox inherited = std::move(box);
                    }
                    EXPECT_TRUE(open()->send(bytes_of("x")));  // its own
                }).ok());
    EXPECT_TRUE(box.receive());
}

TEST_F(OwnedMailbox, AnOwnerThatExecsGivesTheNameUp) {
    kit::Child creator = owner([&](RawMailbox&) {
        (void)kit::wait_until([&] { return board_.code.load(kSeqCst) != 0; });
        ::execl("/bin/sleep", "sleep", "100", nullptr);
    });
    RawMailbox box = open().value();
    board_.code.store(1, kSeqCst);
    EXPECT_TRUE(kit::wait_until([] { return RawMailbox::create("m", options()).has_value(); }));
    EXPECT_TRUE(box.send(bytes_of("x")));  // the process lives, and only its death is proof
    (void)creator.kill_and_wait();
    EXPECT_EQ(code_of(box.send(bytes_of("x"))), Errc::owner_gone);
}

TEST_F(OwnedMailbox, DestroyedByOthersItIsGoneAndTheNameIsFreeWhenItsOwnerLetsGo) {
    std::optional<RawMailbox> box = RawMailbox::create("m", options()).value();
    EXPECT_TRUE(kit::fork_and_run([] { EXPECT_TRUE(RawMailbox::destroy("m")); }).ok());
    EXPECT_EQ(code_of(box->try_receive()), Errc::gone);
    EXPECT_EQ(code_of(open()), Errc::not_found);
    EXPECT_EQ(code_of(RawMailbox::destroy("m")), Errc::not_found);
    EXPECT_TRUE(mailbox_names()->empty());
    EXPECT_TRUE(collect_garbage(false)->empty());
    EXPECT_EQ(code_of(RawMailbox::create("m")), Errc::exists);
    box.reset();
    EXPECT_TRUE(RawMailbox::create("m", options()));
}

TEST_F(OwnedMailbox, MakesNoThread) {
    const auto threads = [] {
        const std::filesystem::directory_iterator tasks{"/proc/self/task"};
        return std::distance(begin(tasks), end(tasks));
    };
    const auto before = threads();
    RawMailbox box = RawMailbox::create("m", options()).value();
    EXPECT_EQ(threads(), before);
}

TEST_F(OwnedMailbox, GarbageOfTheDeadIsSweptAndTheMailboxIsLeftAlone) {
    RawMailbox box = RawMailbox::create("m", options()).value();
    ASSERT_TRUE(box.send(bytes_of("x")));
    (void)kit::fork_and_run([] {
        const RawMailbox mine = open().value();
        ::raise(SIGKILL);
    });
    const std::vector<Collected> swept = collect_garbage(false).value();
    ASSERT_EQ(swept.size(), 1U);
    EXPECT_EQ(swept[0].what, Collected::What::swept);
    EXPECT_TRUE(collect_garbage(false)->empty());
    EXPECT_TRUE(box.try_receive());
}

TEST_F(OwnedMailbox, NeedsANameAndAPlaceForIt) {
    EXPECT_EQ(code_of(RawMailbox::create_anonymous(options())), Errc::bad_argument);
    const std::string longest(200, 'n');
    const RawMailbox box = RawMailbox::create(longest, options()).value();
    EXPECT_TRUE(RawMailbox::open(longest));
    EXPECT_EQ(*mailbox_names(), std::vector{longest});
}

TEST_F(OwnedMailbox, IsOneNameWithThoseOfTheSystem) {
    {
        const RawMailbox mine = RawMailbox::create("m", options()).value();
        EXPECT_EQ(code_of(RawMailbox::create("m")), Errc::exists);
        const RawMailbox same = RawMailbox::open_or_create("m").value();
        EXPECT_EQ(look_at_mailbox("m")->participants.size(), 2U);
    }
    const RawMailbox stays = RawMailbox::create("m").value();
    EXPECT_EQ(code_of(RawMailbox::create("m", options())), Errc::exists);
    EXPECT_TRUE(RawMailbox::open_or_create("m", options()));
    EXPECT_TRUE(RawMailbox::destroy("m"));
}

// --- where it cannot work ------------------------------------------------------------------------

void expect_not_supported(const Result<RawMailbox>& opened, std::string_view reason) {
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::not_supported) << describe(opened.error());
    EXPECT_NE(std::string_view{opened.error().step}.find(reason), std::string_view::npos)
        << opened.error().step;
}

TEST_F(OwnedMailbox, AnotherPidNamespaceIsNotSupportedAndSaysWhy) {
    kit::Child creator = idle_owner();
    const sys::Fd memory = sys::duplicate(open()->file()).value();
    EXPECT_TRUE(kit::fork_and_run([&] {
                    kit::enter_namespaces(CLONE_NEWPID | CLONE_NEWNS);
                    kit::Init init{[&] {
                        kit::mount_proc();
                        expect_not_supported(open(), "pid namespace");
                        expect_not_supported(RawMailbox::attach(sys::duplicate(memory).value()),
                                             "pid namespace");
                        EXPECT_EQ(code_of(RawMailbox::create("m")), Errc::exists);
                    }};
                    EXPECT_TRUE(init.wait());
                }).ok());
}

TEST_F(OwnedMailbox, AnotherUserNamespaceIsNotSupportedAndSaysWhy) {
    kit::Child creator = idle_owner();
    const std::string user = std::to_string(::geteuid());
    // Not unshare(2): that wants a process of one thread, which a sanitizer may not leave us.
    const auto child = static_cast<pid_t>(
        ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
    ASSERT_GE(child, 0) << "needs root or unprivileged user namespaces";
    if (child == 0) {
        kit::write_text("/proc/self/uid_map", user + " " + user + " 1");
        expect_not_supported(open(), "user namespace");
        ::_exit(HasFailure() ? 1 : 0);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST_F(OwnedMailbox, AnOwnerThatMayNotBeLookedIntoIsNotSupportedAndSaysWhy) {
    if (::geteuid() == 0) {  // root may look into everything
        ASSERT_EQ(::chown(domain_.path().c_str(), kit::kNobody, kit::kNobody), 0);
    }
    EXPECT_TRUE(kit::fork_and_run([] {
                    kit::become_nobody();
                    ::prctl(PR_SET_DUMPABLE, 1);  // who changes its user is not
                    const kit::Child creator = idle_owner();
                    EXPECT_TRUE(open());
                    const kit::Child hidden{[] {
                        const RawMailbox box = RawMailbox::create("hidden", options()).value();
                        ::prctl(PR_SET_DUMPABLE, 0);
                        pause_forever();
                    }};
                    const auto look = [] { return RawMailbox::open("hidden"); };
                    EXPECT_TRUE(
                        kit::wait_until([&] { return code_of(look()) == Errc::not_supported; }));
                    expect_not_supported(look(), "dumpable");
                    EXPECT_EQ(*mailbox_names(), std::vector<std::string>{"m"});
                }).ok());
}

}  // namespace
}  // namespace stoa
