#include "cli/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace stoa::cli {
namespace {

// The number at the start of `text`, which keeps what follows it. nullopt: none, or below 0.
std::optional<double> take_number(std::string_view& text) {
    double value = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (error != std::errc{} || !std::isfinite(value) || value < 0 || std::signbit(value)) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// 1 for "" and "b", 1024 for "k", "kb" and "kib", ...
std::optional<double> factor_of(std::string_view unit) {
    while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
    std::string letters{unit};
    std::transform(letters.begin(), letters.end(), letters.begin(), lower);
    if (letters.empty() || letters == "b") return 1;
    const std::size_t power = std::string_view{"kmgt"}.find(letters.front());
    const std::string rest = letters.substr(1);
    if (power == std::string_view::npos || (!rest.empty() && rest != "b" && rest != "ib")) {
        return std::nullopt;
    }
    return std::pow(1024.0, static_cast<double>(power + 1));
}

// 1e9 for "" and "s", 1e6 for "ms", ...
std::optional<double> nanoseconds_of(std::string_view unit) {
    while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
    constexpr std::array kUnits{
        std::pair{"us", 1e3},  std::pair{"ms", 1e6}, std::pair{"", 1e9},     std::pair{"s", 1e9},
        std::pair{"sec", 1e9}, std::pair{"m", 60e9}, std::pair{"min", 60e9}, std::pair{"h", 3600e9},
    };
    for (const auto& [name, nanoseconds] : kUnits) {
        if (unit == name) return nanoseconds;
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
    const std::optional<double> number = take_number(text);
    if (!number) return std::nullopt;
    const std::optional<double> factor = factor_of(text);
    if (!factor) return std::nullopt;
    const double bytes = *number * *factor;
    constexpr double kMost = 9e15;  // a double is exact up to here
    if (bytes > kMost || bytes != std::floor(bytes)) return std::nullopt;
    return static_cast<std::uint64_t>(bytes);
}

std::optional<std::chrono::nanoseconds> parse_time(std::string_view text) {
    const std::optional<double> number = take_number(text);
    if (!number) return std::nullopt;
    const std::optional<double> unit = nanoseconds_of(text);
    if (!unit) return std::nullopt;
    constexpr double kMost = 1e18;  // 30 years; longer is for ever
    const double nanoseconds = std::min(*number * *unit, kMost);
    // Less than one, and yet not none: 0 often means never.
    if (*number > 0 && nanoseconds < 1) return std::chrono::nanoseconds{1};
    return std::chrono::nanoseconds{static_cast<std::int64_t>(nanoseconds)};
}

std::string human_bytes(std::uint64_t bytes) {
    constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < kUnits.size()) {
        value /= 1024;
        ++unit;
    }
    return fmt::format("{:.4g} {}", value, kUnits[unit]);
}

std::string human_seconds(std::chrono::nanoseconds time) {
    return fmt::format("{:.4g} s", std::chrono::duration<double>{time}.count());
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
    return fmt::format("{} {}", count, count == 1 ? one : many);
}

}  // namespace stoa::cli
