// Buffers in a region: every operation of a producer, a consumer, a sweeper, who makes and who
// ends.
//
// As for the pool ring (pool_scenarios.cpp), the judge reads the words before anybody recovers, so
// it knows what must come. Who opens the region here does so without the sweep that Region::open
// makes: that is what is to be killed.
#include <sys/mman.h>
#include <sys/stat.h>

#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "stoa/base/check.hpp"
#include "stoa/mailbox/buffer.hpp"
#include "stoa/shm/buffer_ring.hpp"
#include "stoa/shm/region.hpp"
#include "stoa/shm/region_core.hpp"
#include "stoa/sync/bell.hpp"
#include "tests/crash/scenarios/ledger.hpp"
#include "tests/crash/scenarios/look.hpp"
#include "tests/crash/scenarios/mailbox_kit.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"

namespace stoa::crash {
namespace {

using namespace std::chrono_literals;

using Item = std::array<std::uint64_t, 5>;
using Items = Buffer<Item>;

constexpr std::uint32_t kCapacity = 2;
constexpr std::uint32_t kFirstRing = 64;  // of one that grows
constexpr std::uint64_t kQuotaBytes = 32 << 10;
constexpr std::uint64_t kVictimsNumber = 77;
constexpr std::uint64_t kWakersNumber = 78;
constexpr std::uint64_t kPreparedNumber = 100;  // 100, 101, ...
constexpr std::uint64_t kJudgesNumber = 1000;

Item item(std::uint64_t number) {
    Item made{};
    write_payload(std::as_writable_bytes(std::span{made}), number);
    return made;
}
bool send(Items& items, std::uint64_t number) {
    return items.try_send(item(number)).has_value();
}

// A handle of the region, and the buffer in it.
class Opened {
public:
    explicit Opened(const sys::Fd& file) {
        const std::string address = "memfd:" + std::to_string(file.get());
        detail::RegionPlace place = detail::RegionPlace::of(address, {}, false).value();
        RegionImage image = place.open(RegionKind::objects, sys::Access::read_write).value();
        core_ = std::make_unique<detail::RegionCore>(std::move(image), std::move(place),
                                                     sys::Access::read_write);
        core_->enter().value();
        look();
    }
    // Null: it is not there.
    Items* look() {
        const Result<Named> seen = core_->directory->find("items");
        items_ = seen ? reinterpret_cast<Items*>(core_->at(seen->block)) : nullptr;
        return items_;
    }
    [[nodiscard]] Items& items() const { return *items_; }
    [[nodiscard]] detail::RegionCore& core() const { return *core_; }
    [[nodiscard]] PoolRing ring() const {
        return attach_buffer_ring(*core_->heap, items_->ring_layout(), 0).value();
    }

private:
    std::unique_ptr<detail::RegionCore> core_;
    Items* items_ = nullptr;
};

class BufferScenario;

struct BufferCase {
    const char* name;
    std::function<void(BufferScenario&)> prepare{};
    std::function<void(BufferScenario&)> operation{};
    std::uint64_t prepared = 0;  // messages sent by prepare
    std::function<void(Items&)> wakes{};
    std::uint64_t gone = 0;      // of these, received by prepare
    std::uint64_t gone_too = 0;  // this one as well
    bool loose = false;          // a helper may deliver them to one who is dead
    bool is_there = true;        // the buffer
    bool may_change = false;     // it is made, or ended
    bool grows = false;          // it has no bound
};

class BufferScenario final : public Scenario {
public:
    explicit BufferScenario(BufferCase details) : case_{std::move(details)} {}
    ~BufferScenario() override {
        if (!mapped_.empty()) ::munmap(mapped_.data(), mapped_.size());
    }

