#include "stoa/shm/latest.hpp"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "stoa/shm/region.hpp"
#include "stoa/sync/sync_test_kit.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

struct Pose {
    double x = 0;
    double y = 0;
    std::uint32_t turn = 0;
    std::uint32_t quality = 0;
};

// All words are one number.
template <std::size_t kWords>
struct Wide {
    std::array<std::uint64_t, kWords> words{};

    static Wide of(std::uint64_t number) {
        Wide made;
        made.words.fill(number);
        return made;
    }
    [[nodiscard]] bool is_whole() const {
        return std::ranges::all_of(words, [&](std::uint64_t word) { return word == words[0]; });
    }
};

struct Shared {
    Latest<Wide<6>> latest;
    Atomic<std::uint64_t> says;
};

class SharedLatest : public SharedObject<Shared> {
protected:
    ~SharedLatest() override { g_wait_slice = kWaitSlice; }
    Latest<Wide<6>>& latest() { return shared().latest; }
    // One that claims, writes that many, and waits for its end.
    kit::Child writer_of(std::uint64_t values) {
        const std::uint64_t before = latest().number();
        kit::Child made = child([this, values] {
            auto writer = latest().claim_writer().value();
            for (std::uint64_t i = 1; i <= values; ++i)
                writer.write(Wide<6>::of(latest().number() + 1)).value();
            shared().says.store(1);
            for (;;) ::pause();
        });
        EXPECT_TRUE(kit::wait_until([&] { return latest().number() == before + values; }));
        EXPECT_TRUE(kit::wait_until([&] { return shared().says.load() == 1; }));
        shared().says.store(0);
        return made;
    }
};

TEST(Latest, OfAllSizesReadsWhatWasWrittenLast) {
    const auto round_trip = []<typename T>(T first, T second) {
        Latest<T> latest;
        EXPECT_FALSE(latest.has_value());
        EXPECT_EQ(latest.read().error().code, Errc::empty);
        auto writer = latest.claim_writer().value();
        EXPECT_EQ(writer.write(first).value(), 1U);
        EXPECT_EQ(latest.read()->value, first);
        for (int i = 0; i < 6; ++i) writer.write(second).value();
        EXPECT_EQ(latest.read()->value, second);
        EXPECT_EQ(latest.read()->number, 7U);
        EXPECT_EQ(latest.read_newer(6)->value, second);
        EXPECT_EQ(latest.read_newer(7).error().code, Errc::empty);
    };
    round_trip(std::uint8_t{3}, std::uint8_t{4});
    round_trip(1.5, 2.5);
    round_trip(std::array<char, 13>{"twelve chars"}, std::array<char, 13>{"other twelve"});
    round_trip(std::array<std::uint32_t, 17>{1, 2}, std::array<std::uint32_t, 17>{3, 4, 5});
    round_trip(std::array<std::uint16_t, 501>{1, 2}, std::array<std::uint16_t, 501>{3, 4, 5});
}

TEST(Latest, TakesFourValuesAndALineOfMemory) {
    EXPECT_EQ(sizeof(Latest<std::uint64_t>), 64U + 64U);
    EXPECT_EQ(sizeof(Latest<Wide<3>>), 64U + 4 * 32U);
    EXPECT_EQ(sizeof(Latest<Wide<8>>), 64U + 4 * 64U);
    EXPECT_EQ(sizeof(Latest<Wide<9>>), 64U + 4 * 128U);
}

TEST(Latest, KnowsTheAgeOfAValue) {
    Latest<Pose> latest;
    auto writer = latest.claim_writer().value();
    const auto before = std::chrono::steady_clock::now() - 1h;
    writer.write({.x = 1}, before).value();
    EXPECT_EQ(latest.read()->written_at, before);
    EXPECT_GE(latest.read()->age(), 1h);
    writer.write({.x = 2}).value();
    EXPECT_GE(latest.read()->age(), 0ns);
    EXPECT_LT(latest.read()->age(), 1h);
}

