// Regions as an operator sees them: which there are, what is in them, garbage collection.
//
// Start here: list_regions, look_at_region; what the command prints.
// Threads:    safe.
// Processes:  reads what others use without taking part in it.
// Death:      what the dead left half done is finished by collect_region_garbage.
// Blocking:   only the file system.
// Lifetime:   values.
// Units:      bytes.
// Source:     none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/error.hpp"
#include "stoa/life/participants.hpp"
#include "stoa/shm/region.hpp"

namespace stoa {

struct RegionFacts {
    std::string address;
    bool plain = false;  // only bytes; what follows `bytes` is of regions of objects
    std::uint64_t bytes = 0;
    std::uint32_t mode = 0;
    Owner owner = Owner::system;
    RegionUse use{};
    std::vector<ObjectInfo> objects{};
    std::vector<Participant> participants{};
};

// Errors: those of Region::open and PlainRegion::open
[[nodiscard]] Result<RegionFacts> look_at_region(std::string_view address,
                                                 std::string_view domain = {});
// The addresses of regions: of the domain, and what shm_open(3) and shmget(2) show of ours;
// `plain`: also of those that are only bytes, whoever made them. Errors: unsafe_folder, denied
[[nodiscard]] Result<std::vector<std::string>> region_addresses(bool plain,
                                                                std::string_view domain = {});

// What a collection of garbage did to one object.
struct Collected {
    enum class What : std::uint8_t {
        finished_removal,  // its destroyer died half-way
        swept,             // brought back what dead participants held
        left_alone,        // `error` says why: damaged, of another version, no permission
    };
    std::string name;
    What what = What::left_alone;
    std::vector<Participant> dead{};
    Error error{};
};

// Every region of objects that region_addresses() tells and that needs it. Never touches what a
// live process uses. Errors: as region_addresses
[[nodiscard]] Result<std::vector<Collected>> collect_region_garbage(bool dry_run,
                                                                    std::string_view domain = {});

// Removes a name whatever is under it, also what no open accepts. Errors: not_found, denied
Result<void> discard_region(std::string_view address, std::string_view domain = {});

}  // namespace stoa
