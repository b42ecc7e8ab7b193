#include <fcntl.h>

#include <fstream>

#include "tests/cli/stoa_test.hpp"

namespace stoa {
namespace {

using nlohmann::json;

class GcTest : public StoaTest {
protected:
    // As a destroyer leaves it that died between its two steps.
    void condemn(const std::string& name) const {
        const int file = ::open(file_of(name).c_str(), O_WRONLY | O_CLOEXEC);
        const char condemned = 2;
        ASSERT_EQ(::pwrite(file, &condemned, 1, 64), 1);
        ::close(file);
    }
    static json gc(Words words = {}) {
        words.insert(words.begin(), {"gc", "--json"});
        return json::parse(done(words));
    }
};

TEST_F(GcTest, SaysWhenThereIsNothingToDo) {
    EXPECT_EQ(done({"gc"}), "nothing to do\n");
    done({"mailbox", "create", "m"});
    EXPECT_EQ(done({"gc"}), "nothing to do\n");
    EXPECT_EQ(gc()["mailboxes"], json::array());
}

TEST_F(GcTest, SweepsTheDeadAndFirstOnlyTells) {
    done({"mailbox", "create", "m", "--ack"});
    kit::Command receiver = start({"recv", "m"});
    await_participants("m", 1);
    const pid_t pid = receiver.child().pid();
    (void)receiver.kill_and_wait();
    const json told = gc({"--dry-run"});
    EXPECT_EQ(told["dry_run"], true);
    EXPECT_EQ(told["mailboxes"][0]["name"], "m");
    EXPECT_EQ(told["mailboxes"][0]["what"], "swept");
    EXPECT_EQ(told["mailboxes"][0]["dead"][0]["pid"], pid);
    EXPECT_EQ(info("m")["participants"].size(), 1U);
    EXPECT_EQ(done({"gc"}), "m: swept 1 dead participant (pid " + std::to_string(pid) + ")\n");
    EXPECT_EQ(info("m")["participants"].size(), 0U);
    EXPECT_EQ(done({"gc"}), "nothing to do\n");
}

TEST_F(GcTest, FinishesARemovalThatWasBegun) {
    done({"mailbox", "create", "m"});
    condemn("m");
    EXPECT_EQ(gc({"--dry-run"})["mailboxes"][0]["what"], "finished_removal");
    EXPECT_EQ(domain_.entries().size(), 1U);
    EXPECT_EQ(done({"gc"}), "m: finished its removal\n");
    EXPECT_TRUE(domain_.entries().empty());
}

TEST_F(GcTest, TouchesNothingThatALiveProcessUses) {
    done({"mailbox", "create", "m", "--ack"});
    kit::Command receiver = start({"recv", "m", "--follow"});
    await_participants("m", 1);
    receiver.child().stop();
    EXPECT_EQ(done({"gc"}), "nothing to do\n");
    receiver.child().resume();
    done({"send", "m", "still there"});
    EXPECT_TRUE(kit::wait_until([&] { return receiver.out() == "still there\n"; }));
}

TEST_F(GcTest, NamesWhatItLeavesAlone) {
    done({"mailbox", "create", "damaged"});
    ASSERT_EQ(::truncate(file_of("damaged").c_str(), 100), 0);
    std::ofstream{domain_.path() + "/notes.txt"} << "not ours";
    const std::string text = done({"gc"});
    EXPECT_NE(text.find("damaged: left alone: "), std::string::npos) << text;
    EXPECT_NE(text.find("stoa mailbox rm"), std::string::npos) << text;
    EXPECT_EQ(domain_.entries().size(), 2U);
}

TEST_F(GcTest, AListFinishesRemovalsToo) {
    done({"mailbox", "create", "m"});
    condemn("m");
    EXPECT_EQ(done({"mailbox", "ls"}), "no mailboxes\n");
    EXPECT_TRUE(domain_.entries().empty());
}

}  // namespace
}  // namespace stoa
