#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/mailbox.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

// Over logs (plain), and over copies (acknowledged, or with priorities).
class Broadcast : public testing::TestWithParam<std::tuple<bool, std::uint32_t>> {
protected:
    static RawMailbox create(std::uint32_t capacity = 64, Overflow overflow = Overflow::block) {
        const auto [acknowledged, priorities] = GetParam();
        return RawMailbox::create("m", {.capacity = bounded(capacity),
                                        .sharing = Sharing::broadcast,
                                        .acknowledged = acknowledged,
                                        .overflow = overflow,
                                        .priorities = priorities,
                                        .max_bytes = 64,
                                        .role = Role::sends})
            .value();
    }
    static RawMailbox subscribe(bool latest = false) {
        return RawMailbox::open("m", {.role = Role::receives, .latest = latest}).value();
    }
    static std::string all_of(RawMailbox& in) {
        std::string texts;
        for (Result<RawMessage> m = in.try_receive(); m; m = in.try_receive()) {
            texts += std::string{m->text()} + ",";
            EXPECT_TRUE(m->ack());
        }
        return texts;
    }
    static std::string numbers(int from, int to) {
        std::string texts;
        for (int i = from; i < to; ++i) texts += std::to_string(i) + ",";
        return texts;
    }
    static void send(RawMailbox& out, int from, int to) {
        for (int i = from; i < to; ++i) ASSERT_TRUE(out.send(std::to_string(i)));
    }

    kit::TempDomain domain_;
};

TEST_P(Broadcast, EverySubscriberGetsEachMessageInOrder) {
    RawMailbox out = create();
    RawMailbox one = subscribe();
    RawMailbox two = subscribe();
    for (int round = 0; round < 10; ++round) {
        send(out, 0, 40);
        EXPECT_EQ(all_of(one), numbers(0, 40));
        EXPECT_EQ(all_of(two), numbers(0, 40));
    }
}

TEST_P(Broadcast, ALateOneBeginsFromNow) {
    RawMailbox out = create();
    send(out, 0, 5);
    RawMailbox late = subscribe();
    send(out, 5, 8);
    EXPECT_EQ(all_of(late), numbers(5, 8));
}

TEST_P(Broadcast, TheSlowestReliableSubscriberHoldsTheSenderBack) {
    RawMailbox out = create(4);
    RawMailbox fast = subscribe();
    RawMailbox slow = subscribe();
    send(out, 0, 4);
    EXPECT_EQ(all_of(fast), numbers(0, 4));
    EXPECT_EQ(out.try_send("x").error().code, Errc::full);
    EXPECT_EQ(out.send_for("x", 1ms).error().code, Errc::timed_out);
    EXPECT_EQ(all_of(slow), numbers(0, 4));
    EXPECT_TRUE(out.try_send("x"));
}

TEST_P(Broadcast, ASubscriberThatLeavesOrDiesHoldsNobodyBack) {
    RawMailbox out = create(4);
    RawMailbox fast = subscribe();
    kit::Child slow{[] {
        RawMailbox mine = subscribe();
        ::raise(SIGSTOP);
    }};
    ASSERT_TRUE(slow.wait_stopped());
    send(out, 0, 4);
    EXPECT_EQ(all_of(fast), numbers(0, 4));
    EXPECT_EQ(out.try_send("x").error().code, Errc::full);
    slow.kill_and_wait();
    send(out, 4, 8);  // waits until the death was found
    EXPECT_EQ(all_of(fast), numbers(4, 8));
    {
        RawMailbox leaver = subscribe();
        send(out, 8, 12);
        EXPECT_EQ(all_of(fast), numbers(8, 12));
    }
    send(out, 12, 16);
    EXPECT_EQ(all_of(fast), numbers(12, 16));
}

TEST_P(Broadcast, OneThatLeavesBeforeItKnowsASenderHoldsItNotBack) {
    RawMailbox first = create(4);
    RawMailbox leaver = subscribe();
    RawMailbox second = RawMailbox::open("m", {.role = Role::sends}).value();
    send(second, 0, 4);
    {
        const RawMailbox last = std::move(leaver);
    }
    for (int i = 4; i < 40; ++i) ASSERT_TRUE(second.try_send(std::to_string(i)));
}

TEST_P(Broadcast, OneThatStopsWhileItLeavesIsInNobodysWay) {
    RawMailbox out = create(4);
    kit::Child leaver{[] {
        const RawMailbox mine = subscribe();
        kit::stop_self_at("mailbox.leave.seats");
    }};
    ASSERT_TRUE(leaver.wait_stopped());
    RawMailbox next = subscribe();  // on its seat
    send(out, 0, 2);
    leaver.resume();
    EXPECT_TRUE(leaver.wait().ok());
    send(out, 2, 4);
    EXPECT_EQ(out.try_send("x").error().code, Errc::full);
    EXPECT_EQ(all_of(next), numbers(0, 4));
}

TEST_P(Broadcast, EverySubscriberLearnsTheEnd) {
    RawMailbox out = create();
    RawMailbox one = subscribe();
    RawMailbox two = subscribe();
    send(out, 0, 3);
    ASSERT_TRUE(out.close());
    EXPECT_EQ(out.send("x").error().code, Errc::closed);
    EXPECT_EQ(all_of(one), numbers(0, 3));
    EXPECT_EQ(one.receive().error().code, Errc::end_of_stream);
    EXPECT_EQ(all_of(two), numbers(0, 3));
    EXPECT_EQ(two.receive().error().code, Errc::end_of_stream);
}

