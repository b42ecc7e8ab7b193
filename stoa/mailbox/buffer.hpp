// Buffer: the (un)bounded buffer of producers and consumers, as an object in one's own region.
//
// Start here: region.find_or_construct<stoa::Buffer<Job>>("jobs", stoa::bounded(64)); send,
// receive.
// Threads:    safe.
// Processes:  any that has the region open, by its own pointer. Each message goes to one receiver,
//             in the order of sending.
// Death:      at any instruction: a message was sent or was not, was received or waits. What a dead
//             receiver was just taking comes again, perhaps behind later ones, within 100 ms; so
//             does the memory that the dead held. Who stands still in a call holds up nobody, and
//             keeps the memory of one message. Who dies while an unbounded one grows may leave a
//             block that leaks.
// Blocking:   send while `capacity` messages wait, receive while none does; the try_ forms never.
// Lifetime:   as every object of a region: region.destroy_object<Buffer<Job>>("jobs") ends it, when
//             nobody uses it. Constructed elsewhere, inside of another object say, it says
//             bad_argument.
// Units:      messages.
// Source:     the mailbox's engine (stoa/channel/pool_engine.hpp); Dijkstra 1965 for the problem.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/base/fingerprint.hpp"
#include "stoa/channel/pool_engine.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/mailbox/options.hpp"
#include "stoa/shm/buffer_layout.hpp"
#include "stoa/wait/waitable.hpp"

namespace stoa {

// A buffer of messages that are `message_bytes` each.
class RawBuffer {
public:
    RawBuffer(const Capacity& capacity, std::uint32_t message_bytes,
              std::uint32_t message_align) noexcept;
    RawBuffer(const RawBuffer&) = delete;
    RawBuffer& operator=(const RawBuffer&) = delete;

    // Errors: full (immediately), timed_out, too_big, forked, bad_argument (no object of a region),
    // corrupt, bad_layout, wrong_version; without a bound, immediately: quota_reached, out_of_space
    [[nodiscard]] Result<void> send_bytes(Bytes message, Deadline deadline);
    // Errors: empty (immediately), timed_out, wrong_size, forked, bad_argument, corrupt,
    // bad_layout, wrong_version
    [[nodiscard]] Result<void> receive_bytes(std::span<std::byte> to, Deadline deadline);

    // 0: without a bound.
    [[nodiscard]] std::uint32_t capacity() const noexcept { return grows() ? 0 : layout_.capacity; }
    // How many wait; of one that others use meanwhile it is a look.
    [[nodiscard]] std::uint64_t depth() const noexcept;

    // For a wait set: a receive, or a send, would not wait. Without a bound it never waits to send.
    // Errors of add(): not_supported: it is none of a region
    [[nodiscard]] Waitable readable();
    [[nodiscard]] Waitable writable();

    // For the region that it lies in.
    [[nodiscard]] BufferLayout& ring_layout() noexcept { return layout_; }

private:
    friend class BufferWait;

    [[nodiscard]] bool is_readable() noexcept;
    [[nodiscard]] bool is_writable() noexcept;
    [[nodiscard]] Result<PoolEngine*> engine() noexcept;
    [[nodiscard]] bool grows() const noexcept { return layout_.quota_bytes != 0; }
    [[nodiscard]] Result<void> check(const Here& at) const noexcept;
    [[nodiscard]] Result<void> send_growing(Bytes message) noexcept;
    [[nodiscard]] Result<void> receive_growing(std::span<std::byte> to, Deadline deadline);

    BufferLayout layout_{};
};

template <Sendable T>
class Buffer : private RawBuffer {
public:
    using Clock = Deadline::Clock;

    // bounded(n): at most n wait, 1 to 1048576. unbounded(quota_bytes): a send never waits; it
    // grows in the region's heap, by doubling, and gives its memory back when it is destroyed.
    // construct<Buffer<T>> says bad_argument to what cannot be.
    explicit Buffer(const Capacity& capacity = bounded(1024)) noexcept
        : RawBuffer{capacity, sizeof(T), alignof(T) > 16 ? alignof(T) : 16} {
        static_assert(alignof(T) <= kCacheLine, "a message begins on a cache line at most");
    }

    // Errors: as RawBuffer::send_bytes.
    Result<void> send(const T& value) { return send_with(value, Deadline::never()); }
    Result<void> try_send(const T& value) { return send_with(value, Deadline::immediately()); }
    Result<void> send_for(const T& value, std::chrono::nanoseconds wait) {
        return send_with(value, Deadline::after(wait));
    }
    Result<void> send_until(const T& value, Clock::time_point when) {
        return send_with(value, Deadline::at(when));
    }
    Result<void> send_with(const T& value, Deadline deadline) {
        return send_bytes(std::as_bytes(std::span{&value, 1}), deadline);
    }

    // Errors: as RawBuffer::receive_bytes.
    Result<T> receive() { return receive_with(Deadline::never()); }
    Result<T> try_receive() { return receive_with(Deadline::immediately()); }
    Result<T> receive_for(std::chrono::nanoseconds wait) {
        return receive_with(Deadline::after(wait));
    }
    Result<T> receive_until(Clock::time_point when) { return receive_with(Deadline::at(when)); }
    Result<T> receive_with(Deadline deadline) {
        alignas(T) std::array<std::byte, sizeof(T)> bytes;
        if (Result<void> got = receive_bytes(bytes, deadline); !got) {
            return std::unexpected(got.error());
        }
        return std::bit_cast<T>(bytes);
    }

    using RawBuffer::capacity;
    using RawBuffer::depth;
    using RawBuffer::readable;
    using RawBuffer::ring_layout;
    using RawBuffer::writable;
};

template <Sendable T>
struct Layout<Buffer<T>> {
    static void append(std::string& text) {
        text += "stoa.buffer 1 ";
        detail::append_type<T>(text);
    }
};

}  // namespace stoa
