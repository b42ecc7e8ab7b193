// Readers and writers: every operation of both, with the dead and the stopped in it.
//
// What the lock guards are two numbers that are equal whenever no writer is in.
#include "stoa/sync/bell.hpp"
#include "stoa/sync/shared_mutex.hpp"
#include "tests/crash/scenarios/lock_stage.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/crash_at.hpp"

namespace stoa::crash {
namespace {

using namespace std::chrono_literals;

struct Page {
    SharedMutexLayout* layout() { return reinterpret_cast<SharedMutexLayout*>(&lock); }

    SharedMutex<2> lock;
    std::uint64_t a;
    std::uint64_t b;
};

class SharedScenario final : public LockStage<Page, SharedScenario> {
public:
    using LockStage::LockStage;

    static constexpr std::uint64_t kTorn = 2;

    void recover(const Case& /*now*/) override { write(); }
    std::string interfere(const Case& now) override;
    std::string verify(const Case& now) override;
    // The one that was there before everybody gives back what it holds.
    void wake() override {
        act_as_first();
        Page& it = object();
        if (it.lock.writer() == here(&it).me) it.lock.unlock();
        if (first_reads_ && it.lock.readers() > 0) it.lock.unlock_shared();
    }

    void write() {
        Page& it = object();
        const Result<Held> held = it.lock.hold();
        if (!held) return;
        if (*held == Held::owner_died) mend();
        if (it.a != it.b) outcome(crash::Role::victim).values[0] = kTorn;
        ++it.a;
        ++it.b;
        it.lock.unlock();
    }
    void read() {
        Page& it = object();
        const Result<Held> held = it.lock.hold_shared();
        if (!held) return;
        if (*held == Held::owner_died) mend();
        if (it.a != it.b) outcome(crash::Role::victim).values[0] = kTorn;
        it.lock.unlock_shared();
    }
    void first_reads() {
        first_reads_ = true;
        object().lock.hold_shared().value();
    }
    void first_writes() { object().lock.hold().value(); }
    void leave_a_dead_reader() {
        leave_a_dead_one([this] { object().lock.hold_shared().value(); });
    }
    void leave_a_dead_writer() {
        leave_a_dead_one([this] {
            object().lock.hold().value();
            ++object().a;
        });
    }
    // One that waited for a reader, who is dead as well.
    void leave_a_dead_entering() {
        leave_a_dead_reader();
        leave_a_dead_one([this] {
            kit::kill_self_at("shared_mutex.entering");
            static_cast<void>(object().lock.hold());
        });
    }

private:
    void mend() {
        object().b = object().a;
        object().lock.repaired();
    }
    std::string use_for(bool to_write, std::chrono::nanoseconds patience);

