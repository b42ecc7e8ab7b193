// Buffers without a bound.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <string_view>
#include <thread>
#include <vector>

#include "stoa/mailbox/buffer_test_kit.hpp"
#include "stoa/shm/heap.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sync/guarded.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

class UnboundedBuffer : public BufferTest {
protected:
    Jobs& jobs(std::uint64_t quota_bytes = 512 << 10) {
        return *region_.find_or_construct<Jobs>("jobs", unbounded(quota_bytes)).value();
    }
    std::uint64_t fill() {
        std::uint64_t sent = 0;
        for (;;) {
            const Result<void> done = jobs().send(job(sent));
            if (!done) {
                EXPECT_EQ(done.error().code, Errc::quota_reached);
                return sent;
            }
            ++sent;
        }
    }
    Numbers drain() {
        Numbers all;
        while (const Result<Job> got = jobs().try_receive()) all.push_back(got->number);
        return all;
    }
    static Numbers up_to(std::uint64_t count) {
        Numbers all;
        for (std::uint64_t i = 0; i < count; ++i) all.push_back(i);
        return all;
    }
};

TEST_F(UnboundedBuffer, GrowsInOrderUpToItsQuota) {
    EXPECT_EQ(jobs().capacity(), 0U);
    const std::uint64_t first = fill();
    EXPECT_GT(first, 2000U);
    EXPECT_LE(region_.use().in_use, (512 << 10) + (128 << 10));  // as blocks are rounded
    EXPECT_EQ(jobs().depth(), first);
    EXPECT_EQ(drain(), up_to(first));
    for (int turn = 0; turn < 3; ++turn) {  // the last ring goes on
        const std::uint64_t again = fill();
        EXPECT_GT(again, first / 4);
        EXPECT_EQ(drain(), up_to(again));
    }
}

TEST_F(UnboundedBuffer, WhatIsSentAndReceivedInTurnGrowsNothing) {
    jobs();
    const std::uint64_t before = region_.use().in_use;
    for (std::uint64_t i = 0; i < 10000; ++i) {
        ASSERT_TRUE(jobs().send(job(i)));
        ASSERT_EQ(jobs().receive().value().number, i);
    }
    EXPECT_EQ(region_.use().in_use, before);
    EXPECT_EQ(jobs().receive_for(1ms).error().code, Errc::timed_out);
}

TEST_F(UnboundedBuffer, DestroyingItGivesAllItsMemoryBack) {
    jobs();
    ASSERT_TRUE(region_.destroy_object<Jobs>("jobs"));
    const std::uint64_t before = region_.use().in_use;
    for (int i = 0; i < 3; ++i) {
        fill();
        EXPECT_EQ(region_.use().leaked_blocks, 0U);
        ASSERT_TRUE(region_.destroy_object<Jobs>("jobs"));
        EXPECT_EQ(region_.use().in_use, before);
    }
}

TEST_F(UnboundedBuffer, AFullRegionIsAnErrorAtOnce) {
    jobs(1ULL << 40U);
    std::uint64_t sent = 0;
    Result<void> done;
    while ((done = jobs().send(job(sent)))) ++sent;
    EXPECT_EQ(done.error().code, Errc::out_of_space);
    EXPECT_EQ(drain(), up_to(sent));
}

