#include "bench/kit/report.hpp"

#include <algorithm>
#include <cstdio>
#include <iomanip>
#include <nlohmann/json.hpp>

namespace stoa::bench {

namespace {

std::string digits(double value) {  // three that count
    char text[32];
    const int places = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
    std::snprintf(text, sizeof text, "%.*f", places, value);
    return text;
}

std::string ratio(const std::optional<double>& value) {
    return value ? digits(*value) + "x" : "-";
}

bool same_case(const Row& a, const Row& b) {
    return a.workload == b.workload && a.mode == b.mode && a.bytes == b.bytes;
}

Case case_of(const Row& row) {
    return {.workload = row.workload, .mode = row.mode, .bytes = row.bytes};
}

const Row* row_of(const std::vector<Row>& rows, const Row& like, std::string_view subject,
                  Metric metric) {
    const auto found = std::ranges::find_if(rows, [&](const Row& row) {
        return same_case(row, like) && row.subject == subject && row.metric == metric;
    });
    return found == rows.end() ? nullptr : &*found;
}

// The rows of the metric that counts, one per subject, best first; one vector per case.
std::vector<std::vector<Row>> by_case(const std::vector<Row>& rows) {
    std::vector<std::vector<Row>> cases;
    for (const Row& row : rows) {
        if (row.metric != metrics_of(case_of(row)).front()) continue;
        const auto known = std::ranges::find_if(
            cases, [&](const std::vector<Row>& list) { return same_case(list.front(), row); });
        if (known == cases.end()) {
            cases.push_back({row});
        } else {
            known->push_back(row);
        }
    }
    for (auto& list : cases) {
        std::ranges::sort(list, [](const Row& a, const Row& b) {
            return lower_is_better(a.metric) ? a.median < b.median : a.median > b.median;
        });
    }
    return cases;
}

std::string_view verdict(const std::optional<bool>& meets) {
    return !meets ? "not compared" : *meets ? "reached" : "missed";
}

void print_line(std::ostream& out, const std::vector<Row>& rows, const Row& row) {
    out << "  " << std::left << std::setw(22)
        << row.subject + (row.kind == Kind::limit ? " (limit)" : "") << std::right << std::setw(12)
        << show(row.median, row.metric) << std::setw(12) << show(row.best, row.metric);
    for (const Metric metric : {Metric::p99, Metric::p999, Metric::max}) {
        const Row* other = row_of(rows, row, row.subject, metric);
        out << std::setw(10) << (other != nullptr ? digits(other->median) : "-");
    }
    out << std::setw(9) << ratio(row.ratio_to_limit) << std::setw(9)
        << ratio(row.ratio_to_best_rival);
    if (row.disturbed > 0.1) {
        out << "  (other programs took " << static_cast<int>(row.disturbed * 100) << " % of a cpu)";
    }
    if (!row.goal.empty()) out << "  " << verdict(row.meets_goal) << ": " << row.goal;
    out << '\n';
    const Row* tail = row_of(rows, row, row.subject, Metric::p99);
    if (tail != nullptr && tail != &row && !tail->goal.empty() && row.metric != Metric::p99) {
        out << "    p99 " << verdict(tail->meets_goal) << ": " << tail->goal << '\n';
    }
}

nlohmann::json number_or_null(const std::optional<double>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json();
}

nlohmann::json text_or_null(const std::string& text) {
    return text.empty() ? nlohmann::json() : nlohmann::json(text);
}

std::string_view name_of(Kind kind) {
    return kind == Kind::limit ? "limit" : kind == Kind::rival ? "rival" : "stoa";
}

}  // namespace

std::string show(double value, Metric metric) {
    if (metric != Metric::rate) return digits(value) + " us";
    if (value >= 1e6) return digits(value / 1e6) + " M/s";
    if (value >= 1e3) return digits(value / 1e3) + " k/s";
    return digits(value) + " /s";
}

void print_table(std::ostream& out, const std::vector<Row>& rows) {
    for (const auto& list : by_case(rows)) {
        const Row& head = list.front();
        out << describe(case_of(head));
        if (head.line_us > 0)
            out << "   (a line there and back: " << digits(head.line_us) << " us)";
        out << '\n'
            << "  " << std::left << std::setw(22) << "subject" << std::right << std::setw(12)
            << std::string{name(head.metric)} + " median" << std::setw(12) << "best"
            << std::setw(10) << "p99 us" << std::setw(10) << "p99.9" << std::setw(10) << "max"
            << std::setw(9) << "x limit" << std::setw(9) << "x rival" << '\n';
        for (const Row& row : list) print_line(out, rows, row);
        out << '\n' << std::flush;
    }
}

void print_beside(std::ostream& out, const std::vector<Row>& rows, const std::string& beside) {
    for (const auto& list : by_case(rows)) {
        const Row* base = row_of(list, list.front(), beside, list.front().metric);
        if (base == nullptr || list.size() < 2) continue;
        out << "  " << std::left << std::setw(26) << describe(case_of(*base)) << std::right
            << std::setw(10) << show(base->median, base->metric);
        for (const Row& row : list) {
            if (row.subject == beside || row.median <= 0 || base->median <= 0) continue;
            const double times =
                lower_is_better(row.metric) ? row.median / base->median : base->median / row.median;
            out << "   " << digits(times) << "x " << row.subject;
        }
        out << '\n' << std::flush;
    }
}

void print_json(std::ostream& out, const std::vector<Row>& rows, const Machine& machine) {
    nlohmann::json list = nlohmann::json::array();
    for (const Row& row : rows) {
        list.push_back(
            {{"workload", name(row.workload)},
             {"subject", row.subject},
             {"kind", name_of(row.kind)},
             {"mode", name(row.mode)},
             {"bytes", row.bytes},
             {"metric", name(row.metric)},
             {"unit", row.metric == Metric::rate ? "1/s" : "us"},
             {"median", row.median},
             {"best", row.best},
             {"limit", text_or_null(row.limit)},
             {"ratio_to_limit", number_or_null(row.ratio_to_limit)},
             {"best_rival", text_or_null(row.best_rival)},
             {"ratio_to_best_rival", number_or_null(row.ratio_to_best_rival)},
             {"goal", text_or_null(row.goal)},
             {"meets_goal", row.meets_goal ? nlohmann::json(*row.meets_goal) : nlohmann::json()},
             {"machine", describe(machine)},
             {"commit", machine.commit}});
    }
    out << list.dump(1) << '\n' << std::flush;
}

}  // namespace stoa::bench
