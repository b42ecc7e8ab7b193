// An in-place ring of equal slots, one sender, one receiver, no crash safety: what the limits
// share.
//
// Start here: RingRules; RingMemory before the fork, RingSender and RingReceiver after it.
// Threads:    one on each side.
// Processes:  the two sides may be in different ones.
// Death:      not handled.
// Blocking:   as RingRules::wait says.
// Lifetime:   the memory outlives the sides.
// Units:      positions count messages and wrap at 2^32; slots are whole cache lines, or 8 bytes.
// Source:     Lamport 1983 (one index per side); Lee, Bu, Chandranmenon 2010 (cached peer index).
#pragma once

#include <algorithm>
#include <bit>

#include "bench/limits/wait_rules.hpp"

namespace stoa::bench {

struct RingRules {
    WaitRules wait = kSpin;
    unsigned publish_every = 1;   // messages; more than 1 is lazy, and needs flush() at the end
    unsigned backoff_pauses = 0;  // of a reader that ran into the end of a streak
};

class RingMemory {
public:
    RingMemory(std::size_t bytes, std::size_t ring_bytes)
        : stride_{bytes <= 8 ? 8 : (bytes + kCacheLine - 1) / kCacheLine * kCacheLine},
          count_{static_cast<std::uint32_t>(std::bit_floor(ring_bytes / stride_))},
          slots_{stride_ * count_} {}

    struct Words {
        WaitWord tail;  // messages ever sent; sender writes
        WaitWord head;  // messages ever freed; receiver writes
    };
    [[nodiscard]] Words& words() const noexcept { return *words_; }
    [[nodiscard]] std::byte* slots() const noexcept { return slots_.data(); }
    [[nodiscard]] std::size_t stride() const noexcept { return stride_; }
    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }

private:
    std::size_t stride_;
    std::uint32_t count_;
    Shared<Words> words_;
    SharedMemory slots_;
};

// Calls see(place, i, bytes) for `count` slots in a row; for the sizes of most messages the
// compiler knows how far they lie apart.
template <class Byte, class See>
[[gnu::always_inline]] inline void each_slot(Byte* at, std::size_t bytes, std::size_t stride,
                                             std::size_t count, See&& see) {
    const auto apart = [&](auto constant) {
        for (std::size_t i = 0; i < count; ++i) see(at + i * constant(), i, constant());
    };
    if (bytes == 8) return apart(std::integral_constant<std::size_t, 8>{});
    if (bytes == 64) return apart(std::integral_constant<std::size_t, 64>{});
    for (std::size_t i = 0; i < count; ++i) see(at + i * stride, i, bytes);
}

template <RingRules kRules>
class RingSender {
public:
    explicit RingSender(const RingMemory& ring)
        : words_{&ring.words()},
          slots_{ring.slots()},
          stride_{ring.stride()},
          count_{ring.count()} {}

    template <class Fill>
    void send(std::size_t /*bytes*/, Fill&& fill) {
        if (tail_ - head_seen_ == count_) [[unlikely]]
            wait_for_room();
        fill(slot(tail_));
        if (++tail_ - published_ >= kRules.publish_every) flush();
    }
    template <class Fill>
    void send_batch(std::size_t bytes, std::size_t count, Fill&& fill) {
        while (count_ - (tail_ - head_seen_) < count) wait_for_room();
        for (std::size_t done = 0; done < count;) {
            const std::uint32_t at = tail_ & (count_ - 1);
            const std::size_t run = std::min<std::size_t>(count - done, count_ - at);
            each_slot(slot(tail_), bytes, stride_, run,
                      [&](std::byte* place, std::size_t i, std::size_t /*bytes*/) {
                          fill(place, done + i);
                      });
            tail_ += static_cast<std::uint32_t>(run);
            done += run;
        }
        flush();
    }
    void flush() noexcept {
        if (published_ != tail_) Waiter<kRules.wait>::publish(words_->tail, published_ = tail_);
    }

private:
    std::byte* slot(std::uint32_t at) const noexcept {
        return slots_ + (at & (count_ - 1)) * stride_;
    }
    void wait_for_room() noexcept {
        flush();
        const std::uint32_t seen = head_seen_;
        head_seen_ =
            Waiter<kRules.wait>::wait(words_->head, [&](std::uint32_t v) { return v != seen; });
    }

