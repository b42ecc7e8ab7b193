// Ctrl-C, SIGTERM and SIGHUP: a flag that every loop looks at, and the end by that very signal.
//
// Start here: catch_stop_signals() in a verb that waits or loops; stop_requested() in its loops.
// Threads:    the flag may be read anywhere; install the handlers from one thread.
// Processes:  a handler is not inherited through exec; a forked child keeps it until then.
// Death:      a signal that cannot be caught ends the process at once; the library bears it.
// Blocking:   once a signal came, every blocking system call is interrupted every 50 ms, so none
//             that began just before the signal can outlast it.
// Lifetime:   the process.
// Units:      -
// Source:     sigaction(2) without SA_RESTART, setitimer(2).
#pragma once

namespace stoa::cli {

// Signals that were ignored when the process began (nohup, background jobs) stay ignored.
void catch_stop_signals() noexcept;
[[nodiscard]] bool stop_requested() noexcept;

// Writing where nobody reads becomes an error (EPIPE) in place of a signal. A handler, not
// SIG_IGN, so that programs we exec start with the default again.
void catch_broken_pipes() noexcept;

// All the handlers above go back to the default, for code that knows nothing of them.
void default_signals() noexcept;

// Ends the process as the signal does, so that shells and supervisors see what happened.
[[noreturn]] void end_by(int signal) noexcept;
[[noreturn]] void end_by_stop_signal() noexcept;

}  // namespace stoa::cli
