#include "stoa/sys/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>

#include "stoa/sys/errno.hpp"
#include "stoa/sys/fd.hpp"
#include "stoa/sys/fork_guard.hpp"
#include "stoa/sys/proc_file.hpp"

namespace stoa::sys {
namespace {

// Newer than the kernel headers of Debian 12: the root of pidfs as a directory descriptor (6.17).
constexpr int kPidfsRoot = -10002;

// self_proof: 0, or kHandles with the type that the kernel gives to pidfs handles in the low half.
constexpr std::uint64_t kHandles = std::uint64_t{1} << 32;
constexpr std::uint64_t kNeedsPidfd = std::uint64_t{1} << 33;  // 6.14 to 6.16: no kPidfsRoot

// struct file_handle as pidfs fills it; the C library's type ends in an array without a size.
struct PidfsHandle {
    std::uint32_t handle_bytes = sizeof(std::uint64_t);
    std::int32_t handle_type = 0;
    std::uint64_t id = 0;
};
static_assert(sizeof(PidfsHandle) == 16);

bool read_handle(const Fd& pidfd, PidfsHandle& handle) noexcept {
    int mount_id = 0;
    return ::syscall(SYS_name_to_handle_at, pidfd.get(), "", &handle, &mount_id, AT_EMPTY_PATH) ==
               0 &&
           handle.handle_bytes == sizeof handle.id;
}

Fd open_handle(int mount, PidfsHandle handle) noexcept {
    return Fd{
        static_cast<int>(::syscall(SYS_open_by_handle_at, mount, &handle, O_RDONLY | O_CLOEXEC))};
}

Fd open_pidfd(std::uint32_t pid) noexcept {
    return Fd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
}

bool is_readable(const Fd& pidfd) noexcept {
    pollfd request{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    return ::poll(&request, 1, 0) == 1 && (request.revents & POLLIN) != 0;
}

// Readable once every thread has ended. Zombies are; a process that lost only its leader is not.
// Asked twice: while another thread than the leader execs, Linux 6.18 may take the old leader,
// which is just being replaced, for the process. The second question meets the new leader.
bool has_ended(const Fd& pidfd) noexcept {
    return is_readable(pidfd) && is_readable(pidfd);
}

bool no_descriptor_left(int os_errno) noexcept {
    return os_errno == EMFILE || os_errno == ENFILE || os_errno == ENOMEM;
}

// --- who we are ----------------------------------------------------------------------------------

std::uint64_t inode_of(const char* path) noexcept {
    struct stat status{};
    return ::stat(path, &status) == 0 ? status.st_ino : 0;
}

Result<std::uint64_t> read_boot_id() noexcept {
    std::array<char, 64> buffer;
    const auto text = read_small("/proc/sys/kernel/random/boot_id", buffer);
    if (!text) return std::unexpected(text.error());
    std::array<char, 16> digits;
    std::size_t count = 0;
    for (const char c : *text) {
        if (c != '-' && count < digits.size()) digits[count++] = c;
    }
    std::uint64_t value = 0;
    const auto end = std::from_chars(digits.data(), digits.data() + count, value, 16);
    if (end.ec != std::errc{} || value == 0) return fail(Errc::not_supported, "boot_id");
    return value;
}

bool handles_wanted() noexcept {
    const char* const off = std::getenv("STOA_NO_PIDFS_HANDLES");
    return off == nullptr || *off == '\0' || std::strcmp(off, "0") == 0;
}

struct OwnHandle {
    std::uint64_t id = 0;     // 0: this kernel has no pidfs handles
    std::uint64_t proof = 0;  // as self_proof
};

// Our own handle, and whether it can be opened again here.
Result<OwnHandle> read_own_handle(std::uint32_t pid) noexcept {
    const Fd pidfd = open_pidfd(pid);
    if (!pidfd.valid()) {
        if (no_descriptor_left(errno)) return fail_errno("pidfd_open");
        return OwnHandle{};
    }
    PidfsHandle handle;
    if (!read_handle(pidfd, handle)) return OwnHandle{};
    const auto type = static_cast<std::uint32_t>(handle.handle_type);
    for (const std::uint64_t mode : {std::uint64_t{0}, kNeedsPidfd}) {
        const int mount = mode == 0 ? kPidfsRoot : pidfd.get();
        const Fd again = open_handle(mount, handle);
        if (again.valid()) return OwnHandle{.id = handle.id, .proof = kHandles | mode | type};
        if (no_descriptor_left(errno)) return fail_errno("open_by_handle_at");
    }
    return OwnHandle{.id = handle.id, .proof = 0};
}

struct Self {
    Identity identity;
    std::uint64_t proof = 0;
};

Result<Self> read_self() noexcept {
    Self own;
    own.identity.pid = static_cast<std::uint32_t>(::getpid());
    const auto boot_id = read_boot_id();
    if (!boot_id) {
        if (boot_id.error().code == Errc::limit_reached) return std::unexpected(boot_id.error());
        return fail(Errc::not_supported, "/proc/sys/kernel/random/boot_id");
    }
    own.identity.boot_id = *boot_id;
    own.identity.pid_namespace = inode_of("/proc/self/ns/pid");
    const auto stat = read_stat(kOwnPid);
    if (!stat && no_descriptor_left(errno)) return fail_errno("/proc/self/stat");
    if (!stat || own.identity.pid_namespace == 0) {
        return fail(Errc::not_supported, "/proc/self/stat");
    }
    own.identity.start_ticks = stat->start_ticks;
    own.identity.time_namespace =
        static_cast<std::uint32_t>(inode_of("/proc/self/ns/time") & 0xfff'ffffU);
    const auto handle = read_own_handle(own.identity.pid);
    if (!handle) return std::unexpected(handle.error());
    own.identity.pidfs_id = handle->id;
    own.proof = handles_wanted() ? handle->proof : 0;
    return own;
}

// Threads that come here together store the same words.
//   S1 release self_known: the words are set      S2 acquire self_known <- S1
void remember(const Self& own) noexcept {
    detail::WipedOnFork& page = detail::g_wiped_on_fork;
    const Identity& who = own.identity;
    page.self_words[0].store(std::uint64_t{who.time_namespace} << 32 | who.pid, kRelaxed);
    page.self_words[1].store(who.start_ticks, kRelaxed);
    page.self_words[2].store(who.pidfs_id, kRelaxed);
    page.self_words[3].store(who.pid_namespace, kRelaxed);
    page.self_words[4].store(who.boot_id, kRelaxed);
    page.self_proof.store(own.proof, kRelaxed);
    page.self_known.store(1, kRelease);  // S1
}

Self recall() noexcept {
    const detail::WipedOnFork& page = detail::g_wiped_on_fork;
    const std::uint64_t first = page.self_words[0].load(kRelaxed);
    return Self{.identity = {.pid = static_cast<std::uint32_t>(first),
                             .time_namespace = static_cast<std::uint32_t>(first >> 32),
                             .start_ticks = page.self_words[1].load(kRelaxed),
                             .pidfs_id = page.self_words[2].load(kRelaxed),
                             .pid_namespace = page.self_words[3].load(kRelaxed),
                             .boot_id = page.self_words[4].load(kRelaxed)},
                .proof = page.self_proof.load(kRelaxed)};
}

Result<Self> own_self() noexcept {
    if (detail::g_wiped_on_fork.self_known.load(kAcquire) == 0) {  // S2
        const auto fresh = read_self();
        if (!fresh) return std::unexpected(fresh.error());
        remember(*fresh);
    }
    return recall();
}

// --- the proofs ----------------------------------------------------------------------------------

// Needs no descriptor, so it cannot see zombies or a pid that was given to another process.
Life by_signal(std::uint32_t pid) noexcept {
    const bool gone = ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
    return gone ? Life::dead : Life::unknown;
}

// What must be found at a pid: start ticks, compared under a mask; a mask of 0 cannot be compared.
struct Start {
    std::uint64_t ticks;
    std::uint64_t mask;
    [[nodiscard]] bool differs(const ProcStat& stat) const noexcept {
        return ((stat.start_ticks ^ ticks) & mask) != 0;
    }
};

// For a process that holds the pid at this moment: is it the one that started then?
Life by_start(const std::optional<ProcStat>& stat, Start start) noexcept {
    if (!stat || start.mask == 0)
        return Life::unknown;  // hidden from us, just gone, no common clock
    if (!start.differs(*stat)) return Life::alive;
    return proc_shows_our_namespace() ? Life::dead : Life::unknown;
}

// Where no pidfd is to be had (seccomp), or the pid now belongs to a thread of another process.
Life by_proc(std::uint32_t pid, Start start) noexcept {
    if (by_signal(pid) == Life::dead) return Life::dead;
    const auto stat = read_stat(pid);
    const Life life = by_start(stat, start);
    if (life == Life::unknown) return by_signal(pid);  // it may have gone in the meantime
    // A zombie leader with living threads is a living process. A zombie with 0 threads is a leader
    // just released, which also happens when another thread execs and takes over its pid.
    return life == Life::alive && stat->state == 'Z' && stat->threads == 1 ? Life::dead : life;
}

Life by_pid(std::uint32_t pid, Start start) noexcept {
    const Fd pidfd = open_pidfd(pid);
    if (!pidfd.valid()) {
        if (errno == ESRCH) return Life::dead;
        return no_descriptor_left(errno) ? by_signal(pid) : by_proc(pid, start);
    }
    if (has_ended(pidfd)) return Life::dead;
    const Life life = by_start(read_stat(pid), start);
    return life == Life::unknown && has_ended(pidfd) ? Life::dead : life;
}

Fd open_by_identity(const Identity& identity, const Self& own) noexcept {
    const PidfsHandle handle{.handle_type = static_cast<std::int32_t>(own.proof & 0xffff'ffffU),
                             .id = identity.pidfs_id};
    Fd mount;
    if ((own.proof & kNeedsPidfd) != 0) mount = open_pidfd(own.identity.pid);
    return open_handle(mount.valid() ? mount.get() : kPidfsRoot, handle);
}

// nullopt: handles do not work here after all. ESTALE is dead only inside our pid namespace: a live
// process outside it cannot be opened either.
std::optional<Life> by_handle(const Identity& identity, const Self& own) noexcept {
    const bool in_sight = identity.pid_namespace == own.identity.pid_namespace;
    const Fd pidfd = open_by_identity(identity, own);
    if (pidfd.valid()) return has_ended(pidfd) ? Life::dead : Life::alive;
    if (errno == ESTALE) return in_sight ? Life::dead : Life::unknown;
    if (no_descriptor_left(errno)) return in_sight ? by_signal(identity.pid) : Life::unknown;
    return std::nullopt;
}

bool is_pid(std::uint32_t pid) noexcept {  // 0 and negative numbers mean groups to kill(2)
    return pid != 0 && pid <= std::uint32_t{std::numeric_limits<std::int32_t>::max()};
}

Life judge(const Identity& identity, bool with_handles) noexcept {
    const KeepErrno keep;
    if (!is_pid(identity.pid)) return Life::unknown;
    const auto own = own_self();
    if (!own) return Life::unknown;
    if (identity == own->identity) return Life::alive;
    const bool same_namespace = identity.pid_namespace == own->identity.pid_namespace;
    // Container managers may show a boot id of their own, together with a pid namespace of its own.
    if (identity.boot_id != own->identity.boot_id) {
        return same_namespace ? Life::dead : Life::unknown;
    }
    if (with_handles && identity.pidfs_id != 0 && (own->proof & kHandles) != 0) {
        if (const auto life = by_handle(identity, *own)) return *life;
    }
    if (!same_namespace) return Life::unknown;
    const bool same_time = identity.time_namespace == own->identity.time_namespace;
    return by_pid(identity.pid, {.ticks = identity.start_ticks, .mask = same_time ? ~0ULL : 0});
}

}  // namespace

Result<Identity> self() noexcept {
    const KeepErrno keep;
    const auto own = own_self();
    if (!own) return std::unexpected(own.error());
    return own->identity;
}

Life probe(const Identity& identity) noexcept {
    const Life life = judge(identity, true);
    // relaxed: what is told to other threads orders itself.
    if (life == Life::dead) g_deaths_told.fetch_add(1, kRelaxed);
    return life;
}

Life probe_by_start_ticks(const Identity& identity) noexcept {
    return judge(identity, false);
}

bool comparable(const Identity& one, const Identity& other) noexcept {
    return one.boot_id == other.boot_id && one.pid_namespace == other.pid_namespace &&
           one.time_namespace == other.time_namespace;
}

Life probe_pid(std::uint32_t pid) noexcept {
    const KeepErrno keep;
    return is_pid(pid) ? by_pid(pid, {.ticks = 0, .mask = 0}) : Life::unknown;
}

Life probe_claim(std::uint32_t pid, std::uint16_t start_ticks_low) noexcept {
    const KeepErrno keep;
    if (!is_pid(pid)) return Life::unknown;
    return by_pid(pid, {.ticks = start_ticks_low, .mask = 0xffff});
}

Result<Fd> open_process(const Identity& identity) noexcept {
    if (!is_pid(identity.pid)) return fail(Errc::bad_argument, "open process");
    const auto own = own_self();
    if (!own) return std::unexpected(own.error());
    Fd process;
    errno = 0;
    if (identity.pidfs_id != 0 && identity.boot_id == own->identity.boot_id &&
        (own->proof & kHandles) != 0) {
        process = open_by_identity(identity, *own);
    }
    // By number: whoever has it now. If it is the one we look for it was so all the time.
    if (!process.valid() && identity.pid_namespace == own->identity.pid_namespace) {
        process = open_pidfd(identity.pid);
    }
    if (!process.valid() && no_descriptor_left(errno)) return fail_errno("pidfd_open");
    switch (probe(identity)) {
        case Life::alive: return process;
        case Life::dead: return fail(Errc::peer_died, "open process");
        case Life::unknown: break;
    }
    return fail(Errc::not_supported, "open process (it cannot be seen from here)");
}

Result<Fd> open_child(int pid) noexcept {
    if (pid <= 0) return fail(Errc::bad_argument, "pidfd_open");
    Fd process = open_pidfd(static_cast<std::uint32_t>(pid));
    if (process.valid()) return process;
    if (errno == ESRCH) return fail(Errc::peer_died, "pidfd_open", errno);
    if (no_descriptor_left(errno)) return fail_errno("pidfd_open");
    return fail(Errc::not_supported, "pidfd_open", errno);
}

bool ended(const Fd& process) noexcept {
    const KeepErrno keep;
    const bool dead = has_ended(process);
    if (dead) g_deaths_told.fetch_add(1, kRelaxed);
    return dead;
}

bool uses_pidfs_handles() noexcept {
    return (detail::g_wiped_on_fork.self_proof.load(kRelaxed) & kHandles) != 0;
}

}  // namespace stoa::sys
