// Processes that name each other: a name for this process, and one link to each other one.
//
// Start here: Process::join("planner"); me.send("driver", goal); me.receive<Done>("driver").
// Threads:    a Process, its links and messages serve one thread at a time.
// Processes:  of one domain. A forked child joins under a name of its own (an inherited handle says
//             `forked`); one that calls exec lives on, and keeps its name until it ends.
// Death:      at any instruction: the name is free at once; what was sent is received, then the
//             others learn peer_died: a send that begins 20 us later at once, a blocked call within
//             100 ms, what a wait set or a coroutine waits for at once. A message is delivered to
//             the very process that had the name when it was sent, or to nobody.
// Blocking:   send, receive and call until done; try_ never; _for and _until until then.
// Lifetime:   leaves in the destructor; messages and Links may outlive it and then say `gone`.
// Units:      values of T: trivially copyable, encoded (strings, containers), or bytes.
// Source:     direct communication, symmetric and asymmetric naming; replies as in QNX.
//
// Each link takes up to five file descriptors of this process: the link's memory, the region of
// the peer's name, a descriptor of the peer's process, and a socket each way. limit_reached says
// that RLIMIT_NOFILE is too low.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "stoa/link/admin.hpp"
#include "stoa/link/pending_call.hpp"
#include "stoa/link/process_core.hpp"
#include "stoa/link/received.hpp"
#include "stoa/sys/signals.hpp"
#include "stoa/wait/waitable.hpp"

namespace stoa {

// Memory in a link, lent to fill. Nothing is sent before commit().
class LinkLoan {
public:
    LinkLoan(LinkRef link, RawLoan raw, std::uint64_t type) noexcept
        : link_{std::move(link)}, raw_{std::move(raw)}, type_{type} {}

    // As many bytes as were asked for, aligned to 16.
    [[nodiscard]] std::span<std::byte> room() const noexcept {
        return raw_.room().subspan(sizeof(LinkHeader));
    }
    // Sends the first `bytes` of it. Errors: as Process::send
    Result<void> commit(std::uint64_t bytes, Deadline deadline = Deadline::never()) {
        const LinkHeader header{
            .type = type_, .call = 0, .batch = 0, .fd_count = 0, .kind = LinkKind::message};
        return link_->commit(raw_, header, bytes, deadline);
    }
    void abandon() noexcept { raw_.abandon(); }

private:
    LinkRef link_;
    RawLoan raw_;
    std::uint64_t type_;
};

// A value in a link, lent to fill.
template <typename T>
class LinkValueLoan {
public:
    explicit LinkValueLoan(LinkLoan loan) noexcept
        : loan_{std::move(loan)}, value_{new(loan_.room().data()) T} {}
    [[nodiscard]] T& value() const noexcept { return *value_; }
    [[nodiscard]] T& operator*() const noexcept { return *value_; }
    [[nodiscard]] T* operator->() const noexcept { return value_; }
    Result<void> commit(Deadline deadline = Deadline::never()) {
        return loan_.commit(sizeof(T), deadline);
    }
    void abandon() noexcept { loan_.abandon(); }

private:
    LinkLoan loan_;
    T* value_;
};

// The link to one other process: the fast way, without a look for its name each time.
class Link {
public:
    using Clock = Deadline::Clock;
    explicit Link(LinkRef link) noexcept : link_{std::move(link)} {}

    [[nodiscard]] const std::string& name() const noexcept { return link_->peer().name; }
    [[nodiscard]] std::uint32_t pid() const noexcept { return link_->peer().identity.pid; }
    // Of the peer, as the kernel gave them when the two were connected. Errors: not_supported
    [[nodiscard]] Result<sys::Credentials> credentials() const { return link_->credentials(); }
    // What it was made with. Errors: gone
    [[nodiscard]] Result<LinkOptions> options() const { return link_->options(); }

