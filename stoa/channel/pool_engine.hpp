// A pool ring with its bells: sends and receives that wait, receipts, rendezvous.
//
// Start here: send(), receive(); reserve() and commit() to fill a message in place.
// Threads:    an engine object serves one thread; any number of them work on one ring.
// Processes:  any number.
// Death:      as stoa/ring/pool.hpp; a waiting call looks around after each slice of 100 ms.
// Blocking:   every call that takes a Deadline, until then; Deadline::immediately() never sleeps.
// Lifetime:   borrows the memory of ring and bells.
// Units:      bytes; times are those of the steady clock.
// Source:     stoa/ring/pool.hpp, stoa/sync/bell.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/channel/send_options.hpp"
#include "stoa/channel/wait_mark.hpp"
#include "stoa/ring/pool.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sync/pool_bells.hpp"
#include "stoa/sys/coarse_clock.hpp"

namespace stoa {

using Bytes = std::span<const std::byte>;

// How a waiting call sees what goes on beside it; ok: go on waiting, an error ends the wait.
struct LookAround {
    Result<void> (*check)(void* context);  // after each sleep: is this handle still to act?
    Result<void> (*look)(void* context);   // once in a slice: recovers the dead as well
    bool (*closed)(void* context);         // nothing more is to be sent
    void* context;
    Atomic<std::uint64_t>* waits = nullptr;  // where this endpoint says what it waits for
};

// What an engine asks the mailbox that it belongs to.
struct PoolHost {
    LookAround around{};
    Result<void> (*open_extras)(void* context) = nullptr;  // reserves the memory of the extras
    std::uint32_t (*pid_of)(void* context, std::uint32_t endpoint) = nullptr;
    bool (*receiver_waits)(void* context) = nullptr;
    Result<void> (*hinders_meeting)(void* context) = nullptr;  // why a send waits in vain to be met
    std::uint32_t me = 0;                                      // its index
    std::uint32_t pid = 0;
    std::string_view name{};
};

struct PoolPolicy {
    Overflow overflow = Overflow::block;
    bool rendezvous = false;            // a send ends when a receiver has the message
    bool keep_expired = false;          // among the dead letters
    std::uint64_t time_to_live_ns = 0;  // of messages that name none; 0: for ever
    std::uint32_t capacity = 0;         // messages that wait; 0: as many as there are slots
};

// A chunk with a message in it, to be sent.
struct PoolClaim {
    PoolLoan loan{};
    PoolSend how{};
};

// What became of a message.
struct Answer {
    Outcome outcome = Outcome::none;
    std::uint32_t pid = 0;  // of who took or acked it, or died with it; 0: nobody did
    std::string name{};     // of that process, if it can be told
};

// Of a message that was given back: by whom, and why.
struct MessageHistory {
    std::uint32_t deliveries = 0;  // that ended without ack
    Cause cause = Cause::none;
    std::uint32_t last_pid = 0;
    std::string last_name{};
    std::string error{};  // what the last receiver said
};

class PoolEngine {
public:
    // `station`: which of several rings it is. Their senders sleep on one bell, `space`, and who
    // waits for dead letters of any of them on another, `letters`.
    PoolEngine(PoolRing ring, std::uint32_t station, PoolBells& bells, Atomic<std::uint32_t>& space,
               Atomic<std::uint32_t>& letters, const PoolPolicy& policy, Waiting waiting,
               const PoolHost& host) noexcept
        : ring_{ring},
          station_{station},
          messages_{&bells.messages},
          letters_{&letters},
          space_{&space},
          me_{host.me},
          waiting_{waiting},
          policy_{policy},
          host_{host},
          looked_at_{sys::coarse_now()} {
        plain_ = !policy.rendezvous && policy.overflow == Overflow::block &&
                 policy.time_to_live_ns == 0 && ring.geometry().ageing_ns == 0;
    }