TEST_P(Broadcast, SeveralSendersReachEverySubscriber) {
    RawMailbox first = create();
    RawMailbox one = subscribe();
    RawMailbox second = RawMailbox::open("m", {.role = Role::sends}).value();
    RawMailbox two = subscribe();
    ASSERT_TRUE(first.send("a"));
    ASSERT_TRUE(second.send("b"));
    EXPECT_EQ(all_of(one).size(), 4U);
    EXPECT_EQ(all_of(two).size(), 4U);
}

TEST_P(Broadcast, LoansAreBroadcastToo) {
    RawMailbox out = create();
    RawMailbox one = subscribe();
    RawLoan loan = out.loan(1).value();
    loan.room()[0] = std::byte{'x'};
    ASSERT_TRUE(loan.commit(1));
    {
        RawLoan abandoned = out.loan(1).value();
    }
    EXPECT_EQ(all_of(one), "x,");
    EXPECT_EQ(out.send_with_receipt("x").error().code, Errc::not_supported);
}

TEST_P(Broadcast, FullOnesDropWhenAsked) {
    {
        RawMailbox out = create(4, Overflow::drop_newest);
        RawMailbox in = subscribe();
        send(out, 0, 10);
        EXPECT_EQ(all_of(in), numbers(0, 4));
        EXPECT_EQ(look_at_mailbox("m").value().dropped_newest, 6U);
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
    RawMailbox out = create(4, Overflow::drop_oldest);
    RawMailbox in = subscribe();
    send(out, 0, 10);
    EXPECT_EQ(all_of(in), numbers(6, 10));
    EXPECT_EQ(look_at_mailbox("m").value().dropped_oldest, 6U);
    ASSERT_TRUE(RawMailbox::destroy("m"));
    out = create(4, Overflow::reject);
    in = subscribe();
    send(out, 0, 4);
    EXPECT_EQ(out.send("x").error().code, Errc::full);
}

TEST_P(Broadcast, ALatestSubscriberSkipsAndIsToldHowManyItMissed) {
    if (std::get<0>(GetParam())) {
        RawMailbox out = create();
        EXPECT_EQ(RawMailbox::open("m", {.role = Role::receives, .latest = true}).error().code,
                  Errc::bad_argument);
        return;
    }
    RawMailbox out = create(4);
    RawMailbox slow = subscribe(true);
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(out.try_send(std::to_string(i)));
    std::uint64_t got = 0;
    std::uint64_t missed = 0;
    int last = -1;
    for (Result<RawMessage> m = slow.try_receive(); m; m = slow.try_receive()) {
        const int number = std::stoi(std::string{m->text()});
        EXPECT_GT(number, last);
        last = number;
        ++got;
        missed += m->missed();
    }
    EXPECT_EQ(last, 999);
    EXPECT_EQ(got + missed, 1000U);
    EXPECT_LE(got, 4U);
}

TEST_P(Broadcast, AStoppedLatestSubscriberDelaysNobody) {
    if (std::get<0>(GetParam())) return;
    RawMailbox out = create(4);
    RawMailbox fast = subscribe();
    kit::Child stopped{[] {
        RawMailbox mine = subscribe(true);
        ::raise(SIGSTOP);
    }};
    ASSERT_TRUE(stopped.wait_stopped());
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(out.try_send(std::to_string(i)));
        EXPECT_EQ(all_of(fast), numbers(i, i + 1));
    }
}

std::string name_of_case(const testing::TestParamInfo<std::tuple<bool, std::uint32_t>>& one) {
    return (std::get<0>(one.param) ? "ack" : "plain") + std::to_string(std::get<1>(one.param));
}
INSTANTIATE_TEST_SUITE_P(Each, Broadcast,
                         testing::Values(std::tuple{false, 1U}, std::tuple{true, 1U},
                                         std::tuple{false, 3U}),
                         name_of_case);

TEST(BroadcastOverLogs, ALateOneMayBeginWithWhatIsKept) {
    const kit::TempDomain domain;
    RawMailbox out =
        RawMailbox::create("m", {.sharing = Sharing::broadcast, .role = Role::sends}).value();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(out.send(std::to_string(i)));
    RawMailbox late = RawMailbox::open("m", {.role = Role::receives, .from_oldest = true}).value();
    EXPECT_EQ(late.receive().value().text(), "0");
}

TEST(BroadcastOverLogs, ValuesAndTheNextSenderOfALogStayInOrder) {
    const kit::TempDomain domain;
    struct Tick {
        std::uint64_t number;
    };
    RawMailbox keep = RawMailbox::create("m", {.sharing = Sharing::broadcast, .role = Role::none},
                                         type_info_of<Tick>())
                          .value();
    Mailbox<Tick> in = Mailbox<Tick>::open("m", {.role = Role::receives}).value();
    for (std::uint64_t i = 0; i < 20; ++i) {
        Mailbox<Tick> out = Mailbox<Tick>::open("m", {.role = Role::sends}).value();
        ASSERT_TRUE(out.send({i}));
    }
    for (std::uint64_t i = 0; i < 20; ++i) {
        Tick tick{};
        ASSERT_TRUE(in.receive_into(tick));
        EXPECT_EQ(tick.number, i);
    }
    EXPECT_EQ(keep.attachment().layout().lanes_open.load(), 1U);
}

}  // namespace
}  // namespace stoa
