#include "stoa/shm/heap.hpp"

#include <algorithm>
#include <bit>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/base/size.hpp"

// The truth about a slab is its SlabWord, about a small block its bit in a BlockWord; both
// lie apart from the blocks, so a CAS that comes too late never touches anybody's data.
//   allocate  A1 load slab word: small, of the class   A2 load block word   A3 CAS a bit in it
//             A4 load slab word again: the same, else the bit is given back
//   retire    R1 CAS slab word small -> claimed by us  R2 CAS each block word, all free -> closed;
//             a bit is set: R3 open them again, store small
//             R4 store free
// seq_cst, for A3/A4 against R1/R2 (Dekker): if A4 still reads small, R1 came after A3, so R2 sees
// the bit. A word that was closed and opened again has another turn, so A3 fails.
// Death: after A3 outside of a section: a leak, counted. From R1 to R4 the slab word names who
// claimed it; whoever finds it dead claims the slab from it and retires it again.
namespace stoa {

Heap::Plan Heap::Plan::of(std::uint32_t slab_shift, std::uint32_t slabs,
                          std::uint32_t sections) noexcept {
    Plan plan;
    plan.slab_shift = slab_shift;
    plan.slabs = slabs;
    plan.sections = sections;
    plan.hint_words = (slabs + 63) / 64;
    plan.block_words =
        static_cast<std::uint32_t>((1U << slab_shift) / (kMinAlignment * kBlocksPerWord));
    plan.records_at = sizeof(HeapHeader);
    plan.slabs_at = plan.records_at + std::uint64_t{sections} * sizeof(SectionRecord);
    plan.hints_at = plan.slabs_at + std::uint64_t{slabs} * 8;
    plan.blocks_at =
        align_up(plan.hints_at + std::uint64_t{plan.hint_words} * 8 * kHeapRows, kPage);
    plan.data_at = align_up(
        plan.blocks_at + std::uint64_t{slabs} * plan.block_words * sizeof(std::uint64_t), kPage);
    plan.end = plan.data_at + (std::uint64_t{slabs} << slab_shift);
    return plan;
}

Heap::Plan Heap::Plan::for_bytes(std::uint64_t bytes) noexcept {
    constexpr std::uint64_t kSlabsWanted = 1024;
    constexpr std::uint64_t kMaxSlabs = std::uint64_t{1} << 31U;
    const std::uint64_t wanted = std::bit_floor(bytes / kSlabsWanted | 1U);
    const auto shift = static_cast<std::uint32_t>(
        std::clamp<int>(std::countr_zero(wanted), kMinSlabShift, kMaxSlabShift));
    const auto sections = static_cast<std::uint32_t>(
        std::clamp<std::uint64_t>(bytes >> shift, 16, kMaxHeapSections / 4));
    std::uint64_t low = 0;
    std::uint64_t high = std::min(bytes >> shift, kMaxSlabs) + 1;
    while (high - low > 1) {  // the most slabs that fit
        const std::uint64_t middle = (low + high) / 2;
        const bool fits = of(shift, static_cast<std::uint32_t>(middle), sections).end <= bytes;
        (fits ? low : high) = middle;
    }
    return of(shift, static_cast<std::uint32_t>(low), sections);
}

Result<void> Heap::create(std::span<std::byte> memory, bool backed) noexcept {
    const Plan plan = Plan::for_bytes(memory.size());
    if (plan.slabs == 0 || reinterpret_cast<std::uintptr_t>(memory.data()) % kPage != 0) {
        return fail(Errc::bad_argument, "heap.create: it needs 16 KiB, from a page on");
    }
    HeapHeader* header = layout_at<HeapHeader>(memory, 0);
    header->version = kHeapVersion;
    header->slab_shift = plan.slab_shift;
    header->slabs = plan.slabs;
    header->sections = plan.sections;
    header->reserved.store(backed ? plan.slabs : 0, kRelaxed);
    header->magic.store(kHeapMagic, kRelease);
    return {};
}

Result<std::unique_ptr<Heap>> Heap::attach(std::span<std::byte> memory, ReserveRecords reserve,
                                           void* context) {
    HeapHeader* header = layout_at<HeapHeader>(memory, 0);
    if (header == nullptr || header->magic.load(kAcquire) != kHeapMagic) {
        return fail(Errc::bad_layout, "heap");
    }
    if (header->version != kHeapVersion) return fail(Errc::wrong_version, "heap");
    const std::uint32_t shift = header->slab_shift;
    const std::uint32_t slabs = header->slabs;
    const std::uint32_t sections = header->sections;
    if (shift < kMinSlabShift || shift > kMaxSlabShift || slabs == 0 || sections == 0 ||
        sections > kMaxHeapSections) {
        return fail(Errc::bad_layout, "heap");
    }
    std::unique_ptr<Heap> heap{new Heap};
    heap->plan_ = Plan::of(shift, slabs, sections);
    if (heap->plan_.end > memory.size() ||
        reinterpret_cast<std::uintptr_t>(memory.data()) % kPage != 0) {
        return fail(Errc::bad_layout, "heap");
    }
    heap->base_ = memory.data();
    heap->header_ = header;
    heap->records_ = layout_at<SectionRecord>(memory, heap->plan_.records_at, sections);
    heap->slabs_ = layout_at<Atomic<std::uint64_t>>(memory, heap->plan_.slabs_at, slabs);
    heap->hints_ = layout_at<Atomic<std::uint64_t>>(memory, heap->plan_.hints_at);
    heap->blocks_ = layout_at<Atomic<std::uint64_t>>(memory, heap->plan_.blocks_at);
    heap->data_ = memory.data() + heap->plan_.data_at;
    heap->reserve_ = reserve;
    heap->context_ = context;
    const auto slab = static_cast<std::uint32_t>(heap->slab_bytes());
    while (heap->classes_ < kHeapClasses && bytes_of_class(heap->classes_) * 2 <= slab) {
        heap->learn_class(heap->classes_++);
    }
    heap->learn_class(kSharedClass);
    return heap;
}

void Heap::learn_class(std::uint32_t kind) noexcept {
    const std::uint32_t bytes = bytes_of_class(kind);
    blocks_of_class_[kind] = static_cast<std::uint32_t>(slab_bytes()) / bytes;
    reciprocal_[kind] = static_cast<std::uint32_t>((std::uint64_t{1} << 32U) / bytes) + 1;
    last_[kind].store(~std::uint64_t{0}, kRelaxed);
}

// The class whose blocks suffice; classes_: none does.
std::uint32_t Heap::class_for(std::size_t bytes, std::size_t alignment) const noexcept {
    if (bytes > bytes_of_class(classes_ - 1)) return classes_;
    std::uint32_t kind = 0;
    if (bytes <= 128) {
        kind = bytes == 0 ? 0 : static_cast<std::uint32_t>(bytes - 1) / 16;
    } else {
        const auto last = static_cast<std::uint32_t>(bytes - 1);
        const auto top = static_cast<std::uint32_t>(std::bit_width(last)) - 1;
        kind = 8 + (top - 7) * 4 + (last >> (top - 2) & 3U);
    }
    if (alignment > kMinAlignment) {
        while (kind < classes_ && bytes_of_class(kind) % alignment != 0) ++kind;
    }
    return kind;
}

Result<void*> Heap::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    const Here at = here(base_);
    if (at.me == 0) [[unlikely]]
        return fail(Errc::forked, "heap.allocate");
    if (!std::has_single_bit(alignment) || alignment > kPage) [[unlikely]]
        return fail(Errc::bad_argument, "heap.allocate: alignment");
    if (bytes > capacity_bytes()) [[unlikely]]
        return fail(Errc::too_big, "heap.allocate");
    const std::uint32_t kind = class_for(bytes, alignment);
    SectionRecord* record = nullptr;
    if (SectionOwner* owner = current_section(this); owner != nullptr) [[unlikely]] {
        const Result<SectionRecord*> found = record_for(at, *owner);
        if (!found) return std::unexpected(found.error());
        record = *found;
        if (const Result<void> room = make_room(at, *record); !room) {
            return std::unexpected(room.error());
        }
    }
    if (kind < classes_) return allocate_small(at, kind, record, BlockKind::small);
    return allocate_large(at, bytes, record);
}

