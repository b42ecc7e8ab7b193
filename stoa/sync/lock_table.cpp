#include "stoa/sync/lock_table.hpp"

#include <algorithm>
#include <optional>

#include "stoa/sync/lock_layout.hpp"
#include "stoa/sync/shared_mutex_layout.hpp"

namespace stoa {
namespace {

// Words of somebody else's memory: looked at one by one, wherever they are said to be.
class Words {
public:
    Words(std::span<const std::byte> memory, std::uint64_t offset) noexcept
        : memory_{memory}, offset_{offset} {}

    [[nodiscard]] Holder holder_at(std::uint64_t distance) const noexcept {
        const std::uint64_t at = offset_ + distance;
        if (at % 8 != 0 || at > memory_.size() || memory_.size() - at < 8) return 0;
        const auto* word = reinterpret_cast<const Atomic<std::uint64_t>*>(memory_.data() + at);
        return LockWord::holder(word->load(kSeqCst));
    }

private:
    std::span<const std::byte> memory_;
    std::uint64_t offset_;
};

std::vector<Holder> holder_words(const Words& words, LockShape lock) {
    std::vector<Holder> all;
    const auto add = [&](std::uint64_t distance) {
        const Holder holder = words.holder_at(distance);
        if (holder != 0 && std::ranges::find(all, holder) == all.end()) all.push_back(holder);
    };
    switch (lock.kind) {
        case LockKind::none: break;
        case LockKind::mutex:
        case LockKind::recursive_mutex:
        case LockKind::once:
        case LockKind::priority_mutex: add(0); break;
        case LockKind::reader:
        case LockKind::writer:
            add(0);
            for (std::uint32_t i = 0; i < lock.places; ++i) {
                add(sizeof(SharedMutexLayout) + i * sizeof(ReaderPlace));
            }
            break;
        case LockKind::semaphore:
            for (std::uint32_t i = 0; i < lock.places; ++i)
                add(sizeof(PermitsLayout) + std::uint64_t{i} * 8);
            break;
    }
    return all;
}

LockUser user_of(const Participants& participants, Holder holder) {
    LockUser user{.index = holder_index(holder)};
    if (user.index >= participants.places()) return user;
    Participant seen;
    const bool is_there = participants.look(user.index, seen);
    const PlaceWord place = unpack_place(seen.word);
    const bool is_same = holder_of(user.index, place.incarnation) == holder;
    user.is_gone =
        !is_same || place.state == PlaceState::free || (is_there && seen.life == sys::Life::dead);
    if (is_same) {
        user.pid = seen.identity.pid;
        user.name = participants.last_name(user.index);
    }
    return user;
}

// What keeps a waiter: `all` of them must go on before it does, or any one is enough.
struct Wait {
    std::uint32_t waiter = 0;
    std::vector<std::uint32_t> for_whom{};
    bool any = false;
    bool is_stuck = true;
};

// Which of the holders keep it. A thread of its own process may hold it too: that is no knot.
Wait wait_of(const LockState& state, const LockUser& waiter, const Words& words) {
    Wait wait{.waiter = waiter.index};
    const Holder first = words.holder_at(0);
    const bool is_shared = waiter.kind == LockKind::reader || waiter.kind == LockKind::writer;
    const bool only_first = is_shared && first != 0 && holder_index(first) != waiter.index;
    wait.any =
        waiter.kind == LockKind::semaphore || (waiter.kind == LockKind::reader && first == 0);
    for (const LockUser& holder : state.holders) {
        if (holder.is_gone) return {.waiter = waiter.index, .is_stuck = false};
        if (only_first && holder.index != holder_index(first)) continue;
        if (holder.index != waiter.index) wait.for_whom.push_back(holder.index);
    }
    wait.is_stuck = !wait.for_whom.empty();
    return wait;
}

// Leaves those stuck that nobody who goes on can free.
void solve(std::vector<Wait>& waits) {
    const auto is_stuck = [&](std::uint32_t index) {
        return std::ranges::any_of(
            waits, [&](const Wait& wait) { return wait.waiter == index && wait.is_stuck; });
    };
    for (bool has_changed = true; has_changed;) {
        has_changed = false;
        for (Wait& wait : waits) {
            if (!wait.is_stuck) continue;
            wait.is_stuck = wait.any ? std::ranges::all_of(wait.for_whom, is_stuck)
                                     : std::ranges::any_of(wait.for_whom, is_stuck);
            has_changed = has_changed || !wait.is_stuck;
        }
    }
}

// The cycle that one who is stuck comes to, from its lowest place on.
std::vector<std::uint32_t> cycle_from(const std::vector<Wait>& waits, std::uint32_t start) {
    const auto find = [&](std::uint32_t index) -> const Wait* {
        const auto found = std::ranges::find_if(
            waits, [&](const Wait& wait) { return wait.waiter == index && wait.is_stuck; });
        return found == waits.end() ? nullptr : &*found;
    };
    std::vector<std::uint32_t> path;
    for (std::uint32_t at = start;;) {
        const auto seen = std::ranges::find(path, at);
        if (seen != path.end()) {
            path.erase(path.begin(), seen);
            break;
        }
        const Wait* const wait = find(at);
        if (wait == nullptr) return {};
        path.push_back(at);
        const auto next = std::ranges::find_if(
            wait->for_whom, [&](std::uint32_t index) { return find(index) != nullptr; });
        if (next == wait->for_whom.end()) return {};
        at = *next;
    }
    std::ranges::rotate(path, std::ranges::min_element(path));
    return path;
}

}  // namespace

std::vector<LockUser> holders_of_lock(const Participants& participants,
                                      std::span<const std::byte> memory, std::uint64_t offset,
                                      LockShape lock) {
    std::vector<LockUser> users;
    for (const Holder holder : holder_words(Words{memory, offset}, lock)) {
        users.push_back(user_of(participants, holder));
    }
    return users;
}

LockTable lock_table(const Participants& participants, std::span<const std::byte> memory) {
    LockTable table;
    std::vector<LockUser> waiters;
    participants.for_each([&](const Participant& seen) {
        if (seen.waits != WaitsFor::lock || seen.waits_on == 0) return;
        if (seen.life == sys::Life::dead) return;
        const WaitsOn on = unpack_waits_on(seen.waits_on);
        auto state = std::ranges::find(table.locks, on.offset, &LockState::offset);
        if (state == table.locks.end()) {
            table.locks.push_back({.offset = on.offset, .lock = on.lock});
            state = table.locks.end() - 1;
        }
        state->waiters.push_back({.index = seen.index,
                                  .pid = seen.identity.pid,
                                  .name = seen.name,
                                  .since_ns = seen.waits_since_ns,
                                  .kind = on.lock.kind});
        waiters.push_back(state->waiters.back());
        std::uint64_t& held = state->held_since_ns;
        if (held == 0 || (seen.held_since_ns != 0 && seen.held_since_ns < held)) {
            held = seen.held_since_ns;
        }
    });
    std::vector<Wait> waits;
    for (LockState& state : table.locks) {
        state.holders = holders_of_lock(participants, memory, state.offset, state.lock);
        if (state.holders.size() == 1) state.holders[0].since_ns = state.held_since_ns;
        std::ranges::sort(state.waiters, {}, &LockUser::since_ns);
        for (const LockUser& waiter : state.waiters) {
            waits.push_back(wait_of(state, waiter, Words{memory, state.offset}));
        }
    }
    solve(waits);
    std::vector<std::vector<std::uint32_t>> cycles;
    for (const Wait& wait : waits) {
        if (!wait.is_stuck) continue;
        std::vector<std::uint32_t> cycle = cycle_from(waits, wait.waiter);
        if (cycle.size() > 1 && std::ranges::find(cycles, cycle) == cycles.end()) {
            cycles.push_back(std::move(cycle));
        }
    }
    for (const std::vector<std::uint32_t>& cycle : cycles) {
        std::vector<LockUser>& users = table.cycles.emplace_back();
        for (const std::uint32_t index : cycle) {
            users.push_back(*std::ranges::find(waiters, index, &LockUser::index));
        }
    }
    return table;
}

}  // namespace stoa
