// Mailbox of bytes: a named queue that any process with the right may send to or receive from.
//
// Start here: RawMailbox::create, open; send, receive. Typed values: stoa/mailbox/mailbox.hpp.
// Threads:    a handle, its messages and its loans serve one thread at a time; clone() for another.
// Processes:  any number; a forked child opens its own (an inherited handle says `forked`). One
//             that calls exec lives on, and keeps its place until it ends.
// Death:      at any instruction, any process: a message is delivered exactly once, or was never
//             sent, and a send that returned ok survives its sender. In acknowledged mode a message
//             whose receiver died before ack() is delivered again, marked. Loans of the dead return
//             within 100 ms to whoever waits for them.
// Blocking:   send and receive until done; try_ never; _for and _until until then (steady clock).
// Lifetime:   messages and loans may outlive their handle and keep the memory mapped. A mailbox
//             with owner process ends with the handle that created it; clones do not prolong it.
// Units:      bytes.
// Source:     docs/guide; the algorithms are named in stoa/ring.
#pragma once

#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/mailbox/attachment.hpp"
#include "stoa/mailbox/options.hpp"
#include "stoa/mailbox/payload.hpp"
#include "stoa/mailbox/routes.hpp"

namespace stoa {

// A received message, in place. It must be given back for its memory to be used again: by its
// destructor, release() or ack().
class RawMessage {
public:
    RawMessage(RawMessage&& other) noexcept
        : from_{std::exchange(other.from_, nullptr)},
          pool_{other.pool_},
          bytes_{other.bytes_},
          copy_{std::move(other.copy_)},
          missed_{other.missed_} {}
    RawMessage& operator=(RawMessage&& other) noexcept;
    // Plain: gives the memory back. Acknowledged and not acked: as nack().
    ~RawMessage() { drop(); }

    [[nodiscard]] Bytes bytes() const noexcept { return from_ != nullptr ? bytes_ : Bytes{}; }
    [[nodiscard]] Bytes value() const noexcept { return bytes(); }
    [[nodiscard]] std::string_view text() const noexcept {
        return {reinterpret_cast<const char*>(bytes().data()), bytes().size()};
    }
    // Acknowledged mode: it was delivered before, to a receiver that died or returned it; then
    // order is not promised. In plain mode: its receiver died while it took it.
    [[nodiscard]] bool redelivered() const noexcept { return pool_.redelivered; }
    // Deliveries before this one that ended without an ack (stays at 255).
    [[nodiscard]] std::uint32_t earlier_deliveries() const noexcept { return pool_.deliveries; }

    // Broadcast, to a subscriber that skips: messages of its sender before this one that it missed;
    // in a mailbox that drops the oldest, or has priorities: of all senders, since the last one.
    [[nodiscard]] std::uint64_t missed() const noexcept { return missed_; }
    // Of a redelivered message or a dead letter: who gave it back last, and why.
    [[nodiscard]] MessageHistory history() const;

    // Done with it: acknowledged mode never delivers it again. Errors: not_owner, forked
    Result<void> ack() noexcept;
    // Acknowledged mode: it goes back and is delivered again, to anyone, or becomes a dead letter,
    // which keeps `error` (at most 63 bytes) in its history. Plain mode: as ack().
    Result<void> nack(std::string_view error = {}) noexcept;
    // Plain mode: gives the memory back early. Acknowledged mode: as nack().
    void release() noexcept { drop(); }

private:
    friend class RawMailbox;
    RawMessage(Attachment* from, const PoolLoan& loan, Bytes bytes) noexcept
        : from_{from}, pool_{loan}, bytes_{bytes} {
        from_->lent();
    }
    RawMessage(Attachment* from, const LaneMessage& message) noexcept
        : RawMessage{from,
                     PoolLoan{.length = message.record.loan,
                              .redelivered = message.handed_over,
                              .word = message.lane},
                     message.record.payload} {
        if (message.handed_over) [[unlikely]]
            from_->count_handed_over();
    }
    RawMessage(Attachment* from, BroadcastMessage&& message) noexcept
        : RawMessage{from, message.loan, message.bytes} {
        copy_ = std::move(message.copy);
        missed_ = message.missed;
    }
    void drop() noexcept {
        if (from_ == nullptr) return;
        if (in_lane() && from_->check()) [[likely]] {
            release_in_lane();
        } else {
            drop_slowly();
        }
    }
    [[nodiscard]] bool in_lane() const noexcept { return pool_.chunk == kNoChunk; }
    void release_in_lane() noexcept {
        if (LaneIn* const lanes = from_->lane_in()) [[likely]] {
            lanes->release({.lane = static_cast<std::uint32_t>(pool_.word),
                            .record = {.payload = bytes_, .loan = pool_.length}});
        } else {
            from_->release_in_log(pool_, bytes_);
        }
        done();
    }
    void done() noexcept { std::exchange(from_, nullptr)->given_back(); }
    void drop_slowly() noexcept;

