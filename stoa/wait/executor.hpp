// Executor: runs coroutines in one thread, with one wait set for all that they wait for.
//
// Start here: Executor::create(), spawn(task), run(); in tasks: co_await async_receive(mailbox),
//             async_send, async_call, async_wait(anything), async_sleep.
// Threads:    one at a time runs it and spawns; stop() and stop tokens work from any other, stop()
//             from signal handlers too.
// Processes:  it belongs to the process that made it: a forked child's copy says `forked`.
// Death:      of peers: as the calls say that are awaited.
// Blocking:   run, run_for, run_until. An awaiting call lets other tasks run.
// Lifetime:   destroying the executor destroys the tasks that have not ended. What a task awaits
//             must outlive the wait.
// Units:      nanoseconds of CLOCK_MONOTONIC.
// Source:     own; the shape of asio's awaitables.
#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "stoa/wait/executor_state.hpp"
#include "stoa/wait/task.hpp"

namespace stoa {

// What became of a spawned task: co_await it in another task, or look after run(). Dropping it
// leaves the task alone.
template <typename T>
class Spawned {
public:
    [[nodiscard]] bool done() const noexcept { return state_->done; }
    // Precondition: done(), and it was not taken before.
    T take() {
        STOA_CHECK(state_->done && state_->value.has_value());
        if constexpr (std::is_void_v<T>) {
            state_->value.reset();
        } else {
            T value = std::move(*state_->value);
            state_->value.reset();
            return value;
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return state_->done; }
    template <detail::RunsOnExecutor Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        STOA_CHECK(!state_->waiter);  // one task waits for another one
        state_->waiter = waiter;
    }
    T await_resume() { return take(); }

private:
    friend class Executor;
    struct State {
        std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>> value{};
        std::coroutine_handle<> waiter{};
        bool done = false;
    };
    explicit Spawned(std::shared_ptr<State> state) noexcept : state_{std::move(state)} {}

    std::shared_ptr<State> state_;
};

namespace detail {

// The outermost coroutine of a spawned task.
class Root {
public:
    struct promise_type {
        Root get_return_object() noexcept {
            return Root{std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        // Leaves the executor's list, and destroys itself.
        struct Leave {
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
                self.promise().executor->ended(self);
            }
            void await_resume() const noexcept {}
        };
        Leave final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }

        ExecutorState* executor = nullptr;
    };
    std::coroutine_handle<promise_type> handle;
};

template <typename T, typename State>
Root run_root(ExecutorState& executor, Task<T> task, std::shared_ptr<State> state) {
    if constexpr (std::is_void_v<T>) {
        co_await std::move(task);
        state->value.emplace();
    } else {
        state->value.emplace(co_await std::move(task));
    }
    state->done = true;
    if (state->waiter) executor.run_later(std::exchange(state->waiter, {}));
}

}  // namespace detail

class [[nodiscard]] Executor {
public:
    // Needs 4 descriptors, and those of what is awaited: see WaitSet. Errors: as WaitSet::create
    [[nodiscard]] static Result<Executor> create() {
        Result<std::unique_ptr<ExecutorState>> state = ExecutorState::create();
        if (!state) return std::unexpected(state.error());
        return Executor{std::move(*state)};
    }

    // Starts it in the next run. A task that throws ends the program, as a thread does.
    template <typename T>
    Spawned<T> spawn(Task<T> task) {
        auto state = std::make_shared<typename Spawned<T>::State>();
        const detail::Root root = detail::run_root(*state_, std::move(task), state);
        root.handle.promise().executor = state_.get();
        state_->start(root.handle);
        return Spawned<T>{std::move(state)};
    }

    // Until no task is left or stop() was called. Errors: timed_out: tasks are left at the
    // deadline; forked
    Result<void> run() { return run_with(Deadline::never()); }
    Result<void> run_for(std::chrono::nanoseconds wait) { return run_with(Deadline::after(wait)); }
    Result<void> run_until(Deadline::Clock::time_point when) {
        return run_with(Deadline::at(when));
    }
    // What can run now, without waiting for anything; timed_out: tasks are left.
    Result<void> run_ready() { return run_with(Deadline::immediately()); }
    Result<void> run_with(Deadline deadline) { return state_->run_with(deadline); }

