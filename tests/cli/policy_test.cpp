#include <algorithm>
#include <csignal>

#include "tests/cli/stoa_test.hpp"

namespace stoa {
namespace {

using PolicyCommand = StoaTest;

TEST_F(PolicyCommand, PrioritiesPeekAndTheEndOfAStream) {
    done({"mailbox", "create", "m", "--priorities", "3"});
    done({"send", "m", "low"});
    done({"send", "m", "high", "--priority", "2"});
    done({"send", "m", "middle", "--priority", "1", "--close"});
    EXPECT_EQ(done({"mailbox", "peek", "m", "--count", "9"}), "high\nmiddle\nlow\n");
    expect_sentence(stoa({"send", "m", "late"}), 1, "closed");
    EXPECT_TRUE(info("m")["closed"]);
    EXPECT_EQ(done({"recv", "m", "--follow"}), "high\nmiddle\nlow\n");
    expect_sentence(stoa({"recv", "m"}), 1, "nothing more will come");
}

TEST_F(PolicyCommand, AReceiptTellsWhoTookTheMessage) {
    done({"mailbox", "create", "m"});
    kit::Command receiver = start({"recv", "m"});
    const std::string told = done({"send", "m", "x", "--receipt"});
    EXPECT_TRUE(told.starts_with("send m: message 1: taken by stoa (pid ")) << told;
    EXPECT_EQ(receiver.wait().out, "x\n");
    kit::Command again = start({"recv", "m"});
    const auto answer = nlohmann::json::parse(done({"send", "m", "y", "--receipt", "--json"}));
    EXPECT_EQ(answer["outcome"], "taken");
    EXPECT_EQ(answer["number"], 1);
    EXPECT_EQ(answer["receiver"]["name"], "stoa");
    EXPECT_EQ(again.wait().out, "y\n");
    const Finished nobody = stoa({"send", "m", "x", "--receipt", "--timeout", "0.01"});
    EXPECT_EQ(nobody.status, 3);
    EXPECT_NE(nobody.out.find("withdrawn"), std::string::npos) << nobody.out;
    EXPECT_EQ(info("m")["depth"], 0);
}

TEST_F(PolicyCommand, DeadLettersAreReceivedOrDeliveredAgain) {
    done({"mailbox", "create", "m", "--ack", "--dead-letter-after", "1"});
    done({"send", "m", "poison"});
    // A receiver whose reader goes away gives the message back.
    EXPECT_EQ(shell("exec 2>/dev/null; $STOA recv m >/dev/full").status, 1);
    EXPECT_EQ(info("m")["dead_letters"], 1);
    EXPECT_EQ(done({"mailbox", "redrive", "m"}), "1 dead letter goes again\n");
    EXPECT_EQ(shell("exec 2>/dev/null; $STOA recv m >/dev/full").status, 1);
    const auto letter = nlohmann::json::parse(done({"recv", "m.dead", "--json"}));
    EXPECT_EQ(letter["message"], "poison");
    EXPECT_EQ(letter["deliveries"], 1);
    EXPECT_EQ(letter["cause"], "returned");
    EXPECT_EQ(letter["last_receiver"]["name"], "stoa");
    EXPECT_EQ(info("m")["dead_letters"], 0);
    expect_sentence(stoa({"recv", "m.dead", "--no-wait"}), 3, "no message");
}

TEST_F(PolicyCommand, WhatIsNotDoneToDeadLettersIsSaid) {
    done({"mailbox", "create", "m", "--ack", "--dead-letter-after", "1"});
    expect_sentence(stoa({"mailbox", "close", "m.dead"}), 2, "close NAME, without .dead");
    expect_sentence(stoa({"mailbox", "redrive", "m.dead"}), 2, "redrive NAME, without .dead");
    expect_sentence(stoa({"mailbox", "rm", "m.dead"}), 2, "dead letters go with their mailbox");
    expect_sentence(stoa({"mailbox", "watch", "m.dead"}), 2, "no mailbox of their own");
    expect_sentence(stoa({"send", "m.dead", "x"}), 2, "redrive NAME sends them again");
    expect_sentence(stoa({"mailbox", "create", "n.dead"}), 2, "where the dead letters of NAME");
    EXPECT_FALSE(info("m")["closed"]);
    done({"send", "m", "x"});
}

TEST_F(PolicyCommand, WordsThatSayNothingAreRefused) {
    done({"mailbox", "create", "m"});
    expect_sentence(stoa({"recv", "m", "--stand-by", "--no-wait"}), 2, "stand_by (only for");
    expect_sentence(stoa({"recv", "m", "--latest", "--no-wait"}), 2, "latest (only for");
    expect_sentence(stoa({"recv", "m", "--from-oldest", "--no-wait"}), 2, "from_oldest (only");
    expect_sentence(stoa({"send", "m", "x", "--key", "0"}), 2, "only key_affine");
    expect_sentence(stoa({"send", "m", "x", "--priority", "4"}), 2, "it has 0 to 0");
    const auto create = [](const Words& more) {
        Words words{"mailbox", "create", "n"};
        words.insert(words.end(), more.begin(), more.end());
        return stoa(words);
    };
    expect_sentence(create({"--dead-letter-quota", "64"}), 2, "no dead letters are kept");
    expect_sentence(create({"--capacity", "unbounded", "--reserve", "8MiB", "--quota", "4MiB"}), 2,
                    "reserve (8388608 bytes; an eighth of the quota is the most, 524288)");
    const std::string copies =
        done({"mailbox", "create", "c", "--sharing", "broadcast", "--receipts"});
    EXPECT_EQ(copies.find("for each receiver"), std::string::npos) << copies;
}

TEST_F(PolicyCommand, ASendThatMeetsNobodySaysSo) {
    done({"mailbox", "create", "m", "--capacity", "zero"});
    expect_sentence(stoa({"send", "m", "x", "--no-wait"}), 3, "no receiver waits");
    expect_sentence(stoa({"send", "m", "x", "--timeout", "0.01"}), 3, "no receiver came within");
}

TEST_F(PolicyCommand, TheNameOfDeadLettersIsKnown) {
    done({"mailbox", "create", "m", "--ttl", "0.000001", "--keep-expired"});
    done({"send", "m", "late", "later"});
    expect_sentence(stoa({"recv", "m", "--no-wait"}), 3, "no message");
    const std::string text = done({"mailbox", "info", "m.dead"});
    EXPECT_NE(text.find("the dead letters of m"), std::string::npos) << text;
    EXPECT_NE(text.find("2 dead letters"), std::string::npos) << text;
    EXPECT_EQ(info("m.dead")["dead_letters_of"], "m");
    EXPECT_EQ(info("m.dead")["dead_letters"], 2);
    const std::string seen = done({"mailbox", "peek", "m.dead", "--count", "9"});
    EXPECT_EQ(std::count(seen.begin(), seen.end(), '\n'), 2) << seen;
    EXPECT_EQ(done({"mailbox", "peek", "m"}), "");
    done({"mailbox", "create", "none"});
    expect_sentence(stoa({"mailbox", "info", "none.dead"}), 4, "keeps no dead letters");
    expect_sentence(stoa({"mailbox", "info", "nobody.dead"}), 4, "nothing has this name");
}

TEST_F(PolicyCommand, AnUnboundedMailboxSaysThatItIsFullAsOthersDo) {
    const std::string made =
        done({"mailbox", "create", "m", "--capacity", "unbounded", "--quota", "1MiB"});
    EXPECT_NE(made.find("overflow   quota_reached: a send never waits"), std::string::npos) << made;
    EXPECT_EQ(info("m")["overflow"], "quota_reached");
    const Finished full = shell("yes | $STOA send m");
    EXPECT_EQ(full.status, 3);
    EXPECT_NE(full.err.find("quota_reached"), std::string::npos) << full.err;
}

TEST_F(PolicyCommand, FullMailboxesDropOrReject) {
    done({"mailbox", "create", "small", "--capacity", "2", "--overflow", "reject"});
    expect_sentence(stoa({"send", "small", "1", "2", "3"}), 3, "full");
    EXPECT_EQ(info("small")["depth"], 2);
    done({"mailbox", "create", "m", "--capacity", "2", "--overflow", "drop_oldest"});
    done({"send", "m", "1", "2", "3"});
    EXPECT_EQ(info("m")["dropped_oldest"], 1);
    EXPECT_EQ(done({"recv", "m", "--follow", "--no-wait"}), "2\n3\n");
    done({"mailbox", "create", "r", "--capacity", "1", "--overflow", "reject"});
    expect_sentence(stoa({"send", "r", "1", "2", "--no-wait"}), 3, "full");
}

TEST_F(PolicyCommand, InfoTellsWhoWaitsForWhatWhoeverCarriesIt) {
    for (const char* sharing : {"any", "single_receiver", "round_robin", "broadcast"}) {
        done({"mailbox", "create", "w", "--sharing", sharing});
        kit::Command receiver = start({"recv", "w"});
        EXPECT_TRUE(kit::wait_until([&] {
            const auto all = info("w")["participants"];
            return all.size() == 1 && all[0]["waits_for"] == "message";
        })) << sharing;
        done({"mailbox", "rm", "w"});
        static_cast<void>(receiver.wait());
    }
}

TEST_F(PolicyCommand, ARendezvousWaitsForItsReceiver) {
    done({"mailbox", "create", "m", "--capacity", "zero"});
    expect_sentence(stoa({"send", "m", "x", "--timeout", "0.01"}), 3, "was not sent");
    kit::Command receiver = start({"recv", "m"});
    done({"send", "m", "x"});
    EXPECT_EQ(receiver.wait().out, "x\n");
}

TEST_F(PolicyCommand, EverySubscriberOfABroadcastGetsAll) {
    done({"mailbox", "create", "m", "--sharing", "broadcast"});
    kit::Command one = start({"recv", "m", "--follow"});
    kit::Command two = start({"recv", "m", "--follow", "--latest"});
    await_participants("m", 2);
    done({"send", "m", "a", "b", "--close"});
    EXPECT_EQ(one.wait().out, "a\nb\n");
    EXPECT_EQ(two.wait().out, "a\nb\n");
}

TEST_F(PolicyCommand, InfoTellsWhatWaitsForEachReceiverAndWhoIsStopped) {
    for (const Words& more : {Words{"broadcast"}, Words{"broadcast", "--ack"}, Words{"round_robin"},
                              Words{"least_loaded"}}) {
        Words words{"mailbox", "create", "w", "--sharing"};
        words.insert(words.end(), more.begin(), more.end());
        done(words);
        kit::Command receiver = start({"recv", "w", "--count", "3"});
        await_participants("w", 1);
        receiver.child().send_signal(SIGSTOP);
        EXPECT_TRUE(
            kit::wait_until([] { return info("w")["participants"][0]["stopped"] == true; }));
        done({"send", "w", "1", "2", "3"});
        EXPECT_EQ(info("w")["participants"][0]["waiting"], 3) << more.front();
        EXPECT_NE(done({"mailbox", "info", "w"}).find(" stopped "), std::string::npos);
        const std::string look = done({"mailbox", "watch", "w", "--every", "0.01", "--count", "1"});
        EXPECT_NE(look.find("stopped: stoa ("), std::string::npos) << look;
        receiver.child().send_signal(SIGCONT);
        EXPECT_EQ(receiver.wait().out, "1\n2\n3\n");
        done({"mailbox", "rm", "w"});
    }
}

TEST_F(PolicyCommand, WatchPrintsALinePerLook) {
    done({"mailbox", "create", "m"});
    done({"send", "m", "x"});
    const std::string text = done({"mailbox", "watch", "m", "--every", "0.01", "--count", "2"});
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
    const nlohmann::json line = nlohmann::json::parse(
        done({"mailbox", "watch", "m", "--every", "0.01", "--count", "1", "--json"}));
    EXPECT_EQ(line["depth"], 1);
}

TEST_F(PolicyCommand, WhatCannotBeIsRefusedWithTheReason) {
    expect_sentence(
        stoa({"mailbox", "create", "m", "--capacity", "zero", "--sharing", "broadcast"}), 2,
        "whom would a send meet");
    expect_sentence(
        stoa({"mailbox", "create", "m", "--capacity", "zero", "--overflow", "drop_oldest"}), 2,
        "nothing waits to be dropped");
    expect_sentence(stoa({"mailbox", "create", "m", "--capacity", "0"}), 2, "zero or unbounded");
    expect_sentence(stoa({"mailbox", "create", "m", "--overflow", "lose"}), 2, "drop_newest");
    expect_sentence(stoa({"mailbox", "create", "m", "--quota", "1MiB"}), 2, "--quota");
    expect_sentence(stoa({"mailbox", "create", "m", "--ageing", "1"}), 2, "add priorities");
    expect_sentence(stoa({"mailbox", "create", "m", "--one-way"}), 2, "only a pair");
}

}  // namespace
}  // namespace stoa
