#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "stoa/ring/lane_test_kit.hpp"

namespace stoa {
namespace {

// --- shape -----------------------------------------------------------------------------------

TEST(LaneShape, StridesKeepTheNextHeadAligned) {
    EXPECT_EQ(lane_stride(0), 16U);
    EXPECT_EQ(lane_stride(8), 16U);
    EXPECT_EQ(lane_stride(9), 32U);
    EXPECT_EQ(lane_stride(16), 32U);
    EXPECT_EQ(lane_stride(17), 64U);
    EXPECT_EQ(lane_stride(48), 64U);
    EXPECT_EQ(lane_stride(49), 80U);
    EXPECT_EQ(lane_stride(64), 80U);
    EXPECT_EQ(lane_stride(256), 320U);
    for (std::uint64_t bytes = 0; bytes < 5000; ++bytes) {
        EXPECT_EQ(lane_stride(bytes) % 16, 0U);
        EXPECT_GE(lane_stride(bytes), bytes + (bytes <= 8 ? 8 : 16));
    }
}

TEST(LaneShape, ReadyWordsAreTheDocumentedOnes) {
    EXPECT_EQ(LaneWord::make(LaneKind::record, 5, LaneWord::cpu_bits(3)),
              5U << 16U | 3U << 2U | 1U);
    EXPECT_EQ(LaneWord::make(LaneKind::pad, 32, 0), 32U << 16U | 2U);
    EXPECT_EQ(LaneWord::make(LaneKind::end, 0, 0), 3U);
    EXPECT_EQ(LaneWord::cpu(LaneWord::make(LaneKind::record, 0)), kLaneUnknownCpu);
    EXPECT_EQ(kLaneUnknownCpu, 16383U);
}

TEST(LaneShape, EveryPlaceKeepsItsPromisesAfterAtMostThreePads) {
    for (const std::uint64_t alignment : {16U, 32U, 64U}) {
        for (std::uint64_t bytes = 0; bytes <= 320; ++bytes) {
            for (std::uint64_t offset = 0; offset < 1024; offset += 16) {
                std::uint64_t at = offset;
                for (int pads = 0; pads < 3; ++pads) {
                    at = (at + lane_pad(at, bytes, alignment, 1024)) % 1024;
                }
                ASSERT_EQ(lane_pad(at, bytes, alignment, 1024), 0U);
                ASSERT_LE(at + lane_stride(bytes), 1024U);
                const std::uint64_t payload = at + lane_payload_offset(bytes);
                if (bytes > 8) {
                    ASSERT_EQ(payload % alignment, 0U);
                }
                if (bytes >= 256) {
                    ASSERT_EQ(payload % 64, 0U);
                }
                if (bytes <= 48 && alignment == 16) {
                    ASSERT_EQ(at / 64, (payload + std::max(bytes, std::uint64_t{1}) - 1) / 64);
                }
            }
        }
    }
}

TEST(LaneShape, ARingThatCannotHoldItsLargestRecordIsRefused) {
    const auto create = [](LaneGeometry geometry) {
        kit::TempRegion region{sizeof(LaneLayout) + 65536};
        return create_lane(region.bytes(), geometry);
    };
    EXPECT_TRUE(create({1024, 896 - 16 + 64}));
    EXPECT_EQ(create({1024, 1024 - 16 - 63}).error(), (Error{Errc::bad_argument}));
    EXPECT_EQ(create({1024, 1024}).error(), (Error{Errc::bad_argument}));
    EXPECT_EQ(create({1000, 8}).error(), (Error{Errc::bad_argument}));
    EXPECT_EQ(create({64, 8}).error(), (Error{Errc::bad_argument}));
    EXPECT_EQ(create({0, 0}).error(), (Error{Errc::bad_argument}));
    EXPECT_EQ(create({131072, 8}).error(), (Error{Errc::wrong_size}));
    EXPECT_FALSE((LaneGeometry{kLaneMaxRingBytes * 2, 8}.valid()));
    EXPECT_FALSE((LaneGeometry{1024, UINT64_MAX}.valid()));
    EXPECT_FALSE(LaneGeometry::holding(UINT64_MAX, 1).valid());
    EXPECT_FALSE(LaneGeometry::holding(1, UINT64_MAX).valid());
}

TEST(LaneShape, TheLargestRecordFitsFromEveryOffset) {
    for (std::uint64_t max_bytes = 300; max_bytes <= 1024; ++max_bytes) {
        const LaneGeometry geometry{1024, max_bytes};
        if (!geometry.valid()) continue;
        TestLane lane{geometry};
        LaneSender sender = lane.sender();
        LaneReceiver receiver = lane.receiver();
        const std::string large(max_bytes, 'L');
        for (int lap = 0; lap < 64; ++lap) {
            for (int i = 0; i < lap; ++i) {
                expect_sent(sender, "tiny");
                ASSERT_EQ(take(receiver), "tiny");
            }
            for (int tries = 0; sender.try_send(bytes_of(large)) != LaneSend::ok; ++tries) {
                ASSERT_LT(tries, 4) << max_bytes;
                ASSERT_EQ(take(receiver), "(empty)");  // skips and frees the pads
            }
            ASSERT_EQ(take(receiver), large);
        }
    }
}

TEST(LaneShape, AHoldingGeometryKeepsItsWordBesideAReceiverThatIsElsewhere) {
    for (const std::uint64_t max_bytes : {1U, 9U, 48U, 100U, 256U, 1000U, 4000U}) {
        const LaneGeometry geometry = LaneGeometry::holding(5, max_bytes);
        TestLane lane{geometry};
        LaneSender sender = lane.sender();
        LaneReceiver receiver = lane.receiver();
        const std::string large(max_bytes, 'L');
        for (int lap = 0; lap < 200; ++lap) {
            for (int i = 0; i < 5; ++i) expect_sent(sender, large);
            for (int i = 0; i < 5; ++i) ASSERT_EQ(take(receiver), large);
            expect_sent(sender, "");
            ASSERT_EQ(take(receiver), "");
        }
    }
}

// --- records ---------------------------------------------------------------------------------

TEST(Lane, RecordsOfAllSizesArriveInOrder) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    EXPECT_EQ(take(receiver), "(empty)");
    for (std::uint64_t bytes = 0; bytes <= 256; ++bytes) {
        const std::string text(bytes, static_cast<char>(bytes));
        expect_sent(sender, text);
        expect_sent(sender, "x");
        EXPECT_EQ(take(receiver), text);
        EXPECT_EQ(take(receiver), "x");
        EXPECT_EQ(take(receiver), "(empty)");
    }
    EXPECT_EQ(sender.try_send(bytes_of(std::string(257, 'y'))), LaneSend::too_big);
    EXPECT_TRUE(sender.drained());
}

TEST(Lane, FixedSizesTravelByTheShortPath) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    for (std::uint64_t i = 0; i < 500; ++i) {
        const std::array<std::uint64_t, 6> wide{i, i + 1, i + 2, i + 3, i + 4, i + 5};
        ASSERT_EQ(sender.try_send<8>(&i), LaneSend::ok);
        ASSERT_EQ(sender.try_send<48>(wide.data()), LaneSend::ok);
        std::uint64_t got = 0;
        std::array<std::uint64_t, 6> got_wide{};
        ASSERT_EQ(receiver.try_receive<48>(got_wide.data()), LaneTake::wrong_size);
        ASSERT_EQ(receiver.try_receive<8>(&got), LaneTake::ok);
        ASSERT_EQ(receiver.try_receive<8>(&got), LaneTake::wrong_size);  // it stays first
        ASSERT_EQ(receiver.try_receive<48>(got_wide.data()), LaneTake::ok);
        ASSERT_EQ(receiver.try_receive<8>(&got), LaneTake::empty);
        ASSERT_EQ(got, i);
        ASSERT_EQ(got_wide, wide);
    }
    EXPECT_EQ(sender.try_send<257>(lane.memory.data()), LaneSend::too_big);
}

