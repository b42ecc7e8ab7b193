// RegionImage: shared memory with a name (or none), a table of its participants and one content.
//
// Start here: RegionImage::create, RegionImage::open; join through participants().
// Threads:    create and open anywhere; one RegionImage object per thread, or lock it yourself.
// Processes:  any number map it, at different addresses.
// Death:      at any instruction of create, open or destroy the name is absent or fully valid. What
//             a process owns vanishes with it, name and memory.
// Blocking:   only the file system; a name that another process is removing is waited for, 1 s.
// Lifetime:   unmaps in its destructor; the memory lives as long as its name or a mapping.
// Units:      bytes.
// Source:     O_TMPFILE and linkat(2) through /proc/self/fd: published when complete; memfd and
//             abstract sockets for what a process owns (owned_name.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "stoa/base/error.hpp"
#include "stoa/life/participants.hpp"
#include "stoa/shm/domain.hpp"
#include "stoa/shm/owned_name.hpp"
#include "stoa/shm/region_layout.hpp"
#include "stoa/sys/close_on_fork.hpp"
#include "stoa/sys/fd.hpp"
#include "stoa/sys/mapping.hpp"

namespace stoa {

struct RegionPlan {
    RegionKind kind = RegionKind::mailbox;
    std::uint64_t content_bytes =
        0;  // address space; what is not reserved needs RegionImage::reserve
    std::uint64_t reserved_bytes = 0;  // of the content, from its start, backed by memory at once
    std::uint64_t second_offset = 0;   // and of a second part
    std::uint64_t second_bytes = 0;
    std::uint32_t places = 32;
    std::uint32_t max_places = kMaxPlaces;
    std::uint32_t mode = 0600;
    Owner owner = Owner::system;
    std::string_view owned_name{};  // of owner process: the name that publish() will give it

    [[nodiscard]] std::uint64_t content_offset() const noexcept;
    // Errors: bad_argument
    [[nodiscard]] Result<std::uint64_t> file_bytes() const noexcept;
};

// Writes the content of a new region: zeroed memory, of which the first reserved_bytes may be used.
using InitContent = Result<void> (*)(void* context, std::span<std::byte> content);

// How long one waits for another that fills a SysV segment, before it is an error (in_use).
extern constinit std::chrono::nanoseconds g_segment_patience;

class RegionImage {
public:
    // A file in the domain's folder that has no name yet: it vanishes with whoever holds it, unless
    // it is published. With owner process: memory, in no folder.
    // Errors: out_of_space, denied, limit_reached, not_supported, what init returns
    [[nodiscard]] static Result<RegionImage> create_unnamed(const Domain& domain,
                                                            const RegionPlan& plan,
                                                            InitContent init, void* context);
    // Gives it its name: from now on others find it, complete. A name is one for both kinds; of two
    // that publish at once exactly one succeeds. Errors: exists, denied, not_supported (owner
    // process), limit_reached
    [[nodiscard]] Result<void> publish(const Domain& domain, std::string_view file_name);
    // Both.
    [[nodiscard]] static Result<RegionImage> create(const Domain& domain,
                                                    std::string_view file_name,
                                                    const RegionPlan& plan, InitContent init,
                                                    void* context);
    // Memory without a name (memfd): passed on by fork, or as a descriptor over a socket.
    [[nodiscard]] static Result<RegionImage> create_anonymous(const RegionPlan& plan,
                                                              InitContent init, void* context);
    // Errors: not_found, denied, bad_layout, wrong_version, limit_reached, exists (condemned, and
    //         whoever removes its name has stopped: after 1 s), not_supported (it belongs to a
    //         process that does not show it to us)
    [[nodiscard]] static Result<RegionImage> open(const Domain& domain, std::string_view file_name,
                                                  RegionKind kind,
                                                  sys::Access access = sys::Access::read_write);
    // Another mapping of memory that came as a descriptor. Errors: bad_layout, wrong_version
    [[nodiscard]] static Result<RegionImage> attach(sys::Fd file, RegionKind kind,
                                                    sys::Access access = sys::Access::read_write);

    // A SysV segment, by its key. It has its key before it is complete, so a death in the middle
    // leaves one that the next open or create removes. Errors: as sys::make_segment
    [[nodiscard]] static Result<RegionImage> create_segment(std::int32_t key,
                                                            const RegionPlan& plan,
                                                            InitContent init, void* context);
    // By id. Errors: not_found, denied, bad_layout, wrong_version, in_use (its creator has not
    // finished it)
    [[nodiscard]] static Result<RegionImage> open_segment(
        std::int32_t id, RegionKind kind, sys::Access access = sys::Access::read_write);
    // As destroy(): it lives on until the last process detaches.
    [[nodiscard]] static Result<bool> destroy_segment(RegionImage& region);
    [[nodiscard]] bool is_segment() const noexcept { return segment_ >= 0; }
    // Of a SysV segment; else -1.
    [[nodiscard]] std::int32_t segment() const noexcept { return segment_; }

    // The same without removing or deciding anything: whatever state it is in.
    [[nodiscard]] static Result<RegionImage> peek(const Domain& domain, std::string_view file_name,
                                                  RegionKind kind);
    // The names of all regions of this kind that processes own and show to the caller.
    [[nodiscard]] static Result<std::vector<std::string>> owned_names(const Domain& domain,
                                                                      RegionKind kind);

