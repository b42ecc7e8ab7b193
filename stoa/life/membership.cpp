#include "stoa/life/membership.hpp"

#include <pthread.h>

#include <cstddef>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <utility>

#include "stoa/base/check.hpp"

namespace stoa {
namespace {

struct Entry {
    std::uintptr_t to;
    Here here;
    std::uint64_t generation;  // of the process that mapped it
};

// Never destroyed: locks may be used by destructors of static objects.
struct Entries {
    std::mutex lock;
    std::map<std::uintptr_t, Entry> all;  // key: where it begins
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
    // Memory of this process alone is remembered too: as far as the regions around it.
    LastHere last{.from = 0, .to = ~std::uintptr_t{0}, .version = version};
    const auto behind = list.all.upper_bound(address);
    if (behind != list.all.end()) last.to = behind->first;
    if (behind != list.all.begin()) {
        const auto& [from, entry] = *std::prev(behind);
        last.from = entry.to;
        if (address < entry.to) {
            last = {from, entry.to, version, entry.here};
            if (entry.generation != sys::own_generation()) last.here.me = 0;
        }
    }
    t_last_here = last;
    return last.here;
}

}  // namespace detail

bool Here::is_gone(Holder holder) const noexcept {
    const std::uint32_t index = holder_index(holder);
    if (participants == nullptr || index >= participants->places()) return false;
    // A look in which the record changes tells nothing: its owner may have been recovered
    // meanwhile. It changes a few times in one life.
    for (int turn = 0; turn < 8; ++turn) {
        Participant seen;
        const bool there = participants->look(index, seen);
        const PlaceWord place = unpack_place(seen.word);
        if (holder_of(index, place.incarnation) != (holder & kHolderMask)) return true;
        if (place.state == PlaceState::free) return true;
        if (there) return seen.life == sys::Life::dead;
    }
    return false;
}

Membership::Membership(std::span<const std::byte> memory, const Here& here)
    : from_{reinterpret_cast<std::uintptr_t>(memory.data())} {
    Here there = here;
    there.memory = memory.data();
    Entries& list = entries();
    const std::lock_guard guard{list.lock};
    list.all[from_] = {
        .to = from_ + memory.size(), .here = there, .generation = sys::own_generation()};
    something_changed();
}

Membership::Membership(std::span<const std::byte> memory, const Participants& participants,
                       std::uint32_t index, SectionHost* heap, Sweeper* sweeper)
    : Membership{
          memory,
          Here{.me = holder_of(
                   index, unpack_place(participants.record(index).word.load(kRelaxed)).incarnation),
               .participants = &participants,
               .heap = heap,
               .sweeper = sweeper}} {}

Membership::Membership(std::span<const std::byte> memory, const Participants& participants)
    : Membership{memory, Here{.me = 0, .participants = &participants}} {}

Membership::Membership(Membership&& other) noexcept : from_{std::exchange(other.from_, 0)} {}

Membership::~Membership() {
    if (from_ == 0) return;
    Entries& list = entries();
    const std::lock_guard guard{list.lock};
    list.all.erase(from_);
    something_changed();
}

}  // namespace stoa