    // Errors: too_big, full (immediately), timed_out, closed, bad_argument (no such priority),
    // out_of_space, corrupt, what looking around says
    [[nodiscard]] Result<void> send(Bytes message, const SendOptions& options, Deadline deadline);
    // The same; the receipt stays open until free_receipt(). Errors: also too_many_loans
    [[nodiscard]] Result<PoolTicket> send_with_receipt(Bytes message, const SendOptions& options,
                                                       Deadline deadline);
    [[nodiscard]] Result<PoolLoan> reserve(std::uint64_t bytes, Deadline deadline);
    // On an error the loan is still held, perhaps under another word.
    [[nodiscard]] Result<void> commit(PoolLoan& loan, std::uint32_t bytes,
                                      const SendOptions& options, Deadline deadline);
    // Of a message that goes into several rings or into none: what it needs of this one, without
    // waiting. Only release() or send_claimed() ends it. Errors: full, too_big, bad_argument,
    // out_of_space
    [[nodiscard]] Result<PoolClaim> claim(Bytes message, const SendOptions& options);
    // Whatever the capacity says: it did when this was claimed, so that senders of the same moment
    // may exceed it by one each. Errors: full (not where there is a slot for each chunk), closed,
    // corrupt; then it is still claimed
    [[nodiscard]] Result<void> send_claimed(const PoolClaim& claim);
    // Errors: empty (immediately), timed_out, end_of_stream, corrupt, what looking around says
    [[nodiscard]] Result<PoolLoan> receive(Deadline deadline);
    // A dead letter of this ring, without waiting. Errors: empty
    [[nodiscard]] Result<PoolLoan> take_dead_letter();
    // Of one of several rings behind each other, without waiting: the oldest message of one
    // priority, or one that is to be delivered again. Errors: empty, corrupt
    [[nodiscard]] Result<PoolLoan> take_in(std::uint32_t level);
    [[nodiscard]] Result<PoolLoan> take_back();
    // Drops the oldest message of the lowest priority that is not above `level`; who calls counts
    // it. False: there is none, or it is not `still` so. Errors: corrupt
    [[nodiscard]] Result<bool> drop_one(std::uint32_t level, const OnlyWhile& still = {}) noexcept;
    [[nodiscard]] MessageHistory history(const PoolLoan& loan) const;

    // For the sends that follow. `still`: drop the oldest only so long.
    void set_overflow(Overflow overflow, const OnlyWhile& still = {}) noexcept {
        policy_.overflow = overflow;
        still_ = still;
        plain_ = plain_ && overflow == Overflow::block;
    }
    // Whether a message is likely to find room: a hint, where a sender has a choice.
    [[nodiscard]] bool seems_full() noexcept {
        const auto full = [&] { return is_full() || ring_.depth() >= ring_.geometry().slot_count; };
        return full() && !(expire_overdue() && !full());
    }
    // Where there is no room: lets go of what is overdue. True: something was.
    [[nodiscard]] bool expire_overdue() noexcept;
    // Waits for what the caller looks for, on the bell of senders or of receivers. Errors:
    // timed_out, what looking around says
    template <typename Ready>
    [[nodiscard]] Result<void> wait_for_room(Deadline deadline, Ready&& ready) {
        bool slept = false;
        return wait(*space_, deadline, slept, ready);
    }
    template <typename Ready>
    [[nodiscard]] Result<void> wait_for_message(Deadline deadline, Ready&& ready) {
        bool slept = false;
        return wait(*messages_, deadline, slept, ready);
    }

    // Waits until the receipt ends. Errors: timed_out, what looking around says; for who meets a
    // receiver also closed
    [[nodiscard]] Result<Answer> answer(const PoolTicket& ticket, Deadline deadline,
                                        bool meets = false);
    // Whether the receipt has ended, as answer(immediately) would tell. Armed: its end is told to
    // the watch.
    [[nodiscard]] bool is_decided(const PoolTicket& ticket);
    void arm(const PoolTicket& ticket) noexcept;
    // Takes back a message that nobody took; what became of it, in any case.
    [[nodiscard]] Result<Answer> withdraw(const PoolTicket& ticket);
    void free_receipt(const PoolTicket& ticket) noexcept { ring_.free_receipt(ticket.ref); }

    // Gives back an abandoned loan or a message that was read. False: it was not held.
    bool release(const PoolLoan& loan) noexcept;
    bool ack(const PoolLoan& loan) noexcept;
    // `error`: why, for the history of a dead letter.
    bool nack(const PoolLoan& loan, std::string_view error = {}) noexcept;
    // Delivers dead letters again; how many.
    std::uint64_t redrive(std::uint64_t most) noexcept;
    [[nodiscard]] std::span<std::byte> room(const PoolLoan& loan) noexcept {
        return ring_.room(loan);
    }

