#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <set>
#include <string>
#include <thread>
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

// --- all or nothing -----------------------------------------------------------------------------

// A send that fails has reached nobody: the subscriber with room gets each message once, whatever
// the other one lacks.
class BroadcastOfCopies : public testing::Test {
protected:
    static RawMailbox create(const MailboxOptions& wanted) {
        MailboxOptions options = wanted;
        options.sharing = Sharing::broadcast;
        options.role = Role::sends;
        return RawMailbox::create("m", options).value();
    }
    static RawMailbox subscribe(bool latest = false) {
        return RawMailbox::open("m", {.role = Role::receives, .latest = latest}).value();
    }
    static int count_of(RawMailbox& in) {
        int count = 0;
        while (Result<RawMessage> m = in.try_receive()) {
            EXPECT_TRUE(m->ack());
            ++count;
        }
        return count;
    }
    // Subscribers before and behind the one in whose way something is.
    static void expect_that_a_failed_send_reaches_nobody(RawMailbox& out, std::string_view message,
                                                         Errc why,
                                                         const SendOptions& options = {}) {
        RawMailbox before = subscribe();
        RawMailbox slow = subscribe();
        RawMailbox behind = subscribe();
        std::vector<RawMessage> held;
        int sent = 0;
        Result<void> failed;
        for (; sent < 10'000; ++sent) {
            failed = out.send(message, options);
            if (!failed) break;
            EXPECT_EQ(count_of(before), 1);
            EXPECT_EQ(count_of(behind), 1);
            // What a subscriber reads stays its own until it is done with it.
            if (held.size() < 3) held.push_back(slow.try_receive().value());
        }
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error().code, why);
        EXPECT_EQ(out.send(message, options).error().code, why);
        EXPECT_EQ(count_of(before), 0);
        EXPECT_EQ(count_of(behind), 0);
        EXPECT_EQ(count_of(slow) + static_cast<int>(held.size()), sent);
        for (RawMessage& message_held : held) EXPECT_TRUE(message_held.ack());
        ASSERT_TRUE(out.send(message, options));
        for (RawMailbox* in : {&before, &slow, &behind}) EXPECT_GE(count_of(*in), 1);
    }

    kit::TempDomain domain_;
};

TEST_F(BroadcastOfCopies, ASendThatFindsASubscribersQueueFullReachesNobody) {
    RawMailbox out =
        create({.capacity = bounded(7), .overflow = Overflow::reject, .priorities = 2});
    expect_that_a_failed_send_reaches_nobody(out, "x", Errc::full);
}

