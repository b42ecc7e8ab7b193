// What a dead or hostile peer may leave behind: heirs at every crash point, and words that no
// right peer writes.
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "stoa/ring/lane.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

constexpr LaneGeometry kGeometry{.ring_bytes = 1024, .max_record_bytes = 300};

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

// --- deaths at the named crash points --------------------------------------------------------

// What a child has seen succeed, for the parent to compare.
struct Diary {
    Atomic<std::uint32_t> sent;
    Atomic<std::uint32_t> received;
};

struct DeathLane {
    // `shift`: where in the ring the story begins.
    explicit DeathLane(int shift) {
        EXPECT_TRUE(create_lane(memory, kGeometry));
        LaneSender sender = LaneSender::attach(memory).value();
        LaneReceiver receiver = LaneReceiver::attach(memory).value();
        for (int i = 0; i < shift; ++i) {
            EXPECT_EQ(sender.try_send(bytes_of("shift")), LaneSend::ok);
            LaneRecord record;
            EXPECT_EQ(receiver.try_take(record), LaneTake::ok);
            receiver.release(record);
        }
    }

    kit::TempRegion region{kGeometry.bytes_needed()};
    kit::TempRegion diary_region{sizeof(Diary)};
    std::span<std::byte> memory = region.bytes();
    Diary& diary = *new (diary_region.bytes().data()) Diary{};
};

#if STOA_CRASH_POINTS

std::string text_of(std::uint32_t number) {
    constexpr std::array<std::size_t, 7> kSizes{4, 60, 4, 16, 300, 48, 100};
    std::string text(kSizes.at(number % kSizes.size()), static_cast<char>('a' + number % 26));
    std::memcpy(text.data(), &number, 4);
    return text;
}

// Sends single records, loans and batches of three until the ring is full.
void send_until_full(std::span<std::byte> memory, Diary& diary) {
    LaneSender sender = LaneSender::attach(memory).value();
    for (std::uint32_t number = diary.sent.load();; number = diary.sent.load()) {
        const std::string text = text_of(number);
        if (number % 5 == 1) {
            LaneBatch batch{sender};
            for (std::uint32_t i = 0; i < 3; ++i) {
                if (batch.try_append(bytes_of(text_of(number + i))) != LaneSend::ok) return;
            }
            batch.publish();
            diary.sent.store(number + 3);
        } else if (number % 5 == 4) {
            std::span<std::byte> loan;
            if (sender.try_reserve(300, loan) != LaneSend::ok) return;
            std::memcpy(loan.data(), text.data(), text.size());
            sender.commit(text.size());
            diary.sent.store(number + 1);
        } else {
            if (sender.try_send(bytes_of(text)) != LaneSend::ok) return;
            diary.sent.store(number + 1);
        }
    }
}

// Receives all that is there; `received` is noted after each. False: a wrong record.
bool receive_until_empty(LaneReceiver& receiver, Diary& diary) {
    while (true) {
        LaneRecord record;
        const LaneTake taken = receiver.try_take(record);
        if (taken == LaneTake::empty) return true;
        if (taken != LaneTake::ok) return false;
        const std::string expected = text_of(diary.received.load());
        if (record.payload.size() != expected.size() ||
            std::memcmp(record.payload.data(), expected.data(), expected.size()) != 0) {
            return false;
        }
        diary.received.store(diary.received.load() + 1);
        receiver.release(record);
    }
}

// Kills a child at each time that it passes the point, until it is not reached any more.
template <typename Body, typename Judge>
int kill_at_each_time(const char* point, int shift, Body&& body, Judge&& judge) {
    for (int nth = 1;; ++nth) {
        DeathLane lane{shift};
        const kit::Ending ending = kit::fork_and_run([&] {
            kit::kill_self_at(point, nth);
            body(lane);
        });
        judge(lane);
        if (::testing::Test::HasFailure()) {
            ADD_FAILURE() << point << ", time " << nth << ", shift " << shift;
            return nth;
        }
        if (ending.signal != SIGKILL) return nth - 1;
    }
}

