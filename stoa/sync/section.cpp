#include "stoa/sync/section.hpp"

#include <algorithm>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"

namespace stoa {
namespace detail {

constinit thread_local OpenSections t_open_sections{};

}  // namespace detail

void begin_section(SectionHost& host, SectionOwner& owner) noexcept {
    detail::OpenSections& open = detail::t_open_sections;
    const std::uint64_t generation = sys::own_generation();
    // A forked child has its parent's list, and ends none of it.
    if (open.count > 0 && open.all[0].generation != generation) open.count = 0;
    STOA_CHECK(open.count < detail::kMaxOpenSections);
    // release: the undo copy is whole before the word says that it counts.
    owner.store(kSectionOpen, kRelease);
    open.all[open.count++] = {&host, &owner, generation};
}

void leave_section(SectionOwner& owner) noexcept {
    detail::OpenSections& open = detail::t_open_sections;
    detail::OpenSection* const end = open.all + open.count;
    detail::OpenSection* const found = std::find_if(
        open.all, end, [&](const detail::OpenSection& one) { return one.owner == &owner; });
    STOA_CHECK(found != end);  // else another thread began it
    std::copy(found + 1, end, found);
    --open.count;
}

void end_section(SectionHost& host, SectionOwner& owner) noexcept {
    leave_section(owner);
    const std::uint64_t word = owner.load(kRelaxed);
    // release: the data are whole before the word says so. This store decides.
    owner.store(word & ~kSectionOpen, kRelease);
    STOA_CRASH_POINT("heap.section_decided");
    if ((word & ~kSectionOpen) != 0) host.commit(owner);
}

}  // namespace stoa
