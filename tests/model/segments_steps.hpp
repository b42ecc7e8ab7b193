// The algorithm of segments_model.hpp, one access of shared memory at a time.
#pragma once

#include "tests/model/segments_model.hpp"

namespace stoa::model {

class SegmentsStep {
public:
    SegmentsStep(const SegmentsConfig& config, SegmentsState& state, int me)
        : config_(config),
          state_(state),
          my_(state.people[static_cast<std::size_t>(me)]),
          me_(static_cast<std::uint8_t>(me)) {}

    // Makes the access at `pc`. Returns nullptr, or the rule that it broke.
    [[nodiscard]] const char* run();

    // Where somebody has a choice.
    void begin_send();
    void begin_reserve();
    void give_up_loan();
    void begin_receive();
    void keep();
    void give_up_kept();
    void begin_nack();
    void begin_recovery(int dead);
    void begin_look();
    void no_space();  // in place of the reserve
    [[nodiscard]] const char* ack_or_release();

private:
    void send_step();
    void claim();
    void publish();
    void grow_step();
    void claim_entry();
    void link();
    void give_step();
    void gave();
    void last_step();
    void found_last(const PieceRef& found);
    void hold_step();
    void held();
    void not_held();
    void list_step();
    void list_next();
    void list_begin();
    void refresh_step();
    void take_step();
    void take_next();
    void took();
    void seal_step();
    void sealed();
    void back_step();
    void back_next();
    void end_step();
    void end_next();
    void mark_the_end();
    void goes_on();
    void leave_behind();
    void leave_next();
    void after_take();
    void free_step();
    void free_done();
    void retire_step();
    void retire_ring();
    void look_at_pin();
    void next_pin();
    void retired(bool done);
    void recover_step();
    void recover_ring();
    void recover_next();
    void entry_next();

    void begin_last(LastFor why);
    void begin_hold(HoldFor why, const PieceRef& at);
    void begin_list(ListFor why);
    void begin_retire(RetireFor why, const PieceRef& at);
    void begin_refresh();
    void begin_take();
    void begin_free();
    void rest();
    void touch();
    void deliver(const Piece& piece);
    void note_emptiness();
    [[nodiscard]] bool is_there(const PieceWord& word, std::uint8_t generation) const;
    [[nodiscard]] bool is_last(const PieceRef& ref) const;
    [[nodiscard]] bool is_held(std::uint8_t slot, std::uint8_t generation) const;
    [[nodiscard]] int newest() const;  // slot of the newest known; -1: none
    [[nodiscard]] int first_behind(int position) const;
    [[nodiscard]] int known_count() const;
    [[nodiscard]] PiecePin pin_for() const;
    [[nodiscard]] PieceWord word_of(PieceState state) const;
    [[nodiscard]] Piece& here() { return state_.pieces[my_.at.slot]; }
    [[nodiscard]] std::uint8_t& pin(PiecePin which) {
        return my_.pins[static_cast<std::size_t>(which)];
    }
    [[nodiscard]] bool broken(SegmentsMutant mutant) const noexcept {
        return config_.mutant == mutant;
    }
    [[nodiscard]] int people() const noexcept {
        return config_.senders + config_.receivers + config_.sweepers;
    }

    const SegmentsConfig& config_;
    SegmentsState& state_;
    SegmentsPerson& my_;
    std::uint8_t me_;
    const char* fault_ = nullptr;
};

}  // namespace stoa::model
