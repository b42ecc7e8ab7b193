#include "cli/farm/head.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "cli/farm/collector.hpp"
#include "cli/farm/crew.hpp"
#include "cli/farm/feeder.hpp"
#include "cli/farm/messages.hpp"
#include "cli/farm/progress.hpp"
#include "cli/farm/scratch.hpp"
#include "cli/farm/worker.hpp"
#include "cli/say.hpp"
#include "cli/stop.hpp"
#include "stoa/sys/errno.hpp"
#include "stoa/sys/memfd.hpp"

namespace stoa::cli::farm {
namespace {

constexpr std::uint64_t kMaxTaskMemory = 64 * 1024 * 1024;
constexpr std::uint64_t kSpoolWindow = 256 * 1024 * 1024;
constexpr std::uint64_t kSpareChunks = 33;  // for the loans of those who attach
constexpr std::uint64_t kChunkOverhead = 256;
constexpr int kTickMs = 100;

struct Plan {  // options with every default decided
    std::uint32_t workers;
    std::uint64_t window;
    std::uint64_t inline_bytes;
};

Plan plan_of(const Options& options) {
    const std::uint32_t processors = std::max(1U, std::thread::hardware_concurrency());
    Plan plan{};
    plan.workers = options.workers != 0 ? options.workers : processors;
    plan.window =
        options.window != 0 ? options.window : std::max<std::uint64_t>(64, 16ULL * plan.workers);
    plan.inline_bytes = std::min(kInlineBytes, options.cut.block_bytes);
    return plan;
}

MailboxOptions task_options(const Plan& plan) {
    MailboxOptions options{.acknowledged = true, .loan_quota = 1, .role = Role::sends};
    options.capacity = bounded(static_cast<std::uint32_t>(plan.window + plan.workers));
    options.max_bytes = static_cast<std::uint32_t>(sizeof(TaskHeader) + plan.inline_bytes);
    options.reserve_bytes =
        std::min((options.capacity.messages + kSpareChunks) * (options.max_bytes + kChunkOverhead),
                 kMaxTaskMemory);
    return options;
}

MailboxOptions result_options(const Plan& plan) {
    MailboxOptions options{.loan_quota = 1, .role = Role::receives};
    options.capacity = bounded(2 * plan.workers + 12);
    options.max_bytes = sizeof(PartHeader) + kPartBytes;
    options.reserve_bytes =
        (options.capacity.messages + kSpareChunks) * (options.max_bytes + kChunkOverhead);
    return options;
}

Result<RawMailbox> second_handle(const RawMailbox& mailbox, Role role) {
    Result<sys::Fd> file = sys::duplicate(mailbox.file());
    if (!file) return std::unexpected(file.error());
    return RawMailbox::attach(std::move(*file), {.role = role});
}

// What the threads share; the last one frees it.
struct Shared {
    Shared(const Options& chosen, const Plan& planned, RawMailbox task_box, RawMailbox feed,
           RawMailbox result_box, RawMailbox end, Board task_board, Groups command_groups,
           sys::Fd spool_file, sys::Fd done_event)
        : options{chosen},
          plan{planned},
          tasks{std::move(task_box)},
          results{std::move(result_box)},
          spool{std::move(spool_file)},
          done{std::move(done_event)},
          board{std::move(task_board)},
          groups{std::move(command_groups)},
          window{{planned.window, 2ULL * planned.workers, kSpoolWindow}},
          progress{figures, chosen.quiet},
          feeder{{window, board, figures, spool}, std::move(feed), planned.inline_bytes},
          end_of_input{std::move(end)} {}

