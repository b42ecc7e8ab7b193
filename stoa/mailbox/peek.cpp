#include <algorithm>

#include "stoa/mailbox/attachment.hpp"

// Looking at what waits without taking it: what this handle would receive next; where it does not
// receive, what anybody would.
namespace stoa {
namespace {

// Whether to go on with the next ring, lane or log: there is nothing here at that distance.
bool found(const Result<std::size_t>& length) noexcept {
    return length || length.error().code != Errc::empty;
}

}  // namespace

Result<std::size_t> Attachment::peek_at_queues(std::span<std::byte> to, std::uint64_t skip) {
    Result<std::size_t> length = fail(Errc::empty, "peek");
    const bool all = !has(role_, Role::receives);
    for (std::uint32_t i = 0; i < plan_.pool_count && !found(length); ++i) {
        if (!all && !receives_at(i)) continue;
        const Result<Queue*> queue = find_queue(i);
        if (!queue) return std::unexpected(queue.error());
        if (*queue == nullptr) continue;
        length = (*queue)->peek(skip, to);
        if (!found(length)) skip -= std::min(skip, (*queue)->depth());
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
    return plan_.pool_count > 0 ? peek_at_queues(to, skip) : peek_at_lanes(to, skip);
}

}  // namespace stoa
