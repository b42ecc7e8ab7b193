// Latest<T>: the newest value of one writer, for any number of readers.
//
// Start here: Latest::claim_writer, Writer::write; Latest::read, read_newer, wait_for_newer.
// Threads:    readers: any number at once. A Writer serves one thread at a time.
// Processes:  lies in a region, or in memory of one process; all zero holds no value. Its address
//             tells who writes (stoa/life/membership.hpp). Readers may have mapped it read-only:
//             only wait_for_newer writes anything.
// Death:      of the writer, or when it stops, at any instruction: the value before is read.
//             Whoever claims next goes on with the next number. A reader leaves no trace; one that
//             dies in its sleep costs the next write a system call.
// Blocking:   wait_for_newer and poll_for_newer. Writing is wait-free. Reading is lock-free: it
//             begins again when three values were published while it copied one, at most 64 times.
// Lifetime:   the memory must stay mapped; a Writer must end before it is not.
// Units:      values are numbered from 1 on, over all writers; four values of memory.
// Source:     stoa/ring/latest.hpp; membarrier(2) in the sleeper takes the fence off the writer.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <string>
#include <utility>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/base/fingerprint.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/ring/latest.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/coarse_clock.hpp"

namespace stoa {

// Its bytes mean the same in every process.
template <typename T>
concept LatestValue = Sendable<T> && std::default_initializable<T>;

namespace detail {

struct LatestClaim {
    Holder me = 0;
    bool fences = true;  // before it looks for sleepers: they cannot send it a barrier
};
[[nodiscard]] Result<LatestClaim> claim_latest(LatestLayout& layout) noexcept;
void give_latest_back(LatestLayout& layout, Holder me) noexcept;
[[nodiscard]] Error no_latest_writer(const LatestLayout& layout) noexcept;
[[nodiscard]] bool latest_writer_gone(const LatestLayout& layout, const Here& at) noexcept;
[[nodiscard]] Result<void> wait_for_latest(LatestLayout& layout, std::uint64_t since,
                                           Deadline deadline) noexcept;
[[nodiscard]] Result<void> poll_for_latest(const LatestLayout& layout, std::uint64_t since,
                                           Deadline deadline,
                                           std::chrono::nanoseconds every) noexcept;

}  // namespace detail

template <LatestValue T>
class Latest {
public:
    struct Reading {
        Reading() noexcept {}  // NOLINT: what is read comes into `value`; it is not written twice

        T value;
        std::uint64_t number = 0;  // the first value ever is 1; a gap tells of values not read
        std::chrono::steady_clock::time_point written_at{};

        [[nodiscard]] std::chrono::nanoseconds age() const noexcept {
            return std::chrono::steady_clock::now() - written_at;
        }
    };

    // The right to write. Gives it back when it ends.
    class Writer {
    public:
        Writer(Writer&& other) noexcept
            : of_{std::exchange(other.of_, nullptr)}, claim_{other.claim_} {}
        Writer& operator=(Writer&&) = delete;
        ~Writer() {
            if (of_ != nullptr) detail::give_latest_back(of_->layout_, claim_.me);
        }

        // Publishes a value, written at the last tick of the clock (1 to 10 ms ago); returns its
        // number. Wait-free. Errors: forked; not_owner (it left the region, or was moved from)
        Result<std::uint64_t> write(const T& value) noexcept {
            const auto now = sys::coarse_now().count();
            return publish(value, static_cast<std::uint64_t>(now));
        }
        // The same, with its time: of when it was measured, say.
        Result<std::uint64_t> write(const T& value,
                                    std::chrono::steady_clock::time_point when) noexcept {
            const std::chrono::nanoseconds at = when.time_since_epoch();
            return publish(value, static_cast<std::uint64_t>(at.count()));
        }

    private:
        friend class Latest;
        Writer(Latest* of, detail::LatestClaim claim) noexcept : of_{of}, claim_{claim} {}

        Result<std::uint64_t> publish(const T& value, std::uint64_t now_ns) noexcept {
            if (of_ == nullptr) [[unlikely]]
                return fail(Errc::not_owner, "write");
            if (here(of_).me != claim_.me) [[unlikely]]
                return std::unexpected(detail::no_latest_writer(of_->layout_));
            const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
            const std::uint64_t number =
                latest_write(of_->layout_, of_->slots_, bytes, sizeof(T), now_ns);
            if (claim_.fences) [[unlikely]]
                full_fence();
            std::atomic_signal_fence(kSeqCst);  // the compiler must not look before W2
            ring_bell_of_many(of_->layout_.bell);
            return number;
        }

        Latest* of_;  // null: moved from
        detail::LatestClaim claim_;
    };

