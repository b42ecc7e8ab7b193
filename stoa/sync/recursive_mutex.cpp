#include "stoa/sync/recursive_mutex.hpp"

#include <limits>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"

namespace stoa {
namespace {

constinit Atomic<std::uint64_t> g_threads{0};

// A number of this thread that no other one of its process has. A forked child's copy of memory of
// its own goes on being held by the thread that forked.
std::uint64_t this_thread() noexcept {
    static constinit thread_local std::uint64_t number = 0;
    if (number == 0) number = g_threads.fetch_add(1, kRelaxed) + 1;
    return number;
}

}  // namespace

Result<Held> RecursiveMutex::hold(Deadline deadline) noexcept {
    const Here at = here(this);
    if (at.me == 0) return fail(Errc::forked, "lock");
    const std::uint64_t me = holding_thread(at.me, this_thread());
    // relaxed: only this thread writes `me` there, and takes it away before the word is free.
    if (layout_.thread.load(kRelaxed) == me) {
        const std::uint32_t depth = layout_.depth.load(kRelaxed);
        if (depth == std::numeric_limits<std::uint32_t>::max()) {
            return fail(Errc::limit_reached, "lock");
        }
        layout_.depth.store(depth + 1, kRelaxed);
        const bool is_whole = (layout_.word.load(kRelaxed) & LockWord::kInconsistent) == 0;
        return is_whole ? Held::clean : Held::owner_died;
    }
    Result<Held> held = Held::clean;
    if (!detail::take_free(layout_.word, at.me)) {
        held = detail::hold_word(layout_.word, at, deadline, {LockKind::recursive_mutex});
    }
    if (!held) return held;
    STOA_CRASH_POINT("recursive_mutex.held");
    layout_.depth.store(1, kRelaxed);
    layout_.thread.store(me, kRelaxed);
    return held;
}

void RecursiveMutex::unlock() noexcept {
    const Here at = here(this);
    if (at.me == 0) return;
    STOA_REQUIRE(layout_.thread.load(kRelaxed) == holding_thread(at.me, this_thread()),
                 "unlock of a RecursiveMutex that this thread does not hold; the thread that "
                 "locked it unlocks it, as often as it locked it");
    const std::uint32_t depth = layout_.depth.load(kRelaxed);
    if (depth > 1) {
        layout_.depth.store(depth - 1, kRelaxed);
        return;
    }
    layout_.thread.store(0, kRelaxed);
    STOA_CRASH_POINT("recursive_mutex.leaving");
    detail::give_word(layout_.word, at);
}

}  // namespace stoa
