#include "stoa/sys/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <string_view>

#include "stoa/base/size.hpp"
#include "stoa/sys/errno.hpp"
#include "stoa/sys/rights.hpp"

namespace stoa::sys {
namespace {

Result<int> retry_open(int folder, const char* name, int flags, mode_t mode,
                       const char* step) noexcept {
    for (;;) {
        const int number = ::openat(folder, name, flags, mode);
        if (number >= 0) return number;
        if (errno != EINTR) return fail_errno(step);
    }
}

// Past RLIMIT_FSIZE the kernel sends SIGXFSZ, which kills; ask first. Gives the end as off_t.
Result<off_t> checked_end(std::uint64_t offset, std::uint64_t bytes, const char* step) noexcept {
    const auto end = checked_add(offset, bytes);
    if (!end || *end > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max())) {
        return fail(Errc::limit_reached, step);
    }
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        *end > limit.rlim_cur) {
        return fail(Errc::limit_reached, step, EFBIG);
    }
    return static_cast<off_t>(*end);
}

bool is_denial(const Error& error) noexcept {
    return error.code == Errc::denied && error.os_errno != EROFS;
}

// Who has the right that is missing in the folder of `path`.
std::unexpected<Error> lacking_in_parent(const char* path, const Error& error) noexcept {
    const std::string_view text{path};
    const std::size_t slash = text.rfind('/');
    char parent[4096] = ".";
    struct stat status{};
    if (slash != std::string_view::npos && slash < sizeof parent) {
        const std::size_t bytes = std::max<std::size_t>(slash, 1);
        *std::copy_n(path, bytes, parent) = '\0';
    }
    if (!is_denial(error) || ::stat(parent, &status) != 0) return std::unexpected(error);
    return lacking(error.code, error.step, "write its parent folder", status, error.os_errno);
}

}  // namespace

Result<Fd> open_any_folder(const char* path) noexcept {
    const auto number =
        retry_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, "open folder");
    if (!number) return std::unexpected(number.error());
    return Fd{*number};
}

Result<Fd> open_folder(const char* path) noexcept {
    constexpr const char* kStep = "open folder";
    struct stat status{};
    const auto number =
        retry_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, kStep);
    if (!number) {
        const int os_errno = number.error().os_errno;
        if (os_errno == ENOTDIR || os_errno == ELOOP) {
            return fail(Errc::unsafe_folder, kStep, os_errno);
        }
        if (is_denial(number.error()) && ::lstat(path, &status) == 0) {
            return lacking(Errc::denied, kStep, "enter it", status, os_errno);
        }
        return std::unexpected(number.error());
    }
    Fd folder{*number};
    if (::fstat(folder.get(), &status) != 0) return fail_errno("fstat folder");
    if (is_shared_folder(status.st_mode)) {
        if (in_group(status.st_gid)) return folder;
        return unfit(Errc::unsafe_folder, kStep, "you are no member of the group that shares it",
                     status);
    }
    if (status.st_uid != ::geteuid()) {
        return unfit(Errc::unsafe_folder, kStep, "another user has all rights to it", status);
    }
    if ((status.st_mode & 077U) != 0) {
        return unfit(Errc::unsafe_folder, kStep,
                     "others may enter it, a domain is 0700 or 2770 of a group", status);
    }
    return folder;
}

Result<Fd> create_private_folder(const char* path) noexcept {
    if (::mkdir(path, 0700) != 0) {
        return lacking_in_parent(path, error_from_errno(errno, "mkdir folder"));
    }
    // A umask may have taken the owner's own rights away.
    if (::chmod(path, 0700) != 0) return fail_errno("chmod folder");
    return open_folder(path);
}

Result<Fd> create_folder(const char* path) noexcept {
    Result<Fd> made = create_private_folder(path);
    return made || made.error().code != Errc::exists ? std::move(made) : open_folder(path);
}

Result<Fd> create_shared_folder(const char* path, std::uint32_t group) noexcept {
    if (::mkdir(path, 0700) != 0) {
        return lacking_in_parent(path, error_from_errno(errno, "mkdir folder"));
    }
    // Private until it belongs to the group; chown(2) would take the bit of the group away.
    if (::chown(path, static_cast<uid_t>(-1), group) != 0 || ::chmod(path, 02770) != 0) {
        const int os_errno = errno;
        (void)::rmdir(path);
        if (os_errno == EPERM) {
            return fail(Errc::denied,
                        "create (the right to give it to that group is missing: its "
                        "members have it, and root)",
                        os_errno);
        }
        return std::unexpected(error_from_errno(os_errno, "chown folder"));
    }
    Result<Fd> folder = open_folder(path);
    if (folder) return folder;
    // Root may make a domain for a group that it is no member of, and then not use it.
    const auto number = retry_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                                   0, "open folder");
    if (!number) return std::unexpected(number.error());
    return Fd{*number};
}

Result<Fd> make_unnamed(const Fd& folder, std::uint32_t mode) noexcept {
    const auto number = retry_open(folder.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600,
                                   "open O_TMPFILE (a file without a name)");
    if (!number) {
        // A kernel or file system that ignores the flag sees an attempt to open a folder for
        // writing.
        if (number.error().code == Errc::bad_layout) {
            return fail(Errc::not_supported, number.error().step, number.error().os_errno);
        }
        return std::unexpected(number.error());
    }
    Fd file{*number};
    struct stat of_folder{};
    struct stat status{};
    if (::fstat(folder.get(), &of_folder) != 0 || ::fstat(file.get(), &status) != 0) {
        return fail_errno("fstat");
    }
    if (is_shared_folder(of_folder.st_mode)) {
        mode |= 0060U;
        if (status.st_gid != of_folder.st_gid &&
            ::fchown(file.get(), static_cast<uid_t>(-1), of_folder.st_gid) != 0) {
            return fail_errno("fchown");
        }
    }
    if (::fchmod(file.get(), static_cast<mode_t>(mode)) != 0) return fail_errno("fchmod");
    return file;
}

