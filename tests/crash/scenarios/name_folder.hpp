// A domain folder that is put back before every run, and a look at what lies in it.
//
// The prepared files are kept by a second link in another folder: reset() empties the domain and
// links them in again, and the engine puts their bytes back.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "stoa/mailbox/plan.hpp"
#include "stoa/shm/region_image.hpp"
#include "tests/kit/temp.hpp"

namespace stoa::crash {

// A prepared mailbox, mapped in the engine and all that it forks.
struct KeptMailbox {
    std::string name;
    std::uint64_t inode = 0;
    RegionImage region;
    MailboxPlan plan;
    std::span<std::byte> head;  // header and the places that are used
    std::vector<std::byte> prepared_head;
    std::vector<std::byte> prepared_content;

    // Messages that somebody must get, by their numbers.
    [[nodiscard]] std::set<std::uint64_t> waiting() const;
    [[nodiscard]] bool untouched() const;
};

class NameFolder {
public:
    [[nodiscard]] const std::string& path() const noexcept { return domain_.path(); }

    // Whatever lies in the folder is the prepared state from now on.
    void keep();
    void reset() const;
    [[nodiscard]] std::vector<std::span<std::byte>> shared() const;
    [[nodiscard]] const KeptMailbox* kept(const std::string& name) const;

    // 0: nothing has this name.
    [[nodiscard]] std::uint64_t inode_of(const std::string& name) const;
    // True: somebody, who does not move, is removing what this name leads to.
    [[nodiscard]] bool busy(const std::string& name) const;
    // Empty: nothing has the name, or what has it is complete.
    [[nodiscard]] std::string absent_or_complete(const std::string& name) const;
    // Empty: the folder holds these mailboxes and nothing else.
    [[nodiscard]] std::string holds_only(const std::set<std::string>& names) const;

private:
    kit::TempDomain domain_;
    kit::TempDomain links_;
    std::vector<std::unique_ptr<KeptMailbox>> kept_;
};

[[nodiscard]] std::uint64_t inode_of(const RegionImage& region);

}  // namespace stoa::crash
