#include "stoa/mailbox/plan.hpp"

#include <algorithm>
#include <chrono>
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

Result<void> plan_pools(MailboxPlan& plan) {
    plan.pool_count = plan.sharing == Sharing::pair ? 2 : 1;
    const std::uint32_t endpoints = plan.sharing == Sharing::pair ? 2 : kPlannedEndpoints;
    const PoolDemand demand{.capacity = plan.capacity,
                            .max_bytes = plan.max_bytes,
                            .reserve_bytes = plan.reserve_bytes,
                            .loans = endpoints * plan.loan_quota,
                            .payload_align = plan.type_alignment,
                            .acknowledged = plan.acknowledged};
    const Result<PoolGeometry> pool = PoolGeometry::plan(demand);
    if (!pool) return std::unexpected(pool.error());
    plan.pool = *pool;
    std::uint64_t end = kDoorsOffset;
    for (std::uint32_t i = 0; i < plan.pool_count; ++i) {
        plan.pool_offset[i] = end;
        end += plan.pool.total_bytes;
    }
    plan.content_bytes = plan.reserved_bytes = end;
    return {};
}

Result<void> plan_lanes(MailboxPlan& plan) {
    plan.lane_count = plan.sharing == Sharing::pair ? 2 : kMaxLanes;
    const LaneGeometry least = LaneGeometry::holding(2, plan.max_bytes);
    if (!least.valid()) return fail(Errc::bad_argument, "max_bytes (too big for a lane)");
    if (plan.reserve_bytes > kLaneMaxRingBytes) return fail(Errc::bad_argument, "reserve (4 GiB)");
    plan.lane = {.ring_bytes = std::max(least.ring_bytes, std::bit_ceil(plan.reserve_bytes)),
                 .max_record_bytes = plan.max_bytes};
    plan.lanes_offset = align_up(kDoorsOffset + plan.lane_count * sizeof(LaneDoor), kPage);
    plan.lane_stride = align_up(plan.lane.bytes_needed(), kPage);
    plan.content_bytes = plan.lanes_offset + plan.lane_stride * plan.lane_count;
    const std::uint32_t opened = plan.sharing == Sharing::pair ? 2 : 1;
    plan.reserved_bytes = plan.lanes_offset + plan.lane_stride * opened;
    return {};
}

// Everything that make() derives from the options, so that read() can compare.
Result<void> derive(MailboxPlan& plan) {
    if (plan.sharing > Sharing::pair) return fail(Errc::bad_argument, "sharing");
    if (plan.capacity < 1 || plan.capacity > kPoolMaxSlots) {
        return fail(Errc::bad_argument, "capacity (1 to 1048576)");
    }
    if (plan.loan_quota < 1 || plan.loan_quota > kMaxLoanQuota) {
        return fail(Errc::bad_argument, "loan_quota (1 to 64)");
    }
    if (plan.max_bytes < 1 || plan.max_bytes > 1U << 30U) {
        return fail(Errc::bad_argument, "max_bytes (1 to 1 GiB)");
    }
    const bool lanes = plan.sharing != Sharing::any && !plan.acknowledged;
    return lanes ? plan_lanes(plan) : plan_pools(plan);
}

}  // namespace

Result<MailboxPlan> MailboxPlan::make(const MailboxOptions& options, const TypeInfo& type) {
    if ((options.mode & ~0777U) != 0 || (options.mode & 0600U) != 0600U) {
        return fail(Errc::bad_argument, "mode (its owner must be able to read and write)");
    }
    MailboxPlan plan;
    plan.sharing = options.sharing;
    plan.acknowledged = options.acknowledged;
    plan.capacity = options.capacity.messages;
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
    if (Result<void> derived = derive(plan); !derived) return std::unexpected(derived.error());
    return plan;
}

Result<MailboxPlan> MailboxPlan::read(std::span<std::byte> content) {
    const MailboxLayout* layout = layout_at<MailboxLayout>(content, 0);
    if (layout == nullptr || layout->magic != kMailboxMagic) {
        return fail(Errc::bad_layout, "mailbox");
    }
    if (layout->version != kMailboxVersion) return fail(Errc::wrong_version, "mailbox");
    MailboxPlan plan;
    plan.sharing = static_cast<Sharing>(layout->sharing);
    plan.acknowledged = layout->acknowledged == 1;
    plan.capacity = layout->capacity;
    plan.max_bytes = layout->max_bytes;
    plan.loan_quota = layout->loan_quota;
    plan.reserve_bytes = layout->reserve_bytes;
    plan.fingerprint = layout->fingerprint;
    plan.type_size = layout->type_size;
    plan.type_alignment = layout->type_alignment;
    plan.created_ns = layout->created_ns;
    plan.type_text.assign(layout->type_text, strnlen(layout->type_text, kTypeTextBytes));
    if (layout->acknowledged > 1 || plan.type_alignment < 16 ||
        plan.type_alignment > kMaxPayloadAlign || !std::has_single_bit(plan.type_alignment) ||
        !derive(plan)) {
        return fail(Errc::bad_layout, "mailbox");
    }
    if (plan.pool_count != layout->pool_count || plan.lane_count != layout->lane_count ||
        plan.pool_offset[0] != layout->pool_offset[0] ||
        plan.pool_offset[1] != layout->pool_offset[1] ||
        plan.lanes_offset != layout->lanes_offset || plan.lane_stride != layout->lane_stride ||
        plan.content_bytes != content.size()) {
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
    layout->capacity = capacity;
    layout->max_bytes = max_bytes;
    layout->loan_quota = loan_quota;
    layout->reserve_bytes = reserve_bytes;
    layout->fingerprint = fingerprint;
    layout->type_size = type_size;
    layout->type_alignment = type_alignment;
    layout->pool_count = pool_count;
    layout->lane_count = lane_count;
    layout->lanes_offset = lanes_offset;
    layout->lane_stride = lane_stride;
    layout->created_ns = created_ns;
    std::copy(type_text.begin(), type_text.end(), layout->type_text);
    for (std::uint32_t i = 0; i < pool_count; ++i) {
        layout->pool_offset[i] = pool_offset[i];
        if (Result<void> made =
                PoolRing::create(content.subspan(pool_offset[i], pool.total_bytes), pool);
            !made) {
            return made;
        }
    }
    // Lanes of a pair are complete from the start; others are made by the sender that opens them.
    const std::uint32_t complete = sharing == Sharing::pair ? lane_count : 0;
    for (std::uint32_t i = 0; i < complete; ++i) {
        if (Result<void> made =
                create_lane(content.subspan(lanes_offset + i * lane_stride, lane_stride), lane);
            !made) {
            return made;
        }
        layout_at<LaneDoor>(content, kDoorsOffset + i * sizeof(LaneDoor))->ready.store(1, kRelaxed);
    }
    layout->lanes_open.store(complete, kRelaxed);
    return {};
}

}  // namespace stoa
