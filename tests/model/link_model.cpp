#include "tests/model/link_model.hpp"

#include "tests/model/link_words.hpp"

namespace stoa::model {

using namespace link_words;

LinkState LinkModel::initial() const {
    LinkState state{};
    for (int i = 0; i < config_.actors; ++i) {
        if (collects(i)) continue;
        state.actors[at(i)].joins = config_.joins[at(i)];
        state.actors[at(i)].sends = config_.sends[at(i)];
    }
    return state;
}

// --- what only the judge knows ------------------------------------------------------------------

bool LinkModel::has_ended(const LinkState& state, std::uint8_t id) const {
    const LinkActor& holder = state.actors[at(actor_of(id))];
    return holder.life == LinkLife::dead || holder.id != id || !holder.on;
}

// Somebody waits for a join of this one's name.
bool LinkModel::awaited(const LinkState& state, int who) const {
    for (int i = 0; i < config_.actors; ++i) {
        const LinkActor& other = state.actors[at(i)];
        const bool awaits = other.pc == LinkPc::await_look || other.pc == LinkPc::await_ring;
        if (awaits && config_.target[at(i)] == config_.name[at(who)]) return true;
    }
    return false;
}

const char* LinkModel::judge(const LinkState& state) const {
    for (int i = 0; i < config_.actors; ++i) {
        for (int k = i + 1; k < config_.actors; ++k) {
            const bool both = state.actors[at(i)].on && state.actors[at(k)].on;
            if (both && config_.name[at(i)] == config_.name[at(k)]) return "two have one name";
        }
    }
    for (std::size_t i = 0; i < state.links.size(); ++i) {
        const LinkFile& one = state.links[i];
        if (one.low == 0 || has_ended(state, one.low) || has_ended(state, one.high)) continue;
        if (one.condemned) return "the link of a pair is removed under it";
        for (std::size_t k = i + 1; k < state.links.size(); ++k) {
            const LinkFile& other = state.links[k];
            if (one.low == other.low && one.high == other.high) return "two links for one pair";
        }
    }
    return nullptr;
}

// A named file at the end: only what one that is stopped has entered.
bool LinkModel::may_remain(const LinkState& state, std::uint8_t name, std::uint8_t file) const {
    const std::uint8_t owner = state.files[name][file].owner;
    return owner != kNameGone && is_used(state, name, file, -1);
}

bool LinkModel::rests(const LinkState& state, int who) const {
    const LinkActor& my = state.actors[at(who)];
    if (my.pc == LinkPc::send_taken) {  // a full mailbox may make one wait
        return state.actors[at(actor_of(my.to))].life == LinkLife::stopped;
    }
    return my.pc == LinkPc::idle && !my.on;
}

// Everybody left, or waits for one that is stopped; and then nothing is left of the dead.
Ending LinkModel::ending(const LinkState& state) const {
    bool collected = config_.crashes == 0 && config_.freezes == 0;
    for (int i = 0; i < config_.actors; ++i) {
        if (state.actors[at(i)].life != LinkLife::running) continue;
        if (!rests(state, i)) return {};
        collected = collected || collects(i);
    }
    if (!collected) return {.is_clean = true};
    for (std::uint8_t name = 0; name < config_.names; ++name) {
        for (std::uint8_t i = 0; i < kMostFiles; ++i) {
            if (!state.files[name][i].is_named || may_remain(state, name, i)) continue;
            return {};
        }
    }
    const auto is_held = [&](std::uint8_t id) {
        const LinkActor& holder = state.actors[at(actor_of(id))];
        const bool waits = holder.pc == LinkPc::send_taken && holder.id == id;
        return holder.id == id && (holder.life == LinkLife::stopped || waits);
    };
    for (const LinkFile& link : state.links) {
        if (link.is_named && !is_held(link.low) && !is_held(link.high)) return {};
    }
    return {.is_clean = true};
}

// --- moves --------------------------------------------------------------------------------------

void LinkModel::moves(const LinkState& state, Moves<LinkState>& out) const {
    for (int who = 0; who < config_.actors; ++who) {
        const LinkActor& my = state.actors[at(who)];
        environment_moves(state, who, out);
        if (my.life != LinkLife::running) continue;
        if (my.pc == LinkPc::idle) {
            collects(who) ? collector_moves(state, who, out) : idle_moves(state, who, out);
            continue;
        }
        if (my.asleep) {
            sleeper_moves(state, who, out);
            continue;
        }
        if (my.pc == LinkPc::send_taken) {
            LinkFile link = state.links[my.link];
            const bool is_taken = queue(link, config_.name[at(who)], true).count == 0;
            if (!is_taken && !is_over(state, my.to)) continue;
        }
        LinkState& next = out.draft(state);
        const char* fault = nullptr;
        step(next, who, fault);
        tidy(next);
        if (fault == nullptr) fault = judge(next);
        out.take_progress(who, word_of(my.pc), fault);
    }
}

void LinkModel::idle_moves(const LinkState& state, int who, Moves<LinkState>& out) const {
    const LinkActor& my = state.actors[at(who)];
    if (!my.on) {
        if (my.joins == 0) return;
        LinkState& next = out.draft(state);
        LinkActor& joiner = next.actors[at(who)];
        joiner.id = static_cast<std::uint8_t>(who * 2 + config_.joins[at(who)] - my.joins + 1);
        --joiner.joins;
        joiner.pc = LinkPc::join_find;
        out.take_progress(who, "begins to join");
        return;
    }
    if (my.sends > 0) {
        LinkState& next = out.draft(state);
        next.actors[at(who)].pc = LinkPc::send_find;
        out.take_progress(who, "begins to send");
    }
    LinkState& looking = out.draft(state);
    looking.actors[at(who)].pc = LinkPc::receive_arm;
    out.take_progress(who, "begins to receive");
    const bool is_needed = state.pending[at(my.id - 1)] != 0 || awaited(state, who);
    if (is_needed && !config_.careless) return;
    LinkState& leaving = out.draft(state);
    const bool links_first = broken(LinkMutant::links_before_end);
    leaving.actors[at(who)].pc = links_first ? LinkPc::leave_knock : LinkPc::leave_end;
    out.take_progress(who, "begins to leave");
}

// Only where something is to be done: else its first look ends it, and nothing has changed.
void LinkModel::collector_moves(const LinkState& state, int who, Moves<LinkState>& out) const {
    const LinkActor& my = state.actors[at(who)];
    for (std::uint8_t name = 0; name < config_.names && my.other == kNoFile; ++name) {
        const std::uint8_t file = find_name(state, name);
        if (file == kNoFile) continue;
        const std::uint8_t owner = state.files[name][file].owner;
        const bool is_held = owner != 0 && owner != kNameGone && !is_gone(state, owner);
        if (broken(LinkMutant::names_before_links)) {
            LinkState& keeping = out.draft(state);
            keeping.actors[at(who)].about = name;
            keeping.actors[at(who)].other = file;
            out.take_progress(who, "keeps a name for later");
        }
        if (is_held || (owner != kNameGone && is_used(state, name, file, who))) continue;
        LinkState& next = out.draft(state);
        next.actors[at(who)].about = name;
        next.actors[at(who)].other = file;
        next.actors[at(who)].pc = LinkPc::collect_look;
        out.take_progress(who, "finds a name");
    }
    for (std::uint8_t i = 0; i < kMostLinks; ++i) {
        const LinkFile& link = state.links[i];
        if (!link.is_named) continue;
        const bool any = my.other != kNoFile || broken(LinkMutant::gc_by_participants) ||
                         broken(LinkMutant::one_over_is_enough);
        if (!any && !link.condemned && !is_over(state, link.low)) continue;
        LinkState& next = out.draft(state);
        next.actors[at(who)].link = i;
        next.actors[at(who)].pc = LinkPc::collect_low;
        out.take_progress(who, "finds a link");
    }
}

// A sleep ends by a ring; by its deadline only where nothing is there for it, so that a lost wake
// shows. A slice ends one where a ringer may be dead or stopped.
void LinkModel::sleeper_moves(const LinkState& state, int who, Moves<LinkState>& out) const {
    const LinkActor& my = state.actors[at(who)];
    bool sliced = state.crashes > 0;
    bool has_joined = false;
    for (int i = 0; i < config_.actors; ++i) {
        const LinkActor& other = state.actors[at(i)];
        sliced = sliced || other.life == LinkLife::stopped;
        has_joined = has_joined || (other.on && config_.name[at(i)] == config_.target[at(who)]);
    }
    const bool receives = my.pc == LinkPc::receive_sleep;
    if (my.rung || sliced) {
        LinkState& next = out.draft(state);
        LinkActor& woken = next.actors[at(who)];
        if (receives) {
            returns(woken);
        } else {
            woken.asleep = false;
            woken.rung = false;
            woken.pc = LinkPc::send_look;
        }
        tidy(next);
        out.take_progress(who, "wakes up");
    }
    const bool may_end = receives ? state.pending[at(my.id - 1)] == 0 : !has_joined;
    if (!may_end) return;
    LinkState& next = out.draft(state);
    LinkActor& late = next.actors[at(who)];
    if (receives) {
        returns(late);
    } else {  // the file that it may have made is for a collector
        sent(late);
    }
    tidy(next);
    out.take_progress(who, "has waited long enough");
}

void LinkModel::environment_moves(const LinkState& state, int who, Moves<LinkState>& out) const {
    const LinkActor& my = state.actors[at(who)];
    if (my.life == LinkLife::running && state.crashes < config_.crashes) {
        LinkState& next = out.draft(state);
        next.actors[at(who)] = {.life = LinkLife::dead};
        for (LinkFile& link : next.links) {
            link.open = static_cast<std::uint8_t>(link.open & ~bit(who));
        }
        ++next.crashes;
        tidy(next);
        out.take_environment(who, "DIES");
    }
    if (my.life == LinkLife::running && state.freezes < config_.freezes) {
        LinkState& next = out.draft(state);
        next.actors[at(who)].life = LinkLife::stopped;
        ++next.freezes;
        out.take_environment(who, "STOPS");
    }
    if (my.life == LinkLife::stopped) {
        LinkState& next = out.draft(state);
        next.actors[at(who)].life = LinkLife::running;
        out.take_environment(who, "GOES ON");
    }
}

// What nobody can tell from a file that never was.
void LinkModel::tidy(LinkState& state) const {
    std::uint32_t used_links = 0;
    std::array<std::uint32_t, kMostNames> used_files{};
    for (int i = 0; i < config_.actors; ++i) {
        const LinkActor& my = state.actors[at(i)];
        if (my.link != kNoLink) used_links |= 1U << my.link;
        if (my.own != kNoFile) used_files[config_.name[at(i)]] |= 1U << my.own;
        const bool collecting = collects(i) || my.pc >= LinkPc::collect_look;
        const std::uint8_t name = collecting ? my.about : config_.target[at(i)];
        if (my.other != kNoFile) used_files[name] |= 1U << my.other;
    }
    for (std::size_t i = 0; i < state.links.size(); ++i) {
        LinkFile& link = state.links[i];
        const bool is_used = link.is_named || link.open != 0 || (used_links >> i & 1U) != 0;
        if (!is_used) link = {};
    }
    for (std::size_t name = 0; name < state.files.size(); ++name) {
        for (std::size_t i = 0; i < state.files[name].size(); ++i) {
            NameFile& file = state.files[name][i];
            if (!file.is_named && (used_files[name] >> i & 1U) == 0) file = {};
        }
    }
    for (std::uint8_t id = 1; id <= kMostJoins; ++id) {
        if (actor_of(id) < config_.actors && has_ended(state, id)) state.pending[id - 1U] = 0;
    }
}

std::string LinkModel::text(const LinkState& state) const {
    std::string out;
    const auto put = [&](int number) { out += std::to_string(number); };
    for (int name = 0; name < config_.names; ++name) {
        for (const NameFile& file : state.files[at(name)]) {
            if (!file.is_named && file.owner == 0) continue;
            out += file.is_named ? "[" : "[un";
            out += "named " + std::string(1, static_cast<char>('A' + name)) + " of ";
            put(file.owner);
            out += " knocks";
            for (int i = 0; i < config_.knocks; ++i) {
                out += " ";
                put(file.knocks[at(i)]);
            }
            out += "] ";
        }
    }
    for (const LinkFile& link : state.links) {
        if (link.low == 0) continue;
        out += link.is_named ? "{link " : "{unlinked ";
        put(link.low);
        out += "-";
        put(link.high);
        out += link.condemned ? " condemned open " : " open ";
        put(link.open);
        out += " queues ";
        put(link.queues[0].count);
        put(link.queues[1].count);
        out += "} ";
    }
    static constexpr const char* kLives[] = {"", "stopped: ", "dead: "};
    for (int i = 0; i < config_.actors; ++i) {
        const LinkActor& my = state.actors[at(i)];
        out += "| " + std::to_string(i) + ": " + kLives[static_cast<std::size_t>(my.life)];
        out += std::string{my.asleep ? "sleeps, " : ""} + word_of(my.pc) + " id ";
        put(my.id);
        out += my.on ? "+ " : " ";
    }
    return out;
}

}  // namespace stoa::model
