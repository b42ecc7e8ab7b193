// Images of healthy mailboxes of every kind, in each of which a dead participant left something;
// and a use of whatever was opened. For whoever scribbles over them.
#pragma once

#include <cstdint>
#include <vector>

#include "stoa/mailbox/raw_mailbox.hpp"

namespace stoa::fuzz {

struct Page {
    std::uint64_t offset;
    std::vector<std::byte> bytes;
    std::vector<std::uint16_t> words;  // offsets of those of 8 bytes that hold something
};

struct Image {  // the pages of a mailbox that hold something
    std::uint64_t bytes = 0;
    std::vector<Page> pages;
};

// One for each engine and for each thing that lies beside the messages.
[[nodiscard]] const std::vector<Image>& images();

[[nodiscard]] std::uint64_t word_at(const Page& page, std::size_t offset) noexcept;
void write_word(Page& page, std::size_t offset, std::uint64_t word) noexcept;

// An empty file; the image's header knows it, as a region must.
[[nodiscard]] sys::Fd file_for(Image& image);
void mend_checksum(Image& image);
[[nodiscard]] bool write_image(const sys::Fd& file, const Image& image);
// Ends, with clean errors or with messages of a sane size.
void open_and_use(sys::Fd file, const OpenOptions& how);
// What of OpenOptions a byte stands for.
[[nodiscard]] OpenOptions options_of(std::uint8_t byte) noexcept;

}  // namespace stoa::fuzz
