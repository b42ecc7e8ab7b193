// Mailboxes waited for in other ways than by their own receive: in a wait set of one and of ten
// thousand, through the set's descriptor in an epoll of somebody else, by coroutines. Beside
// `stoa`, the mailbox itself.
#include <sys/epoll.h>
#include <sys/resource.h>

#include <vector>

#include "bench/stoa/stoa_kit.hpp"
#include "bench/stoa/stoa_subjects.hpp"
#include "stoa/wait/executor.hpp"
#include "stoa/wait/wait_set.hpp"

namespace stoa::bench {

namespace {

using Message = Value<8>;

bool is_for_sets(const Case& c) {
    return c.workload == Workload::waiting && c.bytes == sizeof(Message) &&
           (c.mode == Mode::adaptive || c.mode == Mode::park);
}

MailboxOptions options_of(const Case& c) {
    MailboxOptions options = pool_options(c);
    options.sharing = Sharing::pair;
    options.reserve_bytes = c.ring_bytes();
    return options;
}

// What sleeps between two messages differs; what is sent and received does not.
template <class Sleeper>
class SetEnd {
public:
    static constexpr std::size_t kBytes = sizeof(Message);
    SetEnd(Mailbox<Message> mailbox, std::size_t others)
        : mailbox_{std::make_unique<Mailbox<Message>>(std::move(mailbox))},
          sleeper_{std::make_unique<Sleeper>(*mailbox_, others)} {}

    template <class Fill>
    void send(std::size_t /*bytes*/, Fill&& fill) {
        Message message;
        fill(message.bytes.data());
        need(mailbox_->send(message));
    }
    template <class Visit>
    void receive(Visit&& visit) {
        Message message;
        sleeper_->await(
            [&] { return mailbox_->receive_into(message, Deadline::immediately()).has_value(); });
        visit(static_cast<const std::byte*>(message.bytes.data()), sizeof message);
    }

private:
    std::unique_ptr<Mailbox<Message>> mailbox_;
    std::unique_ptr<Sleeper> sleeper_;
};

// A set with the mailbox, and others in which nothing happens.
class InSet {
public:
    InSet(Mailbox<Message>& mailbox, std::size_t others) : set_{need(WaitSet::create())} {
        rlimit files{};
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        const MailboxOptions idle{.capacity = bounded(4),
                                  .reserve_bytes = 256,
                                  .loan_quota = 1,
                                  .role = stoa::Role::receives};
        for (std::size_t i = 0; i < others; ++i) {
            idle_.push_back(need(RawMailbox::create_anonymous(idle)));
        }
        for (const RawMailbox& other : idle_) need(set_.add(other.readable()));
        need(set_.add(mailbox.readable()));
    }
    template <typename Take>
    void await(Take&& take) {
        do {
            need(set_.wait());
        } while (!take());
    }

protected:
    WaitSet set_;

private:
    std::vector<RawMailbox> idle_;
};

class InOtherLoop : public InSet {
public:
    InOtherLoop(Mailbox<Message>& mailbox, std::size_t others)
        : InSet{mailbox, others}, loop_{::epoll_create1(EPOLL_CLOEXEC)} {
        epoll_event event{.events = EPOLLIN, .data = {}};
        if (!loop_.valid() ||
            ::epoll_ctl(loop_.get(), EPOLL_CTL_ADD, need(set_.fd()), &event) != 0) {
            throw Unavailable{"epoll"};
        }
    }
    // As such a loop does: whenever the descriptor is readable the set is asked, until it is not.
    template <typename Take>
    void await(Take&& take) {
        for (;;) {
            epoll_event event;
            if (::epoll_wait(loop_.get(), &event, 1, -1) < 0) continue;
            if (set_.try_wait() && take()) return;
        }
    }

private:
    sys::Fd loop_;
};

template <class Sleeper, std::size_t kOthers>
class SetPair {
public:
    static bool supports(const Case& c) {
        return is_for_sets(c) && (c.mode == Mode::park || !std::is_same_v<Sleeper, InOtherLoop>);
    }
    explicit SetPair(const Case& c)
        : files_{c, 1, options_of(c), type_info_of<Message>()},
          others_{c.verify ? std::min<std::size_t>(kOthers, 99) : kOthers} {}
    SetEnd<Sleeper> connect(const Role& role) {
        return {need(Mailbox<Message>::attach(files_.file(0), files_.how(role_of(role)))), others_};
    }

private:
    Files files_;
    std::size_t others_;
};

// The loops of the kit as coroutines.
class CoroutineSession final : public Session {
public:
    explicit CoroutineSession(const Case& c)
        : files_{c, 1, options_of(c), type_info_of<Message>()} {}
    void run(const Case& /*c*/, const Role& role, Board& board) override {
        auto mailbox = need(Mailbox<Message>::attach(files_.file(0), files_.how(role_of(role))));
        Executor executor = need(Executor::create());
        RoleBoard& mine = board.roles[role.board];
        const bool is_client = role.part == Part::client;
        const auto task =
            executor.spawn(is_client ? client(mailbox, board, mine, board.roles[role.board + 1])
                                     : server(mailbox, mine));
        await_start(role, board);
        need(executor.run());
        mine.left.store(1, kRelease);
        // To close earlier may take the last reply away.
        while (!is_client && board.roles[role.board - 1].left.load(kAcquire) == 0) sleep_us(100);
    }

private:
    static constexpr std::size_t kBytes = sizeof(Message);

    static Task<void> client(Mailbox<Message>& mailbox, const Board& board, RoleBoard& mine,
                             RoleBoard& server) {
        std::uint64_t seed = 1;
        std::uint64_t first = 0;
        std::uint64_t before = ticks();
        for (bool last = false; !last; ++seed) {
            last = before >= board.until;
            if (last) server.stop.store(1, kRelaxed);
            Message message;
            fill_payload<kBytes>(message.bytes.data(), seed);
            need(mailbox.send(message));
            const Message reply = need(co_await async_receive(mailbox)).value();
            mine.wrong += sum_payload(reply.bytes.data(), kBytes) !=
                          expected_sum(kBytes, expected_sum(kBytes, seed));
            const std::uint64_t now = ticks();
            if (before >= board.from) {
                if (first == 0) first = before;
                mine.latency.add(now - before);
                mine.measured_ticks = now - first;
            }
            before = now;
        }
        mine.measured = mine.latency.count();
        mine.messages.store(seed - 1, kRelaxed);
    }
    static Task<void> server(Mailbox<Message>& mailbox, RoleBoard& mine) {
        for (bool last = false; !last;) {
            Message message = need(co_await async_receive(mailbox)).value();
            last = mine.stop.load(kRelaxed) != 0;
            fill_payload<kBytes>(message.bytes.data(), sum_payload(message.bytes.data(), kBytes));
            need(mailbox.send(message));
        }
    }

    Files files_;
};

}  // namespace

void add_stoa_waiting(Subjects& subjects) {
    auto& list = subjects.list;
    list.push_back(subject_of<SetPair<InSet, 0>>("stoa_set", Kind::stoa));
    list.push_back(subject_of<SetPair<InSet, 9999>>("stoa_set_10000", Kind::stoa));
    list.push_back(subject_of<SetPair<InOtherLoop, 0>>("stoa_set_fd", Kind::stoa));
    list.push_back(
        {"stoa_coroutine", Kind::stoa, is_for_sets, [](const Case& c) -> std::unique_ptr<Session> {
             return std::make_unique<CoroutineSession>(c);
         }});
}

}  // namespace stoa::bench
