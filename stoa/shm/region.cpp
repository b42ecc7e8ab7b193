#include "stoa/shm/region.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "stoa/base/crash_point.hpp"
#include "stoa/base/size.hpp"
#include "stoa/shm/buffer_ring.hpp"
#include "stoa/shm/region_core.hpp"
#include "stoa/sys/process.hpp"

namespace stoa {
namespace {

using Scheme = RegionAddress::Scheme;

constexpr std::uint64_t kLeastBytes = std::uint64_t{64} << 10;
constexpr std::uint64_t kDefaultRoom = std::uint64_t{64} << 20;
constexpr std::uint32_t kDefaultObjects = 4096;
constexpr std::uint32_t kSegmentObjects = 512;
constexpr std::uint32_t kSegmentPlaces = 256;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 42;

struct Plan {
    RegionPlan region{};
    std::uint32_t max_objects = 0;
    std::uint64_t bytes = 0;  // to be backed at once, of objects and blocks
    bool all = false;         // everything is backed
};

// Of a heap for so many bytes of blocks: its tables take a 32nd at most.
std::uint64_t heap_room(std::uint64_t bytes) noexcept {
    return align_up(bytes + bytes / 32 + (std::uint64_t{64} << 10), kPage);
}

bool grows(Scheme scheme) noexcept {
    return scheme == Scheme::shm || scheme == Scheme::memfd;
}

Result<Plan> plan_of(const detail::RegionPlace& place, std::uint64_t bytes,
                     const RegionOptions& options) {
    const Scheme scheme = place.address.scheme;
    if (bytes == 0 || bytes > kMostBytes || options.max_bytes > kMostBytes) {
        return fail(Errc::bad_argument, "create (a region has 1 byte to 4 TiB)");
    }
    if (options.owner == Owner::process && scheme != Scheme::shm) {
        return fail(Errc::not_supported, "create (owner process: only shm: regions)");
    }
    Plan plan{.max_objects = options.max_objects, .bytes = std::max(bytes, kLeastBytes)};
    plan.all = scheme == Scheme::sysv;  // all of it takes memory: shorter tables
    if (plan.max_objects == 0) plan.max_objects = plan.all ? kSegmentObjects : kDefaultObjects;
    std::uint64_t most = options.max_bytes;
    if (most == 0) most = grows(scheme) ? std::max(plan.bytes * 16, kDefaultRoom) : plan.bytes;
    if (options.max_bytes != 0 && options.max_bytes < bytes) {
        return fail(Errc::bad_argument, "create (max_bytes is less than the region has at once)");
    }
    most = std::max(std::min(most, kMostBytes), plan.bytes);
    if (scheme == Scheme::sysv && most > plan.bytes) {
        return fail(Errc::not_supported,
                    "create (a sysv: region cannot grow: leave max_bytes out)");
    }
    if (plan.max_objects > kMaxObjects) {
        return fail(Errc::bad_argument, "create (max_objects is 1 to 1048576)");
    }
    const std::uint64_t heap = objects_parts(plan.max_objects).heap;
    const std::uint64_t heap_bytes = heap_room(most);
    plan.region = {.kind = RegionKind::objects,
                   .content_bytes = heap + heap_bytes,
                   .reserved_bytes = kPage,
                   .second_offset = heap,
                   .second_bytes = plan.all ? 0 : Heap::fixed_bytes(heap_bytes),
                   .max_places = plan.all ? kSegmentPlaces : kMaxPlaces,
                   .mode = options.mode,
                   .owner = options.owner,
                   .owned_name = place.file};
    return plan;
}

Result<void> write_content(void* context, std::span<std::byte> content) {
    const Plan& plan = *static_cast<const Plan*>(context);
    Result<void> done = Directory::create(content, plan.max_objects);
    if (!done) return done;
    return Heap::create(content.subspan(objects_parts(plan.max_objects).heap), plan.all);
}

Result<RegionImage> make_image(const detail::RegionPlace& place, Plan& plan) {
    if (place.address.number >= 0) return detail::RegionPlace::is_there(place.address);
    switch (place.address.scheme) {
        case Scheme::sysv:
            return RegionImage::create_segment(place.address.key, plan.region, write_content,
                                               &plan);
        case Scheme::memfd: return RegionImage::create_anonymous(plan.region, write_content, &plan);
        case Scheme::shm:
        case Scheme::posix:
        case Scheme::file: break;
    }
    return RegionImage::create_unnamed(*place.domain, plan.region, write_content, &plan);
}

}  // namespace

namespace detail {

void RegionCoreDeleter::operator()(RegionCore* core) const noexcept {
    delete core;
}

Construction::~Construction() {
    // In a forked child it is its parent's.
    if (core_ != nullptr && !core_->is_forked()) core_->directory->withdraw(index_);
}

Result<void> Construction::make_ring(BufferLayout& layout) noexcept {
    Result<void> made = make_buffer_ring(*core_->heap, layout);
    if (made) core_->directory->entry(index_).block.fetch_or(RegionCore::kHasRing, kSeqCst);
    return made;
}

void Construction::complete() noexcept {
    if (!core_->is_forked()) core_->directory->publish(core_->here(), index_);
    core_ = nullptr;
}

}  // namespace detail

Result<Region> Region::create(std::string_view address, std::uint64_t bytes,
                              const RegionOptions& options) {
    Result<detail::RegionPlace> place = detail::RegionPlace::of(address, options.domain, true);
    if (!place) return std::unexpected(place.error());
    Result<Plan> plan = plan_of(*place, bytes, options);
    if (!plan) return std::unexpected(plan.error());
    Result<RegionImage> image = make_image(*place, *plan);
    if (!image) return std::unexpected(image.error());
    Core core{new detail::RegionCore{std::move(*image), std::move(*place), Access::read_write}};
    Result<void> done = core->enter();
    if (done && !plan->all) done = core->heap->reserve(plan->bytes);
    if (done && options.huge_pages) done = sys::want_huge_pages(core->heap->backed());
    if (done && options.prefault) done = sys::populate(core->heap->backed());
    if (done && core->place.domain) {
        done = core->image.publish(*core->place.domain, core->place.file);
    }
    if (!done && core->image.is_segment()) {
        [[maybe_unused]] const Result<bool> gone = RegionImage::destroy_segment(core->image);
    }
    if (!done) return std::unexpected(done.error());
    core->owns = options.owner == Owner::process;
    return Region{std::move(core)};
}

Result<Region> Region::open(std::string_view address, const OpenRegionOptions& options) {
    Result<detail::RegionPlace> place = detail::RegionPlace::of(address, options.domain, false);
    if (!place) return std::unexpected(place.error());
    Result<RegionImage> image = place->open(RegionKind::objects, options.access);
    if (!image) return std::unexpected(image.error());
    Core core{new detail::RegionCore{std::move(*image), std::move(*place), options.access}};
    Result<void> done = core->enter();
    // Our identity is published; if it was condemned before, nobody saw us in time.
    if (done && core->image.condemned()) return fail(Errc::not_found, "open");
    if (done && options.prefault) done = sys::populate(core->heap->backed());
    if (!done) return std::unexpected(done.error());
    if (options.access == Access::read_write) core->sweep();
    return Region{std::move(core)};
}

Result<Region> Region::open_or_create(std::string_view address, std::uint64_t bytes,
                                      const RegionOptions& options) {
    for (;;) {
        Result<Region> there = open(address, {.domain = options.domain});
        if (there || there.error().code != Errc::not_found) return there;
        Result<Region> made = create(address, bytes, options);
        if (made || made.error().code != Errc::exists) return made;
    }
}

Result<bool> Region::destroy(std::string_view address, std::string_view domain) {
    const Result<detail::RegionPlace> place = detail::RegionPlace::of(address, domain, false);
    if (!place) return std::unexpected(place.error());
    Result<RegionImage> image = place->open(RegionKind::objects, Access::read_write);
    if (!image) return std::unexpected(image.error());
    return place->destroy(*image);
}

Result<void> Region::check_writable(const char* step) const noexcept {
    if (core_->is_forked()) return fail(Errc::forked, step);
    if (core_->access == Access::read_write) return {};
    return fail(Errc::denied, step_text("%s (this handle was opened read-only)", step));
}

Result<detail::Construction> Region::begin(std::string_view name, const TypeInfo& type,
                                           std::size_t alignment, Deadline deadline) {
    if (Result<void> may = check_writable("construct"); !may) return std::unexpected(may.error());
    detail::RegionCore& core = *core_;
    const Here at = core.here();
    const Result<std::uint32_t> index = core.directory->claim(at, name, deadline);
    if (!index) return std::unexpected(index.error());
    ObjectEntry& entry = core.directory->entry(*index);
    begin_section(*core.heap, entry.section);
    // The text of its type lies behind it.
    const Result<void*> memory = core.heap->allocate(type.size + type.text.size(), alignment);
    if (!memory) {
        core.directory->withdraw(*index);
        return std::unexpected(memory.error());
    }
    std::memcpy(static_cast<std::byte*>(*memory) + type.size, type.text.data(), type.text.size());
    entry.fingerprint.store(type.fingerprint, kRelaxed);
    entry.bytes.store(type.size, kRelaxed);
    entry.text_bytes.store(static_cast<std::uint32_t>(type.text.size()), kRelaxed);
    entry.block.store(core.offset_of(*memory), kRelaxed);
    return detail::Construction{core, *index, *memory};
}

// An object of this name and type. Errors: not_found, bad_layout, wrong_type
Result<Named> Region::find_typed(std::string_view name, const TypeInfo& type) const {
    Result<Named> seen = core_->find(name);
    if (seen && seen->fingerprint != type.fingerprint) {
        return fail(Errc::wrong_type,
                    step_text("find (it is a %.*s)",
                              static_cast<int>(std::min<std::uint32_t>(seen->text_bytes, 200)),
                              reinterpret_cast<const char*>(core_->at(seen->block)) + seen->bytes));
    }
    return seen;
}

Result<void*> Region::look_up(std::string_view name, const TypeInfo& type, bool only_reads) const {
    if (!only_reads) {
        if (Result<void> may = check_writable("find"); !may) {
            if (may.error().code != Errc::denied) return std::unexpected(may.error());
            return fail(Errc::denied,
                        "find (this handle was opened read-only: find<const T> reads)");
        }
    }
    const Result<Named> seen = find_typed(name, type);
    if (!seen) return std::unexpected(seen.error());
    return core_->at(seen->block);
}

Result<Region::Condemned> Region::condemn(std::string_view name, const TypeInfo& type) {
    if (Result<void> may = check_writable("destroy"); !may) return std::unexpected(may.error());
    detail::RegionCore& core = *core_;
    const Result<Named> seen = find_typed(name, type);
    if (!seen) return std::unexpected(seen.error());
    const Result<std::uint32_t> index = core.directory->condemn(core.here(), *seen);
    if (!index) return std::unexpected(index.error());
    begin_section(*core.heap, core.directory->entry(*index).section);
    return Condemned{*index, core.at(seen->block)};
}

void Region::end(std::uint32_t index) noexcept {
    if (!core_->is_forked()) core_->directory->remove(index);
}

Result<void> Region::discard_object(std::string_view name) {
    if (Result<void> may = check_writable("discard"); !may) return may;
    const Result<Named> seen = core_->find(name);
    if (!seen) return std::unexpected(seen.error());
    const Result<std::uint32_t> index = core_->directory->condemn(core_->here(), *seen);
    if (!index) return std::unexpected(index.error());
    core_->directory->remove(*index);
    return {};
}

std::vector<ObjectInfo> Region::objects() const {
    std::vector<ObjectInfo> all;
    core_->directory->for_each([&](const Named& seen) {
        if (!core_->holds(seen)) return;
        const auto* text = reinterpret_cast<const char*>(core_->at(seen.block)) + seen.bytes;
        all.push_back({.name = seen.name,
                       .type = std::string{text, std::min<std::uint32_t>(seen.text_bytes, 4096)},
                       .bytes = seen.bytes,
                       .made_ns = seen.made_ns});
    });
    std::ranges::sort(all, {}, &ObjectInfo::name);
    return all;
}

Result<std::span<const std::byte>> Region::bytes_of(std::string_view name) const {
    const Result<Named> seen = core_->find(name);
    if (!seen) return std::unexpected(seen.error());
    return std::span<const std::byte>{core_->at(seen->block), seen->bytes};
}

Heap& Region::heap() const noexcept {
    return *core_->heap;
}

Result<void> Region::grow(std::uint64_t bytes) {
    if (Result<void> may = check_writable("grow"); !may) return may;
    return core_->heap->reserve(bytes);
}

RegionUse Region::use() const {
    const detail::RegionCore& core = *core_;
    RegionUse use{.max_bytes = core.heap->capacity_bytes(),
                  .bytes = core.heap->reserved_bytes(),
                  .in_use = core.heap->bytes_in_use(),
                  .all_bytes = core.image.allocated_bytes()};
    std::vector<std::span<const std::byte>> roots;
    core.directory->for_each([&](const Named& seen) {
        if (core.holds(seen)) roots.emplace_back(core.at(seen.block), seen.bytes);
    });
    const HeapReport report = core.heap->report(roots);
    use.leaked_blocks = report.leaked_blocks;
    use.leaked_bytes = report.leaked_bytes;
    return use;
}

Result<void> Region::flush() {
    return sys::flush(core_->image.memory());
}

std::vector<Attached> Region::attached() const {
    std::vector<Attached> all;
    core_->image.participants().for_each([&](const Participant& seen) {
        all.push_back(
            {.pid = seen.identity.pid, .name = seen.name, .alive = seen.life != sys::Life::dead});
    });
    return all;
}

std::uint32_t Region::sweep() {
    if (!check_writable("sweep")) return 0;
    return core_->sweep();
}

int Region::descriptor() const noexcept {
    return core_->image.is_segment() ? -1 : core_->image.file().get();
}
std::int32_t Region::segment() const noexcept {
    return core_->image.segment();
}
const std::string& Region::address() const noexcept {
    return core_->place.text;
}
Access Region::access() const noexcept {
    return core_->access;
}
Owner Region::owner() const noexcept {
    return core_->image.owner();
}
bool Region::is_destroyed() const noexcept {
    const RegionImage& image = core_->image;
    return image.condemned() || (image.owner() == Owner::process &&
                                 sys::probe(image.participants().creator()) == sys::Life::dead);
}

}  // namespace stoa
