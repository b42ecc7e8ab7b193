// What a receive of a link returns: the value, who sent it, and how to answer.
//
// Start here: value(), from(), reply(); `auto [from, value] = me.receive<T>().value();`.
// Threads:    those of its process handle: one at a time.
// Processes:  the payload lies in the memory of the link, or is a copy of it.
// Death:      of the sender: what was received stays valid.
// Blocking:   reply() as a send.
// Lifetime:   may outlive the handle of the process, and keeps the memory mapped.
// Units:      values of T: trivially copyable, encoded, or bytes.
// Source:     replies as in QNX: to this very message, once.
#pragma once

#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "stoa/base/fingerprint.hpp"
#include "stoa/channel/codec.hpp"
#include "stoa/link/link_core.hpp"

namespace stoa {

namespace detail {

template <typename T>
inline constexpr bool kIsLinkBytes = std::is_same_v<T, Bytes> || std::is_same_v<T, std::string>;

// What may be received: bytes (Bytes, std::string), a Sendable type, an Encodable one.
template <typename T>
concept LinkReceivable =
    kIsLinkBytes<T> || (Sendable<T> && !std::is_array_v<T> && alignof(T) <= 16) || Encodable<T>;
// What may be sent as itself; the rest goes as bytes, if it becomes a Payload.
template <typename T>
concept LinkTyped = !Text<T> && !std::is_array_v<T> && !std::is_same_v<T, Bytes> &&
                    !std::is_same_v<T, Payload> && LinkReceivable<T>;

// Small ones are copied; a larger one stays where it lies until it is released.
template <typename T>
inline constexpr bool kCopiedOut = Sendable<T> && sizeof(T) <= 256;
template <typename T>
inline constexpr bool kStaysInLane = std::is_same_v<T, Bytes> || (Sendable<T> && !kCopiedOut<T>);
// Of those the short ways of a lane are open to.
template <typename T>
inline constexpr bool kShortWay = Sendable<T> && sizeof(T) <= 1024 && alignof(T) <= 16;

template <typename T>
[[nodiscard]] std::uint64_t link_type() {
    if constexpr (kIsLinkBytes<T>) {
        return 0;
    } else {
        static const std::uint64_t type = type_info_of<T>().fingerprint;
        return type;
    }
}
template <typename T>
[[nodiscard]] LinkWanted wanted() {
    return {.type = link_type<T>(), .anything = std::is_same_v<T, Bytes>};
}

// Sends a value as itself.
template <typename T>
Result<void> send_value(LinkCore& link, LinkKind kind, std::uint64_t call, const T& value,
                        Deadline deadline, std::span<const int> fds = {}) {
    const std::uint64_t type = link_type<T>();
    if constexpr (kShortWay<T>) {
        if (fds.empty() && link.send_now(type, kind, call, value)) [[likely]]
            return {};
    }
    const LinkHeader header{.type = type, .call = call, .batch = 0, .fd_count = 0, .kind = kind};
    if constexpr (Sendable<T>) {
        return link.send(header, std::as_bytes(std::span{&value, 1}), deadline, fds);
    } else {
        const std::size_t bytes = encoded_size(value);
        if (bytes >= kNoSize) return fail(Errc::bad_argument, "send (it has no encoding)");
        std::vector<std::byte> copy(bytes);
        encode(value, copy);
        return link.send(header, Bytes{copy}, deadline, fds);
    }
}
inline Result<void> send_bytes(LinkCore& link, LinkKind kind, std::uint64_t call, Bytes bytes,
                               Deadline deadline, std::span<const int> fds = {}) {
    return link.send({.type = 0, .call = call, .batch = 0, .fd_count = 0, .kind = kind}, bytes,
                     deadline, fds);
}

}  // namespace detail

// The right to answer one call, once. Let go of without an answer, the caller learns `unanswered`.
class Reply {
public:
    Reply() noexcept = default;
    Reply(LinkRef link, std::uint64_t call) noexcept : link_{std::move(link)}, call_{call} {}
    Reply(Reply&& other) noexcept
        : link_{std::move(other.link_)}, call_{std::exchange(other.call_, 0)} {}
    Reply& operator=(Reply&& other) noexcept {
        std::swap(link_, other.link_);
        std::swap(call_, other.call_);
        return *this;
    }
    ~Reply() {
        if (call_ != 0) refuse();
    }

    // False: it was no call, or it is answered.
    [[nodiscard]] bool is_open() const noexcept { return call_ != 0; }
    // Errors: as a send to the caller; not_owner: it was no call, or it is answered
    template <typename T>
        requires detail::LinkTyped<T>
    Result<void> send(const T& value, Deadline deadline = Deadline::never()) {
        if (call_ == 0) return fail(Errc::not_owner, "reply");
        return done(detail::send_value(*link_, LinkKind::reply, call_, value, deadline));
    }
    Result<void> send(Payload bytes, Deadline deadline = Deadline::never()) {
        if (call_ == 0) return fail(Errc::not_owner, "reply");
        return done(detail::send_bytes(*link_, LinkKind::reply, call_, bytes.bytes(), deadline));
    }

private:
    Result<void> done(Result<void> sent) noexcept {
        if (sent) call_ = 0;
        return sent;
    }
    void refuse() noexcept {
        [[maybe_unused]] const Result<void> told = detail::send_bytes(
            *link_, LinkKind::refusal, std::exchange(call_, 0), {}, Deadline::immediately());
    }

