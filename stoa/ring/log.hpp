// Log: one writer, many subscribers, each of whom gets each record of variable size in order.
//
// Start here: create_log() once, then LogWriter::attach, LogSeats::claim, LogReader::subscribe.
// Threads:    each side serves one thread at a time; LogSeats any number.
// Processes:  the sides may be in different processes, mapped at different addresses.
// Death:      the writer's leaves nothing to repair, its heir attaches. A subscriber's cursor goes
//             on holding the writer until a sweeper that has proven the death drops it.
//             create_log: nothing until the caller publishes the memory.
// Blocking:   never; no system calls. To wait, use stoa/channel/log_engine.hpp.
// Lifetime:   the sides borrow the mapping, which must outlive them, and free nothing.
// Units:      bytes.
// Source:     see log_writer.hpp and log_reader.hpp; the bytes are in log_layout.hpp.
//
// A `reliable` subscriber reads in place and holds the writer back; a `latest` one copies, holds
// nobody back, finds out when the writer overtook it, and is told how many messages it missed.
// The writer asks the cursors only when what it was granted is used up: in strides of the ring and
// of the bound.
#pragma once

#include <array>

#include "stoa/ring/log_layout.hpp"
#include "stoa/ring/log_reader.hpp"
#include "stoa/ring/log_writer.hpp"

namespace stoa {

// Writes an empty log into memory of at least geometry.bytes_needed(), aligned to a page.
// Errors: bad_argument  sizes out of range, or the ring cannot hold the largest record
//         wrong_size    the memory is too small or not aligned
[[nodiscard]] Result<void> create_log(std::span<std::byte> memory,
                                      const LogGeometry& geometry) noexcept;

// busy: another one holds it, or there is no such cursor. ours: it was this holder's before, by an
// enrolment or an earlier claim.
enum class LogClaim : std::uint8_t { busy, claimed, ours };

// Who holds which cursor. A holder is named by a word that the layer above makes: index + 1 |
// incarnation << 32, never twice for two lives. Any number of threads and processes at once.
class LogSeats {
public:
    // Errors: bad_layout, wrong_version
    [[nodiscard]] static Result<LogSeats> open(std::span<std::byte> memory) noexcept;

    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
    [[nodiscard]] std::uint64_t holder(std::uint32_t index) const noexcept;
    // Makes `holder` the holder of a free cursor.
    [[nodiscard]] LogClaim claim(std::uint32_t index, std::uint64_t holder) noexcept;
    // Claims and subscribes for somebody else, before the first record of a log: so that a new
    // sender's first messages wait for those who subscribed to its mailbox before. The holder finds
    // the cursor `ours` and takes over with LogReader::resume. False: another one holds it, or the
    // holder was dropped meanwhile.
    [[nodiscard]] bool enroll(std::uint32_t index, std::uint64_t holder, LogMode mode) noexcept;
    // Gives the cursor up; it must be unsubscribed.
    void give_up(std::uint32_t index, std::uint64_t holder) noexcept;
    // Ends the subscription of `dead`, whose death is proven, or who is leaving and reads no more,
    // and frees the cursor. By anyone, several at once. True: it held it; wake who sleeps on
    // writer_bell().
    bool drop(std::uint32_t index, std::uint64_t dead) noexcept;
    [[nodiscard]] const Atomic<std::uint32_t>& writer_bell() const noexcept {
        return layout_->bell.rung;
    }

private:
    LogSeats(LogLayout* layout, std::uint32_t count) noexcept : layout_{layout}, count_{count} {}

    LogLayout* layout_;
    std::uint32_t count_;
};

struct LogCounts {
    std::uint64_t sent = 0;      // records since the log was made
    std::uint64_t waiting = 0;   // for the slowest reliable subscriber
    std::uint64_t missed = 0;    // by those who are subscribed
    std::uint32_t reliable = 0;  // subscribers
    std::uint32_t latest = 0;
    // For each subscriber, by its cursor: what it has not received (nor skipped) yet.
    std::array<std::uint64_t, kLogMaxSubscribers> behind{};
};

// What a log holds, seen from outside while all go on; writes nothing. Each number is right for
// some moment of the call. Errors: bad_layout, wrong_version, corrupt
[[nodiscard]] Result<LogCounts> count_log(std::span<std::byte> memory) noexcept;

// Copies the message `skip` places behind the next one of the slowest reliable subscriber, as far
// as it fits; its whole length. Errors: empty, bad_layout, wrong_version, corrupt
[[nodiscard]] Result<std::uint64_t> peek_log(std::span<std::byte> memory, std::uint64_t skip,
                                             std::span<std::byte> to) noexcept;

}  // namespace stoa
