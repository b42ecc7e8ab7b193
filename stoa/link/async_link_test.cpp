// Direct messages and calls in coroutines: many at once, by name, and their ends.
#include <gtest/gtest.h>

#include <unistd.h>

#include <csignal>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stoa/link/process.hpp"
#include "stoa/wait/executor.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr TalkOptions kWait{.wait_for_join = true};

struct Big {
    std::uint64_t words[512]{};
};

class AsyncLink : public testing::Test {
protected:
    kit::TempDomain domain_;
    Process me_ = Process::join("me").value();
    Executor executor_ = Executor::create().value();
};

Task<int> ask(Process& me, std::string name, int number, Until until = {}) {
    const auto reply = co_await async_call<int>(me, name, number, until);
    co_return reply ? reply->value() : -static_cast<int>(reply.error().code);
}

int code(Errc code) {
    return -static_cast<int>(code);
}

void expect_end(Process& me, const char* from) {
    EXPECT_EQ(me.receive<int>(from).error().code, Errc::end_of_stream);
}

TEST_F(AsyncLink, CallsAnsweredInReverseOrderEachGetTheirOwnReply) {
    kit::Child server{[] {
        Process mine = Process::join("server").value();
        std::vector<std::pair<int, Reply>> open;
        for (int i = 0; i < 3; ++i) {
            auto call = mine.receive<int>();
            open.emplace_back(call->value(), call->take_reply());
        }
        EXPECT_TRUE(mine.send("me", 77));
        for (; !open.empty(); open.pop_back()) {
            EXPECT_TRUE(open.back().second.send(open.back().first * 2));
        }
        expect_end(mine, "me");
    }};
    ASSERT_TRUE(me_.link("server", {}, kWait));
    std::vector<Spawned<int>> asked;
    for (int i = 1; i <= 3; ++i) asked.push_back(executor_.spawn(ask(me_, "server", i)));
    ASSERT_TRUE(executor_.run());
    for (int i = 1; i <= 3; ++i) {
        EXPECT_EQ(asked[static_cast<std::size_t>(i - 1)].take(), 2 * i);
    }
    EXPECT_EQ(me_.receive<int>("server")->value(), 77) << "other messages wait in their order";
    me_.leave();
    EXPECT_TRUE(server.wait().ok());
}

// Both ends in one process, so that each step is decided here.
TEST_F(AsyncLink, AReplyThatSomebodyElseFindsGoesToItsCall) {
    Process server = Process::join("server").value();
    auto first = executor_.spawn(ask(me_, "server", 1));
    auto second = executor_.spawn(ask(me_, "server", 2));
    EXPECT_EQ(executor_.run_ready().error().code, Errc::timed_out);
    auto one = server.receive<int>();
    auto two = server.receive<int>();
    ASSERT_TRUE(two->reply(20));
    ASSERT_TRUE(server.send("me", 5));
    ASSERT_TRUE(one->reply(10));
    // A receive from anyone, one by name, and a call that blocks all pass replies on.
    EXPECT_EQ(me_.receive<int>()->value(), 5);
    EXPECT_EQ(me_.try_receive<int>("server").error().code, Errc::empty);
    EXPECT_EQ(me_.call_for<int>("server", 3, 1ms).error().code, Errc::timed_out);
    ASSERT_TRUE(executor_.run());
    EXPECT_EQ(first.take(), 10);
    EXPECT_EQ(second.take(), 20);
}

TEST_F(AsyncLink, AReceiveThatIsAwaitedGetsWhatACallSetAside) {
    Process server = Process::join("server").value();
    Link link = me_.link("server").value();
    const auto receive = [](auto& from) -> Task<int> {
        const auto message = co_await async_receive<int>(from);
        co_return message->value();
    };
    auto called = executor_.spawn(ask(me_, "server", 1));
    auto by_link = executor_.spawn(receive(link));
    auto by_anyone = executor_.spawn(receive(me_));
    auto by_name = executor_.spawn([](Process& me) -> Task<int> {
        const auto message = co_await async_receive<int>(me, "server");
        co_return message->value();
    }(me_));
    EXPECT_EQ(executor_.run_ready().error().code, Errc::timed_out);
    auto call = server.receive<int>();
    for (int i = 1; i <= 3; ++i) ASSERT_TRUE(server.send("me", i));
    // The call looks first, and finds what is for the others.
    EXPECT_EQ(me_.call_for<int>("server", 2, 1ms).error().code, Errc::timed_out);
    EXPECT_EQ(executor_.run_ready().error().code, Errc::timed_out);
    EXPECT_TRUE(by_link.done() && by_anyone.done() && by_name.done());
    EXPECT_EQ(by_link.take() + by_anyone.take() + by_name.take(), 6);
    ASSERT_TRUE(call->reply(4));
    ASSERT_TRUE(executor_.run());
    EXPECT_EQ(called.take(), 4);
}

