// The recursive mutex, that of priorities, and once: every operation, with the dead and the
// stopped in it.
#include <type_traits>

#include "stoa/sync/bell.hpp"
#include "stoa/sync/once.hpp"
#include "stoa/sync/priority_mutex.hpp"
#include "stoa/sync/recursive_mutex.hpp"
#include "tests/crash/scenarios/lock_stage.hpp"
#include "tests/crash/scenarios/scenarios.hpp"

namespace stoa::crash {
namespace {

using namespace std::chrono_literals;

// --- mutexes, the recursive one locked twice ----------------------------------------------------

template <typename Lock>
struct Pair {
    [[nodiscard]] std::uint64_t word() {
        return reinterpret_cast<Atomic<std::uint64_t>*>(this)->load();
    }

    Lock lock;
    std::uint64_t a;
    std::uint64_t b;  // equal to a whenever nobody holds it
};

template <typename Lock>
class KindScenario final : public LockStage<Pair<Lock>, KindScenario<Lock>> {
public:
    using Base = LockStage<Pair<Lock>, KindScenario<Lock>>;
    using Base::act_as_first;
    using Base::Base;
    using Base::details;
    using Base::join;
    using Base::leave_a_dead_one;
    using Base::object;

    static constexpr bool kRecursive = std::is_same_v<Lock, RecursiveMutex>;

    void recover(const Case& /*now*/) override { static_cast<void>(change()); }
    std::string interfere(const Case& /*now*/) override {
        g_wait_slice = 1ms;
        join();
        Pair<Lock>& it = object();
        const Holder before = it.lock.holder();
        const Result<Held> held = it.lock.hold(Deadline::after(5ms));
        if (it.lock.is_poisoned()) return "it is poisoned";
        if (!held) {
            if (held.error().code != Errc::timed_out) return describe(held.error());
            return before == 0 ? "it is free, and nobody gets it" : "";
        }
        if (*held == Held::owner_died && !here(&it).is_gone(before)) {
            return "a stopped holder is taken for a dead one";
        }
        if (*held == Held::owner_died) mend();
        if (it.a != it.b) return "two hold it at once";
        it.lock.unlock();
        return {};
    }
    std::string verify(const Case& /*now*/) override {
        g_wait_slice = 1ms;
        if (details().sleeps) wake();
        join();
        Pair<Lock>& it = object();
        const bool must_be_told =
            it.lock.holder() != 0 || (it.word() & LockWord::kInconsistent) != 0;
        if (!must_be_told && it.a != it.b) return "it is free, and what it guards torn";
        const Result<Held> held = it.lock.hold(Deadline::after(2s));
        if (!held) return "nobody gets it: " + describe(held.error());
        if ((*held == Held::owner_died) != must_be_told) return "the heir is told wrong";
        mend();
        it.lock.unlock();
        if (it.lock.holder() != 0) return "its heir holds it more than once";
        const std::string text = change();
        if (!text.empty()) return text;
        return (it.word() & ~LockWord::kWaiters) == 0 ? "" : "something is left in the word";
    }
    void wake() override {
        act_as_first();
        if (object().lock.holder() == here(&object()).me) object().lock.unlock();
    }
    // Holds it twice.
    std::string change() {
        Pair<Lock>& it = object();
        const Result<Held> held = it.lock.hold();
        if (!held) return describe(held.error());
        if (*held == Held::owner_died) mend();
        if (kRecursive && !it.lock.hold()) return "its holder does not get it again";
        ++it.a;
        if (kRecursive) it.lock.unlock();
        ++it.b;
        it.lock.unlock();
        return {};
    }
    void leave_a_dead_holder() {
        g_wait_slice = 1ms;
        leave_a_dead_one([this] {
            object().lock.hold().value();
            if (kRecursive) object().lock.hold().value();
            ++object().a;
        });
    }

private:
    void mend() {
        object().b = object().a;
        object().lock.repaired();
    }
};

// --- done once ----------------------------------------------------------------------------------

struct Made {
    [[nodiscard]] std::uint64_t word() { return reinterpret_cast<OnceLayout*>(this)->word; }

