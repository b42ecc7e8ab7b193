#include "stoa/mailbox/routes.hpp"

#include <algorithm>
#include <bit>

#include "stoa/base/crash_point.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

// How long a rendezvous waits for one receiver before it turns to the next.
constexpr std::chrono::milliseconds kMeeting{10};
// How long a sender waits for room in one of several lanes before it looks at the others.
constexpr std::chrono::milliseconds kLaneWait{2};
// How often one that is at the end looks whether the others are.
constexpr std::chrono::milliseconds kEndNap{1};

// Steele, Lea, Flood 2014 (splitmix64): every bit of a key has a say in its bucket.
constexpr std::uint64_t mixed(std::uint64_t key) noexcept {
    key += 0x9e3779b97f4a7c15U;
    key = (key ^ key >> 30U) * 0xbf58476d1ce4e5b9U;
    key = (key ^ key >> 27U) * 0x94d049bb133111ebU;
    return key ^ key >> 31U;
}

bool is_full(const Error& error) noexcept {
    return error.code == Errc::full || error.code == Errc::timed_out;
}

}  // namespace

// --- choosing -----------------------------------------------------------------------------------

std::uint32_t Routes::least_loaded() {
    std::uint32_t best = kNone;
    std::uint64_t least = UINT64_MAX;
    const std::uint32_t open = open_stations();
    for (std::uint32_t n = 1; n <= open; ++n) {
        const std::uint32_t station = (turn_ + n) % open;
        if (!receives(seat(station))) continue;
        const Result<Queue*> queue = at_.find_queue(station);
        if (!queue || *queue == nullptr) continue;  // its receiver is still making it
        const std::uint64_t load = (*queue)->depth();
        if (load >= least) continue;
        least = load;
        best = station;
    }
    return best;
}

// Keys are hashed to buckets, and a bucket belongs to the receiver to whom its first message went,
// as long as that one lives.
std::uint32_t Routes::of_key(std::uint64_t key) {
    auto* buckets =
        layout_at<Atomic<std::uint64_t>>(at_.region_.content(), at_.plan_.keys_offset, kKeyBuckets);
    if (buckets == nullptr) return kNone;
    Atomic<std::uint64_t>& bucket = buckets[mixed(key) % kKeyBuckets];
    std::uint64_t word = bucket.load(kSeqCst);
    for (int turn = 0; turn < 1000; ++turn) {
        const auto station = static_cast<std::uint32_t>(word >> 16U) & (kMaxStations - 1);
        const std::uint64_t holder = word & ~(std::uint64_t{kMaxStations - 1} << 16U);
        if (word != 0 && station < open_stations() && seat(station) == holder) return station;
        // Whoever took the station over reads the keys that were sent there: it keeps them.
        const bool taken_over = word != 0 && station < open_stations() && receives(seat(station));
        const std::uint32_t next = taken_over ? station : next_in_turn(turn_);
        if (next == kNone) return kNone;
        const std::uint64_t now = seat(next);
        if (!receives(now)) continue;
        turn_ = next;
        const std::uint64_t mine = now | std::uint64_t{next} << 16U;
        if (bucket.compare_exchange_strong(word, mine, kSeqCst)) return next;
    }
    return next_in_turn(turn_);
}

std::uint32_t Routes::choose(const SendOptions& options) {
    switch (at_.plan_.sharing) {
        case Sharing::least_loaded: return least_loaded();
        case Sharing::key_affine: return of_key(options.key);
        default: return next_in_turn(turn_);
    }
}

// The one to try after `after`; `first` again when all were tried.
std::uint32_t Routes::another(std::uint32_t after, std::uint32_t first) const noexcept {
    const std::uint32_t next = next_in_turn(after);
    return next == kNone ? first : next;
}

