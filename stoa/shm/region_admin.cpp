#include "stoa/shm/region_admin.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "stoa/shm/plain_region.hpp"
#include "stoa/shm/region_core.hpp"
#include "stoa/sys/file.hpp"
#include "stoa/sys/process.hpp"
#include "stoa/sys/sysv_segment.hpp"

namespace stoa {
namespace {

using detail::RegionPlace;
using Scheme = RegionAddress::Scheme;

std::vector<Participant> participants_of(const RegionImage& image) {
    std::vector<Participant> all;
    image.participants().for_each([&](const Participant& seen) { all.push_back(seen); });
    return all;
}

// Whether a file begins as a region of ours does.
bool is_ours(const sys::Fd& file) noexcept {
    std::uint64_t magic = 0;
    return sys::read_at(file, 0, std::as_writable_bytes(std::span{&magic, 1})) &&
           magic == kRegionMagic;
}

// Bytes that do not begin as a region does. What does is one, though it may be damaged.
bool is_plain(const Domain& domain, const std::string& file_name) noexcept {
    const Result<sys::Fd> file =
        sys::open_existing(domain.folder(), file_name.c_str(), sys::Access::read_only);
    return file && !is_ours(*file);
}

Result<void> add_posix(bool plain, std::vector<std::string>& all) {
    const Result<Domain> folder = Domain::any(RegionAddress::kPosixFolder);
    if (!folder) return {};  // no such thing here
    const Result<std::vector<std::string>> names = sys::list(folder->folder());
    if (!names) return std::unexpected(names.error());
    for (const std::string& name : *names) {
        const Result<sys::Fd> file =
            sys::open_existing(folder->folder(), name.c_str(), sys::Access::read_only);
        if (file && (plain || is_ours(*file))) all.push_back("posix:/" + name);
    }
    return {};
}

void add_segments(bool plain, std::vector<std::string>& all) {
    const Result<std::vector<sys::SegmentInfo>> segments = sys::list_segments();
    if (!segments) return;
    for (const sys::SegmentInfo& one : *segments) {
        if (one.removed || !sys::is_own(one)) continue;
        std::string address = "sysv:#" + std::to_string(one.id);
        const Result<RegionImage> image =
            RegionImage::open_segment(one.id, RegionKind::objects, sys::Access::read_only);
        if (image || plain) all.push_back(std::move(address));
    }
}

Result<RegionFacts> look_at_plain(std::string_view address, std::string_view domain) {
    const Result<PlainRegion> region = PlainRegion::open(address, Access::read_only, domain);
    if (!region) return std::unexpected(region.error());
    RegionFacts facts{.address = std::string{address}, .plain = true};
    facts.bytes = region->bytes().size();
    std::uint64_t magic = 0;
    if (facts.bytes >= sizeof magic) std::memcpy(&magic, region->bytes().data(), sizeof magic);
    if (magic == kRegionMagic) return fail(Errc::bad_layout, "open (a damaged region)");
    return facts;
}

std::optional<Collected> collect(const std::string& address, std::string_view domain,
                                 bool dry_run) {
    Collected one{.name = address};
    const Result<RegionPlace> place = RegionPlace::of(address, domain, false);
    const auto left_alone = [&one](const Error& error) {
        one.error = error;
        return one;
    };
    if (!place) return left_alone(place.error());
    if (place->domain) {
        const Result<RegionImage> seen =
            RegionImage::peek(*place->domain, place->file, RegionKind::objects);
        if (!seen && seen.error().code == Errc::not_found) return {};
        if (!seen) return left_alone(seen.error());
        if (seen->owner() == Owner::system && seen->condemned()) {
            one.what = Collected::What::finished_removal;
            if (dry_run) return one;
            [[maybe_unused]] const Result<RegionImage> gone =
                place->open(RegionKind::objects, Access::read_write);  // finishes it
            return one;
        }
    }
    const Result<RegionImage> image = place->open(RegionKind::objects, Access::read_only);
    if (!image && image.error().code == Errc::not_found) return {};
    if (!image) return left_alone(image.error());
    one.dead = participants_of(*image);
    std::erase_if(one.dead, [](const Participant& seen) { return seen.life != sys::Life::dead; });
    if (one.dead.empty()) return {};
    one.what = Collected::What::swept;
    if (dry_run) return one;
    const Result<Region> swept = Region::open(address, {.domain = domain});
    if (!swept) {
        one.what = Collected::What::left_alone;
        one.error = swept.error();
    }
    return one;
}

}  // namespace

Result<std::vector<std::string>> region_addresses(bool plain, std::string_view domain_path) {
    std::vector<std::string> all;
    const Result<Domain> domain = Domain::find(domain_path);
    if (!domain && domain.error().code != Errc::not_found) return std::unexpected(domain.error());
    if (domain) {
        const Result<std::vector<std::string>> names = domain->names_of(detail::kRegionSuffix);
        if (!names) return names;
        for (const std::string& name : *names) {
            if (plain || !is_plain(*domain, name + detail::kRegionSuffix)) {
                all.push_back("shm:" + name);
            }
        }
        Result<std::vector<std::string>> owned =
            RegionImage::owned_names(*domain, RegionKind::objects);
        if (!owned) return owned;
        const std::string_view suffix = detail::kRegionSuffix;
        for (std::string& name : *owned) {
            if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
            all.push_back("shm:" + name);
        }
    }
    if (Result<void> done = add_posix(plain, all); !done) return std::unexpected(done.error());
    add_segments(plain, all);
    return all;
}

Result<RegionFacts> look_at_region(std::string_view address, std::string_view domain) {
    const Result<Region> region =
        Region::open(address, {.domain = domain, .access = Access::read_only});
    if (!region &&
        (region.error().code == Errc::bad_layout || region.error().code == Errc::not_found)) {
        Result<RegionFacts> plain = look_at_plain(address, domain);
        if (plain || region.error().code == Errc::not_found) return plain;
    }
    if (!region) return std::unexpected(region.error());
    const RegionImage& image = region->core().image;
    RegionFacts facts{.address = region->address(),
                      .bytes = image.memory().size(),
                      .owner = region->owner(),
                      .use = region->use(),
                      .objects = region->objects(),
                      .participants = participants_of(image)};
    if (!image.is_segment()) {
        if (const Result<sys::FileInfo> info = sys::info(image.file())) facts.mode = info->mode;
    } else if (const Result<sys::SegmentInfo> info = sys::segment_info(image.segment())) {
        facts.mode = info->mode;
    }
    return facts;
}

Result<std::vector<Collected>> collect_region_garbage(bool dry_run, std::string_view domain) {
    const Result<std::vector<std::string>> addresses = region_addresses(false, domain);
    if (!addresses) return std::unexpected(addresses.error());
    std::vector<Collected> all;
    for (const std::string& address : *addresses) {
        if (std::optional<Collected> one = collect(address, domain, dry_run)) {
            all.push_back(std::move(*one));
        }
    }
    return all;
}

Result<void> discard_region(std::string_view address, std::string_view domain) {
    const Result<RegionPlace> place = RegionPlace::of(address, domain, false);
    if (!place) return std::unexpected(place.error());
    if (place->address.scheme == Scheme::sysv) {
        const Result<std::int32_t> id = place->segment();
        if (!id) return std::unexpected(id.error());
        return sys::remove_segment(*id);
    }
    if (!place->domain) return RegionPlace::has_no_name();
    return RegionImage::discard(*place->domain, place->file);
}

}  // namespace stoa
