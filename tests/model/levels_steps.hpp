// The algorithm of levels_model.hpp, one access of shared memory at a time.
#pragma once

#include "tests/model/levels_model.hpp"

namespace stoa::model {

class LevelsStep {
public:
    LevelsStep(const LevelsConfig& config, LevelsState& state, int me)
        : config_(config),
          state_(state),
          my_(state.people[static_cast<std::size_t>(me)]),
          me_(static_cast<std::uint8_t>(me)) {}

    // Makes the access at `pc`. Returns nullptr, or the rule that it broke.
    [[nodiscard]] const char* run();

    // The wakes, of which the model chooses who gets them.
    void wake(int who);             // one that sleeps
    void ring_messages(int woken);  // kNoOne: nobody sleeps
    void ring_all();                // both bells: a recovery, a close
    void after_ring();              // of messages: what the ringer does next
    void ack();                     // with r_have
    void nack();
    void raise();
    [[nodiscard]] bool would_ring() const;  // or there is nothing to tell
    static constexpr int kNoOne = -1;

private:
    struct Look {
        bool is_empty = false;
        bool is_sealed = false;
    };
    void send_step();
    void count(bool again);
    void no_room();
    void publish();
    void refused();
    void receive_step();
    void take_step();
    void look_step();
    void end_step();
    void seal_look();
    void next_sealed();
    void end_scan();
    void end_chunks();
    void wait_step();

    static void note_ring(LevelsPerson& person);
    void start_send();
    void start_receive();
    void found_nothing(bool sealed);
    void begin_end();
    void got();
    void adopt(LevelsPc then, LevelsPc else_then);
    bool empty_slot();
    void delivered(std::uint8_t message, std::uint8_t who);
    [[nodiscard]] Look look(int level) const;
    [[nodiscard]] int depth(int level) const;
    [[nodiscard]] QueueSlot& here() {
        return state_.slots[my_.level][static_cast<std::size_t>(my_.position % config_.slots)];
    }
    [[nodiscard]] int lap() const noexcept { return my_.position / config_.slots; }
    [[nodiscard]] bool broken(LevelsMutant mutant) const noexcept {
        return config_.mutant == mutant;
    }
    [[nodiscard]] std::uint8_t bit(int level) const noexcept {
        return static_cast<std::uint8_t>(1 << level);
    }

    const LevelsConfig& config_;
    LevelsState& state_;
    LevelsPerson& my_;
    std::uint8_t me_;
    const char* fault_ = nullptr;
};

}  // namespace stoa::model
