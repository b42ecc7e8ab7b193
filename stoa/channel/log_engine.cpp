#include "stoa/channel/log_engine.hpp"

#include "stoa/base/crash_point.hpp"
#include "stoa/channel/sliced_wait.hpp"

namespace stoa {
namespace {

constexpr int kMostArms = 16;

Error error_of(LogSend status) noexcept {
    switch (status) {
        case LogSend::full: return {.code = Errc::full, .step = "send"};
        case LogSend::too_big: return {.code = Errc::too_big, .step = "send"};
        case LogSend::ok:
        case LogSend::corrupt: break;
    }
    return {.code = Errc::corrupt, .step = "send"};
}

Error error_of(LogTake status) noexcept {
    switch (status) {
        case LogTake::too_small: return {.code = Errc::wrong_size, .step = "receive"};
        case LogTake::too_many_loans: return {.code = Errc::too_many_loans, .step = "receive"};
        case LogTake::empty: return {.code = Errc::empty, .step = "receive"};
        case LogTake::ok:
        case LogTake::corrupt: break;
    }
    return {.code = Errc::corrupt, .step = "receive"};
}

}  // namespace

// --- LogOut -----------------------------------------------------------------------------------

void LogOut::wake_slowly() noexcept {
    if (first_) {  // also for those who do not sleep: the number says that there is a new log
        first_ = false;
        ring_bell_for_all(*bell_);
        return;
    }
    ring_bell_slowly(*bell_, kWakeAll);
}

Result<void> LogOut::wait_for_room(std::uint64_t bytes, Deadline deadline) {
    const auto ready = [&] { return writer_.has_room(bytes, alignment_); };
    if (ready()) return {};
    if (deadline.passed()) {
        return fail(deadline.is_immediate() ? Errc::full : Errc::timed_out, "send");
    }
    const auto sleep = [&](std::chrono::nanoseconds wanted) {
        const LaneSleep place = writer_.mark_asleep();
        const std::chrono::nanoseconds limit = sleep_limit(wanted);
        if (!ready() && writer_.still_lacks()) {
            (void)sys::futex_wait(*place.word, place.expected, limit);
        }
        if (!armed_) writer_.mark_awake();
    };
    return wait_in_slices(deadline, waiting_, pauses_for(waiting_, kLaneUnknownCpu, bytes), around_,
                          WaitsFor::room, ready, sleep);
}

void LogOut::arm() noexcept {
    armed_ = true;
    static_cast<void>(writer_.mark_asleep());
    STOA_CRASH_POINT("log_engine.out.armed");
    reach_all_publishers();
}

void LogOut::disarm() noexcept {
    armed_ = false;
    writer_.mark_awake();
}

bool LogOut::is_writable(std::uint64_t bytes) noexcept {
    for (int turn = 0; turn < kMostArms; ++turn) {
        if (writer_.has_room(bytes, alignment_)) return true;
        if (!armed_ || writer_.still_lacks()) return false;
        arm();  // something else is missing by now
    }
    return true;  // the cursors jump about: let the send find that
}

Result<void> LogOut::send(Bytes message, Deadline deadline) {
    writer_.set_cpu(sys::current_cpu());
    for (;;) {
        const LogSend status = writer_.try_send(message, alignment_);
        if (status == LogSend::ok) [[likely]]
            break;
        wake_subscribers();  // pads may have been published
        if (status != LogSend::full) return std::unexpected(error_of(status));
        if (Result<void> waited = wait_for_room(message.size(), deadline); !waited) return waited;
    }
    wake_subscribers();
    return counts() ? Result<void>{} : fail(Errc::closed, "send");
}

// --- LogIn ------------------------------------------------------------------------------------

// Whoever gave its place up, and stopped before it gave up the cursor, stops nobody.
Result<LogClaim> LogIn::claim(LogSeats& seats, std::span<std::byte> memory) const {
    for (int turn = 0; turn < 1000; ++turn) {  // late enrolments of who left, at most
        const LogClaim claim = seats.claim(place_.index, place_.holder);
        if (claim != LogClaim::busy) return claim;
        if (!place_.is_given) break;
        const Result<bool> dropped =
            drop_log_subscriber(memory, place_.index, seats.holder(place_.index));
        if (!dropped) return std::unexpected(dropped.error());
    }
    return fail(Errc::in_use, "log.subscribe");
}

// A cursor that is ours before we claim it: its writer enrolled us before its first record.
Result<LogReader> LogIn::join(std::span<std::byte> memory) const {
    Result<LogSeats> seats = LogSeats::open(memory);
    if (!seats) return std::unexpected(seats.error());
    const Result<LogClaim> claim = this->claim(*seats, memory);
    if (!claim) return std::unexpected(claim.error());
    STOA_CRASH_POINT("log_engine.join.claimed");
    if (*claim == LogClaim::ours) {
        Result<LogReader> enrolled = LogReader::resume(memory, place_.index, publisher_fence());
        if (enrolled || enrolled.error().code != Errc::bad_argument) return enrolled;
    }
    return LogReader::subscribe(memory, place_.index, place_.mode,
                                is_in_ ? LogStart::oldest_kept : place_.start, publisher_fence());
}

Result<void> LogIn::attach_logs() {
    bell_seen_ = bell_->load(kSeqCst);  // first: a log that opens after this look rings it
    const std::uint32_t count = source_.count(source_.context);
    if (logs_.size() < count) logs_.resize(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        if (logs_[i] != nullptr) continue;
        const std::span<std::byte> memory = source_.memory(source_.context, i);
        if (memory.empty()) continue;  // its sender is still making it, and rings when it sends
        Result<LogReader> log = join(memory);
        if (!log) return std::unexpected(log.error());
        logs_[i] = std::make_unique<LogReader>(std::move(*log));
        wake_writer(*logs_[i]);
    }
    only_ = logs_.size() == 1 ? logs_.front().get() : nullptr;
    is_in_ = true;
    return {};
}

void LogIn::leave() noexcept {
    for (std::uint32_t i = 0; i < logs_.size(); ++i) {
        if (logs_[i] == nullptr) continue;
        logs_[i]->unsubscribe();
        STOA_CRASH_POINT("log_engine.leave.unsubscribed");
        const std::span<std::byte> memory = source_.memory(source_.context, i);
        if (Result<LogSeats> seats = LogSeats::open(memory); seats) {
            seats->give_up(place_.index, place_.holder);
        }
        wake_writer(*logs_[i]);
    }
    logs_.clear();
    only_ = nullptr;
}

bool LogIn::any_ready() noexcept {
    for (const auto& log : logs_) {
        if (log != nullptr && log->ready()) return true;
    }
    return false;
}

// Sets the bit, sends the barrier that the publishers leave out, looks again, sleeps.
void LogIn::sleep(std::chrono::nanoseconds wanted) noexcept {
    for (const auto& log : logs_) {
        if (log == nullptr) continue;
        log->free_now();
        wake_writer(*log);
    }
    const std::uint32_t seen = bell_->fetch_or(1, kSeqCst) | 1U;
    const std::chrono::nanoseconds limit = sleep_limit(wanted);
    if (!any_ready() && (seen ^ bell_seen_) <= 1) (void)sys::futex_wait(*bell_, seen, limit);
}

bool LogIn::is_readable() {
    if (rung() && !attach_logs()) return true;
    // Closed: there is a message, or it is over.
    return any_ready() || around_.closed(around_.context);
}

std::uint32_t LogIn::spin_pauses() noexcept {
    if (only_ == nullptr) return pauses_for(waiting_, kLaneUnknownCpu, 0);
    if (waiting_ != Waiting::park) back_off(only_->back_off_pauses());
    return pauses_for(waiting_, only_->writer_cpu(), only_->last_bytes());
}

void LogIn::arm() noexcept {
    for (const auto& log : logs_) {
        if (log == nullptr) continue;
        log->free_now();
        wake_writer(*log);
    }
    const std::uint32_t before = arm_bell(*bell_);
    if ((before ^ bell_seen_) <= 1) bell_seen_ = armed_bell(before);  // our own count: no new log
    reach_all_publishers();
}

Result<void> LogIn::wait_for_message(Deadline deadline) {
    // A bell that rang may have said that the mailbox is gone, or that there is a new log.
    if (Result<void> good = around_.check(around_.context); !good) return good;
    if (Result<void> attached = attach_logs(); !attached) return attached;
    if (any_ready()) return {};
    if (deadline.passed()) {
        return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "receive");
    }
    std::uint32_t pauses = pauses_for(waiting_, kLaneUnknownCpu, 0);
    if (only_ != nullptr) {
        // A reader that hangs on to the writer's line slows it down.
        if (waiting_ != Waiting::park) back_off(only_->back_off_pauses());
        pauses = pauses_for(waiting_, only_->writer_cpu(), only_->last_bytes());
    }
    return wait_in_slices(
        deadline, waiting_, pauses, around_, WaitsFor::message,
        [&] { return any_ready() || rung(); },
        [&](std::chrono::nanoseconds wanted) { sleep(wanted); });
}

