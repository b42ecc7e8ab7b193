// Wait sets: who arms and disarms a mailbox, sleeps for it in a set, and who rings a set's board.
//
// What a ring that is cut short costs is not seen here: wait_death_test stands still between all of
// its writes. Here every instruction of it is cut, and the mailbox judged.
#include "stoa/sys/memfd.hpp"
#include "stoa/wait/wait_set.hpp"
#include "tests/crash/scenarios/mailbox_scenario.hpp"
#include "tests/crash/scenarios/scenarios.hpp"

namespace stoa::crash {
namespace {

void fault() {
    outcome(Role::victim).values[3] = 1;
}

// add, set_watch, arm, look, disarm, remove.
void victim_arms(const Waitable& what) {
    Result<WaitSet> set = WaitSet::create();
    if (!set) return fault();
    const Result<WaitId> id = set->add(what);
    if (!id) return fault();
    static_cast<void>(set->try_wait());
    if (!set->remove(*id)) fault();
}

void victim_arms_to_receive(RawMailbox& box) {
    victim_arms(box.readable());
}

void victim_arms_to_send(RawMailbox& box) {
    victim_arms(box.writable());
}

void victim_sleeps_in_a_set(RawMailbox& box) {
    Result<WaitSet> set = WaitSet::create();
    if (!set || !set->add(box.readable())) return fault();
    Result<RawMessage> message = box.try_receive();
    while (!message && message.error().code == Errc::empty) {
        if (!set->wait()) return fault();
        message = box.try_receive();
    }
    if (!message) return;
    outcome(Role::victim).values[2] = read_payload(message->bytes());
    static_cast<void>(message->ack());
}

void victim_sends(RawMailbox& box) {
    outcome(Role::victim).values[1] = send(box, kVictimsNumber) ? 1 : 0;
}

// Joins, and tells the set that somebody came.
void victim_opens(const sys::Fd& file) {
    Result<sys::Fd> own = sys::duplicate(file);
    Result<RawMailbox> box = own ? RawMailbox::attach(std::move(*own), {.role = ::stoa::Role::both})
                                 : Result<RawMailbox>{std::unexpected(own.error())};
    if (!box) return fault();
    victim_sends(*box);
}

void add(Scenarios& list, MailboxCase details) {
    list.push_back(std::make_unique<MailboxScenario>(std::move(details)));
}

constexpr std::pair<const char*, Sharing> kKinds[]{{"set_any", Sharing::any},
                                                   {"set_single", Sharing::single_receiver},
                                                   {"set_pair", Sharing::pair}};

}  // namespace

void add_wait_set_scenarios(Scenarios& list) {
    for (const auto& [name, sharing] : kKinds) {
        const std::string kind = name;
        add(list, {.name = kind + ".arm_readable",
                   .sharing = sharing,
                   .role = ::stoa::Role::receives,
                   .operation = victim_arms_to_receive});
        add(list, {.name = kind + ".asleep",
                   .sharing = sharing,
                   .role = ::stoa::Role::receives,
                   .operation = victim_sleeps_in_a_set,
                   .sleeps = true});
    }
    add(list, {.name = "set_any.arm_writable",
               .prepared = 2,
               .from_peer = true,
               .operation = victim_arms_to_send});
    add(list, {.name = "set_single.arm_writable",
               .sharing = Sharing::single_receiver,
               .role = ::stoa::Role::sends,
               .prepared = 2,
               .operation = victim_arms_to_send});
    add(list, {.name = "set_any.ring", .operation = victim_sends, .crowd = 1, .watched = true});
    add(list, {.name = "set_any.open", .opens = victim_opens, .crowd = 1, .watched = true});
}

}  // namespace stoa::crash
