#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "stoa/mailbox/buffer_test_kit.hpp"
#include "stoa/shm/heap.hpp"
#include "stoa/shm/region.hpp"
#include "stoa/sync/bell.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

TEST_F(BufferTest, WhatIsSentIsReceivedInItsOrder) {
    send(1, 4);
    EXPECT_EQ(jobs().depth(), 4U);
    EXPECT_EQ(drain(), (Numbers{1, 2, 3, 4}));
    EXPECT_EQ(jobs().depth(), 0U);
    expect_whole();
}

TEST_F(BufferTest, FullAndEmptyAreSaidAtOnceOrInTime) {
    EXPECT_EQ(jobs().try_receive().error().code, Errc::empty);
    EXPECT_EQ(jobs().receive_for(1ms).error().code, Errc::timed_out);
    EXPECT_EQ(jobs().receive_until(Deadline::Clock::now() + 1ms).error().code, Errc::timed_out);
    send(1, 4);
    EXPECT_EQ(jobs().try_send(job(5)).error().code, Errc::full);
    EXPECT_EQ(jobs().send_for(job(5), 1ms).error().code, Errc::timed_out);
    EXPECT_EQ(jobs().send_until(job(5), Deadline::Clock::now() + 1ms).error().code,
              Errc::timed_out);
    EXPECT_EQ(drain(), (Numbers{1, 2, 3, 4}));
}

TEST_F(BufferTest, AnotherProcessConsumesWhatThisOneProduces) {
    Jobs& mine = jobs(2);
    kit::Child consumer{[] {
        Region region = Region::open("r").value();
        Jobs* const jobs = region.find<Jobs>("jobs").value();
        for (std::uint64_t i = 1; i <= 1000; ++i) EXPECT_EQ(jobs->receive().value().number, i);
    }};
    for (std::uint64_t i = 1; i <= 1000; ++i) ASSERT_TRUE(mine.send(job(i)));
    EXPECT_TRUE(consumer.wait().ok());
    EXPECT_EQ(mine.depth(), 0U);
}

// All of them are one endpoint of the ring.
TEST_F(BufferTest, ThreadsOfOneProcessShareItByOnePointer) {
    constexpr std::uint64_t kEach = 5000;
    constexpr std::uint64_t kProducers = 3;
    Jobs& all = jobs(8);
    std::vector<std::atomic<int>> times(kProducers * kEach);
    std::atomic<std::uint64_t> left{kProducers * kEach};
    std::atomic<std::uint64_t> out_of_order{0};
    const auto produce = [&](std::uint64_t who) {
        for (std::uint64_t i = 0; i < kEach; ++i) all.send(job(who * kEach + i)).value();
    };
    const auto consume = [&] {
        std::vector<std::uint64_t> next(kProducers, 0);
        while (left.load() > 0) {
            const Result<Job> got = all.receive_for(1ms);
            if (!got) continue;
            left.fetch_sub(1);
            times[got->number].fetch_add(1);
            std::uint64_t& least = next[got->number / kEach];
            if (got->number < least) out_of_order.fetch_add(1);
            least = got->number + 1;
        }
    };
    std::vector<std::thread> threads;
    for (std::uint64_t who = 0; who < kProducers; ++who) threads.emplace_back(produce, who);
    for (int i = 0; i < 3; ++i) threads.emplace_back(consume);
    for (std::thread& thread : threads) thread.join();
    for (const std::atomic<int>& count : times) ASSERT_EQ(count.load(), 1);
    EXPECT_EQ(out_of_order.load(), 0U);
    expect_whole();
}

TEST_F(BufferTest, SeveralBuffersOfOneThreadAreKeptApart) {
    constexpr std::uint64_t kCount = 20;
    std::vector<Jobs*> all;
    for (std::uint64_t i = 0; i < kCount; ++i) {
        const std::string name = "b" + std::to_string(i);
        all.push_back(region_.construct<Jobs>(name, bounded(3)).value());
    }
    for (std::uint64_t turn = 0; turn < 3; ++turn) {
        for (std::uint64_t i = 0; i < kCount; ++i) ASSERT_TRUE(all[i]->try_send(job(i)));
        for (std::uint64_t i = 0; i < kCount; ++i) {
            EXPECT_EQ(all[i]->try_receive().value().number, i);
            EXPECT_EQ(all[i]->try_receive().error().code, Errc::empty);
        }
    }
}

