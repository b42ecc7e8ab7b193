#include "tests/fuzz/images.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "stoa/shm/region_layout.hpp"
#include "stoa/sys/file.hpp"
#include "stoa/sys/memfd.hpp"

namespace stoa::fuzz {
namespace {

constexpr std::uint32_t kMaxBytes = 100;

MailboxOptions kind(Sharing sharing, bool acknowledged = false) {
    return {.capacity = bounded(4),
            .sharing = sharing,
            .acknowledged = acknowledged,
            .max_bytes = kMaxBytes,
            .reserve_bytes = 4096,
            .loan_quota = 2};
}

// One kind for each engine and for each thing that lies beside the messages.
std::vector<MailboxOptions> kinds() {
    std::vector<MailboxOptions> all;
    for (const Sharing sharing :
         {Sharing::any, Sharing::single_receiver, Sharing::pair, Sharing::round_robin,
          Sharing::least_loaded, Sharing::key_affine, Sharing::broadcast}) {
        for (const bool acknowledged : {false, true}) all.push_back(kind(sharing, acknowledged));
    }
    for (const Sharing sharing : {Sharing::any, Sharing::round_robin}) {
        MailboxOptions full = kind(sharing, true);  // whatever a pool ring can have
        full.priorities = 4;
        full.receipts = true;
        full.dead_letter_after = 1;
        full.keep_expired = true;
        full.ageing = std::chrono::seconds{1};
        all.push_back(full);
        full.capacity = unbounded(1024 * 1024);
        all.push_back(full);
        MailboxOptions meets = kind(sharing);
        meets.capacity = zero();
        all.push_back(meets);
    }
    MailboxOptions drops = kind(Sharing::any);
    drops.overflow = Overflow::drop_oldest;
    drops.priorities = 4;
    all.push_back(drops);
    MailboxOptions turns = kind(Sharing::single_receiver);
    turns.by_turns = true;
    all.push_back(turns);
    for (const Sharing sharing : {Sharing::any, Sharing::pair, Sharing::broadcast}) {
        MailboxOptions grows = kind(sharing);
        grows.capacity = unbounded(1024 * 1024);
        all.push_back(grows);
    }
    return all;
}

// Elsewhere a key is refused.
std::uint64_t key_for(const RawMailbox& box, std::uint64_t key) {
    return box.plan().sharing == Sharing::key_affine ? key : 0;
}

// Dies with a message, a loan and a receipt, so that whoever opens the mailbox recovers them.
void one_that_dies(const RawMailbox& box) {
    const pid_t child = fork();
    if (child == 0) {
        const std::array<std::byte, 60> message{};
        Result<RawMailbox> mine =
            RawMailbox::attach(sys::duplicate(box.file()).value(), {.role = box.role()});
        if (!mine) _exit(0);
        for (int i = 0; i < 3; ++i) (void)mine->try_send(message, {.key = key_for(*mine, 1)});
        const Result<Receipt> receipt =
            mine->send_with_receipt(message, {}, Deadline::immediately());
        const Result<RawMessage> held = mine->try_receive();
        const Result<RawLoan> loan = mine->loan(10, Deadline::immediately());
        _exit(0);
    }
    (void)waitpid(child, nullptr, 0);
}

std::vector<std::uint16_t> used_words(const std::vector<std::byte>& page) {
    std::vector<std::uint16_t> words;
    for (std::uint16_t at = 0; at < page.size(); at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, page.data() + at, sizeof word);
        if (word != 0) words.push_back(at);
    }
    return words;
}

Image image_of(const MailboxOptions& options) {
    RawMailbox box = RawMailbox::create_anonymous(options).value();
    const std::array<std::byte, 60> message{};
    Result<RawMessage> held = box.try_receive();
    one_that_dies(box);
    if (box.plan().sharing == Sharing::pair) box.attachment().sweep();  // its seat is free
    RawMailbox peer = box.clone().value();
    for (const std::uint32_t priority : {0U, 1U, 0U}) {
        (void)peer.try_send(message,
                            {.priority = priority % options.priorities, .key = key_for(peer, 2)});
    }
    if (Result<RawMessage> bad = box.try_receive()) (void)bad->nack("bad");
    const Result<Receipt> receipt = peer.send_with_receipt(message, {}, Deadline::immediately());
    held = box.try_receive();
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
            if (used) image.pages.push_back({at, page, used_words(page)});
        }
        at += kPage;
    }
    return image;
}

