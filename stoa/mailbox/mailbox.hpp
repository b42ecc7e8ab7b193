// Mailbox of values: a named queue of T that any process with the right may send to or receive
// from.
//
// Start here: Mailbox<Order>::create("orders"); send(order); receive(). Any size: Mailbox<Bytes>.
//             Types with strings and containers: stoa/mailbox/encoded_mailbox.hpp.
// Threads:    a handle, its messages and its loans serve one thread at a time; clone() for another.
// Processes:  any number; T's layout is checked against the mailbox's when it is opened.
// Death:      as stoa/mailbox/raw_mailbox.hpp.
// Blocking:   send and receive until done; try_ never; _for and _until until then (steady clock).
// Lifetime:   messages and loans may outlive their handle and keep the memory mapped.
// Units:      values of T: trivially copyable, no pointers, aligned to at most 64 bytes, or
//             encoded.
// Source:     as stoa/mailbox/raw_mailbox.hpp.
#pragma once

#include <chrono>
#include <cstring>
#include <span>
#include <string_view>

#include "stoa/base/fingerprint.hpp"
#include "stoa/mailbox/encoded_mailbox.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"

namespace stoa {

// A received value, in place.
template <Sendable T>
class Message<T> {
public:
    explicit Message(RawMessage raw) noexcept : raw_{std::move(raw)} {}

    [[nodiscard]] const T& value() const noexcept {
        return *reinterpret_cast<const T*>(raw_.bytes().data());
    }
    [[nodiscard]] const T& operator*() const noexcept { return value(); }
    [[nodiscard]] const T* operator->() const noexcept { return &value(); }

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
};

// A value inside the mailbox, lent to fill. Nothing is sent before commit().
template <typename T>
class Loan {
public:
    explicit Loan(RawLoan raw) noexcept : raw_{std::move(raw)}, value_{new(raw_.room().data()) T} {}

    [[nodiscard]] T& value() const noexcept { return *value_; }
    [[nodiscard]] T& operator*() const noexcept { return *value_; }
    [[nodiscard]] T* operator->() const noexcept { return value_; }

    Result<void> commit(Deadline deadline = Deadline::never(), const SendOptions& options = {}) {
        return raw_.commit(sizeof(T), deadline, options);
    }
    void abandon() noexcept { raw_.abandon(); }

private:
    RawLoan raw_;
    T* value_;
};

template <Sendable T>
class Mailbox<T> {
public:
    using Clock = Deadline::Clock;

    // Errors: as RawMailbox; max_bytes is T's size.
    [[nodiscard]] static Result<Mailbox> create(std::string_view name,
                                                const MailboxOptions& options = {}) {
        return wrap(RawMailbox::create(name, options, type_info_of<T>()));
    }
    // Errors: as RawMailbox; wrong_type or wrong_size: it holds another type.
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

    Result<void> send(const T& value, const SendOptions& options = {}) {
        return send_with(value, Deadline::never(), options);
    }
    Result<void> try_send(const T& value, const SendOptions& options = {}) {
        return send_with(value, Deadline::immediately(), options);
    }
    Result<void> send_for(const T& value, std::chrono::nanoseconds wait,
                          const SendOptions& options = {}) {
        if (raw_.send_value_now<sizeof(T), alignof(T)>(&value, options)) [[likely]]
            return {};
        return send_with(value, Deadline::after(wait), options);
    }
    Result<void> send_until(const T& value, Clock::time_point when,
                            const SendOptions& options = {}) {
        return send_with(value, Deadline::at(when), options);
    }
    Result<void> send_with(const T& value, Deadline deadline, const SendOptions& options = {}) {
        if (raw_.send_value_now<sizeof(T), alignof(T)>(&value, options)) [[likely]]
            return {};
        return raw_.send_with(std::as_bytes(std::span{&value, 1}), deadline, options);
    }
    Result<Receipt> send_with_receipt(const T& value, const SendOptions& options = {},
                                      Deadline deadline = Deadline::never()) {
        return raw_.send_with_receipt(std::as_bytes(std::span{&value, 1}), options, deadline);
    }
    // For wait sets and loops of others; see RawMailbox.
    [[nodiscard]] Waitable readable() const { return raw_.readable(); }
    [[nodiscard]] Waitable writable() const { return raw_.space_for(sizeof(T)); }
    [[nodiscard]] Waitable space_for(std::uint64_t bytes) const { return raw_.space_for(bytes); }
    [[nodiscard]] Result<int> ready_fd() { return raw_.ready_fd(); }
    // Nothing more will come; see RawMailbox::close.
    Result<void> close() { return raw_.close(); }
    Result<std::uint64_t> redrive(std::uint64_t most = UINT64_MAX) { return raw_.redrive(most); }
    // Sends all of them, in order; those that are published together are one wake-up. On an error
    // `sent` says how many went out.
    Result<void> send_all(std::span<const T> values, Deadline deadline = Deadline::never(),
                          std::size_t* sent = nullptr);

