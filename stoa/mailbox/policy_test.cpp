#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
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

class MailboxPolicy : public testing::Test {
protected:
    static RawMailbox create(const MailboxOptions& options) {
        return RawMailbox::create("m", options).value();
    }
    static RawMailbox open(Role role) { return RawMailbox::open("m", {.role = role}).value(); }
    static std::string next(RawMailbox& mailbox, int count = 1) {
        std::string texts;
        for (int i = 0; i < count; ++i) {
            const Result<RawMessage> message = mailbox.try_receive();
            texts += message ? message->text() : name(message.error().code);
        }
        return texts;
    }
    static MailboxFacts facts() { return look_at_mailbox("m").value(); }
    // The payload of a child's receive; the child stays alive until it is killed.
    static kit::Child receiver(bool ack) {
        return kit::Child{[ack] {
            RawMailbox mailbox = open(Role::receives);
            Result<RawMessage> message = mailbox.receive();
            if (message && ack) static_cast<void>(message->ack());
            ::pause();
        }};
    }

    kit::TempDomain domain_;
};

// --- words --------------------------------------------------------------------------------------

TEST_F(MailboxPolicy, WordsThatWouldSayNothingAreRefused) {
    const std::pair<MailboxOptions, std::string_view> refused[] = {
        {{.one_way = true}, "one_way (only a pair has two ways)"},
        {{.by_turns = true}, "by_turns (turns are a kind of single_receiver)"},
        {{.dead_letter_after = 1}, "dead_letter_after (only what is to be acked comes back)"},
        {{.ageing = 1s}, "ageing (there is one priority only: add priorities)"},
        {{.sharing = Sharing::pair, .keep_expired = true},
         "keep_expired (nothing expires here: add receipts or a time_to_live)"},
    };
    for (const auto& [options, why] : refused) {
        const Result<RawMailbox> made = RawMailbox::create("m", options);
        ASSERT_FALSE(made) << why;
        EXPECT_EQ(made.error().code, Errc::bad_argument);
        EXPECT_EQ(made.error().step, why);
    }
}

// --- overflow -----------------------------------------------------------------------------------

