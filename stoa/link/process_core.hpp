// A joined process from the inside: its name, its links, who knocks, who connects.
//
// Start here: ProcessCore::join(), link_to(), receive(); the public face is stoa/link/process.hpp.
// Threads:    one at a time.
// Processes:  this one; an inherited one says `forked`.
// Death:      the name is free at once, links say peer_died to the others.
// Blocking:   until a deadline.
// Lifetime:   leaves in the destructor.
// Units:      none.
// Source:     design of links: docs/adr/0021-links.md.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "stoa/link/link_core.hpp"
#include "stoa/link/name_region.hpp"
#include "stoa/link/options.hpp"
#include "stoa/shm/domain.hpp"
#include "stoa/sys/close_on_fork.hpp"
#include "stoa/wait/wait_set.hpp"

namespace stoa {

[[nodiscard]] std::string link_file(std::uint64_t one, std::uint64_t other);
inline constexpr std::string_view kLinkSuffix = ".link";
inline constexpr std::string_view kPulseSuffix = ".pulse";

// What a link's file says of its two ends; the first one made it.
struct LinkEnds {
    std::uint64_t ids[2]{};
    std::string names[2]{};
};
[[nodiscard]] std::string text_of(const LinkEnds& ends);
// Errors: bad_layout
[[nodiscard]] Result<LinkEnds> ends_in(std::string_view text);

// The mailbox of pulses of that join, made by whoever needs it first. Errors: as RawMailbox
[[nodiscard]] Result<RawMailbox> open_pulses(const Domain& domain, std::uint64_t join_id,
                                             Role role);

class ProcessWait;

class ProcessCore {
public:
    [[nodiscard]] static Result<std::unique_ptr<ProcessCore>> join(std::string_view name,
                                                                   const JoinOptions& options);
    ProcessCore(const ProcessCore&) = delete;
    ProcessCore& operator=(const ProcessCore&) = delete;
    ~ProcessCore() {
        leave();
        if (sys::current_generation() == generation_) end_waits();
    }

    // Errors: forked, gone: it has left
    [[nodiscard]] Result<void> check() const noexcept {
        if (sys::current_generation() != generation_) [[unlikely]]
            return fail(Errc::forked, "process");
        if (left_) [[unlikely]]
            return fail(Errc::gone, "process (it has left)");
        return {};
    }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] std::uint64_t join_id() const noexcept { return join_id_; }
    [[nodiscard]] const Domain& domain() const noexcept { return domain_; }

    // The link to who has that name now, if there is one: the short way.
    [[nodiscard]] LinkCore* known(std::string_view name) const noexcept {
        const auto at = links_.find(name);
        if (at == links_.end() || !at->second->seems_here()) [[unlikely]]
            return nullptr;
        return at->second.get();
    }
    // The same, made if need be. Errors: not_found, peer_died, timed_out, bad_name, bad_argument
    // (to itself), as RawMailbox
    [[nodiscard]] Result<LinkCore*> link_to(std::string_view name, const TalkOptions& talk,
                                            Deadline deadline,
                                            const LinkOptions* options = nullptr);
    // Where a receive from that name looks: also at one who is gone, until it is drained. Waits
    // for the link that the other one makes. Errors: as link_to
    [[nodiscard]] Result<LinkCore*> link_from(std::string_view name, const TalkOptions& talk,
                                              Deadline deadline);
    // The next link that has something, or whose end is to be told. Errors: empty, timed_out
    [[nodiscard]] Result<LinkRef> next_ready(Deadline deadline);
    void forget(LinkCore* link);

    [[nodiscard]] Result<void> set_attribute(std::string_view key, std::string_view value);
    [[nodiscard]] Result<void> remove_attribute(std::string_view key);
    [[nodiscard]] const Attributes& attributes() const noexcept { return attributes_; }

    // The connection that such a peer made, once it has said hello.
    struct Greeted {
        std::uint64_t from = 0;
        sys::Fd socket;
        sys::Credentials credentials;
    };
    // `pid`: of who has that join id; 0: it has gone, and the kernel's word on who said hello in
    // its name is taken if it is the same of all of them.
    [[nodiscard]] sys::Fd take_connection(std::uint64_t from, std::uint32_t pid,
                                          sys::Credentials& told);
    // Says hello over a socket to the peer, if one is to be had. Errors: limit_reached
    [[nodiscard]] Result<void> greet(LinkCore& link);

