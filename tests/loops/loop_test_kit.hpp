// What every loop is tested with: a set with a mailbox, a signal, a timer and the death of a child
// that sends messages, sends a signal and then ends.
//
// Start here: Scene; take_ready() each time that the loop finds the set's descriptor readable.
// Threads:    one.
// Processes:  the child is killed with the scene.
// Death:      of the child: its last word.
// Blocking:   never.
// Lifetime:   the set is watched by the loop until done().
// Units:      none.
// Source:     own.
#pragma once

#include <csignal>
#include <cstdint>

#include "stoa/mailbox/mailbox.hpp"
#include "stoa/wait/wait_set.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa::kit {

class Scene {
public:
    static constexpr std::uint64_t kMessages = 50;

    [[nodiscard]] WaitSet& set() noexcept { return set_; }
    // What is ready now, without waiting.
    void take_ready() {
        const auto all = set_.try_wait();
        if (!all) return;
        for (const Ready& ready : *all) {
            if (ready.tag == kMessage) take_messages();
            if (ready.tag == kSignal) signal_value_ = ready.signal.value;
            if (ready.tag == kTick) ticks_ += ready.count;
            if (ready.tag == kDeath) died_ = true;
            if (ready.tag == kDeath || (ready.tag == kTick && ticks_ >= 3)) {
                EXPECT_TRUE(set_.remove(ready.id));
            }
        }
    }
    [[nodiscard]] bool done() const noexcept {
        return received_ == kMessages && signal_value_ == kMessages && ticks_ >= 3 && died_;
    }

private:
    enum Tag : std::uint64_t { kMessage, kSignal, kTick, kDeath };
    using Numbers = Mailbox<std::uint64_t>;

    void take_messages() {
        while (const auto message = numbers_.try_receive()) {
            EXPECT_EQ(message->value(), received_);
            ++received_;
        }
    }
    static void talk(const sys::Identity& parent) {
        Numbers numbers = Numbers::open("numbers").value();
        for (std::uint64_t i = 0; i < kMessages; ++i) EXPECT_TRUE(numbers.send(i));
        EXPECT_TRUE(sys::send_signal(parent, SIGRTMIN + 2, kMessages));
    }

    TempDomain domain_{};
    Numbers numbers_ = Numbers::create("numbers", {.capacity = bounded(8)}).value();
    WaitSet set_ = WaitSet::create().value();
    // Blocked before the child starts, so that its signal waits.
    WaitId message_ = set_.add(numbers_.readable(), kMessage).value();
    WaitId signal_ = set_.add(Signal{SIGRTMIN + 2}, kSignal).value();
    WaitId tick_ = set_.add(Timer::every(std::chrono::milliseconds{2}), kTick).value();
    Child child_{[parent = sys::self().value()] { talk(parent); }};
    WaitId death_ = set_.add(Death::of_child(child_.pid()), kDeath).value();
    std::uint64_t received_ = 0;
    std::uint64_t signal_value_ = 0;
    std::uint64_t ticks_ = 0;
    bool died_ = false;
};

}  // namespace stoa::kit
