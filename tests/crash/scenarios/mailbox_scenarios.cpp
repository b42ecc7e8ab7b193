// The mailbox: what a user calls, with real participants whose death is proven by the kernel.
//
// The mailbox lies in a memfd that the engine maps too, so that its bytes can be put back. Recovery
// is what any survivor does: open a handle, which sweeps the dead. The judge knows from the bytes
// what must come (look.hpp), and in the end every place, seat, lane and chunk is free again.
#include <csignal>

#include "stoa/base/check.hpp"
#include "tests/crash/scenarios/mailbox_scenario.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/crash_at.hpp"

namespace stoa::crash {
namespace {

// --- what processes do --------------------------------------------------------------------------

void victim_sends(RawMailbox& box) {
    outcome(Role::victim).values[1] = send(box, kVictimsNumber) ? 1 : 0;
}

void victim_sends_and_waits(RawMailbox& box) {
    outcome(Role::victim).values[1] = box.send(message(kVictimsNumber)) ? 1 : 0;
}

void victim_fills_a_loan(RawMailbox& box) {
    Result<RawLoan> loan = box.loan(kBytes, Deadline::immediately());
    if (!loan) return;
    write_payload(loan->room().first(kBytes), kVictimsNumber);
    outcome(Role::victim).values[1] = loan->commit(kBytes, Deadline::immediately()) ? 1 : 0;
}

void victim_abandons(RawMailbox& box) {
    Result<RawLoan> loan = box.loan(kBytes, Deadline::immediately());
    if (loan) loan->abandon();
}

void keep(Result<RawMessage> got) {
    if (!got) return;
    const std::uint64_t number = read_payload(got->bytes());
    outcome(Role::victim).values[2] = number;
    if (number == 0 || !got->ack()) outcome(Role::victim).values[3] = 1;
}

void victim_receives(RawMailbox& box) {
    keep(box.try_receive());
}
void victim_receives_and_waits(RawMailbox& box) {
    keep(box.receive());
}

void victim_sends_batch(Mailbox<Value>& box) {
    std::array<Value, kBatch> values{};
    for (std::size_t k = 0; k < kBatch; ++k) {
        write_payload(std::as_writable_bytes(std::span{&values[k], 1}), kVictimsNumber + k);
    }
    std::size_t sent = 0;
    const Result<void> all = box.send_all(values, Deadline::immediately(), &sent);
    outcome(Role::victim).values[1] = sent;
    if (all.has_value() != (sent == kBatch)) outcome(Role::victim).values[3] = 1;
}

void victim_receives_batch(Mailbox<Value>& box) {
    std::array<Value, kBatch> values{};
    Outcome& mine = outcome(Role::victim);
    const Result<std::size_t> count = box.receive_some(values, Deadline::immediately());
    std::array<std::uint64_t, 2> last{};  // of what was prepared, and of the judge's: two senders
    for (std::size_t k = 0; count && k < *count; ++k) {
        const std::uint64_t number = read_payload(std::as_bytes(std::span{&values[k], 1}));
        std::uint64_t& before = last[number >= kJudgesNumber ? 1 : 0];
        if (number <= before) mine.values[3] = 1;
        mine.values[kReceived[k]] = before = number;
    }
}

void victim_nacks(RawMailbox& box) {
    Result<RawMessage> got = box.try_receive();
    if (got && !got->nack()) outcome(Role::victim).values[3] = 1;
}

void victim_clones(RawMailbox& box) {
    Result<RawMailbox> second = box.clone();
    if (second) victim_sends(*second);
}

void victim_opens_as(const sys::Fd& file, ::stoa::Role role,
                     const std::function<void(RawMailbox&)>& operation) {
    Result<RawMailbox> box =
        RawMailbox::attach(another(file), {.role = role, .waiting = Waiting::park});
    if (box) return operation(*box);  // and closes
    // Both seats of a pair, or the receiver's, may have been taken while it was stopped.
    if (box.error().code != Errc::in_use) outcome(Role::victim).values[3] = 1;
}

void victim_opens(const sys::Fd& file) {
    victim_opens_as(file, ::stoa::Role::both, victim_sends);
}

// --- all of them --------------------------------------------------------------------------------

void add(Scenarios& list, MailboxCase details) {
    list.push_back(std::make_unique<MailboxScenario>(std::move(details)));
}

constexpr std::pair<const char*, Sharing> kKinds[]{{"mailbox_any", Sharing::any},
                                                   {"mailbox_single", Sharing::single_receiver},
                                                   {"mailbox_pair", Sharing::pair}};

void add_batches(Scenarios& list, Sharing sharing, const char* sending, const char* receiving) {
    MailboxCase one{.name = sending, .sharing = sharing};
    one.capacity = 4;
    one.role = ::stoa::Role::sends;
    one.batch = victim_sends_batch;
    add(list, one);
    one.name = receiving;
    one.role = ::stoa::Role::both;
    one.prepared = 4;
    one.from_peer = true;
    one.batch = victim_receives_batch;
    add(list, one);
}

// Lanes whose sender died in the middle of its second message, or whose receiver held two.
void add_adoptions(Scenarios& list, Sharing sharing, const char* sending, const char* receiving) {
    const bool pair = sharing == Sharing::pair;
    const ::stoa::Role sends = pair ? ::stoa::Role::both : ::stoa::Role::sends;
    const ::stoa::Role receives = pair ? ::stoa::Role::both : ::stoa::Role::receives;
    MailboxCase one{.name = sending, .sharing = sharing};
    one.capacity = 4;
    one.adopts = !pair;
    one.opens = [=](const sys::Fd& file) { victim_opens_as(file, sends, victim_sends); };
    one.prepare = [=](const sys::Fd& file) {
        die(file, sends, [](RawMailbox& box) {
            STOA_CHECK(send(box, 1));
            kit::kill_self_at("lane.publish.cleared");
            (void)send(box, 2);
        });
    };
    add(list, one);
    one.name = receiving;
    one.prepared = 4;
    one.from_peer = true;
    one.opens = [=](const sys::Fd& file) { victim_opens_as(file, receives, victim_receives); };
    one.prepare = [=](const sys::Fd& file) {
        die(file, receives, [](RawMailbox& box) {
            const Result<RawMessage> first = box.try_receive();
            const Result<RawMessage> second = box.try_receive();
            STOA_CHECK(first && second);
            std::raise(SIGKILL);
        });
    };
    add(list, one);
}

void add_operations(Scenarios& list) {
    using enum Sharing;
    const auto add = [&](MailboxCase details) { ::stoa::crash::add(list, std::move(details)); };
    for (const auto& [kind, sharing] : kKinds) {
        for (const bool acknowledged : {false, true}) {
            const std::string base = std::string{kind} + (acknowledged ? "_ack." : ".");
            const MailboxCase plain{.name = base, .sharing = sharing, .acknowledged = acknowledged};
            const auto with = [&](const char* name, std::uint64_t prepared, auto operation) {
                MailboxCase one = plain;
                one.name += name;
                one.prepared = prepared;
                one.from_peer = true;
                one.operation = operation;
                return one;
            };
            MailboxCase send = with("send", 0, victim_sends);
            send.role = ::stoa::Role::sends;
            add(send);
            add(with("loan", 0, victim_fills_a_loan));
            add(with("receive", 2, victim_receives));
            MailboxCase opening = plain;
            opening.name += "open_close";
            opening.opens = victim_opens;
            add(opening);
            if (acknowledged) add(with("nack", 2, victim_nacks));
            if (acknowledged) continue;
            add(with("abandon", 0, victim_abandons));
            if (sharing != pair) add(with("clone", 0, victim_clones));
            MailboxCase sleeping = with("receive_asleep", 0, victim_receives_and_waits);
            sleeping.sleeps = true;
            add(sleeping);
            MailboxCase full = with("send_asleep", 2, victim_sends_and_waits);
            full.sleeps = full.wakes_by_taking = true;
            full.from_peer = sharing == any;  // a lane is full by what its sender sent
            if (sharing == single_receiver) full.role = ::stoa::Role::sends;
            add(full);
        }
    }
}

void add_sweeps(Scenarios& list) {
    // With the engine's own all places are taken that are not kept for sweepers: the table grows.
    add(list, {.name = "mailbox_any.open_grow", .opens = victim_opens, .crowd = 27});
    for (const bool acknowledged : {false, true}) {
        add(list,
            {.name = acknowledged ? "mailbox_any_ack.sweep" : "mailbox_any.sweep",
             .acknowledged = acknowledged,
             .prepared = 2,
             .opens = victim_opens,
             .prepare = [](const sys::Fd& file) {
                 die_at("pool.claim.loaned", file, [](RawMailbox& box) { (void)send(box, 1); });
                 die_at("pool.take.delivered", file,
                        [](RawMailbox& box) { (void)box.try_receive(); });
                 die_at("pool.take.taken", file, [](RawMailbox& box) {
                     const Result<RawMessage> redelivered = box.try_receive();  // acknowledged
                     const Result<RawMessage> next = box.try_receive();
                 });
             }});
    }
}

}  // namespace

void add_mailbox_scenarios(Scenarios& list) {
    add_operations(list);
    add_sweeps(list);
    using enum Sharing;
    add_batches(list, any, "mailbox_any.batch_send", "mailbox_any.batch_receive");
    add_batches(list, single_receiver, "mailbox_single.batch_send", "mailbox_single.batch_receive");
    add_batches(list, pair, "mailbox_pair.batch_send", "mailbox_pair.batch_receive");
    add_adoptions(list, single_receiver, "mailbox_single.adopt", "mailbox_single.adopt_receiver");
    add_adoptions(list, pair, "mailbox_pair.adopt", "mailbox_pair.adopt_receiver");
}

}  // namespace stoa::crash