void Routes::seat_changed(std::uint32_t station, std::uint64_t now) noexcept {
    if (now != 0 && receives(now)) return;  // another one receives there now
    STOA_CRASH_POINT("mailbox.route.before_orphan");
    at_.layout_->orphans.fetch_or(1ULL << station, kSeqCst);  // G2
    if (next_in_turn(station) != kNone) at_.wake_all();
}

// --- sending ------------------------------------------------------------------------------------

// Calls attempt(station, deadline) for the receiver whose turn it is, and for the others when that
// one's queue is full. Without any receiver station 0 keeps the message until one comes.
template <typename Attempt>
auto Routes::with_a_receiver(std::uint64_t bytes, const SendOptions& options, Deadline deadline,
                             Attempt&& attempt) -> decltype(attempt(0U, deadline)) {
    const bool meets = at_.plan_.capacity.kind == Capacity::Kind::zero;
    const bool drops =
        at_.plan_.overflow == Overflow::drop_oldest || at_.plan_.overflow == Overflow::drop_newest;
    for (;;) {
        if (Result<void> good = at_.check_to_send(); !good) return std::unexpected(good.error());
        std::uint32_t first = choose(options);
        const bool nobody = first == kNone;
        if (nobody) first = 0;
        std::uint32_t station = first;
        bool tried_all = false;
        // Counted: the first one may go meanwhile, and then its turn never comes again.
        for (std::uint32_t left = open_stations(); !tried_all; --left) {
            const std::uint64_t seen = seat(station);
            const bool passed_over =
                (drops && at_.queue_is_full(station)) || (meets && !at_.waits_at(station));
            if (!passed_over) {
                auto sent = attempt(station, Deadline::immediately());
                if (sent) {
                    turn_ = station;
                    check_seat(station, seen);
                    return sent;
                }
                if (!is_full(sent.error())) return sent;
            }
            station = another(station, first);
            tried_all = nobody || !has_choice() || station == first || left <= 1;
        }
        if (at_.plan_.overflow != Overflow::block || deadline.is_immediate()) {
            const std::uint64_t seen = seat(first);
            auto sent = attempt(first, Deadline::immediately());
            if (sent) check_seat(first, seen);
            return sent;
        }
        if (meets) {  // nobody was waiting, so nothing was tried yet; a loan needs nobody
            const std::uint64_t seen = seat(first);
            turn_ = first;
            auto met = attempt(first, deadline.sooner(kMeeting));
            if (met) check_seat(first, seen);
            if (met || !is_full(met.error())) return met;
        }
        if (deadline.passed()) return fail(Errc::timed_out, "send");
        if (meets) continue;
        if (Result<void> waited = wait_for_any(first, bytes, deadline); !waited) {
            return std::unexpected(waited.error());
        }
    }
}

// Ok also when nothing changed: the caller tries again.
Result<void> Routes::wait_for_any(std::uint32_t station, std::uint64_t bytes, Deadline deadline) {
    STOA_CRASH_POINT("mailbox.route.full");
    Result<void> waited;
    if (at_.plan_.pool_count > 0) {
        const Result<Queue*> queue = at_.make_queue(station);
        if (!queue) return std::unexpected(queue.error());
        const auto room = [&] {
            const std::uint32_t open = has_choice() ? open_stations() : 0;
            for (std::uint32_t i = 0; i < open; ++i) {
                if (receives(seat(i)) && at_.queue_has_room(i, bytes)) return true;
            }
            return at_.queue_has_room(station, bytes);
        };
        waited = (*queue)->wait_for_room(deadline.sooner(g_wait_slice), room);
        if (Result<void> looked = at_.look_around(); !looked) return looked;
    } else {
        Result<OpenLane*> lane = lane_to(station);
        if (!lane) return std::unexpected(lane.error());
        const bool alone = !has_choice() || another(station, station) == station;
        waited = (*lane)->out.wait_for_room(
            bytes, deadline.sooner(alone ? std::chrono::nanoseconds{g_wait_slice}
                                         : std::chrono::nanoseconds{kLaneWait}));
        if (Result<void> looked = at_.look_if_due(); !looked) return looked;
    }
    if (!waited && waited.error().code != Errc::timed_out) return waited;
    return {};
}

