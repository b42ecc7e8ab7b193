// Heap: blocks of any size in memory that others map at other addresses, whole after any death.
//
// Start here: Heap::create, Heap::attach, allocate, free; Allocator (allocator.hpp) for containers.
// Threads:    safe.
// Processes:  any number, each with a Heap of its own over the same memory; a block may be freed by
//             another process than the one that allocated it.
// Death:      at any instruction the heap stays whole. Outside a section the block that the dead
//             one was allocating or freeing may be lost, which report() shows; inside one
//             (section.hpp) it is given back or kept, exactly as the section's word says.
// Blocking:   never; no locks. Only the reservation of more memory makes a system call.
// Lifetime:   borrows the mapping, which must outlive it, as must what reserve() is given. The
//             caller is the participant that here(memory) names.
// Units:      bytes.
// Source:     slabs: Bonwick 1994; blocks as bits: mimalloc's arenas (Leijen 2019); steps that an
//             heir knows of: Attiya, Ben-Baruch, Hendler 2018, "Nesting-safe recoverable CAS".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "stoa/base/error.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/shm/heap_layout.hpp"
#include "stoa/sync/section.hpp"

namespace stoa {

// What is allocated, and what of it the roots do not reach. True of a heap that rests; of one that
// others use meanwhile it is a look.
struct HeapReport {
    std::uint64_t blocks = 0;
    std::uint64_t bytes = 0;  // as allocated: of the blocks' classes
    std::uint64_t leaked_blocks = 0;
    std::uint64_t leaked_bytes = 0;
    struct Class {
        std::uint64_t block_bytes = 0;  // 0: larger than every class
        std::uint64_t blocks = 0;
        std::uint64_t leaked = 0;
    };
    std::array<Class, kHeapClasses + 1> classes{};
};

class Heap final : public SectionHost {
public:
    // Where the parts of a heap lie, from what its header says.
    struct Plan {
        std::uint32_t slab_shift = 0;
        std::uint32_t slabs = 0;
        std::uint32_t sections = 0;
        std::uint64_t records_at = 0, slabs_at = 0, hints_at = 0, blocks_at = 0, data_at = 0;
        std::uint64_t end = 0;
        std::uint32_t hint_words = 0;   // of one class
        std::uint32_t block_words = 0;  // of one slab

        [[nodiscard]] static Plan of(std::uint32_t slab_shift, std::uint32_t slabs,
                                     std::uint32_t sections) noexcept;
        // The best for so much memory; no slabs: it is too little.
        [[nodiscard]] static Plan for_bytes(std::uint64_t bytes) noexcept;
    };

    // What must be backed by memory before create(), from the start; all else is reserved later.
    [[nodiscard]] static std::uint64_t fixed_bytes(std::uint64_t bytes) noexcept {
        return Plan::for_bytes(bytes).blocks_at;
    }
    // Writes an empty heap into zeroed memory that begins on a page. With `backed` all of it
    // may be used at once; else it is reserved when it is needed.
    // Errors: bad_argument (too little memory, or it does not begin on a page)
    static Result<void> create(std::span<std::byte> memory, bool backed) noexcept;
    // `reserve` backs more of the memory: (context, offset from its start, bytes).
    // Errors: bad_layout, wrong_version
    [[nodiscard]] static Result<std::unique_ptr<Heap>> attach(std::span<std::byte> memory,
                                                              ReserveRecords reserve,
                                                              void* context);
    ~Heap() = default;

    // Memory that nobody else has. Alignment: a power of two, at most 4096.
    // Errors: out_of_space, too_big, bad_argument, forked, no_free_place (too many sections)
    [[nodiscard]] Result<void*> allocate(std::size_t bytes,
                                         std::size_t alignment = kMinAlignment) noexcept;
    // Gives a block back; null: nothing. Precondition: allocate() returned it, to whatever process.
    void free(void* block) noexcept;

    // Backs so much with memory, from the start. Errors: too_big (more than capacity_bytes());
    // those of what attach() was given
    Result<void> reserve(std::uint64_t bytes) noexcept;

    // What the block may be used for; 0: it is not the start of an allocated block.
    [[nodiscard]] std::uint64_t bytes_of(const void* block) const noexcept;
    [[nodiscard]] bool contains(const void* address) const noexcept {
        const auto at = reinterpret_cast<std::uintptr_t>(address);
        const auto from = reinterpret_cast<std::uintptr_t>(base_);
        return at - from < plan_.end;
    }

    // Brings back what the dead left half done outside of sections, and finishes what they decided.
    // Anyone may call it, several at once.
    void recover() noexcept;
    // Gives slabs back that hold no block; allocate() does so before it reserves more.
    std::uint32_t retire_empty() noexcept;

