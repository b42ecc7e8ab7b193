// Unix sockets that carry packets, descriptors and the kernel's word on who is at the other end.
//
// Start here: listen_at(), connect_to(), accept_one(); send_packet(), receive_packet().
// Threads:    safe; nothing is kept between calls.
// Processes:  of one network namespace; any process there may connect.
// Death:      the kernel closes a dead process's sockets and frees its address.
// Blocking:   never: what would wait says full or empty; wait_for_room() as long as it is told.
// Lifetime:   an Fd returned here belongs to the caller.
// Units:      bytes.
// Source:     unix(7): abstract addresses, SO_PEERCRED, SCM_RIGHTS.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"

namespace stoa::sys {

// As the kernel noted them when the connection was made; of another pid namespace the pid is 0.
struct Credentials {
    std::uint32_t pid = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};

inline constexpr std::size_t kMaxPacketFds = 64;

// An abstract address. Errors: exists; bad_name: too long; not_supported: this process may not
// have unix sockets; limit_reached
[[nodiscard]] Result<Fd> listen_at(std::string_view name) noexcept;
// Errors: not_found: nobody listens there; full: it accepts nobody, and enough wait; limit_reached
[[nodiscard]] Result<Fd> connect_to(std::string_view name) noexcept;
// Errors: empty: nobody waits; limit_reached
[[nodiscard]] Result<Fd> accept_one(const Fd& listener) noexcept;
[[nodiscard]] Result<Credentials> peer_credentials(const Fd& socket) noexcept;

// Whether the other end closed; what it sent may still be there.
[[nodiscard]] bool hung_up(const Fd& socket) noexcept;

// One packet with at most kMaxPacketFds descriptors. Errors: full: the other end does not read;
// peer_died: it closed; bad_argument: a descriptor is none
[[nodiscard]] Result<void> send_packet(const Fd& socket, std::span<const std::byte> bytes,
                                       std::span<const int> fds = {}) noexcept;
// Until send_packet() is worth another try, at most so long.
void wait_for_room(const Fd& socket, std::chrono::nanoseconds longest) noexcept;
// Its length; what does not fit into `room` is lost. Descriptors are put behind those in `fds`.
// Errors: empty; end_of_stream: the other end closed
[[nodiscard]] Result<std::size_t> receive_packet(const Fd& socket, std::span<std::byte> room,
                                                 std::vector<Fd>& fds);

}  // namespace stoa::sys
