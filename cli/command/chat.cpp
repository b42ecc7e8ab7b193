// stoa chat NAME
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "cli/chat/room.hpp"
#include "cli/chat/roster.hpp"
#include "cli/command/command.hpp"
#include "cli/command/facts.hpp"
#include "cli/command/joining.hpp"
#include "cli/framing.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/shown.hpp"
#include "cli/stop.hpp"
#include "stoa/link/process.hpp"

namespace stoa::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kInputTag = 1;
constexpr std::uint64_t kTickTag = 2;
constexpr std::uint64_t kRoomTag = 3;
constexpr std::uint64_t kLinksTag = 4;
constexpr std::uint64_t kFirstMemberTag = 16;
constexpr auto kTick = 1s;      // between two looks at all names, for what nobody announced
constexpr auto kSlice = 100ms;  // between two looks for a signal
constexpr auto kLeaving = 5ms;  // and for the end of one who says that it leaves
constexpr int kMostAtOnce = 256;

struct Options {
    std::string name;
    std::string room = "lobby";
    bool json = false;
    bool stay = false;
};

constexpr std::string_view kHelp =
    "text goes to the room, @NAME text to one process; /who is here, /quit";

// What is printed: a line for each thing that happens.
class Screen {
public:
    explicit Screen(bool json) : json_{json}, out_{Output::standard()} {}

    void said(std::string_view name, std::string_view text) {
        put("said", name, text,
            name.empty() ? fmt::format("(nobody) {}\n", shown(text))
                         : fmt::format("{}: {}\n", shown(name), shown(text)));
    }
    void told(std::string_view name, std::string_view text) {
        put("told", name, text, fmt::format("{} (to you): {}\n", shown(name), shown(text)));
    }
    void changed(Roster::Change change, std::string_view name) {
        constexpr std::string_view kWords[] = {"joined", "left", "died"};
        const std::string_view word = kWords[static_cast<std::size_t>(change)];
        put(word, name, {}, fmt::format("* {} {}\n", shown(name), word));
    }
    void notice(std::string_view text) { put("notice", {}, text, fmt::format("* {}\n", text)); }
    void here(const std::vector<std::string>& names) {
        if (json_) return put(Json{{"event", "here"}, {"names", names}});
        std::string all;
        for (const std::string& name : names) all += (all.empty() ? "here: " : ", ") + shown(name);
        notice(all.empty() ? "nobody else is here" : all);
    }
    void error(std::string_view name, std::string_view text) {
        put("error", name, text, fmt::format("* {}\n", shown(text)));
    }
    // Exit::done, or why nothing can be printed any more.
    [[nodiscard]] Exit flush() {
        if (out_.reader_gone()) return Exit::broken_pipe;
        return out_.exit_of(out_.flush());
    }

private:
    void put(std::string_view event, std::string_view name, std::string_view text,
             std::string_view line) {
        if (!json_) return out_.append(line);
        Json json{{"event", event}};
        if (!name.empty()) json["name"] = name;
        if (!text.empty()) json["text"] = text;
        put(json);
    }
    void put(const Json& json) {
        out_.append(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    }

    bool json_;
    Output out_;
};

class Chat {
public:
    Chat(const Options& options, Process me, Room room, WaitSet set)
        : options_{options},
          me_{std::move(me)},
          room_{std::move(room)},
          set_{std::move(set)},
          screen_{options.json},
          roster_{set_, kFirstMemberTag, options.room, options.name,
                  [this](Roster::Change change, const std::string& name) {
                      if (greeted_) screen_.changed(change, name);
                  }} {}

    Exit run() {
        if (Result<void> begun = begin(); !begun) {
            return complain("chat as " + options_.name, begun.error());
        }
        Exit ended = screen_.flush();
        while (ended == Exit::done && !is_over_) ended = step();
        end();
        return ended;
    }

private:
    // Subscribed first, then a look at who is there, then its own announcement: two who come at
    // once both learn of each other.
    Result<void> begin() {
        for (const auto& [what, tag] : {std::pair{Waitable{FdReady{STDIN_FILENO}}, kInputTag},
                                        std::pair{Waitable{Timer::every(kTick)}, kTickTag},
                                        std::pair{me_.readable(), kLinksTag}}) {
            Result<WaitId> id = set_.add(what, tag);
            if (!id) return std::unexpected(id.error());
            if (tag == kInputTag) input_ = *id;
        }
        if (Result<void> seen = roster_.refresh(); !seen) return seen;
        Result<void> said = room_.say({.kind = RoomLine::Kind::joined, .name = options_.name});
        if (!said) return said;
        screen_.notice(
            fmt::format("you are {} in room {}; {}", options_.name, options_.room, kHelp));
        who();
        greeted_ = true;
        return {};
    }

