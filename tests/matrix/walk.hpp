// Makes a mailbox of one combination, does with it what the page talks of, and compares.
#pragma once

#include <chrono>
#include <deque>
#include <string>
#include <vector>

#include "stoa/mailbox/mailbox.hpp"
#include "tests/matrix/combination.hpp"
#include "tests/matrix/page.hpp"

namespace stoa::matrix {

using Box = Mailbox<std::uint64_t>;

inline constexpr const char* kName = "m";
inline constexpr std::uint64_t kAtMost = 1U << 20U;  // sends until a mailbox is full

template <typename T>
std::string in_words(const Result<T>& result) {
    return result ? "ok" : std::string{name(result.error().code)};
}

enum class Walked : std::uint8_t { all, refused };

class Walk {
public:
    // `watchdog`: after which a call that should not wait counts as one that does.
    Walk(const Page& page, const Combination& one, std::chrono::milliseconds watchdog);

    Walked run();
    // Only makes it, and finds out who carries it.
    Walked create();
    [[nodiscard]] const Words& words() const noexcept { return words_; }
    [[nodiscard]] const std::vector<std::string>& complaints() const noexcept {
        return complaints_;
    }

private:
    struct Two {  // a receiver that created it, and a sender
        Box in;
        Box out;
    };
    struct Got {
        std::uint64_t value;
        bool marked;
    };
    struct Dropped {
        std::uint64_t oldest;
        std::uint64_t newest;
    };

    void complain(const std::string& what);
    void demand(bool holds, const char* what);
    // The page says of it what it does.
    void compare(const char* table, const char* column, const std::string& does);
    [[nodiscard]] std::string said(const char* table, const char* column) const;

    [[nodiscard]] MailboxOptions options(Role role, std::uint32_t bound = kBound) const;
    [[nodiscard]] Two make();
    void remove();
    [[nodiscard]] Dropped dropped() const;
    [[nodiscard]] std::string what_became_of(const Result<void>& sent, const Dropped& before) const;
    [[nodiscard]] std::string receive_one(Box& in, Deadline deadline, std::uint64_t* value) const;
    [[nodiscard]] std::vector<Got> all_of(Box& in) const;
    void fill(Box& out);

    void who_carries_it(const MailboxPlan& plan);
    void full();
    [[nodiscard]] std::string blocking_send(Two& two, std::uint64_t value);
    void keep(const std::string& became, std::uint64_t value);
    void empty(Two& two);
    void closed(Two& two);
    void loan();
    void batch();
    void receipt(const char* table, bool asked_for);
    void bound();
    void two_receivers();
    void judge(const std::vector<std::vector<Got>>& at, std::size_t sent, bool opened);
    void receiver_dies();
    void judge_death(const std::vector<Got>& got, std::uint64_t taken);
    Result<void> send_surely(Box& out, std::uint64_t value, const SendOptions& how);
    [[nodiscard]] std::string send_on(Box& out, Box& in);
    void creator_dies();

    const Page& page_;
    Combination one_;
    std::chrono::milliseconds watchdog_;
    Words words_;
    bool receipts_ = false;  // the option, of what make() makes
    std::vector<std::string> complaints_;
    std::deque<std::uint64_t> waiting_;  // what should wait in a mailbox that full() filled
};

}  // namespace stoa::matrix