    Attachment* from_;  // counted
    PoolLoan pool_;     // chunk kNoChunk: loan `length` of lane `word`
    Bytes bytes_;
    std::unique_ptr<std::byte[]> copy_{};  // where bytes_ lies, when it was copied
    std::uint64_t missed_ = 0;
};

// Memory inside the mailbox, lent to fill. Nothing is sent before commit().
class RawLoan {
public:
    RawLoan(RawLoan&& other) noexcept
        : to_{std::exchange(other.to_, nullptr)},
          pool_{other.pool_},
          lane_{other.lane_},
          room_{std::exchange(other.room_, {})},
          own_{std::move(other.own_)} {}
    RawLoan& operator=(RawLoan&& other) noexcept;
    // Abandons what was not committed.
    ~RawLoan() { drop(); }

    // As many bytes as were asked for; what they hold is what lay there before.
    [[nodiscard]] std::span<std::byte> room() const noexcept { return room_; }
    // Sends the first `bytes` of it; waits for a slot while the mailbox is full. After an error the
    // loan is still held, unless the message expired where it waited to be met (timed_out): then
    // it is over. Errors: too_big, full, timed_out, gone, closed, forked, corrupt
    Result<void> commit(std::uint64_t bytes, Deadline deadline = Deadline::never(),
                        const SendOptions& options = {}) {
        if (to_ == nullptr || lane_ == nullptr || bytes > room_.size() || !to_->fits(bytes) ||
            !to_->check_to_send() || !options.is_plain()) [[unlikely]] {
            return commit_slowly(bytes, deadline, options);
        }
        if (!lane_->commit(bytes)) [[unlikely]]
            return fail(Errc::closed, "commit");
        to_->count_sent(1);
        done();
        return {};
    }
    void abandon() noexcept { drop(); }

private:
    friend class RawMailbox;
    RawLoan(Attachment* to, const PoolLoan& loan, std::span<std::byte> room) noexcept
        : to_{to}, pool_{loan}, room_{room} {
        to_->lent();
    }
    RawLoan(Attachment* to, LaneOut* lane, std::span<std::byte> room) noexcept
        : to_{to}, lane_{lane}, room_{room} {
        to_->lent();
    }
    void drop() noexcept {
        if (to_ != nullptr) drop_slowly();
    }
    void done() noexcept {
        room_ = {};
        std::exchange(to_, nullptr)->given_back();
    }
    void drop_slowly() noexcept;
    Result<void> commit_slowly(std::uint64_t bytes, Deadline deadline, const SendOptions& options);

    Attachment* to_;  // counted
    PoolLoan pool_{};
    LaneOut* lane_ = nullptr;  // where it lies, if in a lane
    std::span<std::byte> room_;
    std::unique_ptr<std::byte[]> own_{};  // broadcast: its memory, until it is committed
};

// What becomes of one message that was sent with a receipt: exactly one Outcome.
//
// Death: of the receiver: found within 100 ms by whoever waits. A receipt that is dropped leaves
// its message alone. Threads: as its mailbox handle, which it may outlive.
class Receipt {
public:
    Receipt(Receipt&& other) noexcept
        : of_{std::exchange(other.of_, nullptr)}, ticket_{other.ticket_} {}
    Receipt& operator=(Receipt&& other) noexcept;
    ~Receipt() { drop(); }