    // Errors: too_big, peer_died, closed (the peer has left), deadlock (capacity zero: both wait in
    // a send), quota_reached, out_of_space, forked, gone (this process has left), bad_argument (one
    // way: this side receives), not_supported (descriptors: no socket leads there); try_: full;
    // _for and _until: timed_out
    template <typename T>
    Result<void> send(const T& value, const TalkOptions& talk = {}) {
        return send_with(value, Deadline::never(), talk);
    }
    template <typename T>
    Result<void> try_send(const T& value, const TalkOptions& talk = {}) {
        return send_with(value, Deadline::immediately(), talk);
    }
    template <typename T>
    Result<void> send_for(const T& value, std::chrono::nanoseconds wait,
                          const TalkOptions& talk = {}) {
        // Before the clock is asked what time it is.
        if constexpr (detail::kShortWay<T> && detail::LinkTyped<T>) {
            if (talk.fds.empty() &&
                link_->send_now(detail::link_type<T>(), LinkKind::message, 0, value)) [[likely]] {
                return {};
            }
        }
        return send_with(value, Deadline::after(wait), talk);
    }
    template <typename T>
    Result<void> send_until(const T& value, Clock::time_point when, const TalkOptions& talk = {}) {
        return send_with(value, Deadline::at(when), talk);
    }
    template <typename T>
    Result<void> send_with(const T& value, Deadline deadline, const TalkOptions& talk = {}) {
        if constexpr (detail::LinkTyped<T>) {
            return detail::send_value(*link_, LinkKind::message, 0, value, deadline, talk.fds);
        } else {
            return detail::send_bytes(*link_, LinkKind::message, 0, Payload{value}.bytes(),
                                      deadline, talk.fds);
        }
    }

    // Errors: wrong_type (the first message is of another type, and stays first), peer_died or
    // end_of_stream (the peer has left), both when all that it sent is received, corrupt, forked,
    // gone, too_many_loans, bad_argument (one way: this side sends); try_: empty; _for, _until:
    // timed_out
    template <detail::LinkReceivable T>
    Result<Received<T>> receive() {
        return receive_with<T>(Deadline::never());
    }
    template <detail::LinkReceivable T>
    Result<Received<T>> try_receive() {
        return receive_with<T>(Deadline::immediately());
    }
    template <detail::LinkReceivable T>
    Result<Received<T>> receive_for(std::chrono::nanoseconds wait) {
        return receive_with<T>(Deadline::after(wait));
    }
    template <detail::LinkReceivable T>
    Result<Received<T>> receive_until(Clock::time_point when) {
        return receive_with<T>(Deadline::at(when));
    }
    template <detail::LinkReceivable T>
    Result<Received<T>> receive_with(Deadline deadline) {
        if constexpr (detail::kShortWay<T> && detail::kCopiedOut<T>) {
            LinkWire<T> wire;
            if (next_in_lane(wire, deadline)) return Received<T>::make(link_, wire);
        } else if constexpr (detail::kStaysInLane<T>) {
            if (link_->box() != nullptr && !link_->has_aside()) [[likely]] {
                LinkHeader header;
                Result<RawMessage> raw = link_->box()->receive_with(deadline);
                if (raw && link_->is_plain(*raw, detail::wanted<T>(), header)) [[likely]] {
                    return Received<T>::make(link_, header, std::move(*raw));
                }
                Result<LinkIncoming> other =
                    link_->receive(detail::wanted<T>(), deadline, std::move(raw));
                if (!other) return std::unexpected(other.error());
                return Received<T>::make(link_, std::move(*other));
            }
        }
        Result<LinkIncoming> incoming = link_->receive(detail::wanted<T>(), deadline);
        if (!incoming) return std::unexpected(incoming.error());
        return Received<T>::make(link_, std::move(*incoming));
    }
    // Copies the value out; for who needs neither the sender nor a reply.
    template <typename T>
        requires Sendable<T>
    Result<void> receive_into(T& value, Deadline deadline = Deadline::never()) {
        if constexpr (detail::kShortWay<T>) {
            LinkWire<T> wire;
            if (next_in_lane(wire, deadline)) [[likely]] {
                if (wire.header.kind == LinkKind::message && wire.header.fd_count == 0) [[likely]] {
                    std::memcpy(static_cast<void*>(&value), &wire.value, sizeof value);
                    return {};
                }
                link_->set_aside(wire);
            }
        }
        Result<Received<T>> received = receive_with<T>(deadline);
        if (!received) return std::unexpected(received.error());
        value = received->value();
        return {};
    }