TEST_F(UnboundedBuffer, ThreadsAndProcessesLoseNothingWhileItGrows) {
    constexpr std::uint64_t kEach = 20000;
    jobs(8 << 20);
    // Of a chunk that comes back through another process ThreadSanitizer sees the way there and not
    // the way back: only who receives has threads.
    const auto produce = [](std::uint64_t who) {
        Region region = Region::open("r").value();
        Jobs* const it = region.find<Jobs>("jobs").value();
        for (std::uint64_t i = 0; i < kEach; ++i) it->send(job(who * kEach + i)).value();
    };
    std::vector<kit::Child> producers;
    for (std::uint64_t who = 0; who < 3; ++who) producers.emplace_back([&] { produce(who); });
    std::vector<std::atomic<int>> times(3 * kEach);
    std::atomic<std::uint64_t> left{3 * kEach};
    std::atomic<std::uint64_t> out_of_order{0};
    std::vector<std::thread> threads;
    for (int k = 0; k < 2; ++k) {
        threads.emplace_back([&] {
            std::array<std::uint64_t, 3> next{};
            while (left.load() > 0) {
                const Result<Job> got = jobs().receive_for(1ms);
                if (!got) continue;
                left.fetch_sub(1);
                times[got->number].fetch_add(1);
                std::uint64_t& least = next[got->number / kEach];
                if (got->number < least) out_of_order.fetch_add(1);
                least = got->number + 1;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (kit::Child& producer : producers) EXPECT_TRUE(producer.wait().ok());
    for (const std::atomic<int>& count : times) ASSERT_EQ(count.load(), 1);
    EXPECT_EQ(out_of_order.load(), 0U);
}

TEST_F(UnboundedBuffer, WhatADeadReceiverWasTakingComesAgainFromASealedRing) {
    for (std::uint64_t i = 0; i < 200; ++i) ASSERT_TRUE(jobs().send(job(i)));  // several rings
    for (std::uint64_t i = 0; i < 10; ++i) ASSERT_EQ(jobs().try_receive().value().number, i);
    die_at("pool.take.taken", [](Jobs& it) { (void)it.try_receive(); });
    Numbers all = drain();
    EXPECT_EQ(all.size(), 189U);
    region_.sweep();
    EXPECT_EQ(drain(), Numbers{10});
    EXPECT_EQ(jobs().try_receive().error().code, Errc::empty);
}

// It comes back to a ring that everybody has left.
TEST_F(UnboundedBuffer, WhoIsStoppedBeforeItSendsSendsBehindTheOthers) {
    ASSERT_TRUE(jobs().send(job(0)));
    kit::Child stopped{[] {
        Region region = Region::open("r").value();
        Jobs* const it = region.find<Jobs>("jobs").value();
        kit::stop_self_at("pool.publish.before");
        EXPECT_TRUE(it->send(job(777)));
    }};
    ASSERT_TRUE(stopped.wait_stopped());
    for (std::uint64_t i = 1; i < 200; ++i) ASSERT_TRUE(jobs().send(job(i)));
    EXPECT_EQ(drain(), up_to(200));
    stopped.resume();
    EXPECT_TRUE(stopped.wait().ok());
    EXPECT_EQ(drain(), Numbers{777});
}

// What is undone with a section is the section's, and not the memory of messages.
TEST_F(UnboundedBuffer, GrowsOutsideOfTheSectionOfWhoSends) {
    auto* const guarded = region_.construct<Guarded<std::uint64_t, Undo::copy>>("g").value();
    jobs();
    const kit::Ending ending = kit::fork_and_run([&] {
        Region mine = Region::open("r").value();
        auto* const its = mine.find<Guarded<std::uint64_t, Undo::copy>>("g").value();
        const auto access = its->lock().value();
        Jobs* const it = mine.find<Jobs>("jobs").value();
        for (std::uint64_t i = 0; i < 200; ++i) it->send(job(i)).value();
        ::raise(SIGKILL);
    });
    ASSERT_EQ(ending.signal, SIGKILL);
    EXPECT_TRUE(guarded->lock().value().undone());
    region_.sweep();
    EXPECT_EQ(drain(), up_to(200));
}

TEST_F(UnboundedBuffer, WhoWaitsIsWokenWithoutSlices) {
    jobs();
    kit::Child consumer{[] {
        g_wait_slice = 24h;
        Region region = Region::open("r").value();
        Jobs* const it = region.find<Jobs>("jobs").value();
        std::vector<std::thread> threads;
        for (int k = 0; k < 2; ++k) {
            threads.emplace_back([=] {
                for (int i = 0; i < 5000; ++i) (void)it->receive().value();
            });
        }
        for (std::thread& thread : threads) thread.join();
    }};
    for (std::uint64_t i = 0; i < 10000; ++i) {
        while (!jobs().send(job(i))) std::this_thread::yield();  // at the quota
    }
    EXPECT_TRUE(consumer.wait().ok());
}

TEST_F(UnboundedBuffer, WhoDiesInAnyOfItsStepsIsInNobodysWay) {
    std::uint64_t next = 0;
    for (const char* const point :
         {"pool.claim.loaned", "pool.publish.before", "buffer.grow.before", "pool.publish.sent",
          "pool.seal.before", "buffer.sealed"}) {
        const bool sends = std::string_view{point}.find("se") == std::string_view::npos ||
                           std::string_view{point} == "pool.publish.sent";
        Jobs& it = *region_.construct<Jobs>("jobs", unbounded(1 << 18)).value();
        for (std::uint64_t i = 0; i < (sends ? 64 : 65); ++i) ASSERT_TRUE(it.send(job(next + i)));
        die_at(point, [&](Jobs& mine) {
            for (int i = 0; i < 100 && sends; ++i) (void)mine.send(job(999999));
            while (mine.try_receive()) {
            }
        });
        region_.sweep();
        for (std::uint64_t i = 0; i < 300; ++i) ASSERT_TRUE(it.send(job(i))) << point;
        EXPECT_GE(drain().size(), 300U) << point;
        ASSERT_TRUE(region_.destroy_object<Jobs>("jobs"));
    }
}

}  // namespace
}  // namespace stoa
