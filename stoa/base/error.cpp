#include "stoa/base/error.hpp"

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <span>

namespace stoa {
namespace {

struct Text {
    Errc code;
    std::string_view name;
    std::string_view advice;
};

constexpr std::array kTexts{
    Text{Errc::timed_out, "timed_out", "the deadline passed; try again or wait longer"},
    Text{Errc::empty, "empty", "no message is waiting; use a blocking or timed receive to wait"},
    Text{Errc::full, "full",
         "no slot or no memory is free; receive something, wait, or create it with a larger "
         "capacity or reserve"},
    Text{Errc::too_many_loans, "too_many_loans",
         "as many are held as there may be; give back a message, loan or receipt"},
    Text{Errc::no_free_place, "no_free_place",
         "every place is taken; close a handle, destroy something, or create it with more places"},
    Text{Errc::out_of_space, "out_of_space",
         "the memory is full: of the file system, or of the region, which its max_bytes bounds; "
         "free some or create it with more"},
    Text{Errc::limit_reached, "limit_reached",
         "a limit of this process is reached; raise it (ulimit -n, ulimit -v) or close something"},
    Text{Errc::not_found, "not_found",
         "nothing has this name; create it first, or look for it with `stoa mailbox ls`, `stoa "
         "region ls` or, of processes, `stoa ps`"},
    Text{Errc::exists, "exists", "the name is taken; open it, or choose another name"},
    Text{Errc::in_use, "in_use",
         "another one has it; `stoa mailbox info`, `stoa locks` or, of process names, `stoa ps` "
         "shows which; wait until it lets go"},
    Text{Errc::peer_died, "peer_died",
         "the process on the other side died; open again, or send to who takes its name next"},
    Text{Errc::gone, "gone", "the object was destroyed; create or open it again"},
    Text{Errc::end_of_stream, "end_of_stream", "nothing more will come; close this handle"},
    Text{Errc::forked, "forked",
         "the handle is not this process's own; open your own after fork, and for writing to "
         "change something"},
    Text{Errc::not_owner, "not_owner",
         "this message, loan, permit or role is not yours, or not any more; drop it"},
    Text{Errc::denied, "denied", "no permission; ask its owner for the right or run as its owner"},
    Text{Errc::unsafe_folder, "unsafe_folder",
         "the domain folder must be yours, with mode 0700, or made for a group of yours (`stoa "
         "domain create --group`), in a folder that exists; name another with STOA_DOMAIN"},
    Text{Errc::bad_name, "bad_name",
         "the name breaks the rules: 1 to 200 (of processes: 1 to 63) of A-Z a-z 0-9 . _ - and no "
         "dot or dash first"},
    Text{Errc::bad_argument, "bad_argument",
         "it is out of range or not possible here; change the call"},
    Text{Errc::too_big, "too_big",
         "it is larger than max_bytes, or than the 2024 bytes of a process's attributes; ask for "
         "less, or create it with a larger max_bytes"},
    Text{Errc::wrong_type, "wrong_type",
         "it is of another type; open or receive it as the type that it is of"},
    Text{Errc::wrong_size, "wrong_size", "the sizes differ; use the size that it has"},
    Text{Errc::bad_layout, "bad_layout",
         "this is no stoa object, or it is damaged; check the name; if it is yours and damaged: "
         "`stoa mailbox rm`, `stoa region rm --force`"},
    Text{Errc::wrong_version, "wrong_version",
         "another version of stoa made it; use that version, or remove it and create it again"},
    Text{Errc::corrupt, "corrupt",
         "the message is no value of the type, or the shared memory is damaged; remove a damaged "
         "mailbox with `stoa mailbox rm`"},
    Text{Errc::not_supported, "not_supported", "it cannot be done here; do it another way"},
    Text{Errc::os, "os", "the operating system refused; see the errno"},
    Text{Errc::owner_gone, "owner_gone",
         "its owner closed it or died, and it ended with it; open again when it is created again"},
    Text{Errc::closed, "closed",
         "it was closed for sending, or the process there has left; what is in it can be received; "
         "create or open a new one to send"},
    Text{Errc::quota_reached, "quota_reached",
         "it holds as many bytes as its quota; receive something, or create it with a larger "
         "quota"},
    Text{Errc::poisoned, "poisoned",
         "a holder of the lock died, and the next one gave it back without mending what it guards; "
         "make that anew"},
    Text{Errc::deadlock, "deadlock",
         "the other one waits in a send to you; receive it first, then send again"},
    Text{Errc::unanswered, "unanswered",
         "who received the call let go of it without a reply; ask again, or ask another"},
    Text{Errc::stopped, "stopped", "it was asked to stop; call again if it is wanted after all"},
};

const Text* find(Errc code) noexcept {
    for (const Text& text : kTexts) {
        if (text.code == code) return &text;
    }
    return nullptr;
}

}  // namespace

const char* step_text(const char* format, ...) noexcept {
    static thread_local std::array<char, 256> text;
    std::va_list values;
    va_start(values, format);
    std::vsnprintf(text.data(), text.size(), format, values);
    va_end(values);
    return text.data();
}

std::string_view name(Errc code) noexcept {
    const Text* text = find(code);
    return text != nullptr ? text->name : "unknown";
}

std::string_view advice(Errc code) noexcept {
    const Text* text = find(code);
    return text != nullptr ? text->advice : "the code is unknown; the memory may be damaged";
}

namespace {

// As long as the room allows; ended by a zero.
void describe_into(std::span<char> room, const Error& error) noexcept {
    std::array<char, 128> buffer{};
    const bool by_os = error.os_errno != 0;
    const char* const reason =  // the GNU one
        by_os ? strerror_r(error.os_errno, buffer.data(), buffer.size()) : "";
    const std::string_view code = name(error.code);
    const std::string_view remedy = advice(error.code);
    std::snprintf(room.data(), room.size(), "%s: %.*s%s%s%s: %.*s", error.step,
                  static_cast<int>(code.size()), code.data(), by_os ? " (" : "", reason,
                  by_os ? ")" : "", static_cast<int>(remedy.size()), remedy.data());
}

}  // namespace

std::string describe(const Error& error) {
    std::array<char, 1024> text{};
    describe_into(text, error);
    return text.data();
}

}  // namespace stoa

std::bad_expected_access<stoa::Error>::bad_expected_access(stoa::Error error) noexcept
    : error_{error}, text_{} {
    stoa::describe_into(text_, error);
}
