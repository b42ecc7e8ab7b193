// Slabs: runs of them are claimed, opened for small blocks, retired and released.
//
// A run is claimed from its head on, which names its claimer; each tail names the head. It is
// released from its end on, the head last. So whenever a head is claimed, the tails that belong to
// it follow it without a gap, and only its claimer, or who inherits from it, touches them.
#include <algorithm>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/shm/heap.hpp"

namespace stoa {

// Claims `count` slabs in a row that are free; false: there are none.
bool Heap::claim_run(const Here& at, std::uint32_t count, std::uint32_t kind,
                     std::uint32_t& head) noexcept {
    const std::uint32_t end = reserved();
    for (std::uint32_t first = 0; first < end && count <= end - first;) {
        std::uint64_t seen = slab_word(first).load(kRelaxed);
        const SlabWord word = SlabWord::of(seen);
        if (word.state != SlabState::free ||
            !slab_word(first).compare_exchange_strong(
                seen, word.next(SlabState::claimed, kind, short_holder(at.me)), kSeqCst)) {
            ++first;
            continue;
        }
        STOA_CRASH_POINT("heap.slab_claimed");
        std::uint32_t got = 1;
        for (; got < count; ++got) {
            std::uint64_t tail = slab_word(first + got).load(kRelaxed);
            const SlabWord next = SlabWord::of(tail);
            if (next.state != SlabState::free ||
                !slab_word(first + got)
                     .compare_exchange_strong(tail, next.next(SlabState::tail, 0, first),
                                              kSeqCst)) {
                break;
            }
        }
        if (got == count) {
            head = first;
            return true;
        }
        release_run(first, got);
        first += got + 1;
    }
    return false;
}

// Precondition: the head is claimed by this process, with count - 1 tails.
void Heap::release_run(std::uint32_t head, std::uint32_t count) noexcept {
    for (std::uint32_t slab = head + count - 1; slab > head; --slab) {
        const SlabWord tail = SlabWord::of(slab_word(slab).load(kRelaxed));
        // release: what was in it comes before what the next one writes there.
        slab_word(slab).store(tail.next(SlabState::free), kSeqCst);
    }
    const SlabWord word = SlabWord::of(slab_word(head).load(kRelaxed));
    STOA_CRASH_POINT("heap.run_released");
    slab_word(head).store(word.next(SlabState::free), kSeqCst);
}

// Errors: out_of_space
Result<void> Heap::grow(std::uint32_t seen, std::uint32_t by) noexcept {
    constexpr std::uint32_t kAtLeast = 16;
    const std::uint32_t left = plan_.slabs - seen;
    if (left < by || reserve_ == nullptr) {
        return fail(Errc::out_of_space, "heap.allocate: the heap is full");
    }
    return back(seen, std::min(left, std::max({by, kAtLeast, seen / 4})));
}

// Slabs seen .. seen + more - 1 get memory, with the words that tell of their blocks.
Result<void> Heap::back(std::uint32_t seen, std::uint32_t more) noexcept {
    const std::uint64_t word_bytes = std::uint64_t{plan_.block_words} * sizeof(std::uint64_t);
    if (Result<void> done =
            reserve_(context_, plan_.blocks_at + seen * word_bytes, more * word_bytes);
        !done) {
        return done;
    }
    if (Result<void> done =
            reserve_(context_, plan_.data_at + (std::uint64_t{seen} << plan_.slab_shift),
                     std::uint64_t{more} << plan_.slab_shift);
        !done) {
        return done;
    }
    STOA_CRASH_POINT("heap.grown");
    std::uint32_t expected = seen;  // lost: another one grew it
    header_->reserved.compare_exchange_strong(expected, seen + more, kSeqCst);
    return {};
}

Result<void> Heap::reserve(std::uint64_t bytes) noexcept {
    if (bytes > capacity_bytes()) {
        return fail(Errc::too_big, "heap.reserve: more than max_bytes, which creating it fixed");
    }
    const auto wanted = static_cast<std::uint32_t>((bytes + slab_bytes() - 1) >> plan_.slab_shift);
    for (std::uint32_t seen = reserved(); seen < wanted; seen = reserved()) {
        if (Result<void> done = back(seen, wanted - seen); !done) return done;
    }
    return {};
}

Result<std::uint32_t> Heap::claim_or_grow(const Here& at, std::uint32_t count,
                                          std::uint32_t kind) noexcept {
    std::uint32_t head = 0;
    bool retired = false;
    for (;;) {  // ends: each turn retires slabs, or grows the heap, or fails
        const std::uint32_t seen = reserved();
        if (claim_run(at, count, kind, head)) return head;
        if (!retired) {
            retired = true;
            if (retire_empty() > 0) continue;
        }
        if (Result<void> grown = grow(seen, count); !grown) {
            if (reserved() != seen) continue;
            return std::unexpected(grown.error());
        }
    }
}

// A slab for blocks of this class.
Result<std::uint32_t> Heap::open_slab(const Here& at, std::uint32_t kind) noexcept {
    const Result<std::uint32_t> got = claim_or_grow(at, 1, kind + 1);
    if (!got) return got;
    const std::uint64_t first = std::uint64_t{*got} * plan_.block_words;
    for (std::uint32_t i = 0; i < words_of(kind); ++i) {
        // Closed words change by nobody else.
        const std::uint64_t closed = block_word(first + i).load(kRelaxed) & BlockWord::kTurns;
        block_word(first + i).store(
            (closed + BlockWord::kTurn) | BlockWord::kOpen | never_free(kind, i), kSeqCst);
    }
    STOA_CRASH_POINT("heap.slab_filled");
    const SlabWord word = SlabWord::of(slab_word(*got).load(kRelaxed));
    slab_word(*got).store(word.next(SlabState::small, kind + 1), kSeqCst);
    set_hint(kind, *got);
    return got;
}

// A slab that this process has claimed, in service until then or half opened. False: a block lives
// in it, and it is in service again.
bool Heap::retire(std::uint32_t slab, std::uint32_t kind) noexcept {
    const std::uint64_t first = std::uint64_t{slab} * plan_.block_words;
    bool empty = true;
    for (std::uint32_t i = 0; i < words_of(kind) && empty; ++i) {
        Atomic<std::uint64_t>& word = block_word(first + i);
        std::uint64_t seen = word.load(kSeqCst);
        while (BlockWord::is_open(seen)) {
            empty = BlockWord::taken(seen) == never_free(kind, i);
            if (!empty) break;
            confirm_tag(first + i, seen);
            const std::uint64_t closed = (seen & BlockWord::kTurns) + BlockWord::kTurn;
            if (word.compare_exchange_strong(seen, closed, kSeqCst)) break;
        }
        STOA_CRASH_POINT("heap.word_closed");
    }
    const SlabWord mine = SlabWord::of(slab_word(slab).load(kRelaxed));
    if (empty) {
        clear_hint(kind, slab);
        slab_word(slab).store(mine.next(SlabState::free), kSeqCst);
        return true;
    }
    for (std::uint32_t i = 0; i < words_of(kind); ++i) {
        const std::uint64_t seen = block_word(first + i).load(kRelaxed);
        if (BlockWord::is_open(seen)) continue;
        block_word(first + i).store(((seen & BlockWord::kTurns) + BlockWord::kTurn) |
                                        BlockWord::kOpen | never_free(kind, i),
                                    kSeqCst);
    }
    STOA_CRASH_POINT("heap.slab_reopened");
    slab_word(slab).store(mine.next(SlabState::small, kind + 1), kSeqCst);
    set_hint(kind, slab);
    return false;
}

std::uint32_t Heap::retire_empty() noexcept {
    const Here at = here(base_);
    if (at.me == 0) return 0;
    std::uint32_t retired = 0;
    const std::uint32_t end = reserved();
    for (std::uint32_t slab = 0; slab < end; ++slab) {
        inherit_slab(at, slab);
        std::uint64_t seen = slab_word(slab).load(kRelaxed);
        const SlabWord word = SlabWord::of(seen);
        if (word.state != SlabState::small || !is_kind(word.kind)) continue;
        const std::uint32_t kind = word.kind - 1;
        const std::uint64_t first = std::uint64_t{slab} * plan_.block_words;
        bool empty = true;
        bool full = true;
        for (std::uint32_t i = 0; i < words_of(kind); ++i) {
            const std::uint32_t taken = BlockWord::taken(block_word(first + i).load(kRelaxed));
            empty = empty && taken == never_free(kind, i);
            full = full && taken == ~std::uint32_t{0};
        }
        if (!full) set_hint(kind, slab);  // a death may have lost it
        if (!empty || kind == kSharedClass) continue;
        if (!slab_word(slab).compare_exchange_strong(  // R1
                seen, word.next(SlabState::claimed, word.kind, short_holder(at.me)), kSeqCst)) {
            continue;
        }
        STOA_CRASH_POINT("heap.retiring");
        if (retire(slab, kind)) ++retired;
    }
    return retired;
}

// What a dead one claimed becomes ours, and free.
void Heap::inherit_slab(const Here& at, std::uint32_t slab) noexcept {
    std::uint64_t seen = slab_word(slab).load(kSeqCst);
    const SlabWord word = SlabWord::of(seen);
    if (word.state != SlabState::claimed || (word.kind != 0 && !is_kind(word.kind))) return;
    if (!at.is_gone(long_holder(word.value))) return;
    if (!slab_word(slab).compare_exchange_strong(
            seen, word.next(SlabState::claimed, word.kind, short_holder(at.me)), kSeqCst)) {
        return;
    }
    STOA_CRASH_POINT("heap.slab_inherited");
    if (word.kind != 0) {
        static_cast<void>(retire(slab, word.kind - 1));
        return;
    }
    std::uint32_t count = 1;
    const std::uint32_t end = reserved();
    while (slab + count < end) {
        const SlabWord tail = SlabWord::of(slab_word(slab + count).load(kRelaxed));
        if (tail.state != SlabState::tail || tail.value != slab) break;
        ++count;
    }
    release_run(slab, count);
}

Result<void*> Heap::allocate_large(const Here& at, std::size_t bytes,
                                   SectionRecord* record) noexcept {
    const std::uint64_t needed = (bytes + slab_bytes() - 1) >> plan_.slab_shift;
    const auto count = static_cast<std::uint32_t>(std::max<std::uint64_t>(needed, 1));
    const Result<std::uint32_t> head = claim_or_grow(at, count, 0);
    if (!head) return std::unexpected(head.error());
    const SlabWord mine = SlabWord::of(slab_word(*head).load(kRelaxed));
    const std::uint64_t large = mine.next(SlabState::large, 0, count);
    std::uint64_t entry = 0;
    if (record != nullptr) {
        // The word does not repeat, so it tells by itself whether this step was taken.
        entry = LogEntry::pack(0, BlockKind::large, *head, SlabWord::of(large).epoch);
        const std::uint64_t number = record->count.load(kRelaxed);
        log_entry(*record, number)->store(entry, kRelaxed);
        static_cast<void>(name_step(*record, LogEntry::kSets, BlockKind::large, *head));
    }
    STOA_CRASH_POINT("heap.large");
    slab_word(*head).store(large, kSeqCst);
    if (record != nullptr) append(*record, entry);
    return slab_at(*head);
}

// False: it is not that block any more.
bool Heap::free_large(const Here& at, std::uint32_t head, std::uint32_t epoch) noexcept {
    std::uint64_t seen = slab_word(head).load(kSeqCst);
    const SlabWord word = SlabWord::of(seen);
    if (word.state != SlabState::large || word.epoch != epoch) return false;
    if (word.value == 0 || word.value > plan_.slabs - head) return false;
    if (!slab_word(head).compare_exchange_strong(
            seen, word.next(SlabState::claimed, 0, short_holder(at.me)), kSeqCst)) {
        return false;
    }
    STOA_CRASH_POINT("heap.large_freed");
    release_run(head, static_cast<std::uint32_t>(word.value));
    return true;
}

}  // namespace stoa
