// What is measured: a workload, a mode, a message size; and the parts that processes play in it.
//
// Start here: Case; workloads.hpp lists the cases that exist.
// Threads:    values; safe everywhere.
// Processes:  a Case is made before the fork and is the same in all processes.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   value.
// Units:      bytes of payload per message.
// Source:     none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace stoa::bench {

enum class Workload : std::uint8_t {
    round_trip,
    one_way,
    many_to_many,
    broadcast,
    waiting,
    loan,
    policies,   // what a policy costs on the pool ring, two processes
    answered,   // each send waits until the other side has the message
    mailboxes,  // many small named ones are created, and opened by another process
    heap,       // blocks of mixed sizes are allocated and freed
    newest,     // the newest value of one writer
    attach,     // to a region that is there
    locks,      // locked and unlocked over and over
};

enum class Mode : std::uint8_t {
    spin,          // a waiter never sleeps
    adaptive,      // a waiter spins a little, then sleeps: what a user gets who chooses nothing
    park,          // a waiter sleeps at once
    single,        // every message is published by itself; a lock of one process alone
    batch,         // messages are published kBatch at a time
    four_pairs,    // adaptive, four pairs on two cpus
    beside_busy,   // adaptive, one pair on two cpus that also run a busy loop each
    reads,         // of a value that nobody writes
    writes,        // that nobody reads
    reads_beside,  // while another process writes one each microsecond
    one_core,      // adaptive, both processes on one cpu
};

enum class Waiting : std::uint8_t { spin, adaptive, park };

inline constexpr std::size_t kBatch = 64;

// What does well for a size on the machines that were tried; small rings stay in the caches.
[[nodiscard]] constexpr std::size_t ring_bytes_for(std::size_t bytes, bool is_flow) noexcept {
    constexpr std::size_t kib = 1024;
    if (bytes <= 8) return 256 * kib;
    if (bytes < 64 * kib) return 1024 * kib;
    return bytes >= 1024 * kib && is_flow ? 8192 * kib : 4096 * kib;
}

struct Case {
    Workload workload{};
    Mode mode{};
    std::size_t bytes = 8;
    bool verify = false;  // look at every message by itself: for tests, slower
    std::string id{};     // unique on this machine: for subjects that need a name

    [[nodiscard]] bool is_flow() const noexcept {
        return workload == Workload::one_way || is_crowded() || workload == Workload::answered ||
               (workload == Workload::policies && mode == Mode::single);
    }
    [[nodiscard]] bool shows_policy() const noexcept {
        return workload == Workload::policies || workload == Workload::answered;
    }
    // Four processes on two cpus: who only spins there keeps its peer from running.
    [[nodiscard]] bool is_crowded() const noexcept {
        return workload == Workload::many_to_many || workload == Workload::broadcast;
    }
    // A flow measures the channel, not the waiting: its ends spin when they can.
    [[nodiscard]] Waiting waiting() const noexcept {
        if (is_crowded()) return Waiting::adaptive;
        if (is_flow() || mode == Mode::spin) return Waiting::spin;
        return mode == Mode::park ? Waiting::park : Waiting::adaptive;
    }
    [[nodiscard]] unsigned pairs() const noexcept { return mode == Mode::four_pairs ? 4 : 1; }
    [[nodiscard]] unsigned senders() const noexcept {
        return workload == Workload::many_to_many ? 2 : 1;
    }
    [[nodiscard]] unsigned receivers() const noexcept {
        return workload == Workload::broadcast ? 3 : senders();
    }
    // How often each message arrives.
    [[nodiscard]] unsigned copies() const noexcept {
        return workload == Workload::broadcast ? receivers() : 1;
    }
    [[nodiscard]] std::size_t batch() const noexcept { return mode == Mode::batch ? kBatch : 1; }
    // A pair goes there and back; a loan is handed over with nobody touching its payload.
    [[nodiscard]] bool touches() const noexcept { return workload != Workload::loan || verify; }
    // The memory a channel gets for messages in flight, the same for every subject that can choose.
    [[nodiscard]] std::size_t ring_bytes() const noexcept {
        return ring_bytes_for(bytes, is_flow());
    }
};

// A pair has a client and a server, a flow has senders and receivers; a busy loop takes part in
// nothing. `index` counts among the same part (clients and servers: the number of the pair).
enum class Part : std::uint8_t { client, server, sender, receiver, busy };

struct Role {
    Part part{};
    unsigned index = 0;
    unsigned board = 0;  // its place on the board
    int cpu = -1;
};

[[nodiscard]] std::string_view name(Workload workload) noexcept;
[[nodiscard]] std::string_view name(Mode mode) noexcept;
[[nodiscard]] std::string_view name(Part part) noexcept;
[[nodiscard]] std::string describe(const Case& c);  // "round_trip spin 64 B"
[[nodiscard]] std::string size_text(std::size_t bytes);

}  // namespace stoa::bench
