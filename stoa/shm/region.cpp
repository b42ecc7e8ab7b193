#include "stoa/shm/region.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "stoa/base/crash_point.hpp"
#include "stoa/base/deadline.hpp"
#include "stoa/base/size.hpp"
#include "stoa/sys/file.hpp"
#include "stoa/sys/file_lock.hpp"
#include "stoa/sys/memfd.hpp"

// Names come and go like this:
//   create   unnamed file, whole size reserved, content written, state LIVE, then linkat: the name
//            appears with everything behind it, or not at all
//   destroy  CAS state LIVE -> CONDEMNED, then unlink
//   whoever  finds a CONDEMNED name (its destroyer died before the unlink) finishes the unlink
// Two removers must not delete each other's successor: an unlink happens only under a lock on the
// very file (not on the name, not on the folder) and after a look that the name still leads to it.
// While it is held nobody else can free the name, so nobody can put a fresh file there. The kernel
// drops the lock with its holder; a holder that is stopped keeps only this one dead name busy.
namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kChecksumBytes = offsetof(RegionLayout, checksum);
constexpr auto kRemovalPatience = 1s;

std::uint64_t checksum_of(const RegionLayout& layout) noexcept {
    std::byte bytes[kChecksumBytes];
    std::memcpy(bytes, &layout, kChecksumBytes);
    std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a, 64 bit
    for (const std::byte byte : bytes) {
        hash = (hash ^ static_cast<std::uint8_t>(byte)) * 1099511628211ULL;
    }
    return hash;
}

// Opens `file` anew by its name. No descriptor: the name leads elsewhere, or nowhere.
Result<std::optional<sys::Fd>> reopen(const Domain& domain, const char* name, const sys::Fd& file) {
    Result<sys::Fd> there = sys::open_existing(domain.folder(), name, sys::Access::read_only);
    if (!there) {
        const Errc code = there.error().code;
        if (code == Errc::not_found || code == Errc::bad_layout) return std::nullopt;
        return std::unexpected(there.error());
    }
    const Result<sys::FileInfo> a = sys::info(*there);
    const Result<sys::FileInfo> b = sys::info(file);
    if (!a) return std::unexpected(a.error());
    if (!b) return std::unexpected(b.error());
    if (a->inode != b->inode || a->device != b->device) return std::nullopt;
    return std::move(*there);
}

// Unlinks `name` if it still leads to `file`. Errors: exists  another process is at it, and stopped
Result<void> remove_name(const Domain& domain, const char* name, const sys::Fd& file) {
    // `file` itself may be shared with forked processes, which would keep the lock after our death.
    const Result<std::optional<sys::Fd>> own = reopen(domain, name, file);
    if (!own) return std::unexpected(own.error());
    if (!*own) return {};  // somebody else removed it
    const Result<sys::FileLock> lock = sys::lock_file(**own, Deadline::after(kRemovalPatience));
    if (!lock) return std::unexpected(lock.error());
    const Result<std::optional<sys::Fd>> again = reopen(domain, name, file);
    if (!again) return std::unexpected(again.error());
    if (!*again) return {};
    STOA_CRASH_POINT("region.remove.before_unlink");
    const Result<void> gone = sys::unlink(domain.folder(), name);
    if (gone || gone.error().code == Errc::not_found) return {};
    return gone;
}

}  // namespace

