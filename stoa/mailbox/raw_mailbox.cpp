#include "stoa/mailbox/raw_mailbox.hpp"

#include <algorithm>

#include "stoa/sys/memfd.hpp"

namespace stoa {
namespace {

Result<RawMailbox> wrap(Result<std::unique_ptr<Attachment>> made,
                        RawMailbox (*make)(std::unique_ptr<Attachment>)) {
    if (!made) return std::unexpected(made.error());
    return make(std::move(*made));
}

}  // namespace

// --- RawMessage ---------------------------------------------------------------------------------

RawMessage& RawMessage::operator=(RawMessage&& other) noexcept {
    if (this != &other) {
        drop();
        from_ = std::exchange(other.from_, nullptr);
        pool_ = other.pool_;
        bytes_ = other.bytes_;
        copy_ = std::move(other.copy_);
        missed_ = other.missed_;
    }
    return *this;
}

Result<void> RawMessage::ack() noexcept {
    if (from_ == nullptr) return fail(Errc::not_owner, "ack");
    const Result<void> mine = from_->check();
    if (!mine && mine.error().code == Errc::forked) return mine;
    if (in_lane()) {
        release_in_lane();
        return {};
    }
    const bool released = from_->ack(pool_);
    done();
    if (!released) return fail(Errc::not_owner, "ack");
    return {};
}

Result<void> RawMessage::nack(std::string_view error) noexcept {
    if (from_ == nullptr) return fail(Errc::not_owner, "nack");
    if (!from_->plan().acknowledged) return ack();
    const Result<void> mine = from_->check();
    if (!mine && mine.error().code == Errc::forked) return mine;
    const bool returned = from_->nack(pool_, error);
    done();
    if (!returned) return fail(Errc::not_owner, "nack");
    return {};
}

MessageHistory RawMessage::history() const {
    if (from_ == nullptr || in_lane()) return {};
    return from_->pool(pool_.station).history(pool_);
}

void RawMessage::drop_slowly() noexcept {
    if (nack()) return;
    if (from_ != nullptr) done();  // a forked child's copy: nothing of the parent's is touched
}

// --- RawLoan ------------------------------------------------------------------------------------

RawLoan& RawLoan::operator=(RawLoan&& other) noexcept {
    if (this != &other) {
        drop();
        to_ = std::exchange(other.to_, nullptr);
        pool_ = other.pool_;
        lane_ = other.lane_;
        room_ = other.room_;
        own_ = std::move(other.own_);
    }
    return *this;
}

Result<void> RawLoan::commit_slowly(std::uint64_t bytes, Deadline deadline,
                                    const SendOptions& options) {
    if (to_ == nullptr) return fail(Errc::not_owner, "commit");
    if (Result<void> good = to_->check_to_send(); !good) return good;
    if (bytes > room_.size()) return fail(Errc::too_big, "commit");
    if (!to_->fits(bytes)) return fail(Errc::wrong_size, "commit");
    if (Result<void> good = to_->check_key(options); !good) return good;
    if (own_ != nullptr) {
        const bool on_lanes = to_->plan().pool_count == 0 && !to_->plan().logged();
        if (on_lanes && !options.fits_lane()) return to_->refuse(options);
        Result<void> sent = to_->send(room_.first(bytes), options,
                                      on_lanes ? to_->overflow_deadline(deadline) : deadline);
        if (!sent) return sent;
        to_->count_sent(1);
        own_.reset();
        done();
        return {};
    }
    if (lane_ != nullptr) return to_->refuse(options);
    Result<void> sent = to_->commit(pool_, static_cast<std::uint32_t>(bytes), options, deadline);
    if (!sent && pool_.chunk == kNoChunk) done();  // it expired where it waited to be met
    if (!sent) return sent;
    to_->count_sent(1);
    done();
    return {};
}

void RawLoan::drop_slowly() noexcept {
    const Result<void> mine = to_->check();
    if (mine || mine.error().code != Errc::forked) {
        if (own_ != nullptr) {
            own_.reset();
        } else if (lane_ != nullptr) {
            lane_->abandon();
        } else {
            to_->release(pool_);
        }
    }
    done();
}

// --- Receipt ------------------------------------------------------------------------------------

Receipt& Receipt::operator=(Receipt&& other) noexcept {
    if (this != &other) {
        drop();
        of_ = std::exchange(other.of_, nullptr);
        ticket_ = other.ticket_;
        told_ = std::move(other.told_);
    }
    return *this;
}

void Receipt::drop() noexcept {
    if (of_ == nullptr) return;
    const Result<void> mine = of_->check();
    if (mine || mine.error().code != Errc::forked) of_->free_receipt(ticket_);
    std::exchange(of_, nullptr)->receipt_closed();
}

Result<Answer> Receipt::wait_with(Deadline deadline) {
    if (told_.outcome != Outcome::none) return told_;
    if (of_ == nullptr) return fail(Errc::not_owner, "receipt");
    Result<Answer> answer = of_->pool(ticket_.station).answer(ticket_, deadline);
    if (!answer) return answer;
    if (answer->name.empty() && answer->pid != 0) answer->name = of_->name_of(answer->pid);
    told_ = *answer;
    return answer;
}

Result<Answer> Receipt::withdraw() {
    if (told_.outcome != Outcome::none) return told_;
    if (of_ == nullptr) return fail(Errc::not_owner, "receipt");
    if (Result<void> good = of_->check(); !good) {
        if (good.error().code == Errc::forked) return std::unexpected(good.error());
        told_ = {.outcome = Outcome::mailbox_destroyed};
        return told_;
    }
    Result<Answer> answer = of_->withdraw(ticket_);
    if (answer && answer->outcome != Outcome::pending) told_ = *answer;
    return answer;
}

// --- RawMailbox ---------------------------------------------------------------------------------

RawMailbox& RawMailbox::operator=(RawMailbox&& other) noexcept {
    if (this != &other) {
        drop();
        at_ = std::exchange(other.at_, nullptr);
    }
    return *this;
}

Result<RawMailbox> RawMailbox::create(std::string_view name, const MailboxOptions& options,
                                      const TypeInfo& type) {
    return wrap(Attachment::create(name, options, type),
                [](std::unique_ptr<Attachment> at) { return RawMailbox{std::move(at)}; });
}

Result<RawMailbox> RawMailbox::open(std::string_view name, const OpenOptions& options,
                                    const TypeInfo* type) {
    return wrap(Attachment::open(name, options, type),
                [](std::unique_ptr<Attachment> at) { return RawMailbox{std::move(at)}; });
}

Result<RawMailbox> RawMailbox::open_or_create(std::string_view name, const MailboxOptions& options,
                                              const TypeInfo* type) {
    if (Result<void> good = check_new_name(name); !good) return std::unexpected(good.error());
    const OpenOptions how{options.role, options.waiting, options.domain};
    for (int turn = 0; turn < 100; ++turn) {  // it may come and go between the two calls
        Result<RawMailbox> opened = open(name, how, type);
        if (opened || opened.error().code != Errc::not_found) return opened;
        Result<RawMailbox> created = create(name, options, type != nullptr ? *type : TypeInfo{});
        if (created || created.error().code != Errc::exists) return created;
    }
    return fail(Errc::exists, "open_or_create");
}

Result<RawMailbox> RawMailbox::create_anonymous(const MailboxOptions& options,
                                                const TypeInfo& type) {
    return wrap(Attachment::create_anonymous(options, type),
                [](std::unique_ptr<Attachment> at) { return RawMailbox{std::move(at)}; });
}

Result<RawMailbox> RawMailbox::attach(sys::Fd file, const OpenOptions& options,
                                      const TypeInfo* type) {
    return wrap(Attachment::attach(std::move(file), options, type),
                [](std::unique_ptr<Attachment> at) { return RawMailbox{std::move(at)}; });
}

Result<RawMailbox> RawMailbox::create_link(const LinkFile& link, const MailboxOptions& options,
                                           const TypeInfo& type) {
    return wrap(Attachment::create_link(link, options, type),
                [](std::unique_ptr<Attachment> at) { return RawMailbox{std::move(at)}; });
}

Result<RawMailbox> RawMailbox::open_link(const LinkFile& link, Waiting waiting) {
    return wrap(Attachment::open_link(link, waiting),
                [](std::unique_ptr<Attachment> at) { return RawMailbox{std::move(at)}; });
}

Result<RawMailbox> RawMailbox::clone() const {
    if (Result<void> good = at_->check(); !good) return std::unexpected(good.error());
    Result<sys::Fd> file = sys::duplicate(at_->region().file());
    if (!file) return std::unexpected(file.error());
    return attach(std::move(*file), {.role = at_->role(), .waiting = at_->waiting()});
}

Result<void> RawMailbox::destroy(std::string_view name, std::string_view domain_path) {
    if (Result<void> good = check_name(name); !good) return good;
    const Result<Domain> domain = Domain::find(domain_path);
    if (!domain) return std::unexpected(domain.error());
    Result<void> destroyed = destroy_file(*domain, mailbox_file(name));
    if (!destroyed && destroyed.error().code == Errc::not_found && name.ends_with(kDeadSuffix)) {
        return fail(Errc::bad_argument,
                    "destroy (dead letters go with their mailbox, or who receives them)");
    }
    return destroyed;
}

Result<void> RawMailbox::destroy_file(const Domain& domain, const std::string& file) {
    Result<RegionImage> region = RegionImage::open(domain, file, RegionKind::mailbox);
    if (!region) {
        // Damaged or of another version: nobody of ours can be in it, the name can go.
        const Errc code = region.error().code;
        if (code == Errc::bad_layout || code == Errc::wrong_version || code == Errc::wrong_type) {
            return RegionImage::discard(domain, file);
        }
        return std::unexpected(region.error());
    }
    const Result<bool> condemned = RegionImage::destroy(domain, file, *region);
    // Also when its name could not be removed: it is condemned. Wait sets are told where we are.
    const Membership looking{region->memory(), region->participants()};
    if (MailboxLayout* layout = layout_at<MailboxLayout>(region->content(), 0)) {
        const std::uint32_t stations = std::min(layout->station_count, kMaxStations);
        for (std::uint32_t i = 0; i < stations; ++i) {  // whoever sleeps wakes to `gone`
            MailboxStation* station =
                layout_at<MailboxStation>(region->content(), station_offset(i));
            if (station == nullptr) break;
            ring_bell_for_all(station->bells.messages);
            ring_bell_for_all(station->bells.space);
            ring_bell_for_all(station->bells.letters);
        }
    }
    if (!condemned) return std::unexpected(condemned.error());
    if (!*condemned) return fail(Errc::not_found, "destroy");
    return {};
}

Result<void> RawMailbox::check_to_lend() const noexcept {
    Result<void> good = at_->check();
    if (good && !at_->may_lend())
        good = fail(Errc::too_many_loans, "the loan quota of this handle");
    return good;
}

Result<void> RawMailbox::send_with(Payload message, Deadline deadline, const SendOptions& options) {
    if (Result<void> good = at_->check_to_send(); !good) return good;
    if (Result<void> good = at_->check_key(options); !good) return good;
    if (!at_->fits(message.bytes().size())) {
        return fail(Errc::wrong_size, "send (the mailbox holds values of one size)");
    }
    Result<void> sent = fail(Errc::bad_argument, "send (this handle does not send)");
    if (LaneOut* lane = at_->lane_out()) {
        if (!options.fits_lane()) return at_->refuse(options);
        sent = lane->send(message.bytes(), at_->overflow_deadline(deadline));
    } else if (has(at_->role(), Role::sends)) {
        if (at_->plan().pool_count == 0 && !at_->plan().logged()) {
            if (!options.fits_lane()) return at_->refuse(options);
            deadline = at_->overflow_deadline(deadline);
        }
        sent = at_->send(message.bytes(), options, deadline);
    }
    if (sent) at_->count_sent(1);
    return sent;
}

Result<Receipt> RawMailbox::send_with_receipt(Payload message, const SendOptions& options,
                                              Deadline deadline) {
    if (Result<void> good = at_->check_to_send(); !good) return std::unexpected(good.error());
    if (Result<void> good = at_->check_key(options); !good) return std::unexpected(good.error());
    if (!at_->fits(message.bytes().size())) {
        return fail(Errc::wrong_size, "send (the mailbox holds values of one size)");
    }
    if (!has(at_->role(), Role::sends)) {
        return fail(Errc::bad_argument, "send (this handle does not send)");
    }
    if (at_->plan().sharing == Sharing::broadcast) {
        return fail(Errc::not_supported, "send_with_receipt (everybody takes what is broadcast)");
    }
    if (at_->plan().pool_count == 0) {
        return fail(Errc::not_supported, "send_with_receipt (create the mailbox with receipts)");
    }
    const Result<PoolTicket> ticket = at_->send_with_receipt(message.bytes(), options, deadline);
    if (!ticket) return std::unexpected(ticket.error());
    at_->count_sent(1);
    return Receipt{at_, *ticket};
}

Result<void> RawMailbox::close() {
    if (Result<void> good = at_->check(); !good) return good;
    if (at_->of_dead_letters()) {
        return fail(Errc::bad_argument, "close (of dead letters: close NAME, without .dead)");
    }
    at_->close_mailbox();
    return {};
}

Result<std::uint64_t> RawMailbox::redrive(std::uint64_t most) {
    if (Result<void> good = at_->check(); !good) return std::unexpected(good.error());
    if (at_->of_dead_letters()) {
        return fail(Errc::bad_argument, "redrive (of dead letters: redrive NAME, without .dead)");
    }
    return at_->redrive(most);
}

Result<std::size_t> RawMailbox::peek(std::span<std::byte> to, std::uint64_t skip) {
    if (Result<void> good = at_->check(); !good) return std::unexpected(good.error());
    return at_->peek(to, skip);
}

Result<RawLoan> RawMailbox::loan_slowly(std::uint64_t bytes, Deadline deadline) {
    if (Result<void> good = at_->check_to_send(); !good) return std::unexpected(good.error());
    if (Result<void> good = check_to_lend(); !good) return std::unexpected(good.error());
    if (LaneOut* lane = at_->lane_out()) {
        Result<std::span<std::byte>> room = lane->reserve(bytes, at_->overflow_deadline(deadline));
        if (!room) return std::unexpected(room.error());
        return RawLoan{at_, lane, room->first(bytes)};
    }
    if (!has(at_->role(), Role::sends))
        return fail(Errc::bad_argument, "loan (this handle does not send)");
    // Where it goes is known when it is sent: to everybody, or to whom its key belongs.
    const Sharing sharing = at_->plan().sharing;
    if (sharing == Sharing::broadcast || sharing == Sharing::key_affine) {
        if (bytes > at_->plan().max_bytes) return fail(Errc::too_big, "loan");
        auto own = std::make_unique<std::byte[]>(std::max<std::uint64_t>(bytes, 1));
        RawLoan loan{at_, PoolLoan{}, {own.get(), static_cast<std::size_t>(bytes)}};
        loan.own_ = std::move(own);
        return loan;
    }
    if (at_->plan().pool_count == 0) {
        LaneOut* lane = nullptr;
        const Result<std::span<std::byte>> room =
            at_->routes()->reserve_in_lane(bytes, at_->overflow_deadline(deadline), lane);
        if (!room) return std::unexpected(room.error());
        return RawLoan{at_, lane, room->first(bytes)};
    }
    const Result<PoolLoan> loan = at_->reserve(bytes, deadline);
    if (!loan) return std::unexpected(loan.error());
    return RawLoan{at_, *loan, at_->pool(loan->station).room(*loan).first(bytes)};
}

Result<RawMessage> RawMailbox::receive_slowly(Deadline deadline) {
    Result<RawMessage> message = receive_somewhere(deadline);
    if (!message && message.error().code == Errc::empty) at_->found_nothing();
    return message;
}

Result<RawMessage> RawMailbox::receive_somewhere(Deadline deadline) {
    if (Result<void> good = check_to_lend(); !good) return std::unexpected(good.error());
    if (at_->plan().sharing == Sharing::broadcast && !at_->of_dead_letters()) {
        Result<BroadcastMessage> message = at_->subscribed(deadline);
        if (!message) return std::unexpected(message.error());
        at_->count_received(1);
        return RawMessage{at_, std::move(*message)};
    }
    if (at_->receives_from_lanes()) {
        const Result<LaneMessage> message = at_->take(deadline);
        if (!message) return std::unexpected(message.error());
        at_->count_received(1);
        return RawMessage{at_, *message};
    }
    if (!has(at_->role(), Role::receives) && !at_->of_dead_letters()) {
        return fail(Errc::bad_argument, "receive (this handle does not receive)");
    }
    const Result<PoolLoan> loan = at_->receive(deadline);
    if (!loan) return std::unexpected(loan.error());
    if (!at_->of_dead_letters()) at_->count_received(1);
    return RawMessage{at_, *loan, at_->pool(loan->station).room(*loan)};
}

}  // namespace stoa
