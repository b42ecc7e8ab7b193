// Limit `line`: one cache line goes there and one comes back; the payload lies beside the word that
// says it is ready.
#include "bench/limits/limits.hpp"

namespace stoa::bench {

namespace {

constexpr std::size_t kPayload = 48;  // with 16 bytes of head, as a record needs them

struct alignas(kTwoLines) Line {
    Atomic<std::uint64_t> ready{0};
    std::uint64_t unused = 0;
    std::byte payload[kPayload] = {};
};

struct Lines {
    Line there;
    Line back;
};

class LineEnd {
public:
    LineEnd(Line& out, Line& in, std::size_t bytes) : out_{&out}, in_{&in}, bytes_{bytes} {}
    template <class Fill>
    void send(std::size_t /*bytes*/, Fill&& fill) {
        fill(out_->payload);
        out_->ready.store(++sent_, kRelease);  // L1
    }
    template <class Visit>
    void receive(Visit&& visit) {
        ++received_;
        while (in_->ready.load(kAcquire) != received_) cpu_pause();  // <- L1
        visit(static_cast<const std::byte*>(in_->payload), bytes_);
    }

private:
    Line* out_;
    Line* in_;
    std::size_t bytes_;
    std::uint64_t sent_ = 0;
    std::uint64_t received_ = 0;
};

class LineSubject {
public:
    static bool supports(const Case& c) {
        return c.workload == Workload::round_trip && c.mode == Mode::spin && c.bytes <= kPayload;
    }
    explicit LineSubject(const Case& c) : bytes_{c.bytes} {}
    LineEnd connect(const Role& role) {
        if (role.part == Part::client) return {lines_->there, lines_->back, bytes_};
        return {lines_->back, lines_->there, bytes_};
    }

private:
    std::size_t bytes_;
    Shared<Lines> lines_;
};

}  // namespace

void add_line_limit(Subjects& subjects) {
    subjects.list.push_back(subject_of<LineSubject>("line", Kind::limit));
}

}  // namespace stoa::bench