TEST(Latest, ReadsLargeValuesIntoMemoryOfTheCaller) {
    using Image = Wide<20'000>;
    const auto latest = std::make_unique<Latest<Image>>();
    const auto image = std::make_unique<Image>();
    auto writer = latest->claim_writer().value();
    image->words.fill(7);
    writer.write(*image).value();
    image->words.fill(0);
    EXPECT_EQ(latest->read_into(*image).value(), 1U);
    EXPECT_EQ(image->words[19'999], 7U);
    EXPECT_EQ(latest->read_into(*image, 1).error().code, Errc::empty);
}

TEST(Latest, HasOneWriterAtATime) {
    Latest<int> latest;
    {
        auto writer = latest.claim_writer().value();
        EXPECT_EQ(latest.claim_writer().error().code, Errc::in_use);
        const auto moved = std::move(writer);
        EXPECT_EQ(writer.write(1).error().code, Errc::not_owner);  // NOLINT: it was moved from
        EXPECT_EQ(latest.claim_writer().error().code, Errc::in_use);
    }
    EXPECT_EQ(latest.writer(), 0U);
    EXPECT_TRUE(latest.claim_writer().has_value());
}

// ThreadSanitizer sees a weakened W2: what the writer stores before it publishes is plain. The
// other orders are the model's.
TEST(Latest, ReadByThreadsIsWholeAndNeverOlderThanBefore) {
    constexpr std::uint64_t kValues = 40'000;
    const auto beside = std::make_unique<std::array<std::uint64_t, kValues + 1>>();
    Latest<Wide<9>> latest;
    std::vector<std::jthread> readers;
    readers.reserve(2);
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&] {
            std::uint64_t last = 0;
            while (last < kValues) {
                const std::uint64_t newest = latest.number();
                ASSERT_EQ((*beside)[newest], newest);
                const auto reading = latest.read_newer(last);
                if (!reading) continue;
                ASSERT_TRUE(reading->value.is_whole());
                ASSERT_EQ(reading->value.words[0], reading->number);
                ASSERT_GT(reading->number, last);
                last = reading->number;
                ASSERT_EQ((*beside)[last], last);
            }
        });
    }
    auto writer = latest.claim_writer().value();
    for (std::uint64_t n = 1; n <= kValues; ++n) {
        (*beside)[n] = n;
        writer.write(Wide<9>::of(n)).value();
    }
}

TEST_F(SharedLatest, IsReadByProcessesThatCanOnlyRead) {
    kit::Child writer = writer_of(3);
    kit::Child reader = child([this] {
        const std::span<std::byte> all = memory_.bytes();
        ASSERT_EQ(::mprotect(all.data(), all.size(), PROT_READ), 0);
        const Latest<Wide<6>>& latest = shared().latest;
        EXPECT_EQ(latest.read()->number, 3U);
        EXPECT_TRUE(latest.read()->value.is_whole());
        EXPECT_TRUE(latest.has_value());
        EXPECT_FALSE(latest.writer_gone());
        EXPECT_FALSE(latest.writer_gone(*table_));
        EXPECT_EQ(latest.poll_for_newer(3, Deadline::after(1ms)).error().code, Errc::timed_out);
        EXPECT_EQ(latest.poll_for_newer(2)->number, 3U);
        EXPECT_EQ(latest.poll_for_newer(9, Deadline::after(1ms)).error().code, Errc::timed_out);
    });
    EXPECT_TRUE(reader.wait().ok());
}

TEST_F(SharedLatest, ASecondWriterIsToldWhoWrites) {
    kit::Child writer = writer_of(1);
    const Result<Latest<Wide<6>>::Writer> second = latest().claim_writer();
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::in_use);
    const std::string text = second.error().step;
    EXPECT_NE(text.find(std::to_string(writer.pid())), text.npos) << text;
    writer.stop();
    EXPECT_EQ(latest().claim_writer().error().code, Errc::in_use);
    EXPECT_FALSE(latest().writer_gone());
}

TEST_F(SharedLatest, ADeadWritersHeirGoesOnWithTheNextNumber) {
    kit::Child first = writer_of(5);
    first.kill();
    EXPECT_TRUE(latest().writer_gone());
    EXPECT_EQ(latest().read()->number, 5U);
    {
        auto heir = latest().claim_writer().value();
        EXPECT_FALSE(latest().writer_gone());
        EXPECT_EQ(heir.write(Wide<6>::of(6)).value(), 6U);
    }
    EXPECT_FALSE(latest().writer_gone());  // it gave it back
    EXPECT_EQ(latest().writer(), 0U);
    EXPECT_EQ(latest().read()->value.words[5], 6U);
}

TEST_F(SharedLatest, AWriterThatDiesInTheMiddleOfAValueIsNotSeen) {
    for (const char* point : {"latest.write.word", "latest.write.before_publish"}) {
        for (int nth = 1; nth <= 3; ++nth) {  // two words each
            const std::uint64_t before = latest().number();
            kit::Child dead = child([&] {
                auto writer = latest().claim_writer().value();
                writer.write(Wide<6>::of(before + 1)).value();
                kit::kill_self_at(point, point[13] == 'w' ? nth : 1);
                writer.write(Wide<6>::of(before + 2)).value();
            });
            EXPECT_EQ(dead.wait().signal, SIGKILL);
            EXPECT_EQ(latest().read()->number, before + 1);
            EXPECT_EQ(latest().read()->value.words, Wide<6>::of(before + 1).words);
        }
    }
}

