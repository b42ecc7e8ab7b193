// Once: exactly one of all threads and processes does it, and nobody goes on before it is done.
//
// Start here: Once::call(function, arguments...).
// Threads:    safe. The function must not call the same Once.
// Processes:  lies in a region, or in memory of one process; all zero: not done.
// Death:      of who runs it, or an exception from it: the next one, who may be waiting, runs it
//             and is told owner_died, for half of it may be there. What was done stays done.
// Blocking:   call, while another one runs it; call_until no longer than that.
// Lifetime:   the memory must stay mapped.
// Units:      8 bytes.
// Source:     std::call_once, with a word that names who runs it.
#pragma once

#include <functional>
#include <type_traits>
#include <utility>

#include "stoa/base/type_info.hpp"
#include "stoa/sync/holder_word.hpp"
#include "stoa/sync/mutex_kinds_layout.hpp"

namespace stoa {

class Once {
public:
    constexpr Once() noexcept = default;
    Once(const Once&) = delete;
    Once& operator=(const Once&) = delete;

    // Runs function(Held, arguments...), or function(arguments...), unless it was done. What it
    // throws goes to the caller. True: this call has done it.
    // Errors: forked
    template <typename Function, typename... Arguments>
    Result<bool> call(Function&& function, Arguments&&... arguments) {
        return call_until(Deadline::never(), std::forward<Function>(function),
                          std::forward<Arguments>(arguments)...);
    }
    // Errors: forked, timed_out, in_use (immediately: another one runs it)
    template <typename Function, typename... Arguments>
    Result<bool> call_until(Deadline deadline, Function&& function, Arguments&&... arguments) {
        if (is_done()) return false;
        const Result<Held> held = begin(deadline);
        if (!held && held.error().code == Errc::poisoned) return false;  // done meanwhile
        if (!held) return std::unexpected{held.error()};
        Run run{*this};
        if constexpr (std::is_invocable_v<Function, Held, Arguments...>) {
            std::invoke(std::forward<Function>(function), *held,
                        std::forward<Arguments>(arguments)...);
        } else {
            std::invoke(std::forward<Function>(function), std::forward<Arguments>(arguments)...);
        }
        run.is_done = true;
        return true;
    }

    // acquire: what the one who did it wrote is there.
    [[nodiscard]] bool is_done() const noexcept {
        return (layout_.word.load(kAcquire) & kDone) != 0;
    }
    // Who runs it now; 0: nobody.
    [[nodiscard]] Holder runner() const noexcept {
        return LockWord::holder(layout_.word.load(kSeqCst));
    }

private:
    // Nobody gets it any more, as of a mutex that is poisoned.
    static constexpr std::uint64_t kDone = LockWord::kPoisoned;

    struct Run {
        explicit Run(Once& its) noexcept : once{its} {}
        Run(const Run&) = delete;
        Run& operator=(const Run&) = delete;
        ~Run() { once.end(is_done); }

        Once& once;
        bool is_done = false;
    };

    [[nodiscard]] Result<Held> begin(Deadline deadline) noexcept;
    void end(bool is_done) noexcept;

    OnceLayout layout_{};
};

template <>
struct Layout<Once> {
    static constexpr std::string_view name = "stoa.once 1";
};

}  // namespace stoa
