#include "stoa/shm/region.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "stoa/shm/heap.hpp"
#include "stoa/shm/objects_layout.hpp"
#include "stoa/shm/offset_ptr.hpp"
#include "stoa/sync/guarded.hpp"
#include "stoa/sync/section.hpp"
#include "stoa/sys/file.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/leaks.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {

// Allocates in its constructor, and ends there as it is told to.
struct Chunky {
    enum class Then : std::uint8_t { returns, throws, dies, stops };

    explicit Chunky(Heap& heap, Then then = Then::returns) : block{heap.allocate(1000).value()} {
        if (then == Then::throws) throw std::runtime_error{"as the test wants it"};
        if (then == Then::dies) ::kill(::getpid(), SIGKILL);
        if (then == Then::stops) ::raise(SIGSTOP);
    }
    void give_back(Heap& heap) {
        heap.free(block.get());
        block = nullptr;
    }

    OffsetPtr<void> block;
};
// Forks in its constructor; both return from it.
struct Forking {
    static inline pid_t child = -1;  // of this process
    Forking() { child = ::fork(); }
    std::uint32_t value = 1;
};

template <>
struct Layout<Forking> {
    static constexpr std::string_view name = "test.forking";
};
template <>
struct Layout<Chunky> {
    static constexpr std::string_view name = "test.chunky";
};

namespace {

struct Stats {
    std::uint64_t hits;
    double mean;
};
struct WithLock {
    Mutex lock;
    std::atomic<std::uint32_t> count;
};

class RegionTest : public testing::Test {
protected:
    kit::TempDomain folder_;
};

TEST_F(RegionTest, TwoAddressesAreOneMemory) {
    Region one = Region::create("stats", 4096).value();
    Stats* a = one.construct<Stats>("s", Stats{.hits = 1, .mean = 2}).value();
    Region two = Region::open("stats").value();
    Stats* b = two.find<Stats>("s").value();
    EXPECT_NE(a, b);
    a->hits = 7;
    EXPECT_EQ(b->hits, 7U);
}

TEST_F(RegionTest, AnotherProcessSeesIt) {
    Region region = Region::create("stats", 4096).value();
    auto* stats = region.construct<Guarded<Stats>>("s").value();
    const kit::Ending ending = kit::fork_and_run([&] {
        Region mine = Region::open("stats").value();
        auto* it = mine.find_or_construct<Guarded<Stats>>("s").value();
        ++(*it->lock().value()).hits;
    });
    EXPECT_TRUE(ending.ok());
    EXPECT_EQ((*stats->lock().value()).hits, 1U);
}

TEST_F(RegionTest, AnObjectHasItsTypeAndIsFoundByNoOther) {
    Region region = Region::create("r", 4096).value();
    ASSERT_TRUE(region.construct<Stats>("s"));
    const Result<std::uint64_t*> other = region.find<std::uint64_t>("s");
    EXPECT_EQ(other.error().code, Errc::wrong_type);
    EXPECT_NE(describe(other.error()).find("u64 hits@0"), std::string::npos);
    EXPECT_EQ(region.find<Stats>("t").error().code, Errc::not_found);
    EXPECT_EQ(region.construct<Stats>("s").error().code, Errc::exists);
    EXPECT_EQ(region.construct<Stats>("").error().code, Errc::bad_name);
    EXPECT_EQ(region.construct<Stats>(std::string(81, 'x')).error().code, Errc::bad_name);
    const std::vector<ObjectInfo> all = region.objects();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].name, "s");
    EXPECT_EQ(all[0].type, "{u64 hits@0;f64 mean@8;}:16");
}

TEST_F(RegionTest, AStructureWithALockAndAnAtomicIsAnObject) {
    Region region = Region::create("r", 4096).value();
    auto* it = region.construct<WithLock>("w").value();
    const std::lock_guard guard{it->lock};
    it->count += 3;
    EXPECT_EQ(region.objects()[0].type, "{stoa.mutex 1:8 lock@0;atomic u32 count@8;}:16");
}

