// close() against those who wait, come and go at the same time.
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>
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

constexpr std::array kQueued{Sharing::any,         Sharing::single_receiver, Sharing::pair,
                             Sharing::round_robin, Sharing::least_loaded,    Sharing::key_affine};

class Close : public testing::Test {
protected:
    static bool somebody_waits(WaitsFor what) {
        const MailboxFacts facts = look_at_mailbox("m").value();
        return std::ranges::any_of(facts.participants,
                                   [&](const Participant& seen) { return seen.waits == what; });
    }
    kit::TempDomain domain_;
};

// The receiver waits already when the first sender comes, sends and closes.
TEST_F(Close, WhatAFirstSenderSendsBeforeItClosesArrives) {
    for (const Sharing sharing : kQueued) {
        for (int round = 0; round < 5; ++round) {
            const RawMailbox keeper =
                RawMailbox::create("m", {.sharing = sharing, .role = Role::none}).value();
            kit::Child receiver{[] {
                RawMailbox in = RawMailbox::open("m", {.role = Role::receives}).value();
                std::string got;
                for (;;) {
                    const Result<RawMessage> message = in.receive();
                    if (!message) _exit(got == "abc" ? 0 : 1);
                    got += message->text();
                }
            }};
            ASSERT_TRUE(kit::wait_until(
                [] { return look_at_mailbox("m").value().participants.size() == 2; }));
            {
                RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
                for (const char* text : {"a", "b", "c"}) ASSERT_TRUE(out.send(text));
                ASSERT_TRUE(out.close());
            }
            EXPECT_TRUE(receiver.wait().ok()) << static_cast<int>(sharing) << ' ' << round;
            RawMailbox::destroy("m").value();
        }
    }
}

TEST_F(Close, EndsARendezvousThatWaits) {
    for (const Sharing sharing : kQueued) {
        RawMailbox box =
            RawMailbox::create("m", {.capacity = zero(), .sharing = sharing, .role = Role::none})
                .value();
        Result<void> sent;
        std::thread sender{[&] {
            RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
            sent = out.send("x");
        }};
        ASSERT_TRUE(kit::wait_until([] { return somebody_waits(WaitsFor::receipt); }));
        ASSERT_TRUE(box.close());
        sender.join();
        ASSERT_FALSE(sent);
        EXPECT_EQ(sent.error().code, Errc::closed) << static_cast<int>(sharing);
        RawMailbox::destroy("m").value();
    }
}

// Leases of others may come back: who waits beside them learns no end.
TEST_F(Close, IsNoEndWhileAnotherReceiverHasSomeInItsQueue) {
    for (const Sharing sharing : {Sharing::round_robin, Sharing::least_loaded}) {
        RawMailbox out = RawMailbox::create("m", {.sharing = sharing, .role = Role::sends}).value();
        RawMailbox a = RawMailbox::open("m", {.role = Role::receives}).value();
        {
            RawMailbox b = RawMailbox::open("m", {.role = Role::receives}).value();
            for (int i = 0; i < 10; ++i) ASSERT_TRUE(out.send(std::to_string(i)));
            ASSERT_TRUE(out.close());
            for (int i = 0; i < 5; ++i) ASSERT_TRUE(a.try_receive());
            EXPECT_EQ(a.receive_for(20ms).error().code, Errc::timed_out);
        }
        for (int i = 0; i < 5; ++i) ASSERT_TRUE(a.receive());  // b's are ours now
        EXPECT_EQ(a.receive().error().code, Errc::end_of_stream);
        RawMailbox::destroy("m").value();
    }
}

TEST_F(Close, NoSegmentIsPutBehindTheEnd) {
    RawMailbox out =
        RawMailbox::create("m", {.capacity = unbounded(4U << 20U), .role = Role::sends}).value();
    static RawMailbox* receiver = nullptr;
    RawMailbox in = RawMailbox::open("m", {.role = Role::receives}).value();
    receiver = &in;
    kit::call_at("segments.grow.made", [] {  // one more is made, and not linked yet
        receiver->close().value();
        while (receiver->try_receive()) {
        }
        EXPECT_EQ(receiver->receive().error().code, Errc::end_of_stream);
    });
    Result<void> sent;
    while ((sent = out.try_send("x"))) {
    }
    EXPECT_EQ(sent.error().code, Errc::closed);
    EXPECT_EQ(look_at_mailbox("m").value().depth, 0U);
    EXPECT_EQ(look_at_mailbox("m").value().segments, 1U);
}

// A send that meets the close in its middle, after it published.
constexpr std::array kOverLanes{Sharing::single_receiver, Sharing::pair, Sharing::round_robin,
                                Sharing::key_affine};
RawMailbox* g_receiver = nullptr;

