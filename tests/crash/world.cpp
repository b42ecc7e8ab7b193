#include "tests/crash/world.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "stoa/base/atomic.hpp"
#include "stoa/base/check.hpp"

namespace stoa::crash {
namespace {

constexpr std::size_t kRoles = 4;
constexpr std::size_t kOutcomesSize = kRoles * sizeof(Outcome);

std::span<std::byte> outcomes() {
    static void* const memory =
        ::mmap(nullptr, kOutcomesSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    STOA_CHECK(memory != MAP_FAILED);
    return {static_cast<std::byte*>(memory), kOutcomesSize};
}

}  // namespace

Outcome& outcome(Role role) noexcept {
    return reinterpret_cast<Outcome*>(outcomes().data())[static_cast<std::size_t>(role)];
}

World::World(Scenario& scenario, std::chrono::milliseconds watchdog)
    : scenario_{scenario}, watchdog_{watchdog} {
    scenario_.prepare();
    for (const std::span<std::byte> memory : scenario_.shared()) {
        areas_.push_back({memory, {memory.begin(), memory.end()}});
    }
    victim_ = {[this] { scenario_.victim_begin(); }, [this] { scenario_.victim(); },
               [this] { scenario_.victim_end(); }, scenario_.sleeps(),
               [this] {
                   const std::unique_ptr<Judge> waker = judge({[this] {
                       scenario_.wake();
                       return std::string{};
                   }});
                   (void)waker->next();
               }};
    recoverer_ = {[this] { scenario_.recover_begin(recoverer_case_); },
                  [this] { scenario_.recover(recoverer_case_); }, nullptr, scenario_.sleeps(),
                  victim_.wake};
}

void World::restore() {
    for (const Area& area : areas_) {
        std::memcpy(area.memory.data(), area.prepared.data(), area.memory.size());
    }
    std::memset(outcomes().data(), 0, kOutcomesSize);
    scenario_.reset();
}

void World::restore(const Snapshot& snapshot) {
    restore();
    std::memcpy(outcomes().data(), snapshot.outcomes.data(), kOutcomesSize);
    for (const Snapshot::Page& page : snapshot.pages) {
        std::memcpy(page.at, page.bytes.data(), page.bytes.size());
    }
}

Snapshot World::save() const {
    Snapshot snapshot;
    snapshot.outcomes.assign(outcomes().begin(), outcomes().end());
    for (const Area& area : areas_) {
        for (std::size_t offset = 0; offset < area.memory.size(); offset += kPage) {
            const std::size_t size = std::min(kPage, area.memory.size() - offset);
            const auto page = area.memory.subspan(offset, size);
            if (std::memcmp(page.data(), area.prepared.data() + offset, size) == 0) continue;
            snapshot.pages.push_back({page.data(), {page.begin(), page.end()}});
        }
    }
    return snapshot;
}

Tracee World::start_victim() const {
    return Tracee::start(victim_, watchdog_);
}

Tracee World::start_recoverer(const Case& now) {
    recoverer_case_ = now;
    recoverer_case_.me = Role::recoverer;
    return Tracee::start(recoverer_, watchdog_);
}

std::vector<std::span<const std::byte>> World::watched() const {
    std::vector<std::span<const std::byte>> all{outcomes()};
    for (const Area& area : areas_) all.emplace_back(area.memory);
    return all;
}

Trace World::record(Tracee& tracee, const Accesses* accesses) const {
    return crash::record(tracee, watched(), accesses);
}

std::unique_ptr<Judge> World::judge(std::vector<Act> acts) const {
    return std::make_unique<Judge>(std::move(acts), watchdog_);
}

}  // namespace stoa::crash