TEST_F(RegionTest, DestroyedObjectsLeaveNothing) {
    Region region = Region::create("r", 4096).value();
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(region.construct<Stats>("s" + std::to_string(i)));
    }
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(region.destroy_object<Stats>("s" + std::to_string(i)));
    }
    EXPECT_EQ(region.use().in_use, 0U);
    EXPECT_EQ(region.destroy_object<Stats>("s1").error().code, Errc::not_found);
    ASSERT_TRUE(region.construct<std::uint64_t>("s1", 5U));
}

TEST_F(RegionTest, AConstructorThatThrowsLeavesNoObjectAndNoBlock) {
    Region region = Region::create("r", 4096).value();
    EXPECT_THROW(
        static_cast<void>(region.construct<Chunky>("c", region.heap(), Chunky::Then::throws)),
        std::runtime_error);
    EXPECT_EQ(region.find<Chunky>("c").error().code, Errc::not_found);
    EXPECT_EQ(region.use().in_use, 0U);
    ASSERT_TRUE(region.construct<Chunky>("c", region.heap()));
    EXPECT_EQ(region.use().leaked_blocks, 0U);
    region.find<Chunky>("c").value()->give_back(region.heap());
    ASSERT_TRUE(region.destroy_object<Chunky>("c"));
    EXPECT_EQ(region.use().in_use, 0U);
}

TEST_F(RegionTest, ADeathInAConstructorLeavesNoObjectAndNoBlock) {
    Region region = Region::create("r", 4096).value();
    const kit::Ending ending = kit::fork_and_run([] {
        Region mine = Region::open("r").value();
        static_cast<void>(mine.construct<Chunky>("c", mine.heap(), Chunky::Then::dies));
    });
    EXPECT_EQ(ending.signal, SIGKILL);
    // The next one that wants the name gets it at once.
    ASSERT_TRUE(region.construct<Chunky>("c", region.heap()));
    region.sweep();
    EXPECT_EQ(region.use().leaked_blocks, 0U);
    region.find<Chunky>("c").value()->give_back(region.heap());
    ASSERT_TRUE(region.destroy_object<Chunky>("c"));
    EXPECT_EQ(region.use().in_use, 0U);
}

TEST_F(RegionTest, OfManyThatConstructOneNameOneDoesAndAllGetTheSame) {
    Region region = Region::create("r", 4096).value();
    auto* made = region.construct<std::atomic<std::uint64_t>>("made").value();
    for (int round = 0; round < 20; ++round) {
        const std::string name = "o" + std::to_string(round);
        std::vector<kit::Child> children;
        for (int i = 0; i < 4; ++i) {
            children.emplace_back([&name] {
                Region mine = Region::open("r").value();
                auto* count = mine.find<std::atomic<std::uint64_t>>("made").value();
                if (mine.construct<Stats>(name, Stats{.hits = 9, .mean = 0})) ++*count;
                EXPECT_EQ(mine.find<Stats>(name).value()->hits, 9U);
            });
        }
        for (kit::Child& child : children) EXPECT_TRUE(child.wait().ok());
        EXPECT_EQ(made->load(), static_cast<std::uint64_t>(round) + 1);
    }
}

TEST_F(RegionTest, WhoWaitsForAConstructorGetsTheNameWhenItDies) {
    Region region = Region::create("r", 4096).value();
    kit::Child child{[] {
        Region mine = Region::open("r").value();
        static_cast<void>(mine.construct<Chunky>("c", mine.heap(), Chunky::Then::stops));
    }};
    ASSERT_TRUE(child.wait_stopped());
    EXPECT_EQ(region.find<Chunky>("c").error().code, Errc::not_found);
    const auto soon = Deadline::after(std::chrono::milliseconds{20});
    EXPECT_EQ(region.construct_until<Chunky>(soon, "c", region.heap()).error().code,
              Errc::timed_out);
    EXPECT_EQ(
        region.construct_until<Chunky>(Deadline::immediately(), "c", region.heap()).error().code,
        Errc::in_use);
    // Other names are nobody's business.
    ASSERT_TRUE(region.construct<Stats>("s"));
    child.kill();
    ASSERT_TRUE(region.construct<Chunky>("c", region.heap()));
    child.wait();
    EXPECT_EQ(region.use().leaked_blocks, 0U);
}

