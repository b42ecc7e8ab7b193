#include "stoa/wait/shared_waits.hpp"

#include <algorithm>
#include <utility>

#include "stoa/base/check.hpp"

namespace stoa {

class SharedWaits::Collect final : public PeerVisitor {
public:
    explicit Collect(std::vector<sys::Identity>& to) noexcept : to_{to} {}
    void visit(const sys::Identity& peer) override {
        if (std::ranges::find(to_, peer) == to_.end()) to_.push_back(peer);
    }

private:
    std::vector<sys::Identity>& to_;
};

Result<std::unique_ptr<SharedWaits>> SharedWaits::create(const sys::Epoll& epoll,
                                                         const sys::Fd& bell, std::uint64_t data) {
    Result<WaitBoard> board = WaitBoard::create(bell);
    if (!board) return std::unexpected(board.error());
    return std::unique_ptr<SharedWaits>{new SharedWaits{epoll, data, std::move(*board)}};
}

SharedWaits::~SharedWaits() = default;

Result<std::uint32_t> SharedWaits::take_place(const void* watched_as) {
    if (const auto found = place_of_.find(watched_as); found != place_of_.end()) {
        return found->second;
    }
    std::uint32_t place = 0;
    if (!free_places_.empty()) {
        place = free_places_.back();
        free_places_.pop_back();
    } else {
        if (places_.size() == kWaitSlots) {
            return fail(Errc::limit_reached, "wait set (65536 handles; use a second set)");
        }
        place = static_cast<std::uint32_t>(places_.size());
        places_.emplace_back();
        free_places_.reserve(places_.size());  // so that leaving never fails
    }
    places_[place].watched_as = watched_as;
    place_of_.emplace(watched_as, place);
    return place;
}

Result<std::uint32_t> SharedWaits::enter(std::uint32_t slot, WaitSource& source) {
    const void* const watched_as = source.watched_as();
    if (watched_as == nullptr) return kNoPlace;
    const Result<std::uint32_t> place = take_place(watched_as);
    if (!place) return place;
    Place& there = places_[*place];
    if (Result<void> set = source.set_watch(board_.word(*place)); !set) {
        if (there.members.empty()) give_place(*place);
        return std::unexpected(set.error());
    }
    there.members.push_back({slot, &source});
    if (there.members.size() == 1) {
        be_stranger(*place);
        if (!source.newcomers_ring()) silent_.push_back(*place);
    }
    return place;
}

// Its peers are looked for before the set sleeps again.
void SharedWaits::be_stranger(std::uint32_t place) {
    if (std::exchange(places_[place].is_stranger, true)) return;
    strangers_.push_back(place);
}

void SharedWaits::give_place(std::uint32_t place) noexcept {
    place_of_.erase(places_[place].watched_as);
    places_[place] = {.is_stranger = places_[place].is_stranger};
    free_places_.push_back(place);
    std::erase(silent_, place);
}

void SharedWaits::leave(std::uint32_t slot, std::uint32_t place, bool closed) noexcept {
    if (place == kNoPlace) return;
    Place& there = places_[place];
    const auto is_it = [slot](const Member& member) { return member.slot == slot; };
    const auto found = std::ranges::find_if(there.members, is_it);
    if (found == there.members.end()) return;
    WaitSource& source = *found->source;
    there.members.erase(found);
    if (!there.members.empty()) return;
    STOA_CHECK(closed || source.set_watch({}));
    for (const std::uint32_t peer : there.peers) drop_peer(peer);
    give_place(place);
}

// An entry that is ready before the set sleeps, as in most calls of a coroutine, needs no peers.
void SharedWaits::meet_strangers() {
    for (const std::uint32_t place : std::exchange(strangers_, {})) {
        places_[place].is_stranger = false;
        if (!places_[place].members.empty()) look_for_peers(place);
    }
}

// --- peers ---------------------------------------------------------------------------------------

std::uint32_t SharedWaits::find_peer(const sys::Identity& identity) {
    std::uint32_t free = static_cast<std::uint32_t>(peers_.size());
    std::uint32_t used = 0;
    for (std::uint32_t i = 0; i < peers_.size(); ++i) {
        if (peers_[i].used_by == 0) {
            free = i;
            continue;
        }
        // Its end may have been told while it was no peer of this place yet.
        if (peers_[i].identity == identity) return peers_[i].process.valid() ? i : kDead;
        ++used;
    }
    if (used == kMostPeers) return UINT32_MAX;
    Result<sys::Fd> process = sys::open_process(identity);
    if (!process && process.error().code == Errc::peer_died) return kDead;
    if (!process || !process->valid()) return UINT32_MAX;  // the tick looks
    if (!epoll_.add(process->get(), EPOLLIN, data_ | free)) return UINT32_MAX;
    if (free == peers_.size()) peers_.emplace_back();
    peers_[free] = {.identity = identity, .process = std::move(*process)};
    return free;
}

void SharedWaits::drop_peer(std::uint32_t number) noexcept {
    Peer& peer = peers_[number];
    if (--peer.used_by > 0) return;
    if (peer.process.valid()) epoll_.remove(peer.process.get());
    peer = {};
}

// Who takes part by now. Those who come after this ring (ADR 0019), or are found by the tick.
std::size_t SharedWaits::look_for_peers(std::uint32_t place) {
    seen_.clear();
    Collect collect{seen_};
    places_[place].members.front().source->for_each_peer(collect);
    std::vector<std::uint32_t>& known = places_[place].peers;
    std::erase_if(known, [&](std::uint32_t number) {
        const bool left = std::ranges::find(seen_, peers_[number].identity) == seen_.end();
        if (left) drop_peer(number);
        return left;
    });
    for (const sys::Identity& identity : seen_) {
        const auto is_it = [&](std::uint32_t n) { return peers_[n].identity == identity; };
        if (std::ranges::any_of(known, is_it)) continue;
        const std::uint32_t number = find_peer(identity);
        if (number == kDead) deaths_.push_back(place);
        if (number >= kDead) continue;
        ++peers_[number].used_by;
        known.push_back(number);
    }
    return seen_.size();
}

void SharedWaits::look_for_newcomers() {
    std::size_t met = 0;
    for (std::uint32_t n = 0; n < kLookedForPeers && n < silent_.size() && met < kMet; ++n) {
        next_silent_ = next_silent_ + 1 < silent_.size() ? next_silent_ + 1 : 0;
        met += look_for_peers(silent_[next_silent_]);
    }
}

std::vector<std::uint32_t> SharedWaits::places_of_dead(std::uint32_t number) {
    std::vector<std::uint32_t> places;
    if (number >= peers_.size() || peers_[number].used_by == 0) return places;
    Peer& peer = peers_[number];
    if (!peer.process.valid() || !sys::ended(peer.process)) return places;
    epoll_.remove(peer.process.get());
    peer.process = {};
    for (std::uint32_t i = 0; i < places_.size(); ++i) {
        if (std::ranges::find(places_[i].peers, number) != places_[i].peers.end()) {
            places.push_back(i);
        }
    }
    return places;
}

}  // namespace stoa
