#include "tests/cli/stoa_test.hpp"

namespace stoa {
namespace {

using HelpTest = StoaTest;

TEST_F(HelpTest, EveryVerbHasHelpWithAnExample) {
    const std::vector<Words> verbs{{},
                                   {"mailbox"},
                                   {"mailbox", "create"},
                                   {"mailbox", "rm"},
                                   {"mailbox", "ls"},
                                   {"mailbox", "info"},
                                   {"send"},
                                   {"recv"},
                                   {"tell"},
                                   {"listen"},
                                   {"chat"},
                                   {"ps"},
                                   {"gc"}};
    for (Words words : verbs) {
        words.emplace_back("--help");
        const std::string text = done(words);
        EXPECT_NE(text.find("Example:\n  "), std::string::npos) << text;
    }
}

TEST_F(HelpTest, TheVersionIsPrinted) {
    EXPECT_TRUE(done({"--version"}).starts_with("stoa 0."));
}

TEST_F(HelpTest, WrongUsageIsASentenceAndStatusTwo) {
    const std::vector<std::pair<Words, std::string>> cases{
        {{}, "subcommand is required"},
        {{"fly"}, "no verb 'fly'"},
        {{"mailbox"}, "subcommand is required"},
        {{"mailbox", "paint"}, "no verb 'paint'; see `stoa mailbox --help`"},
        {{"recv"}, "NAME is required"},
        {{"recv", "m", "--wings"}, "--wings"},
        {{"send", "m", "--wings"}, "unknown option --wings"},
        {{"send", "m", "--null", "--length-prefixed"}, "excludes"},
        {{"send", "m", "--null", "text"}, "standard input"},
        {{"send", "m", "--timeout", "soon"}, "number of seconds"},
        {{"send", "m", "--timeout", "-1"}, "number of seconds"},
        {{"send", "m", "--timeout", "nan"}, "number of seconds"},
        {{"send", "m", "--timeout", "5 apples"}, "nor 500ms, 3m or 1h"},
        {{"send", "m", "--timeout", "1", "--no-wait"}, "excludes"},
        {{"recv", "m", "--count", "0"}, "of at least 1"},
        {{"recv", "m", "--json", "--length-prefixed"}, "excludes"},
        {{"send", "m", "x", "--json"}, "--receipt"},
        {{"--domain", "/dev/shm/x", "domain", "create", "/dev/shm/y"}, "leave one out"},
        {{"domain", "info", "/dev/shm/y", "--domain", "/dev/shm/x"}, "leave one out"},
        {{"mailbox", "create", "m", "--one-way"}, "two ways): bad_argument\n"},
        {{"mailbox", "create", "m", "--capacity", "0"}, "the word zero"},
        {{"mailbox", "create", "m", "--capacity", "unbounded", "--quota", "1K"}, "MiB are enough"},
        {{"recv", "m", "--", "x"}, "not expected"},
        {{"mailbox", "create", "m", "--capacity", "0"}, "1 to 1048576"},
        {{"mailbox", "create", "m", "--capacity", "1048577"}, "1 to 1048576"},
        {{"mailbox", "create", "m", "--capacity", "-1"}, "--capacity"},
        {{"mailbox", "create", "m", "--capacity", "many"}, "--capacity"},
        {{"mailbox", "create", "m", "--max-bytes", "0"}, "1 to 1GiB"},
        {{"mailbox", "create", "m", "--max-bytes", "2GiB"}, "1 to 1GiB"},
        {{"mailbox", "create", "m", "--max-bytes", "3 apples"}, "not a size"},
        {{"mailbox", "create", "m", "--reserve", "8000T"}, "reserve"},
        {{"mailbox", "create", "m", "--reserve", "-5"}, "not a size"},
        {{"mailbox", "create", "m", "--sharing", "all"}, "--sharing"},
        {{"mailbox", "create", "m", "--mode", "0999"}, "octal"},
        {{"mailbox", "create", "m", "--mode", "0400"}, "read and write"},
        {{"mailbox", "create", "m", "--mode", "04600"}, "octal"},
        {{"mailbox", "create", "a/b"}, "bad_name"},
        {{"mailbox", "create", ""}, "bad_name"},
        {{"mailbox", "create", ".hidden"}, "bad_name"},
        {{"mailbox", "create", std::string(201, 'n')}, "bad_name"},
        {{"recv", "no such name"}, "bad_name"},
    };
    for (const auto& [words, part] : cases) {
        SCOPED_TRACE(testing::PrintToString(words));
        expect_sentence(stoa(words), 2, part);
        EXPECT_TRUE(domain_.entries().empty());
    }
}

}  // namespace
}  // namespace stoa
