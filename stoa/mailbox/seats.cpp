#include "stoa/base/crash_point.hpp"
#include "stoa/mailbox/attachment.hpp"

// Who holds which role of a mailbox. A seat is one word, taken by CAS from 0; see attachment.cpp.
namespace stoa {

// False: somebody else holds it.
bool Attachment::take_seat(Atomic<std::uint64_t>& seat) noexcept {
    std::uint64_t nobody = 0;
    const std::uint64_t mine = holder_word() | (latest_ ? kLatest : 0);
    return seat.compare_exchange_strong(nobody, mine, kSeqCst);
}

// "orders (pid 17)", of whoever holds that seat.
std::string Attachment::holder_of_seat(std::uint32_t seat) const {
    const std::uint32_t index = holder_index(station(seat).seat.load(kSeqCst));
    Participant holder;
    if (index >= region_.participants().places() || !region_.participants().look(index, holder)) {
        return "somebody";
    }
    return holder.name + " (pid " + std::to_string(holder.identity.pid) + ")";
}

// Whether the holder of that seat does one thing only, and the same as we: what the one sends the
// other never reads.
bool Attachment::faces_its_like(std::uint32_t seat) const noexcept {
    const std::uint64_t holder = station(seat).seat.load(kSeqCst);
    const std::uint32_t index = holder_index(holder);
    if (role_ == Role::both || holder == 0 || index >= region_.participants().places())
        return false;
    const ParticipantRecord& other = region_.participants().record(index);
    return other.role.load(kRelaxed) == static_cast<std::uint32_t>(role_);
}

void Attachment::sit_down(std::uint32_t seat, Role role) noexcept {
    seat_ = seat;
    role_ = role;
    record_->seat.store(seat, kRelaxed);
    record_->role.store(static_cast<std::uint32_t>(role), kRelaxed);
    queues_.clear();  // which of them is ours was not known yet: it is the one that pins for long
}

// Seat 0 sends, seat 1 receives; one that may do both takes what is free.
Result<void> Attachment::take_one_way_seat() {
    if (has(role_, Role::sends) && take_seat(station(0).seat)) {
        sit_down(0, Role::sends);
        return {};
    }
    if (has(role_, Role::receives) && take_seat(station(1).seat)) {
        sit_down(1, Role::receives);
        return {};
    }
    return fail(Errc::in_use, step_text("open (one way: %s sends, %s receives)",
                                        holder_of_seat(0).c_str(), holder_of_seat(1).c_str()));
}

Result<void> Attachment::take_pair_seat() {
    if (wanted_seat_ != kAnySeat) {  // a link: who sits where is told by its names
        if (!take_seat(station(wanted_seat_).seat)) {
            return fail(Errc::in_use,
                        step_text("open (%s sits there)", holder_of_seat(wanted_seat_).c_str()));
        }
        sit_down(wanted_seat_, role_);
        return {};
    }
    if (plan_.one_way) return take_one_way_seat();
    // One that only receives sits opposite to one that only sends, also when they come and go.
    const std::uint32_t first = role_ == Role::receives ? 1 : 0;
    for (const std::uint32_t seat : {first, 1 - first}) {
        if (seat != first && faces_its_like(first)) {
            return fail(Errc::in_use, "open (two that only send, or only receive, are no pair)");
        }
        if (!take_seat(station(seat).seat)) continue;
        sit_down(seat, role_);
        return {};
    }
    return fail(Errc::in_use, step_text("open (a pair has two: %s and %s)",
                                        holder_of_seat(0).c_str(), holder_of_seat(1).c_str()));
}

// Of a link that carries no messages: whether a send that waits to be met waits in vain. What lies
// on the way to us is a send of the peer that waits for us, and nobody else could take it. Each of
// the two puts its message there before it looks for the other's, so one of them sees it.
Result<void> Attachment::hinders_meeting() {
    if (link_watch_.look == nullptr) return {};
    if (link_ended_) return std::unexpected(*link_ended_);
    link_watch_.published(link_watch_.context);
    if (!plan_.one_way && in_->has_messages()) {
        return fail(Errc::deadlock, "send (the other process waits in a send to this one)");
    }
    return {};
}

Result<void> Attachment::look_if_due() {
    const std::chrono::nanoseconds now = sys::coarse_now();
    if (now - looked_at_ < g_wait_slice) [[likely]]
        return {};
    looked_at_ = now;
    return look_around();
}

// Of what asks for nothing here: refused, so that nobody relies on it.
Result<void> check_words(const MailboxPlan& plan, const OpenOptions& how, Role role) noexcept {
    const auto refuse = [](const char* why) { return fail(Errc::bad_argument, why); };
    const bool receives = has(role, Role::receives);
    const bool subscribes = receives && plan.sharing == Sharing::broadcast;
    if (how.stand_by && (!receives || plan.sharing != Sharing::single_receiver || plan.by_turns)) {
        return refuse("stand_by (only for who receives from a single_receiver, not by turns)");
    }
    if (how.latest && !subscribes) return refuse("latest (only for a subscriber of a broadcast)");
    if (how.from_oldest && !(subscribes && plan.logged())) {
        return refuse("from_oldest (only for a subscriber of a broadcast that logs carry)");
    }
    return {};
}

Result<void> Attachment::take_roles() {
    if (role_ == Role::none) return {};
    if (latest_ && plan_.acknowledged) {
        return fail(Errc::bad_argument, "open (latest with ack: what is skipped is never acked)");
    }
    if (plan_.sharing == Sharing::pair) return take_pair_seat();
    if (plan_.routed()) return has(role_, Role::receives) ? take_station() : Result<void>{};
    if (plan_.sharing != Sharing::single_receiver || !has(role_, Role::receives)) return {};
    if (plan_.by_turns || take_seat(station(0).seat)) return {};
    if (stands_by_) {
        waits_for_seat_ = true;
        return {};
    }
    // A handle that may do both goes on as a sender; one that only receives is refused.
    if (role_ == Role::receives) {
        return fail(Errc::in_use,
                    step_text("open (%s receives; stand by, or wait)", holder_of_seat(0).c_str()));
    }
    sit_down(0, Role::sends);
    return {};
}

// A place for one more receiver, with what may still wait there.
Result<void> Attachment::take_station() {
    for (std::uint32_t i = 0; i < plan_.station_count; ++i) {
        if (!take_seat(station(i).seat)) continue;
        STOA_CRASH_POINT("mailbox.station.taken");
        sit_down(i, role_);
        std::uint32_t open = layout_->stations_open.load(kSeqCst);
        while (open <= i && !layout_->stations_open.compare_exchange_weak(open, i + 1, kSeqCst)) {
        }
        if (plan_.pool_count == 0) {
            ring_bell_of_many(station(0).bells.space);
            return {};
        }
        const Result<Queue*> made = make_queue(i);
        if (!made) return std::unexpected(made.error());
        if (plan_.sharing == Sharing::broadcast) {
            (*made)->empty();
            dropped_seen_ = (*made)->dropped_oldest();  // before us
        }
        ring_bell_of_many(station(0).bells.space);  // who found all others full has a choice more
        return {};
    }
    return fail(Errc::no_free_place, "open (64 receivers)");
}

// --- single receiver: standing by, and turns ----------------------------------------------------

// Until the seat is ours. Errors: empty, timed_out, what looking around says
Result<void> Attachment::wait_for_seat(Deadline deadline) {
    Atomic<std::uint64_t>& seat = station(0).seat;
    if (take_seat(seat)) return {};
    if (deadline.is_immediate()) {
        if (Result<void> looked = look_around(); !looked) return looked;
        return take_seat(seat) ? Result<void>{} : fail(Errc::empty, "receive (another receives)");
    }
    Result<void> why;
    const auto look = [&](bool due) {
        why = due ? look_around() : check();
        return why.has_value();
    };
    const WaitMark mark{&record_->waits, WaitsFor::turn};
    bool slept = false;
    switch (wait_on_bell(
        station(0).bells.space, deadline, waiting_, slept, [&] { return take_seat(seat); }, look)) {
        case Waited::ready: return {};
        case Waited::timed_out: return fail(Errc::timed_out, "receive (another receives)");
        case Waited::stopped: return why;
    }
    return {};
}

// The heir of a receiver that went: from now on it holds the role.
Result<void> Attachment::take_over(Deadline deadline) {
    if (Result<void> mine = wait_for_seat(deadline); !mine) return mine;
    STOA_CRASH_POINT("mailbox.stand_by.seated");
    if (plan_.pool_count == 0) {
        if (Result<void> made = make_lane_in(0); !made) return made;
    }
    waits_for_seat_ = false;
    return {};
}

void Attachment::leave_seat() noexcept {
    std::uint64_t mine = holder_word();
    station(0).seat.compare_exchange_strong(mine, 0, kSeqCst);
    STOA_CRASH_POINT("mailbox.turn.left");
    ring_bell_of_many(station(0).bells.space);
}

// One receives at a time: the turn lasts until the message is taken.
Result<PoolLoan> Attachment::receive_in_turn(Deadline deadline) {
    if (Result<void> mine = wait_for_seat(deadline); !mine) return std::unexpected(mine.error());
    STOA_CRASH_POINT("mailbox.turn.taken");
    Result<PoolLoan> loan = in_->receive(deadline);
    leave_seat();
    return loan;
}

}  // namespace stoa