    [[nodiscard]] std::uint64_t bytes_in_use() const noexcept;
    [[nodiscard]] std::uint64_t capacity_bytes() const noexcept {
        return std::uint64_t{plan_.slabs} << plan_.slab_shift;
    }
    [[nodiscard]] std::uint64_t reserved_bytes() const noexcept {
        return std::uint64_t{reserved()} << plan_.slab_shift;
    }
    // The memory of blocks, as far as it is backed.
    [[nodiscard]] std::span<std::byte> backed() const noexcept { return {data_, reserved_bytes()}; }
    // What no root reaches, by a cautious look: each aligned word that could be an OffsetPtr into a
    // block counts as one. May throw std::bad_alloc.
    [[nodiscard]] HeapReport report(std::span<const std::span<const std::byte>> roots) const;
    // Sections whose holder is dead, and whose heir has not come yet.
    [[nodiscard]] std::uint32_t sections_open() const noexcept;

    [[nodiscard]] const HeapHeader* header() const noexcept { return header_; }

    void commit(SectionOwner& owner) noexcept override;
    void roll_back(SectionOwner& owner) noexcept override;
    void settle(SectionOwner& owner, std::span<const std::byte> data) noexcept override;

    // Words of shared objects: shared_object.hpp. Their slabs serve nothing else for ever.
    [[nodiscard]] Result<SharedControl*> take_control() noexcept;
    void give_control(SharedControl& control) noexcept;
    // Null: none lies there.
    [[nodiscard]] SharedControl* control_at(std::uint64_t offset) const noexcept;
    [[nodiscard]] std::uint64_t offset_of(const SharedControl& control) const noexcept {
        return reinterpret_cast<std::uintptr_t>(&control) - reinterpret_cast<std::uintptr_t>(data_);
    }
    template <typename Visit>
    void for_each_control(Visit&& visit) const {
        for (std::uint64_t offset = 0; next_control(offset); offset += sizeof(SharedControl)) {
            visit(*reinterpret_cast<SharedControl*>(data_ + offset));
        }
    }

    static constexpr std::size_t kMinAlignment = 16;
    [[nodiscard]] static constexpr std::uint32_t bytes_of_class(std::uint32_t kind) noexcept {
        if (kind == kSharedClass) return sizeof(SharedControl);
        if (kind < 8) return (kind + 1) * 16;
        return (128U << (kind - 8) / 4) + (32U << (kind - 8) / 4) * ((kind - 8) % 4 + 1);
    }

private:
    struct Block {  // where a block lies
        std::uint32_t slab;
        std::uint32_t kind;   // class + 1; 0: large
        std::uint64_t where;  // as in LogEntry
        std::uint32_t epoch;  // of the slab
        std::uint32_t slabs;  // large
    };
    struct Marks;

    Heap() = default;

    [[nodiscard]] std::uint32_t reserved() const noexcept {
        return std::min(header_->reserved.load(kAcquire), plan_.slabs);
    }
    [[nodiscard]] std::uint64_t slab_bytes() const noexcept {
        return std::uint64_t{1} << plan_.slab_shift;
    }
    [[nodiscard]] Atomic<std::uint64_t>& slab_word(std::uint32_t slab) const noexcept {
        return slabs_[slab];
    }
    [[nodiscard]] Atomic<std::uint64_t>& block_word(std::uint64_t index) const noexcept {
        return blocks_[index];
    }
    [[nodiscard]] std::byte* slab_at(std::uint32_t slab) const noexcept {
        return data_ + (std::uint64_t{slab} << plan_.slab_shift);
    }
    [[nodiscard]] std::uint32_t blocks_in(std::uint32_t kind) const noexcept {
        return blocks_of_class_[kind];
    }
    // Bits that no block of this class stands for, in word number `word` of a slab.
    [[nodiscard]] std::uint32_t never_free(std::uint32_t kind, std::uint32_t word) const noexcept {
        const std::uint32_t left = blocks_in(kind) - word * kBlocksPerWord;
        return left >= kBlocksPerWord ? 0 : ~std::uint32_t{0} << left;
    }
    [[nodiscard]] std::uint32_t words_of(std::uint32_t kind) const noexcept {
        return (blocks_in(kind) + kBlocksPerWord - 1) / kBlocksPerWord;
    }
    void learn_class(std::uint32_t kind) noexcept;
    [[nodiscard]] bool is_kind(std::uint32_t kind) const noexcept {
        return kind != 0 && (kind <= classes_ || kind == kSharedClass + 1);
    }
    [[nodiscard]] std::uint32_t class_for(std::size_t bytes, std::size_t alignment) const noexcept;
    [[nodiscard]] void* address_of(std::uint64_t where, std::uint32_t kind) const noexcept;
    // False: no block begins there, or none is allocated there.
    [[nodiscard]] bool find(std::uint64_t data_offset, Block& block, bool inside) const noexcept;

    [[nodiscard]] bool next_control(std::uint64_t& offset) const noexcept;