TEST_F(RegionTest, ReadOnlyReallyIs) {
    Region region = Region::create("r", 4096).value();
    ASSERT_TRUE(region.construct<Stats>("s", Stats{.hits = 4, .mean = 0}));
    Region reads = Region::open("r", {.access = Access::read_only}).value();
    EXPECT_EQ(reads.find<Stats>("s").error().code, Errc::denied);
    EXPECT_EQ(reads.construct<Stats>("t").error().code, Errc::denied);
    const Stats* stats = reads.find<const Stats>("s").value();
    EXPECT_EQ(stats->hits, 4U);
    const kit::Ending ending = kit::fork_and_run([&] {
        ::signal(SIGSEGV, SIG_DFL);  // AddressSanitizer has a handler
        const_cast<Stats*>(stats)->hits = 1;
    });
    EXPECT_EQ(ending.signal, SIGSEGV);
}

TEST_F(RegionTest, GrowsWhileOthersAreAttached) {
    Region one = Region::create("r", 4096, {.max_bytes = 8U << 20U}).value();
    Region two = Region::open("r").value();
    const std::uint64_t before = two.use().bytes;
    one.grow(1U << 20U).value();
    EXPECT_GT(two.use().bytes, before);
    EXPECT_GE(two.use().bytes, 1U << 20U);
    // It grows by itself as well.
    struct Big {
        std::uint8_t bytes[4U << 20U];
    };
    ASSERT_TRUE(two.heap().allocate(sizeof(Big)));
    EXPECT_GE(one.use().bytes, 4U << 20U);
    EXPECT_EQ(one.grow(64U << 20U).error().code, Errc::too_big);
    EXPECT_EQ(one.heap().allocate(64U << 20U).error().code, Errc::too_big);
}

TEST_F(RegionTest, RemoveThenDetachAndDetachThenRemove) {
    {
        Region region = Region::create("a", 4096).value();
        Stats* stats = region.construct<Stats>("s").value();
        EXPECT_TRUE(Region::destroy("a").value());
        EXPECT_TRUE(region.is_destroyed());
        stats->hits = 1;  // whoever has it keeps it
        EXPECT_EQ(Region::open("a").error().code, Errc::not_found);
        EXPECT_TRUE(Region::create("a", 4096));
        EXPECT_FALSE(Region::open("a").value().find<Stats>("s"));
    }
    EXPECT_TRUE(Region::destroy("a").value());
    EXPECT_EQ(Region::destroy("a").error().code, Errc::not_found);
    EXPECT_TRUE(folder_.entries().empty());
}

TEST_F(RegionTest, OfAProcessItEndsWithItsHandle) {
    {
        const Region region = Region::create("p", 4096, {.owner = Owner::process}).value();
        EXPECT_TRUE(Region::open("p"));
        EXPECT_TRUE(folder_.entries().empty());
    }
    EXPECT_EQ(Region::open("p").error().code, Errc::not_found);
}

TEST_F(RegionTest, WhoHasItIsToldWhenItsOwnerDied) {
    kit::Child owner{[] {
        const Region region = Region::create("p", 4096, {.owner = Owner::process}).value();
        ::raise(SIGSTOP);
    }};
    ASSERT_TRUE(owner.wait_stopped());
    const Region region = Region::open("p").value();
    EXPECT_FALSE(region.is_destroyed());
    owner.kill_and_wait();
    EXPECT_TRUE(region.is_destroyed());
}

TEST_F(RegionTest, AForkedChildIsToldSo) {
    Region region = Region::create("r", 4096).value();
    ASSERT_TRUE(region.construct<Stats>("s"));
    const kit::Ending ending = kit::fork_and_run([&] {
        EXPECT_EQ(region.find<Stats>("s").error().code, Errc::forked);
        EXPECT_EQ(region.construct<Stats>("t").error().code, Errc::forked);
    });
    EXPECT_TRUE(ending.ok());
    EXPECT_EQ(region.attached().size(), 1U);
}

