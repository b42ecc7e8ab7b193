#include "stoa/life/participants.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <set>
#include <vector>

#include "stoa/base/crash_point.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

constexpr std::uint32_t kPlaces = 4;

Result<void> nothing_to_reserve(void* /*context*/, std::uint64_t /*offset*/,
                                std::uint64_t /*bytes*/) {
    return {};
}

struct Recovered {
    std::multiset<std::uint32_t> indices;
    static void note(void* context, std::uint32_t dead) {
        static_cast<Recovered*>(context)->indices.insert(dead);
    }
};

class TableTest : public testing::Test {
protected:
    TableTest() { EXPECT_TRUE(Participants::create(memory_.bytes(), kPlaces, 64)); }

    [[nodiscard]] Participants attach() const {
        return Participants::attach(memory_.bytes()).value();
    }
    static std::uint32_t join(Participants& table) {
        return table.join(Role::both, nothing_to_reserve, nullptr).value();
    }
    std::uint32_t sweep_all(Participants& table, std::uint32_t me) {
        return table.sweep_all(me, Recovered::note, &recovered_);
    }
    std::size_t taken(Participants& table) {
        std::size_t count = 0;
        table.for_each([&](const Participant&) { ++count; });
        return count;
    }

    kit::TempRegion memory_{Participants::bytes_for(64)};
    Recovered recovered_;
};

TEST_F(TableTest, AJoinedProcessIsSeenAliveWithItsRoleAndPid) {
    Participants table = attach();
    const std::uint32_t me = join(table);
    Participant seen;
    ASSERT_TRUE(table.look(me, seen));
    EXPECT_EQ(seen.life, sys::Life::alive);
    EXPECT_EQ(seen.identity.pid, static_cast<std::uint32_t>(getpid()));
    EXPECT_EQ(seen.role, Role::both);
    table.leave(me);
    EXPECT_FALSE(table.look(me, seen));
}

TEST_F(TableTest, AKilledHolderIsRecoveredOnceAndItsPlaceIsFree) {
    kit::fork_and_run([&] {
        Participants table = attach();
        join(table);
        raise(SIGKILL);
    });
    Participants table = attach();
    const std::uint32_t me = join(table);
    EXPECT_EQ(me, 1U);
    EXPECT_EQ(sweep_all(table, me), 1U);
    EXPECT_EQ(sweep_all(table, me), 0U);
    EXPECT_EQ(recovered_.indices, std::multiset<std::uint32_t>{0});
}

TEST_F(TableTest, AZombieIsDeadAndAStoppedHolderIsNot) {
    kit::Child child{[&] {
        Participants table = attach();
        join(table);
        raise(SIGSTOP);
    }};
    ASSERT_TRUE(child.wait_stopped());
    Participants table = attach();
    const std::uint32_t me = join(table);
    EXPECT_EQ(sweep_all(table, me), 0U);
    child.kill();
    EXPECT_EQ(sweep_all(table, me), 1U);
    child.wait();
}

TEST_F(TableTest, TheTableGrowsToItsMaximumAndThenSaysSo) {
    Participants table = attach();
    for (std::uint32_t i = 0; i < 60; ++i) EXPECT_EQ(join(table), i < 28 ? i : i + 4);
    EXPECT_EQ(table.places(), 64U);
    const Result<std::uint32_t> more = table.join(Role::sends, nothing_to_reserve, nullptr);
    ASSERT_FALSE(more);
    EXPECT_EQ(more.error().code, Errc::no_free_place);
}

TEST_F(TableTest, TheDeadWhoFillTheTableAreSweptFromAKeptPlace) {
    kit::fork_and_run([&] {
        Participants table = attach();
        for (int i = 0; i < 60; ++i) join(table);
        EXPECT_EQ(table.join_kept().value(), 28U);
        raise(SIGKILL);
    });
    Participants table = attach();
    EXPECT_FALSE(table.join(Role::sends, nothing_to_reserve, nullptr));
    const std::uint32_t me = table.join_kept().value();
    EXPECT_EQ(me, 29U);
    EXPECT_EQ(sweep_all(table, me), 61U);
    table.leave(me);
    EXPECT_EQ(join(table), 0U);
}

#if STOA_CRASH_POINTS
class TableCrash : public TableTest, public testing::WithParamInterface<const char*> {};

TEST_P(TableCrash, AJoinerKilledAnywhereCostsNoPlace) {
    const char* point = GetParam();
    const kit::Ending ending = kit::fork_and_run([&] {
        Participants table = attach();
        kit::kill_self_at(point);
        table.leave(join(table));
    });
    ASSERT_EQ(ending.signal, SIGKILL);
    Participants table = attach();
    const std::uint32_t me = join(table);
    sweep_all(table, me);
    EXPECT_EQ(taken(table), 1U);
}
INSTANTIATE_TEST_SUITE_P(Points, TableCrash,
                         testing::Values("participants.join.before_claim",
                                         "participants.join.claimed",
                                         "participants.join.before_live",
                                         "participants.leave.before"));

class SweepCrash : public TableTest, public testing::WithParamInterface<const char*> {};

TEST_P(SweepCrash, ASweeperKilledAnywhereIsSweptItselfAndItsWorkIsDone) {
    kit::fork_and_run([&] {
        Participants table = attach();
        join(table);
        raise(SIGKILL);
    });
    const kit::Ending ending = kit::fork_and_run([&] {
        Participants table = attach();
        const std::uint32_t me = join(table);
        kit::kill_self_at(GetParam());
        sweep_all(table, me);
    });
    ASSERT_EQ(ending.signal, SIGKILL);
    Participants table = attach();
    const std::uint32_t me = join(table);
    sweep_all(table, me);
    EXPECT_EQ(taken(table), 1U);
    EXPECT_EQ(recovered_.indices.count(1), 1U);  // the sweeper
}

TEST_P(SweepCrash, AStoppedSweeperKeepsTheIndexFromBeingReused) {
    kit::fork_and_run([&] {
        Participants table = attach();
        join(table);
        raise(SIGKILL);
    });
    kit::Child stopped{[&] {
        Participants table = attach();
        const std::uint32_t me = join(table);
        kit::stop_self_at(GetParam());
        sweep_all(table, me);
    }};
    ASSERT_TRUE(stopped.wait_stopped());
    Participants table = attach();
    const std::uint32_t me = join(table);
    sweep_all(table, me);
    EXPECT_NE(join(table), 0U);  // index 0 is named by a live sweeper
    stopped.resume();
    EXPECT_TRUE(stopped.wait().ok());
    EXPECT_EQ(sweep_all(table, me), 1U);  // the one that ended without leaving
    EXPECT_EQ(join(table), 0U);
}
INSTANTIATE_TEST_SUITE_P(Points, SweepCrash,
                         testing::Values("participants.sweep.announced",
                                         "participants.sweep.recovered",
                                         "participants.sweep.freed"));
#endif

}  // namespace
}  // namespace stoa
