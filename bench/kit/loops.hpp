// The hot loops, one instance per endpoint type, so that no call in them is virtual.
//
// Start here: run_role(); the four functions of an endpoint are listed in subject.hpp.
// Threads:    each process runs one loop.
// Processes:  one per role; the board is all they share beside the subject.
// Death:      a loop never ends if its peer dies: the parent's watchdog ends it.
// Blocking:   as the subject blocks.
// Lifetime:   the endpoint and the board outlive the loop.
// Units:      ticks.
// Source:     none.
#pragma once

#include <algorithm>

#include "bench/kit/board.hpp"
#include "bench/kit/case.hpp"
#include "bench/kit/clock.hpp"
#include "bench/kit/payload.hpp"

namespace stoa::bench {

template <class E>
concept SendsBatches =
    requires(E e) { e.send_batch(std::size_t{8}, std::size_t{1}, [](std::byte*, std::size_t) {}); };
template <class E>
concept ReceivesBatches = requires(E e) {
    {
        e.receive_batch(std::size_t{1}, [](const std::byte*, std::size_t) {})
    };
};
template <class E>
concept Flushes = requires(E e) { e.flush(); };

// The size of a message: known to the compiler when the endpoint has a constant `kBytes`, as a
// queue of a fixed type has.
template <class E>
[[nodiscard]] constexpr std::size_t bytes_of(const Case& c) noexcept {
    if constexpr (requires { E::kBytes; }) {
        return E::kBytes;
    } else {
        return c.bytes;
    }
}

template <class E>
[[gnu::always_inline]] inline void fill_for(std::byte* at, std::size_t bytes, std::uint64_t seed) {
    if constexpr (requires { E::kBytes; }) {
        fill_payload<E::kBytes>(at, seed);
    } else {
        fill_payload(at, bytes, seed);
    }
}

// One round trip after another, each timed. The reply's seed is the sum of the request, so a server
// cannot answer before it has read every byte, and the client sees every wrong message.
template <bool kTouch, class E>
void client_loop(E& end, const Case& c, const Board& board, RoleBoard& mine, RoleBoard& server) {
    const std::size_t bytes = bytes_of<E>(c);
    std::uint64_t seed = 1;
    std::uint64_t wrong = 0;
    std::uint64_t first = 0;
    std::uint64_t before = ticks();
    for (bool last = false; !last; ++seed) {
        last = before >= board.until;
        if (last) server.stop.store(1, kRelaxed);  // seen with the message that follows
        end.send(bytes, [&](std::byte* at) {
            if constexpr (kTouch) fill_for<E>(at, bytes, seed);
        });
        std::uint64_t sum = 0;
        end.receive([&](const std::byte* at, std::size_t size) {
            if (size != bytes) ++wrong;
            if constexpr (kTouch) sum = sum_payload(at, size);
        });
        if constexpr (kTouch) wrong += sum != expected_sum(bytes, expected_sum(bytes, seed));
        const std::uint64_t now = ticks();
        if (before >= board.from) {
            if (first == 0) first = before;
            mine.latency.add(now - before);
            mine.measured_ticks = now - first;
        }
        before = now;
    }
    mine.measured = mine.latency.count();
    mine.messages.store(seed - 1, kRelaxed);
    mine.wrong = wrong;
    mine.left.store(1, kRelease);
}

// Stays until the client has its last reply: to close earlier may take the reply away.
template <bool kTouch, class E>
void server_loop(E& end, const Case& c, RoleBoard& mine, const RoleBoard& client) {
    const std::size_t bytes = bytes_of<E>(c);
    std::uint64_t wrong = 0;
    for (bool last = false; !last;) {
        std::uint64_t sum = 0;
        end.receive([&](const std::byte* at, std::size_t size) {
            if (size != bytes) ++wrong;
            if constexpr (kTouch) sum = sum_payload(at, size);
        });
        last = mine.stop.load(kRelaxed) != 0;
        end.send(bytes, [&](std::byte* at) {
            if constexpr (kTouch) fill_for<E>(at, bytes, sum);
        });
    }
    mine.wrong = wrong;
    while (client.left.load(kAcquire) == 0) sleep_us(100);
}

// Messages between two looks at the clock; large ones take long enough to look every time.
[[nodiscard]] inline std::uint64_t look_every(const Case& c) noexcept {
    if (c.bytes > 1024) return c.batch();
    return kBatch;
}

template <class E>
void send_some(E& end, const Case& c, std::uint64_t seed, std::size_t count) {
    const std::size_t bytes = bytes_of<E>(c);
    if constexpr (SendsBatches<E>) {
        if (c.batch() > 1) {
            end.send_batch(bytes, count,
                           [&](std::byte* at, std::size_t i) { fill_for<E>(at, bytes, seed + i); });
            return;
        }
    }
    for (std::size_t i = 0; i < count; ++i) {
        end.send(bytes, [&](std::byte* at) { fill_for<E>(at, bytes, seed + i); });
    }
}

[[nodiscard]] inline std::uint64_t received_so_far(const Case& c, const Board& board) noexcept {
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < c.receivers(); ++i) {
        sum += board.roles[c.senders() + i].messages.load(kAcquire);
    }
    return sum;
}