TEST_F(RegionTest, AForkedChildFinishesNothingOfItsParents) {
    Region region = Region::create("r", 4096).value();
    const kit::Ending ending = kit::fork_and_run([] {
        Region mine = Region::open("r").value();
        const Result<Forking*> made = mine.construct<Forking>("f");
        if (Forking::child == 0) ::_exit(0);
        int status = -1;
        ASSERT_EQ(::waitpid(Forking::child, &status, 0), Forking::child);
        ASSERT_TRUE(made);
        EXPECT_EQ(status, 0);
        EXPECT_TRUE(mine.find<Forking>("f"));
        EXPECT_TRUE(mine.destroy_object<Forking>("f"));
    });
    EXPECT_TRUE(ending.ok());
    EXPECT_EQ(region.use().in_use, 0U);
    EXPECT_EQ(region.heap().sections_open(), 0U);
}

TEST_F(RegionTest, AForkedChildIsInNoneOfItsParentsSections) {
    Region region = Region::create("r", 4096).value();
    auto* guarded = region.construct<Guarded<Stats>>("g").value();
    auto access = guarded->lock().value();
    EXPECT_NE(current_section(&region.heap()), nullptr);
    const kit::Ending ending = kit::fork_and_run([&] {
        EXPECT_EQ(current_section(&region.heap()), nullptr);
        Region mine = Region::open("r").value();
        EXPECT_TRUE(mine.construct<Stats>("s"));
    });
    EXPECT_TRUE(ending.ok());
}

TEST_F(RegionTest, TheDeadAreRecoveredByTheNextOpen) {
    Region region = Region::create("r", 4096).value();
    auto* guarded = region.construct<Guarded<Stats>>("g").value();
    const kit::Ending ending = kit::fork_and_run([] {
        Region mine = Region::open("r").value();
        auto access = mine.find<Guarded<Stats>>("g").value()->lock().value();
        access->hits = 1;
        ::kill(::getpid(), SIGKILL);
    });
    EXPECT_EQ(ending.signal, SIGKILL);
    EXPECT_EQ(region.attached().size(), 2U);
    const Region other = Region::open("r").value();
    EXPECT_EQ(region.attached().size(), 2U);
    EXPECT_TRUE(guarded->lock().value().owner_died());
}

TEST_F(RegionTest, MoreNamesThanMaxObjectsIsAnError) {
    Region region = Region::create("r", 4096, {.max_objects = 40}).value();
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(region.construct<int>("o" + std::to_string(i)));
    EXPECT_EQ(region.construct<int>("more").error().code, Errc::no_free_place);
    ASSERT_TRUE(region.destroy_object<int>("o7"));
    EXPECT_TRUE(region.construct<int>("more"));
}

// Else a claim that another one emptied could succeed, beside what has the name by then.
TEST_F(RegionTest, AWordOfTheDirectoryDoesNotComeRound) {
    Region region = Region::create("r", 4096).value();
    const auto file = sys::Fd{::dup(region.descriptor())};
    const sys::Mapping all =
        sys::map_shared(file, sys::info(file)->bytes, sys::Access::read_only).value();
    const auto* head = reinterpret_cast<const RegionLayout*>(all.bytes().data());
    const auto* word = reinterpret_cast<const Atomic<std::uint64_t>*>(
        all.bytes().data() + head->content_offset + objects_parts(4096).words);
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(region.construct<int>("one", i));
        EXPECT_TRUE(seen.insert(word->load()).second);
        ASSERT_TRUE(region.destroy_object<int>("one"));
        EXPECT_TRUE(seen.insert(word->load()).second);
    }
}

TEST_F(RegionTest, HoldsAThousandObjects) {
    Region region = Region::create("r", 4096).value();
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(region.construct<int>(std::to_string(i), i));
    Region other = Region::open("r").value();
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(*other.find<int>(std::to_string(i)).value(), i);
    EXPECT_EQ(other.objects().size(), 1000U);
}

}  // namespace
}  // namespace stoa
