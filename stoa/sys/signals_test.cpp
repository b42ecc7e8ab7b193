#include "stoa/sys/signals.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "tests/kit/process.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa::sys {
namespace {

TEST(Signals, AValueArrivesWithItsSender) {
    const SignalSet wanted{SIGRTMIN + 3};
    const SignalSet blocked = block_signals(wanted);
    const Fd queue = make_signal_queue(wanted).value();
    ASSERT_TRUE(send_signal(self().value(), SIGRTMIN + 3, 0x1234'5678'9abc'def0U));
    std::array<SignalInfo, 4> infos;
    ASSERT_EQ(read_signals(queue, infos), 1U);
    EXPECT_EQ(infos[0].number, SIGRTMIN + 3);
    EXPECT_EQ(infos[0].value, 0x1234'5678'9abc'def0U);
    EXPECT_EQ(infos[0].pid, static_cast<std::uint32_t>(::getpid()));
    EXPECT_EQ(infos[0].uid, ::getuid());
    EXPECT_EQ(read_signals(queue, infos), 0U);
    unblock_signals(blocked);
}

TEST(Signals, QueuedOnesArriveInOrder) {
    const SignalSet wanted{SIGRTMIN + 4};
    const SignalSet blocked = block_signals(wanted);
    const Fd queue = make_signal_queue(wanted).value();
    for (std::uint64_t i = 0; i < 5; ++i) {
        ASSERT_TRUE(send_signal(self().value(), SIGRTMIN + 4, i));
    }
    std::array<SignalInfo, 8> infos;
    ASSERT_EQ(read_signals(queue, infos), 5U);
    for (std::uint64_t i = 0; i < 5; ++i) EXPECT_EQ(infos[i].value, i);
    unblock_signals(blocked);
}

TEST(Signals, TheDeadAndWhoeverGotTheirPidAreNotHit) {
    Identity other = self().value();
    other.start_ticks -= 1;  // somebody who had our pid before
    other.pidfs_id += 1'000'000'000;
    const Result<void> sent = send_signal(other, SIGKILL);
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, Errc::peer_died);
}

TEST(Signals, AFullQueueIsAnError) {
    const kit::Ending ending = kit::fork_and_run([] {
        const SignalSet wanted{SIGRTMIN + 5};
        (void)block_signals(wanted);
        const rlimit none{.rlim_cur = 0, .rlim_max = 0};
        ASSERT_EQ(::setrlimit(RLIMIT_SIGPENDING, &none), 0);
        const Result<void> sent = send_signal(self().value(), SIGRTMIN + 5, 1);
        ASSERT_FALSE(sent);
        EXPECT_EQ(sent.error().code, Errc::full);
    });
    EXPECT_TRUE(ending.ok());
}

TEST(Signals, NumbersThatNoSignalHasAreRefused) {
    EXPECT_EQ(send_signal(self().value(), 0).error().code, Errc::bad_argument);
    EXPECT_EQ(send_signal(self().value(), 65).error().code, Errc::bad_argument);
    EXPECT_FALSE((SignalSet{SIGTERM, 65}.is_valid()));
    EXPECT_TRUE((SignalSet{SIGTERM, 64}.is_valid()));
}

}  // namespace
}  // namespace stoa::sys
