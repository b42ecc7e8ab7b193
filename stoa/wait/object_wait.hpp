// Objects of regions in a wait set: locks, semaphores, events, buffers.
//
// Start here: when_unlocked(mutex), when_unlocked_shared(shared_mutex), when_free(semaphore),
//             when_posted(semaphore), when_set(event); ObjectWait is what such a thing is made of.
// Threads:    as the set. Threads of one process that wait for objects of one region in several
//             sets open the region once for each of them: a participant is told in one set.
// Processes:  the objects lie in a region that this process is in.
// Death:      of a holder: the lock is ready then, and who takes it is told owner_died; at once
//             where the death is seen by its pidfd, else within some slices of 100 ms.
// Blocking:   never.
// Lifetime:   an entry whose region is closed leaves its set; one whose object is destroyed is to
//             be removed before.
// Units:      none.
// Source:     stoa/wait/wait_source.hpp.
#pragma once

#include <memory>

#include "stoa/life/membership.hpp"
#include "stoa/sync/event.hpp"
#include "stoa/sync/mutex.hpp"
#include "stoa/sync/recursive_mutex.hpp"
#include "stoa/sync/semaphore.hpp"
#include "stoa/sync/shared_mutex.hpp"
#include "stoa/wait/waitable.hpp"

namespace stoa {

// The words that are marked, in objects whose own calls would sleep there.
struct WaitWords {
    [[nodiscard]] static Atomic<std::uint64_t>& of(Mutex& lock) noexcept {
        return lock.layout_.word;
    }
    [[nodiscard]] static Atomic<std::uint64_t>& of(RecursiveMutex& lock) noexcept {
        return lock.layout_.word;
    }
    template <std::uint32_t kProcesses>
    [[nodiscard]] static detail::SharedWords of(SharedMutex<kProcesses>& lock) noexcept {
        return lock.words();
    }
    template <std::uint32_t kPermits>
    [[nodiscard]] static detail::Permits of(Semaphore<kPermits>& semaphore) noexcept {
        return semaphore.permits();
    }
    [[nodiscard]] static SignalSemaphoreLayout& of(SignalSemaphore& semaphore) noexcept {
        return semaphore.layout_;
    }
    [[nodiscard]] static EventLayout& of(Event& event) noexcept { return event.layout_; }
};

class ObjectWait : public WaitSource {
public:
    // `object`: where it lies.
    explicit ObjectWait(const void* object) noexcept : object_{object}, at_{here(object)} {}
    ObjectWait(const ObjectWait&) = delete;
    ObjectWait& operator=(const ObjectWait&) = delete;

    [[nodiscard]] bool ready() noexcept final;
    void arm() noexcept final {
        if (is_there()) mark();
    }
    void disarm() noexcept final {}  // a mark that stays costs one futile ring
    [[nodiscard]] std::uint32_t spin_pauses() noexcept final;
    [[nodiscard]] const void* watched_as() const noexcept final;
    Result<void> set_watch(const WatchWord& whom) noexcept final;
    Result<void> look_around() noexcept final;
    void look_for_holder() noexcept final {
        if (is_there()) look_at_holder();
    }
    void for_each_peer(PeerVisitor& visitor) final;
    [[nodiscard]] bool newcomers_ring() const noexcept final { return true; }
    Result<void> attach(Touched& entry) noexcept final;
    void detach() noexcept final { entry_ = nullptr; }

protected:
    [[nodiscard]] virtual bool is_ready() noexcept = 0;
    virtual void mark() noexcept = 0;
    virtual void look_at_holder() noexcept {}
    [[nodiscard]] const Here& at() const noexcept { return at_; }

private:
    // False: its region was closed.
    [[nodiscard]] bool is_there() noexcept;

    const void* object_;
    Here at_;
    Touched* entry_ = nullptr;
};

namespace detail {

[[nodiscard]] std::shared_ptr<WaitSource> word_is_free(const void* lock,
                                                       Atomic<std::uint64_t>& word);
// `alone`: to write, else to read.
[[nodiscard]] std::shared_ptr<WaitSource> shared_is_free(const void* lock, const SharedWords& words,
                                                         bool alone);
[[nodiscard]] std::shared_ptr<WaitSource> permit_is_free(const void* semaphore,
                                                         std::span<Atomic<Holder>> holders,
                                                         Atomic<std::uint32_t>& bell);

}  // namespace detail

// Nobody holds it, or who does is dead, or it is poisoned. Another one may be quicker.
// Errors of add(): not_supported: it is no object of a region; forked; in_use
[[nodiscard]] inline Waitable when_unlocked(Mutex& lock) {
    return detail::word_is_free(&lock, WaitWords::of(lock));
}
[[nodiscard]] inline Waitable when_unlocked(RecursiveMutex& lock) {
    return detail::word_is_free(&lock, WaitWords::of(lock));
}
// To write: nobody writes or reads, or who does is dead, or it is poisoned. Errors: as above
template <std::uint32_t kProcesses>
[[nodiscard]] Waitable when_unlocked(SharedMutex<kProcesses>& lock) {
    return detail::shared_is_free(&lock, WaitWords::of(lock), true);
}
// To read: nobody writes or waits to, and a place is free; or the writer is dead, or it is
// poisoned. Errors: as above
template <std::uint32_t kProcesses>
[[nodiscard]] Waitable when_unlocked_shared(SharedMutex<kProcesses>& lock) {
    return detail::shared_is_free(&lock, WaitWords::of(lock), false);
}
// A permit is free, or one of the dead. Errors: as when_unlocked
template <std::uint32_t kPermits>
[[nodiscard]] Waitable when_free(Semaphore<kPermits>& semaphore) {
    const detail::Permits permits = WaitWords::of(semaphore);
    return detail::permit_is_free(&semaphore, permits.holders, *permits.bell);
}
// Something is posted. Errors: as when_unlocked
[[nodiscard]] Waitable when_posted(SignalSemaphore& semaphore);
// It is set; one that resets by hand also when it was set, and reset, since it was last looked at.
// Errors: as when_unlocked
[[nodiscard]] Waitable when_set(Event& event);

}  // namespace stoa