    Result<Message<T>> receive() { return receive_with(Deadline::never()); }
    Result<Message<T>> try_receive() { return receive_with(Deadline::immediately()); }
    Result<Message<T>> receive_for(std::chrono::nanoseconds wait) {
        return receive_with(Deadline::after(wait));
    }
    Result<Message<T>> receive_until(Clock::time_point when) {
        return receive_with(Deadline::at(when));
    }
    Result<Message<T>> receive_with(Deadline deadline) {
        Result<RawMessage> raw = raw_.receive_with(deadline);
        if (!raw) return std::unexpected(raw.error());
        if (raw->bytes().size() != sizeof(T)) return fail(Errc::wrong_size, "receive");
        return Message<T>{std::move(*raw)};
    }
    // Copies the next value out and is done with it (acknowledged mode: acked). The fast way for
    // small values.
    Result<void> receive_into(T& value, Deadline deadline = Deadline::never()) {
        if (raw_.receive_value_now<sizeof(T)>(&value)) [[likely]]
            return {};
        if (!deadline.is_immediate()) {
            if (Result<void> waited = raw_.wait_for_value(deadline); !waited) return waited;
            if (raw_.receive_value_now<sizeof(T)>(&value)) [[likely]]
                return {};
        }
        return receive_into_slowly(value, deadline);
    }
    // Waits for one value, then copies all that are there, at most values.size(); how many.
    Result<std::size_t> receive_some(std::span<T> values, Deadline deadline = Deadline::never());

    // Lends memory for one value. Errors: as send.
    Result<Loan<T>> loan(Deadline deadline = Deadline::never()) {
        Result<RawLoan> raw = raw_.loan(sizeof(T), deadline);
        if (!raw) return std::unexpected(raw.error());
        return Loan<T>{std::move(*raw)};
    }

private:
    explicit Mailbox(RawMailbox raw) noexcept : raw_{std::move(raw)} {}
    static Result<Mailbox> wrap(Result<RawMailbox> raw) {
        if (!raw) return std::unexpected(raw.error());
        return Mailbox{std::move(*raw)};
    }
    Result<void> receive_into_slowly(T& value, Deadline deadline);

    RawMailbox raw_;
};

template <Sendable T>
Result<void> Mailbox<T>::send_all(std::span<const T> values, Deadline deadline, std::size_t* sent) {
    std::size_t done = 0;
    Result<void> result;
    while (done < values.size()) {
        const std::uint64_t now =
            raw_.send_values_now<sizeof(T), alignof(T)>(values.data() + done, values.size() - done);
        done += now;
        if (now > 0) continue;
        result = send_with(values[done], deadline);  // waits, and finds the errors
        if (!result) break;
        ++done;
    }
    if (sent != nullptr) *sent = done;
    return result;
}

template <Sendable T>
Result<void> Mailbox<T>::receive_into_slowly(T& value, Deadline deadline) {
    Result<Message<T>> message = receive_with(deadline);
    if (!message) return std::unexpected(message.error());
    std::memcpy(&value, &message->value(), sizeof(T));
    return message->ack();
}

template <Sendable T>
Result<std::size_t> Mailbox<T>::receive_some(std::span<T> values, Deadline deadline) {
    if (values.empty()) return 0;
    std::size_t count = raw_.receive_values_now<sizeof(T)>(values.data(), values.size());
    if (count > 0) return count;
    if (Result<void> first = receive_into(values[0], deadline); !first) {
        return std::unexpected(first.error());
    }
    count = 1;
    while (count < values.size()) {
        const std::size_t more =
            raw_.receive_values_now<sizeof(T)>(values.data() + count, values.size() - count);
        if (more == 0 && !receive_into(values[count], Deadline::immediately())) break;
        count += more > 0 ? more : 1;
    }
    return count;
}

// Messages of any size up to max_bytes: text, or whatever Payload takes; opens a mailbox of any
// type. A received one is a RawMessage: bytes(), text().
template <>
class Mailbox<Bytes> : public RawMailbox {
public:
    // Errors of all: as RawMailbox.
    [[nodiscard]] static Result<Mailbox> create(std::string_view name,
                                                const MailboxOptions& options = {}) {
        return wrap(RawMailbox::create(name, options));
    }
    [[nodiscard]] static Result<Mailbox> open(std::string_view name,
                                              const OpenOptions& options = {}) {
        return wrap(RawMailbox::open(name, options));
    }
    [[nodiscard]] static Result<Mailbox> open_or_create(std::string_view name,
                                                        const MailboxOptions& options = {}) {
        return wrap(RawMailbox::open_or_create(name, options));
    }
    [[nodiscard]] static Result<Mailbox> create_anonymous(const MailboxOptions& options = {}) {
        return wrap(RawMailbox::create_anonymous(options));
    }
    [[nodiscard]] static Result<Mailbox> attach(sys::Fd file, const OpenOptions& options = {}) {
        return wrap(RawMailbox::attach(std::move(file), options));
    }
    [[nodiscard]] Result<Mailbox> clone() const { return wrap(RawMailbox::clone()); }

private:
    explicit Mailbox(RawMailbox raw) noexcept : RawMailbox{std::move(raw)} {}
    static Result<Mailbox> wrap(Result<RawMailbox> raw) {
        if (!raw) return std::unexpected(raw.error());
        return Mailbox{std::move(*raw)};
    }
};

}  // namespace stoa
