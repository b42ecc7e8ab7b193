// Domains of a group. As root, the members are two users and a third one is none; otherwise the
// members are both whoever runs the test, and only what needs no second user is proven.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "stoa/base/atomic.hpp"
#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "stoa/wait/wait_set.hpp"
#include "tests/kit/leaks.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

constexpr uid_t kFirst = 64001;
constexpr uid_t kSecond = 64002;
constexpr uid_t kStranger = 64003;
constexpr gid_t kGroup = 64010;

Bytes bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text});
}

Errc code_of(const auto& result) {
    return result ? Errc{} : result.error().code;
}

void expect_text(const auto& result, Errc code, std::initializer_list<std::string> parts) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code) << describe(result.error());
    for (const std::string& part : parts) {
        EXPECT_NE(std::string{result.error().step}.find(part), std::string::npos)
            << part << " in: " << result.error().step;
    }
}

class SharedDomain : public testing::Test {
protected:
    // As the test began: its children become others.
    static bool is_root() {
        static const bool root = ::geteuid() == 0;
        return root;
    }
    static gid_t group() { return is_root() ? kGroup : ::getegid(); }

    // From now on this child is that user, and a member of the group unless he is the stranger.
    static void become(uid_t user) {
        if (!is_root()) return;
        const gid_t shared = kGroup;
        const bool member = user != kStranger;
        ASSERT_EQ(::setgroups(member ? 1 : 0, member ? &shared : nullptr), 0);
        ASSERT_EQ(::setresgid(user, user, user), 0);
        ASSERT_EQ(::setresuid(user, user, user), 0);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a change of the user has cleared it
    }
    static bool done_as(uid_t user, const std::function<void()>& body) {
        return kit::fork_and_run([&] {
                   become(user);
                   body();
               })
            .ok();
    }
    // The folder of the test belongs to nobody yet; the first member makes the domain in it.
    void SetUp() override {
        (void)is_root();
        ASSERT_EQ(::chmod(base_.path().c_str(), 0777), 0);
        ::setenv("STOA_DOMAIN", path_.c_str(), 1);
        ASSERT_TRUE(done_as(kFirst, [&] {
            ::umask(0077);
            EXPECT_TRUE(Domain::create(path_, group())->shared());
        }));
    }
    static MailboxOptions small() { return {.max_bytes = 64, .reserve_bytes = 4096}; }
    static struct ::stat facts_of(const std::string& path) {
        struct ::stat facts{};
        EXPECT_EQ(::stat(path.c_str(), &facts), 0) << path;
        return facts;
    }

    kit::TempDomain base_;
    std::string path_ = base_.path() + "/group";
    kit::LeakCheck leaks_;
};

TEST_F(SharedDomain, IsSetgidAndWhatIsMadeInItIsTheGroupsWhateverTheUmask) {
    const struct ::stat folder = facts_of(path_);
    EXPECT_EQ(folder.st_mode & 07777U, 02770U);
    EXPECT_EQ(folder.st_gid, group());
    EXPECT_TRUE(done_as(kSecond, [&] {
        ::umask(0777);
        EXPECT_TRUE(RawMailbox::create("m", small()));
    }));
    const struct ::stat file = facts_of(path_ + "/m.mailbox");
    EXPECT_EQ(file.st_mode & 07777U, 0660U);
    EXPECT_EQ(file.st_gid, group());
    EXPECT_EQ(file.st_uid, is_root() ? kSecond : ::geteuid());
    EXPECT_TRUE(done_as(kFirst, [&] {
        EXPECT_EQ(code_of(Domain::create(path_, group())), Errc::exists);
        EXPECT_EQ(code_of(Domain::create(path_)), Errc::exists);
    }));
}

TEST_F(SharedDomain, MembersSendReceiveSweepAndDestroyEachOthersMailboxes) {
    ASSERT_TRUE(done_as(kFirst, [] {
        RawMailbox box = RawMailbox::create("m", small()).value();
        ASSERT_TRUE(box.send(bytes_of("from the first")));
    }));
    ASSERT_TRUE(done_as(kSecond, [] {
        RawMailbox box = RawMailbox::open("m").value();
        EXPECT_EQ(box.receive()->text(), "from the first");
        EXPECT_EQ(*mailbox_names(), std::vector<std::string>{"m"});
        EXPECT_TRUE(collect_garbage(false));
        EXPECT_TRUE(RawMailbox::destroy("m"));
        EXPECT_TRUE(RawMailbox::create("m", small()));
    }));
}

