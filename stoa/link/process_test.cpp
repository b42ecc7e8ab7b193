// Process names and direct messages between real processes.
#include "stoa/link/process.hpp"

#include <gtest/gtest.h>

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "stoa/link/admin.hpp"
#include "stoa/wait/wait_set.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

struct Goal {
    std::int32_t x = 0;
    std::int32_t y = 0;
};

class ProcessNames : public testing::Test {
protected:
    kit::TempDomain domain_;
};

constexpr TalkOptions kWait{.wait_for_join = true};

TEST_F(ProcessNames, TwoProcessesNameEachOther) {
    kit::Child driver{[] {
        Process me = Process::join("driver").value();
        auto goal = me.receive<Goal>("planner", kWait);
        ASSERT_TRUE(goal) << describe(goal.error());
        EXPECT_EQ(goal->value().x, 3);
        EXPECT_TRUE(me.send("planner", std::string{"done"}));
        // It stays until the planner has left.
        EXPECT_EQ(me.receive<Goal>("planner").error().code, Errc::end_of_stream);
    }};
    {
        Process me = Process::join("planner").value();
        ASSERT_TRUE(me.send("driver", Goal{3, 4}, kWait));
        const auto done = me.receive<std::string>("driver");
        ASSERT_TRUE(done) << describe(done.error());
        EXPECT_EQ(done->value(), "done");
        EXPECT_EQ(done->from(), "driver");
    }
    EXPECT_TRUE(driver.wait().ok());
    EXPECT_TRUE(domain_.entries().empty()) << domain_.entries().front();
}

TEST_F(ProcessNames, WhoReceivesFromAnyoneLearnsTheSender) {
    Process me = Process::join("server").value();
    kit::Child a{[] {
        Process mine = Process::join("a").value();
        EXPECT_TRUE(mine.send("server", Goal{1, 0}));
        EXPECT_EQ(mine.receive<Goal>("server").error().code, Errc::end_of_stream);
    }};
    kit::Child b{[] {
        Process mine = Process::join("b").value();
        EXPECT_TRUE(mine.send("server", Goal{2, 0}));
        EXPECT_EQ(mine.receive<Goal>("server").error().code, Errc::end_of_stream);
    }};
    std::string names[2];
    for (int i = 0; i < 2; ++i) {
        auto received = me.receive<Goal>();
        ASSERT_TRUE(received) << describe(received.error());
        const auto& [from, goal] = *received;
        names[goal.x - 1] = from;
    }
    EXPECT_EQ(names[0], "a");
    EXPECT_EQ(names[1], "b");
    me.leave();
    EXPECT_TRUE(a.wait().ok());
    EXPECT_TRUE(b.wait().ok());
    EXPECT_TRUE(domain_.entries().empty());
}

TEST_F(ProcessNames, ACallGetsTheReplyToThisVeryMessage) {
    kit::Child server{[] {
        Process me = Process::join("server").value();
        for (int i = 0; i < 10; ++i) {
            auto call = me.receive<int>();
            ASSERT_TRUE(call) << describe(call.error());
            EXPECT_TRUE(call->is_call());
            EXPECT_TRUE(call->reply(call->value() * 2));
        }
        EXPECT_EQ(me.receive<int>("client").error().code, Errc::end_of_stream);
    }};
    {
        Process me = Process::join("client").value();
        for (int i = 0; i < 10; ++i) {
            const auto reply = me.call<int>("server", i, kWait);
            ASSERT_TRUE(reply) << describe(reply.error());
            EXPECT_EQ(reply->value(), 2 * i);
        }
    }
    EXPECT_TRUE(server.wait().ok());
}

TEST_F(ProcessNames, ATakenNameIsRefusedWithItsHoldersPid) {
    kit::Child holder{[] {
        Process me = Process::join("taken").value();
        static_cast<void>(me.receive<int>());
    }};
    ASSERT_TRUE(kit::wait_until([] { return Process::find("taken").has_value(); }));
    const Result<Process> refused = Process::join("taken");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::in_use);
    EXPECT_NE(std::string{refused.error().step}.find(std::to_string(holder.pid())),
              std::string::npos)
        << refused.error().step;
    // A stopped holder is not a dead one.
    holder.stop();
    EXPECT_EQ(Process::join("taken").error().code, Errc::in_use);
    holder.resume();
    // A dead one's name is free at once, also before anybody has waited for it.
    holder.kill();
    EXPECT_EQ(Process::find("taken").error().code, Errc::not_found);
    EXPECT_TRUE(Process::join("taken"));
    holder.wait();
    EXPECT_TRUE(domain_.entries().empty());
}

