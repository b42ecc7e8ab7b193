// Named objects of a region: construct, find, destroy, discard, and the recovery of who died in it.
//
// Whatever happens to the victim: a name leads to a whole object or to none, survivors get it
// without cleaning up by hand, other names are never held up, and the heap holds what the living
// objects hold. What a destructor had not freed yet when it died is all that may be lost, and is
// counted as leaked; so is what a discarded object owned.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <optional>

#include "stoa/base/check.hpp"
#include "stoa/shm/heap.hpp"
#include "stoa/shm/objects_layout.hpp"
#include "stoa/shm/offset_ptr.hpp"
#include "stoa/shm/region.hpp"
#include "stoa/sync/bell.hpp"
#include "tests/crash/scenario.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa::crash {
namespace {

using namespace std::chrono_literals;

// Owns two blocks: of a slab that others use, and large.
struct Store {
    static constexpr std::uint64_t kWhole = 0x5709e;
    static constexpr std::uint64_t kOwned = 2;
    static constexpr std::size_t kWords = 5;
    static inline Heap* heap = nullptr;        // of this process
    static inline const char* dies = nullptr;  // in its constructor or destructor: "made", "freed"

    explicit Store(std::uint64_t what) : number{what} {
        small = fill(40);
        die_at("made");
        large = fill(5000);
        whole = kWhole;
    }
    ~Store() {
        whole = 0;
        heap->free(small.get());
        die_at("freed");
        heap->free(large.get());
    }
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    [[nodiscard]] OffsetPtr<std::uint64_t> fill(std::size_t bytes) const {
        auto* const block = static_cast<std::uint64_t*>(heap->allocate(bytes).value());
        for (std::size_t i = 0; i < kWords; ++i) block[i] = number;
        return OffsetPtr<std::uint64_t>{block};
    }
    [[nodiscard]] bool is_whole() const {
        if (whole != kWhole || !small || !large) return false;
        for (std::size_t i = 0; i < kWords; ++i) {
            if (small.get()[i] != number || large.get()[i] != number) return false;
        }
        return true;
    }
    static void die_at(const char* where) {
        if (dies == where) ::kill(::getpid(), SIGKILL);
    }

    std::uint64_t number;
    OffsetPtr<std::uint64_t> small;
    OffsetPtr<std::uint64_t> large;
    std::uint64_t whole = 0;
};

constexpr const char* kMade = "made";
constexpr const char* kFreed = "freed";

}  // namespace
}  // namespace stoa::crash

template <>
struct stoa::Layout<stoa::crash::Store> {
    static constexpr std::string_view name = "test.store";
};

namespace stoa::crash {
namespace {

constexpr const char* kRegion = "box";
constexpr const char* kKept = "kept";  // is there all the time
constexpr const char* kName = "x";     // what it is about
constexpr std::uint64_t kVictims = 7;
constexpr std::uint64_t kSurvivors = 8;

// outcome().values[1]: kOk, or kFailed + the error.
constexpr std::uint64_t kOk = 1;
constexpr std::uint64_t kFailed = 100;

std::uint64_t result_of(const auto& done) {
    return done ? kOk : kFailed + static_cast<std::uint64_t>(done.error().code);
}
std::uint64_t failed(Errc code) {
    return kFailed + static_cast<std::uint64_t>(code);
}

class ObjectScenario;
struct ObjectCase {
    const char* name;
    std::function<std::uint64_t(Region&)> operation;  // a result
    std::function<void(ObjectScenario&)> prepare{};
    void (*first)(Region&) = nullptr;  // one does that, and dies, when the victim has it open
    bool makes = false;                // when it is done the object is there
    bool ends = false;                 // when it is done the object is not there
    bool opens = false;                // the operation opens the region itself
    std::uint64_t may_lose = 0;        // blocks
    std::uint64_t other_result = 0;    // also a good one, beside another process
};

class ObjectScenario final : public Scenario {
public:
    explicit ObjectScenario(ObjectCase details) : case_{std::move(details)} {}

    std::string name() const override { return case_.name; }
    std::vector<std::span<std::byte>> shared() override {
        return {memory_.first(2 * kPage), content()};
    }
    void prepare() override;
    void victim_begin() override {
        if (!case_.opens) open();
        if (case_.first == nullptr) return;
        std::optional<Region> mine = std::move(region_);
        leave_a_dead_one(case_.first);
        region_ = std::move(mine);
        Store::heap = &region_->heap();
    }
    void victim() override {
        if (case_.opens) open();
        const std::uint64_t result = case_.operation(*region_);
        outcome(crash::Role::victim).values[1] = result;
        outcome(crash::Role::victim).code = 1;
    }
    void recover_begin(const Case& /*now*/) override { (void)sys::self(); }
    void recover(const Case& /*now*/) override { bring_back(); }
    std::string interfere(const Case& /*now*/) override { return use(); }
    std::string interfere_recovery(const Case& /*now*/) override { return use(); }
    std::string verify(const Case& now) override;

