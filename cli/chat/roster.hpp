// Who is in a room: found by name and attribute, watched until they leave or die.
//
// Start here: refresh(), joined(), left(), died().
// Threads:    one.
// Processes:  of one domain; a line that says somebody came or went is believed only when the
//             names say so too.
// Death:      of a member: its descriptor in the wait set becomes ready, at once.
// Blocking:   only the file system.
// Lifetime:   takes its entries out of the wait set in the destructor.
// Units:      -
// Source:     stoa/link/admin.hpp, stoa/wait/wait_set.hpp.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "stoa/link/admin.hpp"
#include "stoa/wait/wait_set.hpp"

namespace stoa::cli {

inline constexpr std::string_view kRoomAttribute = "room";

class Roster {
public:
    enum class Change : std::uint8_t { joined, left, died };
    using Tell = std::function<void(Change change, const std::string& name)>;

    // Tags of the wait set from `first_tag` on are the members'.
    Roster(WaitSet& set, std::uint64_t first_tag, std::string room, std::string own_name, Tell tell)
        : set_{set},
          next_tag_{first_tag},
          room_{std::move(room)},
          own_name_{std::move(own_name)},
          tell_{std::move(tell)} {}
    Roster(Roster&&) = delete;
    ~Roster();

    // Looks at all names. Errors: as list_processes
    Result<void> refresh();
    // Somebody said that this one came, or that it goes.
    void joined(const std::string& name);
    void left(const std::string& name);
    // What it sent before that should have been read.
    void died(std::uint64_t tag);
    // Who said that it goes, and still has its name.
    [[nodiscard]] bool awaits_leavers() const noexcept { return leavers_ > 0; }
    void look_at_leavers();

    [[nodiscard]] std::vector<std::string> names() const;
    [[nodiscard]] bool knows(const std::string& name) const { return members_.contains(name); }

private:
    struct Member {
        std::uint64_t join_id = 0;
        sys::Identity identity{};
        WaitId death{};
        std::uint64_t tag = 0;
        bool leaves = false;  // it said so
    };
    using Members = std::map<std::string, Member>;

    void add(const ProcessInfo& info);
    void remove(Members::iterator at, Change change);
    [[nodiscard]] bool is_in_room(const ProcessInfo& info) const;
    [[nodiscard]] static Change ending_of(const Member& member);

    WaitSet& set_;
    std::uint64_t next_tag_;
    std::string room_;
    std::string own_name_;
    Tell tell_;
    Members members_;
    int leavers_ = 0;
};

}  // namespace stoa::cli