TEST(LaneDeaths, ASenderKilledAnywhereLeavesWholeRecordsAndAnHeirGoesOn) {
    for (const char* point : {"lane.publish.written", "lane.publish.cleared", "lane.publish.done",
                              "lane.batch.written", "lane.batch.cleared", "lane.batch.done"}) {
        int killed = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            killed += kill_at_each_time(
                point, shift, [](DeathLane& lane) { send_until_full(lane.memory, lane.diary); },
                [](DeathLane& lane) {
                    const std::uint32_t before = lane.diary.sent.load();
                    LaneReceiver receiver = LaneReceiver::attach(lane.memory).value();
                    ASSERT_TRUE(receive_until_empty(receiver, lane.diary));
                    const std::uint32_t received = lane.diary.received.load();
                    ASSERT_GE(received, before) << "sent, and lost";
                    ASSERT_TRUE(received == before ||
                                received == before + (before % 5 == 1 ? 3 : 1));
                    lane.diary.sent.store(received);
                    for (int lap = 0; lap < 3; ++lap) {
                        send_until_full(lane.memory, lane.diary);
                        ASSERT_TRUE(receive_until_empty(receiver, lane.diary));
                        ASSERT_EQ(lane.diary.received.load(), lane.diary.sent.load());
                    }
                });
        }
        EXPECT_GT(killed, 0) << point;
    }
}

TEST(LaneDeaths, AReceiverKilledAnywhereLeavesTheRestToItsHeirOnce) {
    for (const char* point :
         {"lane.receive.copied", "lane.receive.delivered", "lane.free.before", "lane.free.done"}) {
        int killed = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            killed += kill_at_each_time(
                point, shift,
                [](DeathLane& lane) {
                    send_until_full(lane.memory, lane.diary);
                    LaneReceiver receiver = LaneReceiver::attach(lane.memory).value();
                    EXPECT_TRUE(receive_until_empty(receiver, lane.diary));
                },
                [](DeathLane& lane) {
                    LaneReceiver heir = LaneReceiver::attach(lane.memory).value();
                    LaneRecord record;
                    if (heir.try_take(record) == LaneTake::ok) {  // one may be delivered, not noted
                        std::uint32_t number = 0;
                        std::memcpy(&number, record.payload.data(), 4);
                        ASSERT_TRUE(number == lane.diary.received.load() ||
                                    number == lane.diary.received.load() + 1);
                        lane.diary.received.store(number + 1);
                        heir.release(record);
                    } else {
                        lane.diary.received.store(lane.diary.sent.load());
                    }
                    for (int lap = 0; lap < 3; ++lap) {
                        ASSERT_TRUE(receive_until_empty(heir, lane.diary));
                        ASSERT_EQ(lane.diary.received.load(), lane.diary.sent.load());
                        send_until_full(lane.memory, lane.diary);
                    }
                });
        }
        EXPECT_GT(killed, 0) << point;
    }
}

#endif

// --- a peer that breaks the rules ------------------------------------------------------------

struct HostileLane : DeathLane {
    HostileLane() : DeathLane{0} {}
    LaneLayout& layout() { return *layout_at<LaneLayout>(memory, 0); }
    Atomic<std::uint64_t>& ready(std::uint64_t position) {
        return layout_at<LaneHead>(memory, sizeof(LaneLayout) + position)->ready;
    }
};

TEST(LaneHostility, AHeaderThatIsNotOursIsRefusedByBothSides) {
    const auto refused = [](auto&& damage) {
        HostileLane lane;
        damage(lane.layout().header);
        const auto sender = LaneSender::attach(lane.memory);
        const auto receiver = LaneReceiver::attach(lane.memory);
        EXPECT_FALSE(sender);
        EXPECT_FALSE(receiver);
        return sender ? Errc{} : sender.error().code;
    };
    EXPECT_EQ(refused([](auto& header) { header.magic.store(1); }), Errc::bad_layout);
    EXPECT_EQ(refused([](auto& header) { header.version.store(2); }), Errc::wrong_version);
    EXPECT_EQ(refused([](auto& header) { header.data_offset.store(0); }), Errc::bad_layout);
    for (const std::uint64_t bytes : {std::uint64_t{0}, std::uint64_t{1000}, std::uint64_t{8192},
                                      std::uint64_t{1} << 63U, UINT64_MAX}) {
        EXPECT_EQ(refused([&](auto& header) { header.ring_bytes.store(bytes); }), Errc::bad_layout);
    }
    EXPECT_EQ(refused([](auto& header) { header.max_record_bytes.store(UINT64_MAX); }),
              Errc::bad_layout);
    HostileLane lane;
    EXPECT_FALSE(LaneSender::attach(lane.memory.first(lane.memory.size() / 2)));
    EXPECT_FALSE(LaneSender::attach(lane.memory.subspan(64)));
    EXPECT_FALSE(LaneReceiver::attach({}));
}

