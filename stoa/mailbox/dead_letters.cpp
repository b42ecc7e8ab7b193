#include "stoa/mailbox/attachment.hpp"

// Dead letters of all rings that a mailbox has: one, two of a pair, one for each receiver, or
// segments.
namespace stoa {

std::uint64_t Attachment::redrive(std::uint64_t most) noexcept {
    std::uint64_t done = 0;
    for_each_ring(Pin::hand, [&](PoolEngine& ring) {
        if (done < most) done += ring.redrive(most - done);
    });
    if (done == 0 || !plan_.routed()) return done;
    note_orphans();  // some may lie where nobody receives
    wake_all();
    return done;
}

Result<PoolLoan> Attachment::receive_dead_letter(Deadline deadline) {
    if (plan_.pool_count == 1 && !plan_.grows()) return pools_[0]->receive_dead_letter(deadline);
    for (;;) {
        Result<PoolLoan> letter = fail(Errc::empty, "receive");
        for_each_ring(Pin::hand, [&](PoolEngine& ring) {
            if (!letter && letter.error().code == Errc::empty) {
                letter = ring.receive_dead_letter(Deadline::immediately());
            }
        });
        if (letter || letter.error().code != Errc::empty) return letter;
        if (deadline.passed()) {
            return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "receive");
        }
        if (Result<void> looked = look_if_due(); !looked) return std::unexpected(looked.error());
        // Of several bells it hears one at a time: the others are looked at a little later.
        const Deadline until = deadline.sooner(std::chrono::milliseconds{10});
        const Result<Queue*> first = make_queue(0);
        if (!first) return std::unexpected(first.error());
        const Result<void> waited = (*first)->wait_for_letter(until);
        if (!waited && waited.error().code != Errc::timed_out) {
            return std::unexpected(waited.error());
        }
    }
}

}  // namespace stoa
