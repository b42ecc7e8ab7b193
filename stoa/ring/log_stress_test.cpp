// Random records through a log: all in one thread, between threads, and between processes that are
// killed at random moments. More of it: STOA_LOG_RECORDS=20000000 STOA_LOG_KILLS=5000.
#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "stoa/ring/log.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

constexpr std::uint64_t kMaxBytes = 1200;

// One log with a tight bound, and one with a wide one.
constexpr LogGeometry log_of(bool is_tight) {
    return {.ring_bytes = 8192,
            .max_record_bytes = kMaxBytes,
            .max_waiting = is_tight ? 9U : 40U,
            .subscribers = 6};
}

std::uint64_t from_environment(const char* variable, std::uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::uint64_t mix(std::uint64_t x) {
    x = (x ^ x >> 33U) * 0xff51afd7ed558ccdU;
    x = (x ^ x >> 33U) * 0xc4ceb9fe1a85ec53U;
    return x ^ x >> 33U;
}

// Length and bytes of a record follow from its sequence: that, then words that look like ready
// words of short records: an old one read as a head would be believed.
std::uint64_t length_of(std::uint64_t sequence) {
    const std::uint64_t x = mix(sequence);
    if (x % 4 == 0) return 8;
    return 8 + x / 4 % (x % 4 == 1 ? kMaxBytes - 7 : 60);
}
std::byte byte_of(std::uint64_t sequence, std::uint64_t at) {
    std::uint64_t word = sequence;
    if (at >= 8) word = LaneWord::make(LaneKind::record, mix(sequence + at / 8) % 200);
    return static_cast<std::byte>(word >> at % 8 * 8);
}
std::span<const std::byte> record(std::uint64_t sequence, std::array<std::byte, kMaxBytes>& room) {
    const std::uint64_t bytes = length_of(sequence);
    for (std::uint64_t at = 0; at < bytes; ++at) room[at] = byte_of(sequence, at);
    return {room.data(), bytes};
}
bool is_record(std::span<const std::byte> payload, std::uint64_t sequence) {
    if (payload.size() != length_of(sequence)) return false;
    bool is_right = true;
    for (std::uint64_t at = 0; at < payload.size(); ++at) {
        is_right = is_right && payload[at] == byte_of(sequence, at);
    }
    return is_right;
}

using Random = std::mt19937_64;

// Sends by every way that the log has. `between` runs while the log is full.
template <typename Between>
class Feeder {
public:
    Feeder(LogWriter& writer, Random random, Between between)
        : writer_{writer}, random_{random}, between_{between} {}

    void send_some() {
        const std::uint64_t way = random_() % 8;
        if (way == 0) return send_batch(1 + random_() % 12);
        const std::span<const std::byte> payload = record(writer_.sequence(), room_);
        if (way < 4) {
            return until_sent(payload.size(), [&] {
                return payload.size() == 8 ? writer_.template try_send<8>(payload.data())
                                           : writer_.try_send(payload);
            });
        }
        std::span<std::byte> loan;
        const std::uint64_t reserved = way == 4 ? kMaxBytes : payload.size();
        until_sent(
            reserved, [&] { return writer_.try_reserve(reserved, loan, 16U << way % 3); },
            16U << way % 3);
        const std::vector<std::byte> noise(reserved, std::byte{0x21});
        log_copy_in(loan.data(), noise.data(), reserved);
        if (way == 5) {
            writer_.abandon();
            until_sent(payload.size(), [&] { return writer_.try_reserve(payload.size(), loan); });
        }
        log_copy_in(loan.data(), payload.data(), payload.size());
        writer_.commit(payload.size());
    }

private:
    void send_batch(std::uint64_t count) {
        LogBatch batch{writer_};
        const std::uint64_t from = writer_.sequence();
        for (std::uint64_t next = from; next < from + count;) {
            const std::span<const std::byte> payload = record(next, room_);
            const LogSend appended = batch.try_append(payload);
            if (appended == LogSend::ok) {
                ++next;
                continue;
            }
            EXPECT_EQ(appended, LogSend::full);
            batch.publish();
            between_(payload.size(), 16);
        }
        if (random_() % 4 == 0) batch.discard();
        batch.publish();
    }
    template <typename Try>
    void until_sent(std::uint64_t bytes, Try&& attempt, std::uint64_t alignment = 16) {
        LogSend sent = attempt();
        for (; sent == LogSend::full; sent = attempt()) between_(bytes, alignment);
        EXPECT_EQ(sent, LogSend::ok);
    }

    LogWriter& writer_;
    Random random_;
    Between between_;
    std::array<std::byte, kMaxBytes> room_;
};

// Receives by every way, keeps up to three loans at a time and looks at them again before it lets
// them go. Each message must be whole, and the next one or as far behind as it says it missed.
class Eater {
public:
    Eater(LogReader&& reader, Random random, bool may_miss)
        : reader_{std::move(reader)},
          random_{random},
          may_miss_{may_miss},
          due_{reader_.sequence()} {}

    // nullptr: got a message or found none; else what is wrong.
    const char* receive_one(bool& got) {
        got = false;
        LogTake taken{};
        if (reader_.mode() == LogMode::latest || random_() % 4 == 0) {
            LogCopy copy;
            taken = length_of(due_) == 8 ? reader_.try_copy<8>(buffer_.data(), copy)
                                         : reader_.try_copy(buffer_, copy);
            if (taken == LogTake::too_small) taken = reader_.try_copy(buffer_, copy);
            if (taken == LogTake::ok) {
                got = true;
                return judge({buffer_.data(), copy.bytes}, copy.sequence, copy.missed);
            }
        } else {
            LogRecord record;
            taken = reader_.try_take(record);
            if (taken == LogTake::ok) {
                got = true;
                kept_.push_back(record);
                const char* wrong = judge(record.payload, record.sequence, 0);
                while (wrong == nullptr && kept_.size() > random_() % 4) wrong = let_one_go();
                return wrong;
            }
        }
        if (taken != LogTake::empty) return "neither a message nor empty";
        return let_one_go();  // or both wait
    }
    const char* let_one_go() {
        if (kept_.empty()) return nullptr;
        const std::size_t which = random_() % kept_.size();
        const LogRecord kept = kept_[which];
        kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(which));
        const bool is_whole = is_record(kept.payload, kept.sequence);
        reader_.release(kept);
        return is_whole ? nullptr : "a loan was overwritten";
    }
    [[nodiscard]] LogReader& reader() { return reader_; }
    [[nodiscard]] std::uint64_t due() const { return due_; }

private:
    const char* judge(std::span<const std::byte> payload, std::uint64_t sequence,
                      std::uint64_t missed) {
        const std::uint64_t due = std::exchange(due_, sequence + 1);
        if (sequence != due + missed) return "the count of missed messages is wrong";
        if (missed != 0 && !may_miss_) return "a reliable subscriber missed a message";
        return is_record(payload, sequence) ? nullptr : "a torn payload";
    }

    LogReader reader_;
    Random random_;
    bool may_miss_;
    std::uint64_t due_;
    std::vector<LogRecord> kept_;
    std::array<std::byte, kMaxBytes> buffer_;
};

