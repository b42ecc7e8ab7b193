#include "stoa/shm/shared_ptr.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "stoa/shm/heap_test_kit.hpp"
#include "stoa/shm/offset_ptr.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

// Has a block of its own.
struct Thing {
    Thing(Heap& heap, std::uint64_t says) : value{says} {
        rest = OffsetPtr<std::uint64_t>{static_cast<std::uint64_t*>(heap.allocate(1000).value())};
        if (says == 13) throw std::runtime_error{"no"};
        *rest = says;
    }
    Thing(const Thing&) = delete;
    ~Thing() { static_cast<Heap*>(here(this).heap)->free(rest.get()); }

    std::uint64_t value;
    OffsetPtr<std::uint64_t> rest;
};

struct Board {
    Atomic<std::uint64_t> turn;
    SharedToken token;
};

class Shared : public HeapTest {
protected:
    Shared() { board_ = new (other_.bytes().data()) Board{}; }

    SharedPtr<Thing> make(std::uint64_t says = 7) {
        return make_shared<Thing>(heap(), heap(), says).value();
    }
    // A child that adopts what the board says and waits to be killed.
    kit::Child adopter() {
        const std::uint64_t turn = board_->turn.load();
        kit::Child holder = child([this] {
            const SharedPtr<Thing> mine = SharedPtr<Thing>::adopt(heap(), board_->token).value();
            if (mine->value != 7 || *mine->rest != 7) _exit(1);
            board_->turn.fetch_add(1);
            for (;;) ::pause();
        });
        EXPECT_TRUE(kit::wait_until([&] { return board_->turn.load() == turn + 1; }));
        return holder;
    }
    kit::TempRegion other_{4096};
    Board* board_ = nullptr;
};

TEST_F(Shared, EndsWithItsLastHandle) {
    SharedPtr<Thing> one = make();
    EXPECT_GT(heap().bytes_in_use(), 1000U);
    {
        const SharedPtr<Thing> two = one;
        EXPECT_EQ(two, one);
        EXPECT_EQ(two->value, 7U);
        one.reset();
        EXPECT_EQ(*two->rest, 7U);
        EXPECT_EQ(two.processes(), 1U);
    }
    EXPECT_EQ(heap().bytes_in_use(), 0U);
    EXPECT_FALSE(one);
}

TEST_F(Shared, AConstructorThatThrowsLeavesNothing) {
    EXPECT_THROW(static_cast<void>(make(13)), std::runtime_error);
    EXPECT_EQ(heap().bytes_in_use(), 0U);
}

TEST_F(Shared, OutlivesItsGiverInAnotherProcess) {
    SharedPtr<Thing> mine = make();
    board_->token = mine.token();
    kit::Child holder = adopter();
    EXPECT_EQ(mine.processes(), 2U);
    mine.reset();
    EXPECT_GT(heap().bytes_in_use(), 1000U);
    mine = SharedPtr<Thing>::adopt(heap(), board_->token).value();
    EXPECT_EQ(holder.kill_and_wait().signal, SIGKILL);
    EXPECT_EQ(mine.processes(), 1U);
    mine.reset();
    EXPECT_EQ(heap().bytes_in_use(), 0U);
    EXPECT_EQ(SharedPtr<Thing>::adopt(heap(), board_->token).error().code, Errc::gone);
    EXPECT_EQ(SharedPtr<Thing>::adopt(heap(), {.offset = 999'999'999}).error().code, Errc::gone);
}

TEST_F(Shared, WhatOnlyTheDeadHeldIsSwept) {
    SharedPtr<Thing> mine = make();
    board_->token = mine.token();
    kit::Child holder = adopter();
    mine.reset();
    EXPECT_EQ(sweep_shared(heap()), 0U);
    EXPECT_EQ(holder.kill_and_wait().signal, SIGKILL);
    EXPECT_EQ(sweep_shared(heap()), 1U);
    const HeapReport report = heap().report({});
    EXPECT_EQ(report.blocks, 1U);  // what its destructor would have freed
    EXPECT_EQ(report.leaked_blocks, 1U);
}

