// What stoa's subjects share: options, values of a fixed size, mailboxes made before the fork.
//
// Start here: need(), Value, Files.
// Threads:    none.
// Processes:  Files are made in the parent; each child attaches handles of its own.
// Death:      anonymous mailboxes are gone with the last process that has them.
// Blocking:   never.
// Lifetime:   as their subject.
// Units:      bytes.
// Source:     none.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "bench/kit/subject.hpp"
#include "stoa/mailbox/mailbox.hpp"
#include "stoa/sys/memfd.hpp"

namespace stoa::bench {

[[nodiscard]] inline stoa::Waiting waiting_of(const Case& c) {
    switch (c.waiting()) {
        case Waiting::spin: return stoa::Waiting::spin;
        case Waiting::adaptive: return stoa::Waiting::adaptive;
        case Waiting::park: return stoa::Waiting::park;
    }
    return stoa::Waiting::adaptive;
}

template <typename T>
T need(Result<T> result) {
    if (!result) throw Unavailable{describe(result.error())};
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// A pool ring for messages of this case, with a chunk for each slot and for loans.
[[nodiscard]] inline MailboxOptions pool_options(const Case& c) {
    const std::uint64_t slots = std::clamp<std::uint64_t>(c.ring_bytes() / c.bytes, 4, 1U << 16U);
    return {.capacity = bounded(static_cast<std::uint32_t>(slots)),
            .max_bytes = static_cast<std::uint32_t>(c.bytes),
            .reserve_bytes = (slots + 256) * (c.bytes + 128),
            .role = stoa::Role::none};
}

[[nodiscard]] inline stoa::Role role_of(const Role& role) {
    switch (role.part) {
        case Part::sender: return stoa::Role::sends;
        case Part::receiver: return stoa::Role::receives;
        case Part::client:
        case Part::server:
        case Part::busy: break;
    }
    return stoa::Role::both;
}

template <std::size_t kBytes>
struct Value {
    std::array<std::byte, kBytes> bytes;
};

// The mailboxes exist before the fork; each process attaches its own handle.
class Files {
public:
    Files(const Case& c, unsigned count, const MailboxOptions& options, const TypeInfo& type)
        : waiting_{waiting_of(c)} {
        for (unsigned i = 0; i < count; ++i) {
            const RawMailbox made = need(RawMailbox::create_anonymous(options, type));
            files_.push_back(need(sys::duplicate(made.file())));
        }
    }
    [[nodiscard]] sys::Fd file(unsigned which) const { return need(sys::duplicate(files_[which])); }
    [[nodiscard]] OpenOptions how(stoa::Role role) const {
        return {.role = role, .waiting = waiting_};
    }

private:
    stoa::Waiting waiting_;
    std::vector<sys::Fd> files_;
};

}  // namespace stoa::bench
