// PriorityMutex: a mutex whose holder runs as urgently as the most urgent one that waits for it.
//
// Start here: hold() and unlock(); lock() and std::unique_lock where an exception tells of a death.
// Threads:    safe; the thread that locked it unlocks it. It is not recursive.
// Processes:  lies in a region all of whose processes are in one pid and time namespace (the kernel
//             knows threads by their ids), or in memory of one process; all zero is a free one.
// Death:      as of a Mutex: exactly one heir is told owner_died, mends, says repaired(); else it
//             is poisoned. A waiter that dies leaves nothing behind.
// Blocking:   hold, lock and the timed forms. unlock never.
// Lifetime:   the memory must stay mapped.
// Units:      16 bytes.
// Source:     FUTEX_LOCK_PI of futex(2); Sha, Rajkumar, Lehoczky 1990.
//
// Order: whoever wants it passes the gate, a lock of the kernel's that lends priorities, and then
// takes the word of a Mutex, which is the truth: it alone says who holds it and who died. So what
// goes wrong at the gate costs order and time, never more: the kernel names threads there, whose
// ids are used again, and hands it on when a thread dies, though its process may not be dead yet.
// Who finds for a slice that the gate is held and the word is not, or that the word's holder is
// gone, goes past it, and opens it.
#pragma once

#include <cstdint>

#include "stoa/base/type_info.hpp"
#include "stoa/sync/holder_word.hpp"
#include "stoa/sync/lockable.hpp"
#include "stoa/sync/mutex_kinds_layout.hpp"

namespace stoa {

class PriorityMutex : public TimedLockable<PriorityMutex> {
public:
    static constexpr const char* kName = "stoa::PriorityMutex";

    constexpr PriorityMutex() noexcept = default;
    PriorityMutex(const PriorityMutex&) = delete;
    PriorityMutex& operator=(const PriorityMutex&) = delete;

    // Errors: poisoned, forked, not_supported (several pid namespaces, or no such futex);
    // timed_out, in_use (immediately: another one holds it)
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
    enum class Gate : std::uint8_t { passed, gone_past, timed_out, not_supported };

    // `stale` is what stood at the gate for a whole slice while nobody held the word, or 0.
    [[nodiscard]] Gate pass_gate(const Here& at, Deadline deadline, std::uint32_t& stale) noexcept;
    void open_gate(std::uint32_t thread) noexcept;
    void leave_gate() noexcept;

    PriorityMutexLayout layout_{};
};

template <>
struct Layout<PriorityMutex> {
    static constexpr std::string_view name = "stoa.priority_mutex 1";
};

}  // namespace stoa
