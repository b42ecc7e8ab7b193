// Sections: what a thread allocates and frees in a region while it changes data under a lock is one
// with that change: all of it happens, or a death takes all of it back.
//
// Start here: Guarded (guarded.hpp) opens one by itself; begin_section and end_section.
// Threads:    a section is of the thread that began it, and ends there.
// Processes:  SectionWord lies beside the data; a region's heap is the SectionHost of each process.
// Death:      the word tells the heir: open, take back what the log names; closed and not 0: finish
//             what was decided. Each call of the host can be made again after a death in it.
// Blocking:   never.
// Lifetime:   the word must stay mapped while the section is open.
// Units:      none.
// Source:     write-ahead logging (Gray, Reuter 1992, chapter 10).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "stoa/base/atomic.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/sys/fork_guard.hpp"

namespace stoa {

// 0: no section; bit 0: it is open; the bits above name its log, if there is one.
using SectionOwner = Atomic<std::uint64_t>;
inline constexpr std::uint64_t kSectionOpen = 1;

// What keeps the logs. Each call ends with the owner's word 0, and may be made again after a death.
class SectionHost {
public:
    SectionHost() = default;
    SectionHost(const SectionHost&) = delete;
    SectionHost& operator=(const SectionHost&) = delete;

    // What was freed in it is free from now on. Precondition: the owner's word is not open.
    virtual void commit(SectionOwner& owner) noexcept = 0;
    // What was allocated in it is free again; what was freed in it stays.
    virtual void roll_back(SectionOwner& owner) noexcept = 0;
    // The data were mended by hand: what they no longer reach, of all that was allocated or freed
    // in it, becomes free; the rest stays.
    virtual void settle(SectionOwner& owner, std::span<const std::byte> data) noexcept = 0;

protected:
    ~SectionHost() = default;
};

namespace detail {

struct OpenSection {
    SectionHost* host;
    SectionOwner* owner;
    std::uint64_t generation;  // a forked child is in none of its parent's
};
inline constexpr std::uint32_t kMaxOpenSections = 16;
struct OpenSections {
    std::uint32_t count = 0;
    OpenSection all[kMaxOpenSections]{};
};
extern constinit thread_local OpenSections t_open_sections;

}  // namespace detail

// The section in which this thread allocates from this host; null: in none.
[[nodiscard]] inline SectionOwner* current_section(const SectionHost* host) noexcept {
    for (std::uint32_t i = detail::t_open_sections.count; i > 0; --i) {
        const detail::OpenSection& open = detail::t_open_sections.all[i - 1];
        if (open.host == host && open.generation == sys::current_generation()) return open.owner;
    }
    return nullptr;
}

// Precondition: the word is 0, and this process alone uses it. At most 16 are open in a thread.
void begin_section(SectionHost& host, SectionOwner& owner) noexcept;
// What was done in it is decided, by one store. Precondition: this thread began it.
void end_section(SectionHost& host, SectionOwner& owner) noexcept;
// This thread leaves it; the word stays as it is.
void leave_section(SectionOwner& owner) noexcept;

}  // namespace stoa
