// Logs with their sleeping and waking. Slices are infinite where a wake could be lost: what is not
// woken hangs, and the watchdog ends it.
#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <csignal>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "stoa/channel/log_engine.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr LookAround kAlone{[](void*) { return Result<void>{}; },
                            [](void*) { return Result<void>{}; }, [](void*) { return false; },
                            nullptr};

// Some logs and the bell of all who subscribe, as a mailbox lays them out.
class Board {
public:
    Board(LogGeometry geometry, std::uint32_t most) : geometry_{geometry}, most_{most} {
        for (std::uint32_t i = 0; i < most; ++i) {
            regions_.push_back(std::make_unique<kit::TempRegion>(geometry.bytes_needed()));
        }
    }
    std::span<std::byte> memory(std::uint32_t i) { return regions_[i]->bytes(); }
    std::uint32_t open_log() {
        const std::uint32_t i = words().count.load();
        EXPECT_LT(i, most_);
        EXPECT_TRUE(create_log(memory(i), geometry_));
        return i;
    }
    void publish_log() { words().count.fetch_add(1); }
    Atomic<std::uint32_t>& bell() { return words().bell; }
    LogOut out(std::uint32_t i, Waiting waiting = Waiting::adaptive) {
        return {LogWriter::attach(memory(i), publisher_fence()).value(),
                16,
                bell(),
                {},
                waiting,
                kAlone};
    }
    LogIn in(std::uint32_t index, LogMode mode, LogStart start = LogStart::now,
             Waiting waiting = Waiting::adaptive) {
        const LaneSource source{
            [](void* board) { return static_cast<Board*>(board)->words().count.load(); },
            [](void* board, std::uint32_t i) { return static_cast<Board*>(board)->memory(i); },
            this};
        return {source, {index, 100 + index, mode, start}, bell(), waiting, kAlone};
    }

private:
    struct Words {
        Atomic<std::uint32_t> bell;
        alignas(64) Atomic<std::uint32_t> count;
    };
    Words& words() { return *reinterpret_cast<Words*>(words_.bytes().data()); }

    LogGeometry geometry_;
    std::uint32_t most_;
    kit::TempRegion words_{sizeof(Words)};
    std::vector<std::unique_ptr<kit::TempRegion>> regions_;
};

constexpr LogGeometry kGeometry{
    .ring_bytes = 4096, .max_record_bytes = 300, .max_waiting = 4, .subscribers = 8};

Bytes bytes_of(const std::uint64_t& value) {
    return std::as_bytes(std::span{&value, 1});
}
std::uint64_t value_of(std::span<const std::byte> payload) {
    std::uint64_t value = 0;
    std::memcpy(&value, payload.data(), std::min<std::size_t>(8, payload.size()));
    return value;
}
std::uint64_t take_value(LogIn& in, Deadline deadline = Deadline::never()) {
    const Result<LogMessage> message = in.take(deadline);
    if (!message) return UINT64_MAX;
    const std::uint64_t value = value_of(message->record.payload);
    in.release(*message);
    return value;
}

class LogEngine : public testing::Test {
protected:
    LogEngine() { g_wait_slice = 24h; }
    ~LogEngine() override { g_wait_slice = kWaitSlice; }
};

TEST_F(LogEngine, ASendWithNobodyAsleepLeavesTheBellAlone) {
    Board board{kGeometry, 1};
    board.open_log();
    board.publish_log();
    LogIn in = board.in(0, LogMode::latest);
    ASSERT_TRUE(in.attach_logs());
    LogOut out = board.out(0);
    ASSERT_TRUE(out.send(bytes_of(0), Deadline::immediately()));  // the first one says: a new log
    const std::uint32_t bell = board.bell().load();
    std::uint64_t value = 1;
    for (; value < 100; ++value) {
        ASSERT_TRUE(out.send(bytes_of(value), Deadline::immediately()));
        ASSERT_TRUE(out.try_send_value<8>(&value));
    }
    EXPECT_EQ(board.bell().load(), bell);
}

TEST_F(LogEngine, FullAndEmptyAreSaidAtOnceOrWhenTheTimeIsUp) {
    Board board{kGeometry, 1};
    board.open_log();
    board.publish_log();
    LogOut out = board.out(0);
    LogIn in = board.in(0, LogMode::reliable);
    EXPECT_EQ(in.take(Deadline::immediately()).error().code, Errc::empty);
    EXPECT_EQ(in.take(Deadline::after(1ms)).error().code, Errc::timed_out);
    for (std::uint64_t i = 0; i < 4; ++i) {
        EXPECT_TRUE(out.send(bytes_of(i), Deadline::immediately()));
    }
    EXPECT_EQ(out.send(bytes_of(9), Deadline::immediately()).error().code, Errc::full);
    EXPECT_EQ(out.send(bytes_of(9), Deadline::after(1ms)).error().code, Errc::timed_out);
    const std::array<std::byte, 400> big{};
    EXPECT_EQ(out.send(big, Deadline::never()).error().code, Errc::too_big);
    std::array<std::byte, 4> small;
    EXPECT_EQ(in.copy(small, Deadline::never()).error().code, Errc::wrong_size);
    EXPECT_EQ(take_value(in), 0U);
    EXPECT_TRUE(out.send(bytes_of(4), Deadline::immediately()));
    in.leave();
    EXPECT_TRUE(out.send(bytes_of(5), Deadline::immediately()));
}

