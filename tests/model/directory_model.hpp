// The directory's claim as a model for the explorer, as stoa/shm/directory.cpp does it (C1-C5
// there): several that claim one name, construct, destroy, die, stop, and inherit from the dead.
//
// A word that somebody keeps to compare with is either still that word or stale for ever: that is
// what the turn in the word is for. Actors of one process have one holder and die together. The
// look before C1 is left out: it only saves work.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kMaxActors = 4;
inline constexpr int kMaxEntries = 5;

enum class DirectoryMutant : std::uint8_t {
    none,
    no_turn,
    looks_before_it_says,
    named_late,
    ignores_tentative,
    waits_for_tentative,
    decides_by_store,
    inherits_by_store,
    never_inherits,
    condemns_by_store,
    stopped_is_dead,
};

struct DirectoryConfig {
    int actors = 2;
    int entries = 3;
    int claims = 1;        // of each
    int destroyers = 0;    // of the last ones: each destroys once after each of its claims
    bool threads = false;  // the first two are of one process
    bool throws = false;   // a constructor may throw
    int crashes = 0;
    int freezes = 0;
    DirectoryMutant mutant = DirectoryMutant::none;
};

enum class WordState : std::uint8_t {
    empty,
    claimed,
    tentative,
    constructing,
    complete,
    live,
    destroying,
};

struct EntryState {
    WordState state = WordState::empty;
    std::uint8_t holder = 0;  // process
    bool named = false;
    std::uint8_t object = 0;  // which one, for the judge

    [[nodiscard]] bool is(WordState other, std::uint8_t by) const {
        return state == other && holder == by;
    }
};

enum class ActorPc : std::uint8_t {
    idle,
    write,   // C2
    say,     // C3
    look,    // C4: at the next entry
    empty,   // C4: CAS of another TENTATIVE one
    decide,  // C5
    await,
    inherit,  // CAS what a dead one holds -> mine
    settle,   // ends what it inherited
    construct,
    publish,  // COMPLETE -> LIVE
    find,
    condemn,
    end,
};

enum class ActorLife : std::uint8_t { running, stopped, dead };

struct Actor {
    ActorLife life = ActorLife::running;
    ActorPc pc = ActorPc::idle;
    std::uint8_t claims = 0;
    bool destroys = false;  // next
    std::uint8_t own = 0;
    bool own_stale = false;
    std::uint8_t at = 0;       // in C4
    bool exists = false;       // seen in C4
    bool busy = false;         // the same
    std::uint8_t kept_at = 0;  // a word that it looked at
    WordState kept = WordState::empty;
    std::uint8_t kept_holder = 0;
    std::uint8_t kept_object = 0;
    bool kept_stale = false;
};

struct DirectoryState {
    std::array<EntryState, kMaxEntries> entries{};
    std::array<Actor, kMaxActors> actors{};
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
    std::uint8_t made = 0;   // objects that became LIVE
    std::uint8_t ended = 0;  // of these
};

class DirectoryModel {
public:
    using State = DirectoryState;

    explicit DirectoryModel(const DirectoryConfig& config) : config_{config} {}

    [[nodiscard]] DirectoryState initial() const;
    template <typename Bits>
    void visit(DirectoryState& state, Bits& bits) const;
    void moves(const DirectoryState& state, Moves<DirectoryState>& out) const;
    [[nodiscard]] Ending ending(const DirectoryState& state) const;
    [[nodiscard]] std::string text(const DirectoryState& state) const;

private:
    [[nodiscard]] bool broken(DirectoryMutant mutant) const { return config_.mutant == mutant; }
    [[nodiscard]] std::uint8_t holder_of(int who) const {
        return static_cast<std::uint8_t>(config_.threads && who == 1 ? 0 : who);
    }
    [[nodiscard]] bool is_gone(const DirectoryState& state, std::uint8_t holder) const;
    [[nodiscard]] bool still_kept(const DirectoryState& state, const Actor& my) const;
    [[nodiscard]] const char* judge(const DirectoryState& state) const;
    void take(DirectoryState& next, int who, std::uint8_t entry) const;
    void returns(Actor& my) const;
    void keep(Actor& my, const DirectoryState& state, std::uint8_t entry) const;
    void actor_moves(const DirectoryState& state, int who, Moves<DirectoryState>& out) const;
    void step(DirectoryState& state, int who, const char*& fault) const;
    void look(DirectoryState& state, int who) const;
    void decide(DirectoryState& state, int who) const;
    void destroy(DirectoryState& state, int who, const char*& fault) const;
    void environment_moves(const DirectoryState& state, int who, Moves<DirectoryState>& out) const;
    [[nodiscard]] bool rests(const Actor& my) const {
        return my.pc == ActorPc::idle && my.claims == 0 && !my.destroys;
    }

    DirectoryConfig config_;
};

template <typename Bits>
void DirectoryModel::visit(DirectoryState& state, Bits& bits) const {
    for (int i = 0; i < config_.entries; ++i) {
        EntryState& entry = state.entries[static_cast<std::size_t>(i)];
        bits(entry.state, 3);
        bits(entry.holder, 2);
        bits(entry.named, 1);
        bits(entry.object, 4);
    }
    for (int i = 0; i < config_.actors; ++i) {
        Actor& actor = state.actors[static_cast<std::size_t>(i)];
        bits(actor.life, 2);
        bits(actor.pc, 4);
        bits(actor.claims, 2);
        bits(actor.destroys, 1);
        bits(actor.own, 3);
        bits(actor.own_stale, 1);
        bits(actor.at, 3);
        bits(actor.exists, 1);
        bits(actor.busy, 1);
        bits(actor.kept_at, 3);
        bits(actor.kept, 3);
        bits(actor.kept_holder, 2);
        bits(actor.kept_object, 4);
        bits(actor.kept_stale, 1);
    }
    bits(state.crashes, 2);
    bits(state.freezes, 2);
    bits(state.made, 4);
    bits(state.ended, 4);
}

}  // namespace stoa::model
