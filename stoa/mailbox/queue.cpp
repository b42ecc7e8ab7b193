#include "stoa/mailbox/queue.hpp"

#include <algorithm>
#include <bit>

#include "stoa/base/crash_point.hpp"
#include "stoa/mailbox/attachment.hpp"

namespace stoa {
namespace {

// So often a receiver that works through a backlog looks for redeliveries in all of it.
constexpr std::uint32_t kTakesPerLook = 64;
// publish() and take() are lock-free: so many turns in a row only in memory scribbled over.
constexpr int kMostTurns = 1 << 16;

std::unexpected<Error> no_receipts() noexcept {
    return fail(Errc::not_supported, "send_with_receipt (create the mailbox with receipts)");
}

bool means_further(const Error& error) noexcept {
    return error.code == Errc::full || error.code == Errc::closed;
}

}  // namespace

Queue::Queue(Attachment& at, std::uint32_t station, PoolEngine* one, bool own)
    : at_{at}, station_{station}, one_{one}, pin_{own ? Pin::in : Pin::hand} {
    if (one == nullptr) passed_.resize(at.plan().priorities);
}

// --- sending ------------------------------------------------------------------------------------

// The ring to send to, kept until this handle sends to another one.
Result<PoolEngine*> Queue::last() {
    Segments& segments = at_.segments();
    for (int turn = 0; turn < kMostTurns; ++turn) {
        if (!segments.is_last(station_, out_)) {
            const std::optional<Segment> last = segments.last(station_);
            if (!last) break;
            // Put there after the end, it is for nobody: receivers may have gone.
            if (at_.region().closed()) return fail(Errc::closed, "send");
            STOA_CRASH_POINT("mailbox.queue.further");
            out_ = *last;
        }
        if (!segments.hold(Pin::out, out_)) {  // it was, and went on since
            out_ = {};
            continue;
        }
        return at_.engine_of(station_, out_);
    }
    return fail(Errc::corrupt, "mailbox");
}

template <typename Attempt>
std::invoke_result_t<Attempt&, PoolEngine&> Queue::at_the_end(Attempt&& attempt) {
    for (int turn = 0; turn < kMostTurns; ++turn) {
        const Result<PoolEngine*> last = this->last();
        if (!last) return std::unexpected(last.error());
        auto done = attempt(**last);
        if (done || !means_further(done.error())) return done;
        if (at_.region().closed()) return fail(Errc::closed, "send");
        if (Result<void> grown = at_.segments().grow(station_, out_); !grown) {
            if (!expire_in_chain()) return std::unexpected(grown.error());
        }
    }
    return fail(Errc::corrupt, "mailbox");
}

// The quota is reached: what is overdue goes, and rings that are empty then. True: something went.
bool Queue::expire_in_chain() {
    refresh();
    Segments& segments = at_.segments();
    bool gone = false;
    for (const Segment& segment : known_) {
        if (!segments.is_held(segment) && !segments.hold(Pin::hand, segment)) continue;
        const Result<PoolEngine*> engine = at_.engine_of(station_, segment);
        if (!engine) continue;
        gone |= (*engine)->expire_overdue();
        // As a receiver that goes past it does.
        if (!segments.is_last(station_, segment)) static_cast<void>((*engine)->ring().seal());
    }
    segments.let_go(Pin::hand);
    for (const Segment& old : known_) gone |= segments.retire(station_, old);
    return gone;
}

Result<void> Queue::send_to_chain(Bytes message, const SendOptions& options) {
    if (options.time_to_live.count() != 0 && !at_.plan().extras_at_once()) {
        return at_.refuse(options);
    }
    return at_the_end(
        [&](PoolEngine& ring) { return ring.send(message, options, Deadline::immediately()); });
}

Result<PoolTicket> Queue::send_with_receipt(Bytes message, const SendOptions& options,
                                            Deadline deadline) {
    if (one_ != nullptr) return one_->send_with_receipt(message, options, deadline);
    if (!at_.plan().extras_at_once()) return no_receipts();
    return at_the_end([&](PoolEngine& ring) {
        return ring.send_with_receipt(message, options, Deadline::immediately());
    });
}

Result<PoolLoan> Queue::reserve(std::uint64_t bytes, Deadline deadline) {
    if (one_ != nullptr) return one_->reserve(bytes, deadline);
    return at_the_end(
        [&](PoolEngine& ring) { return ring.reserve(bytes, Deadline::immediately()); });
}

Result<void> Queue::commit(PoolLoan& loan, std::uint32_t bytes, const SendOptions& options,
                           Deadline deadline) {
    if (one_ != nullptr) return one_->commit(loan, bytes, options, deadline);
    if (options.time_to_live.count() != 0 && !at_.plan().extras_at_once()) {
        return at_.refuse(options);
    }
    PoolEngine& ring = at_.pool(loan.station);
    if (out_.position != 0 && loan.station == out_.slot && at_.segments().is_held(out_)) {
        Result<void> sent = ring.commit(loan, bytes, options, Deadline::immediately());
        if (sent || !means_further(sent.error())) return sent;
    }
    // This sender has sent further on already, or it is full: in its order it goes there.
    Result<void> sent = send_to_chain(ring.room(loan).first(bytes), options);
    if (sent) static_cast<void>(at_.release(loan));
    return sent;
}

Result<PoolClaim> Queue::claim(Bytes message, const SendOptions& options) {
    if (one_ != nullptr) return one_->claim(message, options);
    return at_the_end([&](PoolEngine& ring) { return ring.claim(message, options); });
}

Result<void> Queue::send_claimed(const PoolClaim& claim) {
    if (one_ != nullptr) return one_->send_claimed(claim);
    // What is claimed there keeps the segment; once sent it may be taken, and the segment go, while
    // its sender is still at it.
    Segments& segments = at_.segments();
    const std::uint32_t slot = claim.loan.station;
    if (!segments.hold(Pin::out, {.slot = slot, .generation = segments.generation_of(slot)})) {
        return fail(Errc::corrupt, "mailbox");
    }
    Result<void> sent = at_.pool(slot).send_claimed(claim);
    if (sent || !means_further(sent.error()) || at_.region().closed()) return sent;
    return fail(Errc::full, "send");
}

Result<bool> Queue::drop_in_last(std::uint32_t level, const OnlyWhile& still) {
    const Result<PoolEngine*> last = this->last();
    if (!last) return std::unexpected(last.error());
    return (*last)->drop_one(level, still);
}

// --- receiving ----------------------------------------------------------------------------------

// Learns of rings that were put behind those it knows, forgets those that went.
void Queue::refresh() {
    Segments& segments = at_.segments();
    if (!known_.empty() && segments.is_last(station_, known_.back())) [[likely]]
        return;
    std::erase_if(known_, [&](const Segment& old) { return !segments.is_there(old); });
    const std::optional<Segment> last = segments.last(station_);
    const std::uint64_t newest = known_.empty() ? 0 : known_.back().position;
    if (last && last->position > newest) segments.list(station_, newest, known_);
}

// Whether visit(engine) is true for one of the known rings, each kept meanwhile.
template <typename Visit>
bool Queue::any_of(Visit&& visit) {
    Segments& segments = at_.segments();
    bool found = false;
    for (std::size_t k = 0; k < known_.size() && !found; ++k) {
        if (!segments.is_held(known_[k]) && !segments.hold(Pin::hand, known_[k])) continue;
        const Result<PoolEngine*> engine = at_.engine_of(station_, known_[k]);
        found = engine && visit(**engine);
    }
    segments.let_go(Pin::hand);
    return found;
}

Result<PoolLoan> Queue::take_back() {
    Result<PoolLoan> loan = fail(Errc::empty, "receive");
    any_of([&](PoolEngine& engine) {
        if (engine.ring().flag_is_up()) loan = engine.take_back();
        return loan || loan.error().code != Errc::empty;
    });
    return loan;
}

// The oldest message of one priority. What is found empty on the way, and is not the last, is
// sealed: nothing comes there any more, so that later ones may be taken.
Result<PoolLoan> Queue::take_in(std::uint32_t level) {
    Segments& segments = at_.segments();
    for (std::size_t k = 0; k < known_.size(); ++k) {
        if (known_[k].position <= passed_[level]) continue;
        if (!segments.hold(pin_, known_[k])) continue;  // it was sealed and empty
        const Result<PoolEngine*> engine = at_.engine_of(station_, known_[k]);
        if (!engine) return std::unexpected(engine.error());
        const bool last = segments.is_last(station_, known_[k]);
        for (int turn = 0;; ++turn) {
            Result<PoolLoan> loan = (*engine)->take_in(level);
            if (loan || loan.error().code != Errc::empty) return loan;
            if (last || turn == kMostTurns) return loan;
            if ((*engine)->ring().seal(level)) break;
            // What is to be delivered again lies where the next message would come.
            if ((*engine)->ring().is_blocked(level)) return (*engine)->take_back();
        }
        STOA_CRASH_POINT("mailbox.queue.sealed");
        passed_[level] = known_[k].position;
    }
    return fail(Errc::empty, "receive");
}

// The priority whose next message comes first, of a set that is not empty.
std::uint32_t Queue::best_of(std::uint32_t levels) {
    const std::uint32_t highest = static_cast<std::uint32_t>(std::bit_width(levels)) - 1;
    if (at_.plan().ageing_ns == 0) return highest;
    const std::uint64_t now_ns = sys::steady_ns();
    std::uint64_t best_rank = 0;
    std::uint32_t best = highest;
    for (std::uint32_t left = levels; left != 0; left &= left - 1) {
        const auto level = static_cast<std::uint32_t>(std::countr_zero(left));
        const auto oldest = std::ranges::find_if(
            known_, [&](const Segment& s) { return s.position > passed_[level]; });
        if (oldest == known_.end() || !at_.segments().hold(pin_, *oldest)) continue;
        const Result<PoolEngine*> engine = at_.engine_of(station_, *oldest);
        const std::uint64_t rank = engine ? (*engine)->ring().rank(level, now_ns) : 0;
        if (rank < best_rank) continue;
        best_rank = rank;
        best = level;
    }
    return best;
}

// Empty is the chain only if the one that was found so is still the last.
Result<PoolLoan> Queue::take_now() {
    for (int turn = 0;; ++turn) {
        Result<PoolLoan> loan = look_for_one();
        if (loan || (loan.error().code != Errc::empty && loan.error().code != Errc::end_of_stream))
            return loan;
        STOA_CRASH_POINT("mailbox.queue.found_empty");
        const Segment newest = known_.empty() ? Segment{} : known_.back();
        if (turn == kMostTurns || at_.segments().is_last(station_, newest)) return loan;
    }
}

Result<PoolLoan> Queue::look_for_one() {
    refresh();
    if (known_.size() == 1 && at_.segments().hold(pin_, known_.front())) [[likely]] {
        const Result<PoolEngine*> engine = at_.engine_of(station_, known_.front());
        if (!engine) return std::unexpected(engine.error());
        return (*engine)->receive(Deadline::immediately());
    }
    if (Result<void> looked = at_.look_if_due(); !looked) return std::unexpected(looked.error());
    Result<PoolLoan> loan = take_from_several();
    leave_behind();
    return loan;
}

Result<PoolLoan> Queue::take_from_several() {
    if (++takes_ >= kTakesPerLook) {
        takes_ = 0;
        std::erase_if(known_, [&](const Segment& old) { return !at_.segments().is_there(old); });
        if (Result<PoolLoan> again = take_back(); again) return again;
    }
    std::uint32_t levels = static_cast<std::uint32_t>((1ULL << at_.plan().priorities) - 1);
    while (levels != 0) {
        const std::uint32_t level = best_of(levels);
        Result<PoolLoan> loan = take_in(level);
        if (loan || loan.error().code != Errc::empty) return loan;
        levels &= ~(1U << level);
    }
    return take_back();
}

// Rings that this handle has left are given back, unless others still need them: then by those.
void Queue::leave_behind() {
    const std::uint64_t done = *std::ranges::min_element(passed_);
    if (done == left_) [[likely]]
        return;
    left_ = done;
    std::erase_if(known_, [&](const Segment& old) {
        return old.position <= done &&
               (at_.segments().retire(station_, old) || !at_.segments().is_there(old));
    });
}

Result<PoolLoan> Queue::receive_from_chain(Deadline deadline) {
    bool waited_once = false;
    for (;;) {
        const bool ending = at_.region().closed();
        Result<PoolLoan> loan = take_now();
        if (pin_ == Pin::hand) at_.segments().let_go(pin_);
        if (loan) {
            // The wake is passed on: several messages may have come with it.
            if (waited_once && has_messages()) ring_bell(at_.bells(station_).messages);
            return loan;
        }
        const Errc code = loan.error().code;
        if (code != Errc::empty && code != Errc::end_of_stream) return loan;
        if (ending && is_drained()) return fail(Errc::end_of_stream, "receive");
        if (deadline.passed()) {
            return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "receive");
        }
        const auto ready = [&] { return has_messages() || (!ending && at_.region().closed()); };
        // Who waits for leases of others looks again after a slice: an ack rings no bell here.
        const Result<void> waited =
            wait_for_message(ending ? deadline.sooner(g_wait_slice) : deadline, ready);
        waited_once = true;
        if (!waited && waited.error().code != Errc::timed_out) {
            return std::unexpected(waited.error());
        }
    }
}