void* Heap::address_of(std::uint64_t where, std::uint32_t kind) const noexcept {
    const std::uint64_t index = where / kBlocksPerWord;
    const auto slab = static_cast<std::uint32_t>(index / plan_.block_words);
    const std::uint64_t number =
        index % plan_.block_words * kBlocksPerWord + where % kBlocksPerWord;
    return slab_at(slab) + number * bytes_of_class(kind);
}

bool Heap::find(std::uint64_t data_offset, Block& block, bool inside) const noexcept {
    if (data_offset >> plan_.slab_shift >= plan_.slabs) return false;
    block.slab = static_cast<std::uint32_t>(data_offset >> plan_.slab_shift);
    SlabWord word = SlabWord::of(slab_word(block.slab).load(kAcquire));
    std::uint64_t offset = data_offset & (slab_bytes() - 1);
    if (word.state == SlabState::small || (word.state == SlabState::claimed && word.kind != 0)) {
        if (!is_kind(word.kind)) return false;
        const std::uint64_t bytes = bytes_of_class(word.kind - 1);
        const auto number = static_cast<std::uint32_t>(offset * reciprocal_[word.kind - 1] >> 32U);
        if (number >= blocks_in(word.kind - 1)) return false;
        if (!inside && number * bytes != offset) return false;
        block.kind = word.kind;
        block.where = (std::uint64_t{block.slab} * plan_.block_words) * kBlocksPerWord + number;
        const std::uint64_t bits = block_word(block.where / kBlocksPerWord).load(kAcquire);
        return BlockWord::is_open(bits) && (bits >> block.where % kBlocksPerWord & 1U) != 0;
    }
    if (word.state == SlabState::tail && inside) {
        if (word.value >= block.slab) return false;
        offset += (block.slab - word.value) << plan_.slab_shift;
        block.slab = static_cast<std::uint32_t>(word.value);
        word = SlabWord::of(slab_word(block.slab).load(kAcquire));
    }
    if (word.state != SlabState::large || (offset != 0 && !inside)) return false;
    if (word.value == 0 || word.value > plan_.slabs - block.slab) return false;
    block.kind = 0;
    block.where = block.slab;
    block.epoch = word.epoch;
    block.slabs = static_cast<std::uint32_t>(word.value);
    return offset < word.value << plan_.slab_shift;
}

