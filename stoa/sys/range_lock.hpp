// Locks on ranges of an open file, which the kernel drops with the last descriptor of the opening.
//
// Start here: stoa/sync/file_lock.hpp; try_lock_range(), lock_range(), unlock_range().
// Threads:    safe; all who use one opening of the file share its locks.
// Processes:  exclude every other opening, and the record locks of fcntl(2) and lockf(3).
// Death:      the kernel releases them.
// Blocking:   lock_range, until it has the lock; signals do not end it.
// Lifetime:   borrows the descriptor.
// Units:      bytes.
// Source:     fcntl(2), open file description locks; POSIX.1-2024 has them too.
#pragma once

#include <cstdint>

#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"

namespace stoa::sys {

struct FileRange {
    std::uint64_t from = 0;
    std::uint64_t bytes = 0;  // 0: all that is and will be behind `from`
};
enum class RangeLock : std::uint8_t { shared, exclusive };

// An existing file, or also one that is made now. Errors: not_found; denied; bad_layout: a folder
[[nodiscard]] Result<Fd> open_for_locks(const char* path, bool for_writing, bool makes) noexcept;

// Errors: denied: an exclusive lock needs a file that is open for writing; bad_argument: a range
// that no file can have; not_supported; limit_reached: the system's locks are used up;
// in_use (try_): somebody else has a part of it
[[nodiscard]] Result<void> try_lock_range(const Fd& file, FileRange range, RangeLock kind) noexcept;
[[nodiscard]] Result<void> lock_range(const Fd& file, FileRange range, RangeLock kind) noexcept;
void unlock_range(const Fd& file, FileRange range) noexcept;

// Who is in the way of such a lock.
struct RangeHolder {
    bool is_held = false;
    RangeLock kind = RangeLock::shared;
    FileRange range{};
    int pid = 0;  // 0: the kernel does not say, as with all locks of this kind
};
[[nodiscard]] Result<RangeHolder> who_holds(const Fd& file, FileRange range,
                                            RangeLock kind) noexcept;

}  // namespace stoa::sys
