#include "stoa/sys/abstract_name.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

namespace stoa::sys {
namespace {

static_assert(sizeof(sockaddr_un::sun_path) == kMaxAbstractName + 1);

bool is_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= kMaxAbstractName;
}

bool no_descriptor_left(int os_errno) noexcept {
    return os_errno == EMFILE || os_errno == ENFILE || os_errno == ENOMEM || os_errno == ENOBUFS;
}

// Columns: address, references, protocol, flags, type, state, inode, path.
std::optional<HeldName> parse_line(std::string_view line, std::string_view prefix) {
    constexpr int kInodeColumn = 6;
    for (int column = 0; column < kInodeColumn; ++column) {
        const std::size_t space = line.find(' ');
        if (space == std::string_view::npos) return std::nullopt;
        line.remove_prefix(space);
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    }
    HeldName held;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), held.inode);
    if (error != std::errc{}) return std::nullopt;
    line.remove_prefix(static_cast<std::size_t>(end - line.data()));
    if (!line.starts_with(" @")) return std::nullopt;  // no name, or one in a file system
    line.remove_prefix(2);
    if (!line.starts_with(prefix)) return std::nullopt;
    held.name = line;
    return held;
}

Result<std::string> read_whole(const char* path) {
    const Fd file{::open(path, O_RDONLY | O_CLOEXEC)};
    if (!file.valid()) {
        if (no_descriptor_left(errno)) return fail_errno(path);
        return fail(Errc::not_supported, "/proc/net/unix (cannot be read)", errno);
    }
    std::string text;
    std::array<char, 16384> buffer;
    for (;;) {
        const ssize_t length = ::read(file.get(), buffer.data(), buffer.size());
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) return fail_errno("read /proc/net/unix");
        if (length == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(length));
    }
}

}  // namespace

Result<Fd> make_name_socket() noexcept {
    Fd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    if (!socket.valid()) {
        if (no_descriptor_left(errno)) return fail(Errc::limit_reached, "socket", errno);
        return fail(Errc::not_supported, "socket (this process may not have unix sockets)", errno);
    }
    if (::shutdown(socket.get(), SHUT_RD) != 0) return fail_errno("shutdown socket");
    return socket;
}

Result<void> hold_name(const Fd& socket, std::string_view name) noexcept {
    if (!is_name(name)) return fail(Errc::bad_name, "bind");
    const AbstractAddress address{name};
    if (::bind(socket.get(), address.get(), address.length) == 0) return {};
    if (errno == EADDRINUSE) return fail(Errc::exists, "create");
    return fail_errno("bind");
}

Result<bool> is_held(std::string_view name) noexcept {
    if (!is_name(name)) return fail(Errc::bad_name, "connect");
    const Fd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    if (!socket.valid()) {
        if (no_descriptor_left(errno)) return fail(Errc::limit_reached, "socket", errno);
        return false;
    }
    const AbstractAddress address{name};
    // Whatever else it says (another type, no right to talk to it): there is a socket.
    return ::connect(socket.get(), address.get(), address.length) == 0 || errno != ECONNREFUSED;
}

Result<std::vector<HeldName>> held_names(std::string_view prefix) {
    const Result<std::string> text = read_whole("/proc/net/unix");
    if (!text) return std::unexpected(text.error());
    std::vector<HeldName> names;
    for (std::string_view rest = *text; !rest.empty();) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        if (std::optional<HeldName> held = parse_line(rest.substr(0, end), prefix)) {
            names.push_back(std::move(*held));
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return names;
}

}  // namespace stoa::sys
