// Of a peer that is gone, what every call says from then on; and whom its next life reaches.
#include <gtest/gtest.h>

#include <unistd.h>

#include <array>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "stoa/link/process.hpp"
#include "stoa/wait/wait_set.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr TalkOptions kWait{.wait_for_join = true};

class GonePeer : public testing::Test {
protected:
    // One that waits to be killed.
    static kit::Child server() {
        return kit::Child{[] {
            Process mine = Process::join("server").value();
            EXPECT_TRUE(mine.send("me", 0));
            for (;;) pause();
        }};
    }
    kit::TempDomain domain_;
    Process me_ = Process::join("me").value();
};

// Each way to send, by the link that was had before, and by name.
void expect_every_send_fails(Process& me, Link& link, Errc code) {
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(link.send(i).error().code, code);
        EXPECT_EQ(link.try_send(std::string{"text"}).error().code, code);
        EXPECT_EQ(link.send_for("bytes", 1s).error().code, code);
        EXPECT_EQ(link.send(std::vector<int>{1, 2}).error().code, code);
        EXPECT_EQ(link.call<int>(i).error().code, code);
        EXPECT_EQ(link.loan(8).error().code, code);
        EXPECT_EQ(link.pulse(1).error().code, code);
        EXPECT_EQ(me.send("server", i).error().code, Errc::peer_died);
        EXPECT_EQ(me.send("server", "bytes").error().code, Errc::peer_died);
        EXPECT_EQ(me.pulse("server", 1).error().code, Errc::peer_died);
        EXPECT_EQ(me.call<int>("server", i).error().code, Errc::peer_died);
    }
}

// Within the time for which the answer of the kernel to the send before it is believed.
TEST_F(GonePeer, WhoWasToldOfADeathSendsNoMore) {
    const std::uint64_t usual = std::exchange(g_ask_again_ticks, UINT64_MAX);
    for (const bool by_a_set : {true, false}) {
        kit::Child peer = server();
        ASSERT_TRUE(me_.receive<int>("server", kWait));
        Link link = me_.link("server").value();
        ASSERT_TRUE(link.send(1));  // asks
        WaitSet set = WaitSet::create().value();
        ASSERT_TRUE(set.add(link.died()));
        peer.kill_and_wait();
        if (by_a_set) {
            ASSERT_TRUE(set.wait());
        } else {
            EXPECT_EQ(link.call<int>(1).error().code, Errc::peer_died);
        }
        expect_every_send_fails(me_, link, Errc::peer_died);
        EXPECT_EQ(me_.receive<int>("server").error().code, Errc::peer_died);
        EXPECT_EQ(link.send(1).error().code, Errc::peer_died);  // also when that was told
    }
    g_ask_again_ticks = usual;
}

TEST_F(GonePeer, ALoanThatIsCommittedToADeadOneIsNotSent) {
    kit::Child peer = server();
    ASSERT_TRUE(me_.receive<int>("server", kWait));
    Link link = me_.link("server").value();
    LinkValueLoan<int> loan = link.loan<int>().value();
    *loan = 1;
    peer.kill_and_wait();
    EXPECT_EQ(loan.commit().error().code, Errc::peer_died);
}

TEST_F(GonePeer, ACallThatEndsByADeathLeavesItToTheReceiveThatIsToTellIt) {
    kit::Child peer = server();
    ASSERT_TRUE(me_.receive<int>("server", kWait));
    peer.kill_and_wait();
    EXPECT_EQ(me_.call<int>("server", 1).error().code, Errc::peer_died);
    EXPECT_EQ(me_.send("server", 1).error().code, Errc::peer_died);
    EXPECT_EQ(me_.receive<int>("server").error().code, Errc::peer_died);
    // Told: from now on it is nobody's name.
    EXPECT_EQ(me_.receive<int>("server").error().code, Errc::not_found);
    EXPECT_EQ(me_.send("server", 1).error().code, Errc::not_found);
    EXPECT_EQ(me_.call<int>("server", 1).error().code, Errc::not_found);
}

