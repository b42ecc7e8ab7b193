// An unbounded mailbox while it grows and shrinks: segments of four slots, and room for five.
#include <optional>
#include <vector>

#include "stoa/base/check.hpp"
#include "tests/crash/scenarios/deeds.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/crash/scenarios/stage_scenario.hpp"

namespace stoa::crash {
namespace {

void add(Scenarios& list, StageCase details) {
    list.push_back(std::make_unique<StageScenario>(std::move(details)));
}

constexpr std::uint64_t kSegment = 4;  // messages

// As StageScenario asks for it: the quota holds five segments.
MailboxOptions growing(MailboxOptions options) {
    options.reserve_bytes = kSegment * 128 * options.priorities;
    options.max_bytes = 48;
    options.loan_quota = 2;
    options.capacity = {.kind = Capacity::Kind::unbounded, .messages = 2, .quota_bytes = 1U << 20U};
    const std::uint64_t bytes = MailboxPlan::make(options, {}).value().segment_bytes();
    options.capacity.quota_bytes = 5 * bytes;
    return options;
}

void victim_sends_three(RawMailbox& box) {
    for (std::uint64_t k = 0; k < 3; ++k) (void)send_one(Role::victim, box, kStageVictims + k);
}
// The loan lies in the segment that it fills before it commits it.
void victim_commits_further_on(RawMailbox& box) {
    Result<RawLoan> loan = box.loan(kBytes, Deadline::immediately());
    STOA_CHECK(loan.has_value());
    write_payload(loan->room().first(kBytes), kStageVictims + 2);
    for (std::uint64_t k = 0; k < 2; ++k) (void)send_one(Role::victim, box, kStageVictims + k);
    if (loan->commit(kBytes, Deadline::immediately())) {
        did(Role::victim, Deed::sent, kStageVictims + 2);
    }
}
void victim_receives_all(RawMailbox& box) {
    while (receive_one(Role::victim, box)) {
    }
}
// The first lease ends last, in a segment that everybody has left.
void victim_acks_the_first_last(RawMailbox& box) {
    Result<RawMessage> first = box.try_receive();
    if (!first) return;
    const std::uint64_t number = read_payload(first->bytes());
    victim_receives_all(box);
    did(Role::victim, first->ack() ? Deed::has : Deed::wrong, number);
}
void victim_nacks_in_a_left_one(RawMailbox& box) {
    Result<RawMessage> first = box.try_receive();
    if (!first) return;
    victim_receives_all(box);
    if (!first->nack("bad")) did(Role::victim, Deed::wrong, 0);
}
void victim_closes(RawMailbox& box) {
    (void)receive_one(Role::victim, box);
    victim_leaves(box);
}
void victim_looks_around(RawMailbox& box) {
    (void)box.attachment().look_around();
}

// Dead in the middle of the backlog, or behind all of it; nobody swept it yet.
void die_after(StageScenario& stage, int messages) {
    die(stage.file(), ::stoa::Role::both, [&](RawMailbox& box) {
        for (int k = 0; k < messages; ++k) (void)box.try_receive().value().ack();
        const Result<RawMessage> held = box.try_receive();
        (void)std::raise(SIGKILL);
    });
}

void die_with_the_first(StageScenario& stage) {
    die(stage.file(), ::stoa::Role::both, [](RawMailbox& box) {
        const Result<RawMessage> held = box.try_receive();
        while (box.try_receive()) {
        }
        (void)std::raise(SIGKILL);
    });
}

void backlog(StageScenario& stage, std::uint64_t count) {
    stage.send_prepared(count);
    stage.dismiss_asker();
}

void add_sending(Scenarios& list, const std::string& base, const MailboxOptions& options) {
    StageCase one{.options = options};
    one.name = base + "grow";
    one.prepare = [](StageScenario& stage) { backlog(stage, kSegment - 1); };
    one.operation = victim_sends_three;
    add(list, one);
    one.name = base + "commit_further";
    one.prepare = [](StageScenario& stage) { backlog(stage, kSegment - 2); };
    one.operation = victim_commits_further_on;
    add(list, one);
    one.name = base + "quota";
    one.prepare = [](StageScenario& stage) { backlog(stage, 5 * kSegment - 1); };
    one.operation = victim_sends_three;
    one.only_opens = true;
    add(list, one);
}

void add_receiving(Scenarios& list, const std::string& base, const MailboxOptions& options) {
    StageCase one{.options = options};
    one.prepare = [](StageScenario& stage) { backlog(stage, 2 * kSegment + 1); };
    one.name = base + "drain";
    one.operation = victim_receives_all;
    add(list, one);
    one.name = base + "leave";
    one.operation = victim_closes;
    add(list, one);
    one.name = base + "sweep";
    one.prepare = [](StageScenario& stage) {
        backlog(stage, 2 * kSegment + 1);
        die_after(stage, kSegment + 1);
    };
    one.operation = nullptr;
    one.opens = [](const sys::Fd& file) { const RawMailbox box = open(file); };
    add(list, one);
    one.opens = nullptr;
    if (!options.acknowledged) {
        one.name = base + "retire";  // what one held that died when all else was drained
        one.prepare = [](StageScenario& stage) {
            backlog(stage, 2 * kSegment + 1);
            die_with_the_first(stage);
        };
        one.operation = victim_looks_around;
        add(list, one);
        return;
    }
    one.prepare = [](StageScenario& stage) { backlog(stage, kSegment + 1); };
    one.name = base + "ack_last";
    one.operation = victim_acks_the_first_last;
    add(list, one);
    one.name = base + "nack_left";
    one.operation = victim_nacks_in_a_left_one;
    add(list, one);
}

}  // namespace

void add_unbounded_scenarios(Scenarios& list) {
    for (const bool acknowledged : {false, true}) {
        const std::string base = acknowledged ? "unbounded_ack." : "unbounded.";
        const MailboxOptions options = growing({.acknowledged = acknowledged});
        add_sending(list, base, options);
        add_receiving(list, base, options);
        StageCase one{.options = growing({.acknowledged = acknowledged, .priorities = 2})};
        one.name = base + "levels";
        one.prepare = [](StageScenario& stage) { backlog(stage, 2 * kSegment + 1); };
        one.operation = victim_receives_all;
        add(list, one);
        one.name = base + "end";
        one.closes = true;
        add(list, one);
        one = {.options = growing({.acknowledged = acknowledged, .receipts = true})};
        one.name = base + "answer";
        one.prepare = [](StageScenario& stage) { stage.ask_prepared(kSegment + 1); };
        one.operation = victim_receives_all;
        add(list, one);
        one = {.options = growing({.sharing = Sharing::round_robin, .acknowledged = acknowledged}),
               .role = ::stoa::Role::sends};
        one.name = base + "routed";
        one.prepare = [](StageScenario& stage) { backlog(stage, kSegment - 1); };
        one.operation = victim_sends_three;
        add(list, one);
    }
}

}  // namespace stoa::crash
