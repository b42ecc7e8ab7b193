// The pool ring as a model for the explorer: its first state, what can happen in each state, what
// a clean end is, and how a state is packed.
#pragma once

#include <string>

#include "tests/model/explorer.hpp"
#include "tests/model/pool_config.hpp"
#include "tests/model/pool_state.hpp"

namespace stoa::model {

class PoolModel {
public:
    using State = PoolState;

    explicit PoolModel(const PoolConfig& config) : config_(config) {}

    [[nodiscard]] PoolState initial() const;
    void moves(const PoolState& state, Moves<PoolState>& out) const;
    [[nodiscard]] Ending ending(const PoolState& state) const;
    [[nodiscard]] std::string text(const PoolState& state) const;

    template <typename Bits>
    void visit(PoolState& state, Bits& bits) const;

private:
    void take(Moves<PoolState>& out, const PoolState& state, int who, const char* what,
              const char* fault = nullptr) const;
    void idle_moves(const PoolState& state, int who, Moves<PoolState>& out) const;
    void begin_or_end(const PoolState& state, int who, Moves<PoolState>& out) const;
    void crash_and_freeze(const PoolState& state, int who, Moves<PoolState>& out) const;
    void attach_moves(const PoolState& state, Moves<PoolState>& out) const;
    [[nodiscard]] bool can_lose(const PoolState& state, int who) const;
    [[nodiscard]] bool is_end(const PoolState& state) const;
    [[nodiscard]] bool senders_rest(const PoolState& state) const;
    [[nodiscard]] const char* damage(const PoolState& state) const;
    [[nodiscard]] bool has_hidden_redelivery(const PoolState& state) const;
    [[nodiscard]] bool is_in_stopped_take(const PoolState& state, int chunk) const;
    [[nodiscard]] bool is_held_up(const PoolState& state, int message) const;
    [[nodiscard]] bool has_stopped_hint(const PoolState& state, int chunk) const;

    template <typename Bits>
    void visit_slot(SlotWord& word, Bits& bits) const;
    template <typename Bits>
    void visit_words(PoolState& state, Bits& bits) const;
    template <typename Bits>
    void visit_participant(PoolState& state, Participant& my, Bits& bits) const;
    template <typename Bits>
    void visit_seen_header(PoolState& state, Participant& my, Bits& bits) const;
    template <typename Bits>
    void visit_listed(PoolState& state, Participant& my, Bits& bits) const;
    template <typename Bits>
    void visit_receipts(PoolState& state, Bits& bits) const;
    template <typename Bits>
    void visit_ticket(Participant& my, Bits& bits) const;
    template <typename Bits>
    void visit_story(PoolState& state, Bits& bits) const;

