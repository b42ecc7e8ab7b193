// What is refused: combinations that cannot be, and words that would say nothing.
#include <gtest/gtest.h>

#include <string_view>

#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/mailbox.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

class Refusal : public testing::Test {
protected:
    kit::TempDomain domain_;
};

TEST_F(Refusal, TheHandleOfDeadLettersManagesNothing) {
    RawMailbox box =
        RawMailbox::create("m", {.acknowledged = true, .dead_letter_after = 1}).value();
    ASSERT_TRUE(box.send("poison"));
    ASSERT_TRUE(box.receive().value().nack());
    RawMailbox letters = RawMailbox::open("m.dead", {.role = Role::none}).value();
    EXPECT_EQ(letters.close().error().code, Errc::bad_argument);
    EXPECT_EQ(letters.redrive().error().code, Errc::bad_argument);
    EXPECT_EQ(RawMailbox::open("m.dead", {.role = Role::sends}).error().code, Errc::bad_argument);
    EXPECT_EQ(RawMailbox::destroy("m.dead").error().code, Errc::bad_argument);
    EXPECT_FALSE(look_at_mailbox("m").value().closed);
    EXPECT_EQ(look_at_mailbox("m").value().dead_letters, 1U);
    ASSERT_TRUE(box.send("it goes on"));
}

TEST_F(Refusal, NoMailboxHidesTheDeadLettersOfAnother) {
    RawMailbox box =
        RawMailbox::create("m", {.acknowledged = true, .dead_letter_after = 1}).value();
    EXPECT_EQ(RawMailbox::create("m.dead").error().code, Errc::bad_argument);
    EXPECT_EQ(RawMailbox::create("n.dead").error().code, Errc::bad_argument);
    EXPECT_EQ(RawMailbox::open_or_create("m.dead").error().code, Errc::bad_argument);
    EXPECT_EQ(RawMailbox::open_or_create("n.dead").error().code, Errc::bad_argument);
    EXPECT_TRUE(RawMailbox::create("n.deadly"));
}

TEST_F(Refusal, WhatCannotBeIsRefusedWithTheReason) {
    const auto refused = [](const MailboxOptions& options) {
        const Result<RawMailbox> made = RawMailbox::create("no", options);
        return !made && made.error().code == Errc::bad_argument;
    };
    EXPECT_TRUE(refused({.capacity = zero(), .sharing = Sharing::broadcast}));
    EXPECT_TRUE(refused({.capacity = zero(), .overflow = Overflow::drop_oldest}));
    EXPECT_TRUE(refused({.capacity = zero(), .overflow = Overflow::drop_newest}));
    EXPECT_TRUE(refused({.capacity = unbounded(), .overflow = Overflow::drop_oldest}));
    EXPECT_TRUE(refused({.capacity = unbounded(), .overflow = Overflow::drop_newest}));
    EXPECT_TRUE(refused({.dead_letter_quota = 3}));
    EXPECT_TRUE(refused({.acknowledged = true, .dead_letter_quota = 3}));
    EXPECT_TRUE(refused({.capacity = unbounded(4 << 20U), .reserve_bytes = 8 << 20U}));
    EXPECT_TRUE(refused({.priorities = 33}));
    EXPECT_TRUE(refused({.priorities = 0}));
    EXPECT_TRUE(RawMailbox::create(
        "one", {.acknowledged = true, .dead_letter_after = 1, .dead_letter_quota = 3}));
    EXPECT_TRUE(
        RawMailbox::create("two", {.capacity = unbounded(4 << 20U), .reserve_bytes = 512 << 10U}));
    EXPECT_TRUE(RawMailbox::create("three", {.capacity = unbounded(4 << 20U)}));  // the default
}

TEST_F(Refusal, WhatSaysNothingToTheMailboxThatIsOpenedIsRefused) {
    const auto refused = [](const MailboxOptions& mailbox, const OpenOptions& how) {
        RawMailbox box = RawMailbox::create("m", mailbox).value();
        const Result<RawMailbox> opened = RawMailbox::open("m", how);
        EXPECT_TRUE(RawMailbox::destroy("m"));
        return !opened && opened.error().code == Errc::bad_argument;
    };
    using enum Sharing;
    for (const Sharing sharing : {any, pair, round_robin, broadcast}) {
        const MailboxOptions box{.sharing = sharing, .role = Role::none};
        EXPECT_TRUE(refused(box, {.role = Role::receives, .stand_by = true}));
        const OpenOptions latest{.role = Role::receives, .latest = true};
        const OpenOptions oldest{.role = Role::receives, .from_oldest = true};
        EXPECT_EQ(refused(box, latest), sharing != broadcast);
        EXPECT_EQ(refused(box, oldest), sharing != broadcast);
    }
    const MailboxOptions single{.sharing = single_receiver, .role = Role::none};
    EXPECT_FALSE(refused(single, {.role = Role::receives, .stand_by = true}));
    EXPECT_TRUE(refused(single, {.role = Role::sends, .stand_by = true}));
    EXPECT_TRUE(refused({.sharing = single_receiver, .by_turns = true, .role = Role::none},
                        {.role = Role::receives, .stand_by = true}));
    const MailboxOptions copies{.sharing = broadcast, .priorities = 2, .role = Role::none};
    EXPECT_TRUE(refused(copies, {.role = Role::receives, .from_oldest = true}));
    EXPECT_TRUE(refused(copies, {.role = Role::sends, .latest = true}));
}

TEST_F(Refusal, AKeyIsRefusedButByKeyAffine) {
    using enum Sharing;
    for (const Sharing sharing : {any, single_receiver, round_robin, broadcast, key_affine}) {
        Mailbox<int> box =
            Mailbox<int>::create("m", {.sharing = sharing, .role = Role::sends}).value();
        const Result<void> sent = box.send(1, {.key = 7});
        EXPECT_EQ(sent.has_value(), sharing == key_affine);
        if (!sent) {
            EXPECT_EQ(sent.error().code, Errc::bad_argument);
        }
        ASSERT_TRUE(Mailbox<int>::destroy("m"));
    }
}

TEST_F(Refusal, AWrongPriorityIsToldWhichThereAre) {
    RawMailbox box = RawMailbox::create("m", {.priorities = 4}).value();
    const Result<void> sent = box.send("x", {.priority = 4});
    ASSERT_FALSE(sent);
    EXPECT_EQ(std::string_view{sent.error().step}, "priority (it has 0 to 3)");
}

TEST_F(Refusal, OutcomesAndCausesHaveNames) {
    EXPECT_EQ(name(Outcome::dead_letter), "dead_letter");
    EXPECT_EQ(name(static_cast<Outcome>(15)), "unknown");
    EXPECT_EQ(name(Cause::receiver_died), "receiver_died");
}

}  // namespace
}  // namespace stoa
