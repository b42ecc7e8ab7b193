// Mailbox of values that are encoded: strings, containers, aggregates of them, what has a Codec.
//
// Start here: Mailbox<T> as in stoa/mailbox/mailbox.hpp, which includes this; T as in codec.hpp.
// Threads:    as stoa/mailbox/mailbox.hpp.
// Processes:  any number; the text of T's encoding is checked when the mailbox is opened.
// Death:      as stoa/mailbox/raw_mailbox.hpp.
// Blocking:   send and receive until done; try_ never; _for and _until until then (steady clock).
// Lifetime:   a received value is the receiver's own; its Message keeps the lease and the memory.
// Units:      encoded bytes, at most max_bytes of the mailbox.
// Source:     stoa/channel/codec.hpp.
//
// A message that cannot be decoded (a program wrote bytes into the mailbox, or a Codec kept its
// name and changed its bytes) is an error of the receive that met it, and stays with the handle
// until its next receive: undecoded() shows it, to log it, keep it, ack() or nack() it. Left alone
// it goes the way of every message that is not acknowledged: in plain mode it is gone, in
// acknowledged mode it is delivered again, to anyone, and counts as one more delivery.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "stoa/channel/codec.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"

namespace stoa {

// What a Mailbox of T carries. Not for T: the static_assert that fires says why.
template <typename T>
class Mailbox {
    static constexpr detail::Refusal kRefusal = detail::refusal<T>();
    using Why = detail::Refusal;
    static_assert(kRefusal != Why::address, "pointers and iterators mean nothing elsewhere");
    static_assert(kRefusal != Why::view, "a view or span owns nothing: use a string or vector");
    static_assert(kRefusal != Why::constant, "a const value cannot be received into");
    static_assert(kRefusal != Why::not_made, "a received type has T{}, moves, no references");
    static_assert(kRefusal != Why::base, "an aggregate with a base class needs stoa::Codec<T>");
    static_assert(kRefusal != Why::fields, "more than 32 fields: nest some, or write a Codec<T>");
    static_assert(kRefusal != Why::enumeration, "an enum needs its type: enum Side : int");
    static_assert(kRefusal != Why::nothing, "a container of values that take no bytes");
    static_assert(kRefusal != Why::codec, "stoa::Codec<T> lacks name, size, encode or decode");
    static_assert(kRefusal != Why::unknown, "no encoding is known: write stoa::Codec<T>");
    static_assert(kRefusal != Why::none, "arrays travel inside a std::array or a struct");
};

template <typename T>
class Message;

// A received value, decoded.
template <Encodable T>
class Message<T> {
public:
    Message(RawMessage raw, T value) : raw_{std::move(raw)}, value_{std::move(value)} {}

    // Stays valid after ack() and release().
    [[nodiscard]] const T& value() const& noexcept { return value_; }
    [[nodiscard]] T&& value() && noexcept { return std::move(value_); }
    [[nodiscard]] const T& operator*() const noexcept { return value_; }
    [[nodiscard]] const T* operator->() const noexcept { return &value_; }

    [[nodiscard]] bool redelivered() const noexcept { return raw_.redelivered(); }
    [[nodiscard]] std::uint32_t earlier_deliveries() const noexcept {
        return raw_.earlier_deliveries();
    }
    [[nodiscard]] std::uint64_t missed() const noexcept { return raw_.missed(); }
    Result<void> ack() noexcept { return raw_.ack(); }
    Result<void> nack(std::string_view error = {}) noexcept { return raw_.nack(error); }
    [[nodiscard]] MessageHistory history() const { return raw_.history(); }
    void release() noexcept { raw_.release(); }

private:
    RawMessage raw_;
    T value_;
};

template <Encodable T>
class Mailbox<T> {
public:
    using Clock = Deadline::Clock;

