// Small blocks: a bit is taken by one CAS and given back by one.
#include <algorithm>
#include <bit>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/shm/heap.hpp"

namespace stoa {
namespace {

constexpr std::uint64_t kNoSlab = ~std::uint64_t{0};
constexpr std::uint32_t kTurns = 1000;

}  // namespace

void Heap::set_hint(std::uint32_t kind, std::uint32_t slab) noexcept {
    Atomic<std::uint64_t>& word = hints_[kind * plan_.hint_words + slab / 64];
    const std::uint64_t bit = std::uint64_t{1} << slab % 64;
    if ((word.load(kSeqCst) & bit) == 0) word.fetch_or(bit, kSeqCst);
}

void Heap::clear_hint(std::uint32_t kind, std::uint32_t slab) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << slab % 64;
    hints_[kind * plan_.hint_words + slab / 64].fetch_and(~bit, kSeqCst);
}

// A slab other than `after` that may have a free block of this class. Who begins where it is itself
// in the table meets fewer others.
bool Heap::next_partial(const Here& at, std::uint32_t kind, std::uint32_t after,
                        std::uint32_t& slab) noexcept {
    const Atomic<std::uint64_t>* row = hints_ + std::size_t{kind} * plan_.hint_words;
    const std::uint32_t start = holder_index(at.me) % plan_.hint_words;
    for (std::uint32_t i = 0; i < plan_.hint_words; ++i) {
        const std::uint32_t word = (start + i) % plan_.hint_words;
        std::uint64_t bits = row[word].load(kRelaxed);
        if (after / 64 == word) bits &= ~(std::uint64_t{1} << after % 64);
        if (bits == 0) continue;
        slab = word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits));
        if (slab < plan_.slabs) return true;
    }
    return false;
}

Result<void*> Heap::allocate_small(const Here& at, std::uint32_t kind, SectionRecord* record,
                                   BlockKind what) noexcept {
    const std::uint64_t last = last_[kind].load(kRelaxed);
    std::uint32_t slab = static_cast<std::uint32_t>(last >> 32U);
    if (last != kNoSlab) [[likely]] {
        if (void* block = take_in(slab, kind, record, what); block != nullptr) [[likely]]
            return block;
    }
    // Another turn: what it found or opened was filled or retired by others meanwhile.
    for (std::uint32_t turns = 0; turns < kTurns + plan_.slabs; ++turns) {
        if (!next_partial(at, kind, plan_.slabs, slab)) {
            const Result<std::uint32_t> opened = open_slab(at, kind);
            if (!opened) {  // retiring found the hints that were lost
                const std::uint32_t end = reserved();
                for (slab = 0; slab < end; ++slab) {
                    if (void* block = take_in(slab, kind, record, what); block != nullptr) {
                        return block;
                    }
                }
                return std::unexpected(opened.error());
            }
            slab = *opened;
        }
        last_[kind].store(std::uint64_t{slab} << 32U, kRelaxed);
        if (void* block = take_in(slab, kind, record, what); block != nullptr) return block;
    }
    return fail(Errc::out_of_space, "heap.allocate: others take all that there is");
}

