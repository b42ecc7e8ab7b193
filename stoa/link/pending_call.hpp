// A call on its way: one of many, answered in whatever order the other process likes.
//
// Start here: async_call<Reply>(me, "driver", request) makes it; Process::pending_call.
// Threads:    those of its process handle: one at a time.
// Processes:  the reply is found in the link by whoever receives there, and kept for this call.
// Death:      of the one that is asked: peer_died.
// Blocking:   never: readable() says when try_receive() is worth a call.
// Lifetime:   dropped, its reply goes nowhere; it keeps the request until that is sent.
// Units:      values of T: trivially copyable, encoded, or bytes.
// Source:     futures, as of Liskov and Shrira (1988): promises.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "stoa/link/process_core.hpp"
#include "stoa/link/received.hpp"

namespace stoa {

namespace detail {

// What a call keeps of its request: the value, or a copy of its bytes.
template <typename T>
using KeptRequest =
    std::conditional_t<LinkTyped<std::remove_cvref_t<T>>, std::remove_cvref_t<T>, std::string>;

template <typename T>
[[nodiscard]] KeptRequest<T> keep_request(T&& request) {
    if constexpr (LinkTyped<std::remove_cvref_t<T>>) {
        return std::forward<T>(request);
    } else {
        const Bytes bytes = Payload{request}.bytes();
        return std::string{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
}

}  // namespace detail

template <detail::LinkReceivable R, typename T>
class PendingCall {
public:
    PendingCall(LinkRef link, T request) : link_{std::move(link)}, request_{std::move(request)} {}
    PendingCall(ProcessCore& process, std::string_view name, T request)
        : process_{&process}, name_{name}, request_{std::move(request)} {}
    PendingCall(PendingCall&& other) noexcept
        : process_{other.process_},
          name_{std::move(other.name_)},
          link_{std::move(other.link_)},
          request_{std::move(other.request_)},
          call_{std::exchange(other.call_, 0)},
          state_{std::exchange(other.state_, State::ended)} {}
    PendingCall& operator=(PendingCall&&) = delete;
    ~PendingCall() { end(); }

    // Sends the request if there is room for it, and takes the reply if it is there. Errors: full,
    // empty: not yet; not_owner: it has ended; as Link::call and Process::link
    Result<Received<R>> try_receive() {
        Result<LinkIncoming> reply = try_once();
        if (!reply) {
            const Errc code = reply.error().code;
            if (code != Errc::empty && code != Errc::full) end();
            return std::unexpected(reply.error());
        }
        end();
        return Received<R>::make(link_, std::move(*reply));
    }
    // For a WaitSet, after a try that said full or empty.
    [[nodiscard]] Waitable readable() const {
        if (call_ == 0) return Error{.code = Errc::not_owner, .step = "call"};
        return link_->progress_of(call_, bytes());
    }

private:
    enum class State : std::uint8_t { unsent, sent, ended };

    Result<LinkIncoming> try_once() {
        if (state_ == State::ended) return fail(Errc::not_owner, "call (it has ended)");
        if (!link_) {
            Result<LinkCore*> link = process_->link_to(name_, {}, Deadline::immediately());
            if (!link) return std::unexpected(link.error());
            link_ = LinkRef{*link};
        }
        if (call_ == 0) call_ = link_->open_call();
        Result<void> sent;
        if (state_ == State::unsent) sent = send();
        if (sent && state_ == State::unsent) {
            state_ = State::sent;
            link_->call_is_sent(call_);
        }
        if (!sent && sent.error().code != Errc::full) {
            return std::unexpected(sent.error());
        }
        // Also unsent: who is to make room may itself wait for room, for its replies to others.
        Result<LinkIncoming> reply = link_->reply_to(call_, detail::wanted<R>());
        if (!sent && !reply && reply.error().code == Errc::empty) {
            return std::unexpected(sent.error());
        }
        return reply;
    }
    Result<void> send() {
        const Deadline now = Deadline::immediately();
        if constexpr (std::is_same_v<T, std::string>) {
            return detail::send_bytes(*link_, LinkKind::call, call_, Payload{request_}.bytes(),
                                      now);
        } else {
            return detail::send_value(*link_, LinkKind::call, call_, request_, now);
        }
    }
    [[nodiscard]] std::uint64_t bytes() const {
        if constexpr (std::is_same_v<T, std::string>) {
            return request_.size();
        } else if constexpr (Sendable<T>) {
            return sizeof(T);
        } else {
            return encoded_size(request_);
        }
    }
    void end() noexcept {
        if (call_ != 0) link_->close_call(std::exchange(call_, 0));
        state_ = State::ended;
    }

    ProcessCore* process_ = nullptr;  // until there is a link
    std::string name_;
    LinkRef link_;
    T request_;
    std::uint64_t call_ = 0;  // 0: not open
    State state_ = State::unsent;
};

}  // namespace stoa
