// The engine on the toy board: an unbroken board passes everywhere, every seeded bug is found.
#include <gtest/gtest.h>

#include <algorithm>

#include "stoa/base/layout.hpp"
#include "tests/crash/engine.hpp"
#include "tests/crash/toy.hpp"
#include "tests/crash/wait_on.hpp"
#include "tests/kit/leaks.hpp"
#include "tests/kit/temp.hpp"

namespace stoa::crash {
namespace {

using namespace std::chrono_literals;
using toy::Board;
using toy::Bug;
using toy::owner;

constexpr std::uint64_t kVictims = 0x1111;  // the victim's value
constexpr std::uint64_t kOthers = 0x2222;
constexpr std::uint16_t kVictim = owner(1, 1);
constexpr std::uint16_t kHeir = owner(1, 2);  // has the dead victim's place
constexpr std::uint16_t kRecoverer = owner(2, 1);
constexpr std::uint16_t kJudge = owner(3, 1);

enum class Op : std::uint8_t { publish, take };

template <Bug bug>
class ToyScenario : public Scenario {
public:
    explicit ToyScenario(Op op) : op_{op} {}

    std::string name() const override { return op_ == Op::publish ? "toy.publish" : "toy.take"; }
    std::vector<std::span<std::byte>> shared() override { return {region_.bytes()}; }
    void prepare() override {
        if (op_ == Op::take) toy::publish<Bug::none>(board(), kJudge, kVictims);
    }
    void victim() override {
        const std::uint64_t result = op_ == Op::publish
                                         ? toy::publish<bug>(board(), kVictim, kVictims)
                                         : toy::take<bug>(board(), kVictim);
        outcome(Role::victim).values[0] = result;
        outcome(Role::victim).code = 1;  // last: it may die in between
    }
    void recover(const Case& now) override {
        toy::recover<bug>(board(), kVictim);
        if (now.recoverer_dead) toy::recover<bug>(board(), kRecoverer);
    }
    std::string interfere(const Case&) override {
        for (unsigned lap = 0; lap < 2 * Board::kCells; ++lap) {
            if (!toy::publish<bug>(board(), kJudge, kOthers)) return "a stopped one blocks us";
            if (!collect()) return "torn";
        }
        if (others_ != 2 * Board::kCells) return "a survivor's message is lost";
        ++waiting_;  // one stays while the victim resumes
        return toy::publish<bug>(board(), kJudge, kOthers) ? "" : "a stopped one blocks us";
    }
    std::string interfere_recovery(const Case& now) override {
        recover(now);
        heirs_cell_ = toy::claim<bug>(board(), kHeir);
        return heirs_cell_ < Board::kCells ? "" : "no cell for the heir";
    }
    std::string verify(const Case& now) override {
        const std::uint64_t before = others_;
        if (heirs_cell_ < Board::kCells) {
            if (!toy::show<bug>(board(), heirs_cell_, kHeir, kOthers)) return "the heir was robbed";
        } else if (!toy::publish<bug>(board(), kJudge, kOthers)) {
            return "nobody can publish";
        }
        if (!collect()) return "torn";
        if (op_ == Op::take && outcome(Role::victim).values[0] == kOthers) ++others_;
        if (others_ != before + 1 + waiting_) return "a survivor's message is lost or repeated";
        for (const auto& word : board().words) {
            if (toy::state_of(word) != toy::kFree) return "a cell is lost";
        }
        return judge_victim(now);
    }

protected:
    Board& board() { return *layout_at<Board>(region_.bytes(), 0); }

private:
    // Takes all; false when one is torn.
    bool collect() {
        while (const std::uint64_t value = toy::take<bug>(board(), kJudge)) {
            if (value != kVictims && value != kOthers) return false;
            ++(value == kVictims ? victims_ : others_);
        }
        return true;
    }
    std::string judge_victim(const Case& now) {
        const bool returned = outcome(Role::victim).code == 1;
        const std::uint64_t result = outcome(Role::victim).values[0];
        if (!now.victim_dead && !returned) return "it did not return";
        if (op_ == Op::publish) {
            const bool said_so = returned && result == 1;
            return victims_ > 1 || (said_so && victims_ == 0) ? "lost or repeated" : "";
        }
        const std::uint64_t seen = victims_ + (returned && result == kVictims ? 1 : 0);
        if (now.victim_dead && !returned) return seen <= 1 ? "" : "repeated";
        return seen == 1 ? "" : "lost or repeated";
    }

