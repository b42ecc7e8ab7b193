#include "stoa/shm/shared_object.hpp"

#include "stoa/base/crash_point.hpp"

// Two who meet:
//   adopt  S1 store a holder word (CAS 0 or a dead one's -> ours)   S2 load word: live, generation
//          else take it out again, and look whether to end it
//   end    E1 no holder is left   E2 CAS word live -> dying   E3 look again: one came: CAS back to
//          live, and from E1
// seq_cst (Dekker): either S2 sees dying, or E3 sees the new holder. If both, the adopter gives up
// and looks itself; one of the two finds it unheld and live.
// The end: dying (the destructor runs in a section, so that what it frees is freed once) -> freeing
// (the memory of the object is logged to be freed) -> freed, the word that decides -> free.
// The word names who does it; whoever finds that one dead goes on from there.
namespace stoa::detail {
namespace {

constexpr std::uint64_t kNone = 1;
constexpr std::uint64_t kOneHandle = std::uint64_t{1} << 13U;
constexpr std::uint64_t kHandles = std::uint64_t{0x7ffff} << 13U;

template <typename T>
T* at_distance(const Atomic<std::uint64_t>& word) noexcept {
    const std::uint64_t distance = word.load(kAcquire);
    if (distance == kNone) return nullptr;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a distance, as in OffsetPtr
    return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(&word) + distance);
}
void store_distance(Atomic<std::uint64_t>& word, const void* to) noexcept {
    word.store(reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(&word),
               kSeqCst);
}

// Calls visit(word) for each holder word until it says true.
template <typename Visit>
bool any_holder(const Heap& heap, const SharedControl& control, Visit&& visit) {
    auto& mine = const_cast<SharedControl&>(control);
    for (Atomic<std::uint64_t>& word : mine.holders) {
        if (visit(word)) return true;
    }
    auto* more = at_distance<Atomic<std::uint64_t>>(control.more);
    if (more == nullptr || !heap.contains(more)) return false;
    for (std::uint32_t i = 0; i < kMoreHolders; ++i) {
        if (visit(more[i])) return true;
    }
    return false;
}

bool is_held(const Heap& heap, const Here& at, const SharedControl& control) noexcept {
    return any_holder(heap, control, [&](const Atomic<std::uint64_t>& word) {
        const std::uint64_t seen = word.load(kSeqCst);
        return seen != 0 && !at.is_gone(seen & kHolderMask);
    });
}

// Another state, or another holder, of what this process ends.
bool move_on(SharedControl& control, std::uint64_t& seen, SharedState to, Holder me) noexcept {
    SharedWord word = SharedWord::of(seen);
    word.state = to;
    word.holder = me;
    if (to == SharedState::free) ++word.generation;
    const std::uint64_t next = word.pack();
    if (!control.word.compare_exchange_strong(seen, next, kSeqCst)) return false;
    seen = next;
    return true;
}

void close_section(Heap& heap, SharedControl& control) noexcept {
    const std::uint64_t section = control.section.load(kSeqCst);
    control.section.store(section & ~kSectionOpen, kSeqCst);
    if (section > kSectionOpen) heap.commit(control.section);
}

// Precondition: the word is this process's, and `seen` is it.
void end_object(Heap& heap, SharedControl& control, std::uint64_t seen, Destroy destroy,
                bool resumed) noexcept {
    const Here at = here(&control);
    if (SharedWord::of(seen).state == SharedState::dying) {
        // A destructor is not run twice: of one that died in it, what it freed stays freed.
        close_section(heap, control);
        void* const object = shared_object(control);
        if (!resumed && destroy != nullptr && object != nullptr) {
            begin_section(heap, control.section);
            destroy(object);
            STOA_CRASH_POINT("shared_ptr.destroyed");
            end_section(heap, control.section);
        }
        if (!move_on(control, seen, SharedState::freeing, at.me)) return;
    }
    if (SharedWord::of(seen).state == SharedState::freeing) {
        heap.roll_back(control.section);
        begin_section(heap, control.section);
        heap.free(shared_object(control));
        STOA_CRASH_POINT("shared_ptr.before_freed");
        const bool decided = move_on(control, seen, SharedState::freed, at.me);
        if (!decided) return leave_section(control.section);
        end_section(heap, control.section);
    }
    close_section(heap, control);
    void* const more = at_distance<void>(control.more);
    control.more.store(kNone, kSeqCst);
    heap.free(more);
    STOA_CRASH_POINT("shared_ptr.freed");
    if (move_on(control, seen, SharedState::free, 0)) heap.give_control(control);
}

// Adds a word of ours. False: there is no room.
bool add_holder(Heap& heap, const Here& at, SharedControl& control) noexcept {
    for (int turn = 0; turn < 2; ++turn) {
        const bool added = any_holder(heap, control, [&](Atomic<std::uint64_t>& word) {
            std::uint64_t seen = word.load(kSeqCst);
            if (seen != 0 && !at.is_gone(seen & kHolderMask)) return false;
            return word.compare_exchange_strong(seen, at.me | kOneHandle, kSeqCst);
        });
        if (added) return true;
        if (at_distance<void>(control.more) != nullptr) return false;
        const Result<void*> more = heap.allocate(kMoreHolders * sizeof(std::uint64_t));
        if (!more) return false;
        auto* words = static_cast<Atomic<std::uint64_t>*>(*more);
        for (std::uint32_t i = 0; i < kMoreHolders; ++i) words[i].store(0, kRelaxed);
        std::uint64_t none = kNone;
        const std::uint64_t distance = reinterpret_cast<std::uintptr_t>(words) -
                                       reinterpret_cast<std::uintptr_t>(&control.more);
        if (!control.more.compare_exchange_strong(none, distance, kSeqCst)) heap.free(words);
    }
    return false;
}

// One handle of ours less.
void take_out(Heap& heap, const Here& at, SharedControl& control) noexcept {
    static_cast<void>(any_holder(heap, control, [&](Atomic<std::uint64_t>& word) {
        std::uint64_t seen = word.load(kSeqCst);
        while ((seen & kHolderMask) == at.me && seen != 0) {
            const bool last = (seen & kHandles) == kOneHandle;
            if (word.compare_exchange_strong(seen, last ? 0 : seen - kOneHandle, kSeqCst)) {
                return true;
            }
        }
        return false;
    }));
}

}  // namespace

