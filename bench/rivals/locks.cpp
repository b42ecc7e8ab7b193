// glibc's process-shared locks: what stoa's locks stand beside.
#include <pthread.h>
#include <semaphore.h>

#include "bench/kit/lock_pairs.hpp"
#include "bench/rivals/rivals.hpp"

namespace stoa::bench {

namespace {

template <bool kRobust>
class PthreadMutex {
public:
    static constexpr bool kExclusive = true;
    struct End {
        pthread_mutex_t* lock_;
        void lock() { pthread_mutex_lock(lock_); }
        void unlock() { pthread_mutex_unlock(lock_); }
    };
    explicit PthreadMutex(const Case& /*c*/) {
        pthread_mutexattr_t how{};
        pthread_mutexattr_init(&how);
        // allowed: banned: it is what ours stands beside
        pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
        if (kRobust) pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
        if (pthread_mutex_init(&*lock_, &how) != 0) throw Unavailable{"pthread_mutex_init"};
        pthread_mutexattr_destroy(&how);
    }
    End connect(const Role& /*role*/) { return {&*lock_}; }

private:
    Shared<pthread_mutex_t> lock_;
};

template <bool kReads>
class PthreadRwlock {
public:
    static constexpr bool kExclusive = !kReads;
    struct End {
        pthread_rwlock_t* lock_;
        void lock() { kReads ? pthread_rwlock_rdlock(lock_) : pthread_rwlock_wrlock(lock_); }
        void unlock() { pthread_rwlock_unlock(lock_); }
    };
    explicit PthreadRwlock(const Case& /*c*/) {
        pthread_rwlockattr_t how{};
        pthread_rwlockattr_init(&how);
        // allowed: banned: it is what ours stands beside
        pthread_rwlockattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
        if (pthread_rwlock_init(&*lock_, &how) != 0) throw Unavailable{"pthread_rwlock_init"};
        pthread_rwlockattr_destroy(&how);
    }
    End connect(const Role& /*role*/) { return {&*lock_}; }

private:
    Shared<pthread_rwlock_t> lock_;
};

class PosixSemaphore {
public:
    static constexpr bool kExclusive = true;
    struct End {
        sem_t* permit_;
        void lock() {
            while (sem_wait(permit_) != 0) {
            }
        }
        void unlock() { sem_post(permit_); }
    };
    explicit PosixSemaphore(const Case& /*c*/) {
        if (sem_init(&*permit_, 1, 1) != 0) throw Unavailable{"sem_init"};
    }
    End connect(const Role& /*role*/) { return {&*permit_}; }

private:
    Shared<sem_t> permit_;
};

}  // namespace

void add_lock_rivals(Subjects& subjects) {
    const auto add = [&](Subject subject) { subjects.list.push_back(std::move(subject)); };
    add(lock_subject_of<PthreadMutex<false>>("pthread_mutex", Kind::rival));
    add(lock_subject_of<PthreadMutex<true>>("pthread_robust", Kind::rival));
    add(lock_subject_of<PthreadRwlock<true>>("pthread_rwlock_read", Kind::rival));
    add(lock_subject_of<PthreadRwlock<false>>("pthread_rwlock_write", Kind::rival));
    add(lock_subject_of<PosixSemaphore>("sem_t", Kind::rival));
}

}  // namespace stoa::bench
