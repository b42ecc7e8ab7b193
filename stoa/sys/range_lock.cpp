#include "stoa/sys/range_lock.hpp"

#include <fcntl.h>

#include <limits>

namespace stoa::sys {
namespace {

constexpr std::uint64_t kLast = std::numeric_limits<off_t>::max();

bool is_possible(FileRange range) noexcept {
    return range.from <= kLast && range.bytes <= kLast - range.from;
}

struct flock to_flock(FileRange range, short type) noexcept {
    struct flock lock{};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(range.from);
    lock.l_len = static_cast<off_t>(range.bytes);
    return lock;
}

short type_of(RangeLock kind) noexcept {
    return kind == RangeLock::shared ? F_RDLCK : F_WRLCK;
}

// Errors: in_use, those of the header
Result<void> lock_by(const Fd& file, FileRange range, RangeLock kind, int how) noexcept {
    if (!is_possible(range)) return fail(Errc::bad_argument, "lock a range of a file");
    struct flock lock = to_flock(range, type_of(kind));
    while (::fcntl(file.get(), how, &lock) != 0) {
        switch (errno) {
            case EINTR: continue;
            case EAGAIN:
            case EACCES: return fail(Errc::in_use, "lock a range of a file");
            case EBADF:
                return fail(Errc::denied,
                            kind == RangeLock::exclusive
                                ? "lock a range of a file that is not open for writing: open it "
                                  "so, or take a shared lock"
                                : "lock a range of a file that is not open for reading",
                            EBADF);
            case ENOLCK: return fail(Errc::limit_reached, "lock a range of a file", ENOLCK);
            case EINVAL:
                return fail(Errc::not_supported,
                            "lock a range of a file: this file, file system or kernel has no open "
                            "file description locks",
                            EINVAL);
            default: return fail_errno("lock a range of a file");
        }
    }
    return {};
}

}  // namespace

Result<Fd> open_for_locks(const char* path, bool for_writing, bool makes) noexcept {
    const int flags = (for_writing ? O_RDWR : O_RDONLY) | (makes ? O_CREAT : 0);
    const int number = ::open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
    if (number < 0) return fail_errno("open a file to lock it");
    return Fd{number};
}

Result<void> try_lock_range(const Fd& file, FileRange range, RangeLock kind) noexcept {
    return lock_by(file, range, kind, F_OFD_SETLK);
}

Result<void> lock_range(const Fd& file, FileRange range, RangeLock kind) noexcept {
    return lock_by(file, range, kind, F_OFD_SETLKW);
}

void unlock_range(const Fd& file, FileRange range) noexcept {
    const KeepErrno keep;
    if (!is_possible(range)) return;
    struct flock lock = to_flock(range, F_UNLCK);
    while (::fcntl(file.get(), F_OFD_SETLK, &lock) != 0 && errno == EINTR) {
    }
}

Result<RangeHolder> who_holds(const Fd& file, FileRange range, RangeLock kind) noexcept {
    if (!is_possible(range)) return fail(Errc::bad_argument, "who locks a range of a file");
    struct flock lock = to_flock(range, type_of(kind));
    if (::fcntl(file.get(), F_OFD_GETLK, &lock) != 0) return fail_errno("who locks a file");
    if (lock.l_type == F_UNLCK) return RangeHolder{};
    return RangeHolder{.is_held = true,
                       .kind = lock.l_type == F_WRLCK ? RangeLock::exclusive : RangeLock::shared,
                       .range = {.from = static_cast<std::uint64_t>(lock.l_start),
                                 .bytes = static_cast<std::uint64_t>(lock.l_len)},
                       .pid = lock.l_pid > 0 ? lock.l_pid : 0};
}

}  // namespace stoa::sys
