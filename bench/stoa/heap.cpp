// The heap of a region, crash safety on.
#include "stoa/shm/heap.hpp"

#include "bench/kit/heap_loop.hpp"
#include "bench/stoa/stoa_kit.hpp"
#include "bench/stoa/stoa_subjects.hpp"
#include "stoa/life/membership.hpp"

namespace stoa::bench {

namespace {

class HeapEnd {
public:
    explicit HeapEnd(std::span<std::byte> memory)
        : table_{need(Participants::attach(memory))},
          index_{need(table_.join(stoa::Role::none, reserve, nullptr))},
          heap_{need(Heap::attach(memory.subspan(kTableBytes), nullptr, nullptr))},
          membership_{memory, table_, index_, heap_.get()} {}
    HeapEnd(const HeapEnd&) = delete;
    HeapEnd& operator=(const HeapEnd&) = delete;
    ~HeapEnd() = default;

    static constexpr std::uint64_t kTableBytes = 16384;

    void* take(std::size_t bytes) { return need(heap_->allocate(bytes)); }
    void give(void* block, std::size_t /*bytes*/) { heap_->free(block); }

private:
    static Result<void> reserve(void*, std::uint64_t, std::uint64_t) { return {}; }

    Participants table_;
    std::uint32_t index_;
    std::unique_ptr<Heap> heap_;
    Membership membership_;
};

class StoaHeap {
public:
    explicit StoaHeap(const Case&) {
        need(Participants::create(memory(), 64, 64));
        need(Heap::create(memory().subspan(HeapEnd::kTableBytes), true));
    }
    HeapEnd attach() { return HeapEnd{memory()}; }

private:
    [[nodiscard]] std::span<std::byte> memory() const { return {memory_.data(), memory_.size()}; }
    SharedMemory memory_{HeapEnd::kTableBytes + kHeapBytes};
};

}  // namespace

Subject stoa_heap() {
    return heap_subject_of<StoaHeap>("stoa_heap", Kind::stoa);
}

}  // namespace stoa::bench
