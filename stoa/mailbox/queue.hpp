// What waits at one station: a pool ring, or in an unbounded mailbox a chain of them.
//
// Start here: send(), receive(). A bounded mailbox has one ring, and every call goes straight to
//             its engine. An unbounded one sends to the last ring and puts one more behind it when
//             that is full; who receives takes the oldest message of the highest priority, and
//             seals what it leaves behind.
// Threads:    as its handle.
// Processes:  any number.
// Death:      as stoa/ring/pool.hpp and stoa/mailbox/segments.hpp.
// Blocking:   receive() until its deadline; bounded sends, too. An unbounded send never waits.
// Lifetime:   a part of its Attachment.
// Units:      bytes.
// Source:     own; order within a sender: it only ever moves on to later rings, and nothing is
//             taken from a ring before all earlier ones are sealed and empty at that priority.
#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "stoa/channel/pool_engine.hpp"
#include "stoa/mailbox/segments.hpp"

namespace stoa {

class Attachment;

struct Looks;  // what waits, for who only looks

class Queue {
public:
    // `one`: its only ring; null: a chain of segments, of which the first is there. `own`: this
    // handle receives from it.
    Queue(Attachment& at, std::uint32_t station, PoolEngine* one, bool own);

    // Errors: as PoolEngine; unbounded: quota_reached, out_of_space in place of full and timed_out
    [[nodiscard]] Result<void> send(Bytes message, const SendOptions& options, Deadline deadline) {
        if (one_ != nullptr) [[likely]]
            return one_->send(message, options, deadline);
        return send_to_chain(message, options);
    }
    [[nodiscard]] Result<PoolTicket> send_with_receipt(Bytes message, const SendOptions& options,
                                                       Deadline deadline);
    [[nodiscard]] Result<PoolLoan> reserve(std::uint64_t bytes, Deadline deadline);
    [[nodiscard]] Result<void> commit(PoolLoan& loan, std::uint32_t bytes,
                                      const SendOptions& options, Deadline deadline);
    // Of a message for several queues, as PoolEngine. Errors: also quota_reached, out_of_space;
    // send_claimed(): full where what was claimed is of no use any more, for the queue went on
    [[nodiscard]] Result<PoolClaim> claim(Bytes message, const SendOptions& options);
    [[nodiscard]] Result<void> send_claimed(const PoolClaim& claim);
    [[nodiscard]] Result<PoolLoan> receive(Deadline deadline) {
        if (one_ != nullptr) [[likely]]
            return one_->receive(deadline);
        return receive_from_chain(deadline);
    }

    // Whether the next send is likely to wait.
    [[nodiscard]] bool seems_full() noexcept { return one_ != nullptr && one_->seems_full(); }
    [[nodiscard]] bool seems_to_have_room(std::uint64_t bytes) noexcept {
        return one_ == nullptr || (!one_->seems_full() && one_->ring().seems_to_have_chunk(bytes));
    }
    // How many messages wait; a hint.
    [[nodiscard]] std::uint64_t depth();
    // Whether a receiver may find something.
    [[nodiscard]] bool has_messages();
    // Whether a receive that does not wait has something to say: a message, or the end.
    [[nodiscard]] bool is_readable();
    // Whether it makes sense that a receiver goes on: as has_messages(), also when all is sealed.
    [[nodiscard]] bool is_worth_a_look();
    // Of a closed mailbox: nothing waits, nothing more is sent, nothing may come back.
    [[nodiscard]] bool is_drained();
    // Copies what a receiver would get after `skip` others, which is less by those that are here
    // when it says empty. Errors: empty
    [[nodiscard]] Result<std::uint32_t> peek(std::uint64_t& skip, std::span<std::byte> to);
    [[nodiscard]] std::uint64_t dropped_oldest() const noexcept;
    void set_overflow(Overflow overflow, const OnlyWhile& still) noexcept {
        if (one_ != nullptr) one_->set_overflow(overflow, still);
    }
    // Of an unbounded queue: drops the oldest message where it is sent to. As PoolEngine.
    [[nodiscard]] Result<bool> drop_in_last(std::uint32_t level, const OnlyWhile& still);
    void empty() noexcept;

    // Waits on the bells of the station. Errors: timed_out, what looking around says
    template <typename Ready>
    [[nodiscard]] Result<void> wait_for_room(Deadline deadline, Ready&& ready) {
        PoolEngine* const engine = waiter();
        if (engine == nullptr) return fail(Errc::corrupt, "mailbox");
        return engine->wait_for_room(deadline, ready);
    }
    template <typename Ready>
    [[nodiscard]] Result<void> wait_for_message(Deadline deadline, Ready&& ready) {
        PoolEngine* const engine = waiter();
        if (engine == nullptr) return fail(Errc::corrupt, "mailbox");
        return engine->wait_for_message(deadline, ready);
    }

private:
    [[nodiscard]] Result<void> send_to_chain(Bytes message, const SendOptions& options);
    [[nodiscard]] Result<PoolLoan> receive_from_chain(Deadline deadline);
    [[nodiscard]] bool expire_in_chain();
    template <typename Attempt>
    [[nodiscard]] std::invoke_result_t<Attempt&, PoolEngine&> at_the_end(Attempt&& attempt);
    [[nodiscard]] Result<PoolEngine*> last();
    [[nodiscard]] PoolEngine* waiter();
    void look_into(const PoolRing& ring, std::uint32_t which, Looks& looks) const;
    void refresh();
    void leave_behind();
    [[nodiscard]] std::uint32_t best_of(std::uint32_t levels);
    [[nodiscard]] Result<PoolLoan> take_now();
    [[nodiscard]] Result<PoolLoan> look_for_one();
    [[nodiscard]] Result<PoolLoan> take_from_several();
    [[nodiscard]] Result<PoolLoan> take_back();
    [[nodiscard]] Result<PoolLoan> take_in(std::uint32_t level);
    template <typename Visit>
    bool any_of(Visit&& visit);

    Attachment& at_;
    std::uint32_t station_;
    PoolEngine* one_;
    Pin pin_;                     // what it receives with: another's queue is looked at in passing
    Segment out_{};               // where this handle sent last; position 0: nowhere yet
    std::vector<Segment> known_;  // live ones, oldest first; those that went may linger
    std::vector<std::uint64_t> passed_;  // index: priority; all up to there are sealed and empty
    std::uint64_t left_ = 0;             // up to there it tried to give rings back
    std::uint32_t takes_ = 0;            // since redeliveries were looked for everywhere
};

}  // namespace stoa
