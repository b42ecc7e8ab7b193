// What is full and what is empty, for each form of a verb.
#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/kit/wait_until.hpp"
#include "tests/matrix/walk.hpp"

namespace stoa::matrix {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kTries = 64;  // of each sender, where two fill a mailbox
constexpr const char* kFull = "a full mailbox";

std::string in_words(Outcome outcome) {
    switch (outcome) {
        case Outcome::taken: return "taken";
        case Outcome::acked: return "acked";
        default: return "another outcome";
    }
}

}  // namespace

// What should wait now.
void Walk::keep(const std::string& became, std::uint64_t value) {
    if (became == "drops the oldest") {  // one of the lowest priority
        waiting_.erase(waiting_.begin() + (one_.priorities > 1 ? 1 : 0));
        waiting_.push_back(value);
    } else if (became == "ok" || became == "waits") {
        waiting_.push_back(value);
    }
}

// Makes room for a send that waits, and only for it.
std::string Walk::blocking_send(Two& two, std::uint64_t value) {
    const Dropped before = dropped();
    std::atomic<bool> done{false};
    Result<void> sent;
    std::thread sender{[&] {
        sent = two.out.send(value);
        done.store(true);
    }};
    const bool waits = said(kFull, "send") == "waits";
    const bool returned = kit::wait_until([&] { return done.load(); }, waits ? 1ms : watchdog_);
    if (!returned) {
        std::uint64_t first = 0;
        if (receive_one(two.in, Deadline::after(watchdog_), &first) == "ok" && !waiting_.empty()) {
            demand(first == waiting_.front(), "the receiver gets another one than the first");
            waiting_.pop_front();
        }
    }
    sender.join();
    const std::string became = what_became_of(sent, before);
    if (one_.zero() && became == "ok") return returned ? "ok" : "waits";
    keep(became, value);
    return became == "ok" && !returned ? "waits" : became;
}

void Walk::full() {
    Two two = make();
    fill(two.out);
    std::uint64_t value = 1000;
    const auto try_form = [&](const char* column, auto&& send) {
        const Dropped before = dropped();
        const std::string became = what_became_of(send(), before);
        compare(kFull, column, became);
        keep(became, value++);
    };
    try_form("try_send", [&] { return two.out.try_send(value); });
    try_form("send_for", [&] { return two.out.send_for(value, 1ms); });
    try_form("send_for", [&] { return two.out.send_until(value, Box::Clock::now() + 1ms); });
    compare(kFull, "send", blocking_send(two, value++));
    std::vector<std::uint64_t> values;
    for (const Got& got : all_of(two.in)) values.push_back(got.value);
    demand(std::ranges::equal(values, waiting_), "what waited is not what was sent and kept");
    empty(two);
    closed(two);
    remove();
}

void Walk::empty(Two& two) {
    constexpr const char* kEmpty = "an empty mailbox";
    compare(kEmpty, "try_receive", receive_one(two.in, Deadline::immediately(), nullptr));
    compare(kEmpty, "receive_for", receive_one(two.in, Deadline::after(1ms), nullptr));
    std::atomic<bool> done{false};
    std::uint64_t value = 0;
    std::string received;
    std::thread receiver{[&] {
        received = receive_one(two.in, Deadline::never(), &value);
        done.store(true);
    }};
    const bool waits = said(kEmpty, "receive") == "waits";
    const bool returned = kit::wait_until([&] { return done.load(); }, waits ? 1ms : watchdog_);
    const bool sent = send_surely(two.out, 7, {}).has_value();
    demand(sent, "a send with room fails");
    if (!sent) static_cast<void>(two.out.close());  // it ends in any case
    receiver.join();
    if (!returned && received == "ok" && value == 7) received = "waits";
    compare(kEmpty, "receive", received);
}

void Walk::closed(Two& two) {
    demand(two.out.close().has_value(), "close");
    demand(in_words(two.out.try_send(1)) == "closed", "a send into a closed mailbox");
    for (const Deadline deadline : {Deadline::immediately(), Deadline::after(watchdog_)}) {
        demand(receive_one(two.in, deadline, nullptr) == "end_of_stream", "the end of a stream");
    }
}

