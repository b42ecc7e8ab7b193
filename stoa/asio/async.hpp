// Asio: messages, and everything that can be waited for, with completion tokens.
//
// Start here: co_await stoa::asio::async_receive(orders, asio::use_awaitable); async_send,
//             async_call, async_wait. With a context in front: async_receive(context, orders,
//             use_future).
// Threads:    one thread at a time per handle; the calls work in a strand of the context, which is
//             the strand of the first caller if it has one.
// Processes:  as stoa/wait/wait_set.hpp.
// Death:      as the calls on the thing itself.
// Blocking:   never; handlers are posted, never called inside the call that starts them.
// Lifetime:   the thing must outlive the call. What is left at the end of the context is destroyed.
// Units:      none.
// Source:     asio: async_initiate, associated executors and cancellation slots.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/query.hpp>
#include <asio/system_executor.hpp>
#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "stoa/asio/wait_service.hpp"
#include "stoa/base/error.hpp"
#include "stoa/wait/waitable.hpp"

namespace stoa::asio {

namespace detail {

// The context is known by the handler alone: use_awaitable, bind_executor.
struct OfHandler {};

[[nodiscard]] constexpr bool is_not_yet(Errc code) noexcept {
    return code == Errc::empty || code == Errc::full;
}

// Call: Outcome(const Ready*), tried until it is not empty() by `is_not_yet`; What: Waitable().
template <typename Outcome, typename Call, typename What, typename Handler>
class HandlerOperation final : public Operation {
public:
    HandlerOperation(Call call, What what, Handler handler,
                     const ::asio::any_io_executor& executor) noexcept
        : call_{std::move(call)},
          what_{std::move(what)},
          handler_{std::move(handler)},
          work_{::asio::get_associated_executor(handler_, executor)} {}

    bool attempt(const Ready* ready) override {
        std::optional<Outcome> outcome = call_(ready);
        if (!outcome.has_value()) return false;
        outcome_.emplace(std::move(*outcome));
        return true;
    }
    Waitable what() override { return what_(); }
    void end_with(const Error& error) override { outcome_.emplace(std::unexpected(error)); }
    void complete() override {
        ::asio::get_associated_cancellation_slot(handler_).clear();
        const auto executor = work_.get_executor();
        ::asio::post(executor, [handler = std::move(handler_), outcome = std::move(*outcome_),
                                work = std::move(work_)]() mutable {
            std::move(handler)(std::move(outcome));
        });
    }
    [[nodiscard]] const Handler& handler() const noexcept { return handler_; }

private:
    using HandlerExecutor = ::asio::associated_executor_t<Handler, ::asio::any_io_executor>;

