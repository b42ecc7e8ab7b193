// Policies of one queue: priorities, receipts, withdrawal, rendezvous, times to live, dropping,
// dead letters, the end of a stream. Each operation that they add, by whoever does it.
#include <csignal>

#include "stoa/base/check.hpp"
#include "tests/crash/scenarios/deeds.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/crash/scenarios/stage_scenario.hpp"

namespace stoa::crash {
namespace {

using namespace std::chrono_literals;

void add(Scenarios& list, StageCase details) {
    list.push_back(std::make_unique<StageScenario>(std::move(details)));
}

// --- receipts -----------------------------------------------------------------------------------

void add_receipts(Scenarios& list, bool acknowledged) {
    const std::string base = acknowledged ? "policy_ack." : "policy.";
    const auto with = [&](const char* name) {
        return StageCase{.name = base + name,
                         .options = {.capacity = bounded(2), .acknowledged = acknowledged}};
    };
    StageCase one = with("ask");
    one.operation = victim_asks_and_looks;
    add(list, one);
    one = with("ask_asleep");
    one.operation = victim_asks_and_waits;
    one.wakes = waker_receives;
    add(list, one);
    one = with("withdraw");
    one.options.receipts = true;
    one.operation = victim_withdraws;
    add(list, one);
    one = with("answer");  // takes and acks what the asker waits for
    one.prepare = [](StageScenario& stage) { stage.ask_prepared(2); };
    one.operation = victim_receives_two;
    add(list, one);
    one.name = base + "withdrawn";  // takes it while the asker takes it back
    one.meanwhile = [](StageScenario& stage) { (void)stage.take_back(kStagePrepared); };
    add(list, one);
    if (!acknowledged) return;
    one = with("answer_nack");
    one.prepare = [](StageScenario& stage) { stage.ask_prepared(2); };
    one.operation = victim_nacks;
    add(list, one);
}

// --- rendezvous ---------------------------------------------------------------------------------

void victim_meets(RawMailbox& box) {
    const Result<void> met = box.send(message(kStageVictims));
    if (!met) return did(Role::victim, Deed::wrong, kStageVictims);
    did(Role::victim, Deed::sent, kStageVictims);
    did(Role::victim, Deed::told, kStageVictims, ::stoa::Outcome::taken);
}
// A deadline that is over: published, and taken back when nobody came.
void victim_meets_nobody(RawMailbox& box) {
    Result<RawLoan> loan = box.loan(kBytes, Deadline::immediately());
    if (!loan) return;
    write_payload(loan->room().first(kBytes), kStageVictims);
    const Result<void> met = loan->commit(kBytes, Deadline::after(1ns));
    if (!met) return did(Role::victim, Deed::not_met, kStageVictims);
    did(Role::victim, Deed::sent, kStageVictims);
    did(Role::victim, Deed::told, kStageVictims, ::stoa::Outcome::taken);
}

void add_rendezvous(Scenarios& list, bool acknowledged) {
    const std::string base = acknowledged ? "policy_ack." : "policy.";
    StageCase one{.options = {.capacity = zero(), .acknowledged = acknowledged}};
    one.name = base + "meet_asleep";
    one.operation = victim_meets;
    one.wakes = waker_receives;
    add(list, one);
    one.wakes = nullptr;
    one.name = base + "meet_nobody";
    one.operation = victim_meets_nobody;
    add(list, one);
    one.name = base + "be_met";
    one.operation = victim_receives_two;
    one.prepare = [](StageScenario& stage) { stage.ask_prepared(2); };
    add(list, one);
}

// --- priorities, dropping, times to live --------------------------------------------------------

void add_levels(Scenarios& list, bool acknowledged) {
    const std::string base = acknowledged ? "policy_ack." : "policy.";
    StageCase one{
        .options = {.capacity = bounded(4), .acknowledged = acknowledged, .priorities = 3}};
    one.name = base + "level_send";
    one.prepare = [](StageScenario& stage) { stage.send_prepared(1); };
    one.operation = [](RawMailbox& box) {
        for (std::uint64_t k = 0; k < 2; ++k) {
            (void)send_one(Role::victim, box, kStageVictims + k);
        }
    };
    add(list, one);
    one.name = base + "level_receive";
    one.prepare = [](StageScenario& stage) { stage.send_prepared(3); };
    one.operation = [](RawMailbox& box) {
        for (int k = 0; k < 4; ++k) (void)receive_one(Role::victim, box);
    };
    add(list, one);
}

void add_dropping(Scenarios& list, bool acknowledged) {
    StageCase one{.name = acknowledged ? "policy_ack.drop_oldest" : "policy.drop_oldest",
                  .options = {.capacity = bounded(2),
                              .acknowledged = acknowledged,
                              .overflow = Overflow::drop_oldest}};
    one.prepare = [](StageScenario& stage) { stage.ask_prepared(2); };
    one.operation = victim_sends;
    add(list, one);
}

void add_expiry(Scenarios& list, bool acknowledged) {
    const std::string base = acknowledged ? "policy_ack." : "policy.";
    StageCase one{.options = {.capacity = bounded(2), .acknowledged = acknowledged}};
    one.name = base + "ask_expired";
    one.operation = victim_finds_it_expired;
    one.expires = true;
    add(list, one);
    one.name = base + "expire";
    one.prepare = [](StageScenario& stage) { stage.ask_prepared(2, 1ns); };
    one.operation = victim_receives_two;
    add(list, one);
    one.name = base + "expire_kept";
    one.options.keep_expired = true;
    add(list, one);
    one.name = base + "expire_for_room_kept";  // by a sender that finds it full
    one.operation = [](RawMailbox& box) {
        if (box.try_send(message(kStageVictims), {.time_to_live = 1ns})) {
            did(Role::victim, Deed::sent, kStageVictims);
        }
    };
    add(list, one);
    one.name = base + "expire_for_room";
    one.operation = victim_finds_it_expired;
    one.options.keep_expired = false;
    add(list, one);
}

// --- dead letters -------------------------------------------------------------------------------

MailboxOptions with_letters() {
    return {.capacity = bounded(2), .acknowledged = true, .dead_letter_after = 1};
}

void nack_all(StageScenario& stage) {
    RawMailbox box = open(stage.file());
    for (Result<RawMessage> got = box.try_receive(); got; got = box.try_receive()) {
        STOA_CHECK(got->nack("bad").has_value());
    }
}

void add_dead_letters(Scenarios& list) {
    StageCase one{.options = with_letters()};
    one.name = "letters.bury";  // a nack too many
    one.prepare = [](StageScenario& stage) { stage.ask_prepared(2); };
    one.operation = victim_nacks;
    add(list, one);
    one.name = "letters.bury_beyond_quota";
    one.options.dead_letter_quota = 1;
    one.prepare = [](StageScenario& stage) {
        stage.ask_prepared(1);
        nack_all(stage);
        stage.ask_prepared(1);
    };
    add(list, one);
    one.options = with_letters();
    one.name = "letters.redrive";
    one.prepare = [](StageScenario& stage) {
        stage.ask_prepared(2);
        nack_all(stage);
    };
    one.operation = [](RawMailbox& box) {
        if (!box.redrive()) did(Role::victim, Deed::wrong, 0);
    };
    add(list, one);
    one.name = "letters.redrive_receive";
    one.operation = [](RawMailbox& box) {
        if (!box.redrive(1)) did(Role::victim, Deed::wrong, 0);
        victim_receives_two(box);
    };
    add(list, one);
    one.name = "letters.receive";
    one.of_letters = true;
    one.operation = victim_receives_two;
    add(list, one);
}

// --- the end ------------------------------------------------------------------------------------

void add_ends(Scenarios& list, bool acknowledged) {
    const std::string base = acknowledged ? "policy_ack." : "policy.";
    StageCase one{.options = {.capacity = bounded(2), .acknowledged = acknowledged},
                  .closes = true};
    one.name = base + "close";
    one.prepare = [](StageScenario& stage) { stage.send_prepared(2); };
    one.operation = [](RawMailbox& box) {
        if (!box.close()) did(Role::victim, Deed::wrong, 0);
    };
    add(list, one);
    one.name = base + "send_to_closed";  // the others close it meanwhile, and learn the end
    one.prepare = nullptr;
    one.operation = victim_sends;
    add(list, one);
    one.options.priorities = 2;
    one.name = base + "send_to_closed_levels";
    add(list, one);
    one.options.priorities = 1;
    one.name = base + "learn_the_end";
    one.closed = true;
    one.prepare = [](StageScenario& stage) {
        stage.send_prepared(2);
        STOA_CHECK(stage.asker().close().has_value());
    };
    one.operation = [](RawMailbox& box) {
        for (int k = 0; k < 3; ++k) (void)receive_one(Role::victim, box);
    };
    add(list, one);
    one.name = base + "seal";  // while a message comes after all
    one.meanwhile = [](StageScenario& stage) { stage.send_late(); };
    one.only_opens = true;
    one.prepare = [](StageScenario& stage) { STOA_CHECK(stage.asker().close().has_value()); };
    add(list, one);
}

}  // namespace

void add_policy_scenarios(Scenarios& list) {
    for (const bool acknowledged : {false, true}) {
        add_receipts(list, acknowledged);
        add_rendezvous(list, acknowledged);
        add_levels(list, acknowledged);
        add_dropping(list, acknowledged);
        add_expiry(list, acknowledged);
        add_ends(list, acknowledged);
    }
    add_dead_letters(list);
}

}  // namespace stoa::crash
