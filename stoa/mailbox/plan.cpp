#include "stoa/mailbox/plan.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "stoa/base/size.hpp"
#include "stoa/ring/lane.hpp"
#include "stoa/ring/pool.hpp"

namespace stoa {
namespace {

constexpr std::uint32_t kMaxLoanQuota = 64;
constexpr std::uint32_t kPlannedEndpoints = 32;  // whose loan quotas are reserved beside the queue
constexpr std::uint32_t kMaxLanes = 1024;
constexpr std::uint32_t kMaxPayloadAlign = 64;
constexpr std::uint32_t kSegmentSlots = 8192;  // of a segment of 1 MiB or more
constexpr std::uint32_t kMaxSegments = 32768;
constexpr std::uint64_t kLeastShare = 64ULL << 10U;
constexpr std::uint64_t kMaxQuotaBytes = 1ULL << 40U;
constexpr std::uint32_t kRendezvousSlots = 64;  // so many senders may wait for a receiver at a time

enum Flag : std::uint32_t { kReceipts = 1, kKeepExpired = 2, kOneWay = 4, kByTurns = 8 };

bool dropping(const MailboxPlan& plan) noexcept {
    return plan.overflow == Overflow::drop_oldest || plan.overflow == Overflow::drop_newest;
}

// Lanes carry what needs nothing but order: they are faster.
bool carried_by_lanes(const MailboxPlan& plan) noexcept {
    // Only a ring that all senders share knows for whom the fewest wait.
    const bool knows_loads = plan.sharing == Sharing::least_loaded;
    return plan.sharing != Sharing::any && !knows_loads &&
           plan.capacity.kind == Capacity::Kind::bounded && !plan.acknowledged && !dropping(plan) &&
           plan.priorities == 1 && !plan.receipts && plan.time_to_live_ns == 0 && !plan.by_turns;
}

// Behind the doors, and the tables of keys and of segments where there are any.
std::uint64_t end_of_tables(MailboxPlan& plan) noexcept {
    std::uint64_t end = plan.door_offset(plan.lane_count);
    if (plan.sharing == Sharing::key_affine) {
        plan.keys_offset = end;
        end += kKeyBuckets * sizeof(std::uint64_t);
    }
    if (plan.grows()) {
        plan.used_offset = end;
        plan.segments_offset = end + align_up(plan.segment_count, 64) / 8;
        end = plan.segments_offset + plan.segment_count * sizeof(MailboxSegment);
    }
    return end;
}

// Of an unbounded mailbox: small ones where the quota is small, so that several fit into it.
std::uint64_t segment_reserve(const MailboxPlan& plan) noexcept {
    const std::uint64_t share = std::max<std::uint64_t>(plan.capacity.quota_bytes / 8, kLeastShare);
    return std::min(plan.reserve_bytes, share);
}

constexpr const char* kQuotaTooSmall = "quota (too small for one message of max_bytes)";

std::uint32_t slots_of_ring(const MailboxPlan& plan) noexcept {
    switch (plan.capacity.kind) {
        case Capacity::Kind::zero: return kRendezvousSlots;
        case Capacity::Kind::bounded: return plan.capacity.messages;
        case Capacity::Kind::unbounded: break;
    }
    const std::uint64_t slots = segment_reserve(plan) / 128 / plan.priorities;
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(slots, 4, kSegmentSlots));
}

Result<void> plan_pools(MailboxPlan& plan) {
    plan.pool_count = plan.station_count;
    const std::uint32_t endpoints = plan.sharing == Sharing::pair ? 2 : kPlannedEndpoints;
    // Of a subscriber's ring nobody else reads, and each sender claims one chunk at a time.
    const std::uint32_t loans = plan.sharing == Sharing::broadcast
                                    ? plan.loan_quota + kPlannedEndpoints
                                    : endpoints * plan.loan_quota;
    const bool unbounded = plan.capacity.kind == Capacity::Kind::unbounded;
    const std::uint32_t slots = slots_of_ring(plan);
    const PoolDemand demand{.capacity = slots,
                            .max_bytes = plan.max_bytes,
                            .reserve_bytes = unbounded ? segment_reserve(plan) : plan.reserve_bytes,
                            .loans = loans,
                            .payload_align = plan.type_alignment,
                            .acknowledged = plan.acknowledged,
                            .levels = plan.priorities,
                            .ageing_ns = plan.ageing_ns,
                            .dead_letter_after = plan.dead_letter_after,
                            .dead_letter_quota = plan.keeps_letters() ? plan.dead_letter_quota : 0,
                            .receipts = std::clamp(slots, 64U, kPoolMaxReceipts),
                            .slot_per_chunk = plan.slot_per_chunk()};
    const Result<PoolGeometry> pool = PoolGeometry::plan(demand);
    if (!pool) return std::unexpected(pool.error());
    plan.pool = *pool;
    if (unbounded) {
        const std::uint64_t count = plan.capacity.quota_bytes / plan.segment_bytes();
        if (count < plan.pool_count - (plan.routed() ? kMaxStations - 1 : 0)) {
            return fail(Errc::bad_argument, kQuotaTooSmall);
        }
        if (count > kMaxSegments) {
            return fail(Errc::bad_argument, "quota (more than 32768 segments: raise reserve)");
        }
        plan.segment_count = static_cast<std::uint32_t>(count);
    }
    // All rings are there from the start; else each is made by whoever needs it first.
    const bool fixed = !plan.routed() && !unbounded;
    plan.pools_offset = align_up(end_of_tables(plan), fixed ? kCacheLine : kPage);
    plan.pool_stride = plan.pool.total_bytes;
    const std::uint32_t rings = unbounded ? plan.segment_count : plan.pool_count;
    const std::uint64_t end = plan.pool_offset(rings);
    plan.extras_offset = align_up(end, kPage);
    plan.content_bytes = plan.extras_offset + rings * plan.pool.extra_bytes;
    plan.reserved_bytes = fixed ? end : plan.pools_offset;
    if (fixed && plan.extras_at_once()) plan.reserved_bytes = plan.content_bytes;
    return {};
}

Result<void> plan_lanes(MailboxPlan& plan) {
    const bool pair = plan.sharing == Sharing::pair;
    plan.lane_count = pair ? 2 : kMaxLanes;
    const LaneGeometry least = LaneGeometry::holding(2, plan.max_bytes);
    if (!least.valid()) return fail(Errc::bad_argument, "max_bytes (too big for a lane)");
    if (plan.reserve_bytes > kLaneMaxRingBytes) return fail(Errc::bad_argument, "reserve (4 GiB)");
    plan.lane = {.ring_bytes = std::max(least.ring_bytes, std::bit_ceil(plan.reserve_bytes)),
                 .max_record_bytes = plan.max_bytes};
    plan.lanes_offset = align_up(end_of_tables(plan), kPage);
    std::uint64_t lane_bytes = plan.lane.bytes_needed();
    if (plan.sharing == Sharing::broadcast) {
        // As many of the largest messages as wait, or what the reserve holds.
        plan.log = {.ring_bytes = plan.lane.ring_bytes,
                    .max_record_bytes = plan.max_bytes,
                    .max_waiting = plan.capacity.messages,
                    .subscribers = kMaxStations};
        if (!plan.log.valid()) return fail(Errc::bad_argument, "max_bytes (too big for a log)");
        lane_bytes = plan.log.bytes_needed();
    }
    plan.lane_stride = align_up(lane_bytes, kPage);
    plan.content_bytes = plan.lanes_offset + plan.lane_stride * plan.lane_count;
    const std::uint32_t opened = pair ? 2 : plan.routed() ? 0 : 1;
    plan.reserved_bytes = plan.lanes_offset + plan.lane_stride * opened;
    return {};
}

Result<void> check_capacity(const MailboxPlan& plan) {
    const bool zero = plan.capacity.kind == Capacity::Kind::zero;
    if (plan.capacity.kind == Capacity::Kind::bounded &&
        (plan.capacity.messages < 1 || plan.capacity.messages > kPoolMaxSlots)) {
        return fail(Errc::bad_argument, "capacity (1 to 1048576, zero or unbounded)");
    }
    if (zero && plan.sharing == Sharing::broadcast) {
        return fail(Errc::bad_argument, "capacity zero with broadcast (whom would a send meet?)");
    }
    if (zero && dropping(plan)) {
        return fail(Errc::bad_argument, "capacity zero with drop (nothing waits to be dropped)");
    }
    if (plan.capacity.kind != Capacity::Kind::unbounded) return {};
    if (dropping(plan)) {
        return fail(Errc::bad_argument, "capacity unbounded with drop (it is never full)");
    }
    if (plan.capacity.quota_bytes > kMaxQuotaBytes) {
        return fail(Errc::bad_argument, "quota (at most 1 TiB)");
    }
    return {};
}

// Words that would say nothing: refused, so that nobody relies on them.
Result<void> check_words(const MailboxPlan& plan) {
    const auto refuse = [](const char* why) { return fail(Errc::bad_argument, why); };
    if (plan.one_way && plan.sharing != Sharing::pair) {
        return refuse("one_way (only a pair has two ways)");
    }
    if (plan.by_turns && plan.sharing != Sharing::single_receiver) {
        return refuse("by_turns (turns are a kind of single_receiver)");
    }
    if (plan.dead_letter_after > 0 && !plan.acknowledged) {
        return refuse("dead_letter_after (only what is to be acked comes back)");
    }
    if (plan.dead_letter_quota != MailboxOptions{}.dead_letter_quota && !plan.keeps_letters()) {
        return refuse("dead_letter_quota (none are kept: add dead_letter_after or keep_expired)");
    }
    if (plan.grows() && plan.reserve_bytes != MailboxOptions{}.reserve_bytes &&
        segment_reserve(plan) != plan.reserve_bytes) {
        return refuse(step_text("reserve (%llu bytes; an eighth of the quota is the most, %llu)",
                                static_cast<unsigned long long>(plan.reserve_bytes),
                                static_cast<unsigned long long>(segment_reserve(plan))));
    }
    if (plan.ageing_ns > 0 && plan.priorities == 1) {
        return refuse("ageing (there is one priority only: add priorities)");
    }
    if (plan.keep_expired && plan.pool_count == 0) {
        return refuse("keep_expired (nothing expires here: add receipts or a time_to_live)");
    }
    return {};
}

// Everything that make() derives from the options, so that read() can compare.
Result<void> derive(MailboxPlan& plan) {
    if (plan.sharing > Sharing::broadcast) return fail(Errc::bad_argument, "sharing");
    if (plan.overflow > Overflow::drop_newest) return fail(Errc::bad_argument, "overflow");
    if (Result<void> good = check_capacity(plan); !good) return good;
    if (plan.loan_quota < 1 || plan.loan_quota > kMaxLoanQuota) {
        return fail(Errc::bad_argument, "loan_quota (1 to 64)");
    }
    if (plan.max_bytes < 1 || plan.max_bytes > 1U << 30U) {
        return fail(Errc::bad_argument, "max_bytes (1 to 1 GiB)");
    }
    if (plan.priorities < 1 || plan.priorities > kPoolMaxLevels) {
        return fail(Errc::bad_argument, "priorities (1 to 32)");
    }
    if (plan.dead_letter_after > 255) {
        return fail(Errc::bad_argument, "dead_letter_after (1 to 255, or never)");
    }
    if (plan.dead_letter_quota > kPoolMaxSlots) {
        return fail(Errc::bad_argument, "dead_letter_quota (at most 1048576)");
    }
    plan.station_count = plan.routed() ? kMaxStations : plan.sharing == Sharing::pair ? 2 : 1;
    return carried_by_lanes(plan) ? plan_lanes(plan) : plan_pools(plan);
}

// The same with a number: the least power of two that is enough. A text of this thread.
Error quota_too_small(MailboxPlan plan) {
    thread_local std::array<char, 128> text;
    for (plan.capacity.quota_bytes = kPage; plan.capacity.quota_bytes <= kMaxQuotaBytes;
         plan.capacity.quota_bytes *= 2) {
        if (!derive(plan)) continue;
        (void)std::snprintf(text.data(), text.size(),
                            "quota (too small for one message of max_bytes; %llu MiB are enough)",
                            static_cast<unsigned long long>(
                                std::max<std::uint64_t>(plan.capacity.quota_bytes >> 20U, 1)));
        return {.code = Errc::bad_argument, .step = text.data()};
    }
    return {.code = Errc::bad_argument, .step = kQuotaTooSmall};
}

}  // namespace