TEST_F(LogEngine, ALogThatOpensLaterIsHeardFromItsFirstMessage) {
    Board board{kGeometry, 2};
    board.open_log();
    board.publish_log();
    LogIn in = board.in(3, LogMode::reliable);
    ASSERT_TRUE(in.attach_logs());
    const std::uint32_t second = board.open_log();
    EXPECT_TRUE(LogSeats::open(board.memory(second))->enroll(3, 103, LogMode::reliable));
    board.publish_log();
    LogOut out = board.out(second);
    for (std::uint64_t i = 0; i < 4; ++i) {
        EXPECT_TRUE(out.send(bytes_of(i), Deadline::immediately()));
    }
    EXPECT_EQ(out.send(bytes_of(4), Deadline::immediately()).error().code, Errc::full);
    for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(take_value(in), i);
}

TEST_F(LogEngine, ACursorThatAnotherOneHoldsIsNotTaken) {
    Board board{kGeometry, 1};
    board.open_log();
    board.publish_log();
    EXPECT_EQ(LogSeats::open(board.memory(0))->claim(0, 7), LogClaim::claimed);
    LogIn in = board.in(0, LogMode::reliable);
    EXPECT_EQ(in.attach_logs().error().code, Errc::in_use);
}

// Two writers and three subscribers, all sleeping and waking as it comes.
TEST_F(LogEngine, NoWakeUpIsLostBetweenSeveralWritersAndSubscribers) {
    constexpr std::uint64_t kMessages = 4000;
    for (const Waiting waiting : {Waiting::park, Waiting::adaptive}) {
        Board board{kGeometry, 2};
        kit::TempRegion joined_region{4096};
        auto& joined = *reinterpret_cast<Atomic<std::uint32_t>*>(joined_region.bytes().data());
        for (int i = 0; i < 2; ++i) {
            board.open_log();
            board.publish_log();
        }
        std::vector<std::unique_ptr<kit::Child>> children;
        for (std::uint32_t index = 0; index < 3; ++index) {
            children.push_back(std::make_unique<kit::Child>([&, index] {
                const LogMode mode = index == 2 ? LogMode::latest : LogMode::reliable;
                LogIn in = board.in(index, mode, LogStart::now, waiting);
                ASSERT_TRUE(in.attach_logs());
                joined.fetch_add(1);
                sys::futex_wake(joined, kWakeAll);
                std::array<std::uint64_t, 2> due{};
                std::array<std::byte, 300> buffer;
                std::mt19937 random{index};
                while (due[0] < kMessages || due[1] < kMessages) {
                    const Result<LogCopied> got = in.copy(buffer, Deadline::never());
                    ASSERT_TRUE(got);
                    ASSERT_EQ(got->message.sequence, due[got->log] + got->message.missed);
                    ASSERT_TRUE(mode == LogMode::latest || got->message.missed == 0);
                    ASSERT_EQ(value_of(buffer), got->message.sequence);
                    due[got->log] = got->message.sequence + 1;
                    for (auto i = random() % 64 == 0 ? random() % 4000 : 0; i > 0; --i) cpu_pause();
                }
                in.leave();
            }));
        }
        for (std::uint32_t i = 0; i < 2; ++i) {
            children.push_back(std::make_unique<kit::Child>([&, i] {
                for (std::uint32_t seen = 0; (seen = joined.load()) < 3;) {
                    static_cast<void>(sys::futex_wait(joined, seen, 10s));
                }
                LogOut out = board.out(i, waiting);
                std::mt19937 random{i};
                std::array<std::uint64_t, 30> message{};
                for (std::uint64_t value = 0; value < kMessages; ++value) {
                    message.fill(value);
                    const std::size_t bytes = 8 + random() % 230;
                    ASSERT_TRUE(out.send(std::as_bytes(std::span{message}).first(bytes),
                                         Deadline::never()));
                    for (auto n = random() % 64 == 0 ? random() % 4000 : 0; n > 0; --n) cpu_pause();
                }
            }));
        }
        for (const auto& child : children) EXPECT_TRUE(child->wait().ok());
    }
}

TEST_F(LogEngine, AWriterThatIsHeldByADeadSubscriberGoesOnWhenThatIsDropped) {
    Board board{kGeometry, 1};
    board.open_log();
    board.publish_log();
    kit::Child dead{[&] {
        LogIn in = board.in(5, LogMode::reliable);
        ASSERT_TRUE(in.attach_logs());
        LogOut out = board.out(0);
        for (std::uint64_t i = 0; i < 4; ++i) {
            ASSERT_TRUE(out.send(bytes_of(i), Deadline::never()));
        }
        static_cast<void>(::raise(SIGKILL));
    }};
    EXPECT_EQ(dead.wait().signal, SIGKILL);
    kit::Child writer{[&] {
        LogOut out = board.out(0);
        ASSERT_TRUE(out.send(bytes_of(4), Deadline::never()));
    }};
    LogLayout& layout = *layout_at<LogLayout>(board.memory(0), 0);
    while (!LaneMark::asleep(layout.writer.mark.load())) sched_yield();
    EXPECT_TRUE(drop_log_subscriber(board.memory(0), 5, 105).value());
    EXPECT_FALSE(drop_log_subscriber(board.memory(0), 5, 105).value());
    EXPECT_TRUE(writer.wait().ok());
}

}  // namespace
}  // namespace stoa
