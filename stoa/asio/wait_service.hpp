// One wait set for everything that the handlers of one Asio context wait for.
//
// Start here: WaitService::start; the calls for users are in stoa/asio/async.hpp.
// Threads:    all work is done in one strand of the context; start() and cancel() from any thread.
// Processes:  the set belongs to the process that made the context: after fork it says `forked`.
// Death:      as stoa/wait/wait_set.hpp.
// Blocking:   never: the context waits for the set's descriptor.
// Lifetime:   of the context; operations that are left at its end are destroyed, not completed.
// Units:      none.
// Source:     asio's own services: posix::stream_descriptor, execution_context::service.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/bind_executor.hpp>
#include <asio/dispatch.hpp>
#include <asio/execution_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "stoa/base/error.hpp"
#include "stoa/wait/wait_set.hpp"

namespace stoa::asio::detail {

// Something that is tried until it is done. Called in the service's strand.
class Operation {
public:
    Operation() noexcept = default;
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;
    virtual ~Operation() = default;

    // True when it has its result. Null: the first try.
    virtual bool attempt(const Ready* ready) = 0;
    // What to wait for until the next attempt.
    virtual Waitable what() = 0;
    virtual void end_with(const Error& error) = 0;
    // Posts its handler with the result.
    virtual void complete() = 0;

private:
    friend class WaitService;
    WaitId id_{};
    bool ended_ = false;
};

class WaitService : public ::asio::execution_context::service {
public:
    using key_type = WaitService;
    static inline ::asio::execution_context::id id;

    explicit WaitService(::asio::execution_context& context)
        : ::asio::execution_context::service{context} {}

    void start(const ::asio::any_io_executor& executor, std::shared_ptr<Operation> operation) {
        ::asio::dispatch(strand_on(executor), [this, operation = std::move(operation)]() mutable {
            begin(std::move(operation));
        });
    }
    void cancel(const std::shared_ptr<Operation>& operation) {
        // Posted: its end clears the slot whose handler may be calling this.
        ::asio::post(*strand_, [this, operation] {
            if (operation->ended_) return;
            operation->end_with(Error{Errc::stopped, 0, "async"});
            finish(operation);
        });
    }

private:
    using Strand = ::asio::strand<::asio::any_io_executor>;

    void shutdown() noexcept override {
        operations_.clear();
        if (descriptor_.has_value()) (void)descriptor_->release();  // it is the set's
        descriptor_.reset();
        set_.reset();
        strand_.reset();
    }

    // The strand of whoever came first; contexts are made before they are run by several threads.
    const Strand& strand_on(const ::asio::any_io_executor& executor) {
        std::call_once(made_, [&] { strand_.emplace(executor); });
        return *strand_;
    }

    Result<void> make_set() {
        if (set_.has_value()) return {};
        Result<WaitSet> set = WaitSet::create();
        if (!set) return std::unexpected(set.error());
        const Result<int> fd = set->fd();
        if (!fd) return std::unexpected(fd.error());
        descriptor_.emplace(strand_->get_inner_executor());
        ::asio::error_code failure;
        descriptor_->assign(*fd, failure);
        if (failure) {
            descriptor_.reset();
            return fail(Errc::os, "asio descriptor", failure.value());
        }
        set_.emplace(std::move(*set));
        return {};
    }

    void begin(std::shared_ptr<Operation> operation) {
        if (operation->ended_) return;  // cancelled before
        if (operation->attempt(nullptr)) return finish(operation);
        if (const Result<void> made = make_set(); !made) {
            operation->end_with(made.error());
            return finish(operation);
        }
        const auto tag = reinterpret_cast<std::uintptr_t>(operation.get());
        const Result<WaitId> added = set_->add(operation->what(), tag);
        if (!added) {
            operation->end_with(added.error());
            return finish(operation);
        }
        operation->id_ = *added;
        operations_.emplace(tag, std::move(operation));
        look();
        wait();
    }

    // The context waits while there is an operation, and may end when there is none.
    void wait() {
        if (operations_.empty() || waits_) return;
        waits_ = true;
        descriptor_->async_wait(
            ::asio::posix::stream_descriptor::wait_read,
            ::asio::bind_executor(*strand_, [this](const ::asio::error_code& /*failure*/) {
                waits_ = false;
                if (!set_.has_value()) return;
                look();
                wait();
            }));
    }

    void look() {
        const auto ready = set_->try_wait();
        if (!ready) {
            if (ready.error().code != Errc::empty) end_all_with(ready.error());
            return;
        }
        for (const Ready& one : *ready) {
            const auto found = operations_.find(one.tag);
            if (found == operations_.end()) continue;
            const std::shared_ptr<Operation> operation = found->second;
            if (operation->attempt(&one)) finish(operation);
        }
    }

    void end_all_with(const Error& error) {
        while (!operations_.empty()) {
            const std::shared_ptr<Operation> operation = operations_.begin()->second;
            operation->end_with(error);
            finish(operation);
        }
    }

    void finish(const std::shared_ptr<Operation>& operation) {
        operation->ended_ = true;
        if (operation->id_.value != 0) {
            operations_.erase(reinterpret_cast<std::uintptr_t>(operation.get()));
            // A thing that was closed, and a timer that fired, left already.
            if (!set_->remove(operation->id_)) operation->id_ = {};
            if (operations_.empty() && waits_) {
                ::asio::error_code ignored;
                descriptor_->cancel(ignored);
            }
        }
        operation->complete();
    }

    std::once_flag made_;
    std::optional<Strand> strand_;
    std::optional<WaitSet> set_;
    std::optional<::asio::posix::basic_stream_descriptor<::asio::any_io_executor>> descriptor_;
    std::unordered_map<std::uint64_t, std::shared_ptr<Operation>> operations_;
    bool waits_ = false;
};

}  // namespace stoa::asio::detail
