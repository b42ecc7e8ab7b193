// Processes that write and read for a while, the writers killed at random: no value is torn, no
// reader sees an older one than before, numbers go on over all writers.
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "stoa/shm/blackboard.hpp"
#include "stoa/sync/sync_test_kit.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

constexpr std::size_t kReaders = 3;

struct Payload {
    std::array<std::uint64_t, 21> words{};
};

struct Stage {
    Latest<Payload> latest;
    Blackboard<Payload, 4> board;
    Atomic<std::uint64_t> ends;
    Atomic<std::uint64_t> seen[kReaders];
    Atomic<std::uint64_t> reads[kReaders];
};

std::uint64_t limit(const char* name, std::uint64_t usual) {
    const char* const text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : usual;
}

Payload payload_of(std::uint64_t number) {
    Payload made;
    for (std::size_t i = 0; i < made.words.size(); ++i) made.words[i] = number * 31 + i;
    return made;
}

class LatestStress : public SharedObject<Stage> {
protected:
    // The dead are swept, so that there are places for all that come.
    kit::Child start(const std::function<void()>& body) {
        table_->sweep_all(index_, [](void*, std::uint32_t) {}, nullptr);
        return child(body);
    }
    kit::Child reader(std::size_t which) {
        return start([this, which] {
            std::mt19937_64 random{which + 1};
            std::uint64_t last = 0;
            while (shared().ends.load() == 0) {
                const bool sleeps = random() % 64 == 0;
                const auto patience = Deadline::after(std::chrono::milliseconds{1});
                const auto reading = sleeps ? shared().latest.wait_for_newer(last, patience)
                                            : shared().latest.read();
                if (!reading) continue;
                if (reading->number < last) ::_exit(1);
                if (reading->value.words != payload_of(reading->number).words) ::_exit(2);
                last = reading->number;
                shared().seen[which].store(last);
                shared().reads[which].fetch_add(1);
            }
        });
    }
    kit::Child writer() {
        return start([this] {
            auto claimed = shared().latest.claim_writer();
            if (!claimed) ::_exit(3);
            for (std::uint64_t n = shared().latest.number() + 1;; ++n) {
                if (claimed->write(payload_of(n)).value() != n) ::_exit(4);
            }
        });
    }
};

TEST_F(LatestStress, SurvivesRandomKillsOfWritersAndReaders) {
    const std::uint64_t kills = limit("STOA_LATEST_KILLS", 120);
    std::mt19937_64 random{std::random_device{}()};
    std::vector<kit::Child> readers;
    for (std::size_t i = 0; i < kReaders; ++i) readers.push_back(reader(i));
    for (std::uint64_t kill = 0; kill < kills; ++kill) {
        const std::uint64_t before = shared().latest.number();
        kit::Child writes = writer();
        const std::uint64_t until = before + 1 + random() % 5000;
        ASSERT_TRUE(kit::wait_until([&] { return shared().latest.number() >= until; }));
        EXPECT_EQ(writes.kill_and_wait().signal, SIGKILL);
        if (kill % 8 == 7) {
            const std::size_t which = random() % kReaders;
            const kit::Ending ending = readers[which].kill_and_wait();
            EXPECT_EQ(ending.signal, SIGKILL) << "it ended with status " << ending.status;
            std::vector<kit::Child> rest;
            for (std::size_t i = 0; i < kReaders; ++i)
                rest.push_back(i == which ? reader(i) : std::move(readers[i]));
            readers = std::move(rest);
        }
    }
    const std::uint64_t last = shared().latest.number();
    for (std::size_t i = 0; i < kReaders; ++i)
        EXPECT_TRUE(kit::wait_until([&] { return shared().seen[i].load() == last; }));
    shared().ends.store(1);
    std::uint64_t reads = 0;
    for (std::size_t i = 0; i < kReaders; ++i) {
        const kit::Ending ending = readers[i].wait();
        EXPECT_TRUE(ending.ok()) << "status " << ending.status;
        reads += shared().reads[i].load();
    }
    RecordProperty("values", std::to_string(last));
    RecordProperty("reads", std::to_string(reads));
    std::printf("%llu values, %llu reads, %llu kills\n", static_cast<unsigned long long>(last),
                static_cast<unsigned long long>(reads), static_cast<unsigned long long>(kills));
}

// Each key is claimed by whoever comes, and killed in it: each is there once, and whole.
TEST_F(LatestStress, KeysAreClaimedOnceAlthoughProcessesAreKilled) {
    const std::uint64_t rounds = limit("STOA_LATEST_KILLS", 120);
    std::mt19937_64 random{std::random_device{}()};
    for (std::uint64_t round = 0; round < rounds; ++round) {
        std::vector<kit::Child> adders;
        const std::uint64_t delay = random() % 20'000;
        for (int i = 0; i < 2; ++i) {
            adders.push_back(start([this, round, i, delay] {
                for (std::uint64_t spin = 0; i == 0 && spin < delay; ++spin) cpu_pause();
                for (std::uint64_t key = 0; key < 4; ++key) {
                    auto writer = shared().board.claim("key " + std::to_string(key));
                    if (writer) writer->write(payload_of(round)).value();
                }
            }));
        }
        for (std::uint64_t spin = random() % 40'000; spin > 0; --spin) cpu_pause();
        for (kit::Child& one : adders) static_cast<void>(one.kill_and_wait());
        if (round % 8 == 7) {
            ASSERT_TRUE(shared().board.size() <= 4);
            std::vector<std::string> keys;
            shared().board.for_each(
                [&](std::string_view key, const auto&) { keys.emplace_back(key); });
            for (const std::string& key : keys) ASSERT_EQ(key.substr(0, 4), "key ");
            std::ranges::sort(keys);
            ASSERT_EQ(std::ranges::adjacent_find(keys), keys.end()) << "a key is there twice";
            std::memset(static_cast<void*>(&shared().board), 0, sizeof shared().board);
        }
    }
    for (std::uint64_t key = 0; key < 4; ++key)
        EXPECT_TRUE(shared().board.claim("key " + std::to_string(key)).has_value());
}

}  // namespace
}  // namespace stoa