bool MailboxPlan::extras_at_once() const noexcept {
    return receipts || capacity.kind == Capacity::Kind::zero || time_to_live_ns != 0 ||
           ageing_ns != 0 || dead_letter_after != 0 || keep_expired;
}

Result<MailboxPlan> MailboxPlan::make(const MailboxOptions& options, const TypeInfo& type) {
    if ((options.mode & ~0777U) != 0 || (options.mode & 0600U) != 0600U) {
        return fail(Errc::bad_argument, "mode (its owner must be able to read and write)");
    }
    if (options.ageing.count() < 0) return fail(Errc::bad_argument, "ageing (not negative)");
    if (options.time_to_live.count() < 0) {
        return fail(Errc::bad_argument, "time_to_live (not negative)");
    }
    MailboxPlan plan;
    plan.sharing = options.sharing;
    plan.capacity = options.capacity;
    plan.acknowledged = options.acknowledged;
    plan.overflow = options.overflow;
    plan.priorities = options.priorities;
    plan.ageing_ns = static_cast<std::uint64_t>(options.ageing.count());
    plan.time_to_live_ns = static_cast<std::uint64_t>(options.time_to_live.count());
    plan.receipts = options.receipts;
    plan.dead_letter_after = options.dead_letter_after;
    plan.dead_letter_quota = options.dead_letter_quota;
    plan.keep_expired = options.keep_expired;
    plan.one_way = options.one_way;
    plan.by_turns = options.by_turns;
    plan.max_bytes = type.size == 0 ? options.max_bytes : type.size;
    plan.loan_quota = options.loan_quota;
    plan.reserve_bytes = options.reserve_bytes;
    plan.fingerprint = type.fingerprint;
    plan.type_size = type.size;
    plan.type_alignment = std::max(type.alignment, 16U);
    plan.type_text = type.text.substr(0, kTypeTextBytes - 1);
    plan.created_ns =
        static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
    if (plan.type_alignment > kMaxPayloadAlign) {
        return fail(Errc::bad_argument, "alignment of the type (at most 64)");
    }
    if (Result<void> derived = derive(plan); !derived) {
        const Error& error = derived.error();
        return std::unexpected(error.step == kQuotaTooSmall ? quota_too_small(plan) : error);
    }
    if (Result<void> said = check_words(plan); !said) return std::unexpected(said.error());
    return plan;
}