// The first sender ends the run: it waits until all that was sent has arrived, says so, and wakes
// the receivers with messages that nobody counts. A message that never arrives hangs here, and the
// watchdog then says what is missing.
template <class E>
void end_flow(E& end, const Case& c, Board& board) {
    Atomic<Doing>& doing = board.roles[0].doing;
    doing.store(Doing::awaits_senders, kRelaxed);
    std::uint64_t sent = 0;
    for (unsigned i = 0; i < c.senders(); ++i) {
        while (board.roles[i].left.load(kAcquire) == 0) sleep_us(50);
        sent += board.roles[i].messages.load(kRelaxed);
    }
    doing.store(Doing::awaits_arrival, kRelaxed);
    while (received_so_far(c, board) < sent * c.copies()) sleep_us(50);
    board.ended.store(1, kRelease);
    doing.store(Doing::awaits_receivers, kRelaxed);
    const auto left = [&] {
        unsigned count = 0;
        for (unsigned i = 0; i < c.receivers(); ++i) {
            count += board.roles[c.senders() + i].left.load(kAcquire);
        }
        return count == c.receivers();
    };
    for (unsigned i = 0; i < c.receivers(); ++i) send_some(end, c, 0, 1);
    if constexpr (Flushes<E>) end.flush();
    // One message wakes one receiver. Of several, one may have taken what was for another; the
    // waits grow, for what nobody takes any more could fill a small queue and stop us here.
    for (unsigned wait_us = 200; !left(); wait_us = std::min(wait_us * 2, 200'000U)) {
        sleep_us(wait_us);
        if (c.receivers() == 1 || left()) continue;
        send_some(end, c, 0, 1);
        if constexpr (Flushes<E>) end.flush();
    }
    board.closed.store(1, kRelease);
}

template <class E>
void sender_loop(E& end, const Case& c, const Role& role, Board& board) {
    RoleBoard& mine = board.roles[role.board];
    const std::uint64_t base = (std::uint64_t{role.index} << 40U) + 1;
    const std::uint64_t some = look_every(c);
    std::uint64_t sent = 0;
    while (ticks() < board.until) {
        send_some(end, c, base + sent, some);
        sent += some;
        mine.messages.store(sent, kRelaxed);
    }
    if constexpr (Flushes<E>) end.flush();
    mine.sum = expected_total(c.bytes, base, sent);
    mine.doing.store(Doing::has_left, kRelaxed);
    mine.left.store(1, kRelease);
    if (role.index == 0) end_flow(end, c, board);
    mine.doing.store(Doing::has_left, kRelaxed);
    while (board.closed.load(kAcquire) == 0) sleep_us(100);
}

// What a receiver adds up; in a verified run every message is looked at by itself. What arrives
// after `ended` is end_flow's and is left out.
template <bool kVerify>
struct Tally {
    std::size_t bytes;
    bool in_order;  // one sender, no priorities: the seeds count up from 1
    std::uint64_t sum = 0;
    std::uint64_t wrong = 0;
    std::uint64_t next = 1;

    [[gnu::always_inline]] void operator()(const std::byte* at, std::size_t size) noexcept {
        const std::uint64_t here = sum_payload(at, size);
        sum += here;
        if constexpr (kVerify) {
            const std::uint64_t seed = first_word(at);
            wrong += size != bytes || here != expected_sum(bytes, seed);
            if (in_order) wrong += seed != next++;
        }
    }
};

template <bool kVerify, class E>
void receiver_loop(E& end, const Case& c, Board& board, RoleBoard& mine) {
    Tally<kVerify> tally{c.bytes, c.senders() == 1 && !c.shows_policy()};
    const std::uint64_t some = look_every(c);
    std::uint64_t count = 0;
    std::uint64_t looked = 0;
    std::uint64_t first = 0;
    std::uint64_t first_count = 0;
    for (;;) {
        std::size_t got = 1;
        if constexpr (ReceivesBatches<E>) {
            if (c.batch() > 1) {
                got = end.receive_batch(kBatch, tally);
            } else {
                end.receive(tally);
            }
        } else {
            end.receive(tally);
        }
        if (board.ended.load(kRelaxed) != 0) break;
        mine.sum = tally.sum;
        mine.wrong = tally.wrong;
        count += got;
        mine.messages.store(count, kRelease);
        if (count - looked < some) continue;
        looked = count;
        const std::uint64_t now = ticks();
        if (now < board.from || now >= board.until) continue;
        if (first == 0) {
            first = now;
            first_count = count;
        }
        mine.measured = count - first_count;
        mine.measured_ticks = now - first;
    }
    mine.doing.store(Doing::has_left, kRelaxed);
    mine.left.store(1, kRelease);
    while (board.closed.load(kAcquire) == 0) sleep_us(100);
}

// Runs what `role` has to do on `end`; returns when the measurement is over.
template <class E>
void run_role(E& end, const Case& c, const Role& role, Board& board) {
    RoleBoard& mine = board.roles[role.board];
    switch (role.part) {
        case Part::client: {
            RoleBoard& server = board.roles[role.board + 1];
            if (c.touches()) return client_loop<true>(end, c, board, mine, server);
            return client_loop<false>(end, c, board, mine, server);
        }
        case Part::server: {
            const RoleBoard& client = board.roles[role.board - 1];
            if (c.touches()) return server_loop<true>(end, c, mine, client);
            return server_loop<false>(end, c, mine, client);
        }
        case Part::sender: return sender_loop(end, c, role, board);
        case Part::receiver:
            if (c.verify) return receiver_loop<true>(end, c, board, mine);
            return receiver_loop<false>(end, c, board, mine);
        case Part::busy: return;
    }
}

}  // namespace stoa::bench