Result<void> reserve(const Fd& file, std::uint64_t offset, std::uint64_t bytes) noexcept {
    const auto end = checked_end(offset, bytes, "fallocate");
    if (!end) return std::unexpected(end.error());
    // On older kernels, Debian 12's among them, a signal makes fallocate(2) on tmpfs give back what
    // it allocated. Small steps make progress even under a timer signal every millisecond.
    constexpr off_t kStepBytes = off_t{4} << 20;
    constexpr off_t kLeastStepBytes = off_t{64} << 10;
    off_t step = kStepBytes;
    for (auto at = static_cast<off_t>(offset); at < *end;) {
        const off_t length = std::min(step, *end - at);
        if (::fallocate(file.get(), 0, at, length) == 0) {
            at += length;
        } else if (errno == EINTR) {
            step = std::max(step / 2, kLeastStepBytes);
        } else {
            return fail_errno("fallocate");
        }
    }
    return {};
}

Result<void> set_size(const Fd& file, std::uint64_t bytes) noexcept {
    const auto end = checked_end(0, bytes, "ftruncate");
    if (!end) return std::unexpected(end.error());
    while (::ftruncate(file.get(), *end) != 0) {
        if (errno != EINTR) return fail_errno("ftruncate");
    }
    return {};
}

Result<void> punch_hole(const Fd& file, std::uint64_t offset, std::uint64_t bytes) noexcept {
    if (bytes == 0) return {};
    while (::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                       static_cast<off_t>(offset), static_cast<off_t>(bytes)) != 0) {
        if (errno != EINTR) return fail_errno("fallocate punch");
    }
    return {};
}

Result<void> read_at(const Fd& file, std::uint64_t offset, std::span<std::byte> to) noexcept {
    while (!to.empty()) {
        const ssize_t count = ::pread(file.get(), to.data(), to.size(), static_cast<off_t>(offset));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_errno("pread");
        if (count == 0) {
            std::ranges::fill(to, std::byte{0});
            break;
        }
        to = to.subspan(static_cast<std::size_t>(count));
        offset += static_cast<std::uint64_t>(count);
    }
    return {};
}

Result<void> publish(const Fd& file, const Fd& folder, const char* name) noexcept {
    char path[32];
    (void)std::snprintf(path, sizeof path, "/proc/self/fd/%d", file.get());
    if (::linkat(AT_FDCWD, path, folder.get(), name, AT_SYMLINK_FOLLOW) == 0) return {};
    const int os_errno = errno;
    if (os_errno == ENOENT && ::access("/proc/self/fd", F_OK) != 0) {
        return fail(Errc::not_supported, "create: /proc is not mounted", os_errno);
    }
    return std::unexpected(error_from_errno(os_errno, "create"));
}

Result<Fd> open_existing(const Fd& folder, const char* name, Access access) noexcept {
    const int how = access == Access::read_write ? O_RDWR : O_RDONLY;
    const char* const right = access == Access::read_write ? "read and write it" : "read it";
    struct stat status{};
    const auto number = retry_open(folder.get(), name,
                                   how | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0, "open");
    if (!number) {
        if (is_denial(number.error()) &&
            ::fstatat(folder.get(), name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
            return lacking(Errc::denied, "open", right, status, number.error().os_errno);
        }
        return std::unexpected(number.error());
    }
    Fd file{*number};
    if (::fstat(file.get(), &status) != 0) return fail_errno("fstat");
    if (!S_ISREG(status.st_mode)) return fail(Errc::bad_layout, "open: not a regular file");
    if (status.st_uid == ::geteuid()) return file;
    struct stat of_folder{};
    if (::fstat(folder.get(), &of_folder) != 0) return fail_errno("fstat folder");
    if (!is_shared_folder(of_folder.st_mode)) {
        return unfit(Errc::denied, "open", "in a folder of one user, owned by another one", status);
    }
    if (status.st_gid != of_folder.st_gid || (status.st_mode & 0007U) != 0) {
        return unfit(Errc::denied, "open", "it is not for the group of the folder alone", status);
    }
    return file;
}

Result<void> unlink(const Fd& folder, const char* name) noexcept {
    if (::unlinkat(folder.get(), name, 0) != 0) return fail_errno("unlink");
    return {};
}

Result<std::vector<std::string>> list(const Fd& folder) {
    // A descriptor of its own: the position in a folder belongs to the open file.
    const auto number =
        retry_open(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, "list");
    if (!number) return std::unexpected(number.error());
    DIR* const stream = ::fdopendir(*number);
    if (stream == nullptr) {
        const Fd closes{*number};
        return fail_errno("list");
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
        const std::string_view name{entry->d_name};
        if (name != "." && name != "..") names.emplace_back(name);
        errno = 0;
    }
    const int os_errno = errno;
    (void)::closedir(stream);
    if (os_errno != 0) return std::unexpected(error_from_errno(os_errno, "list"));
    return names;
}

Result<FileInfo> info(const Fd& file) noexcept {
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return fail_errno("fstat");
    return FileInfo{.device = status.st_dev,
                    .inode = status.st_ino,
                    .bytes = static_cast<std::uint64_t>(status.st_size),
                    .allocated_bytes = static_cast<std::uint64_t>(status.st_blocks) * 512,
                    .owner = status.st_uid,
                    .group = status.st_gid,
                    .mode = status.st_mode & 07777U,
                    .links = static_cast<std::uint32_t>(status.st_nlink)};
}

}  // namespace stoa::sys