    // The run that goes on, or else the next one, returns soon; its tasks stay for another one.
    void stop() noexcept { state_->ask_to_stop(); }
    // Tasks that were spawned and have not ended.
    [[nodiscard]] std::size_t tasks() const noexcept { return state_->tasks(); }
    // For loops of others: readable when there is something to do; then call run_ready().
    Result<int> fd() { return state_->fd(); }

private:
    explicit Executor(std::unique_ptr<ExecutorState> state) noexcept : state_{std::move(state)} {}

    std::unique_ptr<ExecutorState> state_;
};

// --- what tasks await ----------------------------------------------------------------------------

namespace detail {

// The call could not be done yet, as opposed to: it failed.
[[nodiscard]] constexpr bool is_not_yet(Errc code) noexcept {
    return code == Errc::empty || code == Errc::full;
}

// Tries a call until it is done, and waits for `what()` in between.
template <typename Call, typename What>
class [[nodiscard]] Awaiting final : WaitOperation {
public:
    using Outcome = std::invoke_result_t<Call&>;

    Awaiting(Call call, What what, Until until) noexcept
        : call_{std::move(call)}, what_{std::move(what)}, until_{std::move(until)} {}

    [[nodiscard]] bool await_ready() {
        outcome_.emplace(call_());
        return !outcome_is_missing() && --t_steps_left > 0;
    }
    template <RunsOnExecutor Promise>
    bool await_suspend(std::coroutine_handle<Promise> waiter) {
        if (!outcome_is_missing()) {  // it had its turn
            waiter.promise().executor->run_later(waiter);
            return true;
        }
        if (until_.deadline().is_immediate()) return false;  // as it is: empty, or full
        return waiter.promise().executor->begin(*this, waiter, what_(), until_);
    }
    Outcome await_resume() noexcept { return std::move(*outcome_); }

private:
    [[nodiscard]] bool outcome_is_missing() const noexcept {
        return !*outcome_ && is_not_yet(outcome_->error().code);
    }
    bool attempt(const Ready& /*ready*/) override {
        outcome_.emplace(call_());
        return !outcome_is_missing();
    }
    void end_with(const Error& error) override { outcome_.emplace(std::unexpected(error)); }

