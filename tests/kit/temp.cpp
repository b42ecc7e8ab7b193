#include "tests/kit/temp.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "stoa/base/atomic.hpp"
#include "stoa/base/check.hpp"
#include "stoa/base/size.hpp"

namespace stoa::kit {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVariable = "STOA_DOMAIN";
constexpr std::string_view kPrefix = "stoa-test-";

fs::path folder_for_domains() {
    if (::access("/dev/shm", W_OK) == 0) return "/dev/shm";
    return fs::temp_directory_path();
}

// Removes the folders of our tests that were killed.
void remove_orphans(const fs::path& folder) {
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator{folder, ignored}) {
        const std::string name = entry.path().filename();
        if (!name.starts_with(kPrefix)) continue;
        struct ::stat facts{};
        if (::stat(entry.path().c_str(), &facts) != 0 || facts.st_uid != ::geteuid()) continue;
        int pid = 0;
        const char* digits = name.data() + kPrefix.size();
        const auto read = std::from_chars(digits, name.data() + name.size(), pid);
        if (read.ec != std::errc{} || pid <= 0) continue;
        if (::kill(pid, 0) != 0 && errno == ESRCH) fs::remove_all(entry.path(), ignored);
    }
}

}  // namespace

TempRegion::TempRegion(std::size_t size_bytes) {
    const std::size_t size = align_up(std::max<std::size_t>(size_bytes, 1), kPage);
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    STOA_CHECK(at != MAP_FAILED);
    bytes_ = {static_cast<std::byte*>(at), size};
}

TempRegion::~TempRegion() {
    ::munmap(bytes_.data(), bytes_.size());
}

TempDomain::TempDomain() {
    const fs::path folder = folder_for_domains();
    remove_orphans(folder);
    std::string pattern = folder / (std::string{kPrefix} + std::to_string(::getpid()) + "-XXXXXX");
    STOA_CHECK(::mkdtemp(pattern.data()) != nullptr);  // mode 0700
    path_ = pattern;
    if (const char* before = std::getenv(kVariable)) domain_before_ = before;
    ::setenv(kVariable, path_.c_str(), 1);
}

TempDomain::~TempDomain() {
    if (domain_before_) {
        ::setenv(kVariable, domain_before_->c_str(), 1);
    } else {
        ::unsetenv(kVariable);
    }
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

std::vector<std::string> TempDomain::entries() const {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator{path_}) {
        names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
}

void TempDomain::clear() const {
    std::error_code ignored;
    for (const std::string& name : entries()) fs::remove_all(fs::path{path_} / name, ignored);
}

}  // namespace stoa::kit
