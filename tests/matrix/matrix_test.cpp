// The whole matrix, compared with its page; and the page altered, cell by cell, which must be seen.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <sstream>

#include "tests/kit/leaks.hpp"
#include "tests/kit/temp.hpp"
#include "tests/matrix/walk.hpp"

namespace stoa::matrix {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kAlarm{10'000};

const Page& the_page() {
    static const Page page = [] {
        std::ifstream file{STOA_PAGE};
        std::stringstream text;
        text << file.rdbuf();
        return Page::parse(text.str());
    }();
    return page;
}

class Matrix : public testing::Test {
protected:
    kit::TempDomain domain_;
};

TEST_F(Matrix, EveryCombinationDoesWhatThePageSays) {
    std::size_t walked = 0;
    std::size_t refused = 0;
    std::size_t wrong = 0;
    for (const Combination& one : Combination::all()) {
        Walk walk{the_page(), one, kAlarm};
        const Walked end = walk.run();
        walked += end == Walked::all ? 1 : 0;
        refused += end == Walked::refused ? 1 : 0;
        for (const std::string& complaint : walk.complaints()) {
            if (++wrong <= 50) ADD_FAILURE() << complaint;
        }
        ASSERT_TRUE(domain_.entries().empty()) << one.text();
    }
    EXPECT_EQ(wrong, 0U);
    EXPECT_EQ(walked + refused, 864U);
    std::cout << walked << " combinations walked, " << refused << " refused as the page says\n";
}

// What no mailbox says, in place of what the page says.
constexpr const char* kNonsense = "something else";

struct Known {
    Combination one;
    Words words;  // also what is found out when it is made
};

// Bounded ones first: most is done with them.
std::vector<Known> all_known() {
    std::vector<Known> all;
    for (const Combination& one : Combination::all()) {
        Walk walk{the_page(), one, kAlarm};
        walk.create();
        all.push_back({.one = one, .words = walk.words()});
        if (one.broadcast()) all.back().words.insert("latest");
    }
    std::ranges::partition(all, [](const Known& known) { return known.one.bounded(); });
    return all;
}

// Whether a walk over a mailbox of that row complains.
bool seen(const Page& page, const std::vector<std::string>& row, const std::vector<Known>& all) {
    return std::ranges::any_of(all, [&](const Known& known) {
        if (!holds(row.front(), known.words)) return false;
        Walk walk{page, known.one, 200ms};
        walk.run();
        return !walk.complaints().empty();
    });
}

TEST_F(Matrix, EachCellOfItsTablesIsCompared) {
    const std::vector<Known> all = all_known();
    std::size_t altered = 0;
    EXPECT_EQ(the_page().compared().size(), 12U);
    for (const std::string& name : the_page().compared()) {
        const Table& table = *the_page().find(name);
        for (std::size_t row = 0; row < table.rows.size(); ++row) {
            for (std::size_t cell = 1; cell < table.rows[row].size(); ++cell, ++altered) {
                Page page = the_page();
                page.find(name)->rows[row][cell] = kNonsense;
                EXPECT_TRUE(seen(page, table.rows[row], all))
                    << "'" << name << "', row '" << table.rows[row].front() << "', column '"
                    << table.head[cell] << "' is not compared";
            }
        }
    }
    std::cout << altered << " cells altered\n";
}

TEST_F(Matrix, AMissingOrASecondRowIsSeen) {
    const std::vector<Known> all = all_known();
    for (const char* name : {"a full mailbox", "carried", "a receiver dies", "a receipt"}) {
        const std::vector<std::string> row = the_page().find(name)->rows.front();
        Page page = the_page();
        page.find(name)->rows.erase(page.find(name)->rows.begin());
        EXPECT_TRUE(seen(page, row, all)) << name;
        page = the_page();
        page.find(name)->rows.push_back(row);
        EXPECT_TRUE(seen(page, row, all)) << name;
    }
}

TEST_F(Matrix, ConditionsAreMadeOfWordsThatMailboxesHave) {
    Words known{"latest", "on lanes"};
    for (const Combination& one : Combination::all()) {
        known.merge(the_page().with_short_words(one.words()));
    }
    EXPECT_EQ(the_page().unknown_words(known), Words{});
}

}  // namespace
}  // namespace stoa::matrix
