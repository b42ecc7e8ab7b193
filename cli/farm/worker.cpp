#include "cli/farm/worker.hpp"

#include <sys/prctl.h>
#include <unistd.h>

#include <cstring>
#include <exception>

#include "cli/farm/messages.hpp"
#include "cli/say.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "stoa/sys/memfd.hpp"

namespace stoa::cli::farm {
namespace {

// What the head does with a signal is not for its workers, but ignored ones stay ignored. Writing
// into a pipe that nobody reads stays an error, as in the head.
void reset_signals(const sigset_t& mask) noexcept {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGALRM}) {
        struct sigaction action{};
        if (::sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
        action = {};
        action.sa_handler = SIG_DFL;
        (void)::sigaction(signal, &action, nullptr);
    }
    (void)::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

Result<RawMailbox> attach(const sys::Fd& file, Role role) {
    Result<sys::Fd> own = sys::duplicate(file);
    if (!own) return std::unexpected(own.error());
    return RawMailbox::attach(std::move(*own), {.role = role});
}

class Worker {
public:
    Worker(const WorkerOrders& orders, RawMailbox tasks, RawMailbox results, sys::Mapping note)
        : orders_{orders},
          tasks_{std::move(tasks)},
          results_{std::move(results)},
          note_{std::move(note)},
          host_{orders.program, orders.mask, note_, orders.groups, orders.place, orders.serial},
          attempt_{std::uint64_t{orders.serial} << 32U} {}

    // Until an error. A task is acked after the last part of its result was sent: whoever dies
    // before that leaves the task to another worker.
    [[nodiscard]] Error serve() {
        for (;;) {
            Result<RawMessage> message = tasks_.receive();
            if (!message) return message.error();
            const std::uint32_t deaths = message->earlier_deliveries();
            const bool deadly = orders_.deaths != 0 && deaths >= orders_.deaths;
            const Result<void> done =
                deadly ? give_up(message->bytes(), deaths) : run_task(message->bytes());
            if (!done) return done.error();
            if (Result<void> acked = message->ack(); !acked) return acked.error();
        }
    }

private:
    [[nodiscard]] Result<void> give_up(Bytes message, std::uint32_t deaths) {
        const auto task = header_of<TaskHeader>(message);
        if (!orders_.board.wanted(task.number)) return {};
        const PartHeader part{
            .task = task.number, .attempt = ++attempt_, .kind = PartKind::last, .deaths = deaths};
        return results_.send(Bytes{std::as_bytes(std::span{&part, 1})});
    }

    [[nodiscard]] Result<void> run_task(Bytes message) {
        const auto task = header_of<TaskHeader>(message);
        Input input{.bytes = task.bytes};
        if (task.spool_offset == kInline) {
            input.memory = message.subspan(sizeof task);
        } else {
            input.file = &orders_.spool;
            input.offset = task.spool_offset;
        }
        while (orders_.board.wanted(task.number)) {
            const Result<bool> settled = run_once(task.number, input);
            if (!settled) return std::unexpected(settled.error());
            if (*settled) break;
        }
        return {};
    }

    // One attempt; false: COMMAND failed and has another chance.
    [[nodiscard]] Result<bool> run_once(std::uint64_t task, const Input& input) {
        PartHeader part{.task = task, .attempt = ++attempt_};
        CommandRun run{host_, input};
        for (;;) {
            Result<RawLoan> loan = results_.loan(sizeof part + kPartBytes);
            if (!loan) return std::unexpected(loan.error());
            const std::span<std::byte> room = loan->room().subspan(sizeof part, kPartBytes);
            const Result<std::size_t> filled = fill(run, room);
            if (!filled) return std::unexpected(filled.error());
            if (*filled < room.size()) {
                const Result<Ended> ended = run.finish();
                if (!ended) return std::unexpected(ended.error());
                if (!ended->ok() && orders_.board.count_failure(task) <= orders_.retries) {
                    return false;  // the head drops this attempt when the next one begins
                }
                part.kind = PartKind::last;
                part.status = ended->status;
                part.start_errno = ended->start_errno;
            }
            std::memcpy(loan->room().data(), &part, sizeof part);
            if (Result<void> sent = loan->commit(sizeof part + *filled); !sent) {
                return std::unexpected(sent.error());
            }
            if (part.kind == PartKind::last) return true;
            ++part.part;
        }
    }

    // Less than all of the room: the output ended.
    [[nodiscard]] static Result<std::size_t> fill(CommandRun& run, std::span<std::byte> room) {
        std::size_t filled = 0;
        while (filled < room.size()) {
            const Result<std::size_t> count = run.read(room.subspan(filled));
            if (!count) return count;
            if (*count == 0) break;
            filled += *count;
        }
        return filled;
    }

    const WorkerOrders& orders_;
    RawMailbox tasks_;
    RawMailbox results_;
    sys::Mapping note_;
    Host host_;
    std::uint64_t attempt_;
};

Error serve(const WorkerOrders& orders) {
    Result<RawMailbox> results = attach(orders.results, Role::sends);
    if (!results) return results.error();
    Result<RawMailbox> tasks = attach(orders.tasks, Role::receives);
    if (!tasks) return tasks.error();
    Result<sys::Mapping> note = sys::map_anonymous_shared(kPage);
    if (!note) return note.error();
    return Worker{orders, std::move(*tasks), std::move(*results), std::move(*note)}.serve();
}

}  // namespace

void work(const WorkerOrders& orders) noexcept {
    reset_signals(orders.mask);
    // The kernel kills us when the head dies; if it died before we asked for that, leave.
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != orders.head) ::_exit(1);
    (void)::prctl(PR_SET_NAME, "stoa-worker");
    try {
        complain("farm: a worker cannot go on", serve(orders));
    } catch (const std::exception& error) {
        complain(error.what());
    }
    ::_exit(1);
}

}  // namespace stoa::cli::farm