    Call call_;
    What what_;
    Handler handler_;
    ::asio::executor_work_guard<HandlerExecutor> work_;
    std::optional<Outcome> outcome_{};
};

template <typename Context>
::asio::any_io_executor executor_of(Context& context) {
    if constexpr (requires { context.get_executor(); }) {
        return context.get_executor();
    } else {
        return context;  // an executor itself
    }
}

template <typename Context, typename Handler>
::asio::any_io_executor executor_for(Context& context, const Handler& handler) {
    if constexpr (std::same_as<std::remove_const_t<Context>, OfHandler>) {
        using Executor = ::asio::associated_executor_t<Handler>;
        static_assert(!std::same_as<Executor, ::asio::system_executor>,
                      "this completion token knows no context: give one as the first argument");
        return ::asio::get_associated_executor(handler);
    } else {
        return executor_of(context);
    }
}

template <typename Outcome, typename Context, typename Call, typename What, typename Token>
auto initiate(Context context, Call call, What what, Token&& token) {
    return ::asio::async_initiate<Token, void(Outcome)>(
        [](auto handler, auto given, auto call_it, auto what_it) {
            using Handler = decltype(handler);
            using Made = HandlerOperation<Outcome, decltype(call_it), decltype(what_it), Handler>;
            const ::asio::any_io_executor executor = executor_for(given, handler);
            auto& service = ::asio::use_service<WaitService>(
                ::asio::query(executor, ::asio::execution::context));
            const auto operation = std::make_shared<Made>(std::move(call_it), std::move(what_it),
                                                          std::move(handler), executor);
            auto slot = ::asio::get_associated_cancellation_slot(operation->handler());
            if (slot.is_connected()) {
                slot.assign([&service, weak = std::weak_ptr<Operation>{operation}](
                                ::asio::cancellation_type type) {
                    const std::shared_ptr<Operation> strong = weak.lock();
                    if (type != ::asio::cancellation_type::none && strong) service.cancel(strong);
                });
            }
            service.start(executor, operation);
        },
        token, std::move(context), std::move(call), std::move(what));
}

// Tries until it is done.
template <typename Context, typename Try, typename What, typename Token>
auto try_on(Context context, Try attempt, What what, Token&& token) {
    using Outcome = std::invoke_result_t<Try&>;
    return initiate<Outcome>(
        std::move(context),
        [attempt = std::move(attempt)](const Ready* /*ready*/) mutable -> std::optional<Outcome> {
            Outcome outcome = attempt();
            if (!outcome && is_not_yet(outcome.error().code)) return std::nullopt;
            return outcome;
        },
        std::move(what), std::forward<Token>(token));
}

template <typename Context, typename From, typename Token>
auto receive_on(Context context, From& from, Token&& token) {
    return try_on(
        std::move(context), [&from] { return from.try_receive(); },
        [&from]() -> Waitable { return from.readable(); }, std::forward<Token>(token));
}

// Of what receives several types; `name`: of whom, or nothing.
template <typename T, typename Context, typename From, typename Token, typename... Name>
auto receive_typed_on(Context context, From& from, Token&& token, const Name&... name) {
    return try_on(
        std::move(context), [&from, name...] { return from.template try_receive<T>(name...); },
        [&from, name...]() -> Waitable { return from.readable(name...); },
        std::forward<Token>(token));
}

template <typename Context, typename To, typename Value, typename Token, typename... Name>
auto send_on(Context context, To& to, Value value, Token&& token, const Name&... name) {
    return try_on(
        std::move(context),
        [&to, value = std::move(value), name...] { return to.try_send(name..., value); },
        [&to, name...]() -> Waitable { return to.writable(name...); }, std::forward<Token>(token));
}

template <typename Context, typename Call, typename Token>
auto call_on(Context context, Call call, Token&& token) {
    const auto kept = std::make_shared<Call>(std::move(call));
    return try_on(
        std::move(context), [kept] { return kept->try_receive(); },
        [kept]() -> Waitable { return kept->readable(); }, std::forward<Token>(token));
}

template <typename Context, typename Token>
auto wait_on(Context context, Waitable what, Token&& token) {
    using Outcome = Result<Ready>;
    return initiate<Outcome>(
        std::move(context),
        [](const Ready* ready) -> std::optional<Outcome> {
            if (ready == nullptr) return std::nullopt;
            return *ready;
        },
        [what = std::move(what)]() -> Waitable { return what; }, std::forward<Token>(token));
}

template <typename Context>
concept ContextOrExecutor = requires(Context& context) { context.get_executor(); } ||
                            std::convertible_to<Context, ::asio::any_io_executor>;

template <typename From>
concept Receivable = requires(From& from) {
    from.try_receive();
    { from.readable() } -> std::convertible_to<Waitable>;
};

template <typename To, typename Value>
concept Sendable = requires(To& to, const Value& value) {
    to.try_send(value);
    { to.writable() } -> std::convertible_to<Waitable>;
};

template <typename From, typename T, typename... Name>
concept ReceivesTyped = requires(From& from, const Name&... name) {
    from.template try_receive<T>(name...);
    { from.readable(name...) } -> std::convertible_to<Waitable>;
};

template <typename To, typename Value>
concept SendsToNames = requires(To& to, const std::string& name, const Value& value) {
    to.try_send(name, value);
    { to.writable(name) } -> std::convertible_to<Waitable>;
};

template <typename To, typename Reply, typename... Request>
concept Callable = requires(To& to, Request&&... request) {
    to.template pending_call<Reply>(std::forward<Request>(request)...);
};

}  // namespace detail

// Handlers get a Result: no error code beside it, and nothing is thrown. What their cancellation
// slot ends is `stopped`, and has taken and sent nothing.

// void(Result<message>): the next message of a mailbox, a link, or what else has try_receive() and
// readable(). A message is taken before its handler runs, so of more calls at once on one handle
// than its loan quota some may end with too_many_loans.
// Errors: stopped; limit_reached: see WaitSet::create; those of its receive
template <detail::Receivable From, typename Token>
auto async_receive(From& from, Token&& token) {
    return detail::receive_on(detail::OfHandler{}, from, std::forward<Token>(token));
}
template <detail::ContextOrExecutor Context, detail::Receivable From, typename Token>
auto async_receive(Context&& context, From& from, Token&& token) {
    return detail::receive_on(detail::executor_of(context), from, std::forward<Token>(token));
}

// void(Result<void>): sends a copy of the value when there is room. Errors: stopped; limit_reached;
// those of its send
template <typename To, typename Value, typename Token>
    requires detail::Sendable<To, Value>
auto async_send(To& to, Value value, Token&& token) {
    return detail::send_on(detail::OfHandler{}, to, std::move(value), std::forward<Token>(token));
}
template <detail::ContextOrExecutor Context, typename To, typename Value, typename Token>
    requires detail::Sendable<To, Value>
auto async_send(Context&& context, To& to, Value value, Token&& token) {
    return detail::send_on(detail::executor_of(context), to, std::move(value),
                           std::forward<Token>(token));
}

// Of what receives several types, as a link does, or a process from anyone; with a name: from who
// has it. Errors: as async_receive
template <typename T, typename From, typename Token>
    requires detail::ReceivesTyped<From, T>
auto async_receive(From& from, Token&& token) {
    return detail::receive_typed_on<T>(detail::OfHandler{}, from, std::forward<Token>(token));
}
template <typename T, detail::ContextOrExecutor Context, typename From, typename Token>
    requires detail::ReceivesTyped<From, T>
auto async_receive(Context&& context, From& from, Token&& token) {
    return detail::receive_typed_on<T>(detail::executor_of(context), from,
                                       std::forward<Token>(token));
}
template <typename T, typename From, typename Token>
    requires detail::ReceivesTyped<From, T, std::string>
auto async_receive(From& from, std::string_view name, Token&& token) {
    return detail::receive_typed_on<T>(detail::OfHandler{}, from, std::forward<Token>(token),
                                       std::string{name});
}
template <typename T, detail::ContextOrExecutor Context, typename From, typename Token>
    requires detail::ReceivesTyped<From, T, std::string>
auto async_receive(Context&& context, From& from, std::string_view name, Token&& token) {
    return detail::receive_typed_on<T>(detail::executor_of(context), from,
                                       std::forward<Token>(token), std::string{name});
}

// void(Result<void>): to the process that has that name. Errors: as async_send
template <typename To, typename Value, typename Token>
    requires detail::SendsToNames<To, Value>
auto async_send(To& to, std::string_view name, Value value, Token&& token) {
    return detail::send_on(detail::OfHandler{}, to, std::move(value), std::forward<Token>(token),
                           std::string{name});
}
template <detail::ContextOrExecutor Context, typename To, typename Value, typename Token>
    requires detail::SendsToNames<To, Value>
auto async_send(Context&& context, To& to, std::string_view name, Value value, Token&& token) {
    return detail::send_on(detail::executor_of(context), to, std::move(value),
                           std::forward<Token>(token), std::string{name});
}

// void(Result<Received<Reply>>): a call of a link, or of the process that has a name. Many may be
// on their way at once. Errors: stopped: a reply that comes later is dropped; limit_reached; those
// of its call
template <typename Reply, typename To, typename Request, typename Token>
    requires detail::Callable<To, Reply, Request>
auto async_call(To& to, Request&& request, Token&& token) {
    return detail::call_on(detail::OfHandler{},
                           to.template pending_call<Reply>(std::forward<Request>(request)),
                           std::forward<Token>(token));
}
template <typename Reply, detail::ContextOrExecutor Context, typename To, typename Request,
          typename Token>
    requires detail::Callable<To, Reply, Request>
auto async_call(Context&& context, To& to, Request&& request, Token&& token) {
    return detail::call_on(detail::executor_of(context),
                           to.template pending_call<Reply>(std::forward<Request>(request)),
                           std::forward<Token>(token));
}
template <typename Reply, typename To, typename Request, typename Token>
    requires detail::Callable<To, Reply, std::string_view, Request>
auto async_call(To& to, std::string_view name, Request&& request, Token&& token) {
    return detail::call_on(detail::OfHandler{},
                           to.template pending_call<Reply>(name, std::forward<Request>(request)),
                           std::forward<Token>(token));
}
template <typename Reply, detail::ContextOrExecutor Context, typename To, typename Request,
          typename Token>
    requires detail::Callable<To, Reply, std::string_view, Request>
auto async_call(Context&& context, To& to, std::string_view name, Request&& request,
                Token&& token) {
    return detail::call_on(detail::executor_of(context),
                           to.template pending_call<Reply>(name, std::forward<Request>(request)),
                           std::forward<Token>(token));
}

// void(Result<Ready>): until it is ready. Errors: stopped; as WaitSet::add
template <std::convertible_to<Waitable> What, typename Token>
auto async_wait(What&& what, Token&& token) {
    return detail::wait_on(detail::OfHandler{}, Waitable{std::forward<What>(what)},
                           std::forward<Token>(token));
}
template <detail::ContextOrExecutor Context, std::convertible_to<Waitable> What, typename Token>
auto async_wait(Context&& context, What&& what, Token&& token) {
    return detail::wait_on(detail::executor_of(context), Waitable{std::forward<What>(what)},
                           std::forward<Token>(token));
}

}  // namespace stoa::asio
