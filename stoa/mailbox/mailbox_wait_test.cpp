// Mailboxes in wait sets: every sharing, on both sides. Slices are infinite where a wake-up is
// proved, and with them the tick of the sets: only rings wake them.
#include <gtest/gtest.h>

#include <poll.h>

#include <random>
#include <tuple>

#include "stoa/mailbox/mailbox.hpp"
#include "stoa/wait/wait_set.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;
using Numbers = Mailbox<std::uint64_t>;

struct Kind {
    const char* name;
    Sharing sharing;
    bool acknowledged = false;
    Capacity capacity = bounded(16);
    std::uint32_t priorities = 1;
};

void PrintTo(const Kind& kind, std::ostream* to) {
    *to << kind.name;
}

class WaitForMailbox : public testing::TestWithParam<Kind> {
protected:
    WaitForMailbox() { g_wait_slice = 24h; }
    ~WaitForMailbox() override { g_wait_slice = kWaitSlice; }

    static MailboxOptions options(std::uint32_t capacity = 16) {
        const Kind& kind = GetParam();
        Capacity room = kind.capacity;
        if (room.kind == Capacity::Kind::bounded) room.messages = capacity;
        return {.capacity = room,
                .sharing = kind.sharing,
                .acknowledged = kind.acknowledged,
                .priorities = kind.priorities,
                .role = Role::none};
    }
    static Numbers open(const char* name, Role role) {
        return Numbers::open(name, {.role = role, .domain = {}}).value();
    }
    // Busy for a moment, so that the two sides meet at ever other points.
    static void dawdle(std::mt19937& random) {
        for (auto i = random() % 3000; i > 0; --i) cpu_pause();
    }
    // The next value, waiting with the set alone.
    static std::uint64_t next(WaitSet& set, Numbers& in) {
        for (;;) {
            std::uint64_t value = 0;
            const Result<void> got = in.receive_into(value, Deadline::immediately());
            if (got) return value;
            EXPECT_EQ(got.error().code, Errc::empty) << describe(got.error());
            const Result<std::span<const Ready>> ready = set.wait_for(20s);
            EXPECT_TRUE(ready) << describe(ready.error());
            if (!ready) return UINT64_MAX;
        }
    }
    static void send(WaitSet& set, Numbers& out, std::uint64_t value) {
        for (;;) {
            const Result<void> sent = out.try_send(value);
            if (sent) return;
            ASSERT_EQ(sent.error().code, Errc::full) << describe(sent.error());
            const Result<std::span<const Ready>> ready = set.wait_for(20s);
            ASSERT_TRUE(ready) << describe(ready.error());
        }
    }

    kit::TempDomain domain_;
};

TEST_P(WaitForMailbox, RoundTripsGoOnForEver) {
    constexpr std::uint64_t kRounds = 2000;
    ASSERT_TRUE(Numbers::create("there", options()));
    ASSERT_TRUE(Numbers::create("back", options()));
    Numbers in = open("back", Role::receives);
    kit::Child echo{[] {
        Numbers from = open("there", Role::receives);
        Numbers to = open("back", Role::sends);
        WaitSet set = WaitSet::create().value();
        ASSERT_TRUE(set.add(from.readable()));
        std::mt19937 random{1};
        std::uint64_t value = 0;
        do {
            value = next(set, from);
            if (value % 4 == 0) dawdle(random);
            ASSERT_TRUE(to.send(value));
        } while (value < kRounds);
    }};
    Numbers out = open("there", Role::sends);
    WaitSet set = WaitSet::create().value();
    ASSERT_TRUE(set.add(in.readable()));
    std::mt19937 random{2};
    for (std::uint64_t i = 1; i <= kRounds; ++i) {
        // A broadcast is for who is there.
        if (i == 1 && GetParam().sharing == Sharing::broadcast) {
            std::uint64_t zero = 0;
            while (out.try_send(0) && !in.receive_into(zero, Deadline::after(1ms))) {
            }
            while (in.receive_into(zero, Deadline::immediately())) {
            }
        }
        ASSERT_TRUE(out.send(i));
        if (i % 3 == 0) dawdle(random);
        std::uint64_t back = 0;
        do {
            back = next(set, in);
        } while (back == 0);
        ASSERT_EQ(back, i);
    }
    EXPECT_TRUE(echo.wait().ok());
}

