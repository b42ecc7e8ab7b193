// Broadcast through the mailbox: over logs and with copies, by senders and subscribers that come,
// send, receive, sleep, leave and die.
#include <csignal>

#include "stoa/base/check.hpp"
#include "tests/crash/scenarios/broadcast_scenario.hpp"
#include "tests/crash/scenarios/deeds.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"

namespace stoa::crash {
namespace {

constexpr std::uint64_t kChilds = 200;  // numbers of a sender that comes and goes

void add(Scenarios& list, BroadcastCase details) {
    list.push_back(std::make_unique<BroadcastScenario>(std::move(details)));
}

// --- what processes do --------------------------------------------------------------------------

// Each notes that it failed, where it did: then nobody may have it.
void victim_tries_two(RawMailbox& box) {
    for (std::uint64_t k = 0; k < 2; ++k) {
        const std::uint64_t number = kStageVictims + k;
        if (!send_one(Role::victim, box, number)) did(Role::victim, Deed::failed, number);
    }
}
void victim_sends_and_waits(RawMailbox& box) {
    (void)send_one(Role::victim, box, kStageVictims, Deadline::never());
}
bool victim_receives_one(RawMailbox& box, Deadline deadline) {
    Result<RawMessage> got = box.receive_with(deadline);
    if (!got) return false;
    const std::uint64_t number = read_payload(got->bytes());
    const std::uint64_t missed = got->missed();
    const bool good = number != 0 && got->ack().has_value();
    did(Role::victim, good ? Deed::has : Deed::wrong, number | missed << 32U);
    return true;
}
void victim_receives_three(RawMailbox& box) {
    for (int k = 0; k < 3; ++k) (void)victim_receives_one(box, Deadline::immediately());
}
void victim_awaits_one(RawMailbox& box) {
    (void)victim_receives_one(box, Deadline::never());
}
void victim_opens_to_send(const sys::Fd& file) {
    RawMailbox box = open(file, ::stoa::Role::sends);
    (void)send_one(Role::victim, box, kStageVictims);
}
void victim_subscribes_as(const sys::Fd& file, const OpenOptions& options) {
    RawMailbox box = RawMailbox::attach(another(file), options).value();
    (void)victim_receives_one(box, Deadline::immediately());
}
void victim_subscribes(const sys::Fd& file) {
    victim_subscribes_as(file, {.role = ::stoa::Role::receives, .waiting = Waiting::park});
}
void victim_subscribes_from_oldest(const sys::Fd& file) {
    victim_subscribes_as(
        file, {.role = ::stoa::Role::receives, .waiting = Waiting::park, .from_oldest = true});
}
void victim_subscribes_to_latest(const sys::Fd& file) {
    victim_subscribes_as(
        file, {.role = ::stoa::Role::receives, .waiting = Waiting::park, .latest = true});
}
void waker_sends(RawMailbox& box) {
    (void)send_one(Role::waker, box, kStageWakers);
}

// --- what they find -----------------------------------------------------------------------------

void prepare_two(BroadcastScenario& scene) {
    scene.send_prepared(2);
}

// A sender that comes, sends two and leaves, beside a victim that subscribed before.
void somebody_sends_two(const sys::Fd& file) {
    const kit::Ending ending = kit::fork_and_run([&] {
        RawMailbox out = open(file, ::stoa::Role::sends);
        for (std::uint64_t k = 0; k < 2; ++k) {
            const std::uint64_t number = kChilds + k;
            STOA_CHECK(out.try_send(message(number), options_of(out.plan(), number)));
        }
    });
    STOA_CHECK(ending.ok());
}

// A subscriber that read nothing of what the victim sends, and dies when it cannot send any more.
void fill_beside_a_subscriber(RawMailbox& box) {
    kit::Child subscriber{[&] {
        const RawMailbox in = open(box.file(), ::stoa::Role::receives);
        (void)std::raise(SIGSTOP);
    }};
    STOA_CHECK(subscriber.wait_stopped());
    for (std::uint64_t k = 0; k < 100; ++k) {
        const std::uint64_t number = kChilds + k;
        if (!box.try_send(message(number), options_of(box.plan(), number))) break;
    }
    (void)subscriber.kill_and_wait();
}

// The same, and the witness, who comes first, has room.
void fill_beside_a_subscriber_behind_the_witness(RawMailbox& box) {
    fill_beside_a_subscriber(box);
    PoolEngine& witness = box.attachment().pool(0);
    while (const Result<PoolLoan> loan = witness.receive(Deadline::immediately())) {
        STOA_CHECK(witness.ack(*loan) || witness.release(*loan));
    }
}

// A subscriber that died with messages, and a sender that died in its second.
void leave_the_dead(BroadcastScenario& scene) {
    die(scene.file(), ::stoa::Role::receives, [&](RawMailbox&) {
        die(scene.file(), ::stoa::Role::sends, [&](RawMailbox& out) {
            STOA_CHECK(out.try_send(message(kChilds), options_of(out.plan(), kChilds)));
            kit::kill_self_at(out.plan().lane_count > 0 ? "lane.publish.cleared"
                                                        : "mailbox.broadcast.copied");
            (void)out.try_send(message(kChilds + 1), options_of(out.plan(), kChilds + 1));
            (void)std::raise(SIGKILL);
        });
        (void)std::raise(SIGKILL);
    });
}

struct Kind {
    const char* name;
    MailboxOptions options;
};

void add_senders(Scenarios& list, const Kind& kind) {
    const std::string base = kind.name;
    BroadcastCase one{.options = kind.options, .role = ::stoa::Role::sends};
    one.name = base + ".send";
    one.operation = victim_sends_two;
    add(list, one);
    one.name = base + ".send_loan";
    one.operation = victim_fills_a_loan;
    add(list, one);
    if (kind.options.priorities > 1 || kind.options.acknowledged) {
        one.name = base + ".send_full";
        one.operation = victim_tries_two;
        one.begins = fill_beside_a_subscriber_behind_the_witness;
        add(list, one);
        one.operation = victim_sends_two;
    }
    one.name = base + ".send_asleep";  // held back by one that died
    one.operation = victim_sends_and_waits;
    one.begins = fill_beside_a_subscriber;
    one.has_witness = false;
    one.wakes = [](RawMailbox&) {};
    if (kind.options.overflow == Overflow::block) add(list, one);
    one = {.options = kind.options, .role = ::stoa::Role::sends};
    one.name = base + ".open_to_send";
    one.opens = victim_opens_to_send;
    add(list, one);
    one.name = base + ".sweep";
    one.prepare = leave_the_dead;
    add(list, one);
}

void add_subscribers(Scenarios& list, const Kind& kind) {
    const std::string base = kind.name;
    BroadcastCase one{.options = kind.options};
    one.name = base + ".receive";
    one.beside = somebody_sends_two;
    one.operation = victim_receives_three;
    add(list, one);
    one.name = base + ".leave";
    one.operation = victim_leaves;
    add(list, one);
    one.name = base + ".receive_asleep";
    one.beside = nullptr;
    one.operation = victim_awaits_one;
    one.wakes = waker_sends;
    add(list, one);
    one = {.options = kind.options};
    one.prepare = prepare_two;
    one.name = base + ".subscribe";
    one.opens = victim_subscribes;
    add(list, one);
    if (kind.options.acknowledged) return;
    one.name = base + ".subscribe_from_oldest";
    one.opens = victim_subscribes_from_oldest;
    add(list, one);
    one.name = base + ".subscribe_to_latest";
    one.latest = true;
    one.opens = victim_subscribes_to_latest;
    add(list, one);
    one.prepare = nullptr;
    one.opens = nullptr;
    one.name = base + ".receive_latest";
    one.beside = somebody_sends_two;
    one.operation = victim_receives_three;
    add(list, one);
}

// --- unbounded ----------------------------------------------------------------------------------

constexpr std::uint64_t kFew = 2;  // messages that are left in the oldest segment

// As BroadcastScenario asks for it.
MailboxOptions growing(std::uint32_t segments) {
    MailboxOptions options{.capacity = unbounded(1U << 20U),
                           .sharing = Sharing::broadcast,
                           .max_bytes = 48,
                           .reserve_bytes = 512,
                           .loan_quota = 2};
    options.capacity.messages = 2;
    const std::uint64_t bytes = MailboxPlan::make(options, {}).value().segment_bytes();
    options.capacity.quota_bytes = segments * bytes;
    return options;
}

// All but one of seven segments are his who skips; of the oldest he has read all but a few.
void skipper_holds_all(BroadcastScenario& scene) {
    scene.add_skipper();
    for (std::uint64_t k = 0; k < 6 * scene.segment_messages(); ++k) {
        scene.send_prepared(1);
        scene.witness_reads_all();
    }
    scene.skipper_reads(scene.segment_messages() - kFew);
    scene.dismiss_sender();
}

// Two segments of messages for one that is there: a few are left in each.
void fill_two_segments(RawMailbox& in) {
    const kit::Ending ending = kit::fork_and_run([&] {
        RawMailbox out = open(in.file(), ::stoa::Role::sends);
        for (std::uint64_t k = 0; k < in.plan().pool.slot_count + kFew; ++k) {
            STOA_CHECK(out.try_send(message(kChilds + k)));
        }
    });
    STOA_CHECK(ending.ok());
    for (std::uint64_t k = kFew; k < in.plan().pool.slot_count; ++k) {
        STOA_CHECK(in.try_receive().has_value());
    }
}

void die_with_two_segments(BroadcastScenario& scene) {
    die(scene.file(), ::stoa::Role::receives, [](RawMailbox& in) {
        fill_two_segments(in);
        (void)std::raise(SIGKILL);
    });
}

void victim_comes_and_looks(const sys::Fd& file) {
    const RawMailbox box = open(file, ::stoa::Role::sends);
    (void)box.attachment().look_around();
}

void add_unbounded(Scenarios& list) {
    const std::string base = "broadcast_unbounded.";
    BroadcastCase one{.options = growing(7), .role = ::stoa::Role::sends};
    one.prepare = skipper_holds_all;
    one.name = base + "send";
    one.operation = victim_tries_two;
    add(list, one);
    one.operation = nullptr;
    one.name = base + "subscribe";
    one.opens = victim_subscribes;
    add(list, one);
    one.options = growing(12);
    one.prepare = die_with_two_segments;
    one.name = base + "sweep";
    one.opens = victim_comes_and_looks;
    add(list, one);

    one = {.options = growing(12), .begins = fill_two_segments};
    one.name = base + "receive";
    one.operation = victim_receives_three;
    add(list, one);
    one.name = base + "leave";
    one.operation = victim_leaves;
    add(list, one);
    one.latest = true;
    one.name = base + "receive_latest";
    one.operation = victim_receives_three;
    add(list, one);
}

}  // namespace

void add_broadcast_scenarios(Scenarios& list) {
    const Kind logs{"broadcast_logs", {.capacity = bounded(4)}};
    const Kind levels{"broadcast_copies", {.capacity = bounded(4), .priorities = 2}};
    const Kind acked{"broadcast_copies_ack", {.capacity = bounded(4), .acknowledged = true}};
    for (const Kind& kind : {logs, levels, acked}) {
        add_senders(list, kind);
        add_subscribers(list, kind);
    }
    add_unbounded(list);
}

}  // namespace stoa::crash
