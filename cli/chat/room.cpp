#include "cli/chat/room.hpp"

#include "stoa/mailbox/admin.hpp"

namespace stoa::cli {
namespace {

constexpr std::string_view kJoined = " joined";
constexpr std::string_view kLeft = " left";

bool has_ended(const Error& error) noexcept {
    return error.code == Errc::gone || error.code == Errc::closed;
}

}  // namespace

std::string mailbox_of_room(std::string_view room) {
    return "room-" + std::string{room};
}

RoomLine RoomLine::of(std::string_view line) {
    const std::size_t end = std::min(line.find_first_of(": "), line.size());
    const std::string_view name = line.substr(0, end);
    const std::string_view rest = line.substr(end);
    const bool named = check_name(name).has_value();
    if (named && rest == kJoined) return {.kind = Kind::joined, .name = std::string{name}};
    if (named && rest == kLeft) return {.kind = Kind::left, .name = std::string{name}};
    if (!named || !rest.starts_with(": ")) return {.text = std::string{line}};
    return {.name = std::string{name}, .text = std::string{rest.substr(2)}};
}

std::string RoomLine::line() const {
    switch (kind) {
        case Kind::joined: return name + std::string{kJoined};
        case Kind::left: return name + std::string{kLeft};
        case Kind::said: break;
    }
    return name + ": " + text;
}

Result<Room> Room::enter(std::string_view room) {
    Room entered{mailbox_of_room(room)};
    if (Result<void> done = entered.enter_again(); !done) return std::unexpected(done.error());
    return entered;
}

Result<void> Room::enter_again() {
    constexpr std::uint32_t kLines = 256;
    const MailboxOptions options{.capacity = bounded(kLines),
                                 .sharing = Sharing::broadcast,
                                 .overflow = Overflow::drop_oldest,
                                 .max_bytes = kMaxBytes,
                                 .reserve_bytes = std::uint64_t{128} << 10U};
    mailbox_.reset();  // it leaves a wait set by itself
    Result<RawMailbox> opened = RawMailbox::open_or_create(name_, options);
    if (!opened) return std::unexpected(opened.error());
    if (opened->plan().sharing != Sharing::broadcast) {
        return fail(Errc::wrong_type, "room (a mailbox of its name is no broadcast)");
    }
    mailbox_.emplace(std::move(*opened));
    ++entered_;
    return {};
}

Result<void> Room::say(const RoomLine& line) {
    const std::string text = line.line();
    for (int turn = 0; turn < 2; ++turn) {
        Result<void> sent = mailbox_->try_send(std::as_bytes(std::span{text}));
        if (sent || !has_ended(sent.error())) return sent;
        if (Result<void> again = enter_again(); !again) return again;
    }
    return fail(Errc::gone, "room (it comes and goes)");
}

Result<std::optional<RoomLine>> Room::next() {
    Result<RawMessage> message = mailbox_->try_receive();
    if (message) {
        missed_ += message->missed();
        return RoomLine::of(message->text());
    }
    if (has_ended(message.error())) {
        if (Result<void> again = enter_again(); !again) return std::unexpected(again.error());
        return std::nullopt;
    }
    if (message.error().code == Errc::empty) return std::nullopt;
    return std::unexpected(message.error());
}

void Room::look_around() {
    static_cast<void>(mailbox_->attachment().look_around());
}

// Two who leave at once may both see the other: the room then stays, empty, for the next ones.
void Room::leave() noexcept {
    if (!mailbox_) return;
    mailbox_.reset();
    const Result<MailboxFacts> facts = look_at_mailbox(name_);
    if (!facts || facts->count(sys::Life::dead) != facts->participants.size()) return;
    static_cast<void>(RawMailbox::destroy(name_));
}

}  // namespace stoa::cli
