// Times to live where nobody receives: what is overdue makes room.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr std::array kOverflows{"block", "reject", "drop_oldest", "drop_newest"};

class Expiry : public testing::Test {
protected:
    static std::string next(RawMailbox& mailbox) {
        const Result<RawMessage> message = mailbox.try_receive();
        return std::string{message ? message->text() : name(message.error().code)};
    }
    kit::TempDomain domain_;
};

struct Carried {
    const char* name;
    MailboxOptions options;
};

// Every sharing whose messages may expire, each by each way to be full.
class FullOfOverdue : public testing::TestWithParam<std::tuple<Carried, Overflow, bool>> {
protected:
    kit::TempDomain domain_;
};

// Both places are taken, and nobody receives.
TEST_P(FullOfOverdue, GivesItsPlacesToTheNextMessages) {
    const auto& [kind, overflow, keep] = GetParam();
    MailboxOptions options = kind.options;
    options.capacity = bounded(2);
    options.receipts = true;
    options.overflow = overflow;
    options.keep_expired = keep;
    options.role = Role::receives;
    RawMailbox in = RawMailbox::create("m", options).value();
    RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
    const bool one_each = options.sharing != Sharing::broadcast;
    std::vector<Receipt> receipts;
    for (int i = 0; i < 2; ++i) {
        if (one_each) {
            receipts.push_back(out.send_with_receipt("old", {.time_to_live = 1ns}).value());
        } else {
            ASSERT_TRUE(out.send("old", {.time_to_live = 1ns}));
        }
    }
    for (const char* text : {"new", "newer"}) ASSERT_TRUE(out.try_send(text)) << text;
    for (Receipt& receipt : receipts) EXPECT_EQ(receipt.wait().value().outcome, Outcome::expired);
    for (const char* text : {"new", "newer"}) {
        Result<RawMessage> message = in.try_receive();
        ASSERT_TRUE(message) << text;
        EXPECT_EQ(message->text(), text);
        EXPECT_TRUE(message->ack());
    }
    const MailboxFacts facts = look_at_mailbox("m").value();
    EXPECT_EQ(facts.expired, 2U);
    EXPECT_EQ(facts.dropped_oldest + facts.dropped_newest, 0U);
    EXPECT_EQ(facts.dead_letters, keep ? 2U : 0U);
    EXPECT_EQ(facts.depth, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, FullOfOverdue,
    testing::Combine(
        testing::Values(Carried{"any", {}}, Carried{"acknowledged", {.acknowledged = true}},
                        Carried{"priorities", {.priorities = 3}},
                        Carried{"single_receiver", {.sharing = Sharing::single_receiver}},
                        Carried{"pair", {.sharing = Sharing::pair, .one_way = true}},
                        Carried{"round_robin", {.sharing = Sharing::round_robin}},
                        Carried{"least_loaded", {.sharing = Sharing::least_loaded}},
                        Carried{"key_affine", {.sharing = Sharing::key_affine}},
                        Carried{"broadcast", {.sharing = Sharing::broadcast}}),
        testing::Values(Overflow::block, Overflow::reject, Overflow::drop_oldest,
                        Overflow::drop_newest),
        testing::Bool()),
    [](const auto& of) {
        return std::string{std::get<0>(of.param).name} + "_" +
               kOverflows.at(static_cast<std::size_t>(std::get<1>(of.param))) +
               (std::get<2>(of.param) ? "_keep" : "");
    });

TEST_F(Expiry, ASenderThatWaitsForRoomNeedsNoReceiverWhenSomethingExpires) {
    RawMailbox box = RawMailbox::create("m", {.capacity = bounded(1)}).value();
    ASSERT_TRUE(box.send("old", {.time_to_live = 150ms}));
    EXPECT_EQ(box.try_send("new").error().code, Errc::full);
    ASSERT_TRUE(box.send_for("new", 1h));
    EXPECT_EQ(next(box), "new");
    EXPECT_EQ(look_at_mailbox("m").value().expired, 1U);
}

TEST_F(Expiry, MemoryOfWhatIsOverdueIsFreeAlsoBehindAMessageThatIsNot) {
    RawMailbox box =
        RawMailbox::create("m", {.max_bytes = 64 * 1024, .reserve_bytes = 64 * 1024}).value();
    const std::string large(64 * 1024, 'x');
    ASSERT_TRUE(box.send("first"));
    int sent = 0;
    while (box.try_send(large, {.time_to_live = 1h})) ++sent;
    ASSERT_GT(sent, 0);
    while (box.try_receive()) {
    }
    ASSERT_TRUE(box.send("first"));
    for (int i = 0; i < sent; ++i) ASSERT_TRUE(box.try_send(large, {.time_to_live = 1ns}));
    for (int i = 0; i < sent; ++i) ASSERT_TRUE(box.send_for(large, 1h));
    EXPECT_EQ(look_at_mailbox("m").value().expired, static_cast<std::uint64_t>(sent));
    EXPECT_EQ(next(box), "first");
    for (int i = 0; i < sent; ++i) ASSERT_EQ(next(box), large);
}

// What expires while it waits to be met is gone, and so is the memory that it lay in.
TEST_F(Expiry, ARendezvousThatNobodyCameToInItsTimeToLiveHasTimedOut) {
    for (const bool keep : {false, true}) {
        for (const Sharing sharing : {Sharing::any, Sharing::round_robin, Sharing::key_affine}) {
            RawMailbox out = RawMailbox::create("m", {.capacity = zero(),
                                                      .sharing = sharing,
                                                      .keep_expired = keep,
                                                      .role = Role::sends})
                                 .value();
            const SendOptions short_lived{.time_to_live = 1ms};
            EXPECT_EQ(out.send("old", short_lived).error().code, Errc::timed_out);
            {
                RawLoan loan = out.loan(3).value();
                std::memcpy(loan.room().data(), "old", 3);
                const Deadline never = Deadline::never();
                EXPECT_EQ(loan.commit(3, never, short_lived).error().code, Errc::timed_out);
                const bool in_mailbox = sharing != Sharing::key_affine;
                EXPECT_EQ(loan.room().empty(), in_mailbox);
                EXPECT_EQ(loan.commit(3, never, short_lived).error().code,
                          in_mailbox ? Errc::not_owner : Errc::timed_out);
            }
            const MailboxFacts facts = look_at_mailbox("m").value();
            EXPECT_EQ(facts.depth, 0U);
            EXPECT_EQ(facts.loaned, 0U);
            EXPECT_EQ(facts.expired, sharing != Sharing::key_affine ? 2U : 3U);
            RawMailbox::destroy("m").value();
        }
    }
}

}  // namespace
}  // namespace stoa
