#include "stoa/link/process_core.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>

#include "stoa/base/crash_point.hpp"
#include "stoa/base/fingerprint.hpp"
#include "stoa/channel/sliced_wait.hpp"
#include "stoa/sync/bell.hpp"

// A link is made in these steps, each of which may be the last one of a killed process:
//   K1 hello over the socket    K2 the file, by linkat: exactly one    K3 a knock    K4 the message
// A link that was not knocked for holds no message. Who finds it (by K2 of its own, or by a knock)
// takes the other seat. Names end so:
//   E1 the owner word    E2 knocks that came before it    E3 each link is closed
// A connector that knocks after E2 reads the owner word again, and removes what it made.
namespace stoa {
namespace {

constexpr std::size_t kMostStrangers = 64;
constexpr std::size_t kMostGreeted = 256;
constexpr int kTurns = 100;  // of calls that meet a name or a link which comes and goes

void append_hex(std::string& text, std::uint64_t value) {
    constexpr char kDigits[] = "0123456789abcdef";
    for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[value >> shift & 15U];
}

std::string socket_name(std::uint64_t join_id) {
    std::string name = "stoa-process:";
    append_hex(name, join_id);
    return name;
}

std::string pulse_file(std::uint64_t join_id) {
    std::string file;
    append_hex(file, join_id);
    return file += kPulseSuffix;
}

// If it is there; else another one removed it, or it never was.
void remove_file(const Domain& domain, const std::string& file) {
    [[maybe_unused]] const Result<void> gone = RawMailbox::destroy_file(domain, file);
}

// A lack of this process or of the machine, which says nothing about the other side.
bool is_for_now(Errc code) noexcept {
    return remedy(code) == Remedy::free_something;
}

Result<void> check_attribute(std::string_view key, std::string_view value) noexcept {
    if (!key.empty() && key.find('\0') == std::string_view::npos &&
        value.find('\0') == std::string_view::npos) {
        return {};
    }
    return fail(Errc::bad_argument, "attribute (a key, and no zeroes in either)");
}

std::uint64_t wall_clock_ns() noexcept {
    return static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
}

}  // namespace

std::string link_file(std::uint64_t one, std::uint64_t other) {
    std::string file;
    append_hex(file, std::min(one, other));
    file += '-';
    append_hex(file, std::max(one, other));
    return file += kLinkSuffix;
}

std::string text_of(const LinkEnds& ends) {
    std::string text = "link";
    for (int i = 0; i < 2; ++i) {
        text += ' ';
        append_hex(text, ends.ids[i]);
        text += ' ';
        text += ends.names[i];
    }
    return text;
}

Result<LinkEnds> ends_in(std::string_view text) {
    LinkEnds ends;
    const auto word = [&] {
        const std::size_t space = std::min(text.find(' '), text.size());
        const std::string_view found = text.substr(0, space);
        text.remove_prefix(std::min(space + 1, text.size()));
        return found;
    };
    if (word() != "link") return fail(Errc::bad_layout, "link");
    for (int i = 0; i < 2; ++i) {
        const std::string_view id = word();
        const auto [end, error] =
            std::from_chars(id.data(), id.data() + id.size(), ends.ids[i], 16);
        ends.names[i] = word();
        if (error != std::errc{} || end != id.data() + id.size() || ends.ids[i] == 0 ||
            !check_process_name(ends.names[i])) {
            return fail(Errc::bad_layout, "link");
        }
    }
    if (!text.empty() || ends.ids[0] == ends.ids[1]) return fail(Errc::bad_layout, "link");
    return ends;
}

// --- the name -----------------------------------------------------------------------------------

ProcessCore::ProcessCore(Domain domain, std::string name, const JoinOptions& options)
    : domain_{std::move(domain)},
      name_{std::move(name)},
      options_{options},
      generation_{sys::own_generation()},
      attributes_{options.attributes} {}

Result<std::unique_ptr<ProcessCore>> ProcessCore::join(std::string_view name,
                                                       const JoinOptions& options) {
    if (Result<void> good = check_process_name(name); !good) return std::unexpected(good.error());
    for (const auto& [key, value] : options.attributes) {
        if (Result<void> good = check_attribute(key, value); !good) {
            return std::unexpected(good.error());
        }
    }
    Result<Domain> domain = Domain::open(options.domain);
    if (!domain) return std::unexpected(domain.error());
    std::unique_ptr<ProcessCore> made{
        new ProcessCore{std::move(*domain), std::string{name}, options}};
    if (Result<void> taken = made->take_name(); !taken) {
        made->left_ = true;
        return std::unexpected(taken.error());
    }
    return made;
}

Result<void> ProcessCore::take_name() {
    for (int turn = 0; turn < kTurns; ++turn) {
        Result<NameRegion> region = NameRegion::enter(domain_, name_);
        if (!region) return std::unexpected(region.error());
        region_.emplace(std::move(*region));
        join_id_ = region_->join_id(region_->own_holder());
        // It listens before anybody can find it. Where there are no sockets, descriptors and
        // credentials do not travel; all else works.
        if (Result<void> heard = listen(join_id_);
            !heard && heard.error().code != Errc::not_supported) {
            return heard;
        }
        STOA_CRASH_POINT("link.join.listening");
        Result<void> taken = region_->take();
        if (!taken && taken.error().code == Errc::gone) {
            listener_ = {};
            region_.reset();
            continue;
        }
        if (!taken) return taken;
        joined_ns_ = wall_clock_ns();
        return region_->show(join_id_, joined_ns_, attributes_);
    }
    return fail(Errc::exists, "join");
}

Result<void> ProcessCore::listen(std::uint64_t join_id) {
    const sys::NoFork held;
    Result<sys::Fd> socket = sys::listen_at(socket_name(join_id));
    if (!socket) return std::unexpected(socket.error());
    listener_ = sys::ForkFd{std::move(*socket)};
    listener_.close_on_fork(held);
    return {};
}

void ProcessCore::leave() noexcept {
    if (left_ || sys::current_generation() != generation_) return;
    left_ = true;
    ready_set_.reset();
    touch_waits();                           // what they wait for says `gone` from now on
    const bool mine = region_->give_back();  // E1
    // E2. It takes none: another one may have the name already, and some may be for that one.
    static_cast<void>(std::erase_if(unheard_, [&](std::uint64_t id) { return hear(id); }));
    region_->look_at_knocks([&](std::uint64_t id) { static_cast<void>(hear(id)); });
    for (const LinkRef& link : all_) {  // E3
        const bool over = link->peer_state() != LinkCore::PeerState::here;
        const std::uint64_t peer_id = link->peer().join_id;
        link->hang_up();
        // The last one who leaves removes it.
        if (over) remove_file(domain_, link_file(join_id_, peer_id));
    }
    STOA_CRASH_POINT("link.leave.hung_up");
    pulses_.reset();
    remove_file(domain_, pulse_file(join_id_));
    listener_ = {};
    if (mine && region_->is_garbage()) static_cast<void>(region_->remove(domain_, name_));
    links_.clear();
    all_.clear();
    region_.reset();
}

Result<void> ProcessCore::set_attribute(std::string_view key, std::string_view value) {
    if (Result<void> good = check(); !good) return good;
    if (Result<void> good = check_attribute(key, value); !good) return good;
    Attributes next = attributes_;
    next[std::string{key}] = value;
    Result<void> shown = region_->show(join_id_, joined_ns_, next);
    if (shown) attributes_ = std::move(next);
    return shown;
}

Result<void> ProcessCore::remove_attribute(std::string_view key) {
    if (Result<void> good = check(); !good) return good;
    if (attributes_.erase(std::string{key}) == 0) return fail(Errc::not_found, "attribute");
    return region_->show(join_id_, joined_ns_, attributes_);
}

// --- making links -------------------------------------------------------------------------------

Result<LinkCore::Peer> ProcessCore::find_peer(std::string_view name) {
    Result<NameRegion> region = NameRegion::open(domain_, name);
    if (!region) return std::unexpected(region.error());
    const NameOwner owner = region->owner();
    if (owner.holder == 0 || owner.life == sys::Life::dead) {
        return fail(Errc::not_found, "process (nobody has that name)");
    }
    LinkCore::Peer peer{.name = std::string{name},
                        .join_id = owner.join_id,
                        .holder = owner.holder,
                        .identity = owner.identity};
    Result<std::unique_ptr<OwnerWatch>> watch = OwnerWatch::of(owner.identity);
    if (!watch) return std::unexpected(watch.error());
    peer.watch = std::move(*watch);
    peer.region.emplace(std::move(*region));
    return peer;
}

Result<RawMailbox> ProcessCore::open_box(std::uint64_t peer_id, std::string& peer_name) {
    struct Seat {
        std::uint64_t own;
        std::uint64_t peer;
        std::string& name;
    } seat{join_id_, peer_id, peer_name};
    const auto seat_in = [](void* context, const MailboxPlan& plan) -> Result<std::uint32_t> {
        const Seat& mine = *static_cast<Seat*>(context);
        const Result<LinkEnds> ends = ends_in(plan.type_text);
        if (!ends) return std::unexpected(ends.error());
        const std::uint32_t own = ends->ids[0] == mine.own ? 0 : 1;
        if (ends->ids[own] != mine.own || ends->ids[1 - own] != mine.peer) {
            return fail(Errc::bad_layout, "link");
        }
        mine.name = ends->names[1 - own];
        return own;
    };
    const std::string file = link_file(join_id_, peer_id);
    return RawMailbox::open_link(
        {.domain = domain_, .file = file, .seat_in = seat_in, .context = &seat}, options_.waiting);
}

Result<RawMailbox> ProcessCore::make_box(const LinkCore::Peer& peer, const LinkOptions& options) {
    const MailboxOptions plan{
        .capacity = options.capacity,
        .sharing = Sharing::pair,
        .one_way = options.one_way,
        .max_bytes = options.max_bytes + static_cast<std::uint32_t>(sizeof(LinkHeader)),
        .reserve_bytes = options.reserve_bytes,
        .loan_quota = options.loan_quota,
        .role = options.one_way ? Role::sends : Role::both,
        .waiting = options_.waiting};
    const std::string text =
        text_of({.ids = {join_id_, peer.join_id}, .names = {name_, peer.name}});
    const TypeInfo type{.fingerprint = fingerprint_of(text), .text = text};
    const std::string file = link_file(join_id_, peer.join_id);
    for (int turn = 0; turn < kTurns; ++turn) {
        std::string peer_name;
        Result<RawMailbox> box = open_box(peer.join_id, peer_name);
        if (box || box.error().code != Errc::not_found) return box;
        box = RawMailbox::create_link({.domain = domain_, .file = file, .seat = 0}, plan, type);
        if (box || box.error().code != Errc::exists) return box;
    }
    return fail(Errc::exists, "link");
}

LinkCore* ProcessCore::add(LinkCore::Peer peer, RawMailbox box) {
    const std::string name = peer.name;
    const LinkRef link{new LinkCore{*this, std::move(peer), std::move(box)}};
    // Knocks are heard in any order: an older life of that name does not hide the newer one.
    const auto [at, is_first] = links_.try_emplace(name, link);
    if (!is_first && (link->peer().holder != 0 || at->second->peer().holder == 0)) {
        at->second = link;
    }
    all_.push_back(link);
    forget_older_lives(*link);
    return link.get();
}

// A socket to the peer; none: it has none, or accepts nobody now. Errors: limit_reached
Result<sys::Fd> ProcessCore::say_hello(const LinkCore::Peer& peer, sys::Credentials& told) {
    Result<sys::Fd> socket = sys::connect_to(socket_name(peer.join_id));
    if (!socket && socket.error().code == Errc::limit_reached) return socket;
    if (!socket) return sys::Fd{};
    const LinkHello hello{.magic = kLinkHelloMagic, .from = join_id_, .to = peer.join_id};
    const Result<sys::Credentials> who = sys::peer_credentials(*socket);
    const bool is_peer = who && (who->pid == 0 || who->pid == peer.identity.pid);
    if (!is_peer || !sys::send_packet(*socket, std::as_bytes(std::span{&hello, 1}))) {
        return sys::Fd{};
    }
    told = *who;
    return socket;
}

Result<void> ProcessCore::greet(LinkCore& link) {
    sys::Credentials told;
    Result<sys::Fd> socket = say_hello(link.peer(), told);
    if (!socket) return std::unexpected(socket.error());
    if (socket->valid()) link.connected(std::move(*socket), told);
    return {};
}

Result<LinkCore*> ProcessCore::connect(std::string_view name, const LinkOptions& options) {
    for (int turn = 0; turn < kTurns; ++turn) {
        Result<LinkCore::Peer> peer = find_peer(name);
        if (!peer) return std::unexpected(peer.error());
        if (peer->join_id == join_id_) {
            return fail(Errc::bad_argument, "link (to itself: nobody receives what he sent)");
        }
        const Holder holder = peer->holder;
        sys::Credentials told;
        Result<sys::Fd> socket = say_hello(*peer, told);  // K1
        if (!socket) return std::unexpected(socket.error());
        STOA_CRASH_POINT("link.connect.greeted");
        Result<RawMailbox> box = make_box(*peer, options);  // K2
        if (!box) return std::unexpected(box.error());
        STOA_CRASH_POINT("link.connect.made");
        NameRegion& region = *peer->region;
        if (Result<void> knocked = region.knock(join_id_); !knocked) {  // K3
            return std::unexpected(knocked.error());
        }
        STOA_CRASH_POINT("link.connect.knocked");
        const bool is_here = region.is_owned_by(holder);
        LinkCore* const link = add(std::move(*peer), std::move(*box));
        // It left, and may not have heard us; or it has, and sent something before that. So this
        // link is one of those that are drained and then removed.
        if (!is_here) continue;
        if (socket->valid()) link->connected(std::move(*socket), told);
        return link;
    }
    return fail(Errc::not_found, "process (it comes and goes)");
}

// In the name's region as a participant, so that it stays as long as somebody waits there.
Result<void> ProcessCore::wait_for_owner(std::string_view name, Deadline deadline) {
    for (;;) {
        Result<NameRegion> region = NameRegion::enter(domain_, name);
        if (!region) return std::unexpected(region.error());
        const auto ready = [&] {
            const NameOwner owner = region->owner();
            return region->is_removed() || (owner.holder != 0 && owner.life != sys::Life::dead);
        };
        Result<void> why;
        const auto look = [&](bool /*due*/) {
            why = check();
            return why.has_value();
        };
        if (deadline.is_immediate() && !ready()) {
            return fail(Errc::not_found, "process (nobody has that name)");
        }
        bool slept = false;
        switch (wait_on_bell(region->owners_bell(), deadline, Waiting::park, slept, ready, look)) {
            case Waited::ready: break;
            case Waited::timed_out: return fail(Errc::timed_out, "process (nobody took that name)");
            case Waited::stopped: return why;
        }
        if (!region->is_removed()) return {};
    }
}

Result<LinkCore*> ProcessCore::link_to(std::string_view name, const TalkOptions& talk,
                                       Deadline deadline, const LinkOptions* options) {
    if (Result<void> good = check(); !good) return std::unexpected(good.error());
    if (Result<void> good = check_process_name(name); !good) return std::unexpected(good.error());
    hear_knocks();
    const auto at = links_.find(name);
    const LinkRef known = at != links_.end() ? at->second : LinkRef{};
    if (known && known->peer_state() == LinkCore::PeerState::here) return known.get();
    for (;;) {
        Result<LinkCore*> link = connect(name, options != nullptr ? *options : options_.links);
        if (link || link.error().code != Errc::not_found) return link;
        // Whom it knew is dead, and nobody has taken the name since.
        if (known && known->peer_state() == LinkCore::PeerState::died && !talk.wait_for_join) {
            return std::unexpected(known->tell_of_its_death());
        }
        if (!talk.wait_for_join) return link;
        if (Result<void> joined = wait_for_owner(name, deadline); !joined) {
            return std::unexpected(joined.error());
        }
    }
}

Result<LinkCore*> ProcessCore::link_from(std::string_view name, const TalkOptions& talk,
                                         Deadline deadline) {
    if (Result<void> good = check(); !good) return std::unexpected(good.error());
    if (Result<void> good = check_process_name(name); !good) return std::unexpected(good.error());
    for (;;) {
        hear_knocks();
        // An older life of that name first, until it is drained and its end was told.
        for (const LinkRef& link : all_) {
            if (link->peer().name == name && !link->is_used_up()) return link.get();
        }
        const Result<LinkCore::Peer> peer = find_peer(name);
        if (!peer) {
            if (peer.error().code != Errc::not_found || !talk.wait_for_join) {
                // A call was told that it died; a receive was not yet.
                const auto at = links_.find(name);
                const bool dead = peer.error().code == Errc::not_found && at != links_.end() &&
                                  at->second->peer_state() == LinkCore::PeerState::died;
                if (dead) return at->second.get();
                return std::unexpected(peer.error());
            }
            if (Result<void> joined = wait_for_owner(name, deadline); !joined) {
                return std::unexpected(joined.error());
            }
            continue;
        }
        if (peer->join_id == join_id_) {
            return fail(Errc::bad_argument, "link (to itself: nobody receives what he sent)");
        }
        // It has sent nothing yet: it will knock.
        if (deadline.passed()) {
            return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "receive");
        }
        Result<void> why;
        const auto ready = [&] {
            return region_->knocked() != knocks_heard_ || !peer->region->is_owned_by(peer->holder);
        };
        const auto look = [&](bool due) {
            why = check();
            if (due && peer->watch && peer->watch->gone()) why = fail(Errc::peer_died, "receive");
            return why.has_value();
        };
        bool slept = false;
        const Waited waited =
            wait_on_bell(region_->bell(), deadline, options_.waiting, slept, ready, look);
        if (waited == Waited::stopped && why.error().code == Errc::peer_died) {
            if (region_->knocked() != knocks_heard_) continue;  // it sent, and died
        }
        if (waited == Waited::stopped) return std::unexpected(why.error());
    }
}

