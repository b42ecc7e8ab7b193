// stoa's locks in a region, each process a participant of it.
#include <optional>

#include "bench/kit/lock_pairs.hpp"
#include "bench/stoa/stoa_kit.hpp"
#include "bench/stoa/stoa_subjects.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/sync/mutex.hpp"
#include "stoa/sync/priority_mutex.hpp"
#include "stoa/sync/recursive_mutex.hpp"
#include "stoa/sync/semaphore.hpp"
#include "stoa/sync/shared_mutex.hpp"

namespace stoa::bench {

namespace {

// As users check: the error is made when there is one.
void must(bool is_held) {
    if (!is_held) [[unlikely]]
        throw Unavailable{"a lock is not got"};
}

struct Exclusive {
    static constexpr bool kExclusive = true;
    template <class Lock>
    static void lock(Lock& lock) {
        must(lock.hold().has_value());
    }
    template <class Lock>
    static void unlock(Lock& lock) {
        lock.unlock();
    }
};
struct Reading {
    static constexpr bool kExclusive = false;
    template <class Lock>
    static void lock(Lock& lock) {
        must(lock.hold_shared().has_value());
    }
    template <class Lock>
    static void unlock(Lock& lock) {
        lock.unlock_shared();
    }
};
struct Permit {
    static constexpr bool kExclusive = true;
    template <class Lock>
    static void lock(Lock& lock) {
        must(lock.acquire().has_value());
    }
    template <class Lock>
    static void unlock(Lock& lock) {
        must(lock.release().has_value());
    }
};

constexpr std::size_t kTableBytes = kPage;

template <class Lock, class How>
class InRegion {
public:
    static constexpr bool kExclusive = How::kExclusive;

    class End {
    public:
        explicit End(InRegion& its)
            : table_{need(Participants::attach(its.memory().first(kTableBytes)))},
              membership_{its.memory(), table_, join(table_)},
              lock_{reinterpret_cast<Lock*>(its.memory().data() + kTableBytes)} {}
        End(const End&) = delete;
        End& operator=(const End&) = delete;
        void lock() { How::lock(*lock_); }
        void unlock() { How::unlock(*lock_); }

    private:
        static std::uint32_t join(Participants& table) {
            const auto reserve = [](void*, std::uint64_t, std::uint64_t) { return Result<void>{}; };
            return need(table.join(stoa::Role::none, reserve, nullptr));
        }

        Participants table_;
        Membership membership_;
        Lock* lock_;
    };

    explicit InRegion(const Case& /*c*/) {
        need(Participants::create(memory().first(kTableBytes), 8, 8));
        new (memory().data() + kTableBytes) Lock;
    }
    End connect(const Role& /*role*/) { return End{*this}; }

private:
    [[nodiscard]] std::span<std::byte> memory() const { return {memory_.data(), memory_.size()}; }

    SharedMemory memory_{kTableBytes + kPage};
};

}  // namespace

void add_stoa_locks(Subjects& subjects) {
    const auto add = [&](Subject subject) { subjects.list.push_back(std::move(subject)); };
    add(lock_subject_of<InRegion<Mutex, Exclusive>>("stoa_mutex", Kind::stoa));
    add(lock_subject_of<InRegion<RecursiveMutex, Exclusive>>("stoa_recursive", Kind::stoa));
    add(lock_subject_of<InRegion<PriorityMutex, Exclusive>>("stoa_priority", Kind::stoa));
    add(lock_subject_of<InRegion<SharedMutex<>, Reading>>("stoa_shared_read", Kind::stoa));
    add(lock_subject_of<InRegion<SharedMutex<>, Exclusive>>("stoa_shared_write", Kind::stoa));
    add(lock_subject_of<InRegion<Semaphore<1>, Permit>>("stoa_semaphore", Kind::stoa));
}

}  // namespace stoa::bench