TEST_F(SharedLatest, ReadersDoNotWaitForAStoppedWriter) {
    kit::Child stopped = child([&] {
        auto writer = latest().claim_writer().value();
        writer.write(Wide<6>::of(1)).value();
        kit::stop_self_at("latest.write.word", 2);
        writer.write(Wide<6>::of(2)).value();
    });
    ASSERT_TRUE(stopped.wait_stopped());
    for (int i = 0; i < 100; ++i) EXPECT_EQ(latest().read()->value.words[0], 1U);
    EXPECT_EQ(latest().claim_writer().error().code, Errc::in_use);
    stopped.resume();
    EXPECT_TRUE(stopped.wait().ok());
    EXPECT_EQ(latest().read()->value.words[0], 2U);
}

TEST_F(SharedLatest, AReaderThatIsLappedBeginsAgain) {
    auto writer = latest().claim_writer().value();
    writer.write(Wide<6>::of(1)).value();
    kit::Child reader = child([&] {
        kit::stop_self_at("latest.read.word", 2);
        const auto reading = latest().read().value();
        if (!reading.value.is_whole() || reading.number != 5) ::_exit(1);
    });
    ASSERT_TRUE(reader.wait_stopped());
    for (std::uint64_t n = 2; n <= 5; ++n) writer.write(Wide<6>::of(n)).value();
    reader.resume();
    EXPECT_TRUE(reader.wait().ok());
}

TEST_F(SharedLatest, AReaderWhoseSlotIsBeingWrittenAgainBeginsAgain) {
    std::optional<Latest<Wide<6>>::Writer> first{latest().claim_writer().value()};
    first->write(Wide<6>::of(1)).value();
    first.reset();
    kit::Child reader = child([&] {
        kit::stop_self_at("latest.read.word", 2);
        const auto reading = latest().read().value();
        if (!reading.value.is_whole() || reading.number != 4) ::_exit(1);
    });
    ASSERT_TRUE(reader.wait_stopped());
    kit::Child writer = child([&] {
        auto mine = latest().claim_writer().value();
        for (std::uint64_t n = 2; n <= 4; ++n) mine.write(Wide<6>::of(n)).value();
        kit::stop_self_at("latest.write.before_publish");
        mine.write(Wide<6>::of(5)).value();
    });
    ASSERT_TRUE(writer.wait_stopped());
    reader.resume();
    EXPECT_TRUE(reader.wait().ok());
}

TEST_F(SharedLatest, AReaderThatIsNotLappedKeepsWhatItBegan) {
    auto writer = latest().claim_writer().value();
    writer.write(Wide<6>::of(1)).value();
    kit::Child reader = child([&] {
        kit::stop_self_at("latest.read.word", 2);
        const auto reading = latest().read().value();
        if (!reading.value.is_whole() || reading.number != 1) ::_exit(1);
    });
    ASSERT_TRUE(reader.wait_stopped());
    for (std::uint64_t n = 2; n <= 3; ++n) writer.write(Wide<6>::of(n)).value();
    reader.resume();
    EXPECT_TRUE(reader.wait().ok());
}

Latest<int>::Writer* g_writer = nullptr;
int g_laps = 0;

void lap_the_reader() {
    ++g_laps;
    for (int i = 0; i < 3; ++i) g_writer->write(i).value();
}
void lap_the_reader_each_time() {
    lap_the_reader();
    kit::call_at("latest.read.copied", lap_the_reader_each_time);
}

TEST(Latest, AReaderThatIsOvertakenAllTheTimeSaysSo) {
    Latest<int> latest;
    auto writer = latest.claim_writer().value();
    g_writer = &writer;
    writer.write(1).value();
    kit::call_at("latest.read.copied", lap_the_reader);
    EXPECT_EQ(latest.read()->number, 4U);  // it begins again
    g_laps = 0;
    kit::call_at("latest.read.copied", lap_the_reader_each_time);
    EXPECT_EQ(latest.read().error().code, Errc::timed_out);
    EXPECT_EQ(g_laps, kLatestTries);
    kit::call_at("nowhere", lap_the_reader);
    EXPECT_TRUE(latest.read().has_value());
}

