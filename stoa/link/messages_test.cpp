// What travels in a link: types, order, calls, loans, descriptors, pulses, capacities.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "stoa/link/process.hpp"
#include "stoa/sys/memfd.hpp"
#include "stoa/wait/wait_set.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr TalkOptions kWait{.wait_for_join = true};

struct Small {
    std::int32_t x = 0;
};
struct Big {
    std::uint64_t words[512]{};
};
struct Plan {
    std::string name;
    std::vector<int> steps;
};

// Both ends in one process: a link does not care.
class Messages : public testing::Test {
protected:
    kit::TempDomain domain_;
    Process a_ = Process::join("a").value();
    Process b_ = Process::join("b").value();
};

TEST_F(Messages, EachKindOfValueTravelsBothWays) {
    ASSERT_TRUE(a_.send("b", Small{7}));
    ASSERT_TRUE(a_.send("b", Plan{"p", {1, 2, 3}}));
    ASSERT_TRUE(a_.send("b", "text"));
    ASSERT_TRUE(a_.send("b", std::string(5000, 'x')));
    ASSERT_TRUE(a_.send("b", Big{{1, 2}}));
    EXPECT_EQ(b_.receive<Small>("a")->value().x, 7);
    EXPECT_EQ(b_.receive<Plan>("a")->value().steps, (std::vector{1, 2, 3}));
    EXPECT_EQ(b_.receive<Bytes>("a")->text(), "text");
    EXPECT_EQ(b_.receive<std::string>("a")->value(), std::string(5000, 'x'));
    EXPECT_EQ(b_.receive<Big>("a")->value().words[1], 2U);
    ASSERT_TRUE(b_.send("a", Small{8}));
    EXPECT_EQ(a_.receive<Small>("b")->value().x, 8);
}

TEST_F(Messages, AMessageOfAnotherTypeStaysFirst) {
    ASSERT_TRUE(a_.send("b", Small{1}));
    ASSERT_TRUE(a_.send("b", Big{}));
    ASSERT_TRUE(a_.send("b", Small{2}));
    EXPECT_EQ(b_.receive<Big>("a").error().code, Errc::wrong_type);
    EXPECT_EQ(b_.receive<float>("a").error().code, Errc::wrong_type);
    EXPECT_EQ(b_.receive<Small>("a")->value().x, 1);
    EXPECT_EQ(b_.receive<Small>("a").error().code, Errc::wrong_type);
    EXPECT_TRUE(b_.receive<Big>());
    EXPECT_EQ(b_.receive<Small>()->value().x, 2);
}

TEST_F(Messages, ThereIsOneLinkForEachPairWhoeverSpeaksFirst) {
    ASSERT_TRUE(a_.send("b", Small{1}));
    ASSERT_TRUE(b_.send("a", Small{2}));
    ASSERT_TRUE(a_.send("b", Small{3}));
    int links = 0;
    for (const std::string& file : domain_.entries()) links += file.ends_with(".link") ? 1 : 0;
    EXPECT_EQ(links, 1);
    EXPECT_EQ(b_.receive<Small>("a")->value().x, 1);
    EXPECT_EQ(b_.receive<Small>("a")->value().x, 3);
    EXPECT_EQ(a_.receive<Small>("b")->value().x, 2);
}

TEST_F(Messages, ToNobodyAndToItselfAreErrors) {
    EXPECT_EQ(a_.send("nobody", Small{}).error().code, Errc::not_found);
    EXPECT_EQ(a_.send("a", Small{}).error().code, Errc::bad_argument);
    EXPECT_EQ(a_.receive<Small>("a").error().code, Errc::bad_argument);
    EXPECT_EQ(a_.try_receive<Small>("b").error().code, Errc::empty);
    EXPECT_EQ(a_.try_receive<Small>().error().code, Errc::empty);
    EXPECT_EQ(a_.receive_for<Small>("b", 1ms).error().code, Errc::timed_out);
    EXPECT_EQ(a_.send_for("later", Small{}, 1ms, kWait).error().code, Errc::timed_out);
    EXPECT_EQ(a_.send("no/name", Small{}).error().code, Errc::bad_name);
    EXPECT_EQ(a_.send(std::string(64, 'x'), Small{}).error().code, Errc::bad_name);
}

TEST_F(Messages, WhoLeavesIsFollowedByTheEndOfWhatHeSent) {
    ASSERT_TRUE(a_.send("b", Small{1}));
    a_.leave();
    EXPECT_EQ(b_.receive<Small>("a")->value().x, 1);
    EXPECT_EQ(b_.receive<Small>("a").error().code, Errc::end_of_stream);
    EXPECT_EQ(b_.send("a", Small{}).error().code, Errc::not_found);
    EXPECT_EQ(a_.send("b", Small{}).error().code, Errc::gone);
    b_.leave();
    EXPECT_TRUE(domain_.entries().empty());
}

