// Names that vanish with the processes that hold them: abstract addresses of sockets that nobody
// ever talks to.
//
// Start here: hold_name(); is_held(), held_names().
// Threads:    safe; nothing is kept between calls.
// Processes:  one holder for each name in a network namespace; every process there sees them all
//             and may hold any: they carry no rights.
// Death:      at any instruction: the kernel takes the name back with the last descriptor.
// Blocking:   never. held_names() reads the list of all unix sockets of the namespace.
// Lifetime:   a name is held as long as its socket is open.
// Units:      names of 1 to 107 bytes without zeroes and spaces.
// Source:     unix(7), abstract addresses; proc(5), net/unix.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"

namespace stoa::sys {

inline constexpr std::size_t kMaxAbstractName = 107;

// For calls that take an address; `name` has at most kMaxAbstractName bytes. unix(7).
struct AbstractAddress {
    sockaddr_un bytes{};
    socklen_t length = 0;

    explicit AbstractAddress(std::string_view name) noexcept {
        bytes.sun_family = AF_UNIX;
        std::memcpy(bytes.sun_path + 1, name.data(), name.size());  // behind a zero byte: abstract
        length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    }
    [[nodiscard]] const sockaddr* get() const noexcept {
        return reinterpret_cast<const sockaddr*>(&bytes);
    }
};

// A socket that can hold one name and receives nothing.
// Errors: not_supported: this process may not have unix sockets; limit_reached
[[nodiscard]] Result<Fd> make_name_socket() noexcept;

// Errors: exists: somebody holds it; bad_name: too long
[[nodiscard]] Result<void> hold_name(const Fd& socket, std::string_view name) noexcept;

// Whether somebody holds it now. Where this process may not have sockets nobody can tell: false.
// Errors: limit_reached
[[nodiscard]] Result<bool> is_held(std::string_view name) noexcept;

struct HeldName {
    std::string name;
    std::uint64_t inode = 0;  // of its socket
};
// All names that begin so. A holder that comes or goes meanwhile may hide another one: who misses a
// name that is_held() looks again. Allocates.
// Errors: not_supported: /proc is not mounted; limit_reached
[[nodiscard]] Result<std::vector<HeldName>> held_names(std::string_view prefix);

}  // namespace stoa::sys
