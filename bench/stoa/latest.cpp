// The newest value of one writer.
#include <optional>
#include <span>

#include "bench/kit/newest.hpp"
#include "bench/stoa/stoa_kit.hpp"
#include "bench/stoa/stoa_subjects.hpp"
#include "stoa/shm/latest.hpp"

namespace stoa::bench {

namespace {

// kTimed: with the time of the clock, as write(value) does it; else with the one that it is given.
template <std::size_t kBytes, bool kTimed>
class Newest {
public:
    Newest() { need(Participants::create(table(), kPlaces, kPlaces)); }
    // As opening a region does.
    void begin() {
        const auto reserve = [](void*, std::uint64_t, std::uint64_t) { return Result<void>{}; };
        table_.emplace(need(Participants::attach(table())));
        const std::uint32_t index = need(table_->join(stoa::Role::none, reserve, nullptr));
        membership_.emplace(std::as_bytes(std::span{&*memory_, 1}), *table_, index);
        writer_.emplace(need(memory_->latest.claim_writer()));
    }
    void write(const Words<kBytes>& value) {
        if constexpr (kTimed) {
            writer_->write(value).value();
        } else {
            writer_->write(value, {}).value();
        }
    }
    template <class Visit>
    bool read(Visit&& visit) {
        if constexpr (kBytes > 1024) {
            Words<kBytes> value;
            if (!memory_->latest.read_into(value)) return false;
            visit(value);
        } else {
            const auto reading = memory_->latest.read();
            if (!reading) return false;
            visit(reading->value);
        }
        return true;
    }

private:
    static constexpr std::uint32_t kPlaces = 8;
    struct Memory {
        alignas(kCacheLine) std::byte table[4096];
        Latest<Words<kBytes>> latest;
    };
    [[nodiscard]] std::span<std::byte> table() { return memory_->table; }

    Shared<Memory> memory_;
    std::optional<Participants> table_;
    std::optional<Membership> membership_;
    std::optional<typename Latest<Words<kBytes>>::Writer> writer_;
};

template <std::size_t kBytes>
using WithTheClock = Newest<kBytes, true>;
template <std::size_t kBytes>
using WithATime = Newest<kBytes, false>;

}  // namespace

void add_stoa_latest(Subjects& subjects) {
    subjects.list.push_back(
        newest_subject_of<WithTheClock, 8, 64, 1024, 65536>("stoa_latest", Kind::stoa));
    subjects.list.push_back(
        newest_subject_of<WithATime, 8, 64, 1024, 65536>("stoa_latest_timed", Kind::stoa));
}

}  // namespace stoa::bench
