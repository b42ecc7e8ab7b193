// Errors: one closed list, one remedy each, std::expected everywhere.
//
// Start here: Result<T>, fail(); describe() turns an Error into a sentence with its remedy, which
//             is also what() of the exception that value() of a failed Result throws.
// Threads:    values; safe everywhere.
// Processes:  an Errc may be stored in shared memory as its number; numbers never change meaning.
// Death:      nothing here outlives a call.
// Blocking:   never.
// Lifetime:   `step` points to a string literal, or to a text of this thread (step_text; also with
//             wrong_type, denied and unsafe_folder), until its next such error.
// Units:      none.
// Source:     remedies after kj's exception types; std::expected, ISO C++23 22.8.
#pragma once

#if __cplusplus <= 202002L
#error "stoa needs C++23: compile with -std=c++23"
#endif

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace stoa {

// Everything that can go wrong in stoa. Closed list: a new value needs a row in docs/errors.md.
enum class Errc : std::uint8_t {
    timed_out = 1,   // the deadline passed
    empty,           // a try_receive found nothing
    full,            // a try_send found no slot or no memory for the message
    too_many_loans,  // as many loans or receipts are held as there may be
    no_free_place,   // no index is left for another participant
    out_of_space,    // tmpfs or disk is full
    limit_reached,   // a limit of this process: open files or address space
    not_found,       // nothing has this name
    exists,          // the name is taken
    in_use,          // another process has this role of the object
    peer_died,       // the process on the other side is dead
    gone,            // the object was destroyed
    end_of_stream,   // closed by its sender, and drained
    forked,          // the handle was inherited through fork
    not_owner,       // a lease or loan that this handle does not hold
    denied,          // no permission
    unsafe_folder,   // the domain folder belongs to someone else or is open to others
    bad_name,        // the name breaks the rules
    bad_argument,    // an option is out of range
    too_big,         // the message is larger than max_bytes
    wrong_type,      // the mailbox holds another type
    wrong_size,      // the buffer or type has another size than the message
    bad_layout,      // the bytes are not a stoa object
    wrong_version,   // a stoa object of a format this library does not read
    corrupt,         // an invariant of the shared memory, or a message, is broken
    not_supported,   // this kernel, file system, setting or version cannot do it
    os,              // any other error of the operating system; see os_errno
    owner_gone,      // the process or handle that the object belonged to ended
    closed,          // closed for sending: what is there may still be received
    quota_reached,   // an unbounded mailbox holds as many bytes as it may
    poisoned,        // who held the lock died, and nobody mended what it guards
    deadlock,        // two that wait in a send to each other: neither receives
    unanswered,      // who received the call let go of it without a reply
    stopped,         // its stop token, or whoever waits for it, asked it to stop
};

// What the caller does next. Callers branch on this; logs print the Errc.
enum class Remedy : std::uint8_t {
    try_later,
    free_something,
    reopen,
    choose_another,
    mend_call,
    tell_the_operator
};

[[nodiscard]] constexpr Remedy remedy(Errc code) noexcept {
    switch (code) {  // no default: with -Wswitch a forgotten code does not build
        case Errc::timed_out:
        case Errc::empty:
        case Errc::full:
        case Errc::deadlock:
        case Errc::unanswered:
        case Errc::stopped:
        case Errc::quota_reached: return Remedy::try_later;
        case Errc::too_many_loans:
        case Errc::no_free_place:
        case Errc::out_of_space:
        case Errc::limit_reached: return Remedy::free_something;
        case Errc::peer_died:
        case Errc::gone:
        case Errc::owner_gone:
        case Errc::poisoned:
        case Errc::closed:
        case Errc::end_of_stream:
        case Errc::forked: return Remedy::reopen;
        case Errc::not_found:
        case Errc::exists:
        case Errc::in_use: return Remedy::choose_another;
        case Errc::not_owner:
        case Errc::bad_name:
        case Errc::bad_argument:
        case Errc::too_big:
        case Errc::wrong_type:
        case Errc::wrong_size: return Remedy::mend_call;
        case Errc::denied:
        case Errc::unsafe_folder:
        case Errc::bad_layout:
        case Errc::wrong_version:
        case Errc::corrupt:
        case Errc::not_supported:
        case Errc::os: return Remedy::tell_the_operator;
    }
    return Remedy::tell_the_operator;  // a value that no Errc names, read from a broken peer
}

struct [[nodiscard]] Error {  // allocates nothing: can be made on any path, out-of-memory included
    Errc code{};
    int os_errno = 0;       // set exactly when the operating system said it
    const char* step = "";  // string literal naming what failed: "open", "ring.attach"

    friend constexpr bool operator==(const Error& a, const Error& b) noexcept {
        return a.code == b.code;
    }
};

}  // namespace stoa

// What value() of a failed Result throws. A program that does not catch it ends with the error's
// sentence, as describe() gives it, and not with the library's "bad access". Allocates nothing.
template <>
class std::bad_expected_access<stoa::Error> : public std::bad_expected_access<void> {
public:
    explicit bad_expected_access(stoa::Error error) noexcept;

    [[nodiscard]] const char* what() const noexcept override { return text_; }
    [[nodiscard]] stoa::Error& error() & noexcept { return error_; }
    [[nodiscard]] const stoa::Error& error() const& noexcept { return error_; }
    [[nodiscard]] stoa::Error&& error() && noexcept { return std::move(error_); }
    [[nodiscard]] const stoa::Error&& error() const&& noexcept { return std::move(error_); }

private:
    stoa::Error error_;
    char text_[384];
};

namespace stoa {

template <typename T>
using Result = std::expected<T, Error>;

[[nodiscard]] constexpr std::unexpected<Error> fail(Errc code, const char* step,
                                                    int os_errno = 0) noexcept {
    return std::unexpected(Error{code, os_errno, step});
}

// A step that says more than a literal can, written as printf does: a text of this thread, until
// its next such error.
[[nodiscard, gnu::format(printf, 1, 2)]] const char* step_text(const char* format, ...) noexcept;

// The short name of a code ("timed_out"), as docs/errors.md lists it.
[[nodiscard]] std::string_view name(Errc code) noexcept;

// One sentence that says what to do next.
[[nodiscard]] std::string_view advice(Errc code) noexcept;

// "step: name (errno text): advice"; allocates, for logs and command lines.
[[nodiscard]] std::string describe(const Error& error);

}  // namespace stoa