Result<bool> LogIn::is_over() {
    reach_all_publishers();
    if (Result<void> attached = attach_logs(); !attached) return std::unexpected(attached.error());
    STOA_CRASH_POINT("log_engine.end.reached");
    bool over = true;
    for (std::uint32_t i = 0; i < logs_.size(); ++i) {
        if (logs_[i] == nullptr) continue;
        LogReader& log = *logs_[i];
        if (!log.ready() && source_.end(source_.context, i).ends_at(log.position())) continue;
        // What its writer counts on was published before.
        if (!log.ready()) return fail(Errc::corrupt, "receive");
        over = false;
    }
    return over;
}

template <typename Get>
Result<std::uint32_t> LogIn::from_any(Deadline deadline, Get&& get) {
    for (;;) {
        if (rung() || !is_in_) {
            if (Result<void> attached = attach_logs(); !attached) {
                return std::unexpected(attached.error());
            }
        }
        for (std::size_t n = 0; n < logs_.size(); ++n) {
            const std::uint32_t i = next_;
            next_ = next_ + 1 < logs_.size() ? next_ + 1 : 0;
            if (logs_[i] == nullptr) continue;
            const LogTake status = get(*logs_[i]);
            wake_writer(*logs_[i]);
            if (status == LogTake::ok) return i;
            if (status == LogTake::too_small) next_ = i;  // it stays first
            if (status != LogTake::empty) return std::unexpected(error_of(status));
        }
        if (Result<void> waited = wait_for_message(deadline); !waited) {
            return std::unexpected(waited.error());
        }
    }
}

Result<LogMessage> LogIn::take(Deadline deadline) {
    LogMessage message;
    const Result<std::uint32_t> log =
        from_any(deadline, [&](LogReader& reader) { return reader.try_take(message.record); });
    if (!log) return std::unexpected(log.error());
    message.log = *log;
    return message;
}

Result<LogCopied> LogIn::copy(std::span<std::byte> to, Deadline deadline) {
    LogCopied copied;
    const Result<std::uint32_t> log =
        from_any(deadline, [&](LogReader& reader) { return reader.try_copy(to, copied.message); });
    if (!log) return std::unexpected(log.error());
    copied.log = *log;
    return copied;
}

Result<bool> drop_log_subscriber(std::span<std::byte> log, std::uint32_t index,
                                 std::uint64_t dead) noexcept {
    Result<LogSeats> seats = LogSeats::open(log);
    if (!seats) return std::unexpected(seats.error());
    if (!seats->drop(index, dead)) return false;
    wake(seats->writer_bell(), kWakeAll);
    return true;
}

}  // namespace stoa