    // Sends, and waits for the reply to this very message. Other messages wait meanwhile, in their
    // order: also a call of the peer, so two whose calls cross wait until their deadlines.
    // Give a deadline, or await the calls (async_call). Errors: as send and receive; timed_out: the
    // step names who has not replied; peer_died: also of one that died before it replied;
    // unanswered: it let go of the message; wrong_type: the reply is of another type
    template <detail::LinkReceivable R, typename T>
    Result<Received<R>> call(const T& request, const TalkOptions& talk = {}) {
        return call_with<R>(request, Deadline::never(), talk);
    }
    template <detail::LinkReceivable R, typename T>
    Result<Received<R>> call_for(const T& request, std::chrono::nanoseconds wait,
                                 const TalkOptions& talk = {}) {
        return call_with<R>(request, Deadline::after(wait), talk);
    }
    template <detail::LinkReceivable R, typename T>
    Result<Received<R>> call_until(const T& request, Clock::time_point when,
                                   const TalkOptions& talk = {}) {
        return call_with<R>(request, Deadline::at(when), talk);
    }
    template <detail::LinkReceivable R, typename T>
    Result<Received<R>> call_with(const T& request, Deadline deadline,
                                  const TalkOptions& talk = {});

    // A number beside the messages; never blocks. Errors: full: 1024 wait there; peer_died, closed
    Result<void> pulse(std::uint64_t value) { return link_->pulse(value); }
    // For a WaitSet: the death of the peer; whether there is a message from it.
    [[nodiscard]] Waitable died() const { return Death{link_->peer().identity}; }
    [[nodiscard]] Waitable readable() const { return link_->readable(); }
    // The same: whether the largest message could be sent. Errors of add(): not_supported (capacity
    // zero: there is no room)
    [[nodiscard]] Waitable writable() const { return link_->writable(); }
    // A call that is to be awaited, beside others: async_call makes it, and a WaitSet waits for it.
    template <detail::LinkReceivable R, typename T>
    [[nodiscard]] auto pending_call(T&& request) const {
        return PendingCall<R, detail::KeptRequest<T>>{
            link_, detail::keep_request(std::forward<T>(request))};
    }

    // Lends memory for one message. Errors: as send; too_many_loans
    [[nodiscard]] Result<LinkLoan> loan(std::uint64_t bytes,
                                        Deadline deadline = Deadline::never()) {
        return lend(bytes, 0, deadline);
    }
    template <typename T>
        requires(Sendable<T> && alignof(T) <= 16)
    [[nodiscard]] Result<LinkValueLoan<T>> loan(Deadline deadline = Deadline::never()) {
        Result<LinkLoan> loan = lend(sizeof(T), detail::link_type<T>(), deadline);
        if (!loan) return std::unexpected(loan.error());
        return LinkValueLoan<T>{std::move(*loan)};
    }

private:
    // The next message, copied out, if it came the short way and is what is asked for.
    template <typename T>
    [[nodiscard]] bool next_in_lane(LinkWire<T>& wire, Deadline deadline) {
        if (!link_->receive_now(wire)) {
            if (deadline.is_immediate() || link_->has_aside() || !link_->wait(deadline) ||
                !link_->receive_now(wire)) {
                return false;
            }
        }
        const LinkKind kind = wire.header.kind;
        const bool fits = wire.header.type == detail::link_type<T>() &&
                          (kind == LinkKind::message || kind == LinkKind::call);
        if (fits) [[likely]]
            return true;
        link_->set_aside(wire);  // of another type: it is the first
        return false;
    }
    [[nodiscard]] Result<LinkLoan> lend(std::uint64_t bytes, std::uint64_t type,
                                        Deadline deadline) {
        Result<RawLoan> raw = link_->lend(bytes, deadline);
        if (!raw) return std::unexpected(raw.error());
        return LinkLoan{link_, std::move(*raw), type};
    }

