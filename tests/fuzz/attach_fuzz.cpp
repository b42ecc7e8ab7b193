// A mailbox whose memory was scribbled over before it is opened: header, participant table, roles,
// slots, chunks, lanes. Whatever stands there, opening and using it ends with a clean error or with
// messages of a sane size; never outside of the mapping, never without end.
//
// Input: byte 0 picks the kind of mailbox and whether the checksum is mended; then patches of
// {page 1, offset 2, value 8 bytes}, little-endian.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "stoa/mailbox/raw_mailbox.hpp"
#include "stoa/shm/region_layout.hpp"
#include "stoa/sys/file.hpp"
#include "stoa/sys/memfd.hpp"

namespace {

using namespace stoa;

struct Page {
    std::uint64_t offset;
    std::vector<std::byte> bytes;
};

struct Image {  // the pages of a healthy mailbox that hold something
    std::uint64_t bytes = 0;
    std::vector<Page> pages;
};

Image image_of(Sharing sharing, bool acknowledged) {
    RawMailbox box = RawMailbox::create_anonymous({.capacity = bounded(4),
                                                   .sharing = sharing,
                                                   .acknowledged = acknowledged,
                                                   .max_bytes = 100,
                                                   .reserve_bytes = 4096,
                                                   .loan_quota = 2})
                         .value();
    RawMailbox peer = box.clone().value();
    const std::array<std::byte, 60> message{};
    for (int i = 0; i < 3; ++i) (void)peer.send(message);
    const Result<RawMessage> held = box.try_receive();
    Image image;
    image.bytes = static_cast<std::uint64_t>(lseek(box.file().get(), 0, SEEK_END));
    std::vector<std::byte> page(kPage);
    for (std::uint64_t at = 0; at < image.bytes;) {
        const off_t data = lseek(box.file().get(), static_cast<off_t>(at), SEEK_DATA);
        if (data < 0) break;
        at = static_cast<std::uint64_t>(data) / kPage * kPage;
        if (pread(box.file().get(), page.data(), kPage, static_cast<off_t>(at)) > 0) {
            const bool used = std::any_of(page.begin(), page.end(),
                                          [](std::byte b) { return b != std::byte{0}; });
            if (used) image.pages.push_back({at, page});
        }
        at += kPage;
    }
    return image;
}

const std::vector<Image>& images() {
    static const std::vector<Image> made = [] {
        std::vector<Image> all;
        for (const Sharing sharing : {Sharing::any, Sharing::single_receiver, Sharing::pair}) {
            for (const bool acknowledged : {false, true}) {
                all.push_back(image_of(sharing, acknowledged));
            }
        }
        return all;
    }();
    return made;
}

void mend_checksum(Page& first) {
    const std::uint64_t hash =
        region_checksum(std::span{first.bytes}.first<sizeof(RegionLayout)>());
    std::memcpy(first.bytes.data() + offsetof(RegionLayout, checksum), &hash, sizeof hash);
}

// A region knows its file.
void put_inode(Page& first, const sys::Fd& file) {
    const std::uint64_t inode = sys::info(file).value().inode;
    std::memcpy(first.bytes.data() + offsetof(RegionLayout, inode), &inode, sizeof inode);
    mend_checksum(first);
}

void use(RawMailbox& box) {
    const std::array<std::byte, 80> message{};
    for (int i = 0; i < 6; ++i) {
        (void)box.try_send(message);
        if (Result<RawMessage> got = box.try_receive()) {
            std::uint8_t sum = 0;
            for (const std::byte b : got->bytes()) sum += static_cast<std::uint8_t>(b);
            if (sum == 1 && got->bytes().size() > 100) std::abort();  // reads every byte
            if (i % 2 == 0) (void)got->ack();
        }
    }
    box.attachment().sweep();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    Image image = images()[data[0] % images().size()];
    sys::Fd file = sys::make_memory("fuzz").value();
    put_inode(image.pages.front(), file);
    const bool mend = data[0] >= 128;
    for (std::size_t at = 1; at + 11 <= size; at += 11) {
        std::uint16_t offset = 0;
        std::memcpy(&offset, data + at + 1, sizeof offset);
        Page& page = image.pages[data[at] % image.pages.size()];
        std::memcpy(page.bytes.data() + offset % (kPage - 7), data + at + 3, 8);
    }
    if (mend) mend_checksum(image.pages.front());
    if (ftruncate(file.get(), static_cast<off_t>(image.bytes)) != 0) return 0;
    for (const Page& page : image.pages) {
        if (pwrite(file.get(), page.bytes.data(), kPage, static_cast<off_t>(page.offset)) < 0) {
            return 0;
        }
    }
    if (Result<RawMailbox> box = RawMailbox::attach(std::move(file))) use(*box);
    return 0;
}
