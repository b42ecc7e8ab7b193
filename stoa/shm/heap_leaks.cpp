// What no root reaches.
#include <bit>

#include "stoa/shm/heap_marks.hpp"

namespace stoa {

bool Heap::Marks::has(bool large, std::uint64_t where) const noexcept {
    const std::vector<bool>& marks = large ? large_ : small_;
    return all_ || (where < marks.size() && marks[where]);
}

// An OffsetPtr holds the distance from itself.
void Heap::Marks::look_in(const Heap& heap, std::span<const std::byte> memory) {
    const auto from = reinterpret_cast<std::uintptr_t>(memory.data());
    const std::uintptr_t end = from + memory.size();
    const auto data = reinterpret_cast<std::uintptr_t>(heap.data_);
    for (std::uintptr_t at = (from + 7) & ~std::uintptr_t{7}; at + 8 <= end; at += 8) {
        // NOLINTNEXTLINE(performance-no-int-to-ptr): aligned words of any memory
        const auto* const place = reinterpret_cast<const std::uint64_t*>(at);
        const std::uint64_t word = __atomic_load_n(place, __ATOMIC_RELAXED);
        mark(heap, at + word - data);
    }
}

// The block in which this lies, if it is in one.
bool Heap::Marks::mark(const Heap& heap, std::uint64_t offset) {
    Block block{};
    if (offset >= heap.reserved_bytes() || !heap.find(offset, block, true)) return false;
    std::vector<bool>& marks = block.kind == 0 ? large_ : small_;
    if (marks[block.where]) return true;
    marks[block.where] = true;
    if (block.kind == 0) {
        to_look_in_.emplace_back(heap.slab_at(block.slab),
                                 std::uint64_t{block.slabs} << heap.plan_.slab_shift);
    } else {
        to_look_in_.emplace_back(
            static_cast<const std::byte*>(heap.address_of(block.where, block.kind - 1)),
            bytes_of_class(block.kind - 1));
    }
    return true;
}

void Heap::Marks::from(const Heap& heap, std::span<const std::span<const std::byte>> roots) {
    large_.assign(heap.plan_.slabs, false);
    small_.assign(std::uint64_t{heap.reserved()} * heap.plan_.block_words * kBlocksPerWord, false);
    for (const std::span<const std::byte> root : roots) {
        // A root in a block is one with all of it.
        const auto offset = static_cast<std::uint64_t>(root.data() - heap.data_);
        if (!mark(heap, offset)) to_look_in_.push_back(root);
    }
    // Shared objects are reached by handles, which lie in no region.
    heap.for_each_control([&](const SharedControl& control) {
        const SharedWord word = SharedWord::of(control.word.load(kAcquire));
        if (word.state == SharedState::free) return;  // a death lost it before it was named
        Block block{};
        if (!heap.find(heap.offset_of(control), block, false)) return;
        small_[block.where] = true;
        to_look_in_.push_back(std::as_bytes(std::span{&control, 1}));
    });
    while (!to_look_in_.empty()) {
        const std::span<const std::byte> next = to_look_in_.back();
        to_look_in_.pop_back();
        look_in(heap, next);
    }
}

HeapReport Heap::report(std::span<const std::span<const std::byte>> roots) const {
    Marks marks;
    marks.from(*this, roots);
    HeapReport report;
    const auto count = [&](HeapReport::Class& of, std::uint64_t bytes, bool reached) {
        ++report.blocks;
        ++of.blocks;
        report.bytes += bytes;
        if (reached) return;
        ++report.leaked_blocks;
        ++of.leaked;
        report.leaked_bytes += bytes;
    };
    for (std::uint32_t kind = 0; kind < classes_; ++kind) {
        report.classes[kind].block_bytes = bytes_of_class(kind);
    }
    const std::uint32_t end = reserved();
    for (std::uint32_t slab = 0; slab < end; ++slab) {
        const SlabWord word = SlabWord::of(slab_word(slab).load(kAcquire));
        if (word.state == SlabState::large) {
            count(report.classes[kHeapClasses], word.value << plan_.slab_shift,
                  marks.has(true, slab));
        }
        if (!is_kind(word.kind)) continue;
        const std::uint32_t kind = word.kind - 1;
        const std::uint64_t first = std::uint64_t{slab} * plan_.block_words;
        for (std::uint32_t i = 0; i < words_of(kind); ++i) {
            const std::uint64_t bits = block_word(first + i).load(kRelaxed);
            if (!BlockWord::is_open(bits)) continue;
            std::uint32_t taken = BlockWord::taken(bits) & ~never_free(kind, i);
            for (; taken != 0; taken &= taken - 1) {
                const auto bit = static_cast<unsigned>(std::countr_zero(taken));
                count(report.classes[kind == kSharedClass ? 7 : kind], bytes_of_class(kind),
                      marks.has(false, (first + i) * kBlocksPerWord + bit));
            }
        }
    }
    return report;
}

}  // namespace stoa
