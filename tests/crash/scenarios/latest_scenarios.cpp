// The newest value: its writer, who claims it, its readers, and the keys of a blackboard.
//
// Value n is n in every word of it, so that a value that is torn, or not of the number that a
// reader was told, is seen.
#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "stoa/shm/blackboard.hpp"
#include "tests/crash/scenarios/lock_stage.hpp"
#include "tests/crash/scenarios/scenarios.hpp"

namespace stoa::crash {
namespace {

using namespace std::chrono_literals;

struct Value {
    std::array<std::uint64_t, 4> words;
    std::uint32_t half_a_word;

    static Value of(std::uint64_t n) { return {{n, n, n, n}, static_cast<std::uint32_t>(n)}; }
    [[nodiscard]] bool is(std::uint64_t n) const {
        return half_a_word == static_cast<std::uint32_t>(n) &&
               std::ranges::all_of(words, [&](std::uint64_t word) { return word == n; });
    }
};

constexpr std::uint64_t kBefore = 5;  // values before the operation

class LatestScenario final : public LockStage<Latest<Value>, LatestScenario> {
public:
    using LockStage::LockStage;

    // The heir writes one.
    void recover(const Case& /*now*/) override {
        if (auto writer = object().claim_writer()) write(*writer);
    }
    std::string interfere(const Case& now) override;
    std::string verify(const Case& now) override;
    // A sleeper waits for a value.
    void wake() override {
        act_as_first();
        if (auto writer = object().claim_writer()) write(*writer);
    }

    std::uint64_t write(Latest<Value>::Writer& writer) {
        return writer.write(Value::of(object().number() + 1)).value();
    }
    void write_before() {
        auto writer = object().claim_writer().value();
        for (std::uint64_t i = 0; i < kBefore; ++i) write(writer);
    }
    // What a reader finds, and never less than `least`.
    std::string read(std::uint64_t least) {
        const auto reading = object().read();
        if (!reading) return "nothing can be read: " + describe(reading.error());
        if (!reading->value.is(reading->number)) return "a torn value is read";
        return reading->number < least ? "an old value is read" : "";
    }
};

std::string LatestScenario::interfere(const Case& now) {
    join();
    std::string text = read(kBefore);
    if (!text.empty()) return text;
    const Holder before = object().writer();
    auto writer = object().claim_writer();
    if (!writer) {
        if (writer.error().code != Errc::in_use) return describe(writer.error());
        if (before == 0) return "it has no writer, and nobody may be it";
        return here(&object()).is_gone(before) ? "a dead writer has no heir" : "";
    }
    if (now.mode == Mode::stall && before != 0 && !here(&object()).is_gone(before))
        return "a stopped writer is taken for a dead one";
    // Laps a reader that stands still.
    for (int i = 0; i < 9; ++i) {
        const std::uint64_t number = write(*writer);
        if (text = read(number); !text.empty()) return text;
    }
    return {};
}

std::string LatestScenario::verify(const Case& now) {
    join();
    const std::uint64_t before = object().number();
    const Outcome& said = outcome(crash::Role::victim);
    if (said.code == kDone && before < said.values[0]) return "a value that was written is gone";
    if (before < kBefore) return "the numbers went back";
    if (std::string text = read(before); !text.empty()) return text;
    auto writer = object().claim_writer();
    if (!writer) return "nobody may write any more: " + describe(writer.error());
    for (int i = 0; i < 6; ++i) {
        const std::uint64_t number = write(*writer);
        if (number != before + 1 + static_cast<std::uint64_t>(i)) return "a number is left out";
        if (std::string text = read(number); !text.empty()) return text;
    }
    if (!now.victim_dead && !now.recoverer_dead && said.code == Outcome::kNothing)
        return "the operation did not return";
    return {};
}

void writes(LatestScenario& stage) {
    auto writer = stage.object().claim_writer();
    if (!writer) return;
    for (int i = 0; i < 2; ++i) outcome(crash::Role::victim).values[0] = stage.write(*writer);
}
void is_not_the_writer(LatestScenario& stage) {
    if (auto writer = stage.object().claim_writer()) stage.write(*writer);
}
// A victim that fails a check died of it, which is a violation.
void reads(LatestScenario& stage) {
    const auto reading = stage.object().read();
    const bool good = reading && reading->number >= kBefore && reading->value.is(reading->number);
    STOA_CHECK(good);
}
void waits(LatestScenario& stage) {
    const auto reading = stage.object().wait_for_newer(kBefore);
    const bool good = reading && reading->number > kBefore && reading->value.is(reading->number);
    STOA_CHECK(good);
}

// --- keys ---------------------------------------------------------------------------------------

using Board = Blackboard<std::uint64_t, 4>;

class BoardScenario final : public LockStage<Board, BoardScenario> {
public:
    using LockStage::LockStage;

