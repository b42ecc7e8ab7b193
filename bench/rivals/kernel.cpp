// Kernel rivals: pipe, unix sockets, POSIX message queue, and a shared ring with eventfd for a
// bell.
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "bench/limits/spsc_ring.hpp"
#include "bench/rivals/rivals.hpp"

namespace stoa::bench {

namespace {

[[noreturn]] void raise(const char* step) {
    throw std::system_error{errno, std::generic_category(), step};
}

class Fd {
public:
    explicit Fd(int fd = -1) noexcept : fd_{fd} {}
    Fd(Fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() {
        if (fd_ >= 0) close(fd_);
    }
    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_;
};

bool is_first(const Role& role) {
    return role.part == Part::client || role.part == Part::sender;
}

bool sleeping_cases(const Case& c) {
    return c.workload != Workload::many_to_many && (c.is_flow() || c.waiting() != Waiting::spin);
}

// A stream of bytes: every message has the same size, so the size is its frame.
class StreamRaw {
public:
    StreamRaw(int out, int in, std::size_t bytes) : out_{out}, in_{in}, bytes_{bytes} {}
    void put(const std::byte* at, std::size_t bytes) const {
        while (bytes > 0) {
            const ssize_t n = write(out_, at, bytes);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) raise("write");
            at += n;
            bytes -= static_cast<std::size_t>(n);
        }
    }
    std::size_t get(std::byte* at, std::size_t /*capacity*/) const {
        std::size_t done = 0;
        while (done < bytes_) {
            const ssize_t n = read(in_, at + done, bytes_ - done);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) raise("read");
            done += static_cast<std::size_t>(n);
        }
        return done;
    }

private:
    int out_;
    int in_;
    std::size_t bytes_;
};

class Pipe {
public:
    static bool supports(const Case& c) { return sleeping_cases(c); }
    explicit Pipe(const Case& c) : bytes_{c.bytes} {
        for (auto& ends : ends_) {
            int fds[2];
            if (pipe2(fds, O_CLOEXEC) != 0) raise("pipe2");
            ends[0] = Fd{fds[0]};
            ends[1] = Fd{fds[1]};
            // as large as the user may make it; the default of 64 KiB stays when he may not
            static_cast<void>(fcntl(fds[1], F_SETPIPE_SZ, 1 << 20));
        }
    }
    CopyingEnd<StreamRaw> connect(const Role& role) {
        const std::size_t out = is_first(role) ? 0 : 1;
        return {StreamRaw{ends_[out][1].get(), ends_[1 - out][0].get(), bytes_}, bytes_};
    }

private:
    std::size_t bytes_;
    Fd ends_[2][2];  // there and back; read end, write end
};

struct SocketPair {
    Fd ends[2];
    SocketPair(int type, std::size_t bytes) {
        int fds[2];
        if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0) raise("socketpair");
        for (int i = 0; i < 2; ++i) {
            ends[i] = Fd{fds[i]};
            const int size = static_cast<int>(std::max<std::size_t>(bytes * 2, 1U << 20U));
            if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) {
                setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
            }
        }
    }
};

class UnixStream {
public:
    static bool supports(const Case& c) { return sleeping_cases(c); }
    explicit UnixStream(const Case& c) : bytes_{c.bytes}, pair_{SOCK_STREAM, c.bytes} {}
    CopyingEnd<StreamRaw> connect(const Role& role) {
        const int fd = pair_.ends[is_first(role) ? 0 : 1].get();
        return {StreamRaw{fd, fd, bytes_}, bytes_};
    }

private:
    std::size_t bytes_;
    SocketPair pair_;
};

class PacketRaw {
public:
    PacketRaw(int fd, bool polls) : fd_{fd}, flags_{polls ? MSG_DONTWAIT : 0} {}
    void put(const std::byte* at, std::size_t bytes) const {
        while (::send(fd_, at, bytes, 0) < 0) {
            if (errno == EMSGSIZE || errno == ENOBUFS) {
                throw std::runtime_error{"the kernel's limit on socket buffers is too small"};
            }
            if (errno != EINTR) raise("send");
        }
    }
    std::size_t get(std::byte* at, std::size_t capacity) const {
        for (;;) {
            const ssize_t n = recv(fd_, at, capacity, flags_);
            if (n >= 0) return static_cast<std::size_t>(n);
            if (errno != EAGAIN && errno != EINTR) raise("recv");
            cpu_pause();
        }
    }

private:
    int fd_;
    int flags_;
};

// The only one of the kernel's that is also polled: a spinning receiver asks again and again.
class UnixSeqpacket {
public:
    static bool supports(const Case& c) { return c.workload != Workload::many_to_many; }
    explicit UnixSeqpacket(const Case& c)
        : bytes_{c.bytes},
          polls_{c.waiting() == Waiting::spin && !c.is_flow()},
          pair_{SOCK_SEQPACKET, c.bytes} {
        int size = 0;
        socklen_t length = sizeof size;
        getsockopt(pair_.ends[0].get(), SOL_SOCKET, SO_SNDBUF, &size, &length);
        if (static_cast<std::size_t>(size) < c.bytes + c.bytes / 8) {
            throw Unavailable{size_text(c.bytes) + " messages need a larger net.core.wmem_max"};
        }
    }
    CopyingEnd<PacketRaw> connect(const Role& role) {
        return {PacketRaw{pair_.ends[is_first(role) ? 0 : 1].get(), polls_}, bytes_};
    }

private:
    std::size_t bytes_;
    bool polls_;
    SocketPair pair_;
};