    const PoolConfig& config_;
};

// What an operation remembers between this access and the next; the rest is not part of the state.
struct Remembers {
    bool position = false;
    bool index = false;
    bool chunk = false;
    bool slot = false;
    bool header = false;
    bool flag = false;
    bool victim = false;
    bool listed = false;
    bool ref = false;
    bool found = false;
};

constexpr Remembers remembers_of_receipts(Pc pc) noexcept {
    switch (pc) {
        case Pc::ask_claim_receipt:
        case Pc::ask_store_pending:
        case Pc::ask_write_note:
        case Pc::tell_read_note:
        case Pc::finish_read_note:
        case Pc::finish_free: return {.chunk = true};
        case Pc::tell_resolve:
        case Pc::finish_done:
        case Pc::finish_resolve: return {.chunk = true, .ref = true};
        case Pc::settle_read_note:
        case Pc::withdraw_read_note:
        case Pc::withdraw_read_outcome:
        case Pc::withdraw_claim_header: return {.header = true};
        case Pc::settle_reread_header: return {.header = true, .ref = true};
        case Pc::settle_resolve: return {.found = true};
        case Pc::withdraw_take: return {.position = true, .slot = true};
        default: return {};
    }
}

constexpr Remembers remembers(Pc pc) noexcept {
    if (pc >= Pc::ask_claim_receipt && pc <= Pc::finish_free) return remembers_of_receipts(pc);
    switch (pc) {
        case Pc::idle:
        case Pc::attach_clear_sweeping:
        case Pc::attach_publish:
        case Pc::receive_read_head:
        case Pc::nack_raise: return {};
        case Pc::loan_header:
        case Pc::loan_clear_hint:
        case Pc::give_hint:
        case Pc::send_read_tail: return {.chunk = true};
        case Pc::send_read_slot:
        case Pc::send_pass_tail:
        case Pc::send_advance_tail: return {.position = true, .chunk = true};
        case Pc::send_publish:
        case Pc::help_read_header:
        case Pc::help_empty_slot: return {.position = true, .chunk = true, .slot = true};
        case Pc::help_reread_slot:
        case Pc::help_adopt: return {.position = true, .chunk = true, .slot = true, .header = true};
        case Pc::receive_scan_slot: return {.index = true, .flag = true};
        case Pc::receive_claim_slot:
        case Pc::bury_read_header:
        case Pc::bury_empty_slot: return {.index = true, .slot = true, .flag = true};
        case Pc::bury_reread_slot:
        case Pc::bury_header: return {.index = true, .slot = true, .header = true, .flag = true};
        case Pc::receive_scan_header: return {.index = true, .flag = true};
        case Pc::receive_claim_header: return {.index = true, .header = true, .flag = true};
        case Pc::drain_scan_slot: return {.index = true, .chunk = true, .header = true};
        case Pc::drain_free_header: return {.chunk = true, .header = true};
        case Pc::receive_lower_flag: return {.flag = true};
        case Pc::receive_read_slot:
        case Pc::receive_pass_head: return {.position = true};
        case Pc::receive_take:
        case Pc::adopt_read_header:
        case Pc::empty_slot:
        case Pc::receive_advance_head: return {.position = true, .slot = true};
        case Pc::adopt_reread_slot:
        case Pc::adopt_header: return {.position = true, .slot = true, .header = true};
        case Pc::sweep_announce:
        case Pc::sweep_recheck:
        case Pc::sweep_raise_first:
        case Pc::sweep_raise:
        case Pc::sweep_give_index_back:
        case Pc::sweep_clear_word: return {.victim = true};
        case Pc::sweep_receipt:
        case Pc::sweep_read_slot: return {.index = true, .victim = true};
        case Pc::sweep_redeliver_slot: return {.index = true, .slot = true, .victim = true};
        case Pc::sweep_list_header:
        case Pc::sweep_hint_passed:
        case Pc::sweep_scan_slot:
        case Pc::sweep_settle_header:
        case Pc::sweep_tell_read_note:
        case Pc::sweep_free_header:
        case Pc::sweep_give_hint: return {.index = true, .victim = true, .listed = true};
        case Pc::sweep_tell_reread_header:
        case Pc::sweep_tell_resolve:
            return {.index = true, .victim = true, .listed = true, .ref = true};
        default: return {};
    }
}

// The chunk whose header an operation remembers.
constexpr std::size_t seen_chunk(const Participant& my) noexcept {
    switch (my.pc) {
        case Pc::receive_claim_header: return my.index;
        case Pc::drain_scan_slot:
        case Pc::drain_free_header: return my.chunk;
        case Pc::settle_read_note:
        case Pc::settle_reread_header:
        case Pc::withdraw_read_note:
        case Pc::withdraw_read_outcome:
        case Pc::withdraw_claim_header: return my.ticket.chunk;
        default: return my.slot.chunk;
    }
}

template <typename Bits>
void visit_ref(ReceiptRef& ref, Bits& bits) {
    bits(ref.receipt, 1);
    bits(ref.tag, 3);
}

template <typename Bits>
void PoolModel::visit_slot(SlotWord& word, Bits& bits) const {
    bits(word.kind, 2);
    bits(word.lap, 4);
    if (word.kind == SlotKind::empty) return;
    bits(word.chunk, 3);
    if (word.kind == SlotKind::full) return;
    bits(word.takes, 2);
    if (word.kind == SlotKind::taken) bits(word.who, 3);
}

template <typename Bits>
void PoolModel::visit_words(PoolState& state, Bits& bits) const {
    for (int i = 0; i < config_.slots; ++i) {
        visit_slot(state.slots[static_cast<std::size_t>(i)], bits);
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(config_.chunks); ++i) {
        HeaderWord& header = state.headers[i];
        bits(header.state, 3);
        if (header.state == ChunkState::free) {
            if constexpr (Bits::kReads) {
                state.payloads[i] = kUnwritten;
                state.notes[i] = {};  // whoever is lent the chunk writes it anew
            }
            continue;
        }
        bits(header.owner, 3);
        bits(header.takes, 2);
        bits(header.count, 2);
        bits(state.payloads[i], 3);
        if (config_.receipts > 0) visit_ref(state.notes[i], bits);
    }
    bits(state.head, 4);
    bits(state.tail, 4);
    if (config_.hints) bits(state.hints, kMaxChunks);
    bits(state.flag.up, 1);
    bits(state.table, 3);
    for (std::size_t i = 0; i < static_cast<std::size_t>(config_.participants()); ++i) {
        bits(state.records[i].state, 2);
        bits(state.records[i].incarnation, 2);
        bits(state.sweeping[i].index, 3);
        if (state.sweeping[i].index != kNobody) bits(state.sweeping[i].incarnation, 2);
    }
    if (config_.mutant == Mutant::detach_announced) bits(state.late_clears, kMaxParticipants);
}

template <typename Bits>
void PoolModel::visit_receipts(PoolState& state, Bits& bits) const {
    for (std::size_t i = 0; i < static_cast<std::size_t>(config_.receipts); ++i) {
        ReceiptWords& words = state.receipts[i];
        bits(words.is_loaned, 1);
        bits(words.tag, 3);
        bits(words.outcome, 3);
        bits(words.outcome_tag, 3);
        bits(words.message, 3);
        if (words.is_loaned) bits(words.owner, 3);
    }
}

template <typename Bits>
void PoolModel::visit_ticket(Participant& my, Bits& bits) const {
    bits(my.ticket.is_open, 1);
    if (!my.ticket.is_open) return;
    bits(my.ticket.was_sent, 1);
    visit_ref(my.ticket.ref, bits);
    bits(my.ticket.chunk, 3);
    bits(my.ticket.message, 3);
    if (my.ticket.was_sent) bits(my.ticket.position, 4);
}

// A remembered header needs no epoch, only whether it still is the header's.
template <typename Bits>
void PoolModel::visit_seen_header(PoolState& state, Participant& my, Bits& bits) const {
    const std::size_t chunk = seen_chunk(my);
    const HeaderWord& current = state.headers[chunk];
    bool is_fresh = my.header.epoch == current.epoch;
    bits(is_fresh, 1);
    bits(my.header.state, 3);
    bits(my.header.owner, 3);
    bits(my.header.takes, 2);
    bits(my.header.count, 2);
    if constexpr (Bits::kReads) my.header.epoch = is_fresh ? current.epoch : 0;
}

// A listed header that is no longer the current one never will be again: its CAS is sure to fail.
template <typename Bits>
void PoolModel::visit_listed(PoolState& state, Participant& my, Bits& bits) const {
    for (std::size_t i = 0; i < static_cast<std::size_t>(config_.chunks); ++i) {
        bool is_listed = my.is_listed[i];
        bits(is_listed, 1);
        if constexpr (Bits::kReads) my.is_listed[i] = is_listed;
        if (!is_listed) continue;
        bool is_fresh = my.listed[i] == state.headers[i];
        bits(is_fresh, 1);
        if constexpr (Bits::kReads) {
            my.listed[i] = state.headers[i];
            if (!is_fresh) my.listed[i].epoch = 0;
        }
        if (!is_fresh) bits(my.listed[i].state, 3);
    }
}

template <typename Bits>
void PoolModel::visit_participant(PoolState& state, Participant& my, Bits& bits) const {
    bits(my.life, 3);
    if (my.life != Life::running && my.life != Life::frozen) return;
    bits(my.role, 1);
    bits(my.pc, 7);
    bits(my.held, static_cast<unsigned>(config_.chunks));
    if (my.role == Role::sender) {
        bits(my.next_message, 3);
        bits(my.end_message, 3);
        if (config_.receipts > 0) visit_ticket(my, bits);
    }
    const Remembers keeps = remembers(my.pc);
    if (keeps.position) bits(my.position, 4);
    if (keeps.index) bits(my.index, 3);
    if (keeps.chunk) bits(my.chunk, 3);
    if (keeps.slot) visit_slot(my.slot, bits);
    if (keeps.header) visit_seen_header(state, my, bits);
    if (keeps.flag) {
        bool is_fresh = my.flag.generation == state.flag.generation;
        bits(is_fresh, 1);
        if constexpr (Bits::kReads) {  // only a flag that was up is remembered
            my.flag = {is_fresh ? state.flag.generation : std::uint8_t{0}, true};
        }
    }
    if (keeps.victim) {
        bits(my.victim.index, 3);
        bits(my.victim.incarnation, 2);
    }
    if (keeps.listed) visit_listed(state, my, bits);
    if (keeps.ref) visit_ref(my.ref, bits);
    if (keeps.found) bits(my.found, 3);
}

// A settled message needs nothing but that it is: a second delivery is a fault of its own.
template <typename Bits>
void PoolModel::visit_story(PoolState& state, Bits& bits) const {
    for (std::size_t i = 0; i < static_cast<std::size_t>(config_.all_messages()); ++i) {
        MessageStory& story = state.stories[i];
        bits(story.was_sent, 1);
        bits(story.was_settled, 1);
        if (config_.receipts > 0) {
            bits(story.told, 3);
            bits(story.fate, 3);
            bits(story.taker, 3);
            bits(story.taker_died, 1);
            bits(story.sender_died, 1);
        }
        if (story.was_settled) continue;
        bits(story.was_put_back, 1);
        if (config_.ack) bits(story.deliveries, 3);
    }
    if (config_.messages == 1) return;
    for (std::size_t i = 0; i < static_cast<std::size_t>(config_.participants()); ++i) {
        for (std::size_t s = 0; s < static_cast<std::size_t>(config_.senders); ++s) {
            if (state.participants[i].life == Life::absent) continue;
            if (state.participants[i].role == Role::receiver) bits(state.newest[i][s], 3);
        }
    }
}

template <typename Bits>
void PoolModel::visit(PoolState& state, Bits& bits) const {
    visit_words(state, bits);
    visit_receipts(state, bits);
    for (std::size_t i = 0; i < static_cast<std::size_t>(config_.participants()); ++i) {
        visit_participant(state, state.participants[i], bits);
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(config_.newcomers); ++i) {
        Newcomer& my = state.newcomers[i];
        bits(my.pc, 2);
        if (my.pc == AttachPc::idle) continue;
        bits(my.index, 3);
        bits(my.incarnation, 2);
        bits(my.scanned, 3);
        bits(my.table, 3);
    }
    bits(state.crashes, 2);
    bits(state.freezes, 2);
    bits(state.attaches, 2);
    bits(state.detaches, 2);
    visit_story(state, bits);
}

}  // namespace stoa::model
