// What the head and the workers of a farm say to each other through its two mailboxes.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "stoa/channel/pool_engine.hpp"

namespace stoa::cli::farm {

// Head to workers, acknowledged: one task. Its bytes follow, or lie in the spool.
struct TaskHeader {
    std::uint64_t number;  // from 0, in the order of the input
    std::uint64_t bytes;
    std::uint64_t spool_offset;  // kInline: the bytes follow this header
};
inline constexpr std::uint64_t kInline = UINT64_MAX;

enum class PartKind : std::uint32_t {
    more,          // a piece of output, others follow
    last,          // the last piece of output and how COMMAND ended
    end_of_input,  // from the head to itself: `task` is how many tasks there are
};

// Workers to head: output of one attempt in pieces, numbered from 0; the bytes follow.
struct PartHeader {
    std::uint64_t task = 0;
    std::uint64_t attempt = 0;  // never the same for two attempts
    std::uint32_t part = 0;
    PartKind kind = PartKind::more;
    std::int32_t status = 0;       // of waitpid, when kind is `last`
    std::int32_t start_errno = 0;  // not 0: COMMAND could not be started
    std::uint32_t deaths = 0;      // not 0: given up, so many workers died with it
    std::uint32_t reserved = 0;
};

// A header at the front of a message that this very program wrote.
template <typename Header>
[[nodiscard]] Header header_of(Bytes message) noexcept {
    static_assert(std::is_trivially_copyable_v<Header>);
    Header header{};
    if (message.size() >= sizeof header) std::memcpy(&header, message.data(), sizeof header);
    return header;
}

inline constexpr std::uint64_t kInlineBytes = 256 * 1024;  // a bigger task goes into the spool
inline constexpr std::uint32_t kPartBytes = 128 * 1024;    // of output in one message

}  // namespace stoa::cli::farm
