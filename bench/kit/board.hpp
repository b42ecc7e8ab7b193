// The shared control block of one measurement: the parent gives the start and the end, each process
// writes what it did. Nobody polls a line here that a hot loop writes.
#pragma once

#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <new>
#include <utility>

#include "bench/kit/histogram.hpp"
#include "stoa/base/atomic.hpp"

namespace stoa::bench {

inline constexpr unsigned kMaxRoles = 10;
inline constexpr std::size_t kTwoLines = 2 * kCacheLine;  // a core prefetches lines in pairs

// What a process is at, for the watchdog.
enum class Doing : std::uint32_t {
    starts,
    awaits_start,
    works,             // sends, receives, or both in turn: a call of the subject
    has_left,          // its loop; its endpoint stays open until `closed`
    awaits_senders,    // end_flow: until the other senders have left their loops
    awaits_arrival,    // end_flow: until all that was sent was received
    awaits_receivers,  // end_flow: until the receivers have left theirs
};

// What one process says; only it writes here, but for `stop`, which the client of a pair writes
// on the server's board.
struct alignas(kTwoLines) RoleBoard {
    Atomic<std::uint32_t> ready{0};
    Atomic<std::uint32_t> left{0};      // out of its loop; its endpoint stays open until `closed`
    Atomic<std::uint64_t> messages{0};  // senders: sent in all, once they left; else so far
    Atomic<Doing> doing{Doing::starts};
    std::uint64_t sum = 0;       // of the payloads: sent, or received
    std::uint64_t wrong = 0;     // messages whose payload was not what was sent
    std::uint64_t measured = 0;  // messages or round trips inside the measured time
    std::uint64_t measured_ticks = 0;
    std::uint64_t waited_ns = 0;  // ready to run, while others had its cpu
    alignas(kTwoLines) Atomic<std::uint32_t> stop{0};
    std::array<char, 200> error{};
    Histogram latency{};  // round trips, in ticks
};

struct Board {
    alignas(kTwoLines) Atomic<std::uint32_t> go{0};
    std::uint64_t from = 0;                              // ticks: measured from here,
    std::uint64_t until = 0;                             // to here; written before `go`
    alignas(kTwoLines) Atomic<std::uint32_t> ended{0};   // all real messages have arrived
    alignas(kTwoLines) Atomic<std::uint32_t> closed{0};  // all receivers have left
    std::array<RoleBoard, kMaxRoles> roles{};
};

// Memory that children of a fork share with their parent.
class SharedMemory {
public:
    explicit SharedMemory(std::size_t bytes)
        : at_{mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0)},
          bytes_{bytes} {
        if (at_ == MAP_FAILED) throw std::bad_alloc{};
    }
    SharedMemory(SharedMemory&& other) noexcept
        : at_{std::exchange(other.at_, MAP_FAILED)}, bytes_{other.bytes_} {}
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    SharedMemory& operator=(SharedMemory&&) = delete;
    ~SharedMemory() {
        if (at_ != MAP_FAILED) munmap(at_, bytes_);
    }

    [[nodiscard]] std::byte* data() const noexcept { return static_cast<std::byte*>(at_); }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_; }

private:
    void* at_;
    std::size_t bytes_;
};

// One T in shared memory.
template <typename T>
class Shared {
public:
    template <typename... Args>
    explicit Shared(Args&&... args)
        : memory_{sizeof(T)}, object_{new(memory_.data()) T(std::forward<Args>(args)...)} {}
    [[nodiscard]] T* operator->() const noexcept { return object_; }
    [[nodiscard]] T& operator*() const noexcept { return *object_; }

private:
    SharedMemory memory_;
    T* object_;  // never destroyed: T is trivial to destroy or lives as long as the mapping
};

}  // namespace stoa::bench
