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

Result<PoolLoan> Attachment::take_dead_letter() {
    Result<PoolLoan> letter = fail(Errc::empty, "receive");
    for_each_ring(Pin::hand, [&](PoolEngine& ring) {
        if (!letter && letter.error().code == Errc::empty) letter = ring.take_dead_letter();
    });
    return letter;
}

bool Attachment::has_dead_letter() {
    bool found = false;
    for_each_ring(Pin::hand,
                  [&](PoolEngine& ring) { found = found || ring.ring().dead_letters() > 0; });
    return found;
}

// Who waits is nobody whom a rendezvous could meet, and says so: it waits for nothing.
Result<PoolLoan> Attachment::receive_dead_letter(Deadline deadline) {
    Result<void> why;
    const auto look = [&](bool due) {
        why = due ? look_around() : check();
        return why.has_value();
    };
    // A look goes through all memory of all rings: who is not to spin at any price sleeps at once.
    const Waiting waiting = waiting_ == Waiting::adaptive ? Waiting::park : waiting_;
    for (;;) {
        if (Result<void> looked = look_if_due(); !looked) return std::unexpected(looked.error());
        Result<PoolLoan> letter = take_dead_letter();
        if (letter || letter.error().code != Errc::empty) return letter;
        if (deadline.is_immediate()) return fail(Errc::empty, "receive");
        bool slept = false;
        switch (wait_on_bell(
            station(0).bells.letters, deadline, waiting, slept, [&] { return has_dead_letter(); },
            look)) {
            case Waited::ready: continue;
            case Waited::timed_out: return fail(Errc::timed_out, "receive");
            case Waited::stopped: return std::unexpected(why.error());
        }
    }
}

}  // namespace stoa
