// Who may do what with a file, in words: for errors that say which right is missing and who has it.
//
// Start here: lacking(); user_name(), group_name(), in_group().
// Threads:    safe; a text belongs to the thread that asked for it.
// Processes:  names are those of /etc/passwd and /etc/group; who is in neither is a number.
// Death:      not applicable.
// Blocking:   reads two small files. lacking() allocates nothing that must succeed.
// Lifetime:   a text of lacking() is valid until the thread's next one.
// Units:      none.
// Source:     passwd(5), group(5).
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "stoa/base/error.hpp"

namespace stoa::sys {

[[nodiscard]] std::string user_name(std::uint32_t id);
[[nodiscard]] std::string group_name(std::uint32_t id);

// Whether the calling process is a member, by its own or one of its further groups.
[[nodiscard]] bool in_group(std::uint32_t id) noexcept;

// "STEP (the right to RIGHT is missing; user alice and group dev have it, mode 0660; you are bob)"
[[nodiscard]] std::unexpected<Error> lacking(Errc code, const char* step, const char* right,
                                             const struct stat& status, int os_errno = 0) noexcept;
// "STEP (WHAT: it belongs to user alice, group dev, mode 0755; you are bob)"
[[nodiscard]] std::unexpected<Error> unfit(Errc code, const char* step, const char* what,
                                           const struct stat& status) noexcept;

}  // namespace stoa::sys
