// Regions in SysV segments.
//
// A segment has its key from the first moment on. While it is being filled its mode has the bit
// that means "execute", which nothing else sets; when everything is there the mode is set to what
// was asked for. Whoever finds the bit waits a while, and removes the segment of a creator that is
// dead: one that attached it and is attached no more, or whose pid nobody has.
#include "stoa/base/crash_point.hpp"
#include "stoa/shm/region_image.hpp"
#include "stoa/sys/sysv_segment.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kUnfinished = 0100;

// Errors: not_found (it was one that nobody will finish), in_use
Result<void> check_finished(const sys::SegmentInfo& info) noexcept {
    if ((info.mode & kUnfinished) == 0) return {};
    if (sys::creator_may_be_at_it(info)) {
        return fail(Errc::in_use, step_text("open (process %u has not finished making it; if that "
                                            "is gone: ipcrm -m %d)",
                                            info.creator, info.id));
    }
    if (const Result<void> gone = sys::remove_segment(info.id);
        !gone && gone.error().code != Errc::not_found) {
        return gone;
    }
    return fail(Errc::not_found, "open");
}

}  // namespace

constinit std::chrono::nanoseconds g_segment_patience = 1s;

Result<RegionImage> RegionImage::create_segment(std::int32_t key, const RegionPlan& plan,
                                                InitContent init, void* context) {
    const Result<std::uint64_t> bytes = plan.file_bytes();
    if (!bytes) return std::unexpected(bytes.error());
    Result<std::int32_t> id = sys::make_segment(key, *bytes, 0600 | kUnfinished);
    if (!id && id.error().code == Errc::exists) {
        // One that is condemned or that nobody finishes goes now.
        const Result<std::int32_t> there = sys::find_segment(key);
        if (there) {
            const Result<RegionImage> opened = open_segment(*there, plan.kind);
            if (opened || opened.error().code != Errc::not_found) {
                return std::unexpected(id.error());
            }
        }
        id = sys::make_segment(key, *bytes, 0600 | kUnfinished);
    }
    if (!id) return std::unexpected(id.error());
    STOA_CRASH_POINT("region.segment.made");
    Result<RegionImage> made = [&]() -> Result<RegionImage> {
        Result<sys::Mapping> mapping = sys::attach_segment(*id, sys::Access::read_write);
        if (!mapping) return std::unexpected(mapping.error());
        Result<void> done =
            fill(mapping->bytes(), nullptr, static_cast<std::uint64_t>(*id), plan, init, context);
        if (done) done = sys::set_segment_mode(*id, plan.mode & 0666U);
        if (!done) return std::unexpected(done.error());
        Result<RegionImage> region =
            enter(sys::Fd{}, std::move(*mapping), static_cast<std::uint64_t>(*id), plan.kind);
        if (region) region->segment_ = *id;
        return region;
    }();
    if (!made) {
        [[maybe_unused]] const Result<void> gone = sys::remove_segment(*id);
    }
    return made;
}

Result<RegionImage> RegionImage::open_segment(std::int32_t id, RegionKind kind,
                                              sys::Access access) {
    const Result<sys::SegmentInfo> info =
        sys::await_segment(id, kUnfinished, Deadline::after(g_segment_patience));
    if (!info) return std::unexpected(info.error());
    if (const Result<void> finished = check_finished(*info); !finished) {
        return std::unexpected(finished.error());
    }
    if (info->bytes < kPage) return fail(Errc::bad_layout, "region");
    Result<sys::Mapping> mapping = sys::attach_segment(id, access);
    if (!mapping) return std::unexpected(mapping.error());
    Result<RegionImage> region =
        enter(sys::Fd{}, std::move(*mapping), static_cast<std::uint64_t>(id), kind);
    if (!region) return region;
    region->segment_ = id;
    if (!region->condemned()) return region;
    // Whoever destroyed it has not come so far; a segment that is removed stays for who has it.
    if (!info->removed) {
        [[maybe_unused]] const Result<void> gone = sys::remove_segment(id);
    }
    return fail(Errc::not_found, "open");
}

Result<bool> RegionImage::destroy_segment(RegionImage& region) {
    const bool mine = region.condemn();
    STOA_CRASH_POINT("region.segment.condemned");
    const Result<void> gone = sys::remove_segment(region.segment_);
    if (!gone && gone.error().code != Errc::not_found) return std::unexpected(gone.error());
    return mine;
}

}  // namespace stoa
