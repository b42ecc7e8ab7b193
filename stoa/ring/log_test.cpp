#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "stoa/ring/log_test_kit.hpp"

namespace stoa {
namespace {

constexpr LogGeometry bounded(std::uint64_t max_waiting) {
    LogGeometry geometry = kSmallLog;
    geometry.ring_bytes = 4096;
    geometry.max_waiting = max_waiting;
    return geometry;
}

// Sends "0", "1", ... from the next sequence on, until it says something else than ok.
std::uint64_t send_until_full(LogWriter& writer, std::uint64_t most = 1'000'000) {
    std::uint64_t sent = 0;
    while (sent < most &&
           writer.try_send(bytes_of(std::to_string(writer.sequence()))) == LogSend::ok) {
        ++sent;
    }
    return sent;
}

// --- shape -----------------------------------------------------------------------------------

TEST(LogShape, WordsAreTheDocumentedOnes) {
    EXPECT_EQ(log_stride(0), 32U);
    EXPECT_EQ(log_stride(16), 32U);
    EXPECT_EQ(log_stride(17), 64U);
    EXPECT_EQ(log_stride(64), 80U);
    EXPECT_EQ(LogState::make(LogMode::latest, 5), 5U << 2U | 2U);
    EXPECT_EQ(LogState::ended(LogState::make(LogMode::reliable, 5)), 5U << 2U);
}

TEST(LogShape, SizesOutOfRangeAreRefused) {
    const auto create = [](LogGeometry geometry) {
        kit::TempRegion region{sizeof(LogLayout) + 8192};
        return create_log(region.bytes(), geometry);
    };
    EXPECT_TRUE(create({.ring_bytes = 1024, .max_record_bytes = 900}));
    EXPECT_EQ(create({.ring_bytes = 1000, .max_record_bytes = 8}).error(),
              (Error{Errc::bad_argument}));
    EXPECT_EQ(create({.ring_bytes = 1024, .max_record_bytes = 1000}).error(),
              (Error{Errc::bad_argument}));
    EXPECT_EQ(create({.ring_bytes = 1024, .max_record_bytes = 8, .subscribers = 65}).error(),
              (Error{Errc::bad_argument}));
    EXPECT_EQ(create({.ring_bytes = 1024, .max_record_bytes = 8, .subscribers = 0}).error(),
              (Error{Errc::bad_argument}));
    EXPECT_EQ(create({.ring_bytes = 65536, .max_record_bytes = 8}).error(),
              (Error{Errc::wrong_size}));
    EXPECT_FALSE((LogGeometry{.ring_bytes = 1024, .max_record_bytes = UINT64_MAX}.valid()));
    EXPECT_TRUE(LogGeometry::holding(100, 64).valid());
}

TEST(LogShape, ALogThatIsNotOursIsRefusedByAll) {
    TestLog log{kSmallLog};
    log.layout().header.version.store(1);
    EXPECT_EQ(LogWriter::attach(log.memory).error(), (Error{Errc::wrong_version}));
    log.layout().header.version.store(2);
    log.layout().header.subscribers.store(65);
    EXPECT_EQ(LogSeats::open(log.memory).error(), (Error{Errc::bad_layout}));
    log.layout().header.subscribers.store(kSmallLog.subscribers);
    log.layout().header.ring_bytes.store(65536);
    EXPECT_EQ(count_log(log.memory).error(), (Error{Errc::bad_layout}));
    log.layout().header.magic.store(1);
    EXPECT_EQ(LogReader::subscribe(log.memory, 0, LogMode::reliable, LogStart::now).error(),
              (Error{Errc::bad_layout}));
}

// --- records ---------------------------------------------------------------------------------

TEST(Log, EachSubscriberGetsEachRecordOfEachSizeInOrder) {
    TestLog log{kSmallLog};
    LogWriter writer = log.writer();
    LogReader one = log.join(0, LogMode::reliable);
    LogReader two = log.join(1, LogMode::reliable);
    LogReader three = log.join(2, LogMode::latest);
    for (std::uint64_t bytes = 0; bytes <= 256; ++bytes) {
        const std::string text(bytes, static_cast<char>(bytes));
        expect_sent(writer, text);
        expect_sent(writer, "x");
        for (LogReader* reader : {&one, &two}) {
            EXPECT_EQ(take(*reader), text);
            EXPECT_EQ(copy(*reader), "x");
            EXPECT_EQ(take(*reader), "(empty)");
        }
        EXPECT_EQ(copy(three), text);
        EXPECT_EQ(copy(three), "x");
        EXPECT_EQ(copy(three), "(empty)");
    }
    EXPECT_EQ(writer.try_send(bytes_of(std::string(257, 'y'))), LogSend::too_big);
}

TEST(Log, FixedSizesTravelByTheShortPath) {
    TestLog log{kSmallLog};
    LogWriter writer = log.writer();
    LogReader one = log.join(0, LogMode::reliable);
    LogReader two = log.join(1, LogMode::latest);
    for (std::uint64_t i = 0; i < 500; ++i) {
        const std::array<std::uint64_t, 8> wide{i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7};
        ASSERT_EQ(writer.try_send<64>(wide.data()), LogSend::ok);
        ASSERT_EQ(writer.try_send<8>(&i), LogSend::ok);
        for (LogReader* reader : {&one, &two}) {
            std::array<std::uint64_t, 8> got{};
            LogCopy copied;
            ASSERT_EQ(reader->try_copy<8>(got.data(), copied), LogTake::too_small);
            ASSERT_EQ(copied.bytes, 64U);
            ASSERT_EQ(reader->try_copy<64>(got.data(), copied), LogTake::ok);
            ASSERT_EQ(got, wide);
            ASSERT_EQ(copied.sequence, 2 * i);
            ASSERT_EQ(reader->try_copy<64>(got.data(), copied), LogTake::ok);
            ASSERT_EQ(copied.bytes, 8U);
            ASSERT_EQ(got[0], i);
            ASSERT_EQ(reader->try_copy<8>(got.data(), copied), LogTake::empty);
        }
    }
}

TEST(Log, ABatchAppearsAtOnceAndADiscardedOneNever) {
    TestLog log{kSmallLog};
    LogWriter writer = log.writer();
    LogReader reader = log.join(0, LogMode::reliable);
    for (int round = 0; round < 200; ++round) {
        {
            LogBatch batch{writer};
            ASSERT_EQ(batch.try_append(bytes_of("first")), LogSend::ok);
            ASSERT_EQ(batch.try_append(bytes_of(std::string(100, 's'))), LogSend::ok);
            EXPECT_EQ(take(reader), "(empty)");
            if (round % 2 == 0) batch.publish();
        }
        const std::array<std::uint64_t, 5> numbers{1, 2, 3, 4, 5};
        LogBatch batch{writer};
        ASSERT_EQ(batch.append_all<8>(numbers.data(), 5), 5U);
        batch.publish();
        if (round % 2 == 0) {
            EXPECT_EQ(take(reader), "first");
            EXPECT_EQ(take(reader), std::string(100, 's'));
        }
        for (const std::uint64_t number : numbers) {
            EXPECT_EQ(take(reader), std::string(reinterpret_cast<const char*>(&number), 8));
        }
        EXPECT_EQ(take(reader), "(empty)");
    }
    EXPECT_EQ(writer.sequence(), reader.sequence());
}

// Who skips keeps what the bound allows, whether it came in a batch or one by one.
TEST(Log, TheFloorDoesNotPassOverABatchAsAWhole) {
    TestLog log{bounded(9)};
    LogWriter writer = log.writer();
    LogReader taker = log.join(0, LogMode::reliable);
    LogReader skipper = log.join(1, LogMode::latest);
    const std::vector<std::uint64_t> numbers(9, 7);
    for (int round = 0; round < 20; ++round) {
        LogBatch batch{writer};
        ASSERT_EQ(batch.append_all<8>(numbers.data(), 9), 9U);
        batch.publish();
        for (int i = 0; i < 9; ++i) ASSERT_NE(take(taker), "(empty)");
        std::span<std::byte> loan;  // makes room for one more, and does not send it
        ASSERT_EQ(writer.try_reserve(8, loan), LogSend::ok);
        writer.abandon();
        std::array<std::byte, 8> to{};
        LogCopy copy;
        while (skipper.try_copy(to, copy) == LogTake::ok) {
        }
        EXPECT_EQ(writer.sequence(), skipper.sequence()) << round;
    }
    EXPECT_LE(skipper.missed(), 20U * 3);
}

TEST(Log, ABatchStopsWhereTheLogIsFull) {
    TestLog log{bounded(10)};
    LogWriter writer = log.writer();
    LogReader reader = log.join(0, LogMode::reliable);
    const std::vector<std::uint64_t> numbers(30, 7);
    for (int round = 0; round < 100; ++round) {
        LogBatch batch{writer};
        std::uint64_t sent = batch.append_all<8>(numbers.data(), 30);
        batch.publish();
        if (sent < 10) {  // the floor may not pass what is not published
            sent += batch.append_all<8>(numbers.data(), 30);
            batch.publish();
        }
        ASSERT_EQ(sent, 10U);
        ASSERT_EQ(batch.try_append(bytes_of("one too many")), LogSend::full);
        for (int i = 0; i < 10; ++i) ASSERT_NE(take(reader), "(empty)");
        ASSERT_EQ(take(reader), "(empty)");
    }
}

TEST(Log, ALoanIsFilledInPlaceAndMayBeCommittedShorterOrNotAtAll) {
    TestLog log{kSmallLog};
    LogWriter writer = log.writer();
    LogReader reader = log.join(0, LogMode::reliable);
    for (std::uint64_t reserved = 0; reserved <= 256; reserved += 4) {
        for (std::uint64_t used = 0; used <= reserved; used += 3) {
            std::span<std::byte> loan;
            ASSERT_EQ(writer.try_reserve(reserved, loan), LogSend::ok);
            ASSERT_EQ(loan.size(), reserved);
            std::ranges::fill(loan, std::byte{0x21});  // looks like a ready word
            if (used % 2 == 0) {
                writer.abandon();
                continue;
            }
            writer.commit(used);
            ASSERT_EQ(take(reader), std::string(used, '!'));
            ASSERT_EQ(take(reader), "(empty)") << reserved << ' ' << used;
        }
    }
}

TEST(Log, OverAlignedLoansAreAligned) {
    TestLog log{kSmallLog};
    LogWriter writer = log.writer();
    LogReader reader = log.join(0, LogMode::reliable);
    for (int round = 0; round < 200; ++round) {
        for (const std::uint64_t alignment : {32U, 64U}) {
            std::span<std::byte> loan;
            ASSERT_EQ(writer.try_reserve(alignment, loan, alignment), LogSend::ok);
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(loan.data()) % alignment, 0U);
            writer.commit(alignment);
            LogRecord record;
            ASSERT_EQ(reader.try_take(record), LogTake::ok);
            EXPECT_EQ(record.payload.data(), loan.data());
            reader.release(record);
            expect_sent(writer, "odd");
            EXPECT_EQ(take(reader), "odd");
        }
    }
}

TEST(Log, TheLargestRecordFitsFromEveryOffset) {
    for (std::uint64_t max_bytes = 300; max_bytes <= 1024; max_bytes += 7) {
        LogGeometry geometry = kSmallLog;
        geometry.max_record_bytes = max_bytes;
        if (!geometry.valid()) continue;
        TestLog log{geometry};
        LogWriter writer = log.writer();
        LogReader reader = log.join(0, LogMode::reliable);
        LogReader latest = log.join(1, LogMode::latest);
        const std::string large(max_bytes, 'L');
        for (int lap = 0; lap < 64; ++lap) {
            for (int i = 0; i < lap; ++i) {
                expect_sent(writer, "tiny");
                ASSERT_EQ(take(reader), "tiny");
            }
            for (int tries = 0; writer.try_send(bytes_of(large)) != LogSend::ok; ++tries) {
                ASSERT_LT(tries, 4) << max_bytes;
                ASSERT_EQ(take(reader), "(empty)");  // skips and frees the pads
            }
            ASSERT_EQ(take(reader), large);
            std::string last;
            for (std::string text; (text = copy(latest)) != "(empty)";) last = text;
            ASSERT_TRUE(last.ends_with(large));
        }
    }
}

// --- who is held back ------------------------------------------------------------------------

TEST(Log, TheSlowestReliableSubscriberHoldsTheWriterAndALatestOneDoesNot) {
    TestLog log{kSmallLog};
    LogWriter writer = log.writer();
    EXPECT_EQ(send_until_full(writer, 500), 500U);  // nobody is there
    LogReader latest = log.join(0, LogMode::latest);
    EXPECT_EQ(send_until_full(writer, 500), 500U);
    EXPECT_TRUE(latest.ready());
    LogReader slow = log.join(1, LogMode::reliable);
    LogReader quick = log.join(2, LogMode::reliable);
    const std::uint64_t fits = send_until_full(writer);
    EXPECT_EQ(fits, 31U);  // 32 bytes each, and a place behind the last
    for (std::uint64_t i = 0; i < fits; ++i) EXPECT_EQ(take(quick), std::to_string(1000 + i));
    EXPECT_EQ(take(quick), "(empty)");
    EXPECT_FALSE(writer.has_room(8));
    EXPECT_EQ(take(slow), "1000");
    slow.free_now();
    EXPECT_EQ(send_until_full(writer), 1U);
    log.leave(slow, 1);
    EXPECT_TRUE(writer.has_room(8));
    EXPECT_EQ(take(quick), "1031");
}

TEST(Log, HoldsExactlyItsBoundForTheSlowestAlsoForHeirs) {
    for (const std::uint64_t bound : {1U, 2U, 3U, 7U, 8U, 17U, 64U}) {
        TestLog log{bounded(bound)};
        LogWriter writer = log.writer();
        send_until_full(writer, 50);
        LogReader quick = log.join(0, LogMode::reliable);
        LogReader slow = log.join(1, LogMode::reliable);
        ASSERT_EQ(send_until_full(writer), bound);
        for (std::uint64_t round = 0; round < 3 * bound; ++round) {
            while (take(quick) != "(empty)") continue;
            ASSERT_EQ(send_until_full(writer), 0U) << bound;
            ASSERT_EQ(take(slow), std::to_string(50 + round));
            if (round % 3 == 0) writer = log.writer();
            ASSERT_EQ(send_until_full(writer), 1U) << bound << " round " << round;
        }
        log.leave(slow, 1);
        const std::uint64_t waiting = count_log(log.memory)->waiting;
        ASSERT_EQ(send_until_full(writer), bound - waiting);
    }
}

TEST(Log, LoansAreReleasedInAnyOrderAndNeverOverwritten) {
    LogGeometry geometry = kSmallLog;
    TestLog log{geometry};
    LogWriter writer = log.writer();
    LogReader reader = log.join(0, LogMode::reliable);
    std::vector<std::pair<LogRecord, std::string>> held;
    std::uint64_t sent = 0;
    for (int round = 0; round < 3000; ++round) {
        if (writer.try_send(bytes_of(std::to_string(sent))) == LogSend::ok) ++sent;
        if (held.size() < 5) {
            LogRecord record;
            if (reader.try_take(record) == LogTake::ok) {
                held.push_back({record, std::to_string(record.sequence)});
            }
        }
        for (const auto& [record, text] : held) {
            ASSERT_EQ(std::string(reinterpret_cast<const char*>(record.payload.data()),
                                  record.payload.size()),
                      text);
        }
        if (held.size() == 5) {
            const auto which = static_cast<std::size_t>(round) * 7 % 5;
            reader.release(held[which].first);
            held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
        }
    }
    EXPECT_GT(sent, 1000U);
    EXPECT_EQ(reader.missed(), 0U);
}

TEST(Log, ManyLoansAreRefusedPolitely) {
    LogGeometry geometry = kSmallLog;
    geometry.ring_bytes = 8192;
    TestLog log{geometry};
    LogWriter writer = log.writer();
    LogReader reader = log.join(0, LogMode::reliable);
    send_until_full(writer, 70);
    std::vector<LogRecord> held(64);
    for (LogRecord& record : held) ASSERT_EQ(reader.try_take(record), LogTake::ok);
    EXPECT_EQ(take(reader), "(too many loans)");
    EXPECT_EQ(copy(reader), "(too many loans)");
    reader.release(held[17]);
    EXPECT_EQ(take(reader), "64");
}

// --- joining and leaving ---------------------------------------------------------------------

TEST(Log, ALateSubscriberBeginsNowOrAtTheOldestKept) {
    TestLog log{kSmallLog};
    LogWriter writer = log.writer();
    send_until_full(writer, 5);
    LogReader late = log.join(0, LogMode::reliable, LogStart::now);
    LogReader oldest = log.join(1, LogMode::reliable, LogStart::oldest_kept);
    LogReader copies = log.join(2, LogMode::latest, LogStart::oldest_kept);
    EXPECT_EQ(take(late), "(empty)");
    EXPECT_EQ(take(oldest), "0");
    EXPECT_EQ(copy(copies), "0");
    expect_sent(writer, "5");
    EXPECT_EQ(take(late), "5");
    for (int i = 1; i <= 5; ++i) EXPECT_EQ(take(oldest), std::to_string(i));
    EXPECT_EQ(take(oldest), "(empty)");
}

TEST(Log, KeepsAtLeastFifteenSixteenthsOfTheRingForThoseWhoComeLate) {
    TestLog log{kSmallLog};
    LogWriter writer = log.writer();
    for (int lap = 0; lap < 200; ++lap) {
        send_until_full(writer, 1);
        LogReader oldest = log.join(0, LogMode::reliable, LogStart::oldest_kept);
        const std::uint64_t first = oldest.sequence();
        EXPECT_EQ(take(oldest), std::to_string(first));
        const std::uint64_t kept = writer.sequence() - first;
        EXPECT_GE(kept, std::min<std::uint64_t>(writer.sequence(), 1024 * 14 / 16 / 32)) << lap;
        log.leave(oldest, 0);
    }
}

TEST(Log, WhoComesLateGetsNoMoreThanTheBound) {
    for (const std::uint64_t bound : {1U, 4U, 17U, 32U}) {
        TestLog log{bounded(bound)};
        LogWriter writer = log.writer();
        for (int round = 0; round < 100; ++round) {
            send_until_full(writer, 1);
            for (const LogMode mode : {LogMode::reliable, LogMode::latest}) {
                LogReader oldest = log.join(0, mode, LogStart::oldest_kept);
                std::uint64_t kept = 0;
                while (copy(oldest) != "(empty)") ++kept;
                EXPECT_LE(kept, bound);
                EXPECT_GE(kept, std::min(writer.sequence(), bound - bound / 8));
                log.leave(oldest, 0);
            }
        }
    }
}

TEST(Log, ASubscriptionThatEndedHoldsNobody) {
    TestLog log{bounded(4)};
    LogWriter writer = log.writer();
    for (int round = 0; round < 20; ++round) {
        LogReader reader = log.join(0, LogMode::reliable);
        EXPECT_EQ(send_until_full(writer), 4U);
        LogRecord record;
        EXPECT_EQ(reader.try_take(record), LogTake::ok);  // a loan ends with the subscription
        log.leave(reader, 0);
        EXPECT_EQ(send_until_full(writer, 100), 100U);
    }
}

TEST(Log, ASeatHasOneHolderAndOnlyItsDeathFreesIt) {
    TestLog log{bounded(4)};
    LogSeats seats = log.seats();
    LogWriter writer = log.writer();
    EXPECT_EQ(seats.claim(1, 7), LogClaim::claimed);
    EXPECT_EQ(seats.claim(1, 7), LogClaim::ours);
    EXPECT_EQ(seats.claim(1, 8), LogClaim::busy);
    EXPECT_EQ(seats.claim(4, 8), LogClaim::busy);
    EXPECT_EQ(seats.holder(1), 7U);
    EXPECT_TRUE(LogReader::subscribe(log.memory, 1, LogMode::reliable, LogStart::now));
    EXPECT_EQ(send_until_full(writer), 4U);
    EXPECT_FALSE(seats.drop(1, 8));
    EXPECT_FALSE(writer.has_room(1));
    EXPECT_TRUE(seats.drop(1, 7));
    EXPECT_FALSE(seats.drop(1, 7));
    EXPECT_TRUE(writer.has_room(1));
    EXPECT_EQ(seats.claim(1, 8), LogClaim::claimed);
}

TEST(Log, WhoLeavesLateEndsNoSubscriptionButItsOwn) {
    TestLog log{bounded(4)};
    LogSeats seats = log.seats();
    LogWriter writer = log.writer();
    LogReader late = log.join(1, LogMode::reliable);
    EXPECT_TRUE(seats.drop(1, seats.holder(1)));
    ASSERT_EQ(seats.claim(1, 8), LogClaim::claimed);
    LogReader heir = LogReader::subscribe(log.memory, 1, LogMode::reliable, LogStart::now).value();
    late.unsubscribe();
    EXPECT_EQ(send_until_full(writer, 100), 4U);
    LogRecord record;
    EXPECT_EQ(heir.try_take(record), LogTake::ok);
}

TEST(Log, WhoWasEnrolledBeforeTheFirstRecordMissesNone) {
    for (const LogMode mode : {LogMode::reliable, LogMode::latest}) {
        TestLog log{bounded(4)};
        LogSeats seats = log.seats();
        EXPECT_TRUE(seats.enroll(2, 9, mode));
        EXPECT_TRUE(seats.enroll(2, 9, mode));
        EXPECT_FALSE(seats.enroll(2, 10, mode));
        LogWriter writer = log.writer();
        EXPECT_EQ(send_until_full(writer, 10), mode == LogMode::reliable ? 4U : 10U);
        LogReader reader = LogReader::resume(log.memory, 2).value();
        EXPECT_EQ(reader.mode(), mode);
        EXPECT_EQ(copy(reader), mode == LogMode::reliable ? "0" : "+6 6");
        EXPECT_FALSE(LogReader::resume(log.memory, 1));
    }
}

// A sweeper that was stopped in the middle of its drop finds the next holder's subscription.
TEST(Log, ALateSweeperDoesNotTouchTheNextHolder) {
    TestLog log{bounded(4)};
    LogSeats seats = log.seats();
    LogWriter writer = log.writer();
    EXPECT_EQ(seats.claim(0, 7), LogClaim::claimed);
    static_cast<void>(LogReader::subscribe(log.memory, 0, LogMode::reliable, LogStart::now));
    std::uint64_t looked = log.layout().cursors[0].state.load();  // D1
    EXPECT_TRUE(seats.drop(0, 7));
    LogReader next = log.join(0, LogMode::reliable);
    EXPECT_FALSE(log.layout().cursors[0].state.compare_exchange_strong(looked, 0));  // D3
    EXPECT_EQ(send_until_full(writer), 4U);
    EXPECT_EQ(take(next), "0");
}

// --- latest ----------------------------------------------------------------------------------

TEST(Log, ALatestSubscriberSkipsWhatWasOverwrittenAndIsToldHowMany) {
    TestLog log{kSmallLog};
    LogWriter writer = log.writer();
    LogReader latest = log.join(0, LogMode::latest);
    std::uint64_t due = 0;
    for (const std::uint64_t burst : {3U, 100U, 1U, 1000U, 31U, 40U, 7U}) {
        send_until_full(writer, burst);
        std::uint64_t got = 0;
        std::array<std::byte, 64> buffer;
        LogCopy copied;
        while (latest.try_copy(buffer, copied) == LogTake::ok) {
            EXPECT_EQ(copied.sequence, due + copied.missed);
            EXPECT_EQ(std::string(reinterpret_cast<const char*>(buffer.data()), copied.bytes),
                      std::to_string(copied.sequence));
            due = copied.sequence + 1;
            ++got;
        }
        EXPECT_EQ(due, writer.sequence());
        EXPECT_GE(got, std::min<std::uint64_t>(burst, 28));
    }
    EXPECT_EQ(count_log(log.memory)->missed, latest.missed());
}

TEST(Log, ALatestSubscriberIsNeverFurtherBehindThanTheBound) {
    TestLog log{bounded(3)};
    LogWriter writer = log.writer();
    LogReader latest = log.join(0, LogMode::latest);
    send_until_full(writer, 50);
    EXPECT_EQ(copy(latest), "+47 47");
    EXPECT_EQ(copy(latest), "48");
    send_until_full(writer, 1);
    EXPECT_EQ(copy(latest), "49");
}

TEST(Log, ABufferThatIsTooSmallLosesNothing) {
    for (const LogMode mode : {LogMode::reliable, LogMode::latest}) {
        TestLog log{bounded(4)};
        LogWriter writer = log.writer();
        LogReader reader = log.join(0, mode);
        expect_sent(writer, "twelve bytes");
        std::array<std::byte, 11> small;
        LogCopy copied;
        EXPECT_EQ(reader.try_copy(small, copied), LogTake::too_small);
        EXPECT_EQ(copied.bytes, 12U);
        EXPECT_EQ(copy(reader), "twelve bytes");
    }
}

// --- heirs -----------------------------------------------------------------------------------

TEST(Log, AnHeirOfTheWriterTrustsNoPlaceAheadOfIt) {
    LogGeometry geometry = kSmallLog;
    TestLog log{geometry};
    LogReader reader = log.join(0, LogMode::reliable);
    for (int round = 0; round < 100; ++round) {
        LogWriter dead = log.writer();
        expect_sent(dead, "from the dead");
        LogBatch batch{dead};  // never published: its words stand there
        for (int i = 0; i < 6; ++i) {
            ASSERT_EQ(batch.try_append(bytes_of("phantom")), LogSend::ok);
        }
        LogWriter heir = log.writer();
        EXPECT_EQ(heir.sequence(), 2U * static_cast<unsigned>(round) + 1);
        expect_sent(heir, "heir");
        EXPECT_EQ(take(reader), "from the dead");
        EXPECT_EQ(take(reader), "heir");
        ASSERT_EQ(take(reader), "(empty)");
    }
}

TEST(Log, WordsThatNoWriterWritesAreCorruptAndNotACrash) {
    TestLog log{kSmallLog};
    LogWriter writer = log.writer();
    LogReader reader = log.join(0, LogMode::reliable);
    LogReader latest = log.join(1, LogMode::latest);
    expect_sent(writer, "x");
    log.head(0).ready.store(LaneWord::make(LaneKind::record, 5000));
    EXPECT_EQ(take(reader), "(corrupt)");
    EXPECT_EQ(copy(latest), "(corrupt)");
    EXPECT_EQ(LogWriter::attach(log.memory).error(), (Error{Errc::corrupt}));
    EXPECT_FALSE(count_log(log.memory));
    log.layout().cursors[0].hold.store(1 << 20U);
    EXPECT_LE(send_until_full(writer, 100), 2U);
    EXPECT_EQ(writer.try_send(bytes_of("x")), LogSend::corrupt);
}

// --- sleeping --------------------------------------------------------------------------------

TEST(LogSleeps, AWriterThatSleepsForRoomIsRungOncePerSleepByEachThatMoves) {
    TestLog log{bounded(4)};
    LogWriter writer = log.writer();
    LogReader one = log.join(0, LogMode::reliable);
    LogReader two = log.join(1, LogMode::reliable);
    for (int round = 0; round < 50; ++round) {
        send_until_full(writer);
        const LaneSleep sleep = writer.mark_asleep();
        ASSERT_FALSE(writer.has_room(8));
        EXPECT_EQ(sleep.word->load(), sleep.expected);
        EXPECT_NE(take(one), "(empty)");
        EXPECT_EQ(one.sleeper_to_wake(), sleep.word);
        EXPECT_NE(sleep.word->load(), sleep.expected);
        EXPECT_EQ(one.sleeper_to_wake(), nullptr);
        EXPECT_NE(take(two), "(empty)");
        EXPECT_EQ(two.sleeper_to_wake(), sleep.word);
        writer.mark_awake();
        EXPECT_TRUE(writer.has_room(8));
        EXPECT_EQ(one.sleeper_to_wake(), nullptr);
    }
}

TEST(LogSleeps, AWriterThatSleepsForBytesIsRungWhenAStrideOfThemCameBack) {
    TestLog log{kSmallLog};  // returns 128 bytes at a time
    LogWriter writer = log.writer();
    LogReader reader = log.join(0, LogMode::reliable);
    send_until_full(writer);
    const LaneSleep sleep = writer.mark_asleep();
    EXPECT_EQ(take(reader), "0");
    EXPECT_EQ(reader.sleeper_to_wake(), sleep.word);  // new here, it cannot know
    writer.mark_awake();
    const LaneSleep again = writer.mark_asleep();
    for (int i = 1; i < 4; ++i) {
        EXPECT_EQ(reader.sleeper_to_wake(), nullptr);
        EXPECT_EQ(take(reader), std::to_string(i));
    }
    EXPECT_EQ(reader.sleeper_to_wake(), again.word);
    EXPECT_TRUE(writer.has_room(8));
    reader.unsubscribe();
    writer.mark_awake();
    static_cast<void>(writer.mark_asleep());
    EXPECT_EQ(reader.sleeper_to_wake(), again.word);
}

TEST(LogSleeps, ADropCountsOnSoThatASleepEnds) {
    TestLog log{bounded(4)};
    LogWriter writer = log.writer();
    static_cast<void>(log.join(0, LogMode::reliable));
    send_until_full(writer);
    const LaneSleep sleep = writer.mark_asleep();
    ASSERT_FALSE(writer.has_room(8));
    EXPECT_TRUE(log.seats().drop(0, 100));
    EXPECT_NE(sleep.word->load(), sleep.expected);
    EXPECT_EQ(&log.seats().writer_bell(), sleep.word);
}

}  // namespace
}  // namespace stoa
