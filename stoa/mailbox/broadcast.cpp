#include <algorithm>
#include <cstring>

#include "stoa/base/crash_point.hpp"
#include "stoa/mailbox/attachment.hpp"

// Broadcast: every subscriber gets each message. A station is a subscriber. Plain mailboxes have a
// log per sender, in which each subscriber has a cursor of its station's number; where priorities,
// acknowledgement, receipts or times to live are asked for, each subscriber has a pool ring, and
// a send puts a copy into each.
//
// Order of joining a log and of making one (seq_cst):
//   subscriber  B1 takes its seat       B2 joins the logs whose door is ready
//   sender      L1 makes the log        L2 enrolls who has a seat     L3 the door is ready
//               L4 reads the seats again: enrolls newcomers, drops who went     then sends
// Death: of a subscriber: its seat is cleared, then its cursors are dropped, by whoever sweeps; in
// the reverse order an enrolment on its way would leak a cursor. So is it of one that leaves: who
// takes its seat meanwhile drops what it left.
namespace stoa {
namespace {

constexpr std::uint64_t kCopied = UINT64_MAX;  // in a loan's word: the message is our own memory

// There is no room now; what may change that is what receivers do, or a death.
bool is_full(const Error& error) noexcept {
    return error.code == Errc::full || error.code == Errc::quota_reached;
}

std::unexpected<Error> missing_receiver() noexcept {
    return fail(Errc::bad_argument, "receive (this handle does not receive)");
}

}  // namespace

std::uint64_t Attachment::subscriber(std::uint32_t i) const noexcept {
    return station(i).seat.load(kSeqCst);
}

// L2 and L4.
void Attachment::enroll_subscribers(std::uint32_t log) noexcept {
    Result<LogSeats> seats = LogSeats::open(lane_memory(log));
    if (!seats) return;
    for (std::uint32_t i = 0; i < plan_.station_count; ++i) {
        const std::uint64_t seat = subscriber(i);
        const std::uint64_t holder = seat & ~kLatest;
        const std::uint64_t there = seats->holder(i);
        if (there != 0 && there != holder) seats->drop(i, there);  // it went meanwhile
        if (holder == 0 || there == holder) continue;
        STOA_CRASH_POINT("mailbox.enroll.before");
        static_cast<void>(
            seats->enroll(i, holder, (seat & kLatest) != 0 ? LogMode::latest : LogMode::reliable));
        if (subscriber(i) != seat) seats->drop(i, holder);
    }
}

Result<void> Attachment::make_log(std::uint32_t lane) {
    const std::uint64_t offset = plan_.lanes_offset + lane * plan_.lane_stride;
    region_.give_back(offset, plan_.lane_stride);  // what a dead one left half made
    Result<void> made = region_.reserve(offset, plan_.lane_stride);
    if (made) made = create_log(lane_memory(lane), plan_.log);  // L1
    if (!made) {
        region_.give_back(offset, plan_.lane_stride);
        return made;
    }
    enroll_subscribers(lane);
    STOA_CRASH_POINT("mailbox.log.enrolled");
    return {};
}

Result<void> Attachment::make_broadcast_engines() {
    if (role_ == Role::none || plan_.pool_count > 0) return {};
    Atomic<std::uint32_t>& bell = station(0).bells.messages;
    if (has(role_, Role::sends)) {
        const Result<std::uint32_t> lane = take_door(0);
        if (!lane) return std::unexpected(lane.error());
        enroll_subscribers(*lane);
        Result<LogWriter> writer = LogWriter::attach(lane_memory(*lane), publisher_fence());
        if (!writer) return std::unexpected(writer.error());
        log_out_ = std::make_unique<LogOut>(std::move(*writer), plan_.type_alignment, bell,
                                            end_of_lane(*lane), waiting_, around_a_send());
    }
    if (!has(role_, Role::receives)) return {};
    const auto count = [](void* context) {
        const Attachment& self = *static_cast<Attachment*>(context);
        return std::min(self.layout_->lanes_open.load(kSeqCst), self.plan_.lane_count);
    };
    const auto memory = [](void* context, std::uint32_t lane) -> std::span<std::byte> {
        const Attachment& self = *static_cast<Attachment*>(context);
        if (self.door(lane).ready.load(kSeqCst) == 0) return {};
        return self.lane_memory(lane);
    };
    const LogPlace place{.index = seat_,
                         .holder = holder_word(),
                         .mode = latest_ ? LogMode::latest : LogMode::reliable,
                         .start = from_oldest_ ? LogStart::oldest_kept : LogStart::now,
                         .is_given = true};  // with the seat
    const auto end = [](void* context, std::uint32_t lane) {
        return static_cast<Attachment*>(context)->end_of_lane(lane);
    };
    log_in_ = std::make_unique<LogIn>(
        LaneSource{.count = count, .memory = memory, .context = this, .end = end}, place, bell,
        waiting_, around());
    return log_in_->attach_logs();  // B2
}

// --- sending ------------------------------------------------------------------------------------

Result<void> Attachment::broadcast(Bytes message, const SendOptions& options, Deadline deadline) {
    if (plan_.pool_count > 0) return broadcast_copies(message, options, deadline);
    if (!options.fits_lane()) return refuse(options);
    return log_out_->send(message, overflow_deadline(deadline));
}

// --- copies -------------------------------------------------------------------------------------

// C1 claim a chunk in the ring of every subscriber who can hold the sender back, and fill it. Who
//    has none gives all back: the send has failed and left no trace, or waits and begins again.
// C2 publish one after the other. A claimed chunk finds a slot (PoolDemand::slot_per_chunk), so
//    none of them fails; who holds nobody back makes room with what waited for him.
// Only what an unbounded queue left behind, sealed, while its sender stood between C1 and C2, is of
// no use; then that copy is claimed again, and waited for if others have theirs. A sender that dies
// in C2 leaves a message that some subscribers have; what it had claimed is freed by the sweep. Who
// leaves meanwhile is left out, who comes meanwhile begins with what is sent afterwards.

bool Attachment::holds_nobody_back(std::uint64_t seat) const noexcept {
    const bool drops =
        plan_.overflow == Overflow::drop_oldest || plan_.overflow == Overflow::drop_newest;
    return drops || (seat & kLatest) != 0;
}

void Attachment::give_back(Copy& copy) noexcept {
    if (copy.claim.loan.chunk == kNoChunk) return;
    release(copy.claim.loan);
    copy.claim = {};
}

Result<void> Attachment::claim_copy(std::uint32_t i, Bytes message, const SendOptions& options) {
    const std::uint64_t seat = subscriber(i);
    if (seat == 0) return {};
    const Result<Queue*> queue = find_queue(i);
    if (!queue) return std::unexpected(queue.error());
    if (*queue == nullptr) return {};  // it is still coming
    Copy copy{.station = i, .seat = seat};
    if (!holds_nobody_back(seat)) {
        const Result<PoolClaim> claim = (*queue)->claim(message, options);
        if (!claim) return std::unexpected(claim.error());
        copy.claim = *claim;
    }
    copies_.push_back(copy);
    return {};
}

// C1. The one that was full comes first: who waits for it claims nothing meanwhile, and so is in no
// other sender's way.
Result<void> Attachment::try_claim_copies(Bytes message, const SendOptions& options) {
    const std::uint32_t open = std::min(layout_->stations_open.load(kSeqCst), plan_.station_count);
    copies_.clear();
    for (std::uint32_t n = 0; n < open; ++n) {
        const std::uint32_t i = n == 0 ? tight_ : n <= tight_ ? n - 1 : n;
        Result<void> claimed = claim_copy(i, message, options);
        if (claimed) continue;
        for (Copy& copy : copies_) give_back(copy);
        tight_ = i;
        return claimed;
    }
    return {};
}

// What nobody is owed holds nobody back.
Result<void> Attachment::claim_copies(Bytes message, const SendOptions& options) {
    Result<void> claimed = try_claim_copies(message, options);
    while (!claimed && claimed.error().code == Errc::quota_reached && make_room()) {
        claimed = try_claim_copies(message, options);
    }
    return claimed;
}

Result<void> Attachment::broadcast_copies(Bytes message, const SendOptions& options,
                                          Deadline deadline) {
    const bool noted = options.time_to_live.count() != 0;
    if (options.priority >= plan_.priorities ||
        (noted && plan_.grows() && !plan_.extras_at_once())) {
        return refuse(options);
    }
    Result<void> claimed = claim_copies(message, options);
    if (!claimed && is_full(claimed.error())) {
        if (Result<void> looked = look_if_due(); !looked) return looked;
        claimed = claim_copies(message, options);  // it was a dead one's perhaps
        const bool full = !claimed && claimed.error().code == Errc::full;
        if (full && plan_.overflow == Overflow::block && !deadline.is_immediate()) {
            const auto ready = [&] {
                claimed = claim_copies(message, options);
                return claimed || claimed.error().code != Errc::full;
            };
            const Result<void> waited = queues_[tight_]->wait_for_room(deadline, ready);
            if (!waited) return waited;
        }
    }
    if (!claimed) return claimed;
    STOA_CRASH_POINT("mailbox.broadcast.claimed");
    if (noted && !plan_.grows()) claimed = open_extras();  // of all, before the first is sent
    if (claimed) claimed = send_copies(message, options);
    for (Copy& copy : copies_) give_back(copy);
    return claimed;
}

// C2.
Result<void> Attachment::send_copies(Bytes message, const SendOptions& options) {
    bool begun = false;
    for (Copy& copy : copies_) {
        if (subscriber(copy.station) != copy.seat) continue;
        Result<void> sent = send_copy(copy, message, options, begun);
        // It was closed meanwhile: who has heard the end already is like one that left.
        if (!sent && (!begun || sent.error().code != Errc::closed)) return sent;
        begun = true;
        STOA_CRASH_POINT("mailbox.broadcast.copied");
    }
    return {};
}

Result<void> Attachment::send_copy(Copy& copy, Bytes message, const SendOptions& options,
                                   bool begun) {
    if (holds_nobody_back(copy.seat)) return send_dropping(copy, message, options);
    Queue& queue = *queues_[copy.station];
    while (copy.claim.loan.chunk != kNoChunk) {
        Result<void> sent = queue.send_claimed(copy.claim);
        if (sent) copy.claim = {};
        if (sent || sent.error().code != Errc::full) return sent;
        if (Result<void> again = claim_again(copy, message, options, begun); !again) return again;
    }
    return {};
}

// To one who holds nobody back. Where an unbounded mailbox has no memory left its oldest messages
// go, a segment at a time; when its last one is all it has, in there; and where all of that is
// lent, it misses this one.
Result<void> Attachment::send_dropping(const Copy& copy, Bytes message,
                                       const SendOptions& options) {
    Queue& queue = *queues_[copy.station];
    const OnlyWhile still{.word = &station(copy.station).seat, .value = copy.seat};
    const bool skips = (copy.seat & kLatest) != 0;
    queue.set_overflow(skips ? Overflow::drop_oldest : plan_.overflow, still);
    for (;;) {
        Result<void> sent = queue.send(message, options, Deadline::immediately());
        if (sent || !plan_.grows()) return sent;
        const Errc code = sent.error().code;
        if (code != Errc::quota_reached && code != Errc::out_of_space) return sent;
        if (make_room()) continue;
        const Result<bool> dropped = queue.drop_in_last(options.priority, still);
        if (!dropped) return std::unexpected(dropped.error());
        if (still.holds()) station(copy.station).dropped.fetch_add(1, kRelaxed);
        if (!*dropped) return {};
    }
}

// Nothing is claimed afterwards when the subscriber has gone.
Result<void> Attachment::claim_again(Copy& copy, Bytes message, const SendOptions& options,
                                     bool begun) {
    give_back(copy);
    STOA_CRASH_POINT("mailbox.broadcast.sealed");
    Queue& queue = *queues_[copy.station];
    Result<PoolClaim> claim = fail(Errc::full, "send");
    const auto ready = [&] {
        if (subscriber(copy.station) != copy.seat) return true;
        do {
            claim = queue.claim(message, options);
        } while (!claim && claim.error().code == Errc::quota_reached && make_room());
        return claim || !is_full(claim.error());
    };
    if (!ready() && begun) {
        const Result<void> waited = queue.wait_for_room(Deadline::never(), ready);
        if (!waited) return waited;
    }
    if (subscriber(copy.station) != copy.seat && !claim) return {};
    if (!claim) return std::unexpected(claim.error());
    copy.claim = *claim;
    return {};
}

// --- receiving ----------------------------------------------------------------------------------

Result<BroadcastMessage> Attachment::subscribed(Deadline deadline) {
    if (!has(role_, Role::receives)) return missing_receiver();
    if (log_in_ != nullptr) return next_in_logs(deadline);
    const Result<Queue*> own = make_queue(seat_);
    if (!own) return std::unexpected(own.error());
    Result<PoolLoan> loan = (*own)->receive(deadline);
    if (!loan) return std::unexpected(loan.error());
    const std::uint64_t dropped = (*own)->dropped_oldest();
    BroadcastMessage got{.loan = *loan, .bytes = pool(loan->station).room(*loan)};
    // A late sender may still count what he dropped for one who skipped, and had this seat before.
    const bool may_miss = holds_nobody_back(latest_ ? kLatest : 0);
    got.missed = may_miss ? dropped - dropped_seen_ : 0;
    dropped_seen_ = dropped;
    return got;
}

Result<BroadcastMessage> Attachment::next_in_logs(Deadline deadline) {
    for (;;) {
        Result<BroadcastMessage> got = latest_ ? copy_of_next() : loan_of_next();
        if (got || got.error().code != Errc::empty) return got;
        if (region_.closed()) {
            const Result<bool> over = log_in_->is_over();
            if (!over) return std::unexpected(over.error());
            if (*over) return fail(Errc::end_of_stream, "receive");
            continue;
        }
        if (deadline.passed()) {
            return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "receive");
        }
        const Result<void> waited = log_in_->wait_for_message(deadline.sooner(g_wait_slice));
        if (!waited && waited.error().code != Errc::timed_out) {
            return std::unexpected(waited.error());
        }
    }
}

