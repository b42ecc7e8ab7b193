#include "stoa/wait/executor.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <thread>

#include "stoa/wait/wait_test_kit.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

Task<int> seven() {
    co_return 7;
}

Task<int> sum_of(int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) sum += co_await seven();
    co_return sum;
}

TEST(Executor, ATaskGivesItsValueToWhoeverAwaitsIt) {
    Executor executor = Executor::create().value();
    Spawned<int> spawned = executor.spawn(sum_of(3));
    EXPECT_FALSE(spawned.done());
    ASSERT_TRUE(executor.run());
    ASSERT_TRUE(spawned.done());
    EXPECT_EQ(spawned.take(), 21);
    EXPECT_EQ(executor.tasks(), 0U);
}

TEST(Executor, AMillionAwaitsGrowNoStack) {
    Executor executor = Executor::create().value();
    Spawned<int> spawned = executor.spawn(sum_of(1'000'000));
    ASSERT_TRUE(executor.run());
    EXPECT_EQ(spawned.take(), 7'000'000);
}

Task<int> nested(int depth) {
    if (depth == 0) {
        co_await let_others_run();
        co_return 0;
    }
    co_return 1 + co_await nested(depth - 1);
}

TEST(Executor, ManyTasksInsideEachOtherUnwindWithoutStack) {
    Executor executor = Executor::create().value();
    Spawned<int> spawned = executor.spawn(nested(10'000));
    ASSERT_TRUE(executor.run());
    EXPECT_EQ(spawned.take(), 10'000);
}

Task<> produce(Queue& queue, int count) {
    for (int i = 0; i < count; ++i) {
        EXPECT_TRUE(co_await async_send(queue, std::to_string(i)));
    }
}

Task<> consume(Queue& queue, int count, int& received) {
    for (int i = 0; i < count; ++i) {
        const Result<std::string> text = co_await async_receive(queue);
        EXPECT_EQ(text.value(), std::to_string(i));
        ++received;
    }
}

TEST(Executor, ASenderAndAReceiverTakeTurns) {
    for (const std::size_t capacity : {1U, 3U, 1000U}) {
        Queue queue{capacity};
        int received = 0;
        Executor executor = Executor::create().value();
        (void)executor.spawn(consume(queue, 1000, received));
        (void)executor.spawn(produce(queue, 1000));
        ASSERT_TRUE(executor.run());
        EXPECT_EQ(received, 1000);
    }
}

Task<> receive_forever(Queue& queue, int& received) {
    while (co_await async_receive(queue)) {
        ++received;
        EXPECT_TRUE(queue.try_send("again"));
    }
}

TEST(Executor, ATaskThatNeverHasToWaitLetsOthersRun) {
    Queue busy{4};
    int received = 0;
    Executor executor = Executor::create().value();
    ASSERT_TRUE(busy.try_send("first"));
    (void)executor.spawn(receive_forever(busy, received));
    (void)executor.spawn([](Executor& self, int& count) -> Task<> {
        while (count < 10'000) co_await let_others_run();
        co_await async_sleep(1ms);
        self.stop();
    }(executor, received));
    ASSERT_TRUE(executor.run());
    EXPECT_GE(received, 10'000);
    EXPECT_EQ(executor.tasks(), 1U);
}

TEST(Executor, ADeadlineEndsAWait) {
    Queue queue{1};
    Executor executor = Executor::create().value();
    auto spawned = executor.spawn([](Queue& from) -> Task<Errc> {
        EXPECT_EQ((co_await async_receive(from, Deadline::immediately())).error().code,
                  Errc::empty);
        co_return (co_await async_receive(from, 1ms)).error().code;
    }(queue));
    ASSERT_TRUE(executor.run());
    EXPECT_EQ(spawned.take(), Errc::timed_out);
}

TEST(Executor, WhatIsReadyAtItsDeadlineIsNotLate) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const sys::Fd reads{ends[0]};
    const sys::Fd writes{ends[1]};
    Executor executor = Executor::create().value();
    const auto look = [](int fd) -> Task<Result<Ready>> {
        co_return co_await async_wait(FdReady{fd}, std::chrono::nanoseconds{0});
    };
    auto nothing = executor.spawn(look(reads.get()));
    ASSERT_TRUE(executor.run());
    EXPECT_EQ(nothing.take().error().code, Errc::timed_out);
    ASSERT_EQ(::write(writes.get(), "x", 1), 1);
    auto something = executor.spawn(look(reads.get()));
    ASSERT_TRUE(executor.run());
    EXPECT_TRUE(something.take());
}

TEST(Executor, AStopTokenEndsAWaitFromAnyThread) {
    Queue queue{1};
    Executor executor = Executor::create().value();
    std::stop_source source;
    std::atomic<bool> waits = false;
    auto spawned = executor.spawn(
        [](Queue& from, std::stop_token stop, std::atomic<bool>& begun) -> Task<Errc> {
            begun = true;
            co_return (co_await async_receive(from, stop)).error().code;
        }(queue, source.get_token(), waits));
    std::jthread other{[&] {
        ASSERT_TRUE(kit::wait_until([&] { return waits.load(); }));
        source.request_stop();
    }};
    ASSERT_TRUE(executor.run());
    EXPECT_EQ(spawned.take(), Errc::stopped);
}

TEST(Executor, ATokenThatHasFiredAlreadyEndsTheWaitAtOnce) {
    Queue queue{1};
    Executor executor = Executor::create().value();
    std::stop_source source;
    source.request_stop();
    auto spawned = executor.spawn([](Queue& from, std::stop_token stop) -> Task<Errc> {
        co_return (co_await async_receive(from, stop)).error().code;
    }(queue, source.get_token()));
    ASSERT_TRUE(executor.run());
    EXPECT_EQ(spawned.take(), Errc::stopped);
}

TEST(Executor, StopsAndResultsAtOneMomentEndEachWaitOnce) {
    Executor executor = Executor::create().value();
    for (int round = 0; round < 200; ++round) {
        Queue queue{1};
        std::stop_source source;
        auto receiver = executor.spawn([](Queue& from, std::stop_token stop) -> Task<bool> {
            const Result<std::string> text = co_await async_receive(from, Until{1s, stop});
            EXPECT_TRUE(text || text.error().code == Errc::stopped);
            co_return text.has_value();
        }(queue, source.get_token()));
        (void)executor.spawn(produce(queue, 1));
        std::jthread other{[&] { source.request_stop(); }};
        ASSERT_TRUE(executor.run());
        const bool received = receiver.take();
        EXPECT_EQ(queue.try_receive().has_value(), !received) << "stopped: it took nothing";
    }
}

TEST(Executor, TasksAwaitDescriptorsTimersSignalsAndDeaths) {
    Executor executor = Executor::create().value();
    kit::Child child{[] { ::pause(); }};
    auto spawned = executor.spawn([](const kit::Child& other) -> Task<int> {
        const sys::Fd event{::eventfd(1, EFD_CLOEXEC)};
        const Result<Ready> readable = co_await async_wait(FdReady{event.get(), EPOLLIN});
        EXPECT_EQ(readable.value().events, std::uint32_t{EPOLLIN});
        EXPECT_EQ((co_await async_sleep(1ms)).value().count, 1U);
        EXPECT_EQ((co_await async_wait(Death::of_child(other.pid()), 1ms)).error().code,
                  Errc::timed_out);
        other.kill();
        EXPECT_TRUE(co_await async_wait(Death::of_child(other.pid())));
        co_return 4;
    }(child));
    ASSERT_TRUE(executor.run());
    EXPECT_EQ(spawned.take(), 4);
}

TEST(Executor, WhatCannotBeWaitedForIsAnErrorOfTheAwait) {
    Executor executor = Executor::create().value();
    auto spawned = executor.spawn([]() -> Task<Errc> {
        co_return (co_await async_wait(FdReady{-1, EPOLLIN})).error().code;
    }());
    ASSERT_TRUE(executor.run());
    EXPECT_EQ(spawned.take(), Errc::bad_argument);
}

TEST(Executor, ATaskAwaitsASpawnedOne) {
    Executor executor = Executor::create().value();
    auto spawned = executor.spawn([](Executor& self) -> Task<int> {
        Spawned<int> slow = self.spawn([]() -> Task<int> {
            co_await async_sleep(1ms);
            co_return 1;
        }());
        Spawned<int> fast = self.spawn(seven());
        co_return co_await slow + co_await fast;
    }(executor));
    ASSERT_TRUE(executor.run());
    EXPECT_EQ(spawned.take(), 8);
}

TEST(Executor, WhatATaskThrowsIsThrownWhereItIsAwaited) {
    Executor executor = Executor::create().value();
    auto spawned = executor.spawn([]() -> Task<std::string> {
        std::string caught;
        try {
            co_await []() -> Task<> {
                co_await let_others_run();
                throw std::runtime_error{"no"};
            }();
        } catch (const std::runtime_error& error) {
            caught = error.what();
        }
        co_return caught;
    }());
    ASSERT_TRUE(executor.run());
    EXPECT_EQ(spawned.take(), "no");
}

TEST(Executor, RunEndsAtItsDeadlineAndGoesOnLater) {
    Queue queue{1};
    Executor executor = Executor::create().value();
    int received = 0;
    (void)executor.spawn(consume(queue, 1, received));
    EXPECT_EQ(executor.run_for(1ms).error().code, Errc::timed_out);
    EXPECT_EQ(executor.run_ready().error().code, Errc::timed_out);
    ASSERT_TRUE(queue.try_send("0"));
    EXPECT_TRUE(executor.run());
    EXPECT_EQ(received, 1);
}

TEST(Executor, StopEndsARunFromAnotherThread) {
    Queue queue{1};
    Executor executor = Executor::create().value();
    int received = 0;
    (void)executor.spawn(consume(queue, 1, received));
    std::jthread other{[&] { executor.stop(); }};
    ASSERT_TRUE(executor.run());
    EXPECT_EQ(executor.tasks(), 1U);
}

TEST(Executor, TasksThatHaveNotEndedAreDestroyedWithIt) {
    const auto witness = std::make_shared<int>(0);
    {
        Queue queue{1};
        Executor executor = Executor::create().value();
        (void)executor.spawn([](Queue& from, std::shared_ptr<int> /*held*/) -> Task<> {
            co_await [](Queue& inner) -> Task<> { (void)co_await async_receive(inner, 1h); }(from);
        }(queue, witness));
        (void)executor.spawn([](std::shared_ptr<int> /*held*/) -> Task<> { co_return; }(witness));
        EXPECT_FALSE(executor.run_for(1ms));
        (void)executor.spawn([](std::shared_ptr<int> /*held*/) -> Task<> { co_return; }(witness));
        EXPECT_EQ(witness.use_count(), 3);
    }
    EXPECT_EQ(witness.use_count(), 1);
}

TEST(Executor, AForkedChildsCopySaysSo) {
    Executor executor = Executor::create().value();
    (void)executor.spawn([]() -> Task<> { co_await async_sleep(1h); }());
    EXPECT_FALSE(executor.run_for(1ms));
    bool has_run = false;
    (void)executor.spawn([](bool& ran) -> Task<> {
        ran = true;
        co_return;
    }(has_run));
    const kit::Ending ending = kit::fork_and_run([&] {
        const Result<void> ran = executor.run();
        EXPECT_FALSE(has_run);  // it is the parent's
        ASSERT_FALSE(ran);
        EXPECT_EQ(ran.error().code, Errc::forked);
        const Executor ends_here = std::move(executor);
    });
    EXPECT_TRUE(ending.ok());
}

TEST(Executor, ItsDescriptorIsReadableWhileThereIsSomethingToDo) {
    const auto is_readable = [](int fd) {
        pollfd request{.fd = fd, .events = POLLIN, .revents = 0};
        return ::poll(&request, 1, 0) == 1;
    };
    Queue queue{1};
    Executor executor = Executor::create().value();
    int received = 0;
    const int fd = executor.fd().value();
    EXPECT_FALSE(is_readable(fd));
    (void)executor.spawn(consume(queue, 1, received));
    EXPECT_TRUE(is_readable(fd));
    EXPECT_EQ(executor.run_ready().error().code, Errc::timed_out);
    EXPECT_FALSE(executor.run_ready());
    EXPECT_FALSE(is_readable(fd));
    ASSERT_TRUE(queue.try_send("0"));
    EXPECT_TRUE(is_readable(fd));
    EXPECT_TRUE(executor.run_ready());
    EXPECT_EQ(received, 1);
}

}  // namespace
}  // namespace stoa