    std::string name() const override { return case_.name; }
    std::vector<std::span<std::byte>> shared() override { return {mapped_}; }
    bool sleeps() const override { return case_.wakes != nullptr; }
    void prepare() override;
    void victim_begin() override {
        opened_.emplace(file_);
        if (!case_.may_change) return;
        region_.emplace(Region::open("memfd:" + std::to_string(file_.get())).value());
        opened_.reset();
    }
    void victim() override {
        case_.operation(*this);
        outcome(Role::victim).code = 1;
    }
    void recover_begin(const Case& now) override {
        g_wait_slice = 1ms;
        opened_.emplace(file_);
        if (now.me == Role::judge) what_must_come(now);
    }
    void recover(const Case& /*now*/) override { opened_->core().sweep(); }
    std::string interfere(const Case& now) override {
        recover_begin(now);
        recover(now);
        if (opened_->look() == nullptr) return {};
        std::string text = laps();
        // Who stands before the end of it is about to take the rest away.
        return text.empty() && case_.may_change ? drain() : text;
    }
    std::string interfere_recovery(const Case& now) override { return interfere(now); }
    std::string verify(const Case& now) override;
    void wake() override {
        opened_.emplace(file_);
        case_.wakes(items());
    }

    [[nodiscard]] Items& items() const { return opened_->items(); }
    [[nodiscard]] Region& region() { return *region_; }
    [[nodiscard]] std::uint32_t sweep() { return opened_->core().sweep(); }
    void send_prepared(std::uint64_t count) {
        for (std::uint64_t k = 0; k < count; ++k) STOA_CHECK(send(*kept_, kPreparedNumber + k));
    }
    // A process opens the region, and dies there.
    void leave_a_dead_one(const char* point, const std::function<void(Items&)>& body) {
        const kit::Ending ending = kit::fork_and_run([&] {
            Opened mine{file_};
            kit::kill_self_at(point);
            body(mine.items());
        });
        STOA_CHECK(ending.signal == SIGKILL);
    }
    void leave_a_dead_taker() {
        leave_a_dead_one("pool.take.taken", [](Items& items) { (void)items.try_receive(); });
    }
    void receive_prepared(std::uint64_t count) {
        for (; count > 0; --count) STOA_CHECK(kept_->try_receive().has_value());
    }
    void sweep_now() { keeper_->sweep(); }

private:
    void what_must_come(const Case& now);
    [[nodiscard]] std::string drain();
    [[nodiscard]] std::string laps();
    [[nodiscard]] std::string nothing_leaked(const Case& now);
    [[nodiscard]] std::string nothing_lent();
    bool send_mine() {
        ledger_.must(next_);
        return send(items(), next_++);
    }

