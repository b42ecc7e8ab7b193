// One link from the inside: its mailbox, the peer's name, the sockets beside it.
//
// Start here: LinkCore::send(), receive(); the public face is stoa/link/process.hpp.
// Threads:    those of its process handle: one at a time.
// Processes:  two, one at each end.
// Death:      of the peer: what it sent is received, then every call says peer_died.
// Blocking:   until a deadline; each slice looks whether the peer is there.
// Lifetime:   counted: the process handle, Link handles and messages share it.
// Units:      bytes.
// Source:     stoa/mailbox/raw_mailbox.hpp, a pair.
#pragma once

#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "stoa/link/link_layout.hpp"
#include "stoa/link/name_region.hpp"
#include "stoa/link/options.hpp"
#include "stoa/mailbox/owner_watch.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "stoa/sys/unix_socket.hpp"

namespace stoa {

class ProcessCore;

// A message on its way from the lane to the user.
struct LinkIncoming {
    LinkHeader header{};
    std::optional<RawMessage> raw{};  // in place, or
    std::vector<std::byte> own{};     // a copy of the payload

    [[nodiscard]] Bytes payload() const noexcept {
        return raw ? raw->bytes().subspan(sizeof(LinkHeader)) : Bytes{own};
    }
};

// A value with its header, as it lies in a lane.
template <typename T>
struct LinkWire {
    static constexpr std::size_t kBytes = sizeof(LinkHeader) + sizeof(T);  // without padding
    LinkHeader header;
    T value;
};

// Which payloads a receive takes.
struct LinkWanted {
    std::uint64_t type = 0;
    bool anything = false;    // bytes of whatever type
    std::uint64_t reply = 0;  // only the answer to this call
};

class LinkWait;

class LinkCore {
public:
    // Who the other end is.
    struct Peer {
        std::string name;
        std::uint64_t join_id = 0;
        Holder holder = 0;                    // 0: it is gone
        std::optional<NameRegion> region{};   // where it has its name
        std::unique_ptr<OwnerWatch> watch{};  // null: this very process
        sys::Identity identity{};
    };
    enum class PeerState : std::uint8_t { here, left, died };

    LinkCore(ProcessCore& process, Peer peer, RawMailbox box);
    LinkCore(const LinkCore&) = delete;
    LinkCore& operator=(const LinkCore&) = delete;

    void hold() noexcept { ++holders_; }
    void let_go() noexcept {
        if (--holders_ == 0) delete this;
    }

    [[nodiscard]] const Peer& peer() const noexcept { return peer_; }
    // Whoever has gone never comes back to this link.
    [[nodiscard]] PeerState peer_state() noexcept;
    // One load, a look at the processor's clock, and now and then a system call.
    [[nodiscard]] bool seems_here() noexcept {
        return peer_state_ == PeerState::here && peer_.holder != 0 &&
               peer_.region->is_owned_by(peer_.holder) &&
               (peer_.watch == nullptr || !peer_.watch->gone());
    }
    [[nodiscard]] RawMailbox* box() noexcept { return box_ ? &*box_ : nullptr; }
    [[nodiscard]] ProcessCore* process() noexcept { return process_; }

    // Errors: as RawMailbox; peer_died; closed: the peer has left; deadlock; gone: this process has
    // left
    [[nodiscard]] Result<void> send(LinkHeader header, Bytes payload, Deadline deadline,
                                    std::span<const int> fds = {});
    // Errors: as RawMailbox; wrong_type (it stays first), peer_died, end_of_stream: the peer has
    // left, and all is drained; unanswered
    [[nodiscard]] Result<LinkIncoming> receive(const LinkWanted& wanted, Deadline deadline);
    // The same when the first look at the mailbox was made already, with nothing set aside.
    [[nodiscard]] Result<LinkIncoming> receive(const LinkWanted& wanted, Deadline deadline,
                                               Result<RawMessage> first);
    // Whether it is a message or call of that type, without descriptors.
    [[nodiscard]] static bool is_plain(const RawMessage& raw, const LinkWanted& wanted,
                                       LinkHeader& header) noexcept {
        const Bytes bytes = raw.bytes();
        if (bytes.size() < sizeof header) [[unlikely]]
            return false;
        std::memcpy(&header, bytes.data(), sizeof header);
        return (header.kind == LinkKind::message || header.kind == LinkKind::call) &&
               header.fd_count == 0 && (wanted.anything || header.type == wanted.type);
    }
    [[nodiscard]] bool has_aside() const noexcept { return !aside_.empty(); }
    // Whether a receive finds something, or the end that the peer made.
    [[nodiscard]] bool is_ready() {
        return !aside_.empty() ||
               (box_ && (box_->has_message() || !box_->attachment().region().live()));
    }
    // For wait sets, in link_wait.cpp: a message, the end or an error of a receive; of a send.
    [[nodiscard]] Waitable readable();
    [[nodiscard]] Waitable writable();
    // Errors: full, peer_died, closed, those of RawMailbox
    [[nodiscard]] Result<void> pulse(std::uint64_t value);
    [[nodiscard]] Result<std::vector<sys::Fd>> take_fds(const LinkHeader& header);