TEST(Lane, IsFullExactlyWhenNoPlaceWouldBeLeftBehindTheRecord) {
    TestLane lane{{.ring_bytes = 256, .max_record_bytes = 8}};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    for (int lap = 0; lap < 50; ++lap) {
        for (int i = 0; i < 15; ++i) expect_sent(sender, "12345678");
        EXPECT_EQ(sender.try_send(bytes_of("9")), LaneSend::full);
        EXPECT_FALSE(sender.has_room(1));
        EXPECT_EQ(take(receiver), "12345678");
        receiver.free_now();
        EXPECT_TRUE(sender.has_room(8));
        expect_sent(sender, "last");
        EXPECT_EQ(sender.try_send(bytes_of("9")), LaneSend::full);
        for (int i = 0; i < 14; ++i) EXPECT_EQ(take(receiver), "12345678");
        EXPECT_EQ(take(receiver), "last");
        EXPECT_EQ(take(receiver), "(empty)");
    }
}

TEST(Lane, SpaceReturnsInStridesAndWhenAReceiveFindsNothing) {
    TestLane lane{kSmall};  // returns 128 bytes at a time
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    for (int i = 0; i < 9; ++i) expect_sent(sender, "12345678");
    for (int i = 0; i < 7; ++i) EXPECT_EQ(take(receiver), "12345678");
    EXPECT_EQ(lane.layout().receiver.freed.load(), 0U);
    EXPECT_EQ(lane.layout().receiver.delivered.load(), 7U * 16U);
    EXPECT_EQ(take(receiver), "12345678");
    EXPECT_EQ(lane.layout().receiver.freed.load(), 128U);
    EXPECT_EQ(take(receiver), "12345678");
    EXPECT_EQ(lane.layout().receiver.freed.load(), 128U);
    EXPECT_EQ(take(receiver), "(empty)");
    EXPECT_EQ(lane.layout().receiver.freed.load(), 144U);
}

