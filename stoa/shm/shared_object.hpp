// SharedObject: who holds an object of a region's heap, as a set of owners, for SharedPtr.
//
// Start here: shared_ptr.hpp; here is what does not depend on the type.
// Threads:    safe.
// Processes:  the set lies in the region; each word of it names a process and counts its handles.
// Death:      of a holder: its share is gone. Of the last one: whoever drops, copies or sweeps ends
//             the object. Of who makes or ends it: the next one who sweeps finishes that.
// Blocking:   never; no locks.
// Lifetime:   as the heap.
// Units:      handles.
// Source:     owner sets in place of counts: a count cannot say whose share died.
#pragma once

#include <cstdint>

#include "stoa/base/error.hpp"
#include "stoa/shm/heap.hpp"

namespace stoa {

// Names a shared object to another process, in a message say. It holds nothing: who sends it keeps
// a handle until the receiver has adopted it.
struct SharedToken {
    std::uint64_t offset = 0;
    std::uint64_t generation = 0;
};

namespace detail {

using Destroy = void (*)(void* object);  // null: who calls does not know the type

// A new one that is being made by this process; its section is open: what is allocated until
// shared_made() belongs to it. Errors: out_of_space, forked
[[nodiscard]] Result<SharedControl*> shared_make(Heap& heap) noexcept;
// It is live, and this process holds it once.
void shared_made(Heap& heap, SharedControl& control, void* object) noexcept;
// Its constructor threw.
void shared_abandon(Heap& heap, SharedControl& control) noexcept;
[[nodiscard]] void* shared_object(const SharedControl& control) noexcept;

// One handle more of this process. Errors: gone (nobody held it), no_free_place (76 processes hold
// it), limit_reached (so many handles of one process), forked
[[nodiscard]] Result<SharedControl*> shared_adopt(Heap& heap, SharedToken token,
                                                  Destroy destroy) noexcept;
// One handle less; the last one of all ends the object.
void shared_drop(Heap& heap, SharedControl& control, Destroy destroy) noexcept;
// Ends the object if nobody who lives holds it.
void shared_end_if_unheld(Heap& heap, SharedControl& control, Destroy destroy) noexcept;
[[nodiscard]] SharedToken shared_token(const Heap& heap, const SharedControl& control) noexcept;
[[nodiscard]] std::uint32_t shared_processes(const Heap& heap,
                                             const SharedControl& control) noexcept;

}  // namespace detail

// Ends what only the dead held, and finishes what they were making or ending. Without the types no
// destructor runs: what it would have freed is a leak, which report() counts. Anyone may call it.
// Returns how many objects it ended.
std::uint32_t sweep_shared(Heap& heap) noexcept;

}  // namespace stoa
