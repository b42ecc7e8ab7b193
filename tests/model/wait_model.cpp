#include "tests/model/wait_model.hpp"

namespace stoa::model {
namespace {

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

}  // namespace

WaitState WaitModel::initial() const {
    State state{};
    for (int i = 0; i < peers(); ++i) {
        state.peers[at(i)].left =
            static_cast<std::uint8_t>(is_sender(i) ? config_.messages : config_.rounds);
    }
    for (int i = 0; i < config_.sources; ++i) {
        state.sources[at(i)].marked = config_.marked && kind(i) == SourceKind::bell;
    }
    return state;
}

void WaitModel::moves(const State& state, Moves<State>& out) const {
    set_moves(state, out);
    for (int who = 0; who < peers(); ++who) peer_moves(state, who, out);
}

bool WaitModel::is_ready(const State& state, int source) const {
    return state.sources[at(source)].available >= needed(source);
}

// ---- Words that many know -----------------------------------------------------------------------

void WaitModel::mark_changes(State& state, int source) const {
    for (int i = 0; i < peers(); ++i) {
        if (target(i) != source) continue;
        state.peers[at(i)].seen = false;
        state.peers[at(i)].woken = false;
    }
    if (!is_stored_late(source) && state.set.at == source) state.set.seen = false;
}

// What the owner of the set sleeps on, if its own call is not about a bell.
void WaitModel::value_changes(State& state, int source) const {
    if (kind(source) != SourceKind::bell && state.set.at == source) state.set.seen = false;
}

// A bell's bit, set as a sleeper does it: a word that does not change tells nobody.
void WaitModel::set_bit(State& state, int source) const {
    if (!state.sources[at(source)].marked) mark_changes(state, source);
    state.sources[at(source)].marked = true;
}

void WaitModel::flush(State& state, int who) const {
    WaitPeer& my = state.peers[at(who)];
    if (my.buffered == 0) return;
    WaitSource& source = state.sources[at(target(who))];
    source.available = static_cast<std::uint8_t>(source.available + my.buffered);
    my.buffered = 0;
    value_changes(state, target(who));
}

// What a dead receiver had taken is there again; a recovery counts up and wakes all.
void WaitModel::recover(State& state, int source) const {
    WaitSource& from = state.sources[at(source)];
    if (from.held == 0) return;
    from.available = static_cast<std::uint8_t>(from.available + from.held);
    from.held = 0;
    mark_changes(state, source);
    for (int i = config_.senders; i < peers(); ++i) {
        if (state.peers[at(i)].pc == PeerPc::asleep) state.peers[at(i)].pc = PeerPc::woken;
    }
}

void WaitModel::epoch_changes(State& state) {
    for (WaitPeer& peer : state.peers) peer.epoch = false;
}

// ---- What is a clean end ------------------------------------------------------------------------

// Messages that nobody need know of: their sender died or stopped before it had told the set, and
// nothing is there that could find them.
int WaitModel::excused(const State& state, int source) const {
    if (config_.tick) return 0;
    int count = 0;
    for (int i = 0; i < peers(); ++i) {
        const WaitPeer& my = state.peers[at(i)];
        const bool is_between = my.pc >= PeerPc::look_at_mark && my.pc <= PeerPc::byte;
        const bool is_gone =
            my.life == WaitLife::stopped || (my.life == WaitLife::dead && !config_.notices);
        count += target(i) == source && is_gone && is_between ? 1 : 0;
    }
    return count;
}

bool WaitModel::is_on_the_way(const State& state, int source) const {
    for (int i = 0; i < peers(); ++i) {
        const WaitPeer& my = state.peers[at(i)];
        const bool rings = my.pc >= PeerPc::look_at_mark && my.pc <= PeerPc::wake;
        if (my.life == WaitLife::running && target(i) == source && rings) return true;
    }
    return false;
}

// Ready, watched, the descriptor is not readable, and nobody is left who would change that.
bool WaitModel::is_forgotten(const State& state, int source) const {
    const WaitSetState& set = state.set;
    // The owner's own call too: of a bell it may be another receiver's turn to pass the wake on.
    const bool calls = set.pc == SetPc::own_asleep && set.at == source &&
                       kind(source) != SourceKind::bell && config_.freezes + config_.crashes == 0;
    if (calls) return is_ready(state, source) && !is_on_the_way(state, source);
    const bool rests = set.pc == SetPc::asleep || (set.exported && set.pc == SetPc::idle);
    if (set.life != WaitLife::running || !rests || set.pipe) return false;
    if ((set.added >> static_cast<unsigned>(source) & 1U) == 0) return false;
    if (config_.tick || has_notice(state)) return false;  // they find it: see ending()
    const int known = state.sources[at(source)].available - excused(state, source);
    return known >= needed(source) && !is_on_the_way(state, source);
}

bool WaitModel::peer_rests(const State& state, int who) const {
    const WaitPeer& my = state.peers[at(who)];
    if (my.life != WaitLife::running) return true;
    if (my.pc == PeerPc::idle) return my.left == 0 && my.buffered == 0;
    if (my.pc != PeerPc::asleep) return false;
    if (state.sources[0].available == 0) return true;
    // A wake in the hands of one who stopped: slices are for that.
    for (int i = 0; i < peers(); ++i) {
        const WaitPeer& other = state.peers[at(i)];
        const bool holds = other.pc != PeerPc::idle && other.pc != PeerPc::asleep;
        if (target(i) == 0 && other.life != WaitLife::running && holds) return true;
    }
    const SetPc pc = state.set.pc;
    const bool owner_was_woken = pc >= SetPc::own_sleep && pc <= SetPc::own_take;
    return state.set.life == WaitLife::stopped && owner_was_woken;
}

Ending WaitModel::ending(const State& state) const {
    bool rests = true;
    for (int i = 0; i < peers(); ++i) rests = rests && peer_rests(state, i);
    const WaitSetState& set = state.set;
    for (int i = 0; i < config_.sources; ++i) {
        if (is_forgotten(state, i)) return {.fault = "asleep while something is ready"};
        const WaitSource& source = state.sources[at(i)];
        if (set.life == WaitLife::stopped) continue;
        const bool is_added = (set.added >> static_cast<unsigned>(i) & 1U) != 0;
        rests = rests && (!is_added || source.available - excused(state, i) < needed(i));
        rests = rests && (source.held == 0 || (!config_.tick && !config_.notices));
    }
    const bool set_rests = set.life == WaitLife::stopped ||
                           (set.pc == SetPc::asleep && !set.pipe && !has_notice(state));
    return {.is_clean = rests && set_rests};
}

std::string WaitModel::text(const State& state) const {
    static constexpr const char* kKnown[] = {"none", "old", "now"};
    static constexpr const char* kLives[] = {"", " stopped", " dead"};
    std::string out;
    for (int i = 0; i < config_.sources; ++i) {
        const WaitSource& source = state.sources[at(i)];
        out += "source " + std::to_string(i) + ": " + std::to_string(source.available) +
               (source.marked ? " marked" : "") + (source.slot ? " slot" : "") +
               (source.summary ? " summary" : "") + " watch " +
               kKnown[static_cast<std::size_t>(source.watch)] + " | ";
    }
    const WaitSetState& set = state.set;
    out += "set at " + std::to_string(static_cast<int>(set.pc)) + (set.odd ? " odd" : " even") +
           (set.pipe ? " readable" : "") + (set.exported ? " exported" : "") + " pending " +
           std::to_string(set.pending) + kLives[static_cast<std::size_t>(set.life)] + " |";
    for (int i = 0; i < peers(); ++i) {
        const WaitPeer& my = state.peers[at(i)];
        out += " " + std::to_string(i) + ": at " + std::to_string(static_cast<int>(my.pc)) +
               kLives[static_cast<std::size_t>(my.life)] + " left " + std::to_string(my.left) + ";";
    }
    return out;
}

}  // namespace stoa::model
