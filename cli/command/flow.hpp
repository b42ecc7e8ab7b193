// What send and recv share: framing options, and waits that see Ctrl-C.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "cli/command/command.hpp"
#include "cli/exit.hpp"
#include "cli/framing.hpp"
#include "cli/stop.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"

namespace stoa::cli {

struct FlowOptions {
    std::string name;
    bool null = false;
    bool length_prefixed = false;
    std::optional<std::chrono::nanoseconds> timeout;
    bool no_wait = false;

    [[nodiscard]] Framing framing() const noexcept {
        if (null) return Framing::null;
        return length_prefixed ? Framing::length_prefixed : Framing::lines;
    }
    [[nodiscard]] Deadline deadline() const noexcept {
        if (no_wait) return Deadline::immediately();
        return timeout ? Deadline::after(*timeout) : Deadline::never();
    }
};

void add_flow_options(CLI::App& verb, FlowOptions& options, const std::string& timeout_help,
                      const std::string& no_wait_help);

// Feeds what standard input has now, or its end. Not done: stopped, or an error that was told, of
// the verb as `what` calls it.
Exit read_more(FrameReader& reader, const std::string& what);

// Repeats attempt(Deadline) in slices of 100 ms until it does not time out, the deadline passes or
// go_on() says no (then the error is timed_out as well). In between the dead are recovered.
template <typename Attempt, typename GoOn>
auto in_slices(RawMailbox& mailbox, Deadline deadline, Attempt&& attempt, GoOn&& go_on)
    -> decltype(attempt(deadline)) {
    constexpr std::chrono::milliseconds kSlice{100};
    for (;;) {
        auto result = attempt(Deadline::after(deadline.left(kSlice)));
        if (result) return result;
        const Errc code = result.error().code;
        if (code == Errc::full && mailbox.plan().overflow == Overflow::reject) return result;
        if (code != Errc::timed_out && code != Errc::full && code != Errc::empty) return result;
        if (deadline.passed() || !go_on()) return fail(Errc::timed_out, "wait");
        if (Result<void> looked = mailbox.attachment().look_around(); !looked) {
            return std::unexpected(looked.error());
        }
    }
}

}  // namespace stoa::cli
