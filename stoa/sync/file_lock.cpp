#include "stoa/sync/file_lock.hpp"

#include <algorithm>
#include <system_error>
#include <thread>

#include "stoa/base/check.hpp"
#include "stoa/sys/fork_guard.hpp"

namespace stoa {
namespace {

constexpr std::chrono::microseconds kFirstPause{50};
constexpr std::chrono::microseconds kLongestPause{5'000};

std::errc code_of(const Error& error) noexcept {
    switch (error.code) {
        case Errc::denied: return std::errc::permission_denied;
        case Errc::not_supported: return std::errc::operation_not_supported;
        case Errc::limit_reached: return std::errc::no_lock_available;
        case Errc::forked: return std::errc::operation_not_permitted;
        default: return std::errc::io_error;
    }
}

}  // namespace

FileLock::FileLock(sys::ForkFd file, FileRange range) noexcept
    : file_{std::move(file)}, range_{range}, generation_{sys::own_generation()} {}

Result<FileLock> FileLock::open(const std::string& path, FileRange range, LockedFile how) {
    // No child may inherit the file before it is known as one to close there.
    const sys::NoFork held;
    Result<sys::Fd> file =
        sys::open_for_locks(path.c_str(), how != LockedFile::read_only, how == LockedFile::make);
    if (!file) return std::unexpected(file.error());
    sys::ForkFd kept{std::move(*file)};
    kept.close_on_fork(held);
    return FileLock{std::move(kept), range};
}

bool FileLock::is_forked() const noexcept {
    return sys::current_generation() != generation_;
}

Result<void> FileLock::hold_as(sys::RangeLock kind, Deadline deadline) noexcept {
    if (is_forked()) return fail(Errc::forked, "lock a file");
    // The kernel would turn one kind into the other.
    STOA_REQUIRE(!is_held_,
                 "lock of a FileLock that holds its range already; unlock it first, or open a "
                 "second FileLock");
    std::chrono::nanoseconds pause = kFirstPause;
    for (;;) {
        const Result<void> got = deadline.is_never()
                                     ? sys::lock_range(file_.fd(), range_, kind)
                                     : sys::try_lock_range(file_.fd(), range_, kind);
        is_held_ = got.has_value();
        if (got || got.error().code != Errc::in_use || deadline.is_immediate()) return got;
        if (deadline.passed()) return fail(Errc::timed_out, "lock a file");
        std::this_thread::sleep_for(deadline.left(pause));
        pause = std::min<std::chrono::nanoseconds>(pause * 2, kLongestPause);
    }
}

void FileLock::unlock() noexcept {
    if (is_forked() || !is_held_) return;
    is_held_ = false;
    sys::unlock_range(file_.fd(), range_);
}

bool FileLock::hold_or_throw(sys::RangeLock kind, Deadline deadline) {
    const Result<void> got = hold_as(kind, deadline);
    if (got) return true;
    const Errc code = got.error().code;
    if (code == Errc::in_use || code == Errc::timed_out) return false;
    throw std::system_error{std::make_error_code(code_of(got.error())),
                            "stoa::FileLock: " + describe(got.error())};
}

Result<sys::RangeHolder> FileLock::holder() const noexcept {
    if (is_forked()) return fail(Errc::forked, "who locks a file");
    return sys::who_holds(file_.fd(), range_, sys::RangeLock::exclusive);
}

}  // namespace stoa
