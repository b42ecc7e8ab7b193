// Sections: the steps of a log, each of which its holder's heir can tell taken from not taken.
//
// A step on a small block:
//   T1 take our own old tag out of its BlockWord     T2 store pending: this step
//   T3 CAS the BlockWord: the bit, and our tag       T4 store pending: done
//   who else takes a step in this word first confirms our tag: H1 load pending: it names this word
//   H2 load the word again: still what it was        H3 CAS pending: done
//   an heir  E1 load the word: our tag: done         E2 load pending: done, or never taken
// The tag is put by T3 alone, T1 took it out before the step was named: so a tag beside a
// pending step (H1, H2) is that step's. E1 before E2: a tag that is gone was confirmed before it
// went. The turn of the word, and in pending the number of the step, keep a helper that was stopped
// from confirming another step.
// Steps on large blocks need none of this: the slab's word never repeats.
#include <algorithm>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/shm/heap.hpp"
#include "stoa/shm/heap_marks.hpp"

namespace stoa {
namespace {

constexpr std::uint32_t kChunkClass = 15;
static_assert(Heap::bytes_of_class(kChunkClass) == kChunkEntries * sizeof(std::uint64_t));

[[nodiscard]] constexpr bool is_link(std::uint64_t number) noexcept {
    if (number < kLogEntries) return number == kLogEntries - 1;
    return (number - kLogEntries) % kChunkEntries == kChunkEntries - 1;
}
// bits of a SectionOwner
[[nodiscard]] constexpr std::uint64_t owner_word(std::uint32_t number,
                                                 std::uint32_t epoch) noexcept {
    return kSectionOpen | (std::uint64_t{number} + 1) << 1U | std::uint64_t{epoch} << 14U;
}

}  // namespace

// Null: what it names has ended.
SectionRecord* Heap::record_of(std::uint64_t owner) const noexcept {
    const std::uint64_t number = owner >> 1U & 0x1fffU;
    if (number == 0 || number > plan_.sections) return nullptr;
    SectionRecord& record = records_[number - 1];
    const SectionWord word = SectionWord::of(record.word.load(kSeqCst));
    if (word.epoch != (owner >> 14U & 0xffffffU)) return nullptr;
    if (word.state == SectionState::free || word.state == SectionState::taken) return nullptr;
    return &record;
}

// The record of an open section, taken when its first step is made.
Result<SectionRecord*> Heap::record_for(const Here& at, SectionOwner& owner) noexcept {
    if (SectionRecord* record = record_of(owner.load(kRelaxed)); record != nullptr) return record;
    const std::uint32_t start = last_record_.load(kRelaxed);
    for (std::uint32_t i = 0; i < plan_.sections; ++i) {
        const std::uint32_t number = (start + i) % plan_.sections;
        SectionRecord& record = records_[number];
        std::uint64_t seen = record.word.load(kRelaxed);
        SectionWord word = SectionWord::of(seen);
        if (word.state != SectionState::free) continue;
        word.state = SectionState::taken;
        word.holder = at.me;
        if (!record.word.compare_exchange_strong(seen, word.pack(), kSeqCst)) continue;
        STOA_CRASH_POINT("heap.section_taken");
        static_cast<void>(name_step(record, LogEntry::kDone, BlockKind::none, 0));
        record.count.store(0, kRelaxed);
        owner.store(owner_word(number, word.epoch), kSeqCst);
        STOA_CRASH_POINT("heap.section_named");
        word.state = SectionState::active;
        record.word.store(word.pack(), kSeqCst);
        last_record_.store(number, kRelaxed);
        return &record;
    }
    return fail(Errc::no_free_place, "heap.allocate: too many sections at once");
}

// T1 and T2: `flags` says whether the block is to be taken.
std::uint64_t Heap::name_step(SectionRecord& record, std::uint64_t flags, BlockKind kind,
                              std::uint64_t where) const noexcept {
    if (kind == BlockKind::small || kind == BlockKind::chunk) {
        drop_own_tag(record, where / kBlocksPerWord);
    }
    // Another number than the step before: a helper that was stopped confirms no other step.
    const std::uint64_t number = LogEntry::top(record.pending.load(kRelaxed)) + 1;
    const std::uint64_t pending = LogEntry::pack(flags, kind, where, number);
    record.pending.store(pending, kSeqCst);
    return pending;
}

Atomic<std::uint64_t>* Heap::log_entry(SectionRecord& record, std::uint64_t number) const noexcept {
    if (number < kLogEntries) return &record.log[number];
    number -= kLogEntries;
    auto* link = &record.log[kLogEntries - 1];
    for (;;) {
        auto* chunk = static_cast<Atomic<std::uint64_t>*>(
            address_of(LogEntry::where(link->load(kRelaxed)), kChunkClass));
        if (number < kChunkEntries) return chunk + number;
        number -= kChunkEntries;
        link = chunk + kChunkEntries - 1;
    }
}

// For one more entry.
Result<void> Heap::make_room(const Here& at, SectionRecord& record) noexcept {
    if (!is_link(record.count.load(kRelaxed))) return {};
    const Result<void*> chunk = allocate_small(at, kChunkClass, &record, BlockKind::chunk);
    if (!chunk) return std::unexpected(chunk.error());
    return {};
}

void Heap::append(SectionRecord& record, std::uint64_t entry) noexcept {
    const std::uint64_t number = record.count.load(kRelaxed);
    log_entry(record, number)->store(entry, kRelaxed);
    STOA_CRASH_POINT("heap.section_step");
    record.count.store(number + 1, kSeqCst);
}

void Heap::drop_own_tag(const SectionRecord& record, std::uint64_t index) const noexcept {
    Atomic<std::uint64_t>& word = block_word(index);
    std::uint64_t seen = word.load(kSeqCst);
    while (BlockWord::tag(seen) == number_of(record) + 1 &&
           !word.compare_exchange_weak(seen, BlockWord::tagged(seen, 0), kSeqCst, kSeqCst)) {
    }
}

// What `seen`'s tag stands for is done, and its record says so: the tag may go.
void Heap::confirm_tag(std::uint64_t index, std::uint64_t seen) noexcept {
    const std::uint32_t tag = BlockWord::tag(seen);
    if (tag == 0 || tag > plan_.sections) return;
    std::uint64_t pending = records_[tag - 1].pending.load(kSeqCst);  // H1
    if ((pending & LogEntry::kDone) != 0 || LogEntry::kind(pending) >= BlockKind::large) return;
    if (LogEntry::where(pending) / kBlocksPerWord != index) return;
    if (block_word(index).load(kSeqCst) != seen) return;  // H2
    STOA_CRASH_POINT("heap.tag_confirmed");
    records_[tag - 1].pending.compare_exchange_strong(pending, pending | LogEntry::kDone,
                                                      kSeqCst);  // H3
}

// T3 and T4. False: `seen` is what is there now.
bool Heap::take_step(SectionRecord& record, std::uint64_t index, std::uint64_t& seen,
                     std::uint32_t bit, std::uint64_t pending) noexcept {
    confirm_tag(index, seen);
    const std::uint64_t next =
        BlockWord::tagged(seen ^ std::uint64_t{1} << bit, number_of(record) + 1);
    if (!block_word(index).compare_exchange_strong(seen, next, kSeqCst, kSeqCst)) return false;
    STOA_CRASH_POINT("heap.section_tagged");
    record.pending.store(pending | LogEntry::kDone, kSeqCst);
    return true;
}

bool Heap::log_free(const Here& at, SectionOwner& owner, const Block& block) noexcept {
    const Result<SectionRecord*> record = record_for(at, owner);
    if (!record || !make_room(at, **record)) return false;
    const BlockKind kind = block.kind == 0 ? BlockKind::large : BlockKind::small;
    // The step before has its entry: only the last one is looked at for it.
    static_cast<void>(name_step(**record, LogEntry::kDone, BlockKind::none, 0));
    append(**record, LogEntry::pack(LogEntry::kFrees, kind, block.where, block.epoch));
    return true;
}

// The step that a dead one was taking becomes an entry if it was taken.
void Heap::settle_last_step(SectionRecord& record) noexcept {
    const std::uint64_t number = record.count.load(kSeqCst);
    const std::uint64_t before = record.pending.load(kSeqCst);
    const BlockKind kind = LogEntry::kind(before);
    const std::uint64_t where = LogEntry::where(before);
    if (kind == BlockKind::none) return;
    if (number > 0) {  // no block is taken twice in a section
        const std::uint64_t last = log_entry(record, number - 1)->load(kRelaxed);
        const bool counted = (last & LogEntry::kFrees) == 0 && LogEntry::kind(last) == kind &&
                             LogEntry::where(last) == where;
        if (counted) return;
    }
    if (kind == BlockKind::large) {
        const std::uint64_t entry = log_entry(record, number)->load(kRelaxed);
        const auto slab = static_cast<std::uint32_t>(LogEntry::where(entry));
        if (where != slab || slab >= plan_.slabs) return;
        const SlabWord word = SlabWord::of(slab_word(slab).load(kSeqCst));
        if (word.state != SlabState::large || word.epoch != LogEntry::top(entry)) return;
        record.count.store(number + 1, kSeqCst);
        return;
    }
    const std::uint64_t index = where / kBlocksPerWord;
    if (index >= std::uint64_t{plan_.slabs} * plan_.block_words) return;
    const bool tagged =
        BlockWord::tag(block_word(index).load(kSeqCst)) == number_of(record) + 1;  // E1
    const std::uint64_t pending = record.pending.load(kSeqCst);                    // E2
    const bool done = tagged || (pending & LogEntry::kDone) != 0;
    const bool sets = (pending & LogEntry::kSets) != 0;
    if (sets != done) return;  // never taken, or taken and given back
    log_entry(record, number)->store(LogEntry::pack(0, kind, where, 0), kRelaxed);
    STOA_CRASH_POINT("heap.section_settled");
    record.count.store(number + 1, kSeqCst);
}

// Gives back what an entry stands for, if it is to be given back; once, whoever dies in it.
void Heap::undo_entry(SectionRecord& record, std::uint64_t number, SectionState as,
                      const Marks* kept) noexcept {
    const std::uint64_t entry = log_entry(record, number)->load(kRelaxed);
    const bool frees = (entry & LogEntry::kFrees) != 0;
    const BlockKind kind = LogEntry::kind(entry);
    const std::uint64_t where = LogEntry::where(entry);
    if (kind != BlockKind::chunk) {
        if (as == SectionState::committing && !frees) return;
        if (as == SectionState::rolling_back && frees) return;
        if (kept != nullptr && kept->has(kind == BlockKind::large, where)) return;
    }
    const Here at = here(base_);
    if (kind == BlockKind::large) {
        if (where >= plan_.slabs) return;
        static_cast<void>(free_large(at, static_cast<std::uint32_t>(where),
                                     static_cast<std::uint32_t>(LogEntry::top(entry))));
        return;
    }
    const std::uint64_t index = where / kBlocksPerWord;
    const std::uint64_t mask = std::uint64_t{1} << where % kBlocksPerWord;
    const auto slab = static_cast<std::uint32_t>(index / plan_.block_words);
    if (slab >= plan_.slabs) return;
    std::uint64_t pending = record.pending.load(kSeqCst);
    const bool begun = (pending & LogEntry::kSets) == 0 && LogEntry::kind(pending) == kind &&
                       LogEntry::where(pending) == where;
    if (!begun) pending = name_step(record, 0, kind, where);
    std::uint64_t seen = block_word(index).load(kSeqCst);
    for (;;) {
        if (BlockWord::tag(seen) == number_of(record) + 1) break;          // E1
        if ((record.pending.load(kSeqCst) & LogEntry::kDone) != 0) break;  // E2
        if ((seen & mask) == 0) break;
        if (take_step(record, index, seen, static_cast<std::uint32_t>(where % kBlocksPerWord),
                      pending)) {
            break;
        }
    }
    record.pending.store(pending | LogEntry::kDone, kSeqCst);
    const SlabWord word = SlabWord::of(slab_word(slab).load(kRelaxed));
    if (is_kind(word.kind)) set_hint(word.kind - 1, slab);
}

// True: the record is this process's now. What another live one is finishing is left to it.
bool Heap::inherit_record(const Here& at, SectionRecord& record) noexcept {
    std::uint64_t seen = record.word.load(kSeqCst);
    SectionWord word = SectionWord::of(seen);
    if (word.state == SectionState::free || word.state == SectionState::taken) return false;
    if (word.state == SectionState::active && word.holder == at.me) return true;
    if (!at.is_gone(word.holder)) return false;
    word.holder = at.me;
    if (!record.word.compare_exchange_strong(seen, word.pack(), kSeqCst)) return false;
    STOA_CRASH_POINT("heap.section_inherited");
    return true;
}

// Precondition: the record is this process's. `owner` may be null: nobody is told.
void Heap::finish(SectionOwner* owner, SectionRecord& record, SectionState as,
                  const Marks* kept) noexcept {
    SectionWord word = SectionWord::of(record.word.load(kSeqCst));
    if (word.state == SectionState::active) {
        settle_last_step(record);
        word.state = as;
        record.word.store(word.pack(), kSeqCst);
    }
    for (std::uint64_t count = record.count.load(kSeqCst); count > 0; --count) {
        undo_entry(record, count - 1, word.state, kept);
        STOA_CRASH_POINT("heap.section_undone");
        record.count.store(count - 1, kSeqCst);
    }
    STOA_CRASH_POINT("heap.section_finished");
    record.word.store(SectionWord{.epoch = word.epoch + 1}.pack(), kSeqCst);
    if (owner != nullptr) owner->store(0, kRelease);
}

void Heap::commit(SectionOwner& owner) noexcept {
    SectionRecord* record = record_of(owner.load(kSeqCst));
    if (record != nullptr && inherit_record(here(base_), *record)) {
        return finish(&owner, *record, SectionState::committing, nullptr);
    }
    owner.store(0, kRelease);
}

void Heap::roll_back(SectionOwner& owner) noexcept {
    SectionRecord* record = record_of(owner.load(kSeqCst));
    if (record != nullptr && inherit_record(here(base_), *record)) {
        return finish(&owner, *record, SectionState::rolling_back, nullptr);
    }
    owner.store(0, kRelease);
}

void Heap::settle(SectionOwner& owner, std::span<const std::byte> data) noexcept {
    SectionRecord* record = record_of(owner.load(kSeqCst));
    if (record == nullptr || !inherit_record(here(base_), *record)) {
        owner.store(0, kRelease);
        return;
    }
    Marks kept;
    try {
        kept.from(*this, std::span{&data, 1});
    } catch (const std::bad_alloc&) {
        kept.keep_all();  // leaks, which report() counts
    }
    finish(&owner, *record, SectionState::active, &kept);
}

}  // namespace stoa
