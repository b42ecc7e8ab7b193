#include <fcntl.h>

#include <algorithm>
#include <thread>

#include "tests/cli/stoa_test.hpp"

namespace stoa {
namespace {

// Process names and messages between them, as the command line offers them.
class LinkCommandTest : public StoaTest {
protected:
    static nlohmann::json ps() { return nlohmann::json::parse(done({"ps", "--json"})); }
    static void await_names(std::size_t count) {
        EXPECT_TRUE(kit::wait_until([&] { return ps().size() == count; }));
    }
    static void await_out(kit::Command& command, const std::string& text) {
        EXPECT_TRUE(kit::wait_until([&] { return command.out() == text; })) << command.out();
    }
    // Nobody is there any more, and nothing of anybody.
    void expect_nothing_left() {
        EXPECT_EQ(done({"ps"}), "nobody has joined\n");
        EXPECT_EQ(domain_.entries(), std::vector<std::string>{});
    }
};

TEST_F(LinkCommandTest, WhatIsToldIsListenedTo) {
    kit::Command alice = start({"listen", "alice", "--count", "3"});
    await_names(1);
    done({"tell", "alice", "--as", "bob", "one", "two and three"});
    done({"tell", "alice", "--as", "carol"}, {.input = "from a pipe\n"});
    const Finished end = alice.wait();
    EXPECT_EQ(end.status, 0);
    EXPECT_EQ(end.out, "bob: one\nbob: two and three\ncarol: from a pipe\n");
    EXPECT_EQ(end.err, "");
    expect_nothing_left();
}

TEST_F(LinkCommandTest, NobodyOfThatNameIsAStatusOfItsOwn) {
    expect_sentence(stoa({"tell", "alice", "x"}), 4, "--wait-for-join");
    expect_sentence(stoa({"tell", "alice", "x", "--wait-for-join", "--timeout", "200ms"}), 3,
                    "nobody joined as alice within 0.2 s");
    expect_sentence(stoa({"tell", "a/b", "x"}), 2, "bad_name");
    expect_sentence(stoa({"listen", std::string(64, 'n')}), 2, "of processes: 1 to 63");
    expect_sentence(stoa({"tell", "alice", "x", "--as", "alice"}), 2, "does not send to itself");
    expect_sentence(stoa({"listen", "a", "--count", "1", "--timeout", "0.1"}), 3,
                    "0 of 1 received");
    EXPECT_EQ(done({"listen", "a", "--timeout", "0.1"}), "");
    expect_nothing_left();
}

TEST_F(LinkCommandTest, ATellerWaitsUntilSomebodyJoins) {
    kit::Command teller = start({"tell", "alice", "hello", "--as", "bob", "--wait-for-join"});
    await_names(1);
    EXPECT_EQ(done({"listen", "alice", "--count", "1"}), "bob: hello\n");
    EXPECT_EQ(teller.wait().status, 0);
    expect_nothing_left();
}

TEST_F(LinkCommandTest, AMessageOutlivesItsSender) {
    kit::Command alice = start({"listen", "alice", "--count", "1"});
    await_names(1);
    alice.child().send_signal(SIGSTOP);
    done({"tell", "alice", "--as", "bob", "still here"});
    const nlohmann::json seen = ps();
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0]["state"], "stopped");  // and no other one can have its name
    EXPECT_GE(seen[0]["queued"], 1);         // and that its sender has left
    const std::string holder = "process " + std::to_string(alice.child().pid()) +
                               " has the name alice, as `stoa ps alice` shows";
    expect_sentence(stoa({"listen", "--name", "alice"}), 1, holder);
    expect_sentence(stoa({"tell", "bob", "x", "--as", "alice"}), 1, holder);
    alice.child().send_signal(SIGCONT);
    EXPECT_EQ(alice.wait().out, "bob: still here\n");
    expect_nothing_left();
}

