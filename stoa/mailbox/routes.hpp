// Routed sharings: which receiver gets a message, and what becomes of those of one that went.
//
// Start here: Routes::send(), receive(). One per handle of a routed mailbox.
// Threads:    as its handle.
// Processes:  any number; at most 64 receivers.
// Death:      of a receiver: its untaken messages go to the others, marked as delivered again; of a
//             sender behind a message for one that just went: the sweep tells the others.
// Blocking:   until the deadline; a full queue is passed over where the sharing leaves a choice.
// Lifetime:   a part of its Attachment.
// Units:      stations: a receiver and what leads to it.
// Source:     own.
//
// The orphan bit of a station says that messages may wait there for nobody. Order (seq_cst):
//   receiver  G1 gives up its seat (or a sweep does)   G2 sets the bit, wakes all
//   sender    T1 reads the seat   T2 sends there       T3 reads the seat again: changed, does G2
//   heir      H1 reads the bit    H2 the seat is nobody's: takes what is there
//             H3 nothing is left: clears the bit       H4 looks again, sets it when there is more
// A sender that dies between T2 and T3 is swept, and every sweep does G2 for each free seat. The
// bit only wakes: before it sleeps a receiver looks itself at the rings of free seats, and whether
// doors lead to one, so that who stopped between G1 and G2, or H3 and H4, hides nothing. An heir
// of lanes that stopped while it holds the seat keeps what it was about to get, as if it had it.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "stoa/mailbox/attachment.hpp"

namespace stoa {

class Routes {
public:
    explicit Routes(Attachment& at) noexcept : at_{at}, stations_{&at.station(0)} {
        if (has(at.role_, Role::sends)) turn_ = at.layout_->turns.fetch_add(1, kRelaxed);
    }

    // Errors: as PoolEngine::send and LaneOut::send
    [[nodiscard]] Result<void> send(Bytes message, const SendOptions& options, Deadline deadline);
    [[nodiscard]] Result<PoolTicket> send_with_receipt(Bytes message, const SendOptions& options,
                                                       Deadline deadline);
    // Memory in the queue of the receiver whose turn it is. Errors: as PoolEngine::reserve
    [[nodiscard]] Result<PoolLoan> reserve(std::uint64_t bytes, Deadline deadline);
    [[nodiscard]] Result<void> commit(PoolLoan& loan, std::uint32_t bytes,
                                      const SendOptions& options, Deadline deadline);
    // The same in a lane. `out` is where it lies until it is committed or abandoned.
    [[nodiscard]] Result<std::span<std::byte>> reserve_in_lane(std::uint64_t bytes,
                                                               Deadline deadline, LaneOut*& out);
    // One value of a fixed size and an alignment of at most 16 over a lane that is open: the short
    // way of round_robin. False: take the long way, send().
    template <std::size_t kBytes>
    [[nodiscard]] bool try_send_value(const void* value) noexcept {
        if (at_.plan_.sharing != Sharing::round_robin || lanes_.empty()) return false;
        std::uint32_t station = turn_;
        for (std::uint32_t left = open_stations(); left > 0; --left) {
            station = next_in_turn(station);
            if (station == kNone || lanes_[station] == nullptr) [[unlikely]]
                return false;
            OpenLane& lane = *lanes_[station];
            const std::uint64_t seen = seat(station);  // T1
            // relaxed: who was handed the lane over marks what still comes on it.
            if (lane.at->station.load(kRelaxed) != lane.station_word) [[unlikely]]
                return false;
            if (!lane.out.template try_send_value<kBytes>(value)) {
                if (at_.region_.closed()) return false;
                continue;  // full: passed over
            }
            turn_ = station;
            check_seat(station, seen);  // T3
            return true;
        }
        return false;
    }
    // Errors: as PoolEngine::receive and LaneIn::take
    [[nodiscard]] Result<PoolLoan> receive(Deadline deadline);
    [[nodiscard]] Result<LaneMessage> take(Deadline deadline);
    // Whether a receive that does not wait has something to say.
    [[nodiscard]] bool is_readable();
    // The same of a send of so many bytes; where keys decide who gets it: whoever it is.
    [[nodiscard]] bool is_writable(std::uint64_t bytes);
    // Of lanes: what receivers give back from now on is told to the watch.
    void arm_senders() noexcept;
    void disarm_senders() noexcept;
    // Set of the stations of nobody where messages may wait: a receiver looks before it sleeps.
    [[nodiscard]] std::uint64_t orphaned();
    // After a nack: the message may lie where nobody looks.
    void returned_to(std::uint32_t station) noexcept { check_seat(station, 0); }

private:
    struct OpenLane {  // of a sender to one station
        std::uint32_t door = 0;
        LaneDoor* at = nullptr;
        std::uint32_t station_word = 0;
        LaneOut out;
    };
    static constexpr std::uint32_t kNone = UINT32_MAX;

