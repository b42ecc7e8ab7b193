// Sizes and times as people write and read them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stoa::cli {

// "512", "64K", "64KiB", "1.5M", "2GiB", upper or lower case, powers of 1024. nullopt: not a size.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text);

// "2", "0.25", "2s" (seconds), "500ms", "20us", "1.5m", "1h". nullopt: not a time of 0 s or more.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_time(std::string_view text);

// "512 B", "64 KiB", "1.5 MiB".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);

// "2 s", "0.25 s".
[[nodiscard]] std::string human_seconds(std::chrono::nanoseconds time);

// "1 message", "2 messages".
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view one, std::string_view many);

}  // namespace stoa::cli