void* shared_object(const SharedControl& control) noexcept {
    return at_distance<void>(control.object);
}

Result<SharedControl*> shared_make(Heap& heap) noexcept {
    const Result<SharedControl*> made = heap.take_control();
    if (!made) return made;
    SharedControl& control = **made;
    const Here at = here(&control);
    control.object.store(kNone, kRelaxed);
    control.section.store(0, kRelaxed);
    control.more.store(kNone, kRelaxed);
    for (Atomic<std::uint64_t>& word : control.holders) word.store(0, kRelaxed);
    SharedWord word = SharedWord::of(control.word.load(kRelaxed));
    word.state = SharedState::making;
    word.holder = at.me;
    control.word.store(word.pack(), kSeqCst);
    STOA_CRASH_POINT("shared_ptr.making");
    begin_section(heap, control.section);
    return made;
}

void shared_made(Heap& heap, SharedControl& control, void* object) noexcept {
    const Here at = here(&control);
    store_distance(control.object, object);
    control.holders[0].store(at.me | kOneHandle, kSeqCst);
    STOA_CRASH_POINT("shared_ptr.made");
    end_section(heap, control.section);
    SharedWord word = SharedWord::of(control.word.load(kRelaxed));
    word.state = SharedState::live;
    word.holder = 0;
    control.word.store(word.pack(), kSeqCst);
}

void shared_abandon(Heap& heap, SharedControl& control) noexcept {
    leave_section(control.section);
    heap.roll_back(control.section);
    control.object.store(kNone, kSeqCst);
    std::uint64_t seen = control.word.load(kSeqCst);
    if (move_on(control, seen, SharedState::free, 0)) heap.give_control(control);
}

SharedToken shared_token(const Heap& heap, const SharedControl& control) noexcept {
    return {.offset = heap.offset_of(control),
            .generation = SharedWord::of(control.word.load(kSeqCst)).generation};
}

