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
    kit::Command alice = start({"listen", "--name", "alice", "--count", "3"});
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
    expect_sentence(stoa({"tell", "alice", "x", "--wait-for-join", "--timeout", "0.2"}), 3,
                    "nobody joined as alice within 0.2 s");
    expect_sentence(stoa({"tell", "a/b", "x"}), 2, "bad_name");
    expect_sentence(stoa({"listen", "--name", "a", "--count", "1", "--timeout", "0.1"}), 3,
                    "0 of 1 received");
    EXPECT_EQ(done({"listen", "--name", "a", "--timeout", "0.1"}), "");
    expect_nothing_left();
}

TEST_F(LinkCommandTest, ATellerWaitsUntilSomebodyJoins) {
    kit::Command teller = start({"tell", "alice", "hello", "--as", "bob", "--wait-for-join"});
    await_names(1);
    EXPECT_EQ(done({"listen", "--name", "alice", "--count", "1"}), "bob: hello\n");
    EXPECT_EQ(teller.wait().status, 0);
    expect_nothing_left();
}

TEST_F(LinkCommandTest, AMessageOutlivesItsSender) {
    kit::Command alice = start({"listen", "--name", "alice", "--count", "1"});
    await_names(1);
    alice.child().send_signal(SIGSTOP);
    done({"tell", "alice", "--as", "bob", "still here"});
    const nlohmann::json seen = ps();
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0]["state"], "stopped");  // and no other one can have its name
    EXPECT_GE(seen[0]["queued"], 1);         // and that its sender has left
    expect_sentence(stoa({"listen", "--name", "alice"}), 1, std::to_string(alice.child().pid()));
    alice.child().send_signal(SIGCONT);
    EXPECT_EQ(alice.wait().out, "bob: still here\n");
    expect_nothing_left();
}

TEST_F(LinkCommandTest, TheNameOfAKilledProcessIsFreeAtOnce) {
    kit::Command first = start({"listen", "--name", "alice"});
    await_names(1);
    (void)first.kill_and_wait();
    kit::Command second = start({"listen", "--name", "alice", "--count", "1"});
    await_names(1);
    done({"tell", "alice", "--as", "bob", "to the second"});
    EXPECT_EQ(second.wait().out, "bob: to the second\n");
    expect_nothing_left();
}

TEST_F(LinkCommandTest, WhatAKilledListenerHadNotReceivedReachesNobody) {
    kit::Command first = start({"listen", "--name", "alice"});
    await_names(1);
    first.child().send_signal(SIGSTOP);
    done({"tell", "alice", "--as", "bob", "for the first"});
    (void)first.kill_and_wait();
    kit::Command second = start({"listen", "--name", "alice", "--count", "1"});
    await_names(1);
    done({"tell", "alice", "--as", "bob", "for the second"});
    EXPECT_EQ(second.wait().out, "bob: for the second\n");
    expect_nothing_left();
}

TEST_F(LinkCommandTest, ARendezvousEndsWhenTheOtherHasIt) {
    kit::Command alice = start({"listen", "--name", "alice", "--count", "1"});
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
    kit::Command alice = start({"listen", "--name", "alice", "--count", "1", "--json"});
    await_names(1);
    done({"tell", "alice", "--as", "bob", "a\tb"});
    const nlohmann::json line = nlohmann::json::parse(alice.wait().out);
    EXPECT_EQ(line["from"], "bob");
    EXPECT_EQ(line["message"], "a\tb");
    EXPECT_EQ(line["bytes"], 3);
    EXPECT_FALSE(line["call"]);
}

TEST_F(LinkCommandTest, ControlCharactersOfOthersAreSpelledOut) {
    kit::Command alice = start({"listen", "--name", "alice", "--count", "1"});
    kit::Command plain = start({"listen", "--name", "raw", "--count", "1", "--plain", "--null"});
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
    kit::Command alice = start(
        {"listen", "--name", "alice", "--attribute", "role=planner", "--attribute", "version=3"});
    await_names(1);
    EXPECT_EQ(ps()[0]["attributes"], nlohmann::json({{"role", "planner"}, {"version", "3"}}));
    const std::string text = done({"ps"});
    EXPECT_NE(text.find("role=planner version=3"), std::string::npos) << text;
    expect_sentence(stoa({"listen", "--name", "b", "--attribute", "none"}), 2, "KEY=TEXT");
    alice.child().send_signal(SIGTERM);
    EXPECT_EQ(alice.wait().signal, SIGTERM);
    expect_nothing_left();
}

TEST_F(LinkCommandTest, SignalsEndItAndLeaveNothing) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        kit::Command listener = start({"listen", "--name", "alice"});
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
    kit::Command alice = start({"listen", "--name", "alice"});
    await_names(1);
    alice.child().send_signal(SIGSTOP);
    done({"tell", "alice", "--as", "bob", "x"});
    (void)alice.kill_and_wait();
    EXPECT_NE(done({"gc", "--dry-run"}).find("alice.process"), std::string::npos);
    const nlohmann::json json = nlohmann::json::parse(done({"gc", "--json"}));
    EXPECT_EQ(json["links"].size(), 2U) << json;  // the name and the link
    EXPECT_EQ(done({"gc"}), "nothing to do\n");
    expect_nothing_left();
}

}  // namespace
}  // namespace stoa