Result<void> Routes::send(Bytes message, const SendOptions& options, Deadline deadline) {
    const bool meets = at_.plan_.capacity.kind == Capacity::Kind::zero;
    if (meets && (options.time_to_live.count() > 0 || at_.plan_.time_to_live_ns > 0)) {
        return meet_in_time(message, options, deadline);
    }
    return with_a_receiver(message.size(), options, deadline,
                           [&](std::uint32_t station, Deadline until) {
                               if (at_.plan_.pool_count == 0)
                                   return send_on_lane(station, message, until);
                               const Result<Queue*> queue = at_.make_queue(station);
                               if (!queue) return Result<void>{std::unexpected(queue.error())};
                               return (*queue)->send(message, options, until);
                           });
}

// A rendezvous whose message expires: its time runs over all that it tries, and ends the last one.
Result<void> Routes::meet_in_time(Bytes message, const SendOptions& options, Deadline deadline) {
    std::chrono::nanoseconds whole = options.time_to_live;
    if (whole.count() == 0) whole = std::chrono::nanoseconds{at_.plan_.time_to_live_ns};
    const Deadline over = Deadline::after(whole);
    bool tried = false;
    return with_a_receiver(
        message.size(), options, deadline.sooner(whole),
        [&](std::uint32_t station, Deadline until) {
            if (tried && over.passed()) {
                return Result<void>{fail(Errc::timed_out, "send (its time to live)")};
            }
            tried = true;
            SendOptions now = options;
            now.time_to_live = std::max(over.left(whole), std::chrono::nanoseconds{1});
            // So that it ends by its time, which is counted, and not by the end of this wait.
            if (!until.is_immediate() && now.time_to_live <= kMeeting) until = deadline;
            const Result<Queue*> queue = at_.make_queue(station);
            if (!queue) return Result<void>{std::unexpected(queue.error())};
            return (*queue)->send(message, now, until);
        });
}

Result<PoolTicket> Routes::send_with_receipt(Bytes message, const SendOptions& options,
                                             Deadline deadline) {
    return with_a_receiver(message.size(), options, deadline,
                           [&](std::uint32_t station, Deadline until) {
                               const Result<Queue*> queue = at_.make_queue(station);
                               if (!queue)
                                   return Result<PoolTicket>{std::unexpected(queue.error())};
                               return (*queue)->send_with_receipt(message, options, until);
                           });
}

Result<PoolLoan> Routes::reserve(std::uint64_t bytes, Deadline deadline) {
    return with_a_receiver(bytes, {}, deadline, [&](std::uint32_t station, Deadline until) {
        const Result<Queue*> queue = at_.make_queue(station);
        if (!queue) return Result<PoolLoan>{std::unexpected(queue.error())};
        return (*queue)->reserve(bytes, until);
    });
}

Result<void> Routes::commit(PoolLoan& loan, std::uint32_t bytes, const SendOptions& options,
                            Deadline deadline) {
    const std::uint32_t station = at_.station_of(loan.station);
    const Result<Queue*> queue = at_.make_queue(station);
    if (!queue) return std::unexpected(queue.error());
    const std::uint64_t seen = seat(station);
    Result<void> sent = (*queue)->commit(loan, bytes, options, deadline);
    if (sent) check_seat(station, seen);
    return sent;
}

