// Locks: every operation of who takes, holds and gives back, with the dead and the stopped in it.
//
// What a mutex guards are two numbers that are equal whenever nobody holds it. The judge reads from
// the word who holds it, so it knows whether the next one must be told of a death.
#include <functional>

#include "stoa/sync/bell.hpp"
#include "stoa/sync/mutex.hpp"
#include "stoa/sync/semaphore.hpp"
#include "tests/crash/scenarios/lock_stage.hpp"
#include "tests/crash/scenarios/scenarios.hpp"

namespace stoa::crash {
namespace {

using namespace std::chrono_literals;

struct Guarded {
    MutexLayout* layout() { return reinterpret_cast<MutexLayout*>(&lock); }

    Mutex lock;
    std::uint64_t a;
    std::uint64_t b;
};

class LockScenario final : public LockStage<Guarded, LockScenario> {
public:
    using LockStage::LockStage;

    void recover(const Case& /*now*/) override { static_cast<void>(hold_and_change()); }
    std::string interfere(const Case& now) override;
    std::string verify(const Case& now) override;
    // The one that was there before everybody holds it, and gives it back.
    void wake() override {
        act_as_first();
        if (guarded().lock.holder() == here(&guarded()).me) guarded().lock.unlock();
    }

    Guarded& guarded() { return object(); }
    // False: poisoned.
    bool hold_and_change();
    void hold_first() { guarded().lock.hold().value(); }
    void leave_a_dead_holder() {
        leave_a_dead_one([this] {
            guarded().lock.hold().value();
            ++guarded().a;
        });
    }
};

bool LockScenario::hold_and_change() {
    Guarded& it = guarded();
    const Result<Held> held = it.lock.hold();
    if (!held) return false;
    if (*held == Held::owner_died) {
        it.b = it.a;
        it.lock.repaired();
    }
    ++it.a;
    ++it.b;
    it.lock.unlock();
    return true;
}

// While the victim stands still.
std::string LockScenario::interfere(const Case& /*now*/) {
    g_wait_slice = 1ms;
    join();
    Guarded& it = guarded();
    const Holder before = it.lock.holder();
    const Result<Held> held = it.lock.hold(Deadline::after(5ms));
    if (it.lock.is_poisoned()) return details().may_poison ? "" : "it is poisoned, and nobody died";
    if (!held) {
        if (held.error().code != Errc::timed_out) return describe(held.error());
        return before == 0 ? "it is free, and nobody gets it" : "";
    }
    if (*held == Held::owner_died) {
        if (!here(&it).is_gone(before)) return "a stopped holder is taken for a dead one";
        it.b = it.a;
        it.lock.repaired();
    }
    if (it.a != it.b) return "two hold it at once";
    it.lock.unlock();
    return {};
}

std::string LockScenario::verify(const Case& now) {
    g_wait_slice = 1ms;
    join();
    Guarded& it = guarded();
    const std::uint64_t word = it.layout()->word.load();
    const Holder holder = LockWord::holder(word);
    const bool poisoned = (word & LockWord::kPoisoned) != 0;
    if (poisoned) return details().may_poison ? "" : "it is poisoned";
    const bool first_holds = holder != 0 && holder_index(holder) == first();
    if (first_holds) {  // the victim was killed while it waited
        wake();
        join();
    }
    const bool must_be_told =
        !first_holds && (holder != 0 || (word & LockWord::kInconsistent) != 0);
    if (!must_be_told && !first_holds && it.a != it.b) return "it is free, and what it guards torn";
    const Result<Held> held = it.lock.hold(Deadline::after(2s));
    if (!held) return "nobody gets it: " + describe(held.error());
    if ((*held == Held::owner_died) != must_be_told) {
        return must_be_told ? "the heir is not told"
                            : "the heir of a living one is told of a death";
    }
    if (!now.victim_dead && !now.recoverer_dead && must_be_told && !details().prepare) {
        return "nobody died, and it is held";
    }
    it.b = it.a;
    it.lock.repaired();
    it.lock.unlock();
    for (int k = 0; k < 2; ++k) {
        const Result<Held> again = it.lock.hold(Deadline::after(2s));
        if (!again || *again != Held::clean) return "it is not whole again";
        it.lock.unlock();
    }
    if ((it.layout()->word.load() & ~LockWord::kWaiters) != 0)
        return "something is left in the word";
    return {};
}

void changes(LockScenario& stage) {
    static_cast<void>(stage.hold_and_change());
}
void changes_in_time(LockScenario& stage) {
    Guarded& it = stage.guarded();
    const Result<Held> held = it.lock.hold(Deadline::after(2ms));
    if (!held) return;
    if (*held == Held::owner_died) {
        it.b = it.a;
        it.lock.repaired();
    }
    it.lock.unlock();
}
void gives_back_with_waiters(LockScenario& stage) {
    Guarded& it = stage.guarded();
    it.lock.hold().value();
    it.layout()->word.fetch_or(LockWord::kWaiters);
    it.lock.unlock();
}
void gives_back_unmended(LockScenario& stage) {
    Guarded& it = stage.guarded();
    const Result<Held> held = it.lock.hold();
    if (held) it.lock.unlock();
}

// --- permits and posts --------------------------------------------------------------------------

constexpr std::uint32_t kPermits = 2;

struct Permits {
    Semaphore<kPermits> permits;
    SignalSemaphore posts;
};

// Nobody holds more than there are, and in the end all are free again.
class PermitScenario final : public LockStage<Permits, PermitScenario> {
public:
    using LockStage::LockStage;

