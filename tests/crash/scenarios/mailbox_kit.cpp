#include "tests/crash/scenarios/mailbox_kit.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <csignal>

#include "stoa/base/check.hpp"
#include "tests/crash/scenarios/ledger.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"

namespace stoa::crash {

sys::Fd another(const sys::Fd& file) {
    const int fd = ::fcntl(file.get(), F_DUPFD_CLOEXEC, 0);
    STOA_CHECK(fd >= 0);
    return sys::Fd{fd};
}

RawMailbox open(const sys::Fd& file, ::stoa::Role role, bool stands_by) {
    const OpenOptions options{.role = role, .waiting = Waiting::park, .stand_by = stands_by};
    return RawMailbox::attach(another(file), options).value();
}

std::array<std::byte, kBytes> message(std::uint64_t number) {
    std::array<std::byte, kBytes> bytes{};
    write_payload(bytes, number);
    return bytes;
}

bool send(RawMailbox& box, std::uint64_t number) {
    return box.try_send(message(number)).has_value();
}

void die(const sys::Fd& file, ::stoa::Role role, const std::function<void(RawMailbox&)>& body) {
    const kit::Ending ending = kit::fork_and_run([&] {
        RawMailbox box = open(file, role);
        body(box);
    });
    STOA_CHECK(ending.signal == SIGKILL);
}

void die_at(const char* point, const sys::Fd& file, const std::function<void(RawMailbox&)>& body) {
    die(file, ::stoa::Role::both, [&](RawMailbox& box) {
        kit::kill_self_at(point);
        body(box);
    });
}

KeptMailbox::~KeptMailbox() {
    if (!mapped_.empty()) ::munmap(mapped_.data(), mapped_.size());
}

void KeptMailbox::keep(RawMailbox&& mailbox) {
    keeper_.emplace(std::move(mailbox));
    struct ::stat facts{};
    STOA_CHECK(::fstat(file().get(), &facts) == 0);
    const auto bytes = static_cast<std::size_t>(facts.st_size);
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file().get(), 0);
    STOA_CHECK(at != MAP_FAILED);
    mapped_ = {static_cast<std::byte*>(at), bytes};
    content_ = mapped_.last(align_up(plan().content_bytes, kPage)).first(plan().content_bytes);
}

std::span<std::byte> KeptMailbox::table() const {
    return mapped_.first(kPage + Participants::bytes_for(kPlaces));
}

const MailboxStation& KeptMailbox::station(std::uint32_t i) const {
    return *layout_at<MailboxStation>(content_, station_offset(i));
}

const LaneDoor& KeptMailbox::door(std::uint32_t lane) const {
    return *layout_at<LaneDoor>(content_, plan().door_offset(lane));
}

std::span<std::byte> KeptMailbox::lane(std::uint32_t lane) const {
    return content_.subspan(plan().lanes_offset + lane * plan().lane_stride, plan().lane_stride);
}

PoolRing KeptMailbox::ring(std::uint32_t which) const {
    return PoolRing::attach(plan().pool_of(content_, which), plan().extras_of(content_, which))
        .value();
}

std::string is_whole(PoolRing& ring, std::uint32_t me, bool is_sealed) {
    const PoolCounts counts = ring.counts();
    if (counts.free_chunks != ring.geometry().chunk_count) return "a chunk is lost";
    if (counts.depth != 0 || (!ring.seems_empty() && !is_sealed)) return "a slot is lost";
    std::vector<PoolLoan> loans;
    PoolLoan loan;
    while (ring.claim(me, 1, loan) == PoolStatus::ok) loans.push_back(loan);
    for (const PoolLoan& each : loans) (void)ring.release(each);
    return loans.size() == counts.free_chunks ? "" : "the hint of a free chunk is lost";
}

Known look_for(const RawMailbox& box, pid_t pid) {
    Known known = Known::absent;
    box.attachment().region().participants().for_each([&](const Participant& seen) {
        if (seen.identity.pid != static_cast<std::uint32_t>(pid)) return;
        known = seen.life == sys::Life::dead ? Known::dead : Known::alive;
    });
    return known;
}

}  // namespace stoa::crash
