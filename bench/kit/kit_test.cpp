#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "bench/kit/placement.hpp"
#include "bench/kit/report.hpp"
#include "bench/kit/results.hpp"
#include "bench/kit/run.hpp"
#include "bench/kit/workloads.hpp"

namespace stoa::bench {
namespace {

TEST(Histogram, PercentilesAreWithinOnePercentOfTheSortedValues) {
    std::mt19937_64 random{7};
    std::vector<double> values;
    Histogram histogram;
    for (int i = 0; i < 100'000; ++i) {
        const std::uint64_t value = 100 + (random() >> (random() % 40 + 24U)) % 10'000'000;
        values.push_back(static_cast<double>(value));
        histogram.add(value);
    }
    std::ranges::sort(values);
    for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999}) {
        const double exact = values[static_cast<std::size_t>(share * 100'000)];
        EXPECT_NEAR(histogram.percentile(share), exact, exact * 0.01) << share;
    }
    EXPECT_EQ(static_cast<double>(histogram.max()), values.back());
    EXPECT_EQ(Histogram{}.percentile(0.5), 0);
}

TEST(Histogram, AMedianBetweenTwoStepsOfACoarseClockIsFoundBetweenThem) {
    Histogram histogram;  // true value 110, seen as 100 and 126 by a clock that steps by 26
    for (int i = 0; i < 1600; ++i) histogram.add(i % 26 < 16 ? 100 : 126);
    EXPECT_NEAR(histogram.percentile(0.5, 26), 109, 2);
}

TEST(Payload, TheSumIsKnownBeforeAndChangesWithEveryWord) {
    for (const std::size_t bytes : {8UL, 16UL, 48UL, 64UL, 1024UL, 65536UL}) {
        const Buffer buffer{bytes};
        fill_payload(buffer.data(), bytes, 42);
        EXPECT_EQ(sum_payload(buffer.data(), bytes), expected_sum(bytes, 42));
        buffer.data()[bytes - 1] ^= std::byte{1};
        EXPECT_NE(sum_payload(buffer.data(), bytes), expected_sum(bytes, 42));
    }
    std::uint64_t total = 0;
    for (std::uint64_t i = 0; i < 101; ++i) total += expected_sum(64, 5 + i);
    EXPECT_EQ(expected_total(64, 5, 101), total);
}

TEST(Placement, BothSidesOfAPairAreOnDifferentCpusAndFourPairsBalance) {
    const auto four = place({.workload = Workload::waiting, .mode = Mode::four_pairs}, {3, 5});
    ASSERT_EQ(four.size(), 8U);
    for (unsigned i = 0; i < 8; i += 2) EXPECT_NE(four[i].cpu, four[i + 1].cpu);
    EXPECT_EQ(std::ranges::count(four, 3, &Role::cpu), 4);
    const auto one = place({.workload = Workload::waiting, .mode = Mode::one_core}, {3, 5});
    EXPECT_EQ(one[0].cpu, one[1].cpu);
    const auto alone = place({.workload = Workload::round_trip}, {3});
    EXPECT_EQ(alone[1].cpu, 3);
}

// A queue that works, and ways to break it.
enum class Fault { none, loses, spoils, hangs, dies, throws_late, unavailable, starts_never };

struct Queue {
    Atomic<std::uint64_t> turn{0};  // even: free, odd: full
    std::byte bytes[64] = {};
};

template <Fault kFault>
class End {
public:
    End(Queue& out, Queue& in) : out_{&out}, in_{&in} {}
    template <class Fill>
    void send(std::size_t bytes, Fill&& fill) {
        ++sent_;
        if (kFault == Fault::loses && sent_ == 2) return;
        if (kFault == Fault::dies && sent_ == 2) raise(SIGKILL);
        if (kFault == Fault::throws_late && sent_ == 2) throw std::runtime_error{"no more"};
        while (kFault == Fault::hangs && sent_ == 2) sleep_us(1000);
        await(*out_, 0);
        fill(out_->bytes);
        if (kFault == Fault::spoils && sent_ == 2) out_->bytes[bytes - 1] ^= std::byte{4};
        out_->turn.fetch_add(1, kRelease);
    }
    template <class Visit>
    void receive(Visit&& visit) {
        await(*in_, 1);
        visit(static_cast<const std::byte*>(in_->bytes), 64);
        in_->turn.fetch_add(1, kRelease);
    }

private:
    static void await(const Queue& queue, std::uint64_t turn) {
        for (unsigned i = 0; queue.turn.load(kAcquire) % 2 != turn; ++i) {
            if (i > 1000) sleep_us(10);
        }
    }
    Queue* out_;
    Queue* in_;
    int sent_ = 0;
};

template <Fault kFault>
class Broken {
public:
    static bool supports(const Case& c) {
        return c.bytes == 64 && c.workload != Workload::many_to_many && c.mode != Mode::four_pairs;
    }
    explicit Broken(const Case&) {
        if (kFault == Fault::unavailable) throw Unavailable{"its daemon is away"};
    }
    End<kFault> connect(const Role& role) {
        while (kFault == Fault::starts_never) sleep_us(1000);
        const bool first = role.part == Part::client || role.part == Part::sender;
        return first ? End<kFault>{*there_, *back_} : End<kFault>{*back_, *there_};
    }

private:
    Shared<Queue> there_;
    Shared<Queue> back_;
};

template <Fault kFault>
Sample measure_broken(Workload workload) {
    const Case c{.workload = workload,
                 .mode = workload == Workload::one_way ? Mode::single : Mode::adaptive,
                 .bytes = 64,
                 .verify = true};
    const Subject subject = subject_of<Broken<kFault>>("broken", Kind::rival);
    const double patience = kFault == Fault::none ? 60 : 0.4;  // of those that hang
    return measure(subject, c, this_machine().cpus, {.seconds = 0.1, .patience = patience});
}

TEST(Measure, AWorkingSubjectGivesFiguresAndNoFailure) {
    const Sample trip = measure_broken<Fault::none>(Workload::round_trip);
    EXPECT_EQ(trip.failure, "");
    EXPECT_GT(trip.p50_us, 0);
    EXPECT_LE(trip.p50_us, trip.p99_us);
    EXPECT_LE(trip.p99_us, trip.max_us);
    const Sample flow = measure_broken<Fault::none>(Workload::one_way);
    EXPECT_EQ(flow.failure, "");
}

TEST(Measure, ALostMessageIsAFailure) {
    const Sample flow = measure_broken<Fault::loses>(Workload::one_way);
    EXPECT_NE(flow.failure.find("sent"), std::string::npos) << flow.failure;
    EXPECT_NE(flow.failure.find("received"), std::string::npos) << flow.failure;
    EXPECT_NE(measure_broken<Fault::loses>(Workload::round_trip).failure.find("hung"),
              std::string::npos);
}

TEST(Measure, ASpoiledPayloadIsAFailure) {
    EXPECT_NE(measure_broken<Fault::spoils>(Workload::one_way).failure, "");
    EXPECT_NE(measure_broken<Fault::spoils>(Workload::round_trip).failure.find("wrong"),
              std::string::npos);
}

TEST(Measure, AProcessThatHangsIsKilledAndNamed) {
    const std::string failure = measure_broken<Fault::hangs>(Workload::one_way).failure;
    EXPECT_NE(failure.find("hung, was killed: sender 0 (0 sent, in its loop, state "),
              std::string::npos)
        << failure;
    EXPECT_NE(failure.find(" received, in its loop, state "), std::string::npos) << failure;
    const std::string start = measure_broken<Fault::starts_never>(Workload::round_trip).failure;
    EXPECT_NE(start.find("client 0 (starting"), std::string::npos) << start;
}

TEST(Measure, AProcessThatDiesIsNamedWithItsSignal) {
    const std::string failure = measure_broken<Fault::dies>(Workload::round_trip).failure;
    EXPECT_NE(failure.find("died of signal 9"), std::string::npos) << failure;
}

TEST(Measure, AnExceptionInAProcessIsToldWithItsText) {
    const std::string failure = measure_broken<Fault::throws_late>(Workload::round_trip).failure;
    EXPECT_NE(failure.find("no more"), std::string::npos) << failure;
}

Subjects broken_subjects() {
    Subjects subjects;
    subjects.list.push_back(subject_of<Broken<Fault::none>>("works", Kind::limit));
    subjects.list.push_back(subject_of<Broken<Fault::unavailable>>("away", Kind::rival));
    subjects.list.push_back(subject_of<Broken<Fault::spoils>>("spoils", Kind::rival));
    subjects.left_out.push_back({"absent", "its package is missing"});
    return subjects;
}

TEST(Run, WhatIsLeftOutOrFailsIsNamedAndTheOthersAreMeasured) {
    Options options{.workloads = {"round_trip"}, .modes = {"adaptive"}, .rounds = 2};
    options.seconds = 0.5;
    options.json = true;
    std::ostringstream out;
    std::ostringstream notes;
    EXPECT_EQ(run_bench(options, broken_subjects(), out, notes), 1);
    EXPECT_NE(notes.str().find("away left out: its daemon is away"), std::string::npos);
    EXPECT_NE(notes.str().find("absent left out: its package is missing"), std::string::npos);
    EXPECT_NE(notes.str().find("spoils, round_trip adaptive 64 B: failed"), std::string::npos);
    const auto rows = nlohmann::json::parse(out.str());
    ASSERT_FALSE(rows.empty());
    for (const auto& row : rows) {
        EXPECT_EQ(row.at("subject"), "works");
        for (const char* key : {"workload", "subject", "mode", "bytes", "metric", "unit", "median",
                                "best", "ratio_to_limit", "best_rival", "ratio_to_best_rival",
                                "goal", "meets_goal", "machine", "commit"}) {
            EXPECT_TRUE(row.contains(key)) << key;
        }
    }
}

TEST(Run, AnUnknownNameIsWrongUsageAndTheKnownOnesAreListed) {
    std::ostringstream out;
    std::ostringstream notes;
    EXPECT_EQ(run_bench({.workloads = {"nonsense"}}, broken_subjects(), out, notes), 2);
    EXPECT_NE(notes.str().find("round_trip"), std::string::npos);
    EXPECT_EQ(run_bench({.subjects = {"nobody"}}, broken_subjects(), out, notes), 2);
    EXPECT_NE(notes.str().find("works"), std::string::npos);
    EXPECT_EQ(run_bench({.modes = {"upside"}}, broken_subjects(), out, notes), 2);
    EXPECT_EQ(out.str(), "");
}

Cell cell(std::string subject, Kind kind, Mode mode, std::vector<double> p50) {
    Cell made{.c = {.workload = Workload::round_trip, .mode = mode, .bytes = 8},
              .subject = std::move(subject),
              .kind = kind};
    for (const double value : p50) made.rounds.push_back({.p50_us = value, .failure = {}});
    return made;
}

const Row& row_of(const std::vector<Row>& rows, std::string_view subject, Mode mode) {
    for (const Row& row : rows) {
        if (row.subject == subject && row.mode == mode && row.metric == Metric::p50) return row;
    }
    throw std::out_of_range{"no such row"};
}

TEST(Results, RatiosAreMediansOfTheRatiosWithinARound) {
    // the machine became twice as slow after the first round: the ratio does not see it
    const auto rows = rows_of({cell("line", Kind::limit, Mode::spin, {1, 2, 2}),
                               cell("stoa", Kind::stoa, Mode::spin, {1.05, 2.1, 2.2}),
                               cell("slow", Kind::rival, Mode::spin, {10, 20, 20}),
                               cell("quick", Kind::rival, Mode::spin, {2, 4, 4})});
    const Row& row = row_of(rows, "stoa", Mode::spin);
    EXPECT_DOUBLE_EQ(row.median, 2.1);
    EXPECT_DOUBLE_EQ(row.best, 1.05);
    EXPECT_EQ(row.limit, "line");
    EXPECT_DOUBLE_EQ(row.ratio_to_limit.value(), 1.05);
    EXPECT_EQ(row.best_rival, "quick");
    EXPECT_DOUBLE_EQ(row.ratio_to_best_rival.value(), 0.525);
    EXPECT_EQ(row.goal, "<= 1.10x line, <= 0.75x best rival");
    EXPECT_EQ(row.meets_goal, true);
}

TEST(Results, AGoalIsMissedByOnePartAndUnknownWithoutItsRival) {
    const auto missed = rows_of({cell("line", Kind::limit, Mode::spin, {1, 1, 1}),
                                 cell("stoa", Kind::stoa, Mode::spin, {1.2, 1.2, 1.2})});
    EXPECT_EQ(row_of(missed, "stoa", Mode::spin).meets_goal, false);
    const auto unknown = rows_of({cell("line", Kind::limit, Mode::spin, {1, 1, 1}),
                                  cell("stoa", Kind::stoa, Mode::spin, {1, 1, 1})});
    EXPECT_EQ(row_of(unknown, "stoa", Mode::spin).meets_goal, std::nullopt);
}

TEST(Results, AdaptiveWaitingIsComparedWithTheSameSubjectSpinning) {
    const auto rows = rows_of({cell("stoa", Kind::stoa, Mode::spin, {1, 1, 1}),
                               cell("stoa", Kind::stoa, Mode::adaptive, {1.1, 1.1, 1.1}),
                               cell("pipe", Kind::rival, Mode::adaptive, {10, 10, 10})});
    const Row& row = row_of(rows, "stoa", Mode::adaptive);
    EXPECT_DOUBLE_EQ(row.ratio_to_limit.value(), 1.1);
    EXPECT_EQ(row.meets_goal, true);
}

TEST(Report, BesideSaysHowManyTimesTheOthersTake) {
    const auto rows = rows_of({cell("stoa", Kind::stoa, Mode::spin, {1, 1, 1}),
                               cell("pipe", Kind::rival, Mode::spin, {20, 20, 20})});
    std::ostringstream out;
    print_beside(out, rows, "stoa");
    EXPECT_NE(out.str().find("20.0x pipe"), std::string::npos) << out.str();
}

TEST(Goals, EveryGoalBelongsToACaseThatIsMeasured) {
    for (const Goal& goal : goals()) {
        bool found = false;
        for (const auto& group : groups_of(goal.workload)) {
            for (const Case& c : group) found = found || goal.is_for(c);
        }
        EXPECT_TRUE(found) << describe(goal);
        EXPECT_NE(describe(goal), "");
    }
}

}  // namespace
}  // namespace stoa::bench