    // Errors: as RawMailbox.
    [[nodiscard]] static Result<Mailbox> create(std::string_view name,
                                                const MailboxOptions& options = {}) {
        return wrap(RawMailbox::create(name, options, type_info_of<T>()));
    }
    // Errors: as RawMailbox; wrong_type: it holds another type.
    [[nodiscard]] static Result<Mailbox> open(std::string_view name,
                                              const OpenOptions& options = {}) {
        const TypeInfo type = type_info_of<T>();
        return wrap(RawMailbox::open(name, options, &type));
    }
    [[nodiscard]] static Result<Mailbox> open_or_create(std::string_view name,
                                                        const MailboxOptions& options = {}) {
        const TypeInfo type = type_info_of<T>();
        return wrap(RawMailbox::open_or_create(name, options, &type));
    }
    [[nodiscard]] static Result<Mailbox> create_anonymous(const MailboxOptions& options = {}) {
        return wrap(RawMailbox::create_anonymous(options, type_info_of<T>()));
    }
    [[nodiscard]] static Result<Mailbox> attach(sys::Fd file, const OpenOptions& options = {}) {
        const TypeInfo type = type_info_of<T>();
        return wrap(RawMailbox::attach(std::move(file), options, &type));
    }
    static Result<void> destroy(std::string_view name, std::string_view domain = {}) {
        return RawMailbox::destroy(name, domain);
    }
    [[nodiscard]] Result<Mailbox> clone() const { return wrap(raw_.clone()); }
    [[nodiscard]] RawMailbox& raw() noexcept { return raw_; }

    // Errors: as RawMailbox; too_big: it is longer than max_bytes; bad_argument: it has no encoding
    Result<void> send(const T& value, const SendOptions& options = {}) {
        return send_with(value, Deadline::never(), options);
    }
    Result<void> try_send(const T& value, const SendOptions& options = {}) {
        return send_with(value, Deadline::immediately(), options);
    }
    Result<void> send_for(const T& value, std::chrono::nanoseconds wait,
                          const SendOptions& options = {}) {
        return send_with(value, Deadline::after(wait), options);
    }
    Result<void> send_until(const T& value, Clock::time_point when,
                            const SendOptions& options = {}) {
        return send_with(value, Deadline::at(when), options);
    }
    Result<void> send_with(const T& value, Deadline deadline, const SendOptions& options = {});
    Result<Receipt> send_with_receipt(const T& value, const SendOptions& options = {},
                                      Deadline deadline = Deadline::never());
    // Nothing more will come; see RawMailbox::close.
    Result<void> close() { return raw_.close(); }
    Result<std::uint64_t> redrive(std::uint64_t most = UINT64_MAX) { return raw_.redrive(most); }
    // Sends all of them, in order. On an error `sent` says how many went out.
    Result<void> send_all(std::span<const T> values, Deadline deadline = Deadline::never(),
                          std::size_t* sent = nullptr);

    // Errors: as RawMailbox; corrupt, or what the Codec says: it does not decode, see undecoded()
    Result<Message<T>> receive() { return receive_with(Deadline::never()); }
    Result<Message<T>> try_receive() { return receive_with(Deadline::immediately()); }
    Result<Message<T>> receive_for(std::chrono::nanoseconds wait) {
        return receive_with(Deadline::after(wait));
    }
    Result<Message<T>> receive_until(Clock::time_point when) {
        return receive_with(Deadline::at(when));
    }
    Result<Message<T>> receive_with(Deadline deadline);
    // Decodes the next value into this one, whose memory is used again, and is done with it
    // (acknowledged mode: acked). On an error `value` may hold a part of it.
    Result<void> receive_into(T& value, Deadline deadline = Deadline::never());
    // Waits for one value, then decodes all that are there, at most values.size(); how many. What
    // does not decode ends it, and is the error of this receive or, behind others, of the next.
    Result<std::size_t> receive_some(std::span<T> values, Deadline deadline = Deadline::never());

