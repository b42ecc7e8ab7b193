// A table of participants and one object in shared memory: what the scenarios of locks share.
//
// Start here: LockCase names the operation; LockStage<Object> runs it, its kinds judge.
// Threads:    none.
// Processes:  each joins anew in its begin; the engine's own place is first().
// Death:      as scenario.hpp.
// Blocking:   as its operation.
// Lifetime:   a part of its scenario.
// Units:      none.
// Source:     none.
#pragma once

#include <unistd.h>

#include <csignal>
#include <functional>
#include <optional>

#include "stoa/base/check.hpp"
#include "stoa/life/membership.hpp"
#include "tests/crash/scenario.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa::crash {

template <typename Stage>
struct LockCase {
    const char* name;
    std::function<void(Stage&)> operation;
    std::function<void(Stage&)> prepare{};
    bool sleeps = false;
    bool may_poison = false;
};

template <typename Object, typename Stage>
class LockStage : public Scenario {
public:
    static constexpr std::uint64_t kDone = 1;  // what outcome().code says when it returned

    explicit LockStage(LockCase<Stage> details) : case_{std::move(details)} {}

    std::string name() const override { return case_.name; }
    std::vector<std::span<std::byte>> shared() override { return {memory_.bytes()}; }
    bool sleeps() const override { return case_.sleeps; }
    // Where one that lives holds it there is nothing to recover.
    bool recovers() const override { return !case_.sleeps; }
    void prepare() override {
        Participants::create(table(), kPlaces, kPlaces).value();
        new (memory_.bytes().data() + kTableBytes) Object;
        join();
        if (case_.prepare) case_.prepare(static_cast<Stage&>(*this));
    }
    void victim_begin() override { join(); }
    void victim() override {
        case_.operation(static_cast<Stage&>(*this));
        outcome(crash::Role::victim).code = kDone;
    }
    void recover_begin(const Case& /*now*/) override { join(); }
    // A stopped heir keeps it.
    std::string interfere_recovery(const Case& now) override { return this->interfere(now); }

    [[nodiscard]] Object& object() {
        return *reinterpret_cast<Object*>(memory_.bytes().data() + kTableBytes);
    }
    void join() {
        membership_.reset();
        table_.emplace(Participants::attach(table()).value());
        const auto reserve = [](void*, std::uint64_t, std::uint64_t) { return Result<void>{}; };
        const std::uint32_t index = table_->join(stoa::Role::none, reserve, nullptr).value();
        if (first_ == kPlaces) first_ = index;
        membership_.emplace(memory_.bytes(), *table_, index);
    }
    // A child joins, does that and is killed.
    void leave_a_dead_one(const std::function<void()>& after) {
        const kit::Ending ending = kit::fork_and_run([&] {
            join();
            after();
            ::kill(::getpid(), SIGKILL);
        });
        STOA_CHECK(ending.signal == SIGKILL);
    }

protected:
    // The engine's own place, in whatever process asks.
    void act_as_first() {
        membership_.reset();
        membership_.emplace(memory_.bytes(), *table_, first_);
    }
    [[nodiscard]] std::uint32_t first() const noexcept { return first_; }
    [[nodiscard]] const LockCase<Stage>& details() const noexcept { return case_; }

private:
    static constexpr std::uint32_t kPlaces = 16;
    static constexpr std::uint64_t kTableBytes = 4096;

    std::span<std::byte> table() { return memory_.bytes().first(kTableBytes); }

    LockCase<Stage> case_;
    kit::TempRegion memory_{kTableBytes + 4096};
    std::optional<Participants> table_;
    std::optional<Membership> membership_;
    std::uint32_t first_ = kPlaces;
};

}  // namespace stoa::crash