// The lane to a station; another one when the last was handed over.
Result<Routes::OpenLane*> Routes::lane_to(std::uint32_t station) {
    if (lanes_.empty()) lanes_.resize(at_.plan_.station_count);
    std::unique_ptr<OpenLane>& lane = lanes_[station];
    if (lane != nullptr) {
        LaneDoor& door = *lane->at;
        if (door.station.load(kRelaxed) == lane->station_word || lane->out.loan_is_open())
            [[likely]]
            return lane.get();
        door.sender.store(0, kSeqCst);  // whoever sends to that station next may have it
        lane.reset();
    }
    for (;;) {
        const Result<std::uint32_t> door = at_.take_door(station);
        if (!door) return std::unexpected(door.error());
        // Who closed it after this look finds the lane when it looks for the end.
        if (at_.region_.closed()) {
            at_.door(*door).sender.store(0, kSeqCst);
            return fail(Errc::closed, "send");
        }
        const std::uint32_t word = at_.door(*door).station.load(kSeqCst);
        if (leads_to(word) != station + 1) {  // handed over meanwhile
            at_.door(*door).sender.store(0, kSeqCst);
            continue;
        }
        Result<LaneOut> out = at_.lane_to(*door);
        if (!out) return std::unexpected(out.error());
        lane = std::make_unique<OpenLane>(OpenLane{*door, &at_.door(*door), word, std::move(*out)});
        return lane.get();
    }
}

Result<void> Routes::send_on_lane(std::uint32_t station, Bytes message, Deadline deadline) {
    Result<OpenLane*> lane = lane_to(station);
    if (!lane) return std::unexpected(lane.error());
    return (*lane)->out.send(message, deadline);
}

Result<std::span<std::byte>> Routes::reserve_in_lane(std::uint64_t bytes, Deadline deadline,
                                                     LaneOut*& out) {
    using Room = Result<std::span<std::byte>>;
    return with_a_receiver(bytes, {}, deadline, [&](std::uint32_t station, Deadline until) {
        Result<OpenLane*> lane = lane_to(station);
        if (!lane) return Room{std::unexpected(lane.error())};
        out = &(*lane)->out;
        return out->reserve(bytes, until);
    });
}

// --- receiving ----------------------------------------------------------------------------------

// The stations of nobody where messages may wait: those whose bit is set, and, since whoever is to
// set it, or cleared it and looks again, may have stopped, those where some are seen, or to which
// doors lead. What somebody holds is his to read, or to hand over, whatever its bit says.
std::uint64_t Routes::orphaned() {
    const std::uint64_t bits = at_.layout_->orphans.load(kSeqCst);
    std::uint64_t found = 0;
    for (std::uint32_t i = 0; i < open_stations(); ++i) {
        if (seat(i) != 0) continue;
        found |= bits & 1ULL << i;
        if (at_.plan_.pool_count == 0) continue;
        const Result<Queue*> queue = at_.find_queue(i);
        if (queue && *queue != nullptr && (*queue)->has_messages()) found |= 1ULL << i;
    }
    const std::uint32_t lanes =
        std::min(at_.layout_->lanes_open.load(kSeqCst), at_.plan_.lane_count);
    for (std::uint32_t i = 0; i < lanes; ++i) {
        const std::uint32_t to = leads_to(at_.door(i).station.load(kSeqCst)) - 1;
        if (to < at_.plan_.station_count && seat(to) == 0) found |= 1ULL << to;
    }
    return found;
}

// A message of a receiver that went. Errors: empty, corrupt, what looking around says
Result<PoolLoan> Routes::take_orphan() {
    Atomic<std::uint64_t>& orphans = at_.layout_->orphans;
    for (std::uint64_t left = orphaned(); left != 0; left &= left - 1) {  // H1
        const auto station = static_cast<std::uint32_t>(std::countr_zero(left));
        const std::uint64_t bit = 1ULL << station;
        if (station >= at_.plan_.station_count) {
            orphans.fetch_and(~bit, kSeqCst);
            continue;
        }
        const Result<Queue*> queue = at_.find_queue(station);
        if (!queue) return std::unexpected(queue.error());
        if (*queue != nullptr && seat(station) == 0) {
            Result<PoolLoan> loan = (*queue)->receive(Deadline::immediately());  // H2
            if (loan) {
                if (!loan->redelivered) at_.count_handed_over();
                loan->redelivered = true;
                return loan;
            }
            if (loan.error().code != Errc::empty && loan.error().code != Errc::end_of_stream) {
                return loan;
            }
        }
        orphans.fetch_and(~bit, kSeqCst);  // H3
        STOA_CRASH_POINT("mailbox.orphan.lowered");
        if (seat(station) == 0 && *queue != nullptr && (*queue)->has_messages()) {
            orphans.fetch_or(bit, kSeqCst);  // H4
        }
    }
    return fail(Errc::empty, "receive");
}