    constexpr Latest() noexcept = default;
    Latest(const Latest&) = delete;
    Latest& operator=(const Latest&) = delete;

    // Errors: in_use (it has a writer: the step names its process; one that is proven dead, or left
    //         the region, has none), forked
    [[nodiscard]] Result<Writer> claim_writer() noexcept {
        const Result<detail::LatestClaim> claim = detail::claim_latest(layout_);
        if (!claim) return std::unexpected(claim.error());
        return Writer{this, *claim};
    }

    // The newest value. Errors: empty (nothing was ever written), timed_out (overtaken 64 times)
    [[nodiscard]] Result<Reading> read() const noexcept { return read_newer(0); }
    // The newest value, if its number is above `since`. Errors: empty, timed_out
    [[nodiscard]] Result<Reading> read_newer(std::uint64_t since) const noexcept {
        Result<Reading> reading{std::in_place};  // the one object that is returned: no copy of it
        LatestStamp stamp;
        if (const LatestRead read = copy_newer(reading->value, since, stamp);
            read == LatestRead::ok) [[likely]] {
            reading->number = stamp.number;
            reading->written_at = time_of(stamp);
        } else {
            reading = error_of(read);
        }
        return reading;
    }
    // The same for large values: into memory of the caller, which is spoiled when it fails.
    [[nodiscard]] Result<std::uint64_t> read_into(T& to, std::uint64_t since = 0) const noexcept {
        LatestStamp stamp;
        const LatestRead read = copy_newer(to, since, stamp);
        if (read != LatestRead::ok) return error_of(read);
        return stamp.number;
    }

    // Sleeps until there is one. The memory must be writable: the writer looks at a word there.
    // Errors: timed_out; peer_died (its writer is gone: looked for after each slice of the wait);
    //         immediately: empty
    [[nodiscard]] Result<Reading> wait_for_newer(std::uint64_t since,
                                                 Deadline deadline = Deadline::never()) noexcept {
        return after(detail::wait_for_latest(layout_, since, deadline), since);
    }
    // The same for memory that is mapped read-only, which the writer does not see: it looks again
    // and again, `every` so long. Errors: timed_out, peer_died, empty
    [[nodiscard]] Result<Reading> poll_for_newer(
        std::uint64_t since, Deadline deadline = Deadline::never(),
        std::chrono::nanoseconds every = std::chrono::milliseconds{1}) const noexcept {
        return after(detail::poll_for_latest(layout_, since, deadline, every), since);
    }

    // Of the newest value; 0: there is none.
    [[nodiscard]] std::uint64_t number() const noexcept { return layout_.newest.load(kAcquire); }
    [[nodiscard]] bool has_value() const noexcept { return number() != 0; }
    // Who writes; 0: nobody.
    [[nodiscard]] Holder writer() const noexcept { return layout_.writer.load(kAcquire); }
    // Its writer is proven dead, or left the region, and no other one came: nothing newer follows.
    [[nodiscard]] bool writer_gone() const noexcept {
        return detail::latest_writer_gone(layout_, here(this));
    }
    // The same for a reader without a place in the region.
    [[nodiscard]] bool writer_gone(const Participants& participants) const noexcept {
        return detail::latest_writer_gone(layout_, {.me = 0, .participants = &participants});
    }

private:
    [[nodiscard]] LatestRead copy_newer(T& to, std::uint64_t since,
                                        LatestStamp& stamp) const noexcept {
        auto* const bytes = reinterpret_cast<std::byte*>(&to);
        return latest_copy(layout_, slots_, bytes, sizeof(T), since, stamp);
    }
    [[nodiscard]] static std::unexpected<Error> error_of(LatestRead read) noexcept {
        if (read == LatestRead::none) return fail(Errc::empty, "read");
        return fail(Errc::timed_out, "read (overtaken by its writer)");
    }
    [[nodiscard]] Result<Reading> after(const Result<void>& waited,
                                        std::uint64_t since) const noexcept {
        if (!waited) return std::unexpected(waited.error());
        return read_newer(since);
    }
    [[nodiscard]] static std::chrono::steady_clock::time_point time_of(LatestStamp stamp) noexcept {
        return std::chrono::steady_clock::time_point{
            std::chrono::nanoseconds{static_cast<std::int64_t>(stamp.written_ns)}};
    }

    LatestLayout layout_{};
    Atomic<std::uint64_t> slots_[kLatestSlots * latest_step_words(sizeof(T))]{};
};

template <LatestValue T>
struct Layout<Latest<T>> {
    static void append(std::string& text) {
        text += "stoa.latest 1 ";
        detail::append_type<T>(text);
    }
};

}  // namespace stoa
