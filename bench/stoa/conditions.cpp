// stoa's condition in a region, each process a participant of it.
#include "bench/kit/box.hpp"
#include "bench/stoa/stoa_kit.hpp"
#include "bench/stoa/stoa_subjects.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/sync/condition.hpp"

namespace stoa::bench {

namespace {

class RegionBoxes {
public:
    class Sync {
    public:
        void lock() { need(lock_.hold()); }
        void unlock() { lock_.unlock(); }
        void wait() { need(changed_.wait(lock_)); }
        void notify_one() { changed_.notify_one(); }

    private:
        Mutex lock_;
        Condition changed_;
    };

    class Join {
    public:
        explicit Join(RegionBoxes& its)
            : table_{need(Participants::attach(its.memory().first(kTableBytes)))},
              membership_{its.memory(), table_, join(table_)} {}

    private:
        static std::uint32_t join(Participants& table) {
            const auto reserve = [](void*, std::uint64_t, std::uint64_t) { return Result<void>{}; };
            return need(table.join(stoa::Role::none, reserve, nullptr));
        }

        Participants table_;
        Membership membership_;
    };

    RegionBoxes() {
        need(Participants::create(memory().first(kTableBytes), 8, 8));
        new (boxes()) Box<Sync>[ 2 ];
    }
    [[nodiscard]] Box<Sync>* boxes() const {
        return reinterpret_cast<Box<Sync>*>(memory_.data() + kTableBytes);
    }

private:
    static constexpr std::size_t kTableBytes = kPage;

    [[nodiscard]] std::span<std::byte> memory() const { return {memory_.data(), memory_.size()}; }

    SharedMemory memory_{kTableBytes + kPage};
};

}  // namespace

void add_stoa_conditions(Subjects& subjects) {
    subjects.list.push_back(subject_of<BoxSubject<RegionBoxes>>("stoa_condition", Kind::stoa));
}

}  // namespace stoa::bench
