#include "stoa/shm/region_image.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "stoa/base/crash_point.hpp"
#include "stoa/base/deadline.hpp"
#include "stoa/base/size.hpp"
#include "stoa/sync/wait_board.hpp"
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
//
// What a process owns has no file: its name is a lock that vanishes with the process (OwnedName). A
// name is one for both kinds, and the state decides between two that come at once: both publish as
// NAMED, then look for the other.
//   system   N1 linkat a NAMED file      N2 lock taken? CAS NAMED -> CONDEMNED, else -> LIVE
//   process  N3 take the lock, NAMED     N4 a file that is NAMED: N2 for it; then one that is LIVE:
//                                        CAS own NAMED -> CONDEMNED, no file: -> LIVE
// While the lock is held no new file goes LIVE: a file that N4 missed was linked after N3, so its
// N2 sees the lock; one that looked for the lock before N3 meets N4 at its own state word. So one
// of two goes LIVE, and one only. Whoever opens a NAMED region takes these steps for it: a creator
// that is stopped or dead between them blocks nobody.
namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr auto kRemovalPatience = 1s;
constexpr int kTurns = 100;  // of calls that meet a name which comes and goes

std::uint64_t checksum_of(const RegionLayout& layout) noexcept {
    return region_checksum(std::as_bytes(std::span<const RegionLayout, 1>{&layout, 1}));
}

static_assert(kRegionTableOffset >= sizeof(RegionLayout));
static_assert(kRegionTableOffset % alignof(ParticipantRecord) == 0);

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

// Which folder, which name: what find() compares.
Result<void> write_owner(RegionLayout& layout, const Domain* domain, const RegionPlan& plan) {
    layout.owner = static_cast<std::uint32_t>(plan.owner);
    if (plan.owner == Owner::system) return {};
    if (domain == nullptr || plan.owned_name.size() > kRegionNameBytes) {
        return fail(Errc::bad_argument, "create (owner process needs a name)");
    }
    const Result<sys::FileInfo> folder = sys::info(domain->folder());
    if (!folder) return std::unexpected(folder.error());
    layout.domain_device = folder->device;
    layout.domain_inode = folder->inode;
    layout.name_bytes = static_cast<std::uint32_t>(plan.owned_name.size());
    std::copy(plan.owned_name.begin(), plan.owned_name.end(), layout.name);
    return {};
}

// The kernel maps the pages around one that is read, when they are there, and only the one that is
// written: a look before the first write saves a fault per page.
void look_at(std::span<std::byte> memory, std::uint64_t offset) noexcept {
    if (const auto* word = layout_at<Atomic<std::uint64_t>>(memory, offset)) {
        static_cast<void>(word->load(kRelaxed));
    }
}

bool is_state(std::uint64_t state) noexcept {
    return state >= kRegionLive && state <= kRegionClosed;
}

}  // namespace

std::uint64_t RegionPlan::content_offset() const noexcept {
    return align_up(kRegionTableOffset + Participants::bytes_for(max_places), kPage);
}

Result<std::uint64_t> RegionPlan::file_bytes() const noexcept {
    const std::optional<std::uint64_t> all =
        checked_add(content_offset(), align_up(content_bytes, kPage));
    if (!all || reserved_bytes > content_bytes) return fail(Errc::bad_argument, "region.create");
    return *all;
}

Result<RegionImage> RegionImage::make(const Domain* domain, sys::Fd file, const RegionPlan& plan,
                                      InitContent init, void* context) {
    const std::uint64_t content_offset = plan.content_offset();
    const Result<std::uint64_t> file_bytes = plan.file_bytes();
    if (!file_bytes) return std::unexpected(file_bytes.error());
    const std::uint64_t head_bytes = kRegionTableOffset + Participants::bytes_for(plan.places);
    Result<void> done = sys::set_size(file, *file_bytes);
    if (done) done = sys::reserve(file, 0, head_bytes);
    if (done && plan.reserved_bytes > 0) {
        done = sys::reserve(file, content_offset, plan.reserved_bytes);
    }
    if (done && plan.second_bytes > 0) {
        done = sys::reserve(file, content_offset + plan.second_offset, plan.second_bytes);
    }
    if (!done) return std::unexpected(done.error());
    const Result<sys::FileInfo> info = sys::info(file);
    if (!info) return std::unexpected(info.error());
    Result<sys::Mapping> mapping = sys::map_shared(file, *file_bytes, sys::Access::read_write);
    if (!mapping) return std::unexpected(mapping.error());
    done = fill(mapping->bytes(), domain, info->inode, plan, init, context);
    if (!done) return std::unexpected(done.error());
    if (plan.owner == Owner::process) done = sys::seal_size(file);
    if (!done) return std::unexpected(done.error());
    return enter(std::move(file), std::move(*mapping), info->inode, plan.kind);
}