// Who may not open the set's board rings nobody: the tick finds it. Its death needs no right.
TEST_F(SharedDomain, AMemberInAWaitSetFindsWhatAnotherOneSendsAndIsToldOfItsDeath) {
    kit::TempRegion memory{sizeof(Atomic<int>)};
    auto& step = *new (memory.bytes().data()) Atomic<int>{0};
    MailboxOptions how = small();
    how.acknowledged = true;
    ASSERT_TRUE(done_as(kFirst, [&] { ASSERT_TRUE(RawMailbox::create("m", how)); }));
    kit::Child waiter{[&] {
        become(kFirst);
        RawMailbox box = RawMailbox::open("m").value();
        WaitSet set = WaitSet::create().value();
        ASSERT_TRUE(set.add(box.readable()));
        EXPECT_EQ(code_of(set.try_wait()), Errc::empty);
        step.store(1, kSeqCst);
        ASSERT_TRUE(set.wait());
        RawMessage first = box.try_receive().value();
        EXPECT_EQ(first.text(), "sent");
        ASSERT_TRUE(first.ack());
        step.store(2, kSeqCst);
        ASSERT_TRUE(kit::wait_until([&] { return step.load(kSeqCst) == 3; }));
        g_wait_slice = std::chrono::hours{24};
        for (;;) {  // a tick that was due before, and what it met
            const Result<std::span<const Ready>> woken = set.wait_for(std::chrono::seconds{20});
            ASSERT_TRUE(woken) << describe(woken.error());
            const auto message = box.try_receive();
            if (!message) continue;
            EXPECT_TRUE(message->redelivered());
            EXPECT_EQ(message->text(), "leased");
            break;
        }
    }};
    ASSERT_TRUE(kit::wait_until([&] { return step.load(kSeqCst) == 1; }));
    kit::Child other{[&] {
        become(kSecond);
        RawMailbox box = RawMailbox::open("m").value();
        ASSERT_TRUE(box.send(bytes_of("sent")));
        ASSERT_TRUE(kit::wait_until([&] { return step.load(kSeqCst) == 2; }));
        ASSERT_TRUE(box.send(bytes_of("leased")));
        const RawMessage held = box.receive().value();
        step.store(3, kSeqCst);
        for (;;) ::pause();
    }};
    ASSERT_TRUE(kit::wait_until([&] { return step.load(kSeqCst) == 3; }));
    other.kill();
    EXPECT_TRUE(waiter.wait().ok());
    (void)other.wait();
}

// Both proofs of death, across users.
class DeathsOfOthers : public SharedDomain, public testing::WithParamInterface<bool> {};

TEST_P(DeathsOfOthers, AreProvenAndWhatTheyHeldComesBack) {
    if (GetParam()) ::setenv("STOA_NO_PIDFS_HANDLES", "1", 1);
    kit::TempRegion memory{sizeof(Atomic<int>)};
    auto& step = *new (memory.bytes().data()) Atomic<int>{0};
    MailboxOptions how = small();
    how.acknowledged = true;
    ASSERT_TRUE(done_as(kFirst, [&] {
        RawMailbox box = RawMailbox::create("m", how).value();
        ASSERT_TRUE(box.send(bytes_of("leased")));
    }));
    kit::Child holder{[&] {
        become(kSecond);
        RawMailbox box = RawMailbox::open("m").value();
        const RawMessage held = box.receive().value();
        step.store(1, kSeqCst);
        for (;;) ::pause();
    }};
    ASSERT_TRUE(kit::wait_until([&] { return step.load(kSeqCst) == 1; }));
    kit::Child waiter{[&] {
        become(kFirst);
        RawMailbox box = RawMailbox::open("m").value();
        EXPECT_EQ(look_at_mailbox("m")->count(sys::Life::alive), 2U);
        EXPECT_EQ(code_of(box.receive_for(std::chrono::milliseconds{150})), Errc::timed_out);
        step.store(2, kSeqCst);
        const RawMessage message = box.receive().value();
        EXPECT_TRUE(message.redelivered());
        EXPECT_EQ(message.text(), "leased");
    }};
    ASSERT_TRUE(kit::wait_until([&] { return step.load(kSeqCst) == 2; }));
    holder.kill();
    EXPECT_TRUE(waiter.wait().ok());
    (void)holder.wait();
    ::unsetenv("STOA_NO_PIDFS_HANDLES");
}

