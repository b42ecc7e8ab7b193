// A lock on one open file that the kernel drops with its holder.
//
// Start here: lock_file().
// Threads:    excludes threads as well, when each has opened the file itself.
// Processes:  excludes every other process that locks the same file.
// Death:      the kernel releases the lock with the last descriptor of the holder.
// Blocking:   until the deadline; it looks again every millisecond.
// Lifetime:   unlocks in its destructor; the descriptor must outlive it.
// Units:      none.
// Source:     flock(2). A stopped holder keeps it: never used where others must get on.
#pragma once

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"

namespace stoa::sys {

class [[nodiscard]] FileLock {
public:
    FileLock(FileLock&& other) noexcept : number_{std::exchange(other.number_, -1)} {}
    FileLock& operator=(FileLock&&) = delete;
    ~FileLock();

private:
    friend Result<FileLock> lock_file(const Fd& file, Deadline deadline) noexcept;
    explicit FileLock(int number) noexcept : number_{number} {}

    int number_;
};

// Errors: exists: another process holds it past the deadline
[[nodiscard]] Result<FileLock> lock_file(const Fd& file, Deadline deadline) noexcept;

}  // namespace stoa::sys
