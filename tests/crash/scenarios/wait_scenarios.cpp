// Conditions, barriers, events, file locks: every operation of who waits, who notifies and who
// arrives, with the dead and the stopped in it.
//
// One more waits than there are processes: a share in the word, of one that came before everybody.
// From the word the judge reads whether that one may go on, and so whether a notification is lost.
#include <functional>

#include "stoa/sync/barrier.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sync/condition.hpp"
#include "stoa/sync/event.hpp"
#include "stoa/sync/file_lock.hpp"
#include "tests/crash/scenarios/lock_stage.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/command.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa::crash {
namespace {

using namespace std::chrono_literals;

struct Waited {
    Atomic<std::uint64_t>& word() { return reinterpret_cast<ConditionLayout*>(&changed)->word; }

    Mutex lock;
    Condition changed;
    std::uint64_t items;
    Atomic<std::uint32_t> notified;  // 1: a notification is made, or somebody is about to wait
};

class WaitScenario final : public LockStage<Waited, WaitScenario> {
public:
    using LockStage::LockStage;

    void recover(const Case& /*now*/) override { put_one(); }
    std::string interfere(const Case& now) override;
    std::string verify(const Case& now) override;
    void wake() override {
        g_wait_slice = 1ms;
        join();
        put_one();
    }

    // The one that came before everybody.
    void add_another(bool asleep) {
        ConditionWord word = unpack_condition(object().word().load());
        ++word.waiting;
        word.asleep = word.asleep || asleep;
        object().word().store(pack(word));
    }
    bool hold() {
        const Result<Held> held = object().lock.hold(Deadline::after(2s));
        if (held && *held == Held::owner_died) object().lock.repaired();
        return held.has_value();
    }
    void put_one() {
        if (!hold()) return;
        ++object().items;
        object().changed.notify_one();
        object().lock.unlock();
    }
    void take_one(Deadline::Clock::time_point until) {
        if (!hold()) return;
        const auto some = [this] { return object().items > 0; };
        Result<Held> held = object().changed.wait_until(object().lock, until, some);
        while (held && *held == Held::owner_died) {
            object().lock.repaired();
            held = object().changed.wait_until(object().lock, until, some);
        }
        if (held) --object().items;
        if (held || held.error().code == Errc::timed_out) object().lock.unlock();
    }

private:
    bool another_may_go_on() {
        const ConditionWord word = unpack_condition(object().word().load());
        return word.turn > word.joined || word.granted > 0;
    }
    std::string use();
};

// A living one waits, and is notified. The lock is held when it begins.
std::string WaitScenario::use() {
    object().items = 0;
    object().notified.store(0);
    object().lock.unlock();
    kit::Child child{[this] {
        join();
        if (!hold()) ::_exit(2);
        object().notified.store(1);
        const auto some = [this] { return object().items > 0; };
        if (!object().changed.wait_for(object().lock, 2s, some)) ::_exit(3);
        object().items = 0;
        object().lock.unlock();
    }};
    if (!kit::wait_until([&] { return object().notified.load() == 1; })) return "nobody waits";
    put_one();
    return child.wait().ok() ? "" : "one that waits is not woken";
}

std::string WaitScenario::interfere(const Case& now) {
    g_wait_slice = 1ms;
    join();
    const Result<Held> held = object().lock.hold(Deadline::after(5ms));
    if (!held) return held.error().code == Errc::timed_out ? "" : describe(held.error());
    if (*held != Held::clean && !now.victim_dead) return "a stopped one is taken for a dead one";
    object().lock.repaired();
    const std::uint64_t items = object().items;
    object().changed.notify_one();
    const Result<Held> again = object().changed.wait_for(object().lock, 1ms);
    if (!again && again.error().code != Errc::timed_out) return describe(again.error());
    object().items = items;
    object().lock.unlock();
    return {};
}

std::string WaitScenario::verify(const Case& now) {
    g_wait_slice = 1ms;
    join();
    Waited& it = object();
    const bool returned = outcome(crash::Role::victim).code == kDone;
    const bool was_notified = another_may_go_on() || it.items > 0;
    const bool is_another_free = another_may_go_on();
    const Result<Held> held = it.lock.hold(Deadline::after(2s));
    if (!held) return "nobody gets the lock: " + describe(held.error());
    const bool is_told = *held == Held::owner_died;
    if (is_told) it.lock.repaired();
    const bool took_it = returned || is_told || it.items == 0;
    if (details().sleeps && was_notified && !is_another_free && !took_it) {
        return "a notification is lost to a dead one";
    }
    if (!details().sleeps && it.notified.load() == 1 && !is_another_free) {
        return "a notification is lost";
    }
    if (!now.victim_dead && !now.recoverer_dead && is_told) return "nobody died with the lock";
    return use();
}

// --- barriers -----------------------------------------------------------------------------------

class BarrierScenario final : public LockStage<Barrier<4>, BarrierScenario> {
public:
    using LockStage::LockStage;

