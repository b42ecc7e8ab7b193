// Who a process is, for good, and the proof that it is dead.
//
// Start here: self() goes into shared memory; probe(identity) judges it later.
// Threads:    safe.
// Processes:  an Identity means the same in every process of the machine and after a reboot.
// Death:      a process is dead when the kernel says so: reaped, or all its threads ended (zombie).
//             Stopped, traced, frozen or without its leader thread it is alive.
// Blocking:   never waits for anyone; a probe is about 4 us of system calls (10 us by start ticks).
//             probe, probe_claim and self are signal-safe and allocate nothing.
// Lifetime:   values. A vfork child must not call these; a process that execs is the same process.
// Units:      start ticks as in proc(5), counted from boot.
// Source:     pidfd_open(2), open_by_handle_at(2) on pidfs (Linux 6.14), proc(5).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "stoa/base/atomic.hpp"
#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"

namespace stoa::sys {

struct Identity {
    std::uint32_t pid = 0;  // 0: nobody
    // Low 28 bits of the inode of the time namespace: start ticks compare only inside one.
    std::uint32_t time_namespace = 0;
    std::uint64_t start_ticks = 0;
    std::uint64_t pidfs_id = 0;       // file handle on pidfs, unique until reboot; 0: unknown
    std::uint64_t pid_namespace = 0;  // inode of /proc/self/ns/pid
    std::uint64_t boot_id = 0;        // first 8 bytes of the boot id

    friend bool operator==(const Identity&, const Identity&) = default;
};
static_assert(sizeof(Identity) == 40);

// As it stands in shared memory: five words.
using IdentityWords = std::array<std::uint64_t, 5>;
[[nodiscard]] constexpr IdentityWords words_of(const Identity& id) noexcept {
    return {id.pid | std::uint64_t{id.time_namespace} << 32U, id.start_ticks, id.pidfs_id,
            id.pid_namespace, id.boot_id};
}
[[nodiscard]] constexpr Identity identity_of(const IdentityWords& words) noexcept {
    return {.pid = static_cast<std::uint32_t>(words[0]),
            .time_namespace = static_cast<std::uint32_t>(words[0] >> 32U),
            .start_ticks = words[1],
            .pidfs_id = words[2],
            .pid_namespace = words[3],
            .boot_id = words[4]};
}

// The calling process; read once, and again in a forked child.
// Errors: not_supported: /proc is not mounted; limit_reached
[[nodiscard]] Result<Identity> self() noexcept;

enum class Life : std::uint8_t {
    alive,
    dead,     // proven; it never comes back
    unknown,  // not to be seen from here (another pid namespace), or no descriptor is left to look
};

[[nodiscard]] Life probe(const Identity& identity) noexcept;

// The same without pidfs handles, as probe does on kernels before 6.14, where seccomp forbids them
// and with STOA_NO_PIDFS_HANDLES=1 in the environment.
[[nodiscard]] Life probe_by_start_ticks(const Identity& identity) noexcept;

// True when pids and start ticks mean the same for both: one boot, one pid and one time namespace.
[[nodiscard]] bool comparable(const Identity& one, const Identity& other) noexcept;

// For a record whose full Identity is not written yet. Precondition: the claimant is comparable()
// with the caller, else a live one may be called dead.
[[nodiscard]] Life probe_claim(std::uint32_t pid, std::uint16_t start_ticks_low) noexcept;
// For a pid without any other proof: who got it later counts as well. A zombie is dead.
[[nodiscard]] Life probe_pid(std::uint32_t pid) noexcept;
[[nodiscard]] constexpr std::uint16_t start_ticks_low(const Identity& identity) noexcept {
    return static_cast<std::uint16_t>(identity.start_ticks & 0xffffU);
}

// A descriptor of exactly this process, for ended(); not valid where the kernel gives none (then
// only probe() tells). Errors: peer_died: proven dead; not_supported: it cannot be seen from here;
// limit_reached; bad_argument
[[nodiscard]] Result<Fd> open_process(const Identity& identity) noexcept;
// The same of a child of the caller that was not waited for: nobody else can have its pid. Errors:
// peer_died: there is no such process; not_supported: no pidfds here; limit_reached; bad_argument
[[nodiscard]] Result<Fd> open_child(int pid) noexcept;
// One system call. Precondition: the descriptor is valid.
[[nodiscard]] bool ended(const Fd& process) noexcept;

// How often ended() and probe() said so in this process. Who asks only now and then asks again when
// it has changed: whoever was told of a death is not told otherwise by a call that follows.
inline constinit Atomic<std::uint32_t> g_deaths_told{0};

// True when probe uses pidfs handles in this process. Precondition: self() has succeeded.
[[nodiscard]] bool uses_pidfs_handles() noexcept;

// The name the kernel shows ("comm", at most 15 bytes); empty when it cannot be read. For display.
[[nodiscard]] std::string process_name(std::uint32_t pid);

// What this program was called as, without its folder. Lives as long as the process.
[[nodiscard]] std::string_view own_name() noexcept;

}  // namespace stoa::sys