TEST_F(Messages, ANameThatIsTakenAgainGetsNothingOfTheOldLife) {
    ASSERT_TRUE(a_.send("b", Small{1}));
    b_.leave();
    Process b2 = Process::join("b").value();
    EXPECT_EQ(b2.try_receive<Small>("a").error().code, Errc::empty);
    ASSERT_TRUE(a_.send("b", Small{2}));
    EXPECT_EQ(b2.receive<Small>("a")->value().x, 2);
}

TEST_F(Messages, CallsSetOtherMessagesAsideInTheirOrder) {
    kit::Child server{[] {
        Process me = Process::join("server").value();
        auto call = me.receive<int>();
        ASSERT_TRUE(call);
        for (int i = 0; i < 5; ++i) EXPECT_TRUE(me.send(call->from(), Small{i}));
        EXPECT_TRUE(call->reply(Plan{"r", {call->value()}}));
        EXPECT_EQ(me.receive<Small>("a").error().code, Errc::end_of_stream);
    }};
    const auto reply = a_.call<Plan>("server", 5, kWait);
    ASSERT_TRUE(reply) << describe(reply.error());
    EXPECT_EQ(reply->value().steps.front(), 5);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(a_.receive<Small>("server")->value().x, i);
    a_.leave();
    EXPECT_TRUE(server.wait().ok());
}

TEST_F(Messages, ACallThatIsLetGoOfIsUnanswered) {
    kit::Child server{[] {
        Process me = Process::join("server").value();
        {
            EXPECT_TRUE(me.receive<int>()->is_call());
        }
        Reply later;
        {
            auto call = me.receive<int>();
            later = call->take_reply();
            EXPECT_FALSE(call->is_call());
        }
        EXPECT_TRUE(later.send(8));
        EXPECT_EQ(later.send(9).error().code, Errc::not_owner);
        EXPECT_TRUE(me.receive<int>("a")->reply(2.5));
        EXPECT_EQ(me.receive<Small>("a").error().code, Errc::end_of_stream);
    }};
    EXPECT_EQ(a_.call<int>("server", 1, kWait).error().code, Errc::unanswered);
    EXPECT_EQ(a_.call<int>("server", 1)->value(), 8);
    EXPECT_EQ(a_.call<int>("server", 1).error().code, Errc::wrong_type);
    a_.leave();
    EXPECT_TRUE(server.wait().ok());
}

TEST_F(Messages, AReplyToACallThatEndedIsDropped) {
    EXPECT_EQ(a_.call_for<int>("b", 1, 1ms).error().code, Errc::timed_out);
    {
        auto call = b_.receive<int>();
        ASSERT_TRUE(call);
        EXPECT_TRUE(call->reply(2));
    }
    ASSERT_TRUE(b_.send("a", Small{3}));
    EXPECT_EQ(a_.receive<Small>("b")->value().x, 3);
}

TEST_F(Messages, LoansAreFilledAndReadInPlace) {
    Link link = a_.link("b").value();
    {
        LinkValueLoan<Big> loan = link.loan<Big>().value();
        loan->words[511] = 5;
        ASSERT_TRUE(loan.commit());
        LinkLoan bytes = link.loan(10).value();
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.room().data()) % 16, 0U);
        std::memcpy(bytes.room().data(), "hello", 5);
        ASSERT_TRUE(bytes.commit(5));
        LinkLoan dropped = link.loan(10).value();
        dropped.abandon();
    }
    const auto big = b_.receive<Big>("a").value();
    EXPECT_EQ(big->words[511], 5U);
    EXPECT_EQ(b_.receive<Bytes>("a")->text(), "hello");
    EXPECT_EQ(b_.try_receive<Bytes>("a").error().code, Errc::empty);
}

TEST_F(Messages, DescriptorsTravelWithTheirMessage) {
    const sys::Fd file = sys::make_memory("link-test").value();
    ASSERT_EQ(write(file.get(), "inside", 6), 6);
    const std::array<int, 1> fds{file.get()};
    ASSERT_TRUE(a_.send("b", Small{1}));
    ASSERT_TRUE(a_.send("b", "with", {.fds = fds}));
    ASSERT_TRUE(a_.send("b", Small{2}, {.fds = fds}));
    EXPECT_TRUE(b_.receive<Small>("a")->fds().empty());
    auto with = b_.receive<std::string>("a").value();
    ASSERT_EQ(with.fds().size(), 1U);
    char text[6]{};
    EXPECT_EQ(pread(with.fds()[0].get(), text, 6, 0), 6);
    EXPECT_EQ(std::string(text, 6), "inside");
    EXPECT_EQ(b_.receive<Small>("a")->fds().size(), 1U);
    const std::array<int, 1> bad{-1};
    EXPECT_EQ(a_.send("b", Small{3}, {.fds = bad}).error().code, Errc::bad_argument);
}

