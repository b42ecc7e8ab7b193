// COMMANDs that fail, cannot start, do not read, or do not stop writing.
#include <sys/stat.h>

#include "tests/farm/farm_test.hpp"

namespace stoa {
namespace {

TEST_F(FarmTest, AMissingCommandIsSaidAtOnce) {
    expect_sentence(farm({"--", "no-such-program"}, {.input = "1\n"}), 2, "no-such-program");
    expect_sentence(farm({"--", "/etc/passwd"}, {.input = "1\n"}), 2, "/etc/passwd");
    expect_sentence(farm({"--"}), 2, "COMMAND");
    expect_sentence(farm({}), 2, "COMMAND");
    expect_sentence(farm({"--block", "0", "--", "cat"}), 2, "--block");
    expect_sentence(farm({"--lines", "0", "--", "cat"}), 2, "--lines");
    expect_sentence(farm({"--block", "5", "--lines", "5", "--", "cat"}), 2, "--block");
}

TEST_F(FarmTest, AReportThatCannotBeWrittenIsSaidBeforeAnyWorkIsDone) {
    const kit::Finished end =
        farm({"--report", path("no/report"), "--", "sh", "-c", "cat; echo >>$0", path("log")},
             {.input = "1\n"});
    expect_sentence(end, 1, "report cannot be written");
    EXPECT_EQ(end.out, "");
    EXPECT_EQ(lines_in("log"), 0U);
}

TEST_F(FarmTest, ACommandThatFailsIsRetriedAndReportedAndTheOthersGoOn) {
    const std::string script =
        "read x; echo $x >>$0; echo output of $x; case $x in bad) exit 3;; esac";
    const kit::Finished end = farm({"--lines", "1", "--retries", "4", "--report", path("report"),
                                    "--", "sh", "-c", script, path("log")},
                                   {.input = "a\nb\nbad\nc\n"});
    expect_sentence(end, 1, "task 3 failed 5 times, the last time: exit status 3");
    EXPECT_EQ(end.out, "output of a\noutput of b\noutput of c\n");
    EXPECT_EQ(lines_in("log"), 3U + 5U);
    EXPECT_EQ(report()["failed"], 1);
    EXPECT_EQ(report()["command_failures"], 5);
    EXPECT_EQ(report()["tasks"], 4);
}

TEST_F(FarmTest, ACommandThatSucceedsAtTheSecondRetryIsNoFailure) {
    const std::string script = "echo >>$0; echo $(wc -l <$0); [ $(wc -l <$0) = 3 ]";
    EXPECT_EQ(done({"--", "sh", "-c", script, path("log")}, "x\n"), "3\n");
}

TEST_F(FarmTest, ACommandThatIsKilledHasFailed) {
    const kit::Finished end =
        farm({"--retries", "0", "--", "sh", "-c", "kill -9 $$"}, {.input = "x\n"});
    expect_sentence(end, 1, "task 1 failed 1 time, the last time: killed by signal 9");
}

TEST_F(FarmTest, ATaskThatKillsItsWorkersIsGivenUp) {
    const std::string script =
        "read x; case $x in bad) echo >>$0; kill -9 $PPID; sleep 3600;; esac; echo $x";
    const kit::Finished end = farm({"--lines", "1", "--deaths", "3", "--report", path("report"),
                                    "--", "sh", "-c", script, path("log")},
                                   {.input = "a\nbad\nc\n"});
    expect_sentence(end, 1, "task 2 failed: 3 workers died with it; its output is left out");
    EXPECT_EQ(end.out, "a\nc\n");
    EXPECT_EQ(lines_in("log"), 3U);
    EXPECT_EQ(report()["failed"], 1);
    EXPECT_EQ(report()["failed_by_deaths"], 1);
    EXPECT_EQ(report()["tasks"], 3);
}

TEST_F(FarmTest, AFailureIsSeenAlsoWhereTheUserIgnoresDeathsOfChildren) {
    const kit::Finished end =
        farm({"--retries", "0", "--", "false"},
             {.input = "x\n", .in_child = [] { ::signal(SIGCHLD, SIG_IGN); }});
    expect_sentence(end, 1, "exit status 1");
}

TEST_F(FarmTest, ACommandThatCannotBeStartedSaysWhy) {
    std::ofstream{path("script")} << "#!/no/such/interpreter\n";
    ASSERT_EQ(::chmod(path("script").c_str(), 0755), 0);
    const kit::Finished end = farm({"--", path("script")}, {.input = "x\n"});
    expect_sentence(end, 1, "cannot be started: No such file or directory");
}

TEST_F(FarmTest, ACommandNeedNotReadItsTask) {
    const std::string text = std::string(10'000'000, 'x') + "\n" + std::string(50'000, 'y') + "\n";
    EXPECT_EQ(done({"--block", "1000", "--", "echo", "done"}, text), "done\ndone\n");
    EXPECT_EQ(done({"--block", "1000", "--", "head", "-c", "3"}, text), "xxxyyy");
}

TEST_F(FarmTest, ACommandMayWriteBeforeItReadsAndReadAfterItClosedItsOutput) {
    const std::string text = std::string(3'000'000, 'x') + "\n";
    const std::string writes_first = "head -c 3000000 /dev/zero | tr '\\0' y; wc -c";
    EXPECT_TRUE(done({"--", "sh", "-c", writes_first}, text) ==
                std::string(3'000'000, 'y') + "3000001\n");
    const std::string reads_last = "exec >&-; wc -c >$0";
    EXPECT_EQ(done({"--", "sh", "-c", reads_last, path("count")}, text), "");
    EXPECT_EQ(content("count"), "3000001\n");
}

TEST_F(FarmTest, ErrorsOfACommandGoThrough) {
    const kit::Finished end =
        farm({"--", "sh", "-c", "cat >&2; echo out"}, {.input = "to stderr\n"});
    EXPECT_EQ(end.status, 0);
    EXPECT_EQ(end.err, "to stderr\n");
    EXPECT_EQ(end.out, "out\n");
}

TEST_F(FarmTest, ACommandStartsWithTheSignalsAndFilesOfItsUser) {
    // A closed pipe ends a program quietly, as in a shell; no file is open that was not before.
    EXPECT_EQ(done({"--", "bash", "-c", "yes | head -n 1; echo ${PIPESTATUS[0]}"}, "x\n"),
              "y\n141\n");
    const std::string count_files = "ls /proc/self/fd | wc -l";
    EXPECT_EQ(done({"--", "sh", "-c", count_files}, "x\n"),
              kit::run({"/bin/sh", "-c", count_files}).out);
    EXPECT_EQ(done({"--", "grep", "SigBlk", "/proc/self/status"}, "x\n"),
              "SigBlk:\t0000000000000000\n");
}

}  // namespace
}  // namespace stoa