// Writes everything; the state last.
Result<void> RegionImage::fill(std::span<std::byte> memory, const Domain* domain,
                               std::uint64_t inode, const RegionPlan& plan, InitContent init,
                               void* context) {
    const std::uint64_t table_offset = kRegionTableOffset;
    const std::uint64_t content_offset = plan.content_offset();
    look_at(memory, 0);
    look_at(memory, content_offset);
    RegionLayout* layout = layout_at<RegionLayout>(memory, 0);
    layout->magic = kRegionMagic;
    layout->version = kRegionVersion;
    layout->kind = static_cast<std::uint32_t>(plan.kind);
    layout->file_bytes = content_offset + align_up(plan.content_bytes, kPage);
    layout->table_offset = table_offset;
    layout->content_offset = content_offset;
    layout->content_bytes = plan.content_bytes;
    layout->inode = inode;
    Result<void> done = write_owner(*layout, domain, plan);
    if (!done) return done;
    layout->checksum = checksum_of(*layout);
    done = Participants::create(memory.subspan(table_offset, content_offset - table_offset),
                                plan.places, plan.max_places);
    if (done) done = init(context, memory.subspan(content_offset, plan.content_bytes));
    if (!done) return done;
    STOA_CRASH_POINT("region.create.filled");
    layout->state.store(kRegionLive, kSeqCst);
    return {};
}

Result<RegionImage> RegionImage::map(sys::Fd file, RegionKind kind, sys::Access access) {
    const Result<sys::FileInfo> info = sys::info(file);
    if (!info) return std::unexpected(info.error());
    if (info->bytes < kPage) return fail(Errc::bad_layout, "region");
    Result<sys::Mapping> mapping = sys::map_shared(file, info->bytes, access);
    if (!mapping) return std::unexpected(mapping.error());
    return enter(std::move(file), std::move(*mapping), info->inode, kind);
}

// Checks what is mapped, all of `file`.
Result<RegionImage> RegionImage::enter(sys::Fd file, sys::Mapping mapping, std::uint64_t inode,
                                       RegionKind kind) {
    const std::span<std::byte> all = mapping.bytes();
    RegionLayout* layout = layout_at<RegionLayout>(all, 0);
    if (layout->magic != kRegionMagic) return fail(Errc::bad_layout, "region");
    if (layout->version != kRegionVersion) return fail(Errc::wrong_version, "region");
    if (layout->checksum != checksum_of(*layout) || layout->file_bytes != all.size()) {
        return fail(Errc::bad_layout, "region");
    }
    if (layout->inode != inode) return fail(Errc::bad_layout, "region (a copy of one)");
    if (layout->kind != static_cast<std::uint32_t>(kind)) return fail(Errc::wrong_type, "region");
    if (!is_state(layout->state.load(kSeqCst))) return fail(Errc::bad_layout, "region");
    const std::uint32_t owner = layout->owner;
    if (owner > static_cast<std::uint32_t>(Owner::process)) return fail(Errc::bad_layout, "region");
    RegionImage region;
    region.owner_ = static_cast<Owner>(owner);
    region.table_offset_ = layout->table_offset;
    region.content_offset_ = layout->content_offset;
    const std::uint64_t content_bytes = layout->content_bytes;
    if (region.table_offset_ != kRegionTableOffset || region.content_offset_ > all.size() ||
        region.content_offset_ <= kPage || content_bytes > all.size() - region.content_offset_) {
        return fail(Errc::bad_layout, "region");
    }
    Result<Participants> participants = Participants::attach(
        all.subspan(region.table_offset_, region.content_offset_ - region.table_offset_));
    if (!participants) return std::unexpected(participants.error());
    region.participants_ = *participants;
    region.content_ = all.subspan(region.content_offset_, content_bytes);
    region.layout_ = layout;
    region.mapping_ = std::move(mapping);
    region.file_ = sys::ForkFd{std::move(file)};
    if (region.owner_ == Owner::process) region.file_.close_on_fork(sys::NoFork{});
    return region;
}

