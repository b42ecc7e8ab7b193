#include "stoa/mailbox/admin.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <optional>

#include "stoa/mailbox/attachment.hpp"
#include "stoa/ring/lane.hpp"
#include "stoa/sys/file.hpp"

namespace stoa {
namespace {

void add_counts(const PoolCounts& counts, MailboxFacts& facts) {
    facts.redelivered += counts.redelivered;
    facts.depth += counts.depth;
    facts.leased += counts.leased;
    facts.loaned += counts.loaned;
    facts.dead_letters += counts.dead_letters;
    facts.queued_bytes += counts.queued_bytes;
    facts.free_chunks += counts.free_chunks;
    facts.dropped_oldest += counts.dropped_oldest;
    facts.dropped_newest += counts.dropped_newest;
    facts.expired += counts.expired;
    facts.withdrawn += counts.withdrawn;
}

// Of copies: who only looks keeps no segment from being given back, and must not touch the holes
// that it leaves, for that would take memory again.
Result<void> add_segments(const RegionImage& region, const MailboxLayout& layout,
                          MailboxFacts& facts) {
    facts.expired = layout.gone_expired.load(kRelaxed);
    facts.withdrawn = layout.gone_withdrawn.load(kRelaxed);
    const MailboxPlan& plan = facts.plan;
    for (std::uint32_t i = 0; i < plan.station_count; ++i) {
        facts.dropped_oldest +=
            layout_at<MailboxStation>(region.content(), station_offset(i))->dropped.load(kRelaxed);
    }
    const std::uint64_t extra_bytes = plan.extras_at_once() ? plan.pool.extra_bytes : 0;
    const auto memory = std::unique_ptr<std::byte[], void (*)(std::byte*)>(
        static_cast<std::byte*>(::operator new[](plan.segment_bytes(), std::align_val_t{kPage})),
        [](std::byte* p) { ::operator delete[](p, std::align_val_t{kPage}); });
    const std::span<std::byte> ring_copy{memory.get(), plan.pool.total_bytes};
    const std::span<std::byte> extras_copy{memory.get() + plan.pool.total_bytes, extra_bytes};
    for (std::uint32_t slot = 0; slot < plan.segment_count; ++slot) {
        const MailboxSegment* segment = layout_at<MailboxSegment>(
            region.content(), plan.segments_offset + slot * sizeof(MailboxSegment));
        const std::uint64_t word = segment->word.load(kSeqCst);
        const SegmentState state = SegmentWord::of(word).state;
        if (state != SegmentState::live && state != SegmentState::leaving) continue;
        Result<void> copied = region.copy_out(plan.pool_offset(slot), ring_copy);
        if (copied) {
            copied =
                region.copy_out(plan.extras_offset + slot * plan.pool.extra_bytes, extras_copy);
        }
        if (!copied) return copied;
        if (segment->word.load(kSeqCst) != word) continue;  // it goes: nothing waits there
        ++facts.segments;
        const Result<PoolRing> ring = PoolRing::attach(ring_copy, extras_copy);
        if (!ring) return std::unexpected(ring.error());
        add_counts(ring->counts(), facts);
    }
    return {};
}

Result<void> add_pools(const RegionImage& region, MailboxFacts& facts) {
    facts.sent = facts.received = 0;  // the rings know better than the participants
    for (std::uint32_t i = 0; i < facts.plan.pool_count; ++i) {
        if (layout_at<MailboxStation>(region.content(), station_offset(i))->ready.load(kSeqCst) ==
            0) {
            continue;  // no memory is behind it yet
        }
        const Result<PoolRing> ring = PoolRing::attach(facts.plan.pool_of(region.content(), i));
        if (!ring) return std::unexpected(ring.error());
        const PoolCounts counts = ring->counts();
        facts.sent += counts.sent;
        facts.received += counts.received;
        add_counts(counts, facts);
        if (i < facts.waiting.size()) facts.waiting[i] = counts.depth;
    }
    return {};
}

Result<void> add_lanes(const RegionImage& region, const MailboxLayout& layout,
                       MailboxFacts& facts) {
    facts.lanes_open = std::min(layout.lanes_open.load(kSeqCst), facts.plan.lane_count);
    for (std::uint32_t i = 0; i < facts.lanes_open; ++i) {
        const LaneDoor* door = layout_at<LaneDoor>(region.content(), facts.plan.door_offset(i));
        if (door->ready.load(kSeqCst) == 0) continue;  // no memory is behind it yet
        if (facts.plan.logged()) {
            const Result<LogCounts> log = count_log(region.content().subspan(
                facts.plan.lanes_offset + i * facts.plan.lane_stride, facts.plan.lane_stride));
            if (!log) return std::unexpected(log.error());
            facts.depth += log->waiting;
            for (std::size_t s = 0; s < facts.waiting.size(); ++s) {
                facts.waiting[s] += log->behind[s];
            }
            continue;
        }
        const std::span<std::byte> lane = region.content().subspan(
            facts.plan.lanes_offset + i * facts.plan.lane_stride, facts.plan.lane_stride);
        const Result<LaneCounts> counts = count_lane(lane, door->end_position());
        if (!counts) return std::unexpected(counts.error());
        facts.depth += counts->depth;
        facts.queued_bytes += counts->payload_bytes;
        const std::uint32_t to = leads_to(door->station.load(kRelaxed)) - 1;  // 0: nobody
        if (to < facts.waiting.size()) facts.waiting[to] += counts->depth;
    }
    return {};
}

Result<MailboxFacts> facts_of(const RegionImage& region, std::string_view name) {
    MailboxFacts facts;
    facts.name = name;
    facts.closed = region.closed();
    Result<MailboxPlan> plan = MailboxPlan::read(region.content());
    if (!plan) return std::unexpected(plan.error());
    facts.plan = std::move(*plan);
    const bool queue_each = facts.plan.routed() || facts.plan.sharing == Sharing::broadcast;
    if (queue_each && !facts.plan.grows()) facts.waiting.resize(kMaxStations);
    if (const Result<sys::FileInfo> info = sys::info(region.file())) {
        facts.mode = info->mode;
        facts.memory_bytes = info->allocated_bytes;
    }
    facts.owner = region.owner();
    facts.creator = region.participants().creator();
    const MailboxLayout* layout = layout_at<MailboxLayout>(region.content(), 0);
    facts.redelivered = layout->gone_redelivered.load(kRelaxed);
    facts.sent = layout->left_sent.load(kRelaxed);
    facts.received = layout->left_received.load(kRelaxed);
    region.participants().for_each([&](const Participant& seen) {
        facts.participants.push_back(seen);
        facts.sent += seen.sent;
        facts.received += seen.received;
    });
    const Result<void> added = facts.plan.grows()          ? add_segments(region, *layout, facts)
                               : facts.plan.pool_count > 0 ? add_pools(region, facts)
                                                           : add_lanes(region, *layout, facts);
    if (!added) return std::unexpected(added.error());
    return facts;
}

std::vector<Participant> dead_of(const RegionImage& region) {
    std::vector<Participant> dead;
    region.participants().for_each([&](const Participant& seen) {
        if (seen.life == sys::Life::dead) dead.push_back(seen);
    });
    return dead;
}

// Those of files, and those that processes own.
Result<std::vector<std::string>> all_names(const Domain& domain) {
    Result<std::vector<std::string>> names = domain.names_of(kMailboxSuffix);
    if (!names) return names;
    const Result<std::vector<std::string>> owned =
        RegionImage::owned_names(domain, RegionKind::mailbox);
    if (!owned) {
        // Without a list of sockets there are none that could be opened.
        if (owned.error().code == Errc::not_supported) return names;
        return std::unexpected(owned.error());
    }
    for (const std::string& file : *owned) {
        if (!file.ends_with(kMailboxSuffix)) continue;
        std::string name = file.substr(0, file.size() - kMailboxSuffix.size());
        if (check_name(name)) names->push_back(std::move(name));
    }
    std::ranges::sort(*names);
    const auto twice = std::ranges::unique(*names);  // both kinds, while one of them is going
    names->erase(twice.begin(), twice.end());
    return names;
}

bool vanished(const Error& error) noexcept {
    return error.code == Errc::not_found || error.code == Errc::gone;
}

// What there is to do for one mailbox, done unless `dry_run`. nullopt: nothing.
std::optional<Collected> collect(const Domain& domain, const std::string& name, bool dry_run) {
    using What = Collected::What;
    const auto left_alone = [&](const Error& error) -> std::optional<Collected> {
        if (vanished(error)) return std::nullopt;
        return Collected{.name = name, .what = What::left_alone, .dead = {}, .error = error};
    };
    const Result<RegionImage> region =
        RegionImage::peek(domain, mailbox_file(name), RegionKind::mailbox);
    if (!region) return left_alone(region.error());
    if (region->condemned()) {
        if (region->owner() == Owner::process) return std::nullopt;  // it ends with its owner
        const Result<RegionImage> opened =                           // finishes it
            dry_run ? fail(Errc::not_found, "open")
                    : RegionImage::open(domain, mailbox_file(name), RegionKind::mailbox,
                                        sys::Access::read_only);
        if (!opened && !vanished(opened.error())) return left_alone(opened.error());
        return Collected{.name = name, .what = What::finished_removal, .dead = {}};
    }
    if (const Result<MailboxPlan> plan = MailboxPlan::read(region->content()); !plan) {
        return left_alone(plan.error());
    }
    std::vector<Participant> dead = dead_of(*region);
    if (dead.empty()) return std::nullopt;
    if (!dry_run) {
        const Result<void> swept = sweep_mailbox(name, domain.path());
        if (!swept) return left_alone(swept.error());
    }
    return Collected{.name = name, .what = What::swept, .dead = std::move(dead)};
}

}  // namespace

std::uint32_t MailboxFacts::count(sys::Life life) const noexcept {
    return static_cast<std::uint32_t>(
        std::count_if(participants.begin(), participants.end(),
                      [&](const Participant& seen) { return seen.life == life; }));
}

Result<std::vector<std::string>> mailbox_names(std::string_view domain_path) {
    const Result<Domain> domain = Domain::find(domain_path);
    if (!domain && domain.error().code == Errc::not_found) return std::vector<std::string>{};
    if (!domain) return std::unexpected(domain.error());
    return all_names(*domain);
}

Result<MailboxFacts> look_at_mailbox(std::string_view name, std::string_view domain_path) {
    if (Result<void> good = check_name(name); !good) return std::unexpected(good.error());
    const Result<Domain> domain = Domain::find(domain_path);
    if (!domain) return std::unexpected(domain.error());
    const Result<RegionImage> region =
        RegionImage::open(*domain, mailbox_file(name), RegionKind::mailbox, sys::Access::read_only);
    if (!region) return std::unexpected(region.error());
    return facts_of(*region, name);
}

Result<LinkDepths> look_at_link(const Domain& domain, const std::string& file) {
    const Result<RegionImage> region =
        RegionImage::open(domain, file, RegionKind::mailbox, sys::Access::read_only);
    if (!region) return std::unexpected(region.error());
    const Result<MailboxPlan> plan = MailboxPlan::read(region->content());
    if (!plan) return std::unexpected(plan.error());
    LinkDepths depths{.text = plan->type_text};
    if (plan->sharing != Sharing::pair) return fail(Errc::bad_layout, "link");
    if (plan->grows()) {
        const Result<MailboxFacts> facts = facts_of(*region, file);
        if (facts) depths.sent_by[0] = facts->depth;  // both ways together
        return depths;
    }
    for (std::uint32_t seat = 0; seat < 2; ++seat) {
        if (plan->pool_count > 0) {
            const Result<PoolRing> ring = PoolRing::attach(plan->pool_of(region->content(), seat));
            if (!ring) return std::unexpected(ring.error());
            depths.sent_by[seat] = ring->counts().depth;
            continue;
        }
        const LaneDoor* door = layout_at<LaneDoor>(region->content(), plan->door_offset(seat));
        const std::span<std::byte> lane = region->content().subspan(
            plan->lanes_offset + seat * plan->lane_stride, plan->lane_stride);
        const std::uint64_t end = door->end_position();
        const Result<LaneCounts> counts = count_lane(lane, end);
        if (!counts) return std::unexpected(counts.error());
        depths.sent_by[seat] = counts->depth;
        if (counts->depth == 0) continue;
        const Result<std::uint64_t> last =
            peek_lane(lane, counts->depth - 1, depths.last_of[seat], end);
        if (!last) depths.last_of[seat] = {};  // it was taken meanwhile
    }
    return depths;
}

Result<void> sweep_mailbox(std::string_view name, std::string_view domain) {
    // Joining sweeps.
    const Result<std::unique_ptr<Attachment>> joined = Attachment::open(
        name, {.role = Role::none, .waiting = Waiting::park, .domain = std::string{domain}},
        nullptr);
    if (!joined) return std::unexpected(joined.error());
    return {};
}

Result<std::vector<Collected>> collect_garbage(bool dry_run, std::string_view domain_path) {
    const Result<Domain> domain = Domain::find(domain_path);
    if (!domain && domain.error().code == Errc::not_found) return std::vector<Collected>{};
    if (!domain) return std::unexpected(domain.error());
    const Result<std::vector<std::string>> names = all_names(*domain);
    if (!names) return std::unexpected(names.error());
    std::vector<Collected> all;
    for (const std::string& name : *names) {
        if (std::optional<Collected> one = collect(*domain, name, dry_run)) {
            all.push_back(std::move(*one));
        }
    }
    return all;
}

}  // namespace stoa
