// What is allocated and freed under a Guarded is one with its data, whoever dies where.
#include "stoa/sync/section.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <array>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "stoa/shm/allocator.hpp"
#include "stoa/shm/heap_test_kit.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sync/guarded.hpp"
#include "tests/kit/crash_at.hpp"

namespace stoa {
namespace {

struct Node {
    OffsetPtr<Node> next;
    std::uint64_t bytes;
};
struct Chain {
    OffsetPtr<Node> first;
    std::uint64_t length = 0;
};

}  // namespace

template <>
inline constexpr bool kUndoneByBytes<Chain> = true;

namespace {

using Kept = Guarded<Chain, Undo::copy>;
using Mended = Guarded<Chain>;

// Where a death leaves something to be finished or taken back.
constexpr std::array kPoints{
    "heap.section_taken",     "heap.section_named",   "heap.section_tagged",  "heap.allocate",
    "heap.section_step",      "heap.large",           "heap.slab_claimed",    "heap.slab_filled",
    "heap.section_decided",   "heap.section_undone",  "heap.large_freed",     "heap.run_released",
    "heap.section_inherited", "heap.section_settled", "heap.section_finished"};

class Sections : public HeapTest {
protected:
    static constexpr std::size_t kChains = 3;

    Sections() {
        g_wait_slice = std::chrono::milliseconds{1};
        reset();
    }
    ~Sections() override { g_wait_slice = kWaitSlice; }

    void reset() {
        std::ranges::fill(heap_memory(), std::byte{0});
        Heap::create(heap_memory(), true).value();
        join();
        roots_ = static_cast<std::byte*>(heap().allocate(4096).value());
        new (roots_) Mended;
        for (std::size_t i = 0; i < kChains; ++i) new (roots_ + 1024 + i * 128) Kept;
    }
    Mended& mended() { return *reinterpret_cast<Mended*>(roots_); }
    Kept& kept(std::size_t i = 0) { return *reinterpret_cast<Kept*>(roots_ + 1024 + i * 128); }

    void push(Chain& chain, std::uint64_t bytes) {
        auto* node = static_cast<Node*>(heap().allocate(sizeof(Node) + bytes).value());
        new (node) Node{.next = chain.first, .bytes = bytes};
        chain.first = node;
        ++chain.length;
    }
    void pop(Chain& chain) {
        if (chain.length == 0) return;
        Node* const node = chain.first.get();
        chain.first = node->next;
        --chain.length;
        heap().free(node);
    }
    static std::uint64_t walk(const Chain& chain) {
        std::uint64_t found = 0;
        for (const Node* node = chain.first.get(); node != nullptr; node = node->next.get()) {
            ++found;
        }
        return found;
    }
    // Nothing is leaked and no section is open: what is allocated is what the chains hold.
    // `lost`: blocks that a death may have taken out of a chain and not yet logged, where the data
    // do not go back.
    std::string judge(std::uint64_t lost = 0) {
        heap().recover();
        std::uint64_t nodes = 1;  // the roots
        for (std::size_t i = 0; i < kChains; ++i) {
            const auto access = kept(i).lock().value();
            if (walk(*access) != access->length) return "a chain is torn";
            nodes += access->length;
        }
        {
            auto access = mended().lock().value();
            if (access.owner_died()) {
                access.repair([](Chain& chain) { chain.length = walk(chain); });
            }
            nodes += access->length;
        }
        if (heap().sections_open() != 0) return "a section is left";
        const std::span<const std::byte> root{roots_, 4096};
        const HeapReport report = heap().report(std::span{&root, 1});
        if (report.blocks - report.leaked_blocks != nodes) {
            return std::to_string(report.blocks) + " blocks for " + std::to_string(nodes);
        }
        return report.leaked_blocks <= lost ? "" : "blocks are leaked";
    }
    void change(Chain& chain) {
        pop(chain);
        for (std::uint64_t i = 0; i < 14; ++i) push(chain, i * 20);
        push(chain, 9000);
        pop(chain);
        pop(chain);
        for (int i = 0; i < 3; ++i) pop(chain);
        push(chain, 5000);
    }

