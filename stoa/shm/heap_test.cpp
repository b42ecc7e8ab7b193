#include "stoa/shm/heap.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "stoa/shm/heap_test_kit.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

// Each block holds its own pattern from end to end: whoever gets one twice sees it.
struct Held {
    std::byte* at;
    std::size_t bytes;
    std::uint8_t mark;
};

class Holder_ {
public:
    explicit Holder_(Heap& heap, std::uint32_t seed) : heap_{heap}, random_{seed} {}

    void step() {
        const bool take = held_.empty() || (random_() % 3 != 0 && held_.size() < 200);
        if (!take) return give(random_() % held_.size());
        const std::size_t bytes = random_() % 8 == 0 ? random_() % 12'000 : random_() % 300;
        const Result<void*> got = heap_.allocate(bytes);
        if (!got) {
            ASSERT_EQ(got.error().code, Errc::out_of_space);
            if (!held_.empty()) give(0);
            return;
        }
        // All of it: what an earlier owner left there could look like a pointer.
        held_.push_back({static_cast<std::byte*>(*got), heap_.bytes_of(*got),
                         static_cast<std::uint8_t>((random_() & 0x7eU) | 1U)});
        std::memset(*got, held_.back().mark, held_.back().bytes);
    }
    void give(std::size_t which) {
        std::swap(held_[which], held_.back());
        const Held block = held_.back();
        held_.pop_back();
        for (std::size_t i = 0; i < block.bytes; ++i) {
            ASSERT_EQ(block.at[i], std::byte{block.mark}) << "somebody else writes into it";
        }
        heap_.free(block.at);
    }
    void give_all() {
        while (!held_.empty()) give(held_.size() - 1);
    }
    [[nodiscard]] const std::vector<Held>& held() const { return held_; }

private:
    Heap& heap_;
    std::minstd_rand random_;
    std::vector<Held> held_;
};

class SmallHeap : public HeapTest {
protected:
    SmallHeap() : HeapTest{96 << 10} {}
};

TEST_F(HeapTest, BlocksOfEverySizeAreAlignedAndApart) {
    std::map<std::uintptr_t, std::size_t> taken;
    for (std::size_t bytes = 0; bytes < 9000; bytes += bytes / 7 + 1) {
        for (const std::size_t alignment : {std::size_t{16}, std::size_t{64}, std::size_t{256}}) {
            void* const block = heap().allocate(bytes, alignment).value();
            const auto at = reinterpret_cast<std::uintptr_t>(block);
            EXPECT_EQ(at % alignment, 0U);
            EXPECT_GE(heap().bytes_of(block), bytes);
            const auto next = taken.upper_bound(at);
            EXPECT_TRUE(next == taken.end() || at + bytes <= next->first);
            if (next != taken.begin()) {
                EXPECT_GE(at, std::prev(next)->first + std::prev(next)->second);
            }
            taken[at] = bytes;
            std::memset(block, 0xa5, bytes);
        }
    }
    for (const auto& [at, bytes] : taken) heap().free(reinterpret_cast<void*>(at));
    EXPECT_EQ(heap().bytes_in_use(), 0U);
}

TEST_F(HeapTest, EveryClassHoldsWhatItsSizeSays) {
    for (std::uint32_t kind = 0; kind + 1 < kHeapClasses; ++kind) {
        EXPECT_LT(Heap::bytes_of_class(kind), Heap::bytes_of_class(kind + 1));
        EXPECT_EQ(Heap::bytes_of_class(kind) % 16, 0U);
    }
    for (std::size_t bytes = 1; bytes <= 2048; ++bytes) {
        void* const block = heap().allocate(bytes).value();
        EXPECT_GE(heap().bytes_of(block), bytes);
        EXPECT_LT(heap().bytes_of(block), bytes * 5 / 4 + 16);
        heap().free(block);
    }
}

