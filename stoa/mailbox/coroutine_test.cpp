// Mailboxes in coroutines: several on one handle, and other processes on the other side.
#include <gtest/gtest.h>

#include "stoa/mailbox/mailbox.hpp"
#include "stoa/wait/executor.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;
using Numbers = Mailbox<std::uint64_t>;

Numbers open(const char* name, Role role) {
    return Numbers::open(name, {.role = role, .domain = {}}).value();
}

Task<std::uint64_t> sum_of(Numbers& from) {
    std::uint64_t sum = 0;
    for (;;) {
        const auto message = co_await async_receive(from);
        EXPECT_TRUE(message || message.error().code == Errc::end_of_stream);
        if (!message || message->value() == 0) break;
        sum += message->value();
    }
    co_return sum;
}

Task<> send_up_to(Numbers& to, std::uint64_t last) {
    for (std::uint64_t i = 1; i <= last; ++i) {
        EXPECT_TRUE(co_await async_send(to, i));
    }
    EXPECT_TRUE(co_await async_send(to, std::uint64_t{0}));
}

TEST(MailboxCoroutine, AnotherProcessSendsAndWhatComesBackIsTheSum) {
    kit::TempDomain domain;
    for (const Sharing sharing : {Sharing::any, Sharing::single_receiver, Sharing::pair}) {
        const MailboxOptions options{
            .capacity = bounded(4), .sharing = sharing, .role = Role::none};
        ASSERT_TRUE(Numbers::create("there", options));
        ASSERT_TRUE(Numbers::create("back", options));
        Numbers there = open("there", Role::sends);
        Numbers back = open("back", Role::receives);
        kit::Child child{[] {
            Numbers in = open("there", Role::receives);
            Numbers out = open("back", Role::sends);
            Executor executor = Executor::create().value();
            auto sum = executor.spawn(sum_of(in));
            EXPECT_TRUE(executor.run());
            EXPECT_TRUE(out.send(sum.take()));
            EXPECT_TRUE(out.send(0));
        }};
        Executor executor = Executor::create().value();
        (void)executor.spawn(send_up_to(there, 500));
        auto sum = executor.spawn(sum_of(back));
        ASSERT_TRUE(executor.run());
        EXPECT_EQ(sum.take(), 500U * 501 / 2);
        EXPECT_TRUE(child.wait().ok());
        ASSERT_TRUE(Numbers::destroy("there"));
        ASSERT_TRUE(Numbers::destroy("back"));
    }
}

TEST(MailboxCoroutine, SeveralTasksReceiveFromOneHandle) {
    kit::TempDomain domain;
    Numbers numbers = Numbers::create("numbers", {.capacity = bounded(4)}).value();
    Numbers sending = numbers.clone().value();
    Executor executor = Executor::create().value();
    std::vector<Spawned<std::uint64_t>> sums;
    for (int i = 0; i < 5; ++i) sums.push_back(executor.spawn(sum_of(numbers)));
    (void)executor.spawn([](Numbers& to) -> Task<> {
        for (std::uint64_t i = 1; i <= 100; ++i) EXPECT_TRUE(co_await async_send(to, i));
        for (int i = 0; i < 5; ++i) EXPECT_TRUE(co_await async_send(to, std::uint64_t{0}));
    }(sending));
    ASSERT_TRUE(executor.run());
    std::uint64_t total = 0;
    for (auto& sum : sums) total += sum.take();
    EXPECT_EQ(total, 5050U);
}

TEST(MailboxCoroutine, ADeadlineEndsAReceiveAndAFullMailboxASend) {
    kit::TempDomain domain;
    Numbers numbers = Numbers::create("numbers", {.capacity = bounded(1)}).value();
    Executor executor = Executor::create().value();
    (void)executor.spawn([](Numbers& box) -> Task<> {
        EXPECT_EQ((co_await async_receive(box, 1ms)).error().code, Errc::timed_out);
        EXPECT_TRUE(co_await async_send(box, std::uint64_t{1}, 1ms));
        EXPECT_EQ((co_await async_send(box, std::uint64_t{2}, 1ms)).error().code, Errc::timed_out);
        EXPECT_EQ((co_await async_receive(box, 1ms)).value().value(), 1U);
    }(numbers));
    ASSERT_TRUE(executor.run());
}

TEST(MailboxCoroutine, TheEndOfAStreamEndsTheReceive) {
    kit::TempDomain domain;
    Numbers numbers = Numbers::create("numbers").value();
    Executor executor = Executor::create().value();
    auto sum = executor.spawn(sum_of(numbers));
    kit::Child child{[] {
        Numbers out = Numbers::open("numbers").value();
        EXPECT_TRUE(out.send(3));
        EXPECT_TRUE(out.close());
    }};
    ASSERT_TRUE(executor.run());
    EXPECT_EQ(sum.take(), 3U);
    EXPECT_TRUE(child.wait().ok());
}

}  // namespace
}  // namespace stoa
