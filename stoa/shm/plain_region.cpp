#include "stoa/shm/plain_region.hpp"

#include "stoa/shm/region_place.hpp"
#include "stoa/sys/file.hpp"
#include "stoa/sys/memfd.hpp"
#include "stoa/sys/sysv_segment.hpp"

namespace stoa {
namespace {

using detail::RegionPlace;
using Scheme = RegionAddress::Scheme;

}  // namespace

Result<PlainRegion> PlainRegion::attach(sys::Fd file, sys::Access access) {
    const Result<sys::FileInfo> info = sys::info(file);
    if (!info) return std::unexpected(info.error());
    if (info->bytes == 0) return fail(Errc::bad_layout, "open (it is empty)");
    Result<sys::Mapping> mapping = sys::map_shared(file, info->bytes, access);
    if (!mapping) return std::unexpected(mapping.error());
    return PlainRegion{std::move(file), std::move(*mapping), -1};
}

Result<PlainRegion> PlainRegion::attach_segment(std::int32_t id, sys::Access access) {
    Result<sys::Mapping> mapping = sys::attach_segment(id, access);
    if (!mapping) return std::unexpected(mapping.error());
    return PlainRegion{sys::Fd{}, std::move(*mapping), id};
}

Result<PlainRegion> PlainRegion::create(std::string_view address, std::uint64_t bytes,
                                        const PlainRegionOptions& options) {
    if (bytes == 0) return fail(Errc::bad_argument, "create (a region has 1 byte or more)");
    const Result<RegionPlace> place = RegionPlace::of(address, options.domain, true);
    if (!place) return std::unexpected(place.error());
    const RegionAddress& at = place->address;
    if (at.number >= 0) return RegionPlace::is_there(at);
    Result<PlainRegion> made = [&]() -> Result<PlainRegion> {
        if (at.scheme == Scheme::sysv) {
            const Result<std::int32_t> id = sys::make_segment(at.key, bytes, options.mode);
            if (!id) return std::unexpected(id.error());
            return attach_segment(*id, sys::Access::read_write);
        }
        Result<sys::Fd> file = at.scheme == Scheme::memfd
                                   ? sys::make_memory("stoa")
                                   : sys::make_unnamed(place->domain->folder(), options.mode);
        if (!file) return std::unexpected(file.error());
        if (Result<void> got = sys::reserve(*file, 0, bytes); !got) {
            return std::unexpected(got.error());
        }
        return attach(std::move(*file), sys::Access::read_write);
    }();
    if (!made) return made;
    Result<void> done{};
    if (options.huge_pages) done = sys::want_huge_pages(made->bytes());
    if (done && options.prefault) done = sys::populate(made->bytes());
    if (done && place->domain) {
        done = sys::publish(made->file_, place->domain->folder(), place->file.c_str());
    }
    if (!done && made->segment_ >= 0) {
        [[maybe_unused]] const Result<void> gone = sys::remove_segment(made->segment_);
    }
    if (!done) return std::unexpected(done.error());
    return made;
}

Result<PlainRegion> PlainRegion::open(std::string_view address, sys::Access access,
                                      std::string_view domain) {
    const Result<RegionPlace> place = RegionPlace::of(address, domain, false);
    if (!place) return std::unexpected(place.error());
    if (place->address.scheme == Scheme::sysv) {
        const Result<std::int32_t> id = place->segment();
        if (!id) return std::unexpected(id.error());
        return attach_segment(*id, access);
    }
    Result<sys::Fd> file = place->open_file(access);
    if (!file) return std::unexpected(file.error());
    return attach(std::move(*file), access);
}

Result<PlainRegion> PlainRegion::open_or_create(std::string_view address, std::uint64_t bytes,
                                                const PlainRegionOptions& options) {
    for (;;) {
        Result<PlainRegion> there = open(address, sys::Access::read_write, options.domain);
        if (there && there->bytes().size() < bytes) {
            return fail(Errc::wrong_size, "open_or_create (it is there, and smaller)");
        }
        if (there || there.error().code != Errc::not_found) return there;
        Result<PlainRegion> made = create(address, bytes, options);
        if (made || made.error().code != Errc::exists) return made;
    }
}

Result<void> PlainRegion::destroy(std::string_view address, std::string_view domain) {
    const Result<RegionPlace> place = RegionPlace::of(address, domain, false);
    if (!place) return std::unexpected(place.error());
    if (place->address.scheme == Scheme::sysv) {
        const Result<std::int32_t> id = place->segment();
        if (!id) return std::unexpected(id.error());
        return sys::remove_segment(*id);
    }
    if (!place->domain) return RegionPlace::has_no_name();
    return sys::unlink(place->domain->folder(), place->file.c_str());
}

}  // namespace stoa
