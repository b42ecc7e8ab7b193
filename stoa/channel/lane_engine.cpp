#include "stoa/channel/lane_engine.hpp"

#include <algorithm>
#include <cstring>

#include "stoa/base/crash_point.hpp"
#include "stoa/channel/sliced_wait.hpp"
#include "stoa/sync/wait_board.hpp"

namespace stoa {
namespace {

constexpr int kMostArms = 16;

Error error_of(LaneSend status) noexcept {
    switch (status) {
        case LaneSend::ok: break;
        case LaneSend::full: return {.code = Errc::full, .step = "send"};
        case LaneSend::too_big: return {.code = Errc::too_big, .step = "send"};
        case LaneSend::closed:  // no sender of ours ends a stream
        case LaneSend::corrupt: return {.code = Errc::corrupt, .step = "send"};
    }
    return {.code = Errc::corrupt, .step = "send"};
}

}  // namespace

LaneFence publisher_fence() noexcept {
    return sys::register_global_expedited() ? LaneFence::none : LaneFence::full;
}

void LaneOut::wake_slowly(const Atomic<std::uint32_t>* word) noexcept {
    first_ = false;
    quick_ = !loan_open_;
    Atomic<std::uint32_t>* const bell = bell_.of(bell_.context, bell_.lane);
    if (bell == nullptr) {
        if (word != nullptr) wake(*word, 1);
        return;
    }
    bell->fetch_add(1, kSeqCst);
    STOA_CRASH_POINT("lane_engine.wake.counted");
    wake(*bell, 1);
}

Result<void> LaneOut::wait_for_room(std::uint64_t bytes, Deadline deadline) {
    if (has_room(bytes)) return {};
    if (deadline.passed()) {
        return fail(deadline.is_immediate() ? Errc::full : Errc::timed_out, "send");
    }
    const auto ready = [&] { return has_room(bytes); };
    return wait_in_slices(deadline, waiting_, pauses_for(waiting_, sender_.receiver_cpu(), bytes),
                          around_, WaitsFor::room, ready,
                          [&](std::chrono::nanoseconds wanted) { sleep(bytes, wanted); });
}

// Sleeps on what is missing, and on that alone: the receiver wakes where the mark says.
void LaneOut::sleep(std::uint64_t bytes, std::chrono::nanoseconds wanted) noexcept {
    const bool for_place = !has_place();
    sender_.mark_asleep(for_place ? LaneSender::Await::delivery : LaneSender::Await::room);
    const std::chrono::nanoseconds limit = sleep_limit(wanted);
    if (for_place ? !has_place() : !sender_.has_room(bytes, alignment_)) {
        const LaneSleep where =
            for_place ? sender_.delivery_sleep(bound_.delivered_seen()) : sender_.room_sleep();
        (void)sys::futex_wait(*where.word, where.expected, limit);
    }
    // A wait set's mark stays: whoever answered to it has told the set.
    armed_for_place_ = for_place;
    if (!armed_) sender_.mark_awake();
}

void LaneOut::arm() noexcept {
    armed_ = true;
    armed_for_place_ = !has_place();
    sender_.mark_asleep(armed_for_place_ ? LaneSender::Await::delivery : LaneSender::Await::room);
    STOA_CRASH_POINT("lane_engine.out.armed");
    reach_all_publishers();
}

void LaneOut::disarm() noexcept {
    armed_ = false;
    sender_.mark_awake();
}

bool LaneOut::is_writable(std::uint64_t bytes) noexcept {
    for (int turn = 0; turn < kMostArms; ++turn) {
        if (has_room(bytes)) return true;
        if (!armed_ || armed_for_place_ == !has_place()) return false;
        arm();  // the other of the two is missing by now
    }
    return true;  // the receiver's words jump about: let the send find that
}

Result<void> LaneOut::send(Bytes message, Deadline deadline) {
    if (loan_open_) return fail(Errc::too_many_loans, "send");
    sender_.set_cpu(sys::current_cpu());
    for (;;) {
        const LaneSend status =
            has_place() ? sender_.try_send(message, alignment_) : LaneSend::full;
        if (status == LaneSend::ok) [[likely]]
            break;
        wake_receiver();  // pads may have been published
        if (status != LaneSend::full) return std::unexpected(error_of(status));
        if (Result<void> waited = wait_for_room(message.size(), deadline); !waited) return waited;
    }
    bound_.sent(sender_.position());
    wake_receiver();
    return counts() ? Result<void>{} : fail(Errc::closed, "send");
}

Result<std::span<std::byte>> LaneOut::reserve(std::uint64_t bytes, Deadline deadline) {
    if (loan_open_) return fail(Errc::too_many_loans, "reserve");
    std::span<std::byte> room;
    for (;;) {
        const LaneSend status =
            has_place() ? sender_.try_reserve(bytes, room, alignment_) : LaneSend::full;
        if (status == LaneSend::ok) [[likely]]
            break;
        wake_receiver();
        if (status != LaneSend::full) return std::unexpected(error_of(status));
        if (Result<void> waited = wait_for_room(bytes, deadline); !waited) {
            return std::unexpected(waited.error());
        }
    }
    open_loan();
    return room;
}

Result<void> LaneIn::attach_lanes() {
    // The bell first: a lane that opens after this look rings it.
    if (bell_ != nullptr) bell_seen_ = bell_->load(kSeqCst);
    const std::uint32_t count = source_.count(source_.context);
    if (lanes_.size() < count) {
        lanes_.resize(count);
        ended_.resize(count);
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        if (lanes_[i] != nullptr) continue;
        const std::span<std::byte> memory = source_.memory(source_.context, i);
        if (memory.empty()) {
            if (bell_ == nullptr) return fail(Errc::corrupt, "lane");  // it is there from the start
            continue;  // its sender is still making it, and rings when it sends
        }
        Result<LaneReceiver> lane = LaneReceiver::attach(memory, publisher_fence());
        if (!lane) return std::unexpected(lane.error());
        lanes_[i] = std::make_unique<LaneReceiver>(std::move(*lane));
        // Not marked yet: our own watch is told, and the set looks again before it sleeps.
        if (armed_) ring_watchers(memory.data());
        ended_[i] = source_.end(source_.context, i).is_over(lanes_[i]->position());
        wake_sender(*lanes_[i]);
    }
    open_short_ways();
    return {};
}

void LaneIn::open_short_ways() {
    known_.clear();
    for (std::uint32_t i = 0; i < lanes_.size(); ++i) {
        if (lanes_[i] != nullptr && !ended_[i]) known_.push_back(i);
    }
    const bool marks =
        std::ranges::any_of(handed_over_, [](const HandedOver& lane) { return lane.marked; });
    quick_ = known_.size() > 1 && !marks;
    only_at_ = known_.empty() ? 0 : known_.front();
    only_ = known_.size() == 1 && !marks ? lanes_[only_at_].get() : nullptr;
    turn_ = 0;
}

void LaneIn::wake_sender_slowly(LaneReceiver& lane, const Atomic<std::uint32_t>& word) noexcept {
    if (wake(word, 1) > 0) lane.sleeper_woke();
}

bool LaneIn::any_ready() noexcept {
    for (const std::uint32_t i : known_) {
        if (lanes_[i]->ready()) return true;
    }
    return false;
}

// After a long streak in one of the lanes. True: there is something by now.
bool LaneIn::back_off_from_all() noexcept {
    std::uint32_t pauses = 0;
    for (const std::uint32_t i : known_) pauses = std::max(pauses, lanes_[i]->back_off_pauses());
    if (pauses == 0) return false;
    back_off(pauses);
    return any_ready();
}

void LaneIn::mark_asleep() noexcept {
    for (const auto& lane : lanes_) {
        if (lane == nullptr) continue;
        lane->mark_asleep();
        wake_sender(*lane);
    }
}

void LaneIn::mark_awake() noexcept {
    for (const auto& lane : lanes_) {
        if (lane != nullptr) lane->mark_awake();
    }
}

// A wait set's marks stay, but they are other ones by now: a sender that had looked at the last one
// and finds this one rings for neither. What it sent was seen before we slept, yet we take one
// message, and the set must know that there may be more.
void LaneIn::wait_ends() noexcept {
    if (armed_) {
        ring_watchers(source_.memory(source_.context, known_.empty() ? 0 : known_.front()).data());
    } else {
        mark_awake();
    }
}

Result<void> LaneIn::wait_for_message(Deadline deadline) {
    if (bell_ == nullptr) wake_sender(*lanes_.front());  // the short way may have freed room
    if (bell_ != nullptr) {
        // A bell that rang may have said that the mailbox is gone.
        if (Result<void> good = around_.check(around_.context); !good) return good;
        if (Result<void> attached = attach_lanes(); !attached) return attached;
        if (any_ready()) return {};
    }
    const auto closed = [&] { return around_.closed(around_.context); };
    const auto more = [&] { return source_.more != nullptr && source_.more(source_.context); };
    if (!deadline.is_immediate() && more()) return {};
    if (closed()) return look_at_the_end();
    const std::uint32_t seen = bell_seen_;
    if (deadline.passed()) {
        return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "receive");
    }
    LaneReceiver* const one = bell_ == nullptr ? lanes_.front().get() : nullptr;
    const auto ready = [&] {
        if (one != nullptr) return one->ready() || closed();
        return any_ready() || bell_->load(kSeqCst) != seen || more();
    };
    const auto sleep = [&](std::chrono::nanoseconds wanted) {
        STOA_CRASH_POINT("lane_engine.in.before_mark");
        mark_asleep();
        const std::chrono::nanoseconds limit = sleep_limit(wanted);
        if (!ready()) {
            if (bell_ != nullptr) {
                (void)sys::futex_wait(*bell_, seen, limit);
            } else {
                const LaneSleep place = one->ready_sleep();
                (void)sys::futex_wait(*place.word, place.expected, limit);
            }
        }
        wait_ends();
    };
    std::uint32_t pauses = pauses_for(waiting_, kLaneUnknownCpu, 0);
    // A reader that hangs on to the sender's line slows it down.
    if (one == nullptr && waiting_ != Waiting::park && back_off_from_all()) return {};
    if (one != nullptr) {
        if (waiting_ != Waiting::park) back_off(one->back_off_pauses());
        if (one->ready()) return {};
        one->set_cpu(sys::current_cpu());
        pauses = pauses_for(waiting_, one->sender_cpu(), one->last_bytes());
    }
    if (Result<void> waited =
            wait_in_slices(deadline, waiting_, pauses, around_, WaitsFor::message, ready, sleep);
        !waited) {
        return waited;
    }
    return closed() && !more() ? look_at_the_end() : Result<void>{};
}

