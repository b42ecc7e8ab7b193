#include "stoa/sys/file_lock.hpp"

#include <sys/file.h>
#include <time.h>

namespace stoa::sys {

FileLock::~FileLock() {
    const KeepErrno keep;
    if (number_ >= 0) ::flock(number_, LOCK_UN);
}

Result<FileLock> lock_file(const Fd& file, Deadline deadline) noexcept {
    while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) return fail_errno("lock_file");
        if (deadline.passed()) return fail(Errc::exists, "lock_file");
        const timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
        ::nanosleep(&pause, nullptr);
    }
    return FileLock{file.get()};
}

}  // namespace stoa::sys
