#include "stoa/shm/blackboard.hpp"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "stoa/sync/sync_test_kit.hpp"
#include "tests/kit/crash_at.hpp"

namespace stoa {
namespace {

using Board = Blackboard<std::uint64_t, 8>;

class SharedBoard : public SharedObject<Board> {
protected:
    std::vector<std::string> keys() {
        std::vector<std::string> all;
        shared().for_each([&](std::string_view key, const Board::Cell&) { all.emplace_back(key); });
        std::ranges::sort(all);
        return all;
    }
};

TEST(Blackboard, HoldsANewestValueForEachKey) {
    Board board;
    EXPECT_EQ(board.size(), 0U);
    EXPECT_EQ(board.read("speed").error().code, Errc::not_found);
    auto speed = board.claim("speed").value();
    EXPECT_EQ(board.read("speed").error().code, Errc::empty);
    auto height = board.claim("height").value();
    speed.write(3).value();
    height.write(4).value();
    speed.write(5).value();
    EXPECT_EQ(board.read("speed")->value, 5U);
    EXPECT_EQ(board.read("speed")->number, 2U);
    EXPECT_EQ(board.read("height")->value, 4U);
    EXPECT_EQ(board.find("height").value()->read()->value, 4U);
    EXPECT_EQ(board.size(), 2U);
    EXPECT_EQ(board.claim("speed").error().code, Errc::in_use);
}

TEST(Blackboard, KeysAreTexts) {
    Board board;
    EXPECT_EQ(board.claim("").error().code, Errc::bad_argument);
    EXPECT_EQ(board.claim(std::string(56, 'a')).error().code, Errc::bad_argument);
    EXPECT_EQ(board.claim(std::string_view{"a\0b", 3}).error().code, Errc::bad_argument);
    EXPECT_EQ(board.find("").error().code, Errc::not_found);
    EXPECT_TRUE(board.claim(std::string(55, 'a')).has_value());
    EXPECT_TRUE(board.claim(std::string(54, 'a')).has_value());
    EXPECT_EQ(board.size(), 2U);
    EXPECT_TRUE(board.find(std::string(55, 'a')).has_value());
}

TEST(Blackboard, IsFullWhenAllKeysAreTaken) {
    Board board;
    for (int i = 0; i < 8; ++i) EXPECT_TRUE(board.claim(std::to_string(i)).has_value());
    EXPECT_EQ(board.claim("8").error().code, Errc::full);
    EXPECT_TRUE(board.claim("7").has_value());
    for (int i = 0; i < 8; ++i) EXPECT_TRUE(board.find(std::to_string(i)).has_value());
}

TEST(Blackboard, ThreadsThatAddTheSameKeysMeet) {
    for (int round = 0; round < 200; ++round) {
        Blackboard<int, 16> board;
        std::vector<std::vector<void*>> cells(3);
        std::vector<std::jthread> threads;
        for (auto& mine : cells) {
            threads.emplace_back([&] {
                for (int i = 0; i < 6; ++i) {
                    const std::string key = "key " + std::to_string(i);
                    const auto writer = board.claim(key);
                    ASSERT_TRUE(writer || writer.error().code == Errc::in_use);
                    mine.push_back(board.find(key).value());
                }
            });
        }
        threads.clear();
        EXPECT_EQ(board.size(), 6U);
        EXPECT_EQ(cells[0], cells[1]);
        EXPECT_EQ(cells[0], cells[2]);
    }
}

TEST_F(SharedBoard, ADeathWhileAKeyIsAddedLeavesNoneOrAWhole) {
    for (const char* point :
         {"blackboard.taken", "blackboard.before_publish", "latest.claim.free"}) {
        kit::Child dead = child([&] {
            kit::kill_self_at(point);
            static_cast<void>(shared().claim("half"));
        });
        EXPECT_EQ(dead.wait().signal, SIGKILL);
        const bool published = point == std::string_view{"latest.claim.free"};
        EXPECT_EQ(shared().find("half").has_value(), published) << point;
    }
    // Two of the eight were taken by the dead, and are used again.
    for (int i = 0; i < 7; ++i) EXPECT_TRUE(shared().claim(std::to_string(i)).has_value()) << i;
    EXPECT_TRUE(shared().claim("half").has_value());
    EXPECT_EQ(keys(), (std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "half"}));
    EXPECT_EQ(shared().claim("7").error().code, Errc::full);
}

TEST_F(SharedBoard, AKeyWhoseAdderDiedBeforeItSaidSoIsNotTakenAgain) {
    auto* const keys = reinterpret_cast<BlackboardKey*>(&shared());
    kit::Child dead = child([&] {
        static_cast<void>(shared().claim("there"));
        keys[0].word.store(here(&shared()).me, kRelease);  // as between K2 and K3
        ::kill(::getpid(), SIGKILL);
    });
    EXPECT_EQ(dead.wait().signal, SIGKILL);
    for (int i = 0; i < 7; ++i) EXPECT_TRUE(shared().claim(std::to_string(i)).has_value());
    EXPECT_EQ(shared().claim("one more").error().code, Errc::full);
    EXPECT_EQ(keys[0].word.load(), KeyWord::kNamed);
    EXPECT_TRUE(shared().find("there").has_value());
    EXPECT_EQ(shared().size(), 8U);
}

TEST_F(SharedBoard, AStoppedAdderIsNotTakenForADeadOne) {
    kit::Child stopped = child([&] {
        kit::stop_self_at("blackboard.before_publish");
        if (!shared().claim("late")) ::_exit(1);
    });
    ASSERT_TRUE(stopped.wait_stopped());
    for (int i = 0; i < 7; ++i) EXPECT_TRUE(shared().claim(std::to_string(i)).has_value());
    EXPECT_EQ(shared().claim("eighth").error().code, Errc::full);
    stopped.resume();
    EXPECT_TRUE(stopped.wait().ok());
    EXPECT_TRUE(shared().find("late").has_value());
}

TEST_F(SharedBoard, OfTwoWhoAddOneKeyTheSecondFindsTheFirstOnes) {
    kit::Child second = child([&] {
        kit::stop_self_at("blackboard.before_publish");
        if (shared().claim("same").error().code != Errc::in_use) ::_exit(1);
    });
    ASSERT_TRUE(second.wait_stopped());
    const auto writer = shared().claim("same");
    ASSERT_TRUE(writer);
    second.resume();
    EXPECT_TRUE(second.wait().ok());
    EXPECT_EQ(keys(), std::vector<std::string>{"same"});
    for (int i = 0; i < 7; ++i) EXPECT_TRUE(shared().claim(std::to_string(i)).has_value());
}

TEST_F(SharedBoard, IsReadByWhoCanOnlyRead) {
    auto writer = shared().claim("speed").value();
    writer.write(7).value();
    kit::Child reader = child([&] {
        const std::span<std::byte> all = memory_.bytes();
        ASSERT_EQ(::mprotect(all.data(), all.size(), PROT_READ), 0);
        const Board& board = shared();
        EXPECT_EQ(board.read("speed")->value, 7U);
        EXPECT_EQ(board.find("slow").error().code, Errc::not_found);
        EXPECT_EQ(board.size(), 1U);
    });
    EXPECT_TRUE(reader.wait().ok());
}

}  // namespace
}  // namespace stoa