TEST_F(AsyncLink, AThousandCallsInFlightAreBoundedByTheLinksCapacity) {
    constexpr int kCalls = 1000;
    kit::Child server{[] {
        Process mine = Process::join("server").value();
        std::map<int, Reply> open;
        // In batches backwards: whatever order the replies come in.
        for (int got = 0; got < kCalls; ++got) {
            auto call = mine.receive<int>();
            ASSERT_TRUE(call) << describe(call.error());
            open.emplace(call->value(), call->take_reply());
            if (open.size() < 8 && got + 1 < kCalls) continue;
            while (!open.empty()) {
                auto last = std::prev(open.end());
                EXPECT_TRUE(last->second.send(last->first + 1));
                open.erase(last);
            }
        }
        expect_end(mine, "me");
    }};
    ASSERT_TRUE(me_.link("server", {.capacity = bounded(16)}, kWait));
    std::vector<Spawned<int>> asked;
    for (int i = 0; i < kCalls; ++i) asked.push_back(executor_.spawn(ask(me_, "server", i)));
    (void)executor_.run_ready();
    EXPECT_LE(me_.link("server")->options()->capacity.messages, 16U);
    ASSERT_TRUE(executor_.run());
    for (int i = 0; i < kCalls; ++i) EXPECT_EQ(asked[static_cast<std::size_t>(i)].take(), i + 1);
    me_.leave();
    EXPECT_TRUE(server.wait().ok());
}

// Both lanes are full: who replies gets room because calls that wait for room take replies.
TEST_F(AsyncLink, CallsThatWaitForRoomTakeRepliesMeanwhile) {
    Process server = Process::join("server").value();
    ASSERT_TRUE(me_.link("server", {.capacity = bounded(2)}));
    std::vector<Spawned<int>> asked;
    const auto ask_one = [&](Until until) {
        asked.push_back(executor_.spawn(ask(me_, "server", 1, std::move(until))));
        (void)executor_.run_ready();
    };
    ask_one(Deadline::immediately());  // cancelled at once: its reply is nobody's
    ask_one(Deadline::immediately());
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(server.receive<int>()->reply(7));
    for (int i = 0; i < 3; ++i) ask_one({});
    std::optional<Received<int>> third{std::move(server.receive<int>().value())};
    ASSERT_TRUE(third->reply(8, Deadline::after(1s))) << "the two old replies made room";
    for (int answered = 1; answered < 3; ++answered) {
        (void)executor_.run_ready();
        ASSERT_TRUE(server.receive<int>()->reply(8, Deadline::after(1s)));
    }
    ASSERT_TRUE(executor_.run());
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(asked[i].take(), i < 2 ? code(Errc::empty) : 8);
}

TEST_F(AsyncLink, ADeathEndsEveryCallWithPeerDied) {
    kit::Child server{[] {
        Process mine = Process::join("server").value();
        auto first = mine.receive<int>();
        const auto second = mine.receive<int>();
        EXPECT_TRUE(first->reply(11));
        (void)mine.receive<int>("never", kWait);
    }};
    kit::Child other{[] {
        Process mine = Process::join("other").value();
        EXPECT_TRUE(mine.receive<int>()->reply(12));
        expect_end(mine, "me");
    }};
    ASSERT_TRUE(me_.link("server", {}, kWait));
    ASSERT_TRUE(me_.link("other", {}, kWait));
    auto answered = executor_.spawn(ask(me_, "server", 1));
    auto died = executor_.spawn(ask(me_, "server", 2));
    auto died_too = executor_.spawn(ask(me_, "server", 3));
    auto elsewhere = executor_.spawn(ask(me_, "other", 4));
    (void)executor_.spawn([](Spawned<int> first, kit::Child& victim) -> Task<> {
        EXPECT_EQ(co_await first, 11);
        victim.kill();
    }(answered, server));
    ASSERT_TRUE(executor_.run());
    EXPECT_EQ(died.take(), code(Errc::peer_died));
    EXPECT_EQ(died_too.take(), code(Errc::peer_died));
    EXPECT_EQ(elsewhere.take(), 12);
    server.wait();
    me_.leave();
    EXPECT_TRUE(other.wait().ok());
}

