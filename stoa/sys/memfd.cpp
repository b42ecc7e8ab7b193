#include "stoa/sys/memfd.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "stoa/sys/proc_file.hpp"

namespace stoa::sys {
namespace {

constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

std::unexpected<Error> cannot_look_into(int os_errno) noexcept {
    if (os_errno == ENOENT || os_errno == ESRCH) return fail(Errc::not_found, "open");
    if (os_errno == EACCES || os_errno == EPERM) {
        return fail(Errc::not_supported,
                    "open (this process may not look into its owner's: another user or user "
                    "namespace, more rights, or not dumpable)",
                    os_errno);
    }
    return std::unexpected(error_from_errno(os_errno, "open"));
}

// What a live process of this user has open under that number, if is_it(stat).
template <typename IsIt>
Result<Fd> open_of(const Identity& owner, int number, int how, const IsIt& is_it) noexcept {
    const Result<Identity> own = self();
    if (!own) return std::unexpected(own.error());
    if (owner.pid_namespace != own->pid_namespace || !proc_shows_our_namespace()) {
        return fail(Errc::not_supported, "open (its owner lives in another pid namespace)");
    }
    const Result<Fd> process = open_process(owner);
    if (!process) {
        if (process.error().code == Errc::peer_died) return fail(Errc::not_found, "open");
        return std::unexpected(process.error());
    }
    char path[64];
    (void)std::snprintf(path, sizeof path, "/proc/%u/fd/%d", owner.pid, number);
    // Looked at first: to open a device or another fifo could have effects.
    struct stat status{};
    if (::stat(path, &status) != 0) return cannot_look_into(errno);
    if (!is_it(status)) return fail(Errc::not_found, "open");
    if (status.st_uid != ::geteuid()) {
        return fail(Errc::not_supported, "open (its owner is another user's process)");
    }
    Fd file{::open(path, how | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (!file.valid()) return cannot_look_into(errno);
    if (::fstat(file.get(), &status) != 0) return fail_errno("fstat");
    if (!is_it(status) || status.st_uid != ::geteuid()) return fail(Errc::not_found, "open");
    // It still lives, so all the time the pid was its own.
    const bool alive = process->valid() ? !ended(*process) : probe(owner) == Life::alive;
    if (!alive) return fail(Errc::not_found, "open");
    return file;
}

}  // namespace

Result<Fd> make_memory(const char* label) noexcept {
    const int number = ::memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (number < 0) return fail_errno("memfd_create");
    Fd memory{number};
    // It is made 0777, and would be shown as that.
    if (::fchmod(number, S_IRUSR | S_IWUSR) != 0) return fail_errno("fchmod");
    return memory;
}

Result<void> seal_size(const Fd& memory) noexcept {
    if (::fcntl(memory.get(), F_ADD_SEALS, kSizeSeals) != 0) return fail_errno("seal");
    return {};
}

Result<Fd> open_memory_of(const Identity& owner, int number, Access access) noexcept {
    const auto is_ours = [](const struct stat& status) { return S_ISREG(status.st_mode); };
    const int how = access == Access::read_write ? O_RDWR : O_RDONLY;
    Result<Fd> memory = open_of(owner, number, how, is_ours);
    if (!memory) return memory;
    const int seals = ::fcntl(memory->get(), F_GET_SEALS);
    if (seals < 0 || (seals & kSizeSeals) != kSizeSeals) return fail(Errc::not_found, "open");
    return memory;
}

Result<Fd> open_pipe_of(const Identity& owner, int number, std::uint64_t inode) noexcept {
    const auto is_it = [inode](const struct stat& status) {
        return S_ISFIFO(status.st_mode) && status.st_ino == inode;
    };
    return open_of(owner, number, O_RDWR, is_it);
}

std::uint64_t inode_of(const Fd& file) noexcept {
    struct stat status{};
    return ::fstat(file.get(), &status) == 0 ? status.st_ino : 0;
}

Result<Fd> duplicate(const Fd& file) noexcept {
    return duplicate_number(file.get());
}

Result<Fd> duplicate_number(int number) noexcept {
    const int copy = ::fcntl(number, F_DUPFD_CLOEXEC, 0);
    if (copy < 0 && errno == EBADF) return fail(Errc::not_found, "dup (no such descriptor)", errno);
    if (copy < 0) return fail_errno("dup");
    return Fd{copy};
}

}  // namespace stoa::sys
