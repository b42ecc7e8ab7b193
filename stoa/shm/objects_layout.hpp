// Memory image of a region of objects, format v1. docs/formats/objects.md holds these tables; a
// test compares. It is the content of a region (region_layout.hpp).
//
// ObjectsLayout
//   offset bytes field        writer        rule
//        0     8 magic        creator       set before the name is published
//        8     4 version      creator       readers refuse a version they do not know
//       12     4 max_objects  creator       how many names there may be
//       16     4 usable       anyone (CAS)  words and entries that have memory; only grows
//       20     4 bell         anyone        who waits for another's constructor sleeps here
//        -     - words        -             from 4096 on: max_objects words of 8 bytes
//        -     - entries      -             page-aligned: max_objects of ObjectEntry
//        -     - heap         -             page-aligned: see heap_layout.hpp
//
// ObjectEntry
//        0     8 fingerprint  its claimer   of the type
//        8     8 block        its claimer   where it is, from the start of the heap; 0: none
//       16     8 bytes        its claimer   of the object
//       24     8 section      its claimer   what its constructor or destructor allocated and freed
//       32     8 made_ns      its claimer   when, in nanoseconds since 1970
//       40     4 text_bytes   its claimer   of the type's text, which lies behind the object
//       44     4 name_bytes   its claimer   1 to 80
//       48    80 name         its claimer   of the object; the rest is 0
//
// word: EMPTY -CAS-> CLAIMED -store-> TENTATIVE -CAS-> CONSTRUCTING -store-> COMPLETE
//       -store-> LIVE -CAS-> DESTROYING -store-> EMPTY; anyone: TENTATIVE -CAS-> EMPTY; and what a
//       dead one holds -CAS-> the same of a living one, who ends it, or uses it to claim
//      bit 0-12 index         of the holder in the region's table, + 1
//     bit 13-24 turn          which use of this entry it is: a word does not come round
//     bit 25-31 hash          of the name, and bit 59-63
//     bit 32-55 incarnation   of the holder
//     bit 56-58 state         EMPTY 0, CLAIMED 1, TENTATIVE 2, CONSTRUCTING 3, COMPLETE 4, LIVE 5,
//                            DESTROYING 6
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"
#include "stoa/life/participants_layout.hpp"

namespace stoa {

inline constexpr std::uint64_t kObjectsMagic = magic_of("STOAOBJ1");
inline constexpr std::uint32_t kObjectsVersion = 1;
inline constexpr std::uint32_t kMaxObjects = 1U << 20U;
inline constexpr std::uint32_t kObjectNameBytes = 80;

struct ObjectsLayout {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t max_objects;
    Atomic<std::uint32_t> usable;
    Atomic<std::uint32_t> bell;
};
static_assert(offsetof(ObjectsLayout, magic) == 0 && offsetof(ObjectsLayout, version) == 8);
static_assert(offsetof(ObjectsLayout, max_objects) == 12);
static_assert(offsetof(ObjectsLayout, usable) == 16 && offsetof(ObjectsLayout, bell) == 20);
static_assert(sizeof(ObjectsLayout) == 24 && std::is_standard_layout_v<ObjectsLayout>);

struct ObjectEntry {
    Atomic<std::uint64_t> fingerprint;
    Atomic<std::uint64_t> block;
    Atomic<std::uint64_t> bytes;
    Atomic<std::uint64_t> section;
    Atomic<std::uint64_t> made_ns;
    Atomic<std::uint32_t> text_bytes;
    Atomic<std::uint32_t> name_bytes;
    Atomic<std::uint64_t> name[kObjectNameBytes / 8];
};
static_assert(offsetof(ObjectEntry, fingerprint) == 0 && offsetof(ObjectEntry, block) == 8);
static_assert(offsetof(ObjectEntry, bytes) == 16 && offsetof(ObjectEntry, section) == 24);
static_assert(offsetof(ObjectEntry, made_ns) == 32 && offsetof(ObjectEntry, text_bytes) == 40);
static_assert(offsetof(ObjectEntry, name_bytes) == 44 && offsetof(ObjectEntry, name) == 48);
static_assert(sizeof(ObjectEntry) == 128 && std::is_standard_layout_v<ObjectEntry>);

enum class ObjectState : std::uint8_t {
    empty = 0,
    claimed = 1,
    tentative = 2,
    constructing = 3,
    complete = 4,  // its constructor has returned; what it allocated is about to become final
    live = 5,
    destroying = 6,
};

struct ObjectWord {
    static constexpr std::uint64_t kTurnMask = std::uint64_t{0xfff} << 13U;
    static constexpr std::uint64_t kHashMask = std::uint64_t{0x7f} << 25U | std::uint64_t{0x1f}
                                                                                << 59U;

    // The same turn and hash in another state.
    [[nodiscard]] static constexpr std::uint64_t of(ObjectState state, Holder holder,
                                                    std::uint64_t word) noexcept {
        return holder | (word & (kTurnMask | kHashMask)) | static_cast<std::uint64_t>(state) << 56U;
    }
    [[nodiscard]] static constexpr std::uint64_t emptied(std::uint64_t word) noexcept {
        return word & kTurnMask;
    }
    // The next turn.
    [[nodiscard]] static constexpr std::uint64_t claimed(std::uint64_t word, Holder holder,
                                                         std::uint64_t hash) noexcept {
        const std::uint64_t turn = (word + (std::uint64_t{1} << 13U)) & kTurnMask;
        return of(ObjectState::claimed, holder, turn | hash);
    }
    // The bits of the hash, in their place.
    [[nodiscard]] static constexpr std::uint64_t hash(std::uint64_t word) noexcept {
        return word & kHashMask;
    }
    [[nodiscard]] static constexpr Holder holder(std::uint64_t word) noexcept {
        return word & kHolderMask;
    }
    [[nodiscard]] static constexpr ObjectState state(std::uint64_t word) noexcept {
        return static_cast<ObjectState>(word >> 56U & 7U);
    }
};

// Where the parts of a content are, from what its creator said.
struct ObjectsParts {
    std::uint64_t words;
    std::uint64_t entries;
    std::uint64_t heap;
};
[[nodiscard]] constexpr ObjectsParts objects_parts(std::uint32_t max_objects) noexcept {
    const auto up = [](std::uint64_t bytes) { return (bytes + kPage - 1) & ~(kPage - 1); };
    const std::uint64_t entries = kPage + up(std::uint64_t{max_objects} * 8);
    return {.words = kPage,
            .entries = entries,
            .heap = entries + up(std::uint64_t{max_objects} * sizeof(ObjectEntry))};
}

}  // namespace stoa
