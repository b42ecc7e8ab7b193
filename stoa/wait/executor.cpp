#include "stoa/wait/executor.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "stoa/sys/epoll.hpp"
#include "stoa/sys/fork_guard.hpp"
#include "stoa/wait/executor_state.hpp"

namespace stoa {
namespace {

// Tags of the executor's set: the address of an operation, with a bit for its timer; 0: the bell.
constexpr std::uint64_t kTimerBit = 1;
constexpr Error kLate{Errc::timed_out, 0, "await"};

std::uint64_t tag_of(WaitOperation& operation, std::uint64_t bit) noexcept {
    return reinterpret_cast<std::uintptr_t>(&operation) | bit;
}

WaitOperation& operation_of(std::uint64_t tag) noexcept {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the tag is the address that was put in
    return *reinterpret_cast<WaitOperation*>(static_cast<std::uintptr_t>(tag & ~kTimerBit));
}

}  // namespace

WaitOperation::~WaitOperation() {
    if (executor_ != nullptr) executor_->abandon(*this);
}

// In any thread. The callback's destructor waits until it has ended: the operation is still there.
void WaitOperation::AskToStop::operator()() const noexcept {
    ExecutorState& executor = *operation->executor_;
    {
        const std::lock_guard lock{executor.stops_lock_};
        executor.stops_.push_back(operation);
    }
    sys::ring_pipe(executor.bell_);
}

Result<std::unique_ptr<ExecutorState>> ExecutorState::create() {
    Result<WaitSet> set = WaitSet::create();
    if (!set) return std::unexpected(set.error());
    Result<sys::Fd> bell = sys::make_bell_pipe();
    if (!bell) return std::unexpected(bell.error());
    if (const auto added = set->add(FdReady{bell->get(), EPOLLIN}, 0); !added)
        return std::unexpected(added.error());
    return std::unique_ptr<ExecutorState>{new ExecutorState{std::move(*set), std::move(*bell)}};
}

ExecutorState::ExecutorState(WaitSet set, sys::Fd bell) noexcept
    : generation_{sys::own_generation()}, set_{std::move(set)}, bell_{std::move(bell)} {}

ExecutorState::~ExecutorState() {
    while (!roots_.empty()) {
        void* const root = *roots_.begin();
        roots_.erase(roots_.begin());
        std::coroutine_handle<>::from_address(root).destroy();
    }
}

bool ExecutorState::begin(WaitOperation& operation, std::coroutine_handle<> waiter,
                          const Waitable& what, const Until& until) {
    if (until.stop().stop_requested()) {
        operation.end_with(Error{Errc::stopped, 0, "await"});
        return false;
    }
    WaitSource* const source = what.source();
    if (source != nullptr && spin(operation, *source)) {
        std::uint32_t& left = detail::t_steps_left;
        left -= std::min(left, detail::kStepsOfSpin);
        if (left > 0) return false;
        run_later(waiter);  // it had its turn
        return true;
    }
    const Result<WaitId> thing = set_.add(what, tag_of(operation, 0));
    if (!thing) {
        operation.end_with(thing.error());
        return false;
    }
    operation.thing_ = *thing;
    operation.executor_ = this;
    operation.waiter_ = waiter;
    operation.is_counted_ = source != nullptr;
    if (operation.is_counted_) ++in_memory_;
    if (!until.deadline().is_never()) {
        const Result<WaitId> timer =
            set_.add(Timer::at(until.deadline()), tag_of(operation, kTimerBit));
        if (!timer) {
            abandon(operation);
            operation.end_with(timer.error());
            return false;
        }
        operation.timer_ = *timer;
    }
    if (until.stop().stop_possible())
        operation.on_stop_.emplace(until.stop(), WaitOperation::AskToStop{&operation});
    return true;
}

// The only one who waits for memory looks for a while, as a blocking call does, before it goes into
// the set, where it costs more to enter and to leave than most messages take to come.
bool ExecutorState::spin(WaitOperation& operation, WaitSource& source) {
    if (exported_ || in_memory_ > 0 || !runnable_.empty()) return false;
    for (std::uint32_t left = source.spin_pauses(); left > 0; --left) {
        cpu_pause();
        if (source.ready() && operation.attempt(Ready{})) return true;
    }
    return false;
}

void ExecutorState::remove_from_set(WaitOperation& operation) noexcept {
    // A timer that fired has left already, and so has a thing that was closed.
    for (WaitId* id : {&operation.thing_, &operation.timer_}) {
        if (id->value != 0 && !set_.remove(*id)) id->value = 0;
        *id = {};
    }
}

void ExecutorState::abandon(WaitOperation& operation) noexcept {
    if (operation.on_stop_.has_value()) {
        operation.on_stop_.reset();
        const std::lock_guard lock{stops_lock_};
        std::erase(stops_, &operation);
    }
    if (std::exchange(operation.is_reported_, false)) {
        for (Report& report : reports_) {
            if (report.operation == &operation) report.operation = nullptr;
        }
    }
    remove_from_set(operation);
    if (std::exchange(operation.is_counted_, false)) --in_memory_;
    operation.executor_ = nullptr;
}

void ExecutorState::finish(WaitOperation& operation) {
    const std::coroutine_handle<> waiter = operation.waiter_;
    abandon(operation);
    run_later(waiter);
}

void ExecutorState::start(std::coroutine_handle<> root) {
    roots_.insert(root.address());
    run_later(root);
    if (exported_) sys::ring_pipe(bell_);
}

void ExecutorState::ended(std::coroutine_handle<> root) noexcept {
    roots_.erase(root.address());
    root.destroy();
}

Result<int> ExecutorState::fd() {
    exported_ = true;
    if (!runnable_.empty()) sys::ring_pipe(bell_);
    return set_.fd();
}

void ExecutorState::ask_to_stop() noexcept {
    // release: what was done before the call is seen by who runs on after run().
    asked_to_stop_.store(true, std::memory_order_release);
    sys::ring_pipe(bell_);
}

Result<void> ExecutorState::run_with(Deadline deadline) {
    // Before a task of the parent goes on here.
    if (sys::current_generation() != generation_) return fail(Errc::forked, "executor");
    for (;;) {
        // acquire <- the release in ask_to_stop().
        if (asked_to_stop_.exchange(false, std::memory_order_acquire)) return {};
        const bool is_last = deadline.passed();
        run_batch();
        if (tasks() == 0) return {};
        const bool waits = runnable_.empty() && !is_last;
        const auto ready = set_.wait_with(waits ? deadline : Deadline::immediately());
        if (ready) {
            // What is ready at its deadline is not late.
            for (const bool timers : {false, true}) {
                for (const Ready& one : *ready) {
                    if (((one.tag & kTimerBit) != 0) == timers) take(one);
                }
            }
            run_reported();
        } else if (ready.error().code != Errc::empty && ready.error().code != Errc::timed_out) {
            return std::unexpected(ready.error());
        }
        if (!is_last) continue;
        run_batch();
        if (tasks() == 0) return {};
        if (!runnable_.empty()) sys::ring_pipe(bell_);  // for loops of others: there is more to do
        return fail(Errc::timed_out, "run");
    }
}

// Those that can run now; whom they make runnable comes after the next look at the set.
void ExecutorState::run_batch() {
    for (std::size_t left = runnable_.size(); left > 0 && !runnable_.empty(); --left) {
        const std::coroutine_handle<> waiter = runnable_.front();
        runnable_.pop_front();
        resume(waiter);
    }
}

void ExecutorState::resume(std::coroutine_handle<> waiter) {
    detail::t_steps_left = detail::kStepsInTurn;
    next_ = waiter;
    while (next_) std::exchange(next_, {}).resume();
}

void ExecutorState::take(const Ready& ready) {
    if (ready.tag == 0) {
        sys::drain_pipe(bell_);
        take_stops();
        return;
    }
    WaitOperation& operation = operation_of(ready.tag);
    if (operation.executor_ == nullptr) return;  // it ended by what was reported before
    if ((ready.tag & kTimerBit) != 0) {
        operation.timer_ = {};
        operation.is_late_ = true;
        if (operation.is_reported_) return;
        operation.end_with(kLate);
        finish(operation);
    } else if (!std::exchange(operation.is_reported_, true)) {
        reports_.push_back({.operation = &operation, .ready = ready});
    }
}

// Each takes what it waited for just before it runs: a message that lies with one that has not run
// yet would count as a loan of the handle.
void ExecutorState::run_reported() {
    for (std::size_t i = 0; i < reports_.size(); ++i) {
        WaitOperation* const operation = reports_[i].operation;
        if (operation == nullptr) continue;
        operation->is_reported_ = false;
        if (!operation->attempt(reports_[i].ready)) {
            if (!operation->is_late_) continue;
            operation->end_with(kLate);
        }
        const std::coroutine_handle<> waiter = operation->waiter_;
        abandon(*operation);
        resume(waiter);
    }
    reports_.clear();
}

void ExecutorState::take_stops() {
    std::vector<WaitOperation*> stops;
    {
        const std::lock_guard lock{stops_lock_};
        stops.swap(stops_);
    }
    for (WaitOperation* const operation : stops) {
        if (operation->executor_ == nullptr) continue;
        operation->end_with(Error{Errc::stopped, 0, "await"});
        finish(*operation);
    }
}

}  // namespace stoa
