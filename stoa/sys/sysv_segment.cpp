#include "stoa/sys/sysv_segment.hpp"

#include <sys/ipc.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <memory>

#include "stoa/sys/errno.hpp"
#include "stoa/sys/process.hpp"

namespace stoa::sys {
namespace {

std::unexpected<Error> fail_segment(const char* step) noexcept {
    if (errno == EIDRM || errno == EINVAL) return fail(Errc::not_found, step, errno);
    return fail_errno(step);
}

}  // namespace

Result<std::int32_t> make_segment(std::int32_t key, std::uint64_t bytes,
                                  std::uint32_t mode) noexcept {
    const int id = ::shmget(key, bytes, IPC_CREAT | IPC_EXCL | static_cast<int>(mode & 0777U));
    if (id >= 0) return id;
    switch (errno) {
        case ENOSPC:
            return fail(Errc::limit_reached,
                        "shmget (kernel.shmmni or shmall is reached: ipcs -l shows it)", errno);
        case EINVAL:
            return fail(Errc::limit_reached, "shmget (more than kernel.shmmax, or nothing)", errno);
        case ENOMEM: return fail(Errc::out_of_space, "shmget", errno);
        default: return fail_errno("shmget");
    }
}

Result<std::int32_t> find_segment(std::int32_t key) noexcept {
    const int id = ::shmget(key, 0, 0);
    if (id < 0) return fail_segment("shmget");
    return id;
}

Result<Mapping> attach_segment(std::int32_t id, Access access) noexcept {
    const Result<SegmentInfo> info = segment_info(id);
    if (!info) return std::unexpected(info.error());
    void* const start = ::shmat(id, nullptr, access == Access::read_only ? SHM_RDONLY : 0);
    // NOLINTNEXTLINE(performance-no-int-to-ptr): shmat(2) says so
    if (start == reinterpret_cast<void*>(-1)) return fail_segment("shmat");
    return Mapping::of_segment({static_cast<std::byte*>(start), info->bytes});
}

Result<SegmentInfo> segment_info(std::int32_t id) noexcept {
    shmid_ds status{};
    if (::shmctl(id, IPC_STAT, &status) != 0) return fail_segment("shmctl");
    return SegmentInfo{.id = id,
                       .key = status.shm_perm.__key,
                       .bytes = status.shm_segsz,
                       .attached = status.shm_nattch,
                       .creator = static_cast<std::uint32_t>(status.shm_cpid),
                       .last = static_cast<std::uint32_t>(status.shm_lpid),
                       .user = status.shm_perm.uid,
                       .mode = status.shm_perm.mode & 0777U,
                       .removed = (status.shm_perm.mode & SHM_DEST) != 0};
}

Result<void> set_segment_mode(std::int32_t id, std::uint32_t mode) noexcept {
    shmid_ds status{};
    if (::shmctl(id, IPC_STAT, &status) != 0) return fail_segment("shmctl");
    status.shm_perm.mode = static_cast<unsigned short>(mode & 0777U);
    if (::shmctl(id, IPC_SET, &status) != 0) return fail_segment("shmctl");
    return {};
}

Result<void> remove_segment(std::int32_t id) noexcept {
    if (::shmctl(id, IPC_RMID, nullptr) != 0) return fail_segment("shmctl");
    return {};
}

bool creator_may_be_at_it(const SegmentInfo& info) noexcept {
    if (info.attached == 0 && info.last != 0 && info.last == info.creator) return false;
    return probe_pid(info.creator) != Life::dead;
}

Result<SegmentInfo> await_segment(std::int32_t id, std::uint32_t mode_bits,
                                  Deadline deadline) noexcept {
    for (;;) {
        const Result<SegmentInfo> info = segment_info(id);
        if (!info || (info->mode & mode_bits) == 0 || deadline.passed() ||
            !creator_may_be_at_it(*info)) {
            return info;
        }
        const timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
        ::nanosleep(&pause, nullptr);
    }
}

bool is_own(const SegmentInfo& info) noexcept {
    return info.user == ::geteuid();
}

Result<std::vector<SegmentInfo>> list_segments() {
    const auto close = [](std::FILE* file) { (void)std::fclose(file); };
    const std::unique_ptr<std::FILE, decltype(close)> file{std::fopen("/proc/sysvipc/shm", "re"),
                                                           close};
    if (!file) return fail(Errc::not_supported, "list (/proc is not mounted)", errno);
    std::vector<SegmentInfo> all;
    char line[512];
    while (std::fgets(line, sizeof line, file.get()) != nullptr) {
        SegmentInfo one;
        unsigned mode = 0;
        if (std::sscanf(
                line, "%" SCNd32 " %" SCNd32 " %o %" SCNu64 " %" SCNu32 " %*u %" SCNu64 " %" SCNu32,
                &one.key, &one.id, &mode, &one.bytes, &one.creator, &one.attached,
                &one.user) != 7) {
            continue;  // the headline
        }
        one.mode = mode & 0777U;
        one.removed = (mode & SHM_DEST) != 0;
        all.push_back(one);
    }
    return all;
}

}  // namespace stoa::sys
