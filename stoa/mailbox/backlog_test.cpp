// An unbounded broadcast: who skips, and who has gone, holds no memory that others need.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/attachment.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kBytes = 2048;  // of a message: a segment holds a few dozen

class Backlog : public testing::TestWithParam<std::uint32_t> {  // priorities
protected:
    static RawMailbox create(std::uint64_t quota = 2U << 20U) {
        return RawMailbox::create("m", options(quota)).value();
    }
    static MailboxOptions options(std::uint64_t quota) {
        return {.capacity = unbounded(quota),
                .sharing = Sharing::broadcast,
                .priorities = GetParam(),
                .max_bytes = kBytes,
                .reserve_bytes = 1,
                .role = Role::sends};
    }
    static RawMailbox subscribe(bool latest = false) {
        return RawMailbox::open("m", {.role = Role::receives, .latest = latest}).value();
    }
    static Result<void> send(RawMailbox& out, int number, std::uint32_t priority = 0) {
        std::string text = std::to_string(number);
        text.resize(kBytes, ' ');
        return out.try_send(text, {.priority = priority});
    }
    static int number_of(const RawMessage& message) {
        return std::stoi(std::string{message.text()});
    }
    static int count_of(RawMailbox& in) {
        int count = 0;
        while (in.try_receive()) ++count;
        return count;
    }
    static int send_all(RawMailbox& out) {  // until it fails
        int sent = 0;
        while (sent < 100'000 && send(out, sent)) ++sent;
        return sent;
    }
    // What is in order, and what was missed, sum up to all that was sent.
    static void expect_all_accounted(RawMailbox& in, int sent, int got = 0,
                                     std::uint64_t missed = 0) {
        int last = -1;
        while (const Result<RawMessage> m = in.try_receive()) {
            EXPECT_GT(number_of(*m), last);
            last = number_of(*m);
            missed += m->missed();
            ++got;
        }
        EXPECT_EQ(last, sent - 1);
        EXPECT_EQ(got + static_cast<int>(missed), sent);
    }

    kit::TempDomain domain_;
};

TEST_P(Backlog, ASlowLatestSubscriberDelaysNobodyAndIsToldWhatItMissed) {
    RawMailbox out = create();
    RawMailbox fast = subscribe();
    RawMailbox slow = subscribe(true);
    constexpr int kSent = 5000;
    for (int i = 0; i < kSent; ++i) {
        ASSERT_TRUE(send(out, i)) << i;
        const Result<RawMessage> got = fast.try_receive();
        ASSERT_TRUE(got);
        ASSERT_EQ(number_of(*got), i);
        ASSERT_EQ(got->missed(), 0U);
    }
    const MailboxFacts facts = look_at_mailbox("m").value();
    EXPECT_GT(facts.dropped_oldest, 3000U);
    EXPECT_GT(facts.depth, 100U);  // it keeps what there is room for
    EXPECT_EQ(facts.dropped_oldest + facts.depth, kSent + 0U);
    expect_all_accounted(slow, kSent);
}

// Also one that holds messages in several segments, the oldest among them.
TEST_P(Backlog, AStoppedLatestSubscriberDelaysNobody) {
    RawMailbox out = create();
    RawMailbox fast = subscribe();
    kit::Child stopped{[] {
        RawMailbox mine = subscribe(true);
        std::vector<RawMessage> held;
        ::raise(SIGSTOP);
        for (int i = 0; i < 3; ++i) {
            for (int k = 0; k < 40; ++k) (void)mine.try_receive();
            held.push_back(mine.try_receive().value());
        }
        ::raise(SIGSTOP);
        int got = 123;
        std::uint64_t missed = 0;
        for (int last = -1;; ++got) {
            const Result<RawMessage> m = mine.try_receive();
            if (!m) break;
            EXPECT_GT(number_of(*m), last);
            last = number_of(*m);
            missed += m->missed();
        }
        for (std::size_t i = 0; i < 3; ++i) {
            EXPECT_EQ(number_of(held[i]), 41 * static_cast<int>(i) + 40);
        }
        EXPECT_EQ(got + static_cast<int>(missed), 5000);
    }};
    ASSERT_TRUE(stopped.wait_stopped());
    for (int i = 0; i < 5000; ++i) {
        if (i == 200) {
            stopped.resume();
            ASSERT_TRUE(stopped.wait_stopped());
        }
        ASSERT_TRUE(send(out, i)) << i;
        EXPECT_EQ(count_of(fast), 1);
    }
    stopped.resume();
    EXPECT_TRUE(stopped.wait().ok());
}

TEST_P(Backlog, OneSegmentIsEnoughForALatestSubscriber) {
    std::uint64_t quota = 16 * 1024;
    while (!RawMailbox::create("m", options(quota))) quota += 16 * 1024;
    RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
    RawMailbox slow = subscribe(true);
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(send(out, i)) << i;
    const MailboxFacts facts = look_at_mailbox("m").value();
    EXPECT_EQ(facts.segments, 1U);
    EXPECT_EQ(facts.dropped_oldest + facts.depth, 1000U);
    expect_all_accounted(slow, 1000);
}

// All of the only segment is lent: it misses what is sent meanwhile, and no sender waits for it.
TEST_P(Backlog, ALatestSubscriberThatHoldsAllTheMemoryMissesTheNext) {
    MailboxOptions small = options(16 * 1024);
    small.loan_quota = 64;
    while (!RawMailbox::create("m", small)) small.capacity.quota_bytes += 16 * 1024;
    RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
    RawMailbox slow = subscribe(true);
    std::vector<RawMessage> held;
    int sent = 0;
    while (held.size() < 64) {
        ASSERT_TRUE(send(out, sent++));
        Result<RawMessage> got = slow.try_receive();
        if (!got) break;
        EXPECT_EQ(number_of(*got), sent - 1);
        held.push_back(std::move(*got));
    }
    const int got = static_cast<int>(held.size());
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(send(out, sent++));
    held.clear();
    ASSERT_TRUE(send(out, sent++));
    expect_all_accounted(slow, sent, got);
}

TEST_P(Backlog, OnlyReliableSubscribersReachTheQuotaAndAFailedSendReachesNobody) {
    RawMailbox out = create();
    int alone = 0;
    {
        RawMailbox slow = subscribe();
        alone = send_all(out);
    }
    RawMailbox latest = subscribe(true);  // there first, so that it holds memory
    for (int i = 0; i < alone; ++i) ASSERT_TRUE(send(out, i)) << i;
    RawMailbox slow = subscribe();
    const int sent = send_all(out);
    const int segment = alone / static_cast<int>(look_at_mailbox("m").value().segments);
    EXPECT_GE(sent, alone - 2 * segment);  // but for what each subscriber keeps
    for (int i = 0; i < 3; ++i) EXPECT_EQ(send(out, sent).error().code, Errc::quota_reached);
    int last = -1;
    while (const Result<RawMessage> m = latest.try_receive()) last = number_of(*m);
    EXPECT_EQ(last, sent - 1);
    EXPECT_EQ(count_of(slow), sent);
    ASSERT_TRUE(send(out, sent));
}

TEST_P(Backlog, WhatWaitsForOneThatLeftIsGivenBack) {
    RawMailbox out = create();
    RawMailbox fast = subscribe();
    for (int round = 0; round < 5; ++round) {
        RawMailbox leaver = subscribe();
        const int sent = send_all(out);
        EXPECT_GT(sent, 100);
        EXPECT_EQ(count_of(fast), sent);
        {
            const RawMailbox last = std::move(leaver);
        }
        EXPECT_LE(look_at_mailbox("m").value().segments, 4U);
    }
}

TEST_P(Backlog, WhatWaitsForOneThatDiedOrStoppedWhileItLeftHoldsNoSenderBack) {
    RawMailbox out = create();
    RawMailbox fast = subscribe();
    for (const bool dies : {true, false}) {
        kit::Child slow{[] {
            const RawMailbox mine = subscribe();
            ::raise(SIGSTOP);
            kit::stop_self_at("mailbox.leave.seats");
        }};
        ASSERT_TRUE(slow.wait_stopped());
        const int sent = send_all(out);
        EXPECT_EQ(count_of(fast), sent);
        if (dies) {
            slow.kill_and_wait();
        } else {
            slow.resume();
            ASSERT_TRUE(slow.wait_stopped());
        }
        int more = 0;
        const Deadline end = Deadline::after(60s);
        while (more < 2000 && !end.passed()) {  // as soon as the death is found
            if (send(out, more)) more += count_of(fast);
        }
        EXPECT_EQ(more, 2000);
        if (dies) continue;
        slow.resume();
        EXPECT_TRUE(slow.wait().ok());
    }
}

// Who comes to a full mailbox needs a segment.
TEST_P(Backlog, ANewSubscriberFindsMemoryWhereALatestOneHoldsAllOfIt) {
    RawMailbox out = create();
    RawMailbox latest = subscribe(true);
    for (int i = 0; i < 3000; ++i) ASSERT_TRUE(send(out, i));
    const Result<RawMailbox> next = RawMailbox::open("m", {.role = Role::receives});
    EXPECT_TRUE(next) << describe(next.error());
}

// A sender that stops while it makes room takes nothing of who comes to that place afterwards.
TEST_P(Backlog, WhoComesLaterLosesNothingToALateSender) {
    for (const char* point :
         {"mailbox.backlog.begun", "mailbox.backlog.listed", "mailbox.backlog.dropped"}) {
        RawMailbox out = create(1U << 20U);
        auto first = std::make_unique<RawMailbox>(subscribe(true));
        for (int i = 0; i < 600; ++i) ASSERT_TRUE(send(out, i));
        kit::Child sender{[&] {
            RawMailbox mine = RawMailbox::open("m", {.role = Role::sends}).value();
            kit::stop_self_at(point);
            for (int i = 1000; send(mine, i); ++i) ASSERT_LT(i, 3000);
        }};
        ASSERT_TRUE(sender.wait_stopped()) << point;
        first.reset();
        RawMailbox next = subscribe();
        const int sent = send_all(out);
        EXPECT_GT(sent, 100);
        sender.resume();
        EXPECT_TRUE(sender.wait().ok());
        for (int i = 0; i < sent; ++i) {
            const Result<RawMessage> got = next.try_receive();
            ASSERT_TRUE(got) << point;
            ASSERT_EQ(number_of(*got), i) << point;
        }
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

// It was to drop the oldest of one that skips, who has gone meanwhile: what waits there now is
// meant for another, who does not skip.
TEST_P(Backlog, WhoTakesTheSeatOfALatestOneLosesNothingToALateSender) {
    for (const bool bound : {false, true}) {
        MailboxOptions small = options(16 * 1024);
        small.overflow = Overflow::reject;
        small.priorities = 2;  // else logs carry the bounded one
        if (bound) small.capacity = bounded(4);
        while (!RawMailbox::create("m", small)) small.capacity.quota_bytes += 16 * 1024;
        RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
        auto first = std::make_unique<RawMailbox>(subscribe(true));
        for (int i = 0; i < 100; ++i) ASSERT_TRUE(send(out, i));
        kit::Child sender{[] {
            RawMailbox mine = RawMailbox::open("m", {.role = Role::sends}).value();
            kit::stop_self_at("pool.drop.before");
            EXPECT_TRUE(send(mine, 1000));
        }};
        ASSERT_TRUE(sender.wait_stopped());
        first.reset();
        RawMailbox next = subscribe();
        const int sent = send_all(out);
        EXPECT_GT(sent, 0);
        sender.resume();
        EXPECT_TRUE(sender.wait().ok());
        for (int i = 0; i < sent; ++i) {
            const Result<RawMessage> got = next.try_receive();
            ASSERT_TRUE(got);
            EXPECT_EQ(number_of(*got), i);
            EXPECT_EQ(got->missed(), 0U);
        }
        EXPECT_EQ(count_of(next), 0);
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

// A handle keeps the segment that it receives from, whichever seat it has.
TEST_P(Backlog, EverySubscriberPinsWhereItReceives) {
    RawMailbox out = create();
    std::vector<RawMailbox> in;
    for (int i = 0; i < 3; ++i) in.push_back(subscribe());
    in.clear();  // who comes next finds the queues of all seats
    for (int i = 0; i < 3; ++i) in.push_back(subscribe());
    ASSERT_TRUE(send(out, 1));
    for (RawMailbox& one : in) {
        EXPECT_TRUE(one.try_receive());
        Attachment& at = one.attachment();
        const ParticipantRecord& record = at.region().participants().record(at.index());
        EXPECT_NE(record.pins[static_cast<std::size_t>(Pin::in)].load(), 0U);
    }
}

// Subscribers that skip, that come and go; and one that must get all that was sent.
TEST_P(Backlog, AReliableSubscriberGetsAllWhileOthersSkipAndLeave) {
    constexpr std::size_t kSenders = 2;
    RawMailbox keep = create(512U << 10U);
    RawMailbox reliable = subscribe();
    RawMailbox slow = subscribe(true);
    std::atomic<std::size_t> sending = kSenders;
    std::vector<int> sent(kSenders);
    std::vector<int> got(kSenders);
    {
        std::vector<std::jthread> threads;
        for (std::size_t s = 0; s < kSenders; ++s) {
            threads.emplace_back([&, s] {
                RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
                for (int tries = 0; tries < 5'000; ++tries) {
                    if (send(out, sent[s] * 10 + static_cast<int>(s))) {
                        ++sent[s];
                    } else {
                        std::this_thread::yield();
                    }
                }
                --sending;
            });
        }
        for (int k = 0; k < 2; ++k) {
            threads.emplace_back([&, k] {
                for (int n = 0; sending > 0; ++n) {
                    const Result<RawMailbox> in =
                        RawMailbox::open("m", {.role = Role::receives, .latest = (n + k) % 2 == 0});
                    EXPECT_TRUE(in || in.error().code == Errc::quota_reached);
                    for (int i = 0; in && i < n % 50; ++i) std::this_thread::yield();
                }
            });
        }
        for (bool more = true; more;) {
            more = sending > 0;
            while (const Result<RawMessage> m = reliable.try_receive()) {
                const int number = number_of(*m);
                EXPECT_EQ(number / 10, got[static_cast<std::size_t>(number % 10)]++);
                EXPECT_EQ(m->missed(), 0U);
                more = true;
            }
        }
    }
    EXPECT_EQ(got, sent);
    std::uint64_t skipped = 0;
    while (const Result<RawMessage> m = slow.try_receive()) skipped += m->missed() + 1;
    EXPECT_EQ(skipped, static_cast<std::uint64_t>(sent[0] + sent[1]));
    reliable = subscribe();
    ASSERT_TRUE(send(keep, 1));
    EXPECT_LE(look_at_mailbox("m").value().segments, 6U);  // those of seats that were taken
}

INSTANTIATE_TEST_SUITE_P(Priorities, Backlog, testing::Values(1U, 3U));

}  // namespace
}  // namespace stoa
