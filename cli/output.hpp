// Standard output that says what became of it: written, nobody reads any more, or failed.
//
// Start here: Output::standard(); append() then flush(); print() for facts.
// Threads:    one.
// Processes:  each has its own buffer; forget it before fork.
// Death:      what was appended and not flushed is lost with the process.
// Blocking:   flush() until the reader takes it; after a stop signal for half a second at most.
// Lifetime:   borrows the descriptor.
// Units:      bytes.
// Source:     write(2), poll(2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "cli/exit.hpp"

namespace stoa::cli {

enum class Written : std::uint8_t { ok, broken_pipe, failed, stopped };

class Output {
public:
    explicit Output(int descriptor) : descriptor_{descriptor} {}
    [[nodiscard]] static Output standard();

    // True when it can be written to at all (it may have been closed before we began).
    [[nodiscard]] bool usable() const noexcept;
    // True when it is a pipe or socket that nobody will ever read.
    [[nodiscard]] bool reader_gone() const noexcept;

    void append(std::span<const std::byte> bytes);
    void append(std::string_view text) { append(std::as_bytes(std::span{text})); }
    [[nodiscard]] std::size_t pending() const noexcept { return buffer_.size() - begin_; }
    // Bytes appended and bytes written since the start.
    [[nodiscard]] std::uint64_t appended() const noexcept { return written_ + pending(); }
    [[nodiscard]] std::uint64_t written() const noexcept { return written_; }

    // Writes all that is pending. After anything but ok the rest stays pending.
    [[nodiscard]] Written flush() noexcept;
    // The exit status of a flush; complains when it failed.
    [[nodiscard]] Exit exit_of(Written result) const;

private:
    [[nodiscard]] Written write_some() noexcept;

    int descriptor_;
    int error_ = 0;
    std::vector<std::byte> buffer_;
    std::size_t begin_ = 0;
    std::uint64_t written_ = 0;
};

// Writes facts to standard output at once.
[[nodiscard]] Exit print(std::string_view text);
// Complains and returns false when standard output is closed: before anything is done.
[[nodiscard]] bool can_print();

// Puts something harmless under closed descriptors 0, 1 and 2, or the first file that is opened
// would get such a number, and what is printed would go into it. Reading and writing them fail.
void hold_standard_descriptors() noexcept;

}  // namespace stoa::cli
