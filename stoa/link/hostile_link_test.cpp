// Who does not keep to the rules: strangers at the socket, damaged files, full tables, kills at
// each named point, and peers that stand still.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "stoa/link/process.hpp"
#include "stoa/sys/memfd.hpp"
#include "stoa/sys/unix_socket.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr TalkOptions kWait{.wait_for_join = true};

class HostileLinks : public testing::Test {
protected:
    static std::string socket_of(const Process& process) {
        std::array<char, 64> text{};
        (void)std::snprintf(
            text.data(), text.size(), "stoa-process:%016llx",
            static_cast<unsigned long long>(Process::find(process.name())->join_id));
        return text.data();
    }
    kit::TempDomain domain_;
    Process me_ = Process::join("me").value();
};

TEST_F(HostileLinks, GarbageAndStrangersAtTheSocketAreNotBelieved) {
    const std::string where = socket_of(me_);
    const std::uint64_t my_id = Process::find("me")->join_id;
    Process peer = Process::join("peer").value();
    const std::uint64_t peer_id = Process::find("peer")->join_id;
    // Another process says hello in the peer's name, with a descriptor; others say nonsense.
    const kit::Ending stranger = kit::fork_and_run([&] {
        std::vector<sys::Fd> open;
        const LinkHello lie{.magic = kLinkHelloMagic, .from = peer_id, .to = my_id};
        const sys::Fd file = sys::make_memory("stranger").value();
        const std::array<int, 1> fds{file.get()};
        for (int i = 0; i < 80; ++i) {
            open.push_back(sys::connect_to(where).value());
            const LinkDescriptors batch{.batch = 1};
            switch (i % 4) {
                case 0:
                    EXPECT_TRUE(sys::send_packet(open.back(), std::as_bytes(std::span{&lie, 1})));
                    EXPECT_TRUE(
                        sys::send_packet(open.back(), std::as_bytes(std::span{&batch, 1}), fds));
                    break;
                case 1:
                    EXPECT_TRUE(sys::send_packet(
                        open.back(), std::as_bytes(std::span{"garbage that is long"}), fds));
                    break;
                case 2: break;
                default: open.pop_back();
            }
        }
        // They stay until they are accepted: the listener keeps what was sent.
        _exit(0);
    });
    ASSERT_TRUE(stranger.ok());
    const sys::Fd mine = sys::make_memory("mine").value();
    ASSERT_EQ(write(mine.get(), "mine", 4), 4);
    const std::array<int, 1> fds{mine.get()};
    ASSERT_TRUE(peer.send("me", 1, {.fds = fds}));
    auto message = me_.receive<int>("peer");
    ASSERT_TRUE(message) << describe(message.error());
    char text[4]{};
    EXPECT_EQ(pread(message->fds().at(0).get(), text, 4, 0), 4);
    EXPECT_EQ(std::string(text, 4), "mine");
    EXPECT_EQ(message->credentials()->pid, static_cast<std::uint32_t>(getpid()));
}

TEST_F(HostileLinks, AStrangerWhoLivesAndNamesAnotherOneIsNotBelieved) {
    const std::string where = socket_of(me_);
    const std::uint64_t my_id = Process::find("me")->join_id;
    Process peer = Process::join("peer").value();
    const std::uint64_t peer_id = Process::find("peer")->join_id;
    std::array<int, 2> ends{};
    ASSERT_EQ(pipe(ends.data()), 0);
    const sys::Fd said{ends[0]};
    const sys::Fd says{ends[1]};
    kit::Child stranger{[&] {
        const sys::Fd socket = sys::connect_to(where).value();
        const LinkHello lie{.magic = kLinkHelloMagic, .from = peer_id, .to = my_id};
        const LinkDescriptors batch{.batch = 1};
        const sys::Fd file = sys::make_memory("stranger").value();
        const std::array<int, 1> fds{file.get()};
        EXPECT_TRUE(sys::send_packet(socket, std::as_bytes(std::span{&lie, 1})));
        EXPECT_TRUE(sys::send_packet(socket, std::as_bytes(std::span{&batch, 1}), fds));
        EXPECT_EQ(write(says.get(), "x", 1), 1);
        for (;;) pause();
    }};
    char word = 0;
    ASSERT_EQ(read(said.get(), &word, 1), 1);
    const sys::Fd mine = sys::make_memory("mine").value();
    ASSERT_EQ(write(mine.get(), "mine", 4), 4);
    const std::array<int, 1> fds{mine.get()};
    ASSERT_TRUE(peer.send("me", 1, {.fds = fds}));
    auto message = me_.receive<int>("peer");
    ASSERT_TRUE(message) << describe(message.error());
    char text[4]{};
    EXPECT_EQ(pread(message->fds().at(0).get(), text, 4, 0), 4);
    EXPECT_EQ(std::string(text, 4), "mine");
    EXPECT_EQ(message->credentials()->pid, static_cast<std::uint32_t>(getpid()));
    stranger.kill_and_wait();
}