    BufferCase case_;
    std::optional<Region> keeper_;  // the engine's, alive
    Items* kept_ = nullptr;
    sys::Fd file_;
    std::span<std::byte> mapped_;
    std::uint64_t in_use_without_ = 0;
    std::uint64_t in_use_with_ = 0;
    std::optional<Opened> opened_;
    std::optional<Region> region_;
    Ledger ledger_;
    bool knows_ = false;
    std::uint64_t next_ = kJudgesNumber;
};

void BufferScenario::prepare() {
    keeper_.emplace(
        Region::create("memfd:", 1 << 16, {.max_bytes = 1 << 16, .max_objects = 32}).value());
    file_ = another(sys::Fd{::dup(keeper_->descriptor())});
    struct ::stat facts{};
    STOA_CHECK(::fstat(file_.get(), &facts) == 0);
    const auto bytes = static_cast<std::size_t>(facts.st_size);
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    STOA_CHECK(at != MAP_FAILED);
    mapped_ = {static_cast<std::byte*>(at), bytes};
    in_use_without_ = keeper_->heap().bytes_in_use();
    const Capacity capacity = case_.grows ? unbounded(kQuotaBytes) : bounded(kCapacity);
    kept_ = keeper_->construct<Items>("items", capacity).value();
    in_use_with_ = keeper_->heap().bytes_in_use();
    if (!case_.is_there) {
        keeper_->destroy_object<Items>("items").value();
        in_use_without_ = keeper_->heap().bytes_in_use();
    }
    if (case_.prepare) case_.prepare(*this);
}

void BufferScenario::what_must_come(const Case& now) {
    if (knows_ || case_.may_change) return;
    knows_ = true;
    std::set<std::uint64_t> waits;
    for (std::uint32_t i = 0; now.victim_dead && i < kBufferRings; ++i) {
        // As the engine has it mapped, and all who are forked from it.
        const std::span<std::byte> ring = buffer_ring(keeper_->heap(), kept_->ring_layout(), i);
        if (!ring.empty())
            waits.merge(waiting_in_pool(ring, PoolGeometry::read(ring).value()).numbers);
    }
    const auto expect = [&](std::uint64_t number, bool alive_must) {
        if (!(now.victim_dead ? waits.contains(number) : alive_must)) {
            ledger_.must_not(number);
        } else if (!now.victim_dead && case_.loose) {
            ledger_.may(number);
        } else {
            ledger_.must(number);
        }
    };
    for (std::uint64_t k = case_.gone; k < case_.prepared; ++k) {
        if (k != case_.gone_too || k == 0) expect(kPreparedNumber + k, true);
    }
    // Of those who live, verify() asks whether they sent.
    if (now.victim_dead) {
        expect(kVictimsNumber, false);
        expect(kWakersNumber, false);
    }
}

std::string BufferScenario::drain() {
    for (;;) {
        const Result<Item> got = items().try_receive();
        if (!got) return got.error().code == Errc::empty ? "" : describe(got.error());
        const std::uint64_t number = read_payload(std::as_bytes(std::span{*got}));
        if (number == 0) return "a torn message";
        ledger_.got(number);
    }
}

// Goes round the ring three times, then leaves one message in it.
std::string BufferScenario::laps() {
    for (std::uint32_t k = 0; k < 3 * kCapacity + 1; ++k) {
        std::string text = drain();
        if (!text.empty()) return text;
        if (!send_mine()) return "a survivor cannot send";
    }
    return {};
}

std::string BufferScenario::nothing_leaked(const Case& now) {
    if (case_.grows) return nothing_lent();
    const std::uint64_t in_use = opened_->core().heap->bytes_in_use();
    const bool is_there = opened_->look() != nullptr;
    // A sweeper stands still: the ring that it may be in is kept, for ever.
    const bool may_leak = now.mode == Mode::kill_stall && case_.may_change;
    if (in_use != (is_there ? in_use_with_ : in_use_without_) && !may_leak) return "memory leaked";
    if (!is_there) return case_.may_change ? "" : "it is gone";
    PoolRing ring = opened_->ring();
    std::string text = is_whole(ring, holder_index(opened_->core().here().me), false);
    for (std::uint32_t k = 0; text.empty() && k < kCapacity; ++k) {
        if (!send_mine()) text = "it holds less than its capacity";
    }
    if (text.empty() && send(items(), 1)) text = "it holds more than its capacity";
    return text.empty() ? drain() : text;
}

std::string BufferScenario::nothing_lent() {
    for (std::uint32_t i = 0; i < kBufferRings; ++i) {
        Result<PoolRing> ring = attach_buffer_ring(*opened_->core().heap, items().ring_layout(), i);
        if (!ring) break;
        std::string text = is_whole(*ring, holder_index(opened_->core().here().me), true);
        if (!text.empty()) return text;
    }
    return {};
}

std::string BufferScenario::verify(const Case& now) {
    recover_begin(now);
    what_must_come(now);
    recover(now);
    const Outcome& victim = outcome(Role::victim);
    if (!now.victim_dead) {
        if (victim.code != 1) return "the victim did not return";
        if (victim.values[2] != 0) ledger_.got(victim.values[2]);
        victim.values[1] != 0 ? ledger_.must(kVictimsNumber) : ledger_.must_not(kVictimsNumber);
        if (outcome(Role::waker).values[1] != 0) ledger_.must(kWakersNumber);
    }
    if (outcome(Role::waker).values[2] != 0 && !now.victim_dead) {
        ledger_.got(outcome(Role::waker).values[2]);
    }
    if (victim.values[3] != 0) return "the victim got something wrong";
    std::string text;
    if (opened_->look() != nullptr) {
        text = drain();
        if (text.empty()) text = laps();
        if (text.empty()) text = drain();
    }
    if (text.empty()) text = nothing_leaked(now);
    return text.empty() ? ledger_.balance() : text;
}

// The operations. values[1]: it sent its message; [2]: the number that it received for good;
// [3]: something was wrong.
void victim_sends(BufferScenario& stage) {
    outcome(Role::victim).values[1] = send(stage.items(), kVictimsNumber) ? 1 : 0;
}
void victim_sends_asleep(BufferScenario& stage) {
    outcome(Role::victim).values[1] = stage.items().send(item(kVictimsNumber)) ? 1 : 0;
}
void note_received(Role who, const Result<Item>& got) {
    if (!got) return;
    const std::uint64_t number = read_payload(std::as_bytes(std::span{*got}));
    outcome(who).values[3] = number == 0 ? 1 : 0;
    outcome(who).values[2] = number;
}
void victim_receives(BufferScenario& stage) {
    note_received(Role::victim, stage.items().try_receive());
}
void victim_receives_asleep(BufferScenario& stage) {
    note_received(Role::victim, stage.items().receive());
}
void victim_sweeps(BufferScenario& stage) {
    (void)stage.sweep();
}
void victim_constructs(BufferScenario& stage) {
    const auto made = stage.region().find_or_construct<Items>("items", bounded(kCapacity));
    outcome(Role::victim).values[3] = made ? 0 : 1;
}
void victim_destroys(BufferScenario& stage) {
    outcome(Role::victim).values[3] = stage.region().destroy_object<Items>("items") ? 0 : 1;
}
void waker_sends(Items& items) {
    Outcome& mine = outcome(Role::waker);
    if (mine.values[1] == 0) mine.values[1] = send(items, kWakersNumber) ? 1 : 0;
}
void waker_receives(Items& items) {
    if (outcome(Role::waker).values[2] == 0) note_received(Role::waker, items.try_receive());
}

}  // namespace

// allowed: function_length: a list
void add_buffer_scenarios(Scenarios& list) {
    const auto add = [&](BufferCase details) {
        list.push_back(std::make_unique<BufferScenario>(std::move(details)));
    };
    const auto two = [](BufferScenario& stage) { stage.send_prepared(2); };
    const auto taken = [](BufferScenario& stage) {
        stage.send_prepared(2);
        stage.leave_a_dead_taker();
    };
    add({.name = "buffer.send", .operation = victim_sends});
    add({.name = "buffer.send_full", .prepare = two, .operation = victim_sends, .prepared = 2});
    add({.name = "buffer.send_helps",
         .prepare = taken,
         .operation = victim_sends,
         .prepared = 2,
         .loose = true});
    add({.name = "buffer.send_asleep",
         .prepare = two,
         .operation = victim_sends_asleep,
         .prepared = 2,
         .wakes = waker_receives});
    add({.name = "buffer.receive", .prepare = two, .operation = victim_receives, .prepared = 2});
    add({.name = "buffer.receive_again",
         .prepare =
             [=](BufferScenario& stage) {
                 taken(stage);
                 stage.sweep_now();
             },
         .operation = victim_receives,
         .prepared = 2});
    add({.name = "buffer.receive_asleep",
         .operation = victim_receives_asleep,
         .wakes = waker_sends});
    add({.name = "buffer.sweep",
         .prepare =
             [=](BufferScenario& stage) {
                 taken(stage);
                 stage.leave_a_dead_one("pool.claim.loaned",
                                        [](Items& items) { (void)send(items, 1); });
             },
         .operation = victim_sweeps,
         .prepared = 2,
         .loose = true});
    add({.name = "buffer.grow",
         .prepare = [](BufferScenario& stage) { stage.send_prepared(kFirstRing); },
         .operation = victim_sends,
         .prepared = kFirstRing,
         .grows = true});
    add({.name = "buffer.receive_behind",
         .prepare =
             [](BufferScenario& stage) {
                 stage.send_prepared(kFirstRing + 2);
                 stage.receive_prepared(kFirstRing);
             },
         .operation = victim_receives,
         .prepared = kFirstRing + 2,
         .gone = kFirstRing,
         .grows = true});
    add({.name = "buffer.receive_before",  // what a dead one was taking in a ring that is sealed
         .prepare =
             [](BufferScenario& stage) {
                 stage.send_prepared(kFirstRing + 2);
                 stage.receive_prepared(kFirstRing - 1);
                 stage.leave_a_dead_taker();
                 stage.receive_prepared(1);
                 stage.sweep_now();
             },
         .operation = victim_receives,
         .prepared = kFirstRing + 2,
         .gone = kFirstRing - 1,
         .gone_too = kFirstRing,
         .grows = true});
    add({.name = "buffer.construct",
         .operation = victim_constructs,
         .is_there = false,
         .may_change = true});
    add({.name = "buffer.destroy", .operation = victim_destroys, .may_change = true});
}

}  // namespace stoa::crash
