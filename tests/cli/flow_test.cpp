#include <fcntl.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <sstream>

#include "tests/cli/stoa_test.hpp"

namespace stoa {
namespace {

using FlowTest = StoaTest;

std::string prefixed(const std::vector<std::string>& messages) {
    std::string text;
    for (const std::string& message : messages) {
        for (unsigned i = 0; i < 4; ++i) {
            text += static_cast<char>(static_cast<unsigned char>(message.size() >> (8 * i)));
        }
        text += message;
    }
    return text;
}

std::string joined(const std::vector<std::string>& messages, char delimiter) {
    std::string text;
    for (const std::string& message : messages) text += message + delimiter;
    return text;
}

std::string numbers(int first, int last) {
    std::string text;
    for (int i = first; i <= last; ++i) text += std::to_string(i) + "\n";
    return text;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream{text};
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

class Framings : public StoaTest, public testing::WithParamInterface<Words> {
protected:
    Framings() {
        Words words{"mailbox", "create", "m"};
        words.insert(words.end(), GetParam().begin(), GetParam().end());
        done(words);
    }
    // Sends `input` while a receiver takes `count` messages.
    static std::string through(const std::string& input, std::size_t count, const Words& framing) {
        Words recv{"recv", "m", "--count", std::to_string(count)};
        recv.insert(recv.end(), framing.begin(), framing.end());
        kit::Command receiver = start(recv);
        Words send{"send", "m"};
        send.insert(send.end(), framing.begin(), framing.end());
        EXPECT_EQ(done(send, {.input = input}), "");
        const Finished end = receiver.wait();
        EXPECT_EQ(end.status, 0) << end.err;
        return end.out;
    }
};

TEST_P(Framings, LinesComeOutAsTheyWentIn) {
    const std::vector<std::string> messages{
        "one", "", "", "zwölf", std::string("\0\xff\r\t", 4), std::string(65536, 'x'), "last"};
    const std::string input = joined(messages, '\n');
    EXPECT_EQ(through(input, messages.size(), {}), input);
    EXPECT_EQ(through(input.substr(0, input.size() - 1), messages.size(), {}), input);
}

TEST_P(Framings, NullEndedMessagesMayHoldNewlines) {
    const std::vector<std::string> messages{"a\nb\n", "", "\n", std::string(65536, '\n'), "c"};
    const std::string input = joined(messages, '\0');
    EXPECT_EQ(through(input, messages.size(), {"--null"}), input);
}

TEST_P(Framings, LengthPrefixedMessagesMayHoldAnything) {
    std::mt19937 random{7};
    std::vector<std::string> messages{"", std::string(1, '\0'), std::string(65536, '\0'), ""};
    for (int i = 0; i < 200; ++i) {
        std::string message(random() % (i % 10 == 0 ? 65537 : 300), '\0');
        for (char& c : message) c = static_cast<char>(random());
        messages.push_back(std::move(message));
    }
    const std::string input = prefixed(messages);
    EXPECT_EQ(through(input, messages.size(), {"--length-prefixed"}), input);
}

TEST_P(Framings, ManyLinesKeepTheirOrder) {
    const std::string input = numbers(1, 20000);
    EXPECT_EQ(through(input, 20000, {}), input);
}

INSTANTIATE_TEST_SUITE_P(Mailboxes, Framings,
                         testing::Values(Words{}, Words{"--ack"}, Words{"--sharing", "pair"},
                                         Words{"--sharing", "pair", "--ack"},
                                         Words{"--sharing", "single_receiver"},
                                         Words{"--sharing", "single_receiver", "--ack"},
                                         Words{"--capacity", "1"}));

TEST_F(FlowTest, ArgumentsAreMessagesAsTheyAre) {
    done({"mailbox", "create", "m"});
    done({"send", "m", "[a,b]", "{}", "", "recv", "a b", "-5", "%%", "\"q\"", "--no-wait", "--",
          "-x", "--", "++", "--help"});
    EXPECT_EQ(done({"recv", "m", "--follow", "--no-wait"}),
              "[a,b]\n{}\n\nrecv\na b\n-5\n%%\n\"q\"\n-x\n--\n++\n--help\n");
}

TEST_F(FlowTest, OneMessageIsReceivedUnlessMoreAreAskedFor) {
    done({"mailbox", "create", "m"});
    done({"send", "m"}, {.input = numbers(1, 5)});
    EXPECT_EQ(done({"recv", "m"}), "1\n");
    EXPECT_EQ(done({"recv", "m", "--count", "2"}), "2\n3\n");
    EXPECT_EQ(done({"recv", "m", "--follow", "--count", "1"}), "4\n");
    EXPECT_EQ(done({"recv", "m", "--follow", "--timeout", "0.01"}), "5\n");
}

TEST_F(FlowTest, ReceivingTooLittleIsStatusThree) {
    done({"mailbox", "create", "m"});
    expect_sentence(stoa({"recv", "m", "--no-wait"}), 3, "no message is waiting");
    expect_sentence(stoa({"recv", "m", "--timeout", "0.05"}), 3, "no message came within 0.05 s");
    done({"send", "m", "x"});
    const Finished end = stoa({"recv", "m", "--count", "3", "--timeout", "0.05"});
    expect_sentence(end, 3, "(1 of 3 received)");
    EXPECT_EQ(end.out, "x\n");
    EXPECT_EQ(done({"recv", "m", "--follow", "--no-wait"}), "");
}

TEST_F(FlowTest, AFullMailboxIsStatusThreeAndNamesTheMessage) {
    for (const char* sharing : {"any", "pair"}) {
        done({"mailbox", "create", "m", "--capacity", "2", "--reserve", "0", "--max-bytes", "100",
              "--ack", "--sharing", sharing});
        expect_sentence(stoa({"send", "m", "--no-wait"}, {.input = numbers(1, 5)}), 3,
                        "line 3 was not sent");
        expect_sentence(stoa({"send", "m", "--timeout", "0.05", "x"}), 3,
                        "message 1 was not sent: the mailbox stayed full for 0.05 s");
        EXPECT_EQ(done({"recv", "m", "--follow", "--no-wait"}), "1\n2\n");
        done({"mailbox", "rm", "m"});
    }
}

TEST_F(FlowTest, ASenderGoesOnWhenThereIsRoomAgain) {
    done({"mailbox", "create", "m", "--capacity", "1"});
    kit::Command sender = start({"send", "m", "1", "2", "3"});
    await_participants("m", 1);
    EXPECT_EQ(done({"recv", "m", "--count", "3"}), "1\n2\n3\n");
    EXPECT_EQ(sender.wait().status, 0);
}

TEST_F(FlowTest, ALineThatIsTooBigIsNamedAndWhatCameBeforeIsSent) {
    done({"mailbox", "create", "m", "--max-bytes", "10"});
    const std::string fits(10, 'a');
    const std::string big(11, 'b');
    Finished end = stoa({"send", "m"}, {.input = "one\n" + fits + "\n" + big + "\nafter\n"});
    expect_sentence(end, 1, "line 3 is too big: it has 11 bytes, the mailbox takes 10");
    EXPECT_EQ(done({"recv", "m", "--follow", "--no-wait"}), "one\n" + fits + "\n");
    end = stoa({"send", "m", "--null"}, {.input = big});
    expect_sentence(end, 1, "message 1 is too big: it has more than 10 bytes");
    end = stoa({"send", "m", "--length-prefixed"},
               {.input = prefixed({"one"}) + "\xff\xff\xff\xff" + "x"});
    expect_sentence(end, 1, "message 2 is too big: it has 4294967295 bytes");
    EXPECT_EQ(done({"recv", "m", "--follow", "--no-wait"}), "one\n");
    expect_sentence(stoa({"send", "m", "ok", big}), 1, "message 2 is too big");
    EXPECT_EQ(done({"recv", "m"}), "ok\n");
}

TEST_F(FlowTest, AnEndlessLineIsRefusedInBoundedMemory) {
    done({"mailbox", "create", "m"});
    const auto zeros = [] { ::dup2(::open("/dev/zero", O_RDONLY), STDIN_FILENO); };
    expect_sentence(stoa({"send", "m"}, {.in_child = zeros}), 1,
                    "line 1 is too big: it has more than 65536 bytes");
}

TEST_F(FlowTest, ALengthPrefixedStreamThatIsCutOffIsAnError) {
    done({"mailbox", "create", "m"});
    for (const std::string& rest : {std::string{"\x05"}, prefixed({"hello"}).substr(0, 8)}) {
        expect_sentence(stoa({"send", "m", "--length-prefixed"}, {.input = prefixed({"x"}) + rest}),
                        1, "message 2: the input ends in the middle of it");
        EXPECT_EQ(done({"recv", "m", "--follow", "--no-wait"}), "x\n");
    }
}

TEST_F(FlowTest, WhatIsSentIsThereAtOnceAlsoFromAPipe) {
    done({"mailbox", "create", "m"});
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    kit::Command sender =
        start({"send", "m"}, {.in_child = [&] { ::dup2(pipe[0], STDIN_FILENO); }});
    kit::Command receiver = start({"recv", "m", "--follow"});
    for (const char* text : {"one\ntw", "o\n"}) {
        ASSERT_GT(::write(pipe[1], text, std::string_view{text}.size()), 0);
        const std::string expected = *text == 'o' && text[1] == 'n' ? "one\n" : "one\ntwo\n";
        EXPECT_TRUE(kit::wait_until([&] { return receiver.out() == expected; })) << receiver.out();
    }
    ::close(pipe[0]);
    ::close(pipe[1]);
    EXPECT_EQ(sender.wait().status, 0);
    receiver.child().send_signal(SIGTERM);
    EXPECT_EQ(receiver.wait().signal, SIGTERM);
}

TEST_F(FlowTest, TwoFollowersShareTheLinesOfOneSender) {
    for (const char* acknowledged : {"", "--ack"}) {
        Words create{"mailbox", "create", "m"};
        if (*acknowledged != '\0') create.emplace_back(acknowledged);
        done(create);
        kit::Command first = start({"recv", "m", "--follow"});
        kit::Command second = start({"recv", "m", "--follow"});
        await_participants("m", 2);
        const std::string input = numbers(1, 20000);
        done({"send", "m"}, {.input = input});
        EXPECT_TRUE(kit::wait_until(
            [&] { return first.out().size() + second.out().size() >= input.size(); }));
        std::vector<std::string> all;
        for (kit::Command* receiver : {&first, &second}) {
            receiver->child().send_signal(SIGINT);
            const std::vector<std::string> lines = lines_of(receiver->wait().out);
            EXPECT_TRUE(std::ranges::is_sorted(
                lines, [](const auto& a, const auto& b) { return std::stoi(a) < std::stoi(b); }));
            all.insert(all.end(), lines.begin(), lines.end());
        }
        std::vector<std::string> sent = lines_of(input);
        std::ranges::sort(all);
        std::ranges::sort(sent);
        EXPECT_EQ(all, sent);  // each exactly once
        done({"mailbox", "rm", "m"});
    }
}

TEST_F(FlowTest, NothingIsLostWhenAReceiverOfAnAcknowledgedMailboxIsKilled) {
    done({"mailbox", "create", "m", "--ack"});
    std::vector<std::string> sent;
    for (int i = 0; i < 200; ++i) sent.push_back(std::to_string(i) + std::string(1000, 'x'));
    // Its reader takes only part of it, so it is killed with messages in its hands.
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    kit::Command receiver =
        start({"recv", "m", "--follow"}, {.in_child = [&] { ::dup2(pipe[1], STDOUT_FILENO); }});
    done({"send", "m"}, {.input = joined(sent, '\n')});
    EXPECT_TRUE(kit::wait_until([&] { return info("m")["leased"] > 0; }));
    (void)receiver.kill_and_wait();
    ::close(pipe[1]);
    std::string written;
    char buffer[4096];
    for (ssize_t count = 0; (count = ::read(pipe[0], buffer, sizeof buffer)) > 0;) {
        written.append(buffer, static_cast<std::size_t>(count));
    }
    ::close(pipe[0]);
    written.resize(written.rfind('\n') + 1);  // whole lines
    const std::vector<std::string> before = lines_of(written);
    const std::vector<std::string> after = lines_of(done({"recv", "m", "--follow", "--no-wait"}));
    EXPECT_FALSE(before.empty());
    EXPECT_FALSE(after.empty());
    std::set<std::string> all{before.begin(), before.end()};
    all.insert(after.begin(), after.end());
    EXPECT_EQ(all, std::set<std::string>(sent.begin(), sent.end()));
    EXPECT_LE(before.size() + after.size(), sent.size() + 4);  // twice at most what was leased
    EXPECT_EQ(info("m")["depth"], 0);
}

TEST_F(FlowTest, AReceiverThatWaitsGetsWhatADeadOneHeld) {
    done({"mailbox", "create", "m", "--ack"});
    done({"send", "m", "1", "2", "3"});
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    const std::string filler(65536, 'x');
    ASSERT_EQ(::write(pipe[1], filler.data(), filler.size()), 65536);
    kit::Command holder =
        start({"recv", "m", "--follow"}, {.in_child = [&] { ::dup2(pipe[1], STDOUT_FILENO); }});
    EXPECT_TRUE(kit::wait_until([&] { return info("m")["leased"] == 3; }));
    kit::Command waiter = start({"recv", "m", "--follow"});
    await_participants("m", 2);
    (void)holder.kill_and_wait();  // nobody but the waiter looks
    EXPECT_TRUE(kit::wait_until([&] { return waiter.out().size() == 6; })) << waiter.out();
    ::close(pipe[0]);
    ::close(pipe[1]);
}

TEST_F(FlowTest, WhatCannotBeWrittenGoesBackToAnAcknowledgedMailbox) {
    done({"mailbox", "create", "m", "--ack"});
    done({"send", "m", "one", "two"});
    const auto full = [] { ::dup2(::open("/dev/full", O_WRONLY), STDOUT_FILENO); };
    expect_sentence(stoa({"recv", "m"}, {.in_child = full}), 1, "standard output");
    expect_sentence(stoa({"recv", "m", "--follow"}, {.in_child = full}), 1, "standard output");
    EXPECT_EQ(info("m")["leased"], 0);
    EXPECT_EQ(info("m")["depth"], 2);
    EXPECT_EQ(lines_of(done({"recv", "m", "--follow", "--no-wait"})).size(), 2U);
}

TEST_F(FlowTest, APlainMailboxSaysWhatWasReceivedAndNotWritten) {
    done({"mailbox", "create", "m"});
    done({"send", "m", "one"});
    const auto full = [] { ::dup2(::open("/dev/full", O_WRONLY), STDOUT_FILENO); };
    expect_sentence(stoa({"recv", "m"}, {.in_child = full}), 1, "4 bytes were received and not");
}

TEST_F(FlowTest, ABrokenPipeEndsItQuietly) {
    for (const char* mode : {"", "--ack"}) {
        EXPECT_EQ(shell(std::string{"$STOA mailbox create m --reserve 4MiB "} + mode).status, 0);
        // More than a pipe holds, so that it meets the broken pipe while it writes.
        const Finished end = shell(
            "seq -f %01000.0f 300 | $STOA send m; $STOA recv m --follow | head -c 4; "
            "echo ${PIPESTATUS[0]}");
        EXPECT_EQ(end.out, "0000141\n");
        EXPECT_EQ(end.err, "");
        EXPECT_EQ(info("m")["participants"].size(), 0U);  // it left, nobody had to sweep it
        done({"mailbox", "rm", "m"});
    }
}

TEST_F(FlowTest, AReceiverWhoseReaderIsGoneTakesNothing) {
    done({"mailbox", "create", "m"});
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    const auto to_pipe = [&] { ::dup2(pipe[1], STDOUT_FILENO); };
    kit::Command receiver = start({"recv", "m", "--follow"}, {.in_child = to_pipe});
    ::close(pipe[0]);
    Finished end = receiver.wait();
    EXPECT_EQ(end.signal, SIGPIPE);
    EXPECT_EQ(end.err, "");
    done({"send", "m", "kept"});
    end = stoa({"recv", "m"}, {.in_child = to_pipe});
    EXPECT_EQ(end.signal, SIGPIPE);
    EXPECT_EQ(end.err, "");
    ::close(pipe[1]);
    EXPECT_EQ(done({"recv", "m"}), "kept\n");
}

TEST_F(FlowTest, AThousandSendersInARowStayInOrder) {
    done({"mailbox", "create", "m", "--sharing", "single_receiver"});
    EXPECT_EQ(shell("for i in $(seq 200); do $STOA send m $i; done").status, 0);
    EXPECT_EQ(done({"recv", "m", "--follow", "--no-wait"}), numbers(1, 200));
}

TEST_F(FlowTest, AMailboxThatIsDestroyedEndsWhoeverWaits) {
    done({"mailbox", "create", "m", "--capacity", "1"});
    kit::Command receiver = start({"recv", "m", "--follow"});
    await_participants("m", 1);
    done({"mailbox", "rm", "m"});
    expect_sentence(receiver.wait(), 1, "destroyed");
    done({"mailbox", "create", "m", "--capacity", "1"});
    kit::Command sender = start({"send", "m", "one", "two"});
    await_participants("m", 1);
    done({"mailbox", "rm", "m"});
    expect_sentence(sender.wait(), 1, "destroyed");
}

}  // namespace
}  // namespace stoa
