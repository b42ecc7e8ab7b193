// Limit `epoll_eventfd`: a value in shared memory, and an eventfd in an epoll that says so. What a
// program that owns both processes would write.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>

#include "bench/limits/limits.hpp"
#include "stoa/sys/fd.hpp"

namespace stoa::bench {
namespace {

constexpr std::size_t kBytes = 8;

struct Slots {
    std::byte there[kCacheLine];
    std::byte back[kCacheLine];
};

class EpollEnd {
public:
    EpollEnd(std::byte* out, const std::byte* in, int rings, int rung)
        : out_{out}, in_{in}, rings_{rings}, rung_{rung}, epoll_{::epoll_create1(EPOLL_CLOEXEC)} {
        epoll_event event{.events = EPOLLIN, .data = {}};
        if (!epoll_.valid() || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, rung_, &event) != 0) {
            throw Unavailable{"epoll"};
        }
    }
    template <class Fill>
    void send(std::size_t /*bytes*/, Fill&& fill) {
        fill(out_);
        const std::uint64_t one = 1;
        static_cast<void>(!::write(rings_, &one, sizeof one));
    }
    template <class Visit>
    void receive(Visit&& visit) {
        for (;;) {
            epoll_event event;
            if (::epoll_wait(epoll_.get(), &event, 1, -1) != 1) continue;
            std::uint64_t count = 0;
            if (::read(rung_, &count, sizeof count) == sizeof count) break;
        }
        visit(in_, kBytes);
    }

private:
    std::byte* out_;
    const std::byte* in_;
    int rings_;
    int rung_;
    sys::Fd epoll_;
};

class EpollEventfd {
public:
    static bool supports(const Case& c) {
        return c.workload == Workload::waiting && c.mode == Mode::park && c.bytes == kBytes;
    }
    explicit EpollEventfd(const Case& /*c*/)
        : there_{::eventfd(0, EFD_NONBLOCK)}, back_{::eventfd(0, EFD_NONBLOCK)} {
        if (!there_.valid() || !back_.valid()) throw Unavailable{"eventfd"};
    }
    EpollEnd connect(const Role& role) {
        auto& slots = *reinterpret_cast<Slots*>(memory_.data());
        if (role.part == Part::client) {
            return {slots.there, slots.back, there_.get(), back_.get()};
        }
        return {slots.back, slots.there, back_.get(), there_.get()};
    }

private:
    SharedMemory memory_{sizeof(Slots)};
    sys::Fd there_;
    sys::Fd back_;
};

}  // namespace

void add_epoll_limit(Subjects& subjects) {
    subjects.list.push_back(subject_of<EpollEventfd>("epoll_eventfd", Kind::limit));
}

}  // namespace stoa::bench
