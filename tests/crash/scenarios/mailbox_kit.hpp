// What the processes of mailbox scenarios do, in short words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "stoa/mailbox/raw_mailbox.hpp"

namespace stoa::crash {

inline constexpr std::size_t kBytes = 40;

[[nodiscard]] sys::Fd another(const sys::Fd& file);
[[nodiscard]] RawMailbox open(const sys::Fd& file, ::stoa::Role role = ::stoa::Role::both,
                              bool stands_by = false);

// The payload that carries `number` (ledger.hpp).
[[nodiscard]] std::array<std::byte, kBytes> message(std::uint64_t number);
// Without waiting.
bool send(RawMailbox& box, std::uint64_t number);

// A process that dies in `body` while it has the mailbox open.
void die(const sys::Fd& file, ::stoa::Role role, const std::function<void(RawMailbox&)>& body);
void die_at(const char* point, const sys::Fd& file, const std::function<void(RawMailbox&)>& body);

// The whole file of a mailbox, so that its bytes can be put back.
[[nodiscard]] std::span<std::byte> map_whole(const sys::Fd& file);

}  // namespace stoa::crash