void Heap::free(void* pointer) noexcept {
    if (pointer == nullptr) return;
    const Here at = here(base_);
    if (at.me == 0) return;  // a forked child: it is its parent's
    Block block{};
    const bool found =
        find(reinterpret_cast<std::uintptr_t>(pointer) - reinterpret_cast<std::uintptr_t>(data_),
             block, false);
    STOA_CHECK(found);  // else no block of this heap, or freed before
    if (SectionOwner* owner = current_section(this); owner != nullptr) [[unlikely]] {
        // Without memory for the log it stays: a leak, counted.
        static_cast<void>(log_free(at, *owner, block));
        return;
    }
    if (block.kind == 0) {
        static_cast<void>(free_large(at, block.slab, block.epoch));
    } else {
        give_bit_back(block.where, block.slab, block.kind - 1);
    }
}

std::uint64_t Heap::bytes_of(const void* pointer) const noexcept {
    Block block{};
    const auto offset =
        reinterpret_cast<std::uintptr_t>(pointer) - reinterpret_cast<std::uintptr_t>(data_);
    if (!find(offset, block, false)) return 0;
    if (block.kind == 0) return std::uint64_t{block.slabs} << plan_.slab_shift;
    return bytes_of_class(block.kind - 1);
}

std::uint64_t Heap::bytes_in_use() const noexcept {
    std::uint64_t sum = 0;
    const std::uint32_t end = reserved();
    for (std::uint32_t slab = 0; slab < end; ++slab) {
        const SlabWord word = SlabWord::of(slab_word(slab).load(kAcquire));
        if (word.state == SlabState::large) sum += word.value << plan_.slab_shift;
        if (!is_kind(word.kind)) continue;
        const std::uint32_t kind = word.kind - 1;
        const std::uint64_t first = std::uint64_t{slab} * plan_.block_words;
        for (std::uint32_t i = 0; i < words_of(kind); ++i) {
            const std::uint64_t bits = block_word(first + i).load(kRelaxed);
            if (!BlockWord::is_open(bits)) continue;
            const std::uint32_t taken = BlockWord::taken(bits) & ~never_free(kind, i);
            sum +=
                std::uint64_t{bytes_of_class(kind)} * static_cast<unsigned>(std::popcount(taken));
        }
    }
    return sum;
}

void Heap::recover() noexcept {
    const Here at = here(base_);
    if (at.me == 0) return;
    const std::uint32_t end = reserved();
    for (std::uint32_t slab = 0; slab < end; ++slab) inherit_slab(at, slab);
    for (std::uint32_t i = 0; i < plan_.sections; ++i) {
        SectionRecord& record = records_[i];
        std::uint64_t seen = record.word.load(kSeqCst);
        SectionWord word = SectionWord::of(seen);
        if (word.state == SectionState::free || word.state == SectionState::active) continue;
        if (!at.is_gone(word.holder)) continue;
        if (word.state == SectionState::taken) {  // its log is empty
            const SectionWord next{.epoch = word.epoch + 1};
            record.word.compare_exchange_strong(seen, next.pack(), kSeqCst);
            continue;
        }
        word.holder = at.me;
        if (!record.word.compare_exchange_strong(seen, word.pack(), kSeqCst)) continue;
        finish(nullptr, record, word.state, nullptr);
    }
}

std::uint32_t Heap::sections_open() const noexcept {
    const Here at = here(base_);
    return static_cast<std::uint32_t>(
        std::count_if(records_, records_ + plan_.sections, [&](const SectionRecord& record) {
            const SectionWord word = SectionWord::of(record.word.load(kSeqCst));
            return word.state != SectionState::free && at.is_gone(word.holder);
        }));
}

}  // namespace stoa