    kit::TempRegion region_{sizeof(Board)};
    Op op_;
    std::uint64_t victims_ = 0;
    std::uint64_t others_ = 0;
    std::uint64_t waiting_ = 0;
    std::size_t heirs_cell_ = Board::kCells;
};

Options quiet(bool full = true) {
    return {.budget_s = 0, .full = full, .seed = 7, .watchdog = 300ms, .log = nullptr};
}

std::string first_of(const Tally& tally) {
    return tally.violations.empty()
               ? ""
               : tally.violations.front().replay() + ": " + tally.violations.front().what;
}

const Violation* find(const Tally& tally, Mode mode) {
    const auto at = std::find_if(tally.violations.begin(), tally.violations.end(),
                                 [&](const Violation& each) { return each.mode == mode; });
    return at == tally.violations.end() ? nullptr : &*at;
}

TEST(CrashEngine, AnUnbrokenBoardPassesAtEveryInstruction) {
    for (const Op op : {Op::publish, Op::take}) {
        const kit::LeakCheck check;
        Engine engine{quiet()};
        ToyScenario<Bug::none> scenario{op};
        const Tally tally = engine.run(scenario);
        EXPECT_EQ(first_of(tally), "");
        EXPECT_EQ(tally.kills, tally.instructions + 1);
        EXPECT_EQ(tally.stalls, tally.instructions + 1);
        EXPECT_GT(tally.instructions, 20U);
        EXPECT_GT(tally.post_crash_states, 3U);
        EXPECT_GT(tally.kill_kills, tally.post_crash_states * 10);
        EXPECT_GT(tally.kill_stalls, tally.kill_kills);  // also where it only looked
        EXPECT_GT(tally.alike, tally.kill_kills);
        EXPECT_EQ(tally.drifted, 0U);
        EXPECT_EQ(tally.left_out, 0U);
        EXPECT_EQ(check.leaks(), "");
    }
}

TEST(CrashEngine, WithoutABudgetTheTellingPointsStillRun) {
    Engine engine{quiet(false)};
    ToyScenario<Bug::none> scenario{Op::publish};
    const Tally tally = engine.run(scenario);
    EXPECT_EQ(first_of(tally), "");
    EXPECT_GE(tally.telling_points, 8U);
    EXPECT_EQ(tally.kills, tally.telling_points);
    EXPECT_EQ(tally.stalls, tally.telling_points);
    EXPECT_GT(tally.left_out, 0U);
}

template <Bug bug>
void expect_found(Op op, Mode mode, bool full, const char* text) {
    Engine engine{quiet(full)};
    ToyScenario<bug> scenario{op};
    const Tally tally = engine.run(scenario);
    const Violation* found = find(tally, mode);
    ASSERT_NE(found, nullptr) << mode_name(mode) << " found nothing";
    EXPECT_NE(found->what.find(text), std::string::npos) << found->what;
    EXPECT_NE(engine.symbols().find(found->address), nullptr);
    ToyScenario<bug> fresh{op};
    const Tally again = engine.replay(fresh, mode, found->victim, found->recoverer);
    EXPECT_NE(find(again, mode), nullptr) << found->replay() << " does not show it again";
}

TEST(CrashEngine, AForgottenOwnerIsFoundByKilling) {
    expect_found<Bug::forgets_owner>(Op::publish, Mode::kill, false, "a cell is lost");
}
TEST(CrashEngine, AMessageShownBeforeItIsFilledIsFoundByKilling) {
    expect_found<Bug::ready_before_payload>(Op::publish, Mode::kill, false, "torn");
}
TEST(CrashEngine, AStoreThatShouldBeACasIsFoundByStalling) {
    expect_found<Bug::blind_claim>(Op::publish, Mode::stall, false, "");
}
TEST(CrashEngine, ALockInRecoveryIsFoundByKillingTheRecoverer) {
    Engine engine{quiet(false)};
    for (std::uint32_t at = 0; at < 60; at += 5) {
        ToyScenario<Bug::recover_takes_lock> scenario{Op::publish};
        const Tally tally = engine.replay(scenario, Mode::kill_kill, {0, false}, {at, false});
        if (tally.violations.empty()) continue;
        EXPECT_EQ(first_of(tally), tally.violations.front().replay() + ": a survivor hangs");
        return;
    }
    FAIL() << "kill_kill found nothing";
}
TEST(CrashEngine, RecoveryOfThePlaceInsteadOfTheLifeIsFoundByStallingTheRecoverer) {
    expect_found<Bug::recover_ignores_life>(Op::publish, Mode::kill_stall, true, "robbed");
}

TEST(CrashEngine, AnOperationThatCrashesByItselfIsAViolation) {
    Engine engine{quiet()};
    ToyScenario<Bug::crashes> scenario{Op::publish};
    const Tally tally = engine.run(scenario);
    EXPECT_NE(first_of(tally).find("crashed: signal 11"), std::string::npos) << first_of(tally);
}

// A victim that sleeps until a bell rings.
class SleepScenario : public Scenario {
public:
    explicit SleepScenario(bool rings) : rings_{rings} {}
    std::string name() const override { return "toy.sleep"; }
    std::vector<std::span<std::byte>> shared() override { return {region_.bytes()}; }
    void prepare() override {}
    bool sleeps() const override { return true; }
    bool recovers() const override { return false; }
    void wake() override { ring(bell()); }
    void victim() override {
        wait_while_zero(bell());
        outcome(Role::victim).code = 1;
    }
    std::string interfere(const Case&) override {
        if (rings_) ring(bell());
        return {};
    }
    std::string verify(const Case& now) override {
        return now.victim_dead || outcome(Role::victim).code == 1 ? "" : "it did not wake";
    }

private:
    Atomic<std::uint32_t>& bell() { return layout_at<Board>(region_.bytes(), 0)->bell; }
    kit::TempRegion region_{sizeof(Board)};
    bool rings_;
};

TEST(CrashEngine, ASleepingVictimIsKilledAndStalledInItsSleep) {
    for (const bool rings : {true, false}) {
        Engine engine{quiet()};
        SleepScenario scenario{rings};
        const Tally tally = engine.run(scenario);
        EXPECT_EQ(first_of(tally), "");
        EXPECT_EQ(tally.kills, tally.instructions + 2);  // once more: asleep
        EXPECT_EQ(tally.drifted, 0U);
    }
}

TEST(CrashEngine, CoverageNamesWhatWasNotReached) {
    Engine engine{quiet(false)};
    ToyScenario<Bug::none> scenario{Op::publish};
    (void)engine.run(scenario);
    const std::string prefix = "unsigned long stoa::crash::toy::claim<(stoa::crash::toy::Bug)0>";
    const auto rows = engine.coverage().functions(engine.symbols(), {prefix}, {});
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_GT(rows[0].instructions, 5U);
    EXPECT_FALSE(rows[0].unreached.empty());  // the board was never full
    EXPECT_LT(rows[0].unreached.size(), rows[0].instructions / 2);
    const std::string where = source_lines({rows[0].unreached.front()}).front();
    EXPECT_TRUE(where.starts_with("tests/crash/toy.hpp:")) << where;
}

TEST(CrashRoutes, ABreakpointIsChosenThatIsPassedSeldom) {
    std::vector<std::uintptr_t> addresses;
    for (std::uintptr_t k = 0; k < 100; ++k) addresses.push_back(100 + k % 4);  // a loop
    for (std::uintptr_t k = 0; k < 10; ++k) addresses.push_back(200 + k);       // then a line
    const Route route{addresses};
    EXPECT_EQ(route.to(3).steps, 3U);
    EXPECT_EQ(route.to(105).breakpoint, 205U);
    EXPECT_EQ(route.to(105).hits, 1U);
    EXPECT_EQ(route.to(105).steps, 0U);
}

}  // namespace
}  // namespace stoa::crash