    RingMemory::Words* words_;
    std::byte* slots_;
    std::size_t stride_;
    std::uint32_t count_;
    std::uint32_t tail_ = 0;
    std::uint32_t published_ = 0;
    std::uint32_t head_seen_ = 0;
};

template <RingRules kRules>
class RingReceiver {
public:
    RingReceiver(const RingMemory& ring, std::size_t bytes)
        : words_{&ring.words()},
          slots_{ring.slots()},
          stride_{ring.stride()},
          bytes_{bytes},
          count_{ring.count()},
          free_every_{std::clamp(count_ / 8, 1U, 64U)} {}

    template <class Visit>
    void receive(Visit&& visit) {
        if (head_ == tail_seen_) wait_for_message();
        take(visit);
    }
    template <class Visit>
    std::size_t receive_batch(std::size_t max, Visit&& visit) {
        if (head_ == tail_seen_) wait_for_message();
        const std::uint32_t n = std::min(tail_seen_ - head_, static_cast<std::uint32_t>(max));
        const std::uint32_t run = std::min(n, count_ - (head_ & (count_ - 1)));
        each_slot(
            slot(head_), bytes_, stride_, run,
            [&](const std::byte* place, std::size_t, std::size_t size) { visit(place, size); });
        head_ += run;
        give_back();
        return run;
    }
    template <class Visit>
    bool try_receive(Visit&& visit) {
        if (head_ == tail_seen_) {
            tail_seen_ = words_->tail.value.load(kAcquire);
            if (head_ == tail_seen_) {
                if (freed_ != head_) free_all();
                return false;
            }
        }
        take(visit);
        return true;
    }

private:
    const std::byte* slot(std::uint32_t at) const noexcept {
        return slots_ + (at & (count_ - 1)) * stride_;
    }
    template <class Visit>
    void take(Visit&& visit) {
        visit(slot(head_), bytes_);
        ++head_;
        give_back();
    }
    void give_back() noexcept {
        if (head_ - freed_ >= free_every_) free_all();
    }
    void free_all() noexcept { Waiter<kRules.wait>::publish(words_->head, freed_ = head_); }
    void wait_for_message() noexcept {
        tail_seen_ = words_->tail.value.load(kAcquire);
        if (head_ == tail_seen_) {
            if (freed_ != head_) free_all();
            if constexpr (kRules.backoff_pauses > 0) {
                if (head_ - streak_start_ >= 16) {
                    for (unsigned i = 0; i < kRules.backoff_pauses; ++i) cpu_pause();
                }
                streak_start_ = head_;
            }
            tail_seen_ = Waiter<kRules.wait>::wait(words_->tail,
                                                   [&](std::uint32_t v) { return v != head_; });
        }
    }

    RingMemory::Words* words_;
    const std::byte* slots_;
    std::size_t stride_;
    std::size_t bytes_;
    std::uint32_t count_;
    std::uint32_t free_every_;
    std::uint32_t head_ = 0;
    std::uint32_t freed_ = 0;
    std::uint32_t tail_seen_ = 0;
    std::uint32_t streak_start_ = 0;
};

// Both directions, for a client or a server; a flow uses the first ring only.
template <RingRules kRules>
class RingEnd {
public:
    RingEnd(const RingMemory& out, const RingMemory& in, std::size_t bytes)
        : out_{out}, in_{in, bytes} {}
    template <class Fill>
    void send(std::size_t bytes, Fill&& fill) {
        out_.send(bytes, fill);
    }
    template <class Fill>
    void send_batch(std::size_t bytes, std::size_t count, Fill&& fill) {
        out_.send_batch(bytes, count, fill);
    }
    void flush() noexcept { out_.flush(); }
    template <class Visit>
    void receive(Visit&& visit) {
        in_.receive(visit);
    }
    template <class Visit>
    std::size_t receive_batch(std::size_t max, Visit&& visit) {
        return in_.receive_batch(max, visit);
    }

private:
    RingSender<kRules> out_;
    RingReceiver<kRules> in_;
};

}  // namespace stoa::bench