Result<RegionImage> RegionImage::create_unnamed(const Domain& domain, const RegionPlan& plan,
                                                InitContent init, void* context) {
    if (plan.owner == Owner::process && domain.shared()) {
        return fail(Errc::not_supported,
                    "create (what a process owns opens to its own user alone, and this domain is "
                    "shared by a group)");
    }
    Result<sys::Fd> file = plan.owner == Owner::process
                               ? sys::make_memory("stoa")
                               : sys::make_unnamed(domain.folder(), plan.mode);
    if (!file) return std::unexpected(file.error());
    return make(&domain, std::move(*file), plan, init, context);
}

Result<void> RegionImage::publish(const Domain& domain, std::string_view file_name) {
    layout_->state.store(kRegionNamed, kSeqCst);  // nobody else has it yet
    const std::string name{file_name};
    return owner_ == Owner::process ? publish_owned(domain, name) : publish_file(domain, name);
}

Result<void> RegionImage::publish_file(const Domain& domain, const std::string& name) {
    const auto kind = static_cast<RegionKind>(layout_->kind);
    for (int turn = 0; turn < kTurns; ++turn) {
        const Result<bool> taken = owned_name_taken(domain, name);
        if (!taken) return std::unexpected(taken.error());
        if (*taken) return fail(Errc::exists, "create (a process owns one of this name)");
        STOA_CRASH_POINT("region.create.before_publish");
        const Result<void> published =
            sys::publish(file_.fd(), domain.folder(), name.c_str());  // N1
        STOA_CRASH_POINT("region.create.published");
        if (published) {
            const Result<std::uint64_t> decided = decide_file(domain, name);
            if (!decided) return std::unexpected(decided.error());
            if (is_usable(*decided)) return {};
            const Result<void> gone = remove_name(domain, name.c_str(), file_.fd());
            return gone ? fail(Errc::exists, "create (a process owns one of this name)") : gone;
        }
        if (published.error().code != Errc::exists) return published;
        // Removes a condemned one.
        const Result<RegionImage> there = open_file(domain, name, kind, sys::Access::read_write);
        if (there || there.error().code != Errc::not_found) return published;
    }
    return fail(Errc::exists, "create");
}

// N2. The state, which is NAMED no more.
Result<std::uint64_t> RegionImage::decide_file(const Domain& domain,
                                               const std::string& name) noexcept {
    std::uint64_t state = layout_->state.load(kSeqCst);
    if (state != kRegionNamed) return state;
    const Result<bool> taken = owned_name_taken(domain, name);
    if (!taken) return std::unexpected(taken.error());
    STOA_CRASH_POINT("region.decide.before");
    const std::uint64_t decided = *taken ? kRegionCondemned : kRegionLive;
    return layout_->state.compare_exchange_strong(state, decided, kSeqCst) ? decided : state;
}

Result<void> RegionImage::publish_owned(const Domain& domain, const std::string& name) {
    Result<OwnedName> claimed = OwnedName::claim(domain, name, file_.fd());  // N3
    if (!claimed) return std::unexpected(claimed.error());
    STOA_CRASH_POINT("region.create.claimed");
    name_ = std::move(*claimed);
    const Result<std::uint64_t> decided = decide_owned(domain, name);
    if (decided && is_usable(*decided)) return {};
    std::uint64_t state = kRegionNamed;  // an error: nobody else may decide any more, unless he has
    if (!layout_->state.compare_exchange_strong(state, kRegionCondemned, kSeqCst) &&
        is_usable(state)) {
        return {};
    }
    name_.reset();
    if (!decided) return std::unexpected(decided.error());
    return fail(Errc::exists, "create");
}

// N4. The state, which is NAMED no more.
Result<std::uint64_t> RegionImage::decide_owned(const Domain& domain, const std::string& name) {
    const auto kind = static_cast<RegionKind>(layout_->kind);
    // Opening decides about a NAMED file and removes a condemned one.
    const Result<RegionImage> there = open_file(domain, name, kind, sys::Access::read_write);
    const Errc code = there ? Errc{} : there.error().code;
    if (code == Errc::limit_reached || code == Errc::exists || code == Errc::os) {
        return std::unexpected(there.error());  // that does not tell whether a file has the name
    }
    STOA_CRASH_POINT("region.decide_owned.before");
    std::uint64_t state = kRegionNamed;
    const std::uint64_t decided = code == Errc::not_found ? kRegionLive : kRegionCondemned;
    return layout_->state.compare_exchange_strong(state, decided, kSeqCst) ? decided : state;
}

