// Region: shared memory that processes attach to and detach from, with named objects in it.
//
// Start here: Region::open_or_create; find_or_construct<T>(name).
// Threads:    safe, but for moving and destroying the handle.
// Processes:  any number, each at another address. Of several that create one name or construct one
//             object at once exactly one does, and the others get it.
// Death:      at any instruction a name leads to a whole region or to none, and an object is
//             constructed or not there, with all that its constructor allocated. Who died is
//             recovered by the next open, by sweep() and by whoever waits for it.
// Blocking:   construct, find_or_construct and destroy_object while another process constructs or
//             destroys that very object, until it is done or dead.
// Lifetime:   a pointer to an object is valid while this handle lives and nobody destroys it. The
//             handle detaches in its destructor; locks that it still held then are owner_died for
//             others. Memory goes with its name and the last process that has it.
// Units:      bytes.
// Source:     the managed segments of Boost.Interprocess, as an idea.
//
// Addresses: stoa/shm/address.hpp. shm: (default), posix: and file: regions are files: whole or
// absent at any death. A sysv: segment has its key before it is whole; a creator that dies in
// between leaves one that the next open or create removes. It cannot grow, and a process that was
// given its pid meanwhile delays that. memfd: regions end with the last process that has them.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/base/fingerprint.hpp"
#include "stoa/shm/region_layout.hpp"
#include "stoa/sys/mapping.hpp"

namespace stoa {

using sys::Access;

struct RegionOptions {
    std::string_view domain{};      // shm: another folder than the default one
    std::uint64_t max_bytes = 0;    // it may grow up to; 0: shm: and memfd: 16 times its bytes and
                                    // 64 MiB at least, the others as they were made
    std::uint32_t max_objects = 0;  // 0: 4096, in a sysv: segment 512
    Owner owner = Owner::system;    // process: shm: only
    std::uint32_t mode = 0600;      // of the file or segment; in a shared domain 0660
    bool prefault = false;          // all pages are there when it returns
    bool huge_pages = false;        // ask the kernel for pages of 2 MiB
};

struct OpenRegionOptions {
    std::string_view domain{};
    Access access = Access::read_write;  // read_only: writing is SIGSEGV; no lock can be taken
    bool prefault = false;
};

struct ObjectInfo {
    std::string name;
    std::string type;  // the text of its fingerprint
    std::uint64_t bytes = 0;
    std::uint64_t made_ns = 0;  // since 1970
};

// What the memory of a region is used for, in bytes.
struct RegionUse {
    std::uint64_t max_bytes = 0;      // of objects and blocks: it grows up to this
    std::uint64_t bytes = 0;          // backed by memory now
    std::uint64_t in_use = 0;         // of these, allocated
    std::uint64_t all_bytes = 0;      // taken from the system, tables included
    std::uint64_t leaked_blocks = 0;  // that no object reaches (or that somebody is working on)
    std::uint64_t leaked_bytes = 0;
};

struct Attached {  // a handle of a process
    std::uint32_t pid = 0;
    std::string name;
    bool alive = true;
};

class Heap;
struct Named;
struct BufferLayout;

namespace detail {

// A buffer: what it allocates is of the region, which recovers it, and not of the object alone.
template <typename T>
concept HasRing = requires(T& object) {
    { object.ring_layout() } -> std::same_as<BufferLayout&>;
};

struct RegionCore;
struct RegionCoreDeleter {
    void operator()(RegionCore* core) const noexcept;
};

// An object that is being constructed; goes again unless it is completed.
class Construction {
public:
    Construction(RegionCore& core, std::uint32_t index, void* memory) noexcept
        : core_{&core}, index_{index}, memory_{memory} {}
    Construction(Construction&& other) noexcept
        : core_{std::exchange(other.core_, nullptr)},
          index_{other.index_},
          memory_{other.memory_} {}
    Construction& operator=(Construction&&) = delete;
    ~Construction();

    [[nodiscard]] void* memory() const noexcept { return memory_; }
    [[nodiscard]] Result<void> make_ring(BufferLayout& layout) noexcept;
    void complete() noexcept;

private:
    RegionCore* core_;
    std::uint32_t index_;
    void* memory_;
};

}  // namespace detail

class Region {
public:
    // Errors: bad_name, bad_argument, exists, out_of_space, limit_reached, denied, not_supported
    [[nodiscard]] static Result<Region> create(std::string_view address, std::uint64_t bytes,
                                               const RegionOptions& options = {});
    // Errors: bad_name, not_found, denied, bad_layout, wrong_version, wrong_type, no_free_place
    [[nodiscard]] static Result<Region> open(std::string_view address,
                                             const OpenRegionOptions& options = {});
    [[nodiscard]] static Result<Region> open_or_create(std::string_view address,
                                                       std::uint64_t bytes,
                                                       const RegionOptions& options = {});
    // Takes the name away: nobody finds it any more, whoever has it keeps it. True: this call did.
    // Errors: not_found, denied
    static Result<bool> destroy(std::string_view address, std::string_view domain = {});

