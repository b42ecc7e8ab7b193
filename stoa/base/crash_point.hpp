// Named crash points: places where a test may kill or stop this process.
//
// A no-op unless the build defines STOA_CRASH_POINTS to 1 (preset dev). A point is one load and one
// branch then; the test sets the hook in the child that is to die.
#pragma once

namespace stoa {

using CrashHook = void (*)(const char* point) noexcept;

#if STOA_CRASH_POINTS
extern constinit CrashHook g_crash_hook;
#define STOA_CRASH_POINT(point) \
    (::stoa::g_crash_hook != nullptr ? ::stoa::g_crash_hook(point) : static_cast<void>(0))
#else
#define STOA_CRASH_POINT(point) static_cast<void>(0)
#endif

}  // namespace stoa
