#include "stoa/mailbox/segments.hpp"

#include <algorithm>
#include <bit>

#include "stoa/base/crash_point.hpp"
#include "stoa/ring/pool.hpp"

namespace stoa {
namespace {

constexpr std::uint64_t last_of(std::uint32_t slot, std::uint64_t position) noexcept {
    return std::uint64_t{slot} | position << 16U;
}

constexpr std::uint64_t pin_of(const Segment& segment) noexcept {
    return (std::uint64_t{segment.slot} + 1) | segment.generation << 16U;
}

}  // namespace

Segments::Segments(RegionImage& region, const MailboxPlan& plan, std::uint32_t me) noexcept
    : region_{&region},
      plan_{&plan},
      me_{me},
      layout_{layout_at<MailboxLayout>(region.content(), 0)},
      used_{layout_at<Atomic<std::uint64_t>>(region.content(), plan.used_offset)},
      entries_{layout_at<MailboxSegment>(region.content(), plan.segments_offset)} {}

Atomic<std::uint64_t>& Segments::last_word(std::uint32_t station) const noexcept {
    return layout_at<MailboxStation>(region_->content(), station_offset(station))->last;
}

Atomic<std::uint64_t>& Segments::pin(Pin why) const noexcept {
    return region_->participants().record(me_).pins[static_cast<std::size_t>(why)];
}

bool Segments::is_held(const Segment& segment) const noexcept {
    const std::uint64_t wanted = pin_of(segment);
    return pin(Pin::in).load(kRelaxed) == wanted || pin(Pin::out).load(kRelaxed) == wanted;
}

bool Segments::hold(Pin why, const Segment& segment) noexcept {
    Atomic<std::uint64_t>& mine = pin(why);
    const std::uint64_t wanted = pin_of(segment);
    if (mine.load(kRelaxed) == wanted) [[likely]]
        return true;
    mine.store(wanted, kSeqCst);  // A1
    STOA_CRASH_POINT("segments.hold.pinned");
    std::uint64_t seen = entry(segment.slot).word.load(kSeqCst);  // A2
    for (;;) {
        SegmentWord now = SegmentWord::of(seen);
        if (now.generation != segment.generation) break;
        if (now.state == SegmentState::live) return true;
        if (now.state != SegmentState::leaving) break;
        now.state = SegmentState::live;
        now.who = 0;
        if (entry(segment.slot).word.compare_exchange_strong(seen, now.word(), kSeqCst)) {
            STOA_CRASH_POINT("segments.hold.kept");
            return true;
        }
    }
    mine.store(0, kSeqCst);
    return false;
}

void Segments::let_go(Pin why) noexcept {
    pin(why).store(0, kSeqCst);
}

bool Segments::pinned_by_anyone(std::uint64_t wanted) const noexcept {
    const Participants& all = region_->participants();
    const std::uint32_t places = all.places();
    for (std::uint32_t i = 0; i < places; ++i) {
        for (std::uint32_t k = 0; k < kPinCount; ++k) {
            if (i == me_ && k == static_cast<std::uint32_t>(Pin::sweep)) continue;
            if (all.record(i).pins[k].load(kSeqCst) == wanted) return true;
        }
    }
    return false;
}

Result<PoolRing> Segments::ring(std::uint32_t slot) const noexcept {
    return PoolRing::attach(plan_->pool_of(region_->content(), slot),
                            plan_->extras_of(region_->content(), slot));
}

// --- growing ------------------------------------------------------------------------------------

std::optional<Segment> Segments::last(std::uint32_t station) noexcept {
    Atomic<std::uint64_t>& last = last_word(station);
    std::uint64_t seen = last.load(kSeqCst);
    for (;;) {
        const auto slot = static_cast<std::uint32_t>(seen & 0xffffU);
        if ((seen & ~kEnded) == 0 || slot >= plan_->segment_count) return std::nullopt;
        std::uint64_t word = entry(slot).word.load(kSeqCst);
        const std::uint64_t again = last.load(kSeqCst);
        if (again == seen) {
            // It is the last one still, so it never left: this is its word.
            SegmentWord now = SegmentWord::of(word);
            const Segment found{
                .slot = slot, .generation = now.generation, .position = (seen & ~kEnded) >> 16U};
            if (now.state == SegmentState::making) {  // M4 for its maker
                now.state = SegmentState::live;
                now.who = 0;
                entry(slot).word.compare_exchange_strong(word, now.word(), kSeqCst);
                STOA_CRASH_POINT("segments.last.helped");
            }
            return found;
        }
        seen = again;
    }
}

bool Segments::end(std::uint32_t station, const Segment& last) noexcept {
    std::uint64_t seen = last.position == 0 ? 0 : last_of(last.slot, last.position);
    const std::uint64_t ended = seen | kEnded;
    return last_word(station).compare_exchange_strong(seen, ended, kSeqCst) || seen == ended;
}

// M1. `word`: what it is now.
std::optional<std::uint32_t> Segments::claim(std::uint32_t station, std::uint64_t& word) noexcept {
    for (std::uint32_t n = 0; n < plan_->segment_count; ++n) {
        const std::uint32_t slot = (cursor_ + n) % plan_->segment_count;
        std::uint64_t seen = entry(slot).word.load(kSeqCst);
        const SegmentWord now = SegmentWord::of(seen);
        if (now.state != SegmentState::free) continue;
        const SegmentWord mine{.state = SegmentState::making,
                               .who = me_,
                               .station = station,
                               .generation = now.generation + 1};
        if (!entry(slot).word.compare_exchange_strong(seen, mine.word(), kSeqCst)) continue;
        STOA_CRASH_POINT("segments.grow.claimed");
        used_[slot / 64].fetch_or(1ULL << slot % 64, kSeqCst);
        cursor_ = slot + 1;
        word = mine.word();
        return slot;
    }
    return std::nullopt;
}

// M2. Its memory is all zero: it was never used, or given back.
Result<void> Segments::make(std::uint32_t slot) {
    const PoolGeometry& pool = plan_->pool;
    Result<void> made = region_->reserve(plan_->pool_offset(slot), pool.total_bytes);
    if (made && plan_->extras_at_once()) {
        made = region_->reserve(plan_->extras_offset + slot * pool.extra_bytes, pool.extra_bytes);
    }
    STOA_CRASH_POINT("segments.grow.reserved");
    return made ? plan_->write_ring(region_->content(), slot) : made;
}

Result<void> Segments::grow(std::uint32_t station, const Segment& after) {
    Atomic<std::uint64_t>& last = last_word(station);
    std::uint64_t behind = after.position == 0 ? 0 : last_of(after.slot, after.position);
    if (last.load(kSeqCst) != behind) return {};
    std::uint64_t word = 0;
    const std::optional<std::uint32_t> slot = claim(station, word);
    if (!slot) {
        if (last.load(kSeqCst) != behind) return {};
        return fail(Errc::quota_reached, "send");
    }
    entry(*slot).position.store(after.position + 1, kSeqCst);
    const Result<void> made = make(*slot);
    STOA_CRASH_POINT("segments.grow.made");
    const std::uint64_t next = last_of(*slot, after.position + 1);
    const bool linked = made && last.compare_exchange_strong(behind, next, kSeqCst);  // M3
    STOA_CRASH_POINT("segments.grow.linked");
    SegmentWord now = SegmentWord::of(word);
    now.state = linked ? SegmentState::live : SegmentState::giving_back;
    now.who = linked ? 0 : me_;
    const bool mine = entry(*slot).word.compare_exchange_strong(word, now.word(), kSeqCst);  // M4
    if (!linked && mine) give_back(*slot, now.word());
    return made;
}

void Segments::list(std::uint32_t station, std::uint64_t behind,
                    std::vector<Segment>& to) noexcept {
    const auto begin = static_cast<std::ptrdiff_t>(to.size());
    // Up to here all are LIVE before the scan begins. Of those that come meanwhile it may meet a
    // later one and have missed an earlier one: they are for the next list.
    const std::optional<Segment> newest = last(station);
    if (!newest) return;
    for (std::uint32_t w = 0; w * 64 < plan_->segment_count; ++w) {
        std::uint64_t bits = used_[w].load(kSeqCst);
        STOA_CRASH_POINT("segments.list.bits");
        for (; bits != 0; bits &= bits - 1) {
            const std::uint32_t slot = w * 64 + static_cast<std::uint32_t>(std::countr_zero(bits));
            if (slot >= plan_->segment_count) break;
            const SegmentWord now = SegmentWord::of(entry(slot).word.load(kSeqCst));
            const std::uint64_t position = entry(slot).position.load(kSeqCst);
            // Of the same generation it is the same position. Its state may change: who looks
            // whether it may go lets it stay when a dead one holds something there.
            if (generation_of(slot) != now.generation) continue;
            const bool there =
                now.state == SegmentState::live || now.state == SegmentState::leaving;
            if (!there || now.station != station) continue;
            if (position <= behind || position > newest->position) continue;
            to.push_back({.slot = slot, .generation = now.generation, .position = position});
        }
    }
    std::sort(to.begin() + begin, to.end(),
              [](const Segment& a, const Segment& b) { return a.position < b.position; });
}

// --- shrinking ----------------------------------------------------------------------------------

// R5. Precondition: its word is GIVING_BACK(me).
void Segments::give_back(std::uint32_t slot, std::uint64_t word) noexcept {
    const PoolGeometry& pool = plan_->pool;
    const std::uint64_t extras = plan_->extras_offset + slot * pool.extra_bytes;
    STOA_CRASH_POINT("segments.give_back.before");
    bool gone = region_->give_back(plan_->pool_offset(slot), pool.total_bytes);
    if (plan_->extras_at_once()) gone = region_->give_back(extras, pool.extra_bytes) && gone;
    if (!gone) return;  // not zeroed, so not to be used: it stays ours
    STOA_CRASH_POINT("segments.give_back.returned");
    used_[slot / 64].fetch_and(~(1ULL << slot % 64), kSeqCst);
    STOA_CRASH_POINT("segments.give_back.unmarked");
    const SegmentWord free{.generation = SegmentWord::of(word).generation};
    entry(slot).word.compare_exchange_strong(word, free.word(), kSeqCst);
}

bool Segments::retire(std::uint32_t station, const Segment& segment) noexcept {
    if ((last_word(station).load(kSeqCst) & 0xffffU) == segment.slot) return false;
    if (!hold(Pin::sweep, segment)) return false;
    const Result<PoolRing> ring = this->ring(segment.slot);
    if (!ring || !ring->is_done_with()) {
        let_go(Pin::sweep);
        return false;
    }
    SegmentWord now{
        .state = SegmentState::live, .station = station, .generation = segment.generation};
    std::uint64_t word = now.word();
    now.state = SegmentState::leaving;
    now.who = me_;
    Atomic<std::uint64_t>& here = entry(segment.slot).word;
    bool leaves = here.compare_exchange_strong(word, now.word(), kSeqCst);  // R1
    if (leaves) {
        STOA_CRASH_POINT("segments.retire.leaving");
        word = now.word();
        const bool needed = pinned_by_anyone(pin_of(segment)) || !ring->is_done_with();  // R2, R3
        STOA_CRASH_POINT("segments.retire.looked");
        now.state = needed ? SegmentState::live : SegmentState::giving_back;
        now.who = needed ? 0 : me_;
        leaves = here.compare_exchange_strong(word, now.word(), kSeqCst) && !needed;  // R4
    }
    if (leaves) {
        STOA_CRASH_POINT("segments.retire.going");
        const PoolCounts counts = ring->counts();
        layout_->gone_redelivered.fetch_add(counts.redelivered, kRelaxed);
        layout_->gone_expired.fetch_add(counts.expired, kRelaxed);
        layout_->gone_withdrawn.fetch_add(counts.withdrawn, kRelaxed);
        give_back(segment.slot, now.word());
    }
    let_go(Pin::sweep);
    return leaves;
}

void Segments::recover(std::uint32_t dead) noexcept {
    for (std::uint32_t slot = 0; slot < plan_->segment_count; ++slot) {
        Atomic<std::uint64_t>& here = entry(slot).word;
        std::uint64_t word = here.load(kSeqCst);
        SegmentWord now = SegmentWord::of(word);
        const bool owned = now.state == SegmentState::making ||
                           now.state == SegmentState::leaving ||
                           now.state == SegmentState::giving_back;
        if (!owned || now.who != dead || now.station >= plan_->station_count) continue;
        // A linked one becomes LIVE before another is linked behind it.
        const bool linked = now.state == SegmentState::making &&
                            last_word(now.station).load(kSeqCst) != 0 &&
                            (last_word(now.station).load(kSeqCst) & 0xffffU) == slot;
        const bool stays = linked || now.state == SegmentState::leaving;
        now.state = stays ? SegmentState::live : SegmentState::giving_back;
        now.who = stays ? 0 : me_;
        STOA_CRASH_POINT("segments.recover.before");
        if (!here.compare_exchange_strong(word, now.word(), kSeqCst)) continue;
        STOA_CRASH_POINT("segments.recover.taken");
        if (!stays) give_back(slot, now.word());
    }
    for (Atomic<std::uint64_t>& pin : region_->participants().record(dead).pins) {
        pin.store(0, kSeqCst);
    }
}

std::uint32_t Segments::in_use() const noexcept {
    std::uint32_t count = 0;
    for (std::uint32_t w = 0; w * 64 < plan_->segment_count; ++w) {
        count += static_cast<std::uint32_t>(std::popcount(used_[w].load(kSeqCst)));
    }
    return count;
}

}  // namespace stoa
