// stoa's mailboxes as a user has them: typed values up to 64 bytes are copied in and out, larger
// messages are filled and read in place.
#include <algorithm>
#include <array>
#include <vector>

#include "bench/stoa/stoa_subjects.hpp"
#include "stoa/mailbox/mailbox.hpp"
#include "stoa/sys/memfd.hpp"

namespace stoa::bench {

namespace {

stoa::Waiting waiting_of(const Case& c) {
    switch (c.waiting()) {
        case Waiting::spin: return stoa::Waiting::spin;
        case Waiting::adaptive: return stoa::Waiting::adaptive;
        case Waiting::park: return stoa::Waiting::park;
    }
    return stoa::Waiting::adaptive;
}

template <typename T>
T need(Result<T> result) {
    if (!result) throw Unavailable{describe(result.error())};
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

MailboxOptions options_of(const Case& c, Sharing sharing) {
    // A ring of the same size for all; the pool ring gets a power of two of slots as well.
    const std::uint64_t slots = std::clamp<std::uint64_t>(c.ring_bytes() / c.bytes, 4, 1U << 16U);
    MailboxOptions options{.capacity = bounded(static_cast<std::uint32_t>(slots)),
                           .sharing = sharing,
                           .max_bytes = static_cast<std::uint32_t>(c.bytes),
                           .reserve_bytes = c.ring_bytes(),
                           .role = stoa::Role::none};
    if (sharing == Sharing::broadcast) options.reserve_bytes = 2 * c.ring_bytes();
    if (sharing == Sharing::any) options.reserve_bytes = (slots + 256) * (c.bytes + 128);
    return options;
}

stoa::Role role_of(const Role& role) {
    switch (role.part) {
        case Part::sender: return stoa::Role::sends;
        case Part::receiver: return stoa::Role::receives;
        case Part::client:
        case Part::server:
        case Part::busy: break;
    }
    return stoa::Role::both;
}

template <std::size_t kBytes>
struct Value {
    std::array<std::byte, kBytes> bytes;
};

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

// The mailboxes exist before the fork; each process attaches its own handle.
class Files {
public:
    Files(const Case& c, Sharing sharing, const TypeInfo& type) : waiting_{waiting_of(c)} {
        for (unsigned i = 0; i < c.pairs(); ++i) {
            const RawMailbox made =
                need(RawMailbox::create_anonymous(options_of(c, sharing), type));
            files_.push_back(need(sys::duplicate(made.file())));
        }
    }
    [[nodiscard]] sys::Fd file_of(const Role& role) const {
        return need(sys::duplicate(files_[files_.size() > 1 ? role.index : 0]));
    }
    [[nodiscard]] OpenOptions how(const Role& role) const {
        return {.role = role_of(role), .waiting = waiting_};
    }

private:
    stoa::Waiting waiting_;
    std::vector<sys::Fd> files_;
};

// Pairs have a workload of their own; several to several is for the sharings.
bool fits(const Case& c, Sharing sharing) {
    if (sharing == Sharing::broadcast) return c.workload == Workload::broadcast;
    return (c.workload == Workload::many_to_many) == (sharing != Sharing::pair);
}

template <std::size_t kBytes, Sharing kSharing>
class Values {
public:
    static bool supports(const Case& c) {
        return fits(c, kSharing) && (c.bytes <= 64 || c.mode == Mode::batch);
    }
    explicit Values(const Case& c) : files_{c, kSharing, type_info_of<Value<kBytes>>()} {}
    ValueEnd<kBytes> connect(const Role& role) {
        return ValueEnd<kBytes>{
            need(Mailbox<Value<kBytes>>::attach(files_.file_of(role), files_.how(role)))};
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
    explicit Loans(const Case& c) : files_{c, Sharing::pair, TypeInfo{}} {}
    LoanEnd connect(const Role& role) {
        return LoanEnd{need(RawMailbox::attach(files_.file_of(role), files_.how(role)))};
    }

private:
    Files files_;
};

}  // namespace

void add_stoa(Subjects& subjects) {
    static const Subject values =
        sized_subject_of<PairValues, 8, 16, 32, 48, 64, 1024>("stoa", Kind::stoa);
    static const Subject loans = subject_of<Loans>("stoa", Kind::stoa);
    // One name for both: values where they are used, loans for the sizes and modes that are left.
    subjects.list.push_back(
        {"stoa", Kind::stoa, [](const Case& c) { return values.supports(c) || loans.supports(c); },
         [](const Case& c) { return values.supports(c) ? values.make(c) : loans.make(c); }});
    subjects.list.push_back(sized_subject_of<AnyValues, 8, 64>("stoa_any", Kind::stoa));
    subjects.list.push_back(
        sized_subject_of<RoundRobinValues, 8, 64>("stoa_round_robin", Kind::stoa));
    subjects.list.push_back(sized_subject_of<BroadcastValues, 8, 64>("stoa_broadcast", Kind::stoa));
}

}  // namespace stoa::bench