    Once once;
    std::uint64_t a;
    std::uint64_t b;
    std::uint64_t told;
};

class OnceScenario final : public LockStage<Made, OnceScenario> {
public:
    using LockStage::LockStage;

    void recover(const Case& /*now*/) override { make(Deadline::never()); }
    std::string interfere(const Case& /*now*/) override {
        g_wait_slice = 1ms;
        join();
        const Holder before = object().once.runner();
        make(Deadline::after(5ms));
        const bool is_done = object().once.is_done();
        if (!is_done && before == 0 && object().once.runner() == 0) return "nobody does it";
        return is_done && object().a != object().b ? "it is done, and torn" : "";
    }
    std::string verify(const Case& /*now*/) override {
        g_wait_slice = 1ms;
        join();
        Made& it = object();
        const bool was_done = it.once.is_done();
        const bool must_be_told = !was_done && it.word() != 0;
        it.told = 0;
        if (was_done && (it.a != 1 || it.b != 1)) return "it is done, and torn";
        const Result<bool> did = make(Deadline::after(2s));
        if (!did) return "nobody gets to do it: " + describe(did.error());
        if (*did == was_done) return was_done ? "it is done twice" : "it was never done";
        if ((it.told != 0) != must_be_told) return "who does it is told wrong";
        return it.a == 1 && it.b == 1 && it.once.is_done() ? "" : "it is not done";
    }
    Result<bool> make(Deadline deadline) {
        Made& it = object();
        return it.once.call_until(deadline, [&it](Held held) {
            if (held == Held::owner_died) it.a = it.b = 0;
            it.told = held == Held::owner_died ? 1 : 0;
            ++it.a;
            ++it.b;
        });
    }
    void leave_a_dead_runner() {
        g_wait_slice = 1ms;
        leave_a_dead_one([this] {
            static_cast<void>(object().once.call([this] {
                ++object().a;
                ::kill(::getpid(), SIGKILL);
            }));
        });
    }
};

template <typename Lock>
void add_kind(Scenarios& list, const char* hold, const char* inherit, const char* asleep) {
    using Stage = KindScenario<Lock>;
    const auto change = [](Stage& stage) { static_cast<void>(stage.change()); };
    const LockCase<Stage> cases[] = {
        {.name = hold, .operation = change},
        {.name = inherit,
         .operation = change,
         .prepare = [](Stage& stage) { stage.leave_a_dead_holder(); }},
        {.name = asleep,
         .operation = change,
         .prepare =
             [](Stage& stage) {
                 // The kernel lets only its own thread open the gate: the victim goes past it.
                 if (!Stage::kRecursive) g_wait_slice = 20ms;
                 stage.object().lock.hold().value();
             },
         .sleeps = true},
    };
    for (const LockCase<Stage>& one : cases) list.push_back(std::make_unique<Stage>(one));
}

}  // namespace

void add_mutex_kind_scenarios(Scenarios& list) {
    add_kind<RecursiveMutex>(list, "recursive.hold", "recursive.inherit", "recursive.hold_asleep");
    add_kind<PriorityMutex>(list, "priority.hold", "priority.inherit", "priority.hold_asleep");
    const auto make = [](OnceScenario& stage) { static_cast<void>(stage.make(Deadline::never())); };
    const LockCase<OnceScenario> onces[] = {
        {.name = "once.call", .operation = make},
        {.name = "once.inherit",
         .operation = make,
         .prepare = [](OnceScenario& stage) { stage.leave_a_dead_runner(); }},
    };
    for (const LockCase<OnceScenario>& one : onces)
        list.push_back(std::make_unique<OnceScenario>(one));
}

}  // namespace stoa::crash
