#include "tests/model/pool_steps.hpp"

#include <array>

#include "stoa/base/check.hpp"

namespace stoa::model {

struct PoolStep::Line {
    Pc pc;
    const char* name;  // in traces
    void (PoolStep::*access)();
};

struct PoolStep::Table {
    static constexpr std::array kLines{
        Line{Pc::idle, "idle", &PoolStep::idle},
        Line{Pc::attach_clear_sweeping, "attach_clear_sweeping", &PoolStep::attach_clear_sweeping},
        Line{Pc::attach_publish, "attach_publish", &PoolStep::attach_publish},
        Line{Pc::loan_header, "loan_header", &PoolStep::loan_header},
        Line{Pc::loan_clear_hint, "loan_clear_hint", &PoolStep::loan_clear_hint},
        Line{Pc::send_read_tail, "send_read_tail", &PoolStep::send_read_tail},
        Line{Pc::send_read_slot, "send_read_slot", &PoolStep::send_read_slot},
        Line{Pc::send_publish, "send_publish", &PoolStep::send_publish},
        Line{Pc::send_pass_tail, "send_pass_tail", &PoolStep::send_pass_tail},
        Line{Pc::send_advance_tail, "send_advance_tail", &PoolStep::send_advance_tail},
        Line{Pc::help_read_header, "help_read_header", &PoolStep::help_read_header},
        Line{Pc::help_reread_slot, "help_reread_slot", &PoolStep::help_reread_slot},
        Line{Pc::help_adopt, "help_adopt", &PoolStep::help_adopt},
        Line{Pc::help_empty_slot, "help_empty_slot", &PoolStep::help_empty_slot},
        Line{Pc::receive_scan_slot, "receive_scan_slot", &PoolStep::receive_scan_slot},
        Line{Pc::receive_claim_slot, "receive_claim_slot", &PoolStep::receive_claim_slot},
        Line{Pc::receive_scan_header, "receive_scan_header", &PoolStep::receive_scan_header},
        Line{Pc::receive_claim_header, "receive_claim_header", &PoolStep::receive_claim_header},
        Line{Pc::receive_lower_flag, "receive_lower_flag", &PoolStep::receive_lower_flag},
        Line{Pc::receive_read_head, "receive_read_head", &PoolStep::receive_read_head},
        Line{Pc::receive_read_slot, "receive_read_slot", &PoolStep::receive_read_slot},
        Line{Pc::receive_take, "receive_take", &PoolStep::receive_take},
        Line{Pc::receive_pass_head, "receive_pass_head", &PoolStep::receive_pass_head},
        Line{Pc::adopt_read_header, "adopt_read_header", &PoolStep::adopt_read_header},
        Line{Pc::adopt_reread_slot, "adopt_reread_slot", &PoolStep::adopt_reread_slot},
        Line{Pc::adopt_header, "adopt_header", &PoolStep::adopt_header},
        Line{Pc::empty_slot, "empty_slot", &PoolStep::empty_slot},
        Line{Pc::receive_advance_head, "receive_advance_head", &PoolStep::receive_advance_head},
        Line{Pc::bury_read_header, "bury_read_header", &PoolStep::bury_read_header},
        Line{Pc::bury_reread_slot, "bury_reread_slot", &PoolStep::bury_reread_slot},
        Line{Pc::bury_header, "bury_header", &PoolStep::bury_header},
        Line{Pc::bury_empty_slot, "bury_empty_slot", &PoolStep::bury_empty_slot},
        Line{Pc::drain_scan_slot, "drain_scan_slot", &PoolStep::drain_scan_slot},
        Line{Pc::drain_free_header, "drain_free_header", &PoolStep::drain_free_header},
        Line{Pc::give_hint, "give_hint", &PoolStep::give_hint},
        Line{Pc::nack_raise, "nack_raise", &PoolStep::nack_raise},
        Line{Pc::ask_claim_receipt, "ask_claim_receipt", &PoolStep::ask_claim_receipt},
        Line{Pc::ask_store_pending, "ask_store_pending", &PoolStep::ask_store_pending},
        Line{Pc::ask_write_note, "ask_write_note", &PoolStep::ask_write_note},
        Line{Pc::settle_read_outcome, "settle_read_outcome", &PoolStep::settle_read_outcome},
        Line{Pc::settle_read_slot, "settle_read_slot", &PoolStep::settle_read_slot},
        Line{Pc::settle_look_again, "settle_look_again", &PoolStep::settle_look_again},
        Line{Pc::settle_read_header, "settle_read_header", &PoolStep::settle_read_header},
        Line{Pc::settle_read_note, "settle_read_note", &PoolStep::settle_read_note},
        Line{Pc::settle_reread_header, "settle_reread_header", &PoolStep::settle_reread_header},
        Line{Pc::settle_told_again, "settle_told_again", &PoolStep::settle_told_again},
        Line{Pc::settle_resolve, "settle_resolve", &PoolStep::settle_resolve},
        Line{Pc::withdraw_read_slot, "withdraw_read_slot", &PoolStep::withdraw_read_slot},
        Line{Pc::withdraw_take, "withdraw_take", &PoolStep::withdraw_take},
        Line{Pc::withdraw_resolve, "withdraw_resolve", &PoolStep::withdraw_resolve},
        Line{Pc::withdraw_free, "withdraw_free", &PoolStep::withdraw_free},
        Line{Pc::withdraw_read_header, "withdraw_read_header", &PoolStep::withdraw_read_header},
        Line{Pc::withdraw_read_note, "withdraw_read_note", &PoolStep::withdraw_read_note},
        Line{Pc::withdraw_read_outcome, "withdraw_read_outcome", &PoolStep::withdraw_read_outcome},
        Line{Pc::withdraw_claim_header, "withdraw_claim_header", &PoolStep::withdraw_claim_header},
        Line{Pc::tell_read_note, "tell_read_note", &PoolStep::tell_read_note},
        Line{Pc::tell_resolve, "tell_resolve", &PoolStep::tell_resolve},
        Line{Pc::finish_read_note, "finish_read_note", &PoolStep::finish_read_note},
        Line{Pc::finish_done, "finish_done", &PoolStep::finish_done},
        Line{Pc::finish_resolve, "finish_resolve", &PoolStep::finish_resolve},
        Line{Pc::finish_free, "finish_free", &PoolStep::finish_free},
        Line{Pc::sweep_announce, "sweep_announce", &PoolStep::sweep_announce},
        Line{Pc::sweep_recheck, "sweep_recheck", &PoolStep::sweep_recheck},
        Line{Pc::sweep_raise_first, "sweep_raise_first", &PoolStep::sweep_raise_first},
        Line{Pc::sweep_read_slot, "sweep_read_slot", &PoolStep::sweep_read_slot},
        Line{Pc::sweep_redeliver_slot, "sweep_redeliver_slot", &PoolStep::sweep_redeliver_slot},
        Line{Pc::sweep_list_header, "sweep_list_header", &PoolStep::sweep_list_header},
        Line{Pc::sweep_hint_passed, "sweep_hint_passed", &PoolStep::sweep_hint_passed},
        Line{Pc::sweep_scan_slot, "sweep_scan_slot", &PoolStep::sweep_scan_slot},
        Line{Pc::sweep_settle_header, "sweep_settle_header", &PoolStep::sweep_settle_header},
        Line{Pc::sweep_tell_read_note, "sweep_tell_read_note", &PoolStep::sweep_tell_read_note},
        Line{Pc::sweep_tell_reread_header, "sweep_tell_reread_header",
             &PoolStep::sweep_tell_reread_header},
        Line{Pc::sweep_tell_resolve, "sweep_tell_resolve", &PoolStep::sweep_tell_resolve},
        Line{Pc::sweep_free_header, "sweep_free_header", &PoolStep::sweep_free_header},
        Line{Pc::sweep_receipt, "sweep_receipt", &PoolStep::sweep_receipt},
        Line{Pc::sweep_give_hint, "sweep_give_hint", &PoolStep::sweep_give_hint},
        Line{Pc::sweep_raise, "sweep_raise", &PoolStep::sweep_raise},
        Line{Pc::sweep_give_index_back, "sweep_give_index_back", &PoolStep::sweep_give_index_back},
        Line{Pc::sweep_clear_word, "sweep_clear_word", &PoolStep::sweep_clear_word},
    };
};

const PoolStep::Line& PoolStep::line_of(Pc pc) {
    constexpr auto& kLines = Table::kLines;
    static_assert(
        [] {
            for (std::size_t i = 0; i < kLines.size(); ++i) {
                if (kLines[i].pc != static_cast<Pc>(i)) return false;
            }
            return kLines.back().pc == Pc::sweep_clear_word;
        }(),
        "the table has every line, in the order of Pc");
    return kLines[static_cast<std::size_t>(pc)];
}

void PoolStep::idle() {
    STOA_CHECK(my_.pc != Pc::idle);  // an idle participant begins something, it has no next line
}

const char* PoolStep::run() {
    (this->*line_of(my_.pc).access)();
    return fault_;
}

const char* PoolStep::name_of(Pc pc) {
    return line_of(pc).name;
}

}  // namespace stoa::model