// What a thread kept of the old one must not serve the new one.
TEST_F(BufferTest, AnotherOneInItsPlaceIsAnotherOne) {
    for (const std::uint32_t capacity : {1U, 7U, 2U, 64U, 3U}) {
        {
            Jobs& made = jobs(capacity);
            std::uint64_t sent = 0;
            while (made.try_send(job(sent))) ++sent;
            EXPECT_EQ(sent, capacity);
        }
        ASSERT_TRUE(region_.destroy_object<Jobs>("jobs"));
    }
}

TEST_F(BufferTest, MessagesOfEverySizeAndAlignmentFit) {
    struct alignas(64) Wide {
        std::uint64_t words[16];
    };
    auto* const bytes = region_.construct<Buffer<char>>("c", bounded(3)).value();
    auto* const wide = region_.construct<Buffer<Wide>>("w", bounded(3)).value();
    auto* const large = region_.construct<Buffer<std::array<char, 5000>>>("l", bounded(2)).value();
    ASSERT_TRUE(bytes->send('x'));
    ASSERT_TRUE(wide->send({.words = {1, 2, 3}}));
    std::array<char, 5000> text{};
    text.back() = 'z';
    ASSERT_TRUE(large->send(text));
    EXPECT_EQ(bytes->receive().value(), 'x');
    EXPECT_EQ(wide->receive().value().words[2], 3U);
    EXPECT_EQ(large->receive().value().back(), 'z');
}

TEST_F(BufferTest, OfAnotherTypeItIsNotFound) {
    jobs();
    EXPECT_EQ(region_.find<Buffer<std::uint32_t>>("jobs").error().code, Errc::wrong_type);
    EXPECT_EQ(region_.find<Job>("jobs").error().code, Errc::wrong_type);
}

TEST_F(BufferTest, OutsideOfARegionItSaysSo) {
    Buffer<Job> nowhere{bounded(4)};
    EXPECT_EQ(nowhere.try_send(job(1)).error().code, Errc::bad_argument);
    EXPECT_EQ(nowhere.try_receive().error().code, Errc::bad_argument);
    EXPECT_EQ(nowhere.depth(), 0U);
    // A sweep would not find it there.
    void* const block = region_.heap().allocate(sizeof(Jobs), 64).value();
    auto* const hidden = ::new (block) Jobs{bounded(4)};
    EXPECT_EQ(hidden->try_send(job(1)).error().code, Errc::bad_argument);
    region_.heap().free(block);
}

TEST_F(BufferTest, WhatCannotBeMadeIsNotThere) {
    const std::uint64_t before = region_.use().in_use;
    const auto code = [&](const Capacity& capacity) {
        return region_.construct<Jobs>("jobs", capacity).error().code;
    };
    EXPECT_EQ(code(bounded(0)), Errc::bad_argument);
    EXPECT_EQ(code(zero()), Errc::bad_argument);
    EXPECT_EQ(code(unbounded(1000)), Errc::bad_argument);
    const auto huge = region_.construct<Buffer<std::array<char, 1 << 20>>>("huge", bounded(100000));
    EXPECT_FALSE(huge);
    EXPECT_EQ(region_.find<Jobs>("jobs").error().code, Errc::not_found);
    EXPECT_EQ(region_.use().in_use, before);
}

TEST_F(BufferTest, ASmallOneTakesFourKilobytes) {
    struct Message {
        std::uint64_t words[8];
    };
    const std::uint64_t before = region_.use().in_use;
    ASSERT_TRUE(region_.construct<Buffer<Message>>("b", bounded(16)));
    EXPECT_LE(region_.use().in_use - before, 4096U);
}