TEST_F(BroadcastOfCopies, ASendThatFindsASubscribersMemoryLentReachesNobody) {
    for (const bool acknowledged : {false, true}) {
        RawMailbox out = create({.capacity = bounded(100),
                                 .acknowledged = acknowledged,
                                 .overflow = Overflow::reject,
                                 .priorities = 2,
                                 .max_bytes = 4096,
                                 .reserve_bytes = 1});
        expect_that_a_failed_send_reaches_nobody(out, std::string(4096, 'x'), Errc::full);
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(BroadcastOfCopies, ASendThatReachesTheQuotaReachesNobody) {
    for (const std::uint32_t priorities : {1U, 3U}) {
        RawMailbox out = create({.capacity = unbounded(512 << 10U),
                                 .priorities = priorities,
                                 .max_bytes = 4096,
                                 .reserve_bytes = 1});
        expect_that_a_failed_send_reaches_nobody(out, std::string(4096, 'x'), Errc::quota_reached,
                                                 {.priority = priorities - 1});
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

// What its predecessor on the same seat missed is not its own loss.
TEST_F(BroadcastOfCopies, ANewSubscriberIsNotToldWhatItsPredecessorMissed) {
    RawMailbox out = create({.capacity = bounded(2), .priorities = 2});
    {
        RawMailbox before = subscribe(true);
        for (int i = 0; i < 9; ++i) ASSERT_TRUE(out.send("x"));
        EXPECT_EQ(before.try_receive().value().missed(), 7U);
    }
    RawMailbox latest = subscribe(true);
    ASSERT_TRUE(out.send("x"));
    EXPECT_EQ(latest.try_receive().value().missed(), 0U);
}

TEST_F(BroadcastOfCopies, WhereTheOldestIsDroppedEverySubscriberIsToldWhatItMissed) {
    RawMailbox out = create({.capacity = bounded(2), .overflow = Overflow::drop_oldest});
    RawMailbox slow = subscribe();
    RawMailbox fast = subscribe();
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(out.send("x"));
        EXPECT_EQ(fast.try_receive().value().missed(), 0U);
    }
    EXPECT_EQ(slow.try_receive().value().missed(), 3U);
    EXPECT_EQ(slow.try_receive().value().missed(), 0U);
}

TEST_F(BroadcastOfCopies, ASendWhoseTimeIsOverReachesNobody) {
    RawMailbox out =
        create({.capacity = bounded(100), .priorities = 2, .max_bytes = 4096, .reserve_bytes = 1});
    RawMailbox before = subscribe();
    RawMailbox slow = subscribe();
    const std::string message(4096, 'x');
    int sent = 0;
    while (out.try_send(message)) ++sent;
    EXPECT_EQ(out.send_for(message, 1ms).error().code, Errc::timed_out);
    EXPECT_EQ(count_of(before), sent);
    EXPECT_EQ(out.send_for(message, 1ms).error().code, Errc::timed_out);
    EXPECT_EQ(count_of(before), 0);
    EXPECT_EQ(count_of(slow), sent);
}

// It is asked to skip, but not for a message that nobody gets.
TEST_F(BroadcastOfCopies, ASendThatFailsTakesNothingFromALatestSubscriber) {
    RawMailbox out =
        create({.capacity = bounded(4), .overflow = Overflow::reject, .priorities = 2});
    RawMailbox latest = subscribe(true);
    RawMailbox slow = subscribe();
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(out.send("x"));
    for (int i = 0; i < 3; ++i) ASSERT_FALSE(out.send("x"));
    EXPECT_EQ(count_of(latest), 4);
    EXPECT_EQ(look_at_mailbox("m").value().dropped_oldest, 0U);
}

// Between its claims and its copies it has room in every queue, whoever fills them meanwhile.
TEST_F(BroadcastOfCopies, ASendThatBeganFailsForNobodyAlthoughOthersFillTheQueue) {
    RawMailbox out = create({.capacity = bounded(4), .priorities = 2});
    RawMailbox before = subscribe();
    RawMailbox slow = subscribe();
    kit::Child sender{[] {
        RawMailbox mine = RawMailbox::open("m", {.role = Role::sends}).value();
        kit::stop_self_at("mailbox.broadcast.claimed");
        ASSERT_TRUE(mine.try_send("late"));
    }};
    ASSERT_TRUE(sender.wait_stopped());
    int sent = 0;
    while (out.try_send("x")) ++sent;
    EXPECT_EQ(sent, 4);
    EXPECT_EQ(count_of(before), 4);
    sender.resume();
    EXPECT_TRUE(sender.wait().ok());
    EXPECT_EQ(count_of(before), 1);
    EXPECT_EQ(count_of(slow), 5);
}

TEST_F(BroadcastOfCopies, WhatWasClaimedInAQueueThatWentOnIsClaimedWhereItIsNow) {
    RawMailbox out =
        create({.capacity = unbounded(64 << 20U), .max_bytes = 2048, .reserve_bytes = 1});
    std::array<RawMailbox, 2> in{subscribe(), subscribe()};
    kit::Child sender{[] {
        RawMailbox mine = RawMailbox::open("m", {.role = Role::sends}).value();
        kit::stop_self_at("mailbox.broadcast.claimed");
        ASSERT_TRUE(mine.send("late"));
    }};
    ASSERT_TRUE(sender.wait_stopped());
    constexpr int kSegments = 500;  // messages: several segments
    for (int i = 0; i < kSegments; ++i) ASSERT_TRUE(out.send(std::string(2048, 'x')));
    for (RawMailbox& one : in) EXPECT_EQ(count_of(one), kSegments);
    sender.resume();
    EXPECT_TRUE(sender.wait().ok());
    for (RawMailbox& one : in) EXPECT_EQ(one.try_receive().value().text(), "late");
}

// It died in the middle: some have the message, the others do not, and nothing else is left of it.
TEST_F(BroadcastOfCopies, OfASendThatDiesSomeSubscribersMayHaveTheMessage) {
    RawMailbox out =
        create({.capacity = bounded(4), .priorities = 2, .max_bytes = 4096, .reserve_bytes = 1});
    RawMailbox first = subscribe();
    RawMailbox second = subscribe();
    for (int i = 0; i < 40; ++i) {
        kit::Child sender{[] {
            RawMailbox mine = RawMailbox::open("m", {.role = Role::sends}).value();
            kit::kill_self_at("mailbox.broadcast.copied");
            static_cast<void>(mine.try_send(std::string(4096, 'x')));
        }};
        EXPECT_EQ(sender.wait().signal, SIGKILL);
        EXPECT_EQ(count_of(first), 1);
        EXPECT_EQ(count_of(second), 0);
    }
    ASSERT_TRUE(out.try_send(std::string(4096, 'x')));
    EXPECT_EQ(count_of(second), 1);
}

// Several at a time, each subscriber at its own pace, until every message that a send called sent
// is with every subscriber, once, and no other one is.
class RacingSenders : public testing::TestWithParam<MailboxOptions> {};

TEST_P(RacingSenders, WhatWasSentIsWithEverySubscriberAndWhatFailedWithNone) {
    constexpr int kSenders = 3;
    constexpr int kSubscribers = 3;
    constexpr std::uint64_t kEach = 2000;
    const kit::TempDomain domain;
    MailboxOptions options = GetParam();
    options.sharing = Sharing::broadcast;
    options.role = Role::none;
    const RawMailbox keep = RawMailbox::create("m", options).value();
    std::vector<RawMailbox> in;
    for (int k = 0; k < kSubscribers; ++k) {
        in.push_back(RawMailbox::open("m", {.role = Role::receives}).value());
    }
    std::vector<std::set<std::string>> sent(kSenders);
    std::vector<std::vector<std::string>> got(kSubscribers);
    std::atomic<int> sending = kSenders;
    {
        std::vector<std::jthread> threads;
        for (int s = 0; s < kSenders; ++s) {
            threads.emplace_back([&, s] {
                RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
                std::string text(GetParam().max_bytes, '.');
                for (std::uint64_t i = 0; i < kEach; ++i) {
                    const std::string head = std::to_string(s) + ":" + std::to_string(i);
                    std::ranges::copy(head + ";", text.begin());
                    if (out.try_send(text)) {
                        sent[static_cast<std::size_t>(s)].insert(head);
                    } else {
                        std::this_thread::yield();
                    }
                }
                --sending;
            });
        }
        for (std::size_t k = 0; k < kSubscribers; ++k) {
            threads.emplace_back([&, k] {
                for (bool more = true; more;) {
                    more = sending > 0;
                    while (Result<RawMessage> m = in[k].try_receive()) {
                        got[k].emplace_back(m->text().substr(0, m->text().find(';')));
                        EXPECT_TRUE(m->ack());
                        more = true;
                    }
                    std::this_thread::yield();
                }
            });
        }
    }
    std::set<std::string> all;
    for (const auto& one : sent) all.insert(one.begin(), one.end());
    EXPECT_FALSE(all.empty());
    for (const auto& one : got) {
        EXPECT_EQ(one.size(), all.size());
        EXPECT_EQ(std::set(one.begin(), one.end()), all);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Copies, RacingSenders,
    testing::Values(
        MailboxOptions{.capacity = bounded(2), .priorities = 2, .max_bytes = 16},
        MailboxOptions{.capacity = bounded(2),
                       .acknowledged = true,
                       .overflow = Overflow::reject,
                       .max_bytes = 16},
        MailboxOptions{
            .capacity = bounded(64), .priorities = 2, .max_bytes = 4096, .reserve_bytes = 1},
        MailboxOptions{.capacity = unbounded(384 << 10U), .max_bytes = 2048, .reserve_bytes = 1}),
    [](const auto& one) { return std::to_string(one.index); });

}  // namespace
}  // namespace stoa