    // The message that the last receive could not decode, until the next receive; else nullptr.
    [[nodiscard]] RawMessage* undecoded() noexcept { return undecoded_.get(); }

private:
    explicit Mailbox(RawMailbox raw) noexcept : raw_{std::move(raw)} {}
    static Result<Mailbox> wrap(Result<RawMailbox> raw) {
        if (!raw) return std::unexpected(raw.error());
        return Mailbox{std::move(*raw)};
    }
    [[nodiscard]] Result<std::size_t> size_of(const T& value) const;
    Result<RawMessage> receive_and_decode(T& value, Deadline deadline);

    RawMailbox raw_;
    std::unique_ptr<RawMessage> undecoded_;
    std::optional<Error> untold_;  // its error, when a receive of several met it behind others
};

template <Encodable T>
Result<std::size_t> Mailbox<T>::size_of(const T& value) const {
    const std::size_t bytes = encoded_size(value);
    if (bytes >= kNoSize) {
        return fail(Errc::bad_argument, "send (nested deeper than 64, or a variant without value)");
    }
    if (bytes > raw_.plan().max_bytes) return fail(Errc::too_big, "send");
    return bytes;
}

template <Encodable T>
Result<void> Mailbox<T>::send_with(const T& value, Deadline deadline, const SendOptions& options) {
    const Result<std::size_t> bytes = size_of(value);
    if (!bytes) return std::unexpected(bytes.error());
    if (raw_.lends_for(options)) {
        Result<RawLoan> loan = raw_.loan(*bytes, deadline);
        if (loan) {
            encode(value, loan->room());
            return loan->commit(*bytes, deadline, options);
        }
        if (loan.error().code != Errc::too_many_loans) return std::unexpected(loan.error());
    }
    std::vector<std::byte> copy(*bytes);  // a send needs no loan
    encode(value, copy);
    return raw_.send_with(Bytes{copy}, deadline, options);
}

template <Encodable T>
Result<Receipt> Mailbox<T>::send_with_receipt(const T& value, const SendOptions& options,
                                              Deadline deadline) {
    const Result<std::size_t> bytes = size_of(value);
    if (!bytes) return std::unexpected(bytes.error());
    std::vector<std::byte> copy(*bytes);
    encode(value, copy);
    return raw_.send_with_receipt(Bytes{copy}, options, deadline);
}

template <Encodable T>
Result<void> Mailbox<T>::send_all(std::span<const T> values, Deadline deadline, std::size_t* sent) {
    std::size_t done = 0;
    Result<void> result;
    while (done < values.size() && (result = send_with(values[done], deadline))) ++done;
    if (sent != nullptr) *sent = done;
    return result;
}

template <Encodable T>
Result<RawMessage> Mailbox<T>::receive_and_decode(T& value, Deadline deadline) {
    if (untold_) return std::unexpected(*std::exchange(untold_, std::nullopt));
    undecoded_.reset();
    Result<RawMessage> raw = raw_.receive_with(deadline);
    if (!raw) return raw;
    if (Result<void> good = decode_into(raw->bytes(), value); !good) {
        undecoded_ = std::make_unique<RawMessage>(std::move(*raw));
        return std::unexpected(good.error());
    }
    return raw;
}

template <Encodable T>
Result<Message<T>> Mailbox<T>::receive_with(Deadline deadline) {
    T value{};
    Result<RawMessage> raw = receive_and_decode(value, deadline);
    if (!raw) return std::unexpected(raw.error());
    return Message<T>{std::move(*raw), std::move(value)};
}

template <Encodable T>
Result<void> Mailbox<T>::receive_into(T& value, Deadline deadline) {
    Result<RawMessage> raw = receive_and_decode(value, deadline);
    if (!raw) return std::unexpected(raw.error());
    return raw->ack();
}

template <Encodable T>
Result<std::size_t> Mailbox<T>::receive_some(std::span<T> values, Deadline deadline) {
    std::size_t count = 0;
    while (count < values.size()) {
        const Result<void> next =
            receive_into(values[count], count == 0 ? deadline : Deadline::immediately());
        if (!next && count == 0) return std::unexpected(next.error());
        if (!next) {
            if (undecoded_) untold_ = next.error();
            break;
        }
        ++count;
    }
    return count;
}

}  // namespace stoa