TEST_F(ProcessNames, TheSameNameTwiceInOneProcessIsRefused) {
    Process me = Process::join("me").value();
    EXPECT_EQ(Process::join("me").error().code, Errc::in_use);
    me.leave();
    EXPECT_TRUE(Process::join("me"));
    EXPECT_EQ(Process::join("").error().code, Errc::bad_name);
    EXPECT_EQ(Process::join("a/b").error().code, Errc::bad_name);
    EXPECT_EQ(Process::join(std::string(64, 'x')).error().code, Errc::bad_name);
    EXPECT_TRUE(Process::join(std::string(63, 'x')));
}

TEST_F(ProcessNames, AttributesAreReadByOthersAndEndWithTheirOwner) {
    Process me =
        Process::join("me", {.attributes = {{"role", "planner"}, {"version", "2"}}}).value();
    ProcessInfo info = Process::find("me").value();
    EXPECT_EQ(info.attributes.at("role"), "planner");
    EXPECT_EQ(info.identity.pid, static_cast<std::uint32_t>(getpid()));
    EXPECT_GT(info.joined_ns, 0U);
    ASSERT_TRUE(me.set_attribute("role", "driver"));
    ASSERT_TRUE(me.remove_attribute("version"));
    EXPECT_EQ(Process::find("me")->attributes, (Attributes{{"role", "driver"}}));
    EXPECT_EQ(me.set_attribute("big", std::string(2100, 'x')).error().code, Errc::too_big);
    EXPECT_EQ(me.set_attribute("", "x").error().code, Errc::bad_argument);
    EXPECT_EQ(me.remove_attribute("none").error().code, Errc::not_found);
    EXPECT_EQ(Process::find("me")->attributes, (Attributes{{"role", "driver"}}));
    me.leave();
    EXPECT_EQ(Process::find("me").error().code, Errc::not_found);
    Process again = Process::join("me").value();
    EXPECT_TRUE(Process::find("me")->attributes.empty());
}

// The copy that it began to read is written again meanwhile.
TEST_F(ProcessNames, AttributesThatAreGivenToJoinAreCheckedAsLaterOnes) {
    for (const Attributes& bad : {Attributes{{"", "x"}}, Attributes{{std::string{"a\0b", 3}, "x"}},
                                  Attributes{{"a", std::string{"x\0y", 3}}}}) {
        EXPECT_EQ(Process::join("me", {.attributes = bad}).error().code, Errc::bad_argument);
    }
    EXPECT_TRUE(domain_.entries().empty());
}

TEST_F(ProcessNames, AReaderOfAttributesBeginsAgainWhenTheyChange) {
    Process me = Process::join("me").value();
    ASSERT_TRUE(me.set_attribute("first", "1"));
    kit::Child reader{[] {
        kit::stop_self_at("link.card.begun");
        EXPECT_EQ(Process::find("me")->attributes, (Attributes{{"first", "3"}, {"second", "3"}}));
    }};
    ASSERT_TRUE(reader.wait_stopped());
    ASSERT_TRUE(me.set_attribute("second", "2"));
    ASSERT_TRUE(me.set_attribute("first", "3"));
    ASSERT_TRUE(me.set_attribute("second", "3"));
    reader.resume();
    EXPECT_TRUE(reader.wait().ok());
}

TEST_F(ProcessNames, AListTellsWhoHasJoinedAndWhatWaitsForThem) {
    EXPECT_TRUE(Process::list()->empty());
    Process a = Process::join("a").value();
    Process b = Process::join("b").value();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(a.send("b", i));
    const std::vector<ProcessInfo> all = Process::list().value();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].name, "a");
    EXPECT_EQ(all[0].links, 1U);
    EXPECT_EQ(all[0].queued, 0U);
    EXPECT_EQ(all[1].links, 1U);
    EXPECT_EQ(all[1].queued, 3U);
    EXPECT_EQ(all[1].life, sys::Life::alive);
}

