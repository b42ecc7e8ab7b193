// Limit `files`: a file of as many bytes as a small mailbox takes, reserved, named when it is
// whole, and mapped; then opened and mapped by another process.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "bench/kit/crowd.hpp"
#include "bench/limits/limits.hpp"

namespace stoa::bench {

namespace {

constexpr std::size_t kFileBytes = 16384;

class MappedFile {
public:
    explicit MappedFile(int file)
        : at_{mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)}, file_{file} {
        if (at_ == MAP_FAILED) throw Unavailable{"mmap"};
    }
    MappedFile(MappedFile&& other) noexcept
        : at_{std::exchange(other.at_, MAP_FAILED)}, file_{std::exchange(other.file_, -1)} {}
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    MappedFile& operator=(MappedFile&&) = delete;
    ~MappedFile() {
        if (at_ != MAP_FAILED) munmap(at_, kFileBytes);
        if (file_ >= 0) close(file_);
    }
    void put(std::uint64_t number) { *static_cast<std::uint64_t*>(at_) = number; }
    std::uint64_t get() { return *static_cast<std::uint64_t*>(at_); }

private:
    void* at_;
    int file_;
};

class Files {
public:
    static bool supports(const Case&) { return true; }
    explicit Files(const Case& c) : prefix_{"/dev/shm/" + c.id + "-"} {}
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;
    ~Files() {
        for (unsigned i = 0; i < kCrowd; ++i) unlink(path(i).c_str());
    }
    MappedFile create(unsigned i) {
        const int file = ::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        const std::string self = "/proc/self/fd/" + std::to_string(file);
        if (file < 0 || posix_fallocate(file, 0, kFileBytes) != 0 ||
            linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path(i).c_str(), AT_SYMLINK_FOLLOW) != 0) {
            throw Unavailable{"a file without a name in /dev/shm"};
        }
        MappedFile made{file};
        made.put(0);
        return made;
    }
    MappedFile open(unsigned i) {
        const int file = ::open(path(i).c_str(), O_RDWR | O_CLOEXEC);
        if (file < 0) throw Unavailable{"open"};
        MappedFile made{file};
        if (made.get() != i) throw Unavailable{"another file"};
        return made;
    }

private:
    [[nodiscard]] std::string path(unsigned i) const { return prefix_ + std::to_string(i); }
    std::string prefix_;
};

}  // namespace

void add_file_limit(Subjects& subjects) {
    subjects.list.push_back(crowd_subject_of<Files>("files", Kind::limit));
}

}  // namespace stoa::bench
