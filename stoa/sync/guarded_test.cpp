#include "stoa/sync/guarded.hpp"

#include <unistd.h>

#include <csignal>
#include <string>

#include "stoa/sync/sync_test_kit.hpp"
#include "tests/kit/crash_at.hpp"

namespace stoa {
namespace {

struct Stats {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;  // as many as hits, unless somebody is in between
};

struct Things {
    Guarded<Stats> plain;
    Guarded<Stats, Undo::copy> undone;
};

class SharedGuarded : public SharedObject<Things> {
protected:
    template <typename What>
    void die_in_the_middle(What& what) {
        kit::Child child = this->child([&] {
            auto access = what.lock().value();
            ++access->hits;
            ::kill(::getpid(), SIGKILL);
        });
        EXPECT_EQ(child.wait().signal, SIGKILL);
    }
};

TEST(Guarded, GivesAccessToOneAtATime) {
    Guarded<std::string> text{"a"};
    {
        auto access = text.lock().value();
        EXPECT_FALSE(access.owner_died());
        *access += "b";
        EXPECT_EQ(access->size(), 2U);
        EXPECT_EQ(text.try_lock().error().code, Errc::in_use);
        EXPECT_EQ(text.lock_for(std::chrono::milliseconds{1}).error().code, Errc::timed_out);
    }
    EXPECT_EQ(*text.try_lock().value(), "ab");
}

TEST_F(SharedGuarded, TheHeirRepairs) {
    die_in_the_middle(shared().plain);
    {
        auto access = shared().plain.lock().value();
        ASSERT_TRUE(access.owner_died());
        access.repair([](Stats& stats) { stats.misses = stats.hits; });
        EXPECT_FALSE(access.owner_died());
    }
    EXPECT_EQ(shared().plain.lock().value()->misses, 1U);
}

TEST_F(SharedGuarded, UnrepairedItIsPoisoned) {
    die_in_the_middle(shared().plain);
    ASSERT_TRUE(shared().plain.lock().value().owner_died());
    EXPECT_EQ(shared().plain.lock().error().code, Errc::poisoned);
    EXPECT_TRUE(shared().plain.is_poisoned());
}

TEST_F(SharedGuarded, WithAnUndoCopyADeathTakesBackWhatItChanged) {
    {
        auto access = shared().undone.lock().value();
        access->hits = access->misses = 7;
    }
    die_in_the_middle(shared().undone);
    {
        auto access = shared().undone.lock().value();
        EXPECT_FALSE(access.owner_died());
        EXPECT_TRUE(access.undone());
        EXPECT_EQ(access->hits, 7U);
        ++access->hits;
        ++access->misses;
    }
    auto access = shared().undone.lock().value();
    EXPECT_FALSE(access.undone());
    EXPECT_EQ(access->hits, 8U);
    EXPECT_EQ(access->misses, 8U);
}

// What it inherited is its parent's, also the proof that the parent is in the middle.
TEST_F(SharedGuarded, AForkedChildEndsNobodysAccess) {
    shared().undone.lock().value()->hits = 7;
    kit::Child parent = child([this] {
        auto access = shared().undone.lock().value();
        ++access->hits;
        const kit::Ending ending = kit::fork_and_run([&] { auto mine = std::move(access); });
        if (!ending.ok()) _exit(1);
        ::kill(::getpid(), SIGKILL);
    });
    EXPECT_EQ(parent.wait().signal, SIGKILL);
    auto access = shared().undone.lock().value();
    EXPECT_TRUE(access.undone());
    EXPECT_EQ(access->hits, 7U);
}

}  // namespace
}  // namespace stoa