// Whether a closed mailbox holds nothing that might still come to us.
bool Routes::all_drained() {
    for (std::uint32_t i = 0; i < open_stations(); ++i) {
        if (at_.plan_.pool_count == 0) break;
        const Result<Queue*> queue = at_.make_queue(i);  // so that it can be sealed
        if (queue && !(*queue)->is_drained()) return false;
    }
    const std::uint32_t lanes =
        std::min(at_.layout_->lanes_open.load(kSeqCst), at_.plan_.lane_count);
    for (std::uint32_t i = 0; i < lanes; ++i) {
        if (at_.door(i).ready.load(kSeqCst) == 0) continue;
        const Result<LaneCounts> counts =
            count_lane(at_.lane_memory(i), at_.door(i).end_position());
        if (counts && counts->depth > 0) return false;
    }
    return true;
}

Result<PoolLoan> Routes::receive(Deadline deadline) {
    const Result<Queue*> queue = at_.make_queue(at_.seat_);
    if (!queue) return std::unexpected(queue.error());
    Queue& own = **queue;
    for (;;) {
        const bool ending = at_.region_.closed();
        Result<PoolLoan> loan = own.receive(Deadline::immediately());
        if (loan) return loan;
        const Errc code = loan.error().code;
        if (code != Errc::empty && code != Errc::end_of_stream) return loan;
        Result<PoolLoan> orphan = take_orphan();
        if (orphan || orphan.error().code != Errc::empty) return orphan;
        const bool drained = code == Errc::end_of_stream;
        if (drained && all_drained()) return loan;
        if (deadline.passed()) {
            return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "receive");
        }
        const auto ready = [&] {
            return orphaned() != 0 || (!drained && own.is_worth_a_look()) ||
                   (!ending && at_.region_.closed());
        };
        const Result<void> waited =
            own.wait_for_message(ending ? deadline.sooner(g_wait_slice) : deadline, ready);
        if (!waited && waited.error().code != Errc::timed_out) {
            return std::unexpected(waited.error());
        }
    }
}

bool Routes::is_readable() {
    const auto over = [](void* context) {
        return static_cast<Attachment*>(context)->routes_->all_drained();
    };
    if (at_.plan_.pool_count == 0) return at_.lane_in_->is_readable(over);
    const Result<Queue*> queue = at_.make_queue(at_.seat_);
    if (!queue || orphaned() != 0 || (*queue)->has_messages()) return true;
    return at_.region_.closed() && all_drained();
}

bool Routes::is_writable(std::uint64_t bytes) {
    const std::uint32_t open = open_stations();
    bool anybody = false;
    bool all = true;
    for (std::uint32_t i = 0; i < open; ++i) {
        if (!receives(seat(i))) continue;
        anybody = true;
        const bool there = i < lanes_.size() && lanes_[i] != nullptr;
        const bool has_room = at_.plan_.pool_count > 0
                                  ? at_.queue_has_room(i, bytes)
                                  : !there || lanes_[i]->out.is_writable(bytes);
        if (has_room && has_choice()) return true;
        all = all && has_room;
    }
    if (anybody) return all && !has_choice();
    // Station 0 keeps it until a receiver comes.
    if (at_.plan_.pool_count > 0) return at_.queue_has_room(0, bytes);
    return lanes_.empty() || lanes_[0] == nullptr || lanes_[0]->out.is_writable(bytes);
}

