// Limit `seqlock`: a number that is odd while the one writer writes, and the value in atomic words.
// A writer that dies leaves it odd, one that stops holds the readers up. `seqlock_memcpy`: the same
// with a copy that is a data race to the C++ standard.
#include <atomic>
#include <cstring>

#include "bench/kit/newest.hpp"
#include "bench/limits/limits.hpp"

namespace stoa::bench {

namespace {

template <std::size_t kBytes>
struct SeqlockMemory {
    alignas(kTwoLines) Atomic<std::uint64_t> number{0};
    Atomic<std::uint64_t> words[kBytes / 8] = {};
};

template <std::size_t kBytes>
class Seqlock {
public:
    void begin() {}
    void write(const Words<kBytes>& value) noexcept {
        SeqlockMemory<kBytes>& to = *memory_;
        const std::uint64_t number = to.number.load(kRelaxed);
        to.number.store(number + 1, kRelaxed);
        for (std::size_t i = 0; i < kBytes / 8; ++i)
            to.words[i].store(value.words[i], kRelease);  // Q1
        to.number.store(number + 2, kRelease);            // Q2
    }
    template <class Visit>
    bool read(Visit&& visit) noexcept {
        Words<kBytes> value;
        const SeqlockMemory<kBytes>& from = *memory_;
        const std::uint64_t number = from.number.load(kAcquire);  // <- Q2
        if (number == 0 || number % 2 != 0) return false;
        for (std::size_t i = 0; i < kBytes / 8; ++i)
            value.words[i] = from.words[i].load(kAcquire);  // <- Q1
        if (from.number.load(kRelaxed) != number) return false;
        visit(value);
        return true;
    }

private:
    Shared<SeqlockMemory<kBytes>> memory_;
};

template <std::size_t kBytes>
struct RacyMemory {
    alignas(kTwoLines) Atomic<std::uint64_t> number{0};
    Words<kBytes> value;
};

template <std::size_t kBytes>
class RacySeqlock {
public:
    void begin() {}
    void write(const Words<kBytes>& value) noexcept {
        RacyMemory<kBytes>& to = *memory_;
        const std::uint64_t number = to.number.load(kRelaxed);
        to.number.store(number + 1, kRelaxed);
        std::atomic_signal_fence(kSeqCst);
        std::memcpy(&to.value, &value, kBytes);
        std::atomic_signal_fence(kSeqCst);
        to.number.store(number + 2, kRelease);
    }
    template <class Visit>
    bool read(Visit&& visit) noexcept {
        Words<kBytes> value;
        const RacyMemory<kBytes>& from = *memory_;
        const std::uint64_t number = from.number.load(kAcquire);
        if (number == 0 || number % 2 != 0) return false;
        std::atomic_signal_fence(kSeqCst);
        std::memcpy(&value, &from.value, kBytes);
        std::atomic_signal_fence(kSeqCst);
        if (from.number.load(kRelaxed) != number) return false;
        visit(value);
        return true;
    }

private:
    Shared<RacyMemory<kBytes>> memory_;
};

}  // namespace

void add_seqlock_limit(Subjects& subjects) {
    subjects.list.push_back(newest_subject_of<Seqlock, 8, 64, 1024, 65536>("seqlock", Kind::limit));
    subjects.list.push_back(
        newest_subject_of<RacySeqlock, 8, 64, 1024, 65536>("seqlock_memcpy", Kind::limit));
}

}  // namespace stoa::bench