std::uint64_t holder_of(std::uint32_t index, std::uint64_t life) {
    return (index + 1) | life << 32U;
}

Eater join(std::span<std::byte> memory, std::uint32_t index, std::uint64_t life, Random random) {
    const LogMode mode = random() % 2 == 0 ? LogMode::reliable : LogMode::latest;
    const LogStart start = random() % 2 == 0 ? LogStart::now : LogStart::oldest_kept;
    EXPECT_EQ(LogSeats::open(memory)->claim(index, holder_of(index, life)), LogClaim::claimed);
    return {LogReader::subscribe(memory, index, mode, start).value(), random,
            mode == LogMode::latest};
}

void leave(std::span<std::byte> memory, Eater& eater, std::uint32_t index, std::uint64_t life) {
    eater.reader().unsubscribe();
    LogSeats::open(memory)->give_up(index, holder_of(index, life));
}

// What a writer does with a full log.
void let_others_run(std::uint64_t, std::uint64_t) {
    sched_yield();
}

class LogStress : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(, LogStress, testing::Bool(),
                         [](const auto& tight) { return tight.param ? "Tight" : "Wide"; });

TEST_P(LogStress, EachSubscriberGetsItsDueAlsoOverHeirsAndLateJoins) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        kit::TempRegion region{log_of(GetParam()).bytes_needed()};
        ASSERT_TRUE(create_log(region.bytes(), log_of(GetParam())));
        Random random{seed};
        LogWriter writer = LogWriter::attach(region.bytes()).value();
        std::array<std::optional<Eater>, 6> eaters;
        std::uint64_t life = 0;
        std::array<std::uint64_t, 6> lives{};
        const auto eat = [&](std::size_t i) {
            bool got = false;
            if (!eaters.at(i)) return;
            const char* wrong = eaters.at(i)->receive_one(got);
            ASSERT_EQ(wrong, nullptr) << wrong << ", before " << eaters.at(i)->due();
        };
        for (int step = 0; step < 3000; ++step) {
            const std::uint64_t dice = random() % 100;
            const std::size_t i = random() % 6;
            if (dice < 40) {
                const auto make_room = [&](std::uint64_t, std::uint64_t) {
                    for (std::size_t k = 0; k < 6; ++k) eat(k);
                };
                Feeder{writer, Random{random()}, make_room}.send_some();
            } else if (dice < 94) {
                eat(i);
            } else if (dice < 96) {
                const std::uint64_t sent = writer.sequence();
                writer = LogWriter::attach(region.bytes()).value();
                ASSERT_EQ(writer.sequence(), sent);
            } else if (eaters.at(i)) {
                const auto index = static_cast<std::uint32_t>(i);
                if (dice % 2 == 0) {
                    leave(region.bytes(), *eaters.at(i), index, lives.at(i));
                } else {
                    const std::uint64_t dead = holder_of(index, lives.at(i));
                    ASSERT_TRUE(LogSeats::open(region.bytes())->drop(index, dead));
                }
                eaters.at(i).reset();
            } else {
                lives.at(i) = ++life;
                eaters.at(i).emplace(
                    join(region.bytes(), static_cast<std::uint32_t>(i), life, Random{random()}));
            }
            if (HasFatalFailure()) FAIL() << "seed " << seed << " step " << step;
        }
    }
}