    LinkRef link_;
};

template <detail::LinkReceivable R, typename T>
Result<Received<R>> Link::call_with(const T& request, Deadline deadline, const TalkOptions& talk) {
    const std::uint64_t call = link_->next_call();
    Result<void> sent;
    if constexpr (detail::LinkTyped<T>) {
        sent = detail::send_value(*link_, LinkKind::call, call, request, deadline, talk.fds);
    } else {
        sent = detail::send_bytes(*link_, LinkKind::call, call, Payload{request}.bytes(), deadline,
                                  talk.fds);
    }
    if (!sent) return std::unexpected(sent.error());
    if constexpr (detail::kShortWay<R> && detail::kCopiedOut<R>) {
        LinkWire<R> wire;
        if (!link_->has_aside() &&
            (link_->receive_now(wire) || (link_->wait(deadline) && link_->receive_now(wire)))) {
            const LinkHeader& header = wire.header;
            if (header.kind == LinkKind::reply && header.call == call &&
                header.type == detail::link_type<R>()) [[likely]] {
                return Received<R>::make(link_, wire);
            }
            if (header.call == call && header.kind == LinkKind::reply) {
                return fail(Errc::wrong_type, "call (the reply is of another type)");
            }
            link_->set_aside(wire);
        }
    }
    LinkWanted wanted = detail::wanted<R>();
    wanted.reply = call;
    Result<LinkIncoming> reply = link_->receive(wanted, deadline);
    if (!reply && reply.error().code == Errc::timed_out) {
        return std::unexpected(link_->late_call());
    }
    if (!reply) return std::unexpected(reply.error());
    return Received<R>::make(link_, std::move(*reply));
}

class Process {
public:
    using Clock = Deadline::Clock;

    // Takes the name in the domain, from nobody or from a dead process. Errors: in_use (the step
    // says which process has it), bad_name (1 to 63 characters), too_big (attributes),
    // unsafe_folder, denied, out_of_space, limit_reached
    [[nodiscard]] static Result<Process> join(std::string_view name,
                                              const JoinOptions& options = {}) {
        Result<std::unique_ptr<ProcessCore>> core = ProcessCore::join(name, options);
        if (!core) return std::unexpected(core.error());
        return Process{std::move(*core)};
    }
    // Gives the name back and ends all links: the others receive what this one sent, and then
    // learn end_of_stream. The destructor does it, too.
    void leave() noexcept { core_->leave(); }

    [[nodiscard]] const std::string& name() const noexcept { return core_->name(); }
    // What others can read of this process: keys and values of text, 2024 bytes in all. Errors:
    // too_big, bad_argument, forked
    Result<void> set_attribute(std::string_view key, std::string_view value) {
        return core_->set_attribute(key, value);
    }
    Result<void> remove_attribute(std::string_view key) { return core_->remove_attribute(key); }

    // The link to that process, made if there is none yet. Errors: not_found (nobody has the
    // name), peer_died (who had it died), timed_out, bad_name, bad_argument (to itself),
    // no_free_place, limit_reached, out_of_space, forked, gone
    [[nodiscard]] Result<Link> link(std::string_view name, const LinkOptions& options = {},
                                    const TalkOptions& talk = {},
                                    Deadline deadline = Deadline::never()) {
        Result<LinkCore*> link = core_->link_to(name, talk, deadline, &options);
        if (!link) return std::unexpected(link.error());
        return Link{LinkRef{*link}};
    }

    // To the process that has the name. Of one that died every send, call and pulse says peer_died
    // until a receive has told its end, then not_found; of one that left, not_found. As soon as
    // another one has the name they reach that one, and with wait_for_join they wait for it.
    // Errors: as link() and Link::send
    template <typename T>
    Result<void> send(std::string_view name, const T& value, const TalkOptions& talk = {}) {
        return send_with(name, value, Deadline::never(), talk);
    }
    template <typename T>
    Result<void> try_send(std::string_view name, const T& value, const TalkOptions& talk = {}) {
        return send_with(name, value, Deadline::immediately(), talk);
    }
    template <typename T>
    Result<void> send_for(std::string_view name, const T& value, std::chrono::nanoseconds wait,
                          const TalkOptions& talk = {}) {
        return send_with(name, value, Deadline::after(wait), talk);
    }
    template <typename T>
    Result<void> send_until(std::string_view name, const T& value, Clock::time_point when,
                            const TalkOptions& talk = {}) {
        return send_with(name, value, Deadline::at(when), talk);
    }
    template <typename T>
    Result<void> send_with(std::string_view name, const T& value, Deadline deadline,
                           const TalkOptions& talk = {}) {
        Result<Link> link = to(name, talk, deadline);
        if (!link) return std::unexpected(link.error());
        return link->send_with(value, deadline, talk);
    }