// One process says hello in the names of many.
TEST_F(HostileLinks, AFloodOfHellosDoesNotPushOutALivePeer) {
    const std::string where = socket_of(me_);
    const std::uint64_t my_id = Process::find("me")->join_id;
    Process peer = Process::join("peer").value();
    const std::array<int, 1> fds{STDIN_FILENO};
    ASSERT_TRUE(peer.send("me", 1, {.fds = fds}));
    std::array<int, 2> ends{};
    ASSERT_EQ(pipe(ends.data()), 0);
    const sys::Fd said{ends[0]};
    const sys::Fd says{ends[1]};
    kit::Child stranger{[&] {
        std::vector<sys::Fd> open;
        for (std::uint64_t i = 1; i <= 300; ++i) {
            open.push_back(sys::connect_to(where).value());
            const LinkHello hello{.magic = kLinkHelloMagic, .from = i, .to = my_id};
            EXPECT_TRUE(sys::send_packet(open.back(), std::as_bytes(std::span{&hello, 1})));
        }
        EXPECT_EQ(write(says.get(), "x", 1), 1);
        for (;;) pause();
    }};
    char word = 0;
    ASSERT_EQ(read(said.get(), &word, 1), 1);
    // Somebody who is not there is looked for: all that wait are accepted.
    sys::Credentials told;
    EXPECT_FALSE(me_.core().take_connection(1U << 20U, 1, told).valid());
    const auto message = me_.receive<int>("peer");
    ASSERT_TRUE(message) << describe(message.error());
    stranger.kill_and_wait();
}

TEST_F(HostileLinks, AfterTheSocketWasFullOfDeadOnesDescriptorsTravelAgain) {
    const std::string where = socket_of(me_);
    Process peer = Process::join("peer").value();
    constexpr int kMore = 1 << 14;  // than may wait there
    int count = 0;
    while (count < kMore && sys::connect_to(where)) ++count;
    ASSERT_LT(count, kMore);
    ASSERT_TRUE(peer.send("me", 1));
    ASSERT_TRUE(me_.receive<int>("peer"));  // the knock is heard, and the socket is emptied
    const std::array<int, 1> fds{STDIN_FILENO};
    const Result<void> sent = peer.send("me", 2, {.fds = fds});
    ASSERT_TRUE(sent) << describe(sent.error());
    EXPECT_EQ(me_.receive<int>("peer")->fds().size(), 1U);
}

TEST_F(HostileLinks, StrangersWhoSayNothingDoNotPushOutOneWhoSaidHello) {
    Process peer = Process::join("peer").value();
    const std::array<int, 1> fds{STDIN_FILENO};
    ASSERT_TRUE(peer.send("me", 1, {.fds = fds}));
    std::vector<sys::Fd> strangers;
    for (int i = 0; i < 100; ++i) strangers.push_back(sys::connect_to(socket_of(me_)).value());
    const auto message = me_.receive<int>("peer");
    ASSERT_TRUE(message) << describe(message.error());
}

TEST_F(HostileLinks, AFullTableOfKnocksIsAnErrorAndHearsNobodyTwice) {
    NameRegion region = NameRegion::open(Domain::find().value(), "me").value();
    for (std::uint64_t id = 1; id <= kKnockCount; ++id) ASSERT_TRUE(region.knock(id)) << id;
    Process peer = Process::join("peer").value();
    EXPECT_EQ(peer.send("me", 1).error().code, Errc::no_free_place);
    // Knocks without links are forgotten.
    EXPECT_EQ(me_.try_receive<int>().error().code, Errc::empty);
    EXPECT_TRUE(peer.send("me", 2));
    EXPECT_EQ(me_.receive<int>()->value(), 2);
}

TEST_F(HostileLinks, DamagedFilesAreCleanErrors) {
    kit::Child peer{[] {
        Process mine = Process::join("peer").value();
        EXPECT_TRUE(mine.send("me", 1));
        kill(getpid(), SIGKILL);
    }};
    peer.wait();
    const std::vector<std::string> entries = domain_.entries();
    for (const std::string& file : entries) {
        if (!file.ends_with(".link")) continue;
        const sys::Fd fd{open((domain_.path() + "/" + file).c_str(), O_RDWR | O_CLOEXEC)};
        ASSERT_EQ(ftruncate(fd.get(), 8192), 0);
        std::array<char, 8192> noise;
        noise.fill(0x5a);
        ASSERT_EQ(pwrite(fd.get(), noise.data(), noise.size(), 0), 8192);
    }
    EXPECT_EQ(me_.try_receive<int>().error().code, Errc::empty);
    const sys::Fd name{creat((domain_.path() + "/noise.process").c_str(), 0600)};
    ASSERT_EQ(ftruncate(name.get(), 8192), 0);
    EXPECT_EQ(me_.send("noise", 1).error().code, Errc::bad_layout);
    EXPECT_EQ(Process::find("noise").error().code, Errc::bad_layout);
    EXPECT_EQ(Process::join("noise").error().code, Errc::bad_layout);
    EXPECT_TRUE(Process::list());
}

