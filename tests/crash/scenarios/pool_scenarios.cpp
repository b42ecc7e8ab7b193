// The pool ring: every operation of an endpoint, plain and acknowledged.
//
// Before anybody recovers, the judge reads the words of the ring: a message whose number stands in
// a slot, or (acknowledged) in a chunk that is leased, must come exactly once; any other must not.
// So the judge knows what has to happen without knowing where the victim died.
#include <csignal>
#include <functional>
#include <optional>
#include <set>

#include "stoa/base/check.hpp"
#include "stoa/ring/pool.hpp"
#include "tests/crash/scenarios/ledger.hpp"
#include "tests/crash/scenarios/look.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa::crash {
namespace {

constexpr std::uint32_t kVictim = 1;
constexpr std::uint32_t kRecoverer = 2;
constexpr std::uint32_t kJudge = 3;
constexpr std::uint32_t kDeadBefore = 5;  // died before the victim does anything
constexpr std::uint64_t kVictimsNumber = 77;
constexpr std::uint64_t kPreparedNumber = 100;  // 100, 101, ...
constexpr std::uint64_t kJudgesNumber = 1000;
constexpr std::uint32_t kBytes = 40;

struct PoolCase {
    const char* name;
    PoolDemand demand{.capacity = 2, .max_bytes = 48, .reserve_bytes = 4096, .loans = 4};
    std::function<void(PoolRing&)> prepare{};
    std::function<void(PoolRing&)> operation{};
    std::uint64_t prepared = 0;      // messages sent by prepare
    bool loose = false;              // a helper may deliver them to one who is dead
    bool recovers_itself = false;    // the operation is the recovery of the dead one
    std::uint32_t dead_letters = 0;  // 1: the prepared message is taken too often
};

bool send(PoolRing& ring, std::uint32_t me, std::uint64_t number) {
    PoolLoan loan;
    if (ring.claim(me, kBytes, loan) != PoolStatus::ok) return false;
    write_payload(ring.room(loan).first(kBytes), number);
    if (ring.publish(loan, {.length = kBytes}) == PoolStatus::ok) return true;
    (void)ring.release(loan);
    return false;
}

// Runs `body` as endpoint kDeadBefore in a child that dies at `point`.
void die_at(const char* point, const std::function<void()>& body) {
    const kit::Ending ending = kit::fork_and_run([&] {
        kit::kill_self_at(point);
        body();
    });
    STOA_CHECK(ending.signal == SIGKILL);
}

void die_taking(PoolRing& ring, const char* point) {
    die_at(point, [&] {
        PoolLoan loan;
        (void)ring.take(kDeadBefore, loan);
    });
}

class PoolScenario final : public Scenario {
public:
    explicit PoolScenario(PoolCase details)
        : case_{std::move(details)},
          geometry_{PoolGeometry::plan(case_.demand).value()},
          region_{geometry_.total_bytes} {}

    std::string name() const override { return case_.name; }
    std::vector<std::span<std::byte>> shared() override { return {region_.bytes()}; }
    void prepare() override {
        PoolRing::create(region_.bytes(), geometry_).value();
        open();
        if (case_.prepare) case_.prepare(*ring_);
        open();
    }
    void victim_begin() override { open(); }
    void victim() override {
        case_.operation(*ring_);
        outcome(Role::victim).code = 1;
    }
    void recover_begin(const Case& now) override {
        open();
        if (now.me == Role::judge) what_must_come(now);
    }
    void recover(const Case& now) override {
        ring_->recover({.index = kVictim});
        if (now.me == Role::recoverer) return;
        ring_->recover({.index = kDeadBefore});
        if (now.recoverer_dead) ring_->recover({.index = kRecoverer});
    }
    std::string interfere(const Case& now) override {
        open();
        what_must_come(now);
        return laps();
    }
    std::string interfere_recovery(const Case& now) override {
        recover_begin(now);
        recover(now);
        return laps();
    }
    std::string verify(const Case& now) override;

private:
    void open() { ring_.emplace(PoolRing::attach(region_.bytes()).value()); }
    void what_must_come(const Case& now);
    [[nodiscard]] std::string laps();
    [[nodiscard]] std::string drain();
    [[nodiscard]] std::string nothing_leaked();
    // A survivor that is blocked looks for the dead, whoever else may be recovering them.
    bool send_mine() {
        ledger_.must(next_);
        if (send(*ring_, kJudge, next_)) return ++next_ != 0;
        ring_->recover({.index = kDeadBefore});
        return drain().empty() && send(*ring_, kJudge, next_++);
    }

