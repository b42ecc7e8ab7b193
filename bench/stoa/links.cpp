// Links of two named processes, as a user has them: values of up to 64 bytes are copied in and out,
// larger messages are filled and read in place. stoa_call asks and waits for the reply.
#include <unistd.h>

#include <memory>
#include <string>

#include "bench/stoa/stoa_kit.hpp"
#include "bench/stoa/stoa_subjects.hpp"
#include "stoa/link/process.hpp"

namespace stoa::bench {

namespace {

// Names of one run: the process that made the subject is the parent of both.
std::string name_of(const std::string& id, bool first) {
    return "bench-" + id + (first ? "-a" : "-b");
}

bool is_first(const Role& role) {
    return role.part == Part::client || role.part == Part::sender;
}

bool is_pair(const Case& c) {
    return (c.workload == Workload::round_trip || c.workload == Workload::one_way ||
            c.workload == Workload::loan) &&
           c.mode != Mode::batch && c.pairs() == 1;
}

struct Ends {
    Process process;
    Link link;

    static Ends join(const Case& c, const std::string& id, const Role& role) {
        Process process =
            need(Process::join(name_of(id, is_first(role)), {.waiting = waiting_of(c)}));
        const std::uint64_t slots =
            std::clamp<std::uint64_t>(c.ring_bytes() / c.bytes, 4, 1U << 16U);
        const LinkOptions options{.capacity = bounded(static_cast<std::uint32_t>(slots)),
                                  .max_bytes = static_cast<std::uint32_t>(c.bytes),
                                  .reserve_bytes = c.ring_bytes()};
        Link link =
            need(process.link(name_of(id, !is_first(role)), options, {.wait_for_join = true}));
        return {std::move(process), std::move(link)};
    }
};

template <std::size_t kSize>
class LinkEnd {
public:
    static constexpr std::size_t kBytes = kSize;
    explicit LinkEnd(Ends ends) : ends_{std::move(ends)} {}

    template <class Fill>
    void send(std::size_t /*bytes*/, Fill&& fill) {
        Value<kSize> value;
        fill(value.bytes.data());
        need(ends_.link.send(value));
    }
    template <class Visit>
    void receive(Visit&& visit) {
        Value<kSize> value;
        need(ends_.link.receive_into(value));
        visit(static_cast<const std::byte*>(value.bytes.data()), kSize);
    }

private:
    Ends ends_;
};

class LinkLoanEnd {
public:
    explicit LinkLoanEnd(Ends ends) : ends_{std::move(ends)} {}

    template <class Fill>
    void send(std::size_t bytes, Fill&& fill) {
        LinkLoan loan = need(ends_.link.loan(bytes));
        fill(loan.room().data());
        need(loan.commit(bytes));
    }
    template <class Visit>
    void receive(Visit&& visit) {
        const Received<Bytes> message = need(ends_.link.receive<Bytes>());
        visit(message.value().data(), message.value().size());
    }

private:
    Ends ends_;
};

// The client's send is a call; what its receive visits is the reply.
template <std::size_t kSize>
class CallEnd {
public:
    static constexpr std::size_t kBytes = kSize;
    CallEnd(Ends ends, bool asks) : ends_{std::move(ends)}, asks_{asks} {}

    template <class Fill>
    void send(std::size_t /*bytes*/, Fill&& fill) {
        fill(value_.bytes.data());
        if (!asks_) need(reply_.send(value_));
    }
    template <class Visit>
    void receive(Visit&& visit) {
        if (asks_) {
            const auto answer = need(ends_.link.template call<Value<kSize>>(value_));
            visit(static_cast<const std::byte*>(answer.value().bytes.data()), kSize);
        } else {
            auto call = need(ends_.link.template receive<Value<kSize>>());
            visit(static_cast<const std::byte*>(call.value().bytes.data()), kSize);
            reply_ = call.take_reply();
        }
    }

private:
    Ends ends_;
    bool asks_;
    Value<kSize> value_{};
    Reply reply_;
};

class LinkNames {
public:
    explicit LinkNames(const Case& /*c*/) : id_{std::to_string(getpid())} {}

protected:
    std::string id_;
};

template <std::size_t kBytes>
class LinkValues : LinkNames {
public:
    static bool supports(const Case& c) {
        return is_pair(c) && c.bytes <= 64 && c.workload != Workload::loan;
    }
    explicit LinkValues(const Case& c) : LinkNames{c}, case_{c} {}
    LinkEnd<kBytes> connect(const Role& role) {
        return LinkEnd<kBytes>{Ends::join(case_, id_, role)};
    }

private:
    Case case_;
};

class LinkLoans : LinkNames {
public:
    static bool supports(const Case& c) {
        return is_pair(c) && (c.bytes > 64 || c.workload == Workload::loan);
    }
    explicit LinkLoans(const Case& c) : LinkNames{c}, case_{c} {}
    LinkLoanEnd connect(const Role& role) { return LinkLoanEnd{Ends::join(case_, id_, role)}; }

private:
    Case case_;
};

template <std::size_t kBytes>
class LinkCalls : LinkNames {
public:
    static bool supports(const Case& c) { return is_pair(c) && c.workload == Workload::round_trip; }
    explicit LinkCalls(const Case& c) : LinkNames{c}, case_{c} {}
    CallEnd<kBytes> connect(const Role& role) {
        return {Ends::join(case_, id_, role), role.part == Part::client};
    }

private:
    Case case_;
};

}  // namespace

void add_stoa_links(Subjects& subjects) {
    subjects.list.push_back(
        either(sized_subject_of<LinkValues, 8, 16, 32, 48, 64>("stoa_link", Kind::stoa),
               subject_of<LinkLoans>("stoa_link", Kind::stoa)));
    subjects.list.push_back(sized_subject_of<LinkCalls, 8, 64>("stoa_call", Kind::stoa));
}

}  // namespace stoa::bench
