#include "stoa/mailbox/routes.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

// What holds for every routed sharing, whatever carries it.
class Routed : public testing::TestWithParam<std::tuple<Sharing, bool, std::uint32_t>> {
protected:
    static MailboxOptions options(std::uint32_t capacity = 64) {
        const auto [sharing, acknowledged, priorities] = GetParam();
        return {.capacity = bounded(capacity),
                .sharing = sharing,
                .acknowledged = acknowledged,
                .priorities = priorities,
                .max_bytes = 64,
                .role = Role::sends};
    }
    static RawMailbox create(std::uint32_t capacity = 64) {
        return RawMailbox::create("m", options(capacity)).value();
    }
    static RawMailbox receiver() { return RawMailbox::open("m", {.role = Role::receives}).value(); }
    static std::string next(RawMailbox& mailbox) {
        Result<RawMessage> message = mailbox.try_receive();
        if (!message) return std::string{name(message.error().code)};
        std::string text{message->text()};
        EXPECT_TRUE(message->ack());
        return text;
    }
    static std::multiset<std::string> all_of(RawMailbox& mailbox) {
        std::multiset<std::string> texts;
        for (std::string text = next(mailbox); text != "empty"; text = next(mailbox)) {
            texts.insert(text);
        }
        return texts;
    }
    // Only key_affine takes a key.
    static SendOptions under(std::uint64_t key) {
        return {.key = std::get<0>(GetParam()) == Sharing::key_affine ? key : 0};
    }
    // Sends numbers under keys of their own.
    static void send(RawMailbox& out, int from, int to) {
        for (int i = from; i < to; ++i) {
            ASSERT_TRUE(out.send(std::to_string(i), under(static_cast<std::uint64_t>(i))));
        }
    }

    kit::TempDomain domain_;
};

TEST_P(Routed, EachMessageGoesToOneReceiver) {
    RawMailbox out = create();
    RawMailbox one = receiver();
    RawMailbox two = receiver();
    for (int round = 0; round < 5; ++round) {
        send(out, 0, 40);
        std::multiset<std::string> all = all_of(one);
        EXPECT_FALSE(all.empty());
        EXPECT_LT(all.size(), 40U);
        all.merge(all_of(two));
        EXPECT_EQ(all.size(), 40U);
        EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 40U);
    }
}

TEST_P(Routed, WithoutReceiversMessagesWaitForTheFirst) {
    RawMailbox out = create();
    send(out, 0, 10);
    RawMailbox one = receiver();
    RawMailbox two = receiver();
    EXPECT_EQ(all_of(one).size() + all_of(two).size(), 10U);
    send(out, 0, 10);
    EXPECT_EQ(all_of(one).size() + all_of(two).size(), 10U);
}

TEST_P(Routed, AReceiverThatLeavesHandsItsMessagesToTheOthers) {
    RawMailbox out = create();
    RawMailbox one = receiver();
    {
        RawMailbox two = receiver();
        send(out, 0, 20);
    }
    std::multiset<std::string> all;
    int marked = 0;
    for (int i = 0; i < 20; ++i) {
        Result<RawMessage> message = one.receive();
        ASSERT_TRUE(message);
        all.insert(std::string{message->text()});
        marked += message->redelivered() ? 1 : 0;
        ASSERT_TRUE(message->ack());
    }
    EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 20U);
    EXPECT_GT(marked, 0);
    EXPECT_EQ(look_at_mailbox("m").value().redelivered, static_cast<std::uint64_t>(marked));
    EXPECT_EQ(next(one), "empty");
    send(out, 0, 20);  // and sending goes on
    EXPECT_EQ(all_of(one).size(), 20U);
}