TEST_F(BufferTest, DestroyingItGivesAllItsMemoryBack) {
    jobs();
    ASSERT_TRUE(region_.destroy_object<Jobs>("jobs"));
    const std::uint64_t before = region_.use().in_use;
    for (int i = 0; i < 50; ++i) {
        send(1, 3);
        EXPECT_EQ(region_.use().leaked_blocks, 0U);
        ASSERT_TRUE(i % 2 == 0 ? region_.destroy_object<Jobs>("jobs")
                               : region_.discard_object("jobs"));
        EXPECT_EQ(region_.use().in_use, before);
    }
}

TEST_F(BufferTest, WhatTheMemoryHeldBeforeDoesNotMatter) {
    constexpr std::size_t kRingBytes = 3584;
    void* const block = region_.heap().allocate(kRingBytes, 64).value();
    std::memset(block, 0xff, kRingBytes);
    region_.heap().free(block);
    struct Message {
        std::uint64_t words[8];
    };
    auto* const made = region_.construct<Buffer<Message>>("b", bounded(16)).value();
    for (int turn = 0; turn < 3; ++turn) {
        for (std::uint64_t i = 0; i < 16; ++i) ASSERT_TRUE(made->try_send({.words = {i}}));
        for (std::uint64_t i = 0; i < 16; ++i) ASSERT_EQ(made->try_receive().value().words[0], i);
    }
}

TEST_F(BufferTest, AForkedChildIsNobodyInIt) {
    Jobs& all = jobs();
    const kit::Ending ending = kit::fork_and_run([&] {
        EXPECT_EQ(all.try_send(job(1)).error().code, Errc::forked);
        EXPECT_EQ(all.try_receive().error().code, Errc::forked);
    });
    EXPECT_TRUE(ending.ok());
}

// --- deaths -----------------------------------------------------------------------------------

TEST_F(BufferTest, ASenderKilledBeforeItSentLeavesNothing) {
    jobs();
    for (const char* const point :
         {"pool.claim.hint_taken", "pool.claim.loaned", "pool.publish.before"}) {
        for (int i = 0; i < 10; ++i) die_at(point, [](Jobs& it) { (void)it.try_send(job(9)); });
        EXPECT_GT(region_.sweep(), 0U);
        EXPECT_EQ(drain(), Numbers{});
        expect_whole();
    }
}

TEST_F(BufferTest, ASenderKilledAfterItSentHasSent) {
    jobs();
    die_at("pool.publish.sent", [](Jobs& it) { (void)it.try_send(job(9)); });
    EXPECT_EQ(drain(), Numbers{9});
    region_.sweep();
    expect_whole();
}

TEST_F(BufferTest, WhatADeadReceiverWasTakingComesAgain) {
    send(1, 3);
    for (const char* const point : {"pool.take.taken", "pool.take.adopted"}) {
        die_at(point, [](Jobs& it) { (void)it.try_receive(); });
        EXPECT_EQ(region_.sweep(), 1U) << point;
    }
    const Numbers all = drain();
    EXPECT_EQ((std::set<std::uint64_t>{all.begin(), all.end()}),
              (std::set<std::uint64_t>{1, 2, 3}));
    EXPECT_EQ(all.size(), 3U);
    expect_whole();
}

TEST_F(BufferTest, WhatADeadReceiverHadDoesNotComeAgain) {
    send(1, 3);
    die_at("pool.take.delivered", [](Jobs& it) { (void)it.try_receive(); });
    EXPECT_EQ(region_.sweep(), 1U);
    EXPECT_EQ(drain(), (Numbers{2, 3}));
    expect_whole();
}

TEST_F(BufferTest, WhoWaitsFindsTheDead) {
    send(1, 1);
    die_at("pool.take.taken", [](Jobs& it) { (void)it.try_receive(); });
    EXPECT_EQ(jobs().receive().value().number, 1U);
    expect_whole();
}