    bool first_reads_ = false;
};

// Somebody else may be in, or stand still in between.
std::string SharedScenario::use_for(bool to_write, std::chrono::nanoseconds patience) {
    Page& it = object();
    const Holder before = it.lock.writer();
    const std::uint32_t readers = it.lock.readers();
    const bool is_free = before == 0 && readers == 0;
    const Result<Held> held = to_write ? it.lock.hold(Deadline::after(patience))
                                       : it.lock.hold_shared(Deadline::after(patience));
    if (it.lock.is_poisoned()) return details().may_poison ? "" : "it is poisoned, and nobody died";
    if (!held) {
        if (held.error().code != Errc::timed_out) return describe(held.error());
        return is_free ? "it is free, and nobody gets in" : "";
    }
    if (*held == Held::owner_died) {
        if (!here(&it).is_gone(before)) return "a stopped writer is taken for a dead one";
        mend();
    }
    if (it.a != it.b) return "somebody is in beside a writer";
    to_write ? it.lock.unlock() : it.lock.unlock_shared();
    return {};
}

// While the victim stands still.
std::string SharedScenario::interfere(const Case& /*now*/) {
    g_wait_slice = 1ms;
    join();
    std::string text = use_for(false, 3ms);
    if (text.empty()) text = use_for(true, 3ms);
    return text;
}

std::string SharedScenario::verify(const Case& /*now*/) {
    g_wait_slice = 1ms;
    if (outcome(crash::Role::victim).values[0] == kTorn) return "torn, and it was let in untold";
    wake();
    join();
    Page& it = object();
    const std::uint64_t word = it.layout()->word.load();
    if ((word & LockWord::kPoisoned) != 0) return details().may_poison ? "" : "it is poisoned";
    const bool was_in = LockWord::holder(word) != 0 && (word & kEntering) == 0;
    const bool must_be_told = was_in || (word & LockWord::kInconsistent) != 0;
    if (!must_be_told && it.a != it.b) return "nobody writes, and what it guards is torn";
    const Result<Held> held = it.lock.hold(Deadline::after(2s));
    if (!held) return "nobody gets it: " + describe(held.error());
    if ((*held == Held::owner_died) != must_be_told) {
        return must_be_told ? "the heir is not told" : "the heir of none is told of a death";
    }
    mend();
    it.lock.unlock();
    for (int k = 0; k < 2; ++k) {
        const Result<Held> again =
            k == 0 ? it.lock.hold_shared(Deadline::after(2s)) : it.lock.hold(Deadline::after(2s));
        if (!again || *again != Held::clean) return "it is not whole again";
        k == 0 ? it.lock.unlock_shared() : it.lock.unlock();
    }
    if (it.lock.readers() != 0) return "a reader is left in it";
    if ((it.layout()->word.load() & ~LockWord::kWaiters) != 0) {
        return "something is left in the word";
    }
    return {};
}

void writes_in_time(SharedScenario& stage) {
    Page& it = stage.object();
    const Result<Held> held = it.lock.hold(Deadline::after(2ms));
    if (held) it.lock.unlock();
}
void reads_in_time(SharedScenario& stage) {
    Page& it = stage.object();
    const Result<Held> held = it.lock.hold_shared(Deadline::after(2ms));
    if (held) it.lock.unlock_shared();
}

}  // namespace

void add_shared_lock_scenarios(Scenarios& list) {
    using Stage = SharedScenario;
    const auto reads = [](Stage& stage) { stage.read(); };
    const auto writes = [](Stage& stage) { stage.write(); };
    const auto dead_writer = [](Stage& stage) {
        g_wait_slice = 1ms;
        stage.leave_a_dead_writer();
    };
    const auto dead_readers = [](Stage& stage) {
        g_wait_slice = 1ms;
        stage.leave_a_dead_reader();
        stage.leave_a_dead_reader();
    };
    const auto dead_entering = [](Stage& stage) {
        g_wait_slice = 1ms;
        stage.leave_a_dead_entering();
    };
    const auto first_reads = [](Stage& stage) { stage.first_reads(); };
    const auto first_writes = [](Stage& stage) { stage.first_writes(); };
    const LockCase<Stage> cases[] = {
        {.name = "shared.write", .operation = writes},
        {.name = "shared.read", .operation = reads},
        {.name = "shared.write_after_dead_readers", .operation = writes, .prepare = dead_readers},
        {.name = "shared.read_after_dead_readers", .operation = reads, .prepare = dead_readers},
        {.name = "shared.write_after_dead_writer", .operation = writes, .prepare = dead_writer},
        {.name = "shared.read_after_dead_writer", .operation = reads, .prepare = dead_writer},
        {.name = "shared.write_after_dead_entering", .operation = writes, .prepare = dead_entering},
        {.name = "shared.read_after_dead_entering", .operation = reads, .prepare = dead_entering},
        {.name = "shared.poison_writing",
         .operation = writes_in_time,
         .prepare = dead_writer,
         .may_poison = true},
        {.name = "shared.poison_reading",
         .operation = reads_in_time,
         .prepare = dead_writer,
         .may_poison = true},
        {.name = "shared.write_in_vain",
         .operation = writes_in_time,
         .prepare = first_reads,
         .sleeps = true},
        {.name = "shared.write_asleep",
         .operation = writes,
         .prepare = first_reads,
         .sleeps = true},
        {.name = "shared.read_asleep", .operation = reads, .prepare = first_writes, .sleeps = true},
    };
    for (const LockCase<Stage>& one : cases) list.push_back(std::make_unique<SharedScenario>(one));
}

}  // namespace stoa::crash
