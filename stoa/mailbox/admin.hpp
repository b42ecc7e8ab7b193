// A look at mailboxes from outside, and the cleaning up after the dead.
//
// Start here: look_at_mailbox() for one, mailbox_names() for all; collect_garbage() of a domain.
// Threads:    safe; nothing is kept between calls.
// Processes:  looking maps read-only and takes no part; sweeping joins with no role, and leaves.
// Death:      a sweeper that dies is swept itself by the next one.
// Blocking:   only the file system. A look walks all slots and chunks of the mailbox.
// Lifetime:   values.
// Units:      bytes; figures are of moving things: each was right at some moment of the look.
// Source:     stoa/life/participants.hpp, PoolRing::counts(), count_lane().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/error.hpp"
#include "stoa/life/participants.hpp"
#include "stoa/mailbox/plan.hpp"
#include "stoa/shm/domain.hpp"
#include "stoa/shm/region_admin.hpp"

namespace stoa {

struct MailboxFacts {
    std::string name;
    MailboxPlan plan;
    std::uint32_t mode = 0;
    Owner owner = Owner::system;
    sys::Identity creator;           // with owner process: the owner
    std::uint64_t memory_bytes = 0;  // what it takes from the memory file system
    std::uint64_t depth = 0;         // messages that wait
    std::uint64_t queued_bytes = 0;  // their payload
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t redelivered = 0;  // deliveries with that mark, handed over ones as well
    std::uint64_t leased = 0;       // messages lent to receivers now; a lane does not tell
    std::uint64_t loaned = 0;       // chunks lent to senders now; a lane does not tell
    std::uint64_t dead_letters = 0;
    std::uint64_t dropped_oldest = 0;
    std::uint64_t dropped_newest = 0;
    std::uint64_t expired = 0;
    std::uint64_t withdrawn = 0;
    std::uint64_t free_chunks = 0;
    bool closed = false;         // nothing more is sent
    std::uint32_t segments = 0;  // of an unbounded mailbox, in use
    std::uint32_t lanes_open = 0;
    std::vector<Participant> participants;
    // Where each receiver has a queue of its own, what waits in it, by Participant::seat; else
    // empty. Not of an unbounded mailbox.
    std::vector<std::uint64_t> waiting;

    [[nodiscard]] std::uint32_t count(sys::Life life) const noexcept;
};

// Errors: unsafe_folder, denied
[[nodiscard]] Result<std::vector<std::string>> mailbox_names(std::string_view domain = {});

// Errors: not_found, bad_name, denied, unsafe_folder, bad_layout, wrong_version, limit_reached
[[nodiscard]] Result<MailboxFacts> look_at_mailbox(std::string_view name,
                                                   std::string_view domain = {});

// What waits in the file of a link, by who sent it, and the text that says who they are.
struct LinkDepths {
    std::string text;
    std::uint64_t sent_by[2]{};  // index: seat
    // How the last message of each begins, if it lies in a lane.
    std::array<std::byte, 32> last_of[2]{};
};
// Errors: as look_at_mailbox
[[nodiscard]] Result<LinkDepths> look_at_link(const Domain& domain, const std::string& file);

// Recovers what its dead participants held. Errors: as RawMailbox::open
Result<void> sweep_mailbox(std::string_view name, std::string_view domain = {});

// Every mailbox of the domain that needs it. Never touches what a live process uses. `dry_run`:
// changes nothing, tells what would be done. Errors: as mailbox_names
[[nodiscard]] Result<std::vector<Collected>> collect_garbage(bool dry_run,
                                                             std::string_view domain = {});

}  // namespace stoa
