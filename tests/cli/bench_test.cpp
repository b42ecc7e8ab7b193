#include "tests/cli/stoa_test.hpp"

namespace stoa {
namespace {

using BenchVerbTest = StoaTest;

TEST_F(BenchVerbTest, HasHelpWithAnExample) {
    EXPECT_NE(done({"bench", "--help"}).find("Example:\n  "), std::string::npos);
}

TEST_F(BenchVerbTest, AnUnknownWorkloadIsWrongUsage) {
    const Finished end = stoa({"bench", "flying"});
    EXPECT_EQ(end.status, 2);
    EXPECT_NE(end.err.find("flying"), std::string::npos);
}

TEST_F(BenchVerbTest, WhatIsNotMeasuredIsWrongUsage) {
    const Finished end = stoa({"bench", "round_trip", "--bytes", "0"});
    EXPECT_EQ(end.status, 2);
    EXPECT_EQ(end.out, "");
    EXPECT_NE(end.err.find("nothing of this is measured"), std::string::npos) << end.err;
}

TEST_F(BenchVerbTest, PrintsOneArrayOfJson) {
    const Finished end =
        stoa({"bench", "round_trip", "--bytes", "8", "--subjects", "pipe", "--quick", "--json"});
    EXPECT_EQ(end.status, 0) << end.err;
    const nlohmann::json rows = nlohmann::json::parse(end.out);
    ASSERT_FALSE(rows.empty());
    for (const auto& row : rows) {
        for (const char* key :
             {"workload", "subject", "mode", "bytes", "metric", "unit", "median", "best",
              "ratio_to_limit", "best_rival", "ratio_to_best_rival", "goal", "meets_goal"}) {
            EXPECT_TRUE(row.contains(key)) << key;
        }
    }
}

TEST_F(BenchVerbTest, AClosedStandardOutputStopsItBeforeItMeasures) {
    const kit::CommandSetup closed{.in_child = [] { ::close(STDOUT_FILENO); }};
    expect_sentence(stoa({"bench"}, closed), 1, "standard output");
}

}  // namespace
}  // namespace stoa