    void recover(const PoolDead& dead) noexcept;
    void wake_all() noexcept;
    [[nodiscard]] PoolRing& ring() noexcept { return ring_; }

private:
    // What a send does when there is no room: true, try again; false: it was dropped and counted.
    [[nodiscard]] Result<bool> make_way(std::uint32_t level);
    [[nodiscard]] Result<void> open_extras();
    [[nodiscard]] Result<bool> fill_note(const PoolLoan& loan, const SendOptions& options,
                                         const ReceiptRef* ref);
    [[nodiscard]] Result<bool> reserve_or_drop(std::uint64_t bytes, std::uint32_t level,
                                               Deadline deadline, PoolLoan& loan);
    [[nodiscard]] bool is_full() noexcept {
        return policy_.capacity != 0 && ring_.holds(policy_.capacity);
    }
    [[nodiscard]] PoolStatus try_publish(const PoolLoan& loan, const PoolSend& how,
                                         Position& at) noexcept {
        return is_full() ? PoolStatus::full : ring_.publish(loan, how, &at);
    }
    [[nodiscard]] Result<bool> publish(const PoolLoan& loan, const PoolSend& how, Deadline deadline,
                                       Position& at);
    [[nodiscard]] Result<bool> send_ticket(PoolLoan& loan, std::uint32_t bytes,
                                           const SendOptions& options, Deadline deadline,
                                           PoolTicket& ticket);
    [[nodiscard]] Result<void> meet(PoolLoan& loan, std::uint32_t bytes, const SendOptions& options,
                                    Deadline deadline);
    // After a take: ends the receipt of a message. False: its time to live was over, it is gone.
    [[nodiscard]] bool arrived(const PoolLoan& loan) noexcept;
    void expire(const PoolLoan& loan) noexcept;
    void tell(const ReceiptRef& ref, Outcome outcome) noexcept;
    void wake_receipt(const ReceiptRef& ref) noexcept;
    [[nodiscard]] Answer answer_of(const PoolTicket& ticket, const OutcomeWord& word) const;
    [[nodiscard]] OutcomeWord settle(const PoolTicket& ticket) noexcept;
    // Says in the receipt's word that somebody waits for it; what stands there then. 0: it ended.
    [[nodiscard]] std::uint64_t mark_receipt(const PoolTicket& ticket) noexcept;
    [[nodiscard]] bool sleep_on_receipt(const PoolTicket& ticket,
                                        std::chrono::nanoseconds longest) noexcept;
    // Whose receipt a message that this endpoint holds has. False: nobody asked.
    [[nodiscard]] bool asked(const PoolLoan& loan, ReceiptRef& ref) const noexcept;
    [[nodiscard]] bool take_back_expired(const PoolTicket& ticket) noexcept;
    [[nodiscard]] bool take_back(const PoolTicket& ticket, Outcome outcome,
                                 PoolLoan* keep = nullptr) noexcept;
    [[nodiscard]] Result<void> stream_ended() noexcept;
    template <typename Take>
    [[nodiscard]] Result<PoolLoan> take_now(Take&& take);
    [[nodiscard]] Result<void> outcome(Waited waited);
    // Looks around when the last look is a slice ago: who never waits that long must recover the
    // dead as well.
    [[nodiscard]] Result<void> look_if_due();
    // Whether the wait for room or for a message is to end; `due`: look at the others as well.
    [[nodiscard]] bool look_on(bool due, bool for_message);
    template <typename Ready>
    [[nodiscard]] Result<void> wait(Atomic<std::uint32_t>& bell, Deadline deadline, bool& slept,
                                    Ready&& ready) {
        const bool for_room = &bell == space_;
        const auto look = [&](bool due) { return look_on(due, !for_room); };
        if (!look(false)) return outcome(Waited::stopped);
        const WaitMark mark{host_.around.waits, for_room ? WaitsFor::room : WaitsFor::message};
        if (for_room || ring_.geometry().level_count == 1 || waiting_ == Waiting::park) {
            return outcome(wait_on_bell(bell, deadline, waiting_, slept, ready, look));
        }
        // To look at the queues of all priorities takes long: who spins looks at what says where
        // to look, and at all of them before it sleeps.
        for (int i = 0; i < kAdaptiveSpins; ++i) {
            if (!ring_.seems_empty_at_a_glance()) return {};
            cpu_pause();
        }
        const Waiting then = waiting_ == Waiting::adaptive ? Waiting::park : waiting_;
        return outcome(wait_on_bell(bell, deadline, then, slept, ready, look));
    }

    PoolRing ring_;
    std::uint32_t station_;
    Atomic<std::uint32_t>* messages_;
    Atomic<std::uint32_t>* letters_;
    Atomic<std::uint32_t>* space_;
    std::uint32_t me_;
    Waiting waiting_;
    PoolPolicy policy_;
    PoolHost host_;
    OnlyWhile still_{};                       // the oldest may be dropped
    bool plain_ = false;                      // no policy has a say: the short ways are open
    Error stopped_{};                         // why looking around ended the last wait
    std::chrono::nanoseconds looked_at_;      // coarse clock
    std::chrono::nanoseconds searched_at_{};  // for what is overdue; coarse clock
};

}  // namespace stoa
