// Names of memory that no file holds: who has them, where the memory is.
//
// Start here: OwnedName::claim() by the owner; owned_name_taken(), find_owned(), list_owned().
// Threads:    an OwnedName is a value, one thread at a time; the functions are safe.
// Processes:  a name means the same to all processes of one network namespace; the memory opens to
//             those of the same user, user namespace and pid namespace. A domain that a group
//             shares has none.
// Death:      at any instruction: the names vanish with their process. A child that it made with
//             fork(3) has none of them; one made with clone(2) directly keeps them busy.
// Blocking:   never waits for the owner, which may be stopped.
// Lifetime:   a name is taken as long as its OwnedName lives.
// Units:      file names, as in the folder of the domain.
// Source:     unix(7), abstract addresses. The first socket is the lock: its name follows from the
//             folder and the file name, so one process holds it. The second one's name is bound
//             before and says where to look: pid, descriptor, identity and the inode of the lock.
//             So one bind(2) makes the name, with all that others need.
#pragma once

#include <string_view>
#include <vector>

#include "stoa/base/error.hpp"
#include "stoa/shm/domain.hpp"
#include "stoa/sys/close_on_fork.hpp"
#include "stoa/sys/mapping.hpp"

namespace stoa {

class [[nodiscard]] OwnedName {
public:
    // Takes the name for the calling process and says that `memory` is behind it; the descriptor
    // must stay open under its number. Errors: exists; not_supported, with the reason;
    // limit_reached
    [[nodiscard]] static Result<OwnedName> claim(const Domain& domain, std::string_view file_name,
                                                 const sys::Fd& memory);

private:
    sys::ForkFd address_;
    sys::ForkFd lock_;
};

// Whether some process holds the name, complete or not. Errors: limit_reached
[[nodiscard]] Result<bool> owned_name_taken(const Domain& domain, std::string_view file_name);

// The memory that the holder of the name shows. The caller must check that it is the right one:
// kind, name and domain inside. Errors: not_found: nobody has the name, or who has it is going;
// not_supported, with the reason; limit_reached
[[nodiscard]] Result<sys::Fd> find_owned(const Domain& domain, std::string_view file_name,
                                         sys::Access access);

// The memory of every name of the domain that opens to the caller; others are left out.
// Errors: not_supported, limit_reached
[[nodiscard]] Result<std::vector<sys::Fd>> list_owned(const Domain& domain);

}  // namespace stoa
