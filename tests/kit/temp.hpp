// Memory and folders that live as long as one test.
//
// Start here: TempRegion for ring/ tests, TempDomain for everything that has a name.
// Threads:    TempDomain sets an environment variable: make it before threads start.
// Processes:  a TempRegion is shared with children forked later; the domain with all that inherit
//             STOA_DOMAIN.
// Death:      a killed test leaves its domain folder, /dev/shm/stoa-test-PID-*; the next TempDomain
//             of the same user removes those whose process is gone.
// Blocking:   never.
// Lifetime:   the destructors unmap and remove.
// Units:      bytes.
// Source:     mmap(2), mkdtemp(3).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace stoa::kit {

// Zeroed anonymous shared memory, page-aligned.
class TempRegion {
public:
    explicit TempRegion(std::size_t size_bytes);
    TempRegion(const TempRegion&) = delete;
    TempRegion& operator=(const TempRegion&) = delete;
    ~TempRegion();

    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }

private:
    std::span<std::byte> bytes_;
};

// A private folder (0700, in /dev/shm, else in TMPDIR), set as STOA_DOMAIN.
class TempDomain {
public:
    TempDomain();
    TempDomain(const TempDomain&) = delete;
    TempDomain& operator=(const TempDomain&) = delete;
    ~TempDomain();

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    // Names of what lies in the folder, sorted.
    [[nodiscard]] std::vector<std::string> entries() const;
    // Empties the folder.
    void clear() const;

private:
    std::string path_;
    std::optional<std::string> domain_before_;
};

}  // namespace stoa::kit