    // The short ways, of small values over lanes. False: nothing happened, take the long way.
    template <typename T>
    [[nodiscard]] bool send_now(std::uint64_t type, LinkKind kind, std::uint64_t call,
                                const T& value) noexcept {
        if (!box_ || !seems_here()) [[unlikely]]
            return false;
        LinkWire<T> wire;
        wire.header = {.type = type, .call = call, .batch = 0, .fd_count = 0, .kind = kind};
        std::memcpy(static_cast<void*>(&wire.value), &value, sizeof value);
        if (!box_->send_value_now<LinkWire<T>::kBytes, 16>(&wire, {})) [[unlikely]]
            return false;
        ring();
        return true;
    }
    template <typename T>
    [[nodiscard]] bool receive_now(LinkWire<T>& wire) noexcept {
        return aside_.empty() && box_ && box_->receive_value_now<LinkWire<T>::kBytes>(&wire);
    }
    // Lends memory for a header and so many bytes. Errors: as send
    [[nodiscard]] Result<RawLoan> lend(std::uint64_t bytes, Deadline deadline);
    [[nodiscard]] Result<void> commit(RawLoan& loan, const LinkHeader& header, std::uint64_t bytes,
                                      Deadline deadline);
    // Errors: gone
    [[nodiscard]] Result<LinkOptions> options() const;
    // What was received and is not what its receiver waits for: the last of what is set aside.
    template <typename T>
    void set_aside(const LinkWire<T>& wire) {
        const auto* const bytes = reinterpret_cast<const std::byte*>(&wire.value);
        set_aside({.header = wire.header, .raw = {}, .own = {bytes, bytes + sizeof wire.value}});
    }
    // Of an awaited call it is the reply; other replies are nobody's.
    void set_aside(LinkIncoming incoming);
    // Waits until receive_now() is worth another try. Errors: as receive
    [[nodiscard]] Result<void> wait(Deadline deadline);

    [[nodiscard]] std::uint64_t next_call() noexcept { return ++calls_; }

    // --- calls that are awaited: whoever finds the reply of one in the lane puts it aside for it -
    [[nodiscard]] std::uint64_t open_call() {
        const std::uint64_t number = next_call();
        open_calls_.try_emplace(number);
        return number;
    }
    void close_call(std::uint64_t number) noexcept { open_calls_.erase(number); }
    [[nodiscard]] std::size_t open_calls() const noexcept { return open_calls_.size(); }
    // It waits for its reply from now on, and not for room.
    void call_is_sent(std::uint64_t number) { open_calls_.at(number).sent = true; }
    // The reply to an open call. Errors: empty: not yet; as receive
    [[nodiscard]] Result<LinkIncoming> reply_to(std::uint64_t number, LinkWanted wanted);
    // For wait sets: `bytes` of payload may be sent, until it is; then its reply is here.
    [[nodiscard]] Waitable progress_of(std::uint64_t number, std::uint64_t bytes);
    // Of who made the connection, or accepted it. Errors: not_supported
    [[nodiscard]] Result<sys::Credentials> credentials();
    void connected(sys::Fd socket, const sys::Credentials& told) noexcept {
        out_ = std::move(socket);
        credentials_ = told;
    }
    // Takes the connection that the peer made, if it did and none was taken yet.
    void meet();
    // Of a call whose deadline passed: who has not answered.
    [[nodiscard]] Error late_call() const noexcept;

