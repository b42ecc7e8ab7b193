// A look at process names from outside, and the cleaning up after the dead.
//
// Start here: list_processes(), find_process(); collect_link_garbage() of a domain.
// Threads:    safe; nothing is kept between calls.
// Processes:  looking takes no part.
// Death:      a cleaner that dies is finished by the next one.
// Blocking:   only the file system.
// Lifetime:   values.
// Units:      nanoseconds of the wall clock.
// Source:     stoa/link/name_region.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/error.hpp"
#include "stoa/link/name_region.hpp"
#include "stoa/shm/region_admin.hpp"
#include "stoa/wait/waitable.hpp"

namespace stoa {

struct ProcessInfo {
    std::string name;
    std::uint64_t join_id = 0;
    sys::Identity identity;  // of the process; pid, and what proves its death
    sys::Life life = sys::Life::unknown;
    std::uint64_t joined_ns = 0;  // wall clock
    Attributes attributes;
    std::uint32_t links = 0;  // that it has with others
    // For a WaitSet.
    [[nodiscard]] Waitable died() const { return Death{identity}; }

    std::uint64_t queued = 0;  // messages that wait for it
};

// Who has that name. Errors: not_found: nobody who lives; bad_name, denied, unsafe_folder,
// bad_layout, wrong_version
[[nodiscard]] Result<ProcessInfo> find_process(std::string_view name, std::string_view domain = {});
// All who joined and live, by name; removes what only dead processes used. Errors: unsafe_folder,
// denied
[[nodiscard]] Result<std::vector<ProcessInfo>> list_processes(std::string_view domain = {});

// Names, links and pulses that only dead processes used. Never touches what a live one uses.
// `dry_run`: changes nothing, tells what would be done. Errors: as list_processes
[[nodiscard]] Result<std::vector<Collected>> collect_link_garbage(bool dry_run,
                                                                  std::string_view domain = {});

}  // namespace stoa