// Capacity 1: the memory of the dead is all there is, but for what lies beside it.
TEST_F(BufferTest, WhoWaitsForRoomFindsTheDead) {
    jobs(1);
    for (int i = 0; i < 5; ++i) {  // all chunks
        die_at("pool.claim.loaned", [](Jobs& it) { (void)it.try_send(job(9)); });
    }
    ASSERT_TRUE(jobs().send(job(1)));
    EXPECT_EQ(drain(), Numbers{1});
    expect_whole();
}

TEST_F(BufferTest, OpeningTheRegionFindsTheDead) {
    send(1, 1);
    die_at("pool.take.taken", [](Jobs& it) { (void)it.try_receive(); });
    EXPECT_EQ(drain(), Numbers{});
    ASSERT_TRUE(Region::open("r"));
    EXPECT_EQ(drain(), Numbers{1});
}

TEST_F(BufferTest, ManyDeathsInManyBuffersLeaveEachWhole) {
    for (int i = 0; i < 10; ++i) {
        const std::string name = "b" + std::to_string(i);
        ASSERT_TRUE(region_.construct<Jobs>(name, bounded(4)).value()->try_send(job(7)));
    }
    for (int i = 0; i < 10; ++i) {
        const kit::Ending ending = kit::fork_and_run([&] {
            Region mine = Region::open("r").value();
            Jobs* const it = mine.find<Jobs>("b" + std::to_string(i)).value();
            kit::kill_self_at("pool.take.adopted");
            (void)it->try_receive();
        });
        ASSERT_EQ(ending.signal, SIGKILL);
    }
    region_.sweep();
    for (int i = 0; i < 10; ++i) {
        Jobs* const it = region_.find<Jobs>("b" + std::to_string(i)).value();
        EXPECT_EQ(it->try_receive().value().number, 7U);
        EXPECT_EQ(it->try_receive().error().code, Errc::empty);
    }
}

TEST_F(BufferTest, WhoIsStoppedInACallHoldsUpNobody) {
    for (const char* const point :
         {"pool.publish.before", "pool.take.taken", "pool.take.adopted"}) {
        send(1, 2);
        kit::Child stopped{[point] {
            Region region = Region::open("r").value();
            Jobs* const it = region.find<Jobs>("jobs").value();
            kit::stop_self_at(point);
            if (point[5] == 'p') {
                EXPECT_TRUE(it->try_send(job(3)));
            } else {
                EXPECT_EQ(it->try_receive().value().number, 1U);
            }
        }};
        ASSERT_TRUE(stopped.wait_stopped());
        region_.sweep();
        (void)drain();
        for (std::uint64_t i = 0; i < 50; ++i) {
            ASSERT_TRUE(jobs().try_send(job(i))) << point;
            ASSERT_EQ(jobs().try_receive().value().number, i) << point;
        }
        stopped.resume();
        EXPECT_TRUE(stopped.wait().ok()) << point;
        (void)drain();
        expect_whole();
    }
}

TEST_F(BufferTest, WhoDiesConstructingItLeavesNeitherObjectNorMemory) {
    const std::uint64_t before = region_.use().in_use;
    for (const char* const point : {"heap.claimed", "directory.tentative", "directory.complete"}) {
        const kit::Ending ending = kit::fork_and_run([&] {
            Region mine = Region::open("r").value();
            kit::kill_self_at(point);
            (void)mine.construct<Jobs>("jobs", bounded(4));
        });
        if (ending.signal != SIGKILL) continue;  // not on its way
        region_.sweep();
        if (region_.find<Jobs>("jobs")) {
            expect_whole();
            ASSERT_TRUE(region_.destroy_object<Jobs>("jobs"));
        }
        EXPECT_EQ(region_.use().in_use, before) << point;
        EXPECT_EQ(region_.use().leaked_blocks, 0U) << point;
    }
}

TEST_F(BufferTest, WhoDiesDestroyingItLeavesNoMemory) {
    const std::uint64_t before = region_.use().in_use;
    for (const char* const point :
         {"directory.condemned", "region.object.destructed", "directory.ended"}) {
        jobs();
        const kit::Ending ending = kit::fork_and_run([&] {
            Region mine = Region::open("r").value();
            kit::kill_self_at(point);
            (void)mine.destroy_object<Jobs>("jobs");
        });
        ASSERT_EQ(ending.signal, SIGKILL);
        region_.sweep();
        EXPECT_EQ(region_.find<Jobs>("jobs").error().code, Errc::not_found);
        EXPECT_EQ(region_.use().in_use, before) << point;
    }
}

