// A buffer without a bound: pool rings one behind the other (stoa/shm/buffer_layout.hpp).
//
// Order of one sender: it sends into the last ring that there is, so never into an earlier one than
// before. A receiver takes from ring k + 1 only when ring k is sealed, and it seals a ring only
// when there is a next one and nothing waits. So what went into ring k was taken before, and who
// would still send there finds it sealed, and looks again which ring is the last.
// Again: a message that a dead one was taking is marked in its ring, which may be sealed by then.
// The sweep raises `again` when all rings are recovered. A receiver that finds nothing marked in
// any ring lowers it, if it is of the same generation as before it looked.
// Death: of a sender before its publish: a chunk, which recover() frees, or a ring that no word
// leads to, which leaks. Of a receiver between two rings: nothing, each step is one CAS that others
// make as well.
#include <cstring>

#include "stoa/base/crash_point.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/mailbox/buffer.hpp"
#include "stoa/shm/buffer_ring.hpp"

namespace stoa {
namespace {

constexpr int kMostTurns = 1 << 16;  // each means that others got on; more: damaged words

struct Taken {
    Result<PoolRing> ring;
    PoolLoan loan{};
};

std::unexpected<Error> corrupt() noexcept {
    return fail(Errc::corrupt, "buffer");
}

class Rings {
public:
    Rings(BufferLayout& layout, const Here& at) noexcept
        : layout_{layout}, heap_{*static_cast<Heap*>(at.heap)}, me_{holder_index(at.me)} {}

    [[nodiscard]] bool is_there(std::uint32_t which) const noexcept {
        return which < kBufferRings && layout_.rings[which].load(kSeqCst) != 0;
    }
    [[nodiscard]] std::uint32_t last() const noexcept {
        std::uint32_t found = first();
        while (is_there(found + 1)) ++found;
        return found;
    }
    [[nodiscard]] Result<PoolRing> ring(std::uint32_t which) const noexcept {
        return attach_buffer_ring(heap_, layout_, which);
    }
    [[nodiscard]] Result<void> grow(std::uint32_t behind) noexcept {
        return grow_buffer(heap_, layout_, behind);
    }
    // Errors: empty, corrupt, bad_layout
    [[nodiscard]] Result<Taken> take() noexcept;
    [[nodiscard]] std::uint32_t me() const noexcept { return me_; }

private:
    [[nodiscard]] std::uint32_t first() const noexcept {
        const std::uint32_t hint = layout_.first.load(kSeqCst);
        return is_there(hint) ? hint : 0;
    }
    void skip(std::uint32_t sealed) noexcept {
        std::uint32_t seen = sealed;
        layout_.first.compare_exchange_strong(seen, sealed + 1, kSeqCst);
    }
    // Nothing comes again: its ring is empty in `ring`.
    [[nodiscard]] Result<Taken> take_again() noexcept;

    BufferLayout& layout_;
    Heap& heap_;
    std::uint32_t me_;
};

Result<Taken> Rings::take_again() noexcept {
    std::uint64_t again = layout_.again.load(kSeqCst);
    for (std::uint32_t i = 0; is_there(i); ++i) {
        Taken taken{.ring = ring(i)};
        if (!taken.ring) return std::unexpected(taken.ring.error());
        const PoolStatus status = taken.ring->take_back(me_, taken.loan);
        if (status == PoolStatus::ok) return taken;
        if (status == PoolStatus::corrupt) return corrupt();
    }
    STOA_CRASH_POINT("buffer.again.before");
    layout_.again.compare_exchange_strong(again, again & ~std::uint64_t{1}, kSeqCst);
    return fail(Errc::empty, "receive");
}

Result<Taken> Rings::take() noexcept {
    if ((layout_.again.load(kSeqCst) & 1U) != 0) {
        Result<Taken> taken = take_again();
        if (taken || taken.error().code != Errc::empty) return taken;
    }
    std::uint32_t which = first();
    for (int turn = 0; turn < kMostTurns; ++turn) {
        Taken taken{.ring = ring(which)};
        if (!taken.ring) return std::unexpected(taken.ring.error());
        const PoolStatus status = taken.ring->take_in(me_, 0, taken.loan);
        if (status == PoolStatus::ok) return taken;
        if (status != PoolStatus::empty && status != PoolStatus::sealed) return corrupt();
        if (!is_there(which + 1)) return fail(Errc::empty, "receive");
        if (status == PoolStatus::empty && !taken.ring->seal(0)) {
            // One that a dead receiver had begun to take is in the way: it comes by `again`.
            if (taken.ring->is_blocked(0)) return fail(Errc::empty, "receive");
            continue;
        }
        STOA_CRASH_POINT("buffer.sealed");
        skip(which++);
    }
    return corrupt();
}

}  // namespace

Result<void> RawBuffer::send_growing(Bytes message) noexcept {
    const Here at = here(this);
    if (Result<void> good = check(at); !good) return good;
    if (message.size() != layout_.message_bytes) return fail(Errc::wrong_size, "send");
    const auto length = static_cast<std::uint32_t>(message.size());
    Rings rings{layout_, at};
    for (int turn = 0; turn < kMostTurns; ++turn) {
        const std::uint32_t last = rings.last();
        Result<PoolRing> ring = rings.ring(last);
        if (!ring) return std::unexpected(ring.error());
        PoolLoan loan;
        PoolStatus status = ring->claim(rings.me(), length, loan);
        if (status == PoolStatus::ok) {
            std::memcpy(ring->room(loan).data(), message.data(), length);
            status = ring->publish(loan, {.length = length});
            if (status == PoolStatus::ok) {
                ring_bell(layout_.bells.messages);
                return {};
            }
            ring->release(loan);
        }
        if (status == PoolStatus::corrupt) return corrupt();
        if (status == PoolStatus::sealed) continue;  // there is a next one by now
        if (Result<void> grown = rings.grow(last); !grown) return grown;
    }
    return corrupt();
}

Result<void> RawBuffer::receive_growing(std::span<std::byte> to, Deadline deadline) {
    const Here at = here(this);
    if (Result<void> good = check(at); !good) return good;
    if (to.size() != layout_.message_bytes) return fail(Errc::wrong_size, "receive");
    Rings rings{layout_, at};
    Result<Taken> taken = fail(Errc::empty, "receive");
    const auto ready = [&] {
        taken = rings.take();
        return taken || taken.error().code != Errc::empty;
    };
    if (deadline.is_immediate()) {
        if (!ready()) return std::unexpected(taken.error());
    } else {
        bool slept = false;
        const auto look = [&](bool due) {
            if (due) at.sweeper->sweep();
            return true;
        };
        if (wait_on_bell(layout_.bells.messages, deadline, Waiting::adaptive, slept, ready, look) ==
            Waited::timed_out) {
            return fail(Errc::timed_out, "receive");
        }
        // Pass the wake on: there may be more, here or behind.
        if (slept) ring_bell(layout_.bells.messages);
    }
    if (!taken) return std::unexpected(taken.error());
    const std::span<const std::byte> bytes = taken->ring->room(taken->loan);
    const bool fits = bytes.size() == to.size();
    if (fits) std::memcpy(to.data(), bytes.data(), to.size());
    taken->ring->release(taken->loan);
    if (!fits) return corrupt();
    return {};
}

}  // namespace stoa