    void recover(const Case& /*now*/) override {
        if (object().permits.acquire()) static_cast<void>(object().permits.release());
    }
    std::string interfere(const Case& /*now*/) override { return use(false); }
    std::string verify(const Case& now) override {
        if (details().sleeps) wake();
        std::string text = use(true);
        if (!text.empty()) return text;
        const std::uint32_t posted = object().posts.posted();
        const bool returned = outcome(crash::Role::victim).code == kDone;
        if (returned && !now.victim_dead && posted != expected_) return "a post is lost";
        return posted <= expected_ + 1 ? "" : "a post was made twice";
    }
    // The one that was there before everybody gives all back.
    void wake() override {
        act_as_first();
        while (object().permits.release()) {
        }
    }
    void hold_all() {
        for (std::uint32_t i = 0; i < kPermits; ++i) object().permits.acquire().value();
    }
    void expect_posts(std::uint32_t posts) { expected_ = posts; }

private:
    // `all`: nobody else holds one any more.
    std::string use(bool all) {
        g_wait_slice = 1ms;
        join();
        std::uint32_t got = 0;
        const Deadline patience = all ? Deadline::after(2s) : Deadline::after(5ms);
        while (got < kPermits && object().permits.acquire(patience)) ++got;
        if (all && got < kPermits) return "a permit is lost";
        if (got == kPermits && object().permits.try_acquire())
            return "there is one permit too many";
        for (; got > 0; --got) {
            if (!object().permits.release()) return "a permit of ours is not ours";
        }
        return all && object().permits.free() != kPermits ? "a permit is held by nobody" : "";
    }

    std::uint32_t expected_ = 0;
};

void acquires_and_releases(PermitScenario& stage) {
    if (stage.object().permits.acquire()) static_cast<void>(stage.object().permits.release());
}

void add_permit_scenarios(Scenarios& list) {
    const auto all_dead = [](PermitScenario& stage) {
        g_wait_slice = 1ms;
        stage.leave_a_dead_one([&] { stage.hold_all(); });
    };
    const LockCase<PermitScenario> cases[] = {
        {.name = "semaphore.acquire", .operation = acquires_and_releases},
        {.name = "semaphore.inherit", .operation = acquires_and_releases, .prepare = all_dead},
        {.name = "semaphore.acquire_asleep",
         .operation = acquires_and_releases,
         .prepare = [](PermitScenario& stage) { stage.hold_all(); },
         .sleeps = true},
        {.name = "semaphore.post",
         .operation = [](PermitScenario& stage) { stage.object().posts.post(); },
         .prepare = [](PermitScenario& stage) { stage.expect_posts(1); }},
        {.name = "semaphore.wait",
         .operation = [](PermitScenario& stage) { static_cast<void>(stage.object().posts.wait()); },
         .prepare =
             [](PermitScenario& stage) {
                 stage.object().posts.post(2);
                 stage.expect_posts(1);
             }},
    };
    for (const LockCase<PermitScenario>& one : cases)
        list.push_back(std::make_unique<PermitScenario>(one));
}

}  // namespace

void add_lock_scenarios(Scenarios& list) {
    const auto first = [](LockScenario& stage) { stage.hold_first(); };
    const auto dead = [](LockScenario& stage) { stage.leave_a_dead_holder(); };
    const auto slice = [](LockScenario& stage) {
        g_wait_slice = 1ms;
        stage.leave_a_dead_holder();
    };
    const LockCase<LockScenario> cases[] = {
        {.name = "mutex.hold", .operation = changes},
        {.name = "mutex.inherit", .operation = changes, .prepare = slice},
        {.name = "mutex.inherit_in_time", .operation = changes_in_time, .prepare = dead},
        {.name = "mutex.hold_asleep", .operation = changes, .prepare = first, .sleeps = true},
        {.name = "mutex.unlock_and_wake", .operation = gives_back_with_waiters},
        {.name = "mutex.poison",
         .operation = gives_back_unmended,
         .prepare = slice,
         .may_poison = true},
    };
    for (const LockCase<LockScenario>& one : cases)
        list.push_back(std::make_unique<LockScenario>(one));
    add_permit_scenarios(list);
}

}  // namespace stoa::crash
