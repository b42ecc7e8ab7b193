// What a user chooses when a mailbox is created or opened.
#pragma once

#include <cstdint>
#include <string>

#include "stoa/life/participants.hpp"
#include "stoa/shm/region_layout.hpp"
#include "stoa/sync/bell.hpp"

namespace stoa {

// Who gets a message when several receive. The numbers are part of the format.
enum class Sharing : std::uint32_t {
    any = 0,              // one of those who receive, whoever comes first
    single_receiver = 1,  // one handle holds the receiving role; a further one with Role::both only
                          // sends, with Role::receives it is refused
    pair = 2,             // two handles, both ways; none receives what it sent itself
};

struct Capacity {
    std::uint32_t messages = 1024;
};
// At most n messages wait, 1 to 1048576. With Sharing::single_receiver without acknowledgement the
// bound holds for each sender.
[[nodiscard]] constexpr Capacity bounded(std::uint32_t n) noexcept {
    return {n};
}

struct MailboxOptions {
    Capacity capacity = bounded(1024);
    Sharing sharing = Sharing::any;
    bool acknowledged = false;            // a delivery is a lease until it is acked
    std::uint32_t max_bytes = 64 * 1024;  // largest message; a typed mailbox uses its type's size
    std::uint64_t reserve_bytes = 1U << 20;  // memory for payloads, taken at once
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
};

}  // namespace stoa