TEST_F(LinkCommandTest, TheNameOfAKilledProcessIsFreeAtOnce) {
    kit::Command first = start({"listen", "alice"});
    await_names(1);
    (void)first.kill_and_wait();
    kit::Command second = start({"listen", "alice", "--count", "1"});
    await_names(1);
    done({"tell", "alice", "--as", "bob", "to the second"});
    EXPECT_EQ(second.wait().out, "bob: to the second\n");
    expect_nothing_left();
}

TEST_F(LinkCommandTest, WhatAKilledListenerHadNotReceivedReachesNobody) {
    kit::Command first = start({"listen", "alice"});
    await_names(1);
    first.child().send_signal(SIGSTOP);
    done({"tell", "alice", "--as", "bob", "for the first"});
    (void)first.kill_and_wait();
    kit::Command second = start({"listen", "alice", "--count", "1"});
    await_names(1);
    done({"tell", "alice", "--as", "bob", "for the second"});
    EXPECT_EQ(second.wait().out, "bob: for the second\n");
    expect_nothing_left();
}

TEST_F(LinkCommandTest, ARendezvousEndsWhenTheOtherHasIt) {
    kit::Command alice = start({"listen", "alice", "--count", "1"});
    await_names(1);
    alice.child().send_signal(SIGSTOP);
    expect_sentence(stoa({"tell", "alice", "x", "--capacity", "zero", "--timeout", "0.2"}), 3,
                    "does not take it");
    kit::Command teller = start({"tell", "alice", "y", "--as", "bob", "--capacity", "zero"});
    await_names(2);
    alice.child().send_signal(SIGCONT);
    EXPECT_EQ(teller.wait().status, 0);
    EXPECT_EQ(alice.wait().out, "bob: y\n");
    expect_nothing_left();
}

TEST_F(LinkCommandTest, JsonTellsWhoSentIt) {
    kit::Command alice = start({"listen", "alice", "--count", "1", "--json"});
    await_names(1);
    done({"tell", "alice", "--as", "bob", "a\tb"});
    const nlohmann::json line = nlohmann::json::parse(alice.wait().out);
    EXPECT_EQ(line["from"], "bob");
    EXPECT_EQ(line["message"], "a\tb");
    EXPECT_EQ(line["bytes"], 3);
    EXPECT_FALSE(line["call"]);
}

TEST_F(LinkCommandTest, ControlCharactersOfOthersAreSpelledOut) {
    kit::Command alice = start({"listen", "alice", "--count", "1"});
    kit::Command plain = start({"listen", "raw", "--count", "1", "--plain", "--null"});
    await_names(2);
    const std::string evil =
        "\x1b[2J\xc2\x9b"
        "1m\r\nroot: trust me";
    done({"tell", "alice", "--as", "bob", evil});
    done({"tell", "raw", "--as", "bob", evil});
    EXPECT_EQ(alice.wait().out, "bob: \\x1b[2J\\u009b1m\\r\\nroot: trust me\n");
    EXPECT_EQ(plain.wait().out, evil + std::string(1, '\0'));
}

TEST_F(LinkCommandTest, AttributesAreShown) {
    kit::Command alice =
        start({"listen", "alice", "--attribute", "role=planner", "--attribute", "version=3"});
    await_names(1);
    EXPECT_EQ(ps()[0]["attributes"], nlohmann::json({{"role", "planner"}, {"version", "3"}}));
    const std::string text = done({"ps"});
    EXPECT_NE(text.find("role=planner version=3"), std::string::npos) << text;
    expect_sentence(stoa({"listen", "b", "--attribute", "none"}), 2, "KEY=TEXT");
    expect_sentence(stoa({"listen", "b", "--attribute", "role=x", "--attribute", "role=y"}), 2,
                    "role is given twice");
    alice.child().send_signal(SIGTERM);
    EXPECT_EQ(alice.wait().signal, SIGTERM);
    expect_nothing_left();
}

