#include "stoa/sys/fork_guard.hpp"

#include <pthread.h>
#include <sys/mman.h>

#include "stoa/base/check.hpp"

namespace stoa::sys {

namespace detail {
constinit WipedOnFork g_wiped_on_fork{};
}

namespace {

// Ordinary memory: a child inherits its value. Raised before the word on the wiped page, so that at
// whatever instruction a fork happens the child's copy is at least every ancestor's generation.
constinit Atomic<std::uint64_t> g_last_generation{0};

void wipe() noexcept {
    detail::WipedOnFork& own = detail::g_wiped_on_fork;
    own.generation.store(0, kRelaxed);
    own.barrier_registered.store(0, kRelaxed);
    own.self_known.store(0, kRelaxed);
    own.memberships.store(0, kRelaxed);
}

// Runs before main and before other initialisers. The pages are mapped anew because only anonymous
// private memory can be wiped, and .bss is not promised to be that. The handler is for emulated
// kernels without MADV_WIPEONFORK; it misses a raw clone(2).
__attribute__((constructor(101))) void make_wiped() noexcept {
    void* const at = &detail::g_wiped_on_fork;
    const void* const mapped = ::mmap(at, detail::kWipedBytes, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    STOA_CHECK(mapped == at);
    if (::madvise(at, detail::kWipedBytes, MADV_WIPEONFORK) == 0) return;
    STOA_CHECK(::pthread_atfork(nullptr, nullptr, wipe) == 0);
}

}  // namespace

std::uint64_t own_generation() noexcept {
    std::uint64_t seen = current_generation();
    if (seen != 0) return seen;
    const std::uint64_t next = g_last_generation.fetch_add(1, kRelaxed) + 1;
    // Several threads may come here; one number wins and all return it.
    if (detail::g_wiped_on_fork.generation.compare_exchange_strong(seen, next, kRelaxed,
                                                                   kRelaxed)) {
        return next;
    }
    return seen;
}

}  // namespace stoa::sys