Result<MailboxPlan> MailboxPlan::read(std::span<std::byte> content) {
    const MailboxLayout* layout = layout_at<MailboxLayout>(content, 0);
    if (layout == nullptr || layout->magic != kMailboxMagic) {
        return fail(Errc::bad_layout, "mailbox");
    }
    if (layout->version != kMailboxVersion) return fail(Errc::wrong_version, "mailbox");
    MailboxPlan plan;
    const std::uint32_t flags = layout->flags;
    const std::uint32_t kind = layout->capacity_kind;
    plan.sharing = static_cast<Sharing>(layout->sharing);
    plan.capacity = {.kind = static_cast<Capacity::Kind>(kind),
                     .messages = layout->capacity,
                     .quota_bytes = layout->quota_bytes};
    plan.acknowledged = layout->acknowledged == 1;
    plan.overflow = static_cast<Overflow>(layout->overflow);
    plan.priorities = layout->priorities;
    plan.ageing_ns = layout->ageing_ns;
    plan.time_to_live_ns = layout->time_to_live_ns;
    plan.receipts = (flags & kReceipts) != 0;
    plan.keep_expired = (flags & kKeepExpired) != 0;
    plan.one_way = (flags & kOneWay) != 0;
    plan.by_turns = (flags & kByTurns) != 0;
    plan.dead_letter_after = layout->dead_letter_after;
    plan.dead_letter_quota = layout->dead_letter_quota;
    plan.max_bytes = layout->max_bytes;
    plan.loan_quota = layout->loan_quota;
    plan.reserve_bytes = layout->reserve_bytes;
    plan.fingerprint = layout->fingerprint;
    plan.type_size = layout->type_size;
    plan.type_alignment = layout->type_alignment;
    plan.created_ns = layout->created_ns;
    plan.type_text.assign(layout->type_text, strnlen(layout->type_text, kTypeTextBytes));
    if (layout->acknowledged > 1 || kind > 2 || flags > 15 || plan.type_alignment < 16 ||
        plan.type_alignment > kMaxPayloadAlign || !std::has_single_bit(plan.type_alignment) ||
        !derive(plan)) {
        return fail(Errc::bad_layout, "mailbox");
    }
    if (plan.pool_count != layout->pool_count || plan.lane_count != layout->lane_count ||
        plan.pools_offset != layout->pools_offset || plan.pool_stride != layout->pool_stride ||
        plan.extras_offset != layout->extras_offset ||
        plan.station_count != layout->station_count ||
        plan.segment_count != layout->segment_count || plan.lanes_offset != layout->lanes_offset ||
        plan.lane_stride != layout->lane_stride || plan.content_bytes != content.size()) {
        return fail(Errc::bad_layout, "mailbox");
    }
    return plan;
}