TEST_F(LinkCommandTest, PsShowsTheNamesThatAreAskedFor) {
    kit::Command alice = start({"listen", "alice"});
    kit::Command bob = start({"listen", "bob"});
    await_names(2);
    const nlohmann::json seen = nlohmann::json::parse(done({"ps", "bob", "--json"}));
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0]["name"], "bob");
    const Finished one_of_two = stoa({"ps", "carol", "alice"});
    expect_sentence(one_of_two, 4, "nobody has the name carol");
    EXPECT_NE(one_of_two.out.find("\nalice "), std::string::npos) << one_of_two.out;
    EXPECT_EQ(one_of_two.out.find("bob"), std::string::npos) << one_of_two.out;
    EXPECT_EQ(stoa({"ps", "carol"}).out, "");
    expect_sentence(stoa({"ps", "a/b"}), 2, "bad_name");
}

TEST_F(LinkCommandTest, ATellerIsToldHowFarItCameWhenTheListenerDies) {
    kit::Command alice = start({"listen", "alice"});
    await_names(1);
    alice.child().send_signal(SIGSTOP);
    kit::Command teller =
        start({"tell", "alice", "--as", "bob", "--capacity", "1", "one", "two", "three"});
    EXPECT_TRUE(kit::wait_until([] {
        const nlohmann::json all = ps();
        return all.size() == 2 && all[0]["queued"] == 1;
    }));
    (void)alice.kill_and_wait();
    expect_sentence(teller.wait(), 1,
                    "message 2 was not sent: alice died; what it had not read of the 1 message "
                    "before is lost with it");
    expect_nothing_left();
}

TEST_F(LinkCommandTest, AListenerWhoseReaderIsGoneTakesNothingMore) {
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    kit::Command alice =
        start({"listen", "alice"}, {.in_child = [&] { ::dup2(pipe[1], STDOUT_FILENO); }});
    ::close(pipe[1]);
    await_names(1);
    done({"tell", "alice", "--as", "bob", "one"});
    char line[16]{};
    EXPECT_EQ(::read(pipe[0], line, sizeof line), 9);
    alice.child().send_signal(SIGSTOP);
    ::close(pipe[0]);
    done({"tell", "alice", "--as", "bob", "two"});
    alice.child().send_signal(SIGCONT);
    const Finished end = alice.wait();
    EXPECT_EQ(end.signal, SIGPIPE);
    EXPECT_EQ(end.err, "");  // it would say so if it had taken "two"
    expect_sentence(stoa({"tell", "alice", "three"}), 4, "nobody has that name");
    expect_nothing_left();
}

TEST_F(LinkCommandTest, SignalsEndItAndLeaveNothing) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        kit::Command listener = start({"listen", "alice"});
        kit::Command teller = start({"tell", "bob", "x", "--wait-for-join"});
        await_names(2);
        for (kit::Command* command : {&listener, &teller}) {
            command->child().send_signal(signal);
            const Finished end = command->wait();
            EXPECT_EQ(end.signal, signal);
            EXPECT_EQ(end.err, "");
        }
        expect_nothing_left();
    }
}

TEST_F(LinkCommandTest, GcRemovesWhatTheDeadLeft) {
    kit::Command alice = start({"listen", "alice"});
    await_names(1);
    alice.child().send_signal(SIGSTOP);
    done({"tell", "alice", "--as", "bob", "x"});
    (void)alice.kill_and_wait();
    const std::string plan = done({"gc", "--dry-run"});
    const std::string name = "alice.process: the name of a process that ended: gc would remove it";
    EXPECT_NE(plan.find(name), plan.npos) << plan;
    const nlohmann::json json = nlohmann::json::parse(done({"gc", "--json"}));
    EXPECT_EQ(json["links"].size(), 2U) << json;  // the name and the link
    EXPECT_EQ(done({"gc"}), "nothing to do\n");
    expect_nothing_left();
}

}  // namespace
}  // namespace stoa