// --- who knocks, who connects -------------------------------------------------------------------

// A knock is taken first and its link is looked for after that: the next knock of the same process,
// for a link that it makes meanwhile, finds the place free and is not taken for the older one.
void ProcessCore::hear_knocks() {
    std::erase_if(unheard_, [&](std::uint64_t peer_id) { return hear(peer_id); });
    const std::uint32_t knocked = region_->knocked();
    if (knocked == knocks_heard_) return;
    region_->for_each_knock([&](std::uint64_t peer_id) {
        STOA_CRASH_POINT("link.hear.taken");
        if (!hear(peer_id)) unheard_.push_back(peer_id);
    });
    knocks_heard_ = knocked;
}

// True: nothing more is to be done for that knock.
bool ProcessCore::hear(std::uint64_t peer_id) {
    if (peer_id == join_id_) return true;
    const auto known = std::ranges::find_if(
        all_, [&](const LinkRef& link) { return link->peer().join_id == peer_id; });
    if (known != all_.end()) {
        (*known)->meet();
        return true;
    }
    std::string name;
    Result<RawMailbox> box = open_box(peer_id, name);
    // Only what is not there, or no link, is forgotten: else messages wait there, until a limit of
    // this process or of the machine lets it in.
    if (!box) {
        const Errc code = box.error().code;
        return code == Errc::not_found || code == Errc::bad_layout || code == Errc::wrong_version ||
               code == Errc::wrong_type;
    }
    Result<LinkCore::Peer> peer = find_peer(name);
    if (!peer && is_for_now(peer.error().code)) return false;
    if (!peer || peer->join_id != peer_id) {
        // Its maker has gone; what it sent is there. Who it was is told by its place in the link.
        peer = LinkCore::Peer{.name = name, .join_id = peer_id};
    }
    add(std::move(*peer), std::move(*box))->meet();
    return true;
}