TEST_F(Messages, TheKernelSaysWhoThePeerIs) {
    kit::Child peer{[] {
        Process me = Process::join("peer").value();
        EXPECT_TRUE(me.send("a", Small{static_cast<std::int32_t>(getpid())}));
        EXPECT_EQ(me.receive<Small>("a").error().code, Errc::end_of_stream);
    }};
    const auto message = a_.receive<Small>().value();
    const sys::Credentials told = message.credentials().value();
    EXPECT_EQ(told.pid, static_cast<std::uint32_t>(message->x));
    EXPECT_EQ(told.uid, getuid());
    EXPECT_EQ(told.gid, getgid());
    EXPECT_EQ(a_.link("peer")->credentials()->pid, told.pid);
    EXPECT_EQ(a_.link("peer")->pid(), told.pid);
    a_.leave();
    EXPECT_TRUE(peer.wait().ok());
}

TEST_F(Messages, APulseNeverBlocks) {
    EXPECT_EQ(b_.try_receive_pulse().error().code, Errc::empty);
    for (std::uint64_t i = 0; i < 1024; ++i) ASSERT_TRUE(a_.pulse("b", i)) << i;
    EXPECT_EQ(a_.pulse("b", 1).error().code, Errc::full);
    for (std::uint64_t i = 0; i < 1024; ++i) {
        const Process::Pulse pulse = b_.receive_pulse().value();
        EXPECT_EQ(pulse.from, "a");
        EXPECT_EQ(pulse.value, i);
    }
    EXPECT_EQ(a_.pulse("nobody", 1).error().code, Errc::not_found);
}

TEST_F(Messages, APulseIsSomethingToWaitFor) {
    WaitSet set = WaitSet::create().value();
    const WaitId pulses = set.add(b_.pulse_readable(), 7).value();
    ASSERT_TRUE(set.add(b_.readable()));
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    kit::Child peer{[] {
        Process me = Process::join("peer").value();
        EXPECT_TRUE(me.pulse("b", 42));
    }};
    for (;;) {  // also ready: somebody knocks
        const auto ready = set.wait().value();
        if (std::ranges::any_of(ready, [&](const Ready& one) { return one.id == pulses; })) break;
        EXPECT_FALSE(b_.try_receive<Bytes>());
    }
    EXPECT_EQ(b_.try_receive_pulse()->value, 42U);
    EXPECT_TRUE(peer.wait().ok());
    b_.leave();
    EXPECT_EQ(WaitSet::create()->add(b_.pulse_readable()).error().code, Errc::gone);
}

TEST_F(Messages, TwoWhoseCallsCrossAreToldWhoHasNotReplied) {
    // Of one thread: the call of the other one is made by hand.
    auto theirs = b_.pending_call<int>("a", 1);
    EXPECT_EQ(theirs.try_receive().error().code, Errc::empty);
    const Error late = a_.call_for<int>("b", 2, 1ms).error();
    EXPECT_EQ(late.code, Errc::timed_out);
    EXPECT_EQ(std::string{late.step}, "call (b has not replied; a call of its own waits here)");
    EXPECT_TRUE(a_.receive<int>("b")->reply(3));
    EXPECT_EQ(theirs.try_receive()->value(), 3);
    EXPECT_EQ(std::string{a_.call_for<int>("b", 2, 1ms).error().step}, "call (b has not replied)");
}

TEST_F(Messages, ABoundedLinkIsFullAndAnUnboundedOneIsNot) {
    Link bounded_one = a_.link("b", {.capacity = bounded(2)}).value();
    EXPECT_TRUE(bounded_one.try_send(Small{1}));
    EXPECT_TRUE(bounded_one.try_send(Small{2}));
    EXPECT_EQ(bounded_one.try_send(Small{3}).error().code, Errc::full);
    EXPECT_EQ(bounded_one.send_for(Small{3}, 1ms).error().code, Errc::timed_out);
    EXPECT_EQ(bounded_one.options()->capacity.messages, 2U);
    // The other side sees the same.
    EXPECT_EQ(b_.link("a")->options()->capacity.messages, 2U);
    Process c = Process::join("c").value();
    Link unbounded_one = c.link("b", {.capacity = unbounded(16 << 20)}).value();
    for (int i = 0; i < 5000; ++i) ASSERT_TRUE(unbounded_one.try_send(Small{i})) << i;
    for (int i = 0; i < 5000; ++i) ASSERT_EQ(b_.receive<Small>("c")->value().x, i);
}