TEST_F(ProcessNames, WhatADeadProcessSentIsReceivedAndThenItsDeathIsTold) {
    Process me = Process::join("me").value();
    kit::Child peer{[] {
        Process mine = Process::join("peer").value();
        for (int i = 0; i < 3; ++i) EXPECT_TRUE(mine.send("me", i));
        static_cast<void>(mine.receive<int>());
    }};
    ASSERT_EQ(me.receive<int>("peer", kWait)->value(), 0);
    ASSERT_TRUE(kit::wait_until([] { return Process::find("me")->queued == 2; }));
    peer.kill_and_wait();
    EXPECT_EQ(me.receive<int>("peer")->value(), 1);
    EXPECT_EQ(me.receive<int>("peer")->value(), 2);
    EXPECT_EQ(me.receive<int>("peer").error().code, Errc::peer_died);
    EXPECT_EQ(me.receive<int>("peer").error().code, Errc::not_found);
    EXPECT_EQ(me.send("peer", 1).error().code, Errc::not_found);
}

// Blocked in each of the calls while the other one dies.
// Knocks are heard in the order of their places in the table, which is chance: several rounds.
TEST_F(ProcessNames, AnOlderLifeThatIsHeardLateDoesNotHideTheNewerOne) {
    for (int round = 0; round < 20; ++round) {
        Process me = Process::join("server").value();
        kit::Child old{[] {
            Process mine = Process::join("client").value();
            EXPECT_TRUE(mine.send("server", Goal{1, 0}));
            ::raise(SIGKILL);
        }};
        EXPECT_EQ(old.wait().signal, SIGKILL);
        Process heir = Process::join("client").value();
        ASSERT_TRUE(heir.send("server", Goal{2, 0}));
        const Result<void> sent = me.try_send("client", Goal{3, 0});
        ASSERT_TRUE(sent) << describe(sent.error()) << " in round " << round;
        EXPECT_EQ(heir.receive<Goal>("server")->value().x, 3);
        const int first = me.receive<Goal>()->value().x;
        EXPECT_EQ(first + me.receive<Goal>()->value().x, 3);
    }
}

TEST_F(ProcessNames, WhoWaitsForADyingPeerIsTold) {
    Process me = Process::join("me").value();
    const auto with_peer = [&](const LinkOptions& options, auto&& what) {
        kit::Child peer{[&] {
            Process mine = Process::join("peer").value();
            Link link = mine.link("me", options).value();
            EXPECT_TRUE(mine.pulse("me", 1));
            for (;;) pause();
        }};
        ASSERT_TRUE(me.receive_pulse());
        kit::Child killer{[pid = peer.pid()] {
            // Whatever the other one does until then, it is told.
            for (int i = 0; i < 1000; ++i) sched_yield();
            kill(pid, SIGKILL);
        }};
        EXPECT_EQ(what(), Errc::peer_died);
        killer.wait();
        peer.wait();
    };
    with_peer({}, [&] { return me.receive<int>("peer").error().code; });
    with_peer({}, [&] { return me.call<int>("peer", 1).error().code; });
    with_peer({.capacity = zero()}, [&] { return me.send("peer", 1).error().code; });
    with_peer({.capacity = bounded(1)}, [&] {
        for (;;) {
            if (Result<void> sent = me.send("peer", 1); !sent) return sent.error().code;
        }
    });
}

TEST_F(ProcessNames, ADeathIsSomethingToWaitFor) {
    Process me = Process::join("me").value();
    kit::Child peer{[] {
        Process mine = Process::join("peer").value();
        static_cast<void>(mine.receive<int>());
    }};
    ASSERT_TRUE(kit::wait_until([] { return Process::find("peer").has_value(); }));
    WaitSet set = WaitSet::create().value();
    ASSERT_TRUE(set.add(me.died("peer"), 7));
    EXPECT_FALSE(set.add(me.died("nobody")));
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    peer.kill();
    const auto ready = set.wait().value();
    EXPECT_EQ(ready[0].tag, 7U);
    peer.wait();
}

