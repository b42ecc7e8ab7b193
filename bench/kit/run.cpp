#include "bench/kit/run.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "bench/kit/placement.hpp"
#include "bench/kit/report.hpp"
#include "bench/kit/workloads.hpp"

namespace stoa::bench {

namespace {

using Group = std::vector<Cell>;

constexpr double kLongest = 2.0;  // seconds of one measurement

bool wanted(const std::vector<std::string>& names, std::string_view name) {
    return names.empty() || std::ranges::find(names, name) != names.end();
}

// What is wrong with the names in `options`; empty when nothing is.
std::string unknown_name(const Options& options, const Subjects& subjects) {
    std::set<std::string> workloads;
    for (const Question& question : questions()) workloads.emplace(name(question.workload));
    std::set<std::string> known;
    for (const Subject& subject : subjects.list) known.insert(subject.name);
    for (const LeftOut& left_out : subjects.left_out) known.insert(left_out.name);
    std::set<std::string> modes;
    for (int mode = 0; mode <= static_cast<int>(Mode::one_core); ++mode) {
        modes.emplace(name(static_cast<Mode>(mode)));
    }
    std::vector<std::string> subject_names = options.subjects;
    if (!options.beside.empty()) subject_names.push_back(options.beside);
    const auto check = [](const char* what, const std::vector<std::string>& names,
                          const std::set<std::string>& of) {
        for (const std::string& text : names) {
            if (of.contains(text)) continue;
            std::string message = std::string{"no "} + what + " is called " + text + "; there are:";
            for (const std::string& one : of) message.append(" ").append(one);
            return message;
        }
        return std::string{};
    };
    std::string wrong = check("workload", options.workloads, workloads);
    if (wrong.empty()) wrong = check("subject", subject_names, known);
    if (wrong.empty()) wrong = check("mode", options.modes, modes);
    return wrong;
}

// A machine with one cpu cannot spin: the peer would wait for the end of a time slice.
bool possible(const Case& c, const Machine& machine) {
    return machine.cpus.size() > 1 || c.waiting() != Waiting::spin;
}

Group cells_of(const std::vector<Case>& cases, const Options& options, const Subjects& subjects,
               const Machine& machine) {
    Group cells;
    for (Case c : cases) {
        c.verify = options.verify;
        if (!wanted(options.modes, name(c.mode)) || !possible(c, machine)) continue;
        if (!options.bytes.empty() &&
            std::ranges::find(options.bytes, c.bytes) == options.bytes.end()) {
            continue;
        }
        for (const Subject& subject : subjects.list) {
            if (!wanted(options.subjects, subject.name) || !subject.supports(c)) continue;
            cells.push_back(
                {.c = c, .subject = subject.name, .kind = subject.kind, .from = &subject});
        }
    }
    return cells;
}

struct Plan {
    std::vector<Group> groups;
    unsigned rounds = 0;
    Timing timing;
    double cell_seconds = 1e6;  // for all rounds of a cell
};

Plan plan_of(const Options& options, const Subjects& subjects, const Machine& machine) {
    Plan plan;
    std::size_t count = 0;
    for (const Question& question : questions()) {
        if (!wanted(options.workloads, name(question.workload))) continue;
        for (const auto& cases : groups_of(question.workload)) {
            Group cells = cells_of(cases, options, subjects, machine);
            count += cells.size();
            if (!cells.empty()) plan.groups.push_back(std::move(cells));
        }
    }
    plan.rounds = options.quick ? 3 : std::max(options.rounds, 1U);
    plan.timing.seconds = options.quick ? 0.02 : 0.05;
    plan.timing.first = options.first;
    if (options.seconds > 0 && count > 0) {
        constexpr double overhead = 0.015;  // to make a subject, fork, connect and end
        constexpr double least = 0.004;
        const auto each = [&] {
            const double share = options.seconds / static_cast<double>(count * plan.rounds);
            return (share - overhead) / 1.1;
        };
        while (plan.rounds > 3 && each() < least) --plan.rounds;
        plan.timing.seconds = std::max(each(), least);
        plan.cell_seconds = options.seconds / static_cast<double>(count);
    }
    return plan;
}

class Runner {
public:
    Runner(const Machine& machine, bool patient, std::ostream& notes)
        : machine_{&machine}, patient_{patient}, notes_{&notes} {}

