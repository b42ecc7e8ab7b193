#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <random>

#include "stoa/mailbox/mailbox.hpp"
#include "tests/cli/stoa_test.hpp"

namespace stoa {
namespace {

class BadInputTest : public StoaTest {
protected:
    void overwrite(const std::string& name, off_t at, const std::string& bytes) const {
        const int file = ::open(file_of(name).c_str(), O_WRONLY | O_CLOEXEC);
        ASSERT_EQ(::pwrite(file, bytes.data(), bytes.size(), at),
                  static_cast<ssize_t>(bytes.size()));
        ::close(file);
    }
    static void limit(int resource, rlim_t value) {
        const rlimit both{value, value};
        STOA_CHECK(::setrlimit(static_cast<__rlimit_resource>(resource), &both) == 0);
    }
    static std::vector<Words> users_of(const std::string& name) {
        return {{"mailbox", "info", name}, {"send", name, "x"}, {"recv", name, "--no-wait"}};
    }
};

TEST_F(BadInputTest, ATruncatedFileIsNamedAndCanBeRemoved) {
    for (const off_t size : {0, 100, 4096, 300000, 600000}) {
        done({"mailbox", "create", "m"});
        ASSERT_EQ(::truncate(file_of("m").c_str(), size), 0);
        for (const Words& words : users_of("m")) {
            expect_sentence(stoa(words), 1, "stoa mailbox rm");
        }
        const Finished list = stoa({"mailbox", "ls"});
        expect_sentence(list, 1, "ls: m: ");
        EXPECT_NE(list.err.find("stoa mailbox rm"), std::string::npos) << list.err;
        EXPECT_EQ(list.out, "");
        EXPECT_NE(stoa({"mailbox", "ls", "--json"}).out.find("bad_layout"), std::string::npos);
        done({"mailbox", "rm", "m"});
        EXPECT_TRUE(domain_.entries().empty());
    }
}

TEST_F(BadInputTest, AMailboxOfAnotherVersionIsNamedAndCanBeRemoved) {
    done({"mailbox", "create", "m"});
    overwrite("m", 8, "\x63");
    for (const Words& words : users_of("m")) expect_sentence(stoa(words), 1, "another version");
    expect_sentence(stoa({"mailbox", "create", "m"}), 1, "the name is taken");
    done({"mailbox", "rm", "m"});
    EXPECT_TRUE(domain_.entries().empty());
}

TEST_F(BadInputTest, AFileThatIsNoMailboxIsNamed) {
    for (const std::string& content : {std::string{}, std::string(10000, 'z')}) {
        done({"mailbox", "create", "m"});
        ASSERT_EQ(::truncate(file_of("m").c_str(), 0), 0);
        if (!content.empty()) overwrite("m", 0, content);
        for (const Words& words : users_of("m")) expect_sentence(stoa(words), 1, "bad_layout");
        done({"mailbox", "rm", "m"});
    }
    ASSERT_EQ(::mkdir(file_of("folder").c_str(), 0777), 0);
    ASSERT_EQ(::mkfifo(file_of("fifo").c_str(), 0666), 0);
    ASSERT_EQ(::symlink("/etc/passwd", file_of("link").c_str()), 0);
    for (const char* name : {"folder", "fifo", "link"}) {
        for (const Words& words : users_of(name)) expect_sentence(stoa(words), 1, name);
    }
}

TEST_F(BadInputTest, ScribbledMemoryIsNeverACrashOrAHang) {
    constexpr off_t content = 532480;  // behind a table of 4096 participants
    const std::pair<off_t, off_t> parts[] = {
        {0, 128},                                // the region's header
        {4096, 64 + 3 * 128},                    // participants
        {content, 256},                          // the mailbox
        {content + 4096, 512},                   // the ring's header, or doors
        {content + 4096 + 512, 1024 * 8 + 512},  // hints and slots
        {content + 20480, 4096}};                // chunks
    std::mt19937 random{11};
    for (const char* mode : {"--ack", "--sharing=single_receiver", "--sharing=pair"}) {
        for (const auto& [start, bytes] : parts) {
            for (int round = 0; round < 5; ++round) {
                done({"mailbox", "create", "m", mode});
                done({"send", "m", "one", "two", "three"});
                for (int i = 0; i < 3; ++i) {
                    const off_t at = start + static_cast<off_t>(random()) % (bytes - 8);
                    std::string junk(1 + random() % 8, '\0');
                    for (char& c : junk) c = static_cast<char>(random());
                    overwrite("m", at, junk);
                }
                for (const Words& words :
                     {Words{"mailbox", "info", "m"}, Words{"send", "m", "x", "--timeout", "0.01"},
                      Words{"recv", "m", "--follow", "--no-wait"}, Words{"mailbox", "ls"},
                      Words{"gc"}}) {
                    const Finished end = stoa(words);
                    EXPECT_EQ(end.signal, 0) << testing::PrintToString(words) << start << end.err;
                }
                const Finished removed = stoa({"mailbox", "rm", "m"});
                EXPECT_TRUE(removed.status == 0 || removed.status == 4) << removed.err;
                EXPECT_TRUE(domain_.entries().empty());
            }
        }
    }
}

TEST_F(BadInputTest, NoPermissionIsASentence) {
    done({"mailbox", "create", "m"});
    ASSERT_EQ(::chmod(file_of("m").c_str(), 0), 0);
    for (const Words& words : users_of("m")) expect_sentence(stoa(words), 1, "no permission");
    expect_sentence(stoa({"mailbox", "ls"}), 1, "no permission");
}

TEST_F(BadInputTest, AFolderThatIsNotOursAloneIsRefused) {
    expect_sentence(stoa({"--domain", "/usr", "mailbox", "ls"}), 1, "STOA_DOMAIN");
    expect_sentence(stoa({"--domain", "/usr", "mailbox", "create", "m"}), 1, "STOA_DOMAIN");
    expect_sentence(stoa({"--domain", "/nowhere/at/all", "mailbox", "create", "m"}), 1,
                    "STOA_DOMAIN");
    expect_sentence(stoa({"--domain", "/nowhere/at/all", "recv", "m"}), 4, "create it first");
    expect_sentence(stoa({"--domain", "/nowhere/at/all", "mailbox", "ls"}), 4, "no folder");
    expect_sentence(stoa({"--domain", "/etc/passwd", "gc"}), 1, "STOA_DOMAIN");
    ASSERT_EQ(::chmod(domain_.path().c_str(), 0755), 0);
    expect_sentence(stoa({"mailbox", "create", "m"}), 1, "mode 0700");
    ASSERT_EQ(::chmod(domain_.path().c_str(), 0700), 0);
    EXPECT_TRUE(domain_.entries().empty());
}

TEST_F(BadInputTest, NumbersAreDecimalAndTheDomainMayStandBehindTheVerb) {
    for (const char* number : {"010", "0x10", "-1", "1.5", "", "1048577"}) {
        expect_sentence(stoa({"mailbox", "create", "m", "--capacity", number}), 2, "--capacity");
    }
    expect_sentence(stoa({"mailbox", "create", "m", "--sharing", "all"}), 2, "single_receiver");
    done({"mailbox", "create", "m"});
    done({"send", "m", "there", "--domain", domain_.path()});
    EXPECT_EQ(done({"recv", "m", "--domain", domain_.path()}), "there\n");
    expect_sentence(stoa({"recv", "m", "--domain", "/nowhere"}), 4, "create it first");
    expect_sentence(shell("$STOA farm -- cat </"), 1, "Is a directory");
}

class SmallDomainTest : public BadInputTest {
protected:
    // Runs a script in a mount namespace whose domain has room for so many bytes.
    Finished run(std::uint64_t room, const char* script) {
        const std::string path = domain_.path();
        const bool root = is_root();
        ::setenv("STOA", kit::reachable(STOA_COMMAND).c_str(), 1);
        const auto small_domain = [&] {
            kit::enter_namespaces(CLONE_NEWNS);
            kit::mount_tmpfs(path.c_str(), room);
            if (!root) return;
            STOA_CHECK(::chown(path.c_str(), kit::kNobody, kit::kNobody) == 0);
            kit::become_nobody();
        };
        return kit::run({"/bin/bash", "-c", script}, {.in_child = small_domain});
    }
};

TEST_F(SmallDomainTest, TheDeadWhoFillTheTableAreRecoveredThoughItCannotGrow) {
    const Finished end = run(2 << 20, R"(
        mkfifo $STOA_DOMAIN/f; exec 9<>$STOA_DOMAIN/f; $STOA mailbox create m > /dev/null
        for i in $(seq 28); do $STOA send m <&9 & pids="$pids $!"; done
        until [ $($STOA mailbox info m | grep -c sends) = 28 ]; do :; done
        kill -9 $pids; wait; head -c 4M /dev/zero > $STOA_DOMAIN/rest
        $STOA send m x; echo $?; $STOA recv m
        $STOA mailbox info m | grep -c sends)");
    EXPECT_EQ(end.out, "0\nx\n0\n") << end.err;
}

TEST_F(SmallDomainTest, ASenderForWhomThereIsNoMemoryTakesNone) {
    const Finished end = run(22 << 20, R"(
        mkfifo $STOA_DOMAIN/f; exec 9<>$STOA_DOMAIN/f
        $STOA mailbox create m --sharing single_receiver --reserve 8MiB > /dev/null
        $STOA send m <&9 & $STOA send m <&9 &
        until [ $($STOA mailbox info m | grep -c sends) = 2 ]; do :; done
        before=$(stat -f -c %f $STOA_DOMAIN); $STOA send m x; echo $?
        [ $before -gt 1024 ] && [ $(stat -f -c %f $STOA_DOMAIN) = $before ]; echo $?
        kill %1 %2)");
    EXPECT_EQ(end.out, "1\n0\n") << end.err;
}

TEST_F(SmallDomainTest, AFullFileSystemIsAnErrorAndLeavesNothingHalfMade) {
    const Finished end = run(2 << 20, R"(
        $STOA mailbox create big --reserve 64MiB; echo $? $(ls -A $STOA_DOMAIN | wc -l)
        $STOA mailbox create one > /dev/null; echo $?
        $STOA mailbox create two; echo $? $(ls -A $STOA_DOMAIN)
        $STOA send one x; $STOA recv one
        $STOA mailbox rm one
        $STOA mailbox create lanes --sharing single_receiver > /dev/null; echo $?
        sleep 100 | $STOA send lanes & until $STOA mailbox info lanes | grep -q sends; do :; done
        $STOA send lanes x; echo $?
        kill %1; $STOA mailbox rm lanes; ls -A $STOA_DOMAIN)");
    EXPECT_EQ(end.out, "1 0\n0\n1 one.mailbox\nx\n0\n1\n");
    EXPECT_NE(end.err.find("mailbox create two: "), std::string::npos) << end.err;
    EXPECT_NE(end.err.find("send lanes: "), std::string::npos) << end.err;
    EXPECT_NE(end.err.find("the memory is full"), std::string::npos) << end.err;
}

TEST_F(BadInputTest, AReachedLimitIsNamed) {
    done({"mailbox", "create", "m"});
    done({"mailbox", "create", "lanes", "--sharing", "single_receiver"});
    const auto few_files = [] {
        ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // whatever we inherited ourselves
        limit(RLIMIT_NOFILE, 4);                     // the loader needs one
    };
    const auto little_room = [] { limit(RLIMIT_AS, 256U << 20U); };
    const auto small_files = [] {
        ::signal(SIGXFSZ, SIG_IGN);
        limit(RLIMIT_FSIZE, 4096);
    };
    for (const Words& words : users_of("m")) {
        expect_sentence(stoa(words, {.in_child = few_files}), 1, "ulimit -n");
    }
    expect_sentence(stoa({"mailbox", "create", "n"}, {.in_child = few_files}), 1, "ulimit -n");
    for (const Words& words : users_of("lanes")) {  // a GiB of addresses
        expect_sentence(stoa(words, {.in_child = little_room}), 1, "ulimit -v");
    }
    expect_sentence(stoa({"mailbox", "create", "n"}, {.in_child = small_files}), 1, "limit");
    expect_sentence(stoa({"send", "m"}, {.input = std::string(70000, 'x'),
                                         .in_child = [] { limit(RLIMIT_AS, 16U << 20U); }}),
                    1, "");
    EXPECT_EQ(domain_.entries().size(), 2U);
}

TEST_F(BadInputTest, AClosedStandardOutputStopsBeforeAnythingIsDone) {
    done({"mailbox", "create", "m"});
    done({"send", "m", "kept"}, {.in_child = [] { ::close(STDOUT_FILENO); }});  // prints nothing
    const kit::CommandSetup closed{.in_child = [] { ::close(STDOUT_FILENO); }};
    expect_sentence(stoa({"recv", "m"}, closed), 1, "standard output");
    expect_sentence(stoa({"mailbox", "create", "n"}, closed), 1, "standard output");
    expect_sentence(stoa({"mailbox", "info", "m"}, closed), 1, "standard output");
    EXPECT_EQ(domain_.entries().size(), 1U);
    EXPECT_EQ(done({"recv", "m"}), "kept\n");
}

TEST_F(BadInputTest, ClosedDescriptorsNeverBecomeTheMailbox) {
    done({"mailbox", "create", "m", "--max-bytes", "10"});
    for (unsigned closed = 1; closed < 8; ++closed) {
        const kit::CommandSetup setup{.in_child = [closed] {
            for (const int descriptor : {0, 1, 2}) {
                if ((closed >> descriptor & 1U) != 0) ::close(descriptor);
            }
        }};
        const bool prints = (closed & 2U) == 0;
        EXPECT_EQ(stoa({"send", "m", "longer than ten"}, setup).status, 1);
        EXPECT_EQ(stoa({"send", "m"}, setup).status, closed & 1U);  // it needs its input
        EXPECT_EQ(stoa({"recv", "m", "--no-wait"}, setup).status, prints ? 3 : 1);
        EXPECT_EQ(stoa({"mailbox", "info", "m"}, setup).status, prints ? 0 : 1);
        EXPECT_EQ(info("m")["depth"], 0) << closed;
    }
}

TEST_F(BadInputTest, AStandardInputThatCannotBeReadIsASentence) {
    done({"mailbox", "create", "m"});
    expect_sentence(stoa({"send", "m"}, {.in_child = [] { ::close(STDIN_FILENO); }}), 1,
                    "standard input");
    const auto folder = [] { ::dup2(::open("/", O_RDONLY | O_DIRECTORY), STDIN_FILENO); };
    expect_sentence(stoa({"send", "m"}, {.in_child = folder}), 1, "standard input");
}

struct Order {
    std::uint64_t id;
    double price;
};

TEST_F(BadInputTest, AMailboxOfStringsTakesTextOfAnySize) {
    const kit::Ending made = kit::fork_and_run([] {
        kit::become_nobody();
        EXPECT_TRUE(Mailbox<std::string>::create("texts", {.max_bytes = 16}));
    });
    ASSERT_TRUE(made.ok());
    done({"send", "texts", "short", ""});
    EXPECT_EQ(stoa({"send", "texts", "longer than it may be"}).status, 1);
    const kit::Ending read = kit::fork_and_run([] {
        kit::become_nobody();
        auto texts = Mailbox<std::string>::open("texts").value();
        EXPECT_EQ(texts.receive().value().value(), "short");
        EXPECT_EQ(texts.receive().value().value(), "");
        EXPECT_TRUE(texts.send("back"));
    });
    EXPECT_TRUE(read.ok());
    EXPECT_EQ(done({"recv", "texts"}), "back\n");
    EXPECT_EQ(info("texts")["type"], "encoded string");
}

TEST_F(BadInputTest, AMailboxOfAProgramsTypeTakesOnlyItsSize) {
    const kit::Ending made = kit::fork_and_run([] {
        kit::become_nobody();
        EXPECT_TRUE(Mailbox<Order>::create("orders"));
    });
    ASSERT_TRUE(made.ok());
    const Finished end = stoa({"send", "orders", "short"});
    expect_sentence(end, 1, "message 1 has 5 bytes, the mailbox holds values of 16 bytes: ");
    EXPECT_NE(end.err.find("price"), std::string::npos) << end.err;
    EXPECT_NE(done({"mailbox", "info", "orders"}).find("price"), std::string::npos);
    EXPECT_EQ(info("orders")["depth"], 0);
    done({"send", "orders", "0123456789abcdef"});
    EXPECT_EQ(done({"recv", "orders"}), "0123456789abcdef\n");
}

TEST_F(BadInputTest, ARoleThatIsTakenIsNamed) {
    done({"mailbox", "create", "m", "--sharing", "single_receiver"});
    kit::Command receiver = start({"recv", "m", "--follow"});
    await_participants("m", 1);
    expect_sentence(stoa({"recv", "m"}), 1, "receives; stand by, or wait");
}

}  // namespace
}  // namespace stoa