// True: there may be more. Who says hello at once is never pushed out by who does not.
bool ProcessCore::accept_some() {
    constexpr int kMost = 1024;
    if (!listener_.valid()) return false;
    const auto has_spoken = [&](Greeted& stranger) {  // or nothing more is to come
        LinkHello hello{};
        std::vector<sys::Fd> fds;
        const Result<std::size_t> length =
            sys::receive_packet(stranger.socket, std::as_writable_bytes(std::span{&hello, 1}), fds);
        if (!length && length.error().code == Errc::empty) return false;
        if (!length || *length != sizeof hello || hello.magic != kLinkHelloMagic ||
            hello.to != join_id_ || hello.from == 0) {
            return true;
        }
        stranger.from = hello.from;
        keep(std::move(stranger));
        return true;
    };
    std::erase_if(strangers_, has_spoken);
    for (int n = 0; n < kMost; ++n) {
        Result<sys::Fd> socket = sys::accept_one(listener_.fd());
        if (!socket) return false;
        const Result<sys::Credentials> told = sys::peer_credentials(*socket);
        if (!told) continue;
        Greeted stranger{.socket = std::move(*socket), .credentials = *told};
        if (has_spoken(stranger)) continue;
        if (strangers_.size() >= kMostStrangers) strangers_.erase(strangers_.begin());
        strangers_.push_back(std::move(stranger));
    }
    return true;
}

