#include <cstring>

#include "stoa/base/crash_point.hpp"
#include "stoa/channel/pool_engine.hpp"
#include "stoa/channel/wait_mark.hpp"

// What happens beside a message: notes, receipts, times to live, rendezvous.
namespace stoa {
namespace {

// How long a send that must not wait gives a receiver that is waiting to take its message.
constexpr std::chrono::milliseconds kHandOver{20};

template <std::size_t kWords>
std::string text_in(const Atomic<std::uint64_t> (&words)[kWords]) {
    char text[kWords * 8 + 1]{};
    for (std::size_t i = 0; i < kWords; ++i) {
        const std::uint64_t part = words[i].load(kRelaxed);
        std::memcpy(text + i * 8, &part, 8);
    }
    return text;
}

}  // namespace

Result<void> PoolEngine::open_extras() {
    if (ring_.has_extras()) [[likely]]
        return {};
    return host_.open_extras(host_.around.context);
}

// What is to be known of a message beside its bytes. False: nothing is.
Result<bool> PoolEngine::fill_note(const PoolLoan& loan, const SendOptions& options,
                                   const ReceiptRef* ref) {
    const auto own_ttl = static_cast<std::uint64_t>(options.time_to_live.count());
    const std::uint64_t time_to_live_ns = own_ttl != 0 ? own_ttl : policy_.time_to_live_ns;
    const bool ages = ring_.geometry().ageing_ns != 0;
    if (ref == nullptr && time_to_live_ns == 0 && !ages) return false;
    if (options.time_to_live.count() < 0) return fail(Errc::bad_argument, "time_to_live");
    if (Result<void> opened = open_extras(); !opened) return std::unexpected(opened.error());
    PoolNote& note = ring_.note(loan.chunk);
    const std::uint64_t now_ns = time_to_live_ns != 0 || ages ? sys::steady_ns() : 0;
    const std::uint64_t expires_ns = now_ns + time_to_live_ns;
    note.receipt.store(ref != nullptr ? ref->word() : 0, kSeqCst);
    note.expires_ns.store(time_to_live_ns == 0 || expires_ns < now_ns ? 0 : expires_ns, kRelaxed);
    note.sent_ns.store(now_ns, kRelaxed);
    return true;
}

void PoolEngine::wake_receipt(const ReceiptRef& ref) noexcept {
    wake(low_half(ring_.receipt(ref.index).outcome), kWakeAll);
}

void PoolEngine::tell(const ReceiptRef& ref, Outcome outcome) noexcept {
    const bool named = outcome == Outcome::taken || outcome == Outcome::acked;
    const bool wake = ring_.resolve(ref, outcome, named ? host_.pid : 0);
    STOA_CRASH_POINT("pool_engine.tell.before_wake");
    if (named) ring_.name_taker(ref, host_.name);
    if (wake) wake_receipt(ref);
}

bool PoolEngine::asked(const PoolLoan& loan, ReceiptRef& ref) const noexcept {
    return loan.noted && ReceiptRef::of(ring_.note(loan.chunk).receipt.load(kSeqCst), ref) &&
           ref.index < ring_.geometry().receipt_count;
}

bool PoolEngine::arrived(const PoolLoan& loan) noexcept {
    ReceiptRef ref;
    const bool asked = this->asked(loan, ref);
    const std::uint64_t expires_ns = ring_.note(loan.chunk).expires_ns.load(kRelaxed);
    if (expires_ns != 0 && !loan.redriven && sys::steady_ns() >= expires_ns) {
        if (asked) {
            // Its sender may have read in the words that we took it. Then we did: one of the two
            // ends the receipt, and that one is right.
            tell(ref, Outcome::expired);
            const OutcomeWord told =
                OutcomeWord::of(ring_.receipt(ref.index).outcome.load(kSeqCst));
            if (told.tag == ref.tag && told.outcome == Outcome::taken) return true;
        }
        expire(loan);
        return false;
    }
    if (asked && (ref.at_take || !ring_.geometry().acknowledged)) tell(ref, Outcome::taken);
    return true;
}

// A message that this endpoint took, and whose receipt has ended, is gone.
void PoolEngine::expire(const PoolLoan& loan) noexcept {
    STOA_CRASH_POINT("pool_engine.expired.told");
    ring_.count_expired();
    ring_.note_return(loan.chunk, Cause::expired, 0, {}, "its time to live was over");
    const bool kept = policy_.keep_expired && ring_.bury_loan(loan);
    if (!kept) ring_.release(loan);
    ring_bell_of_many(*letters_);
    ring_bell_of_many(*space_);  // its slot is free in any case
}

// No room, and perhaps no receiver for long: what is overdue goes. In each turn what lies in front
// of its queue, which is what frees a place; all of it once in a slice, for its memory. True: one
// went.
bool PoolEngine::expire_overdue() noexcept {
    if (!ring_.has_extras()) return false;
    const std::uint64_t now_ns = sys::steady_ns();
    std::uint64_t gone = 0;
    const auto let_go = [&](const PoolLoan& loan) {
        ReceiptRef ref;
        if (asked(loan, ref)) tell(ref, Outcome::expired);
        expire(loan);
        ++gone;
    };
    PoolLoan loan;
    const std::uint64_t most = std::uint64_t{ring_.geometry().slot_count} * kPoolMaxLevels;
    while (gone < most && ring_.take_overdue_head(me_, now_ns, loan) == PoolStatus::ok) {
        let_go(loan);
    }
    const std::chrono::nanoseconds now = sys::coarse_now();
    if (gone > 0 || now - searched_at_ < kWaitSlice) return gone > 0;
    searched_at_ = now;
    std::uint32_t from = 0;
    while (gone < most && ring_.take_overdue(me_, now_ns, from, loan) == PoolStatus::ok) {
        let_go(loan);
    }
    return gone > 0;
}

bool PoolEngine::ack(const PoolLoan& loan) noexcept {
    ReceiptRef ref;
    const bool asked = ring_.geometry().acknowledged && this->asked(loan, ref) && !ref.at_take;
    bool acked = false;
    if (asked) [[unlikely]] {
        bool wake = false;
        acked = ring_.finish(loan, ref, host_.pid, wake);
        if (acked) ring_.name_taker(ref, host_.name);
        if (wake) wake_receipt(ref);
    } else {
        acked = ring_.release(loan);
    }
    ring_bell_of_many(*space_);
    return acked;
}

bool PoolEngine::nack(const PoolLoan& loan, std::string_view error) noexcept {
    if (ring_.has_extras()) {
        ring_.note_return(loan.chunk, Cause::returned, host_.pid, host_.name, error);
    }
    ReceiptRef ref;
    const bool asked = this->asked(loan, ref);
    const bool returned = ring_.nack(loan);
    ring_bell(*messages_);
    ring_bell_of_many(*letters_);
    if (asked) wake_receipt(ref);  // it may be a dead letter now: the sender looks
    return returned;
}

MessageHistory PoolEngine::history(const PoolLoan& loan) const {
    MessageHistory told{.deliveries = loan.deliveries};
    if (!ring_.has_extras()) return told;
    const PoolNote& note = ring_.note(loan.chunk);
    told.cause = static_cast<Cause>(note.cause.load(kRelaxed));
    told.last_pid = note.last_pid.load(kRelaxed);
    told.last_name = text_in(note.last_name);
    told.error = text_in(note.error);
    return told;
}

// --- the sender's side --------------------------------------------------------------------------

Result<bool> PoolEngine::send_ticket(PoolLoan& loan, std::uint32_t bytes,
                                     const SendOptions& options, Deadline deadline,
                                     PoolTicket& ticket) {
    if (options.priority >= ring_.geometry().level_count) {
        return no_such_priority(ring_.geometry().level_count);
    }
    if (Result<void> opened = open_extras(); !opened) return std::unexpected(opened.error());
    if (!ring_.claim_receipt(me_, ticket.ref))
        return fail(Errc::too_many_loans, "send (as many receipts are open as the mailbox has)");
    ticket.ref.at_take = policy_.rendezvous;
    ticket.chunk = loan.chunk;
    ticket.station = station_;
    ticket.level = options.priority;
    Result<bool> sent = fill_note(loan, options, &ticket.ref);
    if (sent) {
        ticket.expires_ns = ring_.note(loan.chunk).expires_ns.load(kRelaxed);
        sent = publish(loan, {.length = bytes, .level = options.priority, .noted = true}, deadline,
                       ticket.at);
    }
    if (!sent) {
        ring_.free_receipt(ticket.ref);
    } else if (!*sent) {  // dropped and counted
        static_cast<void>(ring_.resolve(ticket.ref, Outcome::dropped, 0));
        ring_.release(loan);
    }
    return sent;
}

Result<PoolTicket> PoolEngine::send_with_receipt(Bytes message, const SendOptions& options,
                                                 Deadline deadline) {
    PoolLoan loan;
    const Result<bool> reserved = reserve_or_drop(message.size(), options.priority, deadline, loan);
    if (!reserved) return std::unexpected(reserved.error());
    if (!*reserved) return fail(Errc::full, "send (the message was dropped)");
    if (!message.empty()) {
        std::memcpy(ring_.room(loan).data(), message.data(), message.size());
    }
    PoolTicket ticket;
    const Result<bool> sent =
        send_ticket(loan, static_cast<std::uint32_t>(message.size()), options, deadline, ticket);
    if (sent) return ticket;
    release(loan);
    return std::unexpected(sent.error());
}

// Rendezvous: the send ends when a receiver has the message, and is withdrawn when none came. What
// a stopped receiver has begun to take counts as taken.
Result<void> PoolEngine::meet(PoolLoan& loan, std::uint32_t bytes, const SendOptions& options,
                              Deadline deadline) {
    const bool now = deadline.is_immediate() || policy_.overflow == Overflow::reject;
    if (now && !host_.receiver_waits(host_.around.context)) {
        return fail(Errc::full, "send (no receiver waits)");
    }
    PoolTicket ticket;
    const Result<bool> sent = send_ticket(loan, bytes, options, deadline, ticket);
    if (!sent) return std::unexpected(sent.error());
    // One who waits takes it at once; one who was stopped while it waited must not hold us.
    const Deadline until = now ? Deadline::after(kHandOver) : deadline;
    const Result<Answer> answer = this->answer(ticket, until, true);
    OutcomeWord word = settle(ticket);
    while (word.outcome == Outcome::pending) {  // nobody came in time
        if (take_back(ticket, Outcome::withdrawn, &loan)) {
            ring_.free_receipt(ticket.ref);
            Error error = answer ? Error{.code = Errc::gone, .step = "send"} : answer.error();
            if (now && error.code == Errc::timed_out) error = {.code = Errc::full, .step = "send"};
            return std::unexpected(error);
        }
        word = settle(ticket);  // somebody is at it: it is taken, or its taker has died
    }
    ring_.free_receipt(ticket.ref);
    loan = PoolLoan{};
    if (word.outcome == Outcome::expired) return fail(Errc::timed_out, "send (its time to live)");
    return {};
}

bool PoolEngine::take_back(const PoolTicket& ticket, Outcome outcome, PoolLoan* keep) noexcept {
    if (!ring_.withdraw(me_, ticket, outcome, keep)) return false;
    ring_bell_of_many(*space_);  // its slot is free
    return true;
}

// Its sender finds that its time is over: as a receiver does.
bool PoolEngine::take_back_expired(const PoolTicket& ticket) noexcept {
    PoolLoan loan;
    if (!take_back(ticket, Outcome::expired, policy_.keep_expired ? &loan : nullptr)) return false;
    ring_.count_expired();
    if (!policy_.keep_expired) return true;
    ring_.note_return(loan.chunk, Cause::expired, 0, {}, "its time to live was over");
    if (!ring_.bury_loan(loan)) ring_.release(loan);
    ring_bell_of_many(*letters_);
    return true;
}

OutcomeWord PoolEngine::settle(const PoolTicket& ticket) noexcept {
    const std::uint64_t now_ns = ticket.expires_ns != 0 ? sys::steady_ns() : 0;
    return ring_.settle(ticket, host_.pid_of, host_.around.context, now_ns);
}

Answer PoolEngine::answer_of(const PoolTicket& ticket, const OutcomeWord& word) const {
    Answer answer{.outcome = word.outcome, .pid = word.pid};
    const PoolReceipt& told = ring_.receipt(ticket.ref.index);
    if (word.pid != 0 && told.named.load(kAcquire) == ticket.ref.tag) {
        answer.name = text_in(told.name);
    }
    return answer;
}

std::uint64_t PoolEngine::mark_receipt(const PoolTicket& ticket) noexcept {
    Atomic<std::uint64_t>& word = ring_.receipt(ticket.ref.index).outcome;
    std::uint64_t seen = word.load(kSeqCst);
    OutcomeWord asleep = OutcomeWord::of(seen);
    if (asleep.outcome != Outcome::pending) return 0;
    asleep.sleeping = true;
    if (seen != asleep.word() && !word.compare_exchange_strong(seen, asleep.word(), kSeqCst)) {
        return 0;
    }
    return asleep.word();
}

// False: it ended meanwhile.
bool PoolEngine::sleep_on_receipt(const PoolTicket& ticket,
                                  std::chrono::nanoseconds longest) noexcept {
    const std::uint64_t asleep = mark_receipt(ticket);
    if (asleep == 0) return false;
    static_cast<void>(sys::futex_wait(low_half(ring_.receipt(ticket.ref.index).outcome),
                                      static_cast<std::uint32_t>(asleep), longest));
    return true;
}

void PoolEngine::arm(const PoolTicket& ticket) noexcept {
    constexpr int kTurns = 8;  // others set what is to be told beside it, a few times at most
    for (int turn = 0; turn < kTurns && mark_receipt(ticket) == 0; ++turn) {
    }
    STOA_CRASH_POINT("pool_engine.receipt.armed");
}

bool PoolEngine::is_decided(const PoolTicket& ticket) {
    const Result<Answer> answer = this->answer(ticket, Deadline::immediately());
    return answer || answer.error().code != Errc::empty;
}

Result<Answer> PoolEngine::answer(const PoolTicket& ticket, Deadline deadline, bool meets) {
    const Atomic<std::uint64_t>& word = ring_.receipt(ticket.ref.index).outcome;
    const auto ended = [&] {
        return OutcomeWord::of(word.load(kSeqCst)).outcome != Outcome::pending;
    };
    const auto result = [&] { return answer_of(ticket, OutcomeWord::of(word.load(kSeqCst))); };
    if (ended()) return result();
    const LookAround& around = host_.around;
    const WaitMark mark{around.waits, WaitsFor::receipt};
    for (int i = 0; i < kAdaptiveSpins && waiting_ != Waiting::park && !deadline.is_immediate();
         ++i) {
        cpu_pause();
        if (ended()) return result();
    }
    const std::uint64_t expires_ns = ticket.expires_ns;
    Deadline slice = Deadline::after(g_wait_slice);
    for (;;) {
        if (Result<void> good = around.check(around.context); !good) {
            if (good.error().code == Errc::gone) return Answer{Outcome::mailbox_destroyed};
            return std::unexpected(good.error());
        }
        const bool closed = meets && around.closed(around.context);
        const OutcomeWord now = settle(ticket);
        if (now.outcome != Outcome::pending) return answer_of(ticket, now);
        if (closed) return fail(Errc::closed, "send");
        if (meets && host_.hinders_meeting != nullptr) {
            if (Result<void> free = host_.hinders_meeting(around.context); !free) {
                return std::unexpected(free.error());
            }
        }
        if (expires_ns != 0 && sys::steady_ns() >= expires_ns && take_back_expired(ticket)) {
            return result();
        }
        if (deadline.passed()) {
            if (ended()) return result();  // by somebody who was quicker than we
            return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "receipt");
        }
        std::chrono::nanoseconds longest = deadline.left(slice.left(g_wait_slice));
        if (expires_ns != 0) {
            const std::uint64_t now_ns = sys::steady_ns();
            const std::uint64_t left_ns = expires_ns > now_ns ? expires_ns - now_ns : 0;
            // Over, and yet not withdrawn: a receiver has it, and may have it for long.
            if (left_ns > 0) longest = std::min(longest, std::chrono::nanoseconds{left_ns + 1});
        }
        if (waiting_ == Waiting::spin) {
            for (int i = 0; i < kAdaptiveSpins && !ended(); ++i) cpu_pause();
        } else {
            static_cast<void>(sleep_on_receipt(ticket, longest));
        }
        if (slice.passed()) {
            if (Result<void> looked = around.look(around.context); !looked) continue;
            slice = Deadline::after(g_wait_slice);
        }
    }
}

Result<Answer> PoolEngine::withdraw(const PoolTicket& ticket) {
    static_cast<void>(take_back(ticket, Outcome::withdrawn));
    return answer_of(ticket, settle(ticket));
}

}  // namespace stoa