std::uint32_t shared_processes(const Heap& heap, const SharedControl& control) noexcept {
    const Here at = here(&control);
    std::uint32_t count = 0;
    static_cast<void>(any_holder(heap, control, [&](const Atomic<std::uint64_t>& word) {
        const std::uint64_t seen = word.load(kSeqCst);
        if (seen != 0 && !at.is_gone(seen & kHolderMask)) ++count;
        return false;
    }));
    return count;
}

Result<SharedControl*> shared_adopt(Heap& heap, SharedToken token, Destroy destroy) noexcept {
    SharedControl* const control = heap.control_at(token.offset);
    if (control == nullptr) return fail(Errc::gone, "shared object");
    const Here at = here(control);
    if (at.me == 0) return fail(Errc::forked, "shared object");
    const auto is_it = [&] {
        const SharedWord word = SharedWord::of(control->word.load(kSeqCst));  // S2
        return word.state == SharedState::live && word.generation == token.generation;
    };
    if (!is_it()) return fail(Errc::gone, "shared object");
    bool full = false;
    const bool one_more = any_holder(heap, *control, [&](Atomic<std::uint64_t>& word) {
        std::uint64_t seen = word.load(kSeqCst);
        while (seen != 0 && (seen & kHolderMask) == at.me) {
            full = (seen & kHandles) == kHandles;
            if (full) return true;
            if (word.compare_exchange_strong(seen, seen + kOneHandle, kSeqCst)) return true;
        }
        return false;
    });
    if (full) return fail(Errc::limit_reached, "shared object");
    if (!one_more && !add_holder(heap, at, *control)) {
        return fail(Errc::no_free_place, "shared object");
    }
    STOA_CRASH_POINT("shared_ptr.copied");
    if (is_it()) return control;
    take_out(heap, at, *control);
    shared_end_if_unheld(heap, *control, destroy);
    return fail(Errc::gone, "shared object");
}

void shared_drop(Heap& heap, SharedControl& control, Destroy destroy) noexcept {
    const Here at = here(&control);
    if (at.me == 0) return;  // a forked child: it is its parent's
    take_out(heap, at, control);
    STOA_CRASH_POINT("shared_ptr.dropped");
    shared_end_if_unheld(heap, control, destroy);
}

void shared_end_if_unheld(Heap& heap, SharedControl& control, Destroy destroy) noexcept {
    const Here at = here(&control);
    std::uint64_t seen = control.word.load(kSeqCst);
    while (SharedWord::of(seen).state == SharedState::live) {
        if (is_held(heap, at, control)) return;                            // E1
        if (!move_on(control, seen, SharedState::dying, at.me)) continue;  // E2
        STOA_CRASH_POINT("shared_ptr.dying");
        if (!is_held(heap, at, control)) {  // E3
            return end_object(heap, control, seen, destroy, false);
        }
        if (!move_on(control, seen, SharedState::live, 0)) return;
    }
}

}  // namespace stoa::detail

namespace stoa {

std::uint32_t sweep_shared(Heap& heap) noexcept {
    using namespace detail;
    std::uint32_t ended = 0;
    heap.for_each_control([&](SharedControl& control) {
        const Here at = here(&control);
        std::uint64_t seen = control.word.load(kSeqCst);
        const SharedWord word = SharedWord::of(seen);
        if (at.me == 0 || word.state == SharedState::free) return;
        if (word.state == SharedState::live) {
            shared_end_if_unheld(heap, control, nullptr);
            if (control.word.load(kSeqCst) != seen) ++ended;
            return;
        }
        if (!at.is_gone(word.holder)) return;
        SharedState next = word.state;
        if (next == SharedState::making) {
            // Its constructor had ended if its section had.
            const std::uint64_t section = control.section.load(kSeqCst);
            const bool made = shared_object(control) != nullptr && (section & kSectionOpen) == 0;
            if (!move_on(control, seen, SharedState::making, at.me)) return;
            if (!made) {
                heap.roll_back(control.section);
                control.object.store(1, kSeqCst);
            }
            next = made ? SharedState::dying : SharedState::freed;
        }
        if (!move_on(control, seen, next, at.me)) return;
        ++ended;
        end_object(heap, control, seen, nullptr, true);
    });
    return ended;
}

}  // namespace stoa
