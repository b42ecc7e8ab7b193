// What a user chooses when a process joins, a link is made, a message is sent.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "stoa/link/name_region.hpp"
#include "stoa/mailbox/options.hpp"

namespace stoa {

// Of a link: those of the process that makes it, by its first message, count for both sides.
struct LinkOptions {
    Capacity capacity = bounded(1024);  // each way; zero: a send ends when the other one has it
    bool one_way = false;               // who makes it sends, the other one receives
    std::uint32_t max_bytes = 64U << 10U;
    std::uint64_t reserve_bytes = 128U << 10U;  // of memory for messages, each way
    std::uint32_t loan_quota = 8;               // messages and loans that one side may hold
};

struct JoinOptions {
    LinkOptions links{};  // of those that this process makes
    Attributes attributes{};
    Waiting waiting = Waiting::adaptive;
    std::string domain{};  // empty: STOA_DOMAIN, else /dev/shm/stoa-UID
};

// Of one call of send or receive that names a process.
struct TalkOptions {
    // Where nobody has the name: false fails at once (not_found), true waits until one joins.
    bool wait_for_join = false;
    // Sends: descriptors that go with the message, at most 64; they stay open here.
    std::span<const int> fds{};
};

}  // namespace stoa