Result<Region> Region::make(sys::Fd file, const RegionPlan& plan, InitContent init, void* context) {
    const std::uint64_t table_offset = kPage;
    const std::uint64_t content_offset =
        align_up(table_offset + Participants::bytes_for(plan.max_places), kPage);
    const std::optional<std::uint64_t> file_bytes =
        checked_add(content_offset, align_up(plan.content_bytes, kPage));
    if (!file_bytes || plan.reserved_bytes > plan.content_bytes) {
        return fail(Errc::bad_argument, "region.create");
    }
    const std::uint64_t head_bytes = table_offset + Participants::bytes_for(plan.places);
    Result<void> done = sys::set_size(file, *file_bytes);
    if (done) done = sys::reserve(file, 0, head_bytes);
    if (done && plan.reserved_bytes > 0) {
        done = sys::reserve(file, content_offset, plan.reserved_bytes);
    }
    if (!done) return std::unexpected(done.error());
    const Result<sys::FileInfo> info = sys::info(file);
    if (!info) return std::unexpected(info.error());
    Result<sys::Mapping> mapping = sys::map_shared(file, *file_bytes, sys::Access::read_write);
    if (!mapping) return std::unexpected(mapping.error());
    RegionLayout* layout = layout_at<RegionLayout>(mapping->bytes(), 0);
    layout->magic = kRegionMagic;
    layout->version = kRegionVersion;
    layout->kind = static_cast<std::uint32_t>(plan.kind);
    layout->file_bytes = *file_bytes;
    layout->table_offset = table_offset;
    layout->content_offset = content_offset;
    layout->content_bytes = plan.content_bytes;
    layout->inode = info->inode;
    layout->checksum = checksum_of(*layout);
    done =
        Participants::create(mapping->bytes().subspan(table_offset, content_offset - table_offset),
                             plan.places, plan.max_places);
    if (done) done = init(context, mapping->bytes().subspan(content_offset, plan.content_bytes));
    if (!done) return std::unexpected(done.error());
    layout->state.store(kRegionLive, kSeqCst);
    return map(std::move(file), plan.kind, sys::Access::read_write);
}

Result<Region> Region::map(sys::Fd file, RegionKind kind, sys::Access access) {
    const Result<sys::FileInfo> info = sys::info(file);
    if (!info) return std::unexpected(info.error());
    if (info->bytes < kPage) return fail(Errc::bad_layout, "region");
    Result<sys::Mapping> mapping = sys::map_shared(file, info->bytes, access);
    if (!mapping) return std::unexpected(mapping.error());
    RegionLayout* layout = layout_at<RegionLayout>(mapping->bytes(), 0);
    if (layout->magic != kRegionMagic) return fail(Errc::bad_layout, "region");
    if (layout->version != kRegionVersion) return fail(Errc::wrong_version, "region");
    if (layout->checksum != checksum_of(*layout) || layout->file_bytes != info->bytes) {
        return fail(Errc::bad_layout, "region");
    }
    if (layout->inode != info->inode) return fail(Errc::bad_layout, "region (a copy of one)");
    if (layout->kind != static_cast<std::uint32_t>(kind)) return fail(Errc::wrong_type, "region");
    const std::uint64_t state = layout->state.load(kSeqCst);
    if (state < kRegionLive || state > kRegionClosed) return fail(Errc::bad_layout, "region");
    Region region;
    region.table_offset_ = layout->table_offset;
    region.content_offset_ = layout->content_offset;
    const std::uint64_t content_bytes = layout->content_bytes;
    if (region.table_offset_ != kPage || region.content_offset_ > info->bytes ||
        region.content_offset_ <= kPage || content_bytes > info->bytes - region.content_offset_) {
        return fail(Errc::bad_layout, "region");
    }
    Result<Participants> participants =
        Participants::attach(mapping->bytes().subspan(kPage, region.content_offset_ - kPage));
    if (!participants) return std::unexpected(participants.error());
    region.participants_ = *participants;
    region.content_ = mapping->bytes().subspan(region.content_offset_, content_bytes);
    region.layout_ = layout;
    region.mapping_ = std::move(*mapping);
    region.file_ = std::move(file);
    return region;
}

Result<Region> Region::create_unnamed(const Domain& domain, const RegionPlan& plan,
                                      InitContent init, void* context) {
    Result<sys::Fd> file = sys::make_unnamed(domain.folder(), plan.mode);
    if (!file) return std::unexpected(file.error());
    return make(std::move(*file), plan, init, context);
}