TEST_F(SharedLatest, NoWakeUpIsLostWithInfiniteSlices) {
    g_wait_slice = 1h;
    constexpr std::uint64_t kRounds = 3000;
    kit::Child reader = child([&] {
        for (std::uint64_t n = 0; n < kRounds;) {
            n = latest().wait_for_newer(n)->number;
            shared().says.store(n);
        }
    });
    kit::Child other = child([&] {
        for (std::uint64_t n = 0; n < kRounds;) n = latest().wait_for_newer(n)->number;
    });
    auto writer = latest().claim_writer().value();
    for (std::uint64_t n = 1; n <= kRounds; ++n) {
        writer.write(Wide<6>::of(n)).value();
        // Else it would never sleep.
        ASSERT_TRUE(kit::wait_until([&] { return shared().says.load() == n; }));
    }
    EXPECT_TRUE(reader.wait().ok());
    EXPECT_TRUE(other.wait().ok());
}

TEST_F(SharedLatest, AValueThatComesBeforeTheSleepBitIsSeenWithInfiniteSlices) {
    g_wait_slice = 1h;
    kit::Child reader = child([&] {
        kit::stop_self_at("latest.wait.before_mark");
        if (latest().wait_for_newer(0)->number != 1) ::_exit(1);
    });
    ASSERT_TRUE(reader.wait_stopped());
    auto writer = latest().claim_writer().value();
    writer.write(Wide<6>::of(1)).value();
    reader.resume();
    EXPECT_TRUE(reader.wait().ok());
}

TEST_F(SharedLatest, WhoWaitsForADeadWriterIsTold) {
    g_wait_slice = 1ms;
    kit::Child writer = writer_of(1);
    EXPECT_EQ(latest().wait_for_newer(1, Deadline::after(5ms)).error().code, Errc::timed_out);
    EXPECT_EQ(latest().wait_for_newer(1, Deadline::immediately()).error().code, Errc::empty);
    writer.stop();
    EXPECT_EQ(latest().wait_for_newer(1, Deadline::after(5ms)).error().code, Errc::timed_out);
    writer.kill();
    EXPECT_EQ(latest().wait_for_newer(0)->number, 1U);  // its last value counts
    EXPECT_EQ(latest().wait_for_newer(1).error().code, Errc::peer_died);
    EXPECT_EQ(std::as_const(latest()).poll_for_newer(1).error().code, Errc::peer_died);
}

TEST(LatestInARegion, OpenedReadOnlyItsWritersDeathIsSeen) {
    const kit::TempDomain domain;
    const Region region = Region::create("poses", 65536).value();
    Region made = Region::open("poses").value();
    const auto* const writable = made.find_or_construct<Latest<Pose>>("arm").value();
    const kit::Ending ending = kit::fork_and_run([] {
        Region mine = Region::open("poses").value();
        auto writer = mine.find<Latest<Pose>>("arm").value()->claim_writer().value();
        writer.write({.x = 2}).value();
        ::kill(::getpid(), SIGKILL);
    });
    EXPECT_EQ(ending.signal, SIGKILL);
    const Region read_only = Region::open("poses", {.access = Access::read_only}).value();
    const auto* const latest = read_only.find<const Latest<Pose>>("arm").value();
    EXPECT_EQ(latest->read()->value.x, 2);
    EXPECT_TRUE(latest->writer_gone());
    EXPECT_TRUE(writable->writer_gone());
    EXPECT_EQ(latest->poll_for_newer(1).error().code, Errc::peer_died);
}

TEST_F(SharedLatest, AForkedChildIsNotTheWriter) {
    auto writer = latest().claim_writer().value();
    writer.write(Wide<6>::of(1)).value();
    kit::Child inherits{[&] {
        if (writer.write(Wide<6>::of(2)).error().code != Errc::forked) ::_exit(1);
        if (latest().claim_writer().error().code != Errc::forked) ::_exit(2);
        if (latest().read()->number != 1) ::_exit(3);
        {
            const auto dropped = std::move(writer);
        }
        ::_exit(latest().writer() == 0 ? 4 : 0);
    }};
    EXPECT_TRUE(inherits.wait().ok());
    EXPECT_EQ(writer.write(Wide<6>::of(2)).value(), 2U);
}

TEST_F(SharedLatest, AWriterThatLeftTheRegionWritesNoMore) {
    std::optional<Latest<Wide<6>>::Writer> writer{latest().claim_writer().value()};
    join();  // anew: another participant
    EXPECT_EQ(writer->write(Wide<6>::of(1)).error().code, Errc::not_owner);
    // The place that it had is still taken, by a living process: it is not gone.
    EXPECT_EQ(latest().claim_writer().error().code, Errc::in_use);
}

}  // namespace
}  // namespace stoa