    // From that process (symmetric naming). One that died is received from until all is drained,
    // then told once as peer_died (with wait_for_join not if a call has told it); after that the
    // name is whoever's took it. Errors: as link() and Link::receive
    template <detail::LinkReceivable T>
    Result<Received<T>> receive(std::string_view name, const TalkOptions& talk = {}) {
        return receive_with<T>(name, Deadline::never(), talk);
    }
    template <detail::LinkReceivable T>
    Result<Received<T>> try_receive(std::string_view name, const TalkOptions& talk = {}) {
        return receive_with<T>(name, Deadline::immediately(), talk);
    }
    template <detail::LinkReceivable T>
    Result<Received<T>> receive_for(std::string_view name, std::chrono::nanoseconds wait,
                                    const TalkOptions& talk = {}) {
        return receive_with<T>(name, Deadline::after(wait), talk);
    }
    template <detail::LinkReceivable T>
    Result<Received<T>> receive_until(std::string_view name, Clock::time_point when,
                                      const TalkOptions& talk = {}) {
        return receive_with<T>(name, Deadline::at(when), talk);
    }
    template <detail::LinkReceivable T>
    Result<Received<T>> receive_with(std::string_view name, Deadline deadline,
                                     const TalkOptions& talk = {}) {
        Result<LinkCore*> from = core_->link_from(name, talk, deadline);
        if (!from) return std::unexpected(from.error());
        const LinkRef link{*from};
        Result<Received<T>> received = Link{link}.receive_with<T>(deadline);
        if (!received && link->is_over()) core_->forget(link.get());
        return received;
    }

    // From anyone (asymmetric naming): says who sent it. Errors: wrong_type (the first message of
    // that sender is of another type), corrupt, forked, gone, too_many_loans; try_: empty; _for,
    // _until: timed_out
    template <detail::LinkReceivable T>
    Result<Received<T>> receive() {
        return receive_with<T>(Deadline::never());
    }
    template <detail::LinkReceivable T>
    Result<Received<T>> try_receive() {
        return receive_with<T>(Deadline::immediately());
    }
    template <detail::LinkReceivable T>
    Result<Received<T>> receive_for(std::chrono::nanoseconds wait) {
        return receive_with<T>(Deadline::after(wait));
    }
    template <detail::LinkReceivable T>
    Result<Received<T>> receive_until(Clock::time_point when) {
        return receive_with<T>(Deadline::at(when));
    }
    template <detail::LinkReceivable T>
    Result<Received<T>> receive_with(Deadline deadline) {
        for (;;) {
            Result<LinkRef> from = core_->next_ready(deadline);
            if (!from) {
                core_->looked();
                return std::unexpected(from.error());
            }
            Result<Received<T>> received = Link{*from}.template try_receive<T>();
            if (received) return received;
            if ((*from)->is_over()) {
                core_->forget(from->get());  // it died or left; died() tells who wants to know
            } else if (received.error().code != Errc::empty) {
                return received;
            }
        }
    }

    // A number for that process, beside its messages; never blocks. Errors: as link(); full: 1024
    // wait there; peer_died, closed
    Result<void> pulse(std::string_view name, std::uint64_t value) {
        Result<Link> link = to(name, {}, Deadline::immediately());
        return link ? link->pulse(value) : std::unexpected(link.error());
    }
    struct Pulse {
        std::string from;
        std::uint64_t value = 0;
    };
    // For a WaitSet: whether try_receive_pulse() finds one.
    [[nodiscard]] Waitable pulse_readable() { return core_->pulse_readable(); }
    Result<Pulse> receive_pulse() { return receive_pulse_with(Deadline::never()); }
    Result<Pulse> try_receive_pulse() { return receive_pulse_with(Deadline::immediately()); }
    Result<Pulse> receive_pulse_for(std::chrono::nanoseconds wait) {
        return receive_pulse_with(Deadline::after(wait));
    }
    Result<Pulse> receive_pulse_until(Clock::time_point when) {
        return receive_pulse_with(Deadline::at(when));
    }
    Result<Pulse> receive_pulse_with(Deadline deadline) {
        const Result<LinkPulse> pulse = core_->receive_pulse(deadline);
        if (!pulse) return std::unexpected(pulse.error());
        return Pulse{.from = pulse->name, .value = pulse->value};
    }

