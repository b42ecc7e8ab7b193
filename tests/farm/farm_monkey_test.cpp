// A monkey kills a random worker every 50 ms; the result is the sequential one, byte for byte.
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/farm/farm_test.hpp"

namespace stoa {
namespace {

using Clock = std::chrono::steady_clock;

// How long the monkey goes on: STOA_FARM_MONKEY_SECONDS, a minute in full runs.
std::chrono::seconds monkey_time() {
    if (const char* text = std::getenv("STOA_FARM_MONKEY_SECONDS")) {
        return std::chrono::seconds{std::atoi(text)};
    }
    return std::chrono::seconds{std::getenv("STOA_FULL") != nullptr ? 60 : 4};
}

std::string text_of_lines(std::size_t bytes) {
    std::mt19937 random{42};
    std::string text;
    while (text.size() < bytes) {
        text += std::to_string(random()) + " " + std::to_string(random()) + "\n";
    }
    return text;
}

std::string sequential(const std::string& text) {
    const kit::Finished end = kit::run({"/bin/sh", "-c", "tr 0-4 a-e"}, {.input = text});
    EXPECT_EQ(end.status, 0);
    return end.out;
}

// Kills until the farm ends or the time is over; how often.
int let_monkey_loose(pid_t head, Clock::time_point end, unsigned seed) {
    std::mt19937 random{seed};
    int kills = 0;
    while (!look_at(head).ended && Clock::now() < end) {
        const std::vector<pid_t> workers = workers_of(head);
        if (!workers.empty() && kill_worker(head, workers[random() % workers.size()])) ++kills;
        // allowed: sleep: the monkey's pace, nothing waits for it
        std::this_thread::sleep_for(std::chrono::milliseconds{50});
    }
    return kills;
}

TEST_F(FarmTest, AMonkeyThatKillsWorkersChangesNothing) {
    // Small, large and huge tasks; results of one part and of many.
    std::string text = text_of_lines(8'000'000);
    text += std::string(3'000'000, '7') + "\n" + text_of_lines(4'000'000);
    const std::string expected = sequential(text);
    const Clock::time_point end = Clock::now() + monkey_time();
    int kills = 0;
    int rounds = 0;
    std::uint64_t redelivered = 0;
    while (Clock::now() < end) {
        kit::Command farm = start({"--workers", "3", "--retries", "0", "--block", "32K", "--report",
                                   path("report"), "--", "sh", "-c", "tr 0-4 a-e | cat"},
                                  {.input = text});
        kills += let_monkey_loose(farm.child().pid(), end, static_cast<unsigned>(++rounds));
        const kit::Finished finished = farm.wait(std::chrono::minutes{2});
        ASSERT_EQ(finished.status, 0) << finished.err;
        ASSERT_TRUE(finished.out == expected) << "round " << rounds;
        redelivered += report()["redelivered"].get<std::uint64_t>();
        EXPECT_TRUE(kit::wait_until([&] { return processes().empty(); })) << processes();
    }
    EXPECT_GT(kills, 0);
    EXPECT_GT(redelivered, 0U);
    std::printf("%d rounds, %d kills, %llu tasks redelivered\n", rounds, kills,
                static_cast<unsigned long long>(redelivered));
}

}  // namespace
}  // namespace stoa
