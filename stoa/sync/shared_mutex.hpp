// SharedMutex: many read at once, or one writes, among threads and processes; the dead do neither.
//
// Start here: hold_shared() and unlock_shared(), hold() and unlock(); std::shared_lock and
//             std::unique_lock where an exception tells of a death.
// Threads:    safe; who locked it unlocks it. It is not recursive: one that reads and locks again
//             to read may wait for a writer that waits for it.
// Processes:  lies in a region, or in memory of one process; all zero is a free one. As many
//             processes read at once as it has places; the next one waits for a place.
// Death:      of a reader: whoever waits drops it within 100 ms. Of a writer that was in: exactly
//             one of those who wait or come, a reader too, gets it alone and is told owner_died,
//             mends the data, says repaired(), and gives it back by what it took it with. Given
//             back without that it is poisoned: every later lock says so. Of a writer that still
//             waited for readers: nothing happened.
// Blocking:   hold, hold_shared, lock, lock_shared and the timed forms. unlock and unlock_shared
//             never.
// Lifetime:   the memory must stay mapped.
// Units:      64 bytes, and 64 for each process that may read at the same time.
// Source:     a word per reader as in Corbet 2010 ("big reader" locks) and Dekker's rule; owners in
//             place of counts, for a count cannot say whose share died.
//
// Order (seq_cst: each side writes one word, then reads the other's):
//   reader  R1 its place names it       R2 the writer's word is 0: it is in; else it leaves again
//   writer  W1 the word names it        W2 every place is empty, or names somebody who is gone
// If R2 misses the writer, W1 came after R1, so W2 sees the reader. A writer that waits keeps new
// readers out, so none starves; a reader may wait for several writers.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "stoa/base/type_info.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sync/holder_word.hpp"
#include "stoa/sync/lockable.hpp"
#include "stoa/sync/shared_mutex_layout.hpp"

namespace stoa {

namespace detail {

// The words of one, however many places it has.
struct SharedWords {
    SharedMutexLayout* layout;
    std::span<ReaderPlace> places;

    [[nodiscard]] Result<Held> hold(const Here& at, Deadline deadline) const noexcept;
    // W1 has happened. Errors: in_use, timed_out
    [[nodiscard]] Result<Held> enter(const Here& at, Deadline deadline) const noexcept;
    void unlock(const Here& at) const noexcept;
    [[nodiscard]] Result<Held> hold_shared(const Here& at, Deadline deadline) const noexcept;
    void unlock_shared(const Here& at) const noexcept;
    // Undoes R1.
    void withdraw(const Here& at, Atomic<std::uint64_t>& place) const noexcept;
    // A place was left.
    void place_emptied() const noexcept;
    // Whether by this word `me` is in alone.
    [[nodiscard]] static bool is_in(std::uint64_t word, Holder me) noexcept {
        return LockWord::holder(word) == me && (word & kEntering) == 0;
    }
    [[nodiscard]] bool nobody_reads() const noexcept;
    // Whether there is a place for one more reader of `me`, had no writer come.
    [[nodiscard]] bool has_place(Holder me) const noexcept;
    void drop_the_gone(const Here& at) const noexcept;
    // Whether the writer that `seen` names is gone and was in: the next one gets it alone. One that
    // still waited for readers is dropped.
    [[nodiscard]] bool left_by_the_gone(const Here& at, std::uint64_t seen) const noexcept;

private:
    enum class Got : std::uint8_t { in, blocked, poisoned, alone };

    [[nodiscard]] LockShape shape(LockKind kind) const noexcept {
        return {kind, static_cast<std::uint32_t>(places.size())};
    }

