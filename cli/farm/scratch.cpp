#include "cli/farm/scratch.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "stoa/sys/errno.hpp"
#include "stoa/sys/memfd.hpp"

namespace stoa::cli::farm {

Result<sys::Fd> make_scratch() {
    const char* folder = std::getenv("TMPDIR");
    if (folder == nullptr || *folder == '\0') folder = "/tmp";
    const int file = ::open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0) return sys::Fd{file};
    if (errno == EMFILE || errno == ENFILE) return sys::fail_errno("open (temporary file)");
    return sys::make_memory("stoa-farm");
}

Result<void> write_at(const sys::Fd& file, std::span<const std::byte> bytes,
                      std::uint64_t offset) noexcept {
    while (!bytes.empty()) {
        const ssize_t count =
            ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return sys::fail_errno("write (temporary file; TMPDIR names its folder)");
        bytes = bytes.subspan(static_cast<std::size_t>(count));
        offset += static_cast<std::uint64_t>(count);
    }
    return {};
}

Result<void> read_at(const sys::Fd& file, std::span<std::byte> room,
                     std::uint64_t offset) noexcept {
    while (!room.empty()) {
        const ssize_t count =
            ::pread(file.get(), room.data(), room.size(), static_cast<off_t>(offset));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return sys::fail_errno("read (temporary file)");
        if (count == 0) return fail(Errc::corrupt, "read (temporary file)");
        room = room.subspan(static_cast<std::size_t>(count));
        offset += static_cast<std::uint64_t>(count);
    }
    return {};
}

void discard(const sys::Fd& file, std::uint64_t offset, std::uint64_t bytes) noexcept {
    if (bytes == 0) return;
    (void)::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      static_cast<off_t>(offset), static_cast<off_t>(bytes));
}

}  // namespace stoa::cli::farm
