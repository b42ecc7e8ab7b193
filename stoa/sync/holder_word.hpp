// A LockWord taken, inherited and given back: what all locks with one holder share.
//
// Start here: hold_word, give_word; Mutex is the plainest use.
// Threads:    safe; the place that holds it gives it back.
// Processes:  the word lies in a region, or in memory of one process.
// Death:      of the holder: whoever waits finds it within 100 ms and replaces the very word that
//             it looked at, so that one inherits. A waiter that dies leaves nothing behind, one
//             that was just woken costs the others 100 ms.
// Blocking:   hold_word. give_word never.
// Lifetime:   borrows the word.
// Units:      none.
// Source:     mutex2 of Drepper 2011, "Futexes are tricky", with a word that names its holder.
#pragma once

#include <cstdint>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/sync/lock_layout.hpp"
#include "stoa/sync/lock_wait.hpp"

namespace stoa {

// How a lock was got.
enum class Held : std::uint8_t {
    clean,
    owner_died,  // its last holder died with it: what it guards may be half changed
};

namespace detail {

// Takes it. `entering` are bits of a word whose holder has not changed anything yet: they come with
// the word, and who inherits a word with them inherits them and is told clean. `lock` is the one
// that begins with this word.
// Errors: in_use (immediately: somebody holds it), timed_out, poisoned
[[nodiscard]] Result<Held> hold_word(Atomic<std::uint64_t>& word, const Here& at, Deadline deadline,
                                     LockShape lock, std::uint64_t entering = 0) noexcept;

// The quick way, of a word that is free and nobody waits for; false: hold_word.
[[nodiscard]] inline bool take_free(Atomic<std::uint64_t>& word, Holder me) noexcept {
    std::uint64_t free = 0;
    return word.compare_exchange_strong(free, me, kAcquire, kRelaxed);
}

// Gives it back, poisoned if it is inconsistent, and wakes one. Of a forked child: nothing.
// Precondition: this place holds it.
void give_word(Atomic<std::uint64_t>& word, const Here& at) noexcept;

// What the standard's lock functions make of `held`: true, false (in_use, timed_out), or an
// exception. `give` gives back what a death left, which poisons it.
bool held_or_thrown(const Result<Held>& held, void (*give)(void*), void* lock, const char* what);

}  // namespace detail
}  // namespace stoa