    // Waits for the outcome. In acknowledged mode that of a message that is taken and not acked is
    // still to come. Errors: timed_out, forked; try_wait: empty
    Result<Answer> wait() { return wait_with(Deadline::never()); }
    Result<Answer> try_wait() { return wait_with(Deadline::immediately()); }
    Result<Answer> wait_for(std::chrono::nanoseconds wait) {
        return wait_with(Deadline::after(wait));
    }
    Result<Answer> wait_until(Deadline::Clock::time_point when) {
        return wait_with(Deadline::at(when));
    }
    Result<Answer> wait_with(Deadline deadline);
    // For a wait set: it is known what becomes of the message.
    [[nodiscard]] Waitable decided() const {
        return of_ != nullptr ? of_->decided(ticket_)
                              : Waitable{Error{.code = Errc::not_owner, .step = "receipt"}};
    }
    // Takes the message back if nobody took it yet: then the outcome is `withdrawn`, else what it
    // is, perhaps `pending`. Errors: forked
    Result<Answer> withdraw();

private:
    friend class RawMailbox;
    Receipt(Attachment* of, const PoolTicket& ticket) noexcept : of_{of}, ticket_{ticket} {
        of_->receipt_opened();
    }
    void drop() noexcept;

    Attachment* of_;  // counted
    PoolTicket ticket_;
    Answer told_{};  // once it is known
};

class RawMailbox {
public:
    using Clock = Deadline::Clock;

    // Errors: exists, bad_name, bad_argument (also NAME.dead), out_of_space, unsafe_folder, denied,
    //         limit_reached, not_supported (owner process: no sockets, or a domain of a group)
    [[nodiscard]] static Result<RawMailbox> create(std::string_view name,
                                                   const MailboxOptions& options = {},
                                                   const TypeInfo& type = {});
    // Errors: not_found, bad_name, denied, unsafe_folder, bad_layout, wrong_version, wrong_type,
    //         in_use (the role is taken), no_free_place, limit_reached, exists (it is condemned,
    //         and whoever removes its name has stopped: after 1 s), not_supported (a process owns
    //         it that does not show it to us)
    [[nodiscard]] static Result<RawMailbox> open(std::string_view name,
                                                 const OpenOptions& options = {},
                                                 const TypeInfo* type = nullptr);
    // Opens it, whatever its options are, or creates it.
    [[nodiscard]] static Result<RawMailbox> open_or_create(std::string_view name,
                                                           const MailboxOptions& options = {},
                                                           const TypeInfo* type = nullptr);
    // A mailbox without a name: for children made by fork (attach() in the child, by file()), or
    // for whoever the descriptor is passed to. It is gone with the last process that has it.
    [[nodiscard]] static Result<RawMailbox> create_anonymous(const MailboxOptions& options = {},
                                                             const TypeInfo& type = {});
    [[nodiscard]] static Result<RawMailbox> attach(sys::Fd file, const OpenOptions& options = {},
                                                   const TypeInfo* type = nullptr);
    // Destroys it: its name is free, waiting calls of others return `gone`, within 100 ms. The name
    // of a mailbox that a process owns is free when that closes its handle. Errors: as open
    static Result<void> destroy(std::string_view name, std::string_view domain = {});

    // For room link: a pair in a file of its own.
    [[nodiscard]] static Result<RawMailbox> create_link(const LinkFile& link,
                                                        const MailboxOptions& options,
                                                        const TypeInfo& type);
    [[nodiscard]] static Result<RawMailbox> open_link(const LinkFile& link, Waiting waiting);
    static Result<void> destroy_file(const Domain& domain, const std::string& file);

    RawMailbox(RawMailbox&& other) noexcept : at_{std::exchange(other.at_, nullptr)} {}
    RawMailbox& operator=(RawMailbox&& other) noexcept;
    ~RawMailbox() { drop(); }

    // A second endpoint of this process, for another thread; same role.
    [[nodiscard]] Result<RawMailbox> clone() const;
    [[nodiscard]] const sys::Fd& file() const noexcept { return at_->region().file(); }
    [[nodiscard]] const MailboxPlan& plan() const noexcept { return at_->plan(); }
    [[nodiscard]] Role role() const noexcept { return at_->role(); }

    // Errors: too_big, wrong_size (of a mailbox of values), too_many_loans, gone, owner_gone,
    // closed, forked, bad_argument (the handle only receives; no such priority; a time to live
    // where lanes carry the mailbox; a key, but for key_affine), corrupt; try_ and
    // Overflow::reject: full; _for and _until: timed_out
    Result<void> send(Payload message, const SendOptions& options = {}) {
        return send_with(message, Deadline::never(), options);
    }
    Result<void> try_send(Payload message, const SendOptions& options = {}) {
        return send_with(message, Deadline::immediately(), options);
    }
    Result<void> send_for(Payload message, std::chrono::nanoseconds wait,
                          const SendOptions& options = {}) {
        return send_with(message, Deadline::after(wait), options);
    }
    Result<void> send_until(Payload message, Clock::time_point when,
                            const SendOptions& options = {}) {
        return send_with(message, Deadline::at(when), options);
    }
    Result<void> send_with(Payload message, Deadline deadline, const SendOptions& options = {});
    // Sends, and returns what tells what becomes of the message. Errors: as send; not_supported
    // where lanes carry the mailbox (create it with MailboxOptions::receipts) and for broadcast
    Result<Receipt> send_with_receipt(Payload message, const SendOptions& options = {},
                                      Deadline deadline = Deadline::never());

