// Rival: Maxim Egorushkin's atomic_queue, its queue of plain elements, placed in shared memory.
#include <atomic_queue/atomic_queue.h>

#include "bench/rivals/packaged.hpp"

namespace stoa::bench {

namespace {

template <std::size_t kBytes>
constexpr unsigned capacity_of() {
    return static_cast<unsigned>(ring_bytes_for(kBytes, true) / kBytes);
}

template <std::size_t kBytes, bool kOneEach>
using Queue =
    atomic_queue::AtomicQueue2<Element<kBytes>, capacity_of<kBytes>(), true, true, false, kOneEach>;

template <std::size_t kSize, bool kOneEach>
class AtomicQueueEnd {
public:
    static constexpr std::size_t kBytes = kSize;
    using Q = Queue<kSize, kOneEach>;
    AtomicQueueEnd(Q& out, Q& in) : out_{&out}, in_{&in} {}

    template <class Fill>
    void send(std::size_t /*bytes*/, Fill&& fill) {
        fill(one_.bytes);
        for (unsigned tries = 0; !out_->try_push(one_); ++tries) pause_or_yield(tries, !kOneEach);
    }
    template <class Visit>
    void receive(Visit&& visit) {
        for (unsigned tries = 0; !in_->try_pop(one_); ++tries) pause_or_yield(tries, !kOneEach);
        visit(static_cast<const std::byte*>(one_.bytes), kBytes);
    }

private:
    Q* out_;
    Q* in_;
    Element<kBytes> one_;
};

template <std::size_t kBytes>
class AtomicQueuePair {
public:
    static bool supports(const Case& c) {
        return c.workload != Workload::many_to_many && spins_in(c);
    }
    explicit AtomicQueuePair(const Case&) {}
    AtomicQueueEnd<kBytes, true> connect(const Role& role) {
        if (is_first(role)) return {*there_, *back_};
        return {*back_, *there_};
    }

private:
    Shared<Queue<kBytes, true>> there_;
    Shared<Queue<kBytes, true>> back_;
};

template <std::size_t kBytes>
class AtomicQueueMany {
public:
    static bool supports(const Case& c) { return c.workload == Workload::many_to_many; }
    explicit AtomicQueueMany(const Case&) {}
    AtomicQueueEnd<kBytes, false> connect(const Role&) { return {*queue_, *queue_}; }

private:
    Shared<Queue<kBytes, false>> queue_;
};

}  // namespace

void add_atomic_queue(Subjects& subjects) {
    subjects.list.push_back(sized_subject_of<AtomicQueuePair, 8, 16, 32, 48, 64, 1024, 65536>(
        "atomic_queue", Kind::rival));
    subjects.list.push_back(
        sized_subject_of<AtomicQueueMany, 64>("atomic_queue_many", Kind::rival));
}

}  // namespace stoa::bench