    void make(const char* name) {
        open();
        region_->construct<Store>(name, kVictims).value();
        region_.reset();
    }
    void leave_a_dead_one(const std::function<void(Region&)>& after) {
        const kit::Ending ending = kit::fork_and_run([&] {
            open();
            after(*region_);
        });
        STOA_CHECK(ending.signal == SIGKILL);
    }

private:
    // Behind a table of participants, of which two pages at most are used here.
    [[nodiscard]] std::span<std::byte> content() const {
        const auto* head = reinterpret_cast<const RegionLayout*>(memory_.data());
        return memory_.subspan(head->content_offset, head->content_bytes);
    }
    void open() {
        (void)sys::self();
        region_.emplace(Region::open(kRegion, {.domain = folder_->path()}).value());
        Store::heap = &region_->heap();
    }
    void bring_back();
    std::string use();
    [[nodiscard]] bool somebody_is_at_it() const;
    std::string judge_object(const Case& now);

    ObjectCase case_;
    std::optional<kit::TempDomain> folder_;
    std::span<std::byte> memory_;
    std::optional<Region> region_;
    bool constructed_ = false;  // by the judge
    std::string seen_;
};

void ObjectScenario::prepare() {
    g_wait_slice = 1ms;
    folder_.emplace();
    region_.emplace(
        Region::create(kRegion, 64U << 10U,
                       {.domain = folder_->path(), .max_bytes = 128U << 10U, .max_objects = 32})
            .value());
    struct ::stat facts{};
    STOA_CHECK(::fstat(region_->descriptor(), &facts) == 0);
    const auto bytes = static_cast<std::size_t>(facts.st_size);
    void* const at =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, region_->descriptor(), 0);
    STOA_CHECK(at != MAP_FAILED);
    memory_ = {static_cast<std::byte*>(at), bytes};
    region_.reset();
    make(kKept);
    if (case_.prepare) case_.prepare(*this);
}

// A word of the directory says that somebody constructs or destroys.
bool ObjectScenario::somebody_is_at_it() const {
    const auto* objects = reinterpret_cast<const ObjectsLayout*>(content().data());
    const auto* words = reinterpret_cast<const Atomic<std::uint64_t>*>(
        content().data() + objects_parts(objects->max_objects).words);
    for (std::uint32_t i = 0; i < objects->usable.load(); ++i) {
        const ObjectState state = ObjectWord::state(words[i].load());
        if (state >= ObjectState::constructing && state != ObjectState::live) return true;
    }
    return false;
}

// The next one that wants the name gets it.
void ObjectScenario::bring_back() {
    open();
    const Result<Store*> made =
        region_->construct_until<Store>(Deadline::after(5ms), kName, kSurvivors);
    if (made) constructed_ = true;
    const bool is_busy = !made && (made.error().code == Errc::timed_out);
    if (is_busy && !somebody_is_at_it()) {
        seen_ = "nobody constructs or destroys it, and nobody gets the name";
    }
    if (!made && !is_busy && made.error().code != Errc::exists) seen_ = describe(made.error());
}

std::string ObjectScenario::use() {
    bring_back();
    if (!seen_.empty()) return seen_;
    const Result<Store*> other = region_->construct<Store>("other", kSurvivors);
    if (!other) return "another name is held up: " + describe(other.error());
    const Result<Store*> kept = region_->find<Store>(kKept);
    if (!kept || !(*kept)->is_whole()) return "another object is not whole";
    const Result<Store*> found = region_->find<Store>(kName);
    if (found && !(*found)->is_whole()) return "an object is found that is not whole";
    if (!found && constructed_) {
        return case_.ends ? "" : "an object that was constructed is not found";
    }
    return (*other)->is_whole() && region_->destroy_object<Store>("other") ? "" : "it is torn";
}

std::string ObjectScenario::judge_object(const Case& now) {
    const Outcome& victim = outcome(crash::Role::victim);
    const std::uint64_t result = victim.values[1];
    if (!now.victim_dead) {
        if (victim.code != 1) return "the victim did not return";
        const bool is_good = result == kOk || (case_.other_result != 0 &&
                                               result == case_.other_result && constructed_);
        if (!is_good) return "the victim failed with " + std::to_string(result - kFailed);
    }
    const Result<Store*> found = region_->find<Store>(kName);
    if (!found) {
        if (found.error().code != Errc::not_found) return describe(found.error());
        const bool must = (case_.makes && victim.code == 1) || (constructed_ && !case_.ends);
        return must ? "an object is lost" : "";
    }
    if (!(*found)->is_whole()) return "an object is not whole";
    const bool by_others = constructed_ || now.recoverer_pid > 0;
    if ((*found)->number != kVictims && !by_others) return "it is of somebody else";
    if (case_.makes && result == kOk && (*found)->number == kSurvivors && constructed_ &&
        now.mode == Mode::stall && case_.other_result != 0) {
        return "two have constructed it";
    }
    return {};
}

std::string ObjectScenario::verify(const Case& now) {
    if (!seen_.empty()) return seen_;
    if (!region_) open();
    region_->sweep();
    if (std::string text = judge_object(now); !text.empty()) return text;
    // Whoever is dead holds nothing up.
    const Result<Store*> mine = region_->find_or_construct<Store>(kName, kSurvivors);
    if (!mine || !(*mine)->is_whole()) return "the name cannot be had";
    const Result<Store*> kept = region_->find<Store>(kKept);
    if (!kept || !(*kept)->is_whole()) return "another object is not whole";
    for (const ObjectInfo& info : region_->objects()) {
        if (info.name != kKept && info.name != kName) return info.name + " was left";
    }
    const std::uint64_t lost = region_->use().leaked_blocks;
    if (lost > case_.may_lose) return std::to_string(lost) + " blocks are leaked";
    if (lost > 0 && !now.victim_dead && !now.recoverer_dead && case_.prepare == nullptr &&
        case_.first == nullptr) {
        return "blocks are leaked though nobody died";
    }
    const std::uint64_t lost_bytes = region_->use().leaked_bytes;
    for (const char* name : {kKept, kName}) {
        if (!region_->destroy_object<Store>(name)) return "it cannot be destroyed";
    }
    if (region_->use().in_use != lost_bytes) {
        return std::to_string(region_->use().in_use - lost_bytes) + " bytes stay in use";
    }
    if (region_->heap().sections_open() != 0) return "a section is left";
    if (region_->attached().size() != 1) return "a place is lost";
    return folder_->entries().size() == 1 ? "" : "something was left in the folder";
}

std::uint64_t find_or_construct(Region& region) {
    const Result<Store*> made = region.find_or_construct<Store>(kName, kVictims);
    return made && (*made)->is_whole() ? kOk : result_of(made);
}

void dies_constructing(Region& region) {
    Store::dies = kMade;
    (void)region.construct<Store>(kName, kVictims);
}

void dies_destroying(Region& region) {
    region.construct<Store>(kName, kVictims).value();
    Store::dies = kFreed;
    (void)region.destroy_object<Store>(kName);
}

void dies_at(const char* point, Region& region) {
    kit::kill_self_at(point);
    (void)region.construct<Store>(kName, kVictims);
}

}  // namespace

