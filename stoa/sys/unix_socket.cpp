#include "stoa/sys/unix_socket.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "stoa/sys/abstract_name.hpp"

namespace stoa::sys {
namespace {

constexpr int kFlags = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;

Result<Fd> make_socket() noexcept {
    Fd socket{::socket(AF_UNIX, kFlags, 0)};
    if (socket.valid()) return socket;
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        return fail_errno("socket");
    }
    return fail(Errc::not_supported, "socket (this process may not have unix sockets)", errno);
}

bool good_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= kMaxAbstractName;
}

constexpr std::size_t kControlBytes = CMSG_SPACE(kMaxPacketFds * sizeof(int));

}  // namespace

Result<Fd> listen_at(std::string_view name) noexcept {
    if (!good_name(name)) return fail(Errc::bad_name, "listen");
    Result<Fd> socket = make_socket();
    if (!socket) return socket;
    const AbstractAddress address{name};
    if (::bind(socket->get(), address.get(), address.length) != 0) {
        if (errno == EADDRINUSE) return fail(Errc::exists, "bind", errno);
        return fail_errno("bind");
    }
    if (::listen(socket->get(), SOMAXCONN) != 0) return fail_errno("listen");
    return socket;
}

Result<Fd> connect_to(std::string_view name) noexcept {
    if (!good_name(name)) return fail(Errc::bad_name, "connect");
    Result<Fd> socket = make_socket();
    if (!socket) return socket;
    const AbstractAddress address{name};
    while (::connect(socket->get(), address.get(), address.length) != 0) {
        if (errno == EINTR) continue;
        if (errno == ECONNREFUSED) return fail(Errc::not_found, "connect", errno);
        if (errno == EAGAIN) return fail(Errc::full, "connect", errno);
        return fail_errno("connect");
    }
    return socket;
}

Result<Fd> accept_one(const Fd& listener) noexcept {
    for (;;) {
        Fd socket{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
        if (socket.valid()) return socket;
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno == EAGAIN) return fail(Errc::empty, "accept", errno);
        return fail_errno("accept");
    }
}

Result<Credentials> peer_credentials(const Fd& socket) noexcept {
    ucred told{};
    socklen_t length = sizeof told;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &told, &length) != 0) {
        return fail_errno("getsockopt SO_PEERCRED");
    }
    return Credentials{.pid = static_cast<std::uint32_t>(told.pid),
                       .uid = static_cast<std::uint32_t>(told.uid),
                       .gid = static_cast<std::uint32_t>(told.gid)};
}

bool hung_up(const Fd& socket) noexcept {
    pollfd what{.fd = socket.get(), .events = 0, .revents = 0};
    return ::poll(&what, 1, 0) == 1 && (what.revents & POLLHUP) != 0;
}

Result<void> send_packet(const Fd& socket, std::span<const std::byte> bytes,
                         std::span<const int> fds) noexcept {
    if (fds.size() > kMaxPacketFds)
        return fail(Errc::bad_argument, "send (at most 64 descriptors)");
    iovec part{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
    alignas(cmsghdr) std::array<std::byte, kControlBytes> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    while (::sendmsg(socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS) {
            return fail(Errc::full, "sendmsg", errno);
        }
        if (errno == EPIPE || errno == ECONNRESET) return fail(Errc::peer_died, "sendmsg", errno);
        if (errno == EBADF) return fail(Errc::bad_argument, "send (no open descriptor)", errno);
        return fail_errno("sendmsg");
    }
    return {};
}

void wait_for_room(const Fd& socket, std::chrono::nanoseconds longest) noexcept {
    pollfd what{.fd = socket.get(), .events = POLLOUT, .revents = 0};
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(longest);
    const timespec limit{.tv_sec = seconds.count(), .tv_nsec = (longest - seconds).count()};
    static_cast<void>(::ppoll(&what, 1, &limit, nullptr));
}

Result<std::size_t> receive_packet(const Fd& socket, std::span<std::byte> room,
                                   std::vector<Fd>& fds) {
    iovec part{.iov_base = room.data(), .iov_len = room.size()};
    alignas(cmsghdr) std::array<std::byte, kControlBytes> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t length = 0;
    while ((length = ::recvmsg(socket.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN) return fail(Errc::empty, "recvmsg", errno);
        if (errno == ECONNRESET) return fail(Errc::end_of_stream, "recvmsg", errno);
        return fail_errno("recvmsg");
    }
    for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(at) + i * sizeof(int), sizeof number);
            fds.emplace_back(number);
        }
    }
    if (length == 0) return fail(Errc::end_of_stream, "recvmsg");
    return static_cast<std::size_t>(length);
}

}  // namespace stoa::sys
