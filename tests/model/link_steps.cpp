// The steps of the link model: each case is one access of shared memory or of the folder.
#include "tests/model/link_model.hpp"
#include "tests/model/link_words.hpp"

namespace stoa::model {

using namespace link_words;

// --- what the processes can find out ------------------------------------------------------------

bool LinkModel::is_dead(const LinkState& state, int who) const {
    const LinkLife life = state.actors[at(who)].life;
    if (broken(LinkMutant::stopped_is_dead) && life == LinkLife::stopped) return true;
    return life == LinkLife::dead;
}

// A holder's participant: dead, or its place was given back.
bool LinkModel::is_gone(const LinkState& state, std::uint8_t holder) const {
    const int who = actor_of(holder);
    return is_dead(state, who) || state.actors[at(who)].id != holder;
}

bool LinkModel::is_over_by(const LinkState& state, std::uint8_t id, const NameFile* file) const {
    return file == nullptr || file->owner != id || is_gone(state, id);
}

// Whether somebody who lives has entered that name: its owner, who is about to take it or to go,
// who waits for a join.
bool LinkModel::is_used(const LinkState& state, std::uint8_t name, std::uint8_t file,
                        int but) const {
    for (int i = 0; i < config_.actors; ++i) {
        const LinkActor& my = state.actors[at(i)];
        if (i == but || is_dead(state, i)) continue;
        const bool awaits = my.pc == LinkPc::await_look || my.pc == LinkPc::await_ring;
        if (my.own == file && config_.name[at(i)] == name) return true;
        if (awaits && my.other == file && config_.target[at(i)] == name) return true;
    }
    return false;
}

bool LinkModel::is_over(const LinkState& state, std::uint8_t id) const {
    const std::uint8_t name = name_of(id);
    const std::uint8_t file = find_name(state, name);
    return is_over_by(state, id, file == kNoFile ? nullptr : &state.files[name][file]);
}

std::uint8_t LinkModel::find_name(const LinkState& state, std::uint8_t name) const {
    for (std::uint8_t i = 0; i < kMostFiles; ++i) {
        if (state.files[name][i].is_named) return i;
    }
    return kNoFile;
}

bool LinkModel::is_between(const LinkFile& link, std::uint8_t a, std::uint8_t b) const {
    if (broken(LinkMutant::links_of_names)) {
        const std::uint8_t low = std::min(name_of(a), name_of(b));
        const std::uint8_t high = std::max(name_of(a), name_of(b));
        return name_of(link.low) == low && name_of(link.high) == high;
    }
    return (link.low == a && link.high == b) || (link.low == b && link.high == a);
}

std::uint8_t LinkModel::find_link(const LinkState& state, std::uint8_t a, std::uint8_t b) const {
    for (std::uint8_t i = 0; i < kMostLinks; ++i) {
        if (state.links[i].is_named && is_between(state.links[i], a, b)) return i;
    }
    return kNoLink;
}

std::uint8_t LinkModel::peer_in(const LinkFile& link, const LinkActor& my) const {
    return name_of(my.id) == name_of(link.low) ? link.high : link.low;
}

LinkFile::Queue& LinkModel::queue(LinkFile& link, std::uint8_t name, bool outgoing) const {
    return link.queues[(name == name_of(link.low)) == outgoing ? 0 : 1];
}

// --- what several of them do --------------------------------------------------------------------

// Who sleeps there, or has looked and is about to.
void LinkModel::ring(LinkState& state, std::uint8_t name, std::uint8_t file) const {
    for (int i = 0; i < config_.actors; ++i) {
        LinkActor& my = state.actors[at(i)];
        const bool receives = my.pc >= LinkPc::receive_arm && my.pc <= LinkPc::receive_sleep;
        const bool awaits = my.pc == LinkPc::await_look || my.pc == LinkPc::await_ring;
        const bool own = receives && config_.name[at(i)] == name && my.own == file;
        const bool other = awaits && config_.target[at(i)] == name && my.other == file;
        if (own || other) my.rung = true;
    }
}

// Its mark in the link: only of one that has it open.
void LinkModel::wake_peer(LinkState& state, const LinkFile& link, std::uint8_t peer) const {
    LinkActor& other = state.actors[at(actor_of(peer))];
    const bool receives = other.pc >= LinkPc::receive_arm && other.pc <= LinkPc::receive_sleep;
    const bool is_open = (link.open & bit(actor_of(peer))) != 0;
    if (receives && is_open && other.id == peer) other.rung = true;
}

void LinkModel::unname(LinkState& state, std::uint8_t name, std::uint8_t file) const {
    state.files[name][file].is_named = false;
}

std::uint8_t LinkModel::new_file(LinkState& state, std::uint8_t name) const {
    for (std::uint8_t i = 0; i < config_.files; ++i) {
        bool is_used = state.files[name][i].is_named;
        for (int k = 0; k < config_.actors; ++k) {
            const LinkActor& my = state.actors[at(k)];
            const bool collecting = collects(k) || my.pc >= LinkPc::collect_look;
            const std::uint8_t of = collecting ? my.about : config_.target[at(k)];
            is_used = is_used || (my.own == i && config_.name[at(k)] == name);
            is_used = is_used || (my.other == i && of == name);
        }
        if (is_used) continue;
        state.files[name][i] = {.is_named = true};
        return i;
    }
    STOA_CHECK(false && "kMostFiles");
    return kNoFile;
}

std::uint8_t LinkModel::new_link(LinkState& state, std::uint8_t a, std::uint8_t b) const {
    for (std::uint8_t i = 0; i < config_.links; ++i) {
        LinkFile& link = state.links[i];
        if (link.low != 0) continue;
        link = {.is_named = true,
                .low = name_of(a) < name_of(b) ? a : b,
                .high = name_of(a) < name_of(b) ? b : a,
                .open = bit(actor_of(a))};
        return i;
    }
    STOA_CHECK(false && "kMostLinks");
    return kNoLink;
}

void LinkModel::close(LinkState& state, int who, std::uint8_t link) const {
    LinkFile& file = state.links[link];
    file.open = static_cast<std::uint8_t>(file.open & ~bit(who));
}

void LinkModel::returns(LinkActor& my) const {
    my = {.joins = my.joins, .sends = my.sends, .id = my.id, .on = my.on, .own = my.own};
    if (!my.on) my.id = 0;
    if (my.id == 0) my.own = kNoFile;
}

void LinkModel::sent(LinkActor& my) const {
    --my.sends;
    returns(my);
}

void LinkModel::step(LinkState& state, int who, const char*& fault) const {
    const LinkPc pc = state.actors[at(who)].pc;
    if (pc <= LinkPc::join_ring) return join(state, who, fault);
    if (pc <= LinkPc::send_look) return find(state, who);
    if (pc <= LinkPc::send_state) return connect(state, who);
    if (pc <= LinkPc::send_taken) return send(state, who);
    if (pc <= LinkPc::await_ring) return await(state, who);
    if (pc <= LinkPc::receive_empty) return look_at_knock(state, who);
    if (pc <= LinkPc::receive_sleep) return receive(state, who, fault);
    if (pc <= LinkPc::leave_unlink) return leave(state, who);
    if (pc <= LinkPc::leave_done) return leave_name(state, who);
    if (pc <= LinkPc::collect_ring) return collect_name(state, who);
    return collect_link(state, who);
}

// --- join ---------------------------------------------------------------------------------------

void LinkModel::join(LinkState& state, int who, const char*& fault) const {
    LinkActor& my = state.actors[at(who)];
    const std::uint8_t name = config_.name[at(who)];
    if (my.pc == LinkPc::join_find) {
        my.own = find_name(state, name);
        my.pc = my.own == kNoFile ? LinkPc::join_create : LinkPc::join_look;
        return;
    }
    if (my.pc == LinkPc::join_create) {
        my.pc = LinkPc::join_find;
        if (find_name(state, name) != kNoFile) return;
        my.own = new_file(state, name);
        my.pc = LinkPc::join_look;
        return;
    }
    NameFile& file = state.files[name][my.own];
    switch (my.pc) {
        case LinkPc::join_look:
            if (file.owner == kNameGone || file.condemned) {
                if (!broken(LinkMutant::no_help)) file.is_named = false;
                my.own = kNoFile;
                my.pc = LinkPc::join_find;
                return;
            }
            my.kept = file.owner;
            my.pc = LinkPc::join_take;
            if (file.owner == 0) return;
            if (!is_gone(state, file.owner) || broken(LinkMutant::never_takes_over)) {
                const LinkLife life = state.actors[at(actor_of(file.owner))].life;
                if (life == LinkLife::dead) fault = "the name of a dead one is refused";
                returns(my);
            }
            return;
        case LinkPc::join_take:
            if (file.owner != my.kept && !broken(LinkMutant::joins_by_store)) {
                my.pc = LinkPc::join_look;
                return;
            }
            file.owner = my.id;
            my.on = true;
            my.kept = 0;
            my.pc = LinkPc::join_ring;
            if (broken(LinkMutant::joins_silently)) returns(my);
            return;
        default: ring(state, name, my.own); returns(my);
    }
}

// --- send ---------------------------------------------------------------------------------------

void LinkModel::find(LinkState& state, int who) const {
    LinkActor& my = state.actors[at(who)];
    const std::uint8_t name = config_.target[at(who)];
    if (my.pc != LinkPc::send_look) {
        my.other = find_name(state, name);
        if (my.other == kNoFile) {
            if (!config_.awaits) return sent(my);
            const bool makes = my.pc == LinkPc::send_make;
            my.pc = makes ? LinkPc::send_look : LinkPc::send_make;
            if (makes) my.other = new_file(state, name);
            return;
        }
        my.pc = LinkPc::send_look;
        return;
    }
    NameFile& file = state.files[name][my.other];
    if (file.owner == kNameGone || file.condemned) {
        if (!broken(LinkMutant::no_help)) file.is_named = false;
        my.other = kNoFile;
        my.pc = LinkPc::send_find;
        return;
    }
    if (file.owner == 0 || is_gone(state, file.owner)) {
        if (!config_.awaits) return sent(my);
        my.rung = false;
        my.pc = LinkPc::await_look;
        return;
    }
    my.to = file.owner;
    my.pc = broken(LinkMutant::knocks_before_link) ? LinkPc::send_knock : LinkPc::send_link;
    const std::uint8_t link = find_link(state, my.id, my.to);  // private: is it open
    if (link == kNoLink || (state.links[link].open & bit(who)) == 0) return;
    my.link = link;
    my.pc = LinkPc::send_put;
}

void LinkModel::connect(LinkState& state, int who) const {
    LinkActor& my = state.actors[at(who)];
    const bool knocked = broken(LinkMutant::knocks_before_link);
    const LinkPc then = knocked ? LinkPc::send_again : LinkPc::send_knock;
    if (my.pc == LinkPc::send_state) {
        my.pc = then;
        if (!state.links[my.link].condemned) return;
        close(state, who, my.link);
        return sent(my);
    }
    if (my.pc == LinkPc::send_link && broken(LinkMutant::rings_before_link)) {
        ring(state, config_.target[at(who)], my.other);
    }
    const bool creates = my.pc == LinkPc::send_create;
    my.link = find_link(state, my.id, my.to);
    if (my.link == kNoLink || (creates && broken(LinkMutant::links_by_store))) {
        if (creates) my.link = new_link(state, my.id, my.to);
        my.pc = creates ? then : LinkPc::send_create;
        return;
    }
    state.links[my.link].open |= bit(who);
    my.pc = LinkPc::send_state;
}

void LinkModel::send(LinkState& state, int who) const {
    LinkActor& my = state.actors[at(who)];
    const std::uint8_t name = config_.target[at(who)];
    NameFile& file = state.files[name][my.other];
    switch (my.pc) {
        case LinkPc::send_knock: {
            std::uint8_t& place = file.knocks[my.at];
            const bool store = broken(LinkMutant::knocks_by_store);
            if (place != 0 && place != my.id && !store) {
                if (++my.at < config_.knocks) return;
                close(state, who, my.link);  // full: the link holds nothing and may stay
                return sent(my);
            }
            place = my.id;
            my.at = 0;
            my.pc = LinkPc::send_ring;
            return;
        }
        case LinkPc::send_ring: {
            const bool late =
                broken(LinkMutant::rings_before_link) || broken(LinkMutant::rings_after_send);
            if (!late) ring(state, name, my.other);
            const bool links = broken(LinkMutant::knocks_before_link);
            my.pc = links ? LinkPc::send_link : LinkPc::send_again;
            return;
        }
        case LinkPc::send_again:
            my.pc = LinkPc::send_put;
            if (file.owner == my.to) return;
            if (broken(LinkMutant::undoes_by_destroying)) {
                state.links[my.link].condemned = true;
                state.links[my.link].is_named = false;
                close(state, who, my.link);
            }
            my.link = kNoLink;  // it is one of the open ones now
            my.to = 0;
            my.other = kNoFile;
            my.pc = LinkPc::send_find;
            return;
        case LinkPc::send_put: {
            LinkFile& link = state.links[my.link];
            if (link.condemned) return sent(my);
            LinkFile::Queue& out = queue(link, config_.name[at(who)], true);
            STOA_CHECK(out.count < kDepth);
            out.to[out.count++] = my.to;
            if (!has_ended(state, my.to)) ++state.pending[at(my.to - 1)];
            wake_peer(state, link, my.to);
            my.pc = LinkPc::send_taken;
            const bool late = broken(LinkMutant::rings_after_send);
            if (!config_.rendezvous) late ? void(my.pc = LinkPc::send_late) : sent(my);
            return;
        }
        case LinkPc::send_late: ring(state, name, my.other); return sent(my);
        default: sent(my);
    }
}

// The other name's bell is armed: it looks once more.
void LinkModel::await(LinkState& state, int who) const {
    LinkActor& my = state.actors[at(who)];
    if (my.pc == LinkPc::await_ring) {
        my.asleep = true;
        return;
    }
    const NameFile& file = state.files[config_.target[at(who)]][my.other];
    const bool has_gone = file.owner == kNameGone || file.condemned;
    const bool has_joined = file.owner != 0 && !has_gone && !is_gone(state, file.owner);
    my.pc = has_gone || has_joined ? LinkPc::send_look : LinkPc::await_ring;
}

// --- receive ------------------------------------------------------------------------------------

void LinkModel::look_at_knock(LinkState& state, int who) const {
    LinkActor& my = state.actors[at(who)];
    NameFile& file = state.files[config_.name[at(who)]][my.own];
    const bool looks_first = broken(LinkMutant::looks_before_taking);
    const auto go_on = [&] {
        my.kept = 0;
        ++my.at;
        my.pc = LinkPc::receive_knock;
    };
    switch (my.pc) {
        case LinkPc::receive_arm:
            my.rung = false;
            my.pc = LinkPc::receive_knock;
            return;
        case LinkPc::receive_knock:
            if (my.at >= config_.knocks) {
                my.at = 0;
                my.pc = LinkPc::receive_link;
                return;
            }
            my.kept = file.knocks[my.at];
            if (my.kept == 0) return go_on();
            if (!looks_first) file.knocks[my.at] = 0;
            my.pc = LinkPc::receive_find;
            return;
        case LinkPc::receive_find: {
            const std::uint8_t link = find_link(state, my.id, my.kept);
            if (link != kNoLink) state.links[link].open |= bit(who);
            my.pc = LinkPc::receive_empty;
            if (!looks_first) go_on();
            return;
        }
        default:
            if (file.knocks[my.at] == my.kept) file.knocks[my.at] = 0;
            go_on();
    }
}

void LinkModel::receive(LinkState& state, int who, const char*& fault) const {
    LinkActor& my = state.actors[at(who)];
    if (my.pc == LinkPc::receive_sleep) {
        if (my.rung) return returns(my);
        my.asleep = true;
        return;
    }
    const bool looks_first = broken(LinkMutant::drained_before_over);
    if (my.pc == LinkPc::receive_link) {
        while (my.at < kMostLinks && (state.links[my.at].open & bit(who)) == 0) ++my.at;
        if (my.at == kMostLinks) {
            if (my.took) return returns(my);
            if (broken(LinkMutant::arms_after_look)) my.rung = false;
            my.at = 0;
            my.pc = LinkPc::receive_sleep;
            return;
        }
        LinkFile& link = state.links[my.at];
        my.flag = looks_first ? queue(link, config_.name[at(who)], false).count == 0
                              : is_over(state, peer_in(link, my));
        my.pc = LinkPc::receive_take;
        return;
    }
    LinkFile& link = state.links[my.at];
    LinkFile::Queue& in = queue(link, config_.name[at(who)], false);
    if (my.pc == LinkPc::receive_unlink) {
        link.is_named = false;
        close(state, who, my.at);
    } else if (looks_first ? my.flag && is_over(state, peer_in(link, my))
                           : my.flag && in.count == 0) {
        link.condemned = true;
        my.flag = false;
        my.pc = LinkPc::receive_unlink;
        return;
    } else if (in.count > 0 && !(looks_first && my.flag)) {
        if (in.to[0] != my.id) fault = "it receives what was meant for another join";
        if (fault == nullptr) --state.pending[at(my.id - 1)];
        in.to = {in.to[1], 0};
        --in.count;
        my.took = true;
    }
    my.flag = false;
    ++my.at;
    my.pc = LinkPc::receive_link;
}

// --- leave --------------------------------------------------------------------------------------

void LinkModel::leave(LinkState& state, int who) const {
    LinkActor& my = state.actors[at(who)];
    const std::uint8_t name = config_.name[at(who)];
    NameFile& file = state.files[name][my.own];
    const bool links_first = broken(LinkMutant::links_before_end);
    switch (my.pc) {
        case LinkPc::leave_end:
            if (file.owner == my.id) file.owner = 0;
            my.on = false;
            my.pc = broken(LinkMutant::leaves_knocks) ? LinkPc::leave_link : LinkPc::leave_knock;
            if (links_first) my.pc = LinkPc::leave_garbage;
            return;
        case LinkPc::leave_knock: {
            if (my.at >= config_.knocks) {
                my.at = 0;
                my.pc = LinkPc::leave_link;
                return;
            }
            const std::uint8_t from = file.knocks[my.at];
            if (broken(LinkMutant::takes_when_leaving)) file.knocks[my.at] = 0;
            ++my.at;
            if (from == 0) return;
            const std::uint8_t link = find_link(state, my.id, from);
            if (link != kNoLink) state.links[link].open |= bit(who);
            return;
        }
        case LinkPc::leave_link: {
            while (my.at < kMostLinks && (state.links[my.at].open & bit(who)) == 0) ++my.at;
            if (my.at == kMostLinks) {
                my.at = 0;
                my.pc = links_first ? LinkPc::leave_end : LinkPc::leave_garbage;
                return;
            }
            LinkFile& link = state.links[my.at];
            const std::uint8_t peer = peer_in(link, my);
            const bool is_last = broken(LinkMutant::last_participant_removes)
                                     ? link.open == bit(who)
                                     : is_over(state, peer);
            if (is_last) {
                my.pc = LinkPc::leave_condemn;
                return;
            }
            wake_peer(state, link, peer);
            close(state, who, my.at);
            ++my.at;
            return;
        }
        case LinkPc::leave_condemn:
            state.links[my.at].condemned = true;
            my.pc = LinkPc::leave_unlink;
            return;
        default:
            state.links[my.at].is_named = false;
            close(state, who, my.at);
            ++my.at;
            my.pc = LinkPc::leave_link;
    }
}

void LinkModel::leave_name(LinkState& state, int who) const {
    LinkActor& my = state.actors[at(who)];
    const std::uint8_t name = config_.name[at(who)];
    NameFile& file = state.files[name][my.own];
    const bool apart = broken(LinkMutant::condemned_apart);
    switch (my.pc) {
        case LinkPc::leave_garbage: {
            const bool is_garbage = file.owner == 0 && !is_used(state, name, my.own, who);
            my.pc = is_garbage ? LinkPc::leave_remove : LinkPc::leave_done;
            return;
        }
        case LinkPc::leave_remove:
            my.pc = LinkPc::leave_name;
            if (apart) {
                file.condemned = true;
            } else if (file.owner == 0) {
                file.owner = kNameGone;
            } else {
                my.pc = LinkPc::leave_done;
            }
            return;
        case LinkPc::leave_name:
            file.is_named = false;
            my.pc = LinkPc::leave_ring;
            return;
        case LinkPc::leave_ring:
            if (!broken(LinkMutant::leaves_silently)) ring(state, name, my.own);
            my.pc = LinkPc::leave_done;
            return;
        default: returns(my);
    }
}

// --- collect ------------------------------------------------------------------------------------

void LinkModel::collect_name(LinkState& state, int who) const {
    LinkActor& my = state.actors[at(who)];
    NameFile& file = state.files[my.about][my.other];
    const bool apart = broken(LinkMutant::condemned_apart);
    switch (my.pc) {
        case LinkPc::collect_look:
            if (file.owner == kNameGone || file.condemned) {
                my.pc = LinkPc::collect_unname;
                return;
            }
            if (file.owner != 0 && !is_gone(state, file.owner)) return returns(my);
            if (is_used(state, my.about, my.other, who)) return returns(my);
            my.kept = file.owner;
            my.pc = LinkPc::collect_take;
            return;
        case LinkPc::collect_take:
            if (file.owner != my.kept && !apart) return returns(my);
            file.condemned = apart;
            if (!apart) file.owner = kNameGone;
            my.kept = 0;
            my.pc = LinkPc::collect_unname;
            return;
        case LinkPc::collect_unname:
            file.is_named = false;
            my.pc = LinkPc::collect_ring;
            return;
        default:
            if (!broken(LinkMutant::leaves_silently)) ring(state, my.about, my.other);
            returns(my);
    }
}

void LinkModel::collect_link(LinkState& state, int who) const {
    LinkActor& my = state.actors[at(who)];
    LinkFile& link = state.links[my.link];
    const auto over = [&](std::uint8_t id) {
        if (my.other == kNoFile || name_of(id) != my.about) return is_over(state, id);
        return is_over_by(state, id, &state.files[my.about][my.other]);
    };
    const bool one_is_enough = broken(LinkMutant::one_over_is_enough);
    switch (my.pc) {
        case LinkPc::collect_low:
            if (!link.is_named) return returns(my);
            my.pc = LinkPc::collect_unlink;
            if (link.condemned) return;
            if (broken(LinkMutant::gc_by_participants)) {
                my.pc = LinkPc::collect_condemn;
                if (link.open != 0) returns(my);
                return;
            }
            my.pc = LinkPc::collect_high;
            if (over(link.low)) {
                if (one_is_enough) my.pc = LinkPc::collect_condemn;
                return;
            }
            if (!one_is_enough) returns(my);
            return;
        case LinkPc::collect_high:
            my.pc = LinkPc::collect_condemn;
            if (!over(link.high) || link.open != 0) returns(my);
            return;
        case LinkPc::collect_condemn:
            link.condemned = true;
            my.pc = LinkPc::collect_unlink;
            return;
        default: link.is_named = false; returns(my);
    }
}

}  // namespace stoa::model
