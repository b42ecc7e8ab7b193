// What /proc says about a process.
//
// Start here: read_stat(pid); process.hpp decides what it proves.
// Threads:    safe.
// Processes:  /proc shows pids of the namespace it was mounted for; see proc_shows_our_namespace.
// Death:      the file of a dead process cannot be opened; a zombie's can.
// Blocking:   never. Signal-safe, and allocates nothing.
// Lifetime:   values.
// Units:      start ticks of the clock since boot, as the caller's time namespace shows it.
// Source:     proc(5).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "stoa/base/error.hpp"

namespace stoa::sys {

inline constexpr std::uint32_t kOwnPid = 0;  // in this file: whoever calls

struct ProcStat {
    char state = '?';
    std::uint64_t threads = 0;  // 0: just released
    std::uint64_t start_ticks = 0;
};
// nullopt with errno set: no such process, hidden from us, or no descriptor left.
[[nodiscard]] std::optional<ProcStat> read_stat(std::uint32_t pid) noexcept;

// False when /proc is not mounted, or shows another pid namespace than the caller's.
[[nodiscard]] bool proc_shows_our_namespace() noexcept;

// The first bytes of a small file, in `buffer`. Errors: those of open(2) and read(2)
[[nodiscard]] Result<std::string_view> read_small(const char* path,
                                                  std::span<char> buffer) noexcept;

}  // namespace stoa::sys
