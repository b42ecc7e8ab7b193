// Domain: the directory in which names live.
//
// Start here: Domain::open(), Domain::create(); names_of() lists what a domain holds.
// Threads:    safe after open().
// Processes:  all processes of one user share a domain and no other user may enter it; or those of
//             a group do, when it was made for one.
// Death:      a domain is a folder and has no state of its own.
// Blocking:   only the file system.
// Lifetime:   owns a descriptor of the folder.
// Units:      names of 1 to 200 characters.
// Source:     the folder rules of XDG_RUNTIME_DIR (0700, own user); setgid folders, inode(7).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"

namespace stoa {

class Domain {
public:
    // `path` empty: STOA_DOMAIN, else /dev/shm/stoa-UID. Makes the folder (0700) when it is
    // missing. Errors: unsafe_folder  another user owns it, others may enter it, the caller is no
    //         member of its group, or its parent is missing
    //         denied, os
    [[nodiscard]] static Result<Domain> open(std::string_view path = {});
    // The same, but a folder that is missing is not_found: for whoever only looks for a name.
    [[nodiscard]] static Result<Domain> find(std::string_view path = {});

    // A new folder: private, or (with a group id) shared by a group, 2770, and all that is made in
    // it 0660 of that group. Errors: exists; denied: the caller is no member; unsafe_folder, os
    [[nodiscard]] static Result<Domain> create(std::string_view path,
                                               std::optional<std::uint32_t> group = {});

    // Any folder, whoever may enter it: for names that other programs share. Errors: not_found,
    // denied
    [[nodiscard]] static Result<Domain> any(std::string_view path);

    // Whether it was made for a group.
    [[nodiscard]] bool shared() const noexcept { return shared_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] const sys::Fd& folder() const noexcept { return folder_; }

    // The names of all objects of a kind (its file suffix, ".mailbox"), sorted.
    [[nodiscard]] Result<std::vector<std::string>> names_of(std::string_view suffix) const;

private:
    [[nodiscard]] static Result<Domain> of(std::string path, Result<sys::Fd> folder);

    std::string path_;
    sys::Fd folder_;
    bool shared_ = false;
};

// 1 to 200 of A-Z a-z 0-9 . _ - and no dot or dash first.
[[nodiscard]] Result<void> check_name(std::string_view name) noexcept;

}  // namespace stoa