TEST_P(LogStress, CarriesRandomRecordsBetweenThreads) {
    const std::uint64_t records = from_environment("STOA_LOG_RECORDS", 30'000);
    kit::TempRegion region{log_of(GetParam()).bytes_needed()};
    ASSERT_TRUE(create_log(region.bytes(), log_of(GetParam())));
    LogWriter writer = LogWriter::attach(region.bytes()).value();
    Atomic<std::uint64_t> sent{UINT64_MAX};  // in the end
    std::array<const char*, 4> wrong{};
    std::array<std::uint64_t, 4> received{};
    std::vector<std::thread> threads;
    for (std::uint32_t index = 0; index < 4; ++index) {
        threads.emplace_back([&, index] {
            Random random{index + 1};
            for (std::uint64_t life = 1; sent.load() == UINT64_MAX && wrong[index] == nullptr;
                 ++life) {
                Eater eater = join(region.bytes(), index, life, Random{random()});
                // The last two come and go.
                const std::uint64_t most = index < 2 ? UINT64_MAX : random() % 2000;
                for (std::uint64_t n = 0; n < most && eater.due() < sent.load(); ++n) {
                    bool got = false;
                    wrong[index] = eater.receive_one(got);
                    if (wrong[index] != nullptr) break;
                    received[index] += got ? 1 : 0;
                    if (!got) sched_yield();
                }
                leave(region.bytes(), eater, index, life);
            }
        });
    }
    Feeder feeder{writer, Random{7}, let_others_run};
    while (writer.sequence() < records) feeder.send_some();
    sent.store(writer.sequence());
    for (std::thread& thread : threads) thread.join();
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(wrong.at(i), nullptr) << wrong.at(i) << ", subscriber " << i;
    }
    EXPECT_GT(received[0], 0U);
    EXPECT_GT(received[2], 0U);
}

// --- kills -----------------------------------------------------------------------------------

struct Ledger {
    alignas(64) Atomic<std::uint64_t> sent;  // sequence behind what the writer saw published
    alignas(64) Atomic<std::uint32_t> stop;
    alignas(64) Atomic<std::uint64_t> received;
    Atomic<std::uint64_t> missed;
    Atomic<std::uint64_t> failures;
};

