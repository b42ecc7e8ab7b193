#include "tests/crash/engine.hpp"

#include <sched.h>

#include <algorithm>
#include <iterator>
#include <numeric>
#include <ranges>
#include <unordered_map>
#include <utility>

namespace stoa::crash {
namespace {

using Clock = std::chrono::steady_clock;

// Single steps through the rest of an operation that was disturbed show paths that a quiet run does
// not take; longer operations get this only in a full run, and not each time.
constexpr std::uint32_t kShort = 1500;
// So many telling pairs run however small the budget is.
constexpr std::size_t kLeastPairs = 16;
constexpr std::size_t kStepwiseEach = 16;  // of the pairs of a full run with a long recovery

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// 0 .. count-1 in an order whose every beginning is spread evenly.
class Spread {
public:
    Spread(std::uint64_t count, std::uint64_t seed) : count_{count} {
        if (count == 0) return;
        at_ = seed % count;
        stride_ = std::max<std::uint64_t>(
            1, static_cast<std::uint64_t>(static_cast<double>(count) * 0.6180339887));
        while (std::gcd(stride_, count) != 1) ++stride_;
    }
    std::uint64_t next() {
        at_ = (at_ + stride_) % count_;
        return at_;
    }

private:
    std::uint64_t count_;
    std::uint64_t at_ = 0;
    std::uint64_t stride_ = 1;
};

std::vector<Point> telling_points(const Trace& trace) {
    std::vector<Point> points;
    for (const std::uint32_t at : trace.telling) points.push_back({at, false});
    for (const std::uint32_t at : trace.sleeps) points.push_back({at, true});
    return points;
}

std::vector<Point> other_points(const Trace& trace) {
    std::vector<Point> points;
    for (std::uint32_t at = 0; at <= trace.last(); ++at) {
        if (!std::binary_search(trace.telling.begin(), trace.telling.end(), at)) {
            points.push_back({at, false});
        }
    }
    return points;
}

// How often each instruction was executed before it since something changed.
template <typename Points>
std::vector<std::uint32_t> quiet_turns(const Trace& trace, const Points& order) {
    std::vector<std::uint32_t> turns(trace.addresses.size());
    std::unordered_map<std::uintptr_t, std::uint32_t> passed;
    for (const std::uint32_t at : order) {
        if (std::binary_search(trace.telling.begin(), trace.telling.end(), at)) passed.clear();
        turns[at] = passed[trace.addresses[at]]++;
    }
    return turns;
}

// Leaves out the inner turns of long loops that change nothing: whoever is stopped there differs in
// a counter of its own alone.
void drop_inner_turns(const Trace& trace, std::vector<Point>& points) {
    constexpr std::uint32_t kTurns = 8;  // at either end
    const auto all = std::views::iota(0U, trace.last() + 1);
    const std::vector<std::uint32_t> before = quiet_turns(trace, all);
    const std::vector<std::uint32_t> after = quiet_turns(trace, all | std::views::reverse);
    std::erase_if(points, [&](Point point) {
        return before[point.at] >= kTurns && after[point.at] >= kTurns;
    });
}

std::string point_text(Point point) {
    return std::to_string(point.at) + (point.asleep ? "z" : "");
}

void pin_to_this_cpu() {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(std::max(::sched_getcpu(), 0)), &set);
    ::sched_setaffinity(0, sizeof set, &set);
}

}  // namespace

const char* mode_name(Mode mode) {
    switch (mode) {
        case Mode::none: return "none";
        case Mode::kill: return "kill";
        case Mode::stall: return "stall";
        case Mode::kill_kill: return "kill_kill";
        case Mode::kill_stall: return "kill_stall";
    }
    return "?";
}

std::string Violation::replay() const {
    std::string text = scenario + ":" + mode_name(mode) + ":" + point_text(victim);
    if (mode == Mode::kill_kill || mode == Mode::kill_stall) text += ":" + point_text(recoverer);
    return text;
}

