#include "stoa/shm/region_place.hpp"

#include "stoa/sys/file.hpp"
#include "stoa/sys/memfd.hpp"
#include "stoa/sys/sysv_segment.hpp"

namespace stoa::detail {

using Scheme = RegionAddress::Scheme;

Result<RegionPlace> RegionPlace::of(std::string_view address, std::string_view domain, bool makes) {
    Result<RegionAddress> parsed = RegionAddress::parse(address);
    if (!parsed) return std::unexpected(parsed.error());
    RegionPlace place{.address = std::move(*parsed)};
    place.text = place.address.text();
    const Scheme scheme = place.address.scheme;
    if (scheme == Scheme::memfd || scheme == Scheme::sysv) return place;
    Result<Domain> folder = scheme != Scheme::shm ? Domain::any(place.address.folder)
                            : makes               ? Domain::open(domain)
                                                  : Domain::find(domain);
    if (!folder) return std::unexpected(folder.error());
    place.domain = std::move(*folder);
    place.file = place.address.name + (scheme == Scheme::shm ? kRegionSuffix : "");
    return place;
}

std::unexpected<Error> RegionPlace::is_there(const RegionAddress& address) noexcept {
    if (address.scheme == Scheme::sysv) {
        return fail(Errc::bad_name,
                    "create (sysv:#ID is one that is there; to make one: sysv:NAME "
                    "or sysv:0xKEY)");
    }
    return fail(Errc::bad_name, "create (memfd:N is one that is there; to make one: memfd:)");
}

std::unexpected<Error> RegionPlace::has_no_name() noexcept {
    return fail(Errc::not_supported, "destroy (memfd: has no name that could be taken away)");
}

Result<sys::Fd> RegionPlace::open_file(sys::Access access) const {
    if (address.scheme != Scheme::memfd) {
        return sys::open_existing(domain->folder(), file.c_str(), access);
    }
    if (address.number < 0) {
        return fail(Errc::bad_name, "open (memfd:N takes the number of a descriptor)");
    }
    return sys::duplicate_number(address.number);
}

Result<std::int32_t> RegionPlace::segment() const noexcept {
    if (address.number >= 0) return address.number;
    return sys::find_segment(address.key);
}

Result<RegionImage> RegionPlace::open(RegionKind kind, sys::Access access) const {
    if (address.scheme == Scheme::memfd) {
        Result<sys::Fd> memory = open_file(access);
        if (!memory) return std::unexpected(memory.error());
        return RegionImage::attach(std::move(*memory), kind, access);
    }
    if (address.scheme == Scheme::sysv) {
        const Result<std::int32_t> id = segment();
        if (!id) return std::unexpected(id.error());
        return RegionImage::open_segment(*id, kind, access);
    }
    return RegionImage::open(*domain, file, kind, access);
}

Result<bool> RegionPlace::destroy(RegionImage& image) const {
    if (image.is_segment()) return RegionImage::destroy_segment(image);
    if (!domain) return has_no_name();
    return RegionImage::destroy(*domain, file, image);
}

}  // namespace stoa::detail
