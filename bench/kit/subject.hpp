// What is measured: a subject is a way to move messages between processes.
//
// Start here: subject_of<S>() makes a Subject of a class S of this shape:
//   static bool supports(const Case&);       which cases it can take part in
//   explicit S(const Case&);                 before the fork: shared memory, names; may throw
//   E connect(const Role&);                  in each process: its endpoint; may throw
// and, to take part where one message goes to several, a static constexpr bool kBroadcasts = true;
// where policies are compared, kPolicy = true; for many named objects see crowd.hpp;
// and an endpoint E has
//   void send(std::size_t bytes, Fill fill);        calls fill(std::byte* place), then publishes
//   void receive(Visit visit);                      calls visit(const std::byte* at, bytes) once
// where a client or server uses both, a sender only send, a receiver only receive; and may have
//   void send_batch(bytes, count, fill);            fill(place, i) for each; published together
//   std::size_t receive_batch(max, visit);          visits 1..max messages
//   void flush();                                   publishes what it kept back
//   static constexpr std::size_t kBytes             the size of its messages, when it is fixed
// An endpoint that copies derives from CopyingEnd. Both throw Unavailable to be left out with a
// reason; a throw in connect() is a failure of the run.
// Threads:    none.
// Processes:  make() runs in the parent, run() in each child.
// Death:      a child that dies or hangs ends its run as failed; the session is destroyed after.
// Blocking:   an endpoint waits as Case::waiting() says, or has a name that tells how it waits.
// Lifetime:   a session lives for one measurement, of one case.
// Units:      bytes.
// Source:     none.
#pragma once

#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/kit/loops.hpp"

namespace stoa::bench {

enum class Kind : std::uint8_t { limit, rival, stoa };

// A subject that cannot run here, and why.
struct Unavailable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Session {
public:
    Session() = default;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    virtual ~Session() = default;
    // Connects, says ready, waits for the start, runs the loop of its role.
    virtual void run(const Case& c, const Role& role, Board& board) = 0;
};

struct Subject {
    std::string name;
    Kind kind{};
    std::function<bool(const Case&)> supports;
    std::function<std::unique_ptr<Session>(const Case&)> make;
};

// One name for both: the first where it takes part, else the second.
[[nodiscard]] inline Subject either(Subject first, Subject second) {
    return {first.name, first.kind,
            [=](const Case& c) { return first.supports(c) || second.supports(c); },
            [=](const Case& c) { return (first.supports(c) ? first : second).make(c); }};
}

// What the program was built without, or what cannot start here.
struct LeftOut {
    std::string name;
    std::string why;
};

struct Subjects {
    std::vector<Subject> list;
    std::vector<LeftOut> left_out;
};

// In a child: says ready and returns at the start; pins itself before that, but after the endpoint
// was made, so that a subject's own threads may run on any cpu.
void await_start(const Role& role, Board& board);

// How long this thread was ready to run while others had its cpu; 0 if the kernel does not say.
[[nodiscard]] std::uint64_t waited_for_cpu_ns() noexcept;

template <class S>
class SessionOf final : public Session {
public:
    explicit SessionOf(const Case& c) : subject_{c} {}
    void run(const Case& c, const Role& role, Board& board) override {
        auto end = subject_.connect(role);
        await_start(role, board);
        const std::uint64_t before = waited_for_cpu_ns();
        run_role(end, c, role, board);
        board.roles[role.board].waited_ns = waited_for_cpu_ns() - before;
    }

private:
    S subject_;
};

// One that broadcasts takes part in nothing else, and nothing else in a broadcast; the same for one
// that shows a policy.
template <class S>
[[nodiscard]] bool takes_part(const Case& c) {
    constexpr bool kBroadcasts = requires { S::kBroadcasts; };
    constexpr bool kPolicy = requires { S::kPolicy; };
    if (c.workload == Workload::heap || c.workload == Workload::newest) return false;
    if (c.workload == Workload::attach) return false;
    if (c.workload == Workload::mailboxes || c.workload == Workload::locks) return false;
    if (kPolicy != c.shows_policy()) return false;
    return kBroadcasts == (c.workload == Workload::broadcast) && S::supports(c);
}

template <class S>
[[nodiscard]] Subject subject_of(std::string name, Kind kind) {
    return {std::move(name), kind, takes_part<S>, [](const Case& c) -> std::unique_ptr<Session> {
                return std::make_unique<SessionOf<S>>(c);
            }};
}

// The same for a class template over the size of a message.
template <template <std::size_t> class S, std::size_t... kSizes>
[[nodiscard]] Subject sized_subject_of(std::string name, Kind kind) {
    return {std::move(name), kind,
            [](const Case& c) { return ((c.bytes == kSizes && takes_part<S<kSizes>>(c)) || ...); },
            [](const Case& c) {
                std::unique_ptr<Session> session;
                ((c.bytes == kSizes ? (session = std::make_unique<SessionOf<S<kSizes>>>(c), 0) : 0),
                 ...);
                return session;
            }};
}

// A message buffer of a process's own, on lines of its own.
class Buffer {
public:
    explicit Buffer(std::size_t bytes)
        : at_{static_cast<std::byte*>(
              std::aligned_alloc(kPage, (bytes + kPage - 1) & ~(kPage - 1)))} {
        if (!at_) throw std::bad_alloc{};
    }
    [[nodiscard]] std::byte* data() const noexcept { return at_.get(); }

private:
    struct Free {
        void operator()(std::byte* at) const noexcept { std::free(at); }
    };
    std::unique_ptr<std::byte, Free> at_;
};

// Makes an endpoint of a Raw with put(const std::byte*, std::size_t bytes) and
// std::size_t get(std::byte*, std::size_t capacity).
template <class Raw>
class CopyingEnd {
public:
    CopyingEnd(Raw raw, std::size_t bytes)
        : raw_{std::move(raw)}, bytes_{bytes}, out_{bytes}, in_{bytes} {}

    template <class Fill>
    void send(std::size_t bytes, Fill&& fill) {
        fill(out_.data());
        raw_.put(out_.data(), bytes);
    }
    template <class Visit>
    void receive(Visit&& visit) {
        const std::size_t size = raw_.get(in_.data(), bytes_);
        visit(static_cast<const std::byte*>(in_.data()), size);
    }

private:
    Raw raw_;
    std::size_t bytes_;
    Buffer out_;
    Buffer in_;
};

}  // namespace stoa::bench