// What a killed victim left, and how a recoverer goes about it.
struct Engine::PostCrash {
    Point victim;
    Snapshot snapshot;
    Trace trace;
    std::unique_ptr<Route> route;
};

class Engine::Run {
public:
    Run(Engine& engine, Scenario& scenario)
        : engine_{engine}, options_{engine.options_}, world_{scenario, options_.watchdog} {
        tally_.scenario = scenario.name();
    }

    Tally all();
    Tally one(Mode mode, Point victim, Point recoverer);

private:
    bool try_unharmed();
    void each_point(Mode mode, double share);
    void each_pair(Mode mode, double share);
    void some_pairs(Mode mode, double share);
    std::vector<Point> full_points(Mode mode, const Trace& trace);
    void single(Mode mode, Point point, bool stepwise);
    void kill(Point point);
    void stall(Point point, bool stepwise);
    void pair(Mode mode, const PostCrash& left, Point point, bool stepwise);
    std::string pair_text(Mode mode, const PostCrash& left, Point point, bool stepwise);
    bool post_crash(Point point, PostCrash& left);
    void collect_post_crash(double share);

    std::string bring(Tracee& tracee, const Trace& trace, const Route& route, Point point);
    void note_drift(const Tracee& tracee, Point point);
    std::string go_on(Tracee& tracee, bool stepwise);
    Act verifying(const Case& now, bool recovering);
    void blame(Mode mode, Point victim, Point recoverer, const std::string& text);
    [[nodiscard]] double spent() const { return seconds_since(budget_from_) / options_.budget_s; }

    Engine& engine_;
    const Options& options_;
    World world_;
    Tally tally_;
    Trace trace_;
    std::unique_ptr<Route> route_;
    std::vector<PostCrash> post_crash_;
    std::uintptr_t address_ = 0;  // where bring() ended
    Clock::time_point start_ = Clock::now();
    Clock::time_point budget_from_ = start_;
};

void Engine::Run::blame(Mode mode, Point victim, Point recoverer, const std::string& text) {
    if (text.empty()) return;
    tally_.violations.push_back({tally_.scenario, mode, victim, recoverer, address_, text});
    const Violation& last = tally_.violations.back();
    if (options_.log == nullptr || tally_.violations.size() > options_.log_limit) return;
    std::fprintf(options_.log,
                 "VIOLATION %s %s at instruction %s%s%s\n"
                 "    %s\n    before %s (%s)\n    seed %lu, again with: --replay %s\n",
                 last.scenario.c_str(), mode_name(mode), point_text(victim).c_str(),
                 mode >= Mode::kill_kill ? ", recoverer at " : "",
                 mode >= Mode::kill_kill ? point_text(recoverer).c_str() : "", text.c_str(),
                 engine_.symbols_.describe(address_).c_str(),
                 source_lines({address_}).front().c_str(), options_.seed, last.replay().c_str());
    std::fflush(options_.log);
}

// Brings a tracee to a point. Not empty: it died on the way.
std::string Engine::Run::bring(Tracee& tracee, const Trace& trace, const Route& route,
                               Point point) {
    address_ = trace.addresses[point.at];
    if (tracee.stop() == Stop::stepped) tracee.run_to(route, point.at);
    if (tracee.stop() == Stop::stepped && point.asleep) tracee.step();
    const Stop stop = tracee.stop();
    if (stop == Stop::hung) return "it hangs on the way to the point";
    if (stop == Stop::crashed || stop == Stop::ended) return "it crashed: " + tracee.how();
    const bool arrived =
        point.asleep ? stop == Stop::asleep : stop == Stop::stepped && tracee.address() == address_;
    if (!arrived) note_drift(tracee, point);
    return {};
}

