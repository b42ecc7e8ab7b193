#include "bench/kit/goals.hpp"

#include <cstdio>

namespace stoa::bench {

namespace {

constexpr std::size_t kKiB = 1024;
constexpr std::size_t kMiB = kKiB * kKiB;

Goal trip(std::size_t low, std::size_t high, std::string_view limit, double to_limit,
          double to_rival) {
    return {Workload::round_trip, Mode::spin, low,        high,     "stoa",
            Metric::p50,          limit,      Mode::spin, to_limit, to_rival};
}

Goal flow(Mode mode, std::size_t bytes, std::string_view limit, double to_limit, double to_rival) {
    return {Workload::one_way, mode,  bytes, bytes,    "stoa",
            Metric::rate,      limit, mode,  to_limit, to_rival};
}

Goal many(Mode mode, std::string_view subject, std::string_view limit, double to_limit,
          double to_rival) {
    return {Workload::many_to_many, mode,  64,           64,       subject,
            Metric::rate,           limit, Mode::single, to_limit, to_rival};
}

Goal trip_in(Workload workload, Mode mode, std::string_view limit, Mode limit_mode, double to_limit,
             double to_rival) {
    return {workload, mode, 8, kMiB, "stoa", Metric::p50, limit, limit_mode, to_limit, to_rival};
}

// Against another of stoa's subjects in the same mode.
Goal beside(Workload workload, Mode mode, std::string_view subject, Metric metric,
            std::string_view other, double ratio) {
    return {workload, mode, 64, 64, subject, metric, other, mode, ratio};
}

// `ratio`: of the time; a rate is its inverse.
void policy_goals(std::vector<Goal>& list) {
    for (const auto& [subject, ratio] :
         {std::pair{"stoa_priorities", 1.3}, std::pair{"stoa_unbounded", 1.1}}) {
        list.push_back(
            beside(Workload::policies, Mode::spin, subject, Metric::p50, "stoa_any", ratio));
    }
    list.push_back(beside(Workload::policies, Mode::single, "stoa_priorities", Metric::rate,
                          "stoa_any", 1 / 1.3));
    for (const auto& [subject, ratio] :
         {std::pair{"stoa_rendezvous", 1.2}, std::pair{"stoa_receipts", 1.5}}) {
        list.push_back(beside(Workload::answered, Mode::single, subject, Metric::rate,
                              "stoa_handovers", 1 / ratio));
    }
    list.push_back({Workload::mailboxes, Mode::single, 64, 64, "stoa", Metric::rate, "files",
                    Mode::single, 0, 1 / 1.5});
    list.push_back({Workload::mailboxes, Mode::single, 64, 64, "stoa_buffers", Metric::rate,
                    "arena", Mode::single, 1 / 2.0, 1 / 0.3});
}

void heap_goals(std::vector<Goal>& list) {
    for (const Mode mode : {Mode::single, Mode::adaptive}) {
        list.push_back({Workload::heap, mode, 64, 64, "stoa_heap", Metric::rate, "", mode, 0, 2});
    }
}

// The newest value: a read in 1.2 times, a write in twice the time of a bare seqlock.
void newest_goals(std::vector<Goal>& list) {
    for (const auto& [mode, times] : {std::pair{Mode::reads, 1.2}, std::pair{Mode::writes, 2.0},
                                      std::pair{Mode::reads_beside, 1.2}}) {
        list.push_back({Workload::newest, mode, 8, kMiB, "stoa_latest", Metric::rate, "seqlock",
                        mode, 1 / times});
    }
}

void crowded(std::vector<Goal>& list, Mode mode) {
    list.push_back({Workload::waiting, mode, 8, 8, "stoa", Metric::rate, kBestLimit, mode, 0.8});
    list.push_back({Workload::waiting, mode, 8, 8, "stoa", Metric::p99, "", mode, 0, 0, 50});
}

// Of pairs a second: so many times those of its twin in glibc.
void lock_goals(std::vector<Goal>& list) {
    const auto add = [&](Mode mode, std::string_view subject, std::string_view twin, double ratio) {
        list.push_back({Workload::locks, mode, 8, 8, subject, Metric::rate, twin, mode, ratio});
    };
    add(Mode::single, "stoa_mutex", "pthread_robust", 1 / 0.7);
    for (const Mode mode : {Mode::single, Mode::adaptive}) {
        add(mode, "stoa_shared_read", "pthread_rwlock_read", 1);
        add(mode, "stoa_shared_write", "pthread_rwlock_write", 1);
        add(mode, "stoa_semaphore", "sem_t", 1);
    }
    list.push_back({Workload::locks, Mode::adaptive, 8, 8, "stoa_mutex", Metric::rate,
                    "pthread_mutex", Mode::adaptive, 1});
}

// Waiting for a mailbox in a set, in the loop of others, in a coroutine, against its own receive.
void set_goals(std::vector<Goal>& list) {
    const auto add = [&](Mode mode, std::string_view subject, std::string_view twin, double times) {
        list.push_back({Workload::waiting, mode, 8, 8, subject, Metric::p50, twin, mode, times});
    };
    for (const Mode mode : {Mode::adaptive, Mode::park}) {
        add(mode, "stoa_set", "stoa", 1.1);
        add(mode, "stoa_set_10000", "stoa_set", 1.5);
        add(mode, "stoa_coroutine", "stoa", 1.3);
    }
    add(Mode::park, "stoa_set_fd", "epoll_eventfd", 1.1);
}

// A link: the goals of the lane that carries it. A call: 1.2 times a link's round trip.
void link_goals(std::vector<Goal>& list) {
    constexpr std::string_view kLink = "stoa_link";
    const auto as_link = [&](Goal goal) {
        goal.subject = kLink;
        list.push_back(goal);
    };
    as_link(trip(8, 16, "line", 1.10, 0.75));
    as_link(trip(64, 64, "ring", 1.05, 0.90));
    as_link(trip(kKiB, kKiB, "ring", 1.05, 0.85));
    as_link(trip(64 * kKiB, 64 * kKiB, "ring", 1.10, 0.80));
    as_link(trip_in(Workload::loan, Mode::spin, "loan_index", Mode::spin, 1.3, 0.15));
    as_link(flow(Mode::single, 8, "ring_backoff", 0.9, 1.3));
    as_link(flow(Mode::single, 64, "ring_lazy", 0.6, 3));
    as_link(flow(Mode::single, kKiB, kBestLimit, 0.75, 2));
    for (const std::size_t bytes : {std::size_t{8}, std::size_t{64}}) {
        list.push_back({Workload::round_trip, Mode::spin, bytes, bytes, "stoa_call", Metric::p50,
                        kLink, Mode::spin, 1.2, 0});
    }
}

std::vector<Goal> all_goals() {
    std::vector<Goal> list{
        trip(8, 16, "line", 1.10, 0.75),
        trip(32, 48, "line", 1.15, 0.75),
        trip(64, 64, "ring", 1.05, 0.90),
        trip(kKiB, kKiB, "ring", 1.05, 0.85),
        trip(64 * kKiB, 64 * kKiB, "ring", 1.10, 0.80),
        trip(kMiB, kMiB, "ring", 1.10, 0.90),
        trip_in(Workload::round_trip, Mode::adaptive, kItself, Mode::spin, 1.2, 0.2),
        trip_in(Workload::round_trip, Mode::park, "futex", Mode::park, 1.1, 1.1),
        trip_in(Workload::waiting, Mode::adaptive, kItself, Mode::spin, 1.2, 0.2),
        trip_in(Workload::waiting, Mode::park, "futex", Mode::park, 1.1, 1.1),
        trip_in(Workload::loan, Mode::spin, "loan_index", Mode::spin, 1.3, 0.15),
        flow(Mode::single, 8, "ring_backoff", 0.9, 1.3),
        flow(Mode::batch, 8, "ring_batch", 0.5, 6),
        flow(Mode::single, 64, "ring_lazy", 0.6, 3),
        flow(Mode::batch, 64, "ring_batch", 0.7, 8),
        flow(Mode::single, kKiB, kBestLimit, 0.75, 2),
        flow(Mode::batch, kKiB, kBestLimit, 0.75, 2),
        flow(Mode::single, 64 * kKiB, kBestLimit, 0.8, 1.3),
        flow(Mode::single, kMiB, kBestLimit, 0.9, 1.05),
        many(Mode::single, "stoa_round_robin", "lanes", 0.8, 5),
        many(Mode::single, "stoa_any", "ticket_queue", 0.5, 1.3),
        {Workload::broadcast, Mode::single, 64, 64, "stoa_broadcast", Metric::rate, "log",
         Mode::single, 0.7, 20},
        many(Mode::batch, "stoa_any", "ticket_queue", 0.8, 2),
    };
    policy_goals(list);
    heap_goals(list);
    newest_goals(list);
    list.push_back({Workload::attach, Mode::single, 8, 8, "stoa_region", Metric::p50, "mapping",
                    Mode::single, 0, 0, 50});
    lock_goals(list);
    set_goals(list);
    link_goals(list);
    crowded(list, Mode::four_pairs);
    crowded(list, Mode::beside_busy);
    return list;
}

std::string ratio_text(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2fx", value);
    return text;
}

}  // namespace

std::string_view name(Metric metric) noexcept {
    switch (metric) {
        case Metric::p50: return "p50";
        case Metric::p99: return "p99";
        case Metric::p999: return "p99.9";
        case Metric::max: return "max";
        case Metric::rate: return "rate";
    }
    return "?";
}

const std::vector<Goal>& goals() {
    static const std::vector<Goal> list = all_goals();
    return list;
}

std::string describe(const Goal& goal) {
    const std::string sign = lower_is_better(goal.metric) ? "<= " : ">= ";
    std::string text;
    if (goal.to_limit > 0) {
        text = sign + ratio_text(goal.to_limit) + " ";
        text += goal.limit == kBestLimit ? "best limit" : goal.limit;
        if (goal.limit_mode != goal.mode) text += " (" + std::string{name(goal.limit_mode)} + ")";
    }
    if (goal.to_rival > 0) {
        text += (text.empty() ? "" : ", ") + sign + ratio_text(goal.to_rival) + " best rival";
    }
    if (goal.absolute > 0) {
        text += (text.empty() ? "" : ", ") + sign +
                std::to_string(static_cast<int>(goal.absolute)) + " us";
    }
    return text;
}

}  // namespace stoa::bench
