// Lanes with their sleeping and waking: the two ends of a mailbox or link that lanes carry.
//
// Start here: LaneOut::send, LaneIn::take.
// Threads:    each object serves one thread.
// Processes:  one LaneOut per lane, one LaneIn for all lanes that lead to it.
// Death:      as stoa/ring/lane.hpp; a waiting call looks around after each slice of 100 ms.
// Blocking:   every call that takes a Deadline, until then.
// Lifetime:   borrows the memory of the lanes.
// Units:      bytes.
// Source:     sleeping on the data itself; membarrier(2) in the sleeper takes the fence off the
//             publisher.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "stoa/base/crash_point.hpp"
#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/channel/lane_bound.hpp"
#include "stoa/channel/pool_engine.hpp"
#include "stoa/channel/stream_end.hpp"
#include "stoa/ring/lane.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/cpu.hpp"
#include "stoa/sys/membarrier.hpp"

namespace stoa {

// The fence that a publisher of this process needs: none once the process is registered for the
// barriers that sleepers send.
[[nodiscard]] LaneFence publisher_fence() noexcept;

// Where the receiver of a lane sleeps when it awaits several; nullptr: on the lane itself. Asked
// for each slow wake: the lane may have got another receiver.
struct LaneBell {
    Atomic<std::uint32_t>* (*of)(void* context, std::uint32_t lane) = nullptr;
    void* context = nullptr;
    std::uint32_t lane = 0;
};

class LaneOut {
public:
    // At most what the bound allows waits in the lane. `alignment`: of each payload, 16, 32 or 64.
    LaneOut(LaneSender&& sender, LaneBound bound, std::uint64_t alignment, LaneBell bell,
            StreamEnd end, Waiting waiting, LookAround around) noexcept
        : sender_{std::move(sender)},
          bound_{std::move(bound)},
          alignment_{alignment},
          bell_{bell},
          end_{end},
          waiting_{waiting},
          around_{around} {}

    // Errors: too_big, full (immediately), timed_out, too_many_loans (a loan is open), closed,
    // corrupt
    [[nodiscard]] Result<void> send(Bytes message, Deadline deadline);
    // One value of a fixed size and an alignment of at most 16: the short way. False: take the long
    // way, send().
    template <std::size_t kBytes>
    [[nodiscard]] bool try_send_value(const void* value) noexcept {
        if (!quick_ || bound_.free_places(sender_, 1) == 0) [[unlikely]]
            return false;
        tell_cpu();
        if (sender_.try_send<kBytes>(value) != LaneSend::ok) [[unlikely]]
            return false;
        bound_.sent(sender_.position());
        wake_receiver();
        return counts();
    }
    // Sends as many as there is room for now, published together; returns how many.
    template <std::size_t kBytes>
    [[nodiscard]] std::uint64_t try_send_values(const void* values, std::uint64_t count) noexcept {
        if (!quick_) return 0;
        count = bound_.free_places(sender_, count);
        tell_cpu();
        const std::uint64_t from = sender_.position();
        LaneBatch batch{sender_};
        const std::uint64_t sent = batch.append_all<kBytes>(values, count);
        batch.publish();
        bound_.sent_all(from, sent, kBytes, sender_.geometry().ring_bytes);
        if (sent > 0) wake_receiver();
        return counts() ? sent : 0;
    }
    // Waits until a message of that size is worth another try.
    [[nodiscard]] Result<void> wait_for_room(std::uint64_t bytes, Deadline deadline);
    // Whether it is now. Armed: what the receiver gives back from now on is told to the watch.
    [[nodiscard]] bool is_writable(std::uint64_t bytes) noexcept;
    void arm() noexcept;
    void disarm() noexcept;

