#include <sys/stat.h>

#include "tests/cli/stoa_test.hpp"

namespace stoa {
namespace {

using MailboxVerbTest = StoaTest;
using nlohmann::json;

TEST_F(MailboxVerbTest, CreatePrintsWhatItReserved) {
    const std::string text = done({"mailbox", "create", "m"});
    for (const char* part : {"created    m", "sharing    any", "1024 messages", "of at most 64 KiB",
                             "memory     ", "payload    ", " of 64 KiB"}) {
        EXPECT_NE(text.find(part), std::string::npos) << text;
    }
    struct ::stat facts{};
    ASSERT_EQ(::stat(file_of("m").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0600U);
}

TEST_F(MailboxVerbTest, CreateTakesItsOptions) {
    const json made = json::parse(
        done({"mailbox", "create", "m", "--capacity", "7", "--max-bytes", "2k", "--reserve", "4MiB",
              "--sharing", "pair", "--ack", "--mode", "0660", "--json"}));
    EXPECT_EQ(made["name"], "m");
    EXPECT_EQ(made["capacity"], 7);
    EXPECT_EQ(made["max_bytes"], 2048);
    EXPECT_EQ(made["sharing"], "pair");
    EXPECT_EQ(made["acknowledged"], true);
    EXPECT_EQ(made["mode"], "0660");
    EXPECT_GT(made["reserve"]["memory_bytes"], made["reserve"]["payload_bytes"]);
    EXPECT_EQ(made["reserve"]["size_classes"][0]["bytes"], 2048);
    EXPECT_EQ(info("m")["mode"], "0660");
}

TEST_F(MailboxVerbTest, EverySharingIsCreatedShownAndRemoved) {
    for (const char* sharing : {"any", "single_receiver", "pair"}) {
        for (const bool acknowledged : {false, true}) {
            Words words{"mailbox", "create", "m", "--sharing", sharing};
            if (acknowledged) words.emplace_back("--ack");
            EXPECT_NE(done(words).find("payload"), std::string::npos);
            EXPECT_NE(done({"mailbox", "info", "m"}).find(sharing), std::string::npos);
            const json facts = info("m");
            EXPECT_EQ(facts["sharing"], sharing);
            EXPECT_EQ(facts["acknowledged"], acknowledged);
            EXPECT_EQ(done({"mailbox", "rm", "m"}), "");
            EXPECT_TRUE(domain_.entries().empty());
        }
    }
}

TEST_F(MailboxVerbTest, InfoShowsAllThatCreateShows) {
    for (const char* sharing : {"any", "single_receiver", "broadcast"}) {
        const json made = json::parse(
            done({"mailbox", "create", "m", "--sharing", sharing, "--ttl", "0", "--json"}));
        const json seen = info("m");
        for (const auto& [key, value] : made.items()) {
            EXPECT_TRUE(key == "reserve" || seen[key] == value) << key;
        }
        EXPECT_TRUE(made.contains("type") && made.contains("created"));
        done({"mailbox", "rm", "m"});
    }
}

TEST_F(MailboxVerbTest, ListShowsWhatIsClosed) {
    for (const char* name : {"a", "b"}) done({"mailbox", "create", name});
    done({"mailbox", "close", "b"});
    const std::string text = done({"mailbox", "ls"});
    EXPECT_TRUE(text.ends_with(" closed\n")) << text;
    EXPECT_NE(text.find(" open\nb "), std::string::npos) << text;
}

TEST_F(MailboxVerbTest, TheSecondReceiverIsToldHowToStandBy) {
    done({"mailbox", "create", "m", "--sharing", "single_receiver"});
    kit::Command first = start({"recv", "m"});
    EXPECT_TRUE(kit::wait_until([] { return info("m")["participants"].size() == 1; }));
    expect_sentence(stoa({"recv", "m"}), 1, "`recv m --stand-by` waits");
    done({"send", "m", "x"});
    EXPECT_EQ(first.wait().out, "x\n");
}

TEST_F(MailboxVerbTest, PeekAndRedriveTellInJson) {
    done({"mailbox", "create", "m", "--ack", "--dead-letter-after", "1"});
    done({"send", "m", "one", "two"});
    EXPECT_EQ(done({"mailbox", "peek", "m", "--count", "2", "--json"}),
              "{\"message\":\"one\",\"bytes\":3}\n{\"message\":\"two\",\"bytes\":3}\n");
    EXPECT_EQ(shell("exec 2>/dev/null; $STOA recv m >/dev/full").status, 1);
    EXPECT_EQ(json::parse(done({"mailbox", "redrive", "m", "--json"}))["redriven"], 1);
}

TEST_F(MailboxVerbTest, FoldersThatCannotBeMadeOrFoundAreSaid) {
    const std::string folder = domain_.path();
    expect_sentence(stoa({"domain", "create", folder}), 1, "stoa domain info " + folder);
    expect_sentence(stoa({"domain", "create", folder + "/no/such"}), 1, "is missing; make that");
    expect_sentence(stoa({"domain", "info", folder + "/none"}), 4,
                    "`stoa domain create " + folder + "/none` makes it");
}

TEST_F(MailboxVerbTest, ListShowsAllInOrder) {
    EXPECT_EQ(done({"mailbox", "ls"}), "no mailboxes\n");
    EXPECT_EQ(json::parse(done({"mailbox", "ls", "--json"})), json::array());
    for (const char* name : {"zebra", "ant"}) done({"mailbox", "create", name});
    done({"send", "ant", "one", "two"});
    const std::string text = done({"mailbox", "ls"});
    EXPECT_LT(text.find("ant"), text.find("zebra"));
    const json rows = json::parse(done({"mailbox", "ls", "--json"}));
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0]["name"], "ant");
    EXPECT_EQ(rows[0]["depth"], 2);
    EXPECT_EQ(rows[0]["bytes"], 6);
}

class EverySharing : public StoaTest, public testing::WithParamInterface<Words> {};

TEST_P(EverySharing, InfoCountsWhatGoesThrough) {
    Words create{"mailbox", "create", "m"};
    create.insert(create.end(), GetParam().begin(), GetParam().end());
    done(create);
    done({"send", "m", "one", "two", "three"});
    done({"send", "m", "four"});
    json facts = info("m");
    EXPECT_EQ(facts["depth"], 4);
    EXPECT_EQ(facts["bytes"], 15);
    EXPECT_EQ(facts["sent"], 4);
    EXPECT_EQ(facts["received"], 0);
    EXPECT_EQ(facts["participants"], json::array());
    EXPECT_EQ(done({"recv", "m", "--count", "3"}), "one\ntwo\nthree\n");
    facts = info("m");
    EXPECT_EQ(facts["depth"], 1);
    EXPECT_EQ(facts["sent"], 4);
    EXPECT_EQ(facts["received"], 3);
    EXPECT_EQ(facts["leased"], 0);
    EXPECT_EQ(facts["redelivered"], 0);
}

TEST_P(EverySharing, InfoNamesWhoHasItOpenAliveAndDead) {
    Words create{"mailbox", "create", "m"};
    create.insert(create.end(), GetParam().begin(), GetParam().end());
    done(create);
    kit::Command receiver = start({"recv", "m", "--follow"});
    await_participants("m", 1);
    done({"send", "m", "one"});
    ASSERT_TRUE(kit::wait_until([&] { return receiver.out() == "one\n"; }));
    const json alive = info("m")["participants"][0];
    EXPECT_EQ(alive["pid"], receiver.child().pid());
    EXPECT_EQ(alive["process"], "stoa");
    EXPECT_EQ(alive["role"], "receives");
    EXPECT_EQ(alive["life"], "alive");
    EXPECT_EQ(alive["received"], 1);
    receiver.child().stop();
    EXPECT_EQ(info("m")["participants"][0]["life"], "alive");
    receiver.child().kill();  // a zombie
    EXPECT_EQ(info("m")["participants"][0]["life"], "dead");
    EXPECT_NE(done({"mailbox", "info", "m"}).find(" dead "), std::string::npos);
    (void)receiver.wait();
    EXPECT_EQ(info("m")["participants"][0]["life"], "dead");  // it looks and does not sweep
    EXPECT_EQ(json::parse(done({"mailbox", "ls", "--json"}))[0]["participants"], json::array());
    EXPECT_EQ(info("m")["participants"], json::array());
    EXPECT_EQ(info("m")["received"], 1);  // still known
}

INSTANTIATE_TEST_SUITE_P(Mailboxes, EverySharing,
                         testing::Values(Words{}, Words{"--ack"}, Words{"--sharing", "pair"},
                                         Words{"--sharing", "pair", "--ack"},
                                         Words{"--sharing", "single_receiver"},
                                         Words{"--sharing", "single_receiver", "--ack"}));

TEST_F(MailboxVerbTest, InfoShowsLeasesAndRedeliveries) {
    done({"mailbox", "create", "m", "--ack"});
    done({"send", "m", "one", "two", "three", "four", "five", "six"});
    // It holds what it cannot write yet: its standard output is a pipe that nobody empties.
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const std::string filler(65536, 'x');
    ASSERT_EQ(::write(pipe[1], filler.data(), filler.size()), 65536);
    kit::Command receiver =
        start({"recv", "m", "--follow"}, {.in_child = [&] { ::dup2(pipe[1], STDOUT_FILENO); }});
    EXPECT_TRUE(kit::wait_until([&] { return info("m")["leased"] == 4; }));  // its quota
    EXPECT_EQ(info("m")["depth"], 2);
    (void)receiver.kill_and_wait();
    EXPECT_EQ(done({"recv", "m", "--follow", "--no-wait"}).size(),
              std::string{"one\ntwo\nthree\nfour\nfive\nsix\n"}.size());
    EXPECT_EQ(info("m")["redelivered"], 4);
    EXPECT_EQ(info("m")["leased"], 0);
    ::close(pipe[0]);
    ::close(pipe[1]);
}

TEST_F(MailboxVerbTest, WhatDoesNotExistIsStatusFour) {
    for (const Words& words : {Words{"mailbox", "rm", "m"}, Words{"mailbox", "info", "m"},
                               Words{"send", "m", "x"}, Words{"recv", "m"}}) {
        expect_sentence(stoa(words), 4, "create it first");
    }
}

TEST_F(MailboxVerbTest, ANameInUseIsRefused) {
    done({"mailbox", "create", "m"});
    done({"send", "m", "kept"});
    expect_sentence(stoa({"mailbox", "create", "m"}), 1, "choose another name");
    EXPECT_EQ(done({"recv", "m"}), "kept\n");
}

TEST_F(MailboxVerbTest, TheDomainCanBeAnArgument) {
    const std::string other = domain_.path() + "/other";
    done({"--domain", other, "mailbox", "create", "m"});
    EXPECT_EQ(done({"mailbox", "ls"}), "no mailboxes\n");
    EXPECT_NE(done({"--domain", other, "mailbox", "ls"}).find('m'), std::string::npos);
}

}  // namespace
}  // namespace stoa
