// Process names and links as a model for the explorer, in the order of stoa/link: processes that
// join names, take dead ones' names over, send first messages to each other (link, knock, ring,
// look again, send), receive from anyone, leave, die, stop; and collectors.
//
// A join id is {process, which of its joins}, and says who has a name: it is never used twice.
// Participants of a file are proven dead or gone at once (participants.hpp, checked elsewhere); a
// destroyed file loses its name in one step (RegionImage::destroy). Sleeps have no end, but where
// somebody died or stopped. Sockets carry no messages and are left out.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "tests/model/explorer.hpp"

namespace stoa::model {

inline constexpr int kMostActors = 4;
inline constexpr int kMostNames = 3;
inline constexpr int kMostFiles = 4;  // of one name: the named one, and others that lost it
inline constexpr int kMostKnocks = 2;
inline constexpr int kMostLinks = 6;
inline constexpr int kMostJoins = 8;
inline constexpr int kDepth = 2;              // messages in one direction of a link
inline constexpr std::uint8_t kNoFile = 7;    // no file is referred to
inline constexpr std::uint8_t kNoLink = 7;    // no link
inline constexpr std::uint8_t kNameGone = 7;  // owner: this file is no name any more

enum class LinkMutant : std::uint8_t {
    none,
    rings_before_link,
    knocks_before_link,
    rings_after_send,
    looks_before_taking,
    knocks_by_store,
    undoes_by_destroying,
    joins_by_store,
    stopped_is_dead,
    condemned_apart,
    links_before_end,
    leaves_knocks,
    takes_when_leaving,
    last_participant_removes,
    gc_by_participants,
    drained_before_over,
    links_by_store,
    links_of_names,
    leaves_silently,
    joins_silently,
    no_help,
    names_before_links,
    one_over_is_enough,
    arms_after_look,
    never_takes_over,
};

struct LinkConfig {
    int actors = 2;
    int names = 2;
    std::array<std::uint8_t, kMostActors> name{0, 1, 1, 0};
    std::array<std::uint8_t, kMostActors> target{1, 0, 0, 0};
    std::array<std::uint8_t, kMostActors> joins{1, 1, 1, 0};  // 0: collects only
    std::array<std::uint8_t, kMostActors> sends{1, 0, 0, 0};
    int knocks = 1;  // places of a knock table
    int files = 3;   // of one name, with those that lost it
    int links = 4;
    int collectors = 0;       // the last ones: they collect again and again
    bool careless = false;    // they may leave before they have received everything
    bool awaits = false;      // a send to a name that nobody has waits for a join
    bool rendezvous = false;  // a send waits until its message is taken
    int crashes = 0;
    int freezes = 0;
    LinkMutant mutant = LinkMutant::none;
};

struct NameFile {  // NAME.process
    bool is_named = false;
    std::uint8_t owner = 0;  // 0, a join, kNameGone
    bool condemned = false;  // only where a mutant keeps it apart from the owner
    std::array<std::uint8_t, kMostKnocks> knocks{};  // joins that made a link
};

struct LinkFile {
    bool is_named = false;
    bool condemned = false;
    std::uint8_t low = 0;   // join id of the side whose name is smaller; 0: no such file
    std::uint8_t high = 0;  // of the other
    std::uint8_t open = 0;  // which actors have it open
    struct Queue {
        std::uint8_t count = 0;
        std::array<std::uint8_t, kDepth> to{};  // for which join, oldest first
    };
    std::array<Queue, 2> queues{};  // by the side that sends
};

enum class LinkPc : std::uint8_t {
    idle,
    join_find,
    join_create,
    join_look,  // at the owner
    join_take,  // CAS of the owner
    join_ring,
    send_find,
    send_make,  // a name to wait at
    send_look,  // at the owner
    send_link,
    send_create,
    send_state,
    send_knock,
    send_ring,
    send_again,  // at the owner
    send_put,
    send_late,   // a ring that is too late
    send_taken,  // waits until it is taken
    await_look,
    await_ring,
    receive_arm,
    receive_knock,
    receive_find,
    receive_empty,
    receive_link,
    receive_take,
    receive_unlink,
    receive_sleep,
    leave_end,
    leave_knock,
    leave_link,
    leave_condemn,
    leave_unlink,
    leave_garbage,
    leave_remove,
    leave_name,
    leave_ring,
    leave_done,
    collect_look,  // at the name
    collect_take,
    collect_unname,
    collect_ring,
    collect_low,
    collect_high,
    collect_condemn,
    collect_unlink,
};

enum class LinkLife : std::uint8_t { running, stopped, dead };

struct LinkActor {
    LinkLife life = LinkLife::running;
    LinkPc pc = LinkPc::idle;
    std::uint8_t joins = 0;
    std::uint8_t sends = 0;
    std::uint8_t id = 0;  // of its join, from its begin to its end
    bool on = false;      // its join holds
    std::uint8_t own = kNoFile;
    std::uint8_t other = kNoFile;  // of its target; of a collector: what it collects
    std::uint8_t about = 0;        // of a collector: which name
    std::uint8_t kept = 0;         // an owner or a knock that it looked at
    std::uint8_t to = 0;
    std::uint8_t link = kNoLink;
    std::uint8_t at = 0;
    bool flag = false;  // over
    bool took = false;
    bool rung = false;
    bool asleep = false;
};

struct LinkState {
    std::array<std::array<NameFile, kMostFiles>, kMostNames> files{};
    std::array<LinkFile, kMostLinks> links{};
    std::array<LinkActor, kMostActors> actors{};
    std::array<std::uint8_t, kMostJoins> pending{};  // sent and not received, by join
    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
};

class LinkModel {
public:
    using State = LinkState;

