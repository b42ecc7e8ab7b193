// A room of a chat: a broadcast mailbox in which each line says who speaks.
//
// Start here: Room::enter(), say(), next(); leave() when done.
// Threads:    one.
// Processes:  any number up to 64; whoever leaves last removes the room.
// Death:      of a member: its lines before that are read. Of the last one: the room stays, empty,
//             until the next last one leaves, or `stoa mailbox rm`.
// Blocking:   never: what is not read in time is dropped, the oldest first.
// Lifetime:   leaves in the destructor.
// Units:      bytes of UTF-8.
// Source:     stoa/mailbox/raw_mailbox.hpp, sharing broadcast.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "stoa/mailbox/raw_mailbox.hpp"

namespace stoa::cli {

// "alice: hello", "alice joined" and "alice left" as they stand in the mailbox, so that
// `stoa send room-lobby 'bot: hello'` and `stoa recv room-lobby` take part.
struct RoomLine {
    enum class Kind : std::uint8_t { said, joined, left };

    Kind kind = Kind::said;
    std::string name{};  // empty: the line has no name
    std::string text{};

    [[nodiscard]] static RoomLine of(std::string_view line);
    [[nodiscard]] std::string line() const;
};

[[nodiscard]] std::string mailbox_of_room(std::string_view room);

class Room {
public:
    static constexpr std::uint32_t kMaxBytes = 8192;

    // Errors: as RawMailbox::open_or_create; wrong_type: the mailbox is no broadcast
    [[nodiscard]] static Result<Room> enter(std::string_view room);
    Room(Room&&) noexcept = default;
    Room& operator=(Room&&) noexcept = default;
    ~Room() { leave(); }

    // Errors: too_big, and those of the mailbox
    Result<void> say(const RoomLine& line);
    // nullopt: nothing more for now. Errors: those of the mailbox
    [[nodiscard]] Result<std::optional<RoomLine>> next();
    // How many lines came too fast to be read, since the last question.
    [[nodiscard]] std::uint64_t missed() noexcept { return std::exchange(missed_, 0); }
    // For a wait set, until it was entered anew: entered() counts.
    [[nodiscard]] Waitable readable() const { return mailbox_->readable(); }
    [[nodiscard]] std::uint64_t entered() const noexcept { return entered_; }
    // Recovers what dead members held.
    void look_around();
    void leave() noexcept;

private:
    explicit Room(std::string name) : name_{std::move(name)} {}
    // Another one removed it, being the last one as far as it could see.
    [[nodiscard]] Result<void> enter_again();

    std::string name_;  // of the mailbox
    std::optional<RawMailbox> mailbox_{};
    std::uint64_t missed_ = 0;
    std::uint64_t entered_ = 0;
};

}  // namespace stoa::cli
