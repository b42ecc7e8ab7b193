#include "stoa/mailbox/admin.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "stoa/mailbox/attachment.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "tests/kit/leaks.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

Bytes bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text});
}

class AdminTest : public testing::Test {
protected:
    static RegionImage region_of(const char* name) {
        return RegionImage::open(Domain::open().value(), mailbox_file(name), RegionKind::mailbox)
            .value();
    }
    static void die_holding(const char* name, int messages) {
        const kit::Ending ending = kit::fork_and_run([&] {
            RawMailbox in = RawMailbox::open(name, {.role = Role::receives}).value();
            std::vector<RawMessage> held;
            for (int i = 0; i < messages; ++i) held.push_back(in.try_receive().value());
            ::raise(SIGKILL);
        });
        EXPECT_EQ(ending.signal, SIGKILL);
    }

    kit::TempDomain domain_;
};

class AdminOfAny : public AdminTest,
                   public testing::WithParamInterface<std::pair<Sharing, bool>> {};

TEST_P(AdminOfAny, ALookCountsWithoutTakingPart) {
    const auto [sharing, acknowledged] = GetParam();
    RawMailbox in =
        RawMailbox::create(
            "m", {.sharing = sharing, .acknowledged = acknowledged, .role = Role::receives})
            .value();
    {
        RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
        for (int i = 0; i < 10; ++i) ASSERT_TRUE(out.send(bytes_of("12345")));
        for (int i = 0; i < 3; ++i) ASSERT_TRUE(in.receive().value().ack());
        const MailboxFacts facts = look_at_mailbox("m").value();
        EXPECT_EQ(facts.participants.size(), 2U);
        EXPECT_EQ(facts.count(sys::Life::alive), 2U);
        EXPECT_EQ(facts.sent, 10U);
        EXPECT_EQ(facts.received, 3U);
        EXPECT_EQ(facts.depth, 7U);
        EXPECT_EQ(facts.queued_bytes, 35U);
        EXPECT_GT(facts.memory_bytes, facts.plan.reserve_bytes);
    }
    const MailboxFacts facts = look_at_mailbox("m").value();  // the sender left
    EXPECT_EQ(facts.participants.size(), 1U);
    EXPECT_EQ(facts.sent, 10U);
    EXPECT_EQ(facts.depth, 7U);
}

TEST_P(AdminOfAny, WhatTheDeadDidIsStillCountedWhenTheyAreSwept) {
    const auto [sharing, acknowledged] = GetParam();
    ASSERT_TRUE(RawMailbox::create("m", {.sharing = sharing, .acknowledged = acknowledged}));
    {
        RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
        for (int i = 0; i < 5; ++i) ASSERT_TRUE(out.send(bytes_of("12345")));
    }
    die_holding("m", 2);
    EXPECT_EQ(look_at_mailbox("m")->count(sys::Life::dead), 1U);
    for (int turn = 0; turn < 2; ++turn) ASSERT_TRUE(sweep_mailbox("m"));
    const MailboxFacts facts = look_at_mailbox("m").value();
    EXPECT_TRUE(facts.participants.empty());
    EXPECT_EQ(facts.sent, 5U);
    EXPECT_EQ(facts.received, 2U);
    EXPECT_EQ(facts.depth, acknowledged ? 5U : 3U);
    EXPECT_EQ(facts.leased, 0U);
}

INSTANTIATE_TEST_SUITE_P(Mailboxes, AdminOfAny,
                         testing::Values(std::pair{Sharing::any, false},
                                         std::pair{Sharing::any, true},
                                         std::pair{Sharing::pair, false},
                                         std::pair{Sharing::pair, true},
                                         std::pair{Sharing::single_receiver, false},
                                         std::pair{Sharing::single_receiver, true}));

TEST_F(AdminTest, ALookAtALaneThatMovesIsNeverWildlyWrong) {
    // A ring of little more than two records, so that the walk is overtaken all the time.
    RawMailbox in =
        RawMailbox::create(
            "m",
            {.sharing = Sharing::pair, .max_bytes = 64, .reserve_bytes = 0, .role = Role::receives})
            .value();
    const std::uint64_t most = in.plan().lane.ring_bytes / 16;
    kit::Child sender{[] {
        RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
        std::string text;
        for (int i = 0; i < 200'000; ++i) {
            text.assign(static_cast<std::size_t>(i % 64), 'x');
            ASSERT_TRUE(out.send(bytes_of(text)));
        }
    }};
    std::thread looker{[&] {
        for (int i = 0; i < 2000; ++i) {
            const Result<MailboxFacts> facts = look_at_mailbox("m");
            ASSERT_TRUE(facts) << describe(facts.error());
            EXPECT_LE(facts->depth, most);
        }
    }};
    for (int i = 0; i < 200'000; ++i) ASSERT_TRUE(in.receive());
    looker.join();
    EXPECT_TRUE(sender.wait().ok());
    EXPECT_EQ(look_at_mailbox("m")->depth, 0U);
}

TEST_F(AdminTest, GarbageIsToldAndThenCollected) {
    using What = Collected::What;
    for (const char* name : {"condemned", "dead", "fine"}) {
        ASSERT_TRUE(RawMailbox::create(name, {.acknowledged = true}));
    }
    const RawMailbox alive = RawMailbox::open("fine").value();
    die_holding("dead", 0);
    EXPECT_TRUE(region_of("condemned").condemn());
    for (const bool dry_run : {true, true, false}) {
        const std::vector<Collected> all = collect_garbage(dry_run).value();
        ASSERT_EQ(all.size(), 2U) << dry_run;
        EXPECT_EQ(all[0].name, "condemned");
        EXPECT_EQ(all[0].what, What::finished_removal);
        EXPECT_EQ(all[1].name, "dead");
        EXPECT_EQ(all[1].what, What::swept);
        EXPECT_EQ(all[1].dead.size(), 1U);
    }
    EXPECT_TRUE(collect_garbage(false)->empty());
    EXPECT_EQ(*mailbox_names(), (std::vector<std::string>{"dead", "fine"}));
}

TEST_F(AdminTest, ACondemnedMailboxThatIsStillInUseStaysUsable) {
    RawMailbox in = RawMailbox::create("m").value();
    ASSERT_TRUE(in.send(bytes_of("kept")));
    const RawMessage held = in.receive().value();
    EXPECT_TRUE(region_of("m").condemn());
    EXPECT_EQ(collect_garbage(false)->size(), 1U);
    EXPECT_EQ(look_at_mailbox("m").error().code, Errc::not_found);
    EXPECT_EQ(in.try_receive().error().code, Errc::gone);
    EXPECT_EQ(held.bytes().size(), 4U);  // its memory lives as long as it is held
}

}  // namespace
}  // namespace stoa