void Routes::arm_senders() noexcept {
    for (const std::unique_ptr<OpenLane>& lane : lanes_) {
        if (lane != nullptr) lane->out.arm();
    }
}

void Routes::disarm_senders() noexcept {
    for (const std::unique_ptr<OpenLane>& lane : lanes_) {
        if (lane != nullptr) lane->out.disarm();
    }
}

// The lanes of a receiver that went lead to us from now on. Its seat is held meanwhile, so that
// nobody else reads them; a mark in it keeps senders away.
bool Routes::adopt_lanes(std::uint32_t station) noexcept {
    Atomic<std::uint64_t>& held = at_.station(station).seat;
    Atomic<std::uint64_t>& orphans = at_.layout_->orphans;
    const std::uint64_t bit = 1ULL << station;
    const std::uint64_t mine = at_.holder_word() | kHandingOver;
    std::uint64_t nobody = 0;
    // Held: another heir is at it, or its new holder reads them. The bit is theirs: who stopped
    // between clearing it and looking again would hide what comes to lie there meanwhile.
    if (!held.compare_exchange_strong(nobody, mine, kSeqCst)) return false;
    STOA_CRASH_POINT("mailbox.adopt.seat_held");
    bool any = false;
    const auto adopt = [&](bool change) {
        const std::uint32_t lanes =
            std::min(at_.layout_->lanes_open.load(kSeqCst), at_.plan_.lane_count);
        for (std::uint32_t i = 0; i < lanes; ++i) {
            std::uint32_t word = at_.door(i).station.load(kSeqCst);
            if (leads_to(word) != station + 1) continue;
            if (!change) return true;
            const std::uint32_t ours = (at_.seat_ + 1) | kHandedOver | ((word >> 8U) + 1) << 8U;
            if (!at_.door(i).station.compare_exchange_strong(word, ours, kSeqCst)) continue;
            // Read behind the CAS: who comes later to this door knows where it leads.
            at_.lane_in_->expect_handed_over(i, at_.turn_of_sender(i));
            any = true;
        }
        return false;
    };
    static_cast<void>(adopt(true));
    STOA_CRASH_POINT("mailbox.adopt.adopted");
    orphans.fetch_and(~bit, kSeqCst);  // H3
    std::uint64_t ours = mine;
    held.compare_exchange_strong(ours, 0, kSeqCst);
    STOA_CRASH_POINT("mailbox.adopt.released");
    if (adopt(false) && seat(station) == 0) orphans.fetch_or(bit, kSeqCst);  // H4
    return any;
}

Result<LaneMessage> Routes::take(Deadline deadline) {
    LaneIn& own = *at_.lane_in_;
    for (;;) {
        Result<LaneMessage> message = own.take(Deadline::immediately());
        if (message) return message;
        const Errc code = message.error().code;
        if (code != Errc::empty && code != Errc::end_of_stream) return message;
        bool adopted = false;
        for (std::uint64_t left = orphaned(); left != 0; left &= left - 1) {
            adopted |= adopt_lanes(static_cast<std::uint32_t>(std::countr_zero(left)));
        }
        if (adopted) {
            if (Result<void> attached = own.attach_lanes(); !attached) {
                return std::unexpected(attached.error());
            }
            continue;
        }
        const bool drained = code == Errc::end_of_stream;
        if (drained && all_drained()) return message;
        if (deadline.passed()) {
            return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "receive");
        }
        const Result<void> waited =
            own.wait_for_message(drained ? deadline.sooner(g_wait_slice) : deadline);
        if (!waited && waited.error().code != Errc::timed_out &&
            waited.error().code != Errc::end_of_stream) {
            return std::unexpected(waited.error());
        }
        if (Result<void> looked = at_.look_if_due(); !looked) {
            return std::unexpected(looked.error());
        }
        if (drained) own.nap(deadline.left(kEndNap));
    }
}

}  // namespace stoa
