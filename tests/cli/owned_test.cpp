#include <sys/stat.h>

#include <csignal>

#include "tests/cli/stoa_test.hpp"
#include "tests/kit/owned_names.hpp"

namespace stoa {
namespace {

using nlohmann::json;

// `stoa mailbox create NAME --owner process` is the mailbox's life.
class OwnedCommand : public StoaTest {
protected:
    static kit::Command create(Words more = {}) {
        Words words{"mailbox", "create", "m", "--owner", "process"};
        words.insert(words.end(), more.begin(), more.end());
        kit::Command command = start(words);
        EXPECT_TRUE(kit::wait_until([&] { return stoa({"mailbox", "info", "m"}).status == 0; }));
        return command;
    }
    void expect_nothing_left(const std::set<std::string>& names) const {
        EXPECT_EQ(done({"mailbox", "ls"}), "no mailboxes\n");
        EXPECT_EQ(kit::still_held(names), std::set<std::string>{});
        EXPECT_TRUE(domain_.entries().empty());
    }
};

TEST_F(OwnedCommand, SaysThatItStaysAndEndsInOrderWithASignal) {
    for (const int signal : {SIGINT, SIGTERM}) {
        kit::Command command = create();
        const std::set<std::string> names = kit::owned_names_of(command.child().pid());
        EXPECT_EQ(names.size(), 2U);
        EXPECT_NE(command.out().find("end it (Ctrl-C) to end the mailbox"), std::string::npos);
        done({"send", "m", "one", "two"});
        EXPECT_EQ(done({"recv", "m"}), "one\n");
        EXPECT_TRUE(domain_.entries().empty());
        command.child().send_signal(signal);
        const Finished end = command.wait();
        EXPECT_EQ(end.status, 0);
        EXPECT_EQ(end.err, "");
        expect_nothing_left(names);
        expect_sentence(stoa({"recv", "m"}), 4, "create it first");
    }
}

TEST_F(OwnedCommand, IsShownByInfoAndList) {
    kit::Command command = create({"--json"});
    EXPECT_EQ(json::parse(command.out())["owner"], "process");
    EXPECT_EQ(json::parse(command.out())["mode"], "0600");
    EXPECT_EQ(info("m")["mode"], "0600");
    const json facts = info("m");
    EXPECT_EQ(facts["owner"], "process");
    EXPECT_EQ(facts["owner_pid"], command.child().pid());
    EXPECT_EQ(facts["owner_process"], "stoa");
    const std::string pid = std::to_string(command.child().pid());
    EXPECT_NE(done({"mailbox", "info", "m"}).find("owner      process " + pid), std::string::npos);
    const std::string list = done({"mailbox", "ls"});
    EXPECT_NE(list.find("OWNER"), std::string::npos);
    EXPECT_NE(list.find(" process open\n"), std::string::npos) << list;
    done({"mailbox", "create", "other"});
    EXPECT_EQ(info("other")["owner"], "system");
    EXPECT_NE(done({"mailbox", "ls"}).find(" system  open\n"), std::string::npos);
    EXPECT_EQ(done({"gc"}), "nothing to do\n");
}

TEST_F(OwnedCommand, KilledItTakesTheMailboxWithIt) {
    kit::Command command = create();
    const std::set<std::string> names = kit::owned_names_of(command.child().pid());
    kit::Command receiver = start({"recv", "m", "--follow"});
    await_participants("m", 2);
    (void)command.kill_and_wait();
    expect_sentence(receiver.wait(), 1, "owner_gone");
    expect_nothing_left(names);
    done({"mailbox", "create", "m"});
}

TEST_F(OwnedCommand, EndsWhenAnotherOneRemovesTheMailbox) {
    kit::Command command = create();
    done({"mailbox", "rm", "m"});
    expect_sentence(command.wait(), 1, "gone");
    expect_sentence(stoa({"mailbox", "info", "m"}), 4, "create it first");
}

TEST_F(OwnedCommand, IsOneNameWithThatOfAFile) {
    kit::Command command = create();
    expect_sentence(stoa({"mailbox", "create", "m"}), 1, "a process owns one of this name");
    expect_sentence(stoa({"mailbox", "create", "m", "--owner", "process"}), 1,
                    "choose another name");
    done({"mailbox", "create", "n"});
    expect_sentence(stoa({"mailbox", "create", "n", "--owner", "process"}), 1,
                    "choose another name");
    EXPECT_EQ(stoa({"mailbox", "create", "x", "--owner", "me"}).status, 2);
}

class DomainVerb : public StoaTest {
protected:
    // A group that the command's user is a member of.
    static std::string group() {
        return std::to_string(is_root() ? kit::kNobody : static_cast<unsigned>(::getegid()));
    }
    [[nodiscard]] std::string path() const { return domain_.path() + "/made"; }
};

TEST_F(DomainVerb, MakesADomainForOneUser) {
    const std::string text = done({"domain", "create", path()});
    EXPECT_NE(text.find("its owner alone"), std::string::npos) << text;
    EXPECT_NE(text.find("0700"), std::string::npos) << text;
    done({"--domain", path(), "mailbox", "create", "m"});
    const json facts = json::parse(done({"domain", "info", path(), "--json"}));
    EXPECT_EQ(facts["shared"], false);
    EXPECT_EQ(facts["mailboxes"], 1);
    EXPECT_EQ(facts["object_mode"], "0600");
    expect_sentence(stoa({"domain", "create", path()}), 1, "exists");
    EXPECT_NE(done({"domain", "info"}).find(domain_.path()), std::string::npos);
}

TEST_F(DomainVerb, MakesADomainForAGroup) {
    const json made = json::parse(done({"domain", "create", path(), "--group", group(), "--json"}));
    EXPECT_EQ(made["shared"], true);
    EXPECT_EQ(made["mode"], "2770");
    const json box = json::parse(done({"--domain", path(), "mailbox", "create", "m", "--json"},
                                      {.in_child = [] { ::umask(0777); }}));
    EXPECT_EQ(box["mode"], "0660");
    EXPECT_NE(done({"domain", "info", path()}).find("group"), std::string::npos);
    expect_sentence(stoa({"--domain", path(), "mailbox", "create", "x", "--owner", "process"}), 1,
                    "shared by a group");
    done({"--domain", path(), "mailbox", "rm", "m"});
}

TEST_F(DomainVerb, RefusesWhatIsNotBuiltYetAndSaysWhy) {
    for (const char* option : {"--allow-send", "--allow-receive"}) {
        expect_sentence(stoa({"domain", "create", path(), option, "someone"}), 1, "guarded tier");
        expect_sentence(stoa({"mailbox", "create", "m", option, "someone"}), 1, "guarded tier");
    }
    EXPECT_TRUE(domain_.entries().empty());
    expect_sentence(stoa({"domain", "create", path(), "--group", "no such group"}), 2,
                    "there is no group");
    expect_sentence(stoa({"domain", "create", path() + "/deeper"}), 1,
                    "is missing; make that first");
    expect_sentence(stoa({"domain", "info", path()}), 4, "not_found");
}

TEST_F(DomainVerb, SaysWhoHasTheRightThatIsMissing) {
    expect_sentence(stoa({"domain", "info", "/etc"}), 1, "user root");
    if (!is_root()) return;
    done({"domain", "create", path()});
    ASSERT_EQ(::chown(path().c_str(), 0, 0), 0);
    expect_sentence(
        stoa({"domain", "info", path()}), 1,
        "the right to enter it is missing; user root has it, mode 0700; you are nobody");
}

}  // namespace
}  // namespace stoa
