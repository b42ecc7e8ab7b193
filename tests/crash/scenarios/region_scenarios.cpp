// Regions of every back end: create, open, open_or_create, grow, detach, destroy.
//
// Whatever happens to the victim: a name leads to a whole region or to none, the next one gets a
// region under it without cleaning up by hand, and in the end neither the folder nor /dev/shm nor
// the table of SysV segments holds anything. A sysv: segment has its key before it is whole: beside
// a creator that is stopped in between the others are told so (in_use). What cannot be shown here:
// if that creator is dead and its pid is another process's by now, they are told so too, until that
// one ends (the error names the remedy, ipcrm).
#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <string>

#include "stoa/base/check.hpp"
#include "stoa/shm/heap.hpp"
#include "stoa/shm/region.hpp"
#include "stoa/shm/region_image.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/process.hpp"
#include "tests/crash/scenario.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/temp.hpp"

namespace stoa::crash {
namespace {

using namespace std::chrono_literals;

constexpr const char* kKept = "kept";
constexpr std::uint64_t kNumber = 42;
constexpr std::uint64_t kBytes = 64U << 10U;

// outcome().values[1]: kOk, or kFailed + the error.
constexpr std::uint64_t kOk = 1;
constexpr std::uint64_t kFailed = 100;

std::uint64_t result_of(const auto& done) {
    return done ? kOk : kFailed + static_cast<std::uint64_t>(done.error().code);
}
std::uint64_t failed(Errc code) {
    return kFailed + static_cast<std::uint64_t>(code);
}

// Where the regions of a back end are, and whether anything is left there.
struct Ground {
    std::string address;
    std::optional<kit::TempDomain> folder{};
    std::string posix_file{};
    ::key_t key = 0;

    explicit Ground(std::string_view scheme) {
        folder.emplace();
        const std::string mine = std::to_string(::getpid());
        if (scheme == "shm") address = "box";
        if (scheme == "file") address = "file:" + folder->path() + "/box";
        if (scheme == "memfd") address = "memfd:";
        if (scheme == "posix") {
            address = "posix:/stoa-crash-" + mine;
            posix_file = "/dev/shm/stoa-crash-" + mine;
        }
        if (scheme == "sysv") {
            key = 0x57000000 | (::getpid() & 0xffffff);
            address = "sysv:" + hex(key);
        }
    }
    ~Ground() { clear(); }

    static std::string hex(::key_t key) {
        char text[16];
        std::snprintf(text, sizeof text, "0x%x", static_cast<unsigned>(key));
        return text;
    }
    void clear() const {
        folder->clear();
        if (!posix_file.empty()) ::unlink(posix_file.c_str());
        if (key == 0) return;
        const int id = ::shmget(key, 0, 0);
        if (id >= 0) ::shmctl(id, IPC_RMID, nullptr);
    }
    [[nodiscard]] bool is_clean() const {
        if (!folder->entries().empty()) return false;
        if (!posix_file.empty() && ::access(posix_file.c_str(), F_OK) == 0) return false;
        return key == 0 || ::shmget(key, 0, 0) < 0;
    }
};

struct LifeCase {
    std::string name;
    std::string scheme{};
    std::function<std::uint64_t(std::optional<Region>&, const std::string&)> operation{};
    bool is_there = false;  // before the operation, with an object in it
    bool opened = false;    // by the victim, before the operation
    bool makes = false;     // two cannot have done it
    bool ends = false;
};

class LifeScenario final : public Scenario {
public:
    explicit LifeScenario(LifeCase details) : case_{std::move(details)} {}

    std::string name() const override { return case_.name; }
    bool external() const override { return true; }
    void prepare() override {
        g_wait_slice = 1ms;
        g_segment_patience = 1ms;
        ground_.emplace(case_.scheme);
    }
    void reset() override {
        keeper_.reset();
        ground_->clear();
        if (!case_.is_there) return;
        keeper_.emplace(create().value());
        (void)keeper_->construct<std::uint64_t>(kKept, kNumber).value();
        if (case_.scheme != "memfd") keeper_.reset();
    }
    void victim_begin() override {
        (void)sys::self();
        if (case_.opened) region_.emplace(open().value());
    }
    void victim() override {
        const std::uint64_t result = case_.operation(region_, ground_->address);
        outcome(crash::Role::victim).values[1] = result;
        outcome(crash::Role::victim).code = 1;
    }
    void recover_begin(const Case& /*now*/) override { (void)sys::self(); }
    void recover(const Case& now) override { seen_ = use(now); }
    std::string interfere(const Case& now) override { return use(now); }
    std::string interfere_recovery(const Case& now) override { return use(now); }
    std::string verify(const Case& now) override;

private:
    [[nodiscard]] bool is_memfd() const { return case_.scheme == "memfd"; }
    [[nodiscard]] Result<Region> create() const {
        return Region::create(ground_->address, kBytes, {.max_objects = 32});
    }
    [[nodiscard]] Result<Region> open() const {
        if (!is_memfd()) return Region::open(ground_->address);
        return Region::open("memfd:" + std::to_string(keeper_->descriptor()));
    }
    std::string use(const Case& now);
    [[nodiscard]] static std::string works(Region& region, const Case& now);
    [[nodiscard]] std::string holds_what_was_there(Region& region) const;

