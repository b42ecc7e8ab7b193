// What policies cost on the pool ring: over two mailboxes to and fro, one way, and where each send
// waits until the other side has its message. Each policy is a struct of kName and options().
#include "bench/stoa/stoa_kit.hpp"
#include "bench/stoa/stoa_subjects.hpp"

namespace stoa::bench {

namespace {

constexpr std::size_t kSize = 64;
using Message = Value<kSize>;
using Box = Mailbox<Message>;

class End {
public:
    static constexpr std::size_t kBytes = kSize;
    End(Box out, Box in, std::uint32_t priorities)
        : out_{std::move(out)}, in_{std::move(in)}, priorities_{priorities} {}
    template <class Fill>
    void send(std::size_t /*bytes*/, Fill&& fill) {
        fill(message_.bytes.data());
        need(out_.send(message_, {.priority = turn_}));
        turn_ = turn_ + 1 < priorities_ ? turn_ + 1 : 0;
    }
    template <class Visit>
    void receive(Visit&& visit) {
        need(in_.receive_into(message_));
        visit(static_cast<const std::byte*>(message_.bytes.data()), kSize);
    }

private:
    Box out_;
    Box in_;
    std::uint32_t priorities_;
    std::uint32_t turn_ = 0;
    Message message_{};
};

// The capacity that a user gets who names none.
MailboxOptions usual_options(const Case& c) {
    MailboxOptions options = pool_options(c);
    options.capacity = MailboxOptions{}.capacity;
    return options;
}

struct Any {
    static constexpr const char* kName = "stoa_any";
    static MailboxOptions options(const Case& c) { return usual_options(c); }
};
// Each message has another priority than the one before it.
struct Priorities {
    static constexpr const char* kName = "stoa_priorities";
    static MailboxOptions options(const Case& c) {
        MailboxOptions options = usual_options(c);
        options.priorities = 32;
        return options;
    }
};
// A flow would make it grow: to and fro only.
struct Unbounded {
    static constexpr const char* kName = "stoa_unbounded";
    static MailboxOptions options(const Case& c) {
        MailboxOptions options = usual_options(c);
        options.capacity = unbounded(64U << 20U);
        return options;
    }
};

template <class Policy>
class Policies {
public:
    static constexpr bool kPolicy = true;
    static bool supports(const Case& c) {
        if (c.workload != Workload::policies || c.bytes != kSize) return false;
        return c.mode == Mode::spin || !std::is_same_v<Policy, Unbounded>;
    }
    explicit Policies(const Case& c) : files_{c, 2, Policy::options(c), type_info_of<Message>()} {}
    End connect(const Role& role) {
        const bool swapped = role.part == Part::server;  // a flow uses the first one alone
        const bool flow = role.part == Part::sender || role.part == Part::receiver;
        Box out = open(swapped ? 1 : 0);
        Box in = open(swapped || flow ? 0 : 1);
        const std::uint32_t priorities = out.raw().plan().priorities;
        return {std::move(out), std::move(in), priorities};
    }

private:
    Box open(unsigned which) {
        return need(Box::attach(files_.file(which), files_.how(stoa::Role::both)));
    }
    Files files_;
};

// --- answered -----------------------------------------------------------------------------------

// A message and a reply over two mailboxes.
struct Handovers {
    static constexpr const char* kName = "stoa_handovers";
    static MailboxOptions options(const Case& c) { return pool_options(c); }
    static void send(Box& there, Box& back, Message& message) {
        need(there.send(message));
        need(back.receive_into(message));
    }
    static void receive(Box& there, Message& message) { need(there.receive_into(message)); }
    static void reply(Box& back, const Message& message) { need(back.send(message)); }
};
struct Rendezvous {
    static constexpr const char* kName = "stoa_rendezvous";
    static MailboxOptions options(const Case& c) {
        MailboxOptions options = pool_options(c);
        options.capacity = zero();
        return options;
    }
    static void send(Box& there, Box& /*back*/, Message& message) { need(there.send(message)); }
    static void receive(Box& there, Message& message) { need(there.receive_into(message)); }
    static void reply(Box& /*back*/, const Message& /*message*/) {}
};
struct Receipts {
    static constexpr const char* kName = "stoa_receipts";
    static constexpr Outcome kOutcome = Outcome::taken;
    static MailboxOptions options(const Case& c) {
        MailboxOptions options = pool_options(c);
        options.receipts = true;
        return options;
    }
    static void send(Box& there, Box& /*back*/, Message& message) {
        Receipt receipt = need(there.send_with_receipt(message));
        const Answer answer = need(receipt.wait());
        if (answer.outcome != kOutcome && answer.outcome != Outcome::acked) {
            throw Unavailable{"a receipt ended with another outcome"};
        }
    }
    static void receive(Box& there, Message& message) { need(there.receive_into(message)); }
    static void reply(Box& /*back*/, const Message& /*message*/) {}
};
// The receipt waits for the ack.
struct Acks : Receipts {
    static constexpr const char* kName = "stoa_acks";
    static MailboxOptions options(const Case& c) {
        MailboxOptions options = Receipts::options(c);
        options.acknowledged = true;
        return options;
    }
};

template <class Way>
class AnsweredEnd {
public:
    static constexpr std::size_t kBytes = kSize;
    AnsweredEnd(Box there, Box back) : there_{std::move(there)}, back_{std::move(back)} {}
    template <class Fill>
    void send(std::size_t /*bytes*/, Fill&& fill) {
        fill(message_.bytes.data());
        Way::send(there_, back_, message_);
    }
    template <class Visit>
    void receive(Visit&& visit) {
        Way::receive(there_, message_);
        visit(static_cast<const std::byte*>(message_.bytes.data()), kSize);
        Way::reply(back_, message_);
    }

private:
    Box there_;
    Box back_;
    Message message_{};
};

template <class Way>
class Answered {
public:
    static constexpr bool kPolicy = true;
    static bool supports(const Case& c) {
        return c.workload == Workload::answered && c.bytes == kSize;
    }
    explicit Answered(const Case& c) : files_{c, 2, Way::options(c), type_info_of<Message>()} {}
    AnsweredEnd<Way> connect(const Role& /*role*/) { return {open(0), open(1)}; }

private:
    Box open(unsigned which) {
        return need(Box::attach(files_.file(which), files_.how(stoa::Role::both)));
    }
    Files files_;
};

template <template <class> class S, class... Ways>
void add(Subjects& subjects) {
    (subjects.list.push_back(subject_of<S<Ways>>(Ways::kName, Kind::stoa)), ...);
}

}  // namespace

Subject stoa_any_to_and_fro() {
    return subject_of<Policies<Any>>(Any::kName, Kind::stoa);
}

void add_stoa_policies(Subjects& subjects) {
    add<Policies, Priorities, Unbounded>(subjects);
    add<Answered, Handovers, Rendezvous, Receipts, Acks>(subjects);
}

}  // namespace stoa::bench