TEST(Lane, AReceiverThatWentAwayOwesTooLittleToBlockTheLargestRecord) {
    TestLane lane{{.ring_bytes = 1024, .max_record_bytes = 900}};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    for (int i = 0; i < 3; ++i) expect_sent(sender, "12345678");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(take(receiver), "12345678");
    EXPECT_LE(sender.position() - lane.layout().receiver.freed.load(),
              1024 - lane_stride(900) - 16);
}

// --- loans of the sender ---------------------------------------------------------------------

TEST(Lane, ALoanIsFilledInPlaceAndMayBeCommittedShorter) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    for (std::uint64_t reserved = 0; reserved <= 256; reserved += 4) {
        for (std::uint64_t used = 0; used <= reserved; used += 3) {
            std::span<std::byte> loan;
            ASSERT_EQ(sender.try_reserve(reserved, loan), LaneSend::ok);
            ASSERT_EQ(loan.size(), reserved);
            std::ranges::fill(loan, std::byte{0x21});  // looks like a ready word
            sender.commit(used);
            ASSERT_EQ(take(receiver), std::string(used, '!'));
            ASSERT_EQ(take(receiver), "(empty)") << reserved << ' ' << used;
        }
    }
}

TEST(Lane, AnAbandonedLoanLeavesNothingAndTheNextRecordIsShorter) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    for (int round = 0; round < 100; ++round) {
        expect_sent(sender, std::string(48, 'a'));  // clears a place ahead
        std::span<std::byte> loan;
        ASSERT_EQ(sender.try_reserve(256, loan), LaneSend::ok);
        std::ranges::fill(loan, std::byte{0x21});
        sender.abandon();
        expect_sent(sender, std::string(48, 'b'));
        EXPECT_EQ(take(receiver), std::string(48, 'a'));
        EXPECT_EQ(take(receiver), std::string(48, 'b'));
        ASSERT_EQ(take(receiver), "(empty)");
    }
}

TEST(Lane, OverAlignedLoansAreAligned) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    for (int round = 0; round < 200; ++round) {
        for (const std::uint64_t alignment : {32U, 64U}) {
            std::span<std::byte> loan;
            ASSERT_EQ(sender.try_reserve(alignment, loan, alignment), LaneSend::ok);
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(loan.data()) % alignment, 0U);
            std::ranges::fill(loan, std::byte{'o'});
            sender.commit(alignment);
            LaneRecord record;
            ASSERT_EQ(receiver.try_take(record), LaneTake::ok);
            EXPECT_EQ(record.payload.data(), loan.data());
            EXPECT_EQ(record.payload.size(), alignment);
            receiver.release(record);
            expect_sent(sender, "odd");
            EXPECT_EQ(take(receiver), "odd");
        }
    }
}