// A block of this slab; null: it has none of this class that is free.
void* Heap::take_in(std::uint32_t slab, std::uint32_t kind, SectionRecord* record,
                    BlockKind what) noexcept {
    const std::uint64_t word = slab_word(slab).load(kAcquire);  // A1
    const SlabWord seen_slab = SlabWord::of(word);
    if (seen_slab.state != SlabState::small || seen_slab.kind != kind + 1) {
        // Also one that is claimed: its claimer may be stopped, and sets the hint when it goes on.
        clear_hint(kind, slab);
        const SlabWord now = SlabWord::of(slab_word(slab).load(kSeqCst));
        if (now.state == SlabState::small && now.kind == kind + 1) set_hint(kind, slab);
        return nullptr;
    }
    const std::uint64_t last = last_[kind].load(kRelaxed);
    const std::uint32_t words = words_of(kind);
    std::uint32_t i = last >> 32U == slab ? static_cast<std::uint32_t>(last) % words : 0;
    const std::uint64_t first = std::uint64_t{slab} * plan_.block_words;
    for (std::uint32_t looked = 0; looked < words; ++looked, i = i + 1 == words ? 0 : i + 1) {
        std::uint64_t seen = block_word(first + i).load(kRelaxed);  // A2
        while (BlockWord::is_open(seen) && BlockWord::taken(seen) != ~std::uint32_t{0}) {
            const auto bit = static_cast<std::uint32_t>(std::countr_one(BlockWord::taken(seen)));
            if (!take_bit(first + i, seen, bit, record, what)) continue;
            STOA_CRASH_POINT("heap.allocate");
            const std::uint64_t where = (first + i) * kBlocksPerWord + bit;
            if (slab_word(slab).load(kSeqCst) != word) [[unlikely]] {  // A4
                if (record == nullptr) {
                    give_bit_back(where, slab, kind);
                } else {
                    const std::uint64_t undo = name_step(*record, 0, what, where);
                    seen = block_word(first + i).load(kSeqCst);
                    while (!take_step(*record, first + i, seen, bit, undo)) {
                    }
                }
                return nullptr;
            }
            if (record != nullptr) append(*record, LogEntry::pack(0, what, where, 0));
            last_[kind].store(std::uint64_t{slab} << 32U | i, kRelaxed);
            return slab_at(slab) + std::uint64_t{i * kBlocksPerWord + bit} * bytes_of_class(kind);
        }
    }
    clear_hint(kind, slab);
    for (i = 0; i < words; ++i) {  // one may have been given back before the hint was cleared
        if (BlockWord::taken(block_word(first + i).load(kSeqCst)) != ~std::uint32_t{0}) {
            set_hint(kind, slab);
            break;
        }
    }
    return nullptr;
}

// A3. False: `seen` is what is there now.
bool Heap::take_bit(std::uint64_t index, std::uint64_t& seen, std::uint32_t bit,
                    SectionRecord* record, BlockKind what) noexcept {
    const std::uint64_t mask = std::uint64_t{1} << bit;
    if (record == nullptr) [[likely]] {
        return block_word(index).compare_exchange_weak(seen, seen | mask, kSeqCst, kRelaxed);
    }
    const std::uint64_t pending =
        name_step(*record, LogEntry::kSets, what, index * kBlocksPerWord + bit);
    seen = block_word(index).load(kSeqCst);
    while (BlockWord::is_open(seen) && (seen & mask) == 0) {
        if (take_step(*record, index, seen, bit, pending)) return true;
    }
    return false;
}

void Heap::give_bit_back(std::uint64_t where, std::uint32_t slab, std::uint32_t kind) noexcept {
    const std::uint64_t mask = std::uint64_t{1} << where % kBlocksPerWord;
    STOA_CRASH_POINT("heap.free");
    const std::uint64_t seen = block_word(where / kBlocksPerWord).fetch_and(~mask, kSeqCst);
    STOA_CHECK((seen & mask) != 0);  // freed twice at once
    if (BlockWord::taken(seen) == ~std::uint32_t{0}) set_hint(kind, slab);
}

Result<SharedControl*> Heap::take_control() noexcept {
    const Here at = here(base_);
    if (at.me == 0) return fail(Errc::forked, "shared object");
    const Result<void*> block = allocate_small(at, kSharedClass, nullptr, BlockKind::small);
    if (!block) return std::unexpected(block.error());
    return static_cast<SharedControl*>(*block);
}

void Heap::give_control(SharedControl& control) noexcept {
    Block block{};
    if (find(offset_of(control), block, false)) {
        give_bit_back(block.where, block.slab, kSharedClass);
    }
}

SharedControl* Heap::control_at(std::uint64_t offset) const noexcept {
    Block block{};
    if (offset >= reserved_bytes() || !find(offset, block, false)) return nullptr;
    if (block.kind != kSharedClass + 1) return nullptr;
    return reinterpret_cast<SharedControl*>(data_ + offset);
}

// From `offset` on.
bool Heap::next_control(std::uint64_t& offset) const noexcept {
    const std::uint64_t end = reserved_bytes();
    while (offset < end) {
        const auto slab = static_cast<std::uint32_t>(offset >> plan_.slab_shift);
        if (SlabWord::of(slab_word(slab).load(kAcquire)).kind != kSharedClass + 1) {
            offset = std::uint64_t{slab + 1} << plan_.slab_shift;
            continue;
        }
        if (control_at(offset) != nullptr) return true;
        offset += sizeof(SharedControl);
    }
    return false;
}

}  // namespace stoa
