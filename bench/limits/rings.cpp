// Limits made of one ring each way: in place, with a reader that backs off, lazy, in batches, with
// each way of waiting, and with payloads that nobody touches.
#include "bench/limits/limits.hpp"
#include "bench/limits/spsc_ring.hpp"

namespace stoa::bench {

namespace {

constexpr unsigned kBackoff = 150;
constexpr unsigned kLazy = 8;

template <RingRules kRules, bool (*kSupports)(const Case&)>
class RingSubject {
public:
    static bool supports(const Case& c) { return kSupports(c); }
    explicit RingSubject(const Case& c)
        : bytes_{c.bytes}, there_{c.bytes, c.ring_bytes()}, back_{c.bytes, c.ring_bytes()} {}
    RingEnd<kRules> connect(const Role& role) {
        const bool first = role.part == Part::client || role.part == Part::sender;
        return first ? RingEnd<kRules>{there_, back_, bytes_}
                     : RingEnd<kRules>{back_, there_, bytes_};
    }

private:
    std::size_t bytes_;
    RingMemory there_;
    RingMemory back_;
};

bool spinning_pair(const Case& c) {
    return (c.workload == Workload::round_trip && c.mode == Mode::spin) ||
           (c.workload == Workload::waiting && c.mode != Mode::park && c.mode != Mode::adaptive);
}
bool ring_cases(const Case& c) {
    return spinning_pair(c) || (c.workload == Workload::one_way && c.mode == Mode::single);
}
bool single_flow(const Case& c) {
    return c.workload == Workload::one_way && c.mode == Mode::single;
}
bool batch_flow(const Case& c) {
    return c.workload == Workload::one_way && c.mode == Mode::batch;
}
bool loans(const Case& c) {
    return c.workload == Workload::loan;
}
bool parked(const Case& c) {
    return (c.workload == Workload::round_trip && c.mode == Mode::park) ||
           (c.workload == Workload::waiting && c.mode != Mode::spin && c.mode != Mode::adaptive);
}
bool policies(const Case& c) {
    return c.workload == Workload::waiting && c.mode != Mode::spin && c.mode != Mode::park;
}
bool adaptive(const Case& c) {
    return policies(c) || (c.workload == Workload::round_trip && c.mode == Mode::adaptive);
}

constexpr RingRules kPlain{};

template <RingRules kRules, bool (*kSupports)(const Case&)>
void add(Subjects& subjects, const char* name) {
    subjects.list.push_back(subject_of<RingSubject<kRules, kSupports>>(name, Kind::limit));
}

}  // namespace

void add_ring_limits(Subjects& subjects) {
    add<kPlain, ring_cases>(subjects, "ring");
    add<RingRules{.backoff_pauses = kBackoff}, single_flow>(subjects, "ring_backoff");
    add<RingRules{.publish_every = kLazy}, single_flow>(subjects, "ring_lazy");
    add<kPlain, batch_flow>(subjects, "ring_batch");
    add<kPlain, loans>(subjects, "loan_index");
    add<RingRules{.wait = kPark}, parked>(subjects, "futex");
    add<RingRules{.wait = kSpinThenPark}, adaptive>(subjects, "spin_futex");
    add<RingRules{.wait = kAskCoreThenPark}, policies>(subjects, "core_futex");
    add<RingRules{.wait = kAskCoreYieldThenPark}, policies>(subjects, "core_yield_futex");
}

}  // namespace stoa::bench