TEST_F(AsyncLink, ACallThatIsStoppedDropsItsReplyAlone) {
    Process server = Process::join("server").value();
    std::stop_source stop;
    auto stopped = executor_.spawn(ask(me_, "server", 1, stop.get_token()));
    auto late = executor_.spawn(ask(me_, "server", 2, 1ms));
    auto kept = executor_.spawn(ask(me_, "server", 3));
    EXPECT_EQ(executor_.run_ready().error().code, Errc::timed_out);
    stop.request_stop();
    ASSERT_TRUE(kit::wait_until([&] {
        (void)executor_.run_ready();
        return stopped.done() && late.done();
    }));
    EXPECT_EQ(stopped.take(), code(Errc::stopped));
    EXPECT_EQ(late.take(), code(Errc::timed_out));
    for (int i = 1; i <= 3; ++i) ASSERT_TRUE(server.receive<int>()->reply(10 * i));
    ASSERT_TRUE(executor_.run());
    EXPECT_EQ(kept.take(), 30);
    EXPECT_EQ(me_.try_receive<int>().error().code, Errc::empty);
}

TEST_F(AsyncLink, AWaitThatEndsLeavesTheMarkToTheOthers) {
    Process server = Process::join("server").value();
    std::stop_source stop;
    auto stopped = executor_.spawn(ask(me_, "server", 1, stop.get_token()));
    auto kept = executor_.spawn(ask(me_, "server", 2));
    EXPECT_EQ(executor_.run_ready().error().code, Errc::timed_out);
    stop.request_stop();
    (void)executor_.run_ready();
    (void)executor_.run_ready();
    EXPECT_TRUE(stopped.done());
    auto dropped = server.receive<int>();
    ASSERT_TRUE(server.receive<int>()->reply(20));
    // It was told of its reply: nothing else looks before a slice has passed.
    (void)executor_.run_ready();
    EXPECT_TRUE(kept.done());
    ASSERT_TRUE(executor_.run());
}

TEST_F(AsyncLink, ACoroutineThatIsDestroyedLeavesNothing) {
    Process server = Process::join("server").value();
    ASSERT_TRUE(me_.link("server", {.capacity = bounded(1)}));
    {
        Executor short_lived = Executor::create().value();
        (void)short_lived.spawn(ask(me_, "server", 1));
        (void)short_lived.spawn(ask(me_, "server", 2));  // waits for room
        (void)short_lived.run_ready();
        EXPECT_EQ(me_.core().links().front()->open_calls(), 2U);
    }
    EXPECT_EQ(me_.core().links().front()->open_calls(), 0U);
    auto kept = executor_.spawn(ask(me_, "server", 3));
    (void)executor_.run_ready();
    for (int i = 0; i < 2; ++i) {
        auto call = server.receive<int>();
        EXPECT_EQ(call->value(), i == 0 ? 1 : 3);
        ASSERT_TRUE(call->reply(call->value()));
        (void)executor_.run_ready();
    }
    ASSERT_TRUE(executor_.run());
    EXPECT_EQ(kept.take(), 3);
}

TEST_F(AsyncLink, ACallThatCannotBeMadeSaysWhy) {
    Process server = Process::join("server").value();
    const auto refused = [&](std::string name) {
        auto asked = executor_.spawn(ask(me_, std::move(name), 1));
        EXPECT_TRUE(executor_.run());
        return asked.take();
    };
    EXPECT_EQ(refused("nobody"), code(Errc::not_found));
    EXPECT_EQ(refused("no/name"), code(Errc::bad_name));
    EXPECT_EQ(refused("me"), code(Errc::bad_argument));
    const auto end = [&](auto&& how) {
        auto asked = executor_.spawn(ask(me_, "server", 1));
        (void)executor_.run_ready();
        how(server.receive<int>().value());
        EXPECT_TRUE(executor_.run());
        return asked.take();
    };
    EXPECT_EQ(end([](const Received<int>& /*let go of*/) {}), code(Errc::unanswered));
    EXPECT_EQ(end([](Received<int> call) { EXPECT_TRUE(call.reply("text")); }),
              code(Errc::wrong_type));
    EXPECT_EQ(end([&](const Received<int>& /*call*/) { server.leave(); }),
              code(Errc::end_of_stream));
    auto left = executor_.spawn([](Process& me) -> Task<Errc> {
        co_return (co_await async_receive<int>(me)).error().code;
    }(me_));
    (void)executor_.run_ready();
    me_.leave();
    ASSERT_TRUE(executor_.run());
    EXPECT_EQ(left.take(), Errc::gone);
}