class MqRaw {
public:
    MqRaw(mqd_t out, mqd_t in) : out_{out}, in_{in} {}
    void put(const std::byte* at, std::size_t bytes) const {
        while (mq_send(out_, reinterpret_cast<const char*>(at), bytes, 0) != 0) {
            if (errno != EINTR) raise("mq_send");
        }
    }
    std::size_t get(std::byte* at, std::size_t capacity) const {
        for (;;) {
            const ssize_t n = mq_receive(in_, reinterpret_cast<char*>(at), capacity, nullptr);
            if (n >= 0) return static_cast<std::size_t>(n);
            if (errno != EINTR) raise("mq_receive");
        }
    }

private:
    mqd_t out_;
    mqd_t in_;
};

class PosixMq {
public:
    static bool supports(const Case& c) {
        return (c.is_flow() || c.waiting() != Waiting::spin) && c.bytes <= largest("msgsize_max");
    }
    explicit PosixMq(const Case& c) : bytes_{c.bytes}, flow_{c.is_flow()} {
        for (std::size_t i = 0; i < 2; ++i) {
            mq_attr attributes{};
            attributes.mq_maxmsg = static_cast<long>(largest("msg_max"));
            attributes.mq_msgsize = static_cast<long>(c.bytes);
            const std::string name = "/" + c.id + (i == 0 ? "-there" : "-back");
            queues_[i] =
                mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
            if (queues_[i] < 0) throw Unavailable{std::string{"mq_open: "} + std::strerror(errno)};
            mq_unlink(name.c_str());  // the children inherit it
        }
    }
    PosixMq(const PosixMq&) = delete;
    PosixMq& operator=(const PosixMq&) = delete;
    ~PosixMq() {
        for (const mqd_t queue : queues_) {
            if (queue >= 0) mq_close(queue);
        }
    }
    CopyingEnd<MqRaw> connect(const Role& role) {
        const std::size_t out = flow_ || is_first(role) ? 0 : 1;
        return {MqRaw{queues_[out], queues_[flow_ ? 0 : 1 - out]}, bytes_};
    }

private:
    static std::size_t largest(const std::string& name) {
        std::size_t value = 0;
        std::ifstream{"/proc/sys/fs/mqueue/" + name} >> value;
        return value;
    }
    std::size_t bytes_;
    bool flow_;
    mqd_t queues_[2] = {-1, -1};
};

// Shared memory with the kernel's own counter for a bell: a write for each message.
class EventfdEnd {
public:
    EventfdEnd(const RingMemory& out, const RingMemory& in, int ring_out, int ring_in,
               std::size_t bytes)
        : out_{out}, in_{in, bytes}, ring_out_{ring_out}, ring_in_{ring_in} {}
    template <class Fill>
    void send(std::size_t bytes, Fill&& fill) {
        out_.send(bytes, fill);
        const std::uint64_t one = 1;
        if (write(ring_out_, &one, sizeof one) != sizeof one) raise("write to an eventfd");
    }
    template <class Visit>
    void receive(Visit&& visit) {
        while (!in_.try_receive(visit)) {
            std::uint64_t count = 0;
            if (read(ring_in_, &count, sizeof count) < 0 && errno != EINTR)
                raise("read an eventfd");
        }
    }

private:
    RingSender<RingRules{}> out_;
    RingReceiver<RingRules{}> in_;
    int ring_out_;
    int ring_in_;
};

class Eventfd {
public:
    static bool supports(const Case& c) { return !c.is_flow() && c.waiting() != Waiting::spin; }
    explicit Eventfd(const Case& c)
        : bytes_{c.bytes}, there_{c.bytes, c.ring_bytes()}, back_{c.bytes, c.ring_bytes()} {
        for (Fd& bell : bells_) {
            bell = Fd{eventfd(0, EFD_CLOEXEC)};
            if (bell.get() < 0) raise("eventfd");
        }
    }
    EventfdEnd connect(const Role& role) {
        if (is_first(role)) return {there_, back_, bells_[0].get(), bells_[1].get(), bytes_};
        return {back_, there_, bells_[1].get(), bells_[0].get(), bytes_};
    }

private:
    std::size_t bytes_;
    RingMemory there_;
    RingMemory back_;
    Fd bells_[2];
};

}  // namespace

void add_kernel_rivals(Subjects& subjects) {
    subjects.list.push_back(subject_of<Pipe>("pipe", Kind::rival));
    subjects.list.push_back(subject_of<UnixStream>("unix_stream", Kind::rival));
    subjects.list.push_back(subject_of<UnixSeqpacket>("unix_seqpacket", Kind::rival));
    subjects.list.push_back(subject_of<PosixMq>("posix_mq", Kind::rival));
    subjects.list.push_back(subject_of<Eventfd>("eventfd", Kind::rival));
}

}  // namespace stoa::bench
