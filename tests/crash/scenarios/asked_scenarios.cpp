// Receipts in routed mailboxes: who asks, who answers, and what becomes of the receipt when the
// message changes hands.
#include <optional>

#include "stoa/base/check.hpp"
#include "tests/crash/scenarios/deeds.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/crash/scenarios/stage_scenario.hpp"

namespace stoa::crash {
namespace {

void add(Scenarios& list, StageCase details) {
    list.push_back(std::make_unique<StageScenario>(std::move(details)));
}

void victim_receives_three(RawMailbox& box) {
    for (int k = 0; k < 3; ++k) (void)receive_one(Role::victim, box);
}

// Messages with receipts at two stations whose receivers have left.
void leave_asked_orphans(StageScenario& stage) {
    std::optional<RawMailbox> one{open(stage.file(), ::stoa::Role::receives)};
    std::optional<RawMailbox> two{open(stage.file(), ::stoa::Role::receives)};
    stage.ask_prepared(4);
    two.reset();
    one.reset();
}
void ask_two(StageScenario& stage) {
    stage.ask_prepared(2);
}

void add_asking(Scenarios& list, const std::string& base, const MailboxOptions& options) {
    StageCase one{.options = options, .role = ::stoa::Role::sends};
    one.name = base + "ask";
    one.operation = victim_asks_and_looks;
    one.beside = receivers_die;
    add(list, one);
    one.name = base + "withdraw";
    one.operation = victim_withdraws;
    add(list, one);
    one.name = base + "withdraw_from_nobody";
    one.beside = nullptr;
    add(list, one);
    one.name = base + "ask_asleep";
    one.operation = victim_asks_and_waits;
    one.wakes = waker_receives;
    one.others = ::stoa::Role::sends;  // else it is sent to the judge, who stands still
    add(list, one);
}

void add_answering(Scenarios& list, const std::string& base, const MailboxOptions& options) {
    StageCase one{.options = options, .role = ::stoa::Role::receives};
    one.name = base + "answer";
    one.prepare = ask_two;
    one.operation = victim_receives_two;
    add(list, one);
    one.name = base + "withdrawn";  // takes it while the asker takes it back
    one.meanwhile = [](StageScenario& stage) { (void)stage.take_back(kStagePrepared); };
    add(list, one);
    one.meanwhile = nullptr;
    one.name = base + "leave";  // what is asked for goes to the others
    one.operation = victim_leaves;
    add(list, one);
    one.name = base + "take_over";
    one.prepare = leave_asked_orphans;
    one.operation = victim_receives_three;
    add(list, one);
    one.name = base + "take_over_withdrawn";
    one.meanwhile = [](StageScenario& stage) {
        for (std::uint64_t k = 0; k < 2; ++k) (void)stage.take_back(kStagePrepared + k);
    };
    add(list, one);
    if (!options.acknowledged) return;
    one.meanwhile = nullptr;
    one.name = base + "nack";
    one.prepare = ask_two;
    one.operation = victim_nacks;
    add(list, one);
}

}  // namespace

void add_asked_scenarios(Scenarios& list) {
    using enum Sharing;
    struct Kind {
        const char* name;
        Sharing sharing;
        bool acknowledged;
    };
    for (const auto& [name, sharing, acknowledged] :
         {Kind{"asked_turns", round_robin, false}, Kind{"asked_turns_ack", round_robin, true},
          Kind{"asked_loads", least_loaded, false}, Kind{"asked_loads_ack", least_loaded, true}}) {
        const MailboxOptions options{.capacity = bounded(4),
                                     .sharing = sharing,
                                     .acknowledged = acknowledged,
                                     .receipts = true};
        add_asking(list, std::string{name} + ".", options);
        // Whoever chose the station, its receiver does the same.
        if (sharing == round_robin) add_answering(list, std::string{name} + ".", options);
    }
}

}  // namespace stoa::crash
