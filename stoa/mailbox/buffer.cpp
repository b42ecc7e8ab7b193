#include "stoa/mailbox/buffer.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>

#include "stoa/life/membership.hpp"
#include "stoa/shm/buffer_ring.hpp"
#include "stoa/wait/object_wait.hpp"

// A buffer is an object in shared memory, so the private state of an engine, its cursors and what
// it checked once, has no place in it. It is made by the thread that calls, and kept for the next
// call: of the few buffers that this thread used last. What tells whether it is still right is what
// it was made from; two rings that agree in that are the same to an engine.
//
// Threads of a process act as one endpoint, the place of its handle of the region. The ring asks
// for no more: every word that names an endpoint is taken by a CAS of one thread, and what that
// thread goes on with is told by the rest of the word (lap and takes, the epoch of a chunk). An
// index alone counts when its holder is dead, and then all its threads are.
namespace stoa {
namespace {

struct MadeFrom {
    const BufferLayout* at = nullptr;
    std::uint64_t ring = 0;
    std::uint32_t capacity = 0;
    std::uint32_t message_bytes = 0;
    std::uint32_t message_align = 0;
    Holder me = 0;
    Sweeper* sweeper = nullptr;

    friend bool operator==(const MadeFrom&, const MadeFrom&) = default;
};

struct Used {
    MadeFrom from{};
    alignas(PoolEngine) std::byte engine[sizeof(PoolEngine)];
};
static_assert(std::is_trivially_destructible_v<PoolEngine>);

constexpr std::uint32_t kFirstCapacity = 64;  // of one that grows
constexpr std::size_t kKept = 4;
constinit thread_local Used t_used[kKept]{};

Used& place_of(const BufferLayout* at) noexcept {
    const auto line = reinterpret_cast<std::uintptr_t>(at) / kCacheLine;
    return t_used[(line ^ line >> 2U ^ line >> 6U) % kKept];
}

// `context`: the sweeper of its region.
LookAround around(Sweeper* sweeper) noexcept {
    return {.check = [](void*) { return Result<void>{}; },
            .look =
                [](void* context) {
                    static_cast<Sweeper*>(context)->sweep();
                    return Result<void>{};
                },
            .closed = [](void*) { return false; },
            .context = sweeper};
}

}  // namespace

RawBuffer::RawBuffer(const Capacity& capacity, std::uint32_t message_bytes,
                     std::uint32_t message_align) noexcept {
    layout_.magic = kBufferMagic;
    layout_.version = kBufferVersion;
    const bool grows = capacity.kind == Capacity::Kind::unbounded;
    layout_.capacity = grows ? kFirstCapacity : capacity.messages;
    layout_.quota_bytes = grows ? std::max<std::uint64_t>(capacity.quota_bytes, 1) : 0;
    layout_.message_bytes = message_bytes;
    layout_.message_align = message_align;
}

// ok: it is an object of a region.
Result<void> RawBuffer::check(const Here& at) const noexcept {
    if (at.me == 0) return fail(Errc::forked, "buffer");
    if (at.sweeper != nullptr && at.heap != nullptr && layout_.rings[0].load(kRelaxed) != 0) {
        return {};
    }
    return fail(Errc::bad_argument,
                "buffer (it is none of a region: region.construct<Buffer<T>>(NAME, bounded(N)))");
}

Result<PoolEngine*> RawBuffer::engine() noexcept {
    const Here at = here(this);
    const MadeFrom from{.at = &layout_,
                        .ring = layout_.rings[0].load(kRelaxed),
                        .capacity = layout_.capacity,
                        .message_bytes = layout_.message_bytes,
                        .message_align = layout_.message_align,
                        .me = at.me,
                        .sweeper = at.sweeper};
    Used& used = place_of(&layout_);
    auto* const kept = std::launder(reinterpret_cast<PoolEngine*>(used.engine));
    if (used.from == from) [[likely]]  // and so it is not a forked child's
        return kept;
    if (Result<void> good = check(at); !good) return std::unexpected(good.error());
    const Result<PoolRing> ring = attach_buffer_ring(*static_cast<Heap*>(at.heap), layout_, 0);
    if (!ring) return std::unexpected(ring.error());
    if (ring->geometry().classes[0].payload_bytes != from.message_bytes) {
        return fail(Errc::bad_layout, "buffer");
    }
    PoolBells& bells = layout_.bells;
    const PoolHost host{.around = around(at.sweeper), .me = holder_index(at.me)};
    used.from = {};
    auto* const made = ::new (used.engine)
        PoolEngine{*ring, 0, bells, bells.space, bells.letters, {}, Waiting::adaptive, host};
    used.from = from;
    return made;
}

Result<void> RawBuffer::send_bytes(Bytes message, Deadline deadline) {
    if (grows()) return send_growing(message);
    const Result<PoolEngine*> ring = engine();
    if (!ring) return std::unexpected(ring.error());
    return (*ring)->send(message, {}, deadline);
}

Result<void> RawBuffer::receive_bytes(std::span<std::byte> to, Deadline deadline) {
    if (grows()) return receive_growing(to, deadline);
    const Result<PoolEngine*> ring = engine();
    if (!ring) return std::unexpected(ring.error());
    const Result<PoolLoan> loan = (*ring)->receive(deadline);
    if (!loan) return std::unexpected(loan.error());
    const std::span<const std::byte> bytes = (*ring)->room(*loan);
    const bool fits = bytes.size() == to.size();
    if (fits) std::memcpy(to.data(), bytes.data(), to.size());
    (*ring)->release(*loan);
    if (!fits) return fail(Errc::wrong_size, "receive");
    return {};
}

// --- wait sets ----------------------------------------------------------------------------------

class BufferWait final : public ObjectWait {
public:
    BufferWait(RawBuffer& buffer, bool to_send) noexcept
        : ObjectWait{&buffer}, buffer_{buffer}, to_send_{to_send} {}

private:
    [[nodiscard]] bool is_ready() noexcept override {
        return to_send_ ? buffer_.is_writable() : buffer_.is_readable();
    }
    void mark() noexcept override {
        PoolBells& bells = buffer_.layout_.bells;
        arm_bell(to_send_ ? bells.space : bells.messages);
    }