// Those who said hello have made their links, or soon will, or died before that. Where they are too
// many it is one of those who has most of them who goes, the oldest one: a live peer has one.
void ProcessCore::keep(Greeted greeted) {
    if (greeted_.size() >= kMostGreeted) {
        std::erase_if(greeted_, [](const Greeted& one) { return sys::hung_up(one.socket); });
    }
    if (greeted_.size() >= kMostGreeted) {
        std::unordered_map<std::uint32_t, std::size_t> count;
        for (const Greeted& one : greeted_) ++count[one.credentials.pid];
        const auto most = std::ranges::max_element(
            greeted_, {}, [&](const Greeted& one) { return count[one.credentials.pid]; });
        greeted_.erase(most);
    }
    greeted_.push_back(std::move(greeted));
}

sys::Fd ProcessCore::take_connection(std::uint64_t from, std::uint32_t pid,
                                     sys::Credentials& told) {
    // Whoever names another one's join id is not believed: the kernel says who it is.
    const auto is_meant = [&](const Greeted& one) {
        return one.from == from &&
               (pid == 0 || one.credentials.pid == 0 || one.credentials.pid == pid);
    };
    constexpr int kTurnsOfAccept = 5;  // all that may wait there
    bool more = true;
    for (int turn = 0; turn < kTurnsOfAccept; ++turn) {
        const auto at = std::ranges::find_if(greeted_, is_meant);
        if (at != greeted_.end() && (pid != 0 || !more)) {
            const bool differ = std::ranges::any_of(at, greeted_.end(), [&](const Greeted& one) {
                return is_meant(one) && one.credentials.pid != at->credentials.pid;
            });
            if (differ && pid == 0) return {};
            told = at->credentials;
            sys::Fd socket = std::move(at->socket);
            greeted_.erase(at);
            return socket;
        }
        if (!more) break;
        more = accept_some();
    }
    return {};
}