    [[nodiscard]] Got try_in(const Here& at) const noexcept;
    [[nodiscard]] Got try_in_for_the_dead(const Here& at) const noexcept;
    [[nodiscard]] Atomic<std::uint64_t>* announce(const Here& at) const noexcept;
    bool leave(Atomic<std::uint64_t>& place, Holder me) const noexcept;
};

}  // namespace detail

// As many processes as kProcesses may read at the same time, each with any number of threads.
template <std::uint32_t kProcesses = 16>
    requires(kProcesses >= 1 && kProcesses <= 4095)
class SharedMutex : public TimedLockable<SharedMutex<kProcesses>>,
                    public SharedTimedLockable<SharedMutex<kProcesses>> {
public:
    static constexpr const char* kName = "stoa::SharedMutex";

    constexpr SharedMutex() noexcept = default;
    SharedMutex(const SharedMutex&) = delete;
    SharedMutex& operator=(const SharedMutex&) = delete;

    // To write. Errors: poisoned, forked; timed_out, in_use (immediately: somebody is in)
    [[nodiscard]] Result<Held> hold(Deadline deadline = Deadline::never()) noexcept {
        const Here at = here(this);
        if (at.me == 0) [[unlikely]]
            return fail(Errc::forked, "lock");
        std::uint64_t free = 0;
        if (!layout_.word.compare_exchange_strong(free, at.me | kEntering, kSeqCst, kRelaxed)) {
            return words().hold(at, deadline);
        }
        for (const ReaderPlace& place : places_) {  // W2
            if (place.word.load(kSeqCst) != 0) [[unlikely]]
                return words().enter(at, deadline);
        }
        layout_.word.fetch_and(~kEntering, kSeqCst);
        return Held::clean;
    }
    // To read. Errors: as of hold. owner_died: it is held alone, to be mended.
    [[nodiscard]] Result<Held> hold_shared(Deadline deadline = Deadline::never()) noexcept {
        const Here at = here(this);
        if (at.me == 0) [[unlikely]]
            return fail(Errc::forked, "lock");
        Atomic<std::uint64_t>& place = place_of(at);
        std::uint64_t seen = place.load(kRelaxed);
        const std::uint64_t mine = ReaderWord::with_one_more(seen, at.me);
        if (layout_.word.load(kRelaxed) == 0 && mine != 0 &&
            place.compare_exchange_strong(seen, mine, kSeqCst, kRelaxed)) {  // R1
            if (layout_.word.load(kSeqCst) == 0) [[likely]]                  // R2
                return Held::clean;
            words().withdraw(at, place);
        }
        return words().hold_shared(at, deadline);
    }
    // After owner_died: what it guards is whole again.
    void repaired() noexcept { layout_.word.fetch_and(~LockWord::kInconsistent, kSeqCst); }
    // Precondition: this process holds it so. In a forked child they do nothing.
    void unlock() noexcept {
        std::uint64_t mine = here(this).me;
        if (mine == 0 || !layout_.word.compare_exchange_strong(mine, 0, kSeqCst, kRelaxed)) {
            return words().unlock(here(this));
        }
        ring_bell_of_many(layout_.opened);
    }
    void unlock_shared() noexcept {
        const Here at = here(this);
        Atomic<std::uint64_t>& place = place_of(at);
        std::uint64_t seen = place.load(kRelaxed);
        // While somebody is in alone, what stands in a place is no reader that is in.
        const bool is_mine = at.me != 0 && ReaderWord::holder(seen) == at.me &&
                             !detail::SharedWords::is_in(layout_.word.load(kSeqCst), at.me);
        // release: a writer that finds the place empty comes after everything that was read.
        if (!is_mine || !place.compare_exchange_strong(seen, ReaderWord::with_one_less(seen),
                                                       kSeqCst, kRelaxed)) {
            return words().unlock_shared(at);
        }
        if (((layout_.emptied.load(kSeqCst) | layout_.opened.load(kSeqCst)) & 1U) != 0) [[unlikely]]
            words().place_emptied();
    }

    [[nodiscard]] bool is_poisoned() const noexcept {
        return (layout_.word.load(kSeqCst) & LockWord::kPoisoned) != 0;
    }
    // Who writes, or waits to write as the next one; 0: nobody.
    [[nodiscard]] Holder writer() const noexcept {
        return LockWord::holder(layout_.word.load(kSeqCst));
    }
    // How many threads read; those of the dead count until somebody drops them.
    [[nodiscard]] std::uint32_t readers() const noexcept {
        std::uint32_t count = 0;
        for (const ReaderPlace& place : places_)
            count += ReaderWord::count(place.word.load(kSeqCst));
        return count;
    }

private:
    friend struct WaitWords;  // stoa/wait/object_wait.hpp
    [[nodiscard]] detail::SharedWords words() noexcept { return {&layout_, places_}; }
    // Where the process looks first.
    [[nodiscard]] Atomic<std::uint64_t>& place_of(const Here& at) noexcept {
        return places_[holder_index(at.me) % kProcesses].word;
    }

    SharedMutexLayout layout_{};
    ReaderPlace places_[kProcesses]{};
};

template <std::uint32_t kProcesses>
struct Layout<SharedMutex<kProcesses>> {
    static void append(std::string& text) {
        text += "stoa.shared_mutex 1";
    }  // its size says the rest
};

}  // namespace stoa
