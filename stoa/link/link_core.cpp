#include "stoa/link/link_core.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "stoa/base/crash_point.hpp"
#include "stoa/link/process_core.hpp"
#include "stoa/sys/process.hpp"

namespace stoa {
namespace {

constexpr std::size_t kCopied = 1024;  // payloads up to it are copied twice instead of lent

bool is_known(LinkKind kind) noexcept {
    return kind >= LinkKind::message && kind <= LinkKind::end;
}

bool ends(Errc code) noexcept {
    return code == Errc::peer_died || code == Errc::closed || code == Errc::end_of_stream ||
           code == Errc::gone;
}

}  // namespace

LinkCore::LinkCore(ProcessCore& process, Peer peer, RawMailbox box)
    : process_{&process}, peer_{std::move(peer)}, box_{std::move(box)} {
    box_->attachment().watch_link(
        {.look = [](void* self) { return static_cast<LinkCore*>(self)->look(); },
         .published = [](void* self) { static_cast<LinkCore*>(self)->ring(); },
         .context = this});
}

LinkCore::PeerState LinkCore::peer_state() noexcept {
    if (peer_state_ != PeerState::here) return peer_state_;
    const PeerState state = look_at_peer();
    // Of one that nobody can be asked about it is a guess: it may just be leaving.
    if (state != PeerState::died || peer_.identity.pid != 0) peer_state_ = state;
    return state;
}

LinkCore::PeerState LinkCore::look_at_peer() noexcept {
    if (peer_.holder != 0 && peer_.region->is_owned_by(peer_.holder)) {
        const bool gone = peer_.watch != nullptr && peer_.watch->gone();
        return gone ? PeerState::died : PeerState::here;
    }
    // It gave the name back, or another one has taken it, perhaps from a dead one.
    if (box_ && box_->attachment().region().closed()) return PeerState::left;
    const bool dead = peer_.identity.pid == 0 || sys::probe(peer_.identity) == sys::Life::dead;
    return dead ? PeerState::died : PeerState::left;
}

// Once in a slice of every wait.
Result<void> LinkCore::look() {
    switch (peer_state()) {
        case PeerState::here: break;
        case PeerState::left: return fail(Errc::closed, "link (the other process has left)");
        case PeerState::died: return fail(Errc::peer_died, "link");
    }
    return {};
}

// How a call on a link that ended says so.
Error LinkCore::end_told(bool sends) const noexcept {
    if (peer_state_ == PeerState::died) {
        return {.code = Errc::peer_died, .step = sends ? "send" : "receive"};
    }
    return sends ? Error{.code = Errc::closed, .step = "send (the other process has left)"}
                 : Error{.code = Errc::end_of_stream, .step = "receive"};
}

// What a caller is told when the mailbox says that the other side ended.
Error LinkCore::end_of(Error error, bool sends) noexcept {
    if (!ends(error.code)) return error;
    if (process_ == nullptr || !box_) return without_box(sends);
    const PeerState state = peer_state();
    if (peer_state_ == PeerState::here) {  // the mailbox knew it first
        const bool dead = error.code == Errc::peer_died || state == PeerState::died;
        const bool said_so = error.code == Errc::end_of_stream;
        peer_state_ = dead && !said_so ? PeerState::died : PeerState::left;
    }
    // What it sent may still be there: only a receive knows that it is over.
    if (!std::exchange(sends ? told_ : over_, true)) touch_waits();
    told_ = true;
    return end_told(sends);
}

// Of a link that this process has left, or forgotten when the peer was gone.
Error LinkCore::without_box(bool sends) const noexcept {
    if (!forgotten_) return {.code = Errc::gone, .step = "link (this process has left)"};
    return end_told(sends);
}

Error LinkCore::late_call() const noexcept {
    const bool calls = std::ranges::any_of(aside_, [](const LinkIncoming& incoming) {
        return incoming.header.kind == LinkKind::call;
    });
    const char* const what = calls ? "call (%s has not replied; a call of its own waits here)"
                                   : "call (%s has not replied)";
    return {.code = Errc::timed_out, .step = step_text(what, peer_.name.c_str())};
}

// --- sending ------------------------------------------------------------------------------------

// Whatever sends asks this first.
Result<void> LinkCore::check_sends() {
    if (process_ == nullptr || !box_) return std::unexpected(without_box(true));
    if (Result<void> good = process_->check(); !good) return good;
    if (Result<void> there = look(); !there) return std::unexpected(end_of(there.error(), true));
    return {};
}

Result<void> LinkCore::send(LinkHeader header, Bytes payload, Deadline deadline,
                            std::span<const int> fds) {
    if (Result<void> good = check_sends(); !good) return good;
    if (!fds.empty()) {
        if (Result<void> sent = send_fds(header, fds, deadline); !sent) return sent;
    }
    const std::size_t bytes = sizeof header + payload.size();
    Result<void> sent;
    if (payload.size() <= kCopied) {
        alignas(16) std::array<std::byte, sizeof header + kCopied> copy;
        std::memcpy(copy.data(), &header, sizeof header);
        if (!payload.empty()) {
            std::memcpy(copy.data() + sizeof header, payload.data(), payload.size());
        }
        sent = box_->send_with(Bytes{copy.data(), bytes}, deadline);
    } else {
        Result<RawLoan> loan = box_->loan(bytes, deadline);
        if (loan) {
            std::memcpy(loan->room().data(), &header, sizeof header);
            std::memcpy(loan->room().data() + sizeof header, payload.data(), payload.size());
            sent = loan->commit(bytes, deadline);
        } else {
            sent = std::unexpected(loan.error());
        }
    }
    if (!sent) return std::unexpected(end_of(sent.error(), true));
    STOA_CRASH_POINT("link.send.sent");
    ring();
    return {};
}

Result<RawLoan> LinkCore::lend(std::uint64_t bytes, Deadline deadline) {
    if (Result<void> good = check_sends(); !good) return std::unexpected(good.error());
    Result<RawLoan> loan = box_->loan(sizeof(LinkHeader) + bytes, deadline);
    if (!loan) return std::unexpected(end_of(loan.error(), true));
    return loan;
}

Result<void> LinkCore::commit(RawLoan& loan, const LinkHeader& header, std::uint64_t bytes,
                              Deadline deadline) {
    if (loan.room().size() < sizeof header) return fail(Errc::not_owner, "commit");
    if (Result<void> good = check_sends(); !good) return good;
    std::memcpy(loan.room().data(), &header, sizeof header);
    if (Result<void> sent = loan.commit(sizeof header + bytes, deadline); !sent) {
        return std::unexpected(end_of(sent.error(), true));
    }
    ring();
    return {};
}

Result<LinkOptions> LinkCore::options() const {
    if (!box_) return fail(Errc::gone, "link (this process has left)");
    const MailboxPlan& plan = box_->plan();
    return LinkOptions{.capacity = plan.capacity,
                       .one_way = plan.one_way,
                       .max_bytes = plan.max_bytes - static_cast<std::uint32_t>(sizeof(LinkHeader)),
                       .reserve_bytes = plan.reserve_bytes,
                       .loan_quota = plan.loan_quota};
}

// Before the message that names them: who receives it finds them there.
Result<void> LinkCore::send_fds(LinkHeader& header, std::span<const int> fds, Deadline deadline) {
    // The other one made this link, or its socket was not to be had then.
    if (!out_.valid() && process_ != nullptr) {
        if (Result<void> greeted = process_->greet(*this); !greeted) return greeted;
    }
    if (!out_.valid()) {
        return fail(Errc::not_supported, "send (no socket leads there: descriptors cannot travel)");
    }
    const LinkDescriptors packet{.batch = ++batches_};
    for (;;) {
        const Result<void> sent = sys::send_packet(out_, std::as_bytes(std::span{&packet, 1}), fds);
        if (sent) break;
        if (sent.error().code == Errc::peer_died)
            return std::unexpected(end_of(sent.error(), true));
        if (sent.error().code != Errc::full || deadline.is_immediate()) return sent;
        if (deadline.passed()) return fail(Errc::timed_out, "send");
        if (Result<void> there = look(); !there) {
            return std::unexpected(end_of(there.error(), true));
        }
        sys::wait_for_room(out_, deadline.left(g_wait_slice));
    }
    header.batch = packet.batch;
    header.fd_count = static_cast<std::uint32_t>(fds.size());
    return {};
}

// --- receiving ----------------------------------------------------------------------------------

void LinkCore::set_aside(LinkIncoming incoming) {
    const LinkKind kind = incoming.header.kind;
    const bool replies = kind == LinkKind::reply || kind == LinkKind::refusal;
    const auto call = replies ? open_calls_.find(incoming.header.call) : open_calls_.end();
    if (replies && call == open_calls_.end()) return;
    // One message may stay where it lies; replies are as many as there are calls.
    if (incoming.raw && (replies || !aside_.empty())) {
        const Bytes payload = incoming.payload();
        incoming.own.assign(payload.begin(), payload.end());
        incoming.raw.reset();
    }
    if (replies) {
        call->second.reply = std::move(incoming);
        if (call->second.entry != nullptr) call->second.entry->touch();
        return;
    }
    aside_.push_back(std::move(incoming));
    for (Touched* const entry : entries_) entry->touch();
    if (process_ != nullptr) process_->touch_waits();
}

Result<LinkIncoming> LinkCore::from_aside(const LinkWanted& wanted, bool& found) {
    found = wanted.reply == 0 && !aside_.empty();
    if (!found) return fail(Errc::empty, "receive");
    if (!wanted.anything && aside_.front().header.type != wanted.type) {
        return fail(Errc::wrong_type, "receive (the first message is of another type)");
    }
    LinkIncoming incoming = std::move(aside_.front());
    aside_.pop_front();
    return incoming;
}

// The reply to the call for which somebody waits. Errors: unanswered, wrong_type
Result<LinkIncoming> LinkCore::as_reply(LinkIncoming incoming, const LinkWanted& wanted) const {
    if (incoming.header.kind == LinkKind::refusal) return fail(Errc::unanswered, "call");
    if (!wanted.anything && incoming.header.type != wanted.type) {
        return fail(Errc::wrong_type, "call (the reply is of another type)");
    }
    return incoming;
}

// `skip`: it is nobody's, or set aside.
Result<LinkIncoming> LinkCore::sort(RawMessage raw, const LinkWanted& wanted, bool& skip) {
    LinkIncoming incoming;
    const Bytes bytes = raw.bytes();
    if (bytes.size() < sizeof incoming.header) return fail(Errc::corrupt, "link");
    std::memcpy(&incoming.header, bytes.data(), sizeof incoming.header);
    const LinkHeader& header = incoming.header;
    if (!is_known(header.kind)) return fail(Errc::corrupt, "link");
    incoming.raw = std::move(raw);
    if (header.kind == LinkKind::end) return fail(Errc::end_of_stream, "receive");
    const bool replies = header.kind == LinkKind::reply || header.kind == LinkKind::refusal;
    if (replies && wanted.reply != 0 && header.call == wanted.reply) {
        return as_reply(std::move(incoming), wanted);
    }
    skip = replies || wanted.reply != 0;
    if (skip) {
        set_aside(std::move(incoming));
        return fail(Errc::empty, "receive");
    }
    if (wanted.anything || header.type == wanted.type) return incoming;
    aside_.push_front(std::move(incoming));
    return fail(Errc::wrong_type, "receive (the first message is of another type)");
}

Result<LinkIncoming> LinkCore::next(const LinkWanted& wanted, Deadline deadline,
                                    std::optional<Result<RawMessage>> first) {
    for (;;) {
        if (!box_) return std::unexpected(without_box(false));
        Result<RawMessage> raw = first ? std::move(*first) : box_->receive_with(deadline);
        first.reset();
        if (!raw && raw.error().code == Errc::empty && peer_state() != PeerState::here) {
            raw = fail(Errc::closed, "receive");  // what it sent before that is there
        }
        if (!raw && ends(raw.error().code)) {
            const Error error = raw.error();
            raw = box_->receive_with(Deadline::immediately());
            if (!raw) return std::unexpected(end_of(error, false));
        }
        if (!raw) return std::unexpected(raw.error());
        bool skip = false;
        Result<LinkIncoming> incoming = sort(std::move(*raw), wanted, skip);
        if (!incoming && !skip) return std::unexpected(end_of(incoming.error(), false));
        if (!skip) return incoming;
    }
}

Result<LinkIncoming> LinkCore::receive(const LinkWanted& wanted, Deadline deadline) {
    bool found = false;
    Result<LinkIncoming> first = from_aside(wanted, found);
    if (found) return first;
    if (process_ != nullptr) {
        if (Result<void> good = process_->check(); !good) return std::unexpected(good.error());
    }
    return next(wanted, deadline, std::nullopt);
}

Result<LinkIncoming> LinkCore::receive(const LinkWanted& wanted, Deadline deadline,
                                       Result<RawMessage> first) {
    return next(wanted, deadline, std::move(first));
}

Result<LinkIncoming> LinkCore::reply_to(std::uint64_t number, LinkWanted wanted) {
    if (process_ != nullptr) {
        if (Result<void> good = process_->check(); !good) return std::unexpected(good.error());
    }
    std::optional<LinkIncoming>& reply = open_calls_.at(number).reply;
    if (reply) return as_reply(std::move(*reply), wanted);
    wanted.reply = number;
    return receive(wanted, Deadline::immediately());
}

Result<void> LinkCore::wait(Deadline deadline) {
    if (!box_ || deadline.is_immediate()) return fail(Errc::empty, "receive");
    return box_->wait_for_value(deadline);
}

// --- the socket beside it -----------------------------------------------------------------------

Result<std::vector<sys::Fd>> LinkCore::take_fds(const LinkHeader& header) {
    constexpr int kMostPackets = 4096;
    meet();
    for (int n = 0; n < kMostPackets; ++n) {
        const auto at = std::ranges::find(batches_in_, header.batch, &Batch::number);
        if (at != batches_in_.end()) {
            std::vector<sys::Fd> fds = std::move(at->fds);
            batches_in_.erase(at);
            if (fds.size() != header.fd_count) break;
            return fds;
        }
        if (!in_.valid()) break;
        LinkDescriptors packet{};
        std::vector<sys::Fd> fds;
        const Result<std::size_t> length =
            sys::receive_packet(in_, std::as_writable_bytes(std::span{&packet, 1}), fds);
        if (!length) break;
        // Of messages that were not sent in the end some may stay behind: not for ever.
        if (batches_in_.size() >= sys::kMaxPacketFds) batches_in_.erase(batches_in_.begin());
        batches_in_.push_back({.number = packet.batch, .fds = std::move(fds)});
    }
    return fail(Errc::corrupt, "receive (its descriptors did not come)");
}

Result<sys::Credentials> LinkCore::credentials() {
    if (!credentials_) meet();
    if (credentials_) return *credentials_;
    return fail(Errc::not_supported, "credentials (no socket leads there)");
}

void LinkCore::meet() {
    if (in_.valid() || process_ == nullptr) return;
    sys::Credentials told;
    in_ = process_->take_connection(peer_.join_id, peer_.identity.pid, told);
    if (in_.valid() && !credentials_) credentials_ = told;
}

// The last message wakes a receiver that sleeps on the lane; what it empties wakes a sender that
// waits for room. Both then find the link closed.
void LinkCore::hang_up() noexcept {
    if (box_) {
        box_->attachment().watch_link({});
        const LinkHeader end{
            .type = 0, .call = 0, .batch = 0, .fd_count = 0, .kind = LinkKind::end};
        if (has(box_->role(), Role::sends) && box_->plan().pool_count == 0) {
            [[maybe_unused]] const Result<void> said =
                box_->send_with(std::as_bytes(std::span{&end, 1}), Deadline::immediately());
        }
        STOA_CRASH_POINT("link.hang_up.said");
        [[maybe_unused]] const Result<void> closed = box_->close();
        STOA_CRASH_POINT("link.hang_up.closed");
        constexpr int kMost = 1 << 20;
        for (int n = 0; n < kMost && box_->receive_with(Deadline::immediately()); ++n) {
        }
        if (peer_.region) ring_bell_for_all(peer_.region->bell());
        aside_.clear();
        box_.reset();
    }
    pulses_.reset();
    process_ = nullptr;
    touch_waits();
}

void LinkCore::forget() noexcept {
    forgotten_ = true;
    hang_up();
}

bool LinkCore::is_used_up() {
    if (is_over()) return true;
    if (!told_ || peer_state() == PeerState::here) return false;
    // No such call: whatever is there is set aside.
    constexpr LinkWanted kNone{.type = 0, .anything = true, .reply = UINT64_MAX};
    const auto none = next(kNone, Deadline::immediately(), std::nullopt);
    return !none && is_over();
}

// --- pulses -------------------------------------------------------------------------------------

Result<RawMailbox*> LinkCore::pulses() {
    if (!pulses_) {
        Result<RawMailbox> box = open_pulses(process_->domain(), peer_.join_id, Role::sends);
        if (!box) return std::unexpected(box.error());
        pulses_ = std::move(*box);
    }
    return &*pulses_;
}

Result<void> LinkCore::pulse(std::uint64_t value) {
    if (Result<void> good = check_sends(); !good) return good;
    const Result<RawMailbox*> box = pulses();
    if (!box) return std::unexpected(box.error());
    LinkPulse pulse{.from = process_->join_id(), .value = value, .name = {}};
    process_->name().copy(pulse.name, sizeof pulse.name - 1);
    return (*box)->send_with(std::as_bytes(std::span{&pulse, 1}), Deadline::immediately());
}

}  // namespace stoa