    Call call_;
    What what_;
    Until until_;
    std::optional<Outcome> outcome_{};
};

// Of a thing of its own, which goes when the wait ends.
template <typename From>
auto awaiting(From from, Until until) {
    const auto kept = std::make_shared<From>(std::move(from));
    return Awaiting{[kept] { return kept->try_receive(); },
                    [kept]() -> stoa::Waitable { return kept->readable(); }, std::move(until)};
}

class [[nodiscard]] AwaitingReady final : WaitOperation {
public:
    AwaitingReady(stoa::Waitable what, Until until) noexcept
        : what_{std::move(what)}, until_{std::move(until)} {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <RunsOnExecutor Promise>
    bool await_suspend(std::coroutine_handle<Promise> waiter) {
        return waiter.promise().executor->begin(*this, waiter, what_, until_);
    }
    Result<Ready> await_resume() noexcept { return outcome_; }

private:
    bool attempt(const Ready& ready) override {
        outcome_ = ready;
        return true;
    }
    void end_with(const Error& error) override { outcome_ = std::unexpected(error); }

    stoa::Waitable what_;  // detail has another one
    Until until_;
    Result<Ready> outcome_{};
};

class [[nodiscard]] Yielding {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <RunsOnExecutor Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter) const {
        waiter.promise().executor->run_later(waiter);
    }
    void await_resume() const noexcept {}
};

}  // namespace detail

// Until it is ready: Result<Ready>. Errors: timed_out; stopped; as WaitSet::add
inline detail::AwaitingReady async_wait(Waitable what, Until until = {}) {
    return {std::move(what), std::move(until)};
}

// The next message of a mailbox, a link, or anything that has try_receive() and readable().
// Errors: timed_out; stopped; those of its receive
template <typename From>
    requires requires(From& from) {
        from.try_receive();
        { from.readable() } -> std::convertible_to<Waitable>;
    }
auto async_receive(From& from, Until until = {}) {
    return detail::Awaiting{[&from] { return from.try_receive(); },
                            [&from]() -> Waitable { return from.readable(); }, std::move(until)};
}

// Of what receives several types, as a link does: async_receive<Goal>(link).
template <typename T, typename From>
    requires requires(From& from) {
        from.template try_receive<T>();
        { from.readable() } -> std::convertible_to<Waitable>;
    }
auto async_receive(From& from, Until until = {}) {
    return detail::Awaiting{[&from] { return from.template try_receive<T>(); },
                            [&from]() -> Waitable { return from.readable(); }, std::move(until)};
}

// From the process that has that name: async_receive<Goal>(me, "planner").
template <typename T, typename From>
    requires requires(From& from, const std::string& name) {
        from.template try_receive<T>(name);
        { from.readable(name) } -> std::convertible_to<Waitable>;
    }
auto async_receive(From& from, std::string_view name, Until until = {}) {
    return detail::Awaiting{
        [&from, name = std::string{name}] { return from.template try_receive<T>(name); },
        [&from, name = std::string{name}]() -> Waitable { return from.readable(name); },
        std::move(until)};
}

// Sends when there is room. A value that is given as a temporary is kept until then. `options`: as
// its try_send takes them. Errors: timed_out; stopped; those of its send
template <typename To, typename Value, typename... Options>
    requires requires(To& to, const Value& value, const Options&... options) {
        to.try_send(value, options...);
        { to.writable() } -> std::convertible_to<Waitable>;
    }
auto async_send(To& to, Value&& value, Until until = {}, const Options&... options) {
    return detail::Awaiting{
        [&to, kept = std::tuple<Value>{std::forward<Value>(value)},
         given = std::tuple<Options...>{options...}] {
            return std::apply(
                [&](const Options&... each) { return to.try_send(std::get<0>(kept), each...); },
                given);
        },
        [&to]() -> Waitable { return to.writable(); }, std::move(until)};
}

// To the process that has that name: async_send(me, "driver", goal).
template <typename To, typename Value>
    requires requires(To& to, const std::string& name, const Value& value) {
        to.try_send(name, value);
        { to.writable(name) } -> std::convertible_to<Waitable>;
    }
auto async_send(To& to, std::string_view name, Value&& value, Until until = {}) {
    return detail::Awaiting{
        [&to, name = std::string{name}, kept = std::tuple<Value>{std::forward<Value>(value)}] {
            return to.try_send(name, std::get<0>(kept));
        },
        [&to, name = std::string{name}]() -> Waitable { return to.writable(name); },
        std::move(until)};
}

// A call of a link, or of the process that has a name: async_call<Done>(me, "driver", goal). Many
// may be on their way at once. The request is kept until it is sent; a reply that comes after the
// end of the wait is dropped. Errors: timed_out; stopped; those of its call
template <typename Reply, typename To, typename Request>
    requires requires(To& to, Request&& request) {
        to.template pending_call<Reply>(std::forward<Request>(request));
    }
auto async_call(To& to, Request&& request, Until until = {}) {
    return detail::awaiting(to.template pending_call<Reply>(std::forward<Request>(request)),
                            std::move(until));
}
template <typename Reply, typename To, typename Request>
    requires requires(To& to, std::string_view name, Request&& request) {
        to.template pending_call<Reply>(name, std::forward<Request>(request));
    }
auto async_call(To& to, std::string_view name, Request&& request, Until until = {}) {
    return detail::awaiting(to.template pending_call<Reply>(name, std::forward<Request>(request)),
                            std::move(until));
}

// Errors: stopped
inline detail::AwaitingReady async_sleep_until(Deadline when, std::stop_token stop = {}) {
    return {Timer::at(when), Until{std::move(stop)}};
}
inline detail::AwaitingReady async_sleep(std::chrono::nanoseconds wait, std::stop_token stop = {}) {
    return {Timer::once(wait), Until{std::move(stop)}};
}

// Lets the other tasks run that can.
inline detail::Yielding let_others_run() noexcept {
    return {};
}

}  // namespace stoa