    explicit LinkModel(const LinkConfig& config) : config_{config} {}

    [[nodiscard]] LinkState initial() const;
    template <typename Bits>
    void visit(LinkState& state, Bits& bits) const;
    void moves(const LinkState& state, Moves<LinkState>& out) const;
    [[nodiscard]] Ending ending(const LinkState& state) const;
    [[nodiscard]] std::string text(const LinkState& state) const;

private:
    [[nodiscard]] bool broken(LinkMutant mutant) const { return config_.mutant == mutant; }
    [[nodiscard]] bool collects(int who) const {
        return who >= config_.actors - config_.collectors;
    }
    [[nodiscard]] static int actor_of(std::uint8_t id) { return (id - 1) / 2; }
    [[nodiscard]] std::uint8_t name_of(std::uint8_t id) const {
        return config_.name[static_cast<std::size_t>(actor_of(id))];
    }

    // What the processes can find out.
    [[nodiscard]] bool is_dead(const LinkState& state, int who) const;
    [[nodiscard]] bool is_gone(const LinkState& state, std::uint8_t holder) const;
    [[nodiscard]] bool is_over_by(const LinkState& state, std::uint8_t id,
                                  const NameFile* file) const;
    [[nodiscard]] bool is_over(const LinkState& state, std::uint8_t id) const;
    [[nodiscard]] bool is_used(const LinkState& state, std::uint8_t name, std::uint8_t file,
                               int but) const;
    [[nodiscard]] std::uint8_t find_name(const LinkState& state, std::uint8_t name) const;
    [[nodiscard]] std::uint8_t find_link(const LinkState& state, std::uint8_t a,
                                         std::uint8_t b) const;
    [[nodiscard]] bool is_between(const LinkFile& link, std::uint8_t a, std::uint8_t b) const;
    [[nodiscard]] std::uint8_t peer_in(const LinkFile& link, const LinkActor& my) const;
    [[nodiscard]] LinkFile::Queue& queue(LinkFile& link, std::uint8_t name, bool outgoing) const;