TEST_F(Messages, AOneWayLinkHasOneSender) {
    Link link = a_.link("b", {.one_way = true}).value();
    ASSERT_TRUE(link.send(Small{1}));
    EXPECT_EQ(b_.receive<Small>("a")->value().x, 1);
    EXPECT_EQ(b_.send("a", Small{2}).error().code, Errc::bad_argument);
    EXPECT_EQ(link.try_receive<Small>().error().code, Errc::bad_argument);
    EXPECT_EQ(a_.try_receive<Small>().error().code, Errc::empty);
}

TEST_F(Messages, AMessageThatIsTooBigIsRefused) {
    Link link = a_.link("b", {.max_bytes = 100}).value();
    EXPECT_TRUE(link.send(std::string(100, 'x')));
    EXPECT_EQ(link.send(std::string(101, 'x')).error().code, Errc::too_big);
    EXPECT_EQ(link.loan(101).error().code, Errc::too_big);
}

// The first send of either side makes the link; both are asleep in it, and one learns why.
TEST_F(Messages, TwoThatRendezvousWithEachOtherAreTold) {
    static constexpr LinkOptions kMeet{.capacity = zero()};
    for (int round = 0; round < 10; ++round) {
        kit::Child other{[] {
            Process me = Process::join("other", {.links = kMeet}).value();
            const Result<void> sent = me.send("a", Small{1}, kWait);
            if (sent) _exit(10);
            _exit(sent.error().code == Errc::deadlock ? 11 : 12);
        }};
        Link link = a_.link("other", kMeet, kWait).value();
        Result<void> sent = link.send(Small{2});
        // Nobody received, so not both of them can have sent.
        if (!sent && sent.error().code == Errc::deadlock) {
            const auto theirs = link.receive<Small>();
            if (theirs) {
                EXPECT_EQ(other.wait().status, 10);
            } else {
                EXPECT_EQ(theirs.error().code, Errc::peer_died);
                EXPECT_EQ(other.wait().status, 11);
            }
        } else {
            EXPECT_EQ(sent.error().code, Errc::peer_died);
            EXPECT_EQ(other.wait().status, 11);
        }
    }
}

TEST_F(Messages, ARendezvousEndsWhenTheOtherOneHasIt) {
    static constexpr LinkOptions kMeet{.capacity = zero()};
    kit::Child receiver{[] {
        Process me = Process::join("receiver").value();
        for (int i = 0; i < 100; ++i) {
            const auto message = me.receive<Small>();
            ASSERT_TRUE(message) << describe(message.error());
            EXPECT_EQ(message->value().x, i);
        }
    }};
    Link link = a_.link("receiver", kMeet, kWait).value();
    EXPECT_EQ(link.options()->capacity.kind, Capacity::Kind::zero);
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(link.send(Small{i}));
    EXPECT_TRUE(receiver.wait().ok());
    const Result<void> sent = link.send(Small{0});
    ASSERT_FALSE(sent);
    EXPECT_TRUE(sent.error().code == Errc::peer_died || sent.error().code == Errc::closed);
}

TEST_F(Messages, AnInheritedHandleSaysForked) {
    ASSERT_TRUE(a_.send("b", Small{1}));
    const kit::Ending child = kit::fork_and_run([&] {
        EXPECT_EQ(a_.send("b", Small{2}).error().code, Errc::forked);
        EXPECT_EQ(b_.receive<Small>("a").error().code, Errc::forked);
        EXPECT_EQ(b_.receive<Small>().error().code, Errc::forked);
        EXPECT_EQ(a_.pulse("b", 1).error().code, Errc::forked);
        EXPECT_EQ(a_.set_attribute("k", "v").error().code, Errc::forked);
        EXPECT_EQ(Process::join("a").error().code, Errc::in_use);
        EXPECT_TRUE(Process::join("child"));
        a_.leave();  // nothing of the parent's is touched
    });
    EXPECT_TRUE(child.ok());
    EXPECT_EQ(b_.receive<Small>("a")->value().x, 1);
    EXPECT_EQ(b_.try_receive<Small>("a").error().code, Errc::empty);
}

}  // namespace
}  // namespace stoa
