// Direct messages and calls with each kind of completion token.
#include "stoa/asio/async.hpp"

#include <gtest/gtest.h>

#include <asio.hpp>
#include <string>
#include <thread>
#include <vector>

#include "stoa/link/process.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr TalkOptions kWait{.wait_for_join = true};

class AsioLink : public testing::Test {
protected:
    kit::TempDomain domain_;
    Process me_ = Process::join("me").value();
    ::asio::io_context context_;
};

::asio::awaitable<void> ask(Process& me, int number, int& sum) {
    const auto reply = co_await asio::async_call<int>(me, "server", number, ::asio::use_awaitable);
    sum += reply.value().value();
}

TEST_F(AsioLink, CallsAtOnceEachGetTheirOwnReply) {
    kit::Child server{[] {
        Process mine = Process::join("server").value();
        std::vector<Reply> open;
        for (int i = 0; i < 100; ++i) {
            auto call = mine.receive<int>();
            EXPECT_EQ(call->value(), i);
            open.push_back(call->take_reply());
        }
        for (int i = 100; i-- > 0;) EXPECT_TRUE(open[static_cast<std::size_t>(i)].send(i * 2));
        EXPECT_EQ(mine.receive<int>("me").error().code, Errc::end_of_stream);
    }};
    Link link = me_.link("server", {}, kWait).value();
    int sum = 0;
    for (int i = 0; i < 98; ++i) {
        ::asio::co_spawn(context_, ask(me_, i, sum), ::asio::detached);
    }
    context_.poll();
    asio::async_call<int>(context_, link, 98,
                          [&](const Result<Received<int>>& reply) { sum += reply->value(); });
    auto last = asio::async_call<int>(context_, me_, "server", 99, ::asio::use_future);
    context_.run();
    EXPECT_EQ(last.get()->value(), 198);
    EXPECT_EQ(sum, 98 * 99);
    me_.leave();
    EXPECT_TRUE(server.wait().ok());
}

TEST_F(AsioLink, ADeathEndsACallAndACancelledOneDropsItsReply) {
    kit::Child server{[] {
        Process mine = Process::join("server").value();
        auto first = mine.receive<int>();
        auto second = mine.receive<int>();
        EXPECT_TRUE(mine.receive_pulse());
        EXPECT_TRUE(first->reply(1));
        EXPECT_TRUE(mine.send("me", 5));
        (void)mine.receive<int>("never", kWait);
    }};
    ASSERT_TRUE(me_.link("server", {}, kWait));
    ::asio::cancellation_signal signal;
    Errc cancelled{};
    Errc died{};
    asio::async_call<int>(
        context_, me_, "server", 1,
        ::asio::bind_cancellation_slot(signal.slot(), [&](const Result<Received<int>>& reply) {
            cancelled = reply.error().code;
            EXPECT_TRUE(me_.pulse("server", 1));
        }));
    asio::async_call<int>(context_, me_, "server", 2,
                          [&](const Result<Received<int>>& reply) { died = reply.error().code; });
    asio::async_receive<int>(context_, me_, "server", [&](const Result<Received<int>>& message) {
        EXPECT_EQ(message->value(), 5);
        server.kill();
    });
    context_.poll();
    signal.emit(::asio::cancellation_type::all);
    context_.run();
    EXPECT_EQ(cancelled, Errc::stopped);
    EXPECT_EQ(died, Errc::peer_died);
}

TEST_F(AsioLink, MessagesGoToNamesAndComeFromAnyone) {
    kit::Child peer{[] {
        Process mine = Process::join("peer").value();
        for (int i = 0; i < 50; ++i) EXPECT_EQ(mine.receive<int>("me", kWait)->value(), i);
        EXPECT_TRUE(mine.send("me", 50));
        EXPECT_EQ(mine.receive<int>("me").error().code, Errc::end_of_stream);
    }};
    ASSERT_TRUE(me_.link("peer", {.capacity = bounded(2)}, kWait));
    int got = 0;
    ::asio::co_spawn(
        context_,
        [](Process& me, int& received) -> ::asio::awaitable<void> {
            for (int i = 0; i < 50; ++i) {
                const auto sent = co_await asio::async_send(me, "peer", i, ::asio::use_awaitable);
                EXPECT_TRUE(sent);
            }
            const auto message = co_await asio::async_receive<int>(me, ::asio::use_awaitable);
            received = message.value().value();
        }(me_, got),
        ::asio::detached);
    context_.run();
    EXPECT_EQ(got, 50);
    me_.leave();
    EXPECT_TRUE(peer.wait().ok());
}

}  // namespace
}  // namespace stoa