Result<void> MailboxPlan::write(std::span<std::byte> content) const {
    MailboxLayout* layout = layout_at<MailboxLayout>(content, 0);
    if (layout == nullptr) return fail(Errc::bad_argument, "mailbox.create");
    layout->magic = kMailboxMagic;
    layout->version = kMailboxVersion;
    layout->sharing = static_cast<std::uint32_t>(sharing);
    layout->acknowledged = acknowledged ? 1 : 0;
    layout->capacity_kind = static_cast<std::uint32_t>(capacity.kind);
    layout->capacity = capacity.messages;
    layout->quota_bytes = capacity.quota_bytes;
    layout->overflow = static_cast<std::uint32_t>(overflow);
    layout->priorities = priorities;
    layout->ageing_ns = ageing_ns;
    layout->time_to_live_ns = time_to_live_ns;
    layout->flags = (receipts ? kReceipts : 0U) | (keep_expired ? kKeepExpired : 0U) |
                    (one_way ? kOneWay : 0U) | (by_turns ? kByTurns : 0U);
    layout->dead_letter_after = dead_letter_after;
    layout->dead_letter_quota = dead_letter_quota;
    layout->max_bytes = max_bytes;
    layout->loan_quota = loan_quota;
    layout->reserve_bytes = reserve_bytes;
    layout->fingerprint = fingerprint;
    layout->type_size = type_size;
    layout->type_alignment = type_alignment;
    layout->station_count = station_count;
    layout->segment_count = segment_count;
    layout->pool_count = pool_count;
    layout->lane_count = lane_count;
    layout->pools_offset = pools_offset;
    layout->pool_stride = pool_stride;
    layout->extras_offset = extras_offset;
    layout->lanes_offset = lanes_offset;
    layout->lane_stride = lane_stride;
    layout->created_ns = created_ns;
    std::copy(type_text.begin(), type_text.end(), layout->type_text);
    if (routed()) return {};  // what leads to a station is made by whoever needs it first
    layout->stations_open.store(station_count, kRelaxed);
    if (grows()) return {};
    return pool_count > 0 ? write_pools(content) : write_lanes(content, *layout);
}