TEST_F(ProcessNames, ASignalGoesToANameAndArrivesInAWaitSet) {
    Process me = Process::join("me").value();
    WaitSet set = WaitSet::create().value();
    ASSERT_TRUE(set.add(Signal{SIGUSR1}, 4));
    kit::Child peer{[] {
        Process mine = Process::join("peer").value();
        EXPECT_TRUE(mine.signal("me", SIGUSR1, 42));
        EXPECT_EQ(mine.signal("nobody", SIGUSR1).error().code, Errc::not_found);
    }};
    const auto ready = set.wait().value();
    EXPECT_EQ(ready[0].tag, 4U);
    EXPECT_EQ(ready[0].signal.value, 42U);
    EXPECT_EQ(ready[0].signal.pid, static_cast<std::uint32_t>(peer.pid()));
    EXPECT_TRUE(peer.wait().ok());
}

// One entry for all its links, also those that do not exist yet.
TEST_F(ProcessNames, AWaitSetWaitsForMessagesFromAnyone) {
    Process me = Process::join("me").value();
    WaitSet set = WaitSet::create().value();
    ASSERT_TRUE(set.add(me.readable(), 3));
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    kit::Child peer{[] {
        for (int i = 0; i < 50; ++i) {
            Process mine = Process::join("peer" + std::to_string(i % 5)).value();
            EXPECT_TRUE(mine.send("me", i));
            EXPECT_EQ(mine.receive<int>("me")->value(), i);
        }
    }};
    for (int got = 0; got < 50;) {
        const auto ready = set.wait();
        ASSERT_TRUE(ready);
        ASSERT_EQ((*ready)[0].tag, 3U);
        const auto message = me.try_receive<int>();
        if (!message) continue;
        EXPECT_EQ(message->value(), got++);
        EXPECT_TRUE(me.send(message->from(), message->value()));
    }
    EXPECT_TRUE(peer.wait().ok());
    // The same as a descriptor.
    Process other = Process::join("other").value();
    const int fd = other.ready_fd().value();
    pollfd what{.fd = fd, .events = POLLIN, .revents = 0};
    ASSERT_TRUE(me.send("other", 1));
    EXPECT_EQ(poll(&what, 1, -1), 1);
    EXPECT_EQ(other.try_receive<int>()->value(), 1);
    EXPECT_EQ(other.try_receive<int>().error().code, Errc::empty);
    EXPECT_EQ(poll(&what, 1, 0), 0);
}

// Both begin with a send at the same moment: one link, and nothing is lost.
TEST_F(ProcessNames, TwoThatConnectAtTheSameMomentHaveOneLink) {
    for (int round = 0; round < 50; ++round) {
        const auto talk = [](const char* mine, const char* other) {
            Process me = Process::join(mine).value();
            EXPECT_TRUE(me.send(other, 1, kWait));
            EXPECT_EQ(me.receive<int>(other, kWait)->value(), 1);
            EXPECT_TRUE(me.send(other, 2));
            EXPECT_EQ(me.receive<int>(other)->value(), 2);
            int links = 0;
            const std::vector<ProcessInfo> all = Process::list().value();
            for (const ProcessInfo& info : all) {
                links += info.name == mine ? static_cast<int>(info.links) : 0;
            }
            EXPECT_EQ(links, 1);
        };
        kit::Child a{[&] { talk("a", "b"); }};
        kit::Child b{[&] { talk("b", "a"); }};
        ASSERT_TRUE(a.wait().ok());
        ASSERT_TRUE(b.wait().ok());
        ASSERT_TRUE(domain_.entries().empty()) << domain_.entries().front();
    }
}

TEST_F(ProcessNames, GarbageIsWhatOnlyTheDeadUsed) {
    Process me = Process::join("me").value();
    kit::Child peer{[] {
        Process mine = Process::join("peer").value();
        Process other = Process::join("other").value();
        EXPECT_TRUE(mine.send("other", 1));
        EXPECT_TRUE(mine.send("me", 1));
        EXPECT_TRUE(mine.pulse("other", 1));
        kill(getpid(), SIGKILL);
    }};
    peer.wait();
    const std::vector<std::string> before = domain_.entries();
    EXPECT_FALSE(collect_link_garbage(true)->empty());
    EXPECT_EQ(domain_.entries(), before);
    EXPECT_FALSE(collect_link_garbage(false)->empty());
    // What it sent to one who lives stays, until he has received it.
    EXPECT_EQ(domain_.entries().size(), 2U);
    EXPECT_EQ(me.receive<int>()->value(), 1);
    me.leave();
    EXPECT_TRUE(collect_link_garbage(false)->empty());
    EXPECT_TRUE(domain_.entries().empty());
}

