#include "stoa/wait/wait_set.hpp"

#include <algorithm>
#include <array>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/coarse_clock.hpp"
#include "stoa/sys/process.hpp"
#include "stoa/wait/wait_set_state.hpp"

namespace stoa {

void Touched::list() noexcept {
    set_.list(slot_);
}

void WaitSetState::list(std::uint32_t slot) noexcept {
    entries_[slot].listed_ = true;
    pending_.push_back(slot);  // its room was reserved
    if (exported_ && !waits_) show_to_others();
}

Result<std::span<const Ready>> WaitSetState::wait_with(Deadline deadline) {
    if (!is_own()) return fail(Errc::forked, "wait set");
    ready_.clear();
    waits_ = true;
    const Result<void> waited = wait_for_ready(deadline);
    waits_ = false;
    if (exported_) show_to_others();  // once, whatever was listed meanwhile
    if (!waited) return std::unexpected(waited.error());
    return std::span<const Ready>{ready_};
}

Result<void> WaitSetState::wait_for_ready(Deadline deadline) {
    bool has_spun = false;
    for (;;) {
        const bool is_last = deadline.passed();
        now_ = sys::coarse_now();
        take_rung();
        tick();
        // Few that are not ready may wait for their marks until it is time to sleep.
        report_pending(exported_ || pending_.size() > kFew);
        take_timers();
        if (ready_.empty() && !is_last && !has_spun) {
            has_spun = true;
            if (spins()) {
                take_rung();
                report_pending(exported_);
            }
        }
        if (ready_.empty()) report_pending(true);
        if (!ready_.empty() && may_skip_epoll()) return {};
        if (used_ == 0 && ready_.empty() && deadline.is_never()) {  // also: what was in it closed
            return fail(Errc::bad_argument, "wait set (it is empty: this wait would never end)");
        }
        const bool waits = ready_.empty() && !is_last;
        const Result<bool> again = rest(waits ? deadline : Deadline::immediately());
        if (!again) return std::unexpected(again.error());
        if (!ready_.empty()) return {};
        if (is_last && !*again) {
            return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "wait set");
        }
    }
}

// A listed entry stays listed while it is ready; else it is armed, looked at again, and left to
// whoever rings. Without `arms` it stays listed in any case.
void WaitSetState::report_pending(bool arms) {
    std::size_t at = 0;
    while (at < pending_.size()) {
        const std::uint32_t slot = pending_[at];
        WaitEntry& entry = entries_[slot];
        if (entry.closed_ && entry.kind == WaitKind::source) drop(slot);
        if (is_ready(entry, arms)) {
            Ready& ready = report(slot);
            ready.events = entry.kind == WaitKind::always ? entry.events : 0;
            ++at;
        } else if (arms || entry.kind != WaitKind::source) {
            leave_pending(at);
        } else {
            ++at;
        }
    }
}

void WaitSetState::leave_pending(std::size_t at) noexcept {
    entries_[pending_[at]].listed_ = false;
    pending_[at] = pending_.back();
    pending_.pop_back();
}

bool WaitSetState::is_ready(WaitEntry& entry, bool arms) noexcept {
    if (entry.kind == WaitKind::always) return true;
    if (entry.kind != WaitKind::source) return false;  // it left the set while it was listed
    bool ready = entry.source->ready();
    if (!ready && arms) {
        entry.source->arm();
        entry.armed = true;
        STOA_CRASH_POINT("wait_set.armed");
        ready = entry.source->ready();
    }
    if (!ready || !entry.armed) return ready;
    entry.source->disarm();
    entry.armed = false;
    return true;
}

// As the calls of the things themselves would before they sleep. True: there is something to look
// at.
bool WaitSetState::spins() {
    if (sources_.empty()) return false;
    // Of many those are looked at that were ready lately; all others are armed.
    const bool few = sources_.size() <= kFew;
    const std::vector<std::uint32_t>& near = few ? sources_ : pending_;
    std::uint32_t pauses = near.empty() ? kAdaptiveSpins : 0;
    for (const std::uint32_t slot : near) {
        if (entries_[slot].kind != WaitKind::source) continue;
        pauses = std::max(pauses, entries_[slot].source->spin_pauses());
    }
    for (std::uint32_t i = 0; i < pauses; ++i) {
        cpu_pause();
        if (!few && shared_->anything_rung()) return true;
        for (const std::uint32_t slot : near) {
            WaitEntry& entry = entries_[slot];
            if (entry.kind != WaitKind::source || !entry.source->ready()) continue;
            entry.touch();
            return true;
        }
    }
    return false;
}

