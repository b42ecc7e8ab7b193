#include "tests/farm/farm_test.hpp"

#include <fcntl.h>
#include <pty.h>

#include <random>

namespace stoa {
namespace {

std::string random_text(unsigned seed, std::size_t lines, std::size_t longest) {
    std::mt19937 random{seed};
    std::string text;
    for (std::size_t i = 0; i < lines; ++i) {
        const std::size_t most = random() % 50 == 0 ? longest : 90;
        for (std::size_t n = random() % (most + 1); n > 0; --n) {
            text += static_cast<char>('a' + random() % 26);
        }
        text += '\n';
    }
    return text;
}

std::string upper(std::string text) {
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text;
}

TEST_F(FarmTest, TheResultEqualsTheSequentialRunForRandomText) {
    for (const unsigned seed : {1U, 2U, 3U}) {
        const std::string text = random_text(seed, 4000, 20'000);
        for (const Words& cut : {Words{"--block", "2000"}, Words{"--block", "64K"},
                                 Words{"--lines", "100"}, Words{"--lines", "1000"}, Words{}}) {
            Words words = cut;
            for (const char* word : {"--workers", "3", "--", "tr", "a-z", "A-Z"}) {
                words.emplace_back(word);
            }
            EXPECT_TRUE(done(words, text) == upper(text)) << seed << " " << cut.size();
        }
    }
}

TEST_F(FarmTest, AnEmptyInputGivesNothing) {
    EXPECT_EQ(done({"--report", path("report"), "--", "cat"}, ""), "");
    EXPECT_EQ(report()["tasks"], 0);
}

TEST_F(FarmTest, AMissingLastLineEndStaysMissing) {
    EXPECT_EQ(done({"--lines", "1", "--", "cat"}, "a\nb"), "a\nb");
    EXPECT_EQ(done({"--", "cat"}, "a\nb"), "a\nb");
}

TEST_F(FarmTest, LinesLongerThanABlockMakeBiggerTasks) {
    std::string text = "short\n";
    for (const std::size_t size : {5'000U, 70'000U, 300'000U, 20'000'000U}) {
        text += std::string(size, 'l') + "\nshort\n";
    }
    text += std::string(1'000'000, 'e');
    EXPECT_TRUE(done({"--block", "4096", "--", "cat"}, text) == text);
    EXPECT_TRUE(done({"--block", "64K", "--", "cat"}, text) == text);
    EXPECT_TRUE(done({"--block", "1M", "--", "cat"}, text) == text);
    EXPECT_EQ(done({"--block", "4096", "--", "wc", "-l"}, text), "1\n1\n1\n1\n1\n1\n1\n1\n1\n0\n");
}

TEST_F(FarmTest, ResultsOfAnySizeComeWhole) {
    // 100 MB from one task, in front of it, behind it and between small ones.
    const std::string script = "read n; head -c $n /dev/zero | tr '\\0' x";
    const std::string out =
        done({"--lines", "1", "--", "sh", "-c", script}, "3\n104857600\n0\n7\n131072\n131071\n");
    EXPECT_EQ(out.size(), 3U + 104857600U + 7U + 131072U + 131071U);
    EXPECT_EQ(out.find_first_not_of('x'), std::string::npos);
}

TEST_F(FarmTest, TheReportTellsWhatHappened) {
    const std::string text = random_text(4, 1000, 100);
    EXPECT_EQ(
        done({"--workers", "2", "--lines", "10", "--report", path("report"), "--", "cat"}, text),
        text);
    const nlohmann::json facts = report();
    EXPECT_EQ(facts["tasks"], 100);
    EXPECT_EQ(facts["failed"], 0);
    EXPECT_EQ(facts["bytes"], text.size());
    EXPECT_EQ(facts["bytes_out"], text.size());
    EXPECT_EQ(facts["redelivered"], 0);
    EXPECT_EQ(facts["worker_pids"].size(), 2U);
    EXPECT_EQ(facts["killed_pids"].size(), 0U);
    EXPECT_GT(facts["seconds"], 0.0);
}

TEST_F(FarmTest, ATerminalSeesHowFarItIs) {
    int screen = -1;
    int terminal = -1;
    ASSERT_EQ(::openpty(&screen, &terminal, nullptr, nullptr, nullptr), 0);
    for (const bool quiet : {false, true}) {
        Words words{"--lines", "1", "--", "cat"};
        if (quiet) words.insert(words.begin(), "--quiet");
        kit::CommandSetup setup{.input = "1\n2\n3\n"};
        setup.in_child = [&] { ::dup2(terminal, STDERR_FILENO); };
        EXPECT_EQ(farm(words, setup).out, "1\n2\n3\n");
        ASSERT_EQ(::write(terminal, "end", 3), 3);
        std::string seen;
        while (seen.find("end") == std::string::npos) {
            char room[4096];
            const ssize_t count = ::read(screen, room, sizeof room);
            ASSERT_GT(count, 0);
            seen.append(room, static_cast<std::size_t>(count));
        }
        EXPECT_EQ(seen.find("tasks") == std::string::npos, quiet) << seen;
        EXPECT_EQ(seen.find("redelivered") == std::string::npos, quiet) << seen;
    }
    ::close(screen);
    ::close(terminal);
}

}  // namespace
}  // namespace stoa