    void victim_begin() override {
        join();
        if (joins_before_) object().join().value();
    }
    void recover_begin(const Case& /*now*/) override { join_once(); }
    void recover(const Case& /*now*/) override { static_cast<void>(end_phase(50ms)); }
    std::string interfere(const Case& now) override;
    std::string verify(const Case& now) override;
    void wake() override {
        g_wait_slice = 1ms;
        join();
        act_as_first();
        static_cast<void>(object().arrive());
    }

    void victim_joins_before() { joins_before_ = true; }
    void first_joins() {
        first_is_member_ = true;
        object().join().value();
    }
    void leave_a_dead_member() {
        g_wait_slice = 1ms;
        leave_a_dead_one([this] { object().join().value(); });
    }

private:
    void join_once() {
        if (!is_member_) join();
    }
    Result<Passed> end_phase(std::chrono::milliseconds wait) {
        g_wait_slice = 1ms;
        if (first_is_member_) {
            act_as_first();
        } else if (!is_member_) {
            is_member_ = true;
            object().join().value();
        }
        const std::uint32_t phase = object().phase();
        static_cast<void>(object().arrive());
        return object().wait_for(phase, wait);
    }

    bool joins_before_ = false;
    bool first_is_member_ = false;
    bool is_member_ = false;
};

// While the victim stands still: without it no phase ends.
std::string BarrierScenario::interfere(const Case& now) {
    join_once();
    const std::uint32_t before = object().phase();
    for (int i = 0; i < 2; ++i) {
        const Result<Passed> passed = end_phase(4ms);
        if (!passed && passed.error().code != Errc::timed_out) return describe(passed.error());
    }
    const std::uint32_t passed = object().phase() - before;
    const bool counts = joins_before_ && !details().may_poison && !now.victim_dead &&
                        outcome(crash::Role::victim).code == 0;
    return counts && passed > 1 ? "a stopped one is not waited for" : "";
}

std::string BarrierScenario::verify(const Case& now) {
    join_once();
    Result<Passed> passed;
    for (int i = 0; i < 3; ++i) {
        passed = end_phase(2s);
        if (!passed) return "a dead one is waited for: " + describe(passed.error());
    }
    const bool stays = joins_before_ && !details().may_poison;  // it does not drop out
    if (stays && now.victim_dead && passed->gone == 0) return "nobody is told that one is gone";
    return {};
}

void add_barrier_scenarios(Scenarios& list) {
    const auto arrives = [](BarrierScenario& stage) { static_cast<void>(stage.object().arrive()); };
    const auto both = [](BarrierScenario& stage) {
        stage.first_joins();
        stage.victim_joins_before();
    };
    const auto waits = [](BarrierScenario& stage) {
        static_cast<void>(stage.object().arrive_and_wait());
    };
    const LockCase<BarrierScenario> cases[] = {
        {.name = "barrier.join",
         .operation = [](BarrierScenario& stage) { static_cast<void>(stage.object().join()); },
         .prepare = [](BarrierScenario& stage) { stage.first_joins(); }},
        {.name = "barrier.arrive", .operation = arrives, .prepare = both},
        {.name = "barrier.end_phase",
         .operation = arrives,
         .prepare = [](BarrierScenario& stage) { stage.victim_joins_before(); }},
        {.name = "barrier.wait", .operation = waits, .prepare = both, .sleeps = true},
        {.name = "barrier.wait_for_the_dead",
         .operation = waits,
         .prepare =
             [](BarrierScenario& stage) {
                 stage.victim_joins_before();
                 stage.leave_a_dead_member();
             }},
        {.name = "barrier.drop",
         .operation =
             [](BarrierScenario& stage) { static_cast<void>(stage.object().arrive_and_drop()); },
         .prepare = both,
         .may_poison = true},
    };
    for (const LockCase<BarrierScenario>& one : cases)
        list.push_back(std::make_unique<BarrierScenario>(one));
}

// --- events -------------------------------------------------------------------------------------

struct Events {
    Event by_hand;
    Event alone{Reset::automatic};
};

class EventScenario final : public LockStage<Events, EventScenario> {
public:
    using LockStage::LockStage;

