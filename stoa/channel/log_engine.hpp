// Logs with their sleeping and waking: the two ends of a mailbox that broadcasts.
//
// Start here: LogOut::send, LogIn::take, LogIn::copy.
// Threads:    each object serves one thread.
// Processes:  one LogOut per log, one LogIn per subscriber for all logs (one of each sender).
// Death:      as stoa/ring/log.hpp; a waiting call looks around after each slice of 100 ms. Who has
//             proven the death of a subscriber calls drop_log_subscriber for each log.
// Blocking:   every call that takes a Deadline, until then.
// Lifetime:   borrows the memory of the logs and of the bell.
// Units:      bytes.
// Source:     one bell for all subscribers, and each ring wakes all: docs/adr/0008-log.md.
//
// The bell's word: bit 0 somebody sleeps, the rest a sequence number. All who sleep on it wait for
// the same messages, so whoever clears the bit wakes all of them, and nobody passes a wake on.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/channel/lane_engine.hpp"
#include "stoa/channel/pool_engine.hpp"
#include "stoa/ring/log.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/cpu.hpp"

namespace stoa {

class LogOut {
public:
    // `bell`: where all subscribers sleep. `alignment`: of each payload, 16, 32 or 64.
    LogOut(LogWriter&& writer, std::uint64_t alignment, Atomic<std::uint32_t>& bell, StreamEnd end,
           Waiting waiting, LookAround around) noexcept
        : writer_{std::move(writer)},
          alignment_{alignment},
          bell_{&bell},
          end_{end},
          waiting_{waiting},
          around_{around} {}

    // Waits while the log is full.
    // Errors: too_big, full (immediately), timed_out, corrupt; closed: meanwhile, so that not
    // everybody gets it
    [[nodiscard]] Result<void> send(Bytes message, Deadline deadline);
    // One value of a fixed size and an alignment of at most 16: the short way. False: take the long
    // way, send().
    template <std::size_t kBytes>
    [[nodiscard]] bool try_send_value(const void* value) noexcept {
        if (first_) [[unlikely]]
            return false;
        tell_cpu();
        if (writer_.try_send<kBytes>(value) != LogSend::ok) [[unlikely]]
            return false;
        wake_subscribers();
        return counts();
    }
    // Sends as many as there is room for now, published together; returns how many.
    template <std::size_t kBytes>
    [[nodiscard]] std::uint64_t try_send_values(const void* values, std::uint64_t count) noexcept {
        if (first_) return 0;
        tell_cpu();
        LogBatch batch{writer_};
        const std::uint64_t sent = batch.append_all<kBytes>(values, count);
        batch.publish();
        if (sent > 0) wake_subscribers();
        return counts() ? sent : 0;
    }
    // Waits until a message of that size is worth another try.
    [[nodiscard]] Result<void> wait_for_room(std::uint64_t bytes, Deadline deadline);
    // As LaneOut.
    [[nodiscard]] bool is_writable(std::uint64_t bytes) noexcept;
    void arm() noexcept;
    void disarm() noexcept;

private:
    // After a publish: whether it came before the end of the stream.
    [[nodiscard]] bool counts() const noexcept {
        STOA_CRASH_POINT("log_engine.send.published");
        return !end_.is_closed() || end_.includes(writer_.position());
    }
    void wake_subscribers() noexcept {
        writer_.fence_before_bell();
        // relaxed: the sleeper's barrier, or the fence, stands between the publish and this look.
        if ((bell_->load(kRelaxed) & 1U) != 0 || first_) [[unlikely]]
            wake_slowly();
    }
    void wake_slowly() noexcept;
    void tell_cpu() noexcept {
        if (waiting_ != Waiting::spin) writer_.set_cpu(sys::current_cpu());
    }

    LogWriter writer_;
    std::uint64_t alignment_;
    Atomic<std::uint32_t>* bell_;
    StreamEnd end_;
    Waiting waiting_;
    bool first_ = true;   // a subscriber may not know this log yet: the short ways are closed
    bool armed_ = false;  // the mark stays set, for a wait set
    LookAround around_;
};

// Who subscribes, and how: the same cursor in every log of a mailbox.
struct LogPlace {
    std::uint32_t index = 0;
    std::uint64_t holder = 0;  // as in LogSeats
    LogMode mode = LogMode::reliable;
    LogStart start = LogStart::now;
    bool is_given = false;  // by a layer above, to us alone: who still holds a cursor is leaving
};

struct LogMessage {
    std::uint32_t log = 0;
    LogRecord record;
};
struct LogCopied {
    std::uint32_t log = 0;
    LogCopy message;
};

class LogIn {
public:
    LogIn(LaneSource source, const LogPlace& place, Atomic<std::uint32_t>& bell, Waiting waiting,
          LookAround around) noexcept
        : source_{source}, place_{place}, bell_{&bell}, waiting_{waiting}, around_{around} {}