Result<RegionImage> RegionImage::create(const Domain& domain, std::string_view file_name,
                                        const RegionPlan& plan, InitContent init, void* context) {
    Result<RegionImage> region = create_unnamed(domain, plan, init, context);
    if (!region) return region;
    const Result<void> published = region->publish(domain, file_name);
    if (!published) return std::unexpected(published.error());
    return region;
}

Result<RegionImage> RegionImage::create_anonymous(const RegionPlan& plan, InitContent init,
                                                  void* context) {
    Result<sys::Fd> file = sys::make_memory("stoa");
    if (!file) return std::unexpected(file.error());
    return make(nullptr, std::move(*file), plan, init, context);
}

Result<RegionImage> RegionImage::open_file(const Domain& domain, const std::string& name,
                                           RegionKind kind, sys::Access access) {
    Result<sys::Fd> file = sys::open_existing(domain.folder(), name.c_str(), access);
    if (!file) return std::unexpected(file.error());
    Result<RegionImage> region = map(std::move(*file), kind, access);
    if (!region || !region->condemned()) return region;
    if (region->layout_->state.load(kSeqCst) == kRegionNamed && access == sys::Access::read_only) {
        // To decide is to write.
        if (Result<RegionImage> decided = open_file(domain, name, kind, sys::Access::read_write);
            !decided) {
            return decided;
        }
        return region;
    }
    const Result<std::uint64_t> decided = region->decide_file(domain, name);
    if (!decided) return std::unexpected(decided.error());
    if (is_usable(*decided)) return region;
    if (Result<void> gone = remove_name(domain, name.c_str(), region->file()); !gone) {
        return std::unexpected(gone.error());
    }
    return fail(Errc::not_found, "open");
}

// What a process has under this name, in whatever state it is.
Result<RegionImage> RegionImage::find(const Domain& domain, std::string_view file_name,
                                      RegionKind kind, sys::Access access) {
    Result<sys::Fd> memory = find_owned(domain, file_name, access);
    if (!memory) return std::unexpected(memory.error());
    Result<RegionImage> region = map(std::move(*memory), kind, access);
    if (region && !region->is_named(domain, file_name)) return fail(Errc::not_found, "open");
    return region;
}

Result<RegionImage> RegionImage::open(const Domain& domain, std::string_view file_name,
                                      RegionKind kind, sys::Access access) {
    const std::string name{file_name};
    for (int turn = 0; turn < kTurns; ++turn) {
        Result<RegionImage> region = open_file(domain, name, kind, access);
        if (region || region.error().code != Errc::not_found) return region;
        Result<RegionImage> owned = find(domain, name, kind, access);
        if (!owned || !owned->condemned()) return owned;
        if (owned->layout_->state.load(kSeqCst) != kRegionNamed) {
            return fail(Errc::not_found, "open");  // its owner is about to let the name go
        }
        if (access == sys::Access::read_write) {
            const Result<std::uint64_t> state = owned->decide_owned(domain, name);
            if (!state) return std::unexpected(state.error());
            if (is_usable(*state)) return owned;
            continue;  // a file has won
        }
        const Result<RegionImage> decided = open(domain, name, kind, sys::Access::read_write);
        if (!decided) return std::unexpected(decided.error());
    }
    return fail(Errc::not_found, "open");
}

Result<RegionImage> RegionImage::peek(const Domain& domain, std::string_view file_name,
                                      RegionKind kind) {
    const std::string name{file_name};
    Result<sys::Fd> file =
        sys::open_existing(domain.folder(), name.c_str(), sys::Access::read_only);
    if (file) return map(std::move(*file), kind, sys::Access::read_only);
    if (file.error().code != Errc::not_found) return std::unexpected(file.error());
    return find(domain, name, kind, sys::Access::read_only);
}

bool RegionImage::is_named(const Domain& domain, std::string_view file_name) const noexcept {
    const std::uint32_t bytes = layout_->name_bytes;
    const Result<sys::FileInfo> folder = sys::info(domain.folder());
    return folder && owner_ == Owner::process && bytes <= kRegionNameBytes &&
           std::string_view{layout_->name, bytes} == file_name &&
           layout_->domain_device == folder->device && layout_->domain_inode == folder->inode;
}

