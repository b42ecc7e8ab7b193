#include "stoa/link/admin.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "stoa/link/process_core.hpp"
#include "stoa/mailbox/admin.hpp"

namespace stoa {
namespace {

std::uint64_t parse_hex(std::string_view text) noexcept {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return error == std::errc{} && end == text.data() + text.size() ? value : 0;
}

// The join ids in the name of a link, or the one in the name of a mailbox of pulses; else 0.
std::pair<std::uint64_t, std::uint64_t> ids_in(std::string_view name) noexcept {
    constexpr std::size_t kDigits = 16;
    if (name.size() == kDigits) return {parse_hex(name), 0};
    if (name.size() != 2 * kDigits + 1 || name[kDigits] != '-') return {0, 0};
    return {parse_hex(name.substr(0, kDigits)), parse_hex(name.substr(kDigits + 1))};
}

std::optional<ProcessInfo> info_of(const NameRegion& region, std::string_view name) {
    const NameOwner owner = region.owner();
    if (owner.holder == 0 || owner.life == sys::Life::dead) return std::nullopt;
    const NameRegion::Card card = region.card(owner.join_id);
    return ProcessInfo{.name = std::string{name},
                       .join_id = owner.join_id,
                       .identity = owner.identity,
                       .life = owner.life,
                       .joined_ns = card.joined_ns,
                       .attributes = card.attributes};
}

// What waits in a link for each of its ends, by join id.
void count_links(const Domain& domain, std::unordered_map<std::uint64_t, ProcessInfo*>& by_id) {
    const Result<std::vector<std::string>> names = domain.names_of(kLinkSuffix);
    if (!names) return;
    for (const std::string& name : *names) {
        const auto [one, other] = ids_in(name);
        const bool known = by_id.contains(one) || by_id.contains(other);
        if (!known) continue;
        for (const std::uint64_t id : {one, other}) {
            if (const auto at = by_id.find(id); at != by_id.end()) ++at->second->links;
        }
        const Result<LinkDepths> depths = look_at_link(domain, name + std::string{kLinkSuffix});
        if (!depths) continue;
        const Result<LinkEnds> ends = ends_in(depths->text);
        if (!ends) continue;
        for (int seat = 0; seat < 2; ++seat) {  // what seat 0 sent waits for seat 1
            const auto at = by_id.find(ends->ids[1 - seat]);
            if (at == by_id.end()) continue;
            LinkHeader last;
            static_assert(sizeof last == sizeof depths->last_of[0]);
            std::memcpy(&last, depths->last_of[seat].data(), sizeof last);
            const bool has_left = depths->sent_by[seat] > 0 && last.kind == LinkKind::end;
            at->second->queued += depths->sent_by[seat] - (has_left ? 1 : 0);
        }
    }
}

struct Collector {
    const Domain& domain;
    bool dry_run;
    std::vector<Collected> done;

    void collect_names(std::unordered_map<std::uint64_t, bool>& alive) {
        const Result<std::vector<std::string>> names = domain.names_of(kProcessSuffix);
        if (!names) return;
        for (const std::string& name : *names) {
            Result<NameRegion> region = NameRegion::open(domain, name);
            if (!region) {
                if (region.error().code == Errc::not_found) continue;
                done.push_back({.name = name + std::string{kProcessSuffix},
                                .what = Collected::What::left_alone,
                                .error = region.error()});
                continue;
            }
            const NameOwner owner = region->owner();
            if (owner.holder != 0 && owner.life != sys::Life::dead) alive[owner.join_id] = true;
            if (!region->is_garbage()) continue;
            if (dry_run || region->remove(domain, name)) told(name + std::string{kProcessSuffix});
        }
    }
    void collect_files(const std::vector<std::string>& names, std::string_view suffix,
                       const std::unordered_map<std::uint64_t, bool>& alive) {
        for (const std::string& name : names) {
            const auto [one, other] = ids_in(name);
            if (one == 0 || alive.contains(one) || alive.contains(other)) continue;
            const std::string file = name + std::string{suffix};
            const Result<RegionImage> region = RegionImage::peek(domain, file, RegionKind::mailbox);
            if (!region) continue;
            bool used = false;  // by one who has left the name and not yet the link
            region->participants().for_each(
                [&](const Participant& seen) { used = used || seen.life != sys::Life::dead; });
            if (used) continue;
            if (dry_run || RawMailbox::destroy_file(domain, file)) told(file);
        }
    }
    void told(std::string name) {
        done.push_back({.name = std::move(name), .what = Collected::What::finished_removal});
    }
};

}  // namespace

Result<ProcessInfo> find_process(std::string_view name, std::string_view domain_path) {
    if (Result<void> good = check_process_name(name); !good) return std::unexpected(good.error());
    const Result<Domain> domain = Domain::find(domain_path);
    if (!domain) return std::unexpected(domain.error());
    const Result<NameRegion> region = NameRegion::peek(*domain, name);
    if (!region) return std::unexpected(region.error());
    std::optional<ProcessInfo> info = info_of(*region, name);
    if (!info) return fail(Errc::not_found, "process (nobody has that name)");
    std::unordered_map<std::uint64_t, ProcessInfo*> by_id{{info->join_id, &*info}};
    count_links(*domain, by_id);
    return *info;
}

Result<std::vector<ProcessInfo>> list_processes(std::string_view domain_path) {
    const Result<Domain> domain = Domain::find(domain_path);
    if (!domain && domain.error().code == Errc::not_found) return std::vector<ProcessInfo>{};
    if (!domain) return std::unexpected(domain.error());
    [[maybe_unused]] const auto collected = collect_link_garbage(false, domain_path);
    const Result<std::vector<std::string>> names = domain->names_of(kProcessSuffix);
    if (!names) return std::unexpected(names.error());
    std::vector<ProcessInfo> all;
    for (const std::string& name : *names) {
        const Result<NameRegion> region = NameRegion::peek(*domain, name);
        if (!region) continue;  // it went, or it is damaged: gc tells
        if (std::optional<ProcessInfo> info = info_of(*region, name)) {
            all.push_back(std::move(*info));
        }
    }
    std::unordered_map<std::uint64_t, ProcessInfo*> by_id;
    for (ProcessInfo& info : all) by_id[info.join_id] = &info;
    count_links(*domain, by_id);
    return all;
}

// The links first, then the names: an id that is nobody's after that never becomes anybody's.
Result<std::vector<Collected>> collect_link_garbage(bool dry_run, std::string_view domain_path) {
    const Result<Domain> domain = Domain::find(domain_path);
    if (!domain && domain.error().code == Errc::not_found) return std::vector<Collected>{};
    if (!domain) return std::unexpected(domain.error());
    const Result<std::vector<std::string>> links = domain->names_of(kLinkSuffix);
    if (!links) return std::unexpected(links.error());
    const Result<std::vector<std::string>> pulses = domain->names_of(kPulseSuffix);
    if (!pulses) return std::unexpected(pulses.error());
    Collector collector{.domain = *domain, .dry_run = dry_run, .done = {}};
    std::unordered_map<std::uint64_t, bool> alive;
    collector.collect_names(alive);
    collector.collect_files(*links, kLinkSuffix, alive);
    collector.collect_files(*pulses, kPulseSuffix, alive);
    return std::move(collector.done);
}

}  // namespace stoa
