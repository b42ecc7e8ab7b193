// Every workload with every subject, a few milliseconds each, every message looked at: a lost,
// spoiled or reordered one fails. No figure is judged here.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "bench/kit/goals.hpp"
#include "bench/kit/placement.hpp"
#include "bench/kit/process.hpp"
#include "bench/kit/workloads.hpp"
#include "bench/subjects.hpp"

namespace stoa::bench {
namespace {

class Smoke : public testing::TestWithParam<Workload> {};

TEST_P(Smoke, WhatArrivesIsWhatWasSent) {
    const Subjects subjects = all_subjects();
    const Machine machine = this_machine();
    unsigned measured = 0;
    for (const auto& group : groups_of(GetParam())) {
        for (Case c : group) {
            c.verify = true;
            if (machine.cpus.size() == 1 && c.waiting() == Waiting::spin) continue;
            for (const Subject& subject : subjects.list) {
                if (!subject.supports(c)) continue;
                try {
                    const Sample sample =
                        measure(subject, c, machine.cpus, {.seconds = 0.003, .patience = 20});
                    // A rival that hangs is left out, as in the bench; a wrong message is not.
                    if (subject.kind == Kind::rival && sample.failure.starts_with("hung")) {
                        std::cout << subject.name << " left out: " << sample.failure << '\n';
                        continue;
                    }
                    EXPECT_EQ(sample.failure, "") << subject.name << ", " << describe(c);
                    ++measured;
                } catch (const Unavailable& why) {
                    std::cout << subject.name << " left out: " << why.what() << '\n';
                }
            }
        }
    }
    EXPECT_GT(measured, 0U);
}

INSTANTIATE_TEST_SUITE_P(Bench, Smoke,
                         testing::Values(Workload::round_trip, Workload::one_way,
                                         Workload::many_to_many, Workload::broadcast,
                                         Workload::waiting, Workload::loan, Workload::policies,
                                         Workload::answered, Workload::mailboxes, Workload::heap,
                                         Workload::newest, Workload::attach, Workload::locks),
                         [](const auto& of) { return std::string{name(of.param)}; });

// The limits that goals name must be there under that name, or a goal would silently never count.
TEST(Goals, EveryLimitThatAGoalNamesTakesPartInItsCase) {
    const Subjects subjects = all_subjects();
    for (const Goal& goal : goals()) {
        if (goal.limit.empty() || goal.limit == kBestLimit || goal.limit == kItself) continue;
        for (const auto& group : groups_of(goal.workload)) {
            for (const Case& c : group) {
                if (!goal.is_for(c)) continue;
                Case compared = c;
                compared.mode = goal.limit_mode;
                const auto found = std::ranges::find(subjects.list, goal.limit, &Subject::name);
                ASSERT_NE(found, subjects.list.end()) << goal.limit;
                EXPECT_TRUE(found->supports(compared)) << describe(goal) << ", " << describe(c);
            }
        }
    }
}

}  // namespace
}  // namespace stoa::bench
