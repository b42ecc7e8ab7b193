#include "stoa/life/membership.hpp"

#include <pthread.h>

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "stoa/base/check.hpp"

namespace stoa {
namespace {

struct Entry {
    std::uintptr_t from;
    std::uintptr_t to;
    Here here;
    std::uint64_t generation;  // of the process that mapped it
};

// Never destroyed: locks may be used by destructors of static objects.
struct Entries {
    std::mutex lock;
    std::vector<Entry> all;
};
Entries& entries() noexcept {
    static Entries* const instance = [] {
        alignas(Entries) static std::byte memory[sizeof(Entries)];
        auto* const made = new (memory) Entries;
        // A child forked while another thread changes the list would find it locked for ever.
        STOA_CHECK(::pthread_atfork([] { entries().lock.lock(); }, [] { entries().lock.unlock(); },
                                    [] { entries().lock.unlock(); }) == 0);
        return made;
    }();
    return *instance;
}

// Ordinary memory: a child goes on counting from here, so that nothing that a thread of its parent
// remembered is new again.
constinit Atomic<std::uint64_t> g_changes{0};

// Each coming and going makes what threads remember old. Never 0: that is a forked child's.
void something_changed() noexcept {
    sys::detail::g_wiped_on_fork.memberships.store(g_changes.fetch_add(1, kRelaxed) + 1, kRelaxed);
}

}  // namespace

namespace detail {

constinit thread_local LastHere t_last_here{};

Here find_here(std::uintptr_t address) noexcept {
    Entries& list = entries();
    const std::lock_guard guard{list.lock};
    if (sys::detail::g_wiped_on_fork.memberships.load(kRelaxed) == 0) something_changed();
    const std::uint64_t version = sys::detail::g_wiped_on_fork.memberships.load(kRelaxed);
    const auto found = std::ranges::find_if(
        list.all, [&](const Entry& entry) { return address - entry.from < entry.to - entry.from; });
    if (found == list.all.end()) return {};
    Here here = found->here;
    if (found->generation != sys::own_generation()) here.me = 0;
    t_last_here = {found->from, found->to, version, here};
    return here;
}

}  // namespace detail

bool Here::is_gone(Holder holder) const noexcept {
    const std::uint32_t index = holder_index(holder);
    if (participants == nullptr || index >= participants->places()) return false;
    Participant seen;
    const bool there = participants->look(index, seen);
    const PlaceWord place = unpack_place(seen.word);
    if (holder_word(index, place.incarnation) != (holder & kHolderMask)) return true;
    if (place.state == PlaceState::free) return true;
    return there && seen.life == sys::Life::dead;
}

Membership::Membership(std::span<const std::byte> memory, const Participants& participants,
                       std::uint32_t index)
    : from_{reinterpret_cast<std::uintptr_t>(memory.data())} {
    const std::uint32_t incarnation =
        unpack_place(participants.record(index).word.load(kRelaxed)).incarnation;
    Entries& list = entries();
    const std::lock_guard guard{list.lock};
    list.all.push_back(
        {.from = from_,
         .to = from_ + memory.size(),
         .here = {.me = holder_word(index, incarnation), .participants = &participants},
         .generation = sys::own_generation()});
    something_changed();
}

Membership::Membership(Membership&& other) noexcept : from_{std::exchange(other.from_, 0)} {}

Membership::~Membership() {
    if (from_ == 0) return;
    Entries& list = entries();
    const std::lock_guard guard{list.lock};
    std::erase_if(list.all, [&](const Entry& entry) { return entry.from == from_; });
    something_changed();
}

}  // namespace stoa