// --- wake-ups, with slices that hide none -------------------------------------------------------

class BufferWakes : public BufferTest {
protected:
    BufferWakes() { g_wait_slice = 24h; }
    ~BufferWakes() override { g_wait_slice = kWaitSlice; }
    static bool sleeps(const Atomic<std::uint32_t>& bell) { return (bell.load() & 1U) != 0; }
};

TEST_F(BufferWakes, MessagesGoOnForEver) {
    constexpr std::uint64_t kEach = 5000;
    jobs(1);
    // A process for each, no threads: of a chunk that comes back through another process
    // ThreadSanitizer sees the way there and not the way back.
    const auto one = [](bool sends) {
        Region region = Region::open("r").value();
        Jobs* const it = region.find<Jobs>("jobs").value();
        for (std::uint64_t i = 0; i < kEach; ++i) {
            if (sends) {
                it->send(job(i)).value();
            } else {
                (void)it->receive().value();
            }
        }
    };
    std::vector<kit::Child> all;
    for (const bool sends : {false, false, true, true}) all.emplace_back([&] { one(sends); });
    for (kit::Child& child : all) EXPECT_TRUE(child.wait().ok());
    expect_whole();
}

TEST_F(BufferWakes, ASweepWakesWhoWaitsForTheMessageOfADeadSender) {
    Jobs& all = jobs();
    kit::Child consumer{[] {
        Region region = Region::open("r").value();
        EXPECT_EQ(region.find<Jobs>("jobs").value()->receive().value().number, 9U);
    }};
    ASSERT_TRUE(kit::wait_until([&] { return sleeps(all.ring_layout().bells.messages); }));
    const auto sends = [](Jobs& it) { (void)it.try_send(job(9)); };
    die_at("pool.publish.sent", sends);
    EXPECT_EQ(region_.sweep(), 1U);
    EXPECT_TRUE(consumer.wait().ok());
}

TEST_F(BufferWakes, ASweepWakesWhoWaitsForTheRoomOfADeadSender) {
    Jobs& all = jobs(1);
    std::vector<kit::Child> stopped;  // they have all the memory
    for (int i = 0; i < 5; ++i) {
        stopped.emplace_back([] {
            Region region = Region::open("r").value();
            kit::stop_self_at("pool.claim.loaned");
            (void)region.find<Jobs>("jobs").value()->try_send(job(9));
        });
        ASSERT_TRUE(stopped.back().wait_stopped());
    }
    kit::Child producer{[] {
        Region region = Region::open("r").value();
        EXPECT_TRUE(region.find<Jobs>("jobs").value()->send(job(1)));
    }};
    ASSERT_TRUE(kit::wait_until([&] { return sleeps(all.ring_layout().bells.space); }));
    for (kit::Child& child : stopped) (void)child.kill_and_wait();
    EXPECT_EQ(region_.sweep(), 5U);
    EXPECT_TRUE(producer.wait().ok());
    EXPECT_EQ(drain(), Numbers{1});
}

// It may go on writing into the ring: that memory must never be another's.
TEST_F(BufferTest, TheRingOfOneThatASweeperStandsInIsNotGivenBack) {
    send(1, 1);
    die_at("pool.take.taken", [](Jobs& it) { (void)it.try_receive(); });
    kit::Child sweeper{[] {
        kit::stop_self_at("pool.recover.slots_done");
        Region region = Region::open("r").value();
    }};
    ASSERT_TRUE(sweeper.wait_stopped());
    ASSERT_TRUE(region_.destroy_object<Jobs>("jobs"));
    EXPECT_EQ(region_.use().leaked_blocks, 1U);
    sweeper.resume();
    EXPECT_TRUE(sweeper.wait().ok());
}

}  // namespace
}  // namespace stoa
