// Limit `log`: one ring, one position of its sender, a cursor for each of three receivers. Nobody
// may die, join or skip. What a sender publishes in one go is eight messages, or its batch.
#include "bench/limits/limits.hpp"
#include "bench/limits/spsc_ring.hpp"

namespace stoa::bench {

namespace {

constexpr unsigned kReceivers = 3;
constexpr unsigned kPublishEvery = 8;

struct LogWords {
    alignas(kTwoLines) Atomic<std::uint32_t> tail{0};  // messages ever sent
    struct alignas(kTwoLines) Cursor {
        Atomic<std::uint32_t> read{0};  // messages ever read
    };
    Cursor cursors[kReceivers];
};

// Four processes share two cpus, so who waits yields.
template <class Ready>
void spin_then_yield(Ready&& ready) noexcept {
    for (unsigned tries = 0; !ready(); ++tries) {
        if (tries < 100) {
            cpu_pause();
        } else {
            sched_yield();
        }
    }
}

class LogEnd {
public:
    LogEnd(const RingMemory& ring, LogWords& words, unsigned index)
        : words_{&words},
          cursor_{&words.cursors[index]},
          slots_{ring.slots()},
          stride_{ring.stride()},
          count_{ring.count()} {}

    template <class Fill>
    void send(std::size_t /*bytes*/, Fill&& fill) {
        make_room(1);
        fill(slot(at_));
        if (++at_ - published_ >= kPublishEvery) flush();
    }
    template <class Fill>
    void send_batch(std::size_t /*bytes*/, std::size_t count, Fill&& fill) {
        make_room(static_cast<std::uint32_t>(count));
        for (std::size_t i = 0; i < count; ++i) fill(slot(at_++), i);
        flush();
    }
    void flush() noexcept {
        published_ = at_;
        words_->tail.store(at_, kRelease);  // G1
    }
    template <class Visit>
    void receive(Visit&& visit) {
        (void)receive_batch(1, visit);
    }
    template <class Visit>
    std::size_t receive_batch(std::size_t most, Visit&& visit) {
        if (at_ == seen_) {
            give_back();
            spin_then_yield([&] { return (seen_ = words_->tail.load(kAcquire)) != at_; });  // <- G1
        }
        const std::size_t count = std::min<std::size_t>(most, seen_ - at_);
        for (std::size_t i = 0; i < count; ++i) {
            visit(static_cast<const std::byte*>(slot(at_++)), stride_);
        }
        if (at_ - published_ >= count_ / 8) give_back();
        return count;
    }

private:
    std::byte* slot(std::uint32_t at) const noexcept {
        return slots_ + (at & (count_ - 1)) * stride_;
    }
    void give_back() noexcept {
        published_ = at_;
        cursor_->read.store(at_, kRelease);  // G2
    }
    void make_room(std::uint32_t wanted) noexcept {
        if (count_ - (at_ - seen_) >= wanted) [[likely]]
            return;
        flush();
        wanted = std::max(wanted, count_ / 8);  // or it would go on for every few
        spin_then_yield([&] {
            seen_ = at_;
            for (const LogWords::Cursor& cursor : words_->cursors) {
                const std::uint32_t read = cursor.read.load(kAcquire);  // <- G2
                if (at_ - read > at_ - seen_) seen_ = read;
            }
            return count_ - (at_ - seen_) >= wanted;
        });
    }

    LogWords* words_;
    LogWords::Cursor* cursor_;
    std::byte* slots_;
    std::size_t stride_;
    std::uint32_t count_;
    std::uint32_t at_ = 0;         // messages sent, or read
    std::uint32_t seen_ = 0;       // sender: the slowest cursor; receiver: the tail
    std::uint32_t published_ = 0;  // of at_, to the other side
};

class LogSubject {
public:
    static constexpr bool kBroadcasts = true;
    static bool supports(const Case& c) { return c.bytes % kCacheLine == 0; }
    explicit LogSubject(const Case& c) : ring_{c.bytes, c.ring_bytes()} {}
    LogEnd connect(const Role& role) {
        return {ring_, *words_, role.part == Part::sender ? 0 : role.index};
    }

private:
    RingMemory ring_;
    Shared<LogWords> words_;
};

}  // namespace

void add_log_limit(Subjects& subjects) {
    subjects.list.push_back(subject_of<LogSubject>("log", Kind::limit));
}

}  // namespace stoa::bench