void read(RawMessage& message) {
    std::uint8_t sum = 0;
    for (const std::byte b : message.bytes()) sum += static_cast<std::uint8_t>(b);
    if (sum == 1 && message.bytes().size() > kMaxBytes) std::abort();  // reads every byte
    (void)message.history();
}

void use(RawMailbox& box) {
    const std::array<std::byte, 80> message{};
    std::array<std::byte, 8> start{};
    for (std::uint32_t i = 0; i < 6; ++i) {
        (void)box.try_send(message, {.priority = i % 2, .key = key_for(box, i)});
        (void)box.peek(start, i);
        if (Result<RawMessage> got = box.try_receive()) {
            read(*got);
            if (i % 3 == 0) (void)got->ack();
            if (i % 3 == 1) (void)got->nack("no");
        }
        if (i == 3) (void)box.redrive(i);
    }
    for (int i = 0; i < 2; ++i) {
        Result<Receipt> receipt = box.send_with_receipt(message, {}, Deadline::immediately());
        if (!receipt) continue;
        (void)receipt->try_wait();
        if (i == 0) (void)receipt->withdraw();
    }
    if (Result<RawLoan> loan = box.loan(kMaxBytes, Deadline::immediately())) {
        std::fill(loan->room().begin(), loan->room().end(), std::byte{1});
        (void)loan->commit(kMaxBytes, Deadline::immediately());
    }
    box.attachment().sweep();
    (void)box.close();
    for (int i = 0; i < 8; ++i) {
        Result<RawMessage> got = box.try_receive();
        if (!got) break;
        read(*got);
        (void)got->ack();
    }
}

}  // namespace

const std::vector<Image>& images() {
    static const std::vector<Image> made = [] {
        std::vector<Image> all;
        for (const MailboxOptions& options : kinds()) all.push_back(image_of(options));
        return all;
    }();
    return made;
}

void mend_checksum(Image& image) {
    Page& first = image.pages.front();
    const std::uint64_t hash =
        region_checksum(std::span{first.bytes}.first<sizeof(RegionLayout)>());
    std::memcpy(first.bytes.data() + offsetof(RegionLayout, checksum), &hash, sizeof hash);
}

sys::Fd file_for(Image& image) {
    sys::Fd file = sys::make_memory("fuzz").value();
    const std::uint64_t inode = sys::info(file).value().inode;
    write_word(image.pages.front(), offsetof(RegionLayout, inode), inode);
    mend_checksum(image);
    return file;
}

bool write_image(const sys::Fd& file, const Image& image) {
    if (ftruncate(file.get(), static_cast<off_t>(image.bytes)) != 0) return false;
    return std::all_of(image.pages.begin(), image.pages.end(), [&](const Page& page) {
        return pwrite(file.get(), page.bytes.data(), kPage, static_cast<off_t>(page.offset)) > 0;
    });
}

void write_word(Page& page, std::size_t offset, std::uint64_t word) noexcept {
    std::memcpy(page.bytes.data() + offset, &word, sizeof word);
}

std::uint64_t word_at(const Page& page, std::size_t offset) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, page.bytes.data() + offset, sizeof word);
    return word;
}

void open_and_use(sys::Fd file, const OpenOptions& how) {
    if (Result<RawMailbox> box = RawMailbox::attach(std::move(file), how)) use(*box);
}

OpenOptions options_of(std::uint8_t byte) noexcept {
    return {.role = static_cast<Role>(3 - byte % 4),
            .stand_by = (byte & 4U) != 0,
            .latest = (byte & 8U) != 0,
            .from_oldest = (byte & 16U) != 0};
}

}  // namespace stoa::fuzz