// As send says it; memory comes back when the other one receives, but nobody promises that.
TEST_F(AsyncLink, ASendToALinkAtItsQuotaSaysSoAndDoesNotSpin) {
    Process a = Process::join("quota-a").value();
    Process b = Process::join("quota-b").value();
    const LinkOptions small{.capacity = unbounded(1U << 20U)};
    Link link = a.link("quota-b", small).value();
    const std::string text(1000, 'x');
    while (link.try_send(text)) {
    }
    EXPECT_EQ(link.try_send(text).error().code, Errc::quota_reached);
    Executor executor = Executor::create().value();
    const auto send = [&]() -> Task<> {
        const Result<void> sent = co_await async_send(link, text);
        EXPECT_EQ(sent.error().code, Errc::quota_reached);
        const auto reply = co_await async_call<int>(link, text);
        EXPECT_EQ(reply.error().code, Errc::quota_reached);
    };
    executor.spawn(send());
    EXPECT_TRUE(executor.run_for(10s));
}

TEST_F(AsyncLink, RequestsAndRepliesAreOfEachKind) {
    Process server = Process::join("server").value();
    Link link = me_.link("server").value();
    auto asked = executor_.spawn([](Link& to) -> Task<std::string> {
        const auto text = co_await async_call<std::string>(to, "question");
        const Big request{};
        const auto big = co_await async_call<Big>(to, request);
        const std::vector<int> numbers(2, 1);
        const auto bytes = co_await async_call<Bytes>(to, numbers);
        co_return text->value() + std::to_string(big->value().words[1]) +
            std::string{bytes->text()};
    }(link));
    (void)executor_.run_ready();
    EXPECT_TRUE(server.receive<std::string>()->reply("answer "));
    (void)executor_.run_ready();
    EXPECT_TRUE(server.receive<Big>()->reply(Big{{3, 4}}));
    (void)executor_.run_ready();
    EXPECT_TRUE(server.receive<std::vector<int>>()->reply(" bytes"));
    ASSERT_TRUE(executor_.run());
    EXPECT_EQ(asked.take(), "answer 4 bytes");
}

TEST_F(AsyncLink, ASendByNameWaitsForRoomAndForTheDeathOfWhoMakesNone) {
    kit::Child peer{[] {
        Process mine = Process::join("peer").value();
        for (int i = 0; i < 100; ++i) EXPECT_EQ(mine.receive<int>("me", kWait)->value(), i);
        EXPECT_TRUE(mine.send("me", 0));
        (void)mine.receive<int>("never", kWait);
    }};
    ASSERT_TRUE(me_.link("peer", {.capacity = bounded(2)}, kWait));
    auto sent = executor_.spawn([](Process& me, kit::Child& victim) -> Task<Errc> {
        for (int i = 0; i < 100; ++i) EXPECT_TRUE(co_await async_send(me, "peer", i));
        EXPECT_TRUE(co_await async_receive<int>(me, "peer"));
        for (int i = 0; i < 2; ++i) EXPECT_TRUE(co_await async_send(me, "peer", i));
        EXPECT_EQ((co_await async_send(me, "peer", 1, 1ms)).error().code, Errc::timed_out);
        victim.kill();
        co_return (co_await async_send(me, "peer", 2)).error().code;
    }(me_, peer));
    ASSERT_TRUE(executor_.run());
    EXPECT_EQ(sent.take(), Errc::peer_died);
}

