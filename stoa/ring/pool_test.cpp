#include "stoa/ring/pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace stoa {
namespace {

struct FreePages {
    void operator()(std::byte* memory) const noexcept {
        ::operator delete[](memory, std::align_val_t{kPage});
    }
};

class PoolBench {  // one ring in memory of its own
public:
    explicit PoolBench(const PoolDemand& demand) : geometry_{PoolGeometry::plan(demand).value()} {
        auto* raw = static_cast<std::byte*>(
            ::operator new[](geometry_.total_bytes, std::align_val_t{kPage}));
        std::memset(raw, 0, geometry_.total_bytes);
        memory_.reset(raw);
        EXPECT_TRUE(PoolRing::create(bytes(), geometry_));
    }
    [[nodiscard]] std::span<std::byte> bytes() const {
        return {memory_.get(), geometry_.total_bytes};
    }
    [[nodiscard]] PoolRing attach() const { return PoolRing::attach(bytes()).value(); }

private:
    PoolGeometry geometry_;
    std::unique_ptr<std::byte[], FreePages> memory_;
};

PoolDemand small(std::uint32_t capacity, bool acknowledged = false) {
    return {.capacity = capacity, .max_bytes = 48, .loans = 8, .acknowledged = acknowledged};
}

PoolStatus send(PoolRing& ring, std::uint32_t me, std::uint64_t value) {
    PoolLoan loan;
    if (const PoolStatus status = ring.claim(me, sizeof value, loan); status != PoolStatus::ok) {
        return status;
    }
    std::memcpy(ring.room(loan).data(), &value, sizeof value);
    const PoolStatus status = ring.publish(loan, {.length = sizeof value});
    if (status != PoolStatus::ok && !ring.release(loan)) ADD_FAILURE();
    return status;
}

std::uint64_t value_of(PoolRing& ring, const PoolLoan& loan) {
    std::uint64_t value = 0;
    EXPECT_EQ(ring.room(loan).size(), sizeof value);
    std::memcpy(&value, ring.room(loan).data(), sizeof value);
    return value;
}

std::optional<std::uint64_t> receive(PoolRing& ring, std::uint32_t me) {
    PoolLoan loan;
    if (ring.take(me, loan) != PoolStatus::ok) return std::nullopt;
    const std::uint64_t value = value_of(ring, loan);
    EXPECT_TRUE(ring.release(loan));
    return value;
}

TEST(PoolRing, LapsAreComparedOverTheirWrapWhateverTheirWidth) {
    for (const std::uint32_t chunks : {2U, 1000U, 1U << 22U}) {
        const SlotCodec codec{chunks};
        const std::uint32_t last = codec.lap_mask();
        EXPECT_EQ(codec.ahead(7, 7), 0);
        EXPECT_EQ(codec.ahead(8, 7), 1);
        EXPECT_EQ(codec.ahead(7, 8), -1);
        EXPECT_EQ(codec.ahead(0, last), 1);
        EXPECT_EQ(codec.ahead(last, 0), -1);
        EXPECT_EQ(codec.ahead(last / 2, 0), static_cast<std::int32_t>(last / 2));
        EXPECT_LT(codec.ahead(last / 2 + 1, 0), 0);  // as far as can be, also of 32 bits
    }
}

TEST(PoolRing, DeliversInOrderAndHoldsExactlyItsCapacity) {
    for (const std::uint32_t capacity : {1U, 2U, 3U, 64U, 100U}) {
        const PoolBench bench{small(capacity)};
        PoolRing ring = bench.attach();
        for (int lap = 0; lap < 3; ++lap) {
            for (std::uint64_t i = 0; i < capacity; ++i)
                ASSERT_EQ(send(ring, 1, i), PoolStatus::ok);
            ASSERT_EQ(send(ring, 1, 99), PoolStatus::full);
            for (std::uint64_t i = 0; i < capacity; ++i) ASSERT_EQ(receive(ring, 2), i);
            ASSERT_EQ(receive(ring, 2), std::nullopt);
        }
        EXPECT_EQ(ring.counts().free_chunks, ring.geometry().chunk_count);
    }
}

TEST(PoolRing, AgreesWithADequeOverRandomOperations) {
    const PoolBench bench{small(5, true)};
    PoolRing ring = bench.attach();
    std::deque<std::uint64_t> model;
    std::vector<PoolLoan> leases;
    std::mt19937 random{7};
    for (std::uint64_t i = 0; i < 100'000; ++i) {
        if (random() % 2 == 0) {
            const PoolStatus status = send(ring, 1, i);
            ASSERT_EQ(status == PoolStatus::ok, model.size() < 5) << i;
            if (status == PoolStatus::ok) model.push_back(i);
        } else if (leases.size() < 4 && random() % 2 == 0) {
            PoolLoan loan;
            const PoolStatus status = ring.take(2, loan);
            ASSERT_EQ(status == PoolStatus::ok, !model.empty());
            if (status == PoolStatus::ok) {
                ASSERT_EQ(value_of(ring, loan), model.front());
                model.pop_front();
                leases.push_back(loan);
            }
        } else if (!leases.empty()) {
            ASSERT_TRUE(ring.release(leases.back()));
            leases.pop_back();
        }
    }
}

TEST(PoolRing, ASecondReleaseIsRefused) {
    const PoolBench bench{small(4)};
    PoolRing ring = bench.attach();
    ASSERT_EQ(send(ring, 1, 5), PoolStatus::ok);
    PoolLoan loan;
    ASSERT_EQ(ring.take(2, loan), PoolStatus::ok);
    EXPECT_TRUE(ring.release(loan));
    EXPECT_FALSE(ring.release(loan));
}

TEST(PoolRing, RecoverFreesWhatADeadEndpointHeldAndNothingElse) {
    const PoolBench bench{small(4)};
    PoolRing ring = bench.attach();
    PoolLoan abandoned;
    ASSERT_EQ(ring.claim(1, 8, abandoned), PoolStatus::ok);
    ASSERT_EQ(send(ring, 1, 10), PoolStatus::ok);  // sent, then its sender dies: it stays
    ASSERT_EQ(send(ring, 3, 11), PoolStatus::ok);
    ring.recover({.index = 1});
    ring.recover({.index = 1});
    PoolLoan borrowed;
    ASSERT_EQ(ring.take(2, borrowed), PoolStatus::ok);
    EXPECT_EQ(value_of(ring, borrowed), 10U);
    EXPECT_EQ(receive(ring, 4), 11U);
    ring.recover({.index = 2});
    EXPECT_EQ(ring.counts().free_chunks, ring.geometry().chunk_count);
}

TEST(PoolRing, AcknowledgedModeDeliversTheDeadOnesLeaseAgain) {
    const PoolBench bench{small(4, true)};
    PoolRing ring = bench.attach();
    ASSERT_EQ(send(ring, 1, 10), PoolStatus::ok);
    PoolLoan lease;
    for (std::uint32_t deaths = 0; deaths < 300; ++deaths) {
        ASSERT_EQ(ring.take(2, lease), PoolStatus::ok);
        EXPECT_EQ(value_of(ring, lease), 10U);
        EXPECT_EQ(lease.deliveries, std::min(deaths, 255U));
        EXPECT_EQ(lease.redelivered, deaths > 0);
        ring.recover({.index = 2});
        EXPECT_FALSE(ring.release(lease));
    }
    ASSERT_EQ(ring.take(3, lease), PoolStatus::ok);
    EXPECT_TRUE(ring.nack(lease));
    ASSERT_EQ(ring.take(3, lease), PoolStatus::ok);
    EXPECT_TRUE(ring.release(lease));
    EXPECT_EQ(ring.take(3, lease), PoolStatus::empty);
    EXPECT_EQ(ring.counts().free_chunks, ring.geometry().chunk_count);
}

TEST(PoolRing, SizeClassesShareTheReserveAndSmallMessagesMayUseBigChunks) {
    const PoolBench bench{{.capacity = 1024, .max_bytes = 65536, .reserve_bytes = 1 << 20}};
    PoolRing ring = bench.attach();
    EXPECT_GT(ring.geometry().class_count, 3U);
    EXPECT_LE(bench.bytes().size(), (1U << 20U) + 300'000U);
    PoolLoan loan;
    EXPECT_EQ(ring.claim(1, 65537, loan), PoolStatus::no_memory);
    std::uint32_t claimed = 0;
    while (ring.claim(1, 48, loan) == PoolStatus::ok) {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(ring.room(loan).data()) % 16, 0U);
        std::memset(ring.room(loan).data(), 0x5a, ring.room(loan).size());
        ++claimed;
    }
    EXPECT_EQ(claimed, ring.geometry().chunk_count);
}

TEST(PoolRing, SmallMessagesFitUpToTheCapacityWhateverTheReserve) {
    const PoolBench bench{{.capacity = 20'000, .max_bytes = 65536, .reserve_bytes = 1 << 20}};
    PoolRing ring = bench.attach();
    for (std::uint64_t i = 0; i < 20'000; ++i) ASSERT_EQ(send(ring, 1, i), PoolStatus::ok) << i;
    EXPECT_EQ(send(ring, 1, 20'000), PoolStatus::full);
}

TEST(PoolRing, SmallChunksBeyondTheReserveTakeNothingFromLargerOnes) {
    const PoolBench bench{{.capacity = 4, .max_bytes = 100, .reserve_bytes = 4096, .loans = 64}};
    const PoolRing ring = bench.attach();
    const PoolGeometry& geometry = ring.geometry();
    ASSERT_EQ(geometry.class_count, 2U);
    EXPECT_EQ(geometry.classes[0].count, 68U);
    EXPECT_EQ(geometry.classes[1].count, 2048U / geometry.classes[1].stride);
}

TEST(PoolRing, ScribbledHeadersAreRefused) {
    const PoolBench bench{small(4)};
    std::vector<std::byte> copy(bench.bytes().begin(), bench.bytes().end());
    std::mt19937 random{3};
    for (int i = 0; i < 20'000; ++i) {
        std::copy(copy.begin(), copy.end(), bench.bytes().begin());
        const std::size_t at = random() % 320;
        bench.bytes()[at] ^= static_cast<std::byte>(1 + random() % 255);
        if (Result<PoolRing> ring = PoolRing::attach(bench.bytes())) {
            EXPECT_LE(ring->geometry().total_bytes, bench.bytes().size());
        }
    }
}

// Every value once, in order per sender, while receivers "die" (their index is recovered).
void many_threads(bool acknowledged) {
    constexpr std::uint64_t kEach = 60'000;
    const PoolBench bench{small(7, acknowledged)};
    std::array<std::atomic<std::uint32_t>, 2 * kEach> seen{};
    std::atomic<std::uint64_t> received{0};
    std::vector<std::jthread> threads;
    for (std::uint32_t me = 0; me < 2; ++me) {
        threads.emplace_back([&, me] {
            PoolRing ring = bench.attach();
            for (std::uint64_t i = 0; i < kEach;) {
                send(ring, me, me * kEach + i) == PoolStatus::ok ? void(++i)
                                                                 : std::this_thread::yield();
            }
        });
    }
    for (std::uint32_t me = 2; me < 5; ++me) {
        threads.emplace_back([&, me] {
            PoolRing ring = bench.attach();
            std::array<std::uint64_t, 2> last{};
            for (std::uint64_t turn = 0; received.load() < 2 * kEach; ++turn) {
                PoolLoan loan;
                if (ring.take(me, loan) != PoolStatus::ok) {
                    std::this_thread::yield();
                    continue;
                }
                const std::uint64_t value = value_of(ring, loan);
                if (!loan.redelivered) {
                    EXPECT_GE(value, last[value / kEach]);
                    last[value / kEach] = value;
                }
                if (acknowledged && turn % 50 == 0) {
                    EXPECT_TRUE(ring.nack(loan));
                    continue;
                }
                EXPECT_EQ(seen[value].fetch_add(1), 0U);
                EXPECT_TRUE(ring.release(loan));
                received.fetch_add(1);
            }
        });
    }
    threads.clear();
    PoolRing ring = bench.attach();
    EXPECT_EQ(ring.counts().free_chunks, ring.geometry().chunk_count);
    EXPECT_EQ(std::count_if(seen.begin(), seen.end(), [](auto& n) { return n != 1; }), 0);
}

TEST(PoolRing, ThreadsOverOneMappingLoseNothingInPlainMode) {
    many_threads(false);
}
TEST(PoolRing, ThreadsOverOneMappingLoseNothingInAcknowledgedMode) {
    many_threads(true);
}

}  // namespace
}  // namespace stoa