    // What only the judge knows.
    [[nodiscard]] bool has_ended(const LinkState& state, std::uint8_t id) const;
    [[nodiscard]] bool awaited(const LinkState& state, int who) const;
    [[nodiscard]] const char* judge(const LinkState& state) const;
    [[nodiscard]] bool may_remain(const LinkState& state, std::uint8_t name,
                                  std::uint8_t file) const;
    [[nodiscard]] bool rests(const LinkState& state, int who) const;

    void idle_moves(const LinkState& state, int who, Moves<LinkState>& out) const;
    void collector_moves(const LinkState& state, int who, Moves<LinkState>& out) const;
    void sleeper_moves(const LinkState& state, int who, Moves<LinkState>& out) const;
    void environment_moves(const LinkState& state, int who, Moves<LinkState>& out) const;

    // One access each.
    void step(LinkState& state, int who, const char*& fault) const;
    void join(LinkState& state, int who, const char*& fault) const;
    void find(LinkState& state, int who) const;
    void await(LinkState& state, int who) const;
    void connect(LinkState& state, int who) const;
    void send(LinkState& state, int who) const;
    void receive(LinkState& state, int who, const char*& fault) const;
    void look_at_knock(LinkState& state, int who) const;
    void leave(LinkState& state, int who) const;
    void leave_name(LinkState& state, int who) const;
    void collect_name(LinkState& state, int who) const;
    void collect_link(LinkState& state, int who) const;

    void ring(LinkState& state, std::uint8_t name, std::uint8_t file) const;
    void wake_peer(LinkState& state, const LinkFile& link, std::uint8_t peer) const;
    void unname(LinkState& state, std::uint8_t name, std::uint8_t file) const;
    [[nodiscard]] std::uint8_t new_file(LinkState& state, std::uint8_t name) const;
    [[nodiscard]] std::uint8_t new_link(LinkState& state, std::uint8_t a, std::uint8_t b) const;
    void close(LinkState& state, int who, std::uint8_t link) const;
    void returns(LinkActor& my) const;
    void sent(LinkActor& my) const;
    void tidy(LinkState& state) const;

    LinkConfig config_;
};

template <typename Bits>
void LinkModel::visit(LinkState& state, Bits& bits) const {
    for (int name = 0; name < config_.names; ++name) {
        for (int k = 0; k < config_.files; ++k) {
            NameFile& file =
                state.files[static_cast<std::size_t>(name)][static_cast<std::size_t>(k)];
            bits(file.is_named, 1);
            bits(file.owner, 3);
            bits(file.condemned, 1);
            for (int i = 0; i < config_.knocks; ++i) {
                bits(file.knocks[static_cast<std::size_t>(i)], 3);
            }
        }
    }
    for (int k = 0; k < config_.links; ++k) {
        LinkFile& link = state.links[static_cast<std::size_t>(k)];
        bits(link.is_named, 1);
        bits(link.condemned, 1);
        bits(link.low, 3);
        bits(link.high, 3);
        bits(link.open, 3);
        for (LinkFile::Queue& queue : link.queues) {
            bits(queue.count, 2);
            for (std::uint8_t& to : queue.to) bits(to, 3);
        }
    }
    for (int i = 0; i < config_.actors; ++i) {
        LinkActor& my = state.actors[static_cast<std::size_t>(i)];
        bits(my.life, 2);
        bits(my.pc, 6);
        bits(my.joins, 2);
        bits(my.sends, 2);
        bits(my.id, 3);
        bits(my.on, 1);
        bits(my.own, 3);
        bits(my.other, 3);
        bits(my.about, 2);
        bits(my.kept, 3);
        bits(my.to, 3);
        bits(my.link, 3);
        bits(my.at, 3);
        bits(my.flag, 1);
        bits(my.took, 1);
        bits(my.rung, 1);
        bits(my.asleep, 1);
    }
    for (std::uint8_t& count : state.pending) bits(count, 2);
    bits(state.crashes, 2);
    bits(state.freezes, 2);
}

}  // namespace stoa::model
