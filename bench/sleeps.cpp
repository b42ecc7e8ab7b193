// Question: what does it cost one process to sleep until any of many things happens in shared
// memory, and another to wake it: with futex, futex_waitv, io_uring's futex, epoll and an eventfd,
// epoll and a pipe? And the first ring: an eventfd that the set passes over a socket, against a
// pipe that the ringer opens through /proc?
// Not measured: spinning, several sleepers. Both sides sleep, so a round trip is two wake-ups;
// "cpu" is the time of both processes for one wake-up. "128 words": one sleep watches so many, the
// last of which changes.
// Expect: epoll costs a system call or two more for each wake-up than a futex; 128 words cost
// futex_waitv more than everything else, for it puts all of them into the kernel's table anew.
//     build/release/bench/stoa-bench-sleeps [SECONDS]
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "bench/kit/placement.hpp"

namespace {

using namespace std::chrono;
using Word = std::atomic<std::uint32_t>;

constexpr int kWords = 128;
constexpr std::uint8_t kFutexWaitOp = 51;   // IORING_OP_FUTEX_WAIT, Linux 6.7
constexpr std::uint32_t kFutex2Size32 = 2;  // FUTEX2_SIZE_U32

struct alignas(64) Line {
    Word word;
};

struct Shared {
    Line words[2][kWords];  // of each side; the last one is rung
    Line last;              // turn; 0: not yet
    std::uint64_t cpu_ns[2];
    std::uint64_t p50_ns;
    std::uint64_t p99_ns;
    std::uint64_t trips;
};

long checked(long result, const char* step) {
    if (result < 0) throw std::system_error{errno, std::generic_category(), step};
    return result;
}

// How one side sleeps on its words, and how the other rings the last of them.
class Way {
public:
    Way() = default;
    Way(const Way&) = delete;
    Way& operator=(const Way&) = delete;
    virtual ~Way() = default;
    virtual void connect(int /*side*/, Line* /*mine*/) {}
    virtual void sleep(int side, Line* mine, std::uint32_t seen) = 0;
    virtual void wake(int side, Line* theirs) = 0;
};

class Futex : public Way {
public:
    void sleep(int /*side*/, Line* mine, std::uint32_t seen) override {
        ::syscall(SYS_futex, &mine[kWords - 1].word, FUTEX_WAIT, seen, nullptr, nullptr, 0);
    }
    void wake(int /*side*/, Line* theirs) override {
        ::syscall(SYS_futex, &theirs[kWords - 1].word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    }
};

class FutexWaitv final : public Futex {
public:
    explicit FutexWaitv(int count) : count_{count} {}
    void sleep(int /*side*/, Line* mine, std::uint32_t seen) override {
        futex_waitv waits[kWords]{};
        for (int i = 0; i < count_; ++i) {
            Word& word = mine[kWords - count_ + i].word;
            waits[i].uaddr = reinterpret_cast<std::uintptr_t>(&word);
            waits[i].val = i == count_ - 1 ? seen : 0;
            waits[i].flags = kFutex2Size32;
        }
        ::syscall(SYS_futex_waitv, waits, count_, 0, nullptr, CLOCK_MONOTONIC);
    }

private:
    int count_;
};

// One wait for each word stays in the ring; what completed is put in again.
class Uring final : public Futex {
public:
    explicit Uring(int count) : count_{count} {}
    void connect(int /*side*/, Line* mine) override {
        io_uring_params params{};
        ring_ = static_cast<int>(checked(::syscall(SYS_io_uring_setup, 256, &params), "io_uring"));
        const auto map = [&](std::size_t bytes, std::uint64_t offset) {
            void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring_,
                                    static_cast<off_t>(offset));
            if (at == MAP_FAILED) throw std::system_error{errno, std::generic_category(), "mmap"};
            return static_cast<std::byte*>(at);
        };
        const auto& in = params.sq_off;
        const auto& out = params.cq_off;
        std::byte* const sq = map(in.array + params.sq_entries * 4, IORING_OFF_SQ_RING);
        std::byte* const cq =
            map(out.cqes + params.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
        entries_ = reinterpret_cast<io_uring_sqe*>(
            map(params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
        tail_ = reinterpret_cast<Word*>(sq + in.tail);
        order_ = reinterpret_cast<std::uint32_t*>(sq + in.array);
        mask_ = params.sq_entries - 1;
        done_head_ = reinterpret_cast<Word*>(cq + out.head);
        done_tail_ = reinterpret_cast<Word*>(cq + out.tail);
        for (int i = 0; i < count_ - 1; ++i) put(mine[i].word, 0);
        enter(0);
        if (done_head_->load() != done_tail_->load()) {
            errno = EINVAL;  // the kernel does not know the operation
            checked(-1, "futex in io_uring");
        }
    }
    void sleep(int /*side*/, Line* mine, std::uint32_t seen) override {
        put(mine[kWords - 1].word, seen);
        enter(1);
        done_head_->store(done_tail_->load(std::memory_order_acquire), std::memory_order_release);
    }

private:
    void put(Word& word, std::uint32_t expected) {
        const std::uint32_t tail = tail_->load(std::memory_order_relaxed);
        io_uring_sqe& entry = entries_[tail & mask_];
        entry = {};
        entry.opcode = kFutexWaitOp;
        entry.fd = kFutex2Size32;
        entry.addr = reinterpret_cast<std::uintptr_t>(&word);
        entry.off = expected;       // addr2
        entry.addr3 = 0xffffffffU;  // any bit
        order_[tail & mask_] = tail & mask_;
        tail_->store(tail + 1, std::memory_order_release);
        ++unsent_;
    }
    void enter(unsigned wanted) {
        const unsigned flags = wanted > 0 ? IORING_ENTER_GETEVENTS : 0;
        checked(::syscall(SYS_io_uring_enter, ring_, unsent_, wanted, flags, nullptr, 0), "enter");
        unsent_ = 0;
    }

    int count_;
    int ring_ = -1;
    unsigned unsent_ = 0;
    unsigned mask_ = 0;
    io_uring_sqe* entries_ = nullptr;
    Word* tail_ = nullptr;
    std::uint32_t* order_ = nullptr;
    Word* done_head_ = nullptr;
    Word* done_tail_ = nullptr;
};

// The set as it is: the memory says what happened, a descriptor in an epoll only that it did.
class Epoll final : public Way {
public:
    explicit Epoll(bool pipes) : pipes_{pipes} {
        for (auto& ends : fds_) {
            if (pipes) {
                checked(::pipe2(ends, O_NONBLOCK | O_CLOEXEC), "pipe2");
            } else {
                ends[0] = static_cast<int>(checked(::eventfd(0, EFD_NONBLOCK), "eventfd"));
                ends[1] = ends[0];
            }
        }
    }
    ~Epoll() override {
        for (const auto& ends : fds_) {
            ::close(ends[0]);
            if (pipes_) ::close(ends[1]);
        }
    }
    void connect(int side, Line* /*mine*/) override {
        epoll_ = static_cast<int>(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
        epoll_event event{.events = EPOLLIN, .data = {}};
        checked(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fds_[side][0], &event), "epoll_ctl");
    }
    void sleep(int side, Line* /*mine*/, std::uint32_t /*seen*/) override {
        epoll_event event;
        ::epoll_wait(epoll_, &event, 1, -1);
        char drained[16];
        static_cast<void>(!::read(fds_[side][0], drained, pipes_ ? sizeof drained : 8));
    }
    void wake(int side, Line* /*theirs*/) override {
        const std::uint64_t one = 1;
        static_cast<void>(!::write(fds_[1 - side][1], &one, pipes_ ? 1 : 8));
    }

private:
    bool pipes_;
    int fds_[2][2]{};
    int epoll_ = -1;
};

std::uint64_t cpu_now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(now.tv_nsec);
}

// Side 0 rings and waits for the answer, side 1 answers. Words count up: nothing is lost by a wake
// that comes before the sleep.
void play(Way& way, Shared& shared, int side, duration<double> time) {
    Word& mine = shared.words[side][kWords - 1].word;
    Word& theirs = shared.words[1 - side][kWords - 1].word;
    way.connect(side, shared.words[side]);
    std::vector<std::uint64_t> trips;
    trips.reserve(1U << 20U);
    const auto end = steady_clock::now() + time;
    const std::uint64_t cpu = cpu_now_ns();
    for (std::uint32_t turn = 1;; ++turn) {
        const auto begin = steady_clock::now();
        if (side == 0) {
            if (begin >= end) shared.last.word.store(turn);
            theirs.store(turn);
            way.wake(side, shared.words[1]);
        }
        while (mine.load() != turn) way.sleep(side, shared.words[side], turn - 1);
        if (side == 1) {
            theirs.store(turn);
            way.wake(side, shared.words[0]);
        } else if (turn > 100) {
            trips.push_back(static_cast<std::uint64_t>((steady_clock::now() - begin).count()));
        }
        if (shared.last.word.load() == turn) break;
    }
    shared.cpu_ns[side] = cpu_now_ns() - cpu;
    if (side == 1 || trips.empty()) return;
    std::ranges::sort(trips);
    shared.trips = trips.size() + 100;
    shared.p50_ns = trips[trips.size() / 2];
    shared.p99_ns = trips[trips.size() * 99 / 100];
}

bool run_side(Way& way, Shared& shared, int side, int cpu, double seconds) {
    stoa::bench::pin_to(cpu);
    try {
        play(way, shared, side, duration<double>{seconds});
        return true;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "    %s\n", error.what());
        return false;
    }
}

// Prints one row: of a wake-up, half a round trip.
void measure(const char* name, Way& way, double seconds, const std::vector<int>& cpus) {
    void* const at =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    Shared& shared = *new (at) Shared{};
    pid_t sides[2];
    for (int side = 0; side < 2; ++side) {
        sides[side] = ::fork();
        if (sides[side] != 0) continue;
        const int cpu = cpus[static_cast<std::size_t>(side) % cpus.size()];
        ::_exit(run_side(way, shared, side, cpu, seconds) ? 0 : 1);
    }
    bool is_good = true;
    for (int i = 0; i < 2; ++i) {
        int status = 0;
        const pid_t ended = ::wait(&status);
        if (status == 0) continue;
        is_good = false;
        ::kill(sides[ended == sides[0] ? 1 : 0], SIGKILL);  // it would wait for ever
    }
    if (is_good && shared.trips > 0) {
        const double wakes = 2.0 * static_cast<double>(shared.trips);
        std::printf("%-28s p50 %6.2f us  p99 %7.2f us  cpu %6.2f us\n", name,
                    static_cast<double>(shared.p50_ns) / 2000,
                    static_cast<double>(shared.p99_ns) / 2000,
                    static_cast<double>(shared.cpu_ns[0] + shared.cpu_ns[1]) / wakes / 1000);
    } else {
        std::printf("%-28s not here\n", name);
    }
    std::fflush(stdout);
    ::munmap(at, sizeof(Shared));
}

template <typename Once>
void time_once(const char* name, Once&& once) {
    std::vector<std::uint64_t> times;
    for (int i = 0; i < 2000; ++i) {
        const auto begin = steady_clock::now();
        once();
        times.push_back(static_cast<std::uint64_t>((steady_clock::now() - begin).count()));
    }
    std::ranges::sort(times);
    std::printf("%-28s p50 %6.2f us  p99 %7.2f us\n", name,
                static_cast<double>(times[times.size() / 2]) / 1000,
                static_cast<double>(times[times.size() * 99 / 100]) / 1000);
}

// Both ends of the socket are this process, so no wake-up of the set is in the figure.
void pass_eventfd(int listener, const sockaddr* address, socklen_t length) {
    const int out = static_cast<int>(checked(::socket(AF_UNIX, SOCK_STREAM, 0), "socket"));
    checked(::connect(out, address, length), "connect");
    const int event = static_cast<int>(checked(::eventfd(0, EFD_NONBLOCK), "eventfd"));
    char byte = 1;
    iovec part{&byte, 1};
    alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))]{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = space;
    message.msg_controllen = sizeof space;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    *reinterpret_cast<int*>(CMSG_DATA(header)) = event;
    checked(::sendmsg(out, &message, 0), "sendmsg");
    const int in = static_cast<int>(checked(::accept(listener, nullptr, nullptr), "accept"));
    checked(::recvmsg(in, &message, 0), "recvmsg");
    const int passed = *reinterpret_cast<int*>(CMSG_DATA(CMSG_FIRSTHDR(&message)));
    for (const int fd : {out, in, event, passed}) ::close(fd);
}