    // Subscribes in the logs that are ready: the first time as LogPlace::start says, later, in logs
    // that were opened since, from their oldest record on.
    // Errors: in_use (another one holds that cursor, which was not given to us), corrupt,
    // bad_layout, wrong_version
    [[nodiscard]] Result<void> attach_logs();
    // Ends all subscriptions and wakes the writers that this lets go on.
    void leave() noexcept;

    // reliable: lends the next message in place. Errors: empty, timed_out, too_many_loans, corrupt,
    // what looking around says
    [[nodiscard]] Result<LogMessage> take(Deadline deadline);
    // Lends the next message if it is there: the short way. False: take the long way, take().
    [[nodiscard]] bool try_take(LogMessage& message) noexcept {
        LogReader* const log = only_;
        if (log == nullptr || rung() || log->try_take(message.record) != LogTake::ok) [[unlikely]]
            return false;
        message.log = 0;
        wake_writer(*log);
        return true;
    }
    void release(const LogMessage& message) noexcept {
        LogReader& log = *logs_[message.log];
        log.release(message.record);
        wake_writer(log);
    }
    // Copies the next message. Errors: as take; wrong_size: it has more bytes than `to`, and stays
    [[nodiscard]] Result<LogCopied> copy(std::span<std::byte> to, Deadline deadline);
    // The short way for messages of one size. False: take the long way.
    template <std::size_t kBytes>
    [[nodiscard]] bool try_copy_value(void* to, LogCopy& message) noexcept {
        LogReader* const log = only_;
        if (log == nullptr || rung() || log->try_copy<kBytes>(to, message) != LogTake::ok)
            [[unlikely]] {
            return false;
        }
        wake_writer(*log);
        return true;
    }
    // Waits until something is worth a try. Errors: empty, timed_out, what looking around says
    [[nodiscard]] Result<void> wait_for_message(Deadline deadline);
    // Whether a receive that does not wait has something to say: a message, the end or an error.
    [[nodiscard]] bool is_readable();
    // How long a wait spins before it sleeps.
    [[nodiscard]] std::uint32_t spin_pauses() noexcept;
    // What is sent from now on is told to the watch.
    void arm() noexcept;
    // Of a closed mailbox: whether nothing more comes. Errors: as attach_logs
    [[nodiscard]] Result<bool> is_over();

private:
    static void wake_writer(LogReader& log) noexcept {
        const Atomic<std::uint32_t>* word = log.sleeper_to_wake();
        if (word != nullptr) [[unlikely]]
            wake(*word, 1);
    }
    // Whether somebody rang since the logs were attached: there may be a new one.
    [[nodiscard]] bool rung() const noexcept {
        return (bell_->load(kRelaxed) ^ bell_seen_) > 1;  // but for the bit
    }
    [[nodiscard]] Result<LogClaim> claim(LogSeats& seats, std::span<std::byte> memory) const;
    [[nodiscard]] Result<LogReader> join(std::span<std::byte> memory) const;
    [[nodiscard]] bool any_ready() noexcept;
    void sleep(std::chrono::nanoseconds wanted) noexcept;
    // Asks each log once, from the next one on; `get` says what it found.
    template <typename Get>
    [[nodiscard]] Result<std::uint32_t> from_any(Deadline deadline, Get&& get);

    LaneSource source_;
    LogPlace place_;
    Atomic<std::uint32_t>* bell_;
    Waiting waiting_;
    LookAround around_;
    std::uint32_t next_ = 0;                        // the log to look at first
    std::uint32_t bell_seen_ = 0;                   // when the logs were attached last
    std::vector<std::unique_ptr<LogReader>> logs_;  // index: log; null until it is ready
    LogReader* only_ = nullptr;  // the one log, for the short ways; null: there are several
    bool is_in_ = false;         // the logs that were there have been joined
};

// For whoever has proven the death of `dead`: ends its subscription at that cursor, frees it, and
// wakes the writer. False: it did not hold it. Errors: bad_layout, wrong_version
Result<bool> drop_log_subscriber(std::span<std::byte> log, std::uint32_t index,
                                 std::uint64_t dead) noexcept;

}  // namespace stoa