    // Nothing more will come: sends of everyone say `closed` from now on, and whoever receives
    // learns end_of_stream when all is drained. A send in the same moment may still succeed.
    // Errors: gone, forked, bad_argument (it was opened as NAME.dead)
    Result<void> close();
    // Dead letters go back to the receivers, at most `most`; how many. Errors: as close
    Result<std::uint64_t> redrive(std::uint64_t most = UINT64_MAX);
    // Copies the message that a receive would give after `skip` others, without taking it: in the
    // order of receives, without what is overdue; of dead letters as well. Its whole length, also
    // when `to` is shorter. Another receiver may take it meanwhile. A handle that does not receive
    // looks at what waits for anybody. Where each sender or receiver has a queue of its own, one
    // comes after the other. Errors: empty, gone, forked, corrupt
    Result<std::size_t> peek(std::span<std::byte> to, std::uint64_t skip = 0);

    // For a wait set: a receive has something to say at once, a message, the end or an error.
    [[nodiscard]] Waitable readable() const { return at_->readable(); }
    // A send of the largest message, or of one of so many bytes, would not wait. Where keys decide:
    // whoever gets it.
    [[nodiscard]] Waitable writable() const { return at_->space_for(at_->plan().max_bytes); }
    [[nodiscard]] Waitable space_for(std::uint64_t bytes) const { return at_->space_for(bytes); }
    // For loops of others (epoll, poll, Qt, glib, asyncio): readable when a receive has something
    // to say, or may have. Then receive without waiting, until it says empty or as far as you like.
    // It belongs to this handle. Errors: limit_reached, forked
    [[nodiscard]] Result<int> ready_fd() { return at_->ready_fd(); }

    // Lends memory for a message of at most `bytes`. Errors: as send.
    Result<RawLoan> loan(std::uint64_t bytes, Deadline deadline = Deadline::never()) {
        std::span<std::byte> room;
        LaneOut* const lane = at_->lane_out();
        if (lane == nullptr || !at_->check_to_send() || !at_->may_lend() ||
            !lane->try_reserve(bytes, room)) [[unlikely]] {
            return loan_slowly(bytes, deadline);
        }
        return RawLoan{at_, lane, room};
    }

    // Errors: gone, owner_gone, forked, too_many_loans, bad_argument (it only sends), corrupt;
    // try_: empty; _for and _until: timed_out
    Result<RawMessage> receive() { return receive_with(Deadline::never()); }
    Result<RawMessage> try_receive() { return receive_with(Deadline::immediately()); }
    Result<RawMessage> receive_for(std::chrono::nanoseconds wait) {
        return receive_with(Deadline::after(wait));
    }
    Result<RawMessage> receive_until(Clock::time_point when) {
        return receive_with(Deadline::at(when));
    }
    Result<RawMessage> receive_with(Deadline deadline) {
        LaneMessage message;
        LaneIn* const lanes = at_->lane_in();
        if (lanes == nullptr || !at_->check() || !at_->may_lend()) [[unlikely]]
            return receive_slowly(deadline);
        if (!lanes->try_take(message)) {
            if (deadline.is_immediate()) return receive_slowly(deadline);
            const Result<void> waited = wait_in(*lanes, deadline);
            if (!waited) [[unlikely]]
                return std::unexpected(waited.error());
            if (!lanes->try_take(message)) [[unlikely]]
                return receive_slowly(deadline);
        }
        at_->count_received(1);
        return RawMessage{at_, message};
    }