    [[nodiscard]] Result<std::span<std::byte>> reserve(std::uint64_t bytes, Deadline deadline);
    // Lends the room if it is there: the short way. False: take the long way, reserve().
    [[nodiscard]] bool try_reserve(std::uint64_t bytes, std::span<std::byte>& room) noexcept {
        if (!quick_ || bound_.free_places(sender_, 1) == 0 ||
            sender_.try_reserve(bytes, room, alignment_) != LaneSend::ok) [[unlikely]] {
            return false;
        }
        open_loan();
        return true;
    }
    // False: it was closed meanwhile, and the message is not received.
    [[nodiscard]] bool commit(std::uint64_t bytes) noexcept {
        tell_cpu();
        sender_.commit(bytes);
        bound_.sent(sender_.position());
        close_loan();
        wake_receiver();
        return counts();
    }
    [[nodiscard]] bool loan_is_open() const noexcept { return loan_open_; }
    void abandon() noexcept {
        sender_.abandon();
        close_loan();
    }

private:
    // After a publish: whether it came before the end of the stream.
    [[nodiscard]] bool counts() const noexcept {
        STOA_CRASH_POINT("lane_engine.send.published");
        return !end_.is_closed() || end_.includes(sender_.position());
    }
    void wake_receiver() noexcept {
        const Atomic<std::uint32_t>* word = sender_.sleeper_to_wake();
        if (word != nullptr || first_) [[unlikely]]
            wake_slowly(word);
    }
    void wake_slowly(const Atomic<std::uint32_t>* word) noexcept;
    // The core travels with the records: a receiver does not spin for a sender that last ran on its
    // own core. To ask only now and then was slower where several pairs share two cores.
    void tell_cpu() noexcept {
        if (waiting_ != Waiting::spin) sender_.set_cpu(sys::current_cpu());
    }
    void open_loan() noexcept {
        loan_open_ = true;
        quick_ = false;
    }
    void close_loan() noexcept {
        loan_open_ = false;
        quick_ = !first_;
    }
    [[nodiscard]] bool has_place() noexcept { return bound_.free_places(sender_, 1) > 0; }
    [[nodiscard]] bool has_room(std::uint64_t bytes) noexcept {
        return has_place() && sender_.has_room(bytes, alignment_);
    }
    void sleep(std::uint64_t bytes, std::chrono::nanoseconds wanted) noexcept;

    LaneSender sender_;
    LaneBound bound_;
    std::uint64_t alignment_;
    LaneBell bell_;
    StreamEnd end_;
    Waiting waiting_;
    bool loan_open_ = false;
    bool first_ = true;   // a receiver of many lanes may not know this one yet
    bool quick_ = false;  // neither of the two: the short ways are open
    bool armed_ = false;  // the mark stays set, for a wait set
    bool armed_for_place_ = false;
    LookAround around_;
};

// Where the lanes come from: how many there may be, and the memory of one (empty: not ready).
struct LaneSource {
    std::uint32_t (*count)(void* context);
    std::span<std::byte> (*memory)(void* context, std::uint32_t lane);
    void* context;
    // Whether there is something to do beside the lanes: it ends a wait. Null: never.
    bool (*more)(void* context) = nullptr;
    // Who sends on a lane, another number for each turn at it; 0: nobody.
    std::uint64_t (*sender)(void* context, std::uint32_t lane) = nullptr;
    // Where its stream ends.
    StreamEnd (*end)(void* context, std::uint32_t lane) = nullptr;
    // Gives a lane back that was handed over and is drained. False: somebody sends there again.
    bool (*let_go)(void* context, std::uint32_t lane) = nullptr;
};

struct LaneMessage {
    std::uint32_t lane = 0;
    LaneRecord record;
    bool handed_over = false;  // it was another receiver's, which went before it took it
};

class LaneIn {
public:
    LaneIn(LaneSource source, Atomic<std::uint32_t>* bell, Waiting waiting,
           LookAround around) noexcept
        : source_{source}, bell_{bell}, waiting_{waiting}, around_{around} {}

    // Attaches the lanes that are ready. The caller holds the receiving role. Errors: corrupt,
    // bad_layout, wrong_version
    [[nodiscard]] Result<void> attach_lanes();

    // The lane comes from a receiver that went; to be said before it is attached. What `sender`,
    // who may not know it yet, still sends there comes beside what it sends elsewhere: it is
    // marked.
    void expect_handed_over(std::uint32_t lane, std::uint64_t sender) {
        if (handed_over_.size() <= lane) handed_over_.resize(lane + 1);
        handed_over_[lane] = HandedOver{true, sender};
    }
    // Lends the next message in place. Errors: empty, timed_out, corrupt, what looking around says
    [[nodiscard]] Result<LaneMessage> take(Deadline deadline);
    // Lends the next message if it is there: the short way. False: take the long way, take().
    [[nodiscard]] bool try_take(LaneMessage& message) noexcept {
        return with_next([&](LaneReceiver& lane, std::uint32_t which) {
            message.lane = which;
            return lane.try_take(message.record);
        });
    }
    void release(const LaneMessage& message) noexcept {
        LaneReceiver& lane = *lanes_[message.lane];
        lane.release(message.record);
        wake_sender(lane);
    }

