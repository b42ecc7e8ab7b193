// What victims and wakers of several families of scenarios do.
#pragma once

#include <csignal>
#include <utility>

#include "tests/crash/scenarios/ledger.hpp"
#include "tests/crash/scenarios/stage_scenario.hpp"

namespace stoa::crash {

inline void victim_sends(RawMailbox& box) {
    (void)send_one(Role::victim, box, kStageVictims);
}
inline void victim_sends_two(RawMailbox& box) {
    for (std::uint64_t k = 0; k < 2; ++k) (void)send_one(Role::victim, box, kStageVictims + k);
}
inline void victim_fills_a_loan(RawMailbox& box) {
    Result<RawLoan> loan = box.loan(kBytes, Deadline::immediately());
    if (!loan) return;
    write_payload(loan->room().first(kBytes), kStageVictims);
    if (loan->commit(kBytes, Deadline::immediately())) {
        did(Role::victim, Deed::sent, kStageVictims);
    }
}
inline void victim_receives_two(RawMailbox& box) {
    for (int k = 0; k < 2; ++k) (void)receive_one(Role::victim, box);
}
inline void victim_nacks(RawMailbox& box) {
    Result<RawMessage> got = box.try_receive();
    if (got && !got->nack("bad")) did(Role::victim, Deed::wrong, 0);
}
inline void waker_receives(RawMailbox& box) {
    (void)receive_one(Role::waker, box);
}

inline Result<Receipt> victim_asks(RawMailbox& box, SendOptions options = {}) {
    Result<Receipt> receipt =
        box.send_with_receipt(message(kStageVictims), options, Deadline::immediately());
    if (receipt) did(Role::victim, Deed::sent, kStageVictims);
    return receipt;
}
inline void note_answer(const Result<Answer>& answer) {
    if (answer) did(Role::victim, Deed::told, kStageVictims, answer->outcome);
}
inline void victim_asks_and_looks(RawMailbox& box) {
    Result<Receipt> receipt = victim_asks(box);
    if (receipt) note_answer(receipt->try_wait());
}
inline void victim_asks_and_waits(RawMailbox& box) {
    Result<Receipt> receipt = victim_asks(box);
    if (receipt) note_answer(receipt->wait());
}
inline void victim_withdraws(RawMailbox& box) {
    Result<Receipt> receipt = victim_asks(box);
    did(Role::victim, Deed::regrets, kStageVictims);
    if (receipt) note_answer(receipt->withdraw());
}
// Already over: its sender finds that when it looks.
inline void victim_finds_it_expired(RawMailbox& box) {
    Result<Receipt> receipt = victim_asks(box, {.time_to_live = std::chrono::nanoseconds{1}});
    did(Role::victim, Deed::regrets, kStageVictims);
    if (receipt) note_answer(receipt->try_wait());
}
inline void victim_leaves(RawMailbox& box) {
    const RawMailbox last = std::move(box);
}

// Two receivers that are dead, and not swept yet: the victim has opened its handle before. Whoever
// comes next takes the station of one, so that the other's is nobody's.
inline void receivers_die(const sys::Fd& file) {
    die(file, ::stoa::Role::receives, [&](RawMailbox&) {
        die(file, ::stoa::Role::receives, [](RawMailbox&) { (void)std::raise(SIGKILL); });
        (void)std::raise(SIGKILL);
    });
}

}  // namespace stoa::crash