Result<void> Region::publish(const Domain& domain, std::string_view file_name) {
    const std::string name{file_name};
    const auto kind = static_cast<RegionKind>(layout_->kind);  // nobody else has it yet
    for (int turn = 0; turn < 100; ++turn) {
        STOA_CRASH_POINT("region.create.before_publish");
        const Result<void> published = sys::publish(file_, domain.folder(), name.c_str());
        if (published || published.error().code != Errc::exists) return published;
        const Result<Region> there = open(domain, name, kind);  // removes a condemned one
        if (there || there.error().code != Errc::not_found) return published;
    }
    return fail(Errc::exists, "create");
}

Result<Region> Region::create(const Domain& domain, std::string_view file_name,
                              const RegionPlan& plan, InitContent init, void* context) {
    Result<Region> region = create_unnamed(domain, plan, init, context);
    if (!region) return region;
    const Result<void> published = region->publish(domain, file_name);
    if (!published) return std::unexpected(published.error());
    return region;
}

Result<Region> Region::create_anonymous(const RegionPlan& plan, InitContent init, void* context) {
    Result<sys::Fd> file = sys::make_memory("stoa");
    if (!file) return std::unexpected(file.error());
    return make(std::move(*file), plan, init, context);
}

Result<Region> Region::open(const Domain& domain, std::string_view file_name, RegionKind kind,
                            sys::Access access) {
    const std::string name{file_name};
    Result<sys::Fd> file = sys::open_existing(domain.folder(), name.c_str(), access);
    if (!file) return std::unexpected(file.error());
    Result<Region> region = map(std::move(*file), kind, access);
    if (region && region->condemned()) {
        if (Result<void> gone = remove_name(domain, name.c_str(), region->file_); !gone) {
            return std::unexpected(gone.error());
        }
        return fail(Errc::not_found, "open");
    }
    return region;
}

Result<Region> Region::attach(sys::Fd file, RegionKind kind, sys::Access access) {
    return map(std::move(file), kind, access);
}

bool Region::condemn() noexcept {
    std::uint64_t state = layout_->state.load(kSeqCst);
    while (state != kRegionCondemned) {
        if (layout_->state.compare_exchange_weak(state, kRegionCondemned, kSeqCst)) return true;
    }
    return false;
}

void Region::close() noexcept {
    std::uint64_t live = kRegionLive;
    layout_->state.compare_exchange_strong(live, kRegionClosed, kSeqCst);
}

Result<bool> Region::destroy(const Domain& domain, std::string_view file_name, Region& region) {
    const std::string name{file_name};
    const bool mine = region.condemn();
    STOA_CRASH_POINT("region.destroy.condemned");
    if (Result<void> gone = remove_name(domain, name.c_str(), region.file_); !gone) {
        return std::unexpected(gone.error());
    }
    return mine;
}

Result<void> Region::discard(const Domain& domain, std::string_view file_name) {
    const std::string name{file_name};
    Result<sys::Fd> file =
        sys::open_existing(domain.folder(), name.c_str(), sys::Access::read_only);
    if (!file) return std::unexpected(file.error());
    return remove_name(domain, name.c_str(), *file);
}

std::uint64_t Region::allocated_bytes() const noexcept {
    const Result<sys::FileInfo> info = sys::info(file_);
    return info ? info->allocated_bytes : 0;
}

Result<void> Region::reserve(std::uint64_t content_offset, std::uint64_t bytes) noexcept {
    if (content_offset > content_.size() || bytes > content_.size() - content_offset) {
        return fail(Errc::bad_argument, "region.reserve");
    }
    return sys::reserve(file_, content_offset_ + content_offset, bytes);
}

bool Region::give_back(std::uint64_t content_offset, std::uint64_t bytes) noexcept {
    if (content_offset > content_.size() || bytes > content_.size() - content_offset) return false;
    return sys::punch_hole(file_, content_offset_ + content_offset, bytes).has_value();
}

Result<std::uint32_t> Region::join(Role role) {
    const auto reserve_records = [](void* context, std::uint64_t offset, std::uint64_t bytes) {
        const Region& region = *static_cast<Region*>(context);
        return sys::reserve(region.file_, region.table_offset_ + offset, bytes);
    };
    return participants_->join(role, reserve_records, this);
}

}  // namespace stoa
