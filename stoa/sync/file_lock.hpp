// FileLock: a lock on a file or a range of its bytes, for programs that share files: exclusive or
// shared, among all that lock the file by fcntl(2), lockf(3) or a FileLock.
//
// Start here: FileLock::open(path), then hold(), hold_shared(), unlock(); std::unique_lock and
//             std::shared_lock where an exception tells of an error.
// Threads:    one thread at a time: a lock belongs to the opening of the file, which threads would
//             share. Each thread opens its own; those exclude each other.
// Processes:  any that may open the file. Locks of flock(2) are others, and not seen.
// Death:      the kernel drops the lock with its process, whatever it left half written: nobody is
//             told. For that use a Mutex or Guarded in a region.
// Blocking:   hold and the timed forms. Without a deadline it sleeps in the kernel and wakes at
//             once; the kernel has no timed wait, so the timed forms look again after 50 us, then
//             twice as long each time, at most 5 ms: a lock free for shorter than that is missed.
// Lifetime:   gives the lock back and closes the file in its destructor. A forked child has no copy
//             of the file and keeps no lock alive: its hold says forked, its unlock does nothing.
//             clone(2) and vfork(2) run no handlers: such a child keeps the lock until it ends or
//             calls exec, which closes the file. No descriptor is handed out, for a dup keeps it.
// Units:      bytes.
// Source:     fcntl(2), open file description locks: unlike with older record locks another close
//             of the file in this process does not drop them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/sys/close_on_fork.hpp"
#include "stoa/sys/range_lock.hpp"

namespace stoa {

using sys::FileRange;

enum class LockedFile : std::uint8_t {
    existing,   // open for reading and writing
    read_only,  // shared locks only
    make,       // as existing; made, empty, if it is not there
};

class FileLock {
public:
    // Errors: not_found, denied, bad_layout (a folder), limit_reached, bad_argument
    [[nodiscard]] static Result<FileLock> open(const std::string& path, FileRange range = {},
                                               LockedFile how = LockedFile::existing);
    FileLock(FileLock&& other) noexcept = default;
    FileLock& operator=(FileLock&&) = delete;
    ~FileLock() = default;  // the kernel drops what the file holds

    // Precondition: it holds nothing. Errors: forked; denied (exclusive, of a file that is
    // read_only); not_supported; limit_reached; timed_out, in_use (immediately)
    Result<void> hold(Deadline deadline = Deadline::never()) noexcept {
        return hold_as(sys::RangeLock::exclusive, deadline);
    }
    Result<void> hold_shared(Deadline deadline = Deadline::never()) noexcept {
        return hold_as(sys::RangeLock::shared, deadline);
    }
    // Of either kind.
    void unlock() noexcept;
    void unlock_shared() noexcept { unlock(); }

    // As the standard's SharedTimedLockable: errors but in_use and timed_out are thrown as
    // std::system_error.
    void lock() { static_cast<void>(hold_or_throw(sys::RangeLock::exclusive, Deadline::never())); }
    [[nodiscard]] bool try_lock() {
        return hold_or_throw(sys::RangeLock::exclusive, Deadline::immediately());
    }
    template <typename Rep, typename Period>
    [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& wait) {
        return hold_or_throw(sys::RangeLock::exclusive, Deadline::after(wait));
    }
    [[nodiscard]] bool try_lock_until(Deadline::Clock::time_point when) {
        return hold_or_throw(sys::RangeLock::exclusive, Deadline::at(when));
    }
    void lock_shared() {
        static_cast<void>(hold_or_throw(sys::RangeLock::shared, Deadline::never()));
    }
    [[nodiscard]] bool try_lock_shared() {
        return hold_or_throw(sys::RangeLock::shared, Deadline::immediately());
    }
    template <typename Rep, typename Period>
    [[nodiscard]] bool try_lock_shared_for(const std::chrono::duration<Rep, Period>& wait) {
        return hold_or_throw(sys::RangeLock::shared, Deadline::after(wait));
    }
    [[nodiscard]] bool try_lock_shared_until(Deadline::Clock::time_point when) {
        return hold_or_throw(sys::RangeLock::shared, Deadline::at(when));
    }

    // One of those in the way of an exclusive lock here, and its range; its pid only if it has an
    // older record lock, for of locks like this one the kernel does not say whose they are.
    // Errors: forked, os
    [[nodiscard]] Result<sys::RangeHolder> holder() const noexcept;

private:
    FileLock(sys::ForkFd file, FileRange range) noexcept;
    [[nodiscard]] Result<void> hold_as(sys::RangeLock kind, Deadline deadline) noexcept;
    [[nodiscard]] bool hold_or_throw(sys::RangeLock kind, Deadline deadline);
    [[nodiscard]] bool is_forked() const noexcept;

    sys::ForkFd file_;
    FileRange range_;
    std::uint64_t generation_;  // of the process that opened it
    bool is_held_ = false;
};

}  // namespace stoa
