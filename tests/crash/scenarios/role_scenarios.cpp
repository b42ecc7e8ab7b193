// Who receives in a mailbox of a single receiver: by turns, and standing by for the one that holds
// the seat.
#include <csignal>
#include <memory>

#include "stoa/base/check.hpp"
#include "tests/crash/scenarios/deeds.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/crash/scenarios/stage_scenario.hpp"
#include "tests/kit/process.hpp"

namespace stoa::crash {
namespace {

void add(Scenarios& list, StageCase details) {
    list.push_back(std::make_unique<StageScenario>(std::move(details)));
}

void victim_waits(RawMailbox& box) {
    (void)receive_one(Role::victim, box, Deadline::never());
}
void victim_opens_and_receives(const sys::Fd& file) {
    RawMailbox box = open(file);
    victim_receives_two(box);
}
void waker_sends(RawMailbox& box) {
    (void)send_one(Role::waker, box, kStageWakers);
}
void prepare_two(StageScenario& stage) {
    stage.send_prepared(2);
}

// One that died while it was its turn, and is not swept yet.
void dies_in_its_turn(const sys::Fd& file) {
    die_at("mailbox.turn.taken", file, [](RawMailbox& box) { (void)box.try_receive(); });
}

void add_turns(Scenarios& list, bool acknowledged) {
    const std::string base = acknowledged ? "turns_ack." : "turns.";
    StageCase one{.options = {.capacity = bounded(4),
                              .sharing = Sharing::single_receiver,
                              .acknowledged = acknowledged,
                              .by_turns = true}};
    one.name = base + "receive";
    one.prepare = prepare_two;
    one.operation = victim_receives_two;
    add(list, one);
    one.name = base + "receive_behind_the_dead";
    one.beside = dies_in_its_turn;
    add(list, one);
    one.name = base + "await_turn";  // of one that died; who wakes it sweeps that one
    one.operation = victim_waits;
    one.wakes = waker_sends;
    one.awaits_message = true;
    add(list, one);
    one.beside = nullptr;
    one.prepare = nullptr;
    one.name = base + "receive_asleep";
    add(list, one);
    one.wakes = nullptr;
    one.awaits_message = false;
    one.prepare = prepare_two;
    one.operation = nullptr;
    one.name = base + "open_close";
    one.opens = victim_opens_and_receives;
    add(list, one);
    if (!acknowledged) return;
    one.opens = nullptr;
    one.name = base + "nack";
    one.operation = victim_nacks;
    add(list, one);
}

// --- standing by --------------------------------------------------------------------------------

// The holder closes its handle.
std::function<void()> holder_that_leaves(const sys::Fd& file) {
    auto holder = std::make_shared<RawMailbox>(open(file, ::stoa::Role::receives));
    return [holder]() mutable { victim_leaves(*holder); };
}
std::function<void()> holder_that_dies(const sys::Fd& file) {
    auto holder = std::make_shared<kit::Child>([&file] {
        const RawMailbox box = open(file, ::stoa::Role::receives);
        (void)std::raise(SIGSTOP);
    });
    STOA_CHECK(holder->wait_stopped());
    return [holder] { (void)holder->kill_and_wait(); };
}

void add_stand_by(Scenarios& list, bool acknowledged) {
    const std::string base = acknowledged ? "stand_by_ack." : "stand_by.";
    StageCase one{.options = {.capacity = bounded(4),
                              .sharing = Sharing::single_receiver,
                              .acknowledged = acknowledged},
                  .others = ::stoa::Role::sends,
                  .stands_by = true};
    one.prepare = prepare_two;
    one.name = base + "take_over";
    one.around = holder_that_leaves;
    one.operation = victim_receives_two;
    add(list, one);
    one.name = base + "take_over_the_dead";
    one.around = holder_that_dies;
    add(list, one);
    one.name = base + "asleep";  // who wakes it sweeps the dead one
    one.operation = victim_waits;
    one.wakes = waker_sends;
    one.awaits_message = true;
    add(list, one);
    one.wakes = nullptr;
    one.awaits_message = false;
    one.name = base + "leave";  // without ever having received
    one.operation = victim_leaves;
    add(list, one);
}

}  // namespace

void add_role_scenarios(Scenarios& list) {
    for (const bool acknowledged : {false, true}) {
        add_turns(list, acknowledged);
        add_stand_by(list, acknowledged);
    }
}

}  // namespace stoa::crash