    void end() {
        static_cast<void>(room_.say({.kind = RoomLine::Kind::left, .name = options_.name}));
        me_.leave();
        room_.leave();
    }

    Exit step() {
        if (stop_requested()) return Exit::stopped;
        if (Result<void> watched = watch_room(); !watched) {
            return complain("chat: room " + options_.room, watched.error());
        }
        const auto longest = roster_.awaits_leavers() ? kLeaving : kSlice;
        const Result<std::span<const Ready>> ready = set_.wait_for(longest);
        if (!ready && ready.error().code != Errc::timed_out) {
            return complain("chat as " + options_.name, ready.error());
        }
        bool reads = false;
        bool ticks = false;
        std::vector<std::uint64_t> ended;
        for (const Ready& one : ready ? *ready : std::span<const Ready>{}) {
            reads = reads || one.tag == kInputTag;
            ticks = ticks || one.tag == kTickTag;
            if (one.tag >= kFirstMemberTag) ended.push_back(one.tag);
        }
        // What they said before they went comes before that.
        if (const Exit heard = hear_room(); heard != Exit::done) return heard;
        if (const Exit heard = hear_links(); heard != Exit::done) return heard;
        for (const std::uint64_t tag : ended) roster_.died(tag);
        if (roster_.awaits_leavers()) roster_.look_at_leavers();
        if (ticks || !ended.empty()) look_around();
        const Exit shown = screen_.flush();
        if (shown != Exit::done || !reads) return shown;
        return read();
    }

    // Who enters a room again has a new mailbox.
    Result<void> watch_room() {
        if (room_.entered() == entered_) return {};
        Result<WaitId> id = set_.add(room_.readable(), kRoomTag);
        if (!id) return std::unexpected(id.error());
        entered_ = room_.entered();
        return {};
    }

    void look_around() {
        room_.look_around();
        static_cast<void>(roster_.refresh());
    }

    Exit hear_room() {
        for (int i = 0; i < kMostAtOnce; ++i) {
            Result<std::optional<RoomLine>> line = room_.next();
            if (!line) return complain("chat: room " + options_.room, line.error());
            if (const std::uint64_t missed = room_.missed(); missed > 0) {
                screen_.notice(fmt::format("{} lines came too fast and are lost", missed));
            }
            if (!*line) break;
            if ((*line)->name == options_.name) continue;
            switch ((*line)->kind) {
                case RoomLine::Kind::joined: roster_.joined((*line)->name); break;
                case RoomLine::Kind::left: roster_.left((*line)->name); break;
                case RoomLine::Kind::said:
                    if (!(*line)->name.empty() && !roster_.knows((*line)->name)) {
                        roster_.joined((*line)->name);
                    }
                    screen_.said((*line)->name, (*line)->text);
                    break;
            }
        }
        return Exit::done;
    }

    Exit hear_links() {
        for (int i = 0; i < kMostAtOnce; ++i) {
            const Result<Received<Bytes>> message = me_.try_receive<Bytes>();
            if (message) {
                screen_.told(message->from(), message->text());
                continue;
            }
            if (message.error().code == Errc::empty || message.error().code == Errc::timed_out) {
                break;
            }
            return complain("chat as " + options_.name, message.error());
        }
        return Exit::done;
    }

    Exit read() {
        const std::span<std::byte> room = reader_.room();
        const ssize_t count = ::read(STDIN_FILENO, room.data(), room.size());
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) return Exit::done;
        if (count < 0) {
            return complain("chat: standard input",
                            {.code = Errc::os, .os_errno = errno, .step = "read"});
        }
        if (count == 0) {
            reader_.finish();
            static_cast<void>(set_.remove(input_));
        } else {
            reader_.filled(static_cast<std::size_t>(count));
        }
        for (;;) {
            std::span<const std::byte> message;
            switch (reader_.next(message)) {
                case Frame::message:
                    obey({reinterpret_cast<const char*>(message.data()), message.size()});
                    continue;
                case Frame::need_more: break;
                case Frame::cut_off:
                case Frame::end: is_over_ = is_over_ || !options_.stay; break;
                case Frame::too_big:
                    complain(fmt::format("chat: line {} is longer than {} bytes", reader_.number(),
                                         kLineBytes));
                    return Exit::failed;
            }
            return screen_.flush();
        }
    }

