#include <algorithm>

#include "stoa/base/crash_point.hpp"
#include "stoa/mailbox/attachment.hpp"
#include "stoa/mailbox/routes.hpp"

// The pool rings of a mailbox: one per station, or the segments of an unbounded one.
namespace stoa {

// Whether this handle is the one that receives what waits there.
bool Attachment::receives_at(std::uint32_t i) const noexcept {
    if (!has(role_, Role::receives)) return false;
    if (plan_.sharing == Sharing::pair) return i == 1 - seat_;
    return !plan_.routed() || i == seat_;
}

Result<PoolEngine*> Attachment::attach_ring(std::uint32_t i, std::uint32_t which) {
    const Result<PoolRing> ring = PoolRing::attach(plan_.pool_of(region_.content(), which),
                                                   plan_.extras_of(region_.content(), which));
    if (!ring) return std::unexpected(ring.error());
    const PoolPolicy policy{
        .overflow = plan_.overflow,
        .rendezvous = plan_.capacity.kind == Capacity::Kind::zero,
        .keep_expired = plan_.keep_expired,
        .time_to_live_ns = plan_.time_to_live_ns,
        .capacity = plan_.slot_per_chunk() && !plan_.grows() ? plan_.capacity.messages : 0};
    // Routed: a sender that waits may go on when any receiver has room, so one bell serves all.
    Atomic<std::uint32_t>& space = station(plan_.routed() ? 0 : i).bells.space;
    if (pools_.size() <= which) pools_.resize(which + 1);
    // Whoever receives dead letters takes them from all rings, and sleeps on one bell for all.
    Atomic<std::uint32_t>& letters = station(0).bells.letters;
    pools_[which] = std::make_unique<PoolEngine>(*ring, which, station(i).bells, space, letters,
                                                 policy, waiting_, host());
    return pools_[which].get();
}

Result<PoolEngine*> Attachment::engine_of(std::uint32_t i, const Segment& segment) {
    const std::uint32_t slot = segment.slot;
    if (slot < pools_.size() && pools_[slot] != nullptr && generations_[slot] == segment.generation)
        [[likely]]
        return pools_[slot].get();
    const Result<PoolEngine*> engine = attach_ring(i, slot);
    if (!engine) return engine;
    generations_.resize(pools_.size());
    generations_[slot] = segment.generation;
    return engine;
}

Result<Queue*> Attachment::find_queue(std::uint32_t i) {
    if (queues_.empty()) queues_.resize(plan_.pool_count);
    std::unique_ptr<Queue>& queue = queues_[i];
    if (queue != nullptr) return queue.get();
    PoolEngine* one = nullptr;
    if (plan_.grows()) {
        if (!segments_->last(i)) return nullptr;
    } else {
        if (station(i).ready.load(kSeqCst) == 0) return nullptr;
        const Result<PoolEngine*> engine = attach_ring(i, i);
        if (!engine) return std::unexpected(engine.error());
        one = *engine;
    }
    queue = std::make_unique<Queue>(*this, i, one, receives_at(i));
    return queue.get();
}

// The ring of a station that has none yet. Several may be at it: all write the same.
Result<void> Attachment::make_ring(std::uint32_t i) {
    const PoolGeometry& pool = plan_.pool;
    Result<void> made = region_.reserve(plan_.pool_offset(i), pool.total_bytes);
    if (made && plan_.extras_at_once()) {
        made = region_.reserve(plan_.extras_offset + i * pool.extra_bytes, pool.extra_bytes);
    }
    STOA_CRASH_POINT("mailbox.station.reserved");
    if (made) made = plan_.write_ring(region_.content(), i);
    STOA_CRASH_POINT("mailbox.station.made");
    if (made) station(i).ready.store(1, kSeqCst);
    return made;
}

Result<Queue*> Attachment::make_queue(std::uint32_t i) {
    const Result<Queue*> there = find_queue(i);
    if (!there || *there != nullptr) return there;
    Result<void> made = plan_.grows() ? segments_->grow(i, {}) : make_ring(i);
    while (!made && made.error().code == Errc::quota_reached && make_room()) {
        made = segments_->grow(i, {});
    }
    if (!made) return std::unexpected(made.error());
    const Result<Queue*> queue = find_queue(i);
    if (queue && *queue == nullptr) return fail(Errc::corrupt, "mailbox");  // it leads nowhere
    return queue;
}

Result<void> Attachment::find_queues() {
    for (std::uint32_t i = 0; i < plan_.pool_count; ++i) {
        const Result<Queue*> queue = find_queue(i);
        if (!queue) return std::unexpected(queue.error());
        // Bounded, without routing: every ring is there before the name is.
        if (*queue == nullptr && !plan_.routed() && !plan_.grows()) {
            return fail(Errc::bad_layout, "mailbox");
        }
    }
    return {};
}

void Attachment::for_each_ring(Pin why, const std::function<void(PoolEngine&)>& visit) {
    for (std::uint32_t i = 0; i < plan_.pool_count; ++i) {
        if (!plan_.grows()) {
            if (!find_queue(i) || pools_.size() <= i || pools_[i] == nullptr) continue;
            visit(*pools_[i]);
            continue;
        }
        std::vector<Segment> chain;
        segments_->list(i, 0, chain);
        for (const Segment& segment : chain) {
            if (!segments_->hold(why, segment)) continue;
            if (const Result<PoolEngine*> ring = engine_of(i, segment)) visit(**ring);
        }
    }
    if (plan_.grows()) segments_->let_go(why);
}

// --- what a handle holds ------------------------------------------------------------------------

// A segment stays while something of it is lent; what gives the last of it back touches it a little
// longer, and is kept for that by a pin.
template <typename Use>
std::invoke_result_t<Use&, PoolEngine&> Attachment::with_ring(std::uint32_t ring,
                                                              Use&& use) noexcept {
    if (!plan_.grows()) return use(*pools_[ring]);
    const Segment segment{.slot = ring, .generation = generations_[ring]};
    const bool held = segments_->is_held(segment) || segments_->hold(Pin::hand, segment);
    auto done = use(*pools_[ring]);
    if (!held) return done;  // damaged memory: nothing is given back there
    if (segments_->is_held(segment)) return done;
    segments_->let_go(Pin::hand);
    const std::uint32_t i = segments_->station_of(ring);
    if (i < plan_.pool_count) segments_->retire(i, segment);
    return done;
}

bool Attachment::release(const PoolLoan& loan) noexcept {
    return with_ring(loan.station, [&](PoolEngine& ring) { return ring.release(loan); });
}

bool Attachment::ack(const PoolLoan& loan) noexcept {
    return with_ring(loan.station, [&](PoolEngine& ring) { return ring.ack(loan); });
}

bool Attachment::nack(const PoolLoan& loan, std::string_view error) noexcept {
    const std::uint32_t i = station_of(loan.station);
    const bool returned =
        with_ring(loan.station, [&](PoolEngine& ring) { return ring.nack(loan, error); });
    if (routes_) routes_->returned_to(i);
    return returned;
}

void Attachment::free_receipt(const PoolTicket& ticket) noexcept {
    if (!waits_.empty()) [[unlikely]]
        end_waits(&ticket);
    with_ring(ticket.station, [&](PoolEngine& ring) {
        ring.free_receipt(ticket);
        return true;
    });
}

Result<Answer> Attachment::withdraw(const PoolTicket& ticket) {
    return with_ring(ticket.station, [&](PoolEngine& ring) { return ring.withdraw(ticket); });
}

std::uint32_t Attachment::station_of(std::uint32_t ring) const noexcept {
    return plan_.grows() ? std::min(segments_->station_of(ring), plan_.station_count - 1) : ring;
}

// --- all of them --------------------------------------------------------------------------------

// Memory for notes and receipts, by whoever needs them first. Segments have it from the start.
Result<void> Attachment::open_extras() {
    if (plan_.grows()) return fail(Errc::not_supported, "send (create the mailbox with receipts)");
    for (std::uint32_t i = 0; i < pools_.size(); ++i) {
        if (!pools_[i] || pools_[i]->ring().has_extras()) continue;
        const Result<void> reserved = region_.reserve(
            plan_.extras_offset + i * plan_.pool.extra_bytes, plan_.pool.extra_bytes);
        if (!reserved) return reserved;
        STOA_CRASH_POINT("mailbox.extras.reserved");
        pools_[i]->ring().open_extras();
    }
    return {};
}

bool Attachment::queue_is_full(std::uint32_t i) {
    const Result<Queue*> queue = find_queue(i);
    return queue && *queue != nullptr && (*queue)->seems_full();
}

// A place and memory: either may be what is missing.
bool Attachment::queue_has_room(std::uint32_t i, std::uint64_t bytes) {
    const Result<Queue*> queue = find_queue(i);
    return !queue || *queue == nullptr || (*queue)->seems_to_have_room(bytes);
}

// Segments that nobody needs any more, also those whose last user stopped or died before he looked.
void Attachment::retire_segments() noexcept {
    if (segments_->in_use() <= 1) return;
    std::vector<Segment> chain;
    for (std::uint32_t i = 0; i < plan_.pool_count; ++i) {
        const bool left = list_backlog(i, chain) == 0 && plan_.sharing == Sharing::broadcast;
        for (const Segment& segment : chain) {
            left ? give_up(i, segment, false) : segments_->retire(i, segment);
        }
    }
}

void Attachment::wake_all() const noexcept {
    // Whoever takes a further station meanwhile looks before it sleeps.
    const std::uint32_t open = std::max(layout_->stations_open.load(kSeqCst), 1U);
    const std::uint32_t count =
        plan_.routed() ? std::min(open, plan_.station_count) : plan_.station_count;
    for (std::uint32_t i = 0; i < count; ++i) {
        ring_bell_for_all(station(i).bells.messages);
        ring_bell_for_all(station(i).bells.space);
    }
    ring_bell_for_all(station(0).bells.letters);
    if (plan_.grows()) return;  // who waits for a receipt there looks again after a slice
    for (const std::unique_ptr<PoolEngine>& pool : pools_) {
        if (pool) pool->wake_all();
    }
}

}  // namespace stoa
