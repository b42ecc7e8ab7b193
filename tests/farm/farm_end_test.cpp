// How a farm ends: workers, heads, readers and users that go away.
#include <fcntl.h>

#include "tests/farm/farm_test.hpp"

namespace stoa {
namespace {

// Tells in a file that it runs, then waits for another file: no test guesses how long that takes.
constexpr const char* kWaits = "echo >>$0/began; while [ ! -e $0/go ]; do sleep 0.01; done; cat";

TEST_F(FarmTest, ATaskWhoseWorkerIsKilledIsDoneByAnotherAndThatIsNoFailure) {
    // Three deaths and one failure, with one retry: a death that counted would be one too many.
    const std::string script =
        std::string{kWaits} + "; [ -e $0/failed ] || { echo >$0/failed; exit 1; }";
    kit::Command farm = start({"--workers", "1", "--retries", "1", "--report", path("report"), "--",
                               "sh", "-c", script, domain_.path()},
                              {.input = "text\n"});
    const pid_t head = farm.child().pid();
    for (std::size_t run = 1; run <= 3; ++run) {
        ASSERT_TRUE(kit::wait_until([&] { return lines_in("began") == run; }));
        ASSERT_TRUE(kit::wait_until([&] { return workers_of(head).size() == 1; }));
        ASSERT_TRUE(kill_worker(head, workers_of(head).front()));
    }
    ASSERT_TRUE(kit::wait_until([&] { return lines_in("began") == 4; }));
    make_file("go");
    const kit::Finished end = farm.wait();
    EXPECT_EQ(end.status, 0) << end.err;
    EXPECT_EQ(end.out, "text\n");
    EXPECT_EQ(end.err, "");
    EXPECT_EQ(report()["redelivered"], 3);
    EXPECT_EQ(report()["command_failures"], 1);
    EXPECT_EQ(report()["killed_pids"].size(), 3U);
    EXPECT_EQ(report()["worker_pids"].size(), 4U);
}

TEST_F(FarmTest, WhatACommandStartedDiesWithItsWorker) {
    const std::string script = "sleep 1000 & sleep 1000 | cat & echo >>$0/began; wait";
    kit::Command farm =
        start({"--workers", "1", "--", "sh", "-c", script, domain_.path()}, {.input = "text\n"});
    const pid_t head = farm.child().pid();
    ASSERT_TRUE(kit::wait_until([&] { return lines_in("began") == 1; }));
    const auto sleepers = [&] {
        const std::string list = processes();
        std::size_t count = 0;
        for (std::size_t at = 0; (at = list.find(" sleep\n", at)) != std::string::npos; ++at) {
            ++count;
        }
        return count;
    };
    ASSERT_TRUE(kit::wait_until([&] { return sleepers() == 2; }));
    ASSERT_TRUE(kill_worker(head, workers_of(head).front()));
    ASSERT_TRUE(kit::wait_until([&] { return lines_in("began") == 2; }));
    EXPECT_TRUE(kit::wait_until([&] { return sleepers() == 2; })) << processes();
    farm.child().send_signal(SIGTERM);
    EXPECT_EQ(farm.wait().signal, SIGTERM);
    EXPECT_TRUE(kit::wait_until([&] { return sleepers() == 0; })) << processes();
}

TEST_F(FarmTest, AHeadThatIsKilledLeavesNoWorkerNoCommandAndNothingOnTheDisk) {
    // One task in memory, one in a file, one result half held.
    const std::string input = "small\n" + std::string(1'000'000, 'x') + "\n";
    kit::Command farm = start({"--block", "100", "--", "sh", "-c",
                               "head -c 5; echo >>$0/began; exec sleep 1000", domain_.path()},
                              {.input = input});
    ASSERT_TRUE(kit::wait_until([&] { return lines_in("began") == 2; }));
    EXPECT_FALSE(processes().empty());
    EXPECT_EQ(farm.kill_and_wait().signal, SIGKILL);
    EXPECT_TRUE(kit::wait_until([&] { return processes().empty(); })) << processes();
}

class FarmStop : public FarmTest, public testing::WithParamInterface<int> {
protected:
    void expect_stop(kit::Command& farm) {
        farm.child().send_signal(GetParam());
        const kit::Finished end = farm.wait();
        EXPECT_EQ(end.signal, GetParam());
        EXPECT_EQ(end.err, "");
        EXPECT_TRUE(kit::wait_until([&] { return processes().empty(); })) << processes();
    }
};

TEST_P(FarmStop, WhileCommandsRun) {
    kit::Command farm =
        start({"--workers", "2", "--lines", "1", "--", "sh", "-c", kWaits, domain_.path()},
              {.input = "1\n2\n3\n"});
    ASSERT_TRUE(kit::wait_until([&] { return lines_in("began") == 2; }));
    expect_stop(farm);
}

TEST_P(FarmStop, WhileItWaitsForInput) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    kit::Command farm =
        start({"--lines", "1", "--", "cat"}, {.in_child = [&] { ::dup2(ends[0], STDIN_FILENO); }});
    ASSERT_EQ(::write(ends[1], "1\n", 2), 2);
    ASSERT_TRUE(kit::wait_until([&] { return farm.out() == "1\n"; }));
    expect_stop(farm);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_P(FarmStop, WhileNobodyReadsItsOutput) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ASSERT_EQ(::fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
    kit::Command farm =
        start({"--lines", "1", "--", "sh", "-c", "echo >>$0/began; cat", domain_.path()},
              {.input = std::string(100'000, 'x') + "\n1\n2\n",
               .in_child = [&] { ::dup2(ends[1], STDOUT_FILENO); }});
    ASSERT_TRUE(kit::wait_until([&] { return lines_in("began") == 3; }));
    expect_stop(farm);
    ::close(ends[0]);
    ::close(ends[1]);
}

INSTANTIATE_TEST_SUITE_P(Signals, FarmStop, testing::Values(SIGINT, SIGTERM, SIGHUP));

TEST_F(FarmTest, AReaderThatGoesAwayEndsItQuietly) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    kit::Command farm =
        start({"--lines", "1", "--", "cat"}, {.input = std::string(2'000'000, '\n'),
                                              .in_child = [&] { ::dup2(ends[1], STDOUT_FILENO); }});
    ::close(ends[1]);
    char byte = 0;
    ASSERT_EQ(::read(ends[0], &byte, 1), 1);
    ::close(ends[0]);
    const kit::Finished end = farm.wait();
    EXPECT_EQ(end.signal, SIGPIPE);
    EXPECT_EQ(end.err, "");
}

TEST_F(FarmTest, ClosedDescriptorsAreSaidNotWrittenTo) {
    expect_sentence(
        farm({"--", "cat"}, {.input = "x\n", .in_child = [] { ::close(STDOUT_FILENO); }}), 1,
        "standard output is closed");
    expect_sentence(farm({"--", "cat"}, {.in_child = [] { ::close(STDIN_FILENO); }}), 1,
                    "standard input");
    const kit::Finished end =
        farm({"--", "cat"}, {.input = "x\n", .in_child = [] { ::close(STDERR_FILENO); }});
    EXPECT_EQ(end.status, 0);
    EXPECT_EQ(end.out, "x\n");
}

TEST_F(FarmTest, AFullDiskIsSaid) {
    expect_sentence(
        farm({"--", "cat"},
             {.input = "x\n",
              .in_child = [] { ::dup2(::open("/dev/full", O_WRONLY), STDOUT_FILENO); }}),
        1, "No space left on device");
}

}  // namespace
}  // namespace stoa