Result<std::vector<std::string>> RegionImage::owned_names(const Domain& domain, RegionKind kind) {
    Result<std::vector<sys::Fd>> all = list_owned(domain);
    if (!all) return std::unexpected(all.error());
    std::vector<std::string> names;
    for (sys::Fd& memory : *all) {
        const Result<RegionImage> region = map(std::move(memory), kind, sys::Access::read_only);
        if (!region || region->condemned()) continue;
        const std::uint32_t bytes = std::min(region->layout_->name_bytes, kRegionNameBytes);
        std::string name{region->layout_->name, bytes};
        if (region->is_named(domain, name)) names.push_back(std::move(name));
    }
    return names;
}

Result<RegionImage> RegionImage::attach(sys::Fd file, RegionKind kind, sys::Access access) {
    return map(std::move(file), kind, access);
}

bool RegionImage::end_with(std::uint64_t end) const noexcept {
    std::uint64_t state = layout_->state.load(kSeqCst);
    while (is_usable(state)) {
        if (layout_->state.compare_exchange_weak(state, end, kSeqCst)) return true;
    }
    return false;
}

bool RegionImage::condemn() noexcept {
    return end_with(kRegionCondemned);
}

void RegionImage::close() noexcept {
    std::uint64_t live = kRegionLive;
    layout_->state.compare_exchange_strong(live, kRegionClosed, kSeqCst);
}

bool RegionImage::end_ownership() const noexcept {
    return end_with(kRegionOwnerGone);
}

Result<bool> RegionImage::destroy(const Domain& domain, std::string_view file_name,
                                  RegionImage& region) {
    const std::string name{file_name};
    const bool mine = region.condemn();
    STOA_CRASH_POINT("region.destroy.condemned");
    if (region.owner_ == Owner::process) return mine;
    if (Result<void> gone = remove_name(domain, name.c_str(), region.file()); !gone) {
        return std::unexpected(gone.error());
    }
    return mine;
}

Result<void> RegionImage::discard(const Domain& domain, std::string_view file_name) {
    const std::string name{file_name};
    Result<sys::Fd> file =
        sys::open_existing(domain.folder(), name.c_str(), sys::Access::read_only);
    if (!file) return std::unexpected(file.error());
    return remove_name(domain, name.c_str(), *file);
}

std::uint64_t RegionImage::allocated_bytes() const noexcept {
    if (is_segment()) return layout_->file_bytes;
    const Result<sys::FileInfo> info = sys::info(file_.fd());
    return info ? info->allocated_bytes : 0;
}

Result<void> RegionImage::reserve(std::uint64_t content_offset, std::uint64_t bytes) noexcept {
    if (content_offset > content_.size() || bytes > content_.size() - content_offset) {
        return fail(Errc::bad_argument, "region.reserve");
    }
    if (is_segment()) return {};  // all of it is there
    return sys::reserve(file_.fd(), content_offset_ + content_offset, bytes);
}

bool RegionImage::give_back(std::uint64_t content_offset, std::uint64_t bytes) noexcept {
    if (content_offset > content_.size() || bytes > content_.size() - content_offset) return false;
    if (is_segment()) return false;
    return sys::punch_hole(file_.fd(), content_offset_ + content_offset, bytes).has_value();
}

Result<void> RegionImage::copy_out(std::uint64_t content_offset,
                                   std::span<std::byte> to) const noexcept {
    if (content_offset > content_.size() || to.size() > content_.size() - content_offset) {
        return fail(Errc::bad_argument, "region.copy_out");
    }
    if (is_segment()) {
        std::copy_n(content_.begin() + static_cast<std::ptrdiff_t>(content_offset), to.size(),
                    to.begin());
        return {};
    }
    return sys::read_at(file_.fd(), content_offset_ + content_offset, to);
}

Result<std::uint32_t> RegionImage::join(Role role) {
    const auto reserve_records = [](void* context, std::uint64_t offset, std::uint64_t bytes) {
        const RegionImage& region = *static_cast<RegionImage*>(context);
        if (region.is_segment()) return Result<void>{};
        return sys::reserve(region.file(), region.table_offset_ + offset, bytes);
    };
    Result<std::uint32_t> place = participants_->join(role, reserve_records, this);
    STOA_CRASH_POINT("region_image.join.live");
    if (place) ring_for_newcomer(*participants_);
    return place;
}

}  // namespace stoa