    // Who has that name, and who has joined at all: stoa/link/admin.hpp.
    [[nodiscard]] static Result<ProcessInfo> find(std::string_view name,
                                                  std::string_view domain = {}) {
        return find_process(name, domain);
    }
    [[nodiscard]] static Result<std::vector<ProcessInfo>> list(std::string_view domain = {}) {
        return list_processes(domain);
    }
    // For a WaitSet: ready when a receive from anyone is worth a try.
    [[nodiscard]] Waitable readable() { return core_->readable(); }
    // A receive from, or a send of the largest message to, the process that has that name. Errors
    // of add(): as link(); not_supported: see Link::writable
    [[nodiscard]] Waitable readable(std::string_view name) { return core_->readable(name); }
    [[nodiscard]] Waitable writable(std::string_view name) {
        const Result<Link> link = to(name, {}, Deadline::immediately());
        return link ? link->writable() : Waitable{link.error()};
    }
    // The same as a descriptor for other loops: readable when try_receive() is worth a call; call
    // it until it says empty. It belongs to this process handle, and takes the place of its
    // readable() in a set: a process has one or the other. Errors: limit_reached, forked, in_use
    [[nodiscard]] Result<int> ready_fd() { return core_->ready_fd(); }
    // The death of the process that has the name now, for a WaitSet.
    [[nodiscard]] Waitable died(std::string_view name) {
        Result<ProcessInfo> info = find_process(name, core_->domain().path());
        return info ? info->died() : Waitable{info.error()};
    }

    // Sends a signal with a value to the process that has the name now: nobody who got its pid
    // later. It arrives as data in a WaitSet that holds Signal{number}. Errors: as find, and as
    // sys::send_signal: peer_died, denied, full, bad_argument, not_supported
    Result<void> signal(std::string_view name, int number, std::uint64_t value = 0) const {
        const Result<ProcessInfo> info = find_process(name, core_->domain().path());
        if (!info) return std::unexpected(info.error());
        return sys::send_signal(info->identity, number, value);
    }

    // Sends, and waits for the reply to this very message. Errors: as Link::call
    template <detail::LinkReceivable R, typename T>
    Result<Received<R>> call(std::string_view name, const T& request,
                             const TalkOptions& talk = {}) {
        return call_with<R>(name, request, Deadline::never(), talk);
    }
    template <detail::LinkReceivable R, typename T>
    Result<Received<R>> call_for(std::string_view name, const T& request,
                                 std::chrono::nanoseconds wait, const TalkOptions& talk = {}) {
        return call_with<R>(name, request, Deadline::after(wait), talk);
    }
    template <detail::LinkReceivable R, typename T>
    Result<Received<R>> call_until(std::string_view name, const T& request, Clock::time_point when,
                                   const TalkOptions& talk = {}) {
        return call_with<R>(name, request, Deadline::at(when), talk);
    }
    template <detail::LinkReceivable R, typename T>
    Result<Received<R>> call_with(std::string_view name, const T& request, Deadline deadline,
                                  const TalkOptions& talk = {}) {
        Result<Link> link = to(name, talk, deadline);
        if (!link) return std::unexpected(link.error());
        return link->template call_with<R>(request, deadline, talk);
    }

    // As Link::pending_call; the name is looked for when it is sent.
    template <detail::LinkReceivable R, typename T>
    [[nodiscard]] auto pending_call(std::string_view name, T&& request) {
        return PendingCall<R, detail::KeptRequest<T>>{
            *core_, name, detail::keep_request(std::forward<T>(request))};
    }

    [[nodiscard]] ProcessCore& core() noexcept { return *core_; }

private:
    explicit Process(std::unique_ptr<ProcessCore> core) noexcept : core_{std::move(core)} {}
    [[nodiscard]] Result<Link> to(std::string_view name, const TalkOptions& talk,
                                  Deadline deadline) {
        if (LinkCore* const known = core_->known(name)) [[likely]]
            return Link{LinkRef{known}};
        Result<LinkCore*> link = core_->link_to(name, talk, deadline);
        if (!link) return std::unexpected(link.error());
        return Link{LinkRef{*link}};
    }

    std::unique_ptr<ProcessCore> core_;
};

}  // namespace stoa