// --- receiving from anyone ----------------------------------------------------------------------

void ProcessCore::forget(LinkCore* link) {
    const std::uint64_t peer_id = link->peer().join_id;
    const auto at = links_.find(link->peer().name);
    if (at != links_.end() && at->second.get() == link) links_.erase(at);
    const LinkRef keep{link};
    std::erase_if(all_, [&](const LinkRef& other) { return other.get() == link; });
    link->forget();
    remove_file(domain_, link_file(join_id_, peer_id));
}

// Of those with whom no receive is concerned any more: else who only sends to a process that is
// started again and again would keep a link of each life.
void ProcessCore::forget_older_lives(const LinkCore& newest) {
    std::vector<LinkRef> used_up;
    for (const LinkRef& link : all_) {
        if (link.get() == &newest || link->peer().name != newest.peer().name) continue;
        if (link->is_used_up()) used_up.push_back(link);
    }
    for (const LinkRef& link : used_up) forget(link.get());
}

LinkRef ProcessCore::one_that_is_ready(bool looks_for_deaths) {
    for (std::size_t n = 0; n < all_.size(); ++n) {
        if (turn_ >= all_.size()) turn_ = 0;
        const LinkRef& link = all_[turn_++];
        if (link->is_ready()) return link;
        if (looks_for_deaths && link->peer_state() != LinkCore::PeerState::here) return link;
    }
    return {};
}

