// The header of a log, checked once, for the sources of the log.
#pragma once

#include <span>

#include "stoa/base/error.hpp"
#include "stoa/ring/log_layout.hpp"

namespace stoa {

struct LogChecked {
    LogLayout* layout;
    LogGeometry geometry;
};

// Loads each word of the header once and checks that copy. Errors: bad_layout, wrong_version
[[nodiscard]] Result<LogChecked> check_log(std::span<std::byte> memory, const char* step) noexcept;

// Positions beyond this are nobody's: at 10 GB/s it takes 14 years to get there.
inline constexpr std::uint64_t kLogLastPosition = std::uint64_t{1} << 62U;

}  // namespace stoa