INSTANTIATE_TEST_SUITE_P(Proofs, DeathsOfOthers, testing::Values(false, true),
                         [](const auto& which) { return which.param ? "StartTicks" : "Default"; });

TEST_F(SharedDomain, AStrangerIsToldWhichRightHeLacksAndWhoHasIt) {
    if (!is_root()) return;  // nobody else is there
    ASSERT_TRUE(done_as(kFirst, [] { EXPECT_TRUE(RawMailbox::create("m", small())); }));
    ASSERT_TRUE(done_as(kStranger, [&] {
        expect_text(RawMailbox::open("m"), Errc::denied,
                    {"the right to enter it is missing", "user 64001 and group 64010 have it",
                     "mode 2770", "you are 64003"});
        expect_text(Domain::create(base_.path() + "/mine", kGroup), Errc::denied,
                    {"the right to give it to that group", "members have it"});
        EXPECT_EQ(::access((base_.path() + "/mine").c_str(), F_OK), -1);
    }));
    // Root may enter any folder, and is no member.
    expect_text(Domain::find(path_), Errc::unsafe_folder,
                {"no member of the group", "group 64010", "you are root"});
    ASSERT_EQ(::chmod((path_ + "/m.mailbox").c_str(), 0600), 0);
    ASSERT_TRUE(done_as(kSecond, [] {
        expect_text(RawMailbox::open("m"), Errc::denied,
                    {"the right to read and write it is missing", "user 64001 has it", "mode 0600",
                     "you are 64002"});
    }));
}

TEST_F(SharedDomain, AFileThatIsNotTheGroupsIsRefused) {
    if (!is_root()) return;
    ASSERT_TRUE(done_as(kFirst, [] { EXPECT_TRUE(RawMailbox::create("m", small())); }));
    const std::string file = path_ + "/m.mailbox";
    const auto is_refused = [] {
        expect_text(RawMailbox::open("m"), Errc::denied,
                    {"not for the group of the folder alone", "user 64001"});
    };
    ASSERT_EQ(::chmod(file.c_str(), 0666), 0);
    EXPECT_TRUE(done_as(kSecond, is_refused));
    ASSERT_EQ(::chmod(file.c_str(), 0660), 0);
    EXPECT_TRUE(done_as(kSecond, [] { EXPECT_TRUE(RawMailbox::open("m")); }));
    ASSERT_EQ(::chown(file.c_str(), kFirst, kSecond), 0);
    EXPECT_TRUE(done_as(kSecond, is_refused));
}

TEST_F(SharedDomain, AnyOtherOpenFolderIsRefused) {
    ASSERT_TRUE(done_as(kFirst, [&] {
        for (const mode_t mode : {0770U, 02775U, 02750U, 03770U, 0755U, 02771U}) {
            ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
            expect_text(Domain::find(path_), Errc::unsafe_folder, {"others may enter it"});
        }
        ASSERT_EQ(::chmod(path_.c_str(), 0700), 0);
        EXPECT_FALSE(Domain::find(path_)->shared());
    }));
}

TEST_F(SharedDomain, HasNoMailboxesThatAProcessOwns) {
    ASSERT_TRUE(done_as(kFirst, [] {
        MailboxOptions how = small();
        how.owner = Owner::process;
        expect_text(RawMailbox::create("m", how), Errc::not_supported,
                    {"its own user alone", "shared by a group"});
    }));
}

}  // namespace
}  // namespace stoa
