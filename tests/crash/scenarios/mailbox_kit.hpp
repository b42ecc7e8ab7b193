// What the processes of mailbox scenarios do, in short words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "stoa/mailbox/mailbox_layout.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "tests/crash/scenario.hpp"

namespace stoa::crash {

inline constexpr std::size_t kBytes = 40;

[[nodiscard]] sys::Fd another(const sys::Fd& file);
[[nodiscard]] RawMailbox open(const sys::Fd& file, ::stoa::Role role = ::stoa::Role::both,
                              bool stands_by = false);

// The payload that carries `number` (ledger.hpp).
[[nodiscard]] std::array<std::byte, kBytes> message(std::uint64_t number);
// Without waiting.
bool send(RawMailbox& box, std::uint64_t number);

// A process that dies in `body` while it has the mailbox open.
void die(const sys::Fd& file, ::stoa::Role role, const std::function<void(RawMailbox&)>& body);
void die_at(const char* point, const sys::Fd& file, const std::function<void(RawMailbox&)>& body);

// A scenario about one mailbox: kept alive by the engine, and its bytes, which can be put back.
class KeptMailbox : public Scenario {
public:
    ~KeptMailbox() override;

    [[nodiscard]] const sys::Fd& file() const { return keeper_->file(); }

protected:
    void keep(RawMailbox&& mailbox);
    void end_keeping() { keeper_.reset(); }
    [[nodiscard]] const MailboxPlan& plan() const { return keeper_->plan(); }
    [[nodiscard]] std::span<std::byte> content() const { return content_; }
    // The header and the table of participants.
    [[nodiscard]] std::span<std::byte> table() const;
    [[nodiscard]] const MailboxStation& station(std::uint32_t i) const;
    [[nodiscard]] const LaneDoor& door(std::uint32_t lane) const;
    [[nodiscard]] std::span<std::byte> lane(std::uint32_t lane) const;
    [[nodiscard]] PoolRing ring(std::uint32_t which) const;

private:
    static constexpr std::uint32_t kPlaces = 64;  // of the table, those that are used here

    std::optional<RawMailbox> keeper_;  // a live participant that does nothing
    std::span<std::byte> mapped_;
    std::span<std::byte> content_;
};

// Whether all chunks are free, and their hints say so, and no slot holds anything. Empty: yes.
[[nodiscard]] std::string is_whole(PoolRing& ring, std::uint32_t me, bool is_sealed);

// What the table says about the process: proven dead, alive, or without a place there.
enum class Known : std::uint8_t { absent, alive, dead };
[[nodiscard]] Known look_for(const RawMailbox& box, pid_t pid);

}  // namespace stoa::crash
