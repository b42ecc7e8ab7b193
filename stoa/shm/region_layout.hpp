// Memory image of a region, format v4. docs/formats/region.md holds this table; a test compares.
//
// RegionLayout
//   offset bytes field           writer        rule
//        0     8 magic           creator       set before the name is published
//        8     4 version         creator       readers refuse a version they do not know
//       12     4 kind            creator       what the content is: RegionKind
//       16     8 file_bytes      creator       size of the file; a shorter file is refused
//       24     8 table_offset    creator       512; of the participant table
//       32     8 content_offset  creator       multiple of 4096
//       40     8 content_bytes   creator       address space of the content
//       48     8 inode           creator       of the very file: a copy of it is refused
//       56     8 checksum        creator       FNV-1a of bytes 0 .. 55 and 128 .. 383
//       64     8 state           anyone (CAS)  1 LIVE; 2 CONDEMNED: destroyed, its name is to go; 3
//                                              NAMED: has a name, which of two kinds is not decided
//                                              yet; 4 OWNER_GONE: closed by its owner, or it died;
//                                              and CLOSED, 5: nothing new comes in
//      128     4 owner           creator       Owner
//      132     4 name_bytes      creator       of owner process: length of the name; else 0
//      136     8 domain_device   creator       of owner process: which folder the name is in
//      144     8 domain_inode    creator       the same
//      152   232 name            creator       of owner process: file name; the rest is 0
//        -     - participants    -             see participants_layout.hpp
//        -     - content         -             page-aligned
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "stoa/base/atomic.hpp"
#include "stoa/base/layout.hpp"

namespace stoa {

inline constexpr std::uint64_t kRegionMagic = magic_of("STOARGN1");
inline constexpr std::uint32_t kRegionVersion = 4;
// Behind the layout in the same page, so that both with 32 records take two.
inline constexpr std::uint64_t kRegionTableOffset = 512;

enum class RegionKind : std::uint32_t { mailbox = 1, objects = 2, process = 3 };

// With whom an object ends. The numbers are part of the format.
enum class Owner : std::uint32_t {
    system = 0,   // a file: it stays until it is destroyed
    process = 1,  // memory without a file: it ends with the handle that created it, or its process
};

inline constexpr std::uint64_t kRegionLive = 1;
inline constexpr std::uint64_t kRegionCondemned = 2;
inline constexpr std::uint64_t kRegionNamed = 3;
inline constexpr std::uint64_t kRegionOwnerGone = 4;
inline constexpr std::uint64_t kRegionClosed = 5;

inline constexpr std::uint32_t kRegionNameBytes = 232;

struct RegionLayout {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t kind;
    std::uint64_t file_bytes;
    std::uint64_t table_offset;
    std::uint64_t content_offset;
    std::uint64_t content_bytes;
    std::uint64_t inode;
    std::uint64_t checksum;
    alignas(kCacheLine) Atomic<std::uint64_t> state;
    alignas(kCacheLine) std::uint32_t owner;
    std::uint32_t name_bytes;
    std::uint64_t domain_device;
    std::uint64_t domain_inode;
    char name[kRegionNameBytes];
};
static_assert(offsetof(RegionLayout, magic) == 0 && offsetof(RegionLayout, version) == 8);
static_assert(offsetof(RegionLayout, kind) == 12 && offsetof(RegionLayout, file_bytes) == 16);
static_assert(offsetof(RegionLayout, table_offset) == 24);
static_assert(offsetof(RegionLayout, content_offset) == 32);
static_assert(offsetof(RegionLayout, content_bytes) == 40);
static_assert(offsetof(RegionLayout, inode) == 48 && offsetof(RegionLayout, checksum) == 56);
static_assert(offsetof(RegionLayout, state) == 64);
static_assert(offsetof(RegionLayout, owner) == 128 && offsetof(RegionLayout, name_bytes) == 132);
static_assert(offsetof(RegionLayout, domain_device) == 136);
static_assert(offsetof(RegionLayout, domain_inode) == 144 && offsetof(RegionLayout, name) == 152);
static_assert(sizeof(RegionLayout) == 384 && std::is_standard_layout_v<RegionLayout>);

// Over all that never changes: everything but itself and the cache line of the state.
[[nodiscard]] inline std::uint64_t region_checksum(
    std::span<const std::byte, sizeof(RegionLayout)> bytes) noexcept {
    std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a, 64 bit
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i == offsetof(RegionLayout, checksum)) i = offsetof(RegionLayout, owner);
        hash = (hash ^ static_cast<std::uint8_t>(bytes[i])) * 1099511628211ULL;
    }
    return hash;
}

}  // namespace stoa
