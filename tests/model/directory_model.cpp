#include "tests/model/directory_model.hpp"

namespace stoa::model {
namespace {

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

constexpr const char* kPcNames[] = {
    "takes an entry", "writes the name", "says it",  "looks",   "empties one",
    "decides",        "waits",           "inherits", "settles", "constructs",
    "publishes",      "finds",           "condemns", "ends"};

const char* name_of(ActorPc pc) {
    return kPcNames[static_cast<std::size_t>(pc)];
}

constexpr const char* kStateNames[] = {"-",        "claimed", "tentative", "constructing",
                                       "complete", "LIVE",    "destroying"};

}  // namespace

DirectoryState DirectoryModel::initial() const {
    DirectoryState state{};
    for (int i = 0; i < config_.actors; ++i) {
        state.actors[at(i)].claims = static_cast<std::uint8_t>(config_.claims);
    }
    return state;
}

bool DirectoryModel::is_gone(const DirectoryState& state, std::uint8_t holder) const {
    const ActorLife life = state.actors[holder].life;
    if (broken(DirectoryMutant::stopped_is_dead) && life == ActorLife::stopped) return true;
    return life == ActorLife::dead;
}

bool DirectoryModel::still_kept(const DirectoryState& state, const Actor& my) const {
    return !my.kept_stale && state.entries[my.kept_at].is(my.kept, my.kept_holder);
}

// At most one object of the name, and none is lost.
const char* DirectoryModel::judge(const DirectoryState& state) const {
    int objects = 0;
    int finished = 0;
    for (const EntryState& entry : state.entries) {
        objects += entry.state >= WordState::constructing ? 1 : 0;
        finished += entry.state == WordState::live || entry.state == WordState::destroying ? 1 : 0;
    }
    if (objects > 1) return "two have the name";
    return finished == state.made - state.ended ? nullptr : "an object is lost";
}

void DirectoryModel::keep(Actor& my, const DirectoryState& state, std::uint8_t entry) const {
    my.kept_at = entry;
    my.kept = state.entries[entry].state;
    my.kept_holder = state.entries[entry].holder;
    my.kept_object = state.entries[entry].object;
    my.kept_stale = false;
}

// C1. A new turn: what others kept of this entry is stale.
void DirectoryModel::take(DirectoryState& next, int who, std::uint8_t entry) const {
    for (int i = 0; i < config_.actors && !broken(DirectoryMutant::no_turn); ++i) {
        Actor& other = next.actors[at(i)];
        if (i != who && other.own == entry) other.own_stale = true;
        if (other.kept_at == entry) other.kept_stale = true;
    }
    next.entries[entry] = {.state = WordState::claimed, .holder = holder_of(who)};
    Actor& my = next.actors[at(who)];
    my.own = entry;
    my.own_stale = false;
    my.pc = broken(DirectoryMutant::named_late) ? ActorPc::say : ActorPc::write;
}

void DirectoryModel::returns(Actor& my) const {
    my = {.claims = static_cast<std::uint8_t>(my.claims - 1)};
}

void DirectoryModel::moves(const DirectoryState& state, Moves<DirectoryState>& out) const {
    for (int who = 0; who < config_.actors; ++who) {
        if (state.actors[at(who)].life == ActorLife::running) actor_moves(state, who, out);
        environment_moves(state, who, out);
    }
}

void DirectoryModel::actor_moves(const DirectoryState& state, int who,
                                 Moves<DirectoryState>& out) const {
    const Actor& my = state.actors[at(who)];
    if (rests(my)) return;
    if (my.pc == ActorPc::idle && !my.destroys) {
        for (std::uint8_t i = 0; i < config_.entries; ++i) {
            const EntryState& entry = state.entries[i];
            const bool of_dead =
                (entry.state == WordState::claimed || entry.state == WordState::tentative) &&
                is_gone(state, entry.holder);
            if (entry.state != WordState::empty && !of_dead) continue;
            DirectoryState& next = out.draft(state);
            take(next, who, i);
            out.take_progress(who, name_of(my.pc));
        }
        return;
    }
    if (my.pc == ActorPc::await && still_kept(state, my) && !is_gone(state, my.kept_holder)) return;
    DirectoryState& next = out.draft(state);
    const char* fault = nullptr;
    step(next, who, fault);
    if (fault == nullptr) fault = judge(next);
    out.take_progress(who, name_of(my.pc), fault);
    if (my.pc == ActorPc::construct && config_.throws) {
        DirectoryState& thrown = out.draft(state);
        thrown.entries[my.own].state = WordState::empty;
        returns(thrown.actors[at(who)]);
        out.take_progress(who, "throws", judge(thrown));
    }
}

void DirectoryModel::environment_moves(const DirectoryState& state, int who,
                                       Moves<DirectoryState>& out) const {
    const Actor& my = state.actors[at(who)];
    const auto all_of_it = [&](DirectoryState& next, ActorLife life) {
        for (int i = 0; i < config_.actors; ++i) {
            if (holder_of(i) != holder_of(who)) continue;
            next.actors[at(i)].life = life;
            if (life == ActorLife::dead) next.actors[at(i)] = {.life = life};
        }
    };
    if (holder_of(who) != who) return;
    if (my.life == ActorLife::running && state.crashes < config_.crashes) {
        DirectoryState& next = out.draft(state);
        all_of_it(next, ActorLife::dead);
        ++next.crashes;
        out.take_environment(who, "DIES");
    }
    if (my.life == ActorLife::running && state.freezes < config_.freezes) {
        DirectoryState& next = out.draft(state);
        all_of_it(next, ActorLife::stopped);
        ++next.freezes;
        out.take_environment(who, "STOPS");
    }
    if (my.life == ActorLife::stopped) {
        DirectoryState& next = out.draft(state);
        all_of_it(next, ActorLife::running);
        out.take_environment(who, "GOES ON");
    }
}

void DirectoryModel::step(DirectoryState& state, int who, const char*& fault) const {
    Actor& my = state.actors[at(who)];
    const bool looks_first = broken(DirectoryMutant::looks_before_it_says);
    switch (my.pc) {
        case ActorPc::idle:  // claims are moves of their own
            my.pc = ActorPc::find;
            return;
        case ActorPc::write:
            state.entries[my.own].named = true;
            my.pc = looks_first ? ActorPc::look : ActorPc::say;
            if (broken(DirectoryMutant::named_late)) my.pc = ActorPc::decide;
            return;
        case ActorPc::say:
            state.entries[my.own].state = WordState::tentative;
            my.pc = ActorPc::look;
            if (looks_first) my.pc = ActorPc::decide;
            return;
        case ActorPc::look: return look(state, who);
        case ActorPc::empty:
            if (still_kept(state, my)) {
                state.entries[my.kept_at].state = WordState::empty;
                ++my.at;
            }
            my.pc = ActorPc::look;
            return;
        case ActorPc::decide: return decide(state, who);
        case ActorPc::await: my = {.claims = my.claims}; return;
        case ActorPc::inherit: {
            const bool blind = broken(DirectoryMutant::inherits_by_store);
            if (!blind && !still_kept(state, my)) {
                my.pc = ActorPc::look;
                return;
            }
            state.entries[my.kept_at].state = my.kept;
            state.entries[my.kept_at].holder = holder_of(who);
            my.pc = ActorPc::settle;
            return;
        }
        case ActorPc::settle: {
            EntryState& entry = state.entries[my.kept_at];
            if (my.kept == WordState::complete) ++state.made;
            if (my.kept == WordState::destroying) ++state.ended;
            entry.state = my.kept == WordState::complete ? WordState::live : WordState::empty;
            my.pc = ActorPc::look;
            return;
        }
        case ActorPc::construct:
            state.entries[my.own].state = WordState::complete;
            my.pc = ActorPc::publish;
            return;
        case ActorPc::publish:
            state.entries[my.own].state = WordState::live;
            ++state.made;
            returns(my);
            my.destroys = who >= config_.actors - config_.destroyers;
            return;
        case ActorPc::find:
        case ActorPc::condemn:
        case ActorPc::end: return destroy(state, who, fault);
    }
}

// C4, one entry.
void DirectoryModel::look(DirectoryState& state, int who) const {
    Actor& my = state.actors[at(who)];
    if (my.at < config_.entries && my.at == my.own) ++my.at;
    if (my.at >= config_.entries) {
        const bool looks_first = broken(DirectoryMutant::looks_before_it_says);
        my.pc = looks_first ? ActorPc::say : ActorPc::decide;
        if (broken(DirectoryMutant::named_late)) my.pc = ActorPc::write;
        return;
    }
    const EntryState& entry = state.entries[my.at];
    if (entry.state < WordState::tentative || !entry.named) {
        ++my.at;
        return;
    }
    if (entry.state == WordState::live) {
        my.exists = true;
        my.at = static_cast<std::uint8_t>(config_.entries);
        return;
    }
    if (entry.state == WordState::tentative) {
        if (broken(DirectoryMutant::ignores_tentative)) {
            ++my.at;
            return;
        }
        keep(my, state, my.at);
        my.pc = ActorPc::empty;
        if (!broken(DirectoryMutant::waits_for_tentative)) return;
        my.busy = true;
        my.pc = ActorPc::look;
        ++my.at;
        return;
    }
    const bool inherits = is_gone(state, entry.holder) && !broken(DirectoryMutant::never_inherits);
    keep(my, state, my.at);
    if (inherits) {
        my.pc = ActorPc::inherit;
        return;
    }
    my.busy = true;
    ++my.at;
}

// C5.
void DirectoryModel::decide(DirectoryState& state, int who) const {
    Actor& my = state.actors[at(who)];
    EntryState& own = state.entries[my.own];
    const bool none = !my.exists && !my.busy;
    const bool is_ours = (!my.own_stale && own.is(WordState::tentative, holder_of(who))) ||
                         broken(DirectoryMutant::decides_by_store);
    if (is_ours) {
        own.state = none ? WordState::constructing : WordState::empty;
        own.holder = holder_of(who);
        own.object = static_cast<std::uint8_t>(state.made + 1);
    }
    if (my.exists) {
        returns(my);
        my.destroys = who >= config_.actors - config_.destroyers;
        return;
    }
    if (none && is_ours) {
        my.pc = ActorPc::construct;
        return;
    }
    if (none) {  // somebody emptied it
        my = {.claims = my.claims};
        return;
    }
    my.pc = ActorPc::await;
}

void DirectoryModel::destroy(DirectoryState& state, int who, const char*& fault) const {
    Actor& my = state.actors[at(who)];
    if (my.pc == ActorPc::find) {
        my.destroys = false;
        my.pc = ActorPc::idle;
        for (std::uint8_t i = 0; i < config_.entries; ++i) {
            if (state.entries[i].state != WordState::live) continue;
            keep(my, state, i);
            my.pc = ActorPc::condemn;
        }
        if (my.pc == ActorPc::idle) my = {.claims = my.claims};
        return;
    }
    EntryState& entry = state.entries[my.kept_at];
    if (my.pc == ActorPc::condemn) {
        if (!still_kept(state, my) && !broken(DirectoryMutant::condemns_by_store)) {
            my = {.claims = my.claims};
            return;
        }
        if (entry.object != my.kept_object) fault = "it ends another object than it found";
        entry.state = WordState::destroying;
        entry.holder = holder_of(who);
        my.pc = ActorPc::end;
        return;
    }
    entry.state = WordState::empty;
    ++state.ended;
    my = {.claims = my.claims};
}

// Who waits for one that is stopped while it constructs or destroys may wait; nobody else may.
Ending DirectoryModel::ending(const DirectoryState& state) const {
    bool clean = true;
    for (int i = 0; i < config_.actors; ++i) {
        const Actor& my = state.actors[at(i)];
        if (my.life != ActorLife::running || rests(my)) continue;
        const bool waits = my.pc == ActorPc::await && my.kept >= WordState::constructing &&
                           still_kept(state, my) &&
                           state.actors[my.kept_holder].life == ActorLife::stopped;
        clean = clean && waits;
    }
    return {.is_clean = clean};
}

std::string DirectoryModel::text(const DirectoryState& state) const {
    std::string out;
    for (int i = 0; i < config_.entries; ++i) {
        const EntryState& entry = state.entries[at(i)];
        out += std::string{kStateNames[static_cast<std::size_t>(entry.state)]};
        if (entry.state != WordState::empty) out += "." + std::to_string(entry.holder);
        out += " ";
    }
    static constexpr const char* kLives[] = {"", "stopped: ", "dead: "};
    for (int i = 0; i < config_.actors; ++i) {
        const Actor& my = state.actors[at(i)];
        out += "| " + std::to_string(i) + ": " + kLives[static_cast<std::size_t>(my.life)] +
               name_of(my.pc) + " own " + std::to_string(my.own) + " ";
    }
    return out;
}

}  // namespace stoa::model
