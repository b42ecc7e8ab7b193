// The pool ring's algorithm, one access of shared memory at a time.
//
// Each function of PoolStep is one line of the algorithm: it makes one access (a read, a compare
// and swap, a store), puts what it learned into the participant's own memory and sets `pc` to the
// line that follows. A crash or a freeze can come between any two of them.
//   pool_send.cpp     send, and the help that it gives to a stopped receiver
//   pool_receive.cpp  receive, dead letters, and the end of a loan
//   pool_receipts.cpp what is told to a sender that asked, and withdrawal
//   pool_recover.cpp  recovery of a dead participant, attach and detach
//   pool_words.cpp    the changes of slot words and headers that they share
#pragma once

#include "tests/model/pool_config.hpp"
#include "tests/model/pool_state.hpp"

namespace stoa::model {

class PoolStep {
public:
    PoolStep(const PoolConfig& config, PoolState& state, int me)
        : config_(config), state_(state), my_(state.participants[at(me)]), me_(byte(me)) {}

    // Makes the access at `pc`. Returns nullptr, or the rule that it broke.
    [[nodiscard]] const char* run();

    [[nodiscard]] static const char* name_of(Pc pc);

    // What an idle participant may begin; false: not now. Each makes the operation's first access.
    bool begin_loan();
    bool begin_commit(int chunk);
    bool begin_receive();
    bool begin_sweep(int victim);
    bool begin_detach();
    bool end_loan(int chunk);  // abandon, release or ack
    bool nack(int chunk);
    bool begin_drain(int chunk);
    bool begin_settle();
    bool begin_withdraw();

    [[nodiscard]] const char* fault() const noexcept { return fault_; }

private:
    struct Line;
    struct Table;
    static const Line& line_of(Pc pc);
    void idle();

    // send
    void loan_header();
    void loan_clear_hint();
    void send_read_tail();
    void send_read_slot();
    void send_publish();
    void send_pass_tail();
    void send_advance_tail();
    void help_read_header();
    void help_reread_slot();
    void help_adopt();
    void help_empty_slot();
    // receive
    void receive_scan_slot();
    void receive_claim_slot();
    void receive_scan_header();
    void receive_claim_header();
    void receive_lower_flag();
    void receive_read_head();
    void receive_read_slot();
    void receive_take();
    void receive_pass_head();
    void adopt_read_header();
    void adopt_reread_slot();
    void adopt_header();
    void empty_slot();
    void receive_advance_head();
    void bury_read_header();
    void bury_reread_slot();
    void bury_header();
    void bury_empty_slot();
    void drain_scan_slot();
    void drain_free_header();
    void give_hint();
    void nack_raise();
    // receipts
    void ask_claim_receipt();
    void ask_store_pending();
    void ask_write_note();
    void settle_read_outcome();
    void settle_read_slot();
    void settle_look_again();
    void settle_read_header();
    void settle_read_note();
    void settle_reread_header();
    void settle_told_again();
    void settle_resolve();
    void withdraw_read_slot();
    void withdraw_take();
    void withdraw_resolve();
    void withdraw_free();
    void withdraw_read_header();
    void withdraw_read_note();
    void withdraw_read_outcome();
    void withdraw_claim_header();
    void tell_read_note();
    void tell_resolve();
    void finish_read_note();
    void finish_done();
    void finish_resolve();
    void finish_free();
    // recover, attach
    void sweep_announce();
    void sweep_recheck();
    void sweep_raise_first();
    void sweep_read_slot();
    void sweep_redeliver_slot();
    void sweep_list_header();
    void sweep_hint_passed();
    void sweep_scan_slot();
    void sweep_settle_header();
    void sweep_tell_read_note();
    void sweep_tell_reread_header();
    void sweep_tell_resolve();
    void sweep_free_header();
    void sweep_receipt();
    void sweep_give_hint();
    void sweep_raise();
    void sweep_give_index_back();
    void sweep_clear_word();
    void sweep_next_pass();
    void settle_listed(HeaderWord seen);
    void attach_clear_sweeping();
    void attach_publish();

    // Shared by several of them; each is at most one access.
    bool swap_slot(int index, const SlotWord& seen, SlotWord next);
    bool swap_header(int chunk, const HeaderWord& seen, HeaderWord next);
    bool adopt(const SlotWord& taken);
    void raise();
    void take_hint(int chunk);
    bool put_back(int chunk, const HeaderWord& seen, bool died = false);
    void finish() { my_.pc = Pc::idle; }
    bool resolve(const ReceiptRef& ref, Outcome outcome);
    void close_ticket();
    void free_chunk(int chunk);
    [[nodiscard]] Outcome outcome_of(const HeaderWord& header) const;
    [[nodiscard]] bool tells_at_take() const noexcept {
        return config_.receipts > 0 && (!config_.ack || config_.at_take);
    }
    [[nodiscard]] SlotWord& ticket_slot() { return slot_at(my_.ticket.position); }
    [[nodiscard]] bool still_holds_ticket(const SlotWord& word) const noexcept {
        return word.kind != SlotKind::empty && word.chunk == my_.ticket.chunk &&
               word.lap == lap_of(my_.ticket.position);
    }
    // A sender helps, or takes, for its ticket once it has sent: it sends nothing else meanwhile.
    void after_help() { my_.pc = my_.ticket.was_sent ? Pc::settle_look_again : Pc::send_read_tail; }

    // What the observer notes.
    void note_delivery(int chunk, int receiver);
    void note_settled(int chunk, Fate fate = Fate::letter);
    void note_told(int message, Outcome outcome);

    [[nodiscard]] bool broken(Mutant mutant) const noexcept { return config_.mutant == mutant; }
    [[nodiscard]] int slot_of(int position) const noexcept { return position % config_.slots; }
    [[nodiscard]] std::uint8_t lap_of(int position) const noexcept {
        return byte(position / config_.slots);
    }
    [[nodiscard]] SlotWord& slot_at(int position) { return state_.slots[at(slot_of(position))]; }

    static constexpr std::size_t at(int index) noexcept { return static_cast<std::size_t>(index); }
    static constexpr std::uint8_t byte(int value) noexcept {
        return static_cast<std::uint8_t>(value);
    }

    const PoolConfig& config_;
    PoolState& state_;
    Participant& my_;
    std::uint8_t me_;
    const char* fault_ = nullptr;
};

// A newcomer looks for an index. An idle one makes a choice: the index that it tries, or, as the
// table's size, that it lets the table grow. False: not now.
bool step_newcomer(const PoolConfig& config, PoolState& state, int newcomer, int choice);

}  // namespace stoa::model