    std::byte* roots_ = nullptr;
};

TEST_F(Sections, WhatIsFreedIsFreeWhenTheAccessEnds) {
    {
        auto access = kept().lock().value();
        push(*access, 100);
    }
    const std::uint64_t before = heap().bytes_in_use();
    {
        auto access = kept().lock().value();
        pop(*access);
        EXPECT_EQ(heap().bytes_in_use(), before);
    }
    EXPECT_LT(heap().bytes_in_use(), before);
    EXPECT_EQ(judge(), "");
}

TEST_F(Sections, LongLogsAreTakenBackToo) {
    {
        auto access = kept().lock().value();
        for (int i = 0; i < 300; ++i) push(*access, 16);
    }
    EXPECT_EQ(judge(), "");
    const std::uint64_t before = heap().bytes_in_use();
    kit::Child dead = child([this] {
        auto access = kept().lock().value();
        for (int i = 0; i < 100; ++i) pop(*access);
        for (int i = 0; i < 400; ++i) push(*access, 16 + static_cast<std::uint64_t>(i));
        ::kill(::getpid(), SIGKILL);
    });
    EXPECT_EQ(dead.wait().signal, SIGKILL);
    EXPECT_GT(heap().bytes_in_use(), before);
    EXPECT_TRUE(kept().lock().value().undone());
    EXPECT_EQ(heap().bytes_in_use(), before);
    EXPECT_EQ(judge(), "");
}

TEST_F(Sections, OfTwoGuardedsAreApart) {
    kit::Child dead = child([this] {
        auto outer = kept(0).lock().value();
        push(*outer, 10);
        {
            auto inner = kept(1).lock().value();
            push(*inner, 10);
        }
        push(*outer, 10);
        ::kill(::getpid(), SIGKILL);
    });
    EXPECT_EQ(dead.wait().signal, SIGKILL);
    EXPECT_EQ(kept(0).lock().value()->length, 0U);
    EXPECT_EQ(kept(1).lock().value()->length, 1U);
    EXPECT_EQ(judge(), "");
}

// The victim dies at each step, the n-th time it comes by; then the heir, at each of its own.
TEST_F(Sections, ADeathAnywhereTakesAllOrNothing) {
    for (const bool copies : {true, false}) {
        for (const char* point : kPoints) {
            for (const int nth : {1, 2, 5, 15, 17}) {
                reset();
                {
                    auto access = kept().lock().value();
                    auto other = mended().lock().value();
                    for (int i = 0; i < 6; ++i) push(*access, 30);
                    for (int i = 0; i < 6; ++i) push(*other, 30);
                }
                ASSERT_EQ(judge(), "");
                kit::Child dead = child([&] {
                    kit::kill_self_at(point, nth);
                    if (copies) {
                        change(*kept().lock().value());
                    } else {
                        change(*mended().lock().value());
                    }
                });
                static_cast<void>(dead.wait());
                kit::Child heir = child([&] {
                    kit::kill_self_at("heap.section_undone", nth);
                    static_cast<void>(judge());
                });
                static_cast<void>(heir.wait());
                const std::uint64_t length = kept().lock().value()->length;
                EXPECT_TRUE(length == 6 || length == 16) << length;
                ASSERT_EQ(judge(copies ? 0 : 1), "")
                    << point << " " << nth << (copies ? " copy" : " mend");
                static_cast<void>(table_->sweep_all(index_, [](void*, std::uint32_t) {}, nullptr));
            }
        }
    }
}

// All that is allocated is allocated in sections: after any number of deaths nothing is leaked.
TEST_F(Sections, ManyProcessesThatDieLeakNothing) {
    std::minstd_rand random{3};
    for (int round = 0; round < 40; ++round) {
        std::vector<kit::Child> children;
        for (std::uint32_t n = 0; n < 3; ++n) {
            children.push_back(child([this, seed = static_cast<std::uint32_t>(random())] {
                std::minstd_rand mine{seed};
                for (;;) {
                    auto access = kept(mine() % kChains).lock().value();
                    for (auto steps = mine() % 30; steps > 0; --steps) {
                        if (mine() % 2 == 0 || access->length > 60) {
                            pop(*access);
                        } else {
                            push(*access, mine() % 16 == 0 ? 5000 : mine() % 100);
                        }
                    }
                }
            }));
        }
        for (auto n = 1000 + random() % 20'000; n > 0; --n) {  // meanwhile
            heap().free(heap().allocate(n % 100).value());
        }
        for (kit::Child& one : children) EXPECT_EQ(one.kill_and_wait().signal, SIGKILL);
        ASSERT_EQ(judge(), "");
        static_cast<void>(table_->sweep_all(index_, [](void*, std::uint32_t) {}, nullptr));
    }
}

TEST_F(Sections, ThreadsWithAGuardedEachLeakNothing) {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kChains; ++i) {
        threads.emplace_back([this, i] {
            std::minstd_rand mine{static_cast<std::uint32_t>(i + 1)};
            for (int n = 0; n < 3000; ++n) {
                auto access = kept(i).lock().value();
                for (auto steps = mine() % 20; steps > 0; --steps) {
                    if (mine() % 2 == 0 || access->length > 40) {
                        pop(*access);
                    } else {
                        push(*access, mine() % 100);
                    }
                }
            }
        });
    }
    threads.clear();
    EXPECT_EQ(judge(), "");
}

TEST_F(Sections, AsManyAsThereAreRecords) {
    std::vector<SectionOwner> owners(2000);
    int open = 0;
    for (SectionOwner& owner : owners) {
        begin_section(heap(), owner);
        const Result<void*> got = heap().allocate(16);
        leave_section(owner);
        if (!got) {
            EXPECT_EQ(got.error().code, Errc::no_free_place);
            break;
        }
        ++open;
    }
    EXPECT_LT(open, 2000);
    for (SectionOwner& owner : owners) heap().roll_back(owner);
    EXPECT_EQ(judge(), "");
}

}  // namespace
}  // namespace stoa