    // --- small blocks; with `record` as the next step of that section ---
    [[nodiscard]] Result<void*> allocate_small(const Here& at, std::uint32_t kind,
                                               SectionRecord* record, BlockKind what) noexcept;
    [[nodiscard]] void* take_in(std::uint32_t slab, std::uint32_t kind, SectionRecord* record,
                                BlockKind what) noexcept;
    [[nodiscard]] bool take_bit(std::uint64_t index, std::uint64_t& seen, std::uint32_t bit,
                                SectionRecord* record, BlockKind what) noexcept;
    void give_bit_back(std::uint64_t where, std::uint32_t slab, std::uint32_t kind) noexcept;
    [[nodiscard]] bool next_partial(const Here& at, std::uint32_t kind, std::uint32_t after,
                                    std::uint32_t& slab) noexcept;
    void set_hint(std::uint32_t kind, std::uint32_t slab) noexcept;
    void clear_hint(std::uint32_t kind, std::uint32_t slab) noexcept;

    // --- slabs ---
    [[nodiscard]] bool claim_run(const Here& at, std::uint32_t count, std::uint32_t kind,
                                 std::uint32_t& head) noexcept;
    [[nodiscard]] Result<std::uint32_t> claim_or_grow(const Here& at, std::uint32_t count,
                                                      std::uint32_t kind) noexcept;
    [[nodiscard]] Result<void> grow(std::uint32_t seen, std::uint32_t by) noexcept;
    [[nodiscard]] Result<void> back(std::uint32_t seen, std::uint32_t more) noexcept;
    [[nodiscard]] Result<std::uint32_t> open_slab(const Here& at, std::uint32_t kind) noexcept;
    void release_run(std::uint32_t head, std::uint32_t count) noexcept;
    bool retire(std::uint32_t slab, std::uint32_t kind) noexcept;
    void inherit_slab(const Here& at, std::uint32_t slab) noexcept;
    [[nodiscard]] Result<void*> allocate_large(const Here& at, std::size_t bytes,
                                               SectionRecord* record) noexcept;
    bool free_large(const Here& at, std::uint32_t head, std::uint32_t epoch) noexcept;

    // --- sections ---
    [[nodiscard]] Result<SectionRecord*> record_for(const Here& at, SectionOwner& owner) noexcept;
    [[nodiscard]] SectionRecord* record_of(std::uint64_t owner_word) const noexcept;
    [[nodiscard]] std::uint32_t number_of(const SectionRecord& record) const noexcept {
        return static_cast<std::uint32_t>(&record - records_);
    }
    std::uint64_t name_step(SectionRecord& record, std::uint64_t flags, BlockKind kind,
                            std::uint64_t where) const noexcept;
    [[nodiscard]] Atomic<std::uint64_t>* log_entry(SectionRecord& record,
                                                   std::uint64_t number) const noexcept;
    [[nodiscard]] Result<void> make_room(const Here& at, SectionRecord& record) noexcept;
    [[nodiscard]] bool take_step(SectionRecord& record, std::uint64_t index, std::uint64_t& seen,
                                 std::uint32_t bit, std::uint64_t pending) noexcept;
    void drop_own_tag(const SectionRecord& record, std::uint64_t index) const noexcept;
    void confirm_tag(std::uint64_t index, std::uint64_t seen) noexcept;
    void append(SectionRecord& record, std::uint64_t entry) noexcept;
    [[nodiscard]] bool log_free(const Here& at, SectionOwner& owner, const Block& block) noexcept;
    void settle_last_step(SectionRecord& record) noexcept;
    bool inherit_record(const Here& at, SectionRecord& record) noexcept;
    void finish(SectionOwner* owner, SectionRecord& record, SectionState as,
                const Marks* kept) noexcept;
    void undo_entry(SectionRecord& record, std::uint64_t number, SectionState as,
                    const Marks* kept) noexcept;

    std::byte* base_ = nullptr;
    HeapHeader* header_ = nullptr;
    SectionRecord* records_ = nullptr;
    Atomic<std::uint64_t>* slabs_ = nullptr;
    Atomic<std::uint64_t>* hints_ = nullptr;
    Atomic<std::uint64_t>* blocks_ = nullptr;
    std::byte* data_ = nullptr;
    Plan plan_{};  // a private copy
    ReserveRecords reserve_ = nullptr;
    void* context_ = nullptr;
    std::uint32_t classes_ = 0;  // blocks of at most half a slab
    std::array<std::uint32_t, kHeapRows> blocks_of_class_{};
    std::array<std::uint32_t, kHeapRows> reciprocal_{};
    // Where this process found a free block last: slab << 32 | word.
    std::array<Atomic<std::uint64_t>, kHeapRows> last_{};
    Atomic<std::uint32_t> last_record_{0};
};

}  // namespace stoa