TEST(LaneHostility, CursorsThatCannotBeAreRefused) {
    using Cursors = std::pair<std::uint64_t, std::uint64_t>;  // freed, delivered
    for (const auto& [freed, delivered] :
         {Cursors{16, 0}, Cursors{0, 1024}, Cursors{8, 8}, Cursors{0, 24},
          Cursors{UINT64_MAX - 15, UINT64_MAX - 15}, Cursors{UINT64_MAX - 15, 0}}) {
        HostileLane lane;
        lane.layout().receiver.freed.store(freed);
        lane.layout().receiver.delivered.store(delivered);
        EXPECT_EQ(LaneSender::attach(lane.memory).error().code, Errc::corrupt) << delivered;
        EXPECT_EQ(LaneReceiver::attach(lane.memory).error().code, Errc::corrupt) << delivered;
    }
}

constexpr std::array kWordsThatNobodyWrites{
    LaneWord::make(LaneKind::record, 301),                // longer than the longest
    LaneWord::make(LaneKind::record, (1ULL << 48U) - 1),  //
    LaneWord::make(LaneKind::pad, 0),                     // an endless loop
    LaneWord::make(LaneKind::pad, 24),                    // off the grid
    LaneWord::make(LaneKind::pad, 2048),                  // over the end
    LaneWord::make(LaneKind::pad, (1ULL << 48U) - 16),    //
    LaneWord::make(LaneKind::not_ready, 8),               // a length and no kind
    LaneWord::make(LaneKind::not_ready, 8, 0),            //
};

TEST(LaneHostility, WordsThatNobodyWritesAreCorruptForReceiversAndHeirs) {
    for (const std::uint64_t word : kWordsThatNobodyWrites) {
        HostileLane lane;
        LaneReceiver receiver = LaneReceiver::attach(lane.memory).value();
        lane.ready(0).store(word);
        LaneRecord record;
        std::array<std::byte, 16> out{};
        std::uint64_t count = 0;
        EXPECT_EQ(receiver.try_take(record), LaneTake::corrupt) << std::hex << word;
        EXPECT_EQ(receiver.try_receive<16>(out.data()), LaneTake::corrupt);
        EXPECT_EQ(receiver.try_receive_all<16>(out.data(), 1, count), LaneTake::corrupt);
        EXPECT_EQ(LaneSender::attach(lane.memory).error().code, Errc::corrupt);
    }
}

TEST(LaneHostility, ARecordOverTheEndOfTheRingIsCorruptAlsoWhenItsLengthWasGuessed) {
    HostileLane lane;
    const std::uint64_t word = LaneWord::make(LaneKind::record, 100);  // takes 128
    for (std::uint64_t at = 0; at < 1024; at += 16) lane.ready(at).store(word);
    lane.layout().receiver.delivered.store(64);
    lane.layout().receiver.freed.store(64);
    EXPECT_EQ(LaneSender::attach(lane.memory).error().code, Errc::corrupt);
    LaneReceiver receiver = LaneReceiver::attach(lane.memory).value();
    for (int i = 0; i < 7; ++i) {
        LaneRecord record;
        ASSERT_EQ(receiver.try_take(record), LaneTake::ok);
        receiver.release(record);
    }
    LaneRecord record;
    EXPECT_EQ(receiver.try_take(record), LaneTake::corrupt);
    for (std::uint64_t at = 0; at < 1024; at += 16) {
        lane.ready(at).store(LaneWord::make(LaneKind::record, 48));
    }
    lane.layout().receiver.delivered.store(1024 - 32);
    lane.layout().receiver.freed.store(1024 - 32);
    LaneReceiver other = LaneReceiver::attach(lane.memory).value();
    std::array<std::byte, 96> out{};
    std::uint64_t count = 0;
    EXPECT_EQ(other.try_receive<48>(out.data()), LaneTake::corrupt);
    EXPECT_EQ(other.try_receive_all<48>(out.data(), 2, count), LaneTake::corrupt);
}

