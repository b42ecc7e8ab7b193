// A memory barrier run for the others, so that their fast paths need none.
//
// Start here: register_global_expedited() once per process, then barrier_all() where one would need
//             the others to have fenced.
// Threads:    safe.
// Processes:  barrier_all reaches the running threads of every registered process of the machine.
// Death:      nothing to repair.
// Blocking:   the first registration of a process with several threads waits for the kernel
//             (milliseconds); barrier_all interrupts the other cpus and returns.
// Lifetime:   a registration lasts until exec; a forked child registers itself again.
// Units:      none.
// Source:     membarrier(2), MEMBARRIER_CMD_GLOBAL_EXPEDITED.
#pragma once

namespace stoa::sys {

// False where the kernel cannot: this process must then use fences and say so to its peers.
[[nodiscard]] bool register_global_expedited() noexcept;

// True: every thread of a registered process passed a full barrier between call and return, and so
// did the caller. False: nothing is known.
[[nodiscard]] bool barrier_all() noexcept;

}  // namespace stoa::sys