    // This process leaves: the peer learns the end, and what it may still send goes nowhere.
    void hang_up() noexcept;
    // The same to a peer that is gone: handles of this link go on to say so.
    void forget() noexcept;
    [[nodiscard]] Error tell_of_its_death() noexcept {
        told_ = true;
        return {.code = Errc::peer_died, .step = "send"};
    }
    // The peer is gone, that was told, and all is drained.
    [[nodiscard]] bool is_over() const noexcept { return over_ && aside_.empty(); }
    // The peer is gone, a call said so, and nothing of it is left to be received.
    [[nodiscard]] bool is_used_up();

private:
    friend class LinkWait;
    ~LinkCore() = default;
    [[nodiscard]] Result<void> look();
    [[nodiscard]] Result<LinkIncoming> as_reply(LinkIncoming incoming,
                                                const LinkWanted& wanted) const;
    void touch_waits() noexcept;
    [[nodiscard]] PeerState look_at_peer() noexcept;
    [[nodiscard]] Error end_of(Error error, bool sends) noexcept;
    [[nodiscard]] Error without_box(bool sends) const noexcept;
    [[nodiscard]] Error end_told(bool sends) const noexcept;
    // Errors: gone: this process has left; forked; peer_died; closed
    [[nodiscard]] Result<void> check_sends();
    [[nodiscard]] Result<LinkIncoming> from_aside(const LinkWanted& wanted, bool& found);
    [[nodiscard]] Result<LinkIncoming> next(const LinkWanted& wanted, Deadline deadline,
                                            std::optional<Result<RawMessage>> first);
    [[nodiscard]] Result<LinkIncoming> sort(RawMessage raw, const LinkWanted& wanted, bool& skip);
    [[nodiscard]] Result<void> send_fds(LinkHeader& header, std::span<const int> fds,
                                        Deadline deadline);
    // Who receives from anyone sleeps on the bell of its name. As a sleeper there sends a barrier
    // to all publishers, a look at the bell after the publish is enough.
    void ring() noexcept {
        if (!peer_.region) return;
        if (fence_ == LaneFence::full) full_fence();
        std::atomic_signal_fence(kSeqCst);
        if ((peer_.region->bell().load(kRelaxed) & 1U) != 0) [[unlikely]]
            ring_bell_slowly(peer_.region->bell(), 1);
    }
    [[nodiscard]] Result<RawMailbox*> pulses();

    ProcessCore* process_;
    Peer peer_;
    std::optional<RawMailbox> box_;
    std::optional<RawMailbox> pulses_;  // of the peer
    LaneFence fence_ = publisher_fence();
    std::uint32_t holders_ = 0;
    std::uint64_t calls_ = 0;
    struct OpenCall {
        bool sent = false;
        std::optional<LinkIncoming> reply{};
        Touched* entry = nullptr;  // of the set that waits for it
    };
    std::unordered_map<std::uint64_t, OpenCall> open_calls_;
    std::vector<Touched*> entries_;  // of sets that wait for messages or room
    std::uint64_t batches_ = 0;
    PeerState peer_state_ = PeerState::here;  // never `here` again once it is not
    bool over_ = false;                       // a receive found that all is drained
    bool told_ = false;                       // any call said that the peer is gone
    bool forgotten_ = false;
    std::deque<LinkIncoming> aside_;
    sys::Fd out_;                                  // to the peer's socket
    sys::Fd in_;                                   // from the peer, accepted
    std::optional<sys::Credentials> credentials_;  // of the peer, as the kernel told them
    struct Batch {
        std::uint64_t number = 0;
        std::vector<sys::Fd> fds;
    };
    std::vector<Batch> batches_in_;  // that came before their messages
};

// A counted LinkCore: plain numbers, for all of it serves one thread.
class LinkRef {
public:
    LinkRef() noexcept = default;
    explicit LinkRef(LinkCore* core) noexcept : core_{core} {
        if (core_ != nullptr) core_->hold();
    }
    LinkRef(LinkRef&& other) noexcept : core_{std::exchange(other.core_, nullptr)} {}
    LinkRef(const LinkRef& other) noexcept : LinkRef{other.core_} {}
    LinkRef& operator=(LinkRef other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~LinkRef() {
        if (core_ != nullptr) core_->let_go();
    }
    [[nodiscard]] LinkCore* operator->() const noexcept { return core_; }
    [[nodiscard]] LinkCore& operator*() const noexcept { return *core_; }
    [[nodiscard]] LinkCore* get() const noexcept { return core_; }
    [[nodiscard]] explicit operator bool() const noexcept { return core_ != nullptr; }

private:
    LinkCore* core_ = nullptr;
};

}  // namespace stoa
