#include "cli/farm/collector.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <cstring>

#include "cli/farm/scratch.hpp"
#include "cli/say.hpp"
#include "cli/units.hpp"

namespace stoa::cli::farm {
namespace {

constexpr std::size_t kFlushBytes = 64 * 1024;

bool failed(const PartHeader& end) noexcept {
    return end.status != 0 || end.start_errno != 0 || end.deaths != 0;
}

std::string how_it_ended(const PartHeader& end) {
    if (end.start_errno != 0) {
        return fmt::format("COMMAND cannot be started: {}", std::strerror(end.start_errno));
    }
    if (WIFSIGNALED(end.status)) {
        const int signal = WTERMSIG(end.status);
        return fmt::format("killed by signal {} ({})", signal, ::strsignal(signal));
    }
    return fmt::format("exit status {}", WEXITSTATUS(end.status));
}

}  // namespace

// The task is over: its result was written, or left out.
void Collector::leave(const Slot& done) {
    const TaskExtent extent = around_.window.leave();
    discard(around_.spool, extent.spool_offset, extent.spool_bytes);
    Figures& figures = around_.figures;
    figures.bytes_done.fetch_add(extent.bytes, kRelaxed);
    figures.tasks_done.fetch_add(1, kRelaxed);
    figures.failures.fetch_add(done.failures, kRelaxed);
    ++next_;
    if (!failed(done.end)) return;
    figures.tasks_failed.fetch_add(1, kRelaxed);
    if (done.end.deaths != 0) {
        figures.tasks_deadly.fetch_add(1, kRelaxed);
        around_.say(fmt::format("task {} failed: {} with it; its output is left out",
                                done.end.task + 1,
                                counted(done.end.deaths, "worker died", "workers died")));
        return;
    }
    around_.say(fmt::format("task {} failed {}, the last time: {}; its output is left out",
                            done.end.task + 1, counted(done.failures, "time", "times"),
                            how_it_ended(done.end)));
}

Exit Collector::flush() {
    return output_.exit_of(output_.flush());
}

Exit Collector::write(Bytes bytes) {
    output_.append(bytes);
    around_.figures.bytes_out.fetch_add(bytes.size(), kRelaxed);
    return output_.pending() >= kFlushBytes ? flush() : Exit::done;
}

Exit Collector::write_held(const HeldResult& held) {
    if (held.spilled()) around_.figures.bytes_spilled.fetch_add(held.bytes(), kRelaxed);
    const Result<Exit> written = held.for_each([&](Bytes bytes) { return write(bytes); });
    return written ? *written : complain("farm", written.error());
}

Exit Collector::write_complete() {
    while (slot(next_).complete) {
        Slot& done = slot(next_);
        done.complete = false;
        if (!failed(done.end)) {
            if (const Exit exit = write_held(done.held); exit != Exit::done) return exit;
        }
        done.held.clear(budget_);
        leave(done);
    }
    return Exit::done;
}

Exit Collector::take_part(const PartHeader& part, Bytes bytes) {
    Slot& at = slot(part.task);
    if (part.task < next_ || at.complete) return Exit::done;  // it came before
    if (part.part == 0) {                                     // a new attempt replaces the last one
        at.held.clear(budget_);
        at.attempt = part.attempt;
        at.parts = 0;
    }
    if (at.attempt != part.attempt || at.parts != part.part) return Exit::done;
    ++at.parts;
    const bool last = part.kind == PartKind::last;
    if (last) {
        at.end = part;
        at.failures = around_.board.close(part.task);
    }
    if (last && part.part == 0 && part.task == next_ && !failed(part)) {  // straight through
        if (const Exit exit = write(bytes); exit != Exit::done) return exit;
        leave(at);
        return write_complete();
    }
    if (!last || !failed(part)) {
        const Result<void> held = at.held.append(bytes, budget_);
        if (!held) return complain("farm", held.error());
    }
    if (!last) return Exit::done;
    at.complete = true;
    return write_complete();
}

Collector::Taken Collector::take(Bytes message) {
    const auto part = header_of<PartHeader>(message);
    Exit exit = Exit::done;
    if (part.kind == PartKind::end_of_input) {
        total_ = part.task;
    } else {
        exit = take_part(part, message.subspan(sizeof part));
    }
    if (exit != Exit::done) return {false, exit};
    const bool finished = total_ && next_ == *total_;
    return {finished, finished ? flush() : Exit::done};
}

}  // namespace stoa::cli::farm
