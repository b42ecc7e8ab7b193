#include "bench/kit/results.hpp"

#include <algorithm>

namespace stoa::bench {

namespace {

const Cell* cell_of(const std::vector<Cell>& group, std::string_view subject, Mode mode) {
    const auto found = std::ranges::find_if(group, [&](const Cell& cell) {
        return cell.subject == subject && cell.c.mode == mode && cell.failure.empty();
    });
    return found == group.end() ? nullptr : &*found;
}

const Cell* best_of(const std::vector<Cell>& group, Kind kind, Mode mode, Metric metric) {
    const Cell* best = nullptr;
    for (const Cell& cell : group) {
        if (cell.kind != kind || cell.c.mode != mode || !cell.failure.empty()) continue;
        if (best == nullptr) {
            best = &cell;
            continue;
        }
        const double here = median_of(cell, metric);
        const double there = median_of(*best, metric);
        if (lower_is_better(metric) ? here < there : here > there) best = &cell;
    }
    return best;
}

const Goal* goal_of(const Cell& cell, Metric metric) {
    const Goal* other = nullptr;  // of another subject: says which limit to compare with
    for (const Goal& goal : goals()) {
        if (!goal.is_for(cell.c) || goal.metric != metric) continue;
        if (goal.subject == cell.subject) return &goal;
        if (other == nullptr) other = &goal;
    }
    return other;
}

const Cell* limit_of(const std::vector<Cell>& group, const Cell& cell, const Goal& goal) {
    if (goal.limit.empty()) return nullptr;
    if (goal.limit == kItself && cell.kind != Kind::stoa) return nullptr;
    if (goal.limit == kBestLimit) {
        return best_of(group, Kind::limit, goal.limit_mode, goal.metric);
    }
    return cell_of(group, goal.limit == kItself ? cell.subject : goal.limit, goal.limit_mode);
}

bool reaches(double ratio, double wanted, Metric metric) {
    return lower_is_better(metric) ? ratio <= wanted : ratio >= wanted;
}

// False as soon as one part is missed, nothing when a part could not be compared.
std::optional<bool> meets(const Goal& goal, const Row& row) {
    bool unknown = false;
    const auto part = [&](double wanted, const std::optional<double>& ratio) {
        if (wanted <= 0) return true;
        if (!ratio) unknown = true;
        return !ratio || reaches(*ratio, wanted, goal.metric);
    };
    if (!part(goal.to_limit, row.ratio_to_limit)) return false;
    if (!part(goal.to_rival, row.ratio_to_best_rival)) return false;
    if (goal.absolute > 0 && row.median > goal.absolute) return false;
    if (unknown) return std::nullopt;
    return true;
}

void compare(Row& row, const std::vector<Cell>& group, const Cell& cell) {
    const Goal* goal = goal_of(cell, row.metric);
    if (goal != nullptr) {
        const Cell* limit = limit_of(group, cell, *goal);
        if (limit != nullptr && limit != &cell) {
            row.limit = limit->subject;
            row.ratio_to_limit = ratio_of(cell, *limit, row.metric);
        }
    }
    const Cell* rival = best_of(group, Kind::rival, cell.c.mode, row.metric);
    if (rival != nullptr && rival != &cell) {
        row.best_rival = rival->subject;
        row.ratio_to_best_rival = ratio_of(cell, *rival, row.metric);
    }
    if (goal != nullptr && goal->subject == cell.subject) {
        row.goal = describe(*goal);
        row.meets_goal = meets(*goal, row);
    }
}

}  // namespace

bool knows_disturbance(const Case& c) noexcept {
    return c.waiting() == Waiting::spin && c.senders() == 1 && c.receivers() == 1;
}

double value_of(const Sample& sample, Metric metric) noexcept {
    switch (metric) {
        case Metric::p50: return sample.p50_us;
        case Metric::p99: return sample.p99_us;
        case Metric::p999: return sample.p999_us;
        case Metric::max: return sample.max_us;
        case Metric::rate: return sample.rate;
    }
    return 0;
}

double median_of(std::vector<double> values) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double median_of(const Cell& cell, Metric metric) {
    std::vector<double> values;
    for (const Sample& sample : cell.rounds) values.push_back(value_of(sample, metric));
    return median_of(std::move(values));
}

std::vector<Metric> metrics_of(const Case& c) {
    if (c.is_flow() || c.workload == Workload::newest || c.workload == Workload::locks) {
        return {Metric::rate};
    }
    const bool crowd =
        c.pairs() > 1 || c.workload == Workload::mailboxes || c.workload == Workload::heap;
    if (crowd || c.mode == Mode::beside_busy || c.mode == Mode::one_core) {
        return {Metric::rate, Metric::p50, Metric::p99, Metric::p999, Metric::max};
    }
    return {Metric::p50, Metric::p99, Metric::p999, Metric::max, Metric::rate};
}

std::optional<double> ratio_of(const Cell& cell, const Cell& to, Metric metric) {
    const std::size_t rounds = std::min(cell.rounds.size(), to.rounds.size());
    std::vector<double> ratios;
    for (std::size_t i = 0; i < rounds; ++i) {
        const double base = value_of(to.rounds[i], metric);
        if (base > 0) ratios.push_back(value_of(cell.rounds[i], metric) / base);
    }
    if (ratios.empty()) return std::nullopt;
    return median_of(std::move(ratios));
}

std::vector<Row> rows_of(const std::vector<Cell>& group) {
    std::vector<Row> rows;
    for (const Cell& cell : group) {
        if (!cell.failure.empty() || cell.rounds.empty()) continue;
        for (const Metric metric : metrics_of(cell.c)) {
            Row row{.workload = cell.c.workload,
                    .subject = cell.subject,
                    .kind = cell.kind,
                    .mode = cell.c.mode,
                    .bytes = cell.c.bytes,
                    .metric = metric};
            row.median = median_of(cell, metric);
            std::vector<double> values;
            for (const Sample& sample : cell.rounds) values.push_back(value_of(sample, metric));
            row.best =
                lower_is_better(metric) ? std::ranges::min(values) : std::ranges::max(values);
            if (knows_disturbance(cell.c)) {
                std::vector<double> parts;
                for (const Sample& sample : cell.rounds) parts.push_back(sample.disturbed);
                row.disturbed = median_of(std::move(parts));
            }
            compare(row, group, cell);
            rows.push_back(std::move(row));
        }
    }
    return rows;
}

}  // namespace stoa::bench