// --- not-ready before publish ----------------------------------------------------------------

TEST(Lane, OldBytesBehindARecordAreNeverReadAsOne) {
    for (std::uint64_t first = 0; first <= 64; ++first) {
        for (std::uint64_t second = 0; second <= 256; second += 7) {
            TestLane lane{kSmall};
            lane.fill_with_phantoms(0);
            LaneSender sender = lane.sender();
            LaneReceiver receiver = lane.receiver();
            for (const auto bytes : {first, first, second, first, second, second}) {
                expect_sent(sender, std::string(bytes, 'r'));
                ASSERT_EQ(take(receiver), std::string(bytes, 'r'));
                ASSERT_EQ(take(receiver), "(empty)") << first << ' ' << second;
            }
        }
    }
}

TEST(Lane, AnHeirOfTheSenderTrustsNoPlaceAheadOfIt) {
    TestLane lane{kSmall};
    LaneReceiver receiver = lane.receiver();
    for (int round = 0; round < 60; ++round) {
        LaneSender dead = lane.sender();
        expect_sent(dead, "from the dead");
        LaneBatch batch{dead};  // never published: its words stand there
        for (int i = 0; i < 6; ++i) ASSERT_EQ(batch.try_append(bytes_of("phantom")), LaneSend::ok);
        LaneSender heir = lane.sender();
        expect_sent(heir, "heir");
        EXPECT_EQ(take(receiver), "from the dead");
        EXPECT_EQ(take(receiver), "heir");
        ASSERT_EQ(take(receiver), "(empty)");
    }
}

// --- batches ---------------------------------------------------------------------------------

TEST(LaneBatches, NothingIsSeenBeforeTheFirstRecordIsPublishedLast) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    lane.fill_with_phantoms(0);
    LaneBatch batch{sender};
    for (const char* text : {"one", "two", "three"}) {
        ASSERT_EQ(batch.try_append(bytes_of(text)), LaneSend::ok);
        EXPECT_FALSE(receiver.ready());
        EXPECT_EQ(lane.head(0).ready.load(), 0U);
    }
    EXPECT_NE(lane.head(16).ready.load(), 0U);
    batch.publish();
    for (const char* text : {"one", "two", "three"}) EXPECT_EQ(take(receiver), text);
    EXPECT_EQ(take(receiver), "(empty)");
}

TEST(LaneBatches, RecordsOfABatchAreFilledInPlaceAndMayBeCommittedShorter) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    for (int round = 0; round < 100; ++round) {
        LaneBatch batch{sender};
        std::span<std::byte> loan;
        for (const std::uint64_t used : {100U, 5U, 64U}) {
            ASSERT_EQ(batch.try_reserve(100, loan, 64), LaneSend::ok);
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(loan.data()) % 64, 0U);
            std::ranges::fill(loan, std::byte{'p'});
            batch.commit(used);
        }
        EXPECT_EQ(batch.try_reserve(257, loan), LaneSend::too_big);
        ASSERT_EQ(batch.try_reserve(200, loan), LaneSend::ok);  // never committed
        EXPECT_FALSE(receiver.ready());
        batch.publish();
        for (const std::size_t used : {100U, 5U, 64U}) {
            EXPECT_EQ(take(receiver), std::string(used, 'p'));
        }
        ASSERT_EQ(take(receiver), "(empty)");
    }
}

TEST(LaneBatches, ADiscardedBatchNeverWas) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    for (int round = 0; round < 100; ++round) {
        expect_sent(sender, "12345678");
        {
            LaneBatch batch{sender};
            ASSERT_EQ(batch.try_append(bytes_of(std::string(100, '!'))), LaneSend::ok);
            ASSERT_EQ(batch.try_append(bytes_of("gone")), LaneSend::ok);
        }
        expect_sent(sender, "after");
        EXPECT_EQ(take(receiver), "12345678");
        EXPECT_EQ(take(receiver), "after");
        ASSERT_EQ(take(receiver), "(empty)");
    }
}

