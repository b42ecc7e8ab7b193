// Task: a coroutine that others await, run by an Executor.
//
// Start here: Task<int> work() { ...; co_return 7; }; executor.spawn(work()); co_await work().
// Threads:    a task runs in the thread that runs its executor.
// Processes:  a forked child must not resume its parent's tasks: its executor says `forked`.
// Death:      not applicable.
// Blocking:   never; what a task awaits lets others run. A blocking call in a task blocks them all.
// Lifetime:   a task owns its frame; it starts when it is awaited or spawned. What it is given by
//             reference, and a lambda's captures, must outlive it.
// Units:      none.
// Source:     coroutines, ISO C++23 7.6.2.4 and 17.12.
#pragma once

#include <concepts>
#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "stoa/base/check.hpp"
#include "stoa/wait/executor_state.hpp"

namespace stoa {

template <typename T = void>
class Task;

namespace detail {

class TaskPromiseBase {
public:
    std::suspend_always initial_suspend() const noexcept { return {}; }

    // The executor goes on with whoever awaits this task: no stack grows, however deep they nest.
    struct HandOn {
        bool await_ready() const noexcept { return false; }
        template <typename Promise>
        void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
            const TaskPromiseBase& promise = self.promise();
            promise.executor->go_on_with(promise.awaited_by);
        }
        void await_resume() const noexcept {}
    };
    HandOn final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { thrown = std::current_exception(); }

    ExecutorState* executor = nullptr;  // known once it is awaited
    std::coroutine_handle<> awaited_by{};
    std::exception_ptr thrown{};
};

template <typename T>
class TaskPromise : public TaskPromiseBase {
public:
    Task<T> get_return_object() noexcept;
    template <typename U>
    void return_value(U&& value) {
        value_.emplace(std::forward<U>(value));
    }
    T take() {
        if (thrown) std::rethrow_exception(thrown);
        return std::move(*value_);
    }

private:
    std::optional<T> value_;
};

template <>
class TaskPromise<void> : public TaskPromiseBase {
public:
    Task<void> get_return_object() noexcept;
    void return_void() const noexcept {}
    void take() const {
        if (thrown) std::rethrow_exception(thrown);
    }
};

// The coroutines that may await what this room offers.
template <typename Promise>
concept RunsOnExecutor = requires(Promise& promise) {
    { promise.executor } -> std::same_as<ExecutorState*&>;
};

}  // namespace detail

// What the coroutine throws is thrown again where it is awaited; a spawned one must not throw.
//
// g++ before 12.3 (bug 106188) breaks a coroutine whose outermost block declares nothing and which
// awaits in a condition: `while (co_await ...)`. Declare something there, or in the condition:
// `while (const auto message = co_await ...)`.
template <typename T>
class [[nodiscard]] Task {
public:
    using promise_type = detail::TaskPromise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    Task(Task&& other) noexcept : handle_{std::exchange(other.handle_, {})} {}
    Task& operator=(Task&& other) noexcept {
        if (this != &other) {
            if (handle_) handle_.destroy();
            handle_ = std::exchange(other.handle_, {});
        }
        return *this;
    }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() {
        if (handle_) handle_.destroy();
    }

    class Awaiter {
    public:
        explicit Awaiter(Handle task) noexcept : task_{task} {}
        bool await_ready() const noexcept { return false; }
        template <detail::RunsOnExecutor Promise>
        void await_suspend(std::coroutine_handle<Promise> waiter) const noexcept {
            promise_type& promise = task_.promise();
            promise.executor = waiter.promise().executor;
            promise.awaited_by = waiter;
            promise.executor->go_on_with(task_);
        }
        T await_resume() const { return task_.promise().take(); }

    private:
        Handle task_;
    };
    // Once.
    Awaiter operator co_await() && noexcept {
        STOA_CHECK(handle_ && !handle_.promise().awaited_by);
        return Awaiter{handle_};
    }

private:
    friend promise_type;
    explicit Task(Handle handle) noexcept : handle_{handle} {}

    Handle handle_;
};

template <typename T>
Task<T> detail::TaskPromise<T>::get_return_object() noexcept {
    return Task<T>{std::coroutine_handle<TaskPromise>::from_promise(*this)};
}

inline Task<void> detail::TaskPromise<void>::get_return_object() noexcept {
    return Task<void>{std::coroutine_handle<TaskPromise>::from_promise(*this)};
}

}  // namespace stoa
