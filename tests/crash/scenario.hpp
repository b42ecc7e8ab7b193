// What the crash engine needs to know about one operation in order to kill it at every instruction.
//
// Start here: derive from Scenario; toy_test.cpp holds the smallest ones.
// Threads:    none; an operation under test runs in one thread of a forked process.
// Processes:  engine (prepare, reset), victim (the operation), recoverer (a survivor that recovers
//             and is killed or stopped too), waker (ends a sleep of the victim), judge (the
//             survivors, after it or beside it). All but the engine are forked anew for every run.
// Death:      the engine kills or stops victim and recoverer; a judge that dies or hangs is a
//             violation.
// Blocking:   a victim may sleep in the kernel only when sleeps() says so.
// Lifetime:   members written by prepare() are inherited by every later process; what victim, waker
//             and recoverer write into private memory is lost: they report through outcome().
// Units:      none.
// Source:     none.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stoa/base/atomic.hpp"

namespace stoa::crash {

enum class Role : std::uint8_t { victim, recoverer, waker, judge };

// How one run treats its processes.
enum class Mode : std::uint8_t {
    none,        // nobody is harmed: the scenario itself is tried
    kill,        // the victim is killed; the judge recovers
    stall,       // the victim is stopped, the survivors go on, it resumes and finishes
    kill_kill,   // the victim is killed, the recoverer too; the judge recovers
    kill_stall,  // the victim is killed, the recoverer is stopped, another one recovers and the
                 // place is used again, then the recoverer resumes and finishes
};

struct Case {
    Mode mode{};
    Role me{};
    bool victim_dead = false;
    bool recoverer_dead = false;
    pid_t victim_pid = -1;
    pid_t recoverer_pid = -1;
};

// What a process says about its operation; it outlives the process. The engine sets all to zero
// before every run, and counts a write here as a change of shared state.
struct Outcome {
    static constexpr std::uint64_t kNothing = 0;

    Atomic<std::uint64_t> code;  // kNothing until the operation returned; then what it returned
    std::array<Atomic<std::uint64_t>, 7> values;
    std::array<std::byte, 448> bytes;
};
static_assert(sizeof(Outcome) == 512);

[[nodiscard]] Outcome& outcome(Role role) noexcept;

class Scenario {
public:
    Scenario() = default;
    Scenario(const Scenario&) = delete;
    Scenario& operator=(const Scenario&) = delete;
    virtual ~Scenario() = default;

    [[nodiscard]] virtual std::string name() const = 0;

    // Engine, once: builds the state in which the victim finds the world.
    virtual void prepare() = 0;
    // The memory that the engine saves after prepare() and puts back before every run.
    [[nodiscard]] virtual std::vector<std::span<std::byte>> shared() { return {}; }
    // True when the state is not all in shared(): reset() rebuilds it (files, say) before every
    // run.
    [[nodiscard]] virtual bool external() const { return false; }
    virtual void reset() {}

    // Victim. Only victim() is traced.
    virtual void victim_begin() {}
    virtual void victim() = 0;
    virtual void victim_end() {}

    // Recoverer (then recover() is traced) and judge. recovers() false: nothing to recover.
    [[nodiscard]] virtual bool recovers() const { return true; }
    // False: only one may recover at a time, and a stopped one is not replaced (no kill_stall).
    [[nodiscard]] virtual bool recoveries_overlap() const { return true; }
    virtual void recover_begin(const Case& /*now*/) {}
    virtual void recover(const Case& /*now*/) {}

    // Judge. The texts say what is violated; empty: all is well.
    // While the victim stands still: survivors use the object until they have lapped it.
    [[nodiscard]] virtual std::string interfere(const Case& /*now*/) { return {}; }
    // While the recoverer stands still: recover, take the dead one's place again, use it.
    [[nodiscard]] virtual std::string interfere_recovery(const Case& now) {
        recover_begin(now);
        recover(now);
        return {};
    }
    // At the end, after recover() when somebody was killed: all guarantees, and nothing leaked.
    [[nodiscard]] virtual std::string verify(const Case& now) = 0;

    // The victim may sleep in the kernel; wake(), in a process of its own, ends the sleep. It is
    // called again while the sleep goes on.
    [[nodiscard]] virtual bool sleeps() const { return false; }
    virtual void wake() {}
};

}  // namespace stoa::crash