TEST_P(WaitForMailbox, ASmallMailboxThatFillsAndDrainsGoesOnForEver) {
    constexpr std::uint64_t kMessages = 5000;
    ASSERT_TRUE(Numbers::create("m", options(4)));
    Numbers in = open("m", Role::receives);
    kit::Child sender{[] {
        Numbers out = open("m", Role::sends);
        WaitSet set = WaitSet::create().value();
        ASSERT_TRUE(set.add(out.writable()));
        std::mt19937 random{3};
        for (std::uint64_t i = 0; i < kMessages; ++i) {
            send(set, out, i);
            if (random() % 64 == 0) dawdle(random);
        }
    }};
    WaitSet set = WaitSet::create().value();
    ASSERT_TRUE(set.add(in.readable()));
    std::mt19937 random{4};
    for (std::uint64_t i = 0; i < kMessages; ++i) {
        ASSERT_EQ(next(set, in), i);
        if (random() % 64 == 0) dawdle(random);
    }
    EXPECT_TRUE(sender.wait().ok());
}

TEST_P(WaitForMailbox, AWaitEndsWhenItIsClosed) {
    ASSERT_TRUE(Numbers::create("m", options()));
    Numbers in = open("m", Role::receives);
    WaitSet set = WaitSet::create().value();
    ASSERT_TRUE(set.add(in.readable(), 7));
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    kit::Child closer{[] { ASSERT_TRUE(open("m", Role::sends).close()); }};
    const Result<std::span<const Ready>> ready = set.wait_for(20s);
    ASSERT_TRUE(ready) << describe(ready.error());
    EXPECT_EQ(ready->front().tag, 7U);
    EXPECT_EQ(in.try_receive().error().code, Errc::end_of_stream);
    EXPECT_TRUE(closer.wait().ok());
}

TEST_P(WaitForMailbox, AWaitEndsWhenItIsDestroyed) {
    ASSERT_TRUE(Numbers::create("m", options()));
    Numbers in = open("m", Role::receives);
    WaitSet set = WaitSet::create().value();
    ASSERT_TRUE(set.add(in.readable()));
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    kit::Child destroyer{[] { ASSERT_TRUE(Numbers::destroy("m")); }};
    const Result<std::span<const Ready>> ready = set.wait_for(20s);
    ASSERT_TRUE(ready) << describe(ready.error());
    EXPECT_EQ(in.try_receive().error().code, Errc::gone);
    EXPECT_TRUE(destroyer.wait().ok());
}

// Somebody else's loop asks the descriptor alone.
TEST_P(WaitForMailbox, ADescriptorOfItsOwnTellsOfEachMessage) {
    constexpr std::uint64_t kMessages = 500;
    ASSERT_TRUE(Numbers::create("m", options()));
    Numbers in = open("m", Role::receives);
    const int fd = in.ready_fd().value();
    kit::Child sender{[] {
        Numbers out = open("m", Role::sends);
        std::mt19937 random{3};
        for (std::uint64_t i = 0; i < kMessages; ++i) {
            ASSERT_TRUE(out.send(i));
            if (random() % 4 == 0) dawdle(random);
        }
        // So that the others find it open.
    }};
    for (std::uint64_t i = 0; i < kMessages;) {
        pollfd poll{.fd = fd, .events = POLLIN, .revents = 0};
        ASSERT_EQ(::poll(&poll, 1, 20'000), 1) << i;
        std::uint64_t value = 0;
        const Result<void> got = in.receive_into(value, Deadline::immediately());
        if (!got) {
            ASSERT_EQ(got.error().code, Errc::empty) << describe(got.error());
            continue;
        }
        ASSERT_EQ(value, i++);
    }
    EXPECT_TRUE(sender.wait().ok());
}

INSTANTIATE_TEST_SUITE_P(
    All, WaitForMailbox,
    testing::Values(Kind{"any", Sharing::any}, Kind{"any_ack", Sharing::any, true},
                    Kind{"any_levels", Sharing::any, false, bounded(16), 3},
                    Kind{"any_unbounded", Sharing::any, false, unbounded(64 << 20)},
                    Kind{"single", Sharing::single_receiver},
                    Kind{"single_ack", Sharing::single_receiver, true}, Kind{"pair", Sharing::pair},
                    Kind{"pair_ack", Sharing::pair, true},
                    Kind{"pair_unbounded", Sharing::pair, false, unbounded(64 << 20)},
                    Kind{"round_robin", Sharing::round_robin},
                    Kind{"round_robin_ack", Sharing::round_robin, true},
                    Kind{"least_loaded", Sharing::least_loaded},
                    Kind{"key_affine", Sharing::key_affine},
                    Kind{"key_affine_ack", Sharing::key_affine, true},
                    Kind{"broadcast", Sharing::broadcast},
                    Kind{"broadcast_ack", Sharing::broadcast, true}),
    [](const testing::TestParamInfo<Kind>& kind) { return std::string{kind.param.name}; });

}  // namespace
}  // namespace stoa