    void obey(std::string_view line) {
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || is_over_) return;
        if (line == "/quit") {
            is_over_ = true;
        } else if (line == "/who") {
            who();
        } else if (line.starts_with('@')) {
            tell(line.substr(1));
        } else if (line.starts_with('/') && !line.starts_with("//")) {
            screen_.notice(kHelp);
        } else {
            say(line.starts_with("//") ? line.substr(1) : line);
        }
    }

    void who() { screen_.here(roster_.names()); }

    void say(std::string_view text) {
        const Result<void> said = room_.say({.name = options_.name, .text = std::string{text}});
        if (!said) screen_.error({}, "that was not said: " + describe(said.error()));
    }

    // Never waits: somebody who does not read must not stop the chat.
    void tell(std::string_view words) {
        const std::size_t space = words.find(' ');
        const std::string name{words.substr(0, space)};
        if (space == std::string_view::npos || space + 1 == words.size() || name.empty()) {
            return screen_.notice(kHelp);
        }
        const std::string_view text = words.substr(space + 1);
        Result<void> sent = me_.try_send(name, Payload{text});
        // Who had the name left meanwhile; somebody else may have it.
        if (!sent && sent.error().code == Errc::closed) sent = me_.try_send(name, Payload{text});
        if (sent) return;
        switch (sent.error().code) {
            case Errc::not_found:
            case Errc::closed: return screen_.error(name, "nobody is called " + name);
            case Errc::peer_died: return screen_.error(name, name + " died");
            case Errc::full: return screen_.error(name, name + " does not read: no room is left");
            default: screen_.error(name, name + " was not told: " + describe(sent.error()));
        }
    }

    static constexpr std::uint32_t kLineBytes = Room::kMaxBytes - 128;

    const Options& options_;
    Process me_;
    Room room_;
    WaitSet set_;
    Screen screen_;
    Roster roster_;
    FrameReader reader_{Framing::lines, kLineBytes};
    WaitId input_{};
    std::uint64_t entered_ = 0;
    bool greeted_ = false;
    bool is_over_ = false;
};

Exit chat(const Options& options) {
    if (!can_print()) return Exit::failed;
    catch_stop_signals();
    const std::string what = "chat as " + options.name;
    JoinOptions join;
    join.attributes[std::string{kRoomAttribute}] = options.room;
    Result<WaitSet> set = WaitSet::create();
    if (!set) return complain(what, set.error());
    Result<Process> me = Process::join(options.name, join);
    if (!me) return not_joined(what, options.name, me.error());
    Result<Room> room = Room::enter(options.room);
    if (!room) return complain(what + ": room " + options.room, room.error());
    return Chat{options, std::move(*me), std::move(*room), std::move(*set)}.run();
}

}  // namespace

void add_chat(CLI::App& app, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = app.add_subcommand(
        "chat", "chat NAME: Talk with others on this machine, in a room and one to one");
    verb->add_option("NAME", options->name, "Your name")->required()->type_name("");
    verb->add_option("--room", options->room, "The room [lobby]")->type_name("ROOM");
    verb->add_flag("--json", options->json,
                   "Print a JSON object for each thing that happens: its event (said, told, "
                   "joined, left, died, here, notice, error), name, text or names");
    verb->add_flag("--stay", options->stay, "Stay when the input ends, until Ctrl-C");
    verb->footer(
        "Start it in two terminals, under two names. A line goes to all in the room; a line that\n"
        "begins with @bob goes to the process called bob alone, over the link of the two; /who "
        "lists\nwho is here, /quit ends, //x says /x. Lines with a * tell who joined, left, or "
        "died "
        "(a killed\none is told at once). It works in a pipe, too: each line of the input is said, "
        "and it leaves at\nits end. Control characters of others are spelled out (\\x1b).\n"
        "A room is the broadcast mailbox room-ROOM, so other programs can take part:\n"
        "  stoa recv room-lobby --follow     stoa send room-lobby 'clock: it is noon'\n"
        "Example:\n  stoa chat alice\n"
        "  echo 'the build is done' | stoa chat builder --room team");
    verb->callback([&chosen, options] { chosen.run = [options] { return chat(*options); }; });
}

}  // namespace stoa::cli