    LifeCase case_;
    std::optional<Ground> ground_;
    std::optional<Region> keeper_;  // memfd: the engine's
    std::optional<Region> region_;  // the victim's
    std::optional<Region> used_;    // a survivor's
    bool created_ = false;          // by the judge
    std::string seen_;
};

std::string LifeScenario::works(Region& region, const Case& now) {
    const std::string mine = "of " + std::to_string(::getpid());
    const Result<std::uint64_t*> made = region.construct<std::uint64_t>(mine, kNumber);
    if (!made || **made != kNumber) return "no object can be constructed";
    if (region.segment() < 0) {
        if (const Result<void> grown = region.grow(100U << 10U); !grown) {
            return "it does not grow: " + describe(grown.error());
        }
    }
    const Result<void*> block = region.heap().allocate(9000);
    if (!block) return "no memory in it";
    region.heap().free(*block);
    if (!region.destroy_object<std::uint64_t>(mine)) return "an object cannot be destroyed";
    // A recoverer may have stopped or died with the block that is in no object.
    const std::uint64_t lost = region.use().leaked_blocks;
    return lost <= (now.recoverer_pid > 0 ? 2U : 0U) ? "" : "blocks are leaked";
}

std::string LifeScenario::holds_what_was_there(Region& region) const {
    if (!case_.is_there || case_.ends) return {};
    const Result<std::uint64_t*> kept = region.find<std::uint64_t>(kKept);
    return kept && **kept == kNumber ? "" : "what was there is lost";
}

// What survivors find, beside one that stands still or after one that died.
std::string LifeScenario::use(const Case& now) {
    (void)sys::self();
    if (is_memfd() && !case_.is_there) return {};
    Result<Region> region = open();
    const bool absent = !region && region.error().code == Errc::not_found;
    if (absent && case_.is_there && !case_.ends) return "the name is lost";
    // Only a creator that lives keeps a key busy.
    const bool is_half = !region && region.error().code == Errc::in_use && case_.scheme == "sysv";
    // A destroyer that is stopped holds the lock of the condemned file.
    const bool stands_still = now.mode == Mode::stall || now.mode == Mode::kill_stall;
    if (is_half && stands_still) return {};
    const auto is_busy = [&] {
        return !region && region.error().code == Errc::exists && case_.ends && stands_still;
    };
    if (is_busy()) return {};
    if (!region && !absent) return "it cannot be opened: " + describe(region.error());
    if (absent) {
        region = create();
        if (is_busy()) return {};
        if (!region) return "it cannot be created: " + describe(region.error());
        created_ = true;
    }
    std::string text = works(*region, now);
    if (text.empty() && !created_) text = holds_what_was_there(*region);
    used_.emplace(std::move(*region));
    return text;
}

std::string LifeScenario::verify(const Case& now) {
    if (!seen_.empty()) return seen_;
    const Outcome& victim = outcome(crash::Role::victim);
    const std::uint64_t result = victim.values[1];
    if (!now.victim_dead) {
        if (victim.code != 1) return "the victim did not return";
        const bool refused = case_.makes && result == failed(Errc::exists) && created_;
        if (result != kOk && !refused) {
            return "the victim failed with " + std::to_string(result - kFailed);
        }
        if (case_.makes && result == kOk && created_ && !case_.opened) return "two have created it";
    }
    if (is_memfd()) {
        if (!case_.is_there) return ground_->is_clean() ? "" : "something was left";
        const std::string text = use(now);
        if (!text.empty()) return text;
        const std::size_t handles = used_->attached().size();
        return handles == 2 ? "" : std::to_string(handles) + " handles are attached, not 2";
    }
    used_.reset();
    Result<Region> region = Region::open_or_create(ground_->address, kBytes, {.max_objects = 32});
    if (!region) return "the next open fails: " + describe(region.error());
    std::string text = works(*region, now);
    if (text.empty() && !created_) text = holds_what_was_there(*region);
    if (text.empty() && region->attached().size() != 1) text = "a place is lost";
    if (!text.empty()) return text;
    if (!Region::destroy(ground_->address)) return "it cannot be destroyed";
    region = Region::open(ground_->address);
    if (region || region.error().code != Errc::not_found) return "it is not gone";
    return ground_->is_clean() ? "" : "something was left";
}

}  // namespace

void add_region_scenarios(Scenarios& list) {
    const RegionOptions options{.max_objects = 32};
    using Handle = std::optional<Region>;
    const auto keep = [](Handle& handle, Result<Region> made) {
        const std::uint64_t result = result_of(made);
        if (made) handle.emplace(std::move(*made));
        return result;
    };
    for (const std::string family :
         {"region_shm", "region_posix", "region_file", "region_memfd", "region_sysv"}) {
        const std::string scheme = family.substr(family.find('_') + 1);
        const bool named = scheme != "memfd";
        const auto add = [&](LifeCase details) {
            details.name = family + "." + details.name;
            details.scheme = scheme;
            list.push_back(std::make_unique<LifeScenario>(std::move(details)));
        };
        add({.name = "create",
             .operation =
                 [=](Handle& handle, const std::string& address) {
                     return keep(handle, Region::create(address, kBytes, options));
                 },
             .makes = true});
        add({.name = "detach",
             .operation =
                 [](Handle& handle, const std::string&) {
                     handle.reset();
                     return kOk;
                 },
             .is_there = true,
             .opened = true});
        if (scheme != "sysv") {
            add({.name = "grow",
                 .operation =
                     [](Handle& handle, const std::string&) {
                         return result_of(handle->grow(96U << 10U));
                     },
                 .is_there = true,
                 .opened = true});
        }
        if (!named) continue;
        add({.name = "open",
             .operation =
                 [=](Handle& handle, const std::string& address) {
                     return keep(handle, Region::open(address));
                 },
             .is_there = true});
        add({.name = "open_or_create",
             .operation = [=](Handle& handle, const std::string& address) {
                 return keep(handle, Region::open_or_create(address, kBytes, options));
             }});
        add({.name = "destroy",
             .operation =
                 [](Handle&, const std::string& address) {
                     return result_of(Region::destroy(address));
                 },
             .is_there = true,
             .ends = true});
    }
}

}  // namespace stoa::crash
