#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

// How often that process has gone to sleep, when it sleeps; else 0.
std::uint64_t sleeps_of(pid_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/status"};
    bool sleeps = false;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("State:")) sleeps = line.contains("S (");
        if (!line.starts_with("voluntary_ctxt_switches:")) continue;
        return sleeps ? std::stoull(line.substr(line.find(':') + 1)) : 0;
    }
    return 0;
}

// Who may receive, and who comes after whom.
class MailboxRoles : public testing::Test {
protected:
    static RawMailbox create(const MailboxOptions& options) {
        return RawMailbox::create("m", options).value();
    }
    static RawMailbox open(Role role) { return RawMailbox::open("m", {.role = role}).value(); }
    static std::string next(RawMailbox& mailbox) {
        const Result<RawMessage> message = mailbox.try_receive();
        return message ? std::string{message->text()} : std::string{name(message.error().code)};
    }
    static MailboxFacts facts() { return look_at_mailbox("m").value(); }

    kit::TempDomain domain_;
};

TEST_F(MailboxRoles, WhoStandsByTakesOverWhenTheReceiverDies) {
    for (const bool acknowledged : {false, true}) {
        RawMailbox out = create({.sharing = Sharing::single_receiver,
                                 .acknowledged = acknowledged,
                                 .role = Role::sends});
        kit::Child first{[] {
            RawMailbox in = open(Role::receives);
            static_cast<void>(in.receive().value().ack());
            ::pause();
        }};
        ASSERT_TRUE(out.send("1"));
        ASSERT_TRUE(kit::wait_until([] { return facts().received == 1; }));
        const Error refused = RawMailbox::open("m", {.role = Role::receives}).error();
        EXPECT_EQ(refused.code, Errc::in_use);
        EXPECT_NE(std::string{refused.step}.find(std::to_string(first.pid())), std::string::npos);
        RawMailbox heir = RawMailbox::open("m", {.role = Role::receives, .stand_by = true}).value();
        ASSERT_TRUE(out.send("2"));
        EXPECT_EQ(heir.try_receive().error().code, Errc::empty);
        EXPECT_EQ(heir.receive_for(1ms).error().code, Errc::timed_out);
        first.kill_and_wait();
        EXPECT_EQ(heir.receive().value().text(), "2");
        ASSERT_TRUE(out.send("3"));
        EXPECT_EQ(heir.receive().value().text(), acknowledged ? "2" : "3");
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(MailboxRoles, ByTurnsAnyNumberReceiveOneAtATime) {
    RawMailbox out =
        create({.sharing = Sharing::single_receiver, .by_turns = true, .role = Role::sends});
    std::vector<RawMailbox> in;
    for (int i = 0; i < 3; ++i) in.push_back(open(Role::receives));
    for (int i = 0; i < 9; ++i) ASSERT_TRUE(out.send(std::to_string(i)));
    for (int i = 0; i < 9; ++i) {
        EXPECT_EQ(next(in[static_cast<std::size_t>(i % 3)]), std::to_string(i));
    }
    kit::Child waiting{[] {  // has the turn, and no message comes
        RawMailbox mine = open(Role::receives);
        static_cast<void>(mine.receive());
    }};
    ASSERT_TRUE(kit::wait_until([] {
        for (const Participant& seen : facts().participants) {
            if (seen.waits == WaitsFor::message) return true;
        }
        return false;
    }));
    EXPECT_EQ(in[0].receive_for(1ms).error().code, Errc::timed_out);
    waiting.kill_and_wait();  // its turn ends with it
    ASSERT_TRUE(out.send("x"));
    EXPECT_EQ(in[0].receive().value().text(), "x");
}

// A sweep wakes at the pool ring while the dead one still holds its seat.
TEST_F(MailboxRoles, WhoWaitsForTheSeatOfADeadOneIsWokenWhenItIsFree) {
    for (const bool by_turns : {false, true}) {
        RawMailbox out = create({.sharing = Sharing::single_receiver,
                                 .acknowledged = true,
                                 .by_turns = by_turns,
                                 .role = Role::sends});
        ASSERT_TRUE(out.send("x"));
        kit::Child holder{[] {
            RawMailbox in = open(Role::receives);
            ::raise(SIGSTOP);
            kit::kill_self_at("mailbox.turn.taken");
            static_cast<void>(in.try_receive());
            ::pause();
        }};
        ASSERT_TRUE(holder.wait_stopped());
        kit::Child waiting{[by_turns] {
            RawMailbox in =
                RawMailbox::open(
                    "m", {.role = Role::receives, .waiting = Waiting::park, .stand_by = !by_turns})
                    .value();
            g_wait_slice = 1h;
            ::raise(SIGSTOP);
            EXPECT_EQ(in.receive().value().text(), "x");
        }};
        ASSERT_TRUE(waiting.wait_stopped());
        by_turns ? holder.resume() : holder.kill();
        ASSERT_EQ(holder.wait().signal, SIGKILL);
        waiting.resume();
        std::uint64_t before = 0;
        ASSERT_TRUE(kit::wait_until([&] { return (before = sleeps_of(waiting.pid())) > 0; }));
        kit::Child sweeper{[] {
            kit::stop_self_at("mailbox.recover.before_seats");
            RawMailbox swept = open(Role::sends);
            ::pause();
        }};
        ASSERT_TRUE(sweeper.wait_stopped());
        ASSERT_TRUE(kit::wait_until([&] { return sleeps_of(waiting.pid()) > before; }));
        sweeper.resume();
        EXPECT_TRUE(waiting.wait().ok());
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(MailboxRoles, AOneWayPairHasASenderAndAReceiver) {
    for (const bool acknowledged : {false, true}) {
        RawMailbox first =
            create({.sharing = Sharing::pair, .acknowledged = acknowledged, .one_way = true});
        EXPECT_EQ(first.role(), Role::sends);
        RawMailbox second = open(Role::both);
        EXPECT_EQ(second.role(), Role::receives);
        ASSERT_TRUE(first.send("x"));
        EXPECT_EQ(next(second), "x");
        EXPECT_EQ(second.send("x").error().code, Errc::bad_argument);
        EXPECT_EQ(first.try_receive().error().code, Errc::bad_argument);
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(MailboxRoles, AThirdOneIsRefusedWithTheNamesOfThePair) {
    RawMailbox one = create({.sharing = Sharing::pair});
    kit::Child two{[] {
        RawMailbox other = open(Role::both);
        ::raise(SIGSTOP);  // it has its place now
    }};
    ASSERT_TRUE(two.wait_stopped());
    const Result<RawMailbox> third = RawMailbox::open("m");
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().code, Errc::in_use);
    const std::string text = third.error().step;
    EXPECT_NE(text.find(std::to_string(two.pid())), std::string::npos) << text;
    EXPECT_NE(text.find(std::to_string(::getpid())), std::string::npos) << text;
    EXPECT_NE(text.find(sys::own_name()), std::string::npos) << text;
}

}  // namespace
}  // namespace stoa
