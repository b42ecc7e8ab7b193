// Looking at what waits, whoever carries it and whoever looks.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "stoa/sys/coarse_clock.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

struct Kind {
    const char* name;
    MailboxOptions options;
};

class PeekOrder : public testing::Test {
protected:
    static std::vector<std::string> all_of(RawMailbox& box) {
        std::vector<std::string> all;
        std::vector<std::byte> room(64);
        for (;;) {
            const Result<std::size_t> length = box.peek(room, all.size());
            if (!length) {
                EXPECT_EQ(length.error().code, Errc::empty);
                return all;
            }
            all.emplace_back(reinterpret_cast<const char*>(room.data()), *length);
        }
    }
    kit::TempDomain domain_;
};

class Peek : public PeekOrder, public testing::WithParamInterface<Kind> {};

TEST_P(Peek, ShowsWhatWaitsInOrderAndLeavesIt) {
    MailboxOptions options = GetParam().options;
    options.role = Role::sends;
    RawMailbox out = RawMailbox::create("m", options).value();
    RawMailbox in = RawMailbox::open("m", {.role = Role::receives}).value();
    RawMailbox looker = RawMailbox::open("m", {.role = Role::none}).value();
    EXPECT_EQ(all_of(in), std::vector<std::string>{});
    EXPECT_EQ(all_of(looker), std::vector<std::string>{});
    const std::vector<std::string> sent{"one", "", "three", "the fourth"};
    for (const std::string& text : sent) ASSERT_TRUE(out.send(text));
    EXPECT_EQ(all_of(in), sent);
    EXPECT_EQ(all_of(looker), sent);
    std::vector<std::byte> small(4);
    EXPECT_EQ(looker.peek(small, 3).value(), 10U);  // its whole length
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(small.data()), 4), "the ");
    const auto take = [&] {
        RawMessage message = in.try_receive().value();
        const std::string text{message.text()};
        EXPECT_TRUE(message.ack());
        return text;
    };
    EXPECT_EQ(take(), "one");
    const std::vector<std::string> rest{"", "three", "the fourth"};
    EXPECT_EQ(all_of(in), rest);
    EXPECT_EQ(all_of(looker), rest);
    for (const std::string& text : rest) EXPECT_EQ(take(), text);
    EXPECT_EQ(all_of(looker), std::vector<std::string>{});
}

// A peek at everything, then receives of everything, give the same.
void expect_what_comes(RawMailbox& box, const std::vector<std::string>& seen) {
    std::vector<std::string> got;
    for (;;) {
        Result<RawMessage> message = box.try_receive();
        if (!message) break;
        got.emplace_back(message->text());
        ASSERT_TRUE(message->ack());
    }
    EXPECT_EQ(seen, got);
}

TEST_F(PeekOrder, OverdueMessagesAreLeftOut) {
    for (const Capacity& capacity : {bounded(16), unbounded(1U << 20U)}) {
        RawMailbox box = RawMailbox::create("m", {.capacity = capacity, .receipts = true}).value();
        for (int i = 0; i < 6; ++i) {
            const std::chrono::nanoseconds ttl{i % 2 == 0 ? 1 : 0};
            ASSERT_TRUE(box.send(std::to_string(i), {.time_to_live = ttl}));
        }
        const std::vector<std::string> seen = all_of(box);
        EXPECT_EQ(seen, (std::vector<std::string>{"1", "3", "5"}));
        expect_what_comes(box, seen);
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(PeekOrder, ThoseThatAgedComeBeforeHigherOnes) {
    RawMailbox box =
        RawMailbox::create("m", {.priorities = 4, .ageing = std::chrono::milliseconds{1}}).value();
    for (const std::uint32_t priority : {0U, 1U, 3U}) {
        ASSERT_TRUE(box.send("old " + std::to_string(priority), {.priority = priority}));
    }
    const std::uint64_t sent_ns = sys::steady_ns();
    while (sys::steady_ns() - sent_ns < 100'000'000) std::this_thread::yield();
    ASSERT_TRUE(box.send("new 3", {.priority = 3}));
    ASSERT_TRUE(box.send("new 0", {.priority = 0}));
    const std::vector<std::string> seen = all_of(box);
    ASSERT_EQ(seen.size(), 5U);
    EXPECT_NE(seen[0], "new 3");
    EXPECT_NE(seen[1], "new 3");
    expect_what_comes(box, seen);
}

TEST_F(PeekOrder, PrioritiesGoBeforeSegments) {
    RawMailbox box = RawMailbox::create(
                         "m", {.capacity = unbounded(1U << 22U), .priorities = 2, .max_bytes = 64})
                         .value();
    int count = 0;
    while (look_at_mailbox("m").value().segments < 3) {
        ASSERT_TRUE(box.send(std::to_string(count++)));
    }
    ASSERT_TRUE(box.send("urgent", {.priority = 1}));
    std::vector<std::byte> room(64);
    ASSERT_EQ(box.peek(room).value(), 6U);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(room.data()), 6), "urgent");
    EXPECT_EQ(box.receive().value().text(), "urgent");
}

TEST_F(PeekOrder, WhatCameBackComesFirst) {
    RawMailbox box = RawMailbox::create("m", {.acknowledged = true}).value();
    for (const char* text : {"a", "b", "c", "d"}) ASSERT_TRUE(box.send(text));
    {
        RawMessage first = box.receive().value();
        RawMessage second = box.receive().value();
        ASSERT_TRUE(second.nack());
        ASSERT_TRUE(first.nack());
    }
    const std::vector<std::string> seen = all_of(box);
    EXPECT_EQ(seen.size(), 4U);
    expect_what_comes(box, seen);
}

TEST_F(PeekOrder, DeadLettersCanBeLookedAt) {
    RawMailbox box =
        RawMailbox::create("m", {.acknowledged = true, .dead_letter_after = 1}).value();
    for (const char* text : {"a", "b", "c"}) ASSERT_TRUE(box.send(text));
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(box.receive().value().nack());
    RawMailbox letters = RawMailbox::open("m.dead", {.role = Role::none}).value();
    EXPECT_EQ(all_of(letters).size(), 2U);
    EXPECT_EQ(all_of(box), std::vector<std::string>{"c"});
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Peek,
    testing::Values(Kind{"any", {}}, Kind{"single_receiver", {.sharing = Sharing::single_receiver}},
                    Kind{"pair", {.sharing = Sharing::pair}},
                    Kind{"pair_acknowledged", {.sharing = Sharing::pair, .acknowledged = true}},
                    Kind{"round_robin", {.sharing = Sharing::round_robin}},
                    Kind{"least_loaded", {.sharing = Sharing::least_loaded}},
                    Kind{"key_affine", {.sharing = Sharing::key_affine}},
                    Kind{"broadcast", {.sharing = Sharing::broadcast}},
                    Kind{"broadcast_receipts", {.sharing = Sharing::broadcast, .receipts = true}},
                    Kind{"unbounded", {.capacity = unbounded(1U << 20U)}}),
    [](const testing::TestParamInfo<Kind>& kind) { return std::string{kind.param.name}; });

}  // namespace
}  // namespace stoa