bool ProcessCore::anyone_ready() {
    return std::ranges::any_of(all_, [](const LinkRef& link) { return link->is_ready(); });
}

// Every sender looks at the bell after it has published; the barrier lets it do so without a fence.
Result<void> ProcessCore::wait_for_anyone(Deadline deadline) {
    const auto ready = [&] { return has_something(); };
    if (may_spin() && spin(kAdaptiveSpins, ready)) return {};
    if (options_.waiting == Waiting::spin) return check();
    Atomic<std::uint32_t>& bell = region_->bell();
    const std::uint32_t seen = bell.fetch_or(1, kSeqCst) | 1U;
    const std::chrono::nanoseconds limit = sleep_limit(deadline.left(g_wait_slice));
    if (!ready()) sleep_on_bell(bell, seen, limit);
    return check();
}

Result<void> ProcessCore::look_around() {
    if (Result<void> good = check(); !good) return good;
    region_->sweep();
    hear_knocks();
    return {};
}

Result<LinkRef> ProcessCore::next_ready(Deadline deadline) {
    for (;;) {
        if (Result<void> good = check(); !good) return std::unexpected(good.error());
        hear_knocks();
        if (LinkRef link = one_that_is_ready(false)) return link;
        const std::chrono::nanoseconds now = sys::coarse_now();
        if (now - looked_at_ >= kWaitSlice) {
            looked_at_ = now;
            region_->sweep();
            if (LinkRef link = one_that_is_ready(true)) return link;
        }
        if (deadline.passed()) {
            return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "receive");
        }
        if (Result<void> waited = wait_for_anyone(deadline); !waited) {
            return std::unexpected(waited.error());
        }
    }
}

