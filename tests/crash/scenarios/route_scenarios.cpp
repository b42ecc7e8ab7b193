// Routed sharings, over pool rings and over lanes: receivers that come and go, senders that choose.
#include <csignal>
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

// --- what processes do --------------------------------------------------------------------------

void victim_receives(RawMailbox& box) {
    for (int k = 0; k < 3; ++k) (void)receive_one(Role::victim, box);
}
void victim_opens(const sys::Fd& file) {
    RawMailbox box = open(file, ::stoa::Role::receives);
    (void)receive_one(Role::victim, box);
}
void victim_opens_both(const sys::Fd& file) {
    RawMailbox box = open(file);
    (void)send_one(Role::victim, box, kStageVictims);
    did(Role::victim, Deed::regrets, kStageVictims);  // it may receive its own
    (void)receive_one(Role::victim, box);
}

// --- what they find -----------------------------------------------------------------------------

// Messages at two stations whose receivers have left.
void leave_orphans(StageScenario& stage) {
    std::optional<RawMailbox> one{open(stage.file(), ::stoa::Role::receives)};
    std::optional<RawMailbox> two{open(stage.file(), ::stoa::Role::receives)};
    stage.send_prepared(4);
    two.reset();
    one.reset();
}

// Messages of a sender that died at two stations whose receivers died as well.
void leave_the_dead(StageScenario& stage) {
    die(stage.file(), ::stoa::Role::receives, [&](RawMailbox&) {
        die(stage.file(), ::stoa::Role::receives, [&](RawMailbox&) {
            die(stage.file(), ::stoa::Role::sends, [&](RawMailbox& out) {
                for (std::uint64_t k = 50; k < 54; ++k) {
                    const std::uint64_t number = kStagePrepared + k;
                    STOA_CHECK(out.try_send(message(number), options_of(out.plan(), number)));
                }
                (void)std::raise(SIGKILL);
            });
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
    StageCase one{.options = kind.options, .role = ::stoa::Role::sends};
    one.name = base + ".send";
    one.operation = victim_sends_two;
    one.beside = receivers_die;
    add(list, one);
    one.name = base + ".send_loan";
    one.operation = victim_fills_a_loan;
    add(list, one);
    one.name = base + ".send_to_nobody";
    one.beside = nullptr;
    one.operation = victim_sends_two;
    add(list, one);
}

void add_receivers(Scenarios& list, const Kind& kind) {
    const std::string base = kind.name;
    StageCase one{.options = kind.options, .role = ::stoa::Role::receives};
    one.name = base + ".open_close";
    one.opens = victim_opens;
    one.prepare = [](StageScenario& stage) { stage.send_prepared(2); };
    add(list, one);
    one.name = base + ".open_both";
    one.opens = victim_opens_both;
    one.prepare = nullptr;
    add(list, one);
    one.opens = nullptr;
    one.name = base + ".receive";
    one.operation = victim_receives;
    one.prepare = [](StageScenario& stage) { stage.send_prepared(2); };
    add(list, one);
    one.name = base + ".take_over";
    one.prepare = leave_orphans;
    add(list, one);
    one.name = base + ".take_over_beside";  // another receiver comes, and waits what happens
    one.only_opens = true;
    add(list, one);
    one.only_opens = false;
    one.name = base + ".leave";
    one.prepare = [](StageScenario& stage) { stage.send_prepared(2); };
    one.operation = victim_leaves;
    add(list, one);
    one.name = base + ".sweep";
    one.operation = nullptr;
    one.opens = victim_opens;
    one.prepare = leave_the_dead;
    add(list, one);
}

void add_ends(Scenarios& list, const Kind& kind) {
    StageCase one{.options = kind.options, .role = ::stoa::Role::sends, .closes = true};
    one.name = std::string{kind.name} + ".send_to_closed";
    one.operation = victim_sends_two;
    one.beside = receivers_die;
    add(list, one);
    one.name = std::string{kind.name} + ".learn_the_end";
    one.role = ::stoa::Role::receives;
    one.closed = true;
    one.beside = nullptr;
    one.prepare = [](StageScenario& stage) {
        stage.send_prepared(2);
        STOA_CHECK(stage.asker().close().has_value());
    };
    one.operation = victim_receives;
    add(list, one);
}

}  // namespace

void add_route_scenarios(Scenarios& list) {
    using enum Sharing;
    const MailboxOptions lanes{.capacity = bounded(4), .sharing = round_robin};
    MailboxOptions pool = lanes;
    pool.acknowledged = true;
    const Kind turns_in_lanes{"routed_lanes", lanes};
    const Kind turns_in_pools{"routed_pools_ack", pool};
    pool.acknowledged = false;
    pool.sharing = least_loaded;
    const Kind least{"routed_pools", pool};
    pool.sharing = key_affine;
    pool.acknowledged = true;
    const Kind keys{"routed_keys_ack", pool};
    MailboxOptions keyed_lanes = lanes;
    keyed_lanes.sharing = key_affine;
    const Kind keys_in_lanes{"routed_keys", keyed_lanes};
    for (const Kind& kind : {turns_in_lanes, least, turns_in_pools}) {
        add_senders(list, kind);
        add_receivers(list, kind);
    }
    for (const Kind& kind : {keys, keys_in_lanes}) add_senders(list, kind);
    for (const Kind& kind : {least, turns_in_pools, turns_in_lanes, keys_in_lanes}) {
        add_ends(list, kind);
    }
}

}  // namespace stoa::crash
