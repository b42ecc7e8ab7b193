#include "stoa/channel/pool_engine.hpp"

#include <cstring>

#include "stoa/base/crash_point.hpp"

namespace stoa {
namespace {

std::unexpected<Error> corrupt() noexcept {
    return fail(Errc::corrupt, "mailbox");
}

}  // namespace

Result<void> PoolEngine::outcome(Waited waited) {
    switch (waited) {
        case Waited::ready: return {};
        case Waited::timed_out: return fail(Errc::timed_out, "wait");
        case Waited::stopped: return std::unexpected(stopped_);
    }
    return {};
}

Result<void> PoolEngine::look_if_due() {
    const std::chrono::nanoseconds now = sys::coarse_now();
    if (now - looked_at_ < g_wait_slice) [[likely]]
        return {};
    looked_at_ = now;
    return around_.look(around_.context);
}

template <typename Ready>
Result<void> PoolEngine::wait(Atomic<std::uint32_t>& bell, Deadline deadline, bool& slept,
                              Ready&& ready) {
    const auto look = [&](bool due) {
        const Result<void> looked = (due ? around_.look : around_.check)(around_.context);
        if (!looked) stopped_ = looked.error();
        return looked.has_value();
    };
    if (!look(false)) return outcome(Waited::stopped);
    return outcome(wait_on_bell(bell, deadline, waiting_, slept, ready, look));
}

Result<PoolLoan> PoolEngine::reserve(std::uint64_t bytes, Deadline deadline) {
    const PoolGeometry& geometry = ring_.geometry();
    if (bytes > geometry.classes[geometry.class_count - 1].payload_bytes) {
        return fail(Errc::too_big, "send");
    }
    const auto length = static_cast<std::uint32_t>(bytes);
    PoolLoan loan;
    if (ring_.claim(me_, length, loan) == PoolStatus::ok) [[likely]]
        return loan;
    if (Result<void> looked = look_if_due(); !looked) return std::unexpected(looked.error());
    const auto claimed = [&] { return ring_.claim(me_, length, loan) == PoolStatus::ok; };
    if (deadline.is_immediate()) {
        if (claimed()) return loan;
        return fail(Errc::full, "send");
    }
    bool slept = false;
    const Result<void> waited = wait(bells_->space, deadline, slept, claimed);
    if (!waited) return std::unexpected(waited.error());
    return loan;
}

Result<void> PoolEngine::commit(const PoolLoan& loan, std::uint32_t bytes, Deadline deadline) {
    PoolStatus status = ring_.publish(loan, bytes);
    if (status == PoolStatus::full) {
        if (Result<void> looked = look_if_due(); !looked) return looked;
        const auto published = [&] {
            status = ring_.publish(loan, bytes);
            return status != PoolStatus::full;
        };
        if (deadline.is_immediate()) {
            if (!published()) return fail(Errc::full, "send");
        } else {
            bool slept = false;
            const Result<void> waited = wait(bells_->space, deadline, slept, published);
            if (!waited) return waited;
        }
    }
    if (status != PoolStatus::ok) return corrupt();
    ring_bell(bells_->messages);
    return {};
}

Result<void> PoolEngine::send(Bytes message, Deadline deadline) {
    const Result<PoolLoan> loan = reserve(message.size(), deadline);
    if (!loan) return std::unexpected(loan.error());
    if (!message.empty()) {
        std::memcpy(ring_.room(*loan).data(), message.data(), message.size());
    }
    Result<void> sent = commit(*loan, static_cast<std::uint32_t>(message.size()), deadline);
    if (!sent) release(*loan);
    return sent;
}

Result<PoolLoan> PoolEngine::receive(Deadline deadline) {
    // Under load as well: the leases of the dead must not wait for a pause.
    if (Result<void> looked = look_if_due(); !looked) return std::unexpected(looked.error());
    PoolLoan loan;
    bool slept = false;
    for (;;) {
        const PoolStatus status = ring_.take(me_, loan);
        if (status == PoolStatus::ok) [[likely]]
            break;
        if (status != PoolStatus::empty) return corrupt();
        if (deadline.passed()) {
            return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "receive");
        }
        bool slept_now = false;
        const Result<void> waited =
            wait(bells_->messages, deadline, slept_now, [&] { return !ring_.seems_empty(); });
        slept |= slept_now;
        if (!waited && waited.error().code != Errc::timed_out) {
            return std::unexpected(waited.error());
        }
    }
    ring_bell_of_many(bells_->space);                                // a slot is free
    if (slept && !ring_.seems_empty()) ring_bell(bells_->messages);  // pass the wake on
    return loan;
}

bool PoolEngine::release(const PoolLoan& loan) noexcept {
    const bool released = ring_.release(loan);
    ring_bell_of_many(bells_->space);  // memory is free
    return released;
}

bool PoolEngine::nack(const PoolLoan& loan) noexcept {
    const bool returned = ring_.nack(loan);
    ring_bell(bells_->messages);
    return returned;
}

void PoolEngine::recover(std::uint32_t dead) noexcept {
    ring_.recover(dead);
    STOA_CRASH_POINT("pool_engine.recover.before_bells");
    wake_all();
}

void PoolEngine::wake_all() noexcept {
    ring_bell_for_all(bells_->messages);
    ring_bell_for_all(bells_->space);
}

}  // namespace stoa