TEST(LaneHostility, ARingFullOfPadsKeepsNobodyForever) {
    HostileLane lane;
    for (std::uint64_t at = 0; at < 1024; at += 16) {
        lane.ready(at).store(LaneWord::make(LaneKind::pad, 16));
    }
    LaneReceiver receiver = LaneReceiver::attach(lane.memory).value();
    LaneRecord record;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(receiver.try_take(record), LaneTake::empty);
    EXPECT_EQ(receiver.position(), 10U * 64U * 16U);
    EXPECT_EQ(LaneSender::attach(lane.memory).error().code, Errc::corrupt);
}

TEST(LaneHostility, AFreedThatGoesBackOrTooFarIsCorruptForTheSender) {
    for (const std::uint64_t freed :
         {std::uint64_t{16}, std::uint64_t{72}, std::uint64_t{1 << 20}, UINT64_MAX - 15}) {
        HostileLane lane;
        lane.layout().receiver.freed.store(64);
        lane.layout().receiver.delivered.store(64);
        LaneSender sender = LaneSender::attach(lane.memory).value();
        LaneSend sent = LaneSend::ok;
        while (sent == LaneSend::ok) {
            sent = sender.try_send(bytes_of("12345678"));
            lane.layout().receiver.freed.store(freed);
        }
        EXPECT_EQ(sent, LaneSend::corrupt) << freed;
        EXPECT_TRUE(sender.has_room(8)) << "waiting would be in vain";
    }
}

TEST(LaneHostility, ACopyIsJudgedAndNotTheWordThatMayChange) {
    std::mt19937_64 random{4711};
    for (int round = 0; round < 3000; ++round) {
        HostileLane lane;
        LaneReceiver receiver = LaneReceiver::attach(lane.memory).value();
        std::vector<LaneRecord> loans;
        const std::byte* ring = lane.memory.data() + sizeof(LaneLayout);
        for (int step = 0; step < 60; ++step) {
            const std::uint64_t word =
                LaneWord::make(LaneKind{static_cast<std::uint8_t>(random() % 4)},
                               random() % 330 & ~(random() % 16));
            lane.ready(random() % 64 * 16).store(word);
            LaneRecord record;
            if (receiver.try_take(record) == LaneTake::ok) {
                ASSERT_GE(record.payload.data(), ring);
                ASSERT_LE(record.payload.data() + record.payload.size(), ring + 1024);
                ASSERT_LE(record.payload.size(), 300U);
                loans.push_back(record);
            }
            if (loans.size() > 3) {
                receiver.release(loans.front());
                loans.erase(loans.begin());
            }
            const auto sender = LaneSender::attach(lane.memory);
            if (sender) {
                ASSERT_LT(sender->position() - receiver.position(), 1024U);
            }
        }
    }
}

TEST(LaneHostility, AMarkThatLiesWakesAWordInsideTheRing) {
    HostileLane lane;
    LaneSender sender = LaneSender::attach(lane.memory).value();
    lane.layout().receiver.mark.store(7);
    lane.layout().receiver.delivered.store(UINT64_MAX);
    std::fill(lane.memory.begin() + sizeof(LaneLayout), lane.memory.end(), std::byte{1});
    const auto* word = reinterpret_cast<const std::byte*>(sender.sleeper_to_wake());
    ASSERT_NE(word, nullptr);
    EXPECT_GE(word, lane.memory.data() + sizeof(LaneLayout));
    EXPECT_LE(word + 4, lane.memory.data() + lane.memory.size());
}

}  // namespace
}  // namespace stoa
