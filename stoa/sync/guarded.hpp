// Guarded: data that only its lock gives access to, and that a death in the middle does not leave
// half changed unseen.
//
// Start here: Guarded<T>::lock(), then -> and *; owner_died() and repair().
// Threads:    safe; an Access ends on the thread that got it.
// Processes:  lies in a region, or in memory of one process; see stoa/sync/mutex.hpp.
// Death:      of who has access: the next one is told and repairs; an Access that ends unrepaired
//             poisons it. With Undo::copy the data go back by themselves to what they were before.
//             What was allocated and freed in the region's heap meanwhile goes with the data: it is
//             taken back with an undo copy, else what the mended data do not reach is freed.
// Blocking:   lock, until its deadline.
// Lifetime:   an Access must end before its Guarded does.
// Units:      not applicable.
// Source:     the undo copy: write-ahead logging (Gray, Reuter 1992, chapter 10) of a log of one.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include "stoa/base/fingerprint.hpp"
#include "stoa/sync/mutex.hpp"
#include "stoa/sync/section.hpp"

namespace stoa {

// Whether what a dead one changed is taken back: costs a copy of T for each access.
enum class Undo : std::uint8_t { none, copy };

namespace detail {

template <typename Lock>
struct Waitable;  // stoa/sync/condition.hpp

}  // namespace detail

// Whether a T is what it was when its bytes are put back where they were. True also of what holds
// an OffsetPtr; specialise it there. Blocks that the T points at are not copied: within an access
// they may be allocated, freed and read, not changed.
template <typename T>
inline constexpr bool kUndoneByBytes = std::is_trivially_copyable_v<T>;

template <typename T, Undo kUndo = Undo::none>
    requires(kUndo == Undo::none || kUndoneByBytes<T>)
class Guarded {
public:
    class Access {
    public:
        Access(Access&& other) noexcept
            : of_{std::exchange(other.of_, nullptr)}, died_{other.died_}, undone_{other.undone_} {}
        Access& operator=(Access&&) = delete;
        ~Access() {
            if (of_ != nullptr) of_->give_back(died_);
        }

        [[nodiscard]] T& operator*() const noexcept { return of_->value_; }
        [[nodiscard]] T* operator->() const noexcept { return &of_->value_; }
        // The last one died while it had access: the data may be half changed. Repair them.
        [[nodiscard]] bool owner_died() const noexcept { return died_; }
        // The last one died while it had access, and what it changed was taken back.
        [[nodiscard]] bool undone() const noexcept { return undone_; }
        // Calls mend(T&); from then on the data count as whole. What it allocates is not logged.
        template <std::invocable<T&> Mend>
        void repair(Mend&& mend) {
            std::forward<Mend>(mend)(of_->value_);
            if (died_) of_->mended();
            died_ = false;
        }

    private:
        friend class Guarded;
        template <typename Lock>
        friend struct detail::Waitable;
        explicit Access(Guarded* of) noexcept : of_{of} {}

        // What a wait on a condition does with it. An error leaves it without anything to access.
        static constexpr bool kIsAccess = true;
        void give() noexcept { of_->give_back(died_); }
        [[nodiscard]] Result<Held> take(Deadline deadline) {
            const Result<Held> held = of_->enter(deadline, undone_);
            if (!held) of_ = nullptr;
            died_ = held && *held == Held::owner_died;
            return held;
        }
        [[nodiscard]] const Mutex& mutex() const noexcept { return of_->lock_; }

        Guarded* of_;
        bool died_ = false;
        bool undone_ = false;
    };

    constexpr Guarded() = default;
    constexpr explicit Guarded(T value) : value_{std::move(value)} {}
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;

    // Errors: poisoned, forked, timed_out; try_lock: in_use
    [[nodiscard]] Result<Access> lock(Deadline deadline = Deadline::never()) {
        Access access{this};
        const Result<Held> held = access.take(deadline);
        if (!held) return std::unexpected(held.error());
        return access;
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
    struct Nothing {};
    struct Bytes {
        alignas(T) std::byte bytes[sizeof(T)]{};
    };

    // owner_died: nothing took back what the dead one changed.
    [[nodiscard]] Result<Held> enter(Deadline deadline, bool& undone) {
        const Result<Held> held = lock_.hold(deadline);
        if (!held) return held;
        const bool died = *held == Held::owner_died;
        if constexpr (kUndo == Undo::copy) {
            undone = died && take_back();
            std::memcpy(&undo_, static_cast<const void*>(&value_), sizeof value_);
            open();
            return Held::clean;
        }
        if (!died) open();
        return held;
    }
    // Order: the undo copy is whole, then the section's word says open, then the data change; the
    // data are whole, then the word says closed. Release and signal fences: only the heir looks,
    // after the kernel said that the other is dead.
    void open() noexcept {
        if (SectionHost* const heap = here(this).heap; heap != nullptr) {
            begin_section(*heap, section_);
        } else if constexpr (kUndo == Undo::copy) {
            section_.store(kSectionOpen, kRelease);
        }
        std::atomic_signal_fence(kSeqCst);
    }
    // After a death. True: what the dead one changed was taken back.
    bool take_back() noexcept {
        const std::uint64_t section = section_.load(kAcquire);
        const bool was_open = (section & kSectionOpen) != 0;
        if (was_open) std::memcpy(static_cast<void*>(&value_), &undo_, sizeof value_);
        end_log(was_open);
        lock_.repaired();
        return was_open;
    }
    void end_log(bool takes_back) noexcept {
        SectionHost* const heap = here(this).heap;
        if (heap == nullptr || section_.load(kRelaxed) <= kSectionOpen) {
            section_.store(0, kRelease);
        } else if (takes_back) {
            heap->roll_back(section_);
        } else {
            heap->commit(section_);
        }
    }
    void mended() noexcept {
        SectionHost* const heap = here(this).heap;
        const std::uint64_t section = section_.load(kAcquire);
        if (heap != nullptr && section > kSectionOpen && (section & kSectionOpen) != 0) {
            heap->settle(section_, std::as_bytes(std::span{&value_, 1}));
        } else {
            end_log(false);
        }
        lock_.repaired();
        open();
    }
    void give_back(bool died) noexcept {
        const Here at = here(this);
        if (at.me == 0) return;  // a forked child: the access is its parent's
        if (!died) {             // else it is poisoned, and its log stays
            if (at.heap != nullptr) {
                end_section(*at.heap, section_);
            } else {
                section_.store(0, kRelease);
            }
        }
        lock_.unlock();
    }

    Mutex lock_;
    SectionOwner section_{0};
    T value_{};
    [[no_unique_address]] std::conditional_t<kUndo == Undo::copy, Bytes, Nothing> undo_{};
};

template <typename T, Undo kUndo>
    requires Shareable<T>
struct Layout<Guarded<T, kUndo>> {
    static void append(std::string& text) {
        text += kUndo == Undo::copy ? "stoa.guarded 1 undo " : "stoa.guarded 1 ";
        detail::append_type<T>(text);
    }
};

}  // namespace stoa
