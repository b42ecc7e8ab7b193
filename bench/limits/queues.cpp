// Limits for two senders and two receivers: a ring per pair (`lanes`), and one ring that all share
// (`ticket_queue`). Neither survives the death of a process. Four processes share two cpus, so who
// waits yields.
#include <vector>

#include "bench/limits/limits.hpp"
#include "bench/limits/spsc_ring.hpp"

namespace stoa::bench {

namespace {

constexpr unsigned kLanesEach = 2;
constexpr RingRules kRules{.wait = kSpinThenYield};

class LanesEnd {
public:
    LanesEnd(const std::vector<RingMemory>& rings, unsigned index, std::size_t bytes) {
        for (unsigned other = 0; other < kLanesEach; ++other) {
            out_.emplace_back(rings[index * kLanesEach + other]);
            in_.emplace_back(rings[other * kLanesEach + index], bytes);
        }
    }
    template <class Fill>
    void send(std::size_t bytes, Fill&& fill) {
        out_[turn_].send(bytes, fill);
        turn_ ^= 1U;
    }
    // Stays with one lane while it has messages, but not for ever.
    template <class Visit>
    void receive(Visit&& visit) {
        for (unsigned tries = 0;; ++tries) {
            if (++streak_ < 64 && in_[turn_].try_receive(visit)) return;
            streak_ = 0;
            turn_ ^= 1U;
            if (tries < 100) {
                cpu_pause();
            } else {
                sched_yield();
            }
        }
    }

private:
    std::vector<RingSender<kRules>> out_;
    std::vector<RingReceiver<kRules>> in_;
    unsigned turn_ = 0;
    unsigned streak_ = 0;
};

class Lanes {
public:
    static bool supports(const Case& c) {
        return c.workload == Workload::many_to_many && c.mode == Mode::single;
    }
    explicit Lanes(const Case& c) : bytes_{c.bytes} {
        for (unsigned i = 0; i < kLanesEach * kLanesEach; ++i) {
            rings_.emplace_back(c.bytes, c.ring_bytes() / (kLanesEach * kLanesEach));
        }
    }
    LanesEnd connect(const Role& role) { return {rings_, role.index, bytes_}; }

private:
    std::size_t bytes_;
    std::vector<RingMemory> rings_;
};

// A ticket names a slot and a lap; the slot's word says whose turn it is.
struct alignas(kTwoLines) TicketSlot {
    Atomic<std::uint64_t> turn{0};
    std::byte payload[64] = {};
};

struct Tickets {
    static constexpr std::uint64_t kSlots = 8192;
    alignas(kTwoLines) Atomic<std::uint64_t> tail{0};
    alignas(kTwoLines) Atomic<std::uint64_t> head{0};
    alignas(kTwoLines) TicketSlot slots[kSlots];

    Tickets() {
        for (std::uint64_t i = 0; i < kSlots; ++i) slots[i].turn.store(i, kRelaxed);
    }
    static void await(const TicketSlot& slot, std::uint64_t turn) noexcept {
        for (unsigned tries = 0; slot.turn.load(kAcquire) != turn; ++tries) {  // <- T1, T2
            if (tries < 100) {
                cpu_pause();
            } else {
                sched_yield();
            }
        }
    }
};

class TicketEnd {
public:
    TicketEnd(Tickets& queue, std::size_t bytes) : queue_{&queue}, bytes_{bytes} {}
    template <class Fill>
    void send(std::size_t /*bytes*/, Fill&& fill) {
        const std::uint64_t ticket = queue_->tail.fetch_add(1, kRelaxed);
        TicketSlot& slot = queue_->slots[ticket % Tickets::kSlots];
        Tickets::await(slot, ticket);
        fill(slot.payload);
        slot.turn.store(ticket + 1, kRelease);  // T1
    }
    template <class Visit>
    void receive(Visit&& visit) {
        const std::uint64_t ticket = queue_->head.fetch_add(1, kRelaxed);
        TicketSlot& slot = queue_->slots[ticket % Tickets::kSlots];
        Tickets::await(slot, ticket + 1);
        visit(static_cast<const std::byte*>(slot.payload), bytes_);
        slot.turn.store(ticket + Tickets::kSlots, kRelease);  // T2
    }

private:
    Tickets* queue_;
    std::size_t bytes_;
};

class TicketQueue {
public:
    static bool supports(const Case& c) {
        return c.workload == Workload::many_to_many && c.mode == Mode::single;
    }
    explicit TicketQueue(const Case& c) : bytes_{c.bytes} {}
    TicketEnd connect(const Role&) { return {*queue_, bytes_}; }

private:
    std::size_t bytes_;
    Shared<Tickets> queue_;
};

}  // namespace

void add_queue_limits(Subjects& subjects) {
    subjects.list.push_back(subject_of<Lanes>("lanes", Kind::limit));
    subjects.list.push_back(subject_of<TicketQueue>("ticket_queue", Kind::limit));
}

}  // namespace stoa::bench