    // --- objects ---
    // Errors: exists, bad_name, out_of_space, no_free_place, forked, denied (opened read-only)
    template <Shareable T, typename... Args>
    [[nodiscard]] Result<T*> construct(std::string_view name, Args&&... args) {
        return construct_until<T>(Deadline::never(), name, std::forward<Args>(args)...);
    }
    // Errors: as well timed_out; in_use (immediately: another one constructs or destroys it)
    template <Shareable T, typename... Args>
    [[nodiscard]] Result<T*> construct_until(Deadline deadline, std::string_view name,
                                             Args&&... args) {
        Result<detail::Construction> begun = begin(name, object_type_of<T>(), alignof(T), deadline);
        if (!begun) return std::unexpected(begun.error());
        T* const object = ::new (begun->memory()) T(std::forward<Args>(args)...);
        if constexpr (detail::HasRing<T>) {
            if (const Result<void> made = begun->make_ring(object->ring_layout()); !made) {
                return std::unexpected(made.error());
            }
        }
        begun->complete();
        return object;
    }
    // Errors: not_found, wrong_type, forked; denied: opened read-only, and T is not const
    template <typename T>
        requires Shareable<std::remove_const_t<T>>
    [[nodiscard]] Result<T*> find(std::string_view name) const {
        const Result<void*> found =
            look_up(name, object_type_of<std::remove_const_t<T>>(), std::is_const_v<T>);
        if (!found) return std::unexpected(found.error());
        return static_cast<T*>(*found);
    }
    template <Shareable T, typename... Args>
    [[nodiscard]] Result<T*> find_or_construct(std::string_view name, Args&&... args) {
        return find_or_construct_until<T>(Deadline::never(), name, std::forward<Args>(args)...);
    }
    template <Shareable T, typename... Args>
    [[nodiscard]] Result<T*> find_or_construct_until(Deadline deadline, std::string_view name,
                                                     Args&&... args) {
        for (;;) {
            const Result<T*> found = find<T>(name);
            if (found || found.error().code != Errc::not_found) return found;
            // Its arguments are moved from only when it is constructed, which ends the loop.
            const Result<T*> made = construct_until<T>(deadline, name, std::forward<Args>(args)...);
            if (made || made.error().code != Errc::exists) return made;
        }
    }
    // Ends its lifetime and its name, by the destructor of T. Precondition: nobody uses it.
    // Errors: not_found, wrong_type, forked, denied
    template <Shareable T>
    Result<void> destroy_object(std::string_view name) {
        const Result<Condemned> condemned = condemn(name, object_type_of<T>());
        if (!condemned) return std::unexpected(condemned.error());
        static_cast<T*>(condemned->memory)->~T();
        end(condemned->index);
        return {};
    }
    // The same without its destructor: what it owns besides its own bytes leaks.
    // Errors: not_found, forked, denied
    Result<void> discard_object(std::string_view name);
    [[nodiscard]] std::vector<ObjectInfo> objects() const;

    // --- memory ---
    [[nodiscard]] Heap& heap() const noexcept;
    // Backs more memory: at least so much of objects and blocks in all. It grows by itself as well,
    // up to max_bytes; who has it attached sees it at once, at the same addresses.
    // Errors: out_of_space, too_big (more than max_bytes), denied, forked
    Result<void> grow(std::uint64_t bytes);
    [[nodiscard]] RegionUse use() const;
    // What file: holds is on the disk when it returns; what is written later may get there or not.
    // After a crash of the machine without it the file may be a mixture. Errors: those of msync(2)
    Result<void> flush();

    // --- processes ---
    [[nodiscard]] std::vector<Attached> attached() const;
    // Recovers whoever died; how many.
    std::uint32_t sweep();
    // Of a memfd: or a file: for passing it on; -1: a sysv: segment. It stays this handle's own.
    [[nodiscard]] int descriptor() const noexcept;
    // The id that ipcs shows; -1: not sysv:.
    [[nodiscard]] std::int32_t segment() const noexcept;
    [[nodiscard]] const std::string& address() const noexcept;
    [[nodiscard]] Access access() const noexcept;
    [[nodiscard]] Owner owner() const noexcept;
    // The bytes of an object of whatever type. Errors: not_found, bad_layout
    [[nodiscard]] Result<std::span<const std::byte>> bytes_of(std::string_view name) const;
    // For the rooms of this library.
    [[nodiscard]] detail::RegionCore& core() const noexcept { return *core_; }
    // Somebody took its name away, or its owner ended.
    [[nodiscard]] bool is_destroyed() const noexcept;

private:
    using Core = std::unique_ptr<detail::RegionCore, detail::RegionCoreDeleter>;
    struct Condemned {
        std::uint32_t index;
        void* memory;
    };

    explicit Region(Core core) noexcept : core_{std::move(core)} {}
    static Result<Region> enter(Core core);
    [[nodiscard]] Result<detail::Construction> begin(std::string_view name, const TypeInfo& type,
                                                     std::size_t alignment, Deadline deadline);
    [[nodiscard]] Result<Named> find_typed(std::string_view name, const TypeInfo& type) const;
    [[nodiscard]] Result<void*> look_up(std::string_view name, const TypeInfo& type,
                                        bool only_reads) const;
    [[nodiscard]] Result<Condemned> condemn(std::string_view name, const TypeInfo& type);
    void end(std::uint32_t index) noexcept;
    [[nodiscard]] Result<void> check_writable(const char* step) const noexcept;

    Core core_;
};

}  // namespace stoa