TEST_F(ProcessNames, ANameThatIsTakenWhileItIsCollectedStays) {
    kit::Child dead{[] {
        const Process first = Process::join("name").value();
        kill(getpid(), SIGKILL);
    }};
    dead.wait();
    kit::Child collector{[] {
        kit::stop_self_at("link.remove.begun");
        EXPECT_TRUE(collect_link_garbage(false));
    }};
    ASSERT_TRUE(collector.wait_stopped());
    Process me = Process::join("name").value();
    collector.resume();
    EXPECT_TRUE(collector.wait().ok());
    Process other = Process::join("other").value();
    ASSERT_TRUE(other.send("name", 1));
    EXPECT_EQ(me.receive<int>()->value(), 1);
}

TEST_F(ProcessNames, AProgramThatCallsExecKeepsItsNameUntilItEnds) {
    Process parent = Process::join("parent").value();
    kit::Child child{[] {
        Process me = Process::join("me").value();
        EXPECT_TRUE(me.send("parent", 1));
        execl("/bin/sleep", "sleep", "1000", nullptr);
        _exit(99);
    }};
    ASSERT_EQ(parent.receive<int>("me", kWait)->value(), 1);
    ASSERT_TRUE(kit::wait_until([&] {
        std::string program;
        std::ifstream{"/proc/" + std::to_string(child.pid()) + "/comm"} >> program;
        return program == "sleep";
    }));
    // Alive, and nobody in it listens.
    EXPECT_EQ(Process::join("me").error().code, Errc::in_use);
    EXPECT_TRUE(parent.send("me", 2));
    EXPECT_EQ(parent.call_for<int>("me", 3, 1ms).error().code, Errc::timed_out);
    child.kill_and_wait();
    EXPECT_EQ(parent.send("me", 4).error().code, Errc::peer_died);
    EXPECT_EQ(parent.receive<int>("me").error().code, Errc::peer_died);
    EXPECT_TRUE(Process::join("me"));
}

// Who waits for the old program is told; the new one has links of its own.
TEST_F(ProcessNames, AProgramThatTakesItsNameAgainAfterExecEndsWhatItOwed) {
    if (const char* const domain = std::getenv("STOA_TEST_EXEC")) {
        Process again = Process::join("me", {.domain = domain}).value();
        EXPECT_TRUE(again.send("parent", 5));
        EXPECT_EQ(again.receive<int>("parent").error().code, Errc::end_of_stream);
        return;
    }
    Process parent = Process::join("parent").value();
    kit::Child child{[&] {
        Process me = Process::join("me").value();
        const auto call = me.receive<int>("parent", kWait);
        EXPECT_TRUE(call->is_call());
        setenv("STOA_TEST_EXEC", domain_.path().c_str(), 1);
        execl("/proc/self/exe", "process_test", "--gtest_filter=*EndsWhatItOwed", nullptr);
        _exit(99);
    }};
    EXPECT_EQ(parent.call<int>("me", 9, kWait).error().code, Errc::end_of_stream);
    EXPECT_EQ(parent.receive<int>("me", kWait)->value(), 5);
    parent.leave();
    EXPECT_TRUE(child.wait().ok());
}

// The process lives on under another program: what that one does not hold is its own to take.
TEST_F(ProcessNames, AProgramThatCallsExecMayTakeItsNameAgain) {
    if (const char* const domain = std::getenv("STOA_TEST_EXEC")) {
        Process again = Process::join("me", {.domain = domain}).value();
        EXPECT_TRUE(again.send("parent", 5));
        return;
    }
    Process parent = Process::join("parent").value();
    kit::Child child{[&] {
        const Process me = Process::join("me").value();
        setenv("STOA_TEST_EXEC", domain_.path().c_str(), 1);
        execl("/proc/self/exe", "process_test", "--gtest_filter=*MayTakeItsNameAgain", nullptr);
        _exit(99);
    }};
    EXPECT_EQ(parent.receive<int>()->value(), 5);
    EXPECT_TRUE(child.wait().ok());
}

}  // namespace
}  // namespace stoa