TEST_F(AsyncLink, AReceiveByNameWaitsForTheFirstMessageAndForTheEnd) {
    kit::Child peer{[] {
        Process mine = Process::join("peer").value();
        EXPECT_TRUE(mine.receive_pulse());
        EXPECT_TRUE(mine.send("me", 1));  // makes the link
        EXPECT_TRUE(mine.receive_pulse());
        kill(getpid(), SIGKILL);
    }};
    kit::Child other{[] {
        Process mine = Process::join("other").value();
        EXPECT_TRUE(mine.send("me", 5));  // for nobody in particular
        (void)mine.receive<int>("never", kWait);
    }};
    ASSERT_TRUE(kit::wait_until(
        [] { return Process::find("peer").has_value() && Process::find("other").has_value(); }));
    auto received = executor_.spawn([](Process& me, kit::Child& unlinked) -> Task<int> {
        EXPECT_EQ((co_await async_receive<int>(me, "peer", 1ms)).error().code, Errc::timed_out);
        EXPECT_EQ((co_await async_receive<int>(me, "nobody")).error().code, Errc::not_found);
        co_await let_others_run();
        const auto first = co_await async_receive<int>(me, "peer");
        EXPECT_EQ(first.value().value(), 1);
        EXPECT_TRUE(me.pulse("peer", 1));
        EXPECT_EQ((co_await async_receive<int>(me, "peer")).error().code, Errc::peer_died);
        EXPECT_EQ((co_await async_receive<int>(me, "other"))->value(), 5);
        unlinked.kill();
        co_return -static_cast<int>((co_await async_receive<int>(me, "other")).error().code);
    }(me_, other));
    (void)executor_.spawn([](Process& me) -> Task<> {
        co_await async_sleep(2ms);
        EXPECT_TRUE(me.pulse("peer", 0));
    }(me_));
    ASSERT_TRUE(executor_.run());
    EXPECT_EQ(received.take(), code(Errc::peer_died));
}

// It has sent nothing, so there is no link yet, and a death is all there is to hear of.
TEST_F(AsyncLink, AReceiveByNameHearsOfADeathBeforeThereIsALink) {
    kit::Child peer{[] {
        Process mine = Process::join("peer").value();
        (void)mine.receive<int>("never", kWait);
    }};
    ASSERT_TRUE(kit::wait_until([] { return Process::find("peer").has_value(); }));
    auto received = executor_.spawn([](Process& me) -> Task<Errc> {
        co_return (co_await async_receive<int>(me, "peer")).error().code;
    }(me_));
    EXPECT_EQ(executor_.run_ready().error().code, Errc::timed_out);
    peer.kill();
    ASSERT_TRUE(executor_.run());
    EXPECT_EQ(received.take(), Errc::not_found);
}

TEST_F(AsyncLink, AFailedSendHidesNothingOfWhatTheDeadOneSent) {
    kit::Child peer{[] {
        Process mine = Process::join("peer").value();
        EXPECT_TRUE(mine.receive<int>("me", kWait));
        EXPECT_TRUE(mine.send("me", 1));
        kill(getpid(), SIGKILL);
    }};
    Link link = me_.link("peer", {}, kWait).value();
    ASSERT_TRUE(link.send(0));
    peer.wait();
    EXPECT_EQ(link.send_with(2, Deadline::never()).error().code, Errc::peer_died);
    EXPECT_EQ(me_.receive<int>("peer")->value(), 1);
}

TEST_F(AsyncLink, ACallIsSomethingToWaitFor) {
    Process server = Process::join("server").value();
    WaitSet set = WaitSet::create().value();
    auto call = me_.pending_call<int>("server", 4);
    EXPECT_EQ(call.try_receive().error().code, Errc::empty);
    ASSERT_TRUE(set.add(call.readable(), 9));
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    ASSERT_TRUE(server.receive<int>()->reply(5));
    EXPECT_EQ((*set.wait())[0].tag, 9U);
    EXPECT_EQ(call.try_receive()->value(), 5);
    EXPECT_EQ(call.try_receive().error().code, Errc::not_owner);
}

TEST_F(AsyncLink, AForkedChildsCopyOfACallSaysForked) {
    Process server = Process::join("server").value();
    auto call = me_.pending_call<int>("server", 1);
    auto unsent = me_.pending_call<int>("server", 2);
    EXPECT_EQ(call.try_receive().error().code, Errc::empty);
    const kit::Ending child = kit::fork_and_run([&] {
        EXPECT_EQ(call.try_receive().error().code, Errc::forked);
        EXPECT_EQ(unsent.try_receive().error().code, Errc::forked);
        EXPECT_EQ(me_.call<int>("server", 2).error().code, Errc::forked);
        Process own = Process::join("child").value();
        EXPECT_EQ(own.call_for<int>("server", 3, 1ms).error().code, Errc::timed_out);
    });
    EXPECT_TRUE(child.ok());
    EXPECT_TRUE(server.receive<int>("me")->reply(10));
    EXPECT_EQ(call.try_receive()->value(), 10);
    EXPECT_EQ(server.try_receive<int>("me").error().code, Errc::empty);
    EXPECT_EQ(server.receive<int>()->value(), 3);
}

}  // namespace
}  // namespace stoa
