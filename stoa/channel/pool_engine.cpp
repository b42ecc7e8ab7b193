#include "stoa/channel/pool_engine.hpp"

#include <cstring>

#include "stoa/base/crash_point.hpp"
#include "stoa/channel/wait_mark.hpp"

namespace stoa {
namespace {

std::unexpected<Error> corrupt() noexcept {
    return fail(Errc::corrupt, "mailbox");
}

}  // namespace

Result<void> PoolEngine::outcome(Waited waited) {
    switch (waited) {
        case Waited::ready: return {};
        case Waited::timed_out: return fail(Errc::timed_out, "wait");
        case Waited::stopped: return std::unexpected(stopped_);
    }
    return {};
}

Result<void> PoolEngine::look_if_due() {
    const std::chrono::nanoseconds now = sys::coarse_now();
    if (now - looked_at_ < g_wait_slice) [[likely]]
        return {};
    looked_at_ = now;
    return host_.around.look(host_.around.context);
}

bool PoolEngine::look_on(bool due, bool for_message) {
    const LookAround& around = host_.around;
    Result<void> looked = (due ? around.look : around.check)(around.context);
    if (looked && !for_message && around.closed(around.context)) {
        looked = fail(Errc::closed, "send");
    }
    if (!looked) stopped_ = looked.error();
    return looked.has_value();
}

Result<bool> PoolEngine::make_way(std::uint32_t level) {
    switch (policy_.overflow) {
        case Overflow::block:
        case Overflow::reject: return fail(Errc::full, "send");
        case Overflow::drop_newest: ring_.count_dropped_newest(); return false;
        case Overflow::drop_oldest: break;
    }
    const Result<bool> dropped = drop_one(level, still_);
    if (!dropped) return dropped;
    // Not: all that waits is of a higher priority, or the loans hold all the memory.
    *dropped ? ring_.count_dropped_oldest() : ring_.count_dropped_newest();
    return dropped;
}

Result<bool> PoolEngine::drop_one(std::uint32_t level, const OnlyWhile& still) noexcept {
    PoolLoan oldest;
    const PoolStatus status = ring_.take_lowest(me_, level, oldest, still);
    if (status == PoolStatus::corrupt) return corrupt();
    if (status != PoolStatus::ok) return false;
    ReceiptRef ref;
    if (asked(oldest, ref)) tell(ref, Outcome::dropped);
    ring_.release(oldest);
    return true;
}

// A chunk for the message. False: the message was dropped, and counted.
Result<bool> PoolEngine::reserve_or_drop(std::uint64_t bytes, std::uint32_t level,
                                         Deadline deadline, PoolLoan& loan) {
    const PoolGeometry& geometry = ring_.geometry();
    if (bytes > geometry.classes[geometry.class_count - 1].payload_bytes) {
        return fail(Errc::too_big, "send");
    }
    const auto length = static_cast<std::uint32_t>(bytes);
    if (ring_.claim(me_, length, loan) == PoolStatus::ok) [[likely]]
        return true;
    if (Result<void> looked = look_if_due(); !looked) return std::unexpected(looked.error());
    const auto claimed = [&] {
        const auto claims = [&] { return ring_.claim(me_, length, loan) == PoolStatus::ok; };
        return claims() || (expire_overdue() && claims());
    };
    if (policy_.overflow != Overflow::block) {
        while (!claimed()) {
            const Result<bool> way = make_way(level);
            if (!way || !*way) return way;
        }
        return true;
    }
    if (deadline.is_immediate()) {
        if (claimed()) return true;
        return fail(Errc::full, "send");
    }
    bool slept = false;
    const Result<void> waited = wait(*space_, deadline, slept, claimed);
    if (!waited) return std::unexpected(waited.error());
    return true;
}

Result<PoolLoan> PoolEngine::reserve(std::uint64_t bytes, Deadline deadline) {
    PoolLoan loan;
    const Result<bool> reserved = reserve_or_drop(bytes, kPoolMaxLevels - 1, deadline, loan);
    if (!reserved) return std::unexpected(reserved.error());
    if (!*reserved) return fail(Errc::full, "loan");
    loan.station = static_cast<std::uint16_t>(station_);
    return loan;
}

// The message is sent, or dropped and counted (false). On an error the loan is still held.
Result<bool> PoolEngine::publish(const PoolLoan& loan, const PoolSend& how, Deadline deadline,
                                 Position& at) {
    PoolStatus status = try_publish(loan, how, at);
    while (status == PoolStatus::full && policy_.overflow != Overflow::block) {
        if (!expire_overdue()) {
            const Result<bool> way = make_way(how.level);
            if (!way || !*way) return way;
        }
        status = try_publish(loan, how, at);
    }
    if (status == PoolStatus::full) {
        if (Result<void> looked = look_if_due(); !looked) return std::unexpected(looked.error());
        const auto published = [&] {
            status = try_publish(loan, how, at);
            if (status == PoolStatus::full && expire_overdue()) {
                status = try_publish(loan, how, at);
            }
            return status != PoolStatus::full;
        };
        if (deadline.is_immediate()) {
            if (!published()) return fail(Errc::full, "send");
        } else {
            bool slept = false;
            const Result<void> waited = wait(*space_, deadline, slept, published);
            if (!waited) return std::unexpected(waited.error());
        }
    }
    if (status == PoolStatus::sealed) return fail(Errc::closed, "send");
    if (status != PoolStatus::ok) return corrupt();
    ring_bell(*messages_);
    return true;
}

Result<void> PoolEngine::commit(PoolLoan& loan, std::uint32_t bytes, const SendOptions& options,
                                Deadline deadline) {
    if (options.priority >= ring_.geometry().level_count) [[unlikely]]
        return no_such_priority(ring_.geometry().level_count);
    if (policy_.rendezvous) return meet(loan, bytes, options, deadline);
    bool noted = false;
    if (!plain_ || options.time_to_live.count() != 0) {
        const Result<bool> filled = fill_note(loan, options, nullptr);
        if (!filled) return std::unexpected(filled.error());
        noted = *filled;
    }
    Position at;
    const Result<bool> sent =
        publish(loan, {.length = bytes, .level = options.priority, .noted = noted}, deadline, at);
    if (!sent) return std::unexpected(sent.error());
    if (!*sent) ring_.release(loan);
    return {};
}

Result<void> PoolEngine::send(Bytes message, const SendOptions& options, Deadline deadline) {
    PoolLoan loan;
    const Result<bool> reserved = reserve_or_drop(message.size(), options.priority, deadline, loan);
    if (!reserved) return std::unexpected(reserved.error());
    if (!*reserved) return {};
    if (!message.empty()) {
        std::memcpy(ring_.room(loan).data(), message.data(), message.size());
    }
    Result<void> sent = commit(loan, static_cast<std::uint32_t>(message.size()), options, deadline);
    if (!sent) release(loan);
    return sent;
}

Result<PoolClaim> PoolEngine::claim(Bytes message, const SendOptions& options) {
    const PoolGeometry& geometry = ring_.geometry();
    if (message.size() > geometry.classes[geometry.class_count - 1].payload_bytes) {
        return fail(Errc::too_big, "send");
    }
    PoolClaim claim;
    const auto length = static_cast<std::uint32_t>(message.size());
    const auto claims = [&] {
        return !is_full() && ring_.claim(me_, length, claim.loan) == PoolStatus::ok;
    };
    if (!claims() && !(expire_overdue() && claims())) return fail(Errc::full, "send");
    claim.loan.station = static_cast<std::uint16_t>(station_);
    if (length > 0) std::memcpy(ring_.room(claim.loan).data(), message.data(), length);
    const Result<bool> noted = fill_note(claim.loan, options, nullptr);
    if (!noted) {
        release(claim.loan);
        return std::unexpected(noted.error());
    }
    claim.how = {.length = length, .level = options.priority, .noted = *noted};
    return claim;
}

Result<void> PoolEngine::send_claimed(const PoolClaim& claim) {
    switch (ring_.publish(claim.loan, claim.how)) {
        case PoolStatus::ok: ring_bell(*messages_); return {};
        case PoolStatus::full: return fail(Errc::full, "send");
        case PoolStatus::sealed: return fail(Errc::closed, "send");
        default: return corrupt();
    }
}

// Nothing is left in the queues. Ok: something may still come back from another receiver.
Result<void> PoolEngine::stream_ended() noexcept {
    if (ring_.may_come_back(me_)) return {};
    return fail(Errc::end_of_stream, "receive");
}

Result<PoolLoan> PoolEngine::receive(Deadline deadline) {
    // Under load as well: the leases of the dead must not wait for a pause.
    if (Result<void> looked = look_if_due(); !looked) return std::unexpected(looked.error());
    PoolLoan loan;
    bool slept = false;
    const bool ages = ring_.geometry().ageing_ns != 0;
    for (;;) {
        const PoolStatus status = ring_.take(me_, loan, ages ? sys::steady_ns() : 0);
        if (status == PoolStatus::ok) [[likely]] {
            if (!loan.noted || arrived(loan)) [[likely]]
                break;
            continue;
        }
        if (status != PoolStatus::empty && status != PoolStatus::sealed) return corrupt();
        const auto closed = [&] { return host_.around.closed(host_.around.context); };
        const bool ending = closed();
        const bool drained = status == PoolStatus::sealed || (ending && ring_.seal());
        if (drained) {
            if (Result<void> more = stream_ended(); !more) return std::unexpected(more.error());
        }
        if (deadline.passed()) {
            return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "receive");
        }
        bool slept_now = false;
        const auto ready = [&] {
            if (drained) return ring_.flag_is_up();
            return !ring_.seems_empty() || (!ending && closed());  // to seal it
        };
        // Who waits for leases of others looks again after a slice: an ack rings no bell here.
        const Result<void> waited =
            wait(*messages_, ending ? deadline.sooner(g_wait_slice) : deadline, slept_now, ready);
        slept |= slept_now;
        if (!waited && waited.error().code != Errc::timed_out) {
            return std::unexpected(waited.error());
        }
        if (Result<void> looked = look_if_due(); !looked) return std::unexpected(looked.error());
    }
    ring_bell_of_many(*space_);                                // a slot is free
    if (slept && !ring_.seems_empty()) ring_bell(*messages_);  // pass the wake on
    loan.station = static_cast<std::uint16_t>(station_);
    return loan;
}

