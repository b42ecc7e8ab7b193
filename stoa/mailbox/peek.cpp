#include <algorithm>
#include <vector>

#include "stoa/mailbox/attachment.hpp"

// Looking at what waits without taking it: what this handle would receive next; where it does not
// receive, what anybody would.
namespace stoa {

struct Looks {
    struct Look {
        std::uint32_t which = 0;  // of several rings behind each other
        PoolGlimpse what{};
        std::uint64_t sent_ns = 0;
    };
    std::uint64_t most = 0;
    std::uint64_t now_ns = 0;
    std::vector<Look> marked{};  // to be delivered again
    std::vector<std::vector<Look>> levels{};
};

namespace {

// So many more than asked for are looked at: some may be taken meanwhile.
constexpr std::uint64_t kSpare = 8;

// What waits in all priorities, in the order in which a receiver gets it.
std::vector<Looks::Look> in_turn(const Looks& looks, std::uint64_t ageing_ns) {
    std::vector<Looks::Look> all;
    std::vector<std::size_t> next(looks.levels.size());
    const auto rank = [&](std::size_t level) {
        const std::uint64_t sent_ns = looks.levels[level][next[level]].sent_ns;
        const bool ages = ageing_ns != 0 && looks.now_ns > sent_ns;
        return level + (ages ? (looks.now_ns - sent_ns) / ageing_ns : 0);
    };
    while (all.size() < looks.most) {
        std::size_t best = looks.levels.size();
        for (std::size_t level = 0; level < looks.levels.size(); ++level) {
            if (next[level] == looks.levels[level].size()) continue;
            if (best == looks.levels.size() || rank(level) >= rank(best)) best = level;
        }
        if (best == looks.levels.size()) break;
        all.push_back(looks.levels[best][next[best]++]);
    }
    return all;
}

// Whether to go on with the next ring, lane or log: there is nothing here at that distance.
bool found(const Result<std::size_t>& length) noexcept {
    return length || length.error().code != Errc::empty;
}

}  // namespace

void Queue::look_into(const PoolRing& ring, std::uint32_t which, Looks& looks) const {
    const auto note = [&](std::vector<Looks::Look>& to, const PoolGlimpse& what) {
        if (ring.will_expire(what, looks.now_ns)) return;
        to.push_back({.which = which, .what = what, .sent_ns = ring.sent_at(what)});
    };
    PoolGlimpse what;
    std::uint32_t from = 0;
    while (ring.flag_is_up() && looks.marked.size() < looks.most &&
           ring.look_at_marked(from, what)) {
        note(looks.marked, what);
    }
    looks.levels.resize(ring.geometry().level_count);
    for (std::uint32_t level = 0; level < looks.levels.size(); ++level) {
        PoolWalk walk{.level = level};
        while (looks.levels[level].size() < looks.most && ring.look_at_level(walk, what)) {
            note(looks.levels[level], what);
        }
    }
}

Result<std::uint32_t> Queue::peek(std::uint64_t& skip, std::span<std::byte> to) {
    Segments* const chain = one_ == nullptr ? &at_.segments() : nullptr;
    Looks looks{.most = skip + std::min(kSpare, UINT64_MAX - skip), .now_ns = sys::steady_ns()};
    if (chain != nullptr) refresh();
    // The ring, kept until the next one is.
    const auto ring = [&](std::uint32_t which) -> const PoolRing* {
        if (chain == nullptr) return &one_->ring();
        const Segment& segment = known_[which];
        if (!chain->is_held(segment) && !chain->hold(Pin::hand, segment)) return nullptr;
        const Result<PoolEngine*> engine = at_.engine_of(station_, segment);
        return engine ? &(*engine)->ring() : nullptr;
    };
    const std::size_t rings = chain == nullptr ? 1 : known_.size();
    for (std::uint32_t i = 0; i < rings; ++i) {
        if (const PoolRing* const here = ring(i); here != nullptr) look_into(*here, i, looks);
    }
    std::vector<Looks::Look> all = in_turn(looks, at_.plan().ageing_ns);
    // Who works through a backlog looks for those afterwards.
    all.insert(rings > 1 ? all.end() : all.begin(), looks.marked.begin(), looks.marked.end());
    Result<std::uint32_t> length = fail(Errc::empty, "peek");
    for (std::uint64_t i = skip; i < all.size() && !length; ++i) {
        const PoolRing* const here = ring(all[i].which);
        if (here != nullptr) length = here->copy(all[i].what, to);
    }
    if (chain != nullptr) chain->let_go(Pin::hand);
    skip -= std::min<std::uint64_t>(skip, all.size());
    return length;
}

Result<std::size_t> Attachment::peek_at_letters(std::span<std::byte> to, std::uint64_t skip) {
    Result<std::size_t> length = fail(Errc::empty, "peek");
    for_each_ring(Pin::hand, [&](PoolEngine& engine) {
        std::uint32_t from = 0;
        PoolGlimpse what;
        while (!length && engine.ring().look_at_letter(from, what)) {
            if (skip > 0) {
                --skip;
            } else {
                length = engine.ring().copy(what, to);
            }
        }
    });
    return length;
}

Result<std::size_t> Attachment::peek_at_queues(std::span<std::byte> to, std::uint64_t skip) {
    Result<std::size_t> length = fail(Errc::empty, "peek");
    const bool all = !has(role_, Role::receives);
    for (std::uint32_t i = 0; i < plan_.pool_count && !found(length); ++i) {
        if (!all && !receives_at(i)) continue;
        const Result<Queue*> queue = find_queue(i);
        if (!queue) return std::unexpected(queue.error());
        if (*queue == nullptr) continue;
        length = (*queue)->peek(skip, to);
    }
    return length;
}

Result<std::size_t> Attachment::peek_at_lanes(std::span<std::byte> to, std::uint64_t skip) {
    Result<std::size_t> length = fail(Errc::empty, "peek");
    const bool all = !has(role_, Role::receives);
    const std::uint32_t lanes = std::min(layout_->lanes_open.load(kSeqCst), plan_.lane_count);
    for (std::uint32_t i = 0; i < lanes && !found(length); ++i) {
        const LaneDoor& here = door(i);
        if (here.ready.load(kSeqCst) == 0) continue;
        if (!all && plan_.sharing == Sharing::pair && i == seat_) continue;
        const std::uint32_t station = leads_to(here.station.load(kSeqCst));
        if (!all && plan_.routed() && !plan_.logged() && station != seat_ + 1) continue;
        length = plan_.logged() ? peek_log(lane_memory(i), skip, to)
                                : peek_lane(lane_memory(i), skip, to, here.end_position());
        if (found(length)) break;
        if (plan_.logged()) {
            const Result<LogCounts> counts = count_log(lane_memory(i));
            skip -= std::min(skip, counts ? counts->waiting : 0);
        } else {
            const Result<LaneCounts> counts = count_lane(lane_memory(i), here.end_position());
            skip -= std::min(skip, counts ? counts->depth : 0);
        }
    }
    return length;
}

Result<std::size_t> Attachment::peek(std::span<std::byte> to, std::uint64_t skip) {
    if (of_dead_letters_) return peek_at_letters(to, skip);
    return plan_.pool_count > 0 ? peek_at_queues(to, skip) : peek_at_lanes(to, skip);
}

}  // namespace stoa