void add_region_object_scenarios(Scenarios& list) {
    const auto construct = [](Region& region) {
        return result_of(region.construct<Store>(kName, kVictims));
    };
    const auto destroy = [](Region& region) {
        return result_of(region.destroy_object<Store>(kName));
    };
    const auto discard = [](Region& region) { return result_of(region.discard_object(kName)); };
    const auto sweep = [](Region& region) {
        region.sweep();
        return kOk;
    };
    const auto after = [](void (*deed)(Region&)) {
        return [deed](ObjectScenario& stage) { stage.leave_a_dead_one(deed); };
    };
    const auto made = [](ObjectScenario& stage) { stage.make(kName); };
    const ObjectCase cases[] = {
        {.name = "region.construct",
         .operation = construct,
         .makes = true,
         .other_result = failed(Errc::exists)},
        {.name = "region.find_or_construct", .operation = find_or_construct, .makes = true},
        {.name = "region.construct_after_tentative",
         .operation = find_or_construct,
         .first = [](Region& region) { dies_at("directory.tentative", region); },
         .makes = true},
        {.name = "region.construct_after_constructor",
         .operation = find_or_construct,
         .first = dies_constructing,
         .makes = true},
        {.name = "region.construct_after_complete",
         .operation = find_or_construct,
         .first = [](Region& region) { dies_at("directory.complete", region); },
         .makes = true},
        {.name = "region.construct_after_destructor",
         .operation = find_or_construct,
         .first = dies_destroying,
         .makes = true,
         .may_lose = 1},
        {.name = "region.find", .operation = find_or_construct, .prepare = made, .makes = true},
        {.name = "region.destroy_object",
         .operation = destroy,
         .prepare = made,
         .ends = true,
         .may_lose = Store::kOwned},
        {.name = "region.discard_object",
         .operation = discard,
         .prepare = made,
         .ends = true,
         .may_lose = Store::kOwned},
        {.name = "region.open_after_constructor",
         .operation = [](Region&) { return kOk; },
         .prepare = after(dies_constructing),
         .opens = true},
        {.name = "region.open_after_destructor",
         .operation = [](Region&) { return kOk; },
         .prepare = after(dies_destroying),
         .opens = true,
         .may_lose = 1},
        {.name = "region.sweep", .operation = sweep, .first = dies_constructing},
    };
    for (const ObjectCase& one : cases) list.push_back(std::make_unique<ObjectScenario>(one));
}

}  // namespace stoa::crash
