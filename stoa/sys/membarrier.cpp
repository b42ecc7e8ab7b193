#include "stoa/sys/membarrier.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stoa/sys/errno.hpp"
#include "stoa/sys/fork_guard.hpp"

namespace stoa::sys {
namespace {

bool membarrier(int command) noexcept {
    const KeepErrno keep;
    return ::syscall(SYS_membarrier, command, 0, 0) == 0;
}

}  // namespace

bool register_global_expedited() noexcept {
    Atomic<std::uint32_t>& registered = detail::g_wiped_on_fork.barrier_registered;
    // relaxed: the kernel knows; this only saves the call.
    if (registered.load(kRelaxed) != 0) return true;
    if (!membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED)) return false;
    registered.store(1, kRelaxed);
    return true;
}

bool barrier_all() noexcept {
    return membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}

}  // namespace stoa::sys