bool LaneIn::is_readable(bool (*over)(void* context)) {
    const bool is_new = rung();
    if (is_new && !attach_lanes()) return true;
    if (is_new && armed_) arm();  // a lane more
    if (any_ready() || (source_.more != nullptr && source_.more(source_.context))) return true;
    if (!around_.closed(around_.context)) return false;
    const Result<void> ended = look_at_the_end();
    if (ended || ended.error().code != Errc::end_of_stream) return true;
    return over == nullptr || over(source_.context);
}

std::uint32_t LaneIn::spin_pauses() noexcept {
    if (bell_ != nullptr) {
        if (waiting_ != Waiting::park) static_cast<void>(back_off_from_all());
        return pauses_for(waiting_, kLaneUnknownCpu, 0);
    }
    LaneReceiver& one = *lanes_.front();
    if (waiting_ != Waiting::park) back_off(one.back_off_pauses());
    one.set_cpu(sys::current_cpu());
    return pauses_for(waiting_, one.sender_cpu(), one.last_bytes());
}

void LaneIn::arm() noexcept {
    armed_ = true;
    mark_asleep();
    STOA_CRASH_POINT("lane_engine.in.armed");
    reach_all_publishers();
}

void LaneIn::disarm() noexcept {
    armed_ = false;
    mark_awake();
}