    // Subjects take turns within each round, so that a drift of the machine meets all of them.
    // After the first round it stops when `seconds` have passed.
    void run(Group& group, unsigned rounds, const Timing& timing, double seconds) {
        const std::uint64_t end = monotonic_ns() + static_cast<std::uint64_t>(seconds * 1e9);
        for (unsigned round = 0; round < rounds; ++round) {
            if (round > 0 && monotonic_ns() >= end) return;
            for (Cell& cell : group) {
                if (cell.failure.empty()) run_once(cell, timing);
            }
        }
    }
    [[nodiscard]] bool failed() const noexcept { return failed_; }

private:
    // Other programs on these cpus spoil a figure: tries again, and takes the quietest of a few.
    [[nodiscard]] Sample measure_quietly(const Subject& subject, const Case& c,
                                         const Timing& timing) const {
        Sample best = measure(subject, c, machine_->cpus, timing);
        if (!patient_ || !knows_disturbance(c)) return best;
        for (int i = 0; i < 3 && best.failure.empty() && best.disturbed > 0.02; ++i) {
            Sample again = measure(subject, c, machine_->cpus, timing);
            if (!again.failure.empty() || again.disturbed < best.disturbed) best = std::move(again);
        }
        return best;
    }
    // A slow subject or a busy machine may need more time to show anything at all.
    [[nodiscard]] Sample measure_something(const Cell& cell, Timing timing) const {
        for (;;) {
            Sample sample = measure_quietly(*cell.from, cell.c, timing);
            if (!sample.failure.empty() || sample.rate > 0) return sample;
            timing.seconds *= 4;
            if (timing.seconds > kLongest) return {.failure = "nothing arrived in time"};
        }
    }
    void run_once(Cell& cell, const Timing& timing) {
        try {
            Sample sample = measure_something(cell, timing);
            if (sample.failure.empty()) return cell.rounds.push_back(std::move(sample));
            failed_ = true;
            cell.failure = sample.failure;
            *notes_ << cell.subject << ", " << describe(cell.c) << ": failed: " << cell.failure
                    << '\n'
                    << std::flush;
        } catch (const std::exception& error) {
            cell.failure = error.what();
            if (told_.insert(cell.subject + cell.failure).second) {
                *notes_ << cell.subject << " left out: " << cell.failure << '\n' << std::flush;
            }
        }
    }

    const Machine* machine_;
    bool patient_;  // takes the time to repeat what another program disturbed
    std::ostream* notes_;
    std::set<std::string> told_;
    bool failed_ = false;
};

// What a cache line takes there and back right now. A virtual machine's two cpus may be moved to
// one core and away from it, which changes everything threefold: figures compare only beside this
// one.
double line_now_us(const Subjects& subjects, const Machine& machine, bool first) {
    const auto line = std::ranges::find(subjects.list, "line", &Subject::name);
    if (line == subjects.list.end() || machine.cpus.size() < 2) return 0;
    const Case c{.workload = Workload::round_trip, .mode = Mode::spin, .bytes = 8};
    return measure(*line, c, machine.cpus, {.seconds = 0.005, .first = first}).p50_us;
}

void print_question(std::ostream& out, Workload workload) {
    for (const Question& question : questions()) {
        if (question.workload != workload) continue;
        out << "# " << name(workload) << ": " << question.asks
            << "\n#   not measured: " << question.leaves_out << "\n#   expect: " << question.expect
            << "\n\n";
    }
}

void note_left_out(const Options& options, const Subjects& subjects, std::ostream& notes) {
    for (const LeftOut& left_out : subjects.left_out) {
        if (!wanted(options.subjects, left_out.name)) continue;
        notes << left_out.name << " left out: " << left_out.why << '\n';
    }
}

}  // namespace

int run_bench(const Options& options, const Subjects& subjects, std::ostream& out,
              std::ostream& notes) {
    const std::string unknown = unknown_name(options, subjects);
    if (!unknown.empty()) {
        notes << unknown << '\n';
        return 2;
    }
    const Machine machine = this_machine();
    Plan plan = plan_of(options, subjects, machine);
    if (plan.groups.empty()) {
        notes << "nothing of this is measured: no workload has such sizes with such subjects; "
                 "`stoa bench --quick --json` tells which there are\n";
        return 2;
    }
    note_left_out(options, subjects, notes);
    if (options.first && geteuid() != 0) notes << "--first: only root may run before others\n";
    if (machine.cpus.size() == 1) notes << "one cpu: nothing that spins is measured\n";
    const bool table = !options.json && options.beside.empty();
    if (table) {
        out << describe(machine) << "; " << plan.rounds << " rounds of " << plan.timing.seconds
            << " s\n\n";
    }
    Runner runner{machine, options.seconds <= 0, notes};
    std::vector<Row> rows;
    for (std::size_t i = 0; i < plan.groups.size(); ++i) {
        Group& group = plan.groups[i];
        const Workload workload = group.front().c.workload;
        const bool first = i == 0 || plan.groups[i - 1].front().c.workload != workload;
        if (table && first) print_question(out, workload);
        const double line_us = line_now_us(subjects, machine, options.first);
        runner.run(group, plan.rounds, plan.timing,
                   plan.cell_seconds * static_cast<double>(group.size()));
        std::vector<Row> here = rows_of(group);
        for (Row& row : here) row.line_us = line_us;
        if (table) print_table(out, here);
        if (!options.beside.empty() && !options.json) print_beside(out, here, options.beside);
        rows.insert(rows.end(), here.begin(), here.end());
    }
    if (options.json) print_json(out, rows, machine);
    return runner.failed() ? 1 : 0;
}

}  // namespace stoa::bench