TEST_F(Shared, AStoppedHolderHoldsIt) {
    SharedPtr<Thing> mine = make();
    board_->token = mine.token();
    kit::Child holder = adopter();
    holder.stop();
    mine.reset();
    EXPECT_EQ(sweep_shared(heap()), 0U);
    EXPECT_GT(heap().bytes_in_use(), 1000U);
}

TEST_F(Shared, AForkedChildDropsNothing) {
    SharedPtr<Thing> mine = make();
    const kit::Ending ending = kit::fork_and_run([&] {
        const SharedPtr<Thing> copy = mine;
        if (copy) _exit(1);
        mine.reset();
    });
    EXPECT_TRUE(ending.ok());
    EXPECT_EQ(mine->value, 7U);
}

TEST_F(Shared, MayBeHeldByMoreProcessesThanItHasWordsFor) {
    SharedPtr<Thing> mine = make();
    board_->token = mine.token();
    std::vector<kit::Child> holders;
    for (int i = 0; i < 20; ++i) holders.push_back(adopter());
    EXPECT_EQ(mine.processes(), 21U);
    mine.reset();
    for (kit::Child& holder : holders) EXPECT_EQ(holder.kill_and_wait().signal, SIGKILL);
    EXPECT_EQ(sweep_shared(heap()), 1U);
    EXPECT_EQ(heap().report({}).blocks, 1U);
}

// At each step of making, copying and ending; what is left is at most what a destructor did not run
// for, and the words of one that nobody named yet.
TEST_F(Shared, ADeathAnywhereLeavesItHeldByTheLivingOrSwept) {
    for (const char* point : {"shared_ptr.making", "shared_ptr.made", "heap.section_step",
                              "heap.section_decided", "shared_ptr.copied", "shared_ptr.dropped",
                              "shared_ptr.dying", "shared_ptr.destroyed", "shared_ptr.before_freed",
                              "shared_ptr.freed", "heap.section_undone", "heap.section_finished"}) {
        for (const int nth : {1, 2, 3}) {
            std::ranges::fill(heap_memory(), std::byte{0});
            Heap::create(heap_memory(), true).value();
            join();
            SharedPtr<Thing> held = make();
            const SharedToken token = held.token();
            kit::Child dead = child([&] {
                kit::kill_self_at(point, nth);
                SharedPtr<Thing> theirs = SharedPtr<Thing>::adopt(heap(), token).value();
                SharedPtr<Thing> own = make();
                const SharedPtr<Thing> copy = own;
            });
            static_cast<void>(dead.wait());
            kit::Child heir = child([&] {
                kit::kill_self_at("heap.section_finished");
                static_cast<void>(sweep_shared(heap()));
            });
            static_cast<void>(heir.wait());
            heap().recover();
            static_cast<void>(sweep_shared(heap()));
            EXPECT_EQ(held.processes(), 1U) << point << nth;
            EXPECT_EQ(*held->rest, 7U);
            held.reset();
            const HeapReport report = heap().report({});
            EXPECT_LE(report.blocks, 1U) << point << nth;
            EXPECT_EQ(heap().sections_open(), 0U) << point << nth;
            static_cast<void>(table_->sweep_all(index_, [](void*, std::uint32_t) {}, nullptr));
        }
    }
}

TEST_F(Shared, ThreadsThatCopyAndDropEndItOnce) {
    for (int round = 0; round < 50; ++round) {
        SharedPtr<Thing> mine = make();
        const SharedToken token = mine.token();
        std::vector<std::jthread> threads;
        for (int i = 0; i < 3; ++i) {
            threads.emplace_back([&heap = heap(), copy = mine, token] {
                for (int n = 0; n < 50; ++n) {
                    const SharedPtr<Thing> another = copy;
                    EXPECT_EQ(*another->rest, 7U);
                    EXPECT_TRUE(SharedPtr<Thing>::adopt(heap, token).has_value());
                }
            });
        }
        mine.reset();
        threads.clear();
        EXPECT_EQ(heap().bytes_in_use(), 0U);
    }
}

}  // namespace
}  // namespace stoa
