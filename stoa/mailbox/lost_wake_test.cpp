// No wake-up is lost, for every engine. Slices are infinite here: what is not woken hangs, and the
// time limit of the test ends it.
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <tuple>

#include "stoa/mailbox/mailbox.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

class LostWake : public testing::TestWithParam<std::tuple<Sharing, bool, Waiting>> {
protected:
    LostWake() { g_wait_slice = 24h; }
    ~LostWake() override { g_wait_slice = kWaitSlice; }

    static OpenOptions with(Role role) {
        return {.role = role, .waiting = std::get<2>(GetParam()), .domain = {}};
    }
    static void create(const char* name, std::uint32_t capacity) {
        const auto [sharing, acknowledged, waiting] = GetParam();
        ASSERT_TRUE(Mailbox<std::uint64_t>::create(name, {.capacity = bounded(capacity),
                                                          .sharing = sharing,
                                                          .acknowledged = acknowledged,
                                                          .role = Role::none}));
    }
    static Mailbox<std::uint64_t> open(const char* name, Role role) {
        return Mailbox<std::uint64_t>::open(name, with(role)).value();
    }
    // Busy for a moment, so that the two sides meet at ever other points.
    static void dawdle(std::mt19937& random) {
        for (auto i = random() % 2000; i > 0; --i) cpu_pause();
    }

    kit::TempDomain domain_;
};

TEST_P(LostWake, RoundTripsGoOnForEver) {
    constexpr std::uint64_t kRounds = 5000;
    create("there", 16);
    create("back", 16);
    Mailbox<std::uint64_t> in = open("back", Role::receives);
    kit::Child echo{[] {
        Mailbox<std::uint64_t> from = open("there", Role::receives);
        Mailbox<std::uint64_t> to = open("back", Role::sends);
        std::mt19937 random{1};
        std::uint64_t value = 0;
        do {
            ASSERT_TRUE(from.receive_into(value));
            if (value % 4 == 0) dawdle(random);
            ASSERT_TRUE(to.send(value));
        } while (value != kRounds);
    }};
    Mailbox<std::uint64_t> out = open("there", Role::sends);
    std::mt19937 random{2};
    for (std::uint64_t i = 1; i <= kRounds; ++i) {
        ASSERT_TRUE(out.send(i));
        std::uint64_t value = 0;
        if (i % 3 == 0) dawdle(random);
        ASSERT_TRUE(in.receive_into(value));
        ASSERT_EQ(value, i);
    }
    EXPECT_TRUE(echo.wait().ok());
}

TEST_P(LostWake, ASmallMailboxThatFillsAndDrainsGoesOnForEver) {
    constexpr std::uint64_t kMessages = 20'000;
    create("m", 4);
    kit::Child sender{[] {
        Mailbox<std::uint64_t> out = open("m", Role::sends);
        std::mt19937 random{3};
        for (std::uint64_t i = 0; i < kMessages; ++i) {
            ASSERT_TRUE(out.send(i));
            if (random() % 64 == 0) dawdle(random);
        }
    }};
    Mailbox<std::uint64_t> in = open("m", Role::receives);
    std::mt19937 random{4};
    for (std::uint64_t i = 0; i < kMessages; ++i) {
        std::uint64_t value = 0;
        ASSERT_TRUE(in.receive_into(value));
        ASSERT_EQ(value, i);
        if (random() % 64 == 0) dawdle(random);
    }
    EXPECT_TRUE(sender.wait().ok());
}

// The receiver takes one message of a full mailbox, keeps it and does nothing more.
TEST_P(LostWake, OneDeliveryLetsABlockedSenderGoOn) {
    for (int round = 0; round < 20; ++round) {
        const std::string name = "m" + std::to_string(round);
        create(name.c_str(), 4);
        Mailbox<std::uint64_t> in = open(name.c_str(), Role::receives);
        kit::Child sender{[&] {
            Mailbox<std::uint64_t> out = open(name.c_str(), Role::sends);
            for (std::uint64_t i = 0; i < 5; ++i) ASSERT_TRUE(out.send(i));
        }};
        std::mt19937 random{static_cast<std::uint32_t>(round)};
        for (int i = 0; i < round; ++i) dawdle(random);
        const Result<Message<std::uint64_t>> one = in.receive();
        ASSERT_TRUE(one);
        EXPECT_TRUE(sender.wait().ok());
        ASSERT_TRUE(Mailbox<std::uint64_t>::destroy(name));
    }
}

// Whichever ring the dead letter comes to lie in, and without looking meanwhile.
TEST(LostWakeOfLetters, WhoWaitsForDeadLettersSleepsUntilOneComes) {
    g_wait_slice = 24h;
    const kit::TempDomain domain;
    using enum Sharing;
    for (const Sharing sharing : {any, pair, round_robin, broadcast}) {
        for (const Capacity capacity : {bounded(16), unbounded(64U << 20U)}) {
            RawMailbox first = RawMailbox::create("m", {.capacity = capacity,
                                                        .sharing = sharing,
                                                        .acknowledged = true,
                                                        .dead_letter_after = 1})
                                   .value();
            RawMailbox second = RawMailbox::open("m").value();
            std::atomic<bool> begun = false;
            long sleeps = 0;
            std::thread waiter{[&] {
                RawMailbox letters = RawMailbox::open("m.dead", {.role = Role::receives}).value();
                rusage before{};
                rusage after{};
                ::getrusage(RUSAGE_THREAD, &before);
                begun.store(true);
                EXPECT_EQ(letters.receive().value().text(), "poison");
                ::getrusage(RUSAGE_THREAD, &after);
                sleeps = after.ru_nvcsw - before.ru_nvcsw;
            }};
            while (!begun.load()) std::this_thread::yield();
            // Who looks from time to time has the time to do so.
            EXPECT_EQ(second.receive_for(200ms).error().code, Errc::timed_out);
            for (int i = 0; i < 2; ++i) ASSERT_TRUE(first.send("poison"));
            Result<RawMessage> message = second.receive();
            EXPECT_TRUE(message && message->nack("bad"));
            waiter.join();
            EXPECT_LT(sleeps, 8);
            ASSERT_TRUE(RawMailbox::destroy("m"));
        }
    }
    g_wait_slice = kWaitSlice;
}

INSTANTIATE_TEST_SUITE_P(
    Engines, LostWake,
    testing::Combine(testing::Values(Sharing::any, Sharing::pair, Sharing::single_receiver),
                     testing::Bool(), testing::Values(Waiting::park, Waiting::adaptive)));

}  // namespace
}  // namespace stoa
