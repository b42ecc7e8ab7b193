// A mailbox whose memory was scribbled over before it is opened: header, participant table, roles,
// slots, chunks, lanes, logs, receipts, dead letters. Whatever stands there, opening and using it
// ends with a clean error or with messages of a sane size; never outside of the mapping, never
// without end.
//
// Input: byte 0 picks the kind of mailbox and whether the checksum is mended, byte 1 how it is
// opened; then patches of {page 1, offset 2, value 8 bytes}, little-endian; an offset above 32767
// counts words that hold something.
#include <cstring>

#include "stoa/shm/region_layout.hpp"
#include "tests/fuzz/images.hpp"

using namespace stoa;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    fuzz::Image image = fuzz::images()[data[0] % fuzz::images().size()];
    sys::Fd file = fuzz::file_for(image);
    for (std::size_t at = 2; at + 11 <= size; at += 11) {
        std::uint16_t offset = 0;
        std::uint64_t value = 0;
        std::memcpy(&offset, data + at + 1, sizeof offset);
        std::memcpy(&value, data + at + 3, sizeof value);
        fuzz::Page& page = image.pages[data[at] % image.pages.size()];
        const bool anywhere = offset < 0x8000U;
        fuzz::write_word(
            page, anywhere ? offset % (kPage - 7) : page.words[offset % page.words.size()], value);
    }
    if (data[0] >= 128) fuzz::mend_checksum(image);
    if (fuzz::write_image(file, image)) {
        fuzz::open_and_use(std::move(file), fuzz::options_of(data[1]));
    }
    return 0;
}