TEST(LaneBatches, EqualRecordsGoInAndOutTogether) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    LaneBatch batch{sender};
    while (received < 5000) {
        std::array<std::uint64_t, 37> numbers{};
        for (std::uint64_t& number : numbers) number = sent++;
        std::uint64_t done = 0;
        while (done < numbers.size()) {
            done += batch.append_all<8>(&numbers.at(done), numbers.size() - done);
            batch.publish();
            std::array<std::uint64_t, 11> got{};
            std::uint64_t count = 0;
            while (receiver.try_receive_all<8>(got.data(), got.size(), count) == LaneTake::ok) {
                ASSERT_GE(count, 1U);
                for (std::uint64_t i = 0; i < count; ++i) ASSERT_EQ(got.at(i), received++);
            }
        }
    }
    EXPECT_EQ(received, sent);
}

TEST(LaneBatches, AFullRingTakesAsManyAsFitAndPadsCount) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    expect_sent(sender, "shift");
    LaneBatch batch{sender};
    int appended = 0;
    while (batch.try_append(bytes_of(std::string(48, 'f'))) == LaneSend::ok) ++appended;
    EXPECT_EQ(appended, 15 - 1);  // the pad before the first keeps it in one line
    EXPECT_EQ(batch.try_append(bytes_of(std::string(300, 'f'))), LaneSend::too_big);
    batch.publish();
    EXPECT_EQ(take(receiver), "shift");
    for (int i = 0; i < appended; ++i) EXPECT_EQ(take(receiver), std::string(48, 'f'));
    EXPECT_EQ(take(receiver), "(empty)");
}

// --- receivers and their loans ---------------------------------------------------------------

TEST(LaneReceivers, AnHeirStartsBehindWhatWasDeliveredAndFreesTheLoans) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver dead = lane.receiver();
    for (const char* text : {"1", "2", "3", "4"}) expect_sent(sender, text);
    LaneRecord held;
    ASSERT_EQ(dead.try_take(held), LaneTake::ok);
    EXPECT_EQ(take(dead), "2");
    EXPECT_EQ(lane.layout().receiver.freed.load(), 0U);
    LaneReceiver heir = lane.receiver();
    EXPECT_EQ(lane.layout().receiver.freed.load(), 32U);
    EXPECT_EQ(take(heir), "3");
    EXPECT_EQ(take(heir), "4");
    EXPECT_EQ(take(heir), "(empty)");
}

TEST(LaneReceivers, LoansReturnInAnyOrderAndSpaceUpToTheOldest) {
    TestLane lane{{.ring_bytes = 256, .max_record_bytes = 8}};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    std::vector<LaneRecord> loans(15);
    for (int i = 0; i < 15; ++i) expect_sent(sender, std::to_string(i));
    for (LaneRecord& loan : loans) ASSERT_EQ(receiver.try_take(loan), LaneTake::ok);
    EXPECT_EQ(receiver.loans(), 15U);
    for (std::size_t i = 1; i < 15; ++i) {
        receiver.release(loans[i]);
        EXPECT_FALSE(sender.has_room(1)) << "the oldest is still lent";
    }
    EXPECT_EQ(std::memcmp(loans[0].payload.data(), "0", 1), 0);
    receiver.release(loans[0]);
    EXPECT_TRUE(sender.has_room(1));
    EXPECT_EQ(receiver.loans(), 0U);
}

TEST(LaneReceivers, AnOldLoanIsNotOverwrittenWhileOthersComeAndGo) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    expect_sent(sender, "keep this one");
    LaneRecord kept;
    ASSERT_EQ(receiver.try_take(kept), LaneTake::ok);
    int passed = 0;
    while (sender.try_send(bytes_of("12345678")) == LaneSend::ok) {
        EXPECT_EQ(take(receiver), "12345678");
        ++passed;
    }
    EXPECT_EQ(passed, (1024 - 32 - 16) / 16);
    EXPECT_EQ(std::memcmp(kept.payload.data(), "keep this one", 13), 0);
    receiver.release(kept);
    expect_sent(sender, "again");
}