TEST_P(Routed, AReceiverThatIsKilledHandsItsMessagesToTheOthers) {
    RawMailbox out = create();
    RawMailbox one = receiver();
    kit::Child other{[] {
        RawMailbox two = receiver();
        ::raise(SIGSTOP);
    }};
    ASSERT_TRUE(other.wait_stopped());
    send(out, 0, 20);
    other.kill_and_wait();
    std::set<std::string> all;
    for (int i = 0; i < 20; ++i) {
        Result<RawMessage> message = one.receive();
        ASSERT_TRUE(message);
        all.insert(std::string{message->text()});
        ASSERT_TRUE(message->ack());
    }
    EXPECT_EQ(all.size(), 20U);
    EXPECT_EQ(next(one), "empty");
}

TEST_P(Routed, WhenAllReceiversAreGoneTheNextOneGetsWhatTheyLeft) {
    RawMailbox out = create();
    {
        RawMailbox one = receiver();
        RawMailbox two = receiver();
        send(out, 0, 20);
    }
    send(out, 20, 30);
    RawMailbox three = receiver();
    EXPECT_EQ(all_of(three).size(), 30U);
}

TEST_P(Routed, AStoppedReceiverKeepsOnlyItsOwn) {
    if (std::get<0>(GetParam()) == Sharing::key_affine) return;  // its keys wait for it
    RawMailbox out = create(8);
    RawMailbox one = receiver();
    kit::Child other{[] {
        RawMailbox two = receiver();
        ::raise(SIGSTOP);
    }};
    ASSERT_TRUE(other.wait_stopped());
    std::size_t got = 0;
    for (int i = 0; i < 100; ++i) {  // far more than the stopped one's queue holds
        ASSERT_TRUE(out.send(std::to_string(i)));
        got += all_of(one).size();
    }
    EXPECT_GE(got, 92U);
    other.kill_and_wait();
    for (; got < 100; ++got) ASSERT_TRUE(one.receive().value().ack());
}

TEST_P(Routed, AFullMailboxSaysSoAndABlockedSenderGoesOn) {
    RawMailbox out = create(2);
    RawMailbox one = receiver();
    RawMailbox two = receiver();
    int sent = 0;
    while (sent < 100 && out.try_send(std::to_string(sent), under(7))) ++sent;
    EXPECT_LT(sent, 100);
    EXPECT_EQ(out.try_send("x", under(7)).error().code, Errc::full);
    EXPECT_EQ(out.send_for("x", 1ms, under(7)).error().code, Errc::timed_out);
    kit::Child other{[] {
        RawMailbox late = RawMailbox::open("m", {.role = Role::sends}).value();
        for (int i = 0; i < 20; ++i) EXPECT_TRUE(late.send("late", under(7)));
    }};
    std::size_t got = 0;
    ASSERT_TRUE(kit::wait_until([&] {
        got += all_of(one).size() + all_of(two).size();
        return got == static_cast<std::size_t>(sent) + 20;
    }));
    EXPECT_TRUE(other.wait().ok());
}

TEST_P(Routed, EveryReceiverLearnsTheEnd) {
    RawMailbox out = create();
    RawMailbox one = receiver();
    RawMailbox two = receiver();
    send(out, 0, 10);
    ASSERT_TRUE(out.close());
    EXPECT_EQ(out.send("x").error().code, Errc::closed);
    std::size_t got = 0;
    for (RawMailbox* in : {&one, &two}) {
        for (Result<RawMessage> m = in->try_receive(); m; m = in->try_receive(), ++got) {
            ASSERT_TRUE(m->ack());
        }
    }
    EXPECT_EQ(got, 10U);
    EXPECT_EQ(one.receive().error().code, Errc::end_of_stream);
    EXPECT_EQ(two.receive().error().code, Errc::end_of_stream);
}

TEST_P(Routed, LoansGoToTheReceiversToo) {
    RawMailbox out = create();
    RawMailbox one = receiver();
    RawMailbox two = receiver();
    for (int i = 0; i < 10; ++i) {
        RawLoan loan = out.loan(1).value();
        loan.room()[0] = std::byte{'x'};
        ASSERT_TRUE(loan.commit(1));
    }
    EXPECT_EQ(all_of(one).size() + all_of(two).size(), 10U);
}