    PoolCase case_;
    PoolGeometry geometry_;
    kit::TempRegion region_;
    std::optional<PoolRing> ring_;
    Ledger ledger_;
    std::set<std::uint64_t> delivered_before_;  // leased by somebody who died
    bool knows_ = false;
    std::uint64_t next_ = kJudgesNumber;
    std::uint64_t last_ = 0;
};

void PoolScenario::what_must_come(const Case& now) {
    knows_ = true;
    WaitingMessages waits;
    if (now.victim_dead) waits = waiting_in_pool(region_.bytes(), geometry_);
    delivered_before_ = waits.delivered_before;
    const auto expect = [&](std::uint64_t number, bool alive_must) {
        if (case_.dead_letters != 0 ||
            !(now.victim_dead ? waits.numbers.contains(number) : alive_must)) {
            ledger_.must_not(number);
        } else if (!now.victim_dead && case_.loose && number != kVictimsNumber) {
            ledger_.may(number);
        } else {
            ledger_.must(number);
        }
    };
    for (std::uint64_t k = 0; k < case_.prepared; ++k) expect(kPreparedNumber + k, true);
    // While the victim lives, verify() asks it whether it sent.
    if (now.victim_dead) expect(kVictimsNumber, false);
}

std::string PoolScenario::drain() {
    PoolLoan loan;
    PoolStatus status{};
    while ((status = ring_->take(kJudge, loan)) == PoolStatus::ok) {
        const std::uint64_t number = read_payload(ring_->room(loan));
        if (number == 0) return "a torn message";
        ledger_.got(number);
        if (delivered_before_.contains(number) && loan.deliveries == 0) {
            return "an earlier delivery is not counted";
        }
        if (number >= kJudgesNumber && !loan.redelivered) {
            if (number < last_) return "out of order";
            last_ = number;
        }
        if (!ring_->release(loan)) return "a loan of ours is not ours";
    }
    return status == PoolStatus::empty ? "" : "take says that the ring is corrupt";
}

// Goes round the ring three times, then leaves one message in it.
std::string PoolScenario::laps() {
    for (std::uint32_t k = 0; k < 3 * geometry_.slot_count; ++k) {
        std::string text = drain();
        if (!text.empty()) return text;
        if (!send_mine()) return "a survivor cannot send";
    }
    std::string text = drain();
    if (!text.empty()) return text;
    return send_mine() ? "" : "a survivor cannot send";
}

std::string PoolScenario::nothing_leaked() {
    const PoolCounts counts = ring_->counts();
    if (counts.depth != 0 || counts.leased != 0 || counts.loaned != 0) return "a chunk stays lent";
    if (counts.dead_letters != case_.dead_letters) return "dead letters are miscounted";
    if (counts.free_chunks + counts.dead_letters != geometry_.chunk_count) return "a chunk is lost";
    if (!ring_->seems_empty()) return "the empty ring does not seem empty";
    std::vector<PoolLoan> loans;
    PoolLoan loan;
    while (ring_->claim(kJudge, 1, loan) == PoolStatus::ok) loans.push_back(loan);
    for (const PoolLoan& each : loans) (void)ring_->release(each);
    if (loans.size() != counts.free_chunks) return "the hint of a free chunk is lost";
    for (std::uint32_t k = 0; k < geometry_.slot_count; ++k) {
        if (!send_mine()) return "the ring holds less than its capacity";
    }
    if (send(*ring_, kJudge, 1)) return "the ring holds more than its capacity";
    return drain();
}

std::string PoolScenario::verify(const Case& now) {
    open();
    if (!knows_) what_must_come(now);
    if (now.victim_dead || !case_.recovers_itself) ring_->recover({.index = kDeadBefore});
    const Outcome& victim = outcome(Role::victim);
    const bool returned = victim.code == 1;
    if (!now.victim_dead) {
        if (!returned) return "the victim did not return";
        if (victim.values[2] != 0) ledger_.got(victim.values[2]);
        victim.values[1] != 0 ? ledger_.must(kVictimsNumber) : ledger_.must_not(kVictimsNumber);
    }
    if (victim.values[3] != 0) return "the victim got something wrong";
    std::string text = drain();
    if (text.empty()) text = laps();
    if (text.empty()) text = drain();
    if (text.empty()) text = nothing_leaked();
    return text.empty() ? ledger_.balance() : text;
}

// The operations. values[1]: it sent its message; [2]: the number that it received for good;
// [3]: something was wrong.
void victim_sends(PoolRing& ring) {
    outcome(Role::victim).values[1] = send(ring, kVictim, kVictimsNumber) ? 1 : 0;
}

void victim_abandons(PoolRing& ring) {
    PoolLoan loan;
    if (ring.claim(kVictim, kBytes, loan) != PoolStatus::ok) return;
    outcome(Role::victim).values[3] = ring.release(loan) ? 0 : 1;
}

void victim_receives(PoolRing& ring) {
    PoolLoan loan;
    if (ring.take(kVictim, loan) != PoolStatus::ok) return;
    const std::uint64_t number = read_payload(ring.room(loan));
    outcome(Role::victim).values[3] = number == 0 ? 1 : 0;
    outcome(Role::victim).values[2] = number;
    if (!ring.release(loan)) outcome(Role::victim).values[3] = 1;
}

void victim_nacks(PoolRing& ring) {
    PoolLoan loan;
    if (ring.take(kVictim, loan) != PoolStatus::ok) return;
    if (read_payload(ring.room(loan)) == 0 || !ring.nack(loan)) {
        outcome(Role::victim).values[3] = 1;
    }
}

void victim_recovers(PoolRing& ring) {
    ring.recover({.index = kDeadBefore});
}

void prepare_two(PoolRing& ring) {
    STOA_CHECK(send(ring, kJudge, kPreparedNumber) && send(ring, kJudge, kPreparedNumber + 1));
}

// One dead in the middle of a take, with a claimed chunk and, acknowledged, with a lease.
void prepare_a_dead_one(PoolRing& ring) {
    prepare_two(ring);
    die_at("pool.claim.loaned", [&] { (void)send(ring, kDeadBefore, 1); });
    die_taking(ring, "pool.take.delivered");
    die_taking(ring, "pool.take.taken");
}

PoolCase acknowledged(PoolCase details) {
    details.demand.acknowledged = true;
    return details;
}

}  // namespace

