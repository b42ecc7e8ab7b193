#include "stoa/base/crash_point.hpp"

namespace stoa {

#if STOA_CRASH_POINTS
constinit CrashHook g_crash_hook = nullptr;
#endif

}  // namespace stoa
