// Where an address leads: a file in a folder, a descriptor or a segment.
//
// Start here: RegionPlace::of, then open.
// Threads:    values.
// Processes:  as region_image.hpp.
// Death:      as region_image.hpp.
// Blocking:   only the file system.
// Lifetime:   owns a descriptor of the folder.
// Units:      not applicable.
// Source:     none.
#pragma once

#include <optional>
#include <string>

#include "stoa/shm/address.hpp"
#include "stoa/shm/domain.hpp"
#include "stoa/shm/region_image.hpp"

namespace stoa::detail {

struct RegionPlace {
    RegionAddress address;
    std::optional<Domain> domain{};  // of shm:, posix: and file:
    std::string file{};
    std::string text{};  // the address in full

    // `makes`: the folder of a domain is made when it is missing.
    // Errors: bad_name; those of Domain
    [[nodiscard]] static Result<RegionPlace> of(std::string_view address, std::string_view domain,
                                                bool makes);
    // Errors: as RegionImage::open
    [[nodiscard]] Result<RegionImage> open(RegionKind kind, sys::Access access) const;
    // Errors: those of removing a name
    [[nodiscard]] Result<bool> destroy(RegionImage& image) const;

    // Not of sysv:. Errors: bad_name, not_found, denied
    [[nodiscard]] Result<sys::Fd> open_file(sys::Access access) const;
    // Of sysv:. Errors: not_found, denied
    [[nodiscard]] Result<std::int32_t> segment() const noexcept;

    [[nodiscard]] static std::unexpected<Error> is_there(const RegionAddress& address) noexcept;
    [[nodiscard]] static std::unexpected<Error> has_no_name() noexcept;
};

inline constexpr char kRegionSuffix[] = ".region";

}  // namespace stoa::detail