void WaitSetState::take_rung() {
    if (shared_ == nullptr) return;
    shared_->take_rung([this](std::uint32_t slot) { entries_[slot].touch(); });
}

// Whoever was to ring may have died or stopped before it did: once in a slice a few of those that
// are armed are looked at, by turns, and a few regions for deaths.
void WaitSetState::tick() {
    if (sources_.empty()) return;
    if (now_.count() < next_tick_ns_) [[likely]]
        return;
    next_tick_ns_ = Deadline::after(g_wait_slice).since_boot().count();
    look_at_states();
    shared_->look_around([this](std::uint32_t slot) { entries_[slot].touch(); });
    take_rung();  // what looking around found
}

// What it costs does not grow with the set, so what a stopped ringer left is found later in a large
// one: after as many ticks as the set has things for each that fits in.
void WaitSetState::look_at_states() {
    const std::uint64_t end_ns = sys::steady_ns() + kLooksNs;
    for (std::size_t n = 0; n < sources_.size(); ++n) {
        if (n >= kLeastLooks && n % 8 == 0 && sys::steady_ns() >= end_ns) return;
        next_look_ = next_look_ + 1 < sources_.size() ? next_look_ + 1 : 0;
        WaitEntry& entry = entries_[sources_[next_look_]];
        if (!entry.listed_ && entry.source->ready()) entry.touch();
    }
}

// The epoll is asked as often as the clock ticks, however much memory has to say.
bool WaitSetState::may_skip_epoll() noexcept {
    if (sources_.empty() || exported_) return false;
    return std::exchange(polled_at_, now_) == now_;
}

void WaitSetState::take_timers() {
    if (timers_.empty()) return;
    const std::int64_t now_ns = Deadline::Clock::now().time_since_epoch().count();
    while (!timers_.empty() && timers_.next().due_ns <= now_ns) {
        const std::uint32_t slot = timers_.next().slot;
        WaitEntry& entry = entries_[slot];
        Ready& ready = report(slot);
        ready.count = 1;
        timers_.remove(slot);
        if (entry.period_ns == 0) {
            drop(slot);
            continue;
        }
        ready.count += static_cast<std::uint64_t>((now_ns - entry.due_ns) / entry.period_ns);
        entry.due_ns += static_cast<std::int64_t>(ready.count) * entry.period_ns;
        timers_.add(slot, entry.due_ns);
    }
}

Result<bool> WaitSetState::rest(Deadline deadline) {
    if (!deadline.is_immediate()) deadline = deadline.sooner_of(next_look());
    bool again = false;
    if (bell_full_ && pending_.empty()) {
        sys::drain_pipe(bell_);
        bell_full_ = false;
        bell_rung_ = false;
    }
    const bool sleeps = shared_ != nullptr && !deadline.is_immediate();
    const auto touch = [this](std::uint32_t slot) { entries_[slot].touch(); };
    if (sleeps && !shared_->sleep(touch)) {
        shared_->wake();
        return true;
    }
    std::array<epoll_event, kMaxEvents> events;
    const Result<std::size_t> count = epoll_.wait(events, deadline);
    if (sleeps) shared_->wake();
    if (!deadline.is_immediate()) find_due_tick();
    if (!count) return std::unexpected(count.error());
    for (std::size_t i = 0; i < *count; ++i)
        take_event(events[i].data.u64, events[i].events, again);
    return again;
}

// By the exact clock: the coarse one is behind, and we would not sleep until it gets there.
void WaitSetState::find_due_tick() noexcept {
    if (sources_.empty() || next_tick_ns_ == INT64_MAX) return;
    const auto now = Deadline::Clock::now().time_since_epoch();
    if (now.count() >= next_tick_ns_) next_tick_ns_ = 0;
}

// When something is to be done though nothing happened: a timer, or a tick.
Deadline WaitSetState::next_look() const noexcept {
    std::int64_t next_ns = timers_.empty() ? INT64_MAX : timers_.next().due_ns;
    if (!sources_.empty()) next_ns = std::min(next_ns, next_tick_ns_);
    if (next_ns == INT64_MAX) return Deadline::never();
    return Deadline::at(Deadline::Clock::time_point{std::chrono::nanoseconds{next_ns}});
}