TEST_F(SmallHeap, WhatIsGivenBackServesAnyOtherSize) {
    for (int round = 0; round < 3; ++round) {
        for (const std::size_t bytes : {16U, 500U, 2000U, 30'000U, 100U}) {
            std::vector<void*> all;
            for (;;) {
                const Result<void*> got = heap().allocate(bytes);
                if (!got) {
                    EXPECT_EQ(got.error().code, Errc::out_of_space);
                    break;
                }
                all.push_back(*got);
            }
            EXPECT_GE(all.size() * bytes, heap().capacity_bytes() / 2) << bytes;
            for (void* const block : all) heap().free(block);
            EXPECT_EQ(heap().bytes_in_use(), 0U);
        }
    }
}

TEST_F(HeapTest, RefusesWhatItCannotGive) {
    EXPECT_EQ(heap().allocate(std::size_t{1} << 40U).error().code, Errc::too_big);
    EXPECT_EQ(heap().allocate(16, 24).error().code, Errc::bad_argument);
    EXPECT_EQ(heap().allocate(16, 8192).error().code, Errc::bad_argument);
    heap().free(nullptr);
    const kit::Ending ending = kit::fork_and_run([this] {
        if (heap().allocate(16).error().code != Errc::forked) _exit(1);
    });
    EXPECT_TRUE(ending.ok());
}

TEST_F(HeapTest, FreeingWhatIsNotAllocatedEndsTheProcess) {
    void* const block = heap().allocate(48).value();
    kit::Child inside = child([&] { heap().free(static_cast<std::byte*>(block) + 16); });
    EXPECT_EQ(inside.wait().signal, SIGABRT);
    for (const std::uintptr_t far : {std::uintptr_t{1} << 44U, std::uintptr_t{1} << 45U}) {
        EXPECT_EQ(heap().bytes_of(static_cast<std::byte*>(block) + far), 0U);
        EXPECT_EQ(heap().bytes_of(static_cast<std::byte*>(block) - far), 0U);
    }
    heap().free(block);
    kit::Child twice = child([&] { heap().free(block); });
    EXPECT_EQ(twice.wait().signal, SIGABRT);
}

TEST_F(HeapTest, AStrangeHeaderIsACleanError) {
    kit::TempRegion other{std::size_t{256} << 10U};
    EXPECT_EQ(Heap::attach(other.bytes(), nullptr, nullptr).error().code, Errc::bad_layout);
    EXPECT_EQ(Heap::attach(other.bytes().first(8), nullptr, nullptr).error().code,
              Errc::bad_layout);
    EXPECT_EQ(Heap::create(other.bytes().first(4096), true).error().code, Errc::bad_argument);
    Heap::create(other.bytes(), true).value();
    EXPECT_EQ(Heap::attach(other.bytes().first(128 << 10), nullptr, nullptr).error().code,
              Errc::bad_layout);
    auto* header = reinterpret_cast<HeapHeader*>(other.bytes().data());
    const std::uint32_t shift = header->slab_shift;
    for (const std::uint32_t bad : {0U, 11U, 17U, 64U, ~0U}) {
        header->slab_shift = bad;
        EXPECT_FALSE(Heap::attach(other.bytes(), nullptr, nullptr).has_value());
    }
    header->slab_shift = shift;
    header->version = 2;
    EXPECT_EQ(Heap::attach(other.bytes(), nullptr, nullptr).error().code, Errc::wrong_version);
}

// Random bytes behind a header that holds: no call leaves the memory, none goes on for ever.
TEST_F(HeapTest, RandomWordsDoNoHarmOutside) {
    std::minstd_rand random{7};
    for (int round = 0; round < 30; ++round) {
        auto words = std::span{reinterpret_cast<std::uint32_t*>(heap_memory().data()),
                               heap_memory().size() / 4};
        for (std::size_t i = 16; i < words.size(); ++i) {
            words[i] = static_cast<std::uint32_t>(random() * (random() % 5));
        }
        for (int i = 0; i < 50; ++i) {
            const Result<void*> got = heap().allocate(random() % 5000);
            EXPECT_TRUE(!got || heap().contains(*got));
        }
        static_cast<void>(heap().bytes_in_use());
        static_cast<void>(heap().retire_empty());
        static_cast<void>(heap().report({}));
    }
}

TEST_F(HeapTest, GrowsAsItIsUsed) {
    struct Reserved {
        std::uint64_t bytes = 0;
        std::uint64_t limit = 0;
    };
    kit::TempRegion other{std::size_t{8} << 20U};
    Reserved reserved{.limit = 2 << 20};
    const auto reserve = [](void* context, std::uint64_t, std::uint64_t bytes) -> Result<void> {
        auto& of = *static_cast<Reserved*>(context);
        if (of.bytes + bytes > of.limit) return fail(Errc::out_of_space, "test");
        of.bytes += bytes;
        return {};
    };
    Heap::create(other.bytes(), false).value();
    const std::unique_ptr<Heap> grows = Heap::attach(other.bytes(), reserve, &reserved).value();
    EXPECT_EQ(grows->reserved_bytes(), 0U);
    std::vector<void*> all;
    for (;;) {
        const Result<void*> got = grows->allocate(1000);
        if (!got) break;
        all.push_back(*got);
    }
    EXPECT_LE(reserved.bytes, reserved.limit);
    EXPECT_GT(all.size() * 1024, reserved.limit / 2);
    reserved.limit = 16 << 20;
    EXPECT_TRUE(grows->allocate(3 << 20).has_value());
}

TEST_F(HeapTest, ThreadsNeverGetABlockTwice) {
    std::vector<std::jthread> threads;
    for (std::uint32_t i = 0; i < 4; ++i) {
        threads.emplace_back([this, i] {
            Holder_ holder{heap(), i + 1};
            for (int n = 0; n < 20'000; ++n) holder.step();
            holder.give_all();
        });
    }
    threads.clear();
    EXPECT_EQ(heap().bytes_in_use(), 0U);
    static_cast<void>(heap().retire_empty());
    EXPECT_TRUE(heap().allocate(heap().capacity_bytes()).has_value());
}

TEST_F(SmallHeap, ThreadsThatChangeSizesRetireSlabsUnderEachOther) {
    std::vector<std::jthread> threads;
    for (std::uint32_t i = 0; i < 4; ++i) {
        threads.emplace_back([this, i] {
            Holder_ holder{heap(), i + 11};
            for (int n = 0; n < 20'000; ++n) {
                holder.step();
                if (n % 500 == 0) static_cast<void>(heap().retire_empty());
                if (n % 900 == 0) holder.give_all();
            }
            holder.give_all();
        });
    }
    threads.clear();
    EXPECT_EQ(heap().bytes_in_use(), 0U);
    static_cast<void>(heap().retire_empty());
    EXPECT_TRUE(heap().allocate(heap().capacity_bytes()).has_value());
}

// The dead may lose the blocks that they held or were taking; nothing else, and no block twice.
TEST_F(HeapTest, ProcessesThatAreKilledLeaveItWhole) {
    Holder_ survivor{heap(), 99};
    std::minstd_rand random{5};
    for (int round = 0; round < 25; ++round) {
        std::vector<kit::Child> children;
        for (std::uint32_t i = 0; i < 3; ++i) {
            children.push_back(child([this, seed = static_cast<std::uint32_t>(random())] {
                Holder_ holder{heap(), seed};
                for (;;) {
                    holder.step();
                    if (testing::Test::HasFailure()) _exit(1);
                }
            }));
        }
        for (std::uint32_t n = 0; n < 200 + random() % 3000; ++n) survivor.step();
        for (kit::Child& one : children) EXPECT_EQ(one.kill_and_wait().signal, SIGKILL);
        heap().recover();
        static_cast<void>(table_->sweep_all(index_, [](void*, std::uint32_t) {}, nullptr));
        std::vector<std::uint64_t> roots;  // of the survivor
        for (const Held& block : survivor.held()) {
            roots.push_back(0);
            EXPECT_GE(heap().bytes_of(block.at), block.bytes);
        }
        for (std::size_t i = 0; i < roots.size(); ++i) {
            roots[i] = reinterpret_cast<std::uintptr_t>(survivor.held()[i].at) -
                       reinterpret_cast<std::uintptr_t>(&roots[i]);
        }
        const std::span<const std::byte> root = std::as_bytes(std::span{roots});
        const HeapReport report = heap().report(std::span{&root, 1});
        EXPECT_EQ(report.blocks - report.leaked_blocks, survivor.held().size());
        EXPECT_EQ(report.bytes, heap().bytes_in_use());
    }
    survivor.give_all();
}

// Every place where a death leaves something: the next ones get all the memory that is not leaked.
TEST_F(SmallHeap, ADeathAtEachStepLosesAtMostOneBlock) {
    for (const char* point :
         {"heap.slab_claimed", "heap.slab_filled", "heap.allocate", "heap.free", "heap.large",
          "heap.large_freed", "heap.run_released", "heap.retiring", "heap.word_closed"}) {
        Heap::create(heap_memory(), true).value();
        std::ranges::fill(heap_memory(), std::byte{0});
        Heap::create(heap_memory(), true).value();
        join();
        kit::Child dead = child([this, point] {
            kit::kill_self_at(point);
            void* const small = heap().allocate(100).value();
            void* const large = heap().allocate(20'000).value();
            heap().free(small);
            heap().free(large);
            static_cast<void>(heap().retire_empty());
        });
        ASSERT_EQ(dead.wait().signal, SIGKILL) << point;
        heap().recover();
        const HeapReport report = heap().report({});
        EXPECT_LE(report.blocks, 2U) << point;
        std::uint64_t free = 0;
        static_cast<void>(heap().retire_empty());
        while (heap().allocate(4096)) free += 4096;
        EXPECT_GE(free + 4096 + report.leaked_bytes, heap().capacity_bytes()) << point;
        static_cast<void>(table_->sweep_all(index_, [](void*, std::uint32_t) {}, nullptr));
    }
}

}  // namespace
}  // namespace stoa
