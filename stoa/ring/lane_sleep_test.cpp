// How the sides of a lane fall asleep and wake each other, without a kernel.
#include <gtest/gtest.h>

#include "stoa/ring/lane_test_kit.hpp"

namespace stoa {
namespace {

TEST(LaneSleeps, ASleepingReceiverIsWokenOnceWhereItSleeps) {
    for (const LaneFence fence : {LaneFence::full, LaneFence::none}) {
        TestLane lane{kSmall};
        LaneSender sender = LaneSender::attach(lane.memory, fence).value();
        LaneReceiver receiver = LaneReceiver::attach(lane.memory, fence).value();
        EXPECT_EQ(sender.sleeper_to_wake(), nullptr);
        for (int round = 0; round < 100; ++round) {
            receiver.mark_asleep();
            EXPECT_FALSE(receiver.ready());
            const LaneSleep sleep = receiver.ready_sleep();
            EXPECT_EQ(sleep.word->load(), sleep.expected);
            expect_sent(sender, "wake up");
            EXPECT_NE(sleep.word->load(), sleep.expected);
            EXPECT_EQ(sender.sleeper_to_wake(), sleep.word);
            expect_sent(sender, "more");
            EXPECT_EQ(sender.sleeper_to_wake(), nullptr);
            receiver.mark_awake();
            EXPECT_EQ(sender.sleeper_to_wake(), nullptr);
            EXPECT_EQ(take(receiver), "wake up");
            EXPECT_EQ(take(receiver), "more");
        }
    }
}

// The receiver took the only record before its sender looked at the mark, and is about to sleep.
TEST(LaneSleeps, ALookAtAMarkThatBelongsToTheNextRecordDoesNotSpendItsWake) {
    for (const bool ends : {false, true}) {
        TestLane lane{kSmall};
        LaneSender sender = lane.sender();
        LaneReceiver receiver = lane.receiver();
        expect_sent(sender, "taken at once");
        EXPECT_EQ(take(receiver), "taken at once");
        receiver.mark_asleep();
        EXPECT_EQ(sender.sleeper_to_wake(), nullptr);
        const LaneSleep sleep = receiver.ready_sleep();
        if (ends) {
            sender.close();
        } else {
            expect_sent(sender, "next");
        }
        EXPECT_EQ(sender.sleeper_to_wake(), sleep.word);
        EXPECT_EQ(sender.sleeper_to_wake(), nullptr);
    }
}

TEST(LaneSleeps, AnHeirOfTheSenderWakesAReceiverThatTheDeadOneDidNot) {
    TestLane lane{kSmall};
    LaneReceiver receiver = lane.receiver();
    {
        LaneSender dead = lane.sender();
        receiver.mark_asleep();
        expect_sent(dead, "published, and died before the wake");
    }
    LaneSender heir = lane.sender();
    EXPECT_EQ(heir.sleeper_to_wake(), receiver.ready_sleep().word);
}

TEST(LaneSleeps, MarksDoNotRepeatOverADeathOfTheSleeper) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    for (int round = 0; round < 10; ++round) {
        LaneReceiver receiver = lane.receiver();
        receiver.mark_asleep();
        expect_sent(sender, "x");
        EXPECT_NE(sender.sleeper_to_wake(), nullptr) << round;
        if (round % 2 == 0) receiver.mark_awake();  // else it dies asleep
        EXPECT_EQ(take(receiver), "x");
    }
    static_cast<void>(lane.receiver());  // awake
    EXPECT_EQ(sender.sleeper_to_wake(), nullptr);
}

TEST(LaneSleeps, ASenderThatSleepsForRoomIsWokenByTheSpaceThatReturns) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    for (int round = 0; round < 50; ++round) {
        while (sender.try_send(bytes_of("12345678")) == LaneSend::ok) continue;
        sender.mark_asleep(LaneSender::Await::room);
        ASSERT_FALSE(sender.has_room(8));
        const LaneSleep sleep = sender.room_sleep();
        EXPECT_EQ(sleep.word->load(), sleep.expected);
        // A receiver that is new does not know whether the last space was told of.
        EXPECT_EQ(receiver.sleeper_to_wake(), round == 0 ? sleep.word : nullptr);
        EXPECT_EQ(receiver.sleeper_to_wake(), nullptr);
        while (take(receiver) == "12345678") continue;
        EXPECT_NE(sleep.word->load(), sleep.expected);
        EXPECT_EQ(receiver.sleeper_to_wake(), sleep.word);
        EXPECT_EQ(receiver.sleeper_to_wake(), nullptr);
        sender.mark_awake();
        EXPECT_TRUE(sender.has_room(8));
    }
}

// The receiver may look while the sender is on its way to sleep: it goes on saying so.
TEST(LaneSleeps, ASenderThatSleepsForADeliveryIsWokenByEachUntilOneIsKnownToHaveWokenIt) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    for (int i = 0; i < 4; ++i) expect_sent(sender, "x");
    sender.mark_asleep(LaneSender::Await::delivery);
    const LaneSleep sleep = sender.delivery_sleep(sender.delivered());
    EXPECT_EQ(sleep.word->load(), sleep.expected);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(take(receiver), "x");
        EXPECT_NE(sleep.word->load(), sleep.expected);
        EXPECT_EQ(receiver.sleeper_to_wake(), i < 2 ? sleep.word : nullptr) << i;
        if (i == 1) receiver.sleeper_woke();
    }
    sender.mark_awake();
    EXPECT_EQ(receiver.sleeper_to_wake(), nullptr);
}

TEST(LaneSleeps, AnHeirOfTheReceiverWakesASenderThatTheDeadOneDidNot) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    {
        LaneReceiver dead = lane.receiver();
        while (sender.try_send(bytes_of("12345678")) == LaneSend::ok) continue;
        sender.mark_asleep(LaneSender::Await::room);
        while (take(dead) == "12345678") continue;
    }
    LaneReceiver heir = lane.receiver();
    EXPECT_EQ(heir.sleeper_to_wake(), sender.room_sleep().word);
}

}  // namespace
}  // namespace stoa