void Walk::loan() {
    constexpr const char* kForm = "another form of send, when it is full";
    const std::string as_send = said(kFull, "send_for");
    const auto named = [&](const std::string& what) {
        return what == as_send ? "as send_for" : what;
    };
    Two two = make();
    fill(two.out);
    Result<Loan<std::uint64_t>> loan = two.out.loan(Deadline::after(1ms));
    std::string begins = "loan " + named(in_words(loan));
    std::string ends;
    const auto commit = [&] {
        const Dropped before = dropped();
        **loan = 1;
        return what_became_of(loan->commit(Deadline::after(1ms)), before);
    };
    if (one_.unbounded()) {
        begins = "loan or commit " + named(loan ? commit() : in_words(loan));
        ends = "not more";
    } else if (loan) {
        ends = "commit " + named(commit());
    } else {
        demand(receive_one(two.in, Deadline::immediately(), nullptr) == "ok",
               "a full one receives");
        loan = two.out.loan(Deadline::after(watchdog_));
        ends = loan ? "commit " + commit() : "no loan";
    }
    compare(kForm, "begins", begins);
    compare(kForm, "ends", ends);
    loan = fail(Errc::empty, "");  // it goes before the mailbox does
    remove();
}

void Walk::batch() {
    constexpr const char* kBatch = "a batch of one more than fits";
    const bool grows = one_.unbounded();
    const std::size_t fit = one_.zero() ? 0 : kBound;
    std::vector<std::uint64_t> values;
    while (values.size() < fit + 1) values.push_back(values.size());
    Two two = make();
    const Dropped before = dropped();
    std::size_t sent = 0;
    const Result<void> result = two.out.send_all(values, Deadline::after(1ms), &sent);
    const std::string became = what_became_of(result, before);
    std::vector<std::uint64_t> got(values.size());
    std::size_t count = 0;
    while (count < got.size()) {
        const Result<std::size_t> more =
            two.in.receive_some(std::span{got}.subspan(count), Deadline::immediately());
        if (!more) break;
        count += *more;
    }
    got.resize(count);
    const std::size_t first = became == "drops the oldest" ? 1 : 0;
    const auto kept = std::span{values}.subspan(first, grows ? values.size() : fit);
    const bool right = std::ranges::equal(got, kept) && sent == (result ? values.size() : fit);
    compare(kBatch, "sends", right ? grows ? "all" : "all that fit" : "others");
    compare(kBatch, "then",
            became != "ok" && became == said(kFull, "send_for") ? "as send_for" : became);
    remove();
}

void Walk::receipt(const char* table, bool asked_for) {
    receipts_ = asked_for;
    Two two = make();
    receipts_ = false;
    Result<Receipt> receipt = two.out.send_with_receipt(1, {}, Deadline::after(watchdog_));
    compare(table, "send_with_receipt", in_words(receipt));
    std::string says = "nothing";
    if (receipt) {
        demand(in_words(receipt->try_wait()) == "empty", "an outcome before anybody received it");
        demand(receive_one(two.in, Deadline::after(watchdog_), nullptr) == "ok", "its receive");
        const Result<Answer> answer = receipt->wait_for(watchdog_);
        says = answer ? in_words(answer->outcome) : matrix::in_words(answer);
        receipt = two.out.send_with_receipt(2);
        demand(receipt && receipt->withdraw()->outcome == Outcome::withdrawn, "a withdrawal");
        demand(all_of(two.in).empty(), "a withdrawn message is received");
    }
    compare(table, "what it says when the message was received", says);
    receipt = fail(Errc::empty, "");
    remove();
}

// How many wait in a mailbox that two senders filled for two receivers.
void Walk::bound() {
    if (!one_.bounded()) return;
    const bool pair = one_.sharing == Sharing::pair;
    const bool two_way = pair && !one_.one_way;
    Box first = Box::create(kName, options(two_way ? Role::both : Role::receives)).value();
    std::vector<Box> others;
    others.push_back(Box::open(kName, {.role = two_way ? Role::both : Role::sends}).value());
    if (!pair) others.push_back(Box::open(kName, {.role = Role::sends}).value());
    Result<Box> second = Box::open(kName, {.role = Role::receives});
    for (std::uint64_t key = 0; key < kTries; ++key) {
        for (Box& out : others) static_cast<void>(out.try_send(key, {.key = one_.key(key)}));
        if (two_way) static_cast<void>(first.try_send(key));
    }
    const bool for_each = pair || one_.broadcast();
    std::size_t count = all_of(first).size();
    const std::size_t there = two_way  ? all_of(others.front()).size()
                              : second ? all_of(*second).size()
                                       : 0;
    if (!for_each) count += there;
    demand(!for_each || one_.one_way || there == count, "the bounds differ");
    std::string found = std::to_string(count);
    if (count % kBound == 0) found = count == kBound ? "n" : std::to_string(count / kBound) + " n";
    compare("carried", "two senders, two receivers: until it is full",
            found + " wait" + (for_each ? " for each" : ""));
    remove();
}

}  // namespace stoa::matrix