    Options options;
    Plan plan;
    RawMailbox tasks;    // the watcher's
    RawMailbox results;  // the collecting thread's
    sys::Fd spool;
    sys::Fd done;  // an eventfd: the collecting thread ended
    Board board;
    Groups groups;
    Window window;
    Figures figures;
    Progress progress;
    Feeder feeder;            // the feeding thread's
    RawMailbox end_of_input;  // the feeding thread's
    Exit input_exit = Exit::done;
    Exit collected = Exit::done;
};

// Everything the threads and workers need. Errors: out_of_space, limit_reached, os
Result<std::shared_ptr<Shared>> prepare(const Options& options, const Plan& plan) {
    Result<RawMailbox> tasks = RawMailbox::create_anonymous(task_options(plan));
    if (!tasks) return std::unexpected(tasks.error());
    Result<RawMailbox> results = RawMailbox::create_anonymous(result_options(plan));
    if (!results) return std::unexpected(results.error());
    Result<RawMailbox> feed = second_handle(*tasks, Role::sends);
    if (!feed) return std::unexpected(feed.error());
    Result<RawMailbox> end = second_handle(*results, Role::sends);
    if (!end) return std::unexpected(end.error());
    Result<Board> board = Board::create(plan.window);
    if (!board) return std::unexpected(board.error());
    Result<Groups> groups = Groups::create(plan.workers);
    if (!groups) return std::unexpected(groups.error());
    Result<sys::Fd> spool = make_scratch();
    if (!spool) return std::unexpected(spool.error());
    sys::Fd done{::eventfd(0, EFD_CLOEXEC)};
    if (!done.valid()) return sys::fail_errno("eventfd");
    return std::make_shared<Shared>(options, plan, std::move(*tasks), std::move(*feed),
                                    std::move(*results), std::move(*end), std::move(*board),
                                    std::move(*groups), std::move(*spool), std::move(done));
}

void feed(Shared& shared) {
    Cutter cutter{STDIN_FILENO, shared.options.cut};
    if (Result<void> fed = shared.feeder.feed(cutter); !fed) {
        shared.progress.say("standard input: " + describe(fed.error()));
        shared.input_exit = Exit::failed;
    }
    shared.figures.input_ended.store(true, kRelaxed);
    const PartHeader end{.task = shared.feeder.tasks(), .kind = PartKind::end_of_input};
    (void)shared.end_of_input.send(std::as_bytes(std::span{&end, 1}));
}

Exit collect(Shared& shared) {
    Collector collector{{shared.window, shared.board, shared.figures, shared.spool,
                         [&](const std::string& text) { shared.progress.say(text); }},
                        Output::standard(),
                        shared.plan.window};
    const bool mixes = ::isatty(STDOUT_FILENO) == 1;  // results and progress on one terminal
    for (;;) {
        Result<RawMessage> message = shared.results.try_receive();
        if (!message && message.error().code == Errc::empty) {
            if (mixes) shared.progress.hide();
            if (const Exit exit = collector.flush(); exit != Exit::done) return exit;
            message = shared.results.receive();
        }
        if (!message) return complain("farm: results", message.error());
        if (mixes) shared.progress.hide();
        const Collector::Taken taken = collector.take(message->bytes());
        if (taken.finished || taken.exit != Exit::done) return taken.exit;
    }
}

// Signals are the watcher's: no other thread is interrupted by them.
// Memory or threads ran out in the midst of it. The workers end with this process, as they do when
// it is killed.
[[noreturn]] void give_up(const std::exception& error) noexcept {
    complain(std::string{"farm: "} + error.what() +
             "; raise the limits of this process (ulimit -v, ulimit -u) or take a smaller --block");
    std::_Exit(static_cast<int>(Exit::failed));
}

template <typename Body>
std::thread start_thread(const std::shared_ptr<Shared>& shared, Body body) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    (void)::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread{[shared, body] {
        try {
            body(*shared);
        } catch (const std::exception& error) {
            give_up(error);
        }
    }};
    (void)::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
}

std::uint64_t redelivered(Shared& shared) {
    return shared.tasks.attachment().pool(0).ring().counts().redelivered;
}

// SIGCHLD as something to poll; the mask before it goes to COMMAND.
class DeathWatch {
public:
    DeathWatch() {
        (void)::signal(SIGCHLD, SIG_DFL);  // were it ignored, no exit status could be read
        sigset_t child;
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        (void)::pthread_sigmask(SIG_BLOCK, &child, &before_);
        file_ = sys::Fd{::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK)};
    }
    DeathWatch(const DeathWatch&) = delete;
    DeathWatch& operator=(const DeathWatch&) = delete;
    ~DeathWatch() { (void)::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    [[nodiscard]] int file() const noexcept { return file_.get(); }
    [[nodiscard]] const sigset_t& mask_before() const noexcept { return before_; }
    void clear() const noexcept {
        signalfd_siginfo told;
        while (::read(file_.get(), &told, sizeof told) > 0) {
        }
    }

private:
    sigset_t before_{};
    sys::Fd file_;
};

// Keeps the crew at its number. nullopt: the collecting thread ended; else why to end before it.
std::optional<Exit> watch(Shared& shared, Crew& crew, const DeathWatch& deaths) {
    for (;;) {
        if (stop_requested()) return Exit::stopped;
        if (Result<void> filled = crew.fill(); !filled && crew.empty()) {
            return complain("farm", filled.error());
        }
        shared.progress.draw(shared.progress.shows() ? redelivered(shared) : 0);
        pollfd looks[] = {{shared.done.get(), POLLIN, 0}, {deaths.file(), POLLIN, 0}};
        const bool ticks = shared.progress.shows() || !crew.complete();
        if (::poll(looks, 2, ticks ? kTickMs : -1) <= 0) continue;
        if (looks[0].revents != 0) return std::nullopt;
        deaths.clear();
        if (!crew.reap()) return Exit::failed;
    }
}

Exit cannot_report(const Options& options) {
    complain(fmt::format("farm: the report cannot be written to {}", options.report));
    return Exit::failed;
}

Exit write_report(Shared& shared, const Crew& crew, double seconds) {
    const Figures& figures = shared.figures;
    const nlohmann::json facts{{"tasks", figures.tasks_done.load(kRelaxed)},
                               {"failed", figures.tasks_failed.load(kRelaxed)},
                               {"failed_by_deaths", figures.tasks_deadly.load(kRelaxed)},
                               {"command_failures", figures.failures.load(kRelaxed)},
                               {"bytes", figures.bytes_done.load(kRelaxed)},
                               {"bytes_out", figures.bytes_out.load(kRelaxed)},
                               {"bytes_spilled", figures.bytes_spilled.load(kRelaxed)},
                               {"seconds", seconds},
                               {"redelivered", redelivered(shared)},
                               {"workers", shared.plan.workers},
                               {"worker_pids", crew.started()},
                               {"killed_pids", crew.killed()}};
    std::ofstream file{shared.options.report};
    file << facts.dump() << '\n';
    file.close();
    if (file) return Exit::done;
    return cannot_report(shared.options);
}

// Before any work is done. What the file holds stays until there is something to report.
Exit try_report(const Options& options) {
    if (options.report.empty()) return Exit::done;
    const std::ofstream file{options.report, std::ios::app};
    return file ? Exit::done : cannot_report(options);
}

Exit finish(Shared& shared, const Crew& crew, Exit exit) {
    const double seconds = shared.progress.seconds();
    shared.progress.hide();
    if (exit == Exit::done) {
        exit = shared.input_exit;
        if (shared.figures.tasks_failed.load(kRelaxed) != 0) exit = Exit::failed;
    }
    if (shared.options.report.empty()) return exit;
    const Exit reported = write_report(shared, crew, seconds);
    return exit == Exit::done ? reported : exit;
}

}  // namespace

