#include <fcntl.h>

#include <algorithm>
#include <map>
#include <memory>

#include "tests/cli/stoa_test.hpp"

namespace stoa {
namespace {

// One who chats: lines in through a pipe, what it shows comes out as objects.
class Chatter {
public:
    Chatter(std::string name, kit::Command command, int input)
        : name_{std::move(name)}, command_{std::move(command)}, input_{input} {}
    Chatter(Chatter&& other) noexcept
        : name_{std::move(other.name_)},
          command_{std::move(other.command_)},
          input_{std::exchange(other.input_, -1)} {}
    Chatter& operator=(Chatter&&) = delete;
    ~Chatter() { end_input(); }

    void type(const std::string& line) {
        const std::string text = line + "\n";
        EXPECT_EQ(::write(input_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    void end_input() {
        if (input_ >= 0) ::close(input_);
        input_ = -1;
    }
    kit::Command& command() { return command_; }

    // The events of that kind so far: "name text", or "name,name,".
    std::vector<std::string> seen(const std::string& event) {
        std::vector<std::string> found;
        const std::string out = command_.out();
        for (std::size_t at = 0, end = 0; (end = out.find('\n', at)) != out.npos; at = end + 1) {
            const nlohmann::json json = nlohmann::json::parse(out.substr(at, end - at));
            if (json["event"] != event) continue;
            std::string what = json.value("name", "") + (json.contains("text") ? " " : "") +
                               json.value("text", "");
            for (const std::string& name : json.value("names", Words{})) what += name + ",";
            found.push_back(what);
        }
        return found;
    }
    bool await(const std::string& event, const std::string& what) {
        const bool came = kit::wait_until([&] {
            const std::vector<std::string> all = seen(event);
            return std::ranges::find(all, what) != all.end();
        });
        EXPECT_TRUE(came) << name_ << " waits for " << event << " " << what << "\n"
                          << command_.out();
        return came;
    }
    void expect_end() {
        const Finished end = command_.wait();
        EXPECT_EQ(end.status, 0);
        EXPECT_EQ(end.err, "");
    }

private:
    std::string name_;
    kit::Command command_;
    int input_;
};

class ChatTest : public StoaTest {
protected:
    static Chatter enter(const std::string& name, Words more = {}) {
        int pipe[2];
        EXPECT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
        Words words{"chat", name, "--json"};
        words.insert(words.end(), more.begin(), more.end());
        kit::Command command = start(words, {.in_child = [&] { ::dup2(pipe[0], STDIN_FILENO); }});
        ::close(pipe[0]);
        Chatter chatter{name, std::move(command), pipe[1]};
        EXPECT_TRUE(kit::wait_until([&] { return !chatter.seen("here").empty(); }))
            << chatter.command().out();
        return chatter;
    }
    void expect_nothing_left() { EXPECT_EQ(domain_.entries(), std::vector<std::string>{}); }
};

TEST_F(ChatTest, TwoTalkInTheRoomAndOneToOne) {
    Chatter alice = enter("alice");
    Chatter bob = enter("bob");
    alice.await("joined", "bob");
    EXPECT_EQ(bob.seen("here"), Words{"alice,"});
    alice.type("hello all");
    bob.await("said", "alice hello all");
    bob.type("@alice psst");
    alice.await("told", "bob psst");
    alice.type("@bob yes?");
    bob.await("told", "alice yes?");
    bob.end_input();
    bob.expect_end();
    alice.await("left", "bob");
    alice.type("/quit");
    alice.expect_end();
    EXPECT_EQ(alice.seen("said").size() + alice.seen("died").size(), 0U);
    expect_nothing_left();
}

TEST_F(ChatTest, WhoIsKilledDiedAndWhoLeavesLeft) {
    Chatter alice = enter("alice");
    Chatter bob = enter("bob");
    Chatter carol = enter("carol");
    alice.await("joined", "carol");
    bob.type("last words");
    alice.await("said", "bob last words");
    (void)bob.command().kill_and_wait();
    alice.await("died", "bob");
    carol.await("died", "bob");
    carol.end_input();
    carol.expect_end();
    alice.await("left", "carol");
    EXPECT_EQ(alice.seen("left"), Words{"carol"});
    EXPECT_EQ(alice.seen("died"), Words{"bob"});
    Chatter again = enter("bob");  // the name is free, the room is as it was
    alice.type("welcome back");
    again.await("said", "alice welcome back");
    for (Chatter* one : {&again, &alice}) {
        one->end_input();
        one->expect_end();
    }
    expect_nothing_left();
}

TEST_F(ChatTest, AllWhoAreKilledLeaveOnlyWhatTheNextOnesRemove) {
    for (int i = 0; i < 2; ++i) {
        Chatter alice = enter("alice");
        Chatter bob = enter("bob");
        bob.type("@alice hello");
        alice.await("told", "bob hello");
        (void)alice.command().kill_and_wait();
        (void)bob.command().kill_and_wait();
    }
    Chatter carol = enter("carol");
    EXPECT_EQ(carol.seen("here"), Words{""});
    carol.end_input();
    carol.expect_end();
    expect_nothing_left();
}

TEST_F(ChatTest, AStoppedMemberStopsNobodyAndIsNotDead) {
    Chatter alice = enter("alice");
    Chatter bob = enter("bob");
    Chatter carol = enter("carol");
    alice.await("joined", "carol");
    bob.command().child().send_signal(SIGSTOP);
    for (int i = 0; i < 600; ++i) alice.type("line " + std::to_string(i));
    carol.await("said", "alice line 599");
    for (int i = 0; i < 1100; ++i) alice.type("@bob line " + std::to_string(i));
    alice.await("error", "bob bob does not read: no room is left");
    EXPECT_TRUE(alice.seen("died").empty() && alice.seen("left").empty());
    bob.command().child().send_signal(SIGCONT);
    bob.await("said", "alice line 599");
    bob.await("told", "alice line 0");
    for (Chatter* one : {&bob, &alice, &carol}) {
        one->end_input();
        one->expect_end();
    }
    expect_nothing_left();
}

TEST_F(ChatTest, RoomsAreApartAndOneToOneIsNot) {
    Chatter alice = enter("alice", {"--room", "red"});
    Chatter bob = enter("bob", {"--room", "blue"});
    alice.type("in red");
    alice.type("@bob across");
    bob.await("told", "alice across");
    EXPECT_TRUE(bob.seen("said").empty() && bob.seen("joined").empty());
    for (Chatter* one : {&bob, &alice}) {
        one->end_input();
        one->expect_end();
    }
    expect_nothing_left();
}

TEST_F(ChatTest, OtherProgramsTakePart) {
    Chatter alice = enter("alice");
    done({"send", "room-lobby", "clock: it is noon", "no name at all"});
    alice.await("said", "clock it is noon");
    alice.await("said", " no name at all");
    done(
        {"send", "room-lobby", "bob joined", "bob left"});  // what the names do not say is not told
    done({"tell", "alice", "--as", "carol", "to you"});
    alice.await("told", "carol to you");
    EXPECT_TRUE(alice.seen("joined").empty() && alice.seen("left").empty());
    alice.end_input();
    alice.expect_end();
    expect_nothing_left();
}

TEST_F(ChatTest, SignalsEndItCleanly) {
    Chatter alice = enter("alice");
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        Chatter bob = enter("bob-" + std::to_string(signal), {"--stay"});
        bob.end_input();
        bob.command().child().send_signal(signal);
        const Finished end = bob.command().wait();
        EXPECT_EQ(end.signal, signal);
        EXPECT_EQ(end.err, "");
    }
    EXPECT_TRUE(kit::wait_until([&] { return alice.seen("left").size() == 3; }));
    EXPECT_TRUE(alice.seen("died").empty());
    alice.end_input();
    alice.expect_end();
    expect_nothing_left();
}

TEST_F(ChatTest, ControlCharactersOfOthersNeverReachTheTerminal) {
    kit::Command alice = start({"chat", "alice", "--stay"}, {.input = ""});
    EXPECT_TRUE(kit::wait_until(
        [&] { return alice.out().find("nobody else is here") != std::string::npos; }));
    const std::string evil =
        "\x1b]0;owned\x07\xc2\x9b"
        "2J\r* alice died\x08";
    done({"chat", "mallory"}, {.input = evil + "\n@alice " + evil + "\n"});
    done({"send", "room-lobby", evil});
    EXPECT_TRUE(kit::wait_until([&] {
        const std::string out = alice.out();
        return out.find("(nobody)") != out.npos && out.find("(to you)") != out.npos &&
               out.find("mallory: ") != out.npos;
    })) << alice.out();
    alice.child().send_signal(SIGTERM);
    const std::string out = alice.wait().out;
    for (const char c : out) {
        EXPECT_TRUE(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)) << out;
    }
    EXPECT_EQ(out.find("\xc2\x9b"), out.npos);
    EXPECT_EQ(out.find("\n* alice died"), out.npos);
}

TEST_F(ChatTest, MistakesAreSentences) {
    Chatter alice = enter("alice");
    expect_sentence(stoa({"chat", "alice"}), 1,
                    "process " + std::to_string(alice.command().child().pid()) +
                        " has the name alice, as `stoa ps alice` shows");
    expect_sentence(stoa({"chat", "a b"}), 2, "bad_name");
    expect_sentence(stoa({"chat", "bob", "--room", "a/b"}), 2, "bad_name");
    done({"mailbox", "create", "room-work"});
    expect_sentence(stoa({"chat", "bob", "--room", "work"}), 1, "no broadcast");
    done({"mailbox", "rm", "room-work"});
    alice.type("@nobody hello");
    alice.await("error", "nobody nobody is called nobody");
    alice.type("/dance");
    EXPECT_TRUE(kit::wait_until([&] { return alice.seen("notice").size() == 2; }));
    alice.type(std::string(9000, 'x'));
    expect_sentence(alice.command().wait(), 1, "longer than");
    expect_nothing_left();
}

}  // namespace
}  // namespace stoa
