#include "stoa/mailbox/attachment.hpp"

// Dead letters of all rings that a mailbox has: one, two of a pair, or one for each receiver.
namespace stoa {

std::uint64_t Attachment::redrive(std::uint64_t most) noexcept {
    std::uint64_t done = 0;
    for (std::uint32_t i = 0; i < plan_.pool_count && done < most; ++i) {
        const Result<PoolEngine*> pool = attach_pool(i);
        if (pool && *pool != nullptr) done += (*pool)->redrive(most - done);
    }
    if (done == 0 || !plan_.routed()) return done;
    note_orphans();  // some may lie where nobody receives
    wake_all();
    return done;
}

Result<PoolLoan> Attachment::receive_dead_letter(Deadline deadline) {
    const bool one = plan_.pool_count == 1;
    PoolEngine* first = nullptr;
    for (;;) {
        for (std::uint32_t i = 0; i < plan_.pool_count; ++i) {
            const Result<PoolEngine*> pool = attach_pool(i);
            if (!pool) return std::unexpected(pool.error());
            if (*pool == nullptr) continue;  // no receiver was ever there
            if (first == nullptr) first = *pool;
            Result<PoolLoan> letter =
                (*pool)->receive_dead_letter(one ? deadline : Deadline::immediately());
            if (one || letter || letter.error().code != Errc::empty) return letter;
        }
        if (deadline.passed()) {
            return fail(deadline.is_immediate() ? Errc::empty : Errc::timed_out, "receive");
        }
        // Of several bells it hears one at a time: the others are looked at a little later.
        const Deadline until = deadline.sooner(std::chrono::milliseconds{10});
        if (first == nullptr) {
            const Result<PoolEngine*> made = make_pool(0);
            if (!made) return std::unexpected(made.error());
            continue;
        }
        Result<PoolLoan> letter = first->receive_dead_letter(until);
        if (letter || letter.error().code != Errc::timed_out) return letter;
    }
}

}  // namespace stoa
