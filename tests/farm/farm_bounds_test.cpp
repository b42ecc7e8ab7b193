// What a farm holds is bounded, however long its input and however large a result is.
#include <sys/resource.h>

#include "tests/farm/farm_test.hpp"

namespace stoa {
namespace {

std::string numbers(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += std::to_string(i) + "\n";
    return text;
}

TEST_F(FarmTest, NoTaskStartsBeyondTheWindowOfTheOldestMissingResult) {
    // Each task notes whether it began before the first one was let go.
    const std::string script =
        "read x; [ $x != 0 ] && [ ! -e $0/go ] && echo >>$0/early; "
        "[ $x = 0 ] && while [ ! -e $0/go ]; do sleep 0.01; done; echo $x";
    const std::string input = numbers(300);
    kit::Command farm = start({"--workers", "3", "--window", "20", "--lines", "1", "--", "sh", "-c",
                               script, domain_.path()},
                              {.input = input});
    ASSERT_TRUE(kit::wait_until([&] { return lines_in("early") == 19; }));
    // Without the bound the other 280 go on now.
    EXPECT_FALSE(
        kit::wait_until([&] { return lines_in("early") > 19; }, std::chrono::milliseconds{500}));
    make_file("go");
    const kit::Finished end = farm.wait();
    EXPECT_EQ(end.status, 0) << end.err;
    EXPECT_EQ(end.out, input);
    EXPECT_EQ(lines_in("early"), 19U);
}

// Runs the body in a process of its own, so that the largest of its children is the farm.
long peak_kib_of(const std::function<void()>& body) {
    const kit::TempRegion shared{sizeof(long)};
    long* peak_kib = new (shared.bytes().data()) long{0};
    const kit::Ending ending = kit::fork_and_run(
        [&] {
            body();
            rusage usage{};
            ASSERT_EQ(::getrusage(RUSAGE_CHILDREN, &usage), 0);
            *peak_kib = usage.ru_maxrss;
        },
        std::chrono::minutes{2});
    EXPECT_TRUE(ending.ok());
    return *peak_kib;
}

TEST_F(FarmTest, MemoryStaysBoundedWhileHugeResultsWaitForTheFirstTask) {
    // The first task ends when all others have: 20 results of 20 MB wait for it.
    const std::string script =
        "read x; if [ $x = 0 ]; then while [ $(wc -l <$0/done) != 20 ]; do sleep 0.01; done; "
        "else head -c 20000000 /dev/zero; echo >>$0/done; fi";
    std::ofstream{path("done")};
    if (::geteuid() == 0) {
        ASSERT_EQ(::chown(path("done").c_str(), kit::kNobody, kit::kNobody), 0);
    }
    const long peak_kib = peak_kib_of([&] {
        const kit::Finished end = farm(
            {"--workers", "2", "--lines", "1", "--report", path("report"), "--", "sh", "-c", script,
             domain_.path()},
            {.input = numbers(21), .in_child = [] { std::freopen("/dev/null", "w", stdout); }});
        EXPECT_EQ(end.status, 0) << end.err;
    });
    EXPECT_EQ(report()["bytes_out"], 20 * 20'000'000);
    EXPECT_GT(report()["bytes_spilled"], 20 * 20'000'000 - (40 << 20));
    EXPECT_LT(peak_kib, 96 * 1024);
}

TEST_F(FarmTest, MemoryStaysBoundedHoweverLongTheInputAndItsLinesAre) {
    const long peak_kib = peak_kib_of([&] {
        // 300 MB in lines of all kinds, the longest of 100 MB; nothing of it is held by the test.
        const std::string script =
            "{ seq 10000000; head -c 100000000 /dev/zero; echo; seq 10000000; } | "
            "\"$0\" farm --block 64K --report \"$1\" -- cat | cmp - <(seq 10000000; "
            "head -c 100000000 /dev/zero; echo; seq 10000000)";
        const kit::Finished end = kit::run(
            {"/bin/bash", "-c", script, kit::reachable(STOA_COMMAND), path("report")}, as_user({}));
        EXPECT_EQ(end.status, 0) << end.out << end.err;
    });
    EXPECT_EQ(report()["failed"], 0);
    EXPECT_LT(peak_kib, 96 * 1024);
}

}  // namespace
}  // namespace stoa