    [[nodiscard]] std::uint64_t seat(std::uint32_t station) const noexcept {
        return stations_[station].seat.load(kSeqCst);
    }
    [[nodiscard]] static bool receives(std::uint64_t seat) noexcept {
        return seat != 0 && (seat & kHandingOver) == 0;
    }
    [[nodiscard]] std::uint32_t open_stations() const noexcept {
        return std::min(at_.layout_->stations_open.load(kSeqCst), at_.plan_.station_count);
    }
    // The next station that somebody receives from; kNone: nobody does.
    [[nodiscard]] std::uint32_t next_in_turn(std::uint32_t after) const noexcept {
        const std::uint32_t open = open_stations();
        std::uint32_t station = after;
        if (open > 0 && after >= open) [[unlikely]]  // of who has not sent yet
            station = after % open;
        for (std::uint32_t n = 0; n < open; ++n) {
            station = station + 1 < open ? station + 1 : 0;
            if (receives(seat(station))) return station;
        }
        return kNone;
    }
    [[nodiscard]] std::uint32_t least_loaded();
    [[nodiscard]] std::uint32_t of_key(std::uint64_t key);
    [[nodiscard]] std::uint32_t choose(const SendOptions& options);
    [[nodiscard]] std::uint32_t another(std::uint32_t after, std::uint32_t first) const noexcept;
    [[nodiscard]] bool has_choice() const noexcept {
        return at_.plan_.sharing != Sharing::key_affine;
    }
    // T3. `seen`: who held the seat when the message was sent there; 0: nobody did.
    void check_seat(std::uint32_t station, std::uint64_t seen) noexcept {
        const std::uint64_t now = seat(station);
        if (now != seen || !receives(now)) [[unlikely]]
            seat_changed(station, now);
    }
    void seat_changed(std::uint32_t station, std::uint64_t now) noexcept;
    template <typename Attempt>
    [[nodiscard]] auto with_a_receiver(std::uint64_t bytes, const SendOptions& options,
                                       Deadline deadline, Attempt&& attempt)
        -> decltype(attempt(0U, deadline));
    [[nodiscard]] Result<void> meet_in_time(Bytes message, const SendOptions& options,
                                            Deadline deadline);
    [[nodiscard]] Result<void> wait_for_any(std::uint32_t station, std::uint64_t bytes,
                                            Deadline deadline);
    [[nodiscard]] Result<void> send_on_lane(std::uint32_t station, Bytes message,
                                            Deadline deadline);
    [[nodiscard]] Result<OpenLane*> lane_to(std::uint32_t station);
    [[nodiscard]] Result<PoolLoan> take_orphan();
    [[nodiscard]] bool all_drained();
    bool adopt_lanes(std::uint32_t station) noexcept;

    Attachment& at_;
    MailboxStation* stations_;
    // The station that got the last message; at first where another sender did not begin, so that
    // senders of one message each go round as well.
    std::uint32_t turn_ = 0;
    std::vector<std::unique_ptr<OpenLane>> lanes_;  // index: station
};

}  // namespace stoa
