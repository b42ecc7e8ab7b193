#include <algorithm>

#include "stoa/base/crash_point.hpp"
#include "stoa/mailbox/attachment.hpp"

// What an unbounded broadcast may do without when memory is short: what waits for a subscriber that
// has gone, and the oldest of what waits for one that skips.
//
// Only segments that nothing is sent to any more are emptied so, and the seat is read after they
// were found to be such: whoever takes it later finds only later ones sent to him.
namespace stoa {
namespace {

// As Queue: a segment has fewer messages, unless its memory was scribbled over.
constexpr int kMostDrops = 1 << 20;

}  // namespace

// The segments of a queue, oldest first, without the one that is sent to. Who sits there.
std::uint64_t Attachment::list_backlog(std::uint32_t i, std::vector<Segment>& to) noexcept {
    to.clear();
    STOA_CRASH_POINT("mailbox.backlog.begun");
    const std::optional<Segment> last = segments_->last(i);
    if (last) segments_->list(i, 0, to);
    std::erase_if(to, [&](const Segment& one) { return one.position >= last->position; });
    STOA_CRASH_POINT("mailbox.backlog.listed");
    return station(i).seat.load(kSeqCst);
}

// Takes all that waits in a segment, for nobody. True: its memory went back. By the pin that no
// receive and no send uses: they look around in the middle of what they do.
bool Attachment::give_up(std::uint32_t i, const Segment& segment, bool counts) noexcept {
    if (!segments_->hold(Pin::sweep, segment)) return true;  // it went
    const Result<PoolEngine*> engine = engine_of(i, segment);
    const auto drop = [&](std::uint32_t level) {
        const Result<bool> dropped = (*engine)->drop_one(level);
        if (!dropped || !*dropped) return false;
        if (counts) station(i).dropped.fetch_add(1, kRelaxed);
        STOA_CRASH_POINT("mailbox.backlog.dropped");
        return true;
    };
    const auto drop_marked = [&] {
        const Result<PoolLoan> loan = (*engine)->take_back();
        return loan && (*engine)->release(*loan);
    };
    for (std::uint32_t level = 0; engine && level < plan_.priorities; ++level) {
        for (int n = 0; n < kMostDrops; ++n) {
            if (!drop(level) && ((*engine)->ring().seal(level) || !drop_marked())) break;
        }
    }
    for (int n = 0; engine && n < kMostDrops && drop_marked(); ++n) {
    }
    return segments_->retire(i, segment) || !segments_->is_there(segment);
}

bool Attachment::make_room() noexcept {
    if (!plan_.grows() || plan_.sharing != Sharing::broadcast) return false;
    struct Skipper {
        std::uint32_t station;
        std::vector<Segment> backlog;
    };
    std::vector<Skipper> skippers;
    std::vector<Segment> backlog;
    for (std::uint32_t i = 0; i < plan_.station_count; ++i) {
        const std::uint64_t seat = list_backlog(i, backlog);
        if (seat != 0 && (seat & kLatest) == 0) continue;
        if (seat != 0) {
            skippers.push_back({i, backlog});
            continue;
        }
        for (const Segment& segment : backlog) {
            if (give_up(i, segment, false)) return true;
        }
    }
    // Who is furthest behind loses first.
    std::ranges::sort(skippers, [](const Skipper& a, const Skipper& b) {
        return a.backlog.size() > b.backlog.size();
    });
    for (const Skipper& one : skippers) {
        for (const Segment& segment : one.backlog) {
            if (give_up(one.station, segment, true)) return true;
        }
    }
    return false;
}

}  // namespace stoa