TEST(LaneReceivers, TheSixtyFifthLoanIsRefusedAndNothingIsLost) {
    TestLane lane{{.ring_bytes = 4096, .max_record_bytes = 8}};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    for (int i = 0; i < 65; ++i) expect_sent(sender, std::to_string(i));
    std::vector<LaneRecord> loans(64);
    for (LaneRecord& loan : loans) ASSERT_EQ(receiver.try_take(loan), LaneTake::ok);
    EXPECT_EQ(take(receiver), "(too many loans)");
    receiver.release(loans[40]);
    EXPECT_EQ(take(receiver), "64");
}

TEST(LaneReceivers, ALongStreakThatEndsAsksForABackOffOnce) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    for (int i = 0; i < 20; ++i) expect_sent(sender, "s");
    while (take(receiver) == "s") continue;
    EXPECT_EQ(receiver.back_off_pauses(), 150U);
    EXPECT_EQ(receiver.back_off_pauses(), 0U);
    expect_sent(sender, "s");
    EXPECT_EQ(take(receiver), "s");
    EXPECT_EQ(receiver.back_off_pauses(), 0U);
}

TEST(LaneReceivers, HintsTravelWithTheRecordsAndWithTheSpace) {
    TestLane lane{kSmall};
    LaneSender sender = lane.sender();
    LaneReceiver receiver = lane.receiver();
    EXPECT_EQ(receiver.sender_cpu(), kLaneUnknownCpu);
    EXPECT_EQ(sender.receiver_cpu(), kLaneUnknownCpu);
    sender.set_cpu(5);
    receiver.set_cpu(7);
    expect_sent(sender, std::string(200, 'h'));
    EXPECT_EQ(take(receiver), std::string(200, 'h'));
    EXPECT_EQ(receiver.sender_cpu(), 5U);
    EXPECT_EQ(receiver.last_bytes(), 200U);
    EXPECT_EQ(sender.receiver_cpu(), 7U);
    sender.set_cpu(1'000'000);
    expect_sent(sender, "x");
    EXPECT_EQ(take(receiver), "x");
    EXPECT_EQ(receiver.sender_cpu(), kLaneUnknownCpu);
    EXPECT_EQ(lane_spin_pauses(0), 400U);
    EXPECT_EQ(lane_spin_pauses(6400), 500U);
    EXPECT_EQ(lane_spin_pauses(UINT64_MAX), 2400U);
}

// --- end of stream ---------------------------------------------------------------------------

TEST(LaneEnds, TheEndComesBehindTheLastRecordStaysAndNeedsNoRoom) {
    TestLane lane{{.ring_bytes = 256, .max_record_bytes = 8}};
    LaneSender sender = lane.sender();
    for (int i = 0; i < 15; ++i) expect_sent(sender, "r");
    sender.close();
    EXPECT_TRUE(sender.closed());
    EXPECT_EQ(sender.try_send(bytes_of("late")), LaneSend::closed);
    EXPECT_TRUE(sender.has_room(4)) << "waiting would be in vain";
    LaneReceiver heir = lane.receiver();
    for (int i = 0; i < 15; ++i) EXPECT_EQ(take(heir), "r");
    EXPECT_EQ(take(heir), "(end)");
    EXPECT_EQ(take(heir), "(end)");
    std::uint64_t number = 0;
    EXPECT_EQ(heir.try_receive<8>(&number), LaneTake::end_of_stream);
    LaneReceiver next = lane.receiver();
    EXPECT_EQ(take(next), "(end)");
}

TEST(LaneEnds, AnHeirFindsTheLaneClosedAndMayReopenIt) {
    TestLane lane{kSmall};
    LaneReceiver receiver = lane.receiver();
    {
        LaneSender first = lane.sender();
        expect_sent(first, "first");
        first.close();
    }
    LaneSender second = lane.sender();
    EXPECT_TRUE(second.closed());
    EXPECT_EQ(second.try_send(bytes_of("no")), LaneSend::closed);
    second.reopen();
    expect_sent(second, "second");
    EXPECT_EQ(take(receiver), "first");
    EXPECT_EQ(take(receiver), "second");
    EXPECT_EQ(take(receiver), "(empty)");
}

}  // namespace
}  // namespace stoa