    // Errors: empty, timed_out, as RawMailbox
    [[nodiscard]] Result<LinkPulse> receive_pulse(Deadline deadline);
    [[nodiscard]] Waitable pulse_readable();

    // Whether a receive from anyone has something to look at.
    [[nodiscard]] Waitable readable();
    // The same of a receive from that name. Errors of add(): not_found
    [[nodiscard]] Waitable readable(std::string_view name);
    // Something happened that their marks do not tell.
    void touch_waits() noexcept;
    [[nodiscard]] Result<int> ready_fd();
    [[nodiscard]] bool gives_ready_fd() const noexcept { return ready_set_ != nullptr; }
    [[nodiscard]] bool has_something() {
        return region_->knocked() != knocks_heard_ || anyone_ready();
    }
    [[nodiscard]] bool may_spin() const noexcept {
        constexpr std::size_t kFew = 16;
        return options_.waiting != Waiting::park && all_.size() <= kFew;
    }
    [[nodiscard]] Result<void> look_around();
    // A set of one, exported, must look again after a receive that found nothing more.
    void looked() {
        if (ready_set_ == nullptr) return;
        [[maybe_unused]] const auto ready = ready_set_->try_wait();
    }

    void leave() noexcept;
    [[nodiscard]] const std::vector<LinkRef>& links() const noexcept { return all_; }
    [[nodiscard]] NameRegion& region() noexcept { return *region_; }

private:
    friend class ProcessWait;
    void end_waits() noexcept;
    ProcessCore(Domain domain, std::string name, const JoinOptions& options);
    [[nodiscard]] Result<void> take_name();
    [[nodiscard]] Result<void> listen(std::uint64_t join_id);
    [[nodiscard]] Result<LinkCore*> connect(std::string_view name, const LinkOptions& options);
    [[nodiscard]] Result<RawMailbox> make_box(const LinkCore::Peer& peer,
                                              const LinkOptions& options);
    [[nodiscard]] Result<RawMailbox> open_box(std::uint64_t peer_id, std::string& peer_name);
    LinkCore* add(LinkCore::Peer peer, RawMailbox box);
    [[nodiscard]] Result<LinkCore::Peer> find_peer(std::string_view name);
    [[nodiscard]] Result<void> wait_for_owner(std::string_view name, Deadline deadline);
    void hear_knocks();
    [[nodiscard]] bool hear(std::uint64_t peer_id);
    [[nodiscard]] Result<sys::Fd> say_hello(const LinkCore::Peer& peer, sys::Credentials& told);
    [[nodiscard]] bool accept_some();
    void keep(Greeted greeted);
    [[nodiscard]] Result<RawMailbox*> pulses();
    void forget_older_lives(const LinkCore& newest);
    [[nodiscard]] Result<void> wait_for_anyone(Deadline deadline);
    [[nodiscard]] bool anyone_ready();
    [[nodiscard]] LinkRef one_that_is_ready(bool looks_for_deaths);

    struct NameHash {
        using is_transparent = void;
        [[nodiscard]] std::size_t operator()(std::string_view name) const noexcept {
            return std::hash<std::string_view>{}(name);
        }
    };
    using Links = std::unordered_map<std::string, LinkRef, NameHash, std::equal_to<>>;

    Domain domain_;
    std::string name_;
    JoinOptions options_;
    std::uint64_t generation_;
    std::optional<NameRegion> region_;
    std::uint64_t join_id_ = 0;
    std::uint64_t joined_ns_ = 0;
    Attributes attributes_;
    sys::ForkFd listener_;
    Links links_;               // by the peer's name: the newest that there is
    std::vector<LinkRef> all_;  // also those of peers that are gone
    std::size_t turn_ = 0;      // whose turn it is to be received from
    std::uint32_t knocks_heard_ = 0;
    std::vector<std::uint64_t> unheard_;     // knocks whose links this process could not open yet
    std::chrono::nanoseconds looked_at_{0};  // at the lives of the peers
    std::optional<RawMailbox> pulses_;
    std::vector<Greeted> greeted_;    // connections of which the link is not known yet
    std::vector<Greeted> strangers_;  // who has not said hello
    bool left_ = false;
    std::vector<ProcessWait*> waits_;  // entries of wait sets that are for this
    std::unique_ptr<WaitSet> ready_set_;
};

}  // namespace stoa
