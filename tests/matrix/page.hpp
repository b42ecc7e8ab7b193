// The tables of docs/guide/mailbox-matrix.md, as something that can be asked.
//
// A table is named by the first cell of its head. The first cell of a row is a condition:
// alternatives joined by `or`, each perhaps with `not`, joined by commas, all of which must hold;
// `every mailbox` always does.
#pragma once

#include <cstddef>
#include <expected>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace stoa::matrix {

using Words = std::set<std::string>;

struct Table {
    std::vector<std::string> head;
    std::vector<std::vector<std::string>> rows;
};

class Page {
public:
    static Page parse(std::string_view text);

    // The cell of the one row that holds. Error: what is wrong with the table.
    [[nodiscard]] std::expected<std::string, std::string> cell(const std::string& table,
                                                               const std::string& column,
                                                               const Words& words) const;
    // The last cells of all rows that hold.
    [[nodiscard]] std::vector<std::string> all(const std::string& table, const Words& words) const;
    // The rows of the table `word` give names to combinations of words: with those that hold.
    [[nodiscard]] Words with_short_words(Words words) const;
    // The names of the tables that a walk asks.
    [[nodiscard]] std::vector<std::string> compared() const;
    // Words of conditions that no mailbox has: misspelt.
    [[nodiscard]] Words unknown_words(const Words& known) const;

    [[nodiscard]] const Table* find(const std::string& table) const;
    [[nodiscard]] Table* find(const std::string& table);

private:
    std::vector<Table> tables_;
};

[[nodiscard]] bool holds(std::string_view condition, const Words& words);

}  // namespace stoa::matrix
