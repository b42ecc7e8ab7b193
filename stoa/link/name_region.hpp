// The region behind one process name: who has it, what it tells of itself, who knocked.
//
// Start here: NameRegion::enter() for who joins or waits for a joiner, look() for who only asks.
// Threads:    one at a time.
// Processes:  any number map it; one of them owns the name.
// Death:      the name of a dead owner is taken by one CAS of whoever comes next.
// Blocking:   only the file system.
// Lifetime:   a process that entered gives its place back in the destructor, the name before.
// Units:      names of 1 to 63 characters.
// Source:     design decisions D1 and D6: one word is the truth, a name is taken over in place.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "stoa/base/error.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/link/process_layout.hpp"
#include "stoa/shm/domain.hpp"
#include "stoa/shm/region_image.hpp"

namespace stoa {

inline constexpr std::string_view kProcessSuffix = ".process";
inline constexpr std::size_t kMaxProcessName = 63;

// Errors: bad_name
[[nodiscard]] Result<void> check_process_name(std::string_view name) noexcept;

using Attributes = std::map<std::string, std::string>;

struct NameOwner {
    Holder holder = 0;  // 0: nobody has the name
    std::uint64_t join_id = 0;
    sys::Identity identity;
    sys::Life life = sys::Life::unknown;
};

class NameRegion {
public:
    // As a participant; makes the region if there is none. Errors: as RegionImage
    [[nodiscard]] static Result<NameRegion> enter(const Domain& domain, std::string_view name);
    // To look at its owner and to knock. Errors: not_found, as RegionImage
    [[nodiscard]] static Result<NameRegion> open(const Domain& domain, std::string_view name);
    // The same, read-only, whatever state it is in.
    [[nodiscard]] static Result<NameRegion> peek(const Domain& domain, std::string_view name);
    NameRegion(NameRegion&& other) noexcept;
    NameRegion& operator=(NameRegion&& other) noexcept;
    ~NameRegion() { drop(); }

    // Of who entered: what the owner word says while this process has the name.
    [[nodiscard]] Holder own_holder() const noexcept;
    [[nodiscard]] std::uint64_t join_id(Holder owner) const noexcept {
        return join_id_of(salt_, owner);
    }
    // Takes the name, from nobody or from a dead one. Errors: in_use (its holder lives), gone (the
    // name is being removed: enter again)
    [[nodiscard]] Result<void> take();
    // Gives it back; nobody finds it any more. False: it was not ours.
    bool give_back() noexcept;
    // Removes the name if nobody alive has it. True: it is gone.
    bool remove(const Domain& domain, std::string_view name) noexcept;
    // Whether the name is nobody's, and nobody alive waits there for one who joins.
    [[nodiscard]] bool is_garbage() const;

    [[nodiscard]] NameOwner owner() const;
    // One load: that one still has the name.
    [[nodiscard]] bool is_owned_by(Holder holder) const noexcept {
        return layout_->owner.load(kAcquire) == holder;
    }
    [[nodiscard]] bool is_removed() const noexcept {
        return layout_->owner.load(kSeqCst) == kNameRemoved;
    }

    // What the owner tells. Empty: nothing, or it changed too often while it was read.
    struct Card {
        std::uint64_t joined_ns = 0;
        Attributes attributes;
    };
    [[nodiscard]] Card card(std::uint64_t join_id) const;
    // Errors: too_big: keys and values together, with a zero behind each, exceed 2024 bytes
    [[nodiscard]] Result<void> show(std::uint64_t join_id, std::uint64_t joined_ns,
                                    const Attributes& attributes) noexcept;

    // A peer that has made a link says so. Errors: no_free_place: 1024 knocks are unheard
    [[nodiscard]] Result<void> knock(std::uint64_t join_id) noexcept;
    // Takes each knock, then calls visit(join_id).
    template <typename Visit>
    void for_each_knock(Visit&& visit) {
        for (Atomic<std::uint64_t>& place : layout_->knock) {
            std::uint64_t join_id = place.load(kSeqCst);
            if (join_id != 0 && place.compare_exchange_strong(join_id, 0, kSeqCst)) visit(join_id);
        }
    }
    // The same, and leaves them where they are: for who has given the name back.
    template <typename Visit>
    void look_at_knocks(Visit&& visit) const {
        for (const Atomic<std::uint64_t>& place : layout_->knock) {
            if (const std::uint64_t join_id = place.load(kSeqCst); join_id != 0) visit(join_id);
        }
    }
    [[nodiscard]] std::uint32_t knocked() const noexcept { return layout_->knocked.load(kSeqCst); }
    [[nodiscard]] Atomic<std::uint32_t>& bell() noexcept { return layout_->bell; }
    [[nodiscard]] Atomic<std::uint32_t>& owners_bell() noexcept { return layout_->owners; }
    void sweep() noexcept;
    // Of who entered: whom to tell of all that rings here. False: another of its sets is told.
    [[nodiscard]] bool set_watch(const WatchWord& whom) const noexcept {
        return region_.participants().set_watch(*index_, whom);
    }
    [[nodiscard]] const void* record() const noexcept {
        return &region_.participants().record(*index_);
    }

    [[nodiscard]] RegionImage& region() noexcept { return region_; }

private:
    explicit NameRegion(RegionImage region) noexcept;
    [[nodiscard]] Result<void> try_to_take();
    [[nodiscard]] bool is_left_behind(Holder holder) const;
    static Result<NameRegion> wrap(Result<RegionImage> region);
    void tell_owner_changed() noexcept;
    void drop() noexcept;

    void register_memory();

    RegionImage region_;
    // So that whoever rings here finds who watches.
    std::optional<Membership> membership_;
    ProcessLayout* layout_;
    std::uint64_t salt_;
    std::optional<std::uint32_t> index_;  // of who entered
    std::uint64_t generation_;
};

}  // namespace stoa
