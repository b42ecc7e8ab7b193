// Inside an executor: who may run, who waits for what, and the loop that serves them.
//
// Start here: ExecutorState::run_with; WaitOperation, what a suspended coroutine waits with.
// Threads:    one, but for ask_to_stop() of the executor and of an operation: any thread.
// Processes:  private memory.
// Death:      not applicable.
// Blocking:   run_with only.
// Lifetime:   an operation lies in the frame of the coroutine that awaits it, and leaves the
//             executor when it ends or its frame is destroyed.
// Units:      nanoseconds of CLOCK_MONOTONIC.
// Source:     own.
#pragma once

#include <atomic>
#include <coroutine>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <unordered_set>
#include <vector>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"
#include "stoa/wait/wait_set.hpp"

namespace stoa {

// When to end a wait without what was waited for.
class Until {
public:
    Until() noexcept = default;
    Until(Deadline deadline, std::stop_token stop = {}) noexcept
        : deadline_{deadline}, stop_{std::move(stop)} {}
    template <typename Rep, typename Period>
    Until(const std::chrono::duration<Rep, Period>& wait, std::stop_token stop = {}) noexcept
        : Until{Deadline::after(wait), std::move(stop)} {}
    Until(std::stop_token stop) noexcept : stop_{std::move(stop)} {}

    [[nodiscard]] Deadline deadline() const noexcept { return deadline_; }
    [[nodiscard]] const std::stop_token& stop() const noexcept { return stop_; }

private:
    Deadline deadline_ = Deadline::never();
    std::stop_token stop_{};
};

class ExecutorState;

namespace detail {
// How often a task may go on without waiting before it lets others run.
inline constexpr std::uint32_t kStepsInTurn = 256;
inline constexpr std::uint32_t kStepsOfSpin = 8;  // what spinning counts for
inline constinit thread_local std::uint32_t t_steps_left = kStepsInTurn;
}  // namespace detail

class WaitOperation {
public:
    WaitOperation(const WaitOperation&) = delete;
    WaitOperation& operator=(const WaitOperation&) = delete;

protected:
    WaitOperation() noexcept = default;
    virtual ~WaitOperation();

    // Tries; true when it has its result. `ready`: what the set says of the thing.
    virtual bool attempt(const Ready& ready) = 0;
    // Its result is this error.
    virtual void end_with(const Error& error) = 0;

private:
    friend class ExecutorState;
    struct AskToStop {
        WaitOperation* operation;
        void operator()() const noexcept;
    };

    ExecutorState* executor_ = nullptr;  // while it waits
    std::coroutine_handle<> waiter_{};
    WaitId thing_{};
    WaitId timer_{};
    bool is_counted_ = false;   // it waits for a thing of shared memory
    bool is_reported_ = false;  // it is among the reports
    bool is_late_ = false;      // its timer fired
    std::optional<std::stop_callback<AskToStop>> on_stop_{};
};

class ExecutorState {
public:
    static Result<std::unique_ptr<ExecutorState>> create();
    ExecutorState(const ExecutorState&) = delete;
    ExecutorState& operator=(const ExecutorState&) = delete;
    ~ExecutorState();

    // --- for coroutines --------------------------------------------------------------------------
    // The one that runs next, as soon as the present one is suspended.
    void go_on_with(std::coroutine_handle<> next) noexcept { next_ = next; }
    void run_later(std::coroutine_handle<> waiter) { runnable_.push_back(waiter); }
    // False: it has ended already.
    bool begin(WaitOperation& operation, std::coroutine_handle<> waiter, const Waitable& what,
               const Until& until);
    void abandon(WaitOperation& operation) noexcept;

    // --- for the handle --------------------------------------------------------------------------
    // A coroutine that nobody awaits: destroyed with the executor if it has not ended by then.
    void start(std::coroutine_handle<> root);
    void ended(std::coroutine_handle<> root) noexcept;
    Result<void> run_with(Deadline deadline);
    void ask_to_stop() noexcept;
    [[nodiscard]] std::size_t tasks() const noexcept { return roots_.size(); }
    Result<int> fd();

private:
    friend struct WaitOperation::AskToStop;
    ExecutorState(WaitSet set, sys::Fd bell) noexcept;

    void run_batch();
    void resume(std::coroutine_handle<> waiter);
    void take(const Ready& ready);
    void take_stops();
    void run_reported();
    void finish(WaitOperation& operation);
    [[nodiscard]] bool spin(WaitOperation& operation, WaitSource& source);
    void remove_from_set(WaitOperation& operation) noexcept;

    std::uint64_t generation_;
    WaitSet set_;
    sys::Fd bell_;
    std::coroutine_handle<> next_{};
    std::deque<std::coroutine_handle<>> runnable_;
    struct Report {
        WaitOperation* operation;  // null: it ended
        Ready ready;
    };
    std::vector<Report> reports_;      // of the last wait
    std::unordered_set<void*> roots_;  // addresses of frames
    bool exported_ = false;
    std::uint32_t in_memory_ = 0;  // operations that wait for things of shared memory
    std::atomic<bool> asked_to_stop_{false};
    std::mutex stops_lock_;
    std::vector<WaitOperation*> stops_;  // whose stop tokens fired; under stops_lock_
};

}  // namespace stoa