// It is closed, so what was sent before is there, also in a lane that was opened since we looked.
Result<void> LaneIn::look_at_the_end() {
    if (bell_ != nullptr) {
        if (Result<void> attached = attach_lanes(); !attached) return attached;
    }
    if (any_ready()) return {};
    if (known_.empty()) return fail(Errc::end_of_stream, "receive");
    reach_all_publishers();
    STOA_CRASH_POINT("lane_engine.end.reached");
    for (const std::uint32_t i : known_) {
        LaneReceiver& lane = *lanes_[i];
        if (lane.ready()) continue;
        ended_[i] = source_.end(source_.context, i).ends_at(lane.position());
        // What its sender counts on was published before.
        if (!ended_[i] && !lane.ready()) return fail(Errc::corrupt, "receive");
    }
    open_short_ways();
    return known_.empty() ? fail(Errc::end_of_stream, "receive") : Result<void>{};
}

// A lane that was handed over gave nothing, and who sent on it has let go of it: what comes there
// now is not out of order. Where nobody sends, it leads to nobody from now on: the next sender that
// needs one, to whomever, takes it.
void LaneIn::drained(std::uint32_t lane, HandedOver& from) {
    if (source_.sender(source_.context, lane) == 0) {
        if (lanes_[lane]->loans() > 0) return;
        if (source_.let_go(source_.context, lane)) lanes_[lane].reset();
    }
    from.marked = false;
    open_short_ways();
}

Result<LaneMessage> LaneIn::take(Deadline deadline) {
    for (;;) {
        if (rung()) {
            if (Result<void> attached = attach_lanes(); !attached) {
                return std::unexpected(attached.error());
            }
        }
        for (std::size_t n = 0; n < lanes_.size(); ++n) {
            const std::uint32_t i = next_;
            next_ = next_ + 1 < lanes_.size() ? next_ + 1 : 0;
            if (lanes_[i] == nullptr || ended_[i]) continue;
            LaneReceiver& lane = *lanes_[i];
            LaneMessage message{.lane = i, .record = {}};
            HandedOver* const from = i < handed_over_.size() ? &handed_over_[i] : nullptr;
            const bool marked = from != nullptr && from->marked;
            // Before the take: once its sender has let go, an empty lane holds nothing of it.
            const bool last =
                marked && (from->sender == 0 || source_.sender(source_.context, i) != from->sender);
            const LaneTake status = lane.try_take(message.record);
            wake_sender(lane);
            switch (status) {
                case LaneTake::ok: message.handed_over = marked; return message;
                case LaneTake::empty:
                    if (last) drained(i, *from);
                    continue;
                case LaneTake::too_many_loans: return fail(Errc::too_many_loans, "receive");
                case LaneTake::end_of_stream:  // no sender of ours ends one
                case LaneTake::wrong_size:
                case LaneTake::corrupt: return fail(Errc::corrupt, "receive");
            }
        }
        if (Result<void> waited = wait_for_message(deadline); !waited) {
            return std::unexpected(waited.error());
        }
    }
}

}  // namespace stoa
