#include "tests/matrix/page.hpp"

#include <algorithm>
#include <utility>

namespace stoa::matrix {
namespace {

constexpr std::string_view kNot = "not ";
constexpr std::string_view kEvery = "every mailbox";
constexpr const char* kShortWords = "word";

std::vector<std::string> split(std::string_view text, std::string_view at) {
    std::vector<std::string> parts;
    for (;;) {
        const std::size_t end = text.find(at);
        parts.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + at.size());
    }
}

std::string trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(' ');
    if (first == std::string_view::npos) return {};
    return std::string{text.substr(first, text.find_last_not_of(' ') - first + 1)};
}

// Empty: the line is no row of a table.
std::vector<std::string> cells_of(std::string_view line) {
    if (line.size() < 2 || line.front() != '|' || line.back() != '|') return {};
    std::vector<std::string> cells;
    for (const std::string& cell : split(line.substr(1, line.size() - 2), "|")) {
        cells.push_back(trimmed(cell));
    }
    return cells;
}

// Those of outcomes and of limits say nothing of single mailboxes.
bool is_compared(const Table& table) {
    return table.head.front() != "outcome" && table.head.front() != "of what";
}

template <typename Use>
void for_each_word(std::string_view condition, Use&& use) {
    for (const std::string& part : split(condition, ", ")) {
        for (const std::string& one : split(part, " or ")) {
            const bool negated = one.starts_with(kNot);
            use(negated ? one.substr(kNot.size()) : one);
        }
    }
}

}  // namespace

bool holds(std::string_view condition, const Words& words) {
    if (condition == kEvery) return true;
    const std::vector<std::string> parts = split(condition, ", ");
    return std::ranges::all_of(parts, [&](const std::string& part) {
        const std::vector<std::string> ones = split(part, " or ");
        return std::ranges::any_of(ones, [&](const std::string& one) {
            const bool negated = one.starts_with(kNot);
            return words.contains(negated ? one.substr(kNot.size()) : one) != negated;
        });
    });
}

Page Page::parse(std::string_view text) {
    Page page;
    bool inside = false;
    bool in_code = false;
    for (const std::string& line : split(text, "\n")) {
        in_code ^= line.starts_with("```");
        std::vector<std::string> cells = in_code ? std::vector<std::string>{} : cells_of(line);
        if (cells.empty()) {
            inside = false;
        } else if (!std::exchange(inside, true)) {
            page.tables_.push_back({.head = std::move(cells), .rows = {}});
        } else if (!cells.front().starts_with("---")) {
            cells.resize(page.tables_.back().head.size());
            page.tables_.back().rows.push_back(std::move(cells));
        }
    }
    return page;
}

const Table* Page::find(const std::string& table) const {
    const auto found =
        std::ranges::find_if(tables_, [&](const Table& one) { return one.head.front() == table; });
    return found == tables_.end() ? nullptr : &*found;
}

Table* Page::find(const std::string& table) {
    return const_cast<Table*>(std::as_const(*this).find(table));
}

std::expected<std::string, std::string> Page::cell(const std::string& table,
                                                   const std::string& column,
                                                   const Words& words) const {
    const Table* there = find(table);
    if (there == nullptr) return std::unexpected("the page lacks the table '" + table + "'");
    const auto at = std::ranges::find(there->head, column);
    if (at == there->head.end()) {
        return std::unexpected("the table '" + table + "' lacks the column '" + column + "'");
    }
    const std::vector<std::string>* found = nullptr;
    for (const std::vector<std::string>& row : there->rows) {
        if (!holds(row.front(), words)) continue;
        if (found != nullptr) {
            return std::unexpected("the table '" + table + "' contradicts itself: '" +
                                   found->front() + "' and '" + row.front() + "'");
        }
        found = &row;
    }
    if (found == nullptr) return std::unexpected("the table '" + table + "' says nothing of it");
    return (*found)[static_cast<std::size_t>(at - there->head.begin())];
}

std::vector<std::string> Page::all(const std::string& table, const Words& words) const {
    std::vector<std::string> said;
    if (const Table* there = find(table)) {
        for (const std::vector<std::string>& row : there->rows) {
            if (holds(row.front(), words)) said.push_back(row.back());
        }
    }
    return said;
}

Words Page::with_short_words(Words words) const {
    if (const Table* there = find(kShortWords)) {
        for (const std::vector<std::string>& row : there->rows) {
            if (holds(row.back(), words)) words.insert(row.front());
        }
    }
    return words;
}

std::vector<std::string> Page::compared() const {
    std::vector<std::string> names;
    for (const Table& table : tables_) {
        const std::string& name = table.head.front();
        if (is_compared(table) && name != kShortWords) names.push_back(name);
    }
    return names;
}

Words Page::unknown_words(const Words& known) const {
    Words unknown;
    for (const Table& table : tables_) {
        if (!is_compared(table)) continue;
        const bool names = table.head.front() == kShortWords;
        for (const std::vector<std::string>& row : table.rows) {
            for_each_word(names ? row.back() : row.front(), [&](const std::string& word) {
                if (word != kEvery && !known.contains(word)) unknown.insert(word);
            });
        }
    }
    return unknown;
}

}  // namespace stoa::matrix