// --- pulses -------------------------------------------------------------------------------------

Result<RawMailbox> open_pulses(const Domain& domain, std::uint64_t join_id, Role role) {
    const std::string file = pulse_file(join_id);
    const MailboxOptions options{.capacity = bounded(1024),
                                 .max_bytes = sizeof(LinkPulse),
                                 .reserve_bytes = std::uint64_t{1024} * sizeof(LinkPulse),
                                 .role = role};
    const LinkFile where{.domain = domain, .file = file, .role = role};
    for (int turn = 0; turn < kTurns; ++turn) {
        Result<RawMailbox> box = RawMailbox::open_link(where, options.waiting);
        if (box || box.error().code != Errc::not_found) return box;
        box = RawMailbox::create_link(where, options, {});
        if (box || box.error().code != Errc::exists) return box;
    }
    return fail(Errc::exists, "pulse");
}

Result<RawMailbox*> ProcessCore::pulses() {
    if (Result<void> good = check(); !good) return std::unexpected(good.error());
    if (!pulses_) {
        Result<RawMailbox> box = open_pulses(domain_, join_id_, Role::receives);
        if (!box) return std::unexpected(box.error());
        pulses_ = std::move(*box);
    }
    return &*pulses_;
}

Waitable ProcessCore::pulse_readable() {
    const Result<RawMailbox*> box = pulses();
    return box ? (*box)->readable() : Waitable{box.error()};
}

Result<LinkPulse> ProcessCore::receive_pulse(Deadline deadline) {
    const Result<RawMailbox*> box = pulses();
    if (!box) return std::unexpected(box.error());
    Result<RawMessage> raw = (*box)->receive_with(deadline);
    if (!raw) return std::unexpected(raw.error());
    LinkPulse pulse;
    if (raw->bytes().size() != sizeof pulse) return fail(Errc::corrupt, "pulse");
    std::memcpy(&pulse, raw->bytes().data(), sizeof pulse);
    pulse.name[sizeof pulse.name - 1] = 0;
    return pulse;
}

}  // namespace stoa
