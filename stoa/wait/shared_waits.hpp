// What a wait set has to do with shared memory: its board, who tells it, whose death concerns it.
//
// Start here: SharedWaits::enter, leave; take_rung, sleep; tick.
// Threads:    one at a time.
// Processes:  its board is rung by others (stoa/sync/wait_board.hpp).
// Death:      of those who take part in what is watched: their pidfds are in the set's epoll, up to
//             kMostPeers, of newcomers from their ring on; the tick finds the others, and whoever
//             died or stopped before it rang.
// Blocking:   never.
// Lifetime:   as its set.
// Units:      slots of the set; places: what is told as one.
// Source:     own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "stoa/base/error.hpp"
#include "stoa/sync/wait_board.hpp"
#include "stoa/sys/epoll.hpp"
#include "stoa/wait/wait_source.hpp"

namespace stoa {

class SharedWaits {
public:
    static constexpr std::uint32_t kMostPeers = 256;
    // In a tick:
    static constexpr std::uint32_t kLookedForPeers = 256;  // places where newcomers do not ring
    static constexpr std::size_t kMet = 2048;              // peers of them
    static constexpr std::uint32_t kLookedAround = 8;      // places that are swept in any case
    static constexpr std::size_t kHolders = 64;            // of each of them

    // `bell`, `epoll`: the set's; `data`: of an event of peer 0. Errors: limit_reached
    [[nodiscard]] static Result<std::unique_ptr<SharedWaits>> create(const sys::Epoll& epoll,
                                                                     const sys::Fd& bell,
                                                                     std::uint64_t data);
    ~SharedWaits();
    SharedWaits(const SharedWaits&) = delete;
    SharedWaits& operator=(const SharedWaits&) = delete;

    static constexpr std::uint32_t kNoPlace = UINT32_MAX;
    static constexpr std::uint32_t kDead = UINT32_MAX - 1;  // of find_peer

    // From now on what changes there is told to `slot`; its place, or kNoPlace if nothing tells.
    // Errors: in_use, limit_reached: 65536 places
    [[nodiscard]] Result<std::uint32_t> enter(std::uint32_t slot, WaitSource& source);
    // `closed`: the thing is no more.
    void leave(std::uint32_t slot, std::uint32_t place, bool closed) noexcept;

    // Calls visit(slot) for whatever was told since the last time.
    template <typename Visit>
    void take_rung(Visit&& visit) {
        if (!anything_rung()) [[likely]]
            return;
        board_.take_rung(places_.size(), [&](std::uint32_t place, bool came) {
            if (place >= places_.size()) return;
            if (came) return be_stranger(place);
            for (const Member& member : places_[place].members) visit(member.slot);
        });
    }
    [[nodiscard]] bool anything_rung() const noexcept {
        return board_.anything_rung(places_.size());
    }
    // False: something was told meanwhile. From now on the bell is readable when something is.
    // visit(slot): somebody who has a part in it was dead before we had his pidfd.
    template <typename Visit>
    [[nodiscard]] bool sleep(Visit&& visit) {
        if (!strangers_.empty()) meet_strangers();
        board_.sleep();
        if (deaths_.empty()) [[likely]]
            return !anything_rung();
        look_at_deaths(visit);
        return false;
    }
    void wake() noexcept { board_.wake(); }

    // Looks for deaths in the next few places, also of those whose pidfd is not to be had and of
    // newcomers that could not ring. visit(slot): somebody died, or an error ended it.
    template <typename Visit>
    void look_around(Visit&& visit) {
        if (!strangers_.empty()) meet_strangers();  // of a set that never sleeps
        look_for_newcomers();
        for (std::uint32_t n = 0; n < kLookedAround && n < places_.size(); ++n) {
            next_place_ = next_place_ + 1 < places_.size() ? next_place_ + 1 : 0;
            Place& place = places_[next_place_];
            if (place.members.empty()) continue;
            look_for_peers(next_place_);
            for (std::size_t m = 0; m < kHolders && m < place.members.size(); ++m) {
                place.next = place.next + 1 < place.members.size() ? place.next + 1 : 0;
                place.members[place.next].source->look_for_holder();
            }
            if (place.members.front().source->look_around()) continue;
            for (const Member& member : place.members) visit(member.slot);
        }
        look_at_deaths(visit);
    }
    // The event of a peer: if it is dead, all that it had a part in is swept and visited.
    template <typename Visit>
    void peer_event(std::uint32_t number, Visit&& visit) {
        for (const std::uint32_t place : places_of_dead(number)) {
            look_at_death(place, visit);
            be_stranger(place);  // it is swept: its place among kMostPeers is free for others
        }
    }

private:
    struct Member {
        std::uint32_t slot;
        WaitSource* source;
    };
    struct Place {
        const void* watched_as = nullptr;
        std::vector<Member> members{};
        std::vector<std::uint32_t> peers{};
        bool is_stranger = false;  // not all of its peers are known, it is in strangers_
        std::size_t next = 0;      // member
    };
    struct Peer {
        sys::Identity identity{};
        sys::Fd process{};          // not valid: it is dead
        std::uint32_t used_by = 0;  // places; 0: free
    };
    class Collect;

    SharedWaits(const sys::Epoll& epoll, std::uint64_t data, WaitBoard board) noexcept
        : epoll_{epoll}, data_{data}, board_{std::move(board)} {}

    template <typename Visit>
    void look_at_deaths(Visit&& visit) {
        for (const std::uint32_t place : std::exchange(deaths_, {})) look_at_death(place, visit);
    }
    template <typename Visit>
    void look_at_death(std::uint32_t place, Visit&& visit) {
        const std::vector<Member>& members = places_[place].members;
        if (members.empty()) return;
        const bool good = members.front().source->look_around().has_value();
        for (const Member& member : members) {
            if (good) member.source->look_for_holder();
            visit(member.slot);
        }
    }
    [[nodiscard]] Result<std::uint32_t> take_place(const void* watched_as);
    void give_place(std::uint32_t place) noexcept;
    std::size_t look_for_peers(std::uint32_t place);
    void be_stranger(std::uint32_t place);
    void look_for_newcomers();
    void meet_strangers();
    [[nodiscard]] std::uint32_t find_peer(const sys::Identity& identity);
    void drop_peer(std::uint32_t number) noexcept;
    [[nodiscard]] std::vector<std::uint32_t> places_of_dead(std::uint32_t number);

    const sys::Epoll& epoll_;
    std::uint64_t data_;
    WaitBoard board_;
    std::vector<Place> places_;  // index: slot of the board
    std::vector<std::uint32_t> free_places_;
    std::unordered_map<const void*, std::uint32_t> place_of_;
    std::vector<Peer> peers_;
    std::uint32_t next_place_ = 0;
    std::vector<std::uint32_t> silent_;  // places whose newcomers do not ring
    std::size_t next_silent_ = 0;
    std::vector<std::uint32_t> strangers_;  // places with peers that are not known yet
    std::vector<std::uint32_t> deaths_;     // places that a dead one has a part in
    std::vector<sys::Identity> seen_;       // room for look_for_peers
};

}  // namespace stoa
