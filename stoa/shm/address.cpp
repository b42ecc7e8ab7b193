#include "stoa/shm/address.hpp"

#include <charconv>
#include <cstdio>

#include "stoa/base/fingerprint.hpp"
#include "stoa/shm/domain.hpp"

namespace stoa {
namespace {

std::unexpected<Error> bad(const char* why) noexcept {
    return fail(Errc::bad_name, why);
}

template <typename Number>
bool read_number(std::string_view text, int base, Number& number) noexcept {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return error == std::errc{} && end == text.data() + text.size();
}

// Never IPC_PRIVATE, and positive, so that ipcs(1) shows what one wrote.
std::int32_t key_of(std::string_view name) noexcept {
    const auto key = static_cast<std::int32_t>(fingerprint_of(name) & 0x7fffffffU);
    return key == 0 ? 1 : key;
}

Result<RegionAddress> parse_sysv(std::string_view rest) {
    RegionAddress address{.scheme = RegionAddress::Scheme::sysv, .name = std::string{rest}};
    if (rest.starts_with('#')) {
        if (!read_number(rest.substr(1), 10, address.number) || address.number < 0) {
            return bad("address (sysv:#ID takes the id that ipcs -m shows)");
        }
        return address;
    }
    if (rest.starts_with("0x")) {
        std::uint32_t key = 0;
        if (!read_number(rest.substr(2), 16, key) || key == 0) {
            return bad("address (sysv:0xKEY takes a key of 1 to ffffffff)");
        }
        address.key = static_cast<std::int32_t>(key);
        return address;
    }
    if (Result<void> good = check_name(rest); !good) return std::unexpected(good.error());
    address.key = key_of(rest);
    return address;
}

Result<RegionAddress> parse_path(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    RegionAddress address{.scheme = RegionAddress::Scheme::file};
    address.name = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
    address.folder = slash == std::string_view::npos ? "."
                     : slash == 0                    ? "/"
                                                     : std::string{path.substr(0, slash)};
    if (address.name.empty() || address.name == "." || address.name == ".." ||
        path.find('\0') != std::string_view::npos) {
        return bad("address (file:PATH ends with the name of a file)");
    }
    return address;
}

}  // namespace

Result<RegionAddress> RegionAddress::parse(std::string_view text) {
    const std::size_t colon = text.find(':');
    const std::string_view scheme = colon == std::string_view::npos ? "shm" : text.substr(0, colon);
    const std::string_view rest = colon == std::string_view::npos ? text : text.substr(colon + 1);
    if (scheme == "shm") {
        if (Result<void> good = check_name(rest); !good) return std::unexpected(good.error());
        return RegionAddress{.scheme = Scheme::shm, .name = std::string{rest}};
    }
    if (scheme == "posix") {
        // As shm_open(3) wants it: one slash, in front.
        const std::string_view name = rest.starts_with('/') ? rest.substr(1) : rest;
        if (name.empty() || name.size() > 255 || name.find('/') != std::string_view::npos ||
            name == "." || name == ".." || name.find('\0') != std::string_view::npos) {
            return bad("address (posix:/NAME has one slash, in front)");
        }
        return RegionAddress{.scheme = Scheme::posix,
                             .name = std::string{name},
                             .folder = RegionAddress::kPosixFolder};
    }
    if (scheme == "memfd") {
        RegionAddress address{.scheme = Scheme::memfd, .name = std::string{rest}};
        if (!rest.empty() && (!read_number(rest, 10, address.number) || address.number < 0)) {
            return bad("address (memfd:N takes the number of a descriptor)");
        }
        return address;
    }
    if (scheme == "file") return parse_path(rest);
    if (scheme == "sysv") return parse_sysv(rest);
    return bad("address (begins with shm: posix: memfd: file: or sysv:)");
}

std::string RegionAddress::text() const {
    switch (scheme) {
        case Scheme::shm: return "shm:" + name;
        case Scheme::posix: return "posix:/" + name;
        case Scheme::memfd: return "memfd:" + name;
        case Scheme::file: return "file:" + (folder == "." ? name : folder + "/" + name);
        case Scheme::sysv: return "sysv:" + name;
    }
    return name;
}

}  // namespace stoa