TEST_F(HostileLinks, AHeaderThatIsNoneIsCorrupt) {
    Process peer = Process::join("peer").value();
    Link link = peer.link("me").value();
    RawMailbox& box = *peer.core().known("me")->box();
    ASSERT_TRUE(box.send("short"));
    EXPECT_EQ(me_.receive<int>("peer").error().code, Errc::corrupt);
    LinkHeader header{
        .type = 0, .call = 0, .batch = 0, .fd_count = 0, .kind = static_cast<LinkKind>(77)};
    ASSERT_TRUE(box.send(std::as_bytes(std::span{&header, 1})));
    EXPECT_EQ(me_.receive<int>("peer").error().code, Errc::corrupt);
    // Descriptors that never came.
    header = {.type = 0, .call = 0, .batch = 9, .fd_count = 2, .kind = LinkKind::message};
    ASSERT_TRUE(box.send(std::as_bytes(std::span{&header, 1})));
    EXPECT_EQ(me_.receive<Bytes>("peer").error().code, Errc::corrupt);
    ASSERT_TRUE(link.send(5));
    EXPECT_EQ(me_.receive<int>("peer")->value(), 5);
}

TEST_F(HostileLinks, AStoppedPeerHoldsUpNobodyElse) {
    kit::Child stopped{[] {
        Process mine = Process::join("stopped").value();
        EXPECT_TRUE(mine.send("me", 1));
        static_cast<void>(mine.receive<int>("me"));
        for (;;) pause();
    }};
    ASSERT_EQ(me_.receive<int>("stopped", kWait)->value(), 1);
    stopped.stop();
    Process other = Process::join("other").value();
    const Link link = me_.link("stopped").value();
    for (int i = 0; i < 2000; ++i) {
        if (!me_.try_send("stopped", i)) break;
    }
    EXPECT_EQ(me_.try_send("stopped", 1).error().code, Errc::full);
    EXPECT_EQ(me_.send_for("stopped", 1, 10ms).error().code, Errc::timed_out);
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(other.send("me", i));
        ASSERT_EQ(me_.receive<int>()->value(), i);
        ASSERT_TRUE(me_.send("other", i));
        ASSERT_EQ(other.receive<int>("me")->value(), i);
    }
    EXPECT_EQ(Process::join("stopped").error().code, Errc::in_use);
    EXPECT_EQ(me_.receive_for<int>("stopped", 10ms).error().code, Errc::timed_out);
    stopped.kill_and_wait();
}

// A peer that dies at each point of making a link, of sending and of leaving: the name is free at
// once, and nothing hangs.
TEST_F(HostileLinks, APeerKilledAtAnyNamedPointLeavesNothingBehind) {
    constexpr std::array kPoints{
        "link.enter.joined",    "link.take.before",       "link.take.taken",
        "link.join.listening",  "link.show.written",      "link.connect.greeted",
        "link.connect.made",    "link.knock.placed",      "link.knock.counted",
        "link.connect.knocked", "link.give_back.done",    "link.hang_up.said",
        "link.hang_up.closed",  "link.leave.hung_up",     "link.remove.decided",
        "region.create.filled", "region.create.published"};
    for (const char* point : kPoints) {
        kit::Child peer{[&] {
            kit::kill_self_at(point);
            Process mine = Process::join("peer").value();
            EXPECT_TRUE(mine.send("me", 1));
            mine.leave();
        }};
        const kit::Ending ending = peer.wait();
        EXPECT_EQ(ending.signal, SIGKILL) << point;
        EXPECT_EQ(Process::find("peer").error().code, Errc::not_found) << point;
        {
            const Result<Process> heir = Process::join("peer");
            ASSERT_TRUE(heir) << point << ' ' << describe(heir.error());
        }
        // What it sent, if it did; then nothing.
        for (int n = 0; n < 3; ++n) {
            const auto left = me_.try_receive<int>();
            EXPECT_TRUE(!left || left->value() == 1) << point;
        }
        ASSERT_TRUE(collect_link_garbage(false));
        for (const std::string& file : domain_.entries()) {
            EXPECT_TRUE(file == "me.process" || file.ends_with(".link")) << point << ' ' << file;
        }
    }
}

// A new process under the pid of a dead one is not taken for it: the name's holder is an identity.
TEST_F(HostileLinks, AnotherProcessWithTheSamePidHasNotTheName) {
    NameRegion region = NameRegion::enter(Domain::find().value(), "reused").value();
    ASSERT_TRUE(region.take());
    const NameOwner owner = region.owner();
    EXPECT_EQ(owner.life, sys::Life::alive);
    ParticipantRecord& record = region.region().participants().record(holder_index(owner.holder));
    // As if it had been begun at another time: the same pid, another process. The kernel's next id
    // is perhaps that of somebody who lives.
    record.identity[1].store(record.identity[1].load(kRelaxed) + 1, kRelaxed);
    record.identity[2].store(record.identity[2].load(kRelaxed) + (1ULL << 40U), kRelaxed);
    const Result<ProcessInfo> found = Process::find("reused");
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Errc::not_found);
    EXPECT_TRUE(Process::join("reused"));
}

}  // namespace
}  // namespace stoa
