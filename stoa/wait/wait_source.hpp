// What a thing of shared memory does so that a wait set can wait for it.
//
// Start here: WaitSource, which things implement; Touched, by which they talk back.
// Threads:    all of it is called by the thread that the set serves; so are the thing's own calls.
// Processes:  arm() leaves marks in shared memory, as a sleeping thread does; who changes the thing
//             clears them and rings the set's board.
// Death:      marks of a dead process cost whoever changes the thing one futile ring.
// Blocking:   never.
// Lifetime:   the set holds the source, the source may hold the Touched until detach(). A
//             thing that is closed calls Touched::close() first; its source is then never ready.
// Units:      none.
// Source:     a condition variable's rule: mark, look again, sleep.
#pragma once

#include <cstdint>

#include "stoa/base/error.hpp"
#include "stoa/life/participants_layout.hpp"
#include "stoa/sys/process.hpp"

namespace stoa {

class WaitSetState;

// One entry of a wait set, as the thing that it waits for sees it.
class Touched {
public:
    // Something happened that may have cleared a mark of arm(), or made the thing ready: a call of
    // this process on the thing itself. The set looks at it again before it sleeps.
    void touch() noexcept {
        if (!listed_) list();
    }
    // The thing is closed: its entry leaves the set.
    void close() noexcept {
        closed_ = true;
        touch();
    }

protected:
    Touched(WaitSetState& set, std::uint32_t slot) noexcept : set_{set}, slot_{slot} {}
    ~Touched() = default;

private:
    friend class WaitSetState;
    void list() noexcept;

    WaitSetState& set_;
    std::uint32_t slot_;
    bool listed_ = false;  // the set will look at it
    bool closed_ = false;
};

// Says of whom a thing's readiness depends: called for each process.
class PeerVisitor {
public:
    virtual void visit(const sys::Identity& peer) = 0;

protected:
    ~PeerVisitor() = default;
};

class WaitSource {
public:
    virtual ~WaitSource() = default;

    // Computed from the state of the thing, at every call. It may do what a call that does not wait
    // would do on its way: attach to a new sender, seal what is drained.
    [[nodiscard]] virtual bool ready() noexcept = 0;
    // Marks the thing as a sleeper would, barrier included: a change that ready() does not see yet
    // when it is called after this tells the watch, and only then clears the mark. Also of one that
    // is armed: anew.
    virtual void arm() noexcept = 0;
    virtual void disarm() noexcept = 0;
    // How many pauses it is worth to look at ready() before arming: 0 where whoever could change it
    // last ran on this core.
    [[nodiscard]] virtual std::uint32_t spin_pauses() noexcept { return 0; }
    // What is told as one: the things of one participant. Null: nothing tells it.
    [[nodiscard]] virtual const void* watched_as() const noexcept { return nullptr; }
    // Whom its region tells from now on; turn 0: nobody. Errors: in_use: another set
    virtual Result<void> set_watch(const WatchWord& /*whom*/) noexcept { return {}; }
    // Looks for deaths among those it depends on, as a sleeper does between two slices.
    virtual Result<void> look_around() noexcept { return {}; }
    // Whether who has it is gone: ready() says so from now on. For each thing of a participant.
    virtual void look_for_holder() noexcept {}
    virtual void for_each_peer(PeerVisitor& /*visitor*/) {}
    // Whether those who come rings for it: they join the region that it watches. Else its set asks
    // for_each_peer in each tick.
    [[nodiscard]] virtual bool newcomers_ring() const noexcept { return false; }
    // From now on the thing's own calls touch this one. Errors: in_use: it serves one already
    virtual Result<void> attach(Touched& entry) noexcept = 0;
    virtual void detach() noexcept = 0;
};

}  // namespace stoa
