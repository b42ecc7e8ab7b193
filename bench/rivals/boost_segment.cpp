// Rival: boost::interprocess::managed_shared_memory, whose heap is a tree behind a mutex.
#include <boost/interprocess/managed_shared_memory.hpp>

#include "bench/kit/attach_loop.hpp"
#include "bench/kit/heap_loop.hpp"
#include "bench/rivals/packaged.hpp"

namespace stoa::bench {

namespace {

namespace ipc = boost::interprocess;

class SegmentEnd {
public:
    explicit SegmentEnd(const std::string& name) : segment_{ipc::open_only, name.c_str()} {}
    void* take(std::size_t bytes) { return segment_.allocate(bytes); }
    void give(void* block, std::size_t /*bytes*/) { segment_.deallocate(block); }

private:
    ipc::managed_shared_memory segment_;
};

class BoostSegment {
public:
    explicit BoostSegment(const Case& c) : name_{c.id} {
        ipc::managed_shared_memory made{ipc::create_only, name_.c_str(), kHeapBytes};
        // Each page once: what the kernel does then is not measured.
        void* const all = made.allocate(made.get_free_memory() - std::size_t{65536});
        std::memset(all, 1, made.get_size() - std::size_t{131072});
        made.deallocate(all);
    }
    BoostSegment(const BoostSegment&) = delete;
    BoostSegment& operator=(const BoostSegment&) = delete;
    ~BoostSegment() { ipc::shared_memory_object::remove(name_.c_str()); }
    SegmentEnd attach() { return SegmentEnd{name_}; }

private:
    std::string name_;
};

class BoostAttach {
public:
    static constexpr std::uint64_t kValue = 7;

    explicit BoostAttach(const Case& c) : name_{std::string{c.id}} {
        ipc::managed_shared_memory made{ipc::create_only, name_.c_str(), std::size_t{1} << 20U};
        made.construct<std::uint64_t>("value")(kValue);
    }
    BoostAttach(const BoostAttach&) = delete;
    BoostAttach& operator=(const BoostAttach&) = delete;
    ~BoostAttach() { ipc::shared_memory_object::remove(name_.c_str()); }

    std::uint64_t once() {
        ipc::managed_shared_memory mine{ipc::open_only, name_.c_str()};
        return *mine.find<std::uint64_t>("value").first;
    }

private:
    std::string name_;
};

}  // namespace

void add_boost_segment(Subjects& subjects) {
    subjects.list.push_back(attach_subject_of<BoostAttach>("boost_segment", Kind::rival));
    subjects.list.push_back(heap_subject_of<BoostSegment>("boost_segment", Kind::rival));
}

}  // namespace stoa::bench