std::string name_of_case(
    const testing::TestParamInfo<std::tuple<Sharing, bool, std::uint32_t>>& one) {
    const auto sharing = static_cast<unsigned>(std::get<0>(one.param));
    return std::to_string(sharing) + (std::get<1>(one.param) ? "ack" : "plain") +
           std::to_string(std::get<2>(one.param));
}

INSTANTIATE_TEST_SUITE_P(Each, Routed,
                         testing::Values(std::tuple{Sharing::round_robin, false, 1U},
                                         std::tuple{Sharing::round_robin, true, 1U},
                                         std::tuple{Sharing::round_robin, false, 4U},
                                         std::tuple{Sharing::least_loaded, false, 1U},
                                         std::tuple{Sharing::least_loaded, true, 1U},
                                         std::tuple{Sharing::key_affine, false, 1U},
                                         std::tuple{Sharing::key_affine, true, 1U}),
                         name_of_case);

TEST(RoundRobin, ReceiversAreServedInTurn) {
    const kit::TempDomain domain;
    for (const bool acknowledged : {false, true}) {
        RawMailbox out = RawMailbox::create("m", {.sharing = Sharing::round_robin,
                                                  .acknowledged = acknowledged,
                                                  .role = Role::sends})
                             .value();
        std::vector<RawMailbox> in;
        for (int i = 0; i < 3; ++i) {
            in.push_back(RawMailbox::open("m", {.role = Role::receives}).value());
        }
        for (int i = 0; i < 30; ++i) ASSERT_TRUE(out.send(std::to_string(i)));
        for (RawMailbox& one : in) {
            int before = -1;
            for (int i = 0; i < 10; ++i) {
                Result<RawMessage> message = one.try_receive();
                ASSERT_TRUE(message);
                const int number = std::stoi(std::string{message->text()});
                if (before >= 0) {
                    EXPECT_EQ(number, before + 3);
                }
                before = number;
                ASSERT_TRUE(message->ack());
            }
        }
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST(LeastLoaded, TheReceiverWithTheShortestQueueGetsTheNext) {
    const kit::TempDomain domain;
    RawMailbox out =
        RawMailbox::create("m", {.sharing = Sharing::least_loaded, .role = Role::sends}).value();
    RawMailbox slow = RawMailbox::open("m", {.role = Role::receives}).value();
    RawMailbox fast = RawMailbox::open("m", {.role = Role::receives}).value();
    int got = 0;
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(out.send("x"));
        while (fast.try_receive()) ++got;
    }
    EXPECT_GE(got, 98);
}

TEST(KeyAffine, EqualKeysGoToOneReceiverAsLongAsItLives) {
    const kit::TempDomain domain;
    for (const bool acknowledged : {false, true}) {
        RawMailbox out = RawMailbox::create("m", {.sharing = Sharing::key_affine,
                                                  .acknowledged = acknowledged,
                                                  .role = Role::sends})
                             .value();
        RawMailbox other = RawMailbox::open("m", {.role = Role::sends}).value();
        std::map<std::string, std::set<int>> receivers_of;
        std::vector<RawMailbox> in;
        for (int round = 0; round < 4; ++round) {
            in.push_back(RawMailbox::open("m", {.role = Role::receives}).value());
            for (std::uint64_t key = 0; key < 50; ++key) {
                ASSERT_TRUE((key % 2 == 0 ? out : other).send(std::to_string(key), {.key = key}));
            }
            for (std::size_t i = 0; i < in.size(); ++i) {
                for (Result<RawMessage> m = in[i].try_receive(); m; m = in[i].try_receive()) {
                    receivers_of[std::string{m->text()}].insert(static_cast<int>(i));
                    ASSERT_TRUE(m->ack());
                }
            }
        }
        EXPECT_EQ(receivers_of.size(), 50U);
        for (const auto& [key, who] : receivers_of) EXPECT_EQ(who.size(), 1U) << key;
        in.clear();
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

// What was taken over twice is marked also by the second heir, who finds it at its seat.
TEST(RoundRobin, WhatIsHandedOverTwiceIsMarked) {
    const kit::TempDomain domain;
    RawMailbox out =
        RawMailbox::create("m", {.sharing = Sharing::round_robin, .role = Role::sends}).value();
    std::optional<RawMailbox> a = RawMailbox::open("m", {.role = Role::receives}).value();
    ASSERT_TRUE(out.send("0"));  // the lane to a is the first
    ASSERT_TRUE(a->try_receive());
    std::optional<RawMailbox> b = RawMailbox::open("m", {.role = Role::receives}).value();
    int sent = 1;
    for (; sent < 9; ++sent) ASSERT_TRUE(out.send(std::to_string(sent)));
    for (int i = 0; i < 4; ++i) ASSERT_FALSE(a->try_receive().value().redelivered());
    b.reset();
    ASSERT_TRUE(a->try_receive().value().redelivered());  // b's
    for (; sent < 13; ++sent) ASSERT_TRUE(out.send(std::to_string(sent)));
    a.reset();
    RawMailbox c = RawMailbox::open("m", {.role = Role::receives}).value();
    int before = -1;
    int got = 0;
    while (const Result<RawMessage> message = c.try_receive()) {
        ++got;
        const int number = std::stoi(std::string{message->text()});
        if (message->redelivered()) continue;
        EXPECT_GT(number, before);
        before = number;
    }
    EXPECT_EQ(got, 7);
}

// Who takes a lane looks whether it is drained when nobody else sends there any more: else he would
// say that nothing in it lost its order.
TEST(RoundRobin, WhatComesIntoALaneWhileAnotherSenderTakesItStaysMarked) {
    const kit::TempDomain domain;
    const auto receiver = [] { return RawMailbox::open("m", {.role = Role::receives}).value(); };
    static std::optional<RawMailbox> out;
    static std::optional<RawLoan> loan;
    out = RawMailbox::create("m", {.sharing = Sharing::round_robin, .role = Role::sends}).value();
    std::optional<RawMailbox> first = receiver();
    loan = out->loan(1).value();
    loan->room()[0] = std::byte{'a'};
    std::optional<RawMailbox> heir = receiver();
    first.reset();
    EXPECT_FALSE(heir->try_receive());     // it has the lane now, and the loan is still open
    const RawMailbox keeper = receiver();  // of the first one's station
    RawMailbox other = RawMailbox::open("m", {.role = Role::sends}).value();
    kit::call_at("mailbox.door.handed_over", [] {
        EXPECT_TRUE(loan->commit(1));
        for (const char* text : {"b", "b"}) EXPECT_TRUE(out->send(text));  // one to each
        loan.reset();
        out.reset();
    });
    for (const char* text : {"c", "c"}) ASSERT_TRUE(other.send(text));
    ASSERT_FALSE(out);
    heir.reset();
    RawMailbox next = receiver();
    std::string got;
    while (const Result<RawMessage> message = next.try_receive()) {
        got += message->text();
        EXPECT_EQ(message->redelivered(), message->text() == "a");
    }
    std::ranges::sort(got);
    EXPECT_EQ(got, "abc");
}

// An heir lets go of a lane that it has drained: coming and going uses up no places and no memory.
TEST(RoundRobin, ReceiversThatComeAndGoLeaveNoLanesBehind) {
    const kit::TempDomain domain;
    RawMailbox out =
        RawMailbox::create("m", {.sharing = Sharing::round_robin, .role = Role::sends}).value();
    RawMailbox heir = RawMailbox::open("m", {.role = Role::receives}).value();
    for (int round = 0; round < 200; ++round) {
        std::set<std::string> sent;
        {
            RawMailbox other = RawMailbox::open("m", {.role = Role::receives}).value();
            for (int i = 0; i < 4; ++i) {
                sent.insert(std::to_string(round * 4 + i));
                ASSERT_TRUE(out.send(std::to_string(round * 4 + i))) << round;
            }
        }
        while (const Result<RawMessage> message = heir.try_receive()) {
            EXPECT_EQ(sent.erase(std::string{message->text()}), 1U);
        }
        EXPECT_TRUE(sent.empty()) << round;
    }
    EXPECT_LE(look_at_mailbox("m").value().lanes_open, 3U);
}

// A loan is lent before its key is known; it goes where the key belongs all the same.
TEST(RoutedTurns, SendersOfOneMessageEachGoRoundAsWell) {
    const kit::TempDomain domain;
    for (const Sharing sharing : {Sharing::round_robin, Sharing::least_loaded}) {
        for (const bool acknowledged : {false, true}) {
            RawMailbox made =
                RawMailbox::create(
                    "m", {.sharing = sharing, .acknowledged = acknowledged, .role = Role::none})
                    .value();
            std::vector<RawMailbox> in;
            for (int i = 0; i < 3; ++i) {
                in.push_back(RawMailbox::open("m", {.role = Role::receives}).value());
            }
            for (int i = 0; i < 9; ++i) {
                ASSERT_TRUE(RawMailbox::open("m", {.role = Role::sends}).value().send("x"));
            }
            for (RawMailbox& one : in) {
                for (int i = 0; i < 3; ++i) ASSERT_TRUE(one.try_receive().value().ack());
            }
            ASSERT_TRUE(RawMailbox::destroy("m"));
        }
    }
}

TEST(KeyAffine, ALoanGoesWhereItsKeyBelongs) {
    const kit::TempDomain domain;
    for (const bool acknowledged : {false, true}) {
        RawMailbox out = RawMailbox::create("m", {.sharing = Sharing::key_affine,
                                                  .acknowledged = acknowledged,
                                                  .role = Role::sends})
                             .value();
        std::array receivers{RawMailbox::open("m", {.role = Role::receives}).value(),
                             RawMailbox::open("m", {.role = Role::receives}).value()};
        constexpr std::uint64_t kKeys = 20;
        for (std::uint64_t key = 0; key < kKeys; ++key) {
            ASSERT_TRUE(out.send(std::to_string(key), {.key = key}));
            RawLoan loan = out.loan(8).value();
            const std::string text = std::to_string(key);
            std::ranges::copy(std::as_bytes(std::span{text}), loan.room().begin());
            ASSERT_TRUE(loan.commit(text.size(), Deadline::never(), {.key = key}));
        }
        std::size_t got = 0;
        for (RawMailbox& in : receivers) {
            std::map<std::string, int> seen;
            while (Result<RawMessage> message = in.try_receive()) {
                ++seen[std::string{message->text()}];
                ASSERT_TRUE(message->ack());
                ++got;
            }
            for (const auto& [key, times] : seen) EXPECT_EQ(times, 2) << key;
            EXPECT_LT(seen.size(), kKeys);
        }
        EXPECT_EQ(got, 2 * kKeys);
        RawMailbox::destroy("m").value();
    }
}

TEST(KeyAffine, AMessageIntoALaneThatWasHandedOverMeanwhileWakesItsNewReceiver) {
    const kit::TempDomain domain;
    const RawMailbox keeper =
        RawMailbox::create("m", {.sharing = Sharing::key_affine, .role = Role::none}).value();
    const auto count = [] { return look_at_mailbox("m").value().participants.size(); };
    const auto sleeps = [](pid_t pid) {
        std::ifstream stat{"/proc/" + std::to_string(pid) + "/stat"};
        std::string line;
        std::getline(stat, line);
        return line.find(") S ") != std::string::npos;
    };
    kit::Child first{[] {
        const RawMailbox in = RawMailbox::open("m", {.role = Role::receives}).value();
        ::pause();
    }};
    ASSERT_TRUE(kit::wait_until([&] { return count() == 2; }));
    kit::Child sender{[] {
        RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
        EXPECT_TRUE(out.send("0"));
        kit::stop_self_at("lane.publish.cleared");  // behind its look where the lane leads
        EXPECT_TRUE(out.send("1"));
    }};
    ASSERT_TRUE(sender.wait_stopped());
    kit::Child heir{[] {
        g_wait_slice = 1h;
        RawMailbox in = RawMailbox::open("m", {.role = Role::receives}).value();
        EXPECT_EQ(in.receive().value().text(), "0");
        EXPECT_EQ(in.receive().value().text(), "1");
    }};
    ASSERT_TRUE(kit::wait_until([&] { return count() == 4 && sleeps(heir.pid()); }));
    first.kill_and_wait();
    ASSERT_TRUE(sweep_mailbox("m"));
    const auto received = [] { return look_at_mailbox("m").value().received; };
    ASSERT_TRUE(kit::wait_until([&] { return received() == 1 && sleeps(heir.pid()); }));
    // Another one receives where the sender believes that it sends.
    const RawMailbox third = RawMailbox::open("m", {.role = Role::receives}).value();
    sender.resume();
    EXPECT_TRUE(sender.wait().ok());
    EXPECT_TRUE(heir.wait().ok());
}

TEST(RoundRobin, ALoanNeedsNobodyToMeetAlsoWhenItsTimeIsOver) {
    const kit::TempDomain domain;
    RawMailbox out =
        RawMailbox::create(
            "m", {.capacity = zero(), .sharing = Sharing::round_robin, .role = Role::sends})
            .value();
    const RawMailbox idle = RawMailbox::open("m", {.role = Role::receives}).value();
    const Deadline over = Deadline::at(Deadline::Clock::now() - 1ms);
    Result<RawLoan> loan = out.loan(1, over);
    ASSERT_TRUE(loan);
    EXPECT_EQ(loan->commit(1, over).error().code, Errc::timed_out);
    EXPECT_EQ(out.send_with("x", over).error().code, Errc::timed_out);
}

// Places are free, memory is not: it sleeps until there is some.
TEST(RoundRobin, ASenderThatLacksMemoryDoesNotGoRoundInCircles) {
    const kit::TempDomain domain;
    RawMailbox out = RawMailbox::create("m", {.sharing = Sharing::round_robin,
                                              .receipts = true,
                                              .max_bytes = 4096,
                                              .reserve_bytes = 4096,
                                              .role = Role::sends})
                         .value();
    std::array<std::optional<RawMailbox>, 2> in;
    for (auto& one : in) one.emplace(RawMailbox::open("m", {.role = Role::receives}).value());
    const std::string large(4096, 'x');
    std::uint64_t sent = 0;
    while (out.try_send(large)) ++sent;
    ASSERT_LT(sent, 1024U);  // not for want of places
    kit::call_at("nowhere", [] {});
    const int before = kit::crash_points_passed();
    EXPECT_EQ(out.send_for(large, 250ms).error().code, Errc::timed_out);
    EXPECT_LT(kit::crash_points_passed() - before, 100);
    EXPECT_EQ(in[0]->receive().value().bytes().size(), large.size());
    EXPECT_TRUE(out.send_for(large, 1h));
}

TEST(RoundRobin, ARendezvousMeetsTheReceiverThatWaits) {
    const kit::TempDomain domain;
    RawMailbox out =
        RawMailbox::create(
            "m", {.capacity = zero(), .sharing = Sharing::round_robin, .role = Role::sends})
            .value();
    EXPECT_EQ(out.try_send("x").error().code, Errc::full);
    RawMailbox idle = RawMailbox::open("m", {.role = Role::receives}).value();
    kit::Child other{[] {
        RawMailbox in = RawMailbox::open("m", {.role = Role::receives}).value();
        for (int i = 0; i < 20; ++i) EXPECT_TRUE(in.receive());
    }};
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(out.send("x"));
    EXPECT_TRUE(other.wait().ok());
    EXPECT_EQ(idle.try_receive().error().code, Errc::empty);
}

}  // namespace
}  // namespace stoa
