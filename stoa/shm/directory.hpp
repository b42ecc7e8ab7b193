// Directory: which names the objects of a region have.
//
// Start here: claim() for whoever constructs, find(), condemn() for whoever destroys.
// Threads:    safe.
// Processes:  any number; of those that claim one name at once exactly one gets it.
// Death:      at any instruction: a name leads to a complete object or to none. What a dead one
//             held half-way is taken over by whoever meets it, or by the next sweep: an object
//             that was being constructed goes, one that was being destroyed is gone.
// Blocking:   claim and condemn, until the one that constructs or destroys it is done or dead. Who
//             is stopped while it claims a name delays nobody.
// Lifetime:   borrows the content of a region.
// Units:      names of 1 to 80 bytes.
// Source:     own: two steps of a claim as in Lamport's bakery (1974): say it, then look at others.
//
// Order: a claimer C1 takes an empty word, C2 writes the name, C3 says TENTATIVE, C4 looks at all
// others of that name: withdraws before one that constructs, lives or is destroyed, and empties the
// word of another TENTATIVE one. C5 CAS of its own word TENTATIVE -> CONSTRUCTING. Of two that come
// at once at least one sees the other in C4 (seq_cst, Dekker), and what it empties fails in C5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/shm/objects_layout.hpp"

namespace stoa {

// What the room above does with the memory of an object: called by who holds its word, and again by
// another one when that dies half-way.
class ObjectMemory {
public:
    virtual void undo(ObjectEntry& entry) noexcept = 0;    // of what was being constructed
    virtual void settle(ObjectEntry& entry) noexcept = 0;  // of what is constructed
    virtual void end(ObjectEntry& entry) noexcept = 0;     // of what is destroyed

protected:
    ~ObjectMemory() = default;
};

// Reserves memory of the content: from its start, bytes.
using ReserveContent = Result<void> (*)(void* context, std::uint64_t offset, std::uint64_t bytes);

struct Named {  // an object as one look saw it
    std::uint32_t index = 0;
    std::uint64_t word = 0;
    std::uint64_t block = 0;  // in the heap
    std::uint64_t bytes = 0;
    std::uint64_t fingerprint = 0;
    std::uint64_t made_ns = 0;
    std::uint32_t text_bytes = 0;
    std::string name{};
};

class Directory {
public:
    // Writes an empty one into zeroed memory, of which objects_parts(max).words + a page is backed.
    static Result<void> create(std::span<std::byte> content, std::uint32_t max_objects) noexcept;
    // Errors: bad_layout, wrong_version
    [[nodiscard]] static Result<Directory> attach(std::span<std::byte> content,
                                                  ReserveContent reserve, void* context) noexcept;
    void keep_memory_with(ObjectMemory& memory) noexcept { memory_ = &memory; }

    // The entry of a name that nobody has, CONSTRUCTING by the caller. Errors: exists, bad_name,
    // no_free_place (max_objects), out_of_space, timed_out, forked
    [[nodiscard]] Result<std::uint32_t> claim(const Here& at, std::string_view name,
                                              Deadline deadline) noexcept;
    // It is complete: from now on others find it.
    void publish(const Here& at, std::uint32_t index) noexcept;
    // Gives up what it claimed, memory and name.
    void withdraw(std::uint32_t index) noexcept;

    // Errors: not_found
    [[nodiscard]] Result<Named> find(std::string_view name) const noexcept;
    // The entry of a live one, DESTROYING by the caller. Errors: not_found, forked
    [[nodiscard]] Result<std::uint32_t> condemn(const Here& at, const Named& seen) noexcept;
    // Ends what it condemned: memory and name.
    void remove(std::uint32_t index) noexcept;

    // Takes over what this dead participant held half-way. Runs in a sweep of it.
    void recover(const Here& at, std::uint32_t dead) noexcept;

    template <typename Visit>
    void for_each(Visit&& visit) const {
        Named seen;
        for (std::uint32_t i = 0; i < usable(); ++i) {
            if (look(i, seen)) visit(seen);
        }
    }
    // visit(block) of each object that is complete and may still be used; also of one that somebody
    // destroys, who may change his mind (condemn).
    template <typename Visit>
    void for_each_block(Visit&& visit) const {
        for (std::uint32_t i = 0; i < usable(); ++i) {
            const std::uint64_t word = words_[i].load(kSeqCst);
            const ObjectState state = ObjectWord::state(word);
            if (state != ObjectState::live && state != ObjectState::destroying) continue;
            const std::uint64_t block = entries_[i].block.load(kSeqCst);
            if (words_[i].load(kSeqCst) == word) visit(block);
        }
    }
    [[nodiscard]] ObjectEntry& entry(std::uint32_t index) const noexcept { return entries_[index]; }
    [[nodiscard]] std::uint32_t max_objects() const noexcept { return max_objects_; }
    [[nodiscard]] std::uint64_t heap_offset() const noexcept {
        return objects_parts(max_objects_).heap;
    }

private:
    enum class Others : std::uint8_t { none, exists, busy };
    struct Other {
        std::uint32_t index = 0;
        std::uint64_t word = 0;
    };

    Directory() = default;
    [[nodiscard]] std::uint32_t usable() const noexcept;
    [[nodiscard]] bool is_name(std::uint32_t index, std::string_view name) const noexcept;
    [[nodiscard]] bool look(std::uint32_t index, Named& seen) const noexcept;
    [[nodiscard]] Others look_at_others(const Here& at, std::string_view name, std::uint64_t hash,
                                        std::optional<std::uint32_t> own, Other& who) noexcept;
    [[nodiscard]] Result<std::uint32_t> take_empty(const Here& at, std::uint64_t hash) noexcept;
    [[nodiscard]] Result<void> grow(std::uint32_t from) noexcept;
    [[nodiscard]] Result<void> await(const Here& at, const Other& other,
                                     Deadline deadline) noexcept;
    void take_over(const Here& at, std::uint32_t index, std::uint64_t seen) noexcept;
    void settle(const Here& at, std::uint32_t index) noexcept;
    void empty(std::uint32_t index) noexcept;

    ObjectsLayout* layout_ = nullptr;
    Atomic<std::uint64_t>* words_ = nullptr;
    ObjectEntry* entries_ = nullptr;
    std::uint32_t max_objects_ = 0;  // private copy
    ReserveContent reserve_ = nullptr;
    void* context_ = nullptr;
    ObjectMemory* memory_ = nullptr;
};

}  // namespace stoa
