// What travels in a link, format v1. docs/formats/link.md holds these tables; a test compares.
//
// LinkHeader, before the payload of each message in the mailbox of a link
//   offset bytes field       writer        rule
//        0     8 type        sender        fingerprint of the payload's type; 0: bytes
//        8     8 call        sender        of a call, its reply or refusal: which one, from 1
//       16     8 batch       sender        which packet of the socket has the descriptors; 0: none
//       24     4 fd_count    sender        how many, at most 64
//       28     4 kind        sender        LinkKind
//
// LinkHello, the first packet of a connection to a process's socket
//        0     8 magic       connector     other packets are no hello
//        8     8 from        connector     its join id
//       16     8 to          connector     the join id of who listens
//
// LinkDescriptors, each further packet, with descriptors
//        0     8 batch       connector     1, 2, ... of this connection
//
// LinkPulse, a message in the mailbox of pulses of a process
//        0     8 from        sender        its join id
//        8     8 value       sender        the user's
//       16    64 name        sender        its name, zero-terminated
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/layout.hpp"

namespace stoa {

inline constexpr std::uint64_t kLinkHelloMagic = magic_of("STOALNK1");

enum class LinkKind : std::uint32_t {
    message = 1,
    call = 2,
    reply = 3,
    refusal = 4,  // who received the call let go of it
    end = 5,      // nothing more follows: its sender leaves
};

struct alignas(16) LinkHeader {
    std::uint64_t type;
    std::uint64_t call;
    std::uint64_t batch;
    std::uint32_t fd_count;
    LinkKind kind;
};
static_assert(offsetof(LinkHeader, type) == 0 && offsetof(LinkHeader, call) == 8);
static_assert(offsetof(LinkHeader, batch) == 16 && offsetof(LinkHeader, fd_count) == 24);
static_assert(offsetof(LinkHeader, kind) == 28 && sizeof(LinkHeader) == 32);
static_assert(std::is_standard_layout_v<LinkHeader>);

struct LinkHello {
    std::uint64_t magic;
    std::uint64_t from;
    std::uint64_t to;
};
static_assert(offsetof(LinkHello, magic) == 0 && offsetof(LinkHello, from) == 8);
static_assert(offsetof(LinkHello, to) == 16 && sizeof(LinkHello) == 24);
static_assert(std::is_standard_layout_v<LinkHello>);

struct LinkDescriptors {
    std::uint64_t batch;
};
static_assert(offsetof(LinkDescriptors, batch) == 0 && sizeof(LinkDescriptors) == 8);
static_assert(std::is_standard_layout_v<LinkDescriptors>);

struct LinkPulse {
    std::uint64_t from;
    std::uint64_t value;
    char name[64];
};
static_assert(offsetof(LinkPulse, from) == 0 && offsetof(LinkPulse, value) == 8);
static_assert(offsetof(LinkPulse, name) == 16 && sizeof(LinkPulse) == 80);
static_assert(std::is_standard_layout_v<LinkPulse>);

}  // namespace stoa