// A clock, a retry or the like took it another way than when it was recorded. The run counts, but
// for another instruction.
void Engine::Run::note_drift(const Tracee& tracee, Point point) {
    ++tally_.drifted;
    if (options_.log == nullptr || tally_.drifted > options_.log_limit) return;
    std::fprintf(options_.log, "drift: %s at %s stands before %s instead of %s\n",
                 tally_.scenario.c_str(), point_text(point).c_str(),
                 tracee.stop() == Stop::stepped
                     ? engine_.symbols_.describe(tracee.address()).c_str()
                     : "the end or in a sleep",
                 engine_.symbols_.describe(address_).c_str());
}

// Lets a stopped tracee complete its operation and exit.
std::string Engine::Run::go_on(Tracee& tracee, bool stepwise) {
    if (stepwise && tracee.stop() == Stop::stepped) {
        do {
            engine_.coverage_.mark(tracee.address());
            tracee.step();
        } while (tracee.wake_up() == Stop::stepped);
    } else {
        tracee.run_to_end();
    }
    if (tracee.stop() == Stop::hung) return "after it resumed it never finished";
    if (tracee.stop() != Stop::finished) {
        return "after it resumed it crashed: " + tracee.how();
    }
    if (tracee.finish() != Stop::ended || !tracee.how().empty()) {
        return "it could not end in order: " + tracee.how();
    }
    return {};
}

Act Engine::Run::verifying(const Case& now, bool recovering) {
    return [this, now, recovering] {
        Scenario& scenario = world_.scenario();
        if (recovering && scenario.recovers()) {
            scenario.recover_begin(now);
            scenario.recover(now);
        }
        return scenario.verify(now);
    };
}

void Engine::Run::kill(Point point) {
    world_.restore();
    Tracee victim = world_.start_victim();
    const Case now{Mode::kill, Role::judge, true, false, victim.pid(), -1};
    std::string text = bring(victim, trace_, *route_, point);
    victim.kill();
    if (point.at % 2 == 1) victim.reap();  // the others stay zombies while the judge looks
    if (text.empty()) text = world_.judge({verifying(now, true)})->next();
    blame(Mode::kill, point, {}, text);
    ++tally_.kills;
}

void Engine::Run::stall(Point point, bool stepwise) {
    world_.restore();
    Tracee victim = world_.start_victim();
    const Case now{Mode::stall, Role::judge, false, false, victim.pid(), -1};
    std::string text = bring(victim, trace_, *route_, point);
    const auto judge = world_.judge(
        {[this, now] { return world_.scenario().interfere(now); }, verifying(now, false)});
    if (text.empty()) text = judge->next();
    if (text.empty()) text = go_on(victim, stepwise);
    if (text.empty()) text = judge->next();
    blame(Mode::stall, point, {}, text);
    ++tally_.stalls;
}

// Kills a victim at `point` and keeps what it left; false when even that went wrong.
bool Engine::Run::post_crash(Point point, PostCrash& left) {
    left.victim = point;
    world_.restore();
    {
        Tracee victim = world_.start_victim();
        if (!bring(victim, trace_, *route_, point).empty()) return false;
    }
    left.snapshot = world_.save();
    Tracee recoverer = world_.start_recoverer({Mode::kill_kill, Role::recoverer, true});
    if (recoverer.stop() == Stop::stepped)
        left.trace = world_.record(recoverer, engine_.accesses());
    if (left.trace.addresses.empty() || left.trace.end != Stop::finished) {
        blame(Mode::kill_kill, point, {}, "recovery does not finish: " + recoverer.how());
        return false;
    }
    engine_.coverage_.mark(left.trace.addresses);
    left.route = std::make_unique<Route>(left.trace.addresses);
    return true;
}