Result<BroadcastMessage> Attachment::loan_of_next() {
    const Result<LogMessage> message = log_in_->take(Deadline::immediately());
    if (!message) return std::unexpected(message.error());
    return BroadcastMessage{.loan = {.length = message->record.loan, .word = message->log},
                            .bytes = message->record.payload,
                            .copy = nullptr};
}

// Its place may be written over at any moment: it is ours only as a copy.
Result<BroadcastMessage> Attachment::copy_of_next() {
    std::vector<std::byte>& room = copy_room_;
    room.resize(plan_.max_bytes);
    const Result<LogCopied> copied = log_in_->copy(room, Deadline::immediately());
    if (!copied) return std::unexpected(copied.error());
    BroadcastMessage got{.loan = {.word = kCopied}, .bytes = {}};
    const auto bytes = static_cast<std::size_t>(copied->message.bytes);
    got.copy = std::make_unique<std::byte[]>(std::max<std::size_t>(bytes, 1));
    if (bytes > 0) std::memcpy(got.copy.get(), room.data(), bytes);
    got.bytes = {got.copy.get(), bytes};
    got.missed = copied->message.missed;
    return got;
}

void Attachment::release_in_log(const PoolLoan& loan, Bytes payload) noexcept {
    if (loan.word == kCopied) return;
    log_in_->release({.log = static_cast<std::uint32_t>(loan.word),
                      .record = {.payload = payload, .loan = loan.length}});
}

// After its seat was cleared: the cursors of a subscriber that went.
void Attachment::drop_cursors(std::uint32_t index) noexcept {
    if (plan_.sharing != Sharing::broadcast || plan_.lane_count == 0) return;
    const ParticipantRecord& gone = region_.participants().record(index);
    const std::uint64_t holder =
        holder_of(index, unpack_place(gone.word.load(kSeqCst)).incarnation);
    const std::uint32_t seat = gone.seat.load(kRelaxed);
    const std::uint32_t logs = std::min(layout_->lanes_open.load(kSeqCst), plan_.lane_count);
    for (std::uint32_t i = 0; i < logs && seat < plan_.station_count; ++i) {
        if (door(i).ready.load(kSeqCst) == 0) continue;
        // Damaged memory: there is nobody to tell, and nothing of it is to be freed.
        if (!drop_log_subscriber(lane_memory(i), seat, holder)) return;
    }
}

}  // namespace stoa
