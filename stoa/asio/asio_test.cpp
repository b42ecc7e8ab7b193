#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <asio.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <chrono>
#include <string>
#include <thread>

#include "stoa/asio/async.hpp"
#include "stoa/wait/wait_test_kit.hpp"
#include "tests/kit/process.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

::asio::awaitable<void> produce(Queue& queue, int count) {
    for (int i = 0; i < count; ++i) {
        const Result<void> sent =
            co_await asio::async_send(queue, std::to_string(i), ::asio::use_awaitable);
        EXPECT_TRUE(sent);
    }
}

::asio::awaitable<void> consume(Queue& queue, int count, int& received) {
    for (int i = 0; i < count; ++i) {
        const Result<std::string> text = co_await asio::async_receive(queue, ::asio::use_awaitable);
        EXPECT_EQ(text.value(), std::to_string(i));
        ++received;
    }
}

TEST(AsioLoop, CoroutinesSendAndReceive) {
    for (const std::size_t capacity : {1U, 100U}) {
        Queue queue{capacity};
        int received = 0;
        ::asio::io_context context;
        ::asio::co_spawn(context, consume(queue, 300, received), ::asio::detached);
        ::asio::co_spawn(context, produce(queue, 300), ::asio::detached);
        context.run();
        EXPECT_EQ(received, 300);
    }
}

TEST(AsioLoop, ACallbackIsPostedNeverCalledInside) {
    Queue queue{1};
    ASSERT_TRUE(queue.try_send("there"));
    ::asio::io_context context;
    std::string received;
    asio::async_receive(context, queue,
                        [&](Result<std::string> text) { received = std::move(*text); });
    EXPECT_EQ(received, "");
    context.run();
    EXPECT_EQ(received, "there");
}

TEST(AsioLoop, AFutureIsFulfilledByAContextInAnotherThread) {
    Queue queue{1};
    ::asio::io_context context;
    auto work = ::asio::make_work_guard(context);
    std::jthread runner{[&] { context.run(); }};
    auto received = asio::async_receive(context, queue, ::asio::use_future);
    auto sent = asio::async_send(context, queue, std::string{"over there"}, ::asio::use_future);
    EXPECT_TRUE(sent.get());
    EXPECT_EQ(received.get().value(), "over there");
    work.reset();
}

TEST(AsioLoop, ACancellationSlotEndsTheCall) {
    Queue queue{1};
    ::asio::io_context context;
    ::asio::cancellation_signal signal;
    Result<std::string> outcome{"nothing"};
    asio::async_receive(
        context, queue,
        ::asio::bind_cancellation_slot(
            signal.slot(), [&](Result<std::string> text) { outcome = std::move(text); }));
    EXPECT_GT(context.poll(), 0U);
    signal.emit(::asio::cancellation_type::all);
    context.run();
    EXPECT_EQ(outcome.error().code, Errc::stopped);
    EXPECT_TRUE(queue.try_send("still room")) << "it took nothing";
}

TEST(AsioLoop, ATimerOfAsioEndsAReceive) {
    using namespace ::asio::experimental::awaitable_operators;
    Queue queue{1};
    ::asio::io_context context;
    bool was_timer = false;
    ::asio::co_spawn(
        context,
        [&]() -> ::asio::awaitable<void> {
            ::asio::steady_timer timer{context, 1ms};
            const auto first = co_await (asio::async_receive(queue, ::asio::use_awaitable) ||
                                         timer.async_wait(::asio::use_awaitable));
            was_timer = first.index() == 1;
        },
        ::asio::detached);
    context.run();
    EXPECT_TRUE(was_timer);
}

TEST(AsioLoop, EverythingThatCanBeWaitedForCanBeAwaited) {
    ::asio::io_context context;
    kit::Child child{[] { ::pause(); }};
    int done = 0;
    ::asio::co_spawn(
        context,
        [&]() -> ::asio::awaitable<void> {
            const sys::Fd event{::eventfd(1, EFD_CLOEXEC)};
            const Result<Ready> readable =
                co_await asio::async_wait(FdReady{event.get(), EPOLLIN}, ::asio::use_awaitable);
            done += readable.value().events == EPOLLIN ? 1 : 0;
            const Result<Ready> tick =
                co_await asio::async_wait(Timer::once(1ms), ::asio::use_awaitable);
            done += tick.value().count == 1 ? 1 : 0;
            child.kill();
            const Result<Ready> died =
                co_await asio::async_wait(Death::of_child(child.pid()), ::asio::use_awaitable);
            done += died ? 1 : 0;
            const Result<Ready> refused =
                co_await asio::async_wait(FdReady{-1, EPOLLIN}, ::asio::use_awaitable);
            done += refused.error().code == Errc::bad_argument ? 1 : 0;
        },
        ::asio::detached);
    context.run();
    EXPECT_EQ(done, 4);
}

TEST(AsioLoop, ItRunsBesideAsiosOwnDescriptors) {
    Queue queue{1};
    int received = 0;
    ::asio::io_context context;
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    ::asio::posix::stream_descriptor reads{context, ends[0]};
    ::asio::posix::stream_descriptor writes{context, ends[1]};
    std::array<char, 4> buffer{};
    ::asio::async_read(reads, ::asio::buffer(buffer),
                       [&](const ::asio::error_code& /*failure*/, std::size_t count) {
                           received += static_cast<int>(count);
                           (void)queue.try_send("0");
                       });
    ::asio::co_spawn(context, consume(queue, 1, received), ::asio::detached);
    ::asio::async_write(writes, ::asio::buffer("four", 4), ::asio::detached);
    context.run();
    EXPECT_EQ(received, 5);
}

TEST(AsioLoop, CallsThatAreLeftEndWithTheContext) {
    const auto witness = std::make_shared<int>(0);
    {
        Queue queue{1};
        ::asio::io_context context;
        asio::async_receive(context, queue, [witness](const Result<std::string>& /*text*/) {});
        context.poll();
        EXPECT_EQ(witness.use_count(), 2);
    }
    EXPECT_EQ(witness.use_count(), 1);
}

TEST(AsioLoop, AContextRunByTwoThreadsServesBoth) {
    Queue queue{8};
    int received = 0;
    ::asio::io_context context;
    const auto strand = ::asio::make_strand(context);
    ::asio::co_spawn(strand, consume(queue, 2000, received), ::asio::detached);
    ::asio::co_spawn(strand, produce(queue, 2000), ::asio::detached);
    {
        std::jthread one{[&] { context.run(); }};
        std::jthread other{[&] { context.run(); }};
    }
    EXPECT_EQ(received, 2000);
}

}  // namespace
}  // namespace stoa
