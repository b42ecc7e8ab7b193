#include "cli/farm/cutter.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/kit/command.hpp"

namespace stoa::cli::farm {
namespace {

using Texts = std::vector<std::string>;

// All tasks of a stream, their pieces joined.
Texts tasks_of(int descriptor, const CutRules& rules) {
    Cutter cutter{descriptor, rules};
    Texts tasks;
    bool inside = false;
    for (;;) {
        const Result<std::optional<Cutter::Piece>> piece = cutter.next();
        EXPECT_TRUE(piece);
        if (!piece || !*piece) break;
        if (!inside) tasks.emplace_back();
        tasks.back().append(reinterpret_cast<const char*>((*piece)->bytes.data()),
                            (*piece)->bytes.size());
        inside = !(*piece)->ends_task;
    }
    EXPECT_FALSE(inside);
    return tasks;
}

Texts cut(const std::string& text, const CutRules& rules) {
    const kit::MemoryFile file{text};
    return tasks_of(file.descriptor(), rules);
}

// The same through a pipe that is written in pieces of all sizes.
Texts cut_from_pipe(const std::string& text, const CutRules& rules, std::mt19937& random) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    std::thread writer{[&] {
        for (std::size_t done = 0; done < text.size();) {
            const std::size_t most = std::min<std::size_t>(text.size() - done, 1 + random() % 9000);
            const ssize_t count = ::write(ends[1], text.data() + done, most);
            if (count <= 0) break;
            done += static_cast<std::size_t>(count);
        }
        ::close(ends[1]);
    }};
    const Texts tasks = tasks_of(ends[0], rules);
    writer.join();
    ::close(ends[0]);
    return tasks;
}

Texts lines_of(const std::string& text) {
    Texts lines;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
        lines.push_back(text.substr(begin, end - begin));
        begin = end;
    }
    return lines;
}

// The rule itself: lines are added while they fit; a last one without an end needs room for it.
Texts expected(const std::string& text, const CutRules& rules) {
    Texts tasks;
    std::uint64_t lines = 0;
    for (const std::string& line : lines_of(text)) {
        const std::size_t size = line.size() + (line.ends_with('\n') ? 0 : 1);
        const bool fits = rules.lines != 0
                              ? lines < rules.lines
                              : !tasks.empty() && tasks.back().size() + size <= rules.block_bytes;
        if (tasks.empty() || !fits) {
            tasks.emplace_back();
            lines = 0;
        }
        tasks.back() += line;
        ++lines;
    }
    return tasks;
}

std::string random_text(std::mt19937& random, std::size_t lines, std::size_t longest) {
    std::string text;
    for (std::size_t i = 0; i < lines; ++i) {
        const std::size_t most = random() % 8 == 0 ? longest : 80;
        text.append(random() % (most + 1), static_cast<char>('a' + random() % 26));
        text += '\n';
    }
    if (random() % 2 == 0) text.pop_back();
    return text;
}

TEST(FarmCutter, CutsAtLineEndsAndKeepsTheBlockSize) {
    EXPECT_EQ(cut("one\ntwo\nthree\n", {.block_bytes = 8}), (Texts{"one\ntwo\n", "three\n"}));
    EXPECT_EQ(cut("one\ntwo\nthree", {.block_bytes = 7}), (Texts{"one\n", "two\n", "three"}));
    EXPECT_EQ(cut("", {}), Texts{});
    EXPECT_EQ(cut("\n", {}), Texts{"\n"});
}

TEST(FarmCutter, ALineLongerThanABlockIsATaskOfItsOwn) {
    EXPECT_EQ(cut("a\nlong line\nb\nc\n", {.block_bytes = 4}),
              (Texts{"a\n", "long line\n", "b\nc\n"}));
    EXPECT_EQ(cut("no end", {.block_bytes = 2}), Texts{"no end"});
}

TEST(FarmCutter, CountsLinesWhenAskedTo) {
    EXPECT_EQ(cut("1\n2\n3\n4\n5", {.lines = 2}), (Texts{"1\n2\n", "3\n4\n", "5"}));
    const std::string big(200'000, 'x');
    EXPECT_EQ(cut(big + "\n" + big + "\nend", {.lines = 2}),
              (Texts{big + "\n" + big + "\n", "end"}));
}

TEST(FarmCutter, RandomTextFromFilesAndPipesIsCutAsTheRuleSays) {
    std::mt19937 random{7};
    for (int round = 0; round < 60; ++round) {
        const std::string text = random_text(random, random() % 400, 3000);
        for (const CutRules& rules :
             {CutRules{.block_bytes = 1 + random() % 2000}, CutRules{.lines = 1 + random() % 30}}) {
            EXPECT_EQ(cut(text, rules), expected(text, rules)) << round;
            EXPECT_EQ(cut_from_pipe(text, rules, random), expected(text, rules)) << round;
        }
    }
}

TEST(FarmCutter, AnUnreadableStreamIsAnError) {
    Cutter cutter{-1, {}};
    EXPECT_EQ(cutter.next().error().code, Errc::os);
}

}  // namespace
}  // namespace stoa::cli::farm