TEST_F(GonePeer, ACallThatDiesWhileItWaitsLosesNothingThatItSetAside) {
    kit::Child peer{[] {
        Process mine = Process::join("server").value();
        EXPECT_TRUE(mine.send("me", 0));
        const auto call = mine.receive<int>("me");
        EXPECT_TRUE(call);
        EXPECT_TRUE(mine.send("me", 7));
        kill(getpid(), SIGKILL);
    }};
    ASSERT_TRUE(me_.receive<int>("server", kWait));
    EXPECT_EQ(me_.call<int>("server", 1).error().code, Errc::peer_died);
    EXPECT_EQ(me_.receive<int>("server")->value(), 7);
    EXPECT_EQ(me_.receive<int>("server").error().code, Errc::peer_died);
    peer.wait();
}

TEST_F(GonePeer, ACallThatWaitsForAJoinGoesToTheNextLife) {
    for (int round = 0; round < 2; ++round) {
        const auto serve = [] {
            Process mine = Process::join("server").value();
            for (;;) {
                auto call = mine.receive<int>("me", kWait);
                if (!call) break;
                if (call->value() < 0) kill(getpid(), SIGKILL);
                EXPECT_TRUE(call->reply(call->value() + 1));
            }
        };
        kit::Child first{serve};
        EXPECT_EQ(me_.call<int>("server", 1, kWait)->value(), 2);
        EXPECT_EQ(me_.call<int>("server", -1, kWait).error().code, Errc::peer_died);
        kit::Child second{serve};
        const auto reply = me_.call<int>("server", 2, kWait);
        ASSERT_TRUE(reply) << describe(reply.error());
        EXPECT_EQ(reply->value(), 3);
        EXPECT_EQ(me_.receive_for<int>("server", 1ms).error().code, Errc::timed_out);
        first.wait();
        second.kill_and_wait();
        while (me_.receive<int>("server").error().code != Errc::not_found) {
        }
    }
}

TEST_F(GonePeer, WhoCallsAServerThatIsStartedAgainKeepsNothingOfItsOldLives) {
    for (int round = 0; round < 5; ++round) {
        kit::Child peer = server();
        ASSERT_TRUE(me_.receive<int>("server", kWait));
        peer.kill_and_wait();
        EXPECT_EQ(me_.call<int>("server", 1).error().code, Errc::peer_died);
    }
    EXPECT_LE(me_.core().links().size(), 2U);
}

TEST_F(GonePeer, WhoHasLeftIsNotCountedAsAMessage) {
    Process peer = Process::join("peer").value();
    ASSERT_TRUE(peer.send("me", 1));
    ASSERT_TRUE(peer.send("me", 2));
    EXPECT_EQ(Process::find("me")->queued, 2U);
    peer.leave();
    EXPECT_EQ(Process::find("me")->queued, 2U);
    ASSERT_TRUE(me_.receive<int>());
    ASSERT_TRUE(me_.receive<int>());
    EXPECT_EQ(Process::find("me")->queued, 0U);
}

TEST_F(GonePeer, TheKernelSaysWhoASenderWasThatHasGone) {
    for (const bool leaves : {true, false}) {
        kit::Child peer{[leaves] {
            Process mine = Process::join("short").value();
            EXPECT_TRUE(mine.send("me", static_cast<int>(getpid())));
            if (!leaves) kill(getpid(), SIGKILL);
        }};
        peer.wait();
        const auto message = me_.receive<int>().value();
        const Result<sys::Credentials> told = message.credentials();
        ASSERT_TRUE(told) << describe(told.error());
        EXPECT_EQ(told->pid, static_cast<std::uint32_t>(message.value()));
        EXPECT_EQ(told->uid, getuid());
        EXPECT_EQ(told->gid, getgid());
    }
}

TEST_F(GonePeer, DescriptorsTravelBackAlongALinkThatTheOtherOneMade) {
    Process peer = Process::join("peer").value();
    ASSERT_TRUE(peer.send("me", 1));
    ASSERT_TRUE(me_.receive<int>("peer"));
    const std::array<int, 1> fds{STDIN_FILENO};
    const Result<void> sent = me_.send("peer", 2, {.fds = fds});
    ASSERT_TRUE(sent) << describe(sent.error());
    EXPECT_EQ(peer.receive<int>("me")->fds().size(), 1U);
}

}  // namespace
}  // namespace stoa