void close_and_drain() {
    g_receiver->close().value();
    while (g_receiver->try_receive()) {
    }
    EXPECT_EQ(g_receiver->try_receive().error().code, Errc::end_of_stream);
}

TEST_F(Close, WhatIsSentInsideACloseIsReceivedOrRefused) {
    for (const Sharing sharing : kOverLanes) {
        for (const bool is_drained : {false, true}) {
            RawMailbox out =
                RawMailbox::create("m", {.sharing = sharing, .role = Role::sends}).value();
            RawMailbox in = RawMailbox::open("m", {.role = Role::receives}).value();
            g_receiver = &in;
            ASSERT_TRUE(out.send("before"));
            kit::call_at("lane_engine.send.published", [] { g_receiver->close().value(); });
            if (is_drained) {
                // The receiver takes what it sees, and that is the message as well.
                kit::call_at("lane_engine.send.published", [] { close_and_drain(); });
            }
            EXPECT_TRUE(out.send("x")) << static_cast<int>(sharing);
            std::string got;
            while (const Result<RawMessage> message = in.try_receive()) got += message->text();
            EXPECT_EQ(got, is_drained ? "" : "beforex");
            EXPECT_EQ(in.try_receive().error().code, Errc::end_of_stream);
            EXPECT_EQ(out.send("y").error().code, Errc::closed);
            RawMailbox::destroy("m").value();
        }
    }
}

// The receiver has said where the end is before the sender publishes.
TEST_F(Close, WhatIsPublishedBehindTheEndIsRefusedAndNotReceived) {
    for (const Sharing sharing : kOverLanes) {
        RawMailbox out = RawMailbox::create("m", {.sharing = sharing, .role = Role::sends}).value();
        RawMailbox in = RawMailbox::open("m", {.role = Role::receives}).value();
        g_receiver = &in;
        ASSERT_TRUE(out.send("before"));
        kit::call_at("lane.publish.cleared", [] { close_and_drain(); });
        EXPECT_EQ(out.send("x").error().code, Errc::closed) << static_cast<int>(sharing);
        EXPECT_EQ(in.try_receive().error().code, Errc::end_of_stream);
        EXPECT_EQ(look_at_mailbox("m").value().depth, 0U);
        in = RawMailbox::open("m", {.role = Role::none}).value();
        in = RawMailbox::open("m", {.role = Role::receives}).value();  // nor by who comes later
        EXPECT_EQ(in.try_receive().error().code, Errc::end_of_stream);
        RawMailbox::destroy("m").value();
    }
}

TEST_F(Close, BroadcastInsideACloseReachesEverybodyOrIsRefused) {
    for (const char* point : {"log_engine.send.published", "log.publish.cleared"}) {
        RawMailbox out =
            RawMailbox::create("m", {.sharing = Sharing::broadcast, .role = Role::sends}).value();
        RawMailbox in = RawMailbox::open("m", {.role = Role::receives}).value();
        RawMailbox late = RawMailbox::open("m", {.role = Role::receives}).value();
        g_receiver = &in;
        ASSERT_TRUE(out.send("before"));
        kit::call_at(point, [] { close_and_drain(); });
        const Result<void> sent = out.send("x");
        EXPECT_EQ(sent.has_value(), std::string{point} == "log_engine.send.published");
        EXPECT_EQ(late.try_receive().value().text(), "before");
        if (sent) {
            EXPECT_EQ(late.try_receive().value().text(), "x");
            EXPECT_EQ(late.try_receive().error().code, Errc::end_of_stream);
        } else {
            EXPECT_EQ(sent.error().code, Errc::closed);
        }
        RawMailbox::destroy("m").value();
    }
}

// Two loans of one handle lie in two lanes.
TEST_F(Close, LoansOfOneHandleInSeveralLanesAreEachTheirOwn) {
    RawMailbox out =
        RawMailbox::create("m", {.sharing = Sharing::round_robin, .role = Role::sends}).value();
    RawMailbox a = RawMailbox::open("m", {.role = Role::receives}).value();
    RawMailbox b = RawMailbox::open("m", {.role = Role::receives}).value();
    RawLoan one = out.loan(1).value();
    RawLoan two = out.loan(1).value();
    one.room()[0] = std::byte{'1'};
    two.room()[0] = std::byte{'2'};
    ASSERT_TRUE(one.commit(1));
    std::string got;
    for (RawMailbox* in : {&a, &b}) {
        while (const Result<RawMessage> message = in->try_receive()) got += message->text();
    }
    ASSERT_TRUE(two.commit(1));
    for (RawMailbox* in : {&a, &b}) {
        while (const Result<RawMessage> message = in->try_receive()) got += message->text();
    }
    EXPECT_EQ(got, "12");
}

}  // namespace
}  // namespace stoa