template <typename Take>
Result<PoolLoan> PoolEngine::take_now(Take&& take) {
    PoolLoan loan;
    for (;;) {
        const PoolStatus status = take(loan);
        if (status == PoolStatus::corrupt) return corrupt();
        if (status != PoolStatus::ok) return fail(Errc::empty, "receive");
        if (!loan.noted || arrived(loan)) break;
    }
    ring_bell_of_many(*space_);
    loan.station = static_cast<std::uint16_t>(station_);
    return loan;
}

Result<PoolLoan> PoolEngine::take_in(std::uint32_t level) {
    return take_now([&](PoolLoan& loan) { return ring_.take_in(me_, level, loan); });
}

Result<PoolLoan> PoolEngine::take_back() {
    return take_now([&](PoolLoan& loan) { return ring_.take_back(me_, loan); });
}

Result<PoolLoan> PoolEngine::take_dead_letter() {
    PoolLoan loan;
    if (ring_.take_dead_letter(me_, loan) != PoolStatus::ok) return fail(Errc::empty, "receive");
    loan.station = static_cast<std::uint16_t>(station_);
    return loan;
}

bool PoolEngine::release(const PoolLoan& loan) noexcept {
    if (loan.chunk == kNoChunk) return false;  // what it was lent for is over
    const bool released = ring_.release(loan);
    ring_bell_of_many(*space_);  // memory is free
    return released;
}

std::uint64_t PoolEngine::redrive(std::uint64_t most) noexcept {
    const std::uint64_t count = ring_.redrive(most);
    if (count > 0) ring_bell_for_all(*messages_);
    return count;
}

void PoolEngine::recover(const PoolDead& dead) noexcept {
    ring_.recover(dead);
    STOA_CRASH_POINT("pool_engine.recover.before_bells");
    wake_all();
}

void PoolEngine::wake_all() noexcept {
    ring_bell_for_all(*messages_);
    ring_bell_for_all(*letters_);
    ring_bell_for_all(*space_);
    if (!ring_.has_extras()) return;
    for (std::uint32_t i = 0; i < ring_.geometry().receipt_count; ++i) {
        const Atomic<std::uint64_t>& word = ring_.receipt(i).outcome;
        if (OutcomeWord::of(word.load(kSeqCst)).sleeping) wake(low_half(word), kWakeAll);
    }
}

}  // namespace stoa