    RawBuffer& buffer_;
    bool to_send_;
};

bool RawBuffer::is_readable() noexcept {
    const Here at = here(this);
    if (!check(at)) return true;  // the call says why
    if (!grows()) {
        const Result<PoolEngine*> ring = engine();
        return !ring || (*ring)->ring().has_messages();
    }
    if ((layout_.again.load(kSeqCst) & 1U) != 0) return true;
    for (std::uint32_t i = 0; i < kBufferRings && layout_.rings[i].load(kSeqCst) != 0; ++i) {
        const Result<PoolRing> ring =
            attach_buffer_ring(*static_cast<const Heap*>(at.heap), layout_, i);
        if (!ring || ring->has_messages()) return true;
    }
    return false;
}

bool RawBuffer::is_writable() noexcept {
    if (grows()) return true;
    const Result<PoolEngine*> ring = engine();
    return !ring ||
           (!(*ring)->seems_full() && (*ring)->ring().seems_to_have_chunk(layout_.message_bytes));
}

Waitable RawBuffer::readable() {
    return Waitable{std::make_shared<BufferWait>(*this, false)};
}

Waitable RawBuffer::writable() {
    return Waitable{std::make_shared<BufferWait>(*this, true)};
}

std::uint64_t RawBuffer::depth() const noexcept {
    const Here at = here(this);
    std::uint64_t all = 0;
    for (std::uint32_t i = 0; at.heap != nullptr && i < kBufferRings; ++i) {
        const Result<PoolRing> ring =
            attach_buffer_ring(*static_cast<const Heap*>(at.heap), layout_, i);
        if (!ring) break;
        all += ring->depth();
    }
    return all;
}

}  // namespace stoa