    void recover(const Case& /*now*/) override { claim("recoverer"); }
    std::string interfere(const Case& /*now*/) override {
        join();
        claim("mine");
        claim("other");
        return look();
    }
    std::string verify(const Case& now) override {
        join();
        if (outcome(crash::Role::victim).code == kDone && !object().find("mine"))
            return "a key that was added is gone";
        if (std::string text = look(); !text.empty()) return text;
        claim("mine");
        // As many as there may be, also those that the dead had taken.
        for (int i = 0; object().size() < Board::capacity(); ++i) {
            const auto made = object().claim("fill " + std::to_string(i));
            if (!made) return "a key is lost: " + describe(made.error());
        }
        if (object().claim("too many").error().code != Errc::full) return "there is a key too many";
        if (!object().find("mine")) return "a key is not found";
        static_cast<void>(now);
        return look();
    }
    void claim(std::string_view key) {
        if (auto writer = object().claim(key)) writer->write(key.size()).value();
    }

private:
    // Each key is one that somebody added, once, and its value its own.
    std::string look() {
        std::set<std::string, std::less<>> keys;
        std::string text;
        object().for_each([&](std::string_view key, const Board::Cell& cell) {
            const bool known = key == "mine" || key == "other" || key == "recoverer" ||
                               key == "before" || key.starts_with("fill ");
            if (!known) text = "half a key: " + std::string{key};
            if (!keys.emplace(key).second) text = "twice there: " + std::string{key};
            const auto reading = cell.read();
            if (reading && reading->value != key.size()) text = "another key's value";
            if (object().find(key).value_or(nullptr) != &cell) text = "found elsewhere";
        });
        return text;
    }
};

void add_board_scenarios(Scenarios& list) {
    const auto before = [](BoardScenario& stage) { stage.claim("before"); };
    const LockCase<BoardScenario> cases[] = {
        {.name = "blackboard.claim",
         .operation = [](BoardScenario& stage) { stage.claim("mine"); },
         .prepare = before},
        {.name = "blackboard.claim_of_dead",
         .operation = [](BoardScenario& stage) { stage.claim("mine"); },
         .prepare =
             [](BoardScenario& stage) {
                 stage.claim("before");
                 // One died before K2, one between K2 and K3.
                 auto* const keys = reinterpret_cast<BlackboardKey*>(&stage.object());
                 stage.leave_a_dead_one([&] {
                     stage.claim("other");
                     const Holder me = here(keys).me;
                     keys[1].word.store(me, kRelease);
                     keys[2].word.store(me, kRelease);
                     keys[3].word.store(me, kRelease);
                 });
             }},
    };
    for (const LockCase<BoardScenario>& one : cases)
        list.push_back(std::make_unique<BoardScenario>(one));
}

}  // namespace

void add_latest_scenarios(Scenarios& list) {
    const auto values = [](LatestScenario& stage) { stage.write_before(); };
    const auto dead = [](LatestScenario& stage) {
        stage.write_before();
        stage.leave_a_dead_one([&] {
            auto* const writer = new Latest<Value>::Writer{stage.object().claim_writer().value()};
            stage.write(*writer);
        });
    };
    const LockCase<LatestScenario> cases[] = {
        {.name = "latest.write", .operation = writes, .prepare = values},
        {.name = "latest.inherit", .operation = is_not_the_writer, .prepare = dead},
        {.name = "latest.read", .operation = reads, .prepare = values},
        {.name = "latest.wait", .operation = waits, .prepare = values, .sleeps = true},
    };
    for (const LockCase<LatestScenario>& one : cases)
        list.push_back(std::make_unique<LatestScenario>(one));
    add_board_scenarios(list);
}

}  // namespace stoa::crash
