// Makes this process die or stand still at a named crash point of the code under test.
//
// Start here: kill_self_at("lane.send.before_publish") in the child that is to die.
// Threads:    one crash point per process at a time; set it before the threads start.
// Processes:  acts on the calling process and on what it forks later.
// Death:      SIGKILL, as the out-of-memory killer would; nothing of the process runs after it.
// Blocking:   stop_self_at() stops the process until somebody sends SIGCONT.
// Lifetime:   `point` must outlive the process: a string literal.
// Units:      none.
// Source:     stoa/base/crash_point.hpp; the build needs STOA_CRASH_POINTS (preset dev), without
//             it these end the process with a sentence.
#pragma once

namespace stoa::kit {

// At the `nth` time (1 = the first) that the point is reached.
void kill_self_at(const char* point, int nth = 1) noexcept;
void stop_self_at(const char* point, int nth = 1) noexcept;
// Calls `action` there; for everything else that is to happen at a crash point.
void call_at(const char* point, void (*action)(), int nth = 1) noexcept;

// How often any point was reached since one of the functions above was called.
[[nodiscard]] int crash_points_passed() noexcept;

}  // namespace stoa::kit
