#include "stoa/sys/rights.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>

#include "stoa/sys/errno.hpp"

namespace stoa::sys {
namespace {

// Not the C library's lookups: they load modules, which a static program cannot, and may ask a
// server.
using Name = std::array<char, 64>;

Name find_name(const char* list, std::uint32_t id) noexcept {
    Name name{};
    (void)std::snprintf(name.data(), name.size(), "%u", id);
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(list, "re"),
                                                               &std::fclose};
    if (file == nullptr) return name;
    std::array<char, 512> line;
    while (std::fgets(line.data(), line.size(), file.get()) != nullptr) {
        const std::string_view text{line.data()};  // name:password:id:...
        const std::size_t first = text.find(':');
        const std::size_t second = text.find(':', first + 1);
        if (first >= name.size() || second == std::string_view::npos) continue;
        std::uint32_t found = 0;
        const auto end =
            std::from_chars(text.data() + second + 1, text.data() + text.size(), found);
        if (end.ec != std::errc{} || found != id) continue;
        name = {};
        std::ranges::copy(text.substr(0, first), name.begin());
        return name;
    }
    return name;
}

Name user(std::uint32_t id) noexcept {
    return find_name("/etc/passwd", id);
}

Name group(std::uint32_t id) noexcept {
    return find_name("/etc/group", id);
}

// An Error owns no text: it lends this one.
std::span<char> text_of_thread() noexcept {
    static thread_local std::array<char, 400> text;
    return text;
}

}  // namespace

std::string user_name(std::uint32_t id) {
    return user(id).data();
}

std::string group_name(std::uint32_t id) {
    return group(id).data();
}

bool in_group(std::uint32_t id) noexcept {
    if (::getegid() == id) return true;
    const int count = ::getgroups(0, nullptr);
    if (count <= 0) return false;
    const std::unique_ptr<gid_t[]> groups{new (std::nothrow)
                                              gid_t[static_cast<std::size_t>(count)]};
    if (groups == nullptr) return false;
    const int filled = ::getgroups(count, groups.get());
    return filled > 0 &&
           std::find(groups.get(), groups.get() + filled, id) != groups.get() + filled;
}

std::unexpected<Error> lacking(Errc code, const char* step, const char* right,
                               const struct stat& status, int os_errno) noexcept {
    const KeepErrno keep;
    const std::span<char> text = text_of_thread();
    Name shared{};
    if ((status.st_mode & 0070U) != 0) shared = group(status.st_gid);
    const bool by_group = shared[0] != '\0';
    (void)std::snprintf(text.data(), text.size(),
                        "%s (the right to %s is missing; user %s%s%s %s it, mode %04o; you are %s)",
                        step, right, user(status.st_uid).data(), by_group ? " and group " : "",
                        by_group ? shared.data() : "", by_group ? "have" : "has",
                        status.st_mode & 07777U, user(::geteuid()).data());
    return fail(code, text.data(), os_errno);
}

std::unexpected<Error> unfit(Errc code, const char* step, const char* what,
                             const struct stat& status) noexcept {
    const KeepErrno keep;
    const std::span<char> text = text_of_thread();
    (void)std::snprintf(text.data(), text.size(),
                        "%s (%s: it belongs to user %s, group %s, mode %04o; you are %s)", step,
                        what, user(status.st_uid).data(), group(status.st_gid).data(),
                        status.st_mode & 07777U, user(::geteuid()).data());
    return fail(code, text.data());
}

}  // namespace stoa::sys
