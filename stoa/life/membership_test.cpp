#include "stoa/life/membership.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <thread>

#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

class Places {  // a region as far as a Membership goes
public:
    Places() {
        Participants::create(memory_.bytes(), 32, 32).value();
        table_.emplace(Participants::attach(memory_.bytes()).value());
    }
    std::uint32_t join() {
        const auto reserve = [](void*, std::uint64_t, std::uint64_t) { return Result<void>{}; };
        return table_->join(Role::none, reserve, nullptr).value();
    }
    [[nodiscard]] std::span<std::byte> bytes() const { return memory_.bytes(); }
    [[nodiscard]] const void* inside() const { return memory_.bytes().data() + 4000; }
    Participants& table() { return *table_; }

private:
    kit::TempRegion memory_{16384};
    std::optional<Participants> table_;
};

TEST(Membership, TellsWhoThisProcessIsWhereAnAddressLies) {
    Places one;
    Places two;
    one.join();
    const Membership first{one.bytes(), one.table(), one.join()};
    const Membership second{two.bytes(), two.table(), two.join()};
    int local = 0;
    EXPECT_EQ(here(&local).me, kHolderPrivate);
    EXPECT_EQ(here(&local).participants, nullptr);
    for (int turn = 0; turn < 2; ++turn) {  // it remembers the last answer
        EXPECT_EQ(holder_index(here(one.inside()).me), 1U);
        EXPECT_EQ(here(one.inside()).participants, &one.table());
        EXPECT_EQ(holder_index(here(two.inside()).me), 0U);
    }
    std::jthread{[&] { EXPECT_EQ(holder_index(here(one.inside()).me), 1U); }}.join();
}

TEST(Membership, WhatIsRememberedOfPrivateMemoryEndsAtTheRegionsAround) {
    const kit::TempRegion memory{12288};
    Places places;
    const std::uint32_t mine = places.join();
    const std::span<std::byte> all = memory.bytes();
    const auto me = [&](std::size_t at) { return here(all.data() + at).me; };
    for (std::size_t at = 0; at < all.size(); at += 512) EXPECT_EQ(me(at), kHolderPrivate);
    const Membership first{all.first(4096), places.table(), mine};
    EXPECT_NE(me(4095), kHolderPrivate);
    EXPECT_EQ(me(4096), kHolderPrivate);
    const Membership last{all.last(4096), places.table(), mine};
    EXPECT_EQ(me(8191), kHolderPrivate);
    EXPECT_NE(me(8192), kHolderPrivate);
    EXPECT_EQ(me(4096), kHolderPrivate);
    EXPECT_NE(me(0), kHolderPrivate);
    EXPECT_EQ(me(5000), kHolderPrivate);
    EXPECT_NE(me(12287), kHolderPrivate);
}

TEST(Membership, EndsWithItsHandle) {
    Places places;
    {
        const Membership mine{places.bytes(), places.table(), places.join()};
        EXPECT_EQ(holder_index(here(places.inside()).me), 0U);
    }
    EXPECT_EQ(here(places.inside()).me, kHolderPrivate);
}

TEST(Membership, AForkedChildIsNobodyUntilItJoinsItself) {
    Places places;
    std::optional<Membership> mine{std::in_place, places.bytes(), places.table(), places.join()};
    EXPECT_EQ(holder_index(here(places.inside()).me), 0U);
    const kit::Ending ending = kit::fork_and_run([&] {
        if (here(places.inside()).me != 0) _exit(1);
        mine.reset();
        mine.emplace(places.bytes(), places.table(), places.join());
        if (holder_index(here(places.inside()).me) != 1) _exit(2);
    });
    EXPECT_EQ(ending.status, 0);
    EXPECT_EQ(holder_index(here(places.inside()).me), 0U);
}

TEST(Membership, AHolderIsGoneWhenItsPlaceIsFreeOrAnothersOrItIsDead) {
    Places places;
    const Membership mine{places.bytes(), places.table(), places.join()};
    const Here at = here(places.inside());
    EXPECT_FALSE(at.is_gone(at.me));
    const std::uint32_t other = places.join();
    const Holder first =
        holder_of(other, unpack_place(places.table().record(other).word.load()).incarnation);
    EXPECT_FALSE(at.is_gone(first));
    places.table().leave(other);
    EXPECT_TRUE(at.is_gone(first));
    EXPECT_EQ(places.join(), other);
    EXPECT_TRUE(at.is_gone(first));
    EXPECT_FALSE(at.is_gone(holder_of(4000, 1)));  // no such place: nothing is proven
}

}  // namespace
}  // namespace stoa