    LinkRef link_;
    std::uint64_t call_ = 0;
};

template <typename T>
class Received {
    static constexpr bool kInPlace = Sendable<T> && !detail::kCopiedOut<T>;
    static constexpr bool kStays = kInPlace || std::is_same_v<T, Bytes>;  // in the lane

public:
    Received(Received&&) noexcept = default;
    Received& operator=(Received&&) noexcept = default;

    // The name under which its sender joined.
    [[nodiscard]] const std::string& from() const noexcept { return link_->peer().name; }
    [[nodiscard]] const T& value() const noexcept {
        if constexpr (kInPlace) {
            return *reinterpret_cast<const T*>(incoming_.payload().data());
        } else {
            return value_;
        }
    }
    [[nodiscard]] const T& operator*() const noexcept { return value(); }
    [[nodiscard]] const T* operator->() const noexcept { return &value(); }
    // Of bytes.
    [[nodiscard]] std::string_view text() const noexcept
        requires detail::kIsLinkBytes<T>
    {
        return {reinterpret_cast<const char*>(value().data()), value().size()};
    }
    // Descriptors that came with it; move them out to keep them.
    [[nodiscard]] std::vector<sys::Fd>& fds() noexcept { return fds_; }
    // Errors: not_supported: no socket leads there
    [[nodiscard]] Result<sys::Credentials> credentials() const { return link_->credentials(); }

    // Whether its sender waits for a reply.
    [[nodiscard]] bool is_call() const noexcept { return reply_.is_open(); }
    template <typename R>
    Result<void> reply(const R& value, Deadline deadline = Deadline::never()) {
        return reply_.send(value, deadline);
    }
    // To answer later, when this message is gone.
    [[nodiscard]] Reply take_reply() noexcept { return std::move(reply_); }

    template <std::size_t kIndex>
    [[nodiscard]] decltype(auto) get() const noexcept {
        if constexpr (kIndex == 0) {
            return from();
        } else {
            return value();
        }
    }

    // For the library. Errors: corrupt, wrong_size
    [[nodiscard]] static Result<Received> make(LinkRef link, LinkIncoming incoming) {
        Received made{std::move(link), incoming.header};
        if (incoming.header.fd_count > 0) {
            if (Result<void> taken = made.take_fds(incoming.header); !taken) {
                return std::unexpected(taken.error());
            }
        }
        const Bytes payload = incoming.payload();
        if constexpr (std::is_same_v<T, Bytes>) {
            made.value_ = payload;
            made.incoming_ = std::move(incoming);
        } else if constexpr (std::is_same_v<T, std::string>) {
            made.value_.assign(reinterpret_cast<const char*>(payload.data()), payload.size());
        } else if constexpr (Sendable<T>) {
            if (payload.size() != sizeof(T)) return fail(Errc::wrong_size, "receive");
            if constexpr (kInPlace) {
                made.incoming_ = std::move(incoming);
            } else {
                std::memcpy(static_cast<void*>(&made.value_), payload.data(), sizeof(T));
            }
        } else {
            if (Result<void> good = decode_into(payload, made.value_); !good) {
                return std::unexpected(good.error());
            }
        }
        return made;
    }
    // Of a value that a short way copied out, or of a message that lies in the lane: made where it
    // stays.
    [[nodiscard]] static Result<Received> make(const LinkRef& link, const LinkWire<T>& wire)
        requires(Sendable<T>)
    {
        Result<Received> made{std::in_place, ForLibrary{}, link, wire.header};
        if (wire.header.fd_count > 0) [[unlikely]] {
            if (Result<void> taken = made->take_fds(wire.header); !taken) {
                return std::unexpected(taken.error());
            }
        }
        std::memcpy(static_cast<void*>(&made->value_), &wire.value, sizeof(T));
        return made;
    }
    [[nodiscard]] static Result<Received> make(const LinkRef& link, const LinkHeader& header,
                                               RawMessage&& raw)
        requires kStays
    {
        Result<Received> made{std::in_place, ForLibrary{}, link, header};
        made->incoming_.raw.emplace(std::move(raw));
        const Bytes payload = made->incoming_.payload();
        if constexpr (std::is_same_v<T, Bytes>) {
            made->value_ = payload;
        } else {
            if (payload.size() != sizeof(T)) return fail(Errc::wrong_size, "receive");
        }
        return made;
    }
    struct ForLibrary {};
    Received(ForLibrary, const LinkRef& link, const LinkHeader& header) noexcept
        : Received{link, header} {}

private:
    struct None {};

    Received(LinkRef link, const LinkHeader& header) noexcept
        : link_{std::move(link)},
          reply_{header.kind == LinkKind::call ? Reply{link_, header.call} : Reply{}} {}
    Result<void> take_fds(const LinkHeader& header) {
        Result<std::vector<sys::Fd>> fds = link_->take_fds(header);
        if (!fds) return std::unexpected(fds.error());
        fds_ = std::move(*fds);
        return {};
    }

    LinkRef link_;
    Reply reply_;
    std::vector<sys::Fd> fds_;
    [[no_unique_address]] std::conditional_t<kStays, LinkIncoming, None> incoming_{};
    [[no_unique_address]] std::conditional_t<kInPlace, None, T> value_{};
};

}  // namespace stoa

// `auto [from, value] = me.receive<T>().value();`
template <typename T>
struct std::tuple_size<stoa::Received<T>> : std::integral_constant<std::size_t, 2> {};
template <std::size_t kIndex, typename T>
struct std::tuple_element<kIndex, stoa::Received<T>> {
    using type = std::conditional_t<kIndex == 0, const std::string, const T>;
};