    void recover(const Case& /*now*/) override { set_both(); }
    std::string interfere(const Case& /*now*/) override {
        std::string text = use();
        set_both();
        return text;
    }
    std::string verify(const Case& /*now*/) override { return use(); }
    void wake() override { set_both(); }
    void set_both() {
        object().by_hand.set();
        object().alone.set();
    }

private:
    // Whatever is set, nobody else takes it meanwhile.
    std::string use() {
        g_wait_slice = 1ms;
        join();
        set_both();
        if (!object().by_hand.wait_for(2s) || !object().by_hand.is_set()) return "a set is lost";
        if (!object().alone.wait_for(2s)) {
            return outcome(crash::Role::victim).code == 0 ? "" : "a set is lost";
        }
        object().by_hand.reset();
        if (object().by_hand.try_wait() || object().alone.try_wait()) return "one is set twice";
        return {};
    }
};

void add_event_scenarios(Scenarios& list) {
    const auto are_set = [](EventScenario& stage) { stage.set_both(); };
    const LockCase<EventScenario> cases[] = {
        {.name = "event.set", .operation = are_set},
        {.name = "event.reset",
         .operation = [](EventScenario& stage) { stage.object().by_hand.reset(); },
         .prepare = are_set},
        {.name = "event.wait",
         .operation =
             [](EventScenario& stage) {
                 static_cast<void>(stage.object().by_hand.wait());
                 static_cast<void>(stage.object().alone.wait());
             },
         .prepare = are_set},
        {.name = "event.wait_asleep",
         .operation =
             [](EventScenario& stage) { static_cast<void>(stage.object().by_hand.wait()); },
         .sleeps = true},
        {.name = "event.wait_alone_asleep",
         .operation = [](EventScenario& stage) { static_cast<void>(stage.object().alone.wait()); },
         .sleeps = true},
    };
    for (const LockCase<EventScenario>& one : cases)
        list.push_back(std::make_unique<EventScenario>(one));
}

// --- file locks ---------------------------------------------------------------------------------

class FileLockScenario final : public LockStage<std::uint64_t, FileLockScenario> {
public:
    using LockStage::LockStage;

    std::string interfere(const Case& /*now*/) override {
        const Result<void> held = open().hold(Deadline::after(2ms));
        if (held) return {};
        return held.error().code == Errc::timed_out ? "" : describe(held.error());
    }
    std::string verify(const Case& /*now*/) override {
        const Result<void> held = open().hold(Deadline::after(2s));
        return held ? "" : "a dead one has it: " + describe(held.error());
    }
    bool recovers() const override { return false; }
    FileLock open() const { return FileLock::open(path_).value(); }

private:
    kit::MemoryFile file_;
    std::string path_ =  // for all processes that the engine forks
        "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file_.descriptor());
};

void add_file_lock_scenarios(Scenarios& list) {
    const LockCase<FileLockScenario> cases[] = {
        {.name = "file_lock.hold",
         .operation =
             [](FileLockScenario& stage) {
                 FileLock lock = stage.open();
                 if (!lock.hold(Deadline::after(2s))) return;
                 lock.unlock();
                 static_cast<void>(lock.hold_shared());
             }},
    };
    for (const LockCase<FileLockScenario>& one : cases)
        list.push_back(std::make_unique<FileLockScenario>(one));
}

}  // namespace

void add_wait_scenarios(Scenarios& list) {
    const auto sleeper = [](WaitScenario& stage) { stage.add_another(true); };
    const auto other = [](WaitScenario& stage) { stage.add_another(false); };
    const auto two = [](WaitScenario& stage) {
        stage.add_another(false);
        stage.add_another(true);
    };
    const LockCase<WaitScenario> cases[] = {
        {.name = "condition.wait",
         .operation =
             [](WaitScenario& stage) { stage.take_one(Deadline::Clock::time_point::max()); },
         .prepare = other,
         .sleeps = true},
        {.name = "condition.wait_in_time",
         .operation = [](WaitScenario& stage) { stage.take_one(Deadline::Clock::now() + 2ms); },
         .prepare = other},
        {.name = "condition.notify_one",
         .operation =
             [](WaitScenario& stage) {
                 stage.put_one();
                 stage.object().notified.store(1);
             },
         .prepare = other},
        {.name = "condition.notify_sleeper",
         .operation =
             [](WaitScenario& stage) {
                 stage.object().changed.notify_one();
                 stage.object().notified.store(1);
             },
         .prepare = two},
        {.name = "condition.notify_all",
         .operation =
             [](WaitScenario& stage) {
                 stage.object().changed.notify_all();
                 stage.object().notified.store(1);
             },
         .prepare = sleeper},
    };
    for (const LockCase<WaitScenario>& one : cases)
        list.push_back(std::make_unique<WaitScenario>(one));
    add_barrier_scenarios(list);
    add_event_scenarios(list);
    add_file_lock_scenarios(list);
}

}  // namespace stoa::crash