    // The short ways of typed mailboxes: a value of a fixed size over a lane, without waiting.
    // False or 0: nothing happened, take the long way, which also finds the errors and is the one
    // that places a payload on more than 16 bytes.
    template <std::size_t kBytes, std::size_t kAlignment>
    [[nodiscard]] bool send_value_now(const void* value, const SendOptions& options) noexcept {
        if constexpr (kAlignment > 16) return false;
        LaneOut* lane = at_->lane_out();
        if (LogOut* const log = at_->quick_log_out()) {
            if (!options.is_plain() || !at_->check_to_send() ||
                !log->try_send_value<kBytes>(value)) {
                return false;
            }
            at_->count_sent(1);
            return true;
        }
        if (lane == nullptr && at_->routes() == nullptr) return false;
        if (!options.is_plain() || !at_->check_to_send()) return false;
        const bool sent = lane != nullptr ? lane->try_send_value<kBytes>(value)
                                          : at_->routes()->try_send_value<kBytes>(value);
        if (!sent) return false;
        at_->count_sent(1);
        return true;
    }
    template <std::size_t kBytes, std::size_t kAlignment>
    [[nodiscard]] std::uint64_t send_values_now(const void* values, std::uint64_t count) noexcept {
        if constexpr (kAlignment > 16) return 0;
        if (LogOut* const log = at_->quick_log_out()) {
            if (!at_->check_to_send()) return 0;
            const std::uint64_t published = log->try_send_values<kBytes>(values, count);
            at_->count_sent(published);
            return published;
        }
        LaneOut* lane = at_->lane_out();
        if (lane == nullptr || !at_->check_to_send()) return 0;
        const std::uint64_t sent = lane->try_send_values<kBytes>(values, count);
        at_->count_sent(sent);
        return sent;
    }
    template <std::size_t kBytes>
    [[nodiscard]] bool receive_value_now(void* value) noexcept {
        LaneIn* lanes = at_->lane_in();
        if (LogIn* const logs = at_->log_in()) {
            LogCopy copied;
            if (!at_->check() || !logs->try_copy_value<kBytes>(value, copied)) return false;
            at_->count_received(1);
            return true;
        }
        if (lanes == nullptr || !at_->check() || !lanes->try_receive_value<kBytes>(value)) {
            return false;
        }
        at_->count_received(1);
        return true;
    }
    // Waits until receive_value_now is worth another try. True at once where no lane is: then only
    // the long way waits.
    [[nodiscard]] Result<void> wait_for_value(Deadline deadline) {
        LaneIn* lanes = at_->lane_in();
        if (lanes == nullptr) return {};
        if (Result<void> good = at_->check(); !good) return good;
        return wait_in(*lanes, deadline);
    }
    template <std::size_t kBytes>
    [[nodiscard]] std::uint64_t receive_values_now(void* values, std::uint64_t count) noexcept {
        LaneIn* lanes = at_->lane_in();
        if (lanes == nullptr || !at_->check()) return 0;
        const std::uint64_t received = lanes->try_receive_values<kBytes>(values, count);
        at_->count_received(received);
        return received;
    }

    // Whether a message may be written in place before it is known where it goes and whether it
    // stays: not when a key decides, nor where a full mailbox drops.
    [[nodiscard]] bool lends_for(const SendOptions& options) const noexcept {
        const Overflow overflow = plan().overflow;
        return options.key == 0 && plan().sharing != Sharing::key_affine &&
               (overflow == Overflow::block || overflow == Overflow::reject);
    }
    [[nodiscard]] Attachment& attachment() const noexcept { return *at_; }
    [[nodiscard]] bool has_message() const { return at_->has_message(); }

private:
    friend class RawMessage;
    friend class RawLoan;
    explicit RawMailbox(std::unique_ptr<Attachment> at) noexcept : at_{at.release()} {}
    void drop() noexcept {
        if (at_ != nullptr) std::exchange(at_, nullptr)->handle_closed();
    }
    [[nodiscard]] Result<void> check_to_lend() const noexcept;
    // Where there are several receivers the long way decides whether it is the end: what another
    // one holds may still come.
    [[nodiscard]] Result<void> wait_in(LaneIn& lanes, Deadline deadline) const {
        const Result<void> waited = lanes.wait_for_message(deadline);
        const bool ends = !waited && waited.error().code == Errc::end_of_stream;
        return ends && at_->routes() != nullptr ? Result<void>{} : waited;
    }
    Result<RawLoan> loan_slowly(std::uint64_t bytes, Deadline deadline);
    Result<RawMessage> receive_slowly(Deadline deadline);
    Result<RawMessage> receive_somewhere(Deadline deadline);

    Attachment* at_;  // counted
};

}  // namespace stoa
