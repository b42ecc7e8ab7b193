// The head of a farm: cuts the input, keeps the workers alive, writes the results.
//
// Start here: run().
// Threads:    three: the caller's starts and watches the workers, one feeds, one collects.
// Processes:  forks the workers, all from the caller's thread: they die with it.
// Death:      of a worker: replaced, its task goes to another one. Of the head: the kernel kills
//             workers and COMMANDs; mailboxes and scratch files have no names, so nothing is left.
// Blocking:   until all results are written, or a stop signal.
// Lifetime:   the call; after an early end the threads that are still blocked share what they use.
// Units:      bytes, tasks.
// Source:     README.md of this folder.
#pragma once

#include "cli/exit.hpp"
#include "cli/farm/options.hpp"

namespace stoa::cli::farm {

// From standard input to standard output.
[[nodiscard]] Exit run(const Options& options);

}  // namespace stoa::cli::farm