    // One value of a fixed size: the short way. False: take the long way.
    template <std::size_t kBytes>
    [[nodiscard]] bool try_receive_value(void* value) noexcept {
        return with_next([&](LaneReceiver& lane, std::uint32_t /*which*/) {
            return lane.try_receive<kBytes>(value);
        });
    }
    template <std::size_t kBytes>
    [[nodiscard]] std::uint64_t try_receive_values(void* values, std::uint64_t count) noexcept {
        std::uint64_t received = 0;
        const bool any = with_next([&](LaneReceiver& lane, std::uint32_t /*which*/) {
            return lane.try_receive_all<kBytes>(values, count, received);
        });
        return any ? received : 0;
    }
    // Waits until something is worth a try. Errors: empty, timed_out, what looking around says
    [[nodiscard]] Result<void> wait_for_message(Deadline deadline);
    [[nodiscard]] bool any_ready() noexcept;
    // Whether take(immediately) has something to say: a message, the end or an error. `over`: what
    // decides when all lanes of ours have ended; null: nothing more is to come.
    [[nodiscard]] bool is_readable(bool (*over)(void* context) = nullptr);
    // How long a wait spins before it sleeps.
    [[nodiscard]] std::uint32_t spin_pauses() noexcept;
    // What is sent from now on is told to the watch.
    void arm() noexcept;
    void disarm() noexcept;
    // All lanes have ended: sleeps until somebody rings, at most so long.
    void nap(std::chrono::nanoseconds wanted) noexcept {
        (void)sys::futex_wait(*bell_, bell_seen_, wanted);
    }

private:
    struct HandedOver {
        bool marked = false;  // until it is drained, and its sender has let go
        std::uint64_t sender = 0;
    };

    // The short ways: `get` from the lane whose turn it is, until one has something.
    template <typename Get>
    [[nodiscard]] bool with_next(Get&& get) noexcept {
        if (only_ == nullptr) return with_one_of_many(get);
        if (rung() || get(*only_, only_at_) != LaneTake::ok) [[unlikely]]
            return false;
        wake_sender(*only_);
        return true;
    }
    // Stays with a lane for a while: its records lie side by side.
    template <typename Get>
    [[nodiscard]] bool with_one_of_many(Get& get) noexcept {
        constexpr std::uint32_t kStreak = 16;
        if (!quick_ || rung()) return false;
        for (std::size_t n = 0; n <= known_.size(); ++n) {
            LaneReceiver& lane = *lanes_[known_[turn_]];
            const LaneTake status =
                streak_++ < kStreak ? get(lane, known_[turn_]) : LaneTake::empty;
            wake_sender(lane);
            if (status == LaneTake::ok) return true;
            if (status != LaneTake::empty) return false;
            turn_ = turn_ + 1 < known_.size() ? turn_ + 1 : 0;
            streak_ = 0;
        }
        return false;
    }
    static void wake_sender(LaneReceiver& lane) noexcept {
        const Atomic<std::uint32_t>* word = lane.sleeper_to_wake();
        if (word != nullptr) [[unlikely]]
            wake_sender_slowly(lane, *word);
    }
    void open_short_ways();
    static void wake_sender_slowly(LaneReceiver& lane, const Atomic<std::uint32_t>& word) noexcept;
    // Whether somebody rang since the lanes were attached: there may be a new one.
    [[nodiscard]] bool rung() const noexcept {
        return bell_ != nullptr && bell_->load(kRelaxed) != bell_seen_;
    }
    [[nodiscard]] Result<void> look_at_the_end();
    void drained(std::uint32_t lane, HandedOver& from);
    [[nodiscard]] bool back_off_from_all() noexcept;
    void mark_asleep() noexcept;
    void mark_awake() noexcept;
    void wait_ends() noexcept;

    LaneSource source_;
    Atomic<std::uint32_t>* bell_;
    Waiting waiting_;
    LookAround around_;
    std::uint32_t next_ = 0;                            // the lane to look at first
    std::uint32_t bell_seen_ = 0;                       // when the lanes were attached last
    std::vector<std::unique_ptr<LaneReceiver>> lanes_;  // index: lane; null until it is ready
    std::vector<bool> ended_;                           // the same; nothing more counts there
    std::vector<HandedOver> handed_over_;               // index: lane
    // For the short ways, which mark nothing: closed while a lane was handed over.
    std::vector<std::uint32_t> known_;  // lanes that are not null and have not ended
    std::uint32_t turn_ = 0;            // in known_
    std::uint32_t streak_ = 0;          // messages from that one in a row
    bool quick_ = false;                // there are several, and they are open
    bool armed_ = false;                // the marks stay set, for a wait set
    LaneReceiver* only_ = nullptr;      // the one lane; null: there are several, or none
    std::uint32_t only_at_ = 0;
};

}  // namespace stoa