void WaitSetState::take_event(std::uint64_t data, std::uint32_t events, bool& again) {
    const auto number = static_cast<std::uint32_t>(data);
    switch (static_cast<WaitKind>(data >> 32)) {
        case WaitKind::descriptor: take_descriptor(static_cast<int>(number), events); break;
        case WaitKind::signals: take_signals(); break;
        case WaitKind::death:
            if (sys::ended(entries_[number].process)) (void)report(number);
            break;
        case WaitKind::source:  // the bell
            again = again || !bell_rung_;
            bell_full_ = true;
            break;
        case WaitKind::peer:
            shared_->peer_event(number, [this](std::uint32_t slot) { entries_[slot].touch(); });
            again = true;
            break;
        case WaitKind::timer:  // what is due is found by the clock
            again = true;
            find_due_tick();
            timer_set_to_ = -1;
            sys::set_timer(timer_, Deadline::never());
            break;
        case WaitKind::always:
        case WaitKind::free: break;
    }
}

void WaitSetState::take_descriptor(int fd, std::uint32_t events) {
    const auto found = descriptors_.find(fd);
    if (found == descriptors_.end()) return;
    for (const std::uint32_t slot : found->second) {
        const std::uint32_t wanted = entries_[slot].events | EPOLLERR | EPOLLHUP;
        if ((events & wanted) != 0) report(slot).events = events & wanted;
    }
}

void WaitSetState::take_signals() {
    std::array<SignalInfo, 16> infos;
    const std::size_t count = sys::read_signals(signal_queue_, infos);
    for (std::size_t i = 0; i < count; ++i) {
        for (const std::uint32_t slot : signal_slots_) {
            if (entries_[slot].signals.has(infos[i].number)) report(slot).signal = infos[i];
        }
    }
}

// Descriptors, signals and deaths speak for themselves; the bell does for memory, and the timer. So
// that the bell is heard the set counts as asleep while others wait for it.
void WaitSetState::show_to_others() {
    const auto touch = [this](std::uint32_t slot) { entries_[slot].touch(); };
    const bool rung = shared_ != nullptr && !shared_->sleep(touch);
    if ((rung || !pending_.empty()) && !bell_rung_) {
        sys::ring_pipe(bell_);
        bell_rung_ = true;
        bell_full_ = true;
    }
    const Deadline due = next_look();
    const std::int64_t due_ns = due.is_never() ? -1 : due.since_boot().count();
    if (due_ns == timer_set_to_) return;
    timer_set_to_ = due_ns;
    sys::set_timer(timer_, due);
}

Ready& WaitSetState::report(std::uint32_t slot) {
    const WaitEntry& entry = entries_[slot];
    return ready_.emplace_back(Ready{.id = id_of(slot, entry), .tag = entry.tag});
}

Result<int> WaitSetState::fd() {
    if (!is_own()) return fail(Errc::forked, "wait set");
    exported_ = true;
    show_to_others();
    return epoll_.fd().get();
}

// --- the handle ----------------------------------------------------------------------------------

WaitSet::WaitSet(std::unique_ptr<WaitSetState> state) noexcept : state_{std::move(state)} {}
WaitSet::WaitSet(WaitSet&&) noexcept = default;
WaitSet& WaitSet::operator=(WaitSet&&) noexcept = default;
WaitSet::~WaitSet() = default;

Result<WaitSet> WaitSet::create() {
    Result<std::unique_ptr<WaitSetState>> state = WaitSetState::create();
    if (!state) return std::unexpected(state.error());
    return WaitSet{std::move(*state)};
}

Result<WaitId> WaitSet::add(const Waitable& what, std::uint64_t tag) {
    STOA_CHECK(state_ != nullptr);
    return state_->add(what, tag);
}

Result<void> WaitSet::remove(WaitId id) {
    STOA_CHECK(state_ != nullptr);
    return state_->remove(id);
}

Result<std::span<const Ready>> WaitSet::wait_with(Deadline deadline) {
    STOA_CHECK(state_ != nullptr);
    return state_->wait_with(deadline);
}

Result<int> WaitSet::fd() {
    STOA_CHECK(state_ != nullptr);
    return state_->fd();
}

std::size_t WaitSet::size() const noexcept {
    return state_ != nullptr ? state_->size() : 0;
}

}  // namespace stoa
