// What is in a wait set: how things enter and leave it.
#include <algorithm>
#include <thread>

#include "stoa/base/check.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/wait/wait_set_state.hpp"

namespace stoa {
namespace {

constexpr std::uint32_t kDescriptorEvents = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLERR |
                                            EPOLLHUP | EPOLLRDNORM | EPOLLRDBAND | EPOLLWRNORM |
                                            EPOLLWRBAND | EPOLLMSG;

// The error of a lack of descriptors says how many are needed.
std::unexpected<Error> lacks(const Error& error, const char* what, int needed) noexcept {
    if (error.code != Errc::limit_reached) return std::unexpected(error);
    return fail(Errc::limit_reached,
                step_text("%s (needs %d more descriptors; this process may have %llu open)", what,
                          needed, static_cast<unsigned long long>(sys::descriptor_limit())),
                error.os_errno);
}

std::uint64_t event_data(WaitKind kind, std::uint32_t number) noexcept {
    return std::uint64_t{static_cast<std::uint8_t>(kind)} << 32 | number;
}

constexpr int kOwnDescriptors = 3;

}  // namespace

Result<std::unique_ptr<WaitSetState>> WaitSetState::create() {
    Result<sys::Epoll> epoll = sys::Epoll::create();
    if (!epoll) return lacks(epoll.error(), "wait set", kOwnDescriptors);
    Result<sys::Fd> bell = sys::make_bell_pipe();
    if (!bell) return lacks(bell.error(), "wait set", kOwnDescriptors);
    Result<sys::Fd> timer = sys::make_timer();
    if (!timer) return lacks(timer.error(), "wait set", kOwnDescriptors);
    const int bell_fd = bell->get();
    const int timer_fd = timer->get();
    std::unique_ptr<WaitSetState> state{
        new WaitSetState{std::move(*epoll), std::move(*bell), std::move(*timer)}};
    // Their events say only that there is something to look at.
    for (const int fd : {bell_fd, timer_fd}) {
        const WaitKind kind = fd == bell_fd ? WaitKind::source : WaitKind::timer;
        if (Result<void> added = state->epoll_.add(fd, EPOLLIN, event_data(kind, 0)); !added)
            return std::unexpected(added.error());
    }
    return state;
}

WaitSetState::WaitSetState(sys::Epoll epoll, sys::Fd bell, sys::Fd timer)
    : generation_{sys::own_generation()},
      epoll_{std::move(epoll)},
      bell_{std::move(bell)},
      timer_{std::move(timer)} {}

WaitSetState::~WaitSetState() {
    if (!is_own()) return;  // marks, signals and epoll are the parent's
    for (std::uint32_t slot = 0; slot < entries_.size(); ++slot) {
        if (entries_[slot].kind != WaitKind::free) drop(slot);
    }
}

Result<WaitId> WaitSetState::add(const Waitable& what, std::uint64_t tag) {
    if (!is_own()) return fail(Errc::forked, "wait set");
    const Result<std::uint32_t> slot = take_slot();
    if (!slot) return std::unexpected(slot.error());
    entries_[*slot].tag = tag;
    const Result<void> entered =
        std::visit([&](const auto& thing) { return enter(*slot, thing); }, what.what_);
    if (!entered) {
        give_slot(*slot);
        return std::unexpected(entered.error());
    }
    if (exported_) show_to_others();
    return id_of(*slot, entries_[*slot]);
}

Result<void> WaitSetState::remove(WaitId id) {
    if (!is_own()) return fail(Errc::forked, "wait set");
    const std::uint32_t slot = id.value & (kMaxSlots - 1);
    if (slot >= entries_.size() || entries_[slot].kind == WaitKind::free ||
        id_of(slot, entries_[slot]) != id) {
        return fail(Errc::not_found, "wait set (this id is not in it, or not any more)");
    }
    drop(slot);
    return {};
}

Result<std::uint32_t> WaitSetState::take_slot() {
    std::uint32_t slot = 0;
    if (!free_.empty()) {
        slot = free_.back();
        free_.pop_back();
    } else {
        slot = static_cast<std::uint32_t>(entries_.size());
        if (slot == kMaxSlots) return fail(Errc::limit_reached, "wait set (a million entries)");
        // Leaving and being listed must not fail: their room is there before the entry is.
        const std::size_t room = entries_.size() + 1;
        if (pending_.capacity() < room) pending_.reserve(2 * room);
        if (free_.capacity() < room) free_.reserve(2 * room);
        entries_.emplace_back(*this, slot);
    }
    ++used_;
    WaitEntry& entry = entries_[slot];
    entry.turn = entry.turn % (kTurns - 1) + 1;  // 1 to kTurns - 1
    entry.closed_ = false;
    return slot;
}

void WaitSetState::give_slot(std::uint32_t slot) noexcept {
    WaitEntry& entry = entries_[slot];
    entry.kind = WaitKind::free;
    entry.source.reset();
    entry.process = {};
    free_.push_back(slot);
    --used_;
}

void WaitSetState::drop(std::uint32_t slot) noexcept {
    WaitEntry& entry = entries_[slot];
    switch (entry.kind) {
        case WaitKind::source:
            if (entry.armed && !entry.closed_) entry.source->disarm();
            entry.source->detach();
            if (shared_ != nullptr) shared_->leave(slot, entry.place, entry.closed_);
            sources_[entry.source_at] = sources_.back();
            entries_[sources_.back()].source_at = entry.source_at;
            sources_.pop_back();
            break;
        case WaitKind::descriptor: leave_descriptor(slot); break;
        case WaitKind::signals: leave_signals(slot); break;
        case WaitKind::timer: timers_.remove(slot); break;
        case WaitKind::death: epoll_.remove(entry.process.get()); break;
        case WaitKind::always:
        case WaitKind::peer:
        case WaitKind::free: break;
    }
    give_slot(slot);
}

Result<void> WaitSetState::enter(std::uint32_t /*slot*/, const Error& error) {
    return std::unexpected(error);
}

Result<void> WaitSetState::enter(std::uint32_t slot, const std::shared_ptr<WaitSource>& source) {
    if (source == nullptr) return fail(Errc::bad_argument, "wait set (nothing to wait for)");
    WaitEntry& entry = entries_[slot];
    if (shared_ == nullptr && source->watched_as() != nullptr) {
        Result<std::unique_ptr<SharedWaits>> shared =
            SharedWaits::create(epoll_, bell_, event_data(WaitKind::peer, 0));
        if (!shared) return lacks(shared.error(), "wait set", 1);
        shared_ = std::move(*shared);
    }
    if (Result<void> attached = source->attach(entry); !attached) return attached;
    Result<std::uint32_t> place = SharedWaits::kNoPlace;
    if (shared_ != nullptr) place = shared_->enter(slot, *source);
    if (!place) {
        source->detach();
        return std::unexpected(place.error());
    }
    entry.place = *place;
    if (sources_.empty()) next_tick_ns_ = Deadline::after(g_wait_slice).since_boot().count();
    entry.source_at = sources_.size();
    sources_.push_back(slot);
    entry.kind = WaitKind::source;
    entry.source = source;
    entry.armed = false;
    entry.touch();
    return {};
}

void WaitSetState::be_always_ready(WaitEntry& entry, std::uint32_t events) noexcept {
    entry.kind = WaitKind::always;
    entry.events = events;
    entry.touch();
}

Result<void> WaitSetState::enter(std::uint32_t slot, const FdReady& descriptor) {
    if (descriptor.fd < 0 || (descriptor.events & ~kDescriptorEvents) != 0) {
        return fail(Errc::bad_argument, "wait set (a descriptor, level-triggered events)");
    }
    WaitEntry& entry = entries_[slot];
    entry.fd = descriptor.fd;
    entry.events = descriptor.events;
    std::vector<std::uint32_t>& slots = descriptors_[descriptor.fd];
    slots.push_back(slot);
    entry.kind = WaitKind::descriptor;
    Result<void> registered = register_descriptor(descriptor.fd);
    if (registered) return {};
    slots.pop_back();
    if (slots.empty()) descriptors_.erase(descriptor.fd);
    if (registered.error().code != Errc::not_supported) return registered;
    be_always_ready(entry, descriptor.events & (EPOLLIN | EPOLLOUT));
    return {};
}

// One registration for all entries of a number, with the events of all of them.
Result<void> WaitSetState::register_descriptor(int fd) {
    std::uint32_t events = 0;
    for (const std::uint32_t slot : descriptors_[fd]) events |= entries_[slot].events;
    const std::uint64_t data = event_data(WaitKind::descriptor, static_cast<std::uint32_t>(fd));
    Result<void> added = epoll_.add(fd, events, data);
    // Already there; or the number was closed, and opened for something else.
    if (!added && added.error().code == Errc::exists) added = epoll_.modify(fd, events, data);
    return added;
}

void WaitSetState::leave_descriptor(std::uint32_t slot) noexcept {
    const int fd = entries_[slot].fd;
    const auto found = descriptors_.find(fd);
    std::erase(found->second, slot);
    if (found->second.empty()) {
        descriptors_.erase(found);
        epoll_.remove(fd);
    } else {
        if (!register_descriptor(fd)) return;  // it was closed: it left by itself
    }
}

Result<void> WaitSetState::enter(std::uint32_t slot, const Signals& signals) {
    if (!signals.set.is_valid()) return fail(Errc::bad_argument, "wait set (signal number)");
    sys::SignalSet all = signals.set;
    for (const std::uint32_t other : signal_slots_) all |= entries_[other].signals;
    if (signal_queue_.valid()) {
        sys::set_signal_queue(signal_queue_, all);
    } else {
        Result<sys::Fd> queue = sys::make_signal_queue(all);
        if (!queue) return lacks(queue.error(), "signals", 1);
        if (Result<void> added =
                epoll_.add(queue->get(), EPOLLIN, event_data(WaitKind::signals, 0));
            !added) {
            return added;
        }
        signal_queue_ = std::move(*queue);
    }
    signal_slots_.push_back(slot);
    entries_[slot].signals = signals.set;
    entries_[slot].kind = WaitKind::signals;
    blocked_ |= sys::block_signals(signals.set);
    blocked_by_ = std::this_thread::get_id();
    return {};
}

void WaitSetState::leave_signals(std::uint32_t slot) noexcept {
    std::erase(signal_slots_, slot);
    sys::SignalSet all;
    for (const std::uint32_t other : signal_slots_) all |= entries_[other].signals;
    if (signal_slots_.empty()) {
        epoll_.remove(signal_queue_.get());
        signal_queue_ = {};
    } else {
        sys::set_signal_queue(signal_queue_, all);
    }
    // What is queued and was not reported takes its usual course.
    if (blocked_by_ == std::this_thread::get_id()) sys::unblock_signals(blocked_.without(all));
    blocked_ = blocked_.without(blocked_.without(all));
}

Result<void> WaitSetState::enter(std::uint32_t slot, const Timer& timer) {
    if (timer.period_.count() < 0) {
        return fail(Errc::bad_argument, "wait set (the period of a timer)");
    }
    WaitEntry& entry = entries_[slot];
    const Deadline due = timer.when_.is_never() ? Deadline::after(timer.first_) : timer.when_;
    entry.due_ns = due.is_never() ? INT64_MAX : due.since_boot().count();
    entry.period_ns = timer.period_.count();
    timers_.add(slot, entry.due_ns);
    entry.kind = WaitKind::timer;
    return {};
}

Result<void> WaitSetState::enter(std::uint32_t slot, const Death& death) {
    WaitEntry& entry = entries_[slot];
    Result<sys::Fd> process =
        death.child_ != 0 ? sys::open_child(death.child_) : sys::open_process(death.process_);
    if (!process && process.error().code == Errc::peer_died) {
        be_always_ready(entry, 0);
        return {};
    }
    if (!process) return lacks(process.error(), "death of a process", 1);
    if (!process->valid()) {
        return fail(Errc::not_supported, "death of a process (no pidfd is to be had here)");
    }
    if (Result<void> added = epoll_.add(process->get(), EPOLLIN, event_data(WaitKind::death, slot));
        !added) {
        return added;
    }
    entry.process = std::move(*process);
    entry.kind = WaitKind::death;
    return {};
}

}  // namespace stoa
