// Rival: boost::lockfree::spsc_queue with a fixed capacity, placed in shared memory.
#include <boost/lockfree/spsc_queue.hpp>

#include "bench/rivals/packaged.hpp"

namespace stoa::bench {

namespace {

template <std::size_t kBytes>
constexpr std::size_t capacity_of() {
    return ring_bytes_for(kBytes, true) / kBytes;
}

template <std::size_t kBytes>
using Queue =
    boost::lockfree::spsc_queue<Element<kBytes>, boost::lockfree::capacity<capacity_of<kBytes>()>>;

template <std::size_t kSize>
class BoostEnd {
public:
    static constexpr std::size_t kBytes = kSize;
    BoostEnd(Queue<kSize>& out, Queue<kSize>& in) : out_{&out}, in_{&in}, buffer_{kSize * kBatch} {}

    template <class Fill>
    void send(std::size_t /*bytes*/, Fill&& fill) {
        fill(element()->bytes);
        while (!out_->push(*element())) cpu_pause();
    }
    template <class Fill>
    void send_batch(std::size_t /*bytes*/, std::size_t count, Fill&& fill) {
        for (std::size_t i = 0; i < count; ++i) fill(element()[i].bytes, i);
        for (std::size_t done = 0; done < count;) {
            const std::size_t more = out_->push(element() + done, count - done);
            if (more == 0) cpu_pause();
            done += more;
        }
    }
    template <class Visit>
    void receive(Visit&& visit) {
        const auto see = [&](const Element<kSize>& one) { visit(one.bytes, kSize); };
        while (!in_->consume_one(see)) cpu_pause();
    }
    template <class Visit>
    std::size_t receive_batch(std::size_t max, Visit&& visit) {
        for (;;) {
            const std::size_t count = in_->pop(element(), std::min(max, kBatch));
            for (std::size_t i = 0; i < count; ++i) visit(element()[i].bytes, kSize);
            if (count > 0) return count;
            cpu_pause();
        }
    }

private:
    Element<kSize>* element() noexcept { return reinterpret_cast<Element<kSize>*>(buffer_.data()); }
    Queue<kSize>* out_;
    Queue<kSize>* in_;
    Buffer buffer_;
};

template <std::size_t kBytes>
class BoostSpsc {
public:
    static bool supports(const Case& c) {
        return c.workload != Workload::many_to_many && spins_in(c);
    }
    explicit BoostSpsc(const Case&) {}
    BoostEnd<kBytes> connect(const Role& role) {
        return is_first(role) ? BoostEnd<kBytes>{*there_, *back_}
                              : BoostEnd<kBytes>{*back_, *there_};
    }

private:
    Shared<Queue<kBytes>> there_;
    Shared<Queue<kBytes>> back_;
};

}  // namespace

void add_boost_spsc(Subjects& subjects) {
    subjects.list.push_back(sized_subject_of<BoostSpsc, 8, 16, 32, 48, 64, 1024, 65536, 1048576>(
        "boost_spsc", Kind::rival));
}

}  // namespace stoa::bench