std::string Engine::Run::pair_text(Mode mode, const PostCrash& left, Point point, bool stepwise) {
    Case now{mode, Role::judge, true};
    if (world_.scenario().external()) {
        world_.restore();
        Tracee victim = world_.start_victim();
        std::string text = bring(victim, trace_, *route_, left.victim);
        if (!text.empty()) return text;
    } else {
        world_.restore(left.snapshot);
    }
    Tracee recoverer = world_.start_recoverer(now);
    now.recoverer_pid = recoverer.pid();
    std::string text = bring(recoverer, left.trace, *left.route, point);
    if (!text.empty()) return "recoverer: " + text;
    if (mode == Mode::kill_kill) {
        now.recoverer_dead = true;
        recoverer.kill();
        if (point.at % 2 == 1) recoverer.reap();
        return world_.judge({verifying(now, true)})->next();
    }
    const auto judge = world_.judge(
        {[this, now] { return world_.scenario().interfere_recovery(now); }, verifying(now, false)});
    text = judge->next();
    if (text.empty()) text = go_on(recoverer, stepwise);
    if (text.empty()) text = judge->next();
    return text;
}

void Engine::Run::pair(Mode mode, const PostCrash& left, Point point, bool stepwise) {
    blame(mode, left.victim, point, pair_text(mode, left, point, stepwise));
    ++(mode == Mode::kill_kill ? tally_.kill_kills : tally_.kill_stalls);
}

void Engine::Run::single(Mode mode, Point point, bool stepwise) {
    mode == Mode::kill ? kill(point) : stall(point, stepwise);
}

// Runs `mode` at every telling point, then at the others until `share` of the budget is spent.
void Engine::Run::each_point(Mode mode, double share) {
    const bool stepwise = options_.full || trace_.last() <= kShort;
    for (const Point point : telling_points(trace_)) single(mode, point, stepwise);
    std::vector<Point> others = other_points(trace_);
    const std::size_t all = others.size();
    if (options_.singles || options_.full) drop_inner_turns(trace_, others);
    tally_.alike += all - others.size();
    Spread spread{others.size(), options_.seed};
    for (std::size_t done = 0; done < others.size(); ++done) {
        if (!options_.full && !options_.singles && spent() >= share) {
            tally_.left_out += others.size() - done;
            return;
        }
        single(mode, others[spread.next()], false);
    }
}

// Where a recoverer of a full run is harmed. Dead, it differs only in what it has changed; stopped,
// also in what it has seen. Inner turns of loops without effect are one.
std::vector<Point> Engine::Run::full_points(Mode mode, const Trace& trace) {
    std::vector<Point> points;
    const bool touches = mode == Mode::kill_stall || world_.scenario().external();
    if (touches) {
        for (const std::uint32_t at : trace.touches) points.push_back({at, false});
        drop_inner_turns(trace, points);
    }
    std::ranges::copy(telling_points(trace), std::back_inserter(points));
    std::unordered_set<std::uintptr_t>& harmed =
        mode == Mode::kill_stall ? engine_.recoverers_stopped_ : engine_.recoverers_killed_;
    for (std::uint32_t at = 0; at <= trace.last(); ++at) {
        if (harmed.insert(trace.addresses[at]).second) points.push_back({at, false});
    }
    const auto key = [](Point point) { return std::pair{point.at, point.asleep}; };
    std::ranges::sort(points, {}, key);
    const auto repeated = std::ranges::unique(points);
    points.erase(repeated.begin(), repeated.end());
    return points;
}

void Engine::Run::each_pair(Mode mode, double share) {
    if (!options_.full) return some_pairs(mode, share);
    for (const PostCrash& left : post_crash_) {
        const std::vector<Point> points = full_points(mode, left.trace);
        const bool short_one = left.trace.last() <= kShort;
        for (std::size_t k = 0; k < points.size(); ++k) {
            pair(mode, left, points[k], short_one || k % kStepwiseEach == 0);
        }
        tally_.alike += left.trace.last() + 1 + left.trace.sleeps.size() - points.size();
    }
}

