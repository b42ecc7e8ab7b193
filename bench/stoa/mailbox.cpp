// stoa's mailboxes as a user has them: typed values up to 64 bytes are copied in and out, larger
// messages are filled and read in place.
#include <algorithm>
#include <vector>

#include "bench/stoa/stoa_kit.hpp"
#include "bench/stoa/stoa_subjects.hpp"

namespace stoa::bench {

namespace {

MailboxOptions options_of(const Case& c, Sharing sharing) {
    MailboxOptions options = pool_options(c);
    options.sharing = sharing;
    if (sharing == Sharing::any) return options;
    options.reserve_bytes = c.ring_bytes();  // as much memory for all
    if (sharing == Sharing::round_robin) options.reserve_bytes /= c.senders() * c.receivers();
    return options;
}

template <std::size_t kSize>
class ValueEnd {
public:
    static constexpr std::size_t kBytes = kSize;
    explicit ValueEnd(Mailbox<Value<kSize>> mailbox)
        : mailbox_{std::move(mailbox)}, batch_(kBatch) {}

    template <class Fill>
    void send(std::size_t /*bytes*/, Fill&& fill) {
        fill(batch_[0].bytes.data());
        need(mailbox_.send(batch_[0]));
    }
    template <class Fill>
    void send_batch(std::size_t /*bytes*/, std::size_t count, Fill&& fill) {
        for (std::size_t i = 0; i < count; ++i) fill(batch_[i].bytes.data(), i);
        need(mailbox_.send_all(std::span<const Value<kSize>>{batch_.data(), count}));
    }
    template <class Visit>
    void receive(Visit&& visit) {
        Value<kSize> value;
        need(mailbox_.receive_into(value));
        visit(static_cast<const std::byte*>(value.bytes.data()), kSize);
    }
    template <class Visit>
    std::size_t receive_batch(std::size_t max, Visit&& visit) {
        const std::span<Value<kSize>> room{batch_.data(), std::min(max, kBatch)};
        const std::size_t count = need(mailbox_.receive_some(room));
        for (std::size_t i = 0; i < count; ++i) {
            visit(static_cast<const std::byte*>(batch_[i].bytes.data()), kSize);
        }
        return count;
    }

private:
    Mailbox<Value<kSize>> mailbox_;
    std::vector<Value<kSize>> batch_;
};

class LoanEnd {
public:
    explicit LoanEnd(RawMailbox mailbox) : mailbox_{std::move(mailbox)} {}

    template <class Fill>
    void send(std::size_t bytes, Fill&& fill) {
        RawLoan loan = need(mailbox_.loan(bytes));
        fill(loan.room().data());
        need(loan.commit(bytes));
    }
    template <class Visit>
    void receive(Visit&& visit) {
        const RawMessage message = need(mailbox_.receive());
        visit(message.bytes().data(), message.bytes().size());
    }

private:
    RawMailbox mailbox_;
};

// Pairs have workloads of their own; several to several is for the sharings.
bool fits(const Case& c, Sharing sharing) {
    if (sharing == Sharing::broadcast) return c.workload == Workload::broadcast;
    return (c.workload == Workload::many_to_many) == (sharing != Sharing::pair);
}

// Clients and servers have a mailbox per pair; a flow has one for all.
unsigned pair_of(const Role& role) {
    return role.part == Part::client || role.part == Part::server ? role.index : 0;
}

template <std::size_t kBytes, Sharing kSharing>
class Values {
public:
    static bool supports(const Case& c) {
        return fits(c, kSharing) && (c.bytes <= 64 || c.mode == Mode::batch);
    }
    explicit Values(const Case& c)
        : files_{c, c.pairs(), options_of(c, kSharing), type_info_of<Value<kBytes>>()} {}
    ValueEnd<kBytes> connect(const Role& role) {
        return ValueEnd<kBytes>{need(
            Mailbox<Value<kBytes>>::attach(files_.file(pair_of(role)), files_.how(role_of(role))))};
    }

private:
    Files files_;
};
template <std::size_t kBytes>
class BroadcastValues : public Values<kBytes, Sharing::broadcast> {
public:
    static constexpr bool kBroadcasts = true;
    using Values<kBytes, Sharing::broadcast>::Values;
};
template <std::size_t kBytes>
using RoundRobinValues = Values<kBytes, Sharing::round_robin>;
template <std::size_t kBytes>
using PairValues = Values<kBytes, Sharing::pair>;
template <std::size_t kBytes>
using AnyValues = Values<kBytes, Sharing::any>;

class Loans {
public:
    static bool supports(const Case& c) {
        return fits(c, Sharing::pair) && c.bytes > 64 && c.mode != Mode::batch;
    }
    explicit Loans(const Case& c)
        : files_{c, c.pairs(), options_of(c, Sharing::pair), TypeInfo{}} {}
    LoanEnd connect(const Role& role) {
        return LoanEnd{
            need(RawMailbox::attach(files_.file(pair_of(role)), files_.how(role_of(role))))};
    }

private:
    Files files_;
};

}  // namespace

void add_stoa(Subjects& subjects) {
    auto& list = subjects.list;
    // Values where they are used, loans for the sizes and modes that are left.
    list.push_back(
        either(either(sized_subject_of<PairValues, 8, 16, 32, 48, 64, 1024>("stoa", Kind::stoa),
                      subject_of<Loans>("stoa", Kind::stoa)),
               stoa_crowd()));
    list.push_back(
        either(sized_subject_of<AnyValues, 8, 64>("stoa_any", Kind::stoa), stoa_any_to_and_fro()));
    list.push_back(sized_subject_of<RoundRobinValues, 8, 64>("stoa_round_robin", Kind::stoa));
    list.push_back(sized_subject_of<BroadcastValues, 8, 64>("stoa_broadcast", Kind::stoa));
    list.push_back(stoa_heap());
    list.push_back(stoa_attach());
    list.push_back(stoa_buffers());
    add_stoa_policies(subjects);
    add_stoa_latest(subjects);
}

}  // namespace stoa::bench
