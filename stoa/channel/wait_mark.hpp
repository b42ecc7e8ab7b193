// Says in the table of participants what a call waits for, as long as it waits.
//
// Start here: WaitMark mark{word, WaitsFor::message}; in the function that waits.
// Threads:    one thread per word.
// Processes:  the word is read by whoever looks, and by a rendezvous that must not wait.
// Death:      a dead waiter's word stays until its place is taken again; it is not believed.
// Blocking:   never.
// Lifetime:   borrows the word.
// Units:      steady clock, of the last tick.
// Source:     none.
#pragma once

#include "stoa/life/participants_layout.hpp"
#include "stoa/sys/coarse_clock.hpp"

namespace stoa {

class WaitMark {
public:
    WaitMark(Atomic<std::uint64_t>* word, WaitsFor what) noexcept : word_{word} {
        if (word_ == nullptr) return;
        const auto now_ns = static_cast<std::uint64_t>(sys::coarse_now().count());
        word_->store(waits_word(what, now_ns), kSeqCst);
    }
    WaitMark(const WaitMark&) = delete;
    WaitMark& operator=(const WaitMark&) = delete;
    ~WaitMark() {
        if (word_ != nullptr) word_->store(0, kRelaxed);
    }

private:
    Atomic<std::uint64_t>* word_;
};

}  // namespace stoa