// allowed: function_length: a list
void add_pool_scenarios(Scenarios& list) {
    const auto add = [&](PoolCase details) {
        list.push_back(std::make_unique<PoolScenario>(std::move(details)));
    };
    add({.name = "pool.send", .operation = victim_sends});
    add({.name = "pool.send_full",
         .prepare = prepare_two,
         .operation = victim_sends,
         .prepared = 2});
    add({.name = "pool.send_helps",
         .prepare =
             [](PoolRing& ring) {
                 prepare_two(ring);
                 die_taking(ring, "pool.take.taken");
             },
         .operation = victim_sends,
         .prepared = 2,
         .loose = true});
    add({.name = "pool.send_bigger_class",
         .demand = {.capacity = 2, .max_bytes = 200, .reserve_bytes = 512, .loans = 4},
         .prepare =
             [](PoolRing& ring) {
                 PoolLoan loan;  // the small ones are all lent
                 while (ring.claim(kDeadBefore, 1, loan) == PoolStatus::ok &&
                        ring.room(loan).size() < 100) {
                 }
                 (void)ring.release(loan);
             },
         .operation = victim_sends});
    add({.name = "pool.abandon", .operation = victim_abandons});
    add({.name = "pool.receive",
         .prepare = prepare_two,
         .operation = victim_receives,
         .prepared = 2});
    add({.name = "pool.receive_empty",
         .prepare = [](PoolRing& ring) { ring.recover({.index = kDeadBefore}); },  // the flag is up
         .operation = victim_receives});
    add({.name = "pool.receive_again",
         .prepare =
             [](PoolRing& ring) {
                 prepare_two(ring);
                 die_taking(ring, "pool.take.taken");
                 ring.recover({.index = kDeadBefore});
             },
         .operation = victim_receives,
         .prepared = 2});
    add({.name = "pool.recover",
         .prepare = prepare_a_dead_one,
         .operation = victim_recovers,
         .prepared = 2,
         .loose = true,
         .recovers_itself = true});
    add({.name = "pool.receive_bury",
         .prepare =
             [](PoolRing& ring) {
                 STOA_CHECK(send(ring, kJudge, kPreparedNumber));
                 for (std::uint32_t k = 0; k <= kMaxTakes; ++k) {
                     die_taking(ring, k == 0 ? "pool.take.taken" : "pool.redeliver.taken");
                     ring.recover({.index = kDeadBefore});
                 }
             },
         .operation = victim_receives,
         .prepared = 1,
         .dead_letters = 1});
    add(acknowledged({.name = "pool_ack.receive",
                      .prepare = prepare_two,
                      .operation = victim_receives,
                      .prepared = 2}));
    add(acknowledged({.name = "pool_ack.nack",
                      .prepare = prepare_two,
                      .operation = victim_nacks,
                      .prepared = 2}));
    add(acknowledged({.name = "pool_ack.receive_again",
                      .prepare =
                          [](PoolRing& ring) {
                              prepare_two(ring);
                              die_taking(ring, "pool.take.delivered");
                              ring.recover({.index = kDeadBefore});
                          },
                      .operation = victim_receives,
                      .prepared = 2}));
    add(acknowledged({.name = "pool_ack.recover",
                      .prepare = prepare_a_dead_one,
                      .operation = victim_recovers,
                      .prepared = 2,
                      .recovers_itself = true}));
}

}  // namespace stoa::crash
