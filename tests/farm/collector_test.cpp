#include "cli/farm/collector.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "cli/farm/scratch.hpp"
#include "tests/kit/command.hpp"

namespace stoa::cli::farm {
namespace {

constexpr std::uint64_t kTasks = 64;

class FarmCollector : public testing::Test {
protected:
    FarmCollector() {
        for (std::uint64_t task = 0; task < kTasks; ++task) {
            window_.enter({.bytes = 1});
            board_.open(task);
        }
    }

    Exit part(std::uint64_t task, std::uint64_t attempt, std::uint32_t number, PartKind kind,
              const std::string& text, int status = 0) {
        const PartHeader header{
            .task = task, .attempt = attempt, .part = number, .kind = kind, .status = status};
        std::vector<std::byte> message(sizeof header + text.size());
        std::memcpy(message.data(), &header, sizeof header);
        std::memcpy(message.data() + sizeof header, text.data(), text.size());
        const Collector::Taken taken = collector_.take(message);
        finished_ = taken.finished;
        return taken.exit;
    }
    void more(std::uint64_t task, std::uint64_t attempt, std::uint32_t number,
              const std::string& text) {
        EXPECT_EQ(part(task, attempt, number, PartKind::more, text), Exit::done);
    }
    void last(std::uint64_t task, std::uint64_t attempt, std::uint32_t number,
              const std::string& text, int status = 0) {
        EXPECT_EQ(part(task, attempt, number, PartKind::last, text, status), Exit::done);
    }
    void end(std::uint64_t tasks) {
        EXPECT_EQ(part(tasks, 0, 0, PartKind::end_of_input, ""), Exit::done);
    }
    std::string written() {
        EXPECT_EQ(collector_.flush(), Exit::done);
        return out_.content();
    }

    kit::MemoryFile out_;
    Window window_{{kTasks, kTasks, kTasks}};
    Board board_ = Board::create(kTasks).value();
    Figures figures_;
    sys::Fd spool_ = make_scratch().value();
    std::vector<std::string> said_;
    Collector collector_{{window_, board_, figures_, spool_,
                          [this](const std::string& text) { said_.push_back(text); }},
                         Output{out_.descriptor()},
                         kTasks};
    bool finished_ = false;
};

TEST_F(FarmCollector, PutsResultsInOrder) {
    last(2, 1, 0, "c");
    last(1, 2, 0, "b");
    EXPECT_EQ(written(), "");
    last(0, 3, 0, "a");
    EXPECT_EQ(written(), "abc");
    EXPECT_FALSE(finished_);
    end(3);
    EXPECT_TRUE(finished_);
}

TEST_F(FarmCollector, AResultThatComesTwiceIsWrittenOnce) {
    last(0, 1, 0, "a");
    last(0, 2, 0, "a again");
    last(2, 3, 0, "c");
    last(2, 4, 0, "c again");
    last(1, 5, 0, "b");
    EXPECT_EQ(written(), "abc");
}

TEST_F(FarmCollector, AnAttemptThatDidNotEndLeavesNoTrace) {
    more(0, 1, 0, "half ");
    more(0, 2, 0, "a whole ");
    last(0, 2, 1, "one");
    EXPECT_EQ(written(), "a whole one");
    more(1, 3, 0, "half ");
    last(1, 4, 0, "");
    EXPECT_EQ(written(), "a whole one");
    EXPECT_EQ(figures_.tasks_done.load(), 2U);
}

TEST_F(FarmCollector, PartsOfAnAttemptThatWasReplacedAreDropped) {
    more(0, 1, 0, "old ");
    more(0, 2, 0, "new ");
    more(0, 1, 1, "old ");
    last(0, 2, 1, "end");
    last(0, 1, 2, "old end");
    EXPECT_EQ(written(), "new end");
}

TEST_F(FarmCollector, OutputOfAFailedTaskIsLeftOutAndToldAbout) {
    more(0, 1, 0, "half ");
    last(0, 1, 1, "of it", 3 << 8);
    last(1, 2, 0, "b");
    end(2);
    EXPECT_TRUE(finished_);
    EXPECT_EQ(written(), "b");
    ASSERT_EQ(said_.size(), 1U);
    EXPECT_NE(said_[0].find("task 1 failed"), std::string::npos);
    EXPECT_NE(said_[0].find("exit status 3"), std::string::npos);
}

TEST_F(FarmCollector, WhatDoesNotFitInMemoryWaitsInAFile) {
    const std::string piece(kPartBytes, 'x');
    const std::uint32_t parts = (40U << 20U) / kPartBytes;
    for (std::uint32_t i = 0; i < parts; ++i) more(1, 1, i, piece);
    last(1, 1, parts, "end of 1");
    last(2, 2, 0, "2");
    EXPECT_EQ(figures_.bytes_out.load(), 0U);
    last(0, 3, 0, "0");
    std::string expected = "0";
    for (std::uint32_t i = 0; i < parts; ++i) expected += piece;
    EXPECT_TRUE(written() == expected + "end of 12");
    EXPECT_EQ(figures_.bytes_spilled.load(), expected.size() - 1 + std::strlen("end of 1"));
}

// Every mixture of deaths and orders that can happen, in random runs: attempts of one task follow
// each other, any of them may stop after any part, only the one that ended counts.
TEST_F(FarmCollector, RandomDeathsAndOrdersGiveEachResultOnce) {
    std::mt19937 random{11};
    std::vector<std::uint64_t> tasks(kTasks);
    for (std::uint64_t i = 0; i < kTasks; ++i) tasks[i] = i;
    std::ranges::shuffle(tasks, random);
    std::uint64_t attempt = 0;
    for (const std::uint64_t task : tasks) {
        for (auto tries = random() % 4; tries > 0; --tries) {
            ++attempt;
            const auto parts = static_cast<std::uint32_t>(random() % 3);
            for (std::uint32_t i = 0; i < parts; ++i) more(task, attempt, i, "never seen");
        }
        for (auto again = 1 + random() % 2; again > 0; --again) {
            ++attempt;
            const auto parts = static_cast<std::uint32_t>(random() % 3);
            for (std::uint32_t i = 0; i < parts; ++i) more(task, attempt, i, "");
            last(task, attempt, parts, std::to_string(task) + "\n");
        }
    }
    end(kTasks);
    EXPECT_TRUE(finished_);
    std::string expected;
    for (std::uint64_t i = 0; i < kTasks; ++i) expected += std::to_string(i) + "\n";
    EXPECT_EQ(written(), expected);
}

}  // namespace
}  // namespace stoa::cli::farm
