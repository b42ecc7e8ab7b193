#include "stoa/sync/lock_table.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <vector>

#include "stoa/sync/mutex.hpp"
#include "stoa/sync/recursive_mutex.hpp"
#include "stoa/sync/semaphore.hpp"
#include "stoa/sync/shared_mutex.hpp"
#include "stoa/sync/sync_test_kit.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

struct Locks {
    SharedMutex<4> shared;
    Mutex one;
    Mutex two;
    RecursiveMutex recursive;
    Semaphore<2> permits;
    Atomic<std::uint64_t> says;
};

class LockTables : public SharedObject<Locks> {
protected:
    [[nodiscard]] LockTable look() { return lock_table(*table_, memory_.bytes()); }
    [[nodiscard]] std::uint64_t offset_of(const void* lock) {
        return static_cast<std::uint64_t>(static_cast<const std::byte*>(lock) -
                                          memory_.bytes().data());
    }
    // A child that does `first`, waits for the others to have done theirs, and then `then`.
    template <typename First, typename Then>
    kit::Child in_turn(std::uint64_t others, First first, Then then) {
        return child([this, others, first, then] {
            first(shared());
            shared().says.fetch_add(1);
            if (!kit::wait_until([&] { return shared().says.load() >= others; })) _exit(1);
            then(shared());
            for (;;) ::pause();
        });
    }
    // Waits until that many processes are in one cycle.
    [[nodiscard]] LockTable knot(std::size_t processes) {
        LockTable table;
        EXPECT_TRUE(kit::wait_until([&] {
            table = look();
            return table.cycles.size() == 1 && table.cycles[0].size() == processes;
        }));
        return table;
    }
    // Waits until so many processes wait.
    [[nodiscard]] LockTable waiting(std::size_t processes) {
        LockTable table;
        EXPECT_TRUE(kit::wait_until([&] {
            table = look();
            std::size_t count = 0;
            for (const LockState& state : table.locks) count += state.waiters.size();
            return count == processes;
        }));
        return table;
    }
};

const Deadline kLate = Deadline::after(25s);

TEST_F(LockTables, OfADeadlockTellsWhoWaitsForWhom) {
    kit::Child a = in_turn(
        2, [](Locks& it) { (void)it.one.hold().value(); },
        [](Locks& it) { (void)it.two.hold(kLate); });
    kit::Child b = in_turn(
        2, [](Locks& it) { (void)it.two.hold().value(); },
        [](Locks& it) {
            const Result<Held> held = it.one.hold(kLate);
            _exit(held && *held == Held::owner_died ? 7 : 1);
        });
    const LockTable table = knot(2);
    ASSERT_EQ(table.locks.size(), 2U);
    for (const LockState& state : table.locks) {
        EXPECT_EQ(state.lock.kind, LockKind::mutex);
        ASSERT_EQ(state.holders.size(), 1U);
        ASSERT_EQ(state.waiters.size(), 1U);
        const bool is_one = state.offset == offset_of(&shared().one);
        const auto a_pid = static_cast<std::uint32_t>(a.pid());
        const auto b_pid = static_cast<std::uint32_t>(b.pid());
        EXPECT_EQ(state.holders[0].pid, is_one ? a_pid : b_pid);
        EXPECT_EQ(state.waiters[0].pid, is_one ? b_pid : a_pid);
        EXPECT_FALSE(state.waiters[0].name.empty());
        EXPECT_NE(state.waiters[0].since_ns, 0U);
        EXPECT_FALSE(state.holders[0].is_gone);
    }
    a.kill();
    EXPECT_EQ(b.wait().status, 7);
    EXPECT_TRUE(look().locks.empty());
}

TEST_F(LockTables, AWaitThatEndsIsNoKnot) {
    (void)shared().one.hold().value();
    kit::Child waits = child([this] { (void)shared().one.hold(Deadline::after(25s)); });
    LockTable table = waiting(1);
    EXPECT_TRUE(table.cycles.empty());
    ASSERT_EQ(table.locks.size(), 1U);
    EXPECT_EQ(table.locks[0].holders.at(0).index, index_);
    shared().one.unlock();
    EXPECT_TRUE(waits.wait().ok());
    EXPECT_TRUE(look().locks.empty());
}

TEST_F(LockTables, KnotsOfWritersReadersAndRecursiveOnesAreFound) {
    kit::Child reads = in_turn(
        2, [](Locks& it) { (void)it.shared.hold_shared().value(); },
        [](Locks& it) { (void)it.recursive.hold(kLate); });
    kit::Child writes = in_turn(
        2, [](Locks& it) { (void)it.recursive.hold().value(); },
        [](Locks& it) { (void)it.shared.hold(kLate); });
    LockTable table = knot(2);
    // One more that waits behind them is not in the knot.
    kit::Child behind = child([this] { (void)shared().shared.hold_shared(kLate); });
    table = waiting(3);
    ASSERT_EQ(table.cycles.size(), 1U);
    EXPECT_EQ(table.cycles[0].size(), 2U);
    for (const LockState& state : table.locks) {
        if (state.offset != offset_of(&shared().shared)) continue;
        EXPECT_EQ(state.holders.size(), 2U);  // the reader, and the writer that waits for it
        EXPECT_EQ(state.waiters.size(), 2U);
    }
}

TEST_F(LockTables, OfPermitsOneThatMayComeBackIsEnough) {
    kit::Child a = in_turn(
        2, [](Locks& it) { it.permits.acquire().value(); },
        [](Locks& it) { (void)it.permits.acquire(kLate); });
    kit::Child b = in_turn(
        3, [](Locks& it) { it.permits.acquire().value(); },
        [](Locks& it) { (void)it.permits.acquire(kLate); });
    LockTable table = waiting(1);  // the other one does something else still
    EXPECT_TRUE(table.cycles.empty());
    shared().says.fetch_add(1);
    table = knot(2);
    ASSERT_EQ(table.locks.size(), 1U);
    EXPECT_EQ(table.locks[0].holders.size(), 2U);
}

TEST_F(LockTables, AHolderThatIsDeadIsToldAsGone) {
    kit::Child dead = in_turn(1, [](Locks& it) { (void)it.one.hold().value(); }, [](Locks&) {});
    ASSERT_TRUE(kit::wait_until([&] { return shared().says.load() == 1; }));
    dead.kill();
    const auto holders =
        holders_of_lock(*table_, memory_.bytes(), offset_of(&shared().one), {LockKind::mutex});
    ASSERT_EQ(holders.size(), 1U);
    EXPECT_TRUE(holders[0].is_gone);
}

TEST_F(LockTables, AScribbledOffsetIsLeftAlone) {
    ParticipantRecord& record = table_->record(index_);
    for (const std::uint64_t offset :
         {std::uint64_t{1}, memory_.bytes().size() - 4, std::uint64_t{0xffff'ffff'fff8}}) {
        record.waits_on = pack(WaitsOn{.lock = {LockKind::writer, 4095}, .offset = offset});
        record.waits = waits_word(WaitsFor::lock, 1);
        const LockTable table = look();
        ASSERT_EQ(table.locks.size(), 1U);
        EXPECT_TRUE(table.cycles.empty());
    }
    record.waits = 0;
}

}  // namespace
}  // namespace stoa