Exit run(const Options& options) {
    if (!can_print()) return Exit::failed;
    Result<Program> program = Program::find(options.command);
    if (!program) {
        complain(
            fmt::format("farm: {} is not a program that can be run; give its path, or set "
                        "PATH",
                        options.command.front()));
        return Exit::usage;
    }
    if (const Exit tried = try_report(options); tried != Exit::done) return tried;
    catch_stop_signals();
    const Plan plan = plan_of(options);
    const Result<std::shared_ptr<Shared>> prepared = prepare(options, plan);
    if (!prepared) return complain("farm", prepared.error());
    const std::shared_ptr<Shared>& shared = *prepared;
    const DeathWatch deaths;
    const pid_t head = ::getpid();
    Crew crew{plan.workers, shared->groups, [&](std::uint32_t place, std::uint32_t serial) {
                  work({shared->tasks.file(), shared->results.file(), shared->spool, *program,
                        shared->board, shared->groups, deaths.mask_before(), place, serial,
                        options.retries, options.deaths, head});
              }};
    if (Result<void> filled = crew.fill(); !filled) return complain("farm", filled.error());
    std::thread feeding;
    std::thread collecting;
    try {
        feeding = start_thread(shared, [](Shared& s) { feed(s); });
        collecting = start_thread(shared, [](Shared& s) {
            s.collected = collect(s);
            const std::uint64_t one = 1;
            [[maybe_unused]] const ssize_t told = ::write(s.done.get(), &one, sizeof one);
        });
    } catch (const std::exception& error) {
        give_up(error);
    }
    const std::optional<Exit> early = watch(*shared, crew, deaths);
    crew.dismiss();
    // A thread that is still blocked in a read or write ends with the process.
    early ? collecting.detach() : collecting.join();
    const Exit exit = early ? *early : shared->collected;
    exit == Exit::done ? feeding.join() : feeding.detach();
    return finish(*shared, crew, exit);
}

}  // namespace stoa::cli::farm
