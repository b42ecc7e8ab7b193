#include "cli/chat/roster.hpp"

#include <set>

namespace stoa::cli {

Roster::~Roster() {
    for (const auto& [name, member] : members_) {
        if (member.death.value != 0) static_cast<void>(set_.remove(member.death));
    }
}

bool Roster::is_in_room(const ProcessInfo& info) const {
    const auto at = info.attributes.find(std::string{kRoomAttribute});
    return at != info.attributes.end() && at->second == room_ && info.name != own_name_;
}

// Of one that has its name no more.
Roster::Change Roster::ending_of(const Member& member) {
    const bool dead = sys::probe(member.identity) == sys::Life::dead;
    return dead && !member.leaves ? Change::died : Change::left;
}

void Roster::add(const ProcessInfo& info) {
    const auto at = members_.find(info.name);
    if (at != members_.end()) {
        if (at->second.join_id == info.join_id) return;
        remove(at, ending_of(at->second));
    }
    Member member{.join_id = info.join_id, .identity = info.identity, .tag = next_tag_++};
    // Without a descriptor for it, its end is seen by the next refresh.
    if (const Result<WaitId> id = set_.add(Death{info.identity}, member.tag)) member.death = *id;
    members_.emplace(info.name, member);
    tell_(Change::joined, info.name);
}

void Roster::remove(Members::iterator at, Change change) {
    const std::string name = at->first;
    if (at->second.death.value != 0) static_cast<void>(set_.remove(at->second.death));
    if (at->second.leaves) --leavers_;
    members_.erase(at);
    tell_(change, name);
}

Result<void> Roster::refresh() {
    const Result<std::vector<ProcessInfo>> all = list_processes();
    if (!all) return std::unexpected(all.error());
    std::set<std::uint64_t> here;
    for (const ProcessInfo& info : *all) {
        if (is_in_room(info)) here.insert(info.join_id);
    }
    for (auto at = members_.begin(); at != members_.end();) {
        const auto next = std::next(at);
        if (!here.contains(at->second.join_id)) remove(at, ending_of(at->second));
        at = next;
    }
    for (const ProcessInfo& info : *all) {
        if (is_in_room(info)) add(info);
    }
    return {};
}

void Roster::joined(const std::string& name) {
    const Result<ProcessInfo> info = find_process(name);
    if (info && is_in_room(*info)) add(*info);
}

void Roster::left(const std::string& name) {
    const auto at = members_.find(name);
    if (at == members_.end() || at->second.leaves) return;
    at->second.leaves = true;
    ++leavers_;
    look_at_leavers();
}

void Roster::look_at_leavers() {
    for (auto at = members_.begin(); at != members_.end();) {
        const auto next = std::next(at);
        if (at->second.leaves) {
            const Result<ProcessInfo> info = find_process(at->first);
            const bool gone = info ? info->join_id != at->second.join_id || !is_in_room(*info)
                                   : info.error().code == Errc::not_found;
            if (gone) remove(at, Change::left);
        }
        at = next;
    }
}

void Roster::died(std::uint64_t tag) {
    for (auto at = members_.begin(); at != members_.end(); ++at) {
        if (at->second.tag != tag) continue;
        return remove(at, at->second.leaves ? Change::left : Change::died);
    }
}

std::vector<std::string> Roster::names() const {
    std::vector<std::string> all;
    for (const auto& [name, member] : members_) all.push_back(name);
    return all;
}

}  // namespace stoa::cli