void feed_until_told(std::span<std::byte> memory, Ledger& ledger, std::uint64_t seed) {
    LogWriter writer = LogWriter::attach(memory).value();
    if (writer.sequence() < ledger.sent.load()) {
        ledger.failures.fetch_add(1);
        ADD_FAILURE() << "a message that was sent is lost";
    }
    Feeder feeder{writer, Random{seed}, let_others_run};
    while (ledger.stop.load() == 0) {
        feeder.send_some();
        ledger.sent.store(writer.sequence());
    }
}

// Until the writers have stopped and all is received; comes again now and then.
void eat_until_told(std::span<std::byte> memory, Ledger& ledger, std::uint32_t index,
                    std::uint64_t life) {
    Random random{life};
    Eater eater = join(memory, index, life, Random{random()});
    for (;;) {
        bool got = false;
        const char* wrong = eater.receive_one(got);
        if (wrong != nullptr) {
            ledger.failures.fetch_add(1);
            FAIL() << wrong << ", before " << eater.due();
        }
        if (got) {
            ledger.received.fetch_add(1);
            continue;
        }
        if (ledger.stop.load() == 2 && eater.due() >= ledger.sent.load()) break;
        sched_yield();
    }
    ledger.missed.fetch_add(eater.reader().missed());
    leave(memory, eater, index, life);
}

TEST_P(LogStress, SurvivesRandomKillsOfWritersAndSubscribers) {
    const std::uint64_t kills = from_environment("STOA_LOG_KILLS", 400);
    kit::TempRegion region{log_of(GetParam()).bytes_needed()};
    kit::TempRegion ledger_region{sizeof(Ledger)};
    ASSERT_TRUE(create_log(region.bytes(), log_of(GetParam())));
    Ledger& ledger = *new (ledger_region.bytes().data()) Ledger{};
    LogSeats seats = LogSeats::open(region.bytes()).value();
    std::uint64_t seed = 0;
    const auto start_writer = [&] {
        return std::make_unique<kit::Child>(
            [&, seed = ++seed] { feed_until_told(region.bytes(), ledger, seed); });
    };
    std::array<std::uint64_t, 3> lives{};
    const auto start_reader = [&](std::uint32_t index) {
        lives.at(index) = ++seed;
        return std::make_unique<kit::Child>(
            [&, index, life = seed] { eat_until_told(region.bytes(), ledger, index, life); });
    };
    std::unique_ptr<kit::Child> writer = start_writer();
    std::array<std::unique_ptr<kit::Child>, 3> readers;
    for (std::uint32_t i = 0; i < 3; ++i) readers.at(i) = start_reader(i);
    Random random{from_environment("STOA_SEED", 20'240'229)};
    for (std::uint64_t kill = 0; kill < kills && ledger.failures.load() == 0; ++kill) {
        // allowed: sleep: when to kill is a throw of the dice, nothing waits for it
        std::this_thread::sleep_for(std::chrono::microseconds{200 + random() % 1500});
        const auto which = static_cast<std::uint32_t>(random() % 5);
        if (which < 3) {
            readers.at(which)->kill_and_wait();
            seats.drop(which, holder_of(which, lives.at(which)));
            readers.at(which) = start_reader(which);
        } else {
            writer->kill_and_wait();
            writer = start_writer();
        }
    }
    ledger.stop.store(1);
    if (ledger.failures.load() == 0) {
        EXPECT_TRUE(writer->wait().ok());
        ledger.stop.store(2);
        for (const auto& reader : readers) EXPECT_TRUE(reader->wait().ok());
    }
    EXPECT_EQ(ledger.failures.load(), 0U);
    EXPECT_EQ(count_log(region.bytes())->reliable + count_log(region.bytes())->latest, 0U);
    RecordProperty("records", std::to_string(ledger.sent.load()));
    RecordProperty("received", std::to_string(ledger.received.load()));
    std::printf("%llu kills, %llu records, %llu received, %llu missed by those who saw the end\n",
                static_cast<unsigned long long>(kills),
                static_cast<unsigned long long>(ledger.sent.load()),
                static_cast<unsigned long long>(ledger.received.load()),
                static_cast<unsigned long long>(ledger.missed.load()));
}

}  // namespace
}  // namespace stoa