// --- looking ------------------------------------------------------------------------------------

PoolEngine* Queue::waiter() {
    if (one_ != nullptr) return one_;
    for (int turn = 0; turn < kMostTurns; ++turn) {
        refresh();
        if (known_.empty() || !at_.segments().hold(pin_, known_.back())) continue;
        const Result<PoolEngine*> engine = at_.engine_of(station_, known_.back());
        return engine ? *engine : nullptr;
    }
    return nullptr;
}

bool Queue::has_messages() {
    if (one_ != nullptr) return one_->ring().has_messages();
    refresh();
    return any_of([](PoolEngine& engine) { return engine.ring().has_messages(); });
}

// What others still lease of a closed mailbox may come back, or be acked, which rings no bell: that
// is looked for once in a slice.
bool Queue::is_readable() {
    return has_messages() || (at_.region().closed() && is_drained());
}

bool Queue::is_worth_a_look() {
    return one_ != nullptr ? !one_->ring().seems_empty() : has_messages();
}

std::uint64_t Queue::depth() {
    if (one_ != nullptr) return one_->ring().depth();
    std::uint64_t sum = 0;
    refresh();
    any_of([&](PoolEngine& engine) {
        sum += engine.ring().depth();
        return false;
    });
    return sum;
}

bool Queue::is_drained() {
    // Sealed: else a sender that stopped would find a queue that nobody looks at any more.
    const auto goes_on = [&](PoolEngine& engine) {
        return !engine.ring().seal() || engine.ring().may_come_back(at_.index());
    };
    if (one_ != nullptr) return !goes_on(*one_);
    refresh();
    // Ended: else a sender that stopped while it made the next one would put it there afterwards.
    return !any_of(goes_on) && (known_.empty() || at_.segments().end(station_, known_.back()));
}

std::uint64_t Queue::dropped_oldest() const noexcept {
    return one_ != nullptr ? one_->ring().counts_dropped_oldest()
                           : at_.dropped(station_).load(kRelaxed);
}

// What a subscriber that went left there is nobody's: the next one begins from now.
void Queue::empty() noexcept {
    constexpr std::uint64_t kMost = 1ULL << 24U;
    for (std::uint64_t n = 0; n < kMost; ++n) {
        const Result<PoolLoan> old = receive(Deadline::immediately());
        if (!old) break;
        static_cast<void>(at_.release(*old));
    }
}

}  // namespace stoa
