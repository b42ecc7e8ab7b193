// glibc's process-shared condition with its mutex: what stoa's condition stands beside.
#include <pthread.h>

#include <array>

#include "bench/kit/box.hpp"
#include "bench/rivals/rivals.hpp"

namespace stoa::bench {

namespace {

class PthreadBoxes {
public:
    class Sync {
    public:
        Sync() {
            pthread_mutexattr_t lock{};
            pthread_mutexattr_init(&lock);
            // allowed: banned: it is what ours stands beside
            pthread_mutexattr_setpshared(&lock, PTHREAD_PROCESS_SHARED);
            pthread_condattr_t changed{};
            pthread_condattr_init(&changed);
            // allowed: banned: it is what ours stands beside
            pthread_condattr_setpshared(&changed, PTHREAD_PROCESS_SHARED);
            if (pthread_mutex_init(&lock_, &lock) != 0 ||
                pthread_cond_init(&changed_, &changed) != 0) {
                throw Unavailable{"pthread_cond_init"};
            }
            pthread_condattr_destroy(&changed);
            pthread_mutexattr_destroy(&lock);
        }
        void lock() { pthread_mutex_lock(&lock_); }
        void unlock() { pthread_mutex_unlock(&lock_); }
        void wait() { pthread_cond_wait(&changed_, &lock_); }
        void notify_one() { pthread_cond_signal(&changed_); }

    private:
        pthread_mutex_t lock_{};
        pthread_cond_t changed_{};
    };
    struct Join {
        explicit Join(PthreadBoxes& /*its*/) {}
    };

    [[nodiscard]] Box<Sync>* boxes() const { return &*boxes_->begin(); }

private:
    Shared<std::array<Box<Sync>, 2>> boxes_;
};

}  // namespace

void add_condition_rivals(Subjects& subjects) {
    subjects.list.push_back(subject_of<BoxSubject<PthreadBoxes>>("pthread_condition", Kind::rival));
}

}  // namespace stoa::bench
