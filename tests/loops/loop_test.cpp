#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <string>

#include "stoa/sys/epoll.hpp"
#include "tests/kit/command.hpp"
#include "tests/loops/loop_test_kit.hpp"

namespace stoa {
namespace {

// For loops with a watchdog: nothing depends on how long it is.
constexpr int kAlarmMs = 30'000;

TEST(Loops, EpollServesEverythingThroughOneDescriptor) {
    kit::Scene scene;
    const sys::Epoll loop = sys::Epoll::create().value();
    ASSERT_TRUE(loop.add(scene.set().fd().value(), EPOLLIN, 0));
    std::array<epoll_event, 4> events;
    while (!scene.done()) {
        ASSERT_GT(::epoll_wait(loop.fd().get(), events.data(), 4, kAlarmMs), 0);
        scene.take_ready();
    }
}

TEST(Loops, EpollEdgeTriggeredServesItWhenAllIsTakenEachTime) {
    kit::Scene scene;
    const sys::Epoll loop = sys::Epoll::create().value();
    ASSERT_TRUE(loop.add(scene.set().fd().value(), EPOLLIN | EPOLLET, 0));
    std::array<epoll_event, 4> events;
    while (!scene.done()) {
        ASSERT_GT(::epoll_wait(loop.fd().get(), events.data(), 4, kAlarmMs), 0);
        pollfd still{.fd = scene.set().fd().value(), .events = POLLIN, .revents = 0};
        while (::poll(&still, 1, 0) == 1) scene.take_ready();
    }
}

TEST(Loops, PollServesItBesideOtherDescriptors) {
    kit::Scene scene;
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const sys::Fd reading{ends[0]};
    sys::Fd writing{ends[1]};
    bool pipe_ended = false;
    while (!scene.done() || !pipe_ended) {
        std::array<pollfd, 2> watched{
            pollfd{.fd = scene.set().fd().value(), .events = POLLIN, .revents = 0},
            pollfd{.fd = pipe_ended ? -1 : reading.get(), .events = POLLIN, .revents = 0}};
        ASSERT_GT(::poll(watched.data(), watched.size(), kAlarmMs), 0);
        if (watched[1].revents != 0) pipe_ended = true;
        if (watched[0].revents != 0) scene.take_ready();
        writing = {};
    }
}

// Python waits for the descriptor, this process takes what is ready: the kernel's readiness is the
// same for whoever holds it.
TEST(Loops, PythonsAsyncioWaitsForTheDescriptor) {
    kit::TempDomain domain;
    using Numbers = Mailbox<std::uint64_t>;
    Numbers numbers = Numbers::create("numbers").value();
    WaitSet set = WaitSet::create().value();
    ASSERT_TRUE(set.add(numbers.readable()));
    const int fd = set.fd().value();
    EXPECT_FALSE(set.try_wait());
    std::array<int, 2> answers{};
    std::array<int, 2> orders{};
    ASSERT_EQ(::pipe2(answers.data(), O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(orders.data(), O_CLOEXEC), 0);
    const sys::Fd answers_out{answers[0]};
    sys::Fd answers_in{answers[1]};
    sys::Fd orders_out{orders[0]};
    const sys::Fd orders_in{orders[1]};
    constexpr int kTimes = 20;
    kit::Command python{{"/usr/bin/env", "python3", "-B", STOA_ASYNCIO_LOOP, std::to_string(fd),
                         std::to_string(answers_in.get()), std::to_string(kTimes)},
                        {.in_child = [&] {
                            (void)::fcntl(fd, F_SETFD, 0);
                            (void)::fcntl(answers_in.get(), F_SETFD, 0);
                            (void)::dup2(orders_out.get(), 0);
                        }}};
    answers_in = {};
    orders_out = {};
    for (std::uint64_t i = 0; i < kTimes; ++i) {
        kit::Child sender{[i] { EXPECT_TRUE(Numbers::open("numbers").value().send(i)); }};
        char answer = 0;
        ASSERT_EQ(::read(answers_out.get(), &answer, 1), 1) << python.err();
        // It was woken by a ring, or by the set's own tick: the message may come a little later.
        while (!set.try_wait()) {
            pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
            ASSERT_EQ(::poll(&readable, 1, kAlarmMs), 1);
        }
        EXPECT_EQ(numbers.receive().value().value(), i);
        EXPECT_FALSE(set.try_wait());
        EXPECT_TRUE(sender.wait().ok());
        ASSERT_EQ(::write(orders_in.get(), "g", 1), 1);
    }
    const kit::Finished ended = python.wait();
    EXPECT_EQ(ended.status, 0) << ended.err;
    EXPECT_EQ(ended.out, "ok 20 ticked\n");
}

}  // namespace
}  // namespace stoa
