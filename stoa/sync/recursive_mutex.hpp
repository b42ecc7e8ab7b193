// RecursiveMutex: a mutex that the thread which holds it may lock again.
//
// Start here: hold() and unlock(); lock() and std::unique_lock where an exception tells of a death.
// Threads:    safe; the thread that locked it unlocks it, as often as it locked it.
// Processes:  lies in a region, or in memory of one process; all zero is a free one.
// Death:      of the process that holds it, or when it leaves the region: as of a Mutex. Who locks
//             it again before it said repaired() is told owner_died again.
// Blocking:   hold, lock and the timed forms, unless this thread holds it. unlock never.
// Lifetime:   the memory must stay mapped.
// Units:      24 bytes.
// Source:     Mutex, with the thread and its depth beside the word.
//
// Order: the word is the truth. thread and depth are written by the holder alone, and thread names
// place and incarnation too, so that what a dead holder left there is nobody's.
#pragma once

#include <cstdint>

#include "stoa/base/type_info.hpp"
#include "stoa/sync/holder_word.hpp"
#include "stoa/sync/lockable.hpp"
#include "stoa/sync/mutex_kinds_layout.hpp"

namespace stoa {

class RecursiveMutex : public TimedLockable<RecursiveMutex> {
public:
    static constexpr const char* kName = "stoa::RecursiveMutex";

    constexpr RecursiveMutex() noexcept = default;
    RecursiveMutex(const RecursiveMutex&) = delete;
    RecursiveMutex& operator=(const RecursiveMutex&) = delete;

    // Errors: poisoned, forked, limit_reached (2^32 - 1 times); timed_out, in_use (immediately:
    // another one holds it)
    [[nodiscard]] Result<Held> hold(Deadline deadline = Deadline::never()) noexcept;
    // After owner_died: what it guards is whole again.
    void repaired() noexcept { layout_.word.fetch_and(~LockWord::kInconsistent, kSeqCst); }
    // Precondition: this thread holds it. In a forked child it does nothing.
    void unlock() noexcept;

    [[nodiscard]] bool is_poisoned() const noexcept {
        return (layout_.word.load(kSeqCst) & LockWord::kPoisoned) != 0;
    }
    // Who holds it now; 0: nobody.
    [[nodiscard]] Holder holder() const noexcept {
        return LockWord::holder(layout_.word.load(kSeqCst));
    }

private:
    friend struct WaitWords;  // stoa/wait/object_wait.hpp
    RecursiveMutexLayout layout_{};
};

template <>
struct Layout<RecursiveMutex> {
    static constexpr std::string_view name = "stoa.recursive_mutex 1";
};

}  // namespace stoa