TEST_F(MailboxPolicy, RejectSaysFullAtOnceAlsoWhenItIsAskedToWait) {
    for (const Sharing sharing : {Sharing::any, Sharing::single_receiver, Sharing::pair}) {
        RawMailbox in = create({.capacity = bounded(2),
                                .sharing = sharing,
                                .overflow = Overflow::reject,
                                .role = Role::receives});
        RawMailbox out = open(Role::sends);
        ASSERT_TRUE(out.send("1"));
        ASSERT_TRUE(out.send("2"));
        EXPECT_EQ(out.send("3").error().code, Errc::full);
        EXPECT_EQ(next(in), "1");
        EXPECT_TRUE(out.send("4"));
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(MailboxPolicy, DropOldestKeepsTheNewestAndCounts) {
    RawMailbox box = create({.capacity = bounded(3), .overflow = Overflow::drop_oldest});
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(box.send(std::to_string(i)));
    EXPECT_EQ(facts().dropped_oldest, 7U);
    EXPECT_EQ(facts().depth, 3U);
    EXPECT_EQ(next(box, 4), "789empty");
}

TEST_F(MailboxPolicy, DropNewestKeepsTheOldestAndCounts) {
    RawMailbox box = create({.capacity = bounded(3), .overflow = Overflow::drop_newest});
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(box.send(std::to_string(i)));
    EXPECT_EQ(facts().dropped_newest, 7U);
    EXPECT_EQ(next(box, 4), "012empty");
}

TEST_F(MailboxPolicy, AMessageToBeDeliveredAgainIsDroppedWhenItIsTheOldest) {
    RawMailbox box = create({.capacity = bounded(4), .overflow = Overflow::drop_oldest});
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(box.send(std::to_string(i)));
    kit::Child other{[] {
        RawMailbox in = open(Role::receives);
        kit::kill_self_at("pool.take.taken");
        static_cast<void>(in.receive());
    }};
    EXPECT_EQ(other.wait().signal, SIGKILL);
    static_cast<void>(sweep_mailbox("m"));  // 0 waits again, in its slot
    ASSERT_TRUE(box.send("4"));
    EXPECT_EQ(facts().dropped_oldest, 1U);
    EXPECT_EQ(next(box, 4), "1234");
}

TEST_F(MailboxPolicy, DropOldestSparesHigherPriorities) {
    RawMailbox box =
        create({.capacity = bounded(2), .overflow = Overflow::drop_oldest, .priorities = 3});
    ASSERT_TRUE(box.send("high", {.priority = 2}));
    ASSERT_TRUE(box.send("low"));
    ASSERT_TRUE(box.send("middle", {.priority = 1}));  // drops low
    ASSERT_TRUE(box.send("late"));                     // all others are higher: it is dropped
    EXPECT_EQ(next(box), "high");
    EXPECT_EQ(next(box), "middle");
    EXPECT_EQ(next(box), "empty");
    EXPECT_EQ(facts().dropped_oldest + facts().dropped_newest, 2U);
}

// --- priorities ---------------------------------------------------------------------------------

TEST_F(MailboxPolicy, TheHighestPriorityGoesFirstAndEachIsInOrder) {
    for (const Sharing sharing : {Sharing::any, Sharing::single_receiver, Sharing::pair}) {
        RawMailbox in = create({.capacity = bounded(64),
                                .sharing = sharing,
                                .priorities = 32,
                                .role = Role::receives});
        RawMailbox out = open(Role::sends);
        for (int round = 0; round < 3; ++round) {
            std::string wanted;
            for (const std::uint32_t priority : {0U, 31U, 7U, 31U, 0U, 8U}) {
                ASSERT_TRUE(out.send(std::to_string(priority), {.priority = priority}));
            }
            std::string got;
            for (int i = 0; i < 6; ++i) got += next(in) + ",";
            EXPECT_EQ(got, "31,31,8,7,0,0,");
            EXPECT_EQ(next(in), "empty");
        }
        EXPECT_EQ(out.send("x", {.priority = 32}).error().code, Errc::bad_argument);
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(MailboxPolicy, TheCapacityIsThatOfAllPrioritiesTogether) {
    RawMailbox box = create({.capacity = bounded(4), .priorities = 4});
    for (std::uint32_t i = 0; i < 4; ++i) ASSERT_TRUE(box.send("x", {.priority = i}));
    for (std::uint32_t i = 0; i < 4; ++i) {
        EXPECT_EQ(box.try_send("x", {.priority = i}).error().code, Errc::full);
    }
    EXPECT_EQ(next(box), "x");
    EXPECT_TRUE(box.try_send("x", {.priority = 0}));
    EXPECT_EQ(box.try_send("x").error().code, Errc::full);
}

TEST_F(MailboxPolicy, ASenderThatDiedBeforeItsHintHidesItsMessageNotForEver) {
    RawMailbox box = create({.capacity = bounded(8), .priorities = 2});
    ASSERT_TRUE(box.send("low"));
    kit::Child other{[] {
        RawMailbox out = open(Role::sends);
        kit::kill_self_at("pool.publish.before_level");
        static_cast<void>(out.send("high", {.priority = 1}));
    }};
    EXPECT_EQ(other.wait().signal, SIGKILL);
    int turns = 0;
    for (bool came = false; turns < 1000 && !came; ++turns) {  // the other queue is never empty
        ASSERT_TRUE(box.send("low"));
        came = next(box) == "high";
    }
    EXPECT_LT(turns, 1000);
}

TEST_F(MailboxPolicy, AWaitingMessageAgesPastHigherPriorities) {
    RawMailbox box = create({.priorities = 2, .ageing = 1ms});
    ASSERT_TRUE(box.send("old"));
    const auto sent = Deadline::Clock::now();
    ASSERT_TRUE(kit::wait_until([&] { return Deadline::Clock::now() - sent > 5ms; }));
    ASSERT_TRUE(box.send("new", {.priority = 1}));
    EXPECT_EQ(next(box), "old");
    EXPECT_EQ(next(box), "new");
}

// --- the end of a stream ------------------------------------------------------------------------

TEST_F(MailboxPolicy, ReceiversLearnTheEndAfterTheyGotAll) {
    for (const bool acknowledged : {false, true}) {
        for (const Sharing sharing : {Sharing::any, Sharing::single_receiver, Sharing::pair}) {
            RawMailbox in =
                create({.sharing = sharing, .acknowledged = acknowledged, .role = Role::receives});
            RawMailbox out = open(Role::sends);
            ASSERT_TRUE(out.send("1"));
            ASSERT_TRUE(out.send("2"));
            ASSERT_TRUE(out.close());
            EXPECT_EQ(out.send("3").error().code, Errc::closed);
            EXPECT_EQ(out.loan(1).error().code, Errc::closed);
            for (int i = 0; i < 2; ++i) ASSERT_TRUE(in.receive().value().ack());
            EXPECT_EQ(in.receive().error().code, Errc::end_of_stream);
            EXPECT_EQ(in.try_receive().error().code, Errc::end_of_stream);
            EXPECT_TRUE(facts().closed);
            ASSERT_TRUE(RawMailbox::destroy("m"));
        }
    }
}

TEST_F(MailboxPolicy, CloseEndsTheWaitsOfSendersAndReceivers) {
    RawMailbox box = create({.capacity = bounded(1)});
    ASSERT_TRUE(box.send("1"));
    kit::Child sender{[] {
        RawMailbox out = open(Role::sends);
        EXPECT_EQ(out.send("2").error().code, Errc::closed);
    }};
    ASSERT_TRUE(kit::wait_until([&] {
        for (const Participant& seen : facts().participants) {
            if (seen.waits == WaitsFor::room) return true;
        }
        return false;
    }));
    ASSERT_TRUE(box.close());
    EXPECT_TRUE(sender.wait().ok());
    EXPECT_EQ(next(box), "1");
    EXPECT_EQ(next(box), "end_of_stream");
}

TEST_F(MailboxPolicy, CloseWakesWhoSleepsForAMessageToTheEnd) {
    for (const Sharing sharing : {Sharing::any, Sharing::round_robin}) {
        RawMailbox box = create({.sharing = sharing, .receipts = true, .role = Role::sends});
        kit::Child sleeper{
            [] { EXPECT_EQ(open(Role::receives).receive().error().code, Errc::end_of_stream); }};
        ASSERT_TRUE(kit::wait_until([&] {
            for (const Participant& seen : facts().participants) {
                if (seen.waits == WaitsFor::message) return true;
            }
            return false;
        }));
        ASSERT_TRUE(box.close());
        EXPECT_TRUE(sleeper.wait().ok());
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(MailboxPolicy, TheEndWaitsForLeasesThatMayComeBack) {
    RawMailbox box = create({.acknowledged = true});
    ASSERT_TRUE(box.send("1"));
    kit::Child other = receiver(false);
    ASSERT_TRUE(kit::wait_until([&] { return facts().leased == 1; }));
    ASSERT_TRUE(box.close());
    EXPECT_EQ(box.receive_for(1ms).error().code, Errc::timed_out);
    other.kill_and_wait();
    Result<RawMessage> again = box.receive();
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->redelivered());
    ASSERT_TRUE(again->ack());
    EXPECT_EQ(box.receive().error().code, Errc::end_of_stream);
}

TEST_F(MailboxPolicy, TheEndComesWithNothingBeingTakenAndLost) {
    RawMailbox box = create({});
    ASSERT_TRUE(box.send("1"));
    kit::Child other{[] {
        RawMailbox in = open(Role::receives);
        kit::stop_self_at("pool.take.taken");
        static_cast<void>(in.receive());
    }};
    ASSERT_TRUE(other.wait_stopped());
    ASSERT_TRUE(box.close());
    // It is the stopped one's from now on: nobody gets it again when he dies.
    EXPECT_EQ(box.receive().error().code, Errc::end_of_stream);
    other.kill_and_wait();
    static_cast<void>(sweep_mailbox("m"));
    EXPECT_EQ(box.receive().error().code, Errc::end_of_stream);
    EXPECT_EQ(facts().depth, 0U);
}

// --- rendezvous ---------------------------------------------------------------------------------

TEST_F(MailboxPolicy, ARendezvousEndsWhenAReceiverHasTheMessage) {
    RawMailbox out = create({.capacity = zero(), .role = Role::sends});
    EXPECT_EQ(out.try_send("nobody").error().code, Errc::full);
    EXPECT_EQ(out.send_for("nobody", 1ms).error().code, Errc::timed_out);
    kit::Child other{[] {
        RawMailbox in = open(Role::receives);
        for (int i = 0; i < 100; ++i) {
            EXPECT_EQ(in.receive().value().text(), std::to_string(i));
        }
    }};
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(out.send(std::to_string(i)));
    EXPECT_TRUE(other.wait().ok());
    EXPECT_EQ(facts().depth, 0U);
    EXPECT_EQ(facts().received, 100U);
}

TEST_F(MailboxPolicy, ATriedRendezvousSucceedsWithAReceiverThatWaits) {
    RawMailbox out = create({.capacity = zero(), .role = Role::sends});
    kit::Child other{[] { EXPECT_TRUE(open(Role::receives).receive()); }};
    ASSERT_TRUE(kit::wait_until([&] { return out.try_send("x").has_value(); }));
    EXPECT_TRUE(other.wait().ok());
}

TEST_F(MailboxPolicy, ALoanThatMetNobodyIsStillHeld) {
    RawMailbox out = create({.capacity = zero(), .role = Role::sends});
    RawLoan loan = out.loan(1).value();
    loan.room()[0] = std::byte{'x'};
    EXPECT_EQ(loan.commit(1, Deadline::after(1ms)).error().code, Errc::timed_out);
    kit::Child other{[] { EXPECT_EQ(open(Role::receives).receive().value().text(), "x"); }};
    EXPECT_TRUE(loan.commit(1));
    EXPECT_TRUE(other.wait().ok());
}

TEST_F(MailboxPolicy, ARendezvousThatTriesAgainIsOneSend) {
    for (const Sharing sharing : {Sharing::any, Sharing::pair, Sharing::round_robin}) {
        RawMailbox out = create({.capacity = zero(), .sharing = sharing, .role = Role::sends});
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(out.send_for("unmet", 1ms).error().code, Errc::timed_out);
        }
        EXPECT_EQ(facts().sent, 0U);
        EXPECT_EQ(facts().withdrawn, 0U);
        std::thread sender{[&] { EXPECT_TRUE(out.send("met")); }};
        RawMailbox in = open(Role::receives);
        EXPECT_EQ(in.receive().value().text(), "met");
        sender.join();
        EXPECT_EQ(facts().sent, 1U);
        EXPECT_EQ(facts().received, 1U);
        EXPECT_EQ(facts().withdrawn, 0U);
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(MailboxPolicy, AReceiverThatDiesBetweenTakingAndHavingLeavesTheRendezvousOpen) {
    RawMailbox keep = create({.capacity = zero(), .role = Role::none});
    kit::Child sender{[] { EXPECT_TRUE(open(Role::sends).send("x")); }};
    kit::Child first{[] {
        RawMailbox in = open(Role::receives);
        kit::kill_self_at("pool.take.taken");
        static_cast<void>(in.receive());
    }};
    EXPECT_EQ(first.wait().signal, SIGKILL);
    RawMailbox in = open(Role::receives);
    // The sender may have finished the take for it: then it counts as delivered, and it leaves.
    EXPECT_TRUE(kit::wait_until([&] {
        const Result<RawMessage> message = in.try_receive();
        return message ? message->text() == "x" : facts().participants.size() == 2;
    }));
    EXPECT_TRUE(sender.wait().ok());
}

TEST_F(MailboxPolicy, ARendezvousWhoseReceiverDiedWithTheLeaseKeepsItsDeadline) {
    RawMailbox out = create({.capacity = zero(), .acknowledged = true, .role = Role::sends});
    kit::Child first{[] {
        RawMailbox in = open(Role::receives);
        kit::kill_self_at("pool.take.adopted");
        static_cast<void>(in.receive());
    }};
    // Whether it counts as met, or its time is over: the call ends.
    const Result<void> met = out.send_for("x", 500ms);
    EXPECT_TRUE(met || met.error().code == Errc::timed_out);
    EXPECT_EQ(first.wait().signal, SIGKILL);
}

TEST_F(MailboxPolicy, ARendezvousInADestroyedMailboxSaysGone) {
    RawMailbox out = create({.capacity = zero(), .role = Role::sends});
    kit::Child other{[] {
        ASSERT_TRUE(kit::wait_until([] { return facts().depth == 1; }));
        EXPECT_TRUE(RawMailbox::destroy("m"));
    }};
    EXPECT_EQ(out.send("x").error().code, Errc::gone);
    EXPECT_TRUE(other.wait().ok());
}

// --- receipts -----------------------------------------------------------------------------------

TEST_F(MailboxPolicy, AReceiptTellsWhoTookIt) {
    for (const Sharing sharing : {Sharing::any, Sharing::single_receiver, Sharing::pair}) {
        RawMailbox out = create({.sharing = sharing, .receipts = true, .role = Role::sends});
        Receipt receipt = out.send_with_receipt("x").value();
        EXPECT_EQ(receipt.try_wait().error().code, Errc::empty);
        EXPECT_EQ(receipt.wait_for(1ms).error().code, Errc::timed_out);
        kit::Child other = receiver(false);
        const Answer answer = receipt.wait().value();
        EXPECT_EQ(answer.outcome, Outcome::taken);
        EXPECT_EQ(answer.pid, static_cast<std::uint32_t>(other.pid()));
        EXPECT_EQ(answer.name, sys::own_name());
        other.kill_and_wait();
        EXPECT_EQ(receipt.wait().value().outcome, Outcome::taken);  // it stays what it was
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(MailboxPolicy, AReceiptOfAnAcknowledgedMessageEndsWithTheAck) {
    RawMailbox box = create({.acknowledged = true});
    Receipt receipt = box.send_with_receipt("x").value();
    Result<RawMessage> message = box.receive();
    ASSERT_TRUE(message);
    EXPECT_EQ(receipt.try_wait().error().code, Errc::empty);
    ASSERT_TRUE(message->nack("no"));
    message = box.receive();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->history().error, "no");
    ASSERT_TRUE(message->ack());
    const Answer answer = receipt.wait().value();
    EXPECT_EQ(answer.outcome, Outcome::acked);
    EXPECT_EQ(answer.pid, static_cast<std::uint32_t>(::getpid()));
}

TEST_F(MailboxPolicy, AWithdrawnMessageIsReceivedByNobody) {
    RawMailbox box = create({});
    Receipt first = box.send_with_receipt("1").value();
    Receipt second = box.send_with_receipt("2").value();
    Receipt third = box.send_with_receipt("3").value();
    EXPECT_EQ(second.withdraw().value().outcome, Outcome::withdrawn);
    EXPECT_EQ(second.wait().value().outcome, Outcome::withdrawn);
    EXPECT_EQ(next(box, 3), "13empty");
    EXPECT_EQ(first.withdraw().value().outcome, Outcome::taken);
    EXPECT_EQ(third.wait().value().outcome, Outcome::taken);
    EXPECT_EQ(facts().withdrawn, 1U);
    EXPECT_EQ(facts().free_chunks, box.plan().pool.chunk_count);
}

TEST_F(MailboxPolicy, AReceiptSaysThatTheReceiverDiedBeforeItSaidAnything) {
    RawMailbox out = create({.role = Role::sends});
    Receipt receipt = out.send_with_receipt("x").value();
    kit::Child other{[] {
        RawMailbox in = open(Role::receives);
        kit::kill_self_at("pool.take.delivered");
        static_cast<void>(in.receive());
    }};
    const auto pid = static_cast<std::uint32_t>(other.pid());
    EXPECT_EQ(other.wait().signal, SIGKILL);
    const Answer answer = receipt.wait().value();
    // Its message was delivered; whether it was told is a matter of who looks first.
    EXPECT_TRUE(answer.outcome == Outcome::receiver_died || answer.outcome == Outcome::taken);
    EXPECT_EQ(answer.pid, pid);
}

TEST_F(MailboxPolicy, AnAckThatDiedHalfWayIsAnAck) {
    RawMailbox out = create({.acknowledged = true, .role = Role::sends});
    Receipt receipt = out.send_with_receipt("x").value();
    kit::Child other{[] {
        RawMailbox in = open(Role::receives);
        Result<RawMessage> message = in.receive();
        kit::kill_self_at("pool.finish.acked");
        static_cast<void>(message->ack());
    }};
    EXPECT_EQ(other.wait().signal, SIGKILL);
    EXPECT_EQ(receipt.wait().value().outcome, Outcome::acked);
    RawMailbox in = open(Role::receives);
    EXPECT_EQ(in.try_receive().error().code, Errc::empty);
    EXPECT_EQ(facts().free_chunks, out.plan().pool.chunk_count);
}

TEST_F(MailboxPolicy, AReceiptEndsWithItsMailbox) {
    RawMailbox box = create({});
    Receipt receipt = box.send_with_receipt("x").value();
    ASSERT_TRUE(RawMailbox::destroy("m"));
    EXPECT_EQ(receipt.wait().value().outcome, Outcome::mailbox_destroyed);
}

TEST_F(MailboxPolicy, AReceiptOutlivesItsHandleAndCountsAgainstNoLoanQuota) {
    std::vector<Receipt> receipts;
    {
        RawMailbox box = create({.loan_quota = 1});
        for (int i = 0; i < 8; ++i) receipts.push_back(box.send_with_receipt("x").value());
    }
    RawMailbox in = open(Role::receives);
    for (int i = 0; i < 8; ++i) EXPECT_EQ(next(in), "x");
    for (Receipt& receipt : receipts) EXPECT_EQ(receipt.wait().value().outcome, Outcome::taken);
}

TEST_F(MailboxPolicy, OpenReceiptsAreLimitedAndAnErrorSaysSo) {
    RawMailbox box = create({.capacity = bounded(100)});
    std::vector<Receipt> receipts;
    for (;;) {
        Result<Receipt> one = box.send_with_receipt("x");
        if (!one) {
            EXPECT_EQ(one.error().code, Errc::too_many_loans);
            break;
        }
        receipts.push_back(std::move(*one));
        if (receipts.size() == 100) break;
    }
    EXPECT_EQ(receipts.size(), 100U);
    receipts.clear();
    for (int i = 0; i < 100; ++i) EXPECT_EQ(next(box), "x");
    EXPECT_TRUE(box.send_with_receipt("x"));
}

TEST_F(MailboxPolicy, WhereLanesCarryItAReceiptNeedsTheOption) {
    RawMailbox out = create({.sharing = Sharing::pair, .role = Role::sends});
    EXPECT_EQ(out.send_with_receipt("x").error().code, Errc::not_supported);
    EXPECT_EQ(out.send("x", {.time_to_live = 1s}).error().code, Errc::bad_argument);
    EXPECT_EQ(out.send("x", {.priority = 1}).error().code, Errc::bad_argument);
}

TEST_F(MailboxPolicy, AMessageThatCameBackCanBeWithdrawn) {
    RawMailbox box = create({.acknowledged = true});
    Receipt receipt = box.send_with_receipt("x").value();
    ASSERT_TRUE(box.receive().value().nack());
    EXPECT_EQ(receipt.withdraw().value().outcome, Outcome::withdrawn);
    EXPECT_EQ(next(box), "empty");
    EXPECT_EQ(facts().free_chunks, box.plan().pool.chunk_count);
}

TEST_F(MailboxPolicy, ADroppedMessageEndsItsReceipt) {
    RawMailbox box = create({.capacity = bounded(1), .overflow = Overflow::drop_oldest});
    Receipt receipt = box.send_with_receipt("1").value();
    ASSERT_TRUE(box.send("2"));
    EXPECT_EQ(receipt.wait().value().outcome, Outcome::dropped);
}

// --- times to live ------------------------------------------------------------------------------

TEST_F(MailboxPolicy, AnExpiredMessageIsCountedAndNotDelivered) {
    RawMailbox box = create({});
    Receipt receipt = box.send_with_receipt("old", {.time_to_live = 1ms}).value();
    ASSERT_TRUE(box.send("new", {.time_to_live = 1h}));
    EXPECT_EQ(receipt.wait().value().outcome, Outcome::expired);  // found by its sender
    ASSERT_TRUE(box.send("old", {.time_to_live = 1ns}));
    EXPECT_EQ(next(box), "new");
    EXPECT_EQ(next(box), "empty");
    EXPECT_EQ(facts().expired, 2U);
    EXPECT_EQ(facts().free_chunks, box.plan().pool.chunk_count);
}

TEST_F(MailboxPolicy, ExpiredMessagesAreKeptWhenAsked) {
    RawMailbox box = create({.time_to_live = 1ns, .keep_expired = true});
    ASSERT_TRUE(box.send("old"));
    EXPECT_EQ(next(box), "empty");
    EXPECT_EQ(facts().dead_letters, 1U);
    {
        RawMailbox letters = RawMailbox::open("m.dead", {.role = Role::receives}).value();
        Result<RawMessage> letter = letters.try_receive();
        ASSERT_TRUE(letter);
        EXPECT_EQ(letter->text(), "old");
        EXPECT_EQ(letter->history().cause, Cause::expired);
    }
    EXPECT_EQ(facts().dead_letters, 0U);
    ASSERT_TRUE(box.send("old"));
    EXPECT_EQ(next(box), "empty");
    EXPECT_EQ(box.redrive().value(), 1U);
    EXPECT_EQ(next(box), "old");  // a redriven one does not expire again
}

// --- dead letters -------------------------------------------------------------------------------

TEST_F(MailboxPolicy, AMessageGivenBackTooOftenBecomesADeadLetterWithItsHistory) {
    RawMailbox box = create({.acknowledged = true, .dead_letter_after = 2});
    Receipt receipt = box.send_with_receipt("poison").value();
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(box.receive().value().nack("it is bad"));
    EXPECT_EQ(next(box), "empty");
    EXPECT_EQ(receipt.wait().value().outcome, Outcome::dead_letter);
    {
        RawMailbox letters = RawMailbox::open("m.dead", {.role = Role::receives}).value();
        Result<RawMessage> letter = letters.receive();
        ASSERT_TRUE(letter);
        const MessageHistory history = letter->history();
        EXPECT_EQ(history.deliveries, 2U);
        EXPECT_EQ(history.cause, Cause::returned);
        EXPECT_EQ(history.last_pid, static_cast<std::uint32_t>(::getpid()));
        EXPECT_EQ(history.last_name, sys::own_name());
        EXPECT_EQ(history.error, "it is bad");
    }
    EXPECT_EQ(facts().dead_letters, 1U);  // looked at and not acked: it stays one
    EXPECT_EQ(box.redrive().value(), 1U);
    Result<RawMessage> again = box.receive();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->text(), "poison");
    EXPECT_EQ(again->earlier_deliveries(), 0U);
    ASSERT_TRUE(again->ack());
    EXPECT_EQ(facts().free_chunks, box.plan().pool.chunk_count);
}

TEST_F(MailboxPolicy, AMessageThatKillsItsReceiversBecomesADeadLetter) {
    RawMailbox box = create({.acknowledged = true, .dead_letter_after = 2});
    Receipt receipt = box.send_with_receipt("poison").value();
    pid_t last = 0;
    for (int i = 0; i < 2; ++i) {
        kit::Child other = receiver(false);
        ASSERT_TRUE(kit::wait_until([&] { return facts().leased == 1; }));
        last = other.pid();
        other.kill_and_wait();
        static_cast<void>(sweep_mailbox("m"));
    }
    EXPECT_EQ(receipt.wait().value().outcome, Outcome::receiver_died);
    EXPECT_EQ(next(box), "empty");
    RawMailbox letters = RawMailbox::open("m.dead", {.role = Role::receives}).value();
    Result<RawMessage> letter = letters.receive();
    ASSERT_TRUE(letter);
    EXPECT_EQ(letter->history().cause, Cause::receiver_died);
    EXPECT_EQ(letter->history().last_pid, static_cast<std::uint32_t>(last));
    ASSERT_TRUE(letter->ack());
    EXPECT_EQ(facts().dead_letters, 0U);
}

TEST_F(MailboxPolicy, BeyondTheQuotaOfDeadLettersMessagesAreDeliveredOn) {
    RawMailbox box = create({.acknowledged = true, .dead_letter_after = 1, .dead_letter_quota = 1});
    ASSERT_TRUE(box.send("1"));
    ASSERT_TRUE(box.send("2"));
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(box.receive().value().nack());
    EXPECT_EQ(facts().dead_letters, 1U);
    EXPECT_EQ(next(box), "2");  // nothing is lost
}

TEST_F(MailboxPolicy, EachQueueOfAPairAndOfARoutedMailboxHasItsDeadLetters) {
    for (const Sharing sharing : {Sharing::pair, Sharing::round_robin}) {
        RawMailbox one = create({.sharing = sharing, .acknowledged = true, .dead_letter_after = 1});
        RawMailbox two = open(Role::both);
        for (RawMailbox* out : {&one, &two}) {
            for (int i = 0; i < 2; ++i) ASSERT_TRUE(out->send("x"));
        }
        for (RawMailbox* in : {&one, &two}) {
            for (int i = 0; i < 2; ++i) ASSERT_TRUE(in->receive().value().nack());
        }
        EXPECT_EQ(facts().dead_letters, 4U);
        RawMailbox letters = RawMailbox::open("m.dead", {.role = Role::receives}).value();
        for (int i = 0; i < 2; ++i) ASSERT_TRUE(letters.receive().value().ack());
        RawMailbox third = open(Role::none);
        EXPECT_EQ(third.redrive().value(), 2U);
        int got = 0;
        for (RawMailbox* in : {&one, &two}) {
            for (Result<RawMessage> m = in->try_receive(); m; m = in->try_receive(), ++got) {
                ASSERT_TRUE(m->ack());
            }
        }
        EXPECT_EQ(got, 2);
        EXPECT_EQ(letters.try_receive().error().code, Errc::empty);
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(MailboxPolicy, WithoutDeadLettersThereIsNoSuchName) {
    RawMailbox box = create({.acknowledged = true});
    EXPECT_EQ(RawMailbox::open("m.dead").error().code, Errc::not_found);
    EXPECT_EQ(RawMailbox::open("n.dead").error().code, Errc::not_found);
}

// --- looking ------------------------------------------------------------------------------------

TEST_F(MailboxPolicy, AnExpiredMessageIsKeptAlsoWhenItsSenderFindsIt) {
    RawMailbox box = RawMailbox::create("m", {.keep_expired = true}).value();
    Receipt receipt =
        box.send_with_receipt("late", {.time_to_live = std::chrono::nanoseconds{1}}).value();
    EXPECT_EQ(receipt.wait().value().outcome, Outcome::expired);
    RawMailbox letters = RawMailbox::open("m.dead", {.role = Role::receives}).value();
    EXPECT_EQ(letters.try_receive().value().text(), "late");
    EXPECT_EQ(look_at_mailbox("m").value().received, 0U);
}

TEST_F(MailboxPolicy, PeekShowsWhatComesNextAndLeavesIt) {
    RawMailbox box = create({.priorities = 2});
    ASSERT_TRUE(box.send("low"));
    ASSERT_TRUE(box.send("high", {.priority = 1}));
    std::array<std::byte, 2> bytes{};
    EXPECT_EQ(box.peek(bytes).value(), 4U);
    EXPECT_EQ(bytes[0], std::byte{'h'});
    EXPECT_EQ(box.peek(bytes, 1).value(), 3U);
    EXPECT_EQ(bytes[0], std::byte{'l'});
    EXPECT_EQ(box.peek(bytes, 2).error().code, Errc::empty);
    EXPECT_EQ(facts().depth, 2U);
    EXPECT_EQ(next(box), "high");
}

}  // namespace
}  // namespace stoa
