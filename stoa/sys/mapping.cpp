#include "stoa/sys/mapping.hpp"

#include <sys/mman.h>

#include <limits>
#include <utility>

#include "stoa/sys/errno.hpp"

namespace stoa::sys {
namespace {

Result<std::span<std::byte>> map(int fd, std::uint64_t bytes, int protection, int flags) noexcept {
    if (bytes == 0) return fail(Errc::bad_argument, "mmap");
    if (bytes > std::numeric_limits<std::size_t>::max()) return fail(Errc::limit_reached, "mmap");
    const auto length = static_cast<std::size_t>(bytes);
    void* const start = ::mmap(nullptr, length, protection, flags, fd, 0);
    if (start == MAP_FAILED) return fail_errno("mmap");
    return std::span{static_cast<std::byte*>(start), length};
}

void unmap(std::span<std::byte> bytes) noexcept {
    if (bytes.empty()) return;
    const KeepErrno keep;
    (void)::munmap(bytes.data(), bytes.size());
}

}  // namespace

Mapping::Mapping(Mapping&& other) noexcept : bytes_{std::exchange(other.bytes_, {})} {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    if (this != &other) {
        unmap(bytes_);
        bytes_ = std::exchange(other.bytes_, {});
    }
    return *this;
}

Mapping::~Mapping() {
    unmap(bytes_);
}

Result<Mapping> map_shared(const Fd& file, std::uint64_t bytes, Access access) noexcept {
    const int protection = access == Access::read_write ? PROT_READ | PROT_WRITE : PROT_READ;
    const auto mapped = map(file.get(), bytes, protection, MAP_SHARED);
    if (!mapped) return std::unexpected(mapped.error());
    return Mapping{*mapped};
}

Result<Mapping> map_anonymous_shared(std::uint64_t bytes) noexcept {
    const auto mapped = map(-1, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    if (!mapped) return std::unexpected(mapped.error());
    return Mapping{*mapped};
}

Result<void> flush(std::span<std::byte> memory) noexcept {
    if (::msync(memory.data(), memory.size(), MS_SYNC) != 0) return fail_errno("msync");
    return {};
}

Result<void> populate(std::span<std::byte> memory) noexcept {
    constexpr int kPopulateRead = 22;  // MADV_POPULATE_READ, Linux 5.14
    if (::madvise(memory.data(), memory.size(), kPopulateRead) == 0) return {};
    if (errno == EINVAL) return fail(Errc::not_supported, "prefault (Linux 5.14 has it)", errno);
    return fail_errno("prefault");
}

Result<void> want_huge_pages(std::span<std::byte> memory) noexcept {
    if (::madvise(memory.data(), memory.size(), MADV_HUGEPAGE) == 0) return {};
    if (errno == EINVAL) {
        return fail(Errc::not_supported, "huge_pages (this kernel has none; leave the option out)",
                    errno);
    }
    return fail_errno("huge_pages");
}

}  // namespace stoa::sys
