// Guarded: data that only its lock gives access to, and that a death in the middle does not leave
// half changed unseen.
//
// Start here: Guarded<T>::lock(), then -> and *; owner_died() and repair().
// Threads:    safe.
// Processes:  lies in a region, or in memory of one process; see stoa/sync/mutex.hpp.
// Death:      of who has access: the next one is told and repairs; an Access that ends unrepaired
//             poisons it. With Undo::copy the data go back by themselves to what they were before.
// Blocking:   lock, until its deadline.
// Lifetime:   an Access must end before its Guarded does.
// Units:      not applicable.
// Source:     the undo copy: write-ahead logging (Gray, Reuter 1992, chapter 10) of a log of one.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "stoa/sync/mutex.hpp"

namespace stoa {

// Whether what a dead one changed is taken back: costs a copy of T for each access.
enum class Undo : std::uint8_t { none, copy };

namespace detail {

template <typename T>
struct UndoCopy {
    // Order: `before` is whole, then `armed` is set, then the data change; `armed` is cleared when
    // they are whole again. Release and signal fences: only the heir looks, after the kernel said
    // that the other is dead.
    T before{};
    Atomic<std::uint32_t> armed{0};
};

}  // namespace detail

template <typename T, Undo kUndo = Undo::none>
    requires(kUndo == Undo::none || std::is_trivially_copyable_v<T>)
class Guarded {
public:
    class Access {
    public:
        Access(Access&& other) noexcept
            : of_{std::exchange(other.of_, nullptr)}, died_{other.died_}, undone_{other.undone_} {}
        Access& operator=(Access&&) = delete;
        ~Access() {
            if (of_ != nullptr) of_->give_back();
        }

        [[nodiscard]] T& operator*() const noexcept { return of_->value_; }
        [[nodiscard]] T* operator->() const noexcept { return &of_->value_; }
        // The last one died while it had access: the data may be half changed. Repair them.
        [[nodiscard]] bool owner_died() const noexcept { return died_; }
        // The last one died while it had access, and what it changed was taken back.
        [[nodiscard]] bool undone() const noexcept { return undone_; }
        // Calls mend(T&); from then on the data count as whole.
        template <std::invocable<T&> Mend>
        void repair(Mend&& mend) {
            std::forward<Mend>(mend)(of_->value_);
            died_ = false;
            of_->lock_.repaired();
        }

    private:
        friend class Guarded;
        Access(Guarded* of, bool died, bool undone) noexcept
            : of_{of}, died_{died}, undone_{undone} {}

        Guarded* of_;
        bool died_;
        bool undone_;
    };

    constexpr Guarded() = default;
    constexpr explicit Guarded(T value) : value_{std::move(value)} {}
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;

    // Errors: poisoned, forked, timed_out; try_lock: in_use
    [[nodiscard]] Result<Access> lock(Deadline deadline = Deadline::never()) {
        const Result<Held> held = lock_.hold(deadline);
        if (!held) return std::unexpected(held.error());
        const bool died = *held == Held::owner_died;
        if constexpr (kUndo == Undo::copy) {
            const bool undone = died && undo_.armed.load(kAcquire) != 0;
            if (undone) value_ = undo_.before;
            undo_.armed.store(0, kRelease);
            if (died) lock_.repaired();
            undo_.before = value_;
            undo_.armed.store(1, kRelease);
            std::atomic_signal_fence(kSeqCst);
            return Access{this, false, undone};
        }
        return Access{this, died, false};
    }
    [[nodiscard]] Result<Access> try_lock() { return lock(Deadline::immediately()); }
    [[nodiscard]] Result<Access> lock_for(std::chrono::nanoseconds wait) {
        return lock(Deadline::after(wait));
    }
    [[nodiscard]] Result<Access> lock_until(Deadline::Clock::time_point when) {
        return lock(Deadline::at(when));
    }
    [[nodiscard]] bool is_poisoned() const noexcept { return lock_.is_poisoned(); }

private:
    void give_back() noexcept {
        if constexpr (kUndo == Undo::copy) undo_.armed.store(0, kRelease);
        lock_.unlock();
    }
    struct Nothing {};

    Mutex lock_;
    T value_{};
    [[no_unique_address]] std::conditional_t<kUndo == Undo::copy, detail::UndoCopy<T>, Nothing>
        undo_{};
};

}  // namespace stoa