void measure_first_rings() {
    int ends[2];
    checked(::pipe2(ends, O_NONBLOCK | O_CLOEXEC), "pipe2");
    const std::string path =
        "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(ends[1]);
    time_once("first ring: open in /proc", [&] {
        const int opened = ::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
        ::close(static_cast<int>(checked(opened, "open")));
    });
    struct {
        sa_family_t family = AF_UNIX;
        char name[16] = "";  // abstract, chosen by the kernel
    } address;
    const int listener = static_cast<int>(checked(::socket(AF_UNIX, SOCK_STREAM, 0), "socket"));
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    checked(::bind(listener, raw, sizeof address.family), "bind");
    socklen_t length = sizeof address;
    checked(::getsockname(listener, raw, &length), "getsockname");
    checked(::listen(listener, 4), "listen");
    time_once("first ring: pass an eventfd", [&] { pass_eventfd(listener, raw, length); });
    for (const int fd : {listener, ends[0], ends[1]}) ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
    const double seconds = argc > 1 ? std::atof(argv[1]) : 0.3;
    const stoa::bench::Machine machine = stoa::bench::this_machine();
    std::printf("%s\n", stoa::bench::describe(machine).c_str());
    for (int round = 0; round < 3; ++round) {
        std::printf("round %d\n", round + 1);
        Futex futex;
        FutexWaitv two{2};
        FutexWaitv many{kWords};
        Uring uring_one{1};
        Uring uring_many{kWords};
        Epoll eventfd{false};
        Epoll pipe{true};
        measure("futex", futex, seconds, machine.cpus);
        measure("futex_waitv, 2 words", two, seconds, machine.cpus);
        measure("futex_waitv, 128 words", many, seconds, machine.cpus);
        measure("io_uring futex, 1 word", uring_one, seconds, machine.cpus);
        measure("io_uring futex, 128 words", uring_many, seconds, machine.cpus);
        measure("epoll and eventfd", eventfd, seconds, machine.cpus);
        measure("epoll and pipe", pipe, seconds, machine.cpus);
    }
    measure_first_rings();
    return 0;
}