// Of the telling pairs as many as the budget allows, evenly spread; then others.
void Engine::Run::some_pairs(Mode mode, double share) {
    struct Pair {
        const PostCrash* left;
        Point point;
    };
    std::vector<Pair> telling;
    std::vector<Pair> others;
    for (const PostCrash& left : post_crash_) {
        for (const Point point : telling_points(left.trace)) telling.push_back({&left, point});
        for (const Point point : other_points(left.trace)) others.push_back({&left, point});
    }
    for (const bool first : {true, false}) {
        const std::vector<Pair>& pairs = first ? telling : others;
        Spread spread{pairs.size(), options_.seed};
        for (std::size_t done = 0; done < pairs.size(); ++done) {
            const bool least = first && done < kLeastPairs;
            if (!least && spent() >= share) {
                tally_.left_out += pairs.size() - done;
                break;
            }
            const Pair& chosen = pairs[spread.next()];
            pair(mode, *chosen.left, chosen.point, first && chosen.left->trace.last() <= kShort);
        }
    }
}

// Records the operation; the scenario must hold when nobody is harmed.
bool Engine::Run::try_unharmed() {
    world_.restore();
    Tracee victim = world_.start_victim();
    const Case now{Mode::none, Role::judge, false, false, victim.pid(), -1};
    std::string text;
    if (victim.stop() == Stop::stepped) {
        trace_ = world_.record(victim);
        address_ = trace_.addresses.back();
        text = go_on(victim, false);
    } else {
        text = "it did not reach its operation: " + victim.how();
    }
    if (text.empty()) text = world_.judge({verifying(now, false)})->next();
    blame(Mode::none, {}, {}, text);
    if (!text.empty()) return false;
    engine_.coverage_.mark(trace_.addresses);
    route_ = std::make_unique<Route>(trace_.addresses);
    tally_.instructions = trace_.last();
    tally_.telling_points = static_cast<std::uint32_t>(telling_points(trace_).size());
    return true;
}

// One state for each change of shared memory, as many as the budget has time to record.
void Engine::Run::collect_post_crash(double share) {
    constexpr std::size_t kLeast = 3;
    std::vector<std::uint32_t> states = trace_.changes;
    states.insert(states.begin(), 0);
    Spread spread{states.size(), options_.seed};
    for (std::size_t done = 0; done < states.size(); ++done) {
        if (!options_.full && done >= kLeast && spent() >= share) return;
        PostCrash left;
        if (post_crash({states[spread.next()], false}, left)) {
            post_crash_.push_back(std::move(left));
        }
    }
}

Tally Engine::Run::all() {
    if (try_unharmed()) {
        each_point(Mode::kill, 0.25);
        each_point(Mode::stall, 0.5);
        if (options_.singles) budget_from_ = Clock::now();
        if (world_.scenario().recovers()) {
            collect_post_crash(0.6);
            tally_.post_crash_states = post_crash_.size();
            each_pair(Mode::kill_kill, 0.75);
            if (world_.scenario().recoveries_overlap()) each_pair(Mode::kill_stall, 1.0);
        }
    }
    tally_.seconds = seconds_since(start_);
    tally_.budget_used_s = seconds_since(budget_from_);
    return std::move(tally_);
}

Tally Engine::Run::one(Mode mode, Point victim, Point recoverer) {
    if (try_unharmed() && victim.at <= trace_.last()) {
        PostCrash left;
        if (mode == Mode::kill || mode == Mode::stall) {
            single(mode, victim, true);
        } else if (mode != Mode::none && post_crash(victim, left) &&
                   recoverer.at <= left.trace.last()) {
            pair(mode, left, recoverer, true);
        }
    }
    tally_.seconds = seconds_since(start_);
    return std::move(tally_);
}

Engine::Engine(Options options) : options_{options} {
    if (options_.full) accesses_.emplace();
    pin_to_this_cpu();
    start_watchdog_ticks();
}

Tally Engine::run(Scenario& scenario) {
    return Run{*this, scenario}.all();
}

Tally Engine::replay(Scenario& scenario, Mode mode, Point victim, Point recoverer) {
    return Run{*this, scenario}.one(mode, victim, recoverer);
}

}  // namespace stoa::crash
