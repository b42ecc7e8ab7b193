#include "tests/matrix/walk.hpp"

#include <algorithm>

#include "stoa/mailbox/admin.hpp"

namespace stoa::matrix {

Walk::Walk(const Page& page, const Combination& one, std::chrono::milliseconds watchdog)
    : page_{page}, one_{one}, watchdog_{watchdog}, words_{page.with_short_words(one.words())} {}

void Walk::complain(const std::string& what) {
    complaints_.push_back(one_.text() + ": " + what);
}

void Walk::demand(bool holds, const char* what) {
    if (!holds) complain(what);
}

std::string Walk::said(const char* table, const char* column) const {
    return page_.cell(table, column, words_).value_or("");
}

void Walk::compare(const char* table, const char* column, const std::string& does) {
    const std::expected<std::string, std::string> cell = page_.cell(table, column, words_);
    if (!cell) {
        complain(cell.error());
    } else if (*cell != does) {
        complain("table '" + std::string{table} + "', column '" + column + "': the page says '" +
                 *cell + "', the mailbox '" + does + "'");
    }
}

// --- mailboxes ----------------------------------------------------------------------------------

MailboxOptions Walk::options(Role role, std::uint32_t bound) const {
    MailboxOptions options = one_.options(role);
    if (one_.bounded()) options.capacity = bounded(bound);
    options.receipts = receipts_;
    return options;
}

Walk::Two Walk::make() {
    Box in = Box::create(kName, options(Role::receives)).value();
    Box out = Box::open(kName, {.role = Role::sends}).value();
    return {std::move(in), std::move(out)};
}

// Before the handles go, or one that a process owns is not there any more.
void Walk::remove() {
    if (one_.owner == Owner::system) demand(Box::destroy(kName).has_value(), "destroy");
}

Walk::Dropped Walk::dropped() const {
    if (!one_.drops()) return {};
    const MailboxFacts facts = look_at_mailbox(kName).value();
    return {facts.dropped_oldest, facts.dropped_newest};
}

std::string Walk::what_became_of(const Result<void>& sent, const Dropped& before) const {
    if (!sent) return in_words(sent);
    const Dropped now = dropped();
    if (now.oldest == before.oldest + 1 && now.newest == before.newest) return "drops the oldest";
    if (now.newest == before.newest + 1 && now.oldest == before.oldest) return "drops the new one";
    return now.oldest == before.oldest && now.newest == before.newest ? "ok" : "counts wrongly";
}

std::string Walk::receive_one(Box& in, Deadline deadline, std::uint64_t* value) const {
    Result<Message<std::uint64_t>> message = in.receive_with(deadline);
    if (!message) return in_words(message);
    if (value != nullptr) *value = message->value();
    return in_words(message->ack());
}

std::vector<Walk::Got> Walk::all_of(Box& in) const {
    std::vector<Got> all;
    for (std::uint64_t n = 0; n < kAtMost; ++n) {
        Result<Message<std::uint64_t>> message = in.try_receive();
        if (!message) break;
        all.push_back({message->value(), message->redelivered()});
        static_cast<void>(message->ack());
    }
    return all;
}

// With priorities the first one is of a higher one.
void Walk::fill(Box& out) {
    waiting_.clear();
    if (one_.zero()) return;
    const std::uint64_t most = one_.bounded() ? kBound : kAtMost;
    for (std::uint64_t value = 0; value < most; ++value) {
        const std::uint32_t priority = value == 0 && one_.priorities > 1 ? 1 : 0;
        if (!out.try_send(value, {.priority = priority})) break;
        waiting_.push_back(value);
    }
    demand(!one_.bounded() || waiting_.size() == kBound, "it is full before n wait");
}

Walked Walk::create() {
    Result<Box> made = Box::create(kName, options(Role::receives));
    const std::vector<std::string> reasons = page_.all("refused", words_);
    if (!made) {
        const Errc code = made.error().code;
        demand(code == Errc::bad_argument, "create fails");
        if (std::ranges::find(reasons, made.error().step) == reasons.end()) {
            complain(std::string{"the page does not say: "} + made.error().step);
        }
        return Walked::refused;
    }
    demand(reasons.empty(), "the page says that create refuses it");
    if (one_.broadcast()) {
        Words words = words_;
        words.insert("latest");
        const std::vector<std::string> why = page_.all("refused", words);
        const Result<Box> latest = Box::open(kName, {.role = Role::receives, .latest = true});
        const bool as_said = latest ? why.empty()
                                    : latest.error().code == Errc::bad_argument &&
                                          std::ranges::find(why, latest.error().step) != why.end();
        demand(as_said, "latest");
    }
    who_carries_it(made->raw().plan());
    remove();
    return Walked::all;
}

void Walk::who_carries_it(const MailboxPlan& plan) {
    const bool pair = plan.sharing == Sharing::pair;
    const char* each = plan.sharing == Sharing::broadcast ? "subscriber" : "receiver";
    std::string by = "one pool ring";
    if (plan.logged()) {
        by = "a log for each sender";
    } else if (plan.lane_count > 0) {
        by = pair            ? "a lane for each direction"
             : plan.routed() ? "a lane for each sender and receiver"
                             : "a lane for each sender";
    } else if (pair || plan.routed()) {
        by = "a pool ring for each " + std::string{pair ? "direction" : each};
    }
    compare("carried", "by", by);
    if (plan.lane_count > 0 && !plan.logged()) words_.insert("on lanes");
}

Walked Walk::run() {
    if (const Walked created = create(); created != Walked::all) return created;
    full();
    loan();
    batch();
    receipt("a receipt", false);
    receipt("a receipt, with the option", true);
    bound();
    two_receivers();
    receiver_dies();
    creator_dies();
    return Walked::all;
}

}  // namespace stoa::matrix
