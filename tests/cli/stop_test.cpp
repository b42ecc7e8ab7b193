#include <fcntl.h>

#include "tests/cli/stoa_test.hpp"

namespace stoa {
namespace {

// Ctrl-C and its like: whatever the command waits for, it ends by that signal and leaves nothing.
class StopTest : public StoaTest, public testing::WithParamInterface<int> {
protected:
    void expect_stop(kit::Command& command) {
        command.child().send_signal(GetParam());
        const Finished end = command.wait();
        EXPECT_EQ(end.signal, GetParam());
        EXPECT_EQ(end.err, "");
        EXPECT_EQ(info("m")["participants"].size(), 0U);  // it left, nobody had to sweep it
    }
};

TEST_P(StopTest, AReceiverThatWaitsForAMessage) {
    for (const char* sharing : {"any", "single_receiver", "pair"}) {
        done({"mailbox", "create", "m", "--sharing", sharing});
        kit::Command receiver = start({"recv", "m", "--follow"});
        await_participants("m", 1);
        expect_stop(receiver);
        done({"mailbox", "rm", "m"});
    }
}

TEST_P(StopTest, ASenderThatWaitsForRoom) {
    done({"mailbox", "create", "m", "--capacity", "1"});
    kit::Command sender = start({"send", "m", "1", "2"});
    await_participants("m", 1);
    EXPECT_TRUE(kit::wait_until([&] { return info("m")["depth"] == 1; }));
    expect_stop(sender);
    EXPECT_EQ(done({"recv", "m", "--follow", "--no-wait"}), "1\n");
}

TEST_P(StopTest, ASenderThatWaitsForItsInput) {
    done({"mailbox", "create", "m"});
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    kit::Command sender =
        start({"send", "m"}, {.in_child = [&] { ::dup2(pipe[0], STDIN_FILENO); }});
    await_participants("m", 1);
    expect_stop(sender);
    ::close(pipe[0]);
    ::close(pipe[1]);
}

TEST_P(StopTest, AReceiverThatNobodyReadsGivesItsMessagesBack) {
    done({"mailbox", "create", "m", "--ack"});
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    const std::string filler(65536, 'x');
    ASSERT_EQ(::write(pipe[1], filler.data(), filler.size()), 65536);
    done({"send", "m", "1", "2", "3", "4", "5"});
    kit::Command receiver =
        start({"recv", "m", "--follow"}, {.in_child = [&] { ::dup2(pipe[1], STDOUT_FILENO); }});
    EXPECT_TRUE(kit::wait_until([&] { return info("m")["leased"] == 4; }));
    expect_stop(receiver);
    EXPECT_EQ(info("m")["depth"], 5);
    ::close(pipe[0]);
    ::close(pipe[1]);
}

INSTANTIATE_TEST_SUITE_P(Signals, StopTest, testing::Values(SIGINT, SIGTERM, SIGHUP));

TEST_F(StoaTest, ASignalThatWasIgnoredFromTheStartStaysIgnored) {
    done({"mailbox", "create", "m"});
    kit::Command receiver =
        start({"recv", "m", "--follow"}, {.in_child = [] { ::signal(SIGINT, SIG_IGN); }});
    await_participants("m", 1);
    receiver.child().send_signal(SIGINT);
    done({"send", "m", "x"});
    EXPECT_TRUE(kit::wait_until([&] { return receiver.out() == "x\n"; }));
    receiver.child().send_signal(SIGTERM);
    EXPECT_EQ(receiver.wait().signal, SIGTERM);  // the first that it did not ignore
}

}  // namespace
}  // namespace stoa
