// What a user chooses when a mailbox is created or opened.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "stoa/channel/send_options.hpp"
#include "stoa/life/participants.hpp"
#include "stoa/shm/region_layout.hpp"
#include "stoa/sync/bell.hpp"

namespace stoa {

// Who gets a message when several receive. The numbers are part of the format.
enum class Sharing : std::uint32_t {
    any = 0,              // one of those who receive, whoever comes first
    single_receiver = 1,  // one handle holds the receiving role; a further one with Role::both only
                          // sends, with Role::receives it is refused, or stands by (OpenOptions)
    pair = 2,             // two handles, both ways; none receives what it sent itself
    round_robin = 3,      // the receivers in turn; one whose queue is full is passed over
    least_loaded = 4,     // the receiver for whom the fewest wait
    key_affine = 5,       // equal keys go to one receiver, as long as it lives
    broadcast = 6,        // every subscriber gets each message
};

// How many messages may wait.
struct Capacity {
    enum class Kind : std::uint8_t { zero, bounded, unbounded };

    Kind kind = Kind::bounded;
    std::uint32_t messages = 1024;          // bounded
    std::uint64_t quota_bytes = 1U << 30U;  // unbounded: of memory, at most
};
// At most n messages wait, 1 to 1048576. Where lanes carry the mailbox the bound holds for each of
// them (see docs/guide/mailbox-matrix.md).
[[nodiscard]] constexpr Capacity bounded(std::uint32_t n) noexcept {
    return {.messages = n};
}
// Rendezvous: a send returns when a receiver has taken the message.
[[nodiscard]] constexpr Capacity zero() noexcept {
    return {.kind = Capacity::Kind::zero, .messages = 0};
}
// A send never waits. The mailbox grows to `quota_bytes` of memory, then says quota_reached, and
// gives memory back when it is drained.
[[nodiscard]] constexpr Capacity unbounded(std::uint64_t quota_bytes = 1U << 30U) noexcept {
    return {.kind = Capacity::Kind::unbounded, .quota_bytes = quota_bytes};
}

struct MailboxOptions {
    Capacity capacity = bounded(1024);
    Sharing sharing = Sharing::any;
    bool acknowledged = false;            // a delivery is a lease until it is acked
    Overflow overflow = Overflow::block;  // what a full mailbox does to a send
    std::uint32_t priorities = 1;         // 1 to 32; 0 is the lowest
    // A waiting message gains one priority each time so long has passed; 0: never. Then a low
    // priority cannot starve.
    std::chrono::nanoseconds ageing{0};
    // Receipts, withdrawal and times to live also where lanes would carry the mailbox; the
    // pool ring does it then. Broadcast: times to live alone, for it has no receipts.
    bool receipts = false;
    std::chrono::nanoseconds time_to_live{0};  // of messages that name none; 0: for ever
    // Acknowledged: so many deliveries without ack make a dead letter, 1 to 255; 0: never.
    std::uint32_t dead_letter_after = 0;
    bool keep_expired = false;             // expired messages become dead letters
    std::uint32_t dead_letter_quota = 64;  // so many are kept; beyond it they are delivered again
    bool one_way = false;                  // pair: one sends, the other receives
    bool by_turns = false;  // single_receiver: any number of them, one at a time receives
    std::uint32_t max_bytes = 64 * 1024;  // largest message; a typed mailbox uses its type's size
    // Memory for payloads, taken at once. Unbounded: of each piece by which it grows, at most an
    // eighth of the quota; the default is taken down to that, what was asked for is refused.
    std::uint64_t reserve_bytes = 1U << 20;
    // Loans and messages that one handle may hold, 1 to 64. Memory for those of 32 handles lies
    // beside the capacity; what more handles hold is taken from it.
    std::uint32_t loan_quota = 4;
    // process: it ends with the handle that create returns (clones do not prolong it), or with the
    // process, also by SIGKILL; nothing of it is ever in a folder, and the name is free at once.
    // Others then get `owner_gone`. For processes of the same user and namespaces.
    Owner owner = Owner::system;
    std::uint32_t mode = 0600;  // of its file; in a domain of a group 0060 is added
    Role role = Role::both;     // of the handle that create returns
    Waiting waiting = Waiting::adaptive;
    std::string domain{};  // empty: STOA_DOMAIN, else /dev/shm/stoa-UID
};

struct OpenOptions {
    Role role = Role::both;
    Waiting waiting = Waiting::adaptive;
    std::string domain{};
    // What says nothing to the mailbox that is opened, or to who only sends, is refused.
    bool stand_by = false;  // single_receiver that is held: receive when its holder is gone
    bool latest = false;    // broadcast: skip what comes too fast, instead of holding senders back
    bool from_oldest = false;  // broadcast on logs: begin with the oldest message that is kept
};

}  // namespace stoa
