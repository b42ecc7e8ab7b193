// Limit `mapping`: what every attach pays: shm_open, fstat, mmap, a page, munmap, close.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>

#include "bench/kit/attach_loop.hpp"
#include "bench/limits/limits.hpp"

namespace stoa::bench {
namespace {

class MappingAttach {
public:
    static constexpr std::uint64_t kValue = 7;

    explicit MappingAttach(const Case& c) : name_{"/" + std::string{c.id}} {
        const int file = ::shm_open(name_.c_str(), O_CREAT | O_RDWR, 0600);
        const std::uint64_t value = kValue;
        if (file < 0 || ::ftruncate(file, 1 << 20) != 0 ||
            ::pwrite(file, &value, sizeof value, 0) != sizeof value) {
            throw std::runtime_error{"mapping: shm_open"};
        }
        ::close(file);
    }
    MappingAttach(const MappingAttach&) = delete;
    MappingAttach& operator=(const MappingAttach&) = delete;
    ~MappingAttach() { ::shm_unlink(name_.c_str()); }

    std::uint64_t once() {
        const int file = ::shm_open(name_.c_str(), O_RDWR, 0);
        struct stat status{};
        ::fstat(file, &status);
        const auto bytes = static_cast<std::size_t>(status.st_size);
        void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        const std::uint64_t value = static_cast<std::atomic<std::uint64_t>*>(at)->load();
        ::munmap(at, bytes);
        ::close(file);
        return value;
    }

private:
    std::string name_;
};

}  // namespace

void add_attach_limit(Subjects& subjects) {
    subjects.list.push_back(attach_subject_of<MappingAttach>("mapping", Kind::limit));
}

}  // namespace stoa::bench