Result<void> MailboxPlan::write_ring(std::span<std::byte> content, std::uint32_t i) const {
    Result<void> made = PoolRing::create(pool_of(content, i), pool);
    if (!made || !extras_at_once()) return made;
    Result<PoolRing> ring = PoolRing::attach(pool_of(content, i), extras_of(content, i));
    if (!ring) return std::unexpected(ring.error());
    ring->open_extras();
    return {};
}

Result<void> MailboxPlan::write_pools(std::span<std::byte> content) const {
    for (std::uint32_t i = 0; i < pool_count; ++i) {
        if (Result<void> made = write_ring(content, i); !made) return made;
        layout_at<MailboxStation>(content, station_offset(i))->ready.store(1, kRelaxed);
    }
    return {};
}

// Lanes of a pair are complete from the start; others are made by the sender that opens them.
Result<void> MailboxPlan::write_lanes(std::span<std::byte> content, MailboxLayout& layout) const {
    const std::uint32_t complete = sharing == Sharing::pair ? lane_count : 0;
    for (std::uint32_t i = 0; i < complete; ++i) {
        if (Result<void> made =
                create_lane(content.subspan(lanes_offset + i * lane_stride, lane_stride), lane);
            !made) {
            return made;
        }
        layout_at<LaneDoor>(content, door_offset(i))->ready.store(1, kRelaxed);
    }
    layout.lanes_open.store(complete, kRelaxed);
    return {};
}

}  // namespace stoa