    // Marks the region CONDEMNED and removes its name; that of a process's region is free when its
    // owner lets go. True: this call condemned it.
    [[nodiscard]] static Result<bool> destroy(const Domain& domain, std::string_view file_name,
                                              RegionImage& region);
    // Removes a name whatever is under it: also a damaged file that open() refuses.
    static Result<void> discard(const Domain& domain, std::string_view file_name);

    // It may be worked with: live, or closed and not yet drained.
    [[nodiscard]] static constexpr bool is_usable(std::uint64_t state) noexcept {
        return state == kRegionLive || state == kRegionClosed;
    }
    [[nodiscard]] bool condemned() const noexcept {
        return !is_usable(layout_->state.load(kSeqCst));
    }
    // Neither closed nor condemned.
    [[nodiscard]] bool live() const noexcept { return layout_->state.load(kSeqCst) == kRegionLive; }
    [[nodiscard]] bool closed() const noexcept {
        return layout_->state.load(kSeqCst) == kRegionClosed;
    }
    // For who looks at it on a fast path: a RegionState.
    [[nodiscard]] const Atomic<std::uint64_t>& state_word() const noexcept {
        return layout_->state;
    }
    // Nothing new is to come in. A condemned region stays condemned.
    void close() noexcept;
    // True: this call condemned it.
    bool condemn() noexcept;

    [[nodiscard]] Owner owner() const noexcept { return owner_; }
    [[nodiscard]] bool owner_gone() const noexcept {
        return layout_->state.load(kSeqCst) == kRegionOwnerGone;
    }
    // The owner lets go, or somebody has proven its death: no call on it goes on. True: it was
    // usable until now.
    bool end_ownership() const noexcept;
    // Gives the name back; nobody finds it any more.
    void drop_name() noexcept { name_.reset(); }

    [[nodiscard]] std::span<std::byte> memory() const noexcept { return mapping_.bytes(); }
    [[nodiscard]] std::span<std::byte> content() const noexcept { return content_; }
    [[nodiscard]] Participants& participants() noexcept { return *participants_; }
    [[nodiscard]] const Participants& participants() const noexcept { return *participants_; }
    [[nodiscard]] const sys::Fd& file() const noexcept { return file_.fd(); }
    [[nodiscard]] std::uint64_t allocated_bytes() const noexcept;

    // Takes a place in the table for the calling process.
    [[nodiscard]] Result<std::uint32_t> join(Role role);

    // Backs more of the content with memory, before anything touches it. Errors: out_of_space
    [[nodiscard]] Result<void> reserve(std::uint64_t content_offset, std::uint64_t bytes) noexcept;
    // Gives memory back that nobody uses: what a reservation that failed half-way got. False: the
    // file system refused, and it stays until the region goes.
    bool give_back(std::uint64_t content_offset, std::uint64_t bytes) noexcept;

    // A copy of what stands there, without taking memory for what is not backed: that is zero.
    // Errors: those of read(2); bad_argument (beyond the content)
    [[nodiscard]] Result<void> copy_out(std::uint64_t content_offset,
                                        std::span<std::byte> to) const noexcept;

private:
    bool end_with(std::uint64_t end) const noexcept;
    RegionImage() = default;
    static Result<RegionImage> make(const Domain* domain, sys::Fd file, const RegionPlan& plan,
                                    InitContent init, void* context);
    static Result<void> fill(std::span<std::byte> memory, const Domain* domain, std::uint64_t inode,
                             const RegionPlan& plan, InitContent init, void* context);
    static Result<RegionImage> map(sys::Fd file, RegionKind kind, sys::Access access);
    static Result<RegionImage> enter(sys::Fd file, sys::Mapping mapping, std::uint64_t inode,
                                     RegionKind kind);
    static Result<RegionImage> open_file(const Domain& domain, const std::string& name,
                                         RegionKind kind, sys::Access access);
    static Result<RegionImage> find(const Domain& domain, std::string_view file_name,
                                    RegionKind kind, sys::Access access);
    [[nodiscard]] bool is_named(const Domain& domain, std::string_view file_name) const noexcept;
    [[nodiscard]] Result<void> publish_file(const Domain& domain, const std::string& name);
    [[nodiscard]] Result<void> publish_owned(const Domain& domain, const std::string& name);
    [[nodiscard]] Result<std::uint64_t> decide_file(const Domain& domain,
                                                    const std::string& name) noexcept;
    [[nodiscard]] Result<std::uint64_t> decide_owned(const Domain& domain, const std::string& name);

    sys::ForkFd file_;  // a forked child keeps no descriptor of what a process owns
    std::optional<OwnedName> name_;
    std::int32_t segment_ = -1;
    sys::Mapping mapping_;
    RegionLayout* layout_ = nullptr;
    Owner owner_ = Owner::system;
    std::span<std::byte> content_;
    std::uint64_t table_offset_ = 0;  // private copies
    std::uint64_t content_offset_ = 0;
    std::optional<Participants> participants_;
};

}  // namespace stoa
